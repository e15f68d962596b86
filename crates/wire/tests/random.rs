//! Random messages and commands, from a seed that is printed where one fails.

use bytes::Bytes;
use majordomus_core::{
    Frames, FromClient, FromWorker, Label, Reply, Request, ToClient, ToWorker, WorkerReply,
    WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Errors, Side};

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
            b"", b"", b"", b"MDPC01", b"MDPW01", b"MDPC02", b"MDPW02", b"MDPC0X", b"MDPC0", b"C",
            b"echo", b"17", b"-1 no", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x06",
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
        ];
        let mut frames: Vec<Vec<u8>> =
            self.pick(BEGINNINGS).iter().map(|frame| frame.to_vec()).collect();
        for _ in 0..self.below(7) {
            frames.push(self.frame());
        }
        Frames::from_slices(&frames)
    }

    fn label(&mut self) -> Label {
        let length = 1 + self.below(60);
        let text: String = (0..length).map(|_| char::from(b' ' + self.below(95) as u8)).collect();
        Label::from(text.as_str())
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
        let message = Random::new(seed).message();
        for pinned in [None, Some(Dialect::Mdp01), Some(Dialect::Mdp02), Some(Dialect::Majortomo)] {
            match Codec::detect(&message, pinned) {
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

#[track_caller]
fn check_rewritten(codec: Codec, message: &Frames, seed: u64) {
    let again = match codec.side() {
        Side::Client => {
            let command = codec.decode_from_client(message.clone()).expect("it was detected");
            written(|sink| codec.encode_from_client(&command, sink))
        }
        Side::Worker => {
            let command = codec.decode_from_worker(message.clone()).expect("it was detected");
            written(|sink| codec.encode_from_worker(&command, sink).expect("it was read"))
        }
    };
    // A reply without a body, of a majortomo worker, gets its empty frame.
    let filled = codec.dialect() == Dialect::Majortomo && again.len() == message.len() + 1;
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
            check_client(client, &mut random, seed);
            check_worker(worker, &mut random, seed);
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
    let reply = Reply { service, id: Label::empty(), body: random.body() };
    let mut replies = vec![ToClient::Final(reply.clone())];
    if codec.has_partials() {
        replies.push(ToClient::Partial(reply));
    }
    for reply in replies {
        let message = written(|sink| codec.encode_to_client(&reply, sink));
        assert_eq!(codec.decode_to_client(message), Ok(reply), "seed {seed}");
    }
}

#[track_caller]
fn check_worker(codec: Codec, random: &mut Random, seed: u64) {
    let reply = WorkerReply { address: random.label(), id: Label::empty(), body: random.body() };
    let mut commands = vec![
        FromWorker::Ready { service: random.label() },
        FromWorker::Final(reply.clone()),
        FromWorker::Heartbeat,
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

    let request = ToWorker::Request(WorkerRequest {
        address: random.label(),
        service: Label::empty(),
        id: Label::empty(),
        body: random.body(),
    });
    for command in [request, ToWorker::Heartbeat, ToWorker::Disconnect] {
        let message = written(|sink| codec.encode_to_worker(&command, sink));
        assert_eq!(codec.decode_to_worker(message), Ok(command), "seed {seed}");
    }
}
