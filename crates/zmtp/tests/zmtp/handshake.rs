//! Handshake tests, from the greeting to the first message.

use majordomus_zmtp::{Connection, Error, Event, Limits, Metadata, Security, SocketType};

use crate::wire::{
    command, connector, feed, greeting, hello, listener, message, messages, open, property, ready,
    send, written,
};

/// Passes bytes in both directions until both sides have nothing to send.
fn converse(a: &mut Connection, b: &mut Connection) -> (Vec<Event>, Vec<Event>) {
    let (mut at_a, mut at_b) = (Vec::new(), Vec::new());
    while a.unsent_bytes() + b.unsent_bytes() > 0 {
        at_b.extend(feed(b, &written(a)).unwrap());
        at_a.extend(feed(a, &written(b)).unwrap());
    }
    (at_a, at_b)
}

#[test]
fn our_two_sides_meet() {
    let (mut a, mut b) = (connector(), listener());
    let (at_a, at_b) = converse(&mut a, &mut b);
    let [Event::Hello(peer)] = &at_a[..] else { panic!("{at_a:?}") };
    assert_eq!((peer.minor, peer.metadata.socket_type), (1, SocketType::Router));
    let [Event::Hello(peer)] = &at_b[..] else { panic!("{at_b:?}") };
    assert_eq!((peer.minor, peer.metadata.socket_type), (1, SocketType::Dealer));
    assert_eq!(peer.metadata.routing_id, "me");
    assert!(a.is_open() && b.is_open());

    send(&mut a, &["", "hello"]);
    send(&mut b, &["one"]);
    assert!(a.ping(0, b"life?"));
    let (at_a, at_b) = converse(&mut a, &mut b);
    assert_eq!(messages(&at_a), [["one"]]);
    assert_eq!(at_a[1..], [Event::Pong("life?".into())]);
    assert_eq!(messages(&at_b), [["", "hello"]]);
    assert_eq!(at_b[1..], [Event::Ping]);
}

#[test]
fn two_connectors_meet() {
    // This crate's listener waits for READY first, but other implementations do not.
    let (mut a, mut b) = (connector(), connector());
    converse(&mut a, &mut b);
    assert!(a.is_open() && b.is_open());
}

#[test]
fn a_peer_that_sends_ten_bytes_and_waits() {
    // libzmq sends its signature, waits for the peer's, then sends its version, then the rest.
    let mut connection = listener();
    let hello = hello(1);
    for piece in [&hello[..10], &hello[10..11], &hello[11..64]] {
        assert_eq!(feed(&mut connection, piece), Ok(vec![]));
    }
    assert!(!connection.receiving());
    assert!(matches!(feed(&mut connection, &hello[64..]).unwrap()[..], [Event::Hello(_)]));
}

#[test]
fn padding_and_filler_have_no_meaning() {
    let mut bytes = hello(1);
    bytes[1..9].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    bytes[32] = 1;
    bytes[33..64].fill(0xAA);
    assert!(matches!(feed(&mut listener(), &bytes).unwrap()[..], [Event::Hello(_)]));
}

