//! The dialect 18/MDP 0.2, as specified by its RFC.
//!
//! ```text
//! client → broker   "MDPC02" 0x01 service body…                   REQUEST
//! broker → client   "MDPC02" 0x02 service body…                   PARTIAL
//!                   "MDPC02" 0x03 service body…                   FINAL
//! worker → broker   "MDPW02" 0x01 service                         READY
//!                   "MDPW02" 0x03 client "" body…                 PARTIAL
//!                   "MDPW02" 0x04 client "" body…                 FINAL
//!                   "MDPW02" 0x05 | 0x06                          HEARTBEAT, DISCONNECT
//! broker → worker   "MDPW02" 0x02 client "" body…                 REQUEST
//!                   "MDPW02" 0x05 | 0x06                          HEARTBEAT, DISCONNECT
//! ```
//!
//! Some implementations send an empty frame before the header. They get one in return, and must
//! keep sending it.

use crate::Dialect;
use crate::mdp::{ClientTable, Delimiter, Framing, NoBody, ReplyCommands, Table, WorkerTable};

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Mdp02,
    framing: Framing::Frames,
    delimiter: Delimiter::Optional,
    no_body: NoBody::Kept,
    client: CLIENT,
    worker: WORKER,
};

/// The client's side, shared with zproto.
pub(crate) const CLIENT: ClientTable = ClientTable {
    header: b"MDPC02",
    request: Some(0x01),
    replies: Some(ReplyCommands { partial: 0x02, last: 0x03, nak: None }),
    service_in_reply: true,
};

/// The worker's side, shared with majortomo and zproto.
pub(crate) const WORKER: WorkerTable = WorkerTable {
    header: b"MDPW02",
    ready: 0x01,
    request: 0x02,
    partial: Some(0x03),
    last: 0x04,
    heartbeat: 0x05,
    disconnect: 0x06,
};

