//! Forged replies: to unknown requests, to other workers' requests, and to answered requests.

use std::time::Duration;

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::{Arena, State};
use crate::peer::{Flood, Peer, framed};
use crate::random::Random;

pub(super) const ATTACK: Attack = Attack {
    name: "forgeries",
    what: "replies with tokens that were made up, to requests that have ended, twice, and to \
           requests of another worker; a million of each",
    // Idle peers in this attack need not send heartbeats.
    configure: |_, config| config.core.heartbeat_interval = Duration::from_secs(60),
    carry_out,
};

const REPLIES: u64 = 1_000_000;
const SEED: u64 = 0xD1B5_4A32_D192_ED03;
/// The body of the correct reply.
const RIGHT: &[u8] = b"right";

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let replies = arena.scale.of(REPLIES);
    let before = arena.state()?;
    let beside = arena.beside();

    let mut random = Random(SEED);
    let forger = worker(arena)?.flood()?;
    forger.say(replies, |_, bytes| {
        let token: Vec<u8> = (0..32).map(|_| b'a' + random.below(16) as u8).collect();
        bytes.extend([ready(), reply(&token, b"forged")].concat());
    })?;
    arena.wait_for_more(&before, "violation.forged_reply", replies)?;
    forger.close()?;

    let mut late = serving_worker(arena)?;
    let client = asking_client(arena)?;
    let token = late.token()?;
    drop(client);
    arena.wait_for_more(&before, "outcome.client_gone", 1)?;
    repeat(arena, late.flood()?, &token, replies, &before)?;

    let mut twice = serving_worker(arena)?;
    let client = asking_client(arena)?;
    let token = twice.token()?;
    twice.write(&reply(&token, RIGHT)).map_err(crate::text)?;
    let state = arena.state()?;
    repeat(arena, twice.flood()?, &token, replies, &state)?;
    only_right(client)?;

    let mut owner = serving_worker(arena)?;
    let client = asking_client(arena)?;
    let token = owner.token()?;
    let state = arena.state()?;
    let thief = worker(arena)?.flood()?;
    let stolen = [ready(), reply(&token, b"stolen")].concat();
    thief.say(replies, |_, bytes| bytes.extend(&stolen))?;
    arena.wait_for_more(&state, "violation.forged_reply", replies)?;
    thief.close()?;
    owner.write(&reply(&token, RIGHT)).map_err(crate::text)?;
    only_right(client)?;
    beside.stop()?;
    Ok(Vec::new())
}

/// Sends the same reply repeatedly. Each one is late and is counted.
fn repeat(
    arena: &mut Arena,
    worker: Flood,
    token: &[u8],
    replies: u64,
    before: &State,
) -> Result<(), String> {
    let said = reply(token, b"late");
    worker.say(replies, |_, bytes| bytes.extend(&said))?;
    arena.wait_for_more(before, "late_replies", replies)?;
    worker.close().map(drop)
}

/// Checks that the client received only the correct reply.
fn only_right(mut client: Peer) -> Result<(), String> {
    client.send(&[b"", b"MDPC01", b"mmi.service", b"nobody"])?;
    for expected in [RIGHT, b"404"] {
        let message = client.receive()?.ok_or("a client was cut")?;
        if message.iter().last() != Some(expected) {
            return Err(format!("{message:?} was delivered"));
        }
    }
    Ok(())
}

fn asking_client(arena: &Arena) -> Result<Peer, String> {
    let client = Peer::connect(&arena.place)?;
    client.send(&[b"", b"MDPC01", b"prey", b"which?"])?;
    Ok(client)
}

fn worker(arena: &Arena) -> Result<Peer, String> {
    Peer::connect(&arena.place)
}

/// Returns a worker for the clients of this attack.
fn serving_worker(arena: &Arena) -> Result<Peer, String> {
    let worker = worker(arena)?;
    worker.send(&[b"", b"MDPW01", b"\x01", b"prey"])?;
    Ok(worker)
}

/// Returns a READY for a service that no client requests.
fn ready() -> Vec<u8> {
    framed(&[b"", b"MDPW01", b"\x01", b"forgery"])
}

fn reply(token: &[u8], body: &[u8]) -> Vec<u8> {
    framed(&[b"", b"MDPW01", b"\x03", token, b"", body])
}
