//! What is known of a request that was rejected.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::config::FRAME_BYTES;
use crate::{Frames, PeerId, Time, WorkerReplyView};

/// The workers that rejected a request, and what the last of them said.
#[derive(Debug)]
pub(in crate::broker) struct Rejection {
    by: Vec<PeerId>,
    pub(in crate::broker) error: Frames,
    pub(in crate::broker) options: Bytes,
    /// Since when all workers that are there have rejected it, as far as that was looked at.
    pub(in crate::broker) by_all_since: Option<Time>,
    /// When that is looked at again.
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

    /// Records that a worker rejected the request. What it said is dropped where it does not fit.
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

    /// Bytes that it holds.
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.error.bytes() + FRAME_BYTES * self.error.len() + self.options.len()
    }

    /// The workers that rejected the request.
    pub(in crate::broker) fn by(&self) -> &[PeerId] {
        &self.by
    }

    /// Number of workers that rejected the request.
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
