//! Clients that read large replies slowly or not at all.

mod common;

use std::time::Duration;

use common::pigato::{client, given, quiet_broker, worker};
use common::wait_for;
use majordomus_broker::Broker;
use majordomus_core::Outcome;

/// Exceeds the sockets' buffers and the peer's high-water mark in these tests.
const LARGE_BYTES: usize = 24 << 20;

fn broker_of_little_patience(stall: Duration) -> Broker {
    quiet_broker(|config| {
        config.connections.unsent_bytes_max = 1 << 20;
        config.core.stall_timeout = stall;
    })
}

fn large_json() -> Vec<u8> {
    let mut json = vec![b'x'; LARGE_BYTES];
    json[0] = b'"';
    json[LARGE_BYTES - 1] = b'"';
    json
}

fn request(rid: &str) -> [&[u8]; 6] {
    [b"C", b"2", b"echo", rid.as_bytes(), b"\"hi\"", b"{}"]
}

#[test]
fn one_large_reply_does_not_cut_its_client_though_its_worker_serves_others() {
    let broker = broker_of_little_patience(Duration::from_secs(60));
    let mut worker = worker(&broker, "echo");
    let (mut one, mut other) = (client(&broker), client(&broker));
    one.send(&request("1"));
    let large = given(&mut worker);
    other.send(&request("2"));
    let small = given(&mut worker);
    one.send(&request("3"));
    let last = given(&mut worker);
    worker.send(&[b"W", b"3", &large.token, b"", b"1", b"0", &large_json(), b"{}"]);
    wait_for(&broker, "the large reply to be passed on", |now| {
        now.counters.outcome(Outcome::Replied) == 1
    });
    worker.send(&[b"W", b"3", &small.token, b"", b"2", b"0", b"\"ho\"", b"{}"]);
    other.expect(&[b"C", b"3", b"", b"2", b"0", b"\"ho\"", b"{}"]);
    let frames = one.frames();
    assert_eq!((&frames[3][..], frames[5].len()), (&b"1"[..], LARGE_BYTES));
    worker.send(&[b"W", b"3", &last.token, b"", b"3", b"0", b"\"he\"", b"{}"]);
    one.expect(&[b"C", b"3", b"", b"3", b"0", b"\"he\"", b"{}"]);
    assert!(broker.shutdown().expect("it ran").closed.is_empty());
}

#[test]
fn a_client_that_never_reads_one_large_reply_is_cut() {
    let broker = broker_of_little_patience(Duration::from_millis(300));
    let mut worker = worker(&broker, "echo");
    let mut one = client(&broker);
    one.send(&request("1"));
    let large = given(&mut worker);
    worker.send(&[b"W", b"3", &large.token, b"", b"1", b"0", &large_json(), b"{}"]);
    wait_for(&broker, "the client to be cut", |now| now.closed.contains_key("slow_reader"));
}
