//! The dialect 7/MDP 0.1: the ZeroMQ Guide's examples in twelve languages, and generaldomo.
//!
//! ```text
//! client → broker   "" "MDPC01" service body…                     REQUEST
//! broker → client   "" "MDPC01" service body…                     REPLY
//! worker → broker   "" "MDPW01" 0x01 service                      READY
//!                   "" "MDPW01" 0x03 client "" body…              REPLY
//!                   "" "MDPW01" 0x04                              HEARTBEAT
//!                   "" "MDPW01" 0x05                              DISCONNECT
//! broker → worker   "" "MDPW01" 0x02 client "" body…              REQUEST
//!                   "" "MDPW01" 0x04 | 0x05                       HEARTBEAT, DISCONNECT
//! ```
//!
//! The leading empty frame is Frame 0 of the specification and is required. Clients' messages have
//! no command frame, and there are no partial replies.

use crate::Dialect;
use crate::mdp::{ClientTable, Delimiter, Framing, NoBody, Table, WorkerTable};

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Mdp01,
    framing: Framing::Frames,
    delimiter: Delimiter::Required,
    no_body: NoBody::Kept,
    client: CLIENT,
    worker: WORKER,
};

/// The client's side, shared with gdp.
pub(crate) const CLIENT: ClientTable =
    ClientTable { header: b"MDPC01", request: None, replies: None, service_in_reply: true };

/// The worker's side, shared with gdp.
pub(crate) const WORKER: WorkerTable = WorkerTable {
    header: b"MDPW01",
    ready: 0x01,
    request: 0x02,
    partial: None,
    last: 0x03,
    heartbeat: 0x04,
    disconnect: 0x05,
};

#[cfg(test)]
mod tests {
    use majordomus_core::{Frames, FromWorker, Outcome, WorkerReply};

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, TOKEN, WORKER_DISCONNECT, WORKER_HEARTBEAT, Way::*,
        check, failed, last, partial, ready, request, unsaid, worker_failed, worker_last,
        worker_request,
    };
    use crate::{Codec, Errors, Side, UnsupportedOption};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Mdp01, side)
    }

    #[test]
    fn golden() {
        check(
            codec,
            &[
                (Both, request(&["a", "b"]), &["", "MDPC01", "echo", "a", "b"]),
                (Both, request(&[""]), &["", "MDPC01", "echo", ""]),
                (Both, request(&[]), &["", "MDPC01", "echo"]),
                (Both, last("echo", &["a", "b"]), &["", "MDPC01", "echo", "a", "b"]),
                (Both, last("echo", &[]), &["", "MDPC01", "echo"]),
                (Both, last("echo", &["-1 no"]), &["", "MDPC01", "echo", "-1 no"]),
                (Both, ready(), &["", "MDPW01", "\x01", "echo"]),
                (Both, worker_last(&["a", "b"]), &["", "MDPW01", "\x03", "17", "", "a", "b"]),
                (Both, worker_last(&[]), &["", "MDPW01", "\x03", "17", ""]),
                (Encode, worker_failed(&["no"]), &["", "MDPW01", "\x03", "17", "", "-1 no"]),
                (Both, WORKER_HEARTBEAT, &["", "MDPW01", "\x04"]),
                (Both, WORKER_DISCONNECT, &["", "MDPW01", "\x05"]),
                (Both, worker_request(&["a", "b"]), &["", "MDPW01", "\x02", TOKEN, "", "a", "b"]),
                (Both, worker_request(&["", "b"]), &["", "MDPW01", "\x02", TOKEN, "", "", "b"]),
                (Both, worker_request(&[]), &["", "MDPW01", "\x02", TOKEN, ""]),
                (Both, BROKER_HEARTBEAT, &["", "MDPW01", "\x04"]),
                (Both, BROKER_DISCONNECT, &["", "MDPW01", "\x05"]),
                // The core collects the parts for a client that accepts no partial replies.
                (Encode, partial("echo", &["a"]), &[]),
            ],
        );
        check(codec, &unsaid());
    }

    #[test]
    fn errors_as_final_replies() {
        check(
            |side| codec(side).with_errors(Errors::Final),
            &[
                (
                    Both,
                    failed(Outcome::Failed, "echo", &["no paper"]),
                    &["", "MDPC01", "echo", "-1 no paper"],
                ),
                (
                    Encode,
                    failed(Outcome::NoSuchService, "echo", &[]),
                    &["", "MDPC01", "echo", "-1 B_NO_SERVICE"],
                ),
                (Both, last("echo", &["-1"]), &["", "MDPC01", "echo", "-1"]),
                (Both, last("echo", &["-1 a", "b"]), &["", "MDPC01", "echo", "-1 a", "b"]),
            ],
        );
    }

    #[test]
    fn a_partial_reply_cannot_be_written() {
        let reply = WorkerReply::new("17", Frames::empty());
        let mut written = alloc::vec::Vec::new();
        let refused =
            codec(Side::Worker).encode_from_worker(&FromWorker::Partial(reply), &mut written);
        assert_eq!(refused, Err(UnsupportedOption { dialect: Dialect::Mdp01 }));
        assert!(written.is_empty());
    }
}
