//! The three digits that stand for an outcome or a farewell.

use majordomus_core::{CODE_UNSAID, Farewell, Frames, Outcome};

use crate::errors;

const MALFORMED: u16 = 400;
const FORBIDDEN: u16 = 403;
const NOT_THERE: u16 = 404;
const EXPIRED: u16 = 408;
const IN_USE: u16 = 409;
const UNTRANSLATABLE: u16 = 415;
const LIMITED: u16 = 429;
const UNWANTED: u16 = 499;
const FAILED: u16 = 500;
const WORKER_LOST: u16 = 502;
/// All rejected it, or the broker shuts down.
const UNAVAILABLE: u16 = 503;
const SILENT: u16 = 504;
const NO_COMMON_VERSION: u16 = 505;

/// The codes that a worker may give.
const OF_WORKERS: (u16, u16) = (400, 999);

/// The broker's, for the end of a request; nothing for ends that are not told.
pub(super) fn of_outcome(outcome: Outcome) -> Option<u16> {
    Some(match outcome {
        Outcome::Replied | Outcome::Cancelled | Outcome::ClientGone => return None,
        Outcome::Failed => FAILED,
        Outcome::Expired => EXPIRED,
        Outcome::WorkerLost => WORKER_LOST,
        Outcome::Rejected | Outcome::ShutDown => UNAVAILABLE,
        Outcome::Refused => LIMITED,
        Outcome::NoSuchService | Outcome::NoSuchWorker => NOT_THERE,
        Outcome::Untranslatable => UNTRANSLATABLE,
    })
}

/// What the broker means by this code in ERROR, and the code where the outcome does not say all of
/// it. One that is not known is its hundred: a 4xx is a request that was not taken.
pub(super) fn outcome(code: u16, body: &Frames) -> (Outcome, u16) {
    let outcome = match code {
        NOT_THERE => Outcome::NoSuchService,
        EXPIRED => Outcome::Expired,
        UNTRANSLATABLE => Outcome::Untranslatable,
        LIMITED => Outcome::Refused,
        WORKER_LOST => Outcome::WorkerLost,
        UNAVAILABLE => match body.get(0) {
            Some(text) if text == errors::code(Outcome::ShutDown).as_bytes() => Outcome::ShutDown,
            _ => Outcome::Rejected,
        },
        400..=499 => return (Outcome::Refused, code),
        _ => return (Outcome::Failed, code),
    };
    (outcome, CODE_UNSAID)
}

/// A worker's, as it may be written.
pub(super) fn of_worker(code: u16) -> u16 {
    if code == CODE_UNSAID { FAILED } else { worker(code) }
}

/// A worker's, as it is read: what is outside its range is the nearest.
pub(super) fn worker(code: u16) -> u16 {
    code.clamp(OF_WORKERS.0, OF_WORKERS.1)
}

/// What a worker hears of the end of a task that nobody waits for. At a shutdown it hears DISCONNECT.
pub(super) fn of_cancel(outcome: Outcome) -> u16 {
    match outcome {
        Outcome::Expired => EXPIRED,
        _ => UNWANTED,
    }
}

pub(super) fn cancel(code: u16) -> Outcome {
    match code {
        EXPIRED => Outcome::Expired,
        _ => Outcome::Cancelled,
    }
}

pub(super) fn of_farewell(farewell: Farewell) -> u16 {
    match farewell {
        Farewell::Unsaid | Farewell::Malformed => MALFORMED,
        Farewell::Forbidden => FORBIDDEN,
        Farewell::IdentityInUse => IN_USE,
        Farewell::Full => LIMITED,
        Farewell::ShutDown => UNAVAILABLE,
        Farewell::Silent => SILENT,
        Farewell::NoCommonVersion => NO_COMMON_VERSION,
    }
}

pub(super) fn farewell(code: u16) -> Farewell {
    match code {
        MALFORMED => Farewell::Malformed,
        FORBIDDEN => Farewell::Forbidden,
        IN_USE => Farewell::IdentityInUse,
        LIMITED => Farewell::Full,
        UNAVAILABLE => Farewell::ShutDown,
        SILENT => Farewell::Silent,
        NO_COMMON_VERSION => Farewell::NoCommonVersion,
        _ => Farewell::Unsaid,
    }
}
