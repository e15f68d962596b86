//! A worker that sends only heartbeats.

use std::time::Instant;

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, framed};

pub(super) const ATTACK: Attack = Attack {
    name: "heartbeats",
    what: "a worker that sends a million heartbeats, one of PIGATO as many, each of which is \
           answered",
    configure: |_, _| {},
    carry_out,
};

const HEARTBEATS: u64 = 1_000_000;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let count = arena.scale.of(HEARTBEATS);
    let before = arena.state()?;
    let newcomers = arena.newcomers();
    let began = Instant::now();
    let dialects: [[&[&[u8]]; 3]; 2] = [
        [
            &[b"", b"MDPW01", b"\x01", b"pulse"],
            &[b"", b"MDPW01", b"\x04"],
            &[b"", b"MDPW01", b"\x05"],
        ],
        [&[b"W", b"1", b"pulse"], &[b"W", b"4"], &[b"W", b"5"]],
    ];
    for (at, [ready, heartbeat, disconnect]) in (1..).zip(dialects) {
        let worker = Peer::connect(&arena.place)?;
        worker.send(ready)?;
        let worker = worker.flood()?;
        let heartbeat = framed(heartbeat);
        worker.say(count, |_, bytes| bytes.extend(&heartbeat))?;
        let lost = arena.state()?.since(&before, "workers_lost");
        if lost >= at {
            return Err("who says that it is there was lost".into());
        }
        // The disconnect follows all earlier messages.
        worker.say(1, |_, bytes| bytes.extend(framed(disconnect)))?;
        arena.wait_for_more(&before, "workers_lost", at)?;
        worker.close()?;
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / (2 * count) as f64;
    Ok(vec![Arena::longest_wait(newcomers)?, Figure::seen("a heartbeat takes", each, "us")])
}
