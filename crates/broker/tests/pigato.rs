//! Frame-level tests of the PIGATO dialect beyond its own clients and workers: invalid options,
//! unusual names, binary identities, forged replies. After each, a well-behaved client and worker
//! are still served.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::pigato::{
    Given, Honest, answer, ask, client, expect_error, expect_final, expect_silence, given, id,
    quiet_broker, worker, worker_as,
};
use common::{Peer, broker_with, round_trip, wait_for};
use majordomus_broker::{Broker, Snapshot};
use majordomus_core::Outcome;
use majordomus_core::broker::PeerViolation;

const MINUTE: &str = r#"{"timeout":60000,"retry":0}"#;
const RETRY: &str = r#"{"timeout":60000,"retry":1}"#;

fn snapshot(broker: &Broker) -> Snapshot {
    broker.control().snapshot().expect("the broker runs")
}

/// Returns the reply of `$dir` to a PIGATO client that asks for the whole directory.
fn directory(broker: &Broker) -> String {
    let mut client = client(broker);
    client.send(&[b"C", b"2", b"$dir", b"d", b"undefined", b"{}"]);
    let frames = client.frames();
    assert_eq!(frames[..5], ["C", "3", "", "d", "0"]);
    String::from_utf8(frames[5].to_vec()).expect("JSON is text")
}

// Options.

#[test]
fn options_that_say_nothing_are_passed_on_and_the_request_is_served() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut worker) = (Honest::new(&broker), worker(&broker, "echo"));
    let mut client = client(&broker);
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let open = br#"{"retry":"#.repeat(5_000);
    let cases: [&[u8]; 24] = [
        b"null",
        b"undefined",
        b"NaN",
        b"5",
        b"\"x\"",
        b"[]",
        b"[1,2]",
        b"{",
        b"}",
        b"{}{}",
        b"{\"timeout\":{}}",
        b"{\"timeout\":\"x\"}",
        b"{\"timeout\":[]}",
        b"{\"timeout\":null}",
        b"{\"timeout\":true}",
        b"{\"retry\":{},\"nocache\":[],\"persist\":\"\"}",
        b"{\"workerId\":{}}",
        b"{\"workerId\":5}",
        b"{\"workerId\":null}",
        b"{\"__proto__\":{\"timeout\":1},\"constructor\":1}",
        b"\xFF\xFE\x00",
        b"{\"timeout\":1\xFF}",
        &deep,
        &open,
    ];
    for options in cases {
        client.send(&[b"C", b"2", b"echo", b"r", b"1", options]);
        let asked = given(&mut worker);
        assert!(asked.options == options, "{}", options[..20.min(options.len())].escape_ascii());
        answer(&mut worker, &asked, "0", "2");
        expect_final(&mut client, "r", "2");
        honest.goes_on();
    }
    // No options, and empty options.
    for message in [
        &[&b"C"[..], b"2", b"echo", b"r"][..],
        &[b"C", b"2", b"echo", b"r", b"1"],
        &[b"C", b"2", b"echo", b"r", b"1", b""],
        &[b"C", b"2", b"echo", b"r", b"1", b"", b"more", b"of", b"it"],
    ] {
        client.send(message);
        let asked = given(&mut worker);
        assert_eq!(asked.options, "{}");
        answer(&mut worker, &asked, "0", "2");
        expect_final(&mut client, "r", "2");
        honest.goes_on();
    }
    let now = snapshot(&broker);
    assert!(now.refused.is_empty() && now.closed.is_empty(), "{now}");
    assert_eq!(now.counters.outcome(Outcome::Replied), now.counters.received);
}

#[test]
fn a_timeout_that_is_none_is_a_minute_and_minus_one_is_for_ever() {
    let broker = quiet_broker(|config| config.core.wait_timeout = Duration::from_millis(1));
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let patient = [
        r#"{"timeout":-1}"#,
        r#"{"timeout":-0.5}"#,
        r#"{"timeout":1e400}"#,
        r#"{"timeout":"x"}"#,
        r#"{"timeout":"1"}"#,
        r#"{"timeout":{}}"#,
        r#"{"timeout":false}"#,
        "null",
        "{}",
        "",
    ];
    for (rid, options) in patient.iter().enumerate() {
        ask(&mut client, "late", &rid.to_string(), options);
    }
    // These time out at the client too, so the broker sends nothing.
    for options in [r#"{"timeout":0}"#, r#"{"timeout":-0}"#, r#"{"timeout":20}"#] {
        ask(&mut client, "late", "hasty", options);
    }
    wait_for(&broker, "the hasty ones to end", |now| {
        now.counters.outcome(Outcome::NoSuchService) == 3
    });
    // A request that reaches the broker's own limit first is not reported either.
    let mut other = Peer::connect(&broker);
    other.send(&[b"", b"MDPC01", b"late", b"x"]);
    wait_for(&broker, "a request without a timeout of its own to end", |now| {
        now.counters.outcome(Outcome::NoSuchService) == 4
    });
    honest.goes_on();
    expect_silence(&mut client);
    let mut worker = worker(&broker, "late");
    for rid in 0..patient.len() {
        let asked = given(&mut worker);
        assert_eq!(asked.rid, rid.to_string());
        answer(&mut worker, &asked, "0", "2");
        expect_final(&mut client, &rid.to_string(), "2");
    }
    honest.goes_on();
}

