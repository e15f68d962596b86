//! The test vectors of `docs/rfc/omdp-1.md`: each command is decoded and encoded as specified,
//! invalid messages get the specified answer, variants are decoded as specified, and the sample
//! conversations consist of commands.

mod owned;
mod to_worker;

use std::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    Concurrency, DisconnectReason, Frames, FromClient, FromWorker, Hello, Notice, Outcome,
    Priority, Reply, Request, Status, Timeout, ToClient, ToWorker, Welcome, WorkerReply,
    WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Headers, Side, Socket, pack_headers};

const RFC: &str = include_str!("../../../docs/rfc/omdp-1.md");

/// The decoded command of a vector, by sender and receiver.
#[derive(Debug)]
enum Said {
    ByClient(FromClient),
    ByWorker(FromWorker),
    ToClient(ToClient),
    ToWorker(ToWorker),
}

use Said::{ByClient, ByWorker};

/// A vector: a description of sender, receiver and command, and the frames.
struct Vector {
    text: String,
    message: Frames,
}

/// Returns the vectors of the commands, in the order of the document.
fn vectors() -> Vec<Vector> {
    blocks("### 14.1 ", "### 14.2 ").remove(0).split("\n\n").map(vector).collect()
}

/// Returns the blocks of a section, which ends at the next one.
fn blocks(section: &str, next: &str) -> Vec<&'static str> {
    let (_, section) = RFC.split_once(section).expect("the section");
    let (section, _) = section.split_once(next).unwrap_or((section, ""));
    let block = |part: &'static str| part.split_once("\n```").expect("its end").0;
    section.split("```text\n").skip(1).map(block).collect()
}

fn vector(lines: &str) -> Vector {
    let (about, frames): (Vec<_>, Vec<_>) =
        lines.lines().partition(|line: &&str| line.starts_with('#'));
    let about: Vec<&str> = about.into_iter().map(|line| line[1..].trim()).collect();
    let frames: Vec<Vec<u8>> = frames.into_iter().map(octets).collect();
    assert!(!about.is_empty() && !frames.is_empty(), "{lines}");
    Vector { text: about.join(" "), message: Frames::from_slices(&frames) }
}

fn octets(line: &str) -> Vec<u8> {
    if line == "-" {
        return Vec::new();
    }
    let digits: String = line.split(' ').collect();
    assert!(digits.len().is_multiple_of(2), "{line}");
    let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(octet).collect()
}

fn frames(frames: &[&str]) -> Frames {
    Frames::from_slices(frames)
}

fn headers(name: &str, value: &str) -> Bytes {
    pack_headers([(name, value)]).expect("a header")
}

