//! Frame-level tests of the zmq-omdp dialect. The package is no longer available, so these tests
//! stand in for its clients and workers, and test their protocol violations.

mod common;

use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use common::pigato::{self, Honest, quiet_broker};
use common::{Peer, address_of, broker_with, wait_for};
use majordomus_broker::{Broker, Dialect, Listen, Snapshot};
use majordomus_core::Outcome;
use majordomus_core::broker::PeerViolation;
use majordomus_zmtp::{Metadata, SocketType};

/// Routing ids in the format of zmq-omdp's package shortid.
const CLIENT: &[u8] = b"CPPBqWA9";
const WORKER: &[u8] = b"W4k_x-T0e";

fn client(broker: &Broker) -> Peer {
    Peer::with_id(broker, CLIENT)
}

fn worker(broker: &Broker, service: &str) -> Peer {
    worker_as(broker, WORKER, service)
}

/// Connects a worker and waits until the broker has registered it. The worker gets no answer.
fn worker_as(broker: &Broker, id: &[u8], service: &str) -> Peer {
    let registered = |now: &Snapshot| now.counters.workers_registered;
    let before = registered(&broker.control().snapshot().expect("the broker runs"));
    let mut worker = Peer::with_id(broker, id);
    worker.send(&[b"W", b"1", service.as_bytes()]);
    wait_for(broker, "the worker to register", |now| registered(now) > before);
    worker
}

fn ask(client: &mut Peer, service: &str, rid: &str, data: &str) {
    client.send(&[b"C", b"2", service.as_bytes(), rid.as_bytes(), data.as_bytes(), b"{}"]);
}

/// A request as received by a worker.
struct Given {
    token: Bytes,
    rid: Bytes,
    data: Bytes,
}

#[track_caller]
fn given(worker: &mut Peer) -> Given {
    let frames: [Bytes; 5] = worker.frames().try_into().expect("a REQUEST has five frames");
    let [header, command, token, rid, data] = frames;
    assert_eq!([header, command], ["W", "2"]);
    Given { token, rid, data }
}

fn answer(worker: &mut Peer, given: &Given, data: &str) {
    worker.send(&[b"W", b"3", &given.token, &given.rid, b"0", data.as_bytes()]);
}

#[track_caller]
fn expect_final(client: &mut Peer, rid: &str, data: &str) {
    client.expect(&[b"C", b"3", rid.as_bytes(), b"0", data.as_bytes()]);
}

/// Checks that the broker has sent a client nothing else: the reply to an `mmi` request comes next.
#[track_caller]
fn expect_silence(client: &mut Peer) {
    ask(client, "mmi.none", "silence", "null");
    expect_final(client, "silence", "501");
}