#[test]
fn a_timeout_of_nothing_is_served_where_a_worker_is_free_however_long_it_takes() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":1}"#]);
    worker.expect(&[b"W", b"4"]);
    ask(&mut client, "echo", "first", r#"{"timeout":0}"#);
    let first = given(&mut worker);
    ask(&mut client, "echo", "second", r#"{"timeout":0}"#);
    wait_for(&broker, "the second to end", |now| now.counters.outcome(Outcome::Expired) == 1);
    honest.goes_on();
    answer(&mut worker, &first, "0", "2");
    // There is no reply to the second request.
    expect_final(&mut client, "first", "2");
    expect_silence(&mut client);
}

#[test]
fn an_answer_behind_the_timeout_is_dropped_and_no_violation() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    ask(&mut client, "echo", "r1", r#"{"timeout":20}"#);
    let asked = given(&mut worker);
    wait_for(&broker, "the request to expire", |now| now.counters.outcome(Outcome::Expired) == 1);
    worker.send(&[b"W", b"6", &asked.token, b"", &asked.rid, b"0", b"1", b"{}"]);
    answer(&mut worker, &asked, "0", "2");
    worker.send(&[b"W", b"7", &asked.token, b"", &asked.rid, b"0", b"\"no\"", b"undefined"]);
    honest.goes_on();
    ask(&mut client, "echo", "r2", MINUTE);
    let asked = given(&mut worker);
    answer(&mut worker, &asked, "0", "3");
    expect_final(&mut client, "r2", "3");
    assert_eq!(snapshot(&broker).counters.late_replies, 3);
}

#[test]
fn options_of_a_heartbeat_that_say_nothing_change_nothing() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":2}"#]);
    worker.expect(&[b"W", b"4"]);
    for message in [
        &[&b"W"[..], b"4"][..],
        &[b"W", b"4", b""],
        &[b"W", b"4", b"x"],
        &[b"W", b"4", b"", b""],
        &[b"W", b"4", b"", b"null"],
        &[b"W", b"4", b"", b"undefined"],
        &[b"W", b"4", b"", b"{"],
        &[b"W", b"4", b"", b"\xFF"],
        &[b"W", b"4", b"", br#"{"concurrency":"x"}"#],
        &[b"W", b"4", b"", br#"{"concurrency":{}}"#],
        &[b"W", b"4", b"", br#"{"concurrency":[5]}"#],
        &[b"W", b"4", b"", br#"{"concurrency":true}"#, b"more"],
    ] {
        worker.send(message);
        worker.expect(&[b"W", b"4"]);
        honest.goes_on();
    }
    // The worker takes two requests, as it declared at first.
    for rid in ["r1", "r2", "r3"] {
        ask(&mut client, "echo", rid, MINUTE);
    }
    let (first, second) = (given(&mut worker), given(&mut worker));
    honest.goes_on();
    assert_eq!(snapshot(&broker).counters.in_progress, 3);
    answer(&mut worker, &first, "0", "1");
    let third = given(&mut worker);
    for (asked, data) in [(&second, "2"), (&third, "3")] {
        answer(&mut worker, asked, "0", data);
    }
    for (rid, data) in [("r1", "1"), ("r2", "2"), ("r3", "3")] {
        expect_final(&mut client, rid, data);
    }
}

#[test]
fn options_of_a_reply_that_say_nothing_are_passed_on() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    let huge = [&br#"{"cache":60000,"a":""#[..], &[b'x'; 1 << 20], b"\"}"].concat();
    let cases: [&[u8]; 6] =
        [b"null", b"undefined", b"{", br#"{"cache":"x"}"#, br#"{"cache":{}}"#, &huge];
    for options in cases {
        ask(&mut client, "echo", "r", MINUTE);
        // Nothing is cached, so the worker gets the request each time.
        let Given { token, rid, .. } = given(&mut worker);
        worker.send(&[b"W", b"6", &token, b"", &rid, b"0", b"1", options]);
        worker.send(&[b"W", b"3", &token, b"", &rid, b"0", b"2", options]);
        for (command, data) in [(b"6", b"1"), (b"3", b"2")] {
            let expected: [&[u8]; 7] = [b"C", command, b"", b"r", b"0", data, options];
            assert!(
                client.frames() == expected,
                "{}",
                options[..10.min(options.len())].escape_ascii()
            );
        }
        honest.goes_on();
    }
    assert_eq!(snapshot(&broker).holdings.kept_bytes, 0);
}

#[test]
fn huge_options_are_passed_on_unread_and_count_as_what_they_hold() {
    let broker = quiet_broker(|config| config.core.limits.client_bytes_max = 4 << 20);
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    // If the options were read, they would end the request before it begins.
    let huge =
        [&br#"{"timeout":0,"workerId":"nobody","a":""#[..], &[b'x'; 3 << 20], b"\"}"].concat();
    client.send(&[b"C", b"2", b"echo", b"r1", b"1", &huge]);
    wait_for(&broker, "the request to wait", |now| now.holdings.request_bytes > huge.len());
    // Two such requests exceed the limit of a client's queued bytes.
    client.send(&[b"C", b"2", b"echo", b"r2", b"1", &huge]);
    expect_error(&mut client, "r2", "\"B_BUSY\"");
    honest.goes_on();
    let mut worker = worker(&broker, "echo");
    let asked = given(&mut worker);
    assert!(asked.rid == "r1" && asked.options == huge);
    answer(&mut worker, &asked, "0", "2");
    expect_final(&mut client, "r1", "2");
    honest.goes_on();
    let holdings = snapshot(&broker).holdings;
    assert_eq!((holdings.requests, holdings.request_bytes), (0, 0));
}

// Names.

#[test]
fn odd_names_are_names_like_any_other() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let names = [
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "prototype",
        "@",
        "a@",
        "@1.2.3",
        "a@(",
        "a@latest",
        "a@1.2.3@(",
        "**",
        "*a",
        "a*b",
        " ",
        "a b",
        "größe",
        "\"}{\\",
        "undefined",
        "null",
        "0",
    ];
    for name in names {
        let mut client = client(&broker);
        // No worker has registered this name yet.
        ask(&mut client, name, "r0", r#"{"timeout":0}"#);
        expect_silence(&mut client);
        let identity = id("W");
        let mut worker = worker_as(&broker, identity.as_bytes(), name);
        ask(&mut client, name, "r1", MINUTE);
        let asked = given(&mut worker);
        assert_eq!(asked.service, name);
        answer(&mut worker, &asked, "0", "2");
        expect_final(&mut client, "r1", "2");
        // The directory contains the service under its name.
        let name = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        client.send(&[b"C", b"2", b"$dir", b"d", name.as_bytes(), b"{}"]);
        expect_final(&mut client, "d", &format!("[\"{identity}\"]"));
        worker.send(&[b"W", b"5"]);
        wait_for(&broker, "the name to be forgotten", |now| now.holdings.services == 1);
        client.send(&[b"C", b"2", b"$dir", b"d", name.as_bytes(), b"{}"]);
        expect_final(&mut client, "d", "[]");
        honest.goes_on();
    }
    let now = snapshot(&broker);
    assert!(now.refused.is_empty() && now.closed.is_empty(), "{now}");
}

#[test]
fn the_directory_has_no_names_but_those_that_are_offered() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut client = client(&broker);
    for data in [
        "\"__proto__\"",
        "\"constructor\"",
        "\"$dir\"",
        "\"*\"",
        "\"@\"",
        "{}",
        "[]",
        "[\"honest\"]",
        "5",
        "true",
        "{",
        "\"\\ud800\"",
        "\"honest",
    ] {
        client.send(&[b"C", b"2", b"$dir", b"d", data.as_bytes(), b"null"]);
        expect_final(&mut client, "d", "[]");
        honest.goes_on();
    }
}

#[test]
fn a_wildcard_for_everything_serves_what_nobody_else_does() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut all = worker_as(&broker, id("ALL").as_bytes(), "*");
    let mut client = client(&broker);
    for name in ["a", "constructor", "*", "a*b", "a b", "größe", "mm", "mmi", "$di", "$dir2"] {
        ask(&mut client, name, "r", MINUTE);
        let asked = given(&mut all);
        assert_eq!(asked.service, name);
        answer(&mut all, &asked, "0", "1");
        expect_final(&mut client, "r", "1");
        honest.goes_on();
    }
    // Versioned names, patterns and reserved names do not match the wildcard.
    for name in ["a@1.2.3", "a@^1", "@", "a@(", "**", "a*"] {
        ask(&mut client, name, "r", r#"{"timeout":0}"#);
        expect_silence(&mut client);
    }
    client.send(&[b"C", b"2", b"mmi.service", b"r", b"\"a\"", b"{}"]);
    expect_final(&mut client, "r", "\"200\"");
    client.send(&[b"C", b"2", b"mmi.other", b"r", b"1", b"{}"]);
    expect_final(&mut client, "r", "501");
    assert!(directory(&broker).contains("\"*\":[\"ALL-"), "{}", directory(&broker));
    honest.goes_on();
    // A second wildcard worker changes nothing. When both are gone, so are the services they
    // matched.
    let second = worker(&broker, "*");
    all.send(&[b"W", b"5"]);
    drop(second);
    wait_for(&broker, "both to be gone", |now| now.counters.workers_lost == 2);
    ask(&mut client, "a", "r", r#"{"timeout":0}"#);
    expect_silence(&mut client);
    honest.goes_on();
    assert_eq!(snapshot(&broker).holdings.services, 1);
}

#[test]
fn ready_without_a_name_or_with_one_that_cannot_be_is_answered_with_disconnect() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let long = [b'n'; 256];
    let cases: [(&[&[u8]], &str); 6] = [
        (&[b"W", b"1", b""], "empty_service"),
        (&[b"W", b"1"], "missing_service"),
        (&[b"W", b"1", b"\xFF"], "service_not_utf8"),
        (&[b"W", b"1", b"a\0b"], "service_control_character"),
        (&[b"W", b"1", &long], "service_too_long"),
        (&[b"W", b"1", b"mmi.service"], "reserved_name"),
    ];
    for (message, reason) in cases {
        let mut worker = Peer::with_id(&broker, id("W").as_bytes());
        worker.send(message);
        worker.expect(&[b"W", b"5"]);
        // The worker may register again with a valid name.
        worker.send(&[b"W", b"1", b"better"]);
        worker.expect(&[b"W", b"1"]);
        honest.goes_on();
        let now = snapshot(&broker);
        let reserved = now.counters.violation(PeerViolation::ReservedName);
        assert!(now.refused.get(reason) == Some(&1) || reserved == 1, "{reason}: {now}");
    }
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.violation(PeerViolation::Malformed), 5);
}

#[test]
fn a_client_s_message_that_cannot_be_is_dropped_and_counted() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let (mut client, long) = (client(&broker), [b'n'; 256]);
    expect_silence(&mut client);
    let cases: [(&[&[u8]], &str); 15] = [
        (&[b"C"], "missing_command"),
        (&[b"C", b""], "command_length"),
        (&[b"C", b"22"], "command_length"),
        (&[b"C", b"\x02", b"echo", b"r", b"1", b"{}"], "unknown_command"),
        (&[b"C", b"9"], "unknown_command"),
        (&[b"C", b"1", b"echo"], "unknown_command"),
        (&[b"C", b"3", b"", b"r", b"0", b"1", b"{}"], "command_of_other_direction"),
        (&[b"C", b"2"], "missing_service"),
        (&[b"C", b"2", b"echo"], "missing_id"),
        (&[b"C", b"2", b"echo", &long, b"1", b"{}"], "id_too_long"),
        (&[b"C", b"4", b"request", &long], "id_too_long"),
        (&[b"", b"C", b"2", b"echo", b"r", b"1", b"{}"], "unexpected_delimiter"),
        (&[b"W", b"1", b"echo"], "header_of_other_side"),
        (&[b"MDPC02", b"\x01", b"echo", b"1"], "header_of_other_dialect"),
        (&[b"c", b"2", b"echo", b"r", b"1", b"{}"], "unknown_header"),
    ];
    let mut counted = std::collections::BTreeMap::new();
    for (message, reason) in cases {
        client.send(message);
        expect_silence(&mut client);
        *counted.entry(reason).or_insert(0) += 1;
        assert_eq!(snapshot(&broker).refused, counted, "{reason}");
        honest.goes_on();
    }
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.violation(PeerViolation::Malformed), cases.len() as u64);
    assert_eq!(counters.received, cases.len() as u64);
}

#[test]
fn a_client_that_asks_for_a_name_that_cannot_be_is_told() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut client = client(&broker);
    let names: [&[u8]; 4] = [b"", b"\xFF\xFE", b"a\nb", &[b'n'; 256]];
    for name in names {
        client.send(&[b"C", b"2", name, b"r", b"1", b"{}"]);
        client.expect(&[b"C", b"3", b"", b"r", b"-1", b"\"B_NO_SERVICE\"", b"{}"]);
        honest.goes_on();
    }
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.outcome(Outcome::NoSuchService), names.len() as u64);
}

