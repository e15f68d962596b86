//! Requests and replies arrive unchanged however reads split them and whatever is sent in between.

mod common;

use std::io::Write;
use std::thread;

use common::{Peer, broker};

const REQUESTS: usize = 400;

/// Returns body `number`: most are small, some need buffer memory of their own, some are large.
fn body(number: usize) -> Vec<u8> {
    let length = match number % 20 {
        3 => 255,
        7 => 256,
        11 => 8 * 1024 + number,
        13 => 20_000 + number,
        17 if number % 100 == 17 => 150_000 + number,
        other => 5 * other,
    };
    (0..length).map(|at| (at * 7 + number) as u8).collect()
}

/// Sends all requests in pieces of at most `piece_max` bytes, with a PING after every tenth
/// request.
fn check(piece_max: usize) {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    for number in 0..REQUESTS {
        client.queue(&[b"", b"MDPC01", b"echo", &number.to_be_bytes(), &body(number)]);
        if number % 10 == 0 {
            client.zmtp.ping(0, b"between");
        }
    }
    let bytes: Vec<u8> = client.zmtp.unsent().flatten().copied().collect();
    client.zmtp.sent(bytes.len());
    let mut stream = client.stream.try_clone().expect("a second handle");
    let writer = thread::spawn(move || {
        let (mut rest, mut random) = (&bytes[..], 1_u64);
        while !rest.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let length = 1 + (random >> 33) as usize % piece_max;
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            stream.write_all(piece).expect("the broker reads");
            rest = behind;
        }
    });
    let echo = thread::spawn(move || {
        for _ in 0..REQUESTS {
            let (address, body) = worker.request();
            let parts: Vec<&[u8]> = body.iter().map(|part| &part[..]).collect();
            worker.reply(&address, &parts);
        }
        worker
    });
    for number in 0..REQUESTS {
        client.expect(&[b"", b"MDPC01", b"echo", &number.to_be_bytes(), &body(number)]);
    }
    writer.join().expect("all is written");
    drop(echo.join().expect("all is answered"));
    assert_eq!(client.pongs, REQUESTS / 10);
    let summary = broker.shutdown().expect("the broker ends");
    assert_eq!(summary.counters.received, REQUESTS as u64);
    assert!(summary.refused.is_empty() && summary.closed.is_empty(), "{summary}");
}

#[test]
fn requests_in_large_pieces_are_answered_in_order() {
    check(300_000);
}

#[test]
fn requests_cut_often_are_answered_in_order() {
    check(3_000);
}

#[test]
fn requests_cut_in_every_frame_are_answered_in_order() {
    check(50);
}
