//! Tests beyond the RFC's test vectors (`tests/omdp1_vectors.rs`): ranges, codes, translation.

use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, CODE_UNSAID, Concurrency, DisconnectReason, Form, Frames, FromClient, FromClientView,
    FromWorker, FromWorkerView, Hello, Notice, Outcome, Priority, Reply, Request, Status, Timeout,
    ToClient, ToWorker, Welcome, WorkerReply, WorkerRequest,
};

use crate::golden::{Case, Command, TOKEN_OCTETS, Way, Way::*, check};
use crate::{Codec, Dialect, HEADERS_BYTES_MAX, Json, Scratch, Side, hint};

fn codec(side: Side) -> Codec {
    Codec::new(Dialect::Omdp1, side)
}

#[track_caller]
fn check_one(way: Way, command: Command, frames: &[&[u8]]) {
    let case: Case<'_, [u8]> = (way, command, frames);
    check(codec, &[case]);
}

fn request(request: Request) -> Command {
    Command::FromClient(FromClient::Request(request))
}

fn asked() -> Request {
    Request { id: "1".into(), ..Request::new("a", Frames::empty()) }
}

fn reply(body: &[&str]) -> Reply {
    Reply { id: "1".into(), ..Reply::new("", Frames::from_slices(body)) }
}

fn failed(outcome: Outcome, code: u16, body: &[&str]) -> Command {
    Command::ToClient(ToClient::Failed(outcome, Reply { code, ..reply(body) }))
}

fn worker(command: FromWorker) -> Command {
    Command::FromWorker(command)
}

fn answer(body: &[&str]) -> WorkerReply {
    WorkerReply::new("t", Frames::from_slices(body))
}

fn task(request: WorkerRequest) -> Command {
    Command::ToWorker(ToWorker::Request(request))
}

fn given() -> WorkerRequest {
    WorkerRequest::new(&TOKEN_OCTETS[..], "a", Frames::empty())
}

/// The fields of a request after its id.
#[track_caller]
fn check_request(way: Way, of: Request, fields: &[u8]) {
    let frame = [b"\x10\0\0\0\0\0\0\0\x01", fields].concat();
    check_one(way, request(of), &[&frame]);
}

#[test]
fn requests() {
    let after = |millis| Timeout::After(Duration::from_millis(millis));
    let timed = |timeout| Request { timeout, ..asked() };
    check_request(
        Both,
        timed(Timeout::Never),
        b"\0\x04\xff\xff\xff\xff\xff\xff\xff\xff\x01a\0\0\0",
    );
    check_request(
        Both,
        timed(Timeout::OfService),
        b"\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\x01a\0\0\0",
    );
    check_request(Both, timed(after(0)), b"\0\x04\0\0\0\0\xff\xff\xff\xff\x01a\0\0\0");
    let longest = b"\0\x04\xff\xff\xff\xfd\xff\xff\xff\xff\x01a\0\0\0";
    check_request(Both, timed(after(0xffff_fffd)), longest);
    check_request(Encode, timed(Timeout::After(Duration::MAX)), longest);
    // A short timeout is not encoded as 0.
    check_request(
        Encode,
        timed(Timeout::After(Duration::from_micros(1))),
        b"\0\x04\0\0\0\x01\xff\xff\xff\xff\x01a\0\0\0",
    );
    for (set, flags) in [
        (Request { redeliver: true, ..asked() }, 0x01),
        (Request { fresh: true, ..asked() }, 0x02),
        (Request { durable: true, ..asked() }, 0x04),
        (Request { notices: true, ..asked() }, 0x08),
    ] {
        let mut fields = *b"\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\x01a\0\0\0";
        fields[0] = flags;
        check_request(Both, set.clone(), &fields);
        // Flags of a later version are ignored.
        fields[0] |= 0xf0;
        check_request(Decode, set, &fields);
    }
    let first = Request { priority: Priority::new(9), credit: 0, ..asked() };
    check_request(Both, first.clone(), b"\0\x09\xff\xff\xff\xfe\0\0\0\0\x01a\0\0\0");
    check_request(Decode, first, b"\0\x0c\xff\xff\xff\xfe\0\0\0\0\x01a\0\0\0");
    let last = Request { priority: Priority::new(0), ..asked() };
    check_request(Both, last, b"\0\0\xff\xff\xff\xfe\xff\xff\xff\xff\x01a\0\0\0");
}