// Forged replies.

/// The requests in flight when a worker violates the protocol.
struct Hand {
    /// The worker's first request.
    own: Given,
    /// The worker's second request.
    second: Given,
    /// A request of another worker.
    foreign: Given,
}

type Message = Vec<Bytes>;

fn words(frames: &[&[u8]]) -> Message {
    frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect()
}

fn reply(command: &[u8], token: &[u8], rid: &[u8]) -> Message {
    words(&[b"W", command, token, b"", rid, b"0", b"\"forged\"", b"{}"])
}

/// Checks that a worker with two requests is disconnected after this protocol violation: the client
/// without redelivery gets an error, and the other client's request is redelivered.
#[track_caller]
fn check_violation(violation: PeerViolation, message: impl Fn(&Hand) -> Message) {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let (mut once, mut again, mut stranger) = (client(&broker), client(&broker), client(&broker));
    let (mut bad, mut other) = (worker(&broker, "echo"), worker(&broker, "other"));
    ask(&mut once, "echo", "r1", MINUTE);
    let own = given(&mut bad);
    ask(&mut again, "echo", "r2", RETRY);
    let second = given(&mut bad);
    ask(&mut stranger, "other", "r3", MINUTE);
    let foreign = given(&mut other);
    let message = message(&Hand { own, second, foreign: foreign.clone() });
    bad.send(&message.iter().map(|frame| &frame[..]).collect::<Vec<_>>());
    bad.expect(&[b"W", b"5"]);
    expect_error(&mut once, "r1", "\"B_WORKER_LOST\"");
    let mut next = worker(&broker, "echo");
    let retried = given(&mut next);
    assert_eq!(retried.rid, "r2");
    answer(&mut next, &retried, "0", "\"right\"");
    expect_final(&mut again, "r2", "\"right\"");
    // The client whose reply was forged gets the genuine reply, once.
    answer(&mut other, &foreign, "0", "\"right\"");
    expect_final(&mut stranger, "r3", "\"right\"");
    for client in [&mut once, &mut again, &mut stranger] {
        expect_silence(client);
    }
    honest.goes_on();
    let counters = snapshot(&broker).counters;
    assert_eq!(counters.violation(violation), 1, "{counters:?}");
    assert_eq!(PeerViolation::ALL.map(|known| counters.violation(known)).iter().sum::<u64>(), 1);
    assert_eq!((counters.redelivered, counters.outcome(Outcome::WorkerLost)), (1, 1));
}

