//! A captured conversation of PIGATO's own client, worker and broker, version 0.0.46: each message
//! is decoded to its meaning, and encoded as the same bytes.

mod owned;
mod to_worker;

use bytes::Bytes;
use majordomus_core::{
    CorrelationId, Frames, FromClient, FromWorker, Outcome, Request, Timeout, ToClient, ToWorker,
    Token,
};
use majordomus_wire::{Codec, Dialect, Side, Socket};

const CAPTURE: &str = include_str!("captures/pigato.txt");

/// The meaning of each line. Ids are only checked for presence.
const MEANING: &[&str] = &[
    "worker: ready echo",
    "to worker: registered",
    "worker: heartbeat Some(AtMost(7))",
    "to worker: heartbeat",
    "client: heartbeat",
    "to client: heartbeat",
    r#"client: request echo {"a":[1,"é"]} After(5s)"#,
    r#"to worker: request echo {"a":[1,"é"]} {"timeout":5000,"retry":0}"#,
    "client: still wanted",
    "to client: heartbeat",
    r#"worker: partial {"part":1} {}"#,
    r#"to client: partial {"part":1} {}"#,
    "worker: heartbeat Some(AtMost(7))",
    "to worker: heartbeat",
    r#"worker: final {"a":[1,"é"]} {"foo":"bar"}"#,
    r#"to client: final {"a":[1,"é"]} {"foo":"bar"}"#,
    "worker: heartbeat Some(AtMost(7))",
    "to worker: heartbeat",
    "client: heartbeat",
    "to client: heartbeat",
    r#"client: request echo "two" After(60s), may be redelivered, for one worker"#,
    r#"to worker: request echo "two" options"#,
    r#"worker: failed "boom" undefined"#,
    r#"to client: failed "boom" undefined"#,
    "client: request echo undefined Never",
    r#"to worker: request echo undefined {"timeout":-1,"retry":0}"#,
    r#"worker: rejected "no" undefined"#,
    r#"to client: rejected "no" undefined"#,
    "client: request echo null After(60s)",
    r#"to worker: request echo null {"timeout":60000,"retry":0}"#,
    "worker: final null {}",
    "to client: final null {}",
    "worker: heartbeat Some(AtMost(7))",
    "to worker: heartbeat",
    "client: heartbeat",
    "to client: heartbeat",
    "worker: disconnect",
    "client: heartbeat",
    "to client: heartbeat",
];

#[test]
fn every_line_is_read_as_what_it_was() {
    assert_eq!(CAPTURE.lines().count(), MEANING.len());
    for (line, &meaning) in CAPTURE.lines().zip(MEANING) {
        let (from_peer, identity, message) = parts(line);
        let side = if message.get(0) == Some(b"C") { Side::Client } else { Side::Worker };
        let codec = Codec::new(Dialect::Pigato, side);
        let mut again: Vec<Bytes> = Vec::new();
        let read = match (side, from_peer) {
            (Side::Client, true) => {
                let command = owned::from_client(codec, &message).expect(line);
                codec.encode_from_client(&command, &mut again);
                said_by_client(&command)
            }
            (Side::Worker, true) => {
                let command = owned::from_worker(codec, &message).expect(line);
                codec.encode_from_worker(&command, &mut again).expect(line);
                said_by_worker(&command)
            }
            (Side::Client, false) => {
                let command = codec.decode_to_client(message.clone()).expect(line);
                codec.encode_to_client(&command.view(), &mut again);
                said_to_client(&command)
            }
            (Side::Worker, false) => {
                let command = codec.decode_to_worker(message.clone()).expect(line);
                codec.encode_to_worker(&to_worker::view(&command), &mut again);
                said_to_worker(&command)
            }
        };
        assert_eq!(read, meaning, "{line}");
        if from_peer {
            assert_eq!(
                Codec::detect(message.view(), &identity, Socket::Dealer, None),
                Ok(codec),
                "{line}"
            );
        }
        // PIGATO's broker forwards a rejection. Majordomus fails the request when all workers have
        // rejected it.
        if !meaning.starts_with("to client: rejected") {
            let token = Token::read(&to_worker::OCTETS).unwrap().text();
            let mut frames: Vec<&[u8]> = message.iter().collect();
            if meaning.starts_with("to worker: request") {
                // Majordomus writes a token in place of the client's address.
                frames[2] = &token;
            }
            assert_eq!(Frames::from_slices(&again), Frames::from_slices(&frames), "{line}");
        }
    }
}

