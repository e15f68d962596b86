//! Random messages and commands, from a seed that is printed where one fails.

use std::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    Concurrency, Form, Frames, FromClient, FromWorker, Label, Outcome, Reply, Request, Status,
    Timeout, ToClient, ToWorker, WorkerReply, WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Errors, Json, Side, Socket};

const MESSAGES: u64 = 200_000;
const COMMANDS: u64 = 20_000;

/// xorshift64*, so that a failure can be replayed anywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and the state must not be 0.
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A frame as peers write them, or nearly, or none at all like it.
    fn frame(&mut self) -> Vec<u8> {
        const USUAL: &[&[u8]] = &[
            b"",
            b"",
            b"",
            b"MDPC01",
            b"MDPW01",
            b"MDPC02",
            b"MDPW02",
            b"MDPC0X",
            b"MDPW0X",
            b"MDPC0",
            b"\xaa\xa4",
            b"\xaa\xa4\x01\x06MDPC02\x01\x04echo",
            b"\xaa\xa4\x06\x06MDPW02\x03",
            b"\xaa\xa4\x08\x06MDPW02\x05",
            b"\x06MDPC01\x04echo\x01a",
            b"C",
            b"echo",
            b"17",
            b"-1 no",
            b"\x01",
            b"\x02",
            b"\x03",
            b"\x04",
            b"\x05",
            b"\x06",
            b"W",
            b"0",
            b"-1",
            b"1",
            b"2",
            b"3",
            b"4",
            b"request",
            b"worker",
            b"undefined",
            b"null",
            b"{}",
            b"[]",
            b"\"a\"",
            b"{\"$base64\":\"AA==\"}",
            b"{\"timeout\":0,\"retry\":1}",
            b"{\"concurrency\":\"x\"}",
            b"{\"timeout\":{}}",
            b"{\"timeout\":1e400",
            b"[[[[",
        ];
        match self.below(10) {
            0 => {
                let length = self.below(300);
                self.bytes(length)
            }
            1 => {
                let length = self.below(3);
                self.bytes(length)
            }
            _ => self.pick(USUAL).to_vec(),
        }
    }

    /// Up to eight frames, the first ones often as they must be.
    fn message(&mut self) -> Frames {
        const BEGINNINGS: &[&[&[u8]]] = &[
            &[],
            &[b""],
            &[b"", b"MDPC01"],
            &[b"", b"MDPW01"],
            &[b"MDPC02"],
            &[b"", b"MDPC02"],
            &[b"MDPW02"],
            &[b"", b"MDPW02"],
            &[b"", b"MDPC0X"],
            &[b"", b"MDPW0X"],
            &[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo"],
            &[b"\xaa\xa4\x04\x06MDPW02\x01\x04echo"],
            &[b"\xaa\xa4\x07\x06MDPW02\x04"],
            &[b"C"],
            &[b"C", b"2", b"echo", b"r1"],
            &[b"C", b"3", b"", b"r1"],
            &[b"C", b"4"],
            &[b"W"],
            &[b"W", b"2", b"17", b"echo", b"", b"r1"],
            &[b"W", b"3", b"17", b""],
            &[b"W", b"3", b"17", b"r1"],
            &[b"W", b"4", b""],
            &[b"W", b"6", b"17", b"", b"r1", b"0"],
            &[b"W", b"7", b"17", b"", b"r1"],
        ];
        let mut frames: Vec<Vec<u8>> =
            self.pick(BEGINNINGS).iter().map(|frame| frame.to_vec()).collect();
        for _ in 0..self.below(7) {
            frames.push(self.frame());
        }
        Frames::from_slices(&frames)
    }

    /// The same in one frame, each frame a part, and mostly with the header of a dialect that is
    /// packed like that; or cut, or with a byte changed.
    fn packed(&mut self) -> Frames {
        let mut message = self.message();
        if message.get(0).is_some_and(<[u8]>::is_empty) && self.below(8) > 0 {
            message = message.skip(1);
        }
        let mut packed = Vec::new();
        for part in message.iter() {
            match u8::try_from(part.len()) {
                Ok(length) if length < 255 => packed.push(length),
                _ => {
                    packed.push(255);
                    packed.extend_from_slice(&(part.len() as u32).to_be_bytes());
                }
            }
            packed.extend_from_slice(part);
        }
        if !packed.is_empty() {
            let at = self.below(packed.len());
            match self.below(10) {
                0 => packed.truncate(at),
                1 => packed[at] = self.next() as u8,
                _ => {}
            }
        }
        Frames::from_slices(&[packed])
    }

    fn label(&mut self) -> Label {
        let length = 1 + self.below(60);
        let text: String = (0..length).map(|_| char::from(b' ' + self.below(95) as u8)).collect();
        Label::from(text.as_str())
    }

    fn identity(&mut self) -> Vec<u8> {
        const USUAL: &[&[u8]] =
            &[b"", b"CPPBqWA9", b"Wx-1908f7b8-8bcb-49d1-b09d-da2c553f70b7", b"\0\x01\x02\x03\x04"];
        self.pick(USUAL).to_vec()
    }

    /// One JSON text, and none that is nothing.
    fn json(&mut self) -> Frames {
        const USUAL: &[&str] = &["0", "-1.5e3", "true", "\"\"", "{}", "[]", "[1,[2,{\"a\":null}]]"];
        let text = match self.below(3) {
            0 => self.pick(USUAL).to_owned(),
            _ => serde_json::to_string(&self.label().to_string()).expect("a text"),
        };
        Frames::from_slices(&[text]).in_form(Form::Json, 0)
    }

    fn options(&mut self) -> Bytes {
        const USUAL: &[&str] = &["{}", "undefined", "null", "{\"foo\":\"bar\"}"];
        Bytes::from_static(self.pick(USUAL).as_bytes())
    }

    /// At least one frame, because majortomo turns none into one.
    fn body(&mut self) -> Frames {
        let count = 1 + self.below(10);
        let frames: Vec<Vec<u8>> = (0..count).map(|_| self.frame()).collect();
        Frames::from_slices(&frames)
    }
}

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

