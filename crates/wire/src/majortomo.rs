//! The dialect of majortomo (PyPI), a variant of 18/MDP 0.2.
//!
//! ```text
//! client → broker   "" "MDPC02" 0x02 service body…                REQUEST, at least one body frame
//! broker → client   "" "MDPC02" 0x03 body…                        PARTIAL
//!                   "" "MDPC02" 0x04 body…                        FINAL
//! worker            as in 18/MDP, behind ""
//! ```
//!
//! It differs from the RFC in three ways: every message begins with an empty frame; the client's
//! commands have the numbers of the worker's; a reply does not name its service. Its client and
//! worker require at least one body frame, so an empty body is written as one empty frame.

use crate::Dialect;
use crate::mdp::{ClientTable, Delimiter, Framing, NoBody, ReplyCommands, Table};
use crate::mdp02;

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Majortomo,
    framing: Framing::Frames,
    delimiter: Delimiter::Required,
    no_body: NoBody::Refused,
    client: ClientTable {
        header: b"MDPC02",
        request: Some(0x02),
        replies: Some(ReplyCommands { partial: 0x03, last: 0x04, nak: None }),
        service_in_reply: false,
    },
    worker: mdp02::WORKER,
};

#[cfg(test)]
mod tests {
    use majordomus_core::Outcome;

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, TOKEN, WORKER_DISCONNECT, WORKER_HEARTBEAT, Way::*,
        check, failed, last, partial, ready, request, unsaid, worker_failed, worker_last,
        worker_partial, worker_request,
    };
    use crate::{Codec, Errors, Side};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Majortomo, side)
    }

    #[test]
    fn golden() {
        check(
            codec,
            &[
                (Both, request(&["a", "b"]), &["", "MDPC02", "\x02", "echo", "a", "b"]),
                (Both, request(&[""]), &["", "MDPC02", "\x02", "echo", ""]),
                (Encode, request(&[]), &["", "MDPC02", "\x02", "echo", ""]),
                (Both, partial("", &["a", "b"]), &["", "MDPC02", "\x03", "a", "b"]),
                (Encode, partial("echo", &["a"]), &["", "MDPC02", "\x03", "a"]),
                (Encode, partial("echo", &[]), &["", "MDPC02", "\x03", ""]),
                (Both, last("", &["a", "b"]), &["", "MDPC02", "\x04", "a", "b"]),
                (Encode, last("echo", &["a"]), &["", "MDPC02", "\x04", "a"]),
                (Encode, last("echo", &[]), &["", "MDPC02", "\x04", ""]),
                (Decode, last("", &[]), &["", "MDPC02", "\x04"]),
                (Both, ready(), &["", "MDPW02", "\x01", "echo"]),
                (Both, worker_partial(&["a"]), &["", "MDPW02", "\x03", "17", "", "a"]),
                (Both, worker_last(&["a", ""]), &["", "MDPW02", "\x04", "17", "", "a", ""]),
                (Encode, worker_last(&[]), &["", "MDPW02", "\x04", "17", "", ""]),
                (Decode, worker_last(&[]), &["", "MDPW02", "\x04", "17", ""]),
                (Encode, worker_failed(&["no"]), &["", "MDPW02", "\x04", "17", "", "-1 no"]),
                (Both, WORKER_HEARTBEAT, &["", "MDPW02", "\x05"]),
                (Both, WORKER_DISCONNECT, &["", "MDPW02", "\x06"]),
                (Both, worker_request(&["a", "b"]), &["", "MDPW02", "\x02", TOKEN, "", "a", "b"]),
                (Encode, worker_request(&[]), &["", "MDPW02", "\x02", TOKEN, "", ""]),
                (Decode, worker_request(&[]), &["", "MDPW02", "\x02", TOKEN, ""]),
                (Both, BROKER_HEARTBEAT, &["", "MDPW02", "\x05"]),
                (Both, BROKER_DISCONNECT, &["", "MDPW02", "\x06"]),
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
                    failed(Outcome::Failed, "", &["no paper"]),
                    &["", "MDPC02", "\x04", "-1 no paper"],
                ),
                (
                    Encode,
                    failed(Outcome::Rejected, "echo", &[]),
                    &["", "MDPC02", "\x04", "-1 B_REJECTED"],
                ),
            ],
        );
    }
}
