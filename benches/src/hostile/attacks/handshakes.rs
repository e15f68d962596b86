//! Connections that never complete a handshake.

use std::io::Write;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::figure::Figure;
use crate::hostile::arena::Arena;
use crate::hostile::{Attack, pause};
use crate::peer::{connect, greeting, read_to_end};

pub(super) const ATTACK: Attack = Attack {
    name: "handshakes",
    what: "10,000 connections of one address that never finish a handshake: they are silent, \
           greet by half, greet and no more, or say a byte at a time",
    configure: |scale, config| {
        // At full scale, this is the default.
        config.connections.handshake_timeout =
            scale.pick(config.connections.handshake_timeout, Duration::from_millis(500));
        config.connections.handshakes_per_address_max =
            scale.pick(config.connections.handshakes_per_address_max, 16);
    },
    carry_out,
};

const CONNECTIONS: u64 = 10_000;
/// The maximum time until a connection is closed: the handshake timeout plus a margin.
const CUT_WITHIN: Duration = Duration::from_millis(5_500);
/// The maximum CPU share of the reactor, in percent.
const PROCESSOR_PERCENT_MAX: f64 = 20.0;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let count = arena.scale.of(CONNECTIONS);
    let before = arena.state()?;
    let newcomers = arena.newcomers();
    let began = Instant::now();
    let mut sockets = Vec::with_capacity(count as usize);
    for number in 0..count {
        let socket = connect(&arena.place)?;
        let begin = match number % 4 {
            0 => 0,
            1 => 30,
            2 => 64,
            _ => 1,
        };
        // The connection may be closed already.
        let _ = (&socket).write_all(&greeting()[..begin]);
        sockets.push(socket);
    }
    let connected = Instant::now();
    let mut dripping: Vec<&Socket> = sockets.iter().skip(3).step_by(4).collect();
    // The greeting is followed by a command that is too long to arrive in time.
    let command = [6, 0, 0, 0, 0, 0, 0, 0x10, 0];
    let mut rest = greeting().into_iter().skip(1).chain(command).chain(std::iter::repeat(0));
    let name = ["closed.handshakes_max", "closed.handshake_timeout"];
    let after = loop {
        let state = arena.state()?;
        if name.iter().map(|name| state.since(&before, name)).sum::<u64>() >= count {
            break state;
        }
        if connected.elapsed() > 4 * CUT_WITHIN {
            return Err(format!("they are not cut: {state:?}"));
        }
        let byte = rest.next().unwrap_or_default();
        dripping.retain(|socket| {
            let mut socket: &Socket = socket;
            socket.write_all(&[byte]).is_ok()
        });
        pause();
    };
    let cut_after = connected.elapsed();
    let processor_us = after.since(&before, "reactor_us") as f64;
    let percent = 100.0 * processor_us / began.elapsed().as_micros() as f64;
    for socket in &sockets {
        read_to_end(socket)?;
    }
    let timeouts = after.since(&before, "closed.handshake_timeout");
    if timeouts == 0 {
        return Err("none was given its time".into());
    }
    Ok(vec![
        Figure::within(CUT_WITHIN, "the last is cut after", cut_after),
        Arena::longest_wait(newcomers)?,
        Figure::at_most(PROCESSOR_PERCENT_MAX, "processor time of the reactor", percent, "%"),
    ])
}