/// Returns true if the sender was a peer, the peer's routing id, and the frames.
fn parts(line: &str) -> (bool, Vec<u8>, Frames) {
    let (way, frames) = line.split_once(' ').expect("a way and frames");
    let frames = frames.strip_prefix('[').and_then(|frames| frames.strip_suffix(']'));
    let frames = frames.expect("frames in brackets").split("] [");
    let mut frames: Vec<Vec<u8>> = frames.map(unescaped).collect();
    let identity = frames.remove(0);
    (way == "<", identity, Frames::from_slices(&frames))
}

/// Resolves escapes such as `\xc3`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}

fn length(id: &CorrelationId) -> usize {
    id.as_ref().with_text(<[u8]>::len)
}

/// Formats the data and the options; long options are abbreviated.
fn shown(id: &CorrelationId, body: &Frames, options: &[u8]) -> String {
    assert_eq!(length(id), 36, "a UUID");
    assert_eq!(body.len(), 1);
    let options = if options.len() > 40 { "options" } else { text(options) };
    format!("{} {options}", text(body.get(0).unwrap()))
}

fn said_by_client(command: &FromClient) -> String {
    match command {
        FromClient::Request(request) => {
            let Request { service, timeout, redeliver, target, fresh, durable, body, .. } = request;
            assert!(!fresh && !durable && length(&request.id) == 36);
            let again = if *redeliver { ", may be redelivered" } else { "" };
            let one = if target.is_empty() { "" } else { ", for one worker" };
            let data = text(body.get(0).unwrap());
            match timeout {
                Timeout::After(span) => {
                    format!("client: request {service} {data} After({span:?}){again}{one}")
                }
                other => format!("client: request {service} {data} {other:?}{again}{one}"),
            }
        }
        FromClient::Heartbeat => "client: heartbeat".into(),
        FromClient::RequestKeepAlive { id } => {
            assert_eq!(length(id), 36);
            "client: still wanted".into()
        }
        other => panic!("{other:?}"),
    }
}

fn said_by_worker(command: &FromWorker) -> String {
    let (word, reply) = match command {
        FromWorker::Ready { service } => return format!("worker: ready {service}"),
        FromWorker::Heartbeat(status) => {
            return format!("worker: heartbeat {:?}", status.concurrency);
        }
        FromWorker::Disconnect => return "worker: disconnect".into(),
        FromWorker::Partial(reply) => ("partial", reply),
        FromWorker::Final(reply) => ("final", reply),
        FromWorker::Failed(reply) => ("failed", reply),
        FromWorker::Rejected(reply) => ("rejected", reply),
        other => panic!("{other:?}"),
    };
    assert!(reply.address.starts_with(b"C"));
    format!("worker: {word} {}", shown(&reply.id, &reply.body, &reply.options))
}

fn said_to_client(command: &ToClient) -> String {
    let (word, reply) = match command {
        ToClient::Heartbeat => return "to client: heartbeat".into(),
        ToClient::Partial(reply) => ("partial", reply),
        ToClient::Final(reply) => ("final", reply),
        ToClient::Failed(Outcome::Failed, reply) => ("failed", reply),
        ToClient::Failed(Outcome::Rejected, reply) => ("rejected", reply),
        other => panic!("{other:?}"),
    };
    format!("to client: {word} {}", shown(&reply.id, &reply.body, &reply.options))
}

fn said_to_worker(command: &ToWorker) -> String {
    match command {
        ToWorker::Registered { .. } => "to worker: registered".into(),
        ToWorker::Heartbeat => "to worker: heartbeat".into(),
        ToWorker::Request(request) => {
            assert!(request.address.starts_with(b"C"));
            let said = shown(&request.id, &request.body, &request.options);
            format!("to worker: request {} {said}", request.service)
        }
        other => panic!("{other:?}"),
    }
}
