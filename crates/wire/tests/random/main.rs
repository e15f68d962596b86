//! Tests with random messages and commands. The seed of a failure is printed.

mod generator;
mod omdp1;
#[path = "../owned/mod.rs"]
mod owned;
#[path = "../to_worker/mod.rs"]
mod to_worker;

use std::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, Concurrency, DisconnectReason, Form, Frames, FromClient, FromWorker, Outcome, Reply,
    Request, Status, Timeout, ToClient, ToClientView, ToWorker, WorkerReply, WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Errors, Json, Scratch, Side, Socket};

use generator::Random;

const MESSAGES: u64 = 200_000;
const COMMANDS: u64 = 20_000;

fn codecs() -> impl Iterator<Item = Codec> {
    Dialect::ALL.into_iter().flat_map(|dialect| {
        [Side::Client, Side::Worker].into_iter().flat_map(move |side| {
            let codec = Codec::new(dialect, side);
            [codec, codec.with_errors(Errors::Final)]
        })
    })
}

fn written(write: impl FnOnce(&mut Vec<Bytes>)) -> Frames {
    let mut frames = Vec::new();
    write(&mut frames);
    Frames::from_slices(&frames)
}

/// No message makes a decoder panic, and every accepted message is encoded as it was decoded.
#[test]
fn any_message_is_read_or_refused() {
    let mut taken = 0u64;
    let mut scratch = Scratch::default();
    for seed in 0..MESSAGES {
        let socket = if seed % 4 == 0 { Socket::Client } else { Socket::Dealer };
        let message = match socket {
            Socket::Client => Random::new(seed).packed(),
            Socket::Dealer => Random::new(seed).message(),
        };
        let identity = Random::new(seed).identity();
        for pinned in [None].into_iter().chain(Dialect::ALL.map(Some)) {
            match Codec::detect(message.view(), &identity, socket, pinned) {
                // A worker is detected by its header, whatever follows.
                Ok(codec)
                    if codec.side() == Side::Worker
                        && owned::from_worker(codec, &message).is_err() => {}
                Ok(codec) => {
                    taken += 1;
                    check_rewritten(codec, &message, seed);
                }
                Err(error) => {
                    assert!(error.frame().is_none_or(|at| at <= message.len()), "seed {seed}");
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        for codec in codecs() {
            let _ = codec.decode_from_client(message.view(), &mut scratch);
            let _ = codec.decode_from_worker(message.view(), &mut scratch);
            let _ = codec.decode_to_client(message.clone());
            let _ = codec.decode_to_worker(message.clone());
        }
    }
    // Otherwise the generator generates only invalid messages.
    assert!(taken > MESSAGES / 20, "only {taken} messages were taken");
}

fn is_json(codec: Codec) -> bool {
    matches!(codec.dialect(), Dialect::Pigato | Dialect::Omdp)
}

/// Decodes a message and encodes the result.
fn rewritten(codec: Codec, message: &Frames) -> Frames {
    match codec.side() {
        Side::Client => {
            let command = owned::from_client(codec, message).expect("it is right");
            written(|sink| codec.encode_from_client(&command, sink))
        }
        Side::Worker => {
            let command = owned::from_worker(codec, message).expect("it is right");
            written(|sink| codec.encode_from_worker(&command, sink).expect("it was read"))
        }
    }
}

#[track_caller]
fn check_rewritten(codec: Codec, message: &Frames, seed: u64) {
    let again = rewritten(codec, message);
    if codec.dialect() == Dialect::Omdp1 {
        // Extensions of HELLO by a later version are not encoded.
        assert_eq!(rewritten(codec, &again), again, "seed {seed}: {message:?}");
        return;
    }
    if is_json(codec) {
        // Missing frames are added, and unknown frames are removed.
        assert_eq!(rewritten(codec, &again), again, "seed {seed}: {message:?}");
        return;
    }
    if codec.dialect() == Dialect::Gdp {
        // A length may take five bytes although one suffices.
        assert_eq!(rewritten(codec, &again), again, "seed {seed}: {message:?}");
        assert!(again.bytes() <= message.bytes(), "seed {seed}: {message:?} {again:?}");
        return;
    }
    // An empty body is written as one empty frame.
    let fills = matches!(codec.dialect(), Dialect::Majortomo | Dialect::Libmdp);
    let filled = fills && again.len() == message.len() + 1;
    let last = again.len().saturating_sub(usize::from(filled));
    assert!(message.iter().eq(again.iter().take(last)), "seed {seed}: {message:?} {again:?}");
}

/// Every encoded command is decoded as the same command.
#[test]
fn commands_come_through() {
    for seed in 0..COMMANDS {
        let mut random = Random::new(seed);
        for dialect in Dialect::ALL {
            let client = Codec::new(dialect, Side::Client);
            let worker = Codec::new(dialect, Side::Worker);
            if dialect == Dialect::Omdp1 {
                omdp1::check(&mut random, seed);
            } else if is_json(client) {
                check_json_client(client, &mut random, seed);
                check_json_worker(worker, &mut random, seed);
            } else {
                check_client(client, &mut random, seed);
                check_worker(worker, &mut random, seed);
            }
        }
    }
}

#[track_caller]
fn check_client(codec: Codec, random: &mut Random, seed: u64) {
    let request = FromClient::Request(Request::new(&*random.label(), random.body()));
    let message = written(|sink| codec.encode_from_client(&request, sink));
    assert_eq!(owned::from_client(codec, &message), Ok(request), "seed {seed}");

    let names_service = codec.dialect() != Dialect::Majortomo;
    let service = if names_service { random.label() } else { ByteStr::empty() };
    let reply = Reply::new(service, random.body());
    let mut replies = vec![ToClient::Final(reply.clone())];
    if codec.has_partials() {
        replies.push(ToClient::Partial(reply));
    }
    for reply in replies {
        let message = written(|sink| codec.encode_to_client(&reply.view(), sink));
        let read = match reply {
            ToClient::Final(reply) if !codec.has_finals() => ToClient::Partial(reply),
            reply => reply,
        };
        assert_eq!(codec.decode_to_client(message), Ok(read), "seed {seed}");
    }
}

#[track_caller]
fn check_worker(codec: Codec, random: &mut Random, seed: u64) {
    let reply = WorkerReply::new(random.label(), random.body());
    let mut commands = vec![
        FromWorker::Ready { service: random.label() },
        FromWorker::Final(reply.clone()),
        FromWorker::HEARTBEAT,
        FromWorker::Disconnect,
    ];
    if codec.has_partials() {
        commands.push(FromWorker::Partial(reply));
    }
    for command in commands {
        let message =
            written(|sink| codec.encode_from_worker(&command, sink).expect("it can be said"));
        assert_eq!(owned::from_worker(codec, &message), Ok(command), "seed {seed}");
    }

    let request = ToWorker::Request(WorkerRequest::new(
        random.token().to_label(),
        ByteStr::empty(),
        random.body(),
    ));
    for command in [request, ToWorker::Heartbeat, ToWorker::Disconnect(DisconnectReason::Unsaid)] {
        let message = written(|sink| codec.encode_to_worker(&to_worker::view(&command), sink));
        assert_eq!(codec.decode_to_worker(message), Ok(command), "seed {seed}");
    }
}

#[track_caller]
fn check_json_client(codec: Codec, random: &mut Random, seed: u64) {
    let of_pigato = codec.dialect() == Dialect::Pigato;
    let after = Timeout::After(Duration::from_millis(random.below(100_000) as u64));
    let request = Request {
        id: random.id(),
        timeout: if random.below(4) == 0 { Timeout::Never } else { after },
        redeliver: of_pigato && random.below(2) == 0,
        target: if random.below(2) == 0 { random.label() } else { ByteStr::empty() },
        fresh: random.below(2) == 0,
        durable: random.below(2) == 0,
        ..Request::new(random.label(), random.json())
    };
    let asked = FromClient::Request(request.clone());
    let message = written(|sink| codec.encode_from_client(&asked, sink));
    // The encoded options are kept beside the decoded fields.
    let options = message.shared(5).expect("options");
    let read = owned::from_client(codec, &message);
    assert_eq!(read, Ok(FromClient::Request(Request { options, ..request })), "seed {seed}");

    let mut commands =
        vec![FromClient::Heartbeat, FromClient::RequestKeepAlive { id: random.id() }];
    if of_pigato {
        commands.push(FromClient::WorkerKeepAlive { worker: random.label() });
    }
    for command in commands {
        let message = written(|sink| codec.encode_from_client(&command, sink));
        assert_eq!(owned::from_client(codec, &message), Ok(command), "seed {seed}");
    }

    let options = if of_pigato { random.options() } else { Bytes::new() };
    let reply = Reply { id: random.id(), options, ..Reply::new("", random.json()) };
    let mut replies = vec![ToClient::Partial(reply.clone()), ToClient::Final(reply.clone())];
    // zmq-omdp has no error of 0.
    if of_pigato || reply.body.get(0) != Some(b"0") {
        replies.push(ToClient::Failed(Outcome::Failed, reply));
    }
    for reply in replies {
        let message = written(|sink| codec.encode_to_client(&reply.view(), sink));
        assert_eq!(codec.decode_to_client(message), Ok(reply), "seed {seed}");
    }
}

#[track_caller]
fn check_json_worker(codec: Codec, random: &mut Random, seed: u64) {
    let of_pigato = codec.dialect() == Dialect::Pigato;
    let options = if of_pigato { random.options() } else { Bytes::new() };
    let (id, body) = (random.id(), random.json());
    let reply = WorkerReply { id, options, ..WorkerReply::new(random.label(), body) };
    let mut commands = vec![
        FromWorker::Ready { service: random.label() },
        FromWorker::Partial(reply.clone()),
        FromWorker::Final(reply.clone()),
        FromWorker::HEARTBEAT,
        FromWorker::Disconnect,
    ];
    if of_pigato || reply.body.get(0) != Some(b"0") {
        commands.push(FromWorker::Failed(reply.clone()));
    }
    if of_pigato {
        let concurrency = Some(Concurrency::AtMost(random.below(1_000) as u32));
        let status = Status { concurrency, publish: random.below(2) == 0 };
        commands.extend([FromWorker::Rejected(reply), FromWorker::Heartbeat(status)]);
    }
    for command in commands {
        let message =
            written(|sink| codec.encode_from_worker(&command, sink).expect("it can be said"));
        assert_eq!(owned::from_worker(codec, &message), Ok(command), "seed {seed}");
    }

    let (service, options) = match of_pigato {
        true => (random.label(), random.options()),
        false => (ByteStr::empty(), Bytes::new()),
    };
    let request = WorkerRequest::new(random.token().to_label(), service, random.json());
    let request = ToWorker::Request(WorkerRequest { id: random.id(), options, ..request });
    let wanted = ToWorker::RequestKeepAlive { address: random.token().to_label(), id: random.id() };
    let mut commands =
        vec![request, wanted, ToWorker::Heartbeat, ToWorker::Disconnect(DisconnectReason::Unsaid)];
    if of_pigato {
        commands.push(ToWorker::Registered { service: ByteStr::empty(), worker: ByteStr::empty() });
    }
    for command in commands {
        let message = written(|sink| codec.encode_to_worker(&to_worker::view(&command), sink));
        assert_eq!(codec.decode_to_worker(message), Ok(command), "seed {seed}");
    }
}

/// Every body is translated to one JSON text for a peer with JSON bodies.
#[test]
fn any_frames_become_json() {
    for seed in 0..COMMANDS {
        let mut random = Random::new(seed);
        let frames: Vec<Vec<u8>> = (0..random.below(4)).map(|_| random.frame()).collect();
        let body = Frames::from_slices(&frames);
        for dialect in [Dialect::Pigato, Dialect::Omdp] {
            for json in [Json::Auto, Json::String] {
                let codec = Codec::new(dialect, Side::Client).with_json(json);
                let asked = random.below(2) as u8;
                let reply = Reply { asked, id: "r1".into(), ..Reply::new("", body.clone()) };
                let message = written(|sink| {
                    codec.encode_to_client(&ToClientView::Final(reply.view()), sink)
                });
                let data = message.get(if dialect == Dialect::Pigato { 5 } else { 4 });
                let read = serde_json::from_slice::<serde_json::Value>(data.expect("data"));
                assert!(read.is_ok(), "seed {seed}: {body:?} {message:?}");
            }
        }
    }
}

/// Every JSON body is translated to frames for a peer with frames.
#[test]
fn any_json_becomes_frames() {
    for seed in 0..COMMANDS {
        let mut random = Random::new(seed);
        let frames: Vec<Vec<u8>> = (0..random.below(3)).map(|_| random.frame()).collect();
        let body = Frames::from_slices(&frames).in_form(Form::Json, 0);
        for dialect in [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo] {
            let codec = Codec::new(dialect, Side::Worker);
            let request = ToWorker::Request(WorkerRequest::new("17", "echo", body.clone()));
            let message = written(|sink| codec.encode_to_worker(&to_worker::view(&request), sink));
            assert!(codec.decode_to_worker(message).is_ok(), "seed {seed}: {body:?}");
        }
    }
}
