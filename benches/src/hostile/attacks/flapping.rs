//! A flapping worker, which connects and disconnects repeatedly.

use std::time::Instant;

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, framed};

pub(super) const ATTACK: Attack = Attack {
    name: "flapping",
    what: "a worker that registers and leaves 100,000 times, each time for another service",
    configure: |_, _| {},
    carry_out,
};

const TIMES: u64 = 100_000;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let times = arena.scale.of(TIMES);
    let before = arena.state()?;
    let beside = arena.beside();
    let began = Instant::now();
    let worker = Peer::connect(&arena.place)?.flood()?;
    worker.say(times, |number, bytes| {
        let service = format!("flapping-{number}");
        bytes.extend(framed(&[b"", b"MDPW01", b"\x01", service.as_bytes()]));
        bytes.extend(framed(&[b"", b"MDPW01", b"\x05"]));
    })?;
    arena.wait_for_more(&before, "workers_lost", times)?;
    let after = arena.wait_for_more(&before, "workers_registered", times)?;
    let each = began.elapsed().as_secs_f64() * 1e6 / times as f64;
    worker.close()?;
    beside.stop()?;
    if after.get("services") != before.get("services") {
        return Err(format!("{} services are known", after.get("services")));
    }
    Ok(vec![Figure::seen("each time takes", each, "us")])
}