#[test]
fn ids_are_numbers_here_and_text_elsewhere() {
    let cancel = |id: &str| Command::FromClient(FromClient::Cancel { id: id.into() });
    check_one(Both, cancel("0"), &[b"\x12\0\0\0\0\0\0\0\0"]);
    check_one(Both, cancel("18446744073709551615"), &[b"\x12\xff\xff\xff\xff\xff\xff\xff\xff"]);
    check_one(Encode, cancel("18446744073709551616"), &[b"\x12\0\0\0\0\0\0\0\0"]);
    check_one(Encode, cancel("r1"), &[b"\x12\0\0\0\0\0\0\0\0"]);
    check_one(Encode, cancel(""), &[b"\x12\0\0\0\0\0\0\0\0"]);
}

#[test]
fn hellos() {
    let hello = |hello| Command::FromClient(FromClient::Hello(hello));
    let unsaid = Hello::default();
    let zero_max = b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0";
    check_one(Both, hello(unsaid), &[zero_max]);
    for (versions, headers) in [
        // Values outside the range are decoded as the nearest.
        (b"\0\0", &b"\0\0"[..]),
        (b"\x01\0", b"\0\0"),
        (b"\0\x05", b"\0\0"),
        (b"\x01\xff", b"\0\x07\x01a\0\0\0\x01b"),
    ] {
        let frame = [b"\x01OMDP", &versions[..], b"\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0", headers];
        check_one(Decode, hello(unsaid), &[&frame.concat()]);
    }
    let said = Hello { heartbeat: Some(Duration::ZERO), message_bytes_max: Some(258) };
    check_one(
        Both,
        Command::FromWorker(FromWorker::Hello(said)),
        &[b"\x01OMDP\x01\x01\x02\0\0\0\0\0\0\0\0\0\0\x01\x02\0\0"],
    );
    let patient = Hello { heartbeat: Some(Duration::MAX), ..unsaid };
    check_one(
        Encode,
        hello(patient),
        &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xfe\0\0\0\0\0\0\0\0\0\0"],
    );
}

#[test]
fn welcomes() {
    let welcome = |welcome| Command::ToWorker(ToWorker::Welcome(welcome));
    let unlimited = Welcome {
        heartbeat: Duration::MAX,
        liveness: 255,
        message_bytes_max: u64::MAX,
        frames_max: u32::MAX,
        requests_max: u32::MAX,
        broker: ByteStr::empty(),
    };
    let frame = [&b"\x02\x01"[..], &[0xff; 21], b"\0\0\0"].concat();
    check_one(Both, welcome(unlimited.clone()), &[&frame]);
    check_one(Encode, welcome(Welcome { liveness: 1_000, ..unlimited.clone() }), &[&frame]);
    let with_headers = [&b"\x02\x01"[..], &[0xff; 21], b"\0\0\x07\x01a\0\0\0\x01b"].concat();
    check_one(Decode, welcome(unlimited), &[&with_headers]);
}

