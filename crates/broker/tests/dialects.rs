//! Byte-level tests of the dialects gdp, zproto and libmdp, and of their protocol violations.

mod common;

use std::io::Write;

use common::{Peer, broker, broker_with, round_trip, wait_for};
use majordomus_broker::{Broker, Config, Dialect, Errors};
use majordomus_zmtp::{Metadata, SocketType};

/// Connects a CLIENT socket.
fn client_socket(broker: &Broker) -> Peer {
    let peer = Peer::connect_as(broker, Metadata::new(SocketType::Client));
    let met = &peer.broker.as_ref().expect("it said hello").metadata;
    assert_eq!(met.socket_type, SocketType::Server);
    peer
}

/// Registers a worker with this message.
fn registered(broker: &Broker, mut worker: Peer, ready: &[&[u8]]) -> Peer {
    let registered = |now: &majordomus_broker::Snapshot| now.counters.workers_registered;
    let before = registered(&broker.control().snapshot().expect("it runs"));
    worker.send(ready);
    wait_for(broker, "the worker to register", |now| registered(now) > before);
    worker
}

fn packed(parts: &[&[u8]]) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in parts {
        packed.push(u8::try_from(part.len()).expect("it is short"));
        packed.extend_from_slice(part);
    }
    packed
}

/// Returns the parts of the next message that is not a heartbeat.
fn parts(peer: &mut Peer) -> Vec<Vec<u8>> {
    loop {
        let frames = peer.frames();
        assert_eq!(frames.len(), 1, "a CLIENT gets one frame");
        let mut rest = &frames[0][..];
        let mut parts = Vec::new();
        while let Some((length, behind)) = rest.split_first() {
            let (part, behind) = behind.split_at((*length).into());
            parts.push(part.to_vec());
            rest = behind;
        }
        if parts != [&b"MDPW01"[..], b"\x04"] {
            return parts;
        }
    }
}

/// One endpoint is a SERVER to CLIENT sockets and a ROUTER to others.
#[test]
fn a_client_socket_is_served_where_a_dealer_is() {
    let broker = broker();
    let ready = packed(&[b"MDPW01", b"\x01", b"echo"]);
    let mut worker = registered(&broker, client_socket(&broker), &[&ready]);
    let mut of_gdp = client_socket(&broker);
    of_gdp.send(&[&packed(&[b"MDPC01", b"echo", b"a", b"", b"b"])]);
    let asked = parts(&mut worker);
    assert_eq!(asked[..2], [&b"MDPW01"[..], b"\x02"]);
    assert_eq!(asked[3..], [&b""[..], b"a", b"", b"b"]);
    worker.send(&[&packed(&[b"MDPW01", b"\x03", &asked[2], b"", b"c"])]);
    assert_eq!(parts(&mut of_gdp), [&b"MDPC01"[..], b"echo", b"c"]);

    let mut dealer = Peer::connect(&broker);
    let met = &dealer.broker.as_ref().expect("it said hello").metadata;
    assert_eq!(met.socket_type, SocketType::Router);
    dealer.send(&[b"", b"MDPC01", b"echo", &[7; 300]]);
    let frames = worker.frames();
    let [asked] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(asked[asked.len() - 305..][..5], *b"\xff\0\0\x01\x2c");
    let address = &asked[10..10 + usize::from(asked[9])];
    worker.send(&[&packed(&[b"MDPW01", b"\x03", address, b"", b"d"])]);
    dealer.expect(&[b"", b"MDPC01", b"echo", b"d"]);

    of_gdp.send(&[&packed(&[b"MDPC01", b"mmi.service", b"echo"])]);
    assert_eq!(parts(&mut of_gdp), [&b"MDPC01"[..], b"mmi.service", b"200"]);
}

