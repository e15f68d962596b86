//! Random tests of OMDP/1 commands and of nearly valid messages.

use std::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, Concurrency, CorrelationId, DisconnectReason, Frames, FromClient, FromWorker, Hello,
    Notice, Outcome, Priority, Reply, Request, Status, Timeout, ToClient, ToWorker, Welcome,
    WorkerReply, WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Side, pack_headers};

use crate::generator::Random;
use crate::{owned, to_worker, written};

const MUTATIONS: u64 = 50_000;

const CLIENT: Codec = Codec::new(Dialect::Omdp1, Side::Client);
const WORKER: Codec = Codec::new(Dialect::Omdp1, Side::Worker);

/// A command in any direction.
#[derive(Clone, Debug, PartialEq)]
enum Command {
    FromClient(FromClient),
    FromWorker(FromWorker),
    ToClient(ToClient),
    ToWorker(ToWorker),
}

impl Command {
    fn written(&self) -> Frames {
        written(|sink| match self {
            Command::FromClient(command) => CLIENT.encode_from_client(command, sink),
            Command::FromWorker(command) => {
                WORKER.encode_from_worker(command, sink).expect("it can be said");
            }
            Command::ToClient(command) => CLIENT.encode_to_client(&command.view(), sink),
            Command::ToWorker(command) => WORKER.encode_to_worker(&to_worker::view(command), sink),
        })
    }

    /// Returns true for a disconnect without a reason, which the broker encodes with a default
    /// text.
    fn is_unsaid(&self) -> bool {
        matches!(
            self,
            Command::ToClient(ToClient::Disconnect(DisconnectReason::Unsaid))
                | Command::ToWorker(ToWorker::Disconnect(DisconnectReason::Unsaid))
        )
    }
}

/// Returns the results of all decoders of a message.
fn readings(message: &Frames) -> impl Iterator<Item = Command> {
    [
        owned::from_client(CLIENT, message).map(Command::FromClient).ok(),
        owned::from_worker(WORKER, message).map(Command::FromWorker).ok(),
        CLIENT.decode_to_client(message.clone()).map(Command::ToClient).ok(),
        WORKER.decode_to_worker(message.clone()).map(Command::ToWorker).ok(),
    ]
    .into_iter()
    .flatten()
}

/// Every encoded command is decoded as the same command.
#[track_caller]
pub(crate) fn check(random: &mut Random, seed: u64) {
    for command in commands(random) {
        let message = command.written();
        assert!(readings(&message).any(|read| read == command), "seed {seed}: {command:?}");
    }
}

/// A mutated message is decoded or rejected, and a decoded command has a single encoding.
#[test]
fn what_is_nearly_a_command_is_read_or_refused() {
    let mut taken = 0u64;
    for seed in 0..MUTATIONS {
        let mut random = Random::new(seed);
        let commands = commands(&mut random);
        let command = &commands[random.below(commands.len())];
        let message = mutated(command.written(), &mut random);
        for read in readings(&message).filter(|read| !read.is_unsaid()) {
            taken += 1;
            let again = read.written();
            let same = readings(&again).any(|read| read.written() == again);
            assert!(same, "seed {seed}: {message:?} {again:?}");
        }
    }
    assert!(taken > MUTATIONS / 4, "only {taken} messages were taken");
}

fn mutated(message: Frames, random: &mut Random) -> Frames {
    let mut frames: Vec<Vec<u8>> = message.iter().map(<[u8]>::to_vec).collect();
    for _ in 0..1 + random.below(2) {
        let (head, octet) = (&mut frames[0], random.next() as u8);
        let at = random.below(head.len().max(1));
        match random.below(6) {
            0 => head.truncate(at),
            1 => head.insert(at.min(head.len()), octet),
            2 => head.extend(random.bytes(3)),
            3 => frames.push(random.frame()),
            _ => {
                if let Some(place) = head.get_mut(at) {
                    *place = octet;
                }
            }
        }
    }
    Frames::from_slices(&frames)
}

fn options(random: &mut Random) -> Bytes {
    let headers: Vec<_> = (0..random.below(3))
        .map(|at| {
            let length = random.below(200);
            (["traceparent", "x", "Content-Type"][at], random.bytes(length))
        })
        .collect();
    pack_headers(headers).expect("they are right")
}

fn id(random: &mut Random) -> CorrelationId {
    CorrelationId::Number(random.next() >> random.below(64))
}

fn ticket(random: &mut Random) -> ByteStr {
    ByteStr::from(&random.token().octets()[..])
}

fn span(random: &mut Random) -> Duration {
    Duration::from_millis(random.below(1_000_000) as u64)
}

fn number(random: &mut Random) -> u32 {
    match random.below(3) {
        0 => u32::MAX,
        _ => random.next() as u32,
    }
}

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())].clone()
}

/// Returns one command of each kind.
fn commands(random: &mut Random) -> Vec<Command> {
    let mut all: Vec<Command> = Vec::new();
    all.extend(from_client(random).map(Command::FromClient));
    all.extend(from_worker(random).map(Command::FromWorker));
    all.extend(to_client(random).map(Command::ToClient));
    all.extend(to_worker(random).map(Command::ToWorker));
    all
}

