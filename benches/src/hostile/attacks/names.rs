//! More service names than the limit.

use majordomus_core::FromWorker;
use majordomus_wire::Dialect;

use super::waiting;
use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, greeted_client, on_stream, worker_frames};
use crate::text;

pub(super) const ATTACK: Attack = Attack {
    name: "names",
    what: "a client that asks for 100,000 services, each by another name, and a worker that \
           offers as many",
    configure: |scale, config| {
        let limits = &mut config.core.limits;
        limits.names_max = scale.of(limits.names_max as u64) as usize;
        limits.worker_services_max = scale.of(limits.worker_services_max as u64) as usize;
    },
    carry_out,
};

const NAMES: u64 = 100_000;
/// The default maximum number of names without a worker.
const NAMES_MAX: u64 = 10_000;
/// The default maximum number of services per worker.
const OFFERS_MAX: u64 = 1_000;
/// The maximum memory of a name with its request, in bytes.
const NAME_BYTES_MAX: f64 = 2_048.0;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let [names, most, offers] = [NAMES, NAMES_MAX, OFFERS_MAX].map(|count| arena.scale.of(count));
    let before = arena.state()?;
    let beside = arena.beside();
    let client = greeted_client(&arena.place)?.flood()?;
    client.say(names, |number, bytes| bytes.extend(waiting(&format!("name-{number}"), number)))?;
    let full = arena.wait_for_more(&before, "outcome.refused", names - most)?;
    if full.since(&before, "services") != most {
        return Err(format!("{} names are known", full.get("services")));
    }
    client.close()?;
    arena.wait_for_more(&before, "outcome.client_gone", most)?;

    let worker = Peer::connect(&arena.place)?;
    let hello = worker_frames(Dialect::Omdp1, &FromWorker::Hello(Default::default()));
    worker.write(&on_stream(&hello)).map_err(text)?;
    let worker = worker.flood()?;
    worker.say(names, |number, bytes| {
        let service = format!("offer-{number}").as_str().into();
        bytes.extend(on_stream(&worker_frames(Dialect::Omdp1, &FromWorker::Ready { service })));
    })?;
    // After one service too many the worker is disconnected and has not sent a new HELLO.
    arena.wait_for_more(&before, "violation.not_ready", names - offers - 1)?;
    arena.wait_for_more(&before, "violation.too_many_services", 1)?;
    worker.close()?;
    beside.stop()?;
    let held = full.since(&before, "live_bytes") as f64 / most as f64;
    Ok(vec![Figure::at_most(NAME_BYTES_MAX, "live bytes of a name and its request", held, "B")])
}