#[test]
fn a_reply_with_another_worker_s_token() {
    for command in [b"3", b"6", b"7"] {
        check_violation(PeerViolation::ForgedReply, |hand| {
            reply(command, &hand.foreign.token, &hand.foreign.rid)
        });
    }
}

#[test]
fn a_reply_with_a_token_that_was_never_given() {
    let tokens: [&[u8]; 5] =
        [b"x", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"\xFF\x00", b"C", &[b'a'; 255]];
    for token in tokens {
        check_violation(PeerViolation::ForgedReply, |hand| reply(b"3", token, &hand.own.rid));
    }
}

#[test]
fn a_reply_with_the_token_of_one_request_and_the_rid_of_another() {
    for command in [b"3", b"6", b"7"] {
        check_violation(PeerViolation::ForgedReply, |hand| {
            reply(command, &hand.own.token, &hand.second.rid)
        });
        check_violation(PeerViolation::ForgedReply, |hand| {
            reply(command, &hand.second.token, &hand.foreign.rid)
        });
    }
    check_violation(PeerViolation::ForgedReply, |hand| reply(b"3", &hand.own.token, b"R1"));
}

#[test]
fn a_reply_that_is_short_or_long_of_something() {
    let long = [b'x'; 256];
    check_violation(PeerViolation::Malformed, |_| words(&[b"W", b"3"]));
    check_violation(PeerViolation::Malformed, |_| {
        words(&[b"W", b"3", b"", b"", b"r1", b"0", b"1", b"{}"])
    });
    check_violation(PeerViolation::Malformed, |_| {
        words(&[b"W", b"3", &long, b"", b"r1", b"0", b"1"])
    });
    check_violation(PeerViolation::Malformed, |hand| words(&[b"W", b"3", &hand.own.token]));
    check_violation(PeerViolation::Malformed, |hand| words(&[b"W", b"3", &hand.own.token, b""]));
    check_violation(PeerViolation::Malformed, |hand| {
        words(&[b"W", b"3", &hand.own.token, b"x", &hand.own.rid, b"0", b"1", b"{}"])
    });
    check_violation(PeerViolation::Malformed, |hand| {
        words(&[b"W", b"3", &hand.own.token, b"", &long, b"0", b"1", b"{}"])
    });
    // The format of zmq-omdp's workers.
    check_violation(PeerViolation::Malformed, |hand| {
        words(&[b"W", b"3", &hand.own.token, &hand.own.rid, b"0", b"1"])
    });
}

