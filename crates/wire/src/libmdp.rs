//! The dialect of libmdp of zeromq/majordomo (C) and its bindings. The library claims 18/MDP 0.2;
//! its headers have version 0.X.
//!
//! ```text
//! client → broker   "" "MDPC0X" service body…                     REQUEST
//! broker → client   "" "MDPC0X" 0x02 service body…                REPORT
//!                   "" "MDPC0X" 0x03 service body…                NAK
//! worker → broker   "" "MDPW0X" 0x01 service                      READY
//!                   "" "MDPW0X" 0x03 client "" body…              REPORT
//!                   "" "MDPW0X" 0x04 | 0x05                       HEARTBEAT, DISCONNECT
//! broker → worker   "" "MDPW0X" 0x02 client "" body…              REQUEST
//!                   "" "MDPW0X" 0x04 | 0x05                       HEARTBEAT, DISCONNECT
//! ```
//!
//! A request can have any number of reports, and none is marked as the last. A worker's first
//! report completes its request; further reports reach only libmdp's own clients. The client
//! crashes on a reply without a body frame, so an empty body is written as one empty frame.

use majordomus_core::{Outcome, OutcomeSet};

use crate::Dialect;
use crate::mdp::{ClientTable, Delimiter, Framing, Nak, NoBody, ReplyCommands, Table, WorkerTable};

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Libmdp,
    framing: Framing::Frames,
    delimiter: Delimiter::Required,
    no_body: NoBody::Filled,
    client: ClientTable {
        header: b"MDPC0X",
        request: None,
        replies: Some(ReplyCommands {
            partial: REPORT,
            last: REPORT,
            nak: Some(Nak {
                command: 0x03,
                outcomes: OutcomeSet::of(&[
                    Outcome::NoSuchService,
                    Outcome::WorkerLost,
                    Outcome::Rejected,
                    Outcome::Untranslatable,
                    Outcome::ShutDown,
                ]),
                and_errors: OutcomeSet::of(&[
                    Outcome::NoSuchService,
                    Outcome::WorkerLost,
                    Outcome::Rejected,
                    Outcome::Untranslatable,
                    Outcome::ShutDown,
                    Outcome::Failed,
                    Outcome::NoSuchWorker,
                ]),
            }),
        }),
        service_in_reply: true,
    },
    worker: WorkerTable {
        header: b"MDPW0X",
        ready: 0x01,
        request: 0x02,
        partial: None,
        last: 0x03,
        heartbeat: 0x04,
        disconnect: 0x05,
    },
};

/// The command of a report to a client.
const REPORT: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, TOKEN, WORKER_DISCONNECT, WORKER_HEARTBEAT, Way::*,
        check, failed, last, partial, ready, request, worker_failed, worker_last, worker_request,
    };
    use crate::{Codec, Errors, Side};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Libmdp, side)
    }

    #[test]
    fn golden() {
        check(
            codec,
            &[
                (Both, request(&["a", "b"]), &["", "MDPC0X", "echo", "a", "b"]),
                (Encode, request(&[]), &["", "MDPC0X", "echo", ""]),
                (Decode, request(&[]), &["", "MDPC0X", "echo"]),
                // No report is marked as the last.
                (Both, partial("echo", &["a"]), &["", "MDPC0X", "\x02", "echo", "a"]),
                (Encode, partial("echo", &[]), &["", "MDPC0X", "\x02", "echo", ""]),
                (Encode, last("echo", &["a", "b"]), &["", "MDPC0X", "\x02", "echo", "a", "b"]),
                (Encode, last("echo", &[]), &["", "MDPC0X", "\x02", "echo", ""]),
                (Both, partial("echo", &["-1 no"]), &["", "MDPC0X", "\x02", "echo", "-1 no"]),
                (Both, ready(), &["", "MDPW0X", "\x01", "echo"]),
                (Both, worker_last(&["a", ""]), &["", "MDPW0X", "\x03", "17", "", "a", ""]),
                (Encode, worker_last(&[]), &["", "MDPW0X", "\x03", "17", "", ""]),
                (Decode, worker_last(&[]), &["", "MDPW0X", "\x03", "17", ""]),
                (Encode, worker_failed(&["no"]), &["", "MDPW0X", "\x03", "17", "", "-1 no"]),
                (Both, WORKER_HEARTBEAT, &["", "MDPW0X", "\x04"]),
                (Both, WORKER_DISCONNECT, &["", "MDPW0X", "\x05"]),
                (Both, worker_request(&["a", "b"]), &["", "MDPW0X", "\x02", TOKEN, "", "a", "b"]),
                (Encode, worker_request(&[]), &["", "MDPW0X", "\x02", TOKEN, "", ""]),
                (Decode, worker_request(&[]), &["", "MDPW0X", "\x02", TOKEN, ""]),
                (Both, BROKER_HEARTBEAT, &["", "MDPW0X", "\x04"]),
                (Both, BROKER_DISCONNECT, &["", "MDPW0X", "\x05"]),
            ],
        );
    }

    #[test]
    fn ends_that_it_has_a_word_for() {
        for errors in [Errors::Silent, Errors::Final] {
            let nak = |text| ["", "MDPC0X", "\x03", "echo", text];
            check(
                |side| codec(side).with_errors(errors),
                &[
                    (Encode, failed(Outcome::NoSuchService, "echo", &[]), &nak("B_NO_SERVICE")),
                    (Encode, failed(Outcome::WorkerLost, "echo", &[]), &nak("B_WORKER_LOST")),
                    (Encode, failed(Outcome::Rejected, "echo", &["too hot"]), &nak("too hot")),
                    (Encode, failed(Outcome::Untranslatable, "echo", &[]), &nak("B_TRANSLATE")),
                    (Encode, failed(Outcome::ShutDown, "echo", &[]), &nak("B_SHUTDOWN")),
                    (Decode, failed(Outcome::Failed, "echo", &["too hot"]), &nak("too hot")),
                    (Encode, failed(Outcome::Expired, "echo", &[]), &[]),
                    (Encode, failed(Outcome::Refused, "echo", &[]), &[]),
                    (Encode, failed(Outcome::Cancelled, "echo", &[]), &[]),
                    (Encode, failed(Outcome::ClientGone, "echo", &[]), &[]),
                ],
            );
        }
        check(codec, &[(Encode, failed(Outcome::Failed, "echo", &["no"]), &[] as &[&str])]);
    }

    #[test]
    fn errors_as_reports() {
        check(
            |side| codec(side).with_errors(Errors::Final),
            &[(
                Both,
                failed(Outcome::Failed, "echo", &["no paper"]),
                &["", "MDPC0X", "\x02", "echo", "-1 no paper"],
            )],
        );
    }
}