#[test]
fn disconnect_reasons() {
    for (disconnect_reason, code, text) in [
        (DisconnectReason::Malformed, 400, "a command that does not fit"),
        (
            DisconnectReason::Forbidden,
            403,
            "a ticket that was not given, or a name of the broker's own",
        ),
        (DisconnectReason::IdentityInUse, 409, "the identity is in use"),
        (DisconnectReason::Full, 429, "a limit stands against it"),
        (DisconnectReason::ShutDown, 503, "the broker shuts down"),
        (DisconnectReason::Silent, 504, "silent for too long"),
        (DisconnectReason::NoCommonVersion, 505, "no version that both speak"),
    ] {
        let code = u16::to_be_bytes(code);
        let frame = [b"\x05", &code[..], &[text.len() as u8], text.as_bytes()].concat();
        check_one(Both, Command::ToClient(ToClient::Disconnect(disconnect_reason)), &[&frame]);
        check_one(Both, Command::ToWorker(ToWorker::Disconnect(disconnect_reason)), &[&frame]);
        // The text is ignored.
        let frame = [b"\x05", &code[..], b"\x02\xff\xfe"].concat();
        check_one(Decode, Command::ToClient(ToClient::Disconnect(disconnect_reason)), &[&frame]);
    }
    let unsaid = || Command::ToClient(ToClient::Disconnect(DisconnectReason::Unsaid));
    check_one(Encode, unsaid(), &[b"\x05\x01\x90\x1bthe broker does not say why"]);
    for code in [0u16, 401, 500, 999, u16::MAX] {
        let frame = [b"\x05", &code.to_be_bytes()[..], b"\0"].concat();
        check_one(Decode, unsaid(), &[&frame]);
    }
}

#[track_caller]
fn check_error(way: Way, command: Command, author: u8, code: u16, body: &[&str]) {
    let code = code.to_be_bytes();
    let head = [b"\x22\0\0\0\0\0\0\0\x01", &[author][..], &code, b"\0\0"].concat();
    let frames: alloc::vec::Vec<&[u8]> =
        [&head[..]].into_iter().chain(body.iter().map(|frame| frame.as_bytes())).collect();
    check_one(way, command, &frames);
}

#[test]
fn errors_of_the_broker() {
    for (outcome, code, word) in [
        (Outcome::Expired, 408, "B_EXPIRED"),
        (Outcome::WorkerLost, 502, "B_WORKER_LOST"),
        (Outcome::Rejected, 503, "B_REJECTED"),
        (Outcome::Refused, 429, "B_BUSY"),
        (Outcome::NoSuchService, 404, "B_NO_SERVICE"),
        (Outcome::Untranslatable, 415, "B_TRANSLATE"),
        (Outcome::ShutDown, 503, "B_SHUTDOWN"),
    ] {
        check_error(Encode, failed(outcome, CODE_UNSAID, &[]), 1, code, &[word]);
        check_error(Both, failed(outcome, CODE_UNSAID, &[word]), 1, code, &[word]);
    }
    check_error(Encode, failed(Outcome::NoSuchWorker, 0, &[]), 1, 404, &["B_NO_WORKER"]);
    check_error(Encode, failed(Outcome::Failed, 0, &[]), 1, 500, &["B_FAILED"]);
    // The text of the last worker that rejected the request.
    check_error(Both, failed(Outcome::Rejected, 0, &["too hot", "x"]), 1, 503, &["too hot", "x"]);
    // A duplicate id has its own code, to distinguish it from other refusals.
    check_error(Both, failed(Outcome::Refused, 400, &["id 1"]), 1, 400, &["id 1"]);
    // Unknown codes count as their hundred, and unknown authors as the broker.
    check_error(Decode, failed(Outcome::Refused, 451, &["a"]), 1, 451, &["a"]);
    check_error(Decode, failed(Outcome::Failed, 500, &["a"]), 1, 500, &["a"]);
    check_error(Decode, failed(Outcome::Failed, 599, &[]), 1, 599, &[]);
    check_error(Decode, failed(Outcome::Failed, 7, &[]), 1, 7, &[]);
    check_error(Decode, failed(Outcome::Expired, 0, &[]), 9, 408, &[]);
    for untold in [Outcome::Replied, Outcome::Cancelled, Outcome::ClientGone] {
        check_one(Encode, failed(untold, 0, &["a"]), &[]);
        check_one(Encode, failed(untold, 422, &[]), &[]);
    }
}

