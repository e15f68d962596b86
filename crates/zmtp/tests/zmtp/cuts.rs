//! Stream fragmentation tests: the events do not depend on the boundaries of reads.

use bytes::Bytes;
use majordomus_zmtp::{Event, Message};

use crate::{
    random::Random,
    wire::{
        COMMAND, LONG, MORE, command, feed, feed_direct, feed_in_place, frame, header, hello,
        listener, message,
    },
};

fn conversation() -> Vec<u8> {
    let large: Vec<u8> = (0..70 * 1024).map(|i| (i % 251) as u8).collect();
    [
        hello(1),
        message(&[""]),
        message(&["one", "", "three"]),
        message(&[[7; 255]]),
        message(&[&[8; 256][..], b"x"]),
        command("PING", b"\0\x0Actx"),
        frame(MORE, b"before"),
        command("PING", b"\0\0"),
        frame(0, b"after"),
        message(&[b"m", &large[..], b"t", &[9; 300]]),
        header(LONG | COMMAND, 6),
        b"\x04PONGq".to_vec(),
        header(LONG | MORE, 2),
        b"ab".to_vec(),
        frame(0, b"end"),
        message(&[&large[..20_000]]),
        message(&[[1; 3]; 20]),
    ]
    .concat()
}

/// Removes the events that depend on the boundaries of reads.
fn lasting(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| !matches!(event, Event::Large { .. })).collect()
}

fn uncut(bytes: &[u8]) -> Vec<Event> {
    let events = lasting(feed(&mut listener(), bytes).unwrap());
    assert_eq!(events.len(), 13);
    events
}

#[test]
fn in_two_pieces_at_every_place() {
    let bytes = conversation();
    let expected = uncut(&bytes);
    // Inside large bodies, a sample of positions is enough.
    let interesting = |at: &usize| bytes.len() < 4000 || *at < 1500 || at.is_multiple_of(997);
    let edges = bytes.len() - 21_000..bytes.len();
    for at in (0..bytes.len()).filter(interesting).chain(edges) {
        for feed in [feed, feed_direct, feed_in_place] {
            let mut connection = listener();
            let mut events = feed(&mut connection, &bytes[..at]).unwrap();
            events.extend(feed(&mut connection, &bytes[at..]).unwrap());
            assert_eq!(lasting(events), expected, "cut at {at}");
            assert!(!connection.receiving());
            assert_eq!(connection.held_bytes(), 0, "cut at {at}");
        }
    }
}

#[test]
fn byte_by_byte() {
    let bytes = conversation();
    for feed in [feed, feed_direct, feed_in_place] {
        let mut connection = listener();
        let mut events = Vec::new();
        for byte in &bytes {
            events.extend(feed(&mut connection, &[*byte]).unwrap());
        }
        assert_eq!(lasting(events), uncut(&bytes));
        assert_eq!(connection.held_bytes(), 0);
    }
}

#[test]
fn in_random_pieces() {
    let bytes = conversation();
    let expected = uncut(&bytes);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let piece_max = [3, 40, 700, 70_000][random.below(4)];
        let mut connection = listener();
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(piece_max.min(rest.len())));
            rest = behind;
            let feed = [feed, feed_direct, feed_in_place][random.below(3)];
            events.extend(feed(&mut connection, piece).unwrap());
        }
        assert_eq!(lasting(events), expected, "seed {seed}");
        assert_eq!(connection.held_bytes(), 0, "seed {seed}");
    }
}

#[test]
fn without_settling_and_without_polling_each_time() {
    let bytes = conversation();
    let expected = uncut(&bytes);
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut connection = listener();
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        // The handshake arrives whole, because a late `accept` would change the events.
        events.extend(feed(&mut connection, &rest[..hello(1).len()]).unwrap());
        rest = &rest[hello(1).len()..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len().min(9000)));
            rest = behind;
            connection.receive(&mut bytes::BytesMut::from(piece));
            for _ in 0..random.below(4) {
                if let Some(event) = connection.poll().unwrap() {
                    if matches!(event, Event::Large { .. }) {
                        connection.grant();
                    }
                    events.push(event);
                }
            }
            if random.below(3) == 0 {
                connection.settle();
            }
        }
        events.extend(feed(&mut connection, b"").unwrap());
        assert_eq!(lasting(events), expected, "seed {seed}");
        assert_eq!(connection.held_bytes(), 0, "seed {seed}");
    }
}

#[test]
fn in_place_with_turns_that_stop_in_between() {
    let bytes = conversation();
    let expected = uncut(&bytes);
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (mut connection, mut bounds, mut events) = (listener(), Vec::new(), Vec::new());
        // The handshake arrives whole, because a late `accept` would change the events.
        events.extend(feed(&mut connection, &bytes[..hello(1).len()]).unwrap());
        let mut rest = &bytes[hello(1).len()..];
        while !rest.is_empty() {
            let (mut piece, behind) = rest.split_at(1 + random.below(rest.len().min(9000)));
            rest = behind;
            for _ in 0..random.below(4) {
                let whole = connection.whole_message(piece, &mut bounds);
                if let Some(length) = whole {
                    let (whole, behind) = piece.split_at(length);
                    piece = behind;
                    let frames = bounds.iter().copied().collect();
                    let data = Bytes::copy_from_slice(whole);
                    events.push(Event::Message(Message { data, frames }));
                } else if let Some(event) = connection.poll_from(&mut piece).unwrap() {
                    if matches!(event, Event::Large { .. }) {
                        connection.grant();
                    }
                    events.push(event);
                }
            }
            connection.receive_copy(piece);
            connection.settle();
        }
        events.extend(feed_in_place(&mut connection, b"").unwrap());
        assert_eq!(lasting(events), expected, "seed {seed}");
        assert_eq!(connection.held_bytes(), 0, "seed {seed}");
    }
}
