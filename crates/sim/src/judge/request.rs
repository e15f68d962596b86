//! What the judge knows of a request.

use core::time::Duration;

use majordomus_core::broker::{FRAME_BYTES, REQUEST_BYTES};
use majordomus_core::{CorrelationId, Frames, Outcome, PeerId, Priority, Time, Timeout};

/// The number of a request.
pub type Uid = u64;

/// What options begin with that hold the number of their request.
pub(crate) const MARK: u8 = b'#';

/// How long a number is, in bytes.
pub(crate) const UID_BYTES: usize = 8;

/// Returns the number of a request, which tells it from requests that say the same. The number stands
/// in the options behind a mark, or is the id where that is a text of eight bytes, or begins the body.
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

/// Whether two bodies are one to who reads them.
pub(crate) fn is_same_body(one: &Frames, other: &Frames) -> bool {
    one.form() == other.form() && one.note() == other.note() && one == other
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not taken in: on its way, at the door, or refused.
    Outside,
    Waiting,
    /// It waits for the answer to that one, which is equal.
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
    /// Whether its client can speak of it: it has an id that no other had when it came.
    pub(crate) named: bool,
    pub(crate) options: Vec<u8>,
    pub(crate) timeout: Timeout,
    pub(crate) redeliver: bool,
    /// When it ends at the latest, where no worker has answered by then; and at the earliest.
    pub(crate) deadline: Time,
    pub(crate) early: Time,
    /// When it was taken in, and at which place.
    pub(crate) received: Time,
    pub(crate) index: u32,
    pub(crate) waiting_since: Time,
    pub(crate) attempts: u32,
    pub(crate) part_sent: bool,
    /// Whether its final reply, or the word that there is none, went out.
    pub(crate) told: bool,
    pub(crate) charged: usize,
    pub(crate) body: Frames,
    /// The one worker that it wants, where it is there; and whether it wants one.
    pub(crate) target: Option<PeerId>,
    pub(crate) targeted: bool,
    /// That one was lost while its client did not read, so it may hear of that later.
    pub(crate) forsaken: bool,
    pub(crate) fresh: bool,
    pub(crate) priority: Priority,
    /// How many parts its client takes, all that it has said so far; and whether its worker was told
    /// that there is no limit.
    pub(crate) credit: u32,
    pub(crate) unlimited: bool,
    pub(crate) notices: bool,
    /// Whether its client did not read for a while since it came, so that it may have been put aside.
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

    /// Whether somebody has rejected it.
    pub(crate) fn is_rejected(&self) -> bool {
        !self.rejection.by.is_empty()
    }

    pub(crate) fn charge(request: &majordomus_core::Request) -> usize {
        request.body.bytes() + request.options.len() + REQUEST_BYTES
    }
}

/// What is known of a request whose answer others may share.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Whether those that are equal follow it, where it follows none.
    pub(crate) leads: bool,
    /// Whether it is not known which one of several equal ones it follows, if it follows any: one of
    /// them was put aside, or not, because its client does not read.
    pub(crate) murky: bool,
    /// Whether it, or another that its client cannot tell from it, got a part of an answer.
    pub(crate) may_have_part: bool,
    /// Those that follow it, in the order in which they came.
    pub(crate) followers: Vec<Uid>,
    /// Whether it has followed one that gave up; and in which step that was.
    pub(crate) released: bool,
    pub(crate) released_in: u64,
    /// When its time might have been over, as it was released.
    pub(crate) early_before: Time,
}

/// What is known of the rejections of a request.
#[derive(Debug, Default)]
pub(crate) struct Rejection {
    /// Who rejected it.
    pub(crate) by: Vec<PeerId>,
    /// What the last of them said, where that is kept.
    pub(crate) error: Frames,
    pub(crate) options: Vec<u8>,
    /// Since when it has waited and all workers that are there have rejected it.
    pub(crate) by_all_since: Option<Time>,
    /// When that was so for the first time since it began to wait.
    pub(crate) by_all_first: Option<Time>,
    /// The longest `reject_wait` that was in force since.
    pub(crate) wait_max: Duration,
}

impl Rejection {
    /// What it is counted as.
    pub(crate) fn bytes(&self) -> usize {
        self.error.bytes() + FRAME_BYTES * self.error.len() + self.options.len()
    }

    /// It begins to wait for another worker.
    pub(crate) fn wait(&mut self, wait: Duration) {
        (self.by_all_since, self.by_all_first, self.wait_max) = (None, None, wait);
    }
}
