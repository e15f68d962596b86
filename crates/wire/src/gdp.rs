//! The dialect GDP: generaldomo over CLIENT and SERVER sockets, whose messages have one frame.
//!
//! A message consists of the frames of 7/MDP, starting with the header, packed as parts with a
//! length before each.
//!
//! ```text
//! client → broker   ["MDPC01" service body…]                      REQUEST
//! broker → client   ["MDPC01" service body…]                      REPLY
//! worker → broker   ["MDPW01" 0x01 service]                       READY
//!                   ["MDPW01" 0x03 client "" body…]               REPLY
//!                   ["MDPW01" 0x04]                               HEARTBEAT
//!                   ["MDPW01" 0x05]                               DISCONNECT
//! broker → worker   ["MDPW01" 0x02 client "" body…]               REQUEST
//!                   ["MDPW01" 0x04 | 0x05]                        HEARTBEAT, DISCONNECT
//! ```
//!
//! The lengths are encoded like those of `zmsg_encode` in CZMQ and `multipart_t::encode` in cppzmq.
//! The readme of generaldomo describes 32-bit lengths only, unlike its code.

use crate::Dialect;
use crate::mdp::{Delimiter, Framing, NoBody, Table};
use crate::mdp01;

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Gdp,
    framing: Framing::Parts,
    delimiter: Delimiter::Never,
    no_body: NoBody::Kept,
    client: mdp01::CLIENT,
    worker: mdp01::WORKER,
};

#[cfg(test)]
mod tests {
    use majordomus_core::{Form, Frames, FromWorker, Outcome, Reply, ToClient, WorkerReply};

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, Command, WORKER_DISCONNECT, WORKER_HEARTBEAT, Way::*,
        check, failed, last, partial, ready, request, unsaid, worker_failed, worker_last,
        worker_request,
    };
    use crate::{Codec, Errors, Side, UnsupportedOption};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Gdp, side)
    }

    #[test]
    fn golden() {
        let long = "x".repeat(300);
        let packed = ["\x06MDPC01\x04echo\u{1}a".as_bytes(), b"\xff\0\0\x01\x2c", long.as_bytes()];
        check(codec, &[(Both, request(&["a", &long]), &[&packed.concat()[..]])]);
        check(
            codec,
            &[
                (Both, request(&["a", "b"]), &["\x06MDPC01\x04echo\x01a\x01b"]),
                (Both, request(&[""]), &["\x06MDPC01\x04echo\0"]),
                (Both, request(&[]), &["\x06MDPC01\x04echo"]),
                (Both, last("echo", &["a", "b"]), &["\x06MDPC01\x04echo\x01a\x01b"]),
                (Both, last("echo", &[]), &["\x06MDPC01\x04echo"]),
                (Both, last("echo", &["-1 no"]), &["\x06MDPC01\x04echo\x05-1 no"]),
                (Both, ready(), &["\x06MDPW01\x01\x01\x04echo"]),
                (Both, worker_last(&["a", "b"]), &["\x06MDPW01\x01\x03\x0217\0\x01a\x01b"]),
                (Both, worker_last(&[]), &["\x06MDPW01\x01\x03\x0217\0"]),
                (Encode, worker_failed(&["no"]), &["\x06MDPW01\x01\x03\x0217\0\x05-1 no"]),
                (Both, WORKER_HEARTBEAT, &["\x06MDPW01\x01\x04"]),
                (Both, WORKER_DISCONNECT, &["\x06MDPW01\x01\x05"]),
                (
                    Both,
                    worker_request(&["", "b"]),
                    &["\x06MDPW01\x01\x02\x20dadbdcdddedfdgdhdidjgbgcgdgegfgg\0\0\x01b"],
                ),
                (
                    Both,
                    worker_request(&[]),
                    &["\x06MDPW01\x01\x02\x20dadbdcdddedfdgdhdidjgbgcgdgegfgg\0"],
                ),
                (Both, BROKER_HEARTBEAT, &["\x06MDPW01\x01\x04"]),
                (Both, BROKER_DISCONNECT, &["\x06MDPW01\x01\x05"]),
                // The core collects the parts for a client that accepts no partial replies.
                (Encode, partial("echo", &["a"]), &[]),
            ],
        );
        check(codec, &unsaid());
    }

    #[test]
    fn json_becomes_parts() {
        let body = Frames::from_slices(&["[\"a\",\"b\"]"]).in_form(Form::Json, 0);
        let reply = Command::ToClient(ToClient::Final(Reply::new("echo", body)));
        check(codec, &[(Encode, reply, &["\x06MDPC01\x04echo\x01a\x01b"])]);
    }

    #[test]
    fn errors_as_final_replies() {
        check(
            |side| codec(side).with_errors(Errors::Final),
            &[
                (
                    Both,
                    failed(Outcome::Failed, "echo", &["no paper"]),
                    &["\x06MDPC01\x04echo\x0b-1 no paper"],
                ),
                (
                    Encode,
                    failed(Outcome::NoSuchService, "echo", &[]),
                    &["\x06MDPC01\x04echo\x0f-1 B_NO_SERVICE"],
                ),
            ],
        );
    }

    #[test]
    fn a_partial_reply_cannot_be_written() {
        let reply = WorkerReply::new("17", Frames::empty());
        let mut written = alloc::vec::Vec::new();
        let refused =
            codec(Side::Worker).encode_from_worker(&FromWorker::Partial(reply), &mut written);
        assert_eq!(refused, Err(UnsupportedOption { dialect: Dialect::Gdp }));
        assert!(written.is_empty());
    }
}
