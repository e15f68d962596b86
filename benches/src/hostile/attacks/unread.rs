//! Peers that do not read their messages.

use std::collections::BTreeSet;
use std::net::Shutdown;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use majordomus_core::{Concurrency, FromWorker, Status};
use majordomus_wire::Dialect;
use majordomus_zmtp::{Metadata, SocketType};

use crate::figure::{Figure, MIB};
use crate::hostile::arena::{Arena, State};
use crate::hostile::honest::{self, Times};
use crate::hostile::{Attack, pause};
use crate::peer::{PATIENCE, Peer, connect_ipc, framed, on_stream, worker_frames};
use crate::text;

pub(super) const ATTACK: Attack = Attack {
    name: "unread",
    what: "clients that ask for a stream of a gibibyte and read none of it, one that reads it late, \
           and a worker that reads none of its requests",
    configure: |scale, config| {
        config.core.stall_timeout = scale.pick(Duration::from_secs(1), Duration::from_millis(500));
        // At full scale, this is the default.
        config.connections.unsent_bytes_max =
            scale.pick(config.connections.unsent_bytes_max, 1 << 20);
    },
    carry_out,
};

/// The number of parts of the stream, and the size of a part.
const PARTS: u64 = 16_384;
const PART_BYTES: usize = 64 << 10;
/// The size of the smallest parts that the broker forwards without a copy, in the memory into which
/// they were read.
const SMALL_PART_BYTES: usize = 8 << 10;
/// The number of alternating rounds with and without a client that does not read.
const ROUNDS: u64 = 15;
/// The size of another connection's messages between two small parts, so that each part is read
/// into separate memory.
const CHATTER_BYTES: usize = 48 << 10;
/// The maximum memory for the stream beyond `unsent_bytes_max`: an incoming part, an outgoing part,
/// and one read.
const BESIDE_MIB: f64 = 1.0;
/// The maximum slowdown of honest requests in the meantime, in percent.
const SLOWER_PERCENT_MAX: f64 = 20.0;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let unsent_mib: f64 = arena.scale.pick(8.0, 1.0);
    let (mut attacked, mut quiet, mut samples) = (Vec::new(), Vec::new(), 0);
    let (mut live, mut taken) = (0, 0);
    for _ in 0..arena.scale.pick(ROUNDS, 1) {
        let before = arena.state()?;
        let unread = never_read(arena, &before, PART_BYTES)?;
        let beside = arena.beside();
        // The broker's state is queried as often as with a client that does not read.
        for _ in 0..unread.looks {
            arena.state()?;
            pause();
        }
        samples += unread.times.count();
        attacked.push(unread.times.p99());
        quiet.push(beside.stop()?.p99());
        live = live.max(unread.live_bytes);
        taken = taken.max(unread.parts);
    }
    let before = arena.state()?;
    let small = never_read(arena, &before, SMALL_PART_BYTES)?.live_bytes as f64 / MIB;
    let [attacked, quiet] = [attacked, quiet].map(median);
    let slower = 100.0 * (attacked.as_secs_f64() / quiet.as_secs_f64() - 1.0);
    let of = format!("p99 of {samples} is {:.0} us, and so much more", quiet.as_secs_f64() * 1e6);
    let per_second = read_late(arena, unsent_mib)?;
    deaf_worker(arena, unsent_mib)?;
    let most = unsent_mib + BESIDE_MIB;
    let taken = taken as f64 * PART_BYTES as f64 / MIB;
    Ok(vec![
        Figure::at_most(most, "live bytes of a stream that is not read", live as f64 / MIB, "MiB"),
        Figure::at_most(most, "what the broker takes of it", taken, "MiB"),
        Figure::at_most(most, "live bytes of one in small parts", small, "MiB"),
        Figure::at_most(SLOWER_PERCENT_MAX, of, slower, "%"),
        Figure::seen("the stream that is read late", per_second, "MiB/s"),
    ])
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The effects of a client that does not read.
struct Unread {
    /// The times of honest requests in the meantime.
    times: Times,
    /// The maximum growth of live bytes.
    live_bytes: u64,
    /// The number of parts that the broker accepted.
    parts: u64,
    /// The number of queries of the broker's state.
    looks: u64,
}

/// Runs a client that does not read until the broker closes it. Then it must read the first parts
/// without a gap.
fn never_read(arena: &mut Arena, before: &State, part_bytes: usize) -> Result<Unread, String> {
    let beside = arena.beside();
    let (mut client, feeder) = stream(arena, part_bytes)?;
    let (mut live_bytes, mut looks) = (0, 0);
    let began = Instant::now();
    let cut = loop {
        let state = arena.state()?;
        looks += 1;
        live_bytes = live_bytes.max(state.since(before, "live_bytes"));
        if state.since(before, "closed.slow_reader") == 1 {
            break state;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("a client that does not read is not cut: {state:?}"));
        }
        pause();
    };
    let times = beside.stop()?;
    let parts = cut.since(before, "partials");
    feeder.stop()?;
    let read = read_in_order(&mut client, part_bytes)?;
    if read.parts == 0 || read.parts > parts || read.is_whole {
        return Err(format!("{} parts of {parts} were read", read.parts));
    }
    Ok(Unread { times, live_bytes, parts, looks })
}

