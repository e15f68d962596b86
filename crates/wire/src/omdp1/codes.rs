//! The three-digit codes of outcomes and disconnect reasons.

use majordomus_core::{CODE_UNSAID, DisconnectReason, Frames, Outcome};

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
/// Every worker rejected the request, or the broker is shutting down.
const UNAVAILABLE: u16 = 503;
const SILENT: u16 = 504;
const NO_COMMON_VERSION: u16 = 505;

/// The range of codes that a worker may use.
const OF_WORKERS: (u16, u16) = (400, 999);

/// Returns the broker's code for an outcome, or `None` for outcomes that are not reported.
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

/// Returns the outcome of a broker's code in ERROR, and the code if the outcome is less specific.
/// An unknown code counts as its hundred: 4xx is a rejected request.
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

/// Returns a worker's code as it is encoded.
pub(super) fn of_worker(code: u16) -> u16 {
    if code == CODE_UNSAID { FAILED } else { worker(code) }
}

/// Returns a worker's code as it is decoded: a code outside the range becomes the nearest in it.
pub(super) fn worker(code: u16) -> u16 {
    code.clamp(OF_WORKERS.0, OF_WORKERS.1)
}

/// Returns the code of a cancelled task. At shutdown a worker receives DISCONNECT instead.
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

pub(super) fn of_disconnect_reason(disconnect_reason: DisconnectReason) -> u16 {
    match disconnect_reason {
        DisconnectReason::Unsaid | DisconnectReason::Malformed => MALFORMED,
        DisconnectReason::Forbidden => FORBIDDEN,
        DisconnectReason::IdentityInUse => IN_USE,
        DisconnectReason::Full => LIMITED,
        DisconnectReason::ShutDown => UNAVAILABLE,
        DisconnectReason::Silent => SILENT,
        DisconnectReason::NoCommonVersion => NO_COMMON_VERSION,
    }
}

pub(super) fn disconnect_reason(code: u16) -> DisconnectReason {
    match code {
        MALFORMED => DisconnectReason::Malformed,
        FORBIDDEN => DisconnectReason::Forbidden,
        IN_USE => DisconnectReason::IdentityInUse,
        LIMITED => DisconnectReason::Full,
        UNAVAILABLE => DisconnectReason::ShutDown,
        SILENT => DisconnectReason::Silent,
        NO_COMMON_VERSION => DisconnectReason::NoCommonVersion,
        _ => DisconnectReason::Unsaid,
    }
}
