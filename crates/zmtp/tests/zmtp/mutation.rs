//! Mutation tests: any input leads to events or to an error, within the memory bounds.

use majordomus_zmtp::{Event, Limits, UNGRANTED_BYTES_MAX};

use crate::{
    random::Random,
    wire::{command, connector, feed, feed_direct, feed_in_place, hello, listener, message, open},
};

fn conversation(random: &mut Random) -> Vec<u8> {
    let mut bytes = hello(1);
    for _ in 0..random.below(8) {
        match random.below(4) {
            0 => bytes.extend(command("PING", b"\0\x01ctx")),
            1 => bytes.extend(command("SUBSCRIBE", b"topic")),
            _ => bytes.extend(message(&random.message())),
        }
    }
    bytes
}

#[test]
fn flipped_and_cut_conversations() {
    let mut ended = [0, 0];
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let mut bytes = conversation(&mut random);
        for _ in 0..1 + random.below(4) {
            // Most mutations hit the structure of the data.
            if bytes.is_empty() {
                break;
            }
            let range = if random.below(2) == 0 { bytes.len().min(140) } else { bytes.len() };
            let at = random.below(range);
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.next() as u8,
                2 => drop(bytes.drain(at..(at + 1 + random.below(20)).min(range))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut connection = if random.below(2) == 0 { listener() } else { connector() };
        let mut rest = &bytes[..];
        let mut result = Ok(Vec::new());
        while !rest.is_empty() && result.is_ok() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
            rest = behind;
            let feed = [feed, feed_direct, feed_in_place][random.below(3)];
            result = feed(&mut connection, piece);
        }
        match result {
            Ok(_) => ended[0] += 1,
            Err(error) => {
                ended[1] += 1;
                assert_eq!(connection.poll(), Err(error), "seed {seed}");
                assert_eq!(connection.held_bytes(), 0, "seed {seed}");
            }
        }
    }
    assert!(ended.iter().all(|&count| count > 100), "both ends are tested: {ended:?}");
}

#[test]
fn noise_after_a_handshake() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let limits = Limits { message_bytes_max: 50_000, frames_max: 50, ..Limits::default() };
        let mut connection = open(1, limits);
        for _ in 0..20 {
            let len = 1 + random.below(500);
            // Small byte values are valid flags and lengths, so the noise reaches deeper states.
            let noise: Vec<u8> = (0..len).map(|_| random.below(5) as u8).collect();
            match feed(&mut connection, &noise) {
                Ok(events) => {
                    let grants = events.iter().filter(|e| matches!(e, Event::Large { .. })).count();
                    let bound = if grants > 0 { 70_000 } else { 2 * UNGRANTED_BYTES_MAX + 70_000 };
                    assert!(connection.held_bytes() <= bound, "seed {seed}");
                }
                Err(_) => break,
            }
        }
    }
}

#[test]
fn noise_is_the_same_in_place() {
    let lasting = |events: Vec<Event>| -> Vec<Event> {
        events.into_iter().filter(|event| !matches!(event, Event::Large { .. })).collect()
    };
    let mut messages = 0;
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let limits = Limits { message_bytes_max: 400, frames_max: 5, ..Limits::default() };
        let [mut copied, mut in_place] = [open(1, limits), open(1, limits)];
        for _ in 0..20 {
            let noise = (0..1 + random.below(60)).flat_map(|_| match random.below(12) {
                0 => command("PING", b"\0\x01ctx"),
                1 => vec![random.below(3) as u8, random.below(3) as u8],
                _ => message(&vec![vec![7; random.below(90)]; 1 + random.below(4)]),
            });
            let noise: Vec<u8> = noise.collect();
            let expected = feed(&mut copied, &noise).map(lasting);
            messages += expected.as_ref().map_or(0, Vec::len);
            assert_eq!(feed_in_place(&mut in_place, &noise).map(lasting), expected, "seed {seed}");
            assert_eq!(in_place.unsent_bytes(), copied.unsent_bytes());
            if expected.is_err() {
                break;
            }
        }
    }
    assert!(messages > 10_000, "{messages} events");
}