#[test]
fn errors_of_workers() {
    check_error(Both, failed(Outcome::Failed, 422, &["a", ""]), 2, 422, &["a", ""]);
    check_error(Both, failed(Outcome::Failed, 999, &[]), 2, 999, &[]);
    check_error(Encode, failed(Outcome::Failed, 0, &["a"]), 2, 500, &["a"]);
    check_error(Encode, failed(Outcome::Failed, 0, &[""]), 2, 500, &[""]);
    check_error(Encode, failed(Outcome::Failed, 1_000, &["a"]), 2, 999, &["a"]);
    check_error(Decode, failed(Outcome::Failed, 400, &["a"]), 2, 7, &["a"]);
    check_error(Decode, failed(Outcome::Failed, 999, &["a"]), 2, 1_000, &["a"]);
    // A worker's 404 does not mean that the service does not exist.
    check_error(Both, failed(Outcome::Failed, 404, &["no user"]), 2, 404, &["no user"]);

    let error = |code, body| worker(FromWorker::Failed(WorkerReply { code, ..answer(body) }));
    check_one(Both, error(500, &["a"]), &[b"\x35\x01t\x01\xf4\0\0", b"a"]);
    check_one(Encode, error(CODE_UNSAID, &["a"]), &[b"\x35\x01t\x01\xf4\0\0", b"a"]);
    check_one(Encode, error(1, &[]), &[b"\x35\x01t\x01\x90\0\0"]);
    check_one(Decode, error(400, &[]), &[b"\x35\x01t\0\0\0\0"]);
    check_one(Decode, error(999, &[]), &[b"\x35\x01t\xff\xff\0\0"]);
}

#[test]
fn notices() {
    for (what, notice) in (1..).zip(Notice::ALL) {
        let command = Command::ToClient(ToClient::Notice { id: "1".into(), notice });
        check_one(Both, command, &[&[0x23, 0, 0, 0, 0, 0, 0, 0, 1, what]]);
    }
    // An unknown notice of a later version counts as a heartbeat.
    for what in [0, 5, 255] {
        let frame = [0x23, 0, 0, 0, 0, 0, 0, 0, 1, what];
        check_one(Decode, Command::ToClient(ToClient::Heartbeat), &[&frame]);
    }
}

#[test]
fn capacities() {
    let said =
        |concurrency, publish| worker(FromWorker::Heartbeat(Status { concurrency, publish }));
    let most = Some(Concurrency::AtMost(u32::MAX - 1));
    check_one(Both, said(most, false), &[b"\x32\xff\xff\xff\xfe"]);
    let over = Some(Concurrency::AtMost(u32::MAX));
    check_one(Encode, said(over, false), &[b"\x32\xff\xff\xff\xfe"]);
    check_one(Encode, said(None, true), &[b"\x03"]);
    check_one(Both, said(Some(Concurrency::AtMost(1)), false), &[b"\x32\0\0\0\x01"]);
}

#[test]
fn replies_that_may_be_kept() {
    let kept = |keep| worker(FromWorker::Final(WorkerReply { keep, ..answer(&[]) }));
    check_one(Both, kept(None), &[b"\x34\x01t\0\0\0\0\0\0"]);
    check_one(Both, kept(Some(Duration::from_millis(1))), &[b"\x34\x01t\0\0\0\x01\0\0"]);
    check_one(Encode, kept(Some(Duration::from_nanos(1))), &[b"\x34\x01t\0\0\0\x01\0\0"]);
    check_one(Both, kept(Some(Duration::MAX)), &[b"\x34\x01t\xff\xff\xff\xff\0\0"]);
    let longest = Some(Duration::MAX - Duration::from_secs(1));
    check_one(Encode, kept(longest), &[b"\x34\x01t\xff\xff\xff\xfe\0\0"]);
}

