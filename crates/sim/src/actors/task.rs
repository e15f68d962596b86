//! A worker's plan for a request: the times of its messages and its end.

use core::time::Duration;

use majordomus_core::{ByteStr, CorrelationId, Form, Frames, Time, WorkerReply};

use super::Scene;
use crate::script::text_of;
use crate::workload::options;

/// The end of the work on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Reply,
    Fail,
    Reject,
    /// The worker never finishes.
    Forget,
    /// The worker crashes before its reply, in the middle of it, or right after it.
    CrashBefore,
    CrashDuring,
    CrashAfter,
}

/// The plan for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) next_at: Time,
    pub(crate) parts: u64,
    pub(crate) finish: Finish,
    pace: Duration,
}

impl Plan {
    pub(crate) fn new(scene: &mut Scene<'_>) -> Self {
        let Scene { rng, faults, workload, .. } = scene;
        let ordinary = rng.millis(0, workload.work.as_millis() as u64);
        let pace = if rng.per_mille(faults.slow) { rng.millis(100, 5000) } else { ordinary };
        let finish = match rng.below(1000) {
            at if at < faults.crash => {
                rng.pick(&[Finish::CrashBefore, Finish::CrashDuring, Finish::CrashAfter])
            }
            at if at < faults.crash + faults.slow / 4 => Finish::Forget,
            at if at % 10 == 9 => Finish::Fail,
            _ => Finish::Reply,
        };
        let parts = if rng.one_in(4) { rng.within(1, 4) } else { 0 };
        Self { next_at: scene.now.after(pace), parts, finish, pace }
    }

    /// Marks a part as sent.
    pub(crate) fn go_on(&mut self, now: Time) {
        self.parts -= 1;
        self.next_at = now.after(self.pace);
    }
}

/// Returns the body of a worker's message.
pub(crate) fn body(scene: &mut Scene<'_>) -> Frames {
    let word = [b'y'; 16];
    let length = scene.rng.below(17) as usize;
    match scene.rng.below(4) {
        0 => Frames::empty(),
        1 => Frames::from_slices(&[&word[..length], &[], &word[..2]]),
        _ => Frames::from_slices(&[&word[..length]]),
    }
}

/// Returns a reply to the request with this token and id. A worker with JSON bodies writes the id
/// as text.
pub(crate) fn reply(
    scene: &mut Scene<'_>,
    form: Form,
    address: ByteStr,
    id: &CorrelationId,
) -> WorkerReply {
    let id = match form {
        Form::Json => CorrelationId::Text(text_of(id)),
        Form::Frames => id.clone(),
    };
    let options = options(scene.rng).into();
    WorkerReply { id, options, ..WorkerReply::new(address, body(scene).in_form(form, 0)) }
}