#[test]
fn zproto_is_served() {
    let broker = broker();
    let ready: &[u8] = b"\xaa\xa4\x04\x06MDPW02\x01\x04echo";
    let mut worker = registered(&broker, Peer::connect(&broker), &[ready]);
    let mut client = Peer::connect(&broker);
    client.send(&[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo", b"a", b"b"]);
    let asked = worker.frames();
    assert_eq!(asked[0], b"\xaa\xa4\x05\x06MDPW02\x02"[..]);
    assert_eq!(asked[2..], [&b""[..], b"a", b"b"]);
    worker.send(&[b"\xaa\xa4\x06\x06MDPW02\x03", &asked[1], b"", b"one"]);
    client.expect(&[b"\xaa\xa4\x02\x06MDPC02\x02\x04echo", b"one"]);
    worker.send(&[b"\xaa\xa4\x07\x06MDPW02\x04", &asked[1], b"", b"two"]);
    client.expect(&[b"\xaa\xa4\x03\x06MDPC02\x03\x04echo", b"two"]);
    client.send(&[b"\xaa\xa4\x01\x06MDPC02\x01\x0bmmi.service", b"no"]);
    client.expect(&[b"\xaa\xa4\x03\x06MDPC02\x03\x0bmmi.service", b"404"]);
}

/// Registers a worker of libmdp.
fn of_libmdp(broker: &Broker) -> Peer {
    registered(broker, Peer::connect(broker), &[b"", b"MDPW0X", b"\x01", b"echo"])
}

#[test]
fn reports_after_the_first_go_to_clients_of_libmdp_only() {
    let broker = broker();
    let mut worker = of_libmdp(&broker);
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC0X", b"echo", b"a"]);
    let asked = worker.frames();
    assert_eq!(asked[..3], [&b""[..], b"MDPW0X", b"\x02"]);
    for report in [b"one", b"two"] {
        worker.send(&[b"", b"MDPW0X", b"\x03", &asked[3], b"", report]);
        client.expect(&[b"", b"MDPC0X", b"\x02", b"echo", report]);
    }
    let mut other = Peer::connect(&broker);
    other.send(&[b"", b"MDPC01", b"echo", b"b"]);
    let asked = worker.frames();
    for report in [b"one", b"two"] {
        worker.send(&[b"", b"MDPW0X", b"\x03", &asked[3], b"", report]);
    }
    other.expect(&[b"", b"MDPC01", b"echo", b"one"]);
    wait_for(&broker, "the second to be dropped", |now| now.counters.late_replies == 1);
    // The first reply has released the worker's slot.
    other.send(&[b"", b"MDPC01", b"echo", b"c"]);
    let asked = worker.frames();
    worker.send(&[b"", b"MDPW0X", b"\x03", &asked[3], b""]);
    other.expect(&[b"", b"MDPC01", b"echo"]);
}

#[test]
fn a_stream_is_a_row_of_reports_to_a_client_of_libmdp() {
    let broker = broker();
    let ready: &[&[u8]] = &[b"MDPW02", b"\x01", b"echo"];
    let mut worker = registered(&broker, Peer::connect(&broker), ready);
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC0X", b"echo", b"a"]);
    let asked = worker.frames();
    worker.send(&[b"MDPW02", b"\x03", &asked[2], b"", b"one"]);
    // libmdp's client ends at a report without a body.
    worker.send(&[b"MDPW02", b"\x04", &asked[2], b""]);
    client.expect(&[b"", b"MDPC0X", b"\x02", b"echo", b"one"]);
    client.expect(&[b"", b"MDPC0X", b"\x02", b"echo", b""]);
}

#[test]
fn a_client_of_libmdp_hears_of_ends_by_a_nak() {
    let configure = |config: &mut Config| {
        config.core.no_worker_wait = Some(std::time::Duration::ZERO);
        config.core.attempts_max = 1;
    };
    let broker = broker_with(configure);
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC0X", b"none", b"a"]);
    client.expect(&[b"", b"MDPC0X", b"\x03", b"none", b"B_NO_SERVICE"]);
    let worker = of_libmdp(&broker);
    client.send(&[b"", b"MDPC0X", b"echo", b"a"]);
    wait_for(&broker, "the request to be dispatched", |now| now.counters.dispatched == 1);
    drop(worker);
    client.expect(&[b"", b"MDPC0X", b"\x03", b"echo", b"B_WORKER_LOST"]);
}

/// Checks that a first message, or a later message of a worker, is rejected and counted, and that
/// the broker continues.
#[track_caller]
fn check_refused(reason: &'static str, offend: impl Fn(&Broker)) {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    for times in 1..=2 {
        offend(&broker);
        wait_for(&broker, "the violation to be counted", |now| {
            now.refused.get(reason).is_some_and(|count| *count == times)
        });
        round_trip(&broker, &mut worker, "echo");
    }
    let summary = broker.shutdown().expect("it ran");
    assert_eq!(summary.counters.received, 2);
    assert!(summary.counters.balanced());
}

/// Invalid first messages of clients, which get no answer.
#[test]
fn bad_first_messages() {
    let long_past_end: &[u8] = b"\xff\xff\xff\xff\xffabc";
    let cases: &[(&'static str, SocketType, &[&[u8]])] = &[
        ("part_past_end", SocketType::Client, &[b"\x06MDPC01\x04echo\x05abc"]),
        ("part_past_end", SocketType::Client, &[long_past_end]),
        ("packed_frame_cut", SocketType::Client, &[b"\x06MDPC01\x04echo\xff\0"]),
        ("missing_header", SocketType::Client, &[b""]),
        (
            "too_many_parts",
            SocketType::Client,
            &[&[&b"\x06MDPC01\x04echo"[..], &[0; 1_023]].concat()],
        ),
        ("several_frames", SocketType::Client, &[b"\x06MDPC01\x04echo", b"a"]),
        ("several_frames", SocketType::Client, &[b"", b"MDPC01", b"echo", b"a"]),
        ("part_past_end", SocketType::Dealer, &[b"\xaa\xa4\x01\x06MDPC02\x01\xffecho"]),
        ("packed_frame_cut", SocketType::Dealer, &[b"\xaa\xa4"]),
        ("missing_service", SocketType::Dealer, &[b"", b"MDPC0X"]),
    ];
    for &(reason, socket, message) in cases {
        check_refused(reason, |broker| {
            let mut peer = Peer::connect_as(broker, Metadata::new(socket));
            peer.send(message);
            // Its connection is read as before.
            peer.stream.flush().expect("it is still there");
            wait_for(broker, "it to be refused", |now| now.refused.contains_key(reason));
        });
    }
}

/// A worker that violates its dialect is disconnected with that dialect's DISCONNECT.
#[test]
fn workers_that_break_their_dialect_get_a_disconnect() {
    let of_gdp: &[u8] = b"\x06MDPW01\x01\x01\x03gdp";
    let of_zproto: &[u8] = b"\xaa\xa4\x04\x06MDPW02\x01\x06zproto";
    let of_libmdp: &[&[u8]] = &[b"", b"MDPW0X", b"\x01", b"libmdp"];
    type Case<'a> = (&'static str, SocketType, &'a [&'a [u8]], &'a [&'a [u8]], &'a [&'a [u8]]);
    let cases: &[Case<'_>] = &[
        (
            "part_past_end",
            SocketType::Client,
            &[of_gdp],
            &[b"\x06MDPW01\x01\x03\xff\xff\xff\xff\xffabc"],
            &[b"\x06MDPW01\x01\x05"],
        ),
        (
            "several_frames",
            SocketType::Client,
            &[of_gdp],
            &[b"\x06MDPW01\x01\x04", b""],
            &[b"\x06MDPW01\x01\x05"],
        ),
        (
            "packed_frame_cut",
            SocketType::Dealer,
            &[of_zproto],
            &[b"\xaa\xa4"],
            &[b"\xaa\xa4\x09\x06MDPW02\x06"],
        ),
        // Another dialect in the middle of a connection.
        (
            "header_of_other_dialect",
            SocketType::Dealer,
            &[of_zproto],
            &[b"MDPW02", b"\x05"],
            &[b"\xaa\xa4\x09\x06MDPW02\x06"],
        ),
        (
            "header_of_other_dialect",
            SocketType::Client,
            &[of_gdp],
            &[b"\x06MDPW02\x01\x05"],
            &[b"\x06MDPW01\x01\x05"],
        ),
        (
            "header_of_other_dialect",
            SocketType::Dealer,
            of_libmdp,
            &[b"", b"MDPW01", b"\x04"],
            &[b"", b"MDPW0X", b"\x05"],
        ),
    ];
    for &(reason, socket, ready, wrong, disconnect) in cases {
        check_refused(reason, |broker| {
            let peer = Peer::connect_as(broker, Metadata::new(socket));
            let mut peer = registered(broker, peer, ready);
            peer.send(wrong);
            while peer.frames() != disconnect {}
        });
    }
}

