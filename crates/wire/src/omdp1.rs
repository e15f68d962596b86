//! OMDP/1, the protocol of Majordomus, as specified in `docs/rfc/omdp-1.md`.
//!
//! A message is one command frame with packed fields, followed by the frames of a body if the
//! command has one.
//!
//! ```text
//! both → broker     01 "OMDP" versions role heartbeat message-max headers    HELLO
//!                   03 | 04                                       HEARTBEAT, GOODBYE
//! broker → both     02 version limits broker headers              WELCOME
//!                   03 | 05 code text                             HEARTBEAT, DISCONNECT
//! client → broker   10 id flags priority timeout credit service target headers; body…   REQUEST
//!                   11 id credit | 12 id | 13 id                  MORE, CANCEL, STILL-WANTED
//! broker → client   20 id headers; body…                          PARTIAL
//!                   21 id headers; body…                          FINAL
//!                   22 id author code headers; body…              ERROR
//!                   23 id what                                    NOTICE
//! worker → broker   30 service | 31 service | 32 requests         READY, WITHDRAW, CAPACITY
//!                   33 ticket headers; body…                      TASK-PARTIAL
//!                   34 ticket keep headers; body…                 TASK-FINAL
//!                   35 ticket code headers; body…                 TASK-ERROR
//!                   36 ticket headers; body…                      TASK-REJECT
//!                   37 ticket                                     TASK-AT-WORK
//! broker → worker   40 ticket service deadline attempt priority credit headers; body…   TASK
//!                   41 ticket code | 42 ticket credit | 43 ticket TASK-CANCEL, TASK-MORE, TASK-WANTED
//!                   44 service worker                             REGISTERED
//!                   45 requests                                   CAPACITY-IS
//! ```
//!
//! A ticket is the core's address of a task: a token of 16 octets. Request ids are numbers in this
//! dialect and text in the others.

mod codes;
mod decode;
mod encode;
mod fields;
mod frame;
mod headers;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use majordomus_core::{
    ClientCapabilities, Concurrency, DisconnectReason, Form, FramesView, Outcome, OutcomeSet,
    Redelivery, WorkerCapabilities,
};

pub use headers::{HEADERS_BYTES_MAX, Headers, pack_headers};

use crate::detect::Recognition;
use crate::{Codec, Dialect, Json, Side, Violation};

/// The only supported version.
const VERSION: u8 = 1;

const SIGNATURE: &[u8; 4] = b"OMDP";

// The commands.
const HELLO: u8 = 0x01;
const WELCOME: u8 = 0x02;
const HEARTBEAT: u8 = 0x03;
const GOODBYE: u8 = 0x04;
const DISCONNECT: u8 = 0x05;
const REQUEST: u8 = 0x10;
const MORE: u8 = 0x11;
const CANCEL: u8 = 0x12;
const STILL_WANTED: u8 = 0x13;
const PARTIAL: u8 = 0x20;
const FINAL: u8 = 0x21;
const ERROR: u8 = 0x22;
const NOTICE: u8 = 0x23;
const READY: u8 = 0x30;
const WITHDRAW: u8 = 0x31;
const CAPACITY: u8 = 0x32;
const TASK_PARTIAL: u8 = 0x33;
const TASK_FINAL: u8 = 0x34;
const TASK_ERROR: u8 = 0x35;
const TASK_REJECT: u8 = 0x36;
const TASK_AT_WORK: u8 = 0x37;
const TASK: u8 = 0x40;
const TASK_CANCEL: u8 = 0x41;
const TASK_MORE: u8 = 0x42;
const TASK_WANTED: u8 = 0x43;
const REGISTERED: u8 = 0x44;
const CAPACITY_IS: u8 = 0x45;

// The flags of a request.
const REDELIVER: u8 = 0x01;
const FRESH: u8 = 0x02;
const DURABLE: u8 = 0x04;
const NOTICES: u8 = 0x08;

// The roles, and the authors of an error.
const ROLE_CLIENT: u8 = 1;
const ROLE_WORKER: u8 = 2;
const AUTHOR_BROKER: u8 = 1;
const AUTHOR_WORKER: u8 = 2;

// The notices.
const QUEUED: u8 = 1;
const DISPATCHED: u8 = 2;
const REDELIVERED: u8 = 3;
const AT_WORK: u8 = 4;

/// An unlimited time, count or credit.
const UNLIMITED: u32 = u32::MAX;
/// The timeout is chosen by the broker.
const TIMEOUT_OF_SERVICE: u32 = u32::MAX - 1;

/// The capabilities of clients.
pub(crate) const CLIENT: ClientCapabilities = ClientCapabilities {
    partial_replies: true,
    // Every outcome except success and the outcomes that the client has caused itself.
    told: OutcomeSet::of(&[
        Outcome::Failed,
        Outcome::Expired,
        Outcome::WorkerLost,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::NoSuchService,
        Outcome::NoSuchWorker,
        Outcome::Untranslatable,
        Outcome::ShutDown,
    ]),
    redelivery: Redelivery::WhereAsked,
    afterwords: false,
    greets: true,
    form: Form::Frames,
};

/// The capabilities of workers.
pub(crate) const WORKER: WorkerCapabilities = WorkerCapabilities {
    concurrency: Concurrency::ONE,
    cancel: true,
    // The ticket alone identifies a task.
    request_ids: false,
    rejects: true,
    afterwords: false,
    heartbeats_answered: false,
    ready_again: true,
    several_services: true,
    credit: true,
    greets: true,
    form: Form::Frames,
};

/// A connection's options for this dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The translation of clients' bodies to JSON for a worker that requires it.
    pub(crate) json: Json,
}

/// Returns how well a first message fits this dialect. A peer whose first message is not a valid
/// HELLO is rejected with an answer.
pub(crate) fn recognise(first_message: FramesView<'_>) -> Recognition {
    let Some(&command) = first_message.get(0).and_then(<[u8]>::first) else {
        return Recognition::No;
    };
    if !is_said_by(Side::Client, command) && !is_said_by(Side::Worker, command) {
        return Recognition::No;
    }
    match decode::first_hello(first_message) {
        Ok(side) => Recognition::Certain(Codec::new(Dialect::Omdp1, side)),
        Err(error) => {
            let disconnect_reason = match error.violation() {
                Violation::NoCommonVersion { .. } => DisconnectReason::NoCommonVersion,
                _ => DisconnectReason::Malformed,
            };
            Recognition::Refused(Dialect::Omdp1, error.answered_with(disconnect_reason))
        }
    }
}

/// Returns DISCONNECT for a peer that has no codec yet.
pub(crate) fn answer(disconnect_reason: DisconnectReason, violation: &Violation) -> Bytes {
    encode::answer(disconnect_reason, violation)
}

/// Returns true if peers of this side send this command to the broker.
fn is_said_by(side: Side, command: u8) -> bool {
    let of_its_own = match side {
        Side::Client => REQUEST..=STILL_WANTED,
        Side::Worker => READY..=TASK_AT_WORK,
    };
    matches!(command, HELLO | HEARTBEAT | GOODBYE) || of_its_own.contains(&command)
}

/// Returns true if the broker sends this command to peers of this side.
fn is_said_to(side: Side, command: u8) -> bool {
    let of_its_own = match side {
        Side::Client => PARTIAL..=NOTICE,
        Side::Worker => TASK..=CAPACITY_IS,
    };
    matches!(command, WELCOME | HEARTBEAT | DISCONNECT) || of_its_own.contains(&command)
}