/// No message makes a decoder panic, and what it takes is written again as it was read.
#[test]
fn any_message_is_read_or_refused() {
    let mut taken = 0u64;
    for seed in 0..MESSAGES {
        let socket = if seed % 4 == 0 { Socket::Client } else { Socket::Dealer };
        let message = match socket {
            Socket::Client => Random::new(seed).packed(),
            Socket::Dealer => Random::new(seed).message(),
        };
        let identity = Random::new(seed).identity();
        for pinned in [None].into_iter().chain(Dialect::ALL.map(Some)) {
            match Codec::detect(&message, &identity, socket, pinned) {
                // A worker is known by its header, whatever follows it.
                Ok(codec)
                    if codec.side() == Side::Worker
                        && codec.decode_from_worker(message.clone()).is_err() => {}
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
            let _ = codec.decode_from_client(message.clone());
            let _ = codec.decode_from_worker(message.clone());
            let _ = codec.decode_to_client(message.clone());
            let _ = codec.decode_to_worker(message.clone());
        }
    }
    // Otherwise the generator has come to make nothing but rubbish.
    assert!(taken > MESSAGES / 20, "only {taken} messages were taken");
}

fn is_json(codec: Codec) -> bool {
    matches!(codec.dialect(), Dialect::Pigato | Dialect::Omdp)
}

/// What we write of what we read.
fn rewritten(codec: Codec, message: &Frames) -> Frames {
    match codec.side() {
        Side::Client => {
            let command = codec.decode_from_client(message.clone()).expect("it is right");
            written(|sink| codec.encode_from_client(&command, sink))
        }
        Side::Worker => {
            let command = codec.decode_from_worker(message.clone()).expect("it is right");
            written(|sink| codec.encode_from_worker(&command, sink).expect("it was read"))
        }
    }
}

#[track_caller]
fn check_rewritten(codec: Codec, message: &Frames, seed: u64) {
    let again = rewritten(codec, message);
    if is_json(codec) {
        // Frames that were left out are there now, and those that nobody knows are gone.
        assert_eq!(rewritten(codec, &again), again, "seed {seed}: {message:?}");
        return;
    }
    if codec.dialect() == Dialect::Gdp {
        // A length may take five bytes where one will do.
        assert_eq!(rewritten(codec, &again), again, "seed {seed}: {message:?}");
        assert!(again.bytes() <= message.bytes(), "seed {seed}: {message:?} {again:?}");
        return;
    }
    // Where it has no body, it gets its empty frame.
    let fills = matches!(codec.dialect(), Dialect::Majortomo | Dialect::Libmdp);
    let filled = fills && again.len() == message.len() + 1;
    let last = again.len().saturating_sub(usize::from(filled));
    assert!(message.iter().eq(again.iter().take(last)), "seed {seed}: {message:?} {again:?}");
}

/// What one end writes, the other reads as it was meant.
#[test]
fn commands_come_through() {
    for seed in 0..COMMANDS {
        let mut random = Random::new(seed);
        for dialect in Dialect::ALL {
            let client = Codec::new(dialect, Side::Client);
            let worker = Codec::new(dialect, Side::Worker);
            if is_json(client) {
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
    assert_eq!(codec.decode_from_client(message), Ok(request), "seed {seed}");

    let names_service = codec.dialect() != Dialect::Majortomo;
    let service = if names_service { random.label() } else { Label::empty() };
    let reply = Reply::new(service, random.body());
    let mut replies = vec![ToClient::Final(reply.clone())];
    if codec.has_partials() {
        replies.push(ToClient::Partial(reply));
    }
    for reply in replies {
        let message = written(|sink| codec.encode_to_client(&reply, sink));
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
        assert_eq!(codec.decode_from_worker(message), Ok(command), "seed {seed}");
    }

    let request =
        ToWorker::Request(WorkerRequest::new(random.label(), Label::empty(), random.body()));
    for command in [request, ToWorker::Heartbeat, ToWorker::Disconnect] {
        let message = written(|sink| codec.encode_to_worker(&command, sink));
        assert_eq!(codec.decode_to_worker(message), Ok(command), "seed {seed}");
    }
}

#[track_caller]
fn check_json_client(codec: Codec, random: &mut Random, seed: u64) {
    let of_pigato = codec.dialect() == Dialect::Pigato;
    let after = Timeout::After(Duration::from_millis(random.below(100_000) as u64));
    let request = Request {
        id: random.label(),
        timeout: if random.below(4) == 0 { Timeout::Never } else { after },
        redeliver: of_pigato && random.below(2) == 0,
        target: if random.below(2) == 0 { random.label() } else { Label::empty() },
        fresh: random.below(2) == 0,
        durable: random.below(2) == 0,
        ..Request::new(random.label(), random.json())
    };
    let asked = FromClient::Request(request.clone());
    let message = written(|sink| codec.encode_from_client(&asked, sink));
    // What it says is in the options, which go on as they are.
    let options = message.shared(5).expect("options");
    let read = codec.decode_from_client(message);
    assert_eq!(read, Ok(FromClient::Request(Request { options, ..request })), "seed {seed}");

    let mut commands = vec![FromClient::Heartbeat, FromClient::StillWanted { id: random.label() }];
    if of_pigato {
        commands.push(FromClient::Vouch { worker: random.label() });
    }
    for command in commands {
        let message = written(|sink| codec.encode_from_client(&command, sink));
        assert_eq!(codec.decode_from_client(message), Ok(command), "seed {seed}");
    }

    let options = if of_pigato { random.options() } else { Bytes::new() };
    let reply = Reply { id: random.label(), options, ..Reply::new("", random.json()) };
    let mut replies = vec![ToClient::Partial(reply.clone()), ToClient::Final(reply.clone())];
    // zmq-omdp has no error that is 0.
    if of_pigato || reply.body.get(0) != Some(b"0") {
        replies.push(ToClient::Failed(Outcome::Failed, reply));
    }
    for reply in replies {
        let message = written(|sink| codec.encode_to_client(&reply, sink));
        assert_eq!(codec.decode_to_client(message), Ok(reply), "seed {seed}");
    }
}

#[track_caller]
fn check_json_worker(codec: Codec, random: &mut Random, seed: u64) {
    let of_pigato = codec.dialect() == Dialect::Pigato;
    let options = if of_pigato { random.options() } else { Bytes::new() };
    let (id, body) = (random.label(), random.json());
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
        assert_eq!(codec.decode_from_worker(message), Ok(command), "seed {seed}");
    }

    let (service, options) = match of_pigato {
        true => (random.label(), random.options()),
        false => (Label::empty(), Bytes::new()),
    };
    let request = WorkerRequest::new(random.label(), service, random.json());
    let request = ToWorker::Request(WorkerRequest { id: random.label(), options, ..request });
    let wanted = ToWorker::StillWanted { address: random.label(), id: random.label() };
    let mut commands = vec![request, wanted, ToWorker::Heartbeat, ToWorker::Disconnect];
    if of_pigato {
        commands.push(ToWorker::Registered);
    }
    for command in commands {
        let message = written(|sink| codec.encode_to_worker(&command, sink));
        assert_eq!(codec.decode_to_worker(message), Ok(command), "seed {seed}");
    }
}

/// Whatever a body is, a peer whose form is JSON gets one JSON text of it.
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
                let message = written(|sink| codec.encode_to_client(&ToClient::Final(reply), sink));
                let data = message.get(if dialect == Dialect::Pigato { 5 } else { 4 });
                let read = serde_json::from_slice::<serde_json::Value>(data.expect("data"));
                assert!(read.is_ok(), "seed {seed}: {body:?} {message:?}");
            }
        }
    }
}

/// Whatever a peer calls JSON, one whose form is frames gets frames of it.
#[test]
fn any_json_becomes_frames() {
    for seed in 0..COMMANDS {
        let mut random = Random::new(seed);
        let frames: Vec<Vec<u8>> = (0..random.below(3)).map(|_| random.frame()).collect();
        let body = Frames::from_slices(&frames).in_form(Form::Json, 0);
        for dialect in [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo] {
            let codec = Codec::new(dialect, Side::Worker);
            let request = ToWorker::Request(WorkerRequest::new("17", "echo", body.clone()));
            let message = written(|sink| codec.encode_to_worker(&request, sink));
            assert!(codec.decode_to_worker(message).is_ok(), "seed {seed}: {body:?}");
        }
    }
}