#[test]
fn a_request_its_parts_and_its_end() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    client.send(&[b"C", b"2", b"echo", b"r1", br#"{"a":[1]}"#, br#"{"timeout":60000}"#]);
    // The broker did not answer READY. The worker would interpret an answer as an error.
    let asked = given(&mut worker);
    assert_eq!((&asked.rid[..], &asked.data[..]), (&b"r1"[..], &br#"{"a":[1]}"#[..]));
    assert!(asked.token.is_ascii());
    for data in ["1", r#"["two"]"#] {
        worker.send(&[b"W", b"6", &asked.token, b"r1", b"0", data.as_bytes()]);
        client.expect(&[b"C", b"6", b"r1", b"0", data.as_bytes()]);
    }
    answer(&mut worker, &asked, r#"{"b":null}"#);
    expect_final(&mut client, "r1", r#"{"b":null}"#);
    // A truncated reply.
    ask(&mut client, "echo", "r2", "null");
    let asked = given(&mut worker);
    worker.send(&[b"W", b"3", &asked.token, b"r2"]);
    expect_final(&mut client, "r2", "null");
    expect_silence(&mut client);
}

#[test]
fn an_error_stands_in_the_place_of_the_status() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    for error in ["\"boom\"", r#"{"code":5}"#, "-1", "[]"] {
        ask(&mut client, "echo", "r", "1");
        let asked = given(&mut worker);
        worker.send(&[b"W", b"3", &asked.token, b"r", error.as_bytes()]);
        client.expect(&[b"C", b"3", b"r", error.as_bytes()]);
    }
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.outcome(Outcome::Failed), 4);
}

#[test]
fn the_word_undefined_reaches_nobody() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    for data in ["undefined", ""] {
        ask(&mut client, "echo", "r", data);
        let asked = given(&mut worker);
        assert_eq!(asked.data, "null");
        worker.send(&[b"W", b"6", &asked.token, b"r", b"0", data.as_bytes()]);
        client.expect(&[b"C", b"6", b"r", b"0", b"\"\""]);
        answer(&mut worker, &asked, data);
        expect_final(&mut client, "r", "null");
        ask(&mut client, "echo", "r", "1");
        let asked = given(&mut worker);
        worker.send(&[b"W", b"3", &asked.token, b"r", b"undefined"]);
        client.expect(&[b"C", b"3", b"r", b"\"B_FAILED\""]);
    }
    // PIGATO's workers write it for no value.
    let mut other = pigato::worker(&broker, "other");
    ask(&mut client, "other", "r", "1");
    let asked = pigato::given(&mut other);
    pigato::answer(&mut other, &asked, "0", "undefined");
    expect_final(&mut client, "r", "null");
}

#[test]
fn a_worker_has_one_request_at_a_time() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    // PIGATO's status options do not exist in this dialect.
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":5}"#]);
    for rid in ["r1", "r2", "r3"] {
        ask(&mut client, "echo", rid, "1");
    }
    wait_for(&broker, "all to have come", |now| now.counters.in_progress == 3);
    for (done, rid) in ["r1", "r2", "r3"].into_iter().enumerate() {
        let asked = given(&mut worker);
        assert_eq!(asked.rid, rid);
        let counters = broker.control().snapshot().expect("the broker runs").counters;
        assert_eq!(counters.dispatched, done as u64 + 1);
        answer(&mut worker, &asked, "2");
        expect_final(&mut client, rid, "2");
    }
}

#[test]
fn heartbeats_go_both_ways_and_are_not_answered() {
    let broker = broker_with(|config| {
        config.core.heartbeat_interval = Duration::from_millis(50);
        config.core.liveness = 20;
    });
    let mut worker = worker(&broker, "echo");
    // The broker sends heartbeats. The worker answers and is not lost.
    for _ in 0..30 {
        worker.expect(&[b"W", b"4"]);
        worker.send(&[b"W", b"4"]);
    }
    let mut client = client(&broker);
    client.send(&[b"C", b"4"]);
    expect_silence(&mut client);
    assert_eq!(broker.control().snapshot().expect("it runs").counters.workers_lost, 0);
    drop(client);
    wait_for(&broker, "a worker that is silent to be lost", |now| now.counters.workers_lost == 1);
}

#[test]
fn a_worker_s_heartbeat_is_not_answered_at_once() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    worker.send(&[b"W", b"4"]);
    ask(&mut client, "echo", "r", "1");
    // The next message to the worker is the request.
    let asked = given(&mut worker);
    worker.send(&[b"W", b"4"]);
    answer(&mut worker, &asked, "2");
    expect_final(&mut client, "r", "2");
}

#[test]
fn a_client_s_heartbeat_for_its_request_reaches_the_worker() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    ask(&mut client, "echo", "r1", "1");
    let asked = given(&mut worker);
    for message in [
        &[&b"C"[..], b"4", b"unknown"][..],
        &[b"C", b"4", b""],
        &[b"C", b"4", b"r1"],
        &[b"C", b"4"],
    ] {
        client.send(message);
    }
    worker.expect(&[b"W", b"4", &asked.token, b"r1"]);
    // A client cannot keep another client's request alive.
    let mut other = Peer::with_id(&broker, b"CsomeOne");
    other.send(&[b"C", b"4", b"r1"]);
    expect_silence(&mut other);
    answer(&mut worker, &asked, "2");
    expect_final(&mut client, "r1", "2");
    client.send(&[b"C", b"4", b"r1"]);
    expect_silence(&mut client);
    ask(&mut client, "echo", "r2", "1");
    assert_eq!(given(&mut worker).rid, "r2");
}