#[test]
fn a_command_that_a_worker_does_not_have() {
    for message in [
        &[&b"W"[..]][..],
        &[b"W", b""],
        &[b"W", b"0"],
        &[b"W", b"2", b"x", b"echo", b"", b"r", b"1", b"{}"],
        &[b"W", b"8"],
        &[b"W", b"\x04"],
        &[b"W", b"44"],
        &[b"", b"W", b"4"],
        &[b"C", b"2", b"echo", b"r", b"1", b"{}"],
        &[b"MDPW02", b"\x05"],
    ] {
        check_violation(PeerViolation::Malformed, |_| words(message));
    }
}

#[test]
fn whatever_comes_before_ready_is_answered_with_disconnect() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let (mut client, mut other) = (client(&broker), worker(&broker, "other"));
    ask(&mut client, "other", "r1", MINUTE);
    let foreign = given(&mut other);
    let token = &foreign.token[..];
    let cases: [&[&[u8]]; 7] = [
        &[b"W", b"4"],
        &[b"W", b"4", b"", br#"{"concurrency":5}"#],
        &[b"W", b"3", token, b"", b"r1", b"0", b"\"forged\"", b"{}"],
        &[b"W", b"6", token, b"", b"r1", b"0", b"\"forged\"", b"{}"],
        &[b"W", b"7", token, b"", b"r1", b"0", b"\"forged\"", b"{}"],
        &[b"W", b"3", b"C", b"", b"r1", b"0", b"\"forged\"", b"{}"],
        &[b"W", b"9"],
    ];
    for message in cases {
        let mut early = Peer::with_id(&broker, id("W").as_bytes());
        for _ in 0..2 {
            early.send(message);
            early.expect(&[b"W", b"5"]);
        }
        honest.goes_on();
        early.send(&[b"W", b"1", b"early"]);
        early.expect(&[b"W", b"1"]);
    }
    answer(&mut other, &foreign, "0", "2");
    expect_final(&mut client, "r1", "2");
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(
        (counters.violation(PeerViolation::NotReady), counters.violation(PeerViolation::Malformed)),
        (12, 2)
    );
}

