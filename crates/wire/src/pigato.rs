//! The dialect of PIGATO (npm), pigato-ruby and pigato-go.
//!
//! ```text
//! client → broker   "C" "2" service rid data options              REQUEST
//!                   "C" "4"                                       HEARTBEAT
//!                   "C" "4" "request" rid                         I still want this request
//!                   "C" "4" "worker" worker-id                    this worker is alive
//! broker → client   "C" "3" "" rid status data options            FINAL
//!                   "C" "6" "" rid status data options            PARTIAL
//!                   "C" "4"                                       HEARTBEAT
//! worker → broker   "W" "1" service                               READY
//!                   "W" "3" client "" rid status data options     FINAL
//!                   "W" "6" client "" rid status data options     PARTIAL
//!                   "W" "7" client "" rid status error options    REJECT: give it to another
//!                   "W" "4" "" options                            HEARTBEAT
//!                   "W" "5"                                       DISCONNECT
//! broker → worker   "W" "1"                                       you are registered
//!                   "W" "2" client service "" rid data options    REQUEST
//!                   "W" "4"                                       HEARTBEAT
//!                   "W" "4" client "" rid                         the client still wants this
//!                   "W" "5"                                       DISCONNECT
//! ```
//!
//! Commands are digits; data and options are JSON. The status is `0`, or `-1` if the data is an
//! error. Trailing data and options may be missing (pigato-ruby writes no options), and either may
//! be the bare word `undefined`, which JavaScript writes for no value. As the data of a reply,
//! `undefined` crashes PIGATO's clients, so they get `null` instead. A partial reply of `null` ends
//! their stream, so they get `""` instead.

use majordomus_core::{
    ClientCapabilities, Concurrency, Form, Outcome, OutcomeSet, Redelivery, WorkerCapabilities,
};

use crate::Dialect;
use crate::json::{ErrorPlace, Heartbeats, Ids, Table};

