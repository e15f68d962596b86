//! Interoperability tests with omq-proto, an independent ZMTP implementation.

use bytes::Bytes;
use majordomus_zmtp::{Connection, Error, Event, Limits, Metadata, Security, SocketType};
use omq_proto::{
    Message as OmqMessage, SocketType as OmqType,
    proto::{
        Command as OmqCommand, Connection as OmqConnection, ConnectionConfig, Event as OmqEvent,
        Role,
    },
};

use crate::{
    random::Random,
    wire::{feed_direct, listener, messages, send, written},
};

fn omq(role: Role, kind: OmqType) -> OmqConnection {
    OmqConnection::new(ConnectionConfig::new(role, kind).identity(Bytes::from_static(b"omq")))
}

fn written_by_omq(theirs: &mut OmqConnection) -> Bytes {
    let bytes = theirs.poll_transmit();
    theirs.advance_transmit(bytes.len());
    bytes
}

/// Passes bytes in both directions until both sides have nothing to send. Returns this crate's
/// events.
fn converse(ours: &mut Connection, theirs: &mut OmqConnection) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let from_us = written(ours);
        let from_them = written_by_omq(theirs);
        if from_us.is_empty() && from_them.is_empty() {
            return events;
        }
        theirs.handle_input(from_us.into()).unwrap();
        events.extend(feed_direct(ours, &from_them).unwrap());
    }
}

fn our_connector(kind: SocketType) -> Connection {
    let ours = Metadata::new(kind).with_routing_id(b"ours");
    Connection::connector(Security::Null, Limits::default(), ours)
}

/// Creates a connection between this crate's ROUTER and omq's DEALER, or the reverse.
fn pair(we_listen: bool) -> (Connection, OmqConnection) {
    let (mut ours, mut theirs) = if we_listen {
        (listener(), omq(Role::Client, OmqType::Dealer))
    } else {
        (our_connector(SocketType::Dealer), omq(Role::Server, OmqType::Router))
    };
    let events = converse(&mut ours, &mut theirs);
    let [Event::Hello(peer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(peer.minor, 1);
    assert_eq!(peer.metadata.routing_id, "omq");
    let their_type = if we_listen { SocketType::Dealer } else { SocketType::Router };
    assert_eq!(peer.metadata.socket_type, their_type);
    assert!(ours.is_open() && theirs.is_ready());
    let Some(OmqEvent::HandshakeSucceeded { peer_minor, peer_properties }) = theirs.poll_event()
    else {
        panic!("omq is told of the handshake")
    };
    assert_eq!(peer_minor, 1);
    let our_type = if we_listen { OmqType::Router } else { OmqType::Dealer };
    assert_eq!(peer_properties.socket_type, Some(our_type));
    let our_id = peer_properties.identity.clone().unwrap_or_default();
    assert_eq!(our_id, if we_listen { "" } else { "ours" });
    (ours, theirs)
}

fn frames(message: &OmqMessage) -> Vec<Bytes> {
    (0..message.len()).map(|index| message.part_bytes(index).unwrap()).collect()
}

#[test]
fn handshake_in_both_roles() {
    pair(true);
    pair(false);
}

#[test]
fn what_they_encode_we_decode() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut ours, mut theirs) = pair(seed % 2 == 0);
        let sent: Vec<Vec<Bytes>> = (0..10).map(|_| random.message()).collect();
        for message in &sent {
            theirs.send_message(&OmqMessage::multipart(message.iter().cloned())).unwrap();
        }
        let bytes = written_by_omq(&mut theirs);
        let mut rest = &bytes[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
            rest = behind;
            events.extend(feed_direct(&mut ours, piece).unwrap());
        }
        assert!(messages(&events) == sent, "seed {seed}");
    }
}

#[test]
fn what_we_encode_they_decode() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut ours, mut theirs) = pair(seed % 2 == 0);
        for _ in 0..10 {
            let message = random.message();
            send(&mut ours, &message);
            let bytes = Bytes::from(written(&mut ours));
            let cut = random.below(bytes.len());
            theirs.handle_input(bytes.slice(..cut)).unwrap();
            theirs.handle_input(bytes.slice(cut..)).unwrap();
            let received = theirs.poll_message().expect("a whole message");
            assert!(frames(&received) == message, "seed {seed}");
        }
    }
}

#[test]
fn the_same_bytes_for_the_same_message() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut ours, mut theirs) = pair(true);
        let message = random.message();
        send(&mut ours, &message);
        theirs.send_message(&OmqMessage::multipart(message)).unwrap();
        assert!(written(&mut ours) == written_by_omq(&mut theirs), "seed {seed}");
    }
}

#[test]
fn ping_and_pong_both_ways() {
    let (mut ours, mut theirs) = pair(true);
    assert!(ours.ping(30, b"0123456789abcdef"));
    let events = converse(&mut ours, &mut theirs);
    assert_eq!(events, [Event::Pong("0123456789abcdef".into())]);

    let ping = OmqCommand::Ping { ttl_deciseconds: 5, context: Bytes::from_static(b"you?") };
    theirs.send_command(&ping).unwrap();
    assert_eq!(converse(&mut ours, &mut theirs), [Event::Ping]);
    assert!(theirs.poll_event().is_none());
}

#[test]
fn commands_arrive() {
    let (mut ours, mut theirs) = pair(true);
    theirs.send_command(&OmqCommand::Subscribe(Bytes::from_static(b"a"))).unwrap();
    theirs.send_command(&OmqCommand::Cancel(Bytes::from_static(b"b"))).unwrap();
    theirs.send_command(&OmqCommand::Leave(Bytes::from_static(b"c"))).unwrap();
    let events = converse(&mut ours, &mut theirs);
    let expected =
        [Event::Subscribe("a".into()), Event::Cancel("b".into()), Event::Unknown("LEAVE".into())];
    assert_eq!(events, expected);
}

#[test]
fn our_refusal_ends_their_connection() {
    let (mut ours, mut theirs) = (listener(), omq(Role::Client, OmqType::Push));
    ours.refuse("PUSH is not served here");
    let error = theirs.handle_input(written(&mut ours).into()).unwrap_err();
    assert!(error.to_string().contains("PUSH is not served here"), "{error}");
}

#[test]
fn they_refuse_what_does_not_fit() {
    let mut ours = our_connector(SocketType::Sub);
    let mut theirs = omq(Role::Server, OmqType::Push);
    feed_direct(&mut ours, &written_by_omq(&mut theirs)).unwrap();
    assert!(theirs.handle_input(written(&mut ours).into()).is_err());
    match feed_direct(&mut ours, &written_by_omq(&mut theirs)) {
        Ok(_) | Err(Error::PeerRefused { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}