#[test]
fn ready_again_changes_nothing_and_a_goodbye_is_not_answered() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    for name in ["echo", "honest", "*"] {
        worker.send(&[b"W", b"1", name.as_bytes()]);
    }
    ask(&mut client, "echo", "r1", MINUTE);
    let asked = given(&mut worker);
    honest.goes_on();
    // The worker disconnects with a request in flight, twice.
    worker.send(&[b"W", b"5"]);
    worker.send(&[b"W", b"5"]);
    expect_error(&mut client, "r1", "\"B_WORKER_LOST\"");
    // A reply to a request from before the disconnect is late.
    answer(&mut worker, &asked, "0", "2");
    worker.send(&[b"W", b"1", b"echo"]);
    // So the first message that the worker receives is the answer to READY.
    worker.expect(&[b"W", b"1"]);
    honest.goes_on();
    expect_silence(&mut client);
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!((counters.workers_registered, counters.workers_lost), (3, 3));
    assert_eq!(counters.late_replies, 1);
    assert_eq!(
        PeerViolation::ALL.map(|known| counters.violation(known)),
        [0; PeerViolation::ALL.len()]
    );
}

#[test]
fn two_clients_may_use_the_same_rid() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut clients = [client(&broker), client(&broker)];
    let mut worker = worker(&broker, "echo");
    let mut asked = Vec::new();
    for client in &mut clients {
        ask(client, "echo", "r", MINUTE);
        asked.push(given(&mut worker));
    }
    assert_ne!(asked[0].token, asked[1].token);
    // Partial and final replies are interleaved.
    for at in [1, 0] {
        let Given { token, rid, .. } = &asked[at];
        let data = format!("\"part {at}\"");
        worker.send(&[b"W", b"6", token, b"", rid, b"0", data.as_bytes(), b"{}"]);
        answer(&mut worker, &asked[at], "0", &format!("\"end {at}\""));
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let part = format!("\"part {at}\"");
        client.expect(&[b"C", b"6", b"", b"r", b"0", part.as_bytes(), b"{}"]);
        expect_final(client, "r", &format!("\"end {at}\""));
    }
    // A single client with several requests gets as many replies.
    for _ in 0..2 {
        ask(&mut clients[0], "echo", "r", MINUTE);
    }
    let asked = [given(&mut worker), given(&mut worker)];
    answer(&mut worker, &asked[1], "0", "2");
    answer(&mut worker, &asked[0], "0", "1");
    expect_final(&mut clients[0], "r", "2");
    expect_final(&mut clients[0], "r", "1");
    honest.goes_on();
    for client in &mut clients {
        expect_silence(client);
    }
}

// Identities.

