//! JSON dialects: their detection, and the translation of frames.

mod common;

use std::net::TcpStream;

use common::{Peer, address_of, broker, broker_with, wait_for};
use majordomus_broker::{Broker, Json, Listen};
use majordomus_zmtp::{Metadata, SocketType};

/// Registers a worker of PIGATO.
fn worker_of_pigato(broker: &Broker) -> Peer {
    let mut worker = Peer::with_id(broker, b"W-1908f7b8-8bcb-49d1-b09d-da2c553f70b7");
    worker.send(&[b"W", b"1", b"echo"]);
    worker.expect(&[b"W", b"1"]);
    worker
}

#[test]
fn pigato_and_zmq_omdp_are_told_apart_by_their_routing_ids() {
    let broker = broker();
    let mut worker = Peer::with_id(&broker, b"WPPBqWA9");
    worker.send(&[b"W", b"1", b"echo"]);
    wait_for(&broker, "the worker", |now| now.counters.workers_registered == 1);
    let mut client = Peer::with_id(&broker, b"C-1908f7b8-8bcb-49d1-b09d-da2c553f70b7");
    client.send(&[b"C", b"2", b"echo", b"r1", b"{\"a\":1}", b"{}"]);
    // READY was not answered. The worker would interpret an answer as an error.
    let asked = worker.frames();
    assert_eq!(asked[..2], ["W", "2"]);
    assert_eq!(asked[3..], ["r1", "{\"a\":1}"]);
    worker.send(&[b"W", b"3", &asked[2], b"r1", b"0", b"[2]"]);
    client.expect(&[b"C", b"3", b"", b"r1", b"0", b"[2]", b"{}"]);
    // The opposite direction, with an error.
    worker.send(&[b"W", b"5"]);
    let mut worker = worker_of_pigato(&broker);
    let mut client = Peer::with_id(&broker, b"CPPBqWA9");
    client.send(&[b"C", b"2", b"echo", b"r2", b"undefined", b"{\"retry\":1}"]);
    let asked = worker.frames();
    assert_eq!(asked[..2], ["W", "2"]);
    assert_eq!(asked[3..], ["echo", "", "r2", "undefined", "{\"retry\":1}"]);
    worker.send(&[b"W", b"3", &asked[2], b"", b"r2", b"-1", b"\"no\"", b"undefined"]);
    client.expect(&[b"C", b"3", b"r2", b"\"no\""]);
}

#[test]
fn the_clients_listener_says_how_frames_become_json() {
    let broker = broker_with(|config| {
        let listen = |json| Listen { json, ..config.listen[0].clone() };
        config.listen = Json::ALL.map(listen).to_vec();
    });
    let mut worker = worker_of_pigato(&broker);
    for (endpoint, data) in broker.endpoints().iter().zip(["\"5\"", "\"5\"", "5"]) {
        let stream = TcpStream::connect(address_of(endpoint)).expect("it listens");
        let mut client = Peer::shake_hands(stream, Metadata::new(SocketType::Dealer));
        client.send(&[b"MDPC02", b"\x01", b"echo", b"5"]);
        let asked = worker.frames();
        assert_eq!(asked[3..], ["echo", "", "", data, "{}"]);
        worker.send(&[b"W", b"3", &asked[2], b"", b"", b"0", b"[\"a\",\"b\"]", b"{}"]);
        client.expect(&[b"MDPC02", b"\x03", b"echo", b"a", b"b"]);
    }
}
