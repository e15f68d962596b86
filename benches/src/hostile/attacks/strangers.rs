//! Millions of connections, each with a new identity.

use std::io::{Read, Write};
use std::time::Instant;

use socket2::Socket;

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{connect_ipc, framed, greeting};
use crate::random::Random;
use crate::text;

pub(super) const ATTACK: Attack = Attack {
    name: "strangers",
    what: "a million connections, half of them each time, one after another: each with a random \
           identity, and gone when it has had an answer",
    configure: |_, _| {},
    carry_out,
};

const CONNECTIONS: u64 = 500_000;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;
/// The broker's answer about a service without a worker.
const ANSWER: &[u8] = b"404";

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let count = arena.scale.of(CONNECTIONS);
    let before = arena.state()?;
    let mut random = Random(SEED);
    let newcomers = arena.newcomers();
    let began = Instant::now();
    let question = framed(&[b"", b"MDPC01", b"mmi.service", b"nobody"]);
    for _ in 0..count {
        let socket = connect_ipc(&arena.place)?;
        let identity = [random.next(), random.next()].map(u64::to_be_bytes).concat();
        let says = [greeting(), ready(&identity), question.clone()].concat();
        (&socket).write_all(&says).map_err(text)?;
        read_answer(&socket)?;
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / count as f64;
    let after = arena.state()?;
    if after.since(&before, "accepted") < count || after.since(&before, "outcome.replied") < count {
        return Err(format!("they were not all answered: {after:?}"));
    }
    Ok(vec![Arena::longest_wait(newcomers)?, Figure::seen("each takes", each, "us")])
}

/// Returns the READY command of a DEALER with this identity.
fn ready(identity: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity".to_vec();
    body.extend((identity.len() as u32).to_be_bytes());
    body.extend(identity);
    [&[4, body.len() as u8], &body[..]].concat()
}

fn read_answer(mut socket: &Socket) -> Result<(), String> {
    let (mut bytes, mut length) = ([0; 1_024], 0);
    while !bytes[..length].ends_with(ANSWER) {
        match socket.read(&mut bytes[length..]).map_err(text)? {
            0 => return Err("a stranger has no answer".into()),
            read => length += read,
        }
    }
    Ok(())
}