#[test]
fn tasks() {
    let deadline = |deadline| task(WorkerRequest { deadline, ..given() });
    let head = [b"\x40\x10", &TOKEN_OCTETS[..], b"\x01a"].concat();
    let frame = |deadline: &[u8], rest: &[u8]| [&head[..], deadline, rest].concat();
    let rest = b"\x01\x04\xff\xff\xff\xff\0\0";
    check_one(Both, deadline(None), &[&frame(b"\xff\xff\xff\xff", rest)]);
    check_one(Both, deadline(Some(Duration::ZERO)), &[&frame(b"\0\0\0\0", rest)]);
    check_one(Encode, deadline(Some(Duration::MAX)), &[&frame(b"\xff\xff\xff\xfe", rest)]);
    let attempt = |attempt| task(WorkerRequest { attempt, ..given() });
    let nth = |octet| frame(b"\xff\xff\xff\xff", &[octet, 4, 255, 255, 255, 255, 0, 0]);
    check_one(Both, attempt(255), &[&nth(255)]);
    check_one(Encode, attempt(1_000), &[&nth(255)]);
    check_one(Encode, attempt(0), &[&nth(1)]);
    check_one(Decode, attempt(1), &[&nth(0)]);
    let first = WorkerRequest { priority: Priority::new(9), credit: 0, ..given() };
    check_one(Both, task(first.clone()), &[&frame(b"\xff\xff\xff\xff", b"\x01\x09\0\0\0\0\0\0")]);
    check_one(Decode, task(first), &[&frame(b"\xff\xff\xff\xff", b"\x01\xff\0\0\0\0\0\0")]);
}

#[test]
fn what_the_broker_goes_by() {
    let capacity = |concurrency| Command::ToWorker(ToWorker::Capacity { concurrency });
    check_one(Both, capacity(Concurrency::AtMost(0)), &[b"\x45\0\0\0\0"]);
    check_one(Both, capacity(Concurrency::AtMost(8)), &[b"\x45\0\0\0\x08"]);
    check_one(Both, capacity(Concurrency::Unlimited), &[b"\x45\xff\xff\xff\xff"]);
}

#[test]
fn tasks_that_nobody_waits_for() {
    #[track_caller]
    fn check(way: Way, outcome: Outcome, code: &[u8]) {
        let address = TOKEN_OCTETS[..].into();
        let frame = [b"\x41\x10", &TOKEN_OCTETS[..], code].concat();
        check_one(way, Command::ToWorker(ToWorker::Cancel { address, outcome }), &[&frame]);
    }
    check(Both, Outcome::Cancelled, b"\x01\xf3");
    check(Both, Outcome::Expired, b"\x01\x98");
    check(Encode, Outcome::ShutDown, b"\x01\xf3");
    check(Encode, Outcome::ClientGone, b"\x01\xf3");
    check(Decode, Outcome::Cancelled, b"\0\0");
    check(Decode, Outcome::Cancelled, b"\x01\xf7");
}

#[test]
fn what_it_has_no_word_for() {
    check_one(
        Encode,
        Command::FromClient(FromClient::WorkerKeepAlive { worker: "W1".into() }),
        &[],
    );
    let address = TOKEN_OCTETS[..].into();
    let wanted = ToWorker::RequestKeepAlive { address, id: "r1".into() };
    let frame = [b"\x43\x10", &TOKEN_OCTETS[..]].concat();
    check_one(Encode, Command::ToWorker(wanted), &[&frame]);
    // The service of a reply and the id of a worker's reply are not encoded.
    let named = Reply { service: "echo".into(), ..reply(&[]) };
    check_one(Encode, Command::ToClient(ToClient::Final(named)), &[b"\x21\0\0\0\0\0\0\0\x01\0\0"]);
    let identified = WorkerReply { id: "r1".into(), ..answer(&[]) };
    check_one(Encode, worker(FromWorker::Partial(identified)), &[b"\x33\x01t\0\0"]);
}

