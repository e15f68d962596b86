//! Rejection state of a request.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::config::FRAME_BYTES;
use crate::{Frames, PeerId, Time, WorkerReplyView};

/// The workers that rejected a request, and the error of the last one.
#[derive(Debug)]
pub(in crate::broker) struct Rejection {
    by: Vec<PeerId>,
    pub(in crate::broker) error: Frames,
    pub(in crate::broker) options: Bytes,
    /// The time since which all current workers have rejected the request, as of the last check.
    pub(in crate::broker) by_all_since: Option<Time>,
    /// The time of the next check.
    pub(in crate::broker) look_at: Time,
    /// Its rank among the rejected requests of its service.
    pub(super) rank: u64,
}

impl Rejection {
    pub(in crate::broker) const NONE: Rejection = Rejection {
        by: Vec::new(),
        error: Frames::EMPTY,
        options: Bytes::new(),
        by_all_since: None,
        look_at: Time::NEVER,
        rank: 0,
    };

    /// Records a worker's rejection. Drops the worker's error unless it `fits`.
    pub(in crate::broker) fn record(
        &mut self,
        worker: PeerId,
        reply: &WorkerReplyView<'_>,
        fits: bool,
    ) {
        self.by.push(worker);
        (self.error, self.options) = match fits {
            true => (reply.body.detached(), Bytes::copy_from_slice(reply.options)),
            false => (Frames::EMPTY, Bytes::new()),
        };
    }

    /// Returns the bytes that the rejection holds.
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.error.bytes() + FRAME_BYTES * self.error.len() + self.options.len()
    }

    /// Returns the workers that rejected the request.
    pub(in crate::broker) fn by(&self) -> &[PeerId] {
        &self.by
    }

    /// Returns the number of workers that rejected the request.
    pub(in crate::broker) fn count(&self) -> u32 {
        u32::try_from(self.by.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(any(test, feature = "audit"))]
impl Rejection {
    pub(super) fn rank(&self) -> u64 {
        self.rank
    }
}