#[test]
fn identities_that_are_no_text_are_served_and_have_a_name_in_the_directory() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let long = [0xEE; 255];
    let identities: [&[u8]; 4] = [b"\xFF\xFE", b"\xC3\x28", b"\x01\x80\xFF", &long];
    let mut workers = identities.map(|identity| worker_as(&broker, identity, "echo"));
    let mut client = client(&broker);
    client.send(&[b"C", b"2", b"$dir", b"d", b"\"echo\"", b"{}"]);
    let list = String::from_utf8(client.frames()[5].to_vec()).expect("JSON is text");
    let names: Vec<&str> = list.trim_matches(['[', ']']).split(',').collect();
    assert_eq!(names.len(), identities.len());
    // Each of these names is another worker's.
    for name in names {
        ask(&mut client, "echo", "r", &format!("{{\"workerId\":{name}}}"));
    }
    for worker in &mut workers {
        let asked = given(worker);
        assert!(asked.token.is_ascii(), "some workers read it as text");
        answer(worker, &asked, "0", "1");
        expect_final(&mut client, "r", "1");
        honest.goes_on();
    }
    // Clients are distinguished by their identities too.
    let mut clients = identities.map(|identity| {
        let identity = [b"c", &identity[..identity.len() - 1]].concat();
        Peer::with_id(&broker, &identity)
    });
    for (at, client) in clients.iter_mut().enumerate() {
        ask(client, "echo", &format!("r{at}"), MINUTE);
    }
    for worker in &mut workers {
        let asked = given(worker);
        let data = format!("\"{}\"", String::from_utf8_lossy(&asked.rid));
        answer(worker, &asked, "0", &data);
    }
    for (at, client) in clients.iter_mut().enumerate() {
        expect_final(client, &format!("r{at}"), &format!("\"r{at}\""));
    }
    honest.goes_on();
}

#[test]
fn a_worker_that_is_asked_for_must_be_there_and_serve_the_name() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let [anna, bert, carl] = ["ANNA", "BERT", "CARL"].map(id);
    let mut worker = worker_as(&broker, anna.as_bytes(), "echo");
    let _other = worker_as(&broker, bert.as_bytes(), "other");
    let mut client = Peer::with_id(&broker, carl.as_bytes());
    let wanted = |name: &str| format!("{{\"workerId\":{name}}}");
    let long = format!("\"{}\"", "x".repeat(10_000));
    for name in [
        "\"nobody\"",
        // A worker of another service, a client, a name that is not Unicode, and names in
        // Majordomus's format.
        &format!("\"{bert}\""),
        &format!("\"{carl}\""),
        "\"\\ud800\"",
        "\"p0.0\"",
        "\"p99999999999999999999.0\"",
        "\"p\"",
        "\"__proto__\"",
        &long,
    ] {
        ask(&mut client, "echo", "r", &wanted(name));
        expect_error(&mut client, "r", "\"B_NO_WORKER\"");
        honest.goes_on();
    }
    // The target is connected, but serves another service.
    for service in ["other", "nothing", "honest"] {
        ask(&mut client, service, "r", &wanted(&format!("\"{anna}\"")));
        expect_error(&mut client, "r", "\"B_NO_WORKER\"");
    }
    ask(&mut client, "echo", "r", &wanted(&format!("\"{anna}\"")));
    let asked = given(&mut worker);
    answer(&mut worker, &asked, "0", "1");
    expect_final(&mut client, "r", "1");
    // The target disconnects while a request is queued for it.
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":0}"#]);
    worker.expect(&[b"W", b"4"]);
    ask(&mut client, "echo", "r", &wanted(&format!("\"{anna}\"")));
    wait_for(&broker, "the request to wait", |now| now.counters.in_progress == 1);
    worker.send(&[b"W", b"5"]);
    expect_error(&mut client, "r", "\"B_NO_WORKER\"");
    honest.goes_on();
    wait_for(&broker, "the names to be forgotten", |now| now.holdings.services == 2);
}

// Heartbeats.

#[test]
fn a_client_s_heartbeats_of_every_kind() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let (mut worker, long) = (worker(&broker, "echo"), [b'x'; 300]);
    // A heartbeat without a subject is a plain heartbeat.
    for message in [
        &[&b"C"[..], b"4"][..],
        &[b"C", b"4", b""],
        &[b"C", b"4", b"request"],
        &[b"C", b"4", b"worker"],
        &[b"C", b"4", b"worker", b""],
        &[b"C", b"4", b"worker", &long],
        &[b"C", b"4", b"\xFF", b"\xFF", b"\xFF"],
    ] {
        client.send(message);
        client.expect(&[b"C", b"4"]);
        honest.goes_on();
    }
    // A heartbeat with an unknown subject has no effect.
    for message in [
        &[&b"C"[..], b"4", b"request", b"unknown"][..],
        &[b"C", b"4", b"req", b""],
        &[b"C", b"4", b"worker", b"unknown"],
        &[b"C", b"4", b"worker", b"\xFF\xFE"],
    ] {
        client.send(message);
        expect_silence(&mut client);
        honest.goes_on();
    }
    ask(&mut client, "echo", "r1", MINUTE);
    let asked = given(&mut worker);
    for word in ["request", "req"] {
        client.send(&[b"C", b"4", word.as_bytes(), b"r1"]);
        worker.expect(&[b"W", b"4", &asked.token, b"", b"r1"]);
    }
    // A client cannot keep another client's request alive.
    let mut other = common::pigato::client(&broker);
    other.send(&[b"C", b"4", b"request", b"r1"]);
    expect_silence(&mut other);
    answer(&mut worker, &asked, "0", "1");
    expect_final(&mut client, "r1", "1");
    client.send(&[b"C", b"4", b"request", b"r1"]);
    expect_silence(&mut client);
    worker.send(&[b"W", b"4"]);
    worker.expect(&[b"W", b"4"]);
    honest.goes_on();
}