/// A worker is recognised by its header, so it is sent a DISCONNECT for a violation after it.
#[test]
fn a_first_message_of_a_worker_that_is_cut_gets_a_disconnect() {
    check_refused("part_past_end", |broker| {
        let mut worker = client_socket(broker);
        worker.send(&[b"\x06MDPW01\x01\x01\x09gdp"]);
        worker.expect(&[b"\x06MDPW01\x01\x05"]);
    });
}

#[test]
fn a_listener_may_take_one_of_them_only() {
    let broker = broker_with(|config| {
        config.listen[0].dialect = Some(Dialect::Gdp);
        config.listen[0].errors = Errors::Final;
        config.core.no_worker_wait = Some(std::time::Duration::ZERO);
    });
    let mut dealer = Peer::connect(&broker);
    dealer.send(&[b"", b"MDPC01", b"echo", b"a"]);
    wait_for(&broker, "it to be refused", |now| now.refused.get("pinned_to_other") == Some(&1));
    let mut client = client_socket(&broker);
    client.send(&[&packed(&[b"MDPC01", b"echo", b"a"])]);
    assert_eq!(parts(&mut client), [&b"MDPC01"[..], b"echo", b"-1 B_NO_SERVICE"]);
}

#[test]
fn a_body_that_is_too_large_to_be_translated_is_refused_by_word_and_nobody_else_notices() {
    let broker = common::pigato::quiet_broker(|config| {
        config.core.limits.translate_bytes_max = 1 << 10;
        config.listen[0].errors = Errors::Final;
    });
    let mut honest = common::pigato::Honest::new(&broker);
    let mut frames_worker = Peer::worker(&broker, "frames");
    let mut json_worker = common::pigato::worker(&broker, "json");
    let (mut asker, mut frames_asker) = (common::pigato::client(&broker), Peer::connect(&broker));
    let large = [&b"\""[..], &[b'x'; 2_000], b"\""].concat();
    asker.send(&[b"C", b"2", b"frames", b"r", &large, b"{}"]);
    asker.expect(&[b"C", b"3", b"", b"r", b"-1", b"\"B_TRANSLATE\"", b"{}"]);
    frames_asker.send(&[b"MDPC02", b"\x01", b"json", &large]);
    frames_asker.expect(&[b"MDPC02", b"\x03", b"json", b"-1 B_TRANSLATE"]);
    honest.goes_on();
    // The limit does not apply between peers of the same body format, and both workers are
    // unaffected.
    asker.send(&[b"C", b"2", b"json", b"s", &large, b"{}"]);
    assert_eq!(common::pigato::given(&mut json_worker).data, large);
    frames_asker.send(&[b"MDPC02", b"\x01", b"frames", &large]);
    assert_eq!(frames_worker.frames()[5], large);
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!(counters.outcome(majordomus_core::Outcome::Untranslatable), 2);
}
