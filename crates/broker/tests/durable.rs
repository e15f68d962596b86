//! A test with its own process, because it reads the whole log.

mod common;

use common::{Log, Peer, broker, wait_for};

#[test]
fn a_request_that_is_to_be_stored_is_served_like_any_other_and_that_is_said_once() {
    let log = Log::of_this_program();
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    for id in [&b"r1"[..], b"r2", b"r3"] {
        let mut client = Peer::connect(&broker);
        client.send(&[b"C", b"2", b"echo", id, b"\"x\"", b"{\"retry\":0,\"persist\":1}"]);
        let (address, body) = worker.request();
        assert_eq!(body, [&b"x"[..]]);
        worker.reply(&address, &[b"y"]);
        client.expect(&[b"C", b"3", b"", id, b"0", b"\"y\"", b"{}"]);
    }
    wait_for(&broker, "all to be counted", |now| now.counters.received == 3);
    let lines = log.lines();
    let said: Vec<_> = lines.iter().filter(|line| line.contains("durable storage")).collect();
    assert!(matches!(&said[..], [line] if line.contains("WARN")), "{lines:?}");
}
