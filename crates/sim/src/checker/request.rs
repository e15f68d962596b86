//! The checker's model of a request.

use core::time::Duration;

use majordomus_core::broker::{FRAME_BYTES, REQUEST_BYTES};
use majordomus_core::{CorrelationId, Frames, Outcome, PeerId, Priority, Time, Timeout};

/// The number of a request.
pub type Uid = u64;

/// The marker byte before a request number in options.
pub(crate) const MARK: u8 = b'#';

/// The length of a request number in bytes.
pub(crate) const UID_BYTES: usize = 8;

/// Returns the number of a request, which distinguishes it from equal requests. The number is in
/// the options after a marker, or it is the id if the id is a text of eight bytes, or it starts the
/// body.
pub(crate) fn uid_of(id: &CorrelationId, options: &[u8], body: &Frames) -> Option<Uid> {
    match options.split_first() {
        Some((&MARK, rest)) => number(rest),
        _ => uid_in(id).or_else(|| number(body.get(0)?)),
    }
}

/// Returns the number of a request whose id is its number.
pub(crate) fn uid_in(id: &CorrelationId) -> Option<Uid> {
    match id {
        CorrelationId::Text(text) if text.len() == UID_BYTES => number(text),
        _ => None,
    }
}

fn number(bytes: &[u8]) -> Option<Uid> {
    Some(u64::from_be_bytes(*bytes.first_chunk::<UID_BYTES>()?))
}

/// Returns true if a reader cannot distinguish two bodies.
pub(crate) fn is_same_body(one: &Frames, other: &Frames) -> bool {
    one.form() == other.form() && one.note() == other.note() && one == other
}

/// The location of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not accepted: in transit, in the admission queue, or rejected.
    Outside,
    Waiting,
    /// Coalesced: waiting for the answer to this equal request.
    Following(Uid),
    At(PeerId),
    Ended(Outcome),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) place: Place,
    pub(crate) client: PeerId,
    pub(crate) service: usize,
    pub(crate) id: CorrelationId,
    /// True if its client can refer to it: its id was unique when it arrived.
    pub(crate) named: bool,
    pub(crate) options: Vec<u8>,
    pub(crate) timeout: Timeout,
    pub(crate) redeliver: bool,
    /// The latest time of its end if no worker has answered, and the earliest.
    pub(crate) deadline: Time,
    pub(crate) early: Time,
    /// The time and the index of its acceptance.
    pub(crate) received: Time,
    pub(crate) index: u32,
    pub(crate) waiting_since: Time,
    pub(crate) attempts: u32,
    pub(crate) part_sent: bool,
    /// True if its final reply or its failure report was sent.
    pub(crate) told: bool,
    pub(crate) charged: usize,
    pub(crate) body: Frames,
    /// The target worker, if connected, and whether the request names a target.
    pub(crate) target: Option<PeerId>,
    pub(crate) targeted: bool,
    /// True if the target was lost while the client did not read, so the report may come later.
    pub(crate) forsaken: bool,
    pub(crate) fresh: bool,
    pub(crate) priority: Priority,
    /// The total credit of its client for parts, and whether its worker was told that it is
    /// unlimited.
    pub(crate) credit: u32,
    pub(crate) unlimited: bool,
    pub(crate) notices: bool,
    /// True if its client did not read for a while since its arrival, so the request may be
    /// suspended.
    pub(crate) aside: bool,
    pub(crate) sharing: Sharing,
    pub(crate) collected: Vec<Frames>,
    pub(crate) collected_bytes: usize,
    pub(crate) rejection: Rejection,
}

impl Request {
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.place, Place::Waiting | Place::Following(_) | Place::At(_))
    }

    pub(crate) fn set_deadline(&mut self, deadline: Time) {
        (self.deadline, self.early) = (deadline, deadline);
    }

    /// Returns true if a worker has rejected it.
    pub(crate) fn is_rejected(&self) -> bool {
        !self.rejection.by.is_empty()
    }

    pub(crate) fn charge(request: &majordomus_core::Request) -> usize {
        request.body.bytes() + request.options.len() + REQUEST_BYTES
    }
}

/// The coalescing state of a request.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// True if equal requests join it. False if it has joined another.
    pub(crate) leads: bool,
    /// True if it is unknown which of several equal requests it has joined, if any, because one of
    /// them may or may not be suspended for a client that does not read.
    pub(crate) murky: bool,
    /// True if it, or a request that its client cannot distinguish from it, received a part of an
    /// answer.
    pub(crate) may_have_part: bool,
    /// The requests that have joined it, in the order of arrival.
    pub(crate) followers: Vec<Uid>,
    /// True if it had joined a request that ended, and the step when that happened.
    pub(crate) released: bool,
    pub(crate) released_in: u64,
    /// The earliest end of its timeout when it was detached.
    pub(crate) early_before: Time,
}

/// The rejections of a request.
#[derive(Debug, Default)]
pub(crate) struct Rejection {
    /// The workers that rejected it.
    pub(crate) by: Vec<PeerId>,
    /// The last rejection's body, if it is stored.
    pub(crate) error: Frames,
    pub(crate) options: Vec<u8>,
    /// The time since which it is queued and rejected by all connected workers.
    pub(crate) by_all_since: Option<Time>,
    /// The first such time since it was queued.
    pub(crate) by_all_first: Option<Time>,
    /// The highest `reject_wait` in force since then.
    pub(crate) wait_max: Duration,
}

impl Rejection {
    /// Returns the bytes charged for the rejection.
    pub(crate) fn bytes(&self) -> usize {
        self.error.bytes() + FRAME_BYTES * self.error.len() + self.options.len()
    }

    /// Resets the times when the request is queued for another worker.
    pub(crate) fn wait(&mut self, wait: Duration) {
        (self.by_all_since, self.by_all_first, self.wait_max) = (None, None, wait);
    }
}