#[cfg(test)]
mod tests {
    use majordomus_core::{
        Concurrency, Form, Frames, FromClientView, FromWorker, Outcome, Reply, Status, ToClient,
        ToWorker, WorkerReply, WorkerRequest,
    };

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, Command, TOKEN, WORKER_DISCONNECT, WORKER_HEARTBEAT,
        Way::*, check, failed, last, partial, ready, request, unsaid, worker_failed, worker_last,
        worker_partial, worker_rejected, worker_request,
    };
    use crate::{Codec, Errors, Json, Scratch, Side, hint};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Mdp02, side)
    }

    #[test]
    fn golden() {
        check(
            codec,
            &[
                (Both, request(&["a", "b"]), &["MDPC02", "\x01", "echo", "a", "b"]),
                (Both, request(&[]), &["MDPC02", "\x01", "echo"]),
                (Both, partial("echo", &["a", ""]), &["MDPC02", "\x02", "echo", "a", ""]),
                (Both, partial("echo", &[]), &["MDPC02", "\x02", "echo"]),
                (Both, last("echo", &["a", "b"]), &["MDPC02", "\x03", "echo", "a", "b"]),
                (Both, last("echo", &[]), &["MDPC02", "\x03", "echo"]),
                (Both, last("echo", &["-1 no"]), &["MDPC02", "\x03", "echo", "-1 no"]),
                (Both, ready(), &["MDPW02", "\x01", "echo"]),
                (Both, worker_partial(&["a"]), &["MDPW02", "\x03", "17", "", "a"]),
                (Both, worker_partial(&[]), &["MDPW02", "\x03", "17", ""]),
                (Both, worker_last(&["", "b"]), &["MDPW02", "\x04", "17", "", "", "b"]),
                (Both, worker_last(&[]), &["MDPW02", "\x04", "17", ""]),
                (Encode, worker_failed(&["no"]), &["MDPW02", "\x04", "17", "", "-1 no"]),
                (Encode, worker_failed(&[]), &["MDPW02", "\x04", "17", "", "-1 B_FAILED"]),
                (Both, WORKER_HEARTBEAT, &["MDPW02", "\x05"]),
                (Both, WORKER_DISCONNECT, &["MDPW02", "\x06"]),
                (Both, worker_request(&["a", "b"]), &["MDPW02", "\x02", TOKEN, "", "a", "b"]),
                (Both, worker_request(&[]), &["MDPW02", "\x02", TOKEN, ""]),
                (Both, BROKER_HEARTBEAT, &["MDPW02", "\x05"]),
                (Both, BROKER_DISCONNECT, &["MDPW02", "\x06"]),
            ],
        );
        check(codec, &unsaid());
    }

    #[test]
    fn with_a_leading_empty_frame() {
        check(
            |side| Codec::with_delimiter(Dialect::Mdp02, side, true),
            &[
                (Both, request(&["a"]), &["", "MDPC02", "\x01", "echo", "a"]),
                (Both, request(&[]), &["", "MDPC02", "\x01", "echo"]),
                (Both, partial("echo", &["a"]), &["", "MDPC02", "\x02", "echo", "a"]),
                (Both, last("echo", &["a"]), &["", "MDPC02", "\x03", "echo", "a"]),
                (Both, last("echo", &[]), &["", "MDPC02", "\x03", "echo"]),
                (Both, ready(), &["", "MDPW02", "\x01", "echo"]),
                (Both, worker_partial(&["a"]), &["", "MDPW02", "\x03", "17", "", "a"]),
                (Both, worker_last(&[]), &["", "MDPW02", "\x04", "17", ""]),
                (Both, WORKER_HEARTBEAT, &["", "MDPW02", "\x05"]),
                (Both, WORKER_DISCONNECT, &["", "MDPW02", "\x06"]),
                (Both, worker_request(&["a"]), &["", "MDPW02", "\x02", TOKEN, "", "a"]),
                // majortomo's worker on a pinned listener.
                (Encode, worker_request(&[]), &["", "MDPW02", "\x02", TOKEN, "", ""]),
                (Decode, worker_request(&[]), &["", "MDPW02", "\x02", TOKEN, ""]),
                (Both, BROKER_HEARTBEAT, &["", "MDPW02", "\x05"]),
                (Both, BROKER_DISCONNECT, &["", "MDPW02", "\x06"]),
            ],
        );
    }

    #[test]
    fn what_it_has_no_word_for() {
        let busy = Command::FromWorker(FromWorker::Heartbeat(Status {
            concurrency: Some(Concurrency::Unlimited),
            publish: true,
        }));
        check(
            codec,
            &[
                (Encode, busy, &["MDPW02", "\x05"]),
                (Encode, worker_rejected(&["no"]), &["MDPW02", "\x04", "17", "", "-1 no"]),
                (Encode, worker_rejected(&[]), &["MDPW02", "\x04", "17", "", "-1 B_FAILED"]),
            ],
        );
    }

    /// Bodies from peers whose body format is JSON.
    #[test]
    fn json_becomes_frames() {
        let json = |texts: &[&str]| Frames::from_slices(texts).in_form(Form::Json, 0);
        let reply = |texts| Reply::new("echo", json(texts));
        let request = |texts| ToWorker::Request(WorkerRequest::new(TOKEN, "echo", json(texts)));
        check(
            |side| codec(side).with_errors(Errors::Final),
            &[
                (
                    Encode,
                    Command::ToClient(ToClient::Final(reply(&["\"a\""]))),
                    &["MDPC02", "\x03", "echo", "a"],
                ),
                (
                    Encode,
                    Command::ToClient(ToClient::Partial(reply(&["{\"a\":1}"]))),
                    &["MDPC02", "\x02", "echo", "{\"a\":1}"],
                ),
                (
                    Encode,
                    Command::ToClient(ToClient::Failed(Outcome::Failed, reply(&["\"no\""]))),
                    &["MDPC02", "\x03", "echo", "-1 no"],
                ),
                (
                    Encode,
                    Command::ToWorker(request(&["[1]"])),
                    &["MDPW02", "\x02", TOKEN, "", "[1]"],
                ),
                (Encode, Command::ToWorker(request(&[])), &["MDPW02", "\x02", TOKEN, ""]),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Final(WorkerReply::new(
                        "17",
                        json(&["\"a\""]),
                    ))),
                    &["MDPW02", "\x04", "17", "", "a"],
                ),
            ],
        );
    }

    #[test]
    fn body_of_a_request_has_the_hint_of_its_listener() {
        let message = Frames::from_slices(&["MDPC02", "\x01", "echo", "a"]);
        let hints = Json::ALL.map(|json| {
            let scratch = &mut Scratch::default();
            let read =
                codec(Side::Client).with_json(json).decode_from_client(message.view(), scratch);
            let Ok(FromClientView::Request(request)) = read else { panic!("it is a request") };
            hint::rule(request.body.note())
        });
        assert_eq!(hints, Json::ALL);
    }

    #[test]
    fn errors_as_final_replies() {
        check(
            |side| codec(side).with_errors(Errors::Final),
            &[
                (
                    Both,
                    failed(Outcome::Failed, "echo", &["no paper"]),
                    &["MDPC02", "\x03", "echo", "-1 no paper"],
                ),
                (
                    Encode,
                    failed(Outcome::WorkerLost, "echo", &[]),
                    &["MDPC02", "\x03", "echo", "-1 B_WORKER_LOST"],
                ),
                (
                    Encode,
                    failed(Outcome::Rejected, "echo", &["too hot"]),
                    &["MDPC02", "\x03", "echo", "-1 too hot"],
                ),
                (
                    Encode,
                    failed(Outcome::NoSuchWorker, "echo", &[]),
                    &["MDPC02", "\x03", "echo", "-1 B_NO_WORKER"],
                ),
                (
                    Encode,
                    failed(Outcome::Untranslatable, "echo", &[]),
                    &["MDPC02", "\x03", "echo", "-1 B_TRANSLATE"],
                ),
                // These outcomes are not reported to a client of this dialect.
                (Encode, failed(Outcome::Expired, "echo", &[]), &[]),
                (Encode, failed(Outcome::Refused, "echo", &[]), &[]),
                (Encode, failed(Outcome::ShutDown, "echo", &[]), &[]),
                (Encode, failed(Outcome::Cancelled, "echo", &[]), &[]),
                (Encode, failed(Outcome::ClientGone, "echo", &[]), &[]),
                // A partial reply is never an error, whatever its text.
                (Both, partial("echo", &["-1 no"]), &["MDPC02", "\x02", "echo", "-1 no"]),
            ],
        );
    }
}
