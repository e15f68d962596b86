//! What a worker makes of a request: when it says what, and how it ends.

use core::time::Duration;

use majordomus_core::{CorrelationId, Form, Frames, Label, Time, WorkerReply};

use super::Scene;
use crate::script::text_of;
use crate::workload::options;

/// How the work on a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Reply,
    Fail,
    Reject,
    /// It never does.
    Forget,
    /// The worker dies before it says anything, in the middle of its reply, or right after it.
    CrashBefore,
    CrashDuring,
    CrashAfter,
}

/// The plan for one request.
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

    /// One part less to say.
    pub(crate) fn go_on(&mut self, now: Time) {
        self.parts -= 1;
        self.next_at = now.after(self.pace);
    }
}

/// What a worker says.
pub(crate) fn body(scene: &mut Scene<'_>) -> Frames {
    let word = [b'y'; 16];
    let length = scene.rng.below(17) as usize;
    match scene.rng.below(4) {
        0 => Frames::empty(),
        1 => Frames::from_slices(&[&word[..length], &[], &word[..2]]),
        _ => Frames::from_slices(&[&word[..length]]),
    }
}

/// Returns a reply to the request with this address and id. A worker whose bodies are JSON writes the
/// id as text.
pub(crate) fn reply(
    scene: &mut Scene<'_>,
    form: Form,
    address: Label,
    id: &CorrelationId,
) -> WorkerReply {
    let id = match form {
        Form::Json => CorrelationId::Text(text_of(id)),
        Form::Frames => id.clone(),
    };
    let options = options(scene.rng).into();
    WorkerReply { id, options, ..WorkerReply::new(address, body(scene).in_form(form, 0)) }
}