fn hello(random: &mut Random) -> Hello {
    let heartbeat = (random.below(2) == 0).then(|| span(random));
    let message_bytes_max = (random.below(2) == 0).then(|| 1 + random.below(1 << 30));
    Hello { heartbeat, message_bytes_max }
}

fn welcome(random: &mut Random) -> Welcome {
    Welcome {
        heartbeat: span(random),
        liveness: random.below(256) as u32,
        message_bytes_max: random.next(),
        frames_max: number(random),
        requests_max: number(random),
        broker: random.label(),
    }
}

fn from_client(random: &mut Random) -> impl Iterator<Item = FromClient> + use<> {
    let timeout = match random.below(3) {
        0 => Timeout::OfService,
        1 => Timeout::Never,
        _ => Timeout::After(span(random)),
    };
    let request = Request {
        id: id(random),
        timeout,
        redeliver: random.below(2) == 0,
        target: if random.below(2) == 0 { random.label() } else { ByteStr::empty() },
        fresh: random.below(2) == 0,
        durable: random.below(2) == 0,
        priority: Priority::new(random.below(10) as u8),
        credit: number(random),
        notices: random.below(2) == 0,
        options: options(random),
        ..Request::new(random.label(), random.body())
    };
    [
        FromClient::Hello(hello(random)),
        FromClient::Request(request),
        FromClient::Heartbeat,
        FromClient::RequestKeepAlive { id: id(random) },
        FromClient::Cancel { id: id(random) },
        FromClient::More { id: id(random), credit: number(random) },
        FromClient::Disconnect,
    ]
    .into_iter()
}

fn from_worker(random: &mut Random) -> impl Iterator<Item = FromWorker> + use<> {
    let reply =
        WorkerReply { options: options(random), ..WorkerReply::new(random.label(), random.body()) };
    let keep = (random.below(2) == 0).then(|| span(random) + Duration::from_millis(1));
    let concurrency = match random.below(4) {
        0 => Concurrency::Unlimited,
        _ => Concurrency::AtMost(random.below(1_000) as u32),
    };
    let status = Status { concurrency: Some(concurrency), publish: false };
    let code = 400 + random.below(600) as u16;
    [
        FromWorker::Hello(hello(random)),
        FromWorker::Ready { service: random.label() },
        FromWorker::Withdraw { service: random.label() },
        FromWorker::Withdraw { service: ByteStr::empty() },
        FromWorker::Partial(reply.clone()),
        FromWorker::Final(WorkerReply { keep, ..reply.clone() }),
        FromWorker::Failed(WorkerReply { code, ..reply.clone() }),
        FromWorker::Rejected(reply),
        FromWorker::AtWork { address: random.label() },
        FromWorker::HEARTBEAT,
        FromWorker::Heartbeat(status),
        FromWorker::Disconnect,
    ]
    .into_iter()
}

fn to_client(random: &mut Random) -> impl Iterator<Item = ToClient> + use<> {
    let reply = Reply {
        id: id(random),
        options: options(random),
        ..Reply::new(ByteStr::empty(), random.body())
    };
    let code = 400 + random.below(600) as u16;
    let told = [
        Outcome::Expired,
        Outcome::WorkerLost,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::NoSuchService,
        Outcome::Untranslatable,
    ];
    [
        ToClient::Welcome(welcome(random)),
        ToClient::Partial(reply.clone()),
        ToClient::Final(reply.clone()),
        ToClient::Failed(pick(random, &told), reply.clone()),
        ToClient::Failed(Outcome::Failed, Reply { code, ..reply }),
        ToClient::Notice { id: id(random), notice: pick(random, &Notice::ALL) },
        ToClient::Heartbeat,
        ToClient::Disconnect(pick(random, &DisconnectReason::ALL[1..])),
    ]
    .into_iter()
}

fn to_worker(random: &mut Random) -> impl Iterator<Item = ToWorker> + use<> {
    let request = WorkerRequest {
        deadline: (random.below(2) == 0).then(|| span(random)),
        attempt: 1 + random.below(255) as u32,
        priority: Priority::new(random.below(10) as u8),
        credit: number(random),
        options: options(random),
        ..WorkerRequest::new(ticket(random), random.label(), random.body())
    };
    let outcomes = [Outcome::Expired, Outcome::Cancelled];
    [
        ToWorker::Welcome(welcome(random)),
        ToWorker::Registered { service: random.label(), worker: random.label() },
        ToWorker::Request(request),
        ToWorker::RequestKeepAlive { address: ticket(random), id: CorrelationId::NONE },
        ToWorker::More { address: ticket(random), credit: number(random) },
        ToWorker::Capacity { concurrency: Concurrency::AtMost(random.below(1 << 31) as u32) },
        ToWorker::Cancel { address: ticket(random), outcome: pick(random, &outcomes) },
        ToWorker::Heartbeat,
        ToWorker::Disconnect(pick(random, &DisconnectReason::ALL[1..])),
    ]
    .into_iter()
}
