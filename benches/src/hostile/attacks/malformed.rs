//! Malformed ZMTP, and messages that exceed its limits.

use std::io::Write;

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, Place, connect, connect_ipc, framed, greeting, read_to_end};

pub(super) const ATTACK: Attack = Attack {
    name: "malformed",
    what: "greetings of garbage, a message before the handshake ends, frames without end, a body \
           over the limit in one frame and in several, a length of 2^63-1; 1,000 of each",
    configure: |scale, config| {
        config.connections.message_bytes_max =
            scale.pick(config.connections.message_bytes_max, 1 << 20);
    },
    carry_out,
};

/// The number of times that each input is sent. Inputs that allocate a whole message are sent a
/// hundredth as often.
const TIMES: u64 = 1_000;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let times = arena.scale.of(TIMES);
    let most: usize = arena.scale.pick(64 << 20, 1 << 20);
    let garbage = b"GET / HTTP/1.1\r\nHost: broker\r\nAccept: */*\r\n\r\n";
    expect(arena, "closed.greeting_not_zmtp", 2 * times, |place| before_handshake(place, garbage))?;
    let early = [greeting(), framed(&[b"", b"MDPC01", b"echo", b"too early"])].concat();
    expect(arena, "closed.message_before_ready", 2 * times, |place| {
        before_handshake(place, &early)
    })?;
    let empty_frames = [1, 0].repeat(4_096);
    expect(arena, "closed.too_many_frames", times, |place| {
        let peer = Peer::connect(place)?;
        while peer.write(&empty_frames).is_ok() {}
        read_to_end(peer.socket())?;
        Ok(1)
    })?;
    let over = (most as u64 + 1).to_be_bytes();
    expect(arena, "closed.frame_too_long", times, |place| {
        after_handshake(place, &[&[2], &over[..], &[7; 1_000]].concat())
    })?;
    expect(arena, "closed.frame_too_long", times, |place| {
        after_handshake(place, &[&[2, 0x7F][..], &[0xFF; 7], &[7; 1_000]].concat())
    })?;
    let half = (most / 2 + 1).to_be_bytes();
    let half_body = vec![7; most / 2 + 1];
    expect(arena, "closed.message_too_long", times.div_ceil(100), |place| {
        let frame = [&[3], &half[..], &half_body].concat();
        after_handshake(place, &frame.repeat(2))
    })?;
    Ok(Vec::new())
}

/// Repeats an action and checks that it is counted exactly as often and does not affect honest
/// peers.
fn expect(
    arena: &mut Arena,
    reason: &str,
    count: u64,
    // Returns the number of times that the action was performed.
    offend: impl Fn(&Place) -> Result<u64, String>,
) -> Result<(), String> {
    let before = arena.state()?;
    let beside = arena.beside();
    let mut done = 0;
    while done < count {
        done += offend(&arena.place)?;
    }
    arena.wait_for_more(&before, reason, count)?;
    beside.stop().map(drop)
}

/// Sends the bytes over TCP and over a Unix socket.
fn before_handshake(place: &Place, bytes: &[u8]) -> Result<u64, String> {
    for socket in [connect(place)?, connect_ipc(place)?] {
        // The connection may be closed before all bytes are written.
        let _ = (&socket).write_all(bytes);
        read_to_end(&socket)?;
    }
    Ok(2)
}

fn after_handshake(place: &Place, bytes: &[u8]) -> Result<u64, String> {
    let peer = Peer::connect(place)?;
    let _ = peer.write(bytes);
    read_to_end(peer.socket())?;
    Ok(1)
}