#[test]
fn newer_versions_are_served_as_3_1() {
    for (major, minor, expected) in [(3, 0, 0), (3, 1, 1), (3, 9, 9), (4, 0, 1), (255, 7, 1)] {
        let mut bytes = hello(minor);
        bytes[10] = major;
        let events = feed(&mut listener(), &bytes).unwrap();
        let [Event::Hello(peer)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(peer.minor, expected);
        assert_eq!(peer.announces_ping(), expected >= 1);
    }
}

#[test]
fn a_peer_of_3_0_gets_no_ping() {
    let mut connection = open(0, Limits::default());
    assert!(!connection.ping(0, b""));
    assert_eq!(connection.unsent_bytes(), 0);
}

#[test]
fn ping_needs_a_moment_that_allows_it() {
    let mut connection = listener();
    assert!(!connection.ping(0, b""));
    let mut connection = open(1, Limits::default());
    assert!(!connection.ping(0, &[0; 17]));
    connection.send_frame(b"first", true);
    assert!(!connection.ping(0, b""));
    connection.send_frame(b"last", false);
    assert!(connection.ping(0, &[0; 16]));
}

#[test]
fn messages_before_accept_are_held_back() {
    let mut connection = listener();
    let mut bytes = bytes::BytesMut::from(&[hello(1), message(&["early"])].concat()[..]);
    connection.receive(&mut bytes);
    assert!(matches!(connection.poll(), Ok(Some(Event::Hello(_)))));
    assert_eq!(connection.poll(), Ok(None));
    connection.settle();
    assert_eq!(connection.poll(), Ok(None));
    connection.accept(&Metadata::new(SocketType::Router));
    let events = feed(&mut connection, b"").unwrap();
    assert_eq!(messages(&events), [["early"]]);
}

#[test]
fn refused_peers_are_not_heard() {
    let mut connection = listener();
    assert_eq!(feed(&mut connection, &greeting(1)), Ok(vec![]));
    connection.refuse("no");
    assert_eq!(feed(&mut connection, &ready("REQ", b"")), Ok(vec![]));
    assert_eq!(connection.held_bytes(), 0);
    connection.accept(&Metadata::new(SocketType::Router));
    assert!(!connection.is_open());
}

#[test]
fn a_refusal_reaches_the_other_side() {
    let (mut a, mut b) = (connector(), listener());
    b.refuse("busy");
    let error = feed(&mut a, &written(&mut b)).unwrap_err();
    assert_eq!(error, Error::PeerRefused { reason: "busy".into() });
    assert_eq!(error.to_string(), "the peer refused the connection: busy");
}

#[test]
fn a_listener_may_answer_a_violation_with_an_error() {
    let mut connection = listener();
    let error = feed(&mut connection, &[greeting(1), ready("NOPE", b"")].concat()).unwrap_err();
    let _ = written(&mut connection);
    connection.refuse("what is NOPE?");
    assert_eq!(written(&mut connection), command("ERROR", b"\x0Dwhat is NOPE?"));
    assert_eq!(connection.poll(), Err(error));
}

#[test]
fn a_connection_that_has_ended_sends_nothing() {
    let mut connection = open(1, Limits::default());
    assert_eq!(feed(&mut connection, b"\x80"), Err(Error::ReservedFlagBits { flags: 0x80 }));
    send(&mut connection, &["too late"]);
    assert!(!connection.ping(0, b""));
    assert_eq!(connection.unsent_bytes(), 0);
}

#[test]
fn metadata_names_have_no_case_and_others_are_kept() {
    let properties = [
        property("X-One", b"1"),
        property("IDENTITY", b"id"),
        property("socket-type", b"REQ"),
        property("Resource", b""),
    ];
    let bytes = [greeting(1), command("READY", &properties.concat())].concat();
    let events = feed(&mut listener(), &bytes).unwrap();
    let [Event::Hello(peer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(peer.metadata.socket_type, SocketType::Req);
    assert_eq!(peer.metadata.routing_id, "id");
    let others: Vec<_> = peer.metadata.properties().collect();
    assert_eq!(others, [(&b"X-One"[..], &b"1"[..]), (b"Resource", b"")]);
    assert_eq!(peer.metadata.get("x-one"), Some(&b"1"[..]));
}

#[test]
fn every_socket_type_is_known() {
    for &kind in SocketType::ALL {
        let bytes = [greeting(1), ready(kind.as_str(), b"")].concat();
        let events = feed(&mut listener(), &bytes).unwrap();
        let [Event::Hello(peer)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(peer.metadata.socket_type, kind);
    }
}

#[test]
fn commands_after_the_handshake_are_events() {
    let mut connection = open(1, Limits::default());
    let bytes = [
        command("SUBSCRIBE", b"topic"),
        command("CANCEL", b""),
        command("PONG", b"ctx"),
        command("JOIN", b"group"),
    ];
    let expected = [
        Event::Subscribe("topic".into()),
        Event::Cancel("".into()),
        Event::Pong("ctx".into()),
        Event::Unknown("JOIN".into()),
    ];
    assert_eq!(feed(&mut connection, &bytes.concat()).unwrap(), expected);
}

#[test]
fn commands_between_frames() {
    // libzmq's heartbeat timers do not wait for the end of a message.
    let mut connection = open(1, Limits::default());
    let whole = message(&["first", "second"]);
    let bytes = [&whole[..7], &command("PING", b"\0\0x"), &command("PONG", b""), &whole[7..]];
    let events = feed(&mut connection, &bytes.concat()).unwrap();
    assert_eq!(events[..2], [Event::Ping, Event::Pong("".into())]);
    assert_eq!(messages(&events), [["first", "second"]]);
    assert_eq!(written(&mut connection), command("PONG", b"x"));
}

#[test]
fn a_connection_of_a_connector_takes_a_plain_handshake() {
    let ours = Metadata::new(SocketType::Client);
    let mut connection = Connection::connector(Security::Null, Limits::default(), ours);
    let bytes = [greeting(1), ready("SERVER", b""), message(&["at once"])].concat();
    let events = feed(&mut connection, &bytes).unwrap();
    assert!(matches!(events[0], Event::Hello(_)));
    assert_eq!(messages(&events), [["at once"]]);
}