#[test]
fn bodies_are_any_frames() {
    let of = |body: &[&str]| worker(FromWorker::Partial(answer(body)));
    check_one(Both, of(&[]), &[b"\x33\x01t\0\0"]);
    check_one(Both, of(&[""]), &[b"\x33\x01t\0\0", b""]);
    check_one(Both, of(&["", "a", ""]), &[b"\x33\x01t\0\0", b"", b"a", b""]);
}

/// Bodies and options from peers whose body format is JSON.
#[test]
fn json_becomes_frames_and_its_options_stay_behind() {
    let json = |texts: &[&str]| Frames::from_slices(texts).in_form(Form::Json, 0);
    let options = || Bytes::from_static(b"{\"retry\":1}");
    let given = WorkerRequest { options: options(), body: json(&["\"b\""]), ..given() };
    let fields = b"\x01a\xff\xff\xff\xff\x01\x04\xff\xff\xff\xff\0\0";
    let head = [b"\x40\x10", &TOKEN_OCTETS[..], fields].concat();
    check_one(Encode, task(given), &[&head, b"b"]);
    let said = |texts| Reply { id: "1".into(), options: options(), ..Reply::new("", json(texts)) };
    let part = Command::ToClient(ToClient::Partial(said(&["[\"a\",\"b\"]"])));
    check_one(Encode, part, &[b"\x20\0\0\0\0\0\0\0\x01\0\0", b"a", b"b"]);
    let error = Command::ToClient(ToClient::Failed(Outcome::Failed, said(&["\"boom\""])));
    check_error(Encode, error, 2, 500, &["boom"]);
    let nothing = Command::ToClient(ToClient::Failed(Outcome::Failed, said(&[])));
    check_error(Encode, nothing, 1, 500, &["B_FAILED"]);
    let asked = Request { options: options(), id: "1".into(), ..Request::new("a", json(&["1"])) };
    let head = b"\x10\0\0\0\0\0\0\0\x01\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\x01a\0\0\0";
    check_one(Encode, request(asked), &[head, b"1"]);
    let answered = WorkerReply { options: options(), ..WorkerReply::new("t", json(&["1"])) };
    check_one(Encode, worker(FromWorker::Rejected(answered)), &[b"\x36\x01t\0\0", b"1"]);
}

#[test]
fn body_of_a_request_has_the_hint_of_its_listener() {
    let message = Frames::from_slices(&[
        &b"\x10\0\0\0\0\0\0\0\x01\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\x01a\0\0\0"[..],
        b"a",
    ]);
    let hints = Json::ALL.map(|json| {
        let scratch = &mut Scratch::default();
        let read = codec(Side::Client).with_json(json).decode_from_client(message.view(), scratch);
        let Ok(FromClientView::Request(request)) = read else { panic!("it is a request") };
        hint::rule(request.body.note())
    });
    assert_eq!(hints, Json::ALL);
}

#[test]
fn headers_stay_in_the_memory_that_they_came_in() {
    let memory = Bytes::from_static(b"\x33\x01t\0\x07\x01a\0\0\0\x01b");
    let (message, scratch) = (Frames::single(memory.clone()), &mut Scratch::default());
    let read = codec(Side::Worker).decode_from_worker(message.view(), scratch);
    let Ok(FromWorkerView::Partial(reply)) = read else { panic!("it is a part") };
    assert_eq!(reply.options, b"\x01a\0\0\0\x01b");
    assert_eq!(reply.options.as_ptr(), memory[5..].as_ptr());
}

/// A library may be given headers that are too long to encode. They are left out, not cut.
#[test]
fn headers_that_are_too_long_are_left_out() {
    let long =
        WorkerReply { options: alloc::vec![b'x'; HEADERS_BYTES_MAX + 1].into(), ..answer(&[]) };
    check_one(Encode, worker(FromWorker::Partial(long)), &[b"\x33\x01t\0\0"]);
}
