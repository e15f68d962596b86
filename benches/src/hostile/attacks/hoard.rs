//! A client that exceeds its limit of requests, for a service without a worker.

use super::waiting;
use crate::figure::{Figure, MIB};
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, framed, greeted_client};

pub(super) const ATTACK: Attack = Attack {
    name: "hoard",
    what: "a client that makes a million requests for what nobody serves, one that is told of \
           limits and one that cannot be told",
    configure: |scale, config| {
        let limits = &mut config.core.limits;
        limits.client_requests_max = scale.of(limits.client_requests_max as u64) as usize;
    },
    carry_out,
};

const REQUESTS: u64 = 1_000_000;
/// The default maximum number of requests of a client.
const TAKEN: u64 = 20_000;
/// The default maximum size of all requests of a client, in MiB.
const HELD_MIB_MAX: f64 = 128.0;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let (requests, taken) = (arena.scale.of(REQUESTS), arena.scale.of(TAKEN));
    let before = arena.state()?;
    let beside = arena.beside();
    let told = greeted_client(&arena.place)?.flood()?;
    told.say(requests, |number, bytes| bytes.extend(waiting("nobody", number)))?;
    let full = arena.wait_for_more(&before, "outcome.refused", requests - taken)?;
    if full.get("requests") < taken {
        return Err(format!("only {} are taken", full.get("requests")));
    }
    told.close()?;
    arena.wait_for_more(&before, "outcome.client_gone", taken)?;

    let untold = Peer::connect(&arena.place)?;
    let over = taken + 100;
    let all = framed(&[b"MDPC02", b"\x01", b"nobody", b"a body"]).repeat(over as usize);
    untold.write(&all).map_err(crate::text)?;
    arena.wait_for("it not to be read from", |now| now.get("held_clients") == 1)?;
    drop(untold);
    arena.wait_for_more(&before, "outcome.client_gone", 2 * taken + 1)?;
    beside.stop()?;
    let held = full.since(&before, "live_bytes") as f64 / MIB;
    Ok(vec![Figure::at_most(HELD_MIB_MAX, "live bytes of the requests taken", held, "MiB")])
}
