//! Connections that claim the identity of another peer.

use majordomus_zmtp::{Metadata, SocketType};

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, connect, read_to_end};
use crate::text;

pub(super) const ATTACK: Attack = Attack {
    name: "identities",
    what: "1,000 connections that claim the identity of a worker that lives, and one that claims \
           that of a worker that says no more",
    configure: |_, _| {},
    carry_out,
};

const THEFTS: u64 = 1_000;
const ASKS: [&[u8]; 4] = [b"", b"MDPC01", b"mmi.service", b"nobody"];
const READY: [&[u8]; 4] = [b"", b"MDPW01", b"\x01", b"owned"];

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let thefts = arena.scale.of(THEFTS);
    let before = arena.state()?;
    let beside = arena.beside();
    let owner = named(arena, b"owner")?;
    owner.send(&READY)?;
    arena.wait_for_more(&before, "workers_registered", 1)?;
    // The owner answers each PING, and therefore is alive.
    let listening = owner.socket().try_clone().map_err(text)?;
    let answers = std::thread::spawn(move || {
        let mut owner = owner;
        while owner.receive()?.is_some() {}
        Ok::<(), String>(())
    });
    for _ in 0..thefts {
        let thief = named(arena, b"owner")?;
        // The requests of the second connection are ignored, and the connection is closed.
        thief.send(&ASKS)?;
        read_to_end(thief.socket())?;
    }
    arena.wait_for_more(&before, "closed.identity_in_use", thefts)?;
    listening.shutdown(std::net::Shutdown::Both).map_err(text)?;
    answers.join().map_err(|_| "the owner panicked".to_string())??;
    arena.wait_for_more(&before, "workers_lost", 1)?;

    let dead = named(arena, b"dead")?;
    dead.send(&READY)?;
    arena.wait_for_more(&before, "workers_registered", 2)?;
    // The owner is connected but does not answer PINGs any more.
    let mut heir = named(arena, b"dead")?;
    heir.send(&ASKS)?;
    let message = heir.receive()?.ok_or("the heir was cut")?;
    if message.iter().last() != Some(b"404") {
        return Err(format!("the heir got {message:?}"));
    }
    arena.wait_for_more(&before, "closed.identity_taken", 1)?;
    drop(dead);
    beside.stop()?;
    Ok(Vec::new())
}

fn named(arena: &Arena, identity: &[u8]) -> Result<Peer, String> {
    let metadata = Metadata::new(SocketType::Dealer).with_routing_id(identity);
    Peer::shake_hands(connect(&arena.place)?, metadata)
}
