//! 18/MDP 0.2 as zeromq/majordomo (C) writes it, with the messages that zproto generates.
//!
//! The first frame is packed: a signature, a number for the message, version, command, and a service
//! where there is one. Everything behind it is as in the RFC.
//!
//! ```text
//! client → broker   [1 "MDPC02" 0x01 service] body…               REQUEST
//! broker → client   [2 "MDPC02" 0x02 service] body…               PARTIAL
//!                   [3 "MDPC02" 0x03 service] body…               FINAL
//! worker → broker   [4 "MDPW02" 0x01 service]                     READY
//!                   [6 "MDPW02" 0x03] client "" body…             PARTIAL
//!                   [7 "MDPW02" 0x04] client "" body…             FINAL
//!                   [8 "MDPW02" 0x05], [9 "MDPW02" 0x06]          HEARTBEAT, DISCONNECT
//! broker → worker   [5 "MDPW02" 0x02] client "" body…             REQUEST
//!                   [8 "MDPW02" 0x05], [9 "MDPW02" 0x06]          HEARTBEAT, DISCONNECT
//! ```

use crate::Dialect;
use crate::mdp::{Delimiter, Framing, NoBody, Table};
use crate::mdp02;

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Zproto,
    framing: Framing::Head,
    delimiter: Delimiter::Never,
    no_body: NoBody::Kept,
    client: mdp02::CLIENT,
    worker: mdp02::WORKER,
};

#[cfg(test)]
mod tests {
    use majordomus_core::Outcome;

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, Case, TOKEN, WORKER_DISCONNECT, WORKER_HEARTBEAT,
        Way::*, check, failed, last, partial, ready, request, unsaid, worker_failed, worker_last,
        worker_partial, worker_request,
    };
    use crate::{Codec, Errors, Side};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Zproto, side)
    }

    #[test]
    fn golden() {
        let cases: &[Case<'_, [u8]>] = &[
            (Both, request(&["a", "b"]), &[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo", b"a", b"b"]),
            (Both, request(&[]), &[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo"]),
            (Both, partial("echo", &["a"]), &[b"\xaa\xa4\x02\x06MDPC02\x02\x04echo", b"a"]),
            (Both, partial("echo", &[]), &[b"\xaa\xa4\x02\x06MDPC02\x02\x04echo"]),
            (Both, last("echo", &["", "b"]), &[b"\xaa\xa4\x03\x06MDPC02\x03\x04echo", b"", b"b"]),
            (Both, last("echo", &[]), &[b"\xaa\xa4\x03\x06MDPC02\x03\x04echo"]),
            (Both, ready(), &[b"\xaa\xa4\x04\x06MDPW02\x01\x04echo"]),
            (Both, worker_partial(&["a"]), &[b"\xaa\xa4\x06\x06MDPW02\x03", b"17", b"", b"a"]),
            (Both, worker_last(&["a"]), &[b"\xaa\xa4\x07\x06MDPW02\x04", b"17", b"", b"a"]),
            (Both, worker_last(&[]), &[b"\xaa\xa4\x07\x06MDPW02\x04", b"17", b""]),
            (
                Encode,
                worker_failed(&["no"]),
                &[b"\xaa\xa4\x07\x06MDPW02\x04", b"17", b"", b"-1 no"],
            ),
            (Both, WORKER_HEARTBEAT, &[b"\xaa\xa4\x08\x06MDPW02\x05"]),
            (Both, WORKER_DISCONNECT, &[b"\xaa\xa4\x09\x06MDPW02\x06"]),
            (
                Both,
                worker_request(&["a"]),
                &[b"\xaa\xa4\x05\x06MDPW02\x02", TOKEN.as_bytes(), b"", b"a"],
            ),
            (Both, worker_request(&[]), &[b"\xaa\xa4\x05\x06MDPW02\x02", TOKEN.as_bytes(), b""]),
            (Both, BROKER_HEARTBEAT, &[b"\xaa\xa4\x08\x06MDPW02\x05"]),
            (Both, BROKER_DISCONNECT, &[b"\xaa\xa4\x09\x06MDPW02\x06"]),
        ];
        check(codec, cases);
        check(codec, &unsaid());
    }

    #[test]
    fn errors_as_final_replies() {
        let cases: &[Case<'_, [u8]>] = &[(
            Both,
            failed(Outcome::Failed, "echo", &["no paper"]),
            &[b"\xaa\xa4\x03\x06MDPC02\x03\x04echo", b"-1 no paper"],
        )];
        check(|side| codec(side).with_errors(Errors::Final), cases);
    }
}