fn traceparent() -> Bytes {
    headers("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
}

fn reply(body: &[&str]) -> Reply {
    Reply { id: "258".into(), ..Reply::new("", frames(body)) }
}

fn answer(body: &[&str]) -> WorkerReply {
    WorkerReply::new("t7", frames(body))
}

/// Returns the beginning of each vector's description, and the commands that it is decoded as.
fn meanings() -> Vec<(&'static str, Vec<Said>)> {
    let to_client = |command| vec![Said::ToClient(command)];
    let to_worker = |command| vec![Said::ToWorker(command)];
    let capacity = |concurrency| {
        let status = Status { concurrency: Some(concurrency), publish: false };
        vec![ByWorker(FromWorker::Heartbeat(status))]
    };
    let welcome = Welcome {
        heartbeat: Duration::from_millis(2_500),
        liveness: 3,
        message_bytes_max: 64 << 20,
        frames_max: 1_024,
        requests_max: 1_000,
        broker: "here".into(),
    };
    let of_worker =
        Hello { heartbeat: Some(Duration::from_millis(2_500)), message_bytes_max: Some(1 << 20) };
    let all_said = Request {
        id: "258".into(),
        timeout: Timeout::After(Duration::from_millis(1_500)),
        redeliver: true,
        target: "W1".into(),
        fresh: true,
        durable: true,
        priority: Priority::new(9),
        credit: 16,
        notices: true,
        options: traceparent(),
        ..Request::new("stock@^1.2", frames(&["a", "b"]))
    };
    let at_once = Request {
        id: "3".into(),
        timeout: Timeout::After(Duration::ZERO),
        ..Request::new("echo", frames(&[]))
    };
    let again = WorkerRequest {
        deadline: Some(Duration::from_millis(1_500)),
        attempt: 2,
        priority: Priority::new(9),
        credit: 16,
        options: traceparent(),
        ..WorkerRequest::new("t8", "stock@^1.2", frames(&["a", "b"]))
    };
    let rows = headers("rows", "2");
    vec![
        ("client to broker: HELLO", vec![ByClient(FromClient::Hello(Hello::default()))]),
        ("worker to broker: HELLO", vec![ByWorker(FromWorker::Hello(of_worker))]),
        (
            "broker to both: WELCOME",
            vec![
                Said::ToClient(ToClient::Welcome(welcome.clone())),
                Said::ToWorker(ToWorker::Welcome(welcome)),
            ],
        ),
        (
            "anybody to anybody: HEARTBEAT",
            vec![
                ByClient(FromClient::Heartbeat),
                ByWorker(FromWorker::HEARTBEAT),
                Said::ToClient(ToClient::Heartbeat),
                Said::ToWorker(ToWorker::Heartbeat),
            ],
        ),
        (
            "both to broker: GOODBYE",
            vec![ByClient(FromClient::Disconnect), ByWorker(FromWorker::Disconnect)],
        ),
        (
            "broker to both: DISCONNECT",
            vec![
                Said::ToClient(ToClient::Disconnect(DisconnectReason::ShutDown)),
                Said::ToWorker(ToWorker::Disconnect(DisconnectReason::ShutDown)),
            ],
        ),
        (
            "client to broker: REQUEST 1 of",
            vec![ByClient(FromClient::Request(Request {
                id: "1".into(),
                ..Request::new("echo", frames(&["hello"]))
            }))],
        ),
        ("client to broker: REQUEST 258", vec![ByClient(FromClient::Request(all_said))]),
        ("client to broker: REQUEST 3", vec![ByClient(FromClient::Request(at_once))]),
        (
            "client to broker: MORE",
            vec![ByClient(FromClient::More { id: "258".into(), credit: 16 })],
        ),
        ("client to broker: CANCEL", vec![ByClient(FromClient::Cancel { id: "258".into() })]),
        (
            "client to broker: STILL-WANTED",
            vec![ByClient(FromClient::RequestKeepAlive { id: "258".into() })],
        ),
        ("broker to client: PARTIAL", to_client(ToClient::Partial(reply(&["a part"])))),
        (
            "broker to client: FINAL",
            to_client(ToClient::Final(Reply { options: rows.clone(), ..reply(&[]) })),
        ),
        (
            "broker to client: ERROR of 258, by the worker",
            to_client(ToClient::Failed(
                Outcome::Failed,
                Reply { code: 422, ..reply(&["no paper", "tray 2"]) },
            )),
        ),
        (
            "broker to client: ERROR of 258, by the broker: no worker",
            to_client(ToClient::Failed(Outcome::NoSuchService, reply(&["B_NO_SERVICE"]))),
        ),
        (
            "broker to client: ERROR of 258, by the broker: it shuts down",
            to_client(ToClient::Failed(Outcome::ShutDown, reply(&["B_SHUTDOWN"]))),
        ),
        (
            "broker to client: NOTICE",
            to_client(ToClient::Notice { id: "258".into(), notice: Notice::Dispatched }),
        ),
        (
            "worker to broker: READY",
            vec![ByWorker(FromWorker::Ready { service: "stock@1.4.0".into() })],
        ),
        (
            "worker to broker: WITHDRAW of `echo`",
            vec![ByWorker(FromWorker::Withdraw { service: "echo".into() })],
        ),
        (
            "worker to broker: WITHDRAW of all",
            vec![ByWorker(FromWorker::Withdraw { service: "".into() })],
        ),
        ("worker to broker: CAPACITY of 8", capacity(Concurrency::AtMost(8))),
        ("worker to broker: CAPACITY without limit", capacity(Concurrency::Unlimited)),
        ("worker to broker: CAPACITY of none", capacity(Concurrency::AtMost(0))),
        (
            "worker to broker: TASK-PARTIAL",
            vec![ByWorker(FromWorker::Partial(answer(&["a part"])))],
        ),
        (
            "worker to broker: TASK-FINAL of `t7`, which is good for this",
            vec![ByWorker(FromWorker::Final(WorkerReply { options: rows, ..answer(&[]) }))],
        ),
        (
            "worker to broker: TASK-FINAL of `t7`, which is good for equal",
            vec![ByWorker(FromWorker::Final(WorkerReply {
                keep: Some(Duration::from_secs(60)),
                ..answer(&["hello"])
            }))],
        ),
        (
            "worker to broker: TASK-ERROR",
            vec![ByWorker(FromWorker::Failed(WorkerReply {
                code: 422,
                ..answer(&["no paper", "tray 2"])
            }))],
        ),
        (
            "worker to broker: TASK-REJECT",
            vec![ByWorker(FromWorker::Rejected(answer(&["too hot"])))],
        ),
        (
            "worker to broker: TASK-AT-WORK",
            vec![ByWorker(FromWorker::AtWork { address: "t7".into() })],
        ),
        (
            "broker to worker: TASK with the ticket `t7`",
            to_worker(ToWorker::Request(WorkerRequest::new("t7", "echo", frames(&["hello"])))),
        ),
        ("broker to worker: TASK with the ticket `t8`", to_worker(ToWorker::Request(again))),
        (
            "broker to worker: TASK-CANCEL of `t7`",
            to_worker(ToWorker::Cancel { address: "t7".into(), outcome: Outcome::Cancelled }),
        ),
        (
            "broker to worker: TASK-CANCEL of `t8`",
            to_worker(ToWorker::Cancel { address: "t8".into(), outcome: Outcome::Expired }),
        ),
        (
            "broker to worker: TASK-MORE",
            to_worker(ToWorker::More { address: "t8".into(), credit: 16 }),
        ),
        (
            "broker to worker: TASK-WANTED",
            to_worker(ToWorker::RequestKeepAlive { address: "t7".into(), id: "".into() }),
        ),
        (
            "broker to worker: REGISTERED",
            to_worker(ToWorker::Registered { service: "echo".into(), worker: "W1".into() }),
        ),
        (
            "broker to worker: CAPACITY-IS",
            to_worker(ToWorker::Capacity { concurrency: Concurrency::AtMost(8) }),
        ),
    ]
}

/// Replaces the ticket in a command to a worker by a token, because the encoder writes only tokens.
fn with_token(message: &Frames) -> Frames {
    let mut frames: Vec<Vec<u8>> = message.iter().map(<[u8]>::to_vec).collect();
    if let [0x40..=0x43, length, ..] = frames[0][..] {
        let token = [&[to_worker::OCTETS.len() as u8][..], &to_worker::OCTETS].concat();
        frames[0].splice(1..2 + usize::from(length), token);
    }
    Frames::from_slices(&frames)
}

#[track_caller]
fn check(vector: &Vector, said: &Said) {
    let (text, message) = (&vector.text, vector.message.clone());
    let client = Codec::new(Dialect::Omdp1, Side::Client);
    let worker = Codec::new(Dialect::Omdp1, Side::Worker);
    let mut written: Vec<Bytes> = Vec::new();
    match said {
        ByClient(command) => {
            assert_eq!(owned::from_client(client, &message).as_ref(), Ok(command), "{text}");
            client.encode_from_client(command, &mut written);
        }
        ByWorker(command) => {
            assert_eq!(owned::from_worker(worker, &message).as_ref(), Ok(command), "{text}");
            worker.encode_from_worker(command, &mut written).expect("it can be said");
        }
        Said::ToClient(command) => {
            assert_eq!(client.decode_to_client(message).as_ref(), Ok(command), "{text}");
            client.encode_to_client(&command.view(), &mut written);
        }
        Said::ToWorker(command) => {
            assert_eq!(worker.decode_to_worker(message).as_ref(), Ok(command), "{text}");
            worker.encode_to_worker(&to_worker::view(command), &mut written);
        }
    }
    assert_eq!(Frames::from_slices(&written), with_token(&vector.message), "{text}");
}

#[test]
fn each_vector_is_what_it_means() {
    let (vectors, meanings) = (vectors(), meanings());
    assert_eq!(vectors.len(), meanings.len());
    for (vector, (beginning, said)) in vectors.iter().zip(&meanings) {
        assert!(vector.text.starts_with(beginning), "{} is no {beginning}", vector.text);
        for said in said {
            check(vector, said);
        }
    }
}

#[test]
fn every_command_has_a_vector() {
    let commands = [0x01..=0x05, 0x10..=0x13, 0x20..=0x23, 0x30..=0x37, 0x40..=0x45];
    let vectors = vectors();
    for command in commands.into_iter().flatten() {
        let begins = |vector: &Vector| vector.message.get(0).unwrap().starts_with(&[command]);
        assert!(vectors.iter().any(begins), "{command:#04x}");
    }
}

/// Every truncated command frame is rejected, and excess bytes written by a later version are
/// ignored.
#[test]
fn cuts_and_what_is_behind() {
    for (vector, (_, said)) in vectors().into_iter().zip(meanings()) {
        let (frame, body) = (vector.message.get(0).unwrap(), vector.message.clone().skip(1));
        let with = |frame: &[u8]| {
            let frames: Vec<&[u8]> = [frame].into_iter().chain(body.iter()).collect();
            Frames::from_slices(&frames)
        };
        for said in &said {
            for cut in 0..frame.len() {
                let error = refusal(with(&frame[..cut]), said);
                let malformed = ["unexpected_delimiter", "packed_frame_cut", "field_past_end"];
                assert_eq!(error.frame(), Some(0), "{} {cut}", vector.text);
                assert!(malformed.contains(&error.violation().name()), "{} {error}", vector.text);
            }
            for behind in [&b"\0"[..], b"\xff\xff\xff", &[7; 300]] {
                let longer = with(&[frame, behind].concat());
                assert_same(longer, said, &vector.text);
            }
        }
    }
}

fn refusal(message: Frames, said: &Said) -> majordomus_wire::Error {
    let client = Codec::new(Dialect::Omdp1, Side::Client);
    let worker = Codec::new(Dialect::Omdp1, Side::Worker);
    match said {
        ByClient(_) => owned::from_client(client, &message).map(drop),
        ByWorker(_) => owned::from_worker(worker, &message).map(drop),
        Said::ToClient(_) => client.decode_to_client(message).map(drop),
        Said::ToWorker(_) => worker.decode_to_worker(message).map(drop),
    }
    .expect_err("it is cut")
}

#[track_caller]
fn assert_same(message: Frames, said: &Said, text: &str) {
    let client = Codec::new(Dialect::Omdp1, Side::Client);
    let worker = Codec::new(Dialect::Omdp1, Side::Worker);
    match said {
        ByClient(command) => {
            assert_eq!(owned::from_client(client, &message).as_ref(), Ok(command), "{text}");
        }
        ByWorker(command) => {
            assert_eq!(owned::from_worker(worker, &message).as_ref(), Ok(command), "{text}");
        }
        Said::ToClient(command) => {
            assert_eq!(client.decode_to_client(message).as_ref(), Ok(command), "{text}");
        }
        Said::ToWorker(command) => {
            assert_eq!(worker.decode_to_worker(message).as_ref(), Ok(command), "{text}");
        }
    }
}

/// Decodes a message as its receiver, and encodes the result again.
fn read(text: &str, message: Frames) -> Result<(String, Frames), majordomus_wire::Error> {
    let client = Codec::new(Dialect::Omdp1, Side::Client);
    let worker = Codec::new(Dialect::Omdp1, Side::Worker);
    let mut written: Vec<Bytes> = Vec::new();
    let meaning = match text.split(':').next().expect("who says it to whom") {
        "client to broker" => {
            let command = owned::from_client(client, &message)?;
            client.encode_from_client(&command, &mut written);
            format!("{command:?}")
        }
        "worker to broker" => {
            let command = owned::from_worker(worker, &message)?;
            worker.encode_from_worker(&command, &mut written).expect("it can be said");
            format!("{command:?}")
        }
        "broker to client" => {
            let command = client.decode_to_client(message)?;
            client.encode_to_client(&command.view(), &mut written);
            format!("{command:?}")
        }
        "broker to worker" => {
            let command = worker.decode_to_worker(message)?;
            worker.encode_to_worker(&to_worker::view(&command), &mut written);
            format!("{command:?}")
        }
        who => panic!("{who}: who is that?"),
    };
    Ok((meaning, Frames::from_slices(&written)))
}

#[test]
fn what_does_not_fit_is_refused_and_answered_so() {
    let [block] = blocks("### 14.2 ", "### 14.3 ")[..] else { panic!("one block") };
    for Vector { text, message } in block.split("\n\n").map(vector) {
        let told = text.rsplit_once(". ").expect("what comes of it").1;
        if !text.starts_with("first to broker") {
            let to_broker = text.contains("to broker");
            let expected =
                if to_broker { "DISCONNECT 400." } else { "The connection counts as lost." };
            assert_eq!(told, expected, "{text}");
            assert!(read(&text, message).is_err(), "{text}");
            continue;
        }
        for pinned in [None, Some(Dialect::Omdp1)] {
            let error = Codec::detect(message.view(), b"", Socket::Dealer, pinned)
                .expect_err("it does not fit");
            let answer = error.answer();
            let said = match answer.as_deref() {
                None => "No answer.",
                Some([0x05, 0x01, 0x90, ..]) => "DISCONNECT 400.",
                Some([0x05, 0x01, 0xf9, ..]) => "DISCONNECT 505.",
                Some(other) => panic!("{text}: {other:?}"),
            };
            assert_eq!(told, said, "{text}");
            let is_hello = message.get(0).is_some_and(|frame| frame.starts_with(&[0x01]));
            let first = answer.is_some_and(|answer| answer.ends_with(b"\x0bHELLO first"));
            assert_eq!(first, said == "DISCONNECT 400." && !is_hello, "{text}");
        }
    }
}

#[test]
fn what_is_read_as_something_else_is() {
    let [block] = blocks("### 14.3 ", "## Appendix A")[..] else { panic!("one block") };
    for pair in block.split("\n\n") {
        let (one, other) = pair.split_once("\n# is read as\n").expect("as what");
        let one = vector(one);
        let other = vector(&format!("# {}\n{other}", one.text));
        assert_ne!(one.message, other.message, "{}", one.text);
        let as_said = read(&one.text, one.message).expect(&one.text);
        let as_meant = read(&one.text, other.message.clone()).expect(&one.text);
        assert_eq!(as_said.0, as_meant.0, "{}", one.text);
        // Encoding yields the other vector.
        assert_eq!(as_meant.1, with_token(&other.message), "{}", one.text);
    }
}

#[test]
fn conversations_are_made_of_commands() {
    let conversations = blocks("## Appendix C", "## Appendix D");
    assert_eq!(conversations.len(), 2);
    for (conversation, with) in conversations.into_iter().zip(["client", "worker"]) {
        for Vector { text, message } in conversation.split("\n\n").map(vector) {
            assert!(text.split(':').next().is_some_and(|who| who.contains(with)), "{text}");
            let (_, written) = read(&text, message.clone()).expect(&text);
            assert_eq!(written, with_token(&message), "{text}");
        }
    }
}

/// A header's value is taken from the packed headers.
#[test]
fn headers_of_a_vector_are_found() {
    let options = traceparent();
    let headers = Headers::read(&options).expect("they are right");
    assert!(headers.get("TraceParent").is_some_and(|value| value.starts_with(b"00-4bf9")));
}