#[test]
fn a_request_ends_in_silence_at_its_own_timeout() {
    let broker = quiet_broker(|_| {});
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    client.send(&[b"C", b"2", b"echo", b"r1", b"1", br#"{"timeout":20}"#]);
    let asked = given(&mut worker);
    client.send(&[b"C", b"2", b"nobody", b"r2", b"1", br#"{"timeout":20}"#]);
    client.send(&[b"C", b"2", b"nobody", b"r3", b"1", br#"{"timeout":0}"#]);
    wait_for(&broker, "all to end", |now| {
        let ended = |outcome| now.counters.outcome(outcome);
        (ended(Outcome::Expired), ended(Outcome::NoSuchService)) == (1, 2)
    });
    // The worker's reply is late now.
    answer(&mut worker, &asked, "2");
    expect_silence(&mut client);
    ask(&mut client, "echo", "r4", "1");
    let asked = given(&mut worker);
    answer(&mut worker, &asked, "4");
    expect_final(&mut client, "r4", "4");
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.late_replies, 1);
}

#[test]
fn a_request_is_never_given_to_a_second_worker() {
    let broker = quiet_broker(|_| {});
    let mut first = worker(&broker, "echo");
    let mut second = worker_as(&broker, b"WsecondOne", "echo");
    let mut client = client(&broker);
    // Not even with PIGATO's option for it.
    client.send(&[b"C", b"2", b"echo", b"r1", b"1", br#"{"retry":1}"#]);
    given(&mut first);
    drop(first);
    client.expect(&[b"C", b"3", b"r1", b"\"B_WORKER_LOST\""]);
    // A worker that disconnects properly while another request is queued for it.
    ask(&mut client, "echo", "r2", "1");
    ask(&mut client, "echo", "r3", "1");
    given(&mut second);
    second.send(&[b"W", b"5"]);
    client.expect(&[b"C", b"3", b"r2", b"\"B_WORKER_LOST\""]);
    // READY is not answered: the first message after registering again is the queued request.
    second.send(&[b"W", b"1", b"echo"]);
    let asked = given(&mut second);
    assert_eq!(asked.rid, "r3");
    answer(&mut second, &asked, "3");
    expect_final(&mut client, "r3", "3");
    expect_silence(&mut client);
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!((counters.redelivered, counters.outcome(Outcome::WorkerLost)), (0, 2));
}

#[test]
fn what_ends_without_a_worker_is_told_by_its_word() {
    let broker = quiet_broker(|config| {
        config.core.no_worker_wait = Some(Duration::from_millis(10));
        config.core.limits.client_requests_max = 1;
    });
    let mut client = client(&broker);
    ask(&mut client, "nobody", "r1", "1");
    client.expect(&[b"C", b"3", b"r1", b"\"B_NO_SERVICE\""]);
    client.send(&[b"C", b"2", b"echo", b"r2", b"1", br#"{"workerId":"nobody"}"#]);
    client.expect(&[b"C", b"3", b"r2", b"\"B_NO_WORKER\""]);
    let mut worker = worker(&broker, "echo");
    ask(&mut client, "echo", "r3", "1");
    given(&mut worker);
    ask(&mut client, "echo", "r4", "1");
    client.expect(&[b"C", b"3", b"r4", b"\"B_BUSY\""]);
    broker.control().shutdown();
    client.expect(&[b"C", b"3", b"r3", b"\"B_SHUTDOWN\""]);
    worker.expect(&[b"W", b"5"]);
}

// Distinction from PIGATO.

/// Returns true if a worker with this routing id gets an answer to READY, like PIGATO's.
fn is_pigato_s(broker: &Broker, id: &[u8]) -> bool {
    let mut worker = Peer::with_id(broker, id);
    // The second message is answered with DISCONNECT in both dialects.
    worker.send(&[b"W", b"1", b"echo"]);
    worker.send(&[b"W", b"9"]);
    let first = worker.frames();
    assert_eq!(first[0], "W");
    first[1] == "1"
}

#[test]
fn a_worker_is_told_by_its_routing_id() {
    let broker = quiet_broker(|_| {});
    for id in [&b"WPPBqWA9"[..], b"W123456", b"Wab_-cdefghijkl", b"W------", b"CPPBqWA9"] {
        assert!(!is_pigato_s(&broker, id), "{}", id.escape_ascii());
    }
    for id in [
        &b""[..],
        b"W",
        b"W12345",
        b"Wabcdefghijklmno",
        b"WPPBq.A9",
        b"wPPBqWA9",
        b"WPPBqW\xFF9",
        b"worker-1",
        pigato::id("W").as_bytes(),
        pigato::id("").as_bytes(),
    ] {
        assert!(is_pigato_s(&broker, id), "{}", id.escape_ascii());
    }
}

/// Returns true if a client with this first request gets a reply in PIGATO's format.
fn is_answered_as_pigato_s(broker: &Broker, id: &[u8], first: &[&[u8]]) -> bool {
    let mut client = Peer::with_id(broker, id);
    client.send(first);
    let reply = client.frames();
    match reply.len() {
        5 => assert_eq!(reply, ["C", "3", "r", "0", "501"]),
        _ => assert_eq!(reply, ["C", "3", "", "r", "0", "501", "{}"]),
    }
    reply.len() == 7
}

#[test]
fn a_client_is_told_by_its_routing_id_else_by_its_first_options() {
    let broker = quiet_broker(|_| {});
    let asked = |options| [&b"C"[..], b"2", b"mmi.x", b"r", b"1", options];
    let (with, without) = (asked(br#"{"timeout":5,"retry":0}"#), asked(br#"{"timeout":5}"#));
    // The routing id decides.
    assert!(!is_answered_as_pigato_s(&broker, CLIENT, &with));
    assert!(is_answered_as_pigato_s(&broker, pigato::id("C").as_bytes(), &without));
    // The routing id does not decide.
    for id in [&b""[..], b"mine", b"\xFF\xFE"] {
        assert!(is_answered_as_pigato_s(&broker, id, &with));
        assert!(!is_answered_as_pigato_s(&broker, id, &without));
        assert!(!is_answered_as_pigato_s(&broker, id, &asked(b"{}")));
        // Nor do the options.
        for options in [&b"null"[..], b"undefined", b"", b"{", b"[]"] {
            assert!(is_answered_as_pigato_s(&broker, id, &asked(options)));
        }
        assert!(is_answered_as_pigato_s(&broker, id, &with[..5]));
    }
}

#[test]
fn a_listener_that_is_pinned_knows() {
    let broker = quiet_broker(|config| {
        let pinned = |dialect| Listen { dialect: Some(dialect), ..config.listen[0].clone() };
        config.listen = [Dialect::Omdp, Dialect::Pigato].map(pinned).to_vec();
    });
    let with_retry = br#"{"retry":0}"#;
    for (endpoint, id, length) in [(0, pigato::id("C").into_bytes(), 5), (1, CLIENT.to_vec(), 7)] {
        let address = address_of(&broker.endpoints()[endpoint]);
        let stream = TcpStream::connect(address).expect("it listens");
        let metadata = Metadata::new(SocketType::Dealer).with_routing_id(&id);
        let mut client = Peer::shake_hands(stream, metadata);
        client.send(&[b"C", b"2", b"mmi.x", b"r", b"1", with_retry]);
        assert_eq!(client.frames().len(), length);
    }
}

// Interoperation with other dialects.

#[test]
fn each_is_served_by_workers_of_all() {
    let broker = quiet_broker(|_| {});
    let mut omdp = worker(&broker, "omdp");
    let mut pigato = pigato::worker(&broker, "pigato");
    let mut mdp = Peer::worker(&broker, "mdp");
    let mut client = client(&broker);
    let mut of_pigato = pigato::client(&broker);
    let mut of_mdp = Peer::connect(&broker);

    // A client of zmq-omdp.
    ask(&mut client, "pigato", "r1", "[1]");
    let asked = pigato::given(&mut pigato);
    assert_eq!(
        (&asked.rid[..], &asked.data[..], &asked.options[..]),
        (&b"r1"[..], &b"[1]"[..], &b"{}"[..])
    );
    let token = &asked.token;
    pigato.send(&[b"W", b"6", token, b"", b"r1", b"0", b"null", b"{}"]);
    client.expect(&[b"C", b"6", b"r1", b"0", b"\"\""]);
    pigato::answer(&mut pigato, &asked, "-1", "0");
    // The client would interpret a bare 0 as no error.
    client.expect(&[b"C", b"3", b"r1", b"\"0\""]);
    ask(&mut client, "mdp", "r2", "\"text\"");
    let (address, body) = mdp.request();
    assert_eq!(body, ["text"]);
    mdp.reply(&address, &[b"one", b"two"]);
    expect_final(&mut client, "r2", r#"["one","two"]"#);

    // A client of PIGATO.
    of_pigato.send(&[b"C", b"2", b"omdp", b"r3", b"undefined", br#"{"retry":1,"a":1}"#]);
    let asked = given(&mut omdp);
    assert_eq!((&asked.rid[..], &asked.data[..]), (&b"r3"[..], &b"null"[..]));
    omdp.send(&[b"W", b"6", &asked.token, b"r3", b"0", b"1"]);
    of_pigato.expect(&[b"C", b"6", b"", b"r3", b"0", b"1", b"{}"]);
    omdp.send(&[b"W", b"3", &asked.token, b"r3", b"\"boom\""]);
    pigato::expect_error(&mut of_pigato, "r3", "\"boom\"");
    of_pigato.send(&[b"C", b"2", b"omdp", b"r4", b"1", br#"{"retry":0}"#]);
    let asked = given(&mut omdp);
    of_pigato.send(&[b"C", b"4", b"request", b"r4"]);
    omdp.expect(&[b"W", b"4", &asked.token, b"r4"]);
    answer(&mut omdp, &asked, "4");
    pigato::expect_final(&mut of_pigato, "r4", "4");

    // A client of MDP.
    of_mdp.send(&[b"MDPC02", b"\x01", b"omdp", b"text"]);
    let asked = given(&mut omdp);
    assert_eq!((&asked.rid[..], &asked.data[..]), (&b""[..], &b"\"text\""[..]));
    omdp.send(&[b"W", b"6", &asked.token, b"", b"0", b"\"part\""]);
    of_mdp.expect(&[b"MDPC02", b"\x02", b"omdp", b"part"]);
    answer(&mut omdp, &asked, r#"{"a":1}"#);
    of_mdp.expect(&[b"MDPC02", b"\x03", b"omdp", br#"{"a":1}"#]);
}

#[test]
fn a_worker_that_rejects_sends_another_dialect_s_request_on_to_it() {
    let broker = quiet_broker(|_| {});
    let mut pigato = pigato::worker(&broker, "echo");
    let mut client = client(&broker);
    ask(&mut client, "echo", "r", "1");
    let asked = pigato::given(&mut pigato);
    let mut worker = worker(&broker, "echo");
    pigato.send(&[b"W", b"7", &asked.token, b"", b"r", b"0", b"\"no\"", b"undefined"]);
    let asked = given(&mut worker);
    answer(&mut worker, &asked, "2");
    expect_final(&mut client, "r", "2");
}

// Bad input.

#[test]
fn a_worker_that_says_what_it_must_not_is_sent_away() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let (mut client, mut stranger) = (client(&broker), Peer::with_id(&broker, b"Cstranger"));
    let mut other = worker_as(&broker, b"WtheOther", "other");
    ask(&mut stranger, "other", "r2", "1");
    let foreign = given(&mut other);
    let long = [b'x'; 256];
    let malformed = PeerViolation::Malformed;
    type Says<'a> = Box<dyn Fn(&Given) -> Vec<Bytes> + 'a>;
    let words = |frames: &[&[u8]]| -> Vec<Bytes> {
        frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect()
    };
    let plain = |frames: &'static [&'static [u8]]| -> Says<'static> {
        Box::new(move |_| frames.iter().map(|frame| Bytes::from_static(frame)).collect())
    };
    let cases: Vec<(PeerViolation, Says<'_>)> = vec![
        (
            PeerViolation::ForgedReply,
            Box::new(|_| words(&[b"W", b"3", &foreign.token, b"r2", b"0", b"1"])),
        ),
        (
            PeerViolation::ForgedReply,
            Box::new(|_| words(&[b"W", b"6", &foreign.token, b"r2", b"0", b"1"])),
        ),
        (
            PeerViolation::ForgedReply,
            Box::new(|own| words(&[b"W", b"3", &own.token, b"r2", b"0", b"1"])),
        ),
        (
            PeerViolation::ForgedReply,
            Box::new(|own| words(&[b"W", b"3", &own.token, b"r2", b"\"x\""])),
        ),
        (PeerViolation::ForgedReply, plain(&[b"W", b"3", b"CPPBqWA9", b"r1", b"0", b"1"])),
        // This dialect has no REJECT.
        (malformed, plain(&[b"W", b"7", b"x", b"", b"r1", b"0", b"1"])),
        (malformed, Box::new(|own| words(&[b"W", b"3", &own.token]))),
        (malformed, Box::new(|own| words(&[b"W", b"3", &own.token, &long, b"0", b"1"]))),
        (malformed, plain(&[b"W", b"3", b"", b"r1", b"0", b"1"])),
        (malformed, plain(&[b"W", b"3"])),
        (malformed, plain(&[b"W", b""])),
        (malformed, plain(&[b"W", b"2", b"echo", b"r1", b"1"])),
        (malformed, plain(&[b"W"])),
        (malformed, plain(&[b"", b"W", b"4"])),
        (malformed, plain(&[b"C", b"2", b"echo", b"r1", b"1", b"{}"])),
    ];
    for (at, (violation, says)) in cases.iter().enumerate() {
        let before = broker.control().snapshot().expect("it runs").counters;
        let mut bad = worker(&broker, "echo");
        ask(&mut client, "echo", "r1", "1");
        let own = given(&mut bad);
        let message = says(&own);
        bad.send(&message.iter().map(|frame| &frame[..]).collect::<Vec<_>>());
        bad.expect(&[b"W", b"5"]);
        client.expect(&[b"C", b"3", b"r1", b"\"B_WORKER_LOST\""]);
        honest.goes_on();
        let after = broker.control().snapshot().expect("it runs").counters;
        let more = |known| after.violation(known) - before.violation(known);
        assert_eq!(more(*violation), 1, "case {at}");
        assert_eq!(PeerViolation::ALL.map(more).iter().sum::<u64>(), 1, "case {at}");
        drop(bad);
        wait_for(&broker, "its connection to be gone", |now| now.connections == 5);
    }
    expect_silence(&mut client);
    answer(&mut other, &foreign, "2");
    expect_final(&mut stranger, "r2", "2");
}

#[test]
fn whatever_comes_before_ready_is_answered_with_disconnect() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    for message in [
        &[&b"W"[..], b"4"][..],
        &[b"W", b"3", b"x", b"r1", b"0", b"1"],
        &[b"W", b"6", b"x", b"r1", b"0", b"1"],
        &[b"W", b"1", b""],
        &[b"W", b"1"],
    ] {
        let mut early = Peer::with_id(&broker, WORKER);
        early.send(message);
        early.expect(&[b"W", b"5"]);
        honest.goes_on();
        drop(early);
        wait_for(&broker, "its connection to be gone", |now| now.connections == 2);
    }
}

#[test]
fn options_that_say_nothing_go_nowhere_and_the_request_is_served() {
    let broker = quiet_broker(|_| {});
    let mut honest = Honest::new(&broker);
    let mut worker = worker(&broker, "echo");
    let mut client = client(&broker);
    let long = [&br#"{"timeout":0,"a":""#[..], &[b'x'; 100_000], b"\"}"].concat();
    let cases: [&[u8]; 7] =
        [b"null", b"{", b"5", b"\xFF", br#"{"timeout":{}}"#, br#"{"timeout":"x"}"#, &long];
    for options in cases {
        client.send(&[b"C", b"2", b"echo", b"r", b"1", options]);
        let asked = given(&mut worker);
        answer(&mut worker, &asked, "2");
        expect_final(&mut client, "r", "2");
        honest.goes_on();
    }
    // Invalid messages are dropped, and the client is served as before.
    for message in [&[&b"C"[..], b"2", b"echo"][..], &[b"C", b"9"], &[b"W", b"4"]] {
        client.send(message);
        expect_silence(&mut client);
        honest.goes_on();
    }
    // No worker can register an invalid name.
    client.send(&[b"C", b"2", b"", b"r", b"1", b"{}"]);
    client.expect(&[b"C", b"3", b"r", b"\"B_NO_SERVICE\""]);
    let summary = broker.shutdown().expect("it ran");
    assert_eq!(summary.refused.values().sum::<u64>(), 3, "{summary}");
}