/// Runs a client that starts to read when its unsent bytes reach the maximum. Returns its reading
/// rate in MiB per second.
fn read_late(arena: &mut Arena, unsent_mib: f64) -> Result<f64, String> {
    let before = arena.state()?;
    let (mut client, feeder) = stream(arena, PART_BYTES)?;
    let full = (unsent_mib * MIB) as u64 / PART_BYTES as u64;
    arena.wait_for("the client to be full", |now| now.since(&before, "partials") > full)?;
    let began = Instant::now();
    let read = read_in_order(&mut client, PART_BYTES)?;
    let parts = arena.scale.of(PARTS);
    if read.parts != parts || !read.is_whole {
        return Err(format!("{} parts of {parts} were read, and it was cut", read.parts));
    }
    feeder.stop()?;
    Ok((parts as f64 * PART_BYTES as f64 / MIB) / began.elapsed().as_secs_f64())
}

/// Runs a worker that accepts requests without reading them. It is closed, and another worker gets
/// all of its requests.
fn deaf_worker(arena: &mut Arena, unsent_mib: f64) -> Result<(), String> {
    let before = arena.state()?;
    let worker = Peer::shake_hands(connect_ipc(&arena.place)?, Metadata::new(SocketType::Dealer))?;
    let any_number = Status { concurrency: Some(Concurrency::Unlimited), ..Status::NOTHING };
    for says in [
        FromWorker::Hello(Default::default()),
        FromWorker::Ready { service: "deaf".into() },
        FromWorker::Heartbeat(any_number),
    ] {
        worker.write(&on_stream(&worker_frames(Dialect::Omdp1, &says))).map_err(text)?;
    }
    arena.wait_for_more(&before, "workers_registered", 1)?;
    let requests = 2 * (unsent_mib * MIB) as u64 / PART_BYTES as u64;
    let beside = arena.beside();
    let mut client = Peer::connect(&arena.place)?;
    for number in 0..requests {
        client.send(&[b"MDPC02", b"\x01", b"deaf", &part(number, PART_BYTES)])?;
    }
    let cut = arena.wait_for_more(&before, "closed.slow_reader", 1)?;
    if cut.since(&before, "redelivered") == 0 {
        return Err("it was given nothing".into());
    }
    let _hears = honest::worker(&arena.place, "deaf")?;
    let mut missing: BTreeSet<u64> = (0..requests).collect();
    while !missing.is_empty() {
        let message = client.receive()?.ok_or("a client was cut")?;
        let number = message.iter().last().and_then(|part| number(part, PART_BYTES));
        if message.frame(1) != b"\x03" || !number.is_some_and(|number| missing.remove(&number)) {
            return Err(format!("a reply to {number:?} was not asked for, or came twice"));
        }
    }
    beside.stop().map(drop)
}

/// Returns a client that has requested a stream, and the worker that is sending it.
fn stream(arena: &Arena, part_bytes: usize) -> Result<(Peer, Feeder), String> {
    let mut worker = Peer::connect(&arena.place)?;
    worker.send(&[b"MDPW02", b"\x01", b"stream"])?;
    let dealer = Metadata::new(SocketType::Dealer);
    let client = Peer::shake_hands(connect_ipc(&arena.place)?, dealer)?;
    client.send(&[b"MDPC02", b"\x01", b"stream", b"all of it"])?;
    let request = worker.receive()?.ok_or("a worker was cut")?;
    let token = request.frame(2).to_vec();
    let parts = arena.scale.of(PARTS) * (PART_BYTES / part_bytes) as u64;
    let socket = worker.socket().try_clone().map_err(text)?;
    let chatters = Peer::connect(&arena.place)?;
    chatters.send(&[b"", b"MDPW01", b"\x01", b"chatter"])?;
    let heartbeat = framed(&[b"", b"MDPW01", b"\x04"]);
    let chatter = match part_bytes {
        SMALL_PART_BYTES => heartbeat.repeat(CHATTER_BYTES / heartbeat.len()),
        _ => Vec::new(),
    };
    let writes = std::thread::spawn(move || {
        for number in 0..parts {
            let says = framed(&[b"MDPW02", b"\x03", &token, b"", &part(number, part_bytes)]);
            // The worker is stopped after its client is gone.
            if worker.write(&says).is_err() || chatters.write(&chatter).is_err() {
                return;
            }
        }
        let _ = worker.write(&framed(&[b"MDPW02", b"\x04", &token, b"", b"all"]));
    });
    Ok((client, Feeder { socket, writes }))
}

/// A worker that sends a stream.
struct Feeder {
    socket: socket2::Socket,
    writes: JoinHandle<()>,
}

impl Feeder {
    fn stop(self) -> Result<(), String> {
        self.socket.shutdown(Shutdown::Both).map_err(text)?;
        self.writes.join().map_err(|_| "a worker panicked".to_string())
    }
}

/// Returns a part of a stream, or a request, that starts with its number.
fn part(number: u64, bytes: usize) -> Vec<u8> {
    let mut part = number.to_be_bytes().to_vec();
    part.resize(bytes, b'.');
    part
}

fn number(part: &[u8], bytes: usize) -> Option<u64> {
    (part.len() == bytes).then(|| u64::from_be_bytes(*part.first_chunk().unwrap_or(&[0; 8])))
}

/// The part of a stream that a client has read.
struct Read {
    parts: u64,
    /// True if the final part was read.
    is_whole: bool,
}

/// Reads to the final part, or until the connection is closed. Fails if a part is missing.
fn read_in_order(client: &mut Peer, part_bytes: usize) -> Result<Read, String> {
    let mut parts = 0;
    while let Some(message) = client.receive()? {
        if message.frame(1) == b"\x03" {
            return Ok(Read { parts, is_whole: true });
        }
        match message.iter().last().and_then(|part| number(part, part_bytes)) {
            Some(number) if number == parts => parts += 1,
            other => return Err(format!("part {other:?} came in the place of {parts}")),
        }
    }
    Ok(Read { parts, is_whole: false })
}