/// The concurrency of a worker that has declared none.
const CONCURRENCY_DEFAULT: Concurrency = Concurrency::AtMost(100);

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Pigato,
    separator: true,
    service_in_request: true,
    options: true,
    error: ErrorPlace::Data,
    heartbeats: Heartbeats::Named,
    ids: Ids::Uuid,
    answers: true,
    client: ClientCapabilities {
        afterwords: false,
        greets: false,
        partial_replies: true,
        // Without `Expired`: a reply to an expired request crashes the client, which has forgotten
        // it.
        told: OutcomeSet::of(&[
            Outcome::Failed,
            Outcome::NoSuchService,
            Outcome::NoSuchWorker,
            Outcome::WorkerLost,
            Outcome::Rejected,
            Outcome::Refused,
            Outcome::Untranslatable,
            Outcome::ShutDown,
        ]),
        redelivery: Redelivery::WhereAsked,
        form: Form::Json,
    },
    worker: WorkerCapabilities {
        afterwords: false,
        several_services: false,
        credit: false,
        greets: false,
        concurrency: CONCURRENCY_DEFAULT,
        cancel: false,
        request_ids: true,
        rejects: true,
        heartbeats_answered: true,
        ready_again: true,
        form: Form::Json,
    },
};

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bytes::Bytes;
    use majordomus_core::{
        Frames, FromClient, FromClientView, FromWorker, Reply, Request, Status, Timeout, ToClient,
        ToWorker, WorkerReply, WorkerRequest,
    };

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, Command, REGISTERED, TOKEN, WORKER_DISCONNECT,
        WORKER_HEARTBEAT, Way::*, check, ready, unsaid_but_in_omdp1,
    };
    use crate::{Codec, Json, Scratch, Side, hint};

    const MINUTE: Timeout = Timeout::After(Duration::from_secs(60));

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Pigato, side)
    }

    fn json(texts: &[&str]) -> Frames {
        Frames::from_slices(texts).in_form(Form::Json, 0)
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn asked(data: &[&str], options: &'static str) -> Request {
        let (id, options) = ("r1".into(), bytes(options));
        Request { id, options, timeout: MINUTE, ..Request::new("echo", json(data)) }
    }

    fn request(request: Request) -> Command {
        Command::FromClient(FromClient::Request(request))
    }

    fn reply(data: &[&str], options: &'static str) -> Reply {
        Reply { id: "r1".into(), options: bytes(options), ..Reply::new("", json(data)) }
    }

    fn last(data: &[&str], options: &'static str) -> Command {
        Command::ToClient(ToClient::Final(reply(data, options)))
    }

    fn partial(data: &[&str], options: &'static str) -> Command {
        Command::ToClient(ToClient::Partial(reply(data, options)))
    }

    fn failed(outcome: Outcome, data: &[&str], options: &'static str) -> Command {
        Command::ToClient(ToClient::Failed(outcome, reply(data, options)))
    }

    fn answer(data: &[&str], options: &'static str) -> WorkerReply {
        WorkerReply {
            id: "r1".into(),
            options: bytes(options),
            ..WorkerReply::new("17", json(data))
        }
    }

    fn given(data: &[&str], options: &'static str) -> Command {
        let (id, options) = ("r1".into(), bytes(options));
        let request = WorkerRequest::new(TOKEN, "echo", json(data));
        Command::ToWorker(ToWorker::Request(WorkerRequest { id, options, ..request }))
    }

    #[test]
    fn what_a_client_says() {
        let all = r#"{"timeout":1500,"retry":1,"workerId":"W1","nocache":1,"persist":1}"#;
        let with_all = Request {
            timeout: Timeout::After(Duration::from_millis(1500)),
            redeliver: true,
            target: "W1".into(),
            fresh: true,
            durable: true,
            ..asked(&["[1]"], "")
        };
        let never = Request { timeout: Timeout::Never, ..asked(&["[1]"], "") };
        let of_service = Request { timeout: Timeout::OfService, ..asked(&["[1]"], "") };
        check(
            codec,
            &[
                (
                    Both,
                    request(Request { options: bytes(all), ..with_all.clone() }),
                    &["C", "2", "echo", "r1", "[1]", all],
                ),
                (Encode, request(with_all), &["C", "2", "echo", "r1", "[1]", all]),
                (
                    Encode,
                    request(never),
                    &["C", "2", "echo", "r1", "[1]", r#"{"timeout":-1,"retry":0}"#],
                ),
                (Encode, request(of_service), &["C", "2", "echo", "r1", "[1]", r#"{"retry":0}"#]),
                // From other clients: options missing or empty.
                (Decode, request(asked(&["1"], "")), &["C", "2", "echo", "r1", "1"]),
                (Decode, request(asked(&["1"], "")), &["C", "2", "echo", "r1", "1", ""]),
                (
                    Both,
                    request(asked(&["undefined"], "undefined")),
                    &["C", "2", "echo", "r1", "undefined", "undefined"],
                ),
                (Decode, request(asked(&[], "")), &["C", "2", "echo", "r1"]),
                (Decode, request(asked(&[], "")), &["C", "2", "echo", "r1", "", ""]),
                (Decode, request(asked(&["1"], "{}")), &["C", "2", "echo", "r1", "1", "{}", "x"]),
                (
                    Both,
                    request(Request { id: "".into(), ..asked(&["1"], "null") }),
                    &["C", "2", "echo", "", "1", "null"],
                ),
                (Both, Command::FromClient(FromClient::Heartbeat), &["C", "4"]),
                (
                    Both,
                    Command::FromClient(FromClient::RequestKeepAlive { id: "r1".into() }),
                    &["C", "4", "request", "r1"],
                ),
                (
                    Decode,
                    Command::FromClient(FromClient::RequestKeepAlive { id: "r1".into() }),
                    &["C", "4", "req", "r1", "x"],
                ),
                (
                    Both,
                    Command::FromClient(FromClient::WorkerKeepAlive { worker: "W1".into() }),
                    &["C", "4", "worker", "W1"],
                ),
                // Unknown kinds, and kinds without a subject.
                (Decode, Command::FromClient(FromClient::Heartbeat), &["C", "4", ""]),
                (Decode, Command::FromClient(FromClient::Heartbeat), &["C", "4", "x", "r1"]),
                (Decode, Command::FromClient(FromClient::Heartbeat), &["C", "4", "request"]),
                (Decode, Command::FromClient(FromClient::Heartbeat), &["C", "4", "worker"]),
                (Decode, Command::FromClient(FromClient::Heartbeat), &["C", "4", "worker", ""]),
                (Encode, Command::FromClient(FromClient::Cancel { id: "r1".into() }), &[]),
            ],
        );
    }

    #[test]
    fn what_a_client_hears() {
        check(
            codec,
            &[
                (
                    Both,
                    last(&["[1]"], r#"{"a":1}"#),
                    &["C", "3", "", "r1", "0", "[1]", r#"{"a":1}"#],
                ),
                (Encode, last(&["1"], ""), &["C", "3", "", "r1", "0", "1", "{}"]),
                (Both, last(&["1"], "undefined"), &["C", "3", "", "r1", "0", "1", "undefined"]),
                (Encode, last(&[], ""), &["C", "3", "", "r1", "0", "null", "{}"]),
                (Encode, last(&["undefined"], ""), &["C", "3", "", "r1", "0", "null", "{}"]),
                (Decode, last(&["1"], ""), &["C", "3", "", "r1", "0", "1"]),
                (Decode, last(&[], ""), &["C", "3", "", "r1", "0"]),
                (Decode, last(&[], ""), &["C", "3", "", "r1"]),
                // The collected parts of a reply, for a client that did not ask for partial
                // replies.
                (Encode, last(&["1", "[2]"], ""), &["C", "3", "", "r1", "0", "[1,[2]]", "{}"]),
                (Both, partial(&["1"], "{}"), &["C", "6", "", "r1", "0", "1", "{}"]),
                // A partial reply without a value would end the client's stream.
                (Encode, partial(&["null"], ""), &["C", "6", "", "r1", "0", "\"\"", "{}"]),
                (Encode, partial(&["undefined"], ""), &["C", "6", "", "r1", "0", "\"\"", "{}"]),
                (Encode, partial(&[], ""), &["C", "6", "", "r1", "0", "\"\"", "{}"]),
                (Both, Command::ToClient(ToClient::Heartbeat), &["C", "4"]),
                (
                    Both,
                    failed(Outcome::Failed, &["\"boom\""], "undefined"),
                    &["C", "3", "", "r1", "-1", "\"boom\"", "undefined"],
                ),
                // PIGATO's broker reports a rejection to the client.
                (
                    Decode,
                    failed(Outcome::Rejected, &["\"no\""], "undefined"),
                    &["C", "7", "", "r1", "0", "\"no\"", "undefined"],
                ),
                (Decode, failed(Outcome::Failed, &["1"], ""), &["C", "3", "", "r1", "-1.0", "1"]),
                (Decode, last(&["1"], ""), &["C", "3", "", "r1", "", "1"]),
                (Decode, last(&["1"], ""), &["C", "3", "", "r1", "x", "1"]),
            ],
        );
    }

    #[test]
    fn what_a_client_hears_of_each_end() {
        for (outcome, word) in [
            (Outcome::Failed, "B_FAILED"),
            (Outcome::WorkerLost, "B_WORKER_LOST"),
            (Outcome::Rejected, "B_REJECTED"),
            (Outcome::Refused, "B_BUSY"),
            (Outcome::NoSuchService, "B_NO_SERVICE"),
            (Outcome::NoSuchWorker, "B_NO_WORKER"),
            (Outcome::Untranslatable, "B_TRANSLATE"),
            (Outcome::ShutDown, "B_SHUTDOWN"),
        ] {
            let mut written = alloc::vec::Vec::new();
            let ended = ToClient::Failed(outcome, reply(&[], ""));
            codec(Side::Client).encode_to_client(&ended.view(), &mut written);
            let word = alloc::format!("\"{word}\"");
            assert_eq!(written, ["C", "3", "", "r1", "-1", word.as_str(), "{}"], "{outcome}");
        }
        check(
            codec,
            &[
                (
                    Encode,
                    failed(Outcome::Rejected, &["\"no\""], "{}"),
                    &["C", "3", "", "r1", "-1", "\"no\"", "{}"],
                ),
                // PIGATO's workers write this for an error without a text.
                (
                    Encode,
                    failed(Outcome::Failed, &["undefined"], "{}"),
                    &["C", "3", "", "r1", "-1", "\"B_FAILED\"", "{}"],
                ),
                // The client crashes on a reply to a request that it has forgotten.
                (Encode, failed(Outcome::Expired, &[], ""), &[]),
                (Encode, failed(Outcome::Cancelled, &[], ""), &[]),
                (Encode, failed(Outcome::ClientGone, &[], ""), &[]),
            ],
        );
    }

    #[test]
    fn what_a_worker_says() {
        let said = |concurrency, publish| {
            Command::FromWorker(FromWorker::Heartbeat(Status { concurrency, publish }))
        };
        let seven = Some(Concurrency::AtMost(7));
        let kept = WorkerReply { keep: Some(Duration::from_secs(10)), ..answer(&["1"], "") };
        let cache = r#"{"cache":10000}"#;
        check(
            codec,
            &[
                (Both, ready(), &["W", "1", "echo"]),
                (Decode, ready(), &["W", "1", "echo", "x"]),
                (
                    Both,
                    Command::FromWorker(FromWorker::Final(answer(&["[1]"], r#"{"a":1}"#))),
                    &["W", "3", "17", "", "r1", "0", "[1]", r#"{"a":1}"#],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Final(WorkerReply {
                        options: bytes(cache),
                        ..kept.clone()
                    })),
                    &["W", "3", "17", "", "r1", "0", "1", cache],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Final(kept)),
                    &["W", "3", "17", "", "r1", "0", "1", cache],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Partial(answer(&["1"], "{}"))),
                    &["W", "6", "17", "", "r1", "0", "1", "{}"],
                ),
                // pigato-ruby writes no options.
                (
                    Decode,
                    Command::FromWorker(FromWorker::Final(answer(&["1"], ""))),
                    &["W", "3", "17", "", "r1", "0", "1"],
                ),
                (
                    Decode,
                    Command::FromWorker(FromWorker::Final(answer(&[], ""))),
                    &["W", "3", "17", "", "r1"],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Final(answer(&[], ""))),
                    &["W", "3", "17", "", "r1", "0", "null", "{}"],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Failed(answer(&["\"boom\""], "undefined"))),
                    &["W", "3", "17", "", "r1", "-1", "\"boom\"", "undefined"],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Failed(answer(&[], ""))),
                    &["W", "3", "17", "", "r1", "-1", "\"B_FAILED\"", "{}"],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Rejected(answer(&["\"no\""], "undefined"))),
                    &["W", "7", "17", "", "r1", "0", "\"no\"", "undefined"],
                ),
                (
                    Decode,
                    Command::FromWorker(FromWorker::Rejected(answer(&["\"no\""], ""))),
                    &["W", "7", "17", "", "r1", "\"no\""],
                ),
                (
                    Decode,
                    Command::FromWorker(FromWorker::Rejected(answer(&[], ""))),
                    &["W", "7", "17", "", "r1"],
                ),
                (Both, WORKER_HEARTBEAT, &["W", "4"]),
                (Decode, WORKER_HEARTBEAT, &["W", "4", "", "null"]),
                (Decode, WORKER_HEARTBEAT, &["W", "4", "", "{", "x"]),
                (Both, said(seven, false), &["W", "4", "", r#"{"concurrency":7}"#]),
                (Both, said(seven, true), &["W", "4", "", r#"{"concurrency":7,"update":1}"#]),
                (
                    Both,
                    said(Some(Concurrency::Unlimited), false),
                    &["W", "4", "", r#"{"concurrency":-1}"#],
                ),
                (Both, said(None, true), &["W", "4", "", r#"{"update":1}"#]),
                (Both, WORKER_DISCONNECT, &["W", "5"]),
                (Decode, WORKER_DISCONNECT, &["W", "5", "x"]),
            ],
        );
    }

    #[test]
    fn what_a_worker_hears() {
        let wanted = ToWorker::RequestKeepAlive { address: TOKEN.into(), id: "r1".into() };
        check(
            codec,
            &[
                (Both, Command::ToWorker(REGISTERED), &["W", "1"]),
                (
                    Both,
                    given(&["[1]"], r#"{"retry":0}"#),
                    &["W", "2", TOKEN, "echo", "", "r1", "[1]", r#"{"retry":0}"#],
                ),
                (Encode, given(&["1"], ""), &["W", "2", TOKEN, "echo", "", "r1", "1", "{}"]),
                (Encode, given(&[], ""), &["W", "2", TOKEN, "echo", "", "r1", "null", "{}"]),
                (
                    Both,
                    given(&["undefined"], "undefined"),
                    &["W", "2", TOKEN, "echo", "", "r1", "undefined", "undefined"],
                ),
                (Decode, given(&["1"], ""), &["W", "2", TOKEN, "echo", "", "r1", "1"]),
                (Decode, given(&[], ""), &["W", "2", TOKEN, "echo", "", "r1"]),
                // The worker recognises this message by its five frames.
                (Both, Command::ToWorker(wanted), &["W", "4", TOKEN, "", "r1"]),
                (Both, BROKER_HEARTBEAT, &["W", "4"]),
                (Both, BROKER_DISCONNECT, &["W", "5"]),
                (
                    Encode,
                    Command::ToWorker(ToWorker::Cancel {
                        address: TOKEN.into(),
                        outcome: Outcome::Cancelled,
                    }),
                    &[],
                ),
            ],
        );
    }

    #[test]
    fn what_it_has_no_word_for() {
        check(codec, &unsaid_but_in_omdp1());
    }

    /// Options beside a body of frames are not JSON, so they are not encoded.
    #[test]
    fn options_beside_frames_are_not_written() {
        let (options, frames) = (bytes("\x01a\0\0\0\x01b"), Frames::from_slices(&["hello"]));
        let request = Request {
            id: "7".into(),
            options: options.clone(),
            ..Request::new("echo", frames.clone())
        };
        let given = WorkerRequest {
            options: options.clone(),
            ..WorkerRequest::new(TOKEN, "echo", frames.clone())
        };
        let reply = Reply { options: options.clone(), ..Reply::new("", frames.clone()) };
        let answer = WorkerReply { options, ..WorkerReply::new("17", frames) };
        let kept = WorkerReply { keep: Some(Duration::from_secs(1)), ..answer.clone() };
        check(
            codec,
            &[
                (
                    Encode,
                    Command::FromClient(FromClient::Request(request)),
                    &["C", "2", "echo", "7", "\"hello\"", r#"{"retry":0}"#],
                ),
                (
                    Encode,
                    Command::ToWorker(ToWorker::Request(given)),
                    &["W", "2", TOKEN, "echo", "", "", "\"hello\"", "{}"],
                ),
                (
                    Encode,
                    Command::ToClient(ToClient::Final(reply.clone())),
                    &["C", "3", "", "", "0", "\"hello\"", "{}"],
                ),
                (
                    Encode,
                    Command::ToClient(ToClient::Failed(Outcome::Failed, reply)),
                    &["C", "3", "", "", "-1", "\"hello\"", "{}"],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Partial(answer)),
                    &["W", "6", "17", "", "", "0", "\"hello\"", "{}"],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Final(kept)),
                    &["W", "3", "17", "", "", "0", "\"hello\"", r#"{"cache":1000}"#],
                ),
            ],
        );
    }

    /// Bodies from peers whose body format is frames.
    #[test]
    fn frames_become_json() {
        let frames = |frames: &[&str], rule| {
            Frames::from_slices(frames).in_form(Form::Frames, hint::of_frames(rule))
        };
        let given = |text, rule| {
            let request = WorkerRequest::new(TOKEN, "echo", frames(&[text], rule));
            Command::ToWorker(ToWorker::Request(request))
        };
        let reply = |text, asked| Reply { asked, ..Reply::new("", frames(&[text], Json::Auto)) };
        let last = |text, asked| Command::ToClient(ToClient::Final(reply(text, asked)));
        let (string, other) = (hint::of_json(b"\"a\""), hint::of_json(b"1"));
        check(
            codec,
            &[
                // A worker gets the translation configured for the client's listener.
                (Encode, given("[1]", Json::Auto), &["W", "2", TOKEN, "echo", "", "", "[1]", "{}"]),
                (Encode, given("5", Json::Auto), &["W", "2", TOKEN, "echo", "", "", "\"5\"", "{}"]),
                (
                    Encode,
                    given("[1]", Json::String),
                    &["W", "2", TOKEN, "echo", "", "", "\"[1]\"", "{}"],
                ),
                (Encode, given("5", Json::Raw), &["W", "2", TOKEN, "echo", "", "", "5", "{}"]),
                // A client gets a translation that depends on its request.
                (Encode, last("5", string), &["C", "3", "", "", "0", "\"5\"", "{}"]),
                (Encode, last("5", other), &["C", "3", "", "", "0", "5", "{}"]),
                (
                    Encode,
                    Command::ToClient(ToClient::Failed(Outcome::Failed, reply("no paper", string))),
                    &["C", "3", "", "", "-1", "\"no paper\"", "{}"],
                ),
                (
                    Encode,
                    Command::ToClient(ToClient::Partial(Reply::new("", Frames::empty()))),
                    &["C", "6", "", "", "0", "\"\"", "{}"],
                ),
            ],
        );
        check(
            |side| codec(side).with_json(Json::String),
            &[(Encode, last("[5]", other), &["C", "3", "", "", "0", "\"[5]\"", "{}"])],
        );
    }

    /// The body of a JSON request has a hint for the translation of its reply.
    #[test]
    fn body_of_a_request_has_a_hint_of_its_json() {
        for (data, other) in [("\"a\"", false), ("1", true), ("{\"a\":1}", true)] {
            let message = Frames::from_slices(&["C", "2", "echo", "r1", data]);
            let scratch = &mut Scratch::default();
            let read = codec(Side::Client).decode_from_client(message.view(), scratch);
            let Ok(FromClientView::Request(request)) = read else { panic!("it is a request") };
            assert_eq!(hint::asked_other(request.body.note()), other, "{data}");
        }
    }
}