#[test]
fn a_worker_that_somebody_vouches_for_is_not_lost() {
    let broker = broker_with(|config| {
        config.core.heartbeat_interval = Duration::from_millis(50);
        config.core.liveness = 20;
    });
    let vouched = id("VOUCHED");
    // Neither worker sends anything from here on. Without keep-alives the first would be lost
    // before the second.
    let _silent = worker_as(&broker, vouched.as_bytes(), "echo");
    let _unheard = worker(&broker, "echo");
    let mut client = client(&broker);
    while snapshot(&broker).counters.workers_lost == 0 {
        client.send(&[b"C", b"4", b"worker", vouched.as_bytes()]);
        expect_silence(&mut client);
    }
    assert_eq!(directory(&broker), format!("{{\"echo\":[\"{vouched}\"]}}"));
    drop(client);
    wait_for(&broker, "it to be lost too", |now| now.counters.workers_lost == 2);
}

// Data.

#[test]
fn data_that_is_no_json_passes_between_peers_of_pigato_as_it_is() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    let cases: [&[u8]; 6] = [b"{", b"\xFF\xFE", b"undefined", b"NaN", b"[1,", b"\0"];
    for data in cases {
        client.send(&[b"C", b"2", b"echo", b"r", data, b"{}"]);
        let asked = given(&mut worker);
        assert_eq!(asked.data, data);
        worker.send(&[b"W", b"3", &asked.token, b"", b"r", b"0", data, b"{}"]);
        // The word `undefined` would crash the clients.
        let data = if data == b"undefined" { b"null" } else { data };
        client.expect(&[b"C", b"3", b"", b"r", b"0", data, b"{}"]);
        honest.goes_on();
    }
    // An MDP client gets the bytes unchanged, one reply for each.
    let mut plain = Peer::connect(&broker);
    for data in cases {
        plain.send(&[b"", b"MDPC01", b"echo", b"x"]);
        let asked = given(&mut worker);
        worker.send(&[b"W", b"3", &asked.token, b"", b"", b"0", data, b"{}"]);
        let body: &[&[u8]] = if data == b"undefined" { &[] } else { &[data] };
        plain.expect(&[&[&b""[..], b"MDPC01", b"echo"], body].concat());
        honest.goes_on();
    }
}

#[test]
fn what_is_no_status_is_no_error() {
    let broker = quiet_broker(|_| {});
    let (mut honest, mut client) = (Honest::new(&broker), client(&broker));
    let mut worker = worker(&broker, "echo");
    let cases: [(&[u8], &[u8]); 8] = [
        (b"0", b"0"),
        (b"", b"0"),
        (b"x", b"0"),
        (b"\xFF", b"0"),
        (b"NaN", b"0"),
        (b"-1", b"-1"),
        (b"-1.0", b"-1"),
        (b"5", b"-1"),
    ];
    for (status, passed) in cases {
        ask(&mut client, "echo", "r", MINUTE);
        let asked = given(&mut worker);
        worker.send(&[b"W", b"3", &asked.token, b"", b"r", status, b"\"x\"", b"{}"]);
        client.expect(&[b"C", b"3", b"", b"r", passed, b"\"x\"", b"{}"]);
        honest.goes_on();
    }
    // A truncated reply: no status, no data, no options.
    ask(&mut client, "echo", "r", MINUTE);
    let asked = given(&mut worker);
    worker.send(&[b"W", b"3", &asked.token, b"", b"r"]);
    expect_final(&mut client, "r", "null");
    honest.goes_on();
    // A reply with excess frames.
    ask(&mut client, "echo", "r", MINUTE);
    let asked = given(&mut worker);
    worker.send(&[b"W", b"3", &asked.token, b"", b"r", b"0", b"1", b"{}", b"more", b"of it"]);
    expect_final(&mut client, "r", "1");
    honest.goes_on();
}

#[test]
fn others_are_served_beside_it() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut plain = Peer::worker(&broker, "plain");
    round_trip(&broker, &mut plain, "plain");
    let mut client = client(&broker);
    client.send(&[b"C", b"2", b"plain", b"r", br#""text""#, b"null"]);
    let (address, body) = plain.request();
    assert_eq!(body, ["text"]);
    plain.reply(&address, &[b"text"]);
    expect_final(&mut client, "r", "\"text\"");
    honest.goes_on();
}
