//! More connections than the broker may have open files.

use std::time::Instant;

use crate::figure::Figure;
use crate::hostile::arena::Arena;
use crate::hostile::{Attack, pause};
use crate::peer::{Peer, connect, read_to_end};

pub(super) const ATTACK: Attack = Attack {
    name: "open-files",
    what: "connections that say nothing, and then connections that say something and stay, until \
           no open file is left in the broker, and 500 more",
    configure: |_, _| {},
    carry_out,
};

/// The limit of open files.
const OPEN_FILES: u64 = 1_000;
/// The number of connections that the system accepts but the broker cannot.
const MORE: u64 = 500;
/// The number of requests of the honest client in the meantime, about a hundred per second.
const REQUESTS: u64 = 500;
/// The maximum CPU share of the reactor, including these requests, in percent.
const PROCESSOR_PERCENT_MAX: f64 = 20.0;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let [files, more] = [OPEN_FILES, MORE].map(|count| arena.scale.of(count).max(20));
    let most = arena.open_files(u64::MAX)? + files;
    arena.limit_open_files(most)?;
    let before = arena.state()?;
    let newcomers = arena.newcomers();
    let silent = (0..files + more).map(|_| connect(&arena.place)).collect::<Result<Vec<_>, _>>()?;
    // The oldest connections are closed to make room for new ones.
    arena.wait_for("the oldest to be cut", |now| {
        now.since(&before, "closed.no_open_files") >= more
    })?;
    let newcomers = Arena::longest_wait(newcomers)?;
    arena.wait_for("new clients to be gone", |now| now.get("peers") == before.get("peers"))?;
    let mut peers = Vec::new();
    while arena.open_files(most)? < most {
        let mut peer = Peer::connect(&arena.place)?;
        peer.send(&[b"", b"MDPC01", b"mmi.service", b"nobody"])?;
        peer.receive()?.ok_or("a client that asks was cut")?;
        peers.push(peer);
    }
    for socket in &silent {
        read_to_end(socket)?;
    }

    let full = arena.state()?;
    let waiting = (0..more).map(|_| connect(&arena.place)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    for _ in 0..arena.scale.of(REQUESTS) {
        arena.echo()?;
        pause();
    }
    let state = arena.state()?;
    if state.since(&full, "accepted") > 0 || state.get("connections") < full.get("connections") {
        return Err(format!("who had asked made room: {state:?}"));
    }
    let processor_us = state.since(&full, "reactor_us") as f64;
    let percent = 100.0 * processor_us / began.elapsed().as_micros() as f64;
    drop((peers, waiting));
    let what = "processor time without an open file";
    Ok(vec![newcomers, Figure::at_most(PROCESSOR_PERCENT_MAX, what, percent, "%")])
}
