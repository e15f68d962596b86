//! PIGATO clients and workers at frame level.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use majordomus_broker::{Broker, Config};

use super::{Peer, broker_with};

/// Returns a unique routing id in PIGATO's format.
pub fn id(prefix: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-1908f7b8-8bcb-49d1-b09d-{number:012x}")
}

/// Starts a broker that sends no heartbeats and loses no silent peer during a test.
pub fn quiet_broker(configure: impl FnOnce(&mut Config)) -> Broker {
    broker_with(|config| {
        config.core.heartbeat_interval = Duration::from_secs(3_600);
        configure(config);
    })
}

pub fn client(broker: &Broker) -> Peer {
    Peer::with_id(broker, id("C").as_bytes())
}

/// Connects a worker and registers it.
pub fn worker(broker: &Broker, service: &str) -> Peer {
    worker_as(broker, id("W").as_bytes(), service)
}

pub fn worker_as(broker: &Broker, id: &[u8], service: &str) -> Peer {
    let mut worker = Peer::with_id(broker, id);
    worker.send(&[b"W", b"1", service.as_bytes()]);
    worker.expect(&[b"W", b"1"]);
    worker
}

/// A request as received by a worker.
#[derive(Clone, Debug)]
pub struct Given {
    pub token: Bytes,
    pub service: Bytes,
    pub rid: Bytes,
    pub data: Bytes,
    pub options: Bytes,
}

#[track_caller]
pub fn given(worker: &mut Peer) -> Given {
    let frames: [Bytes; 8] = worker.frames().try_into().expect("a REQUEST has eight frames");
    let [header, command, token, service, separator, rid, data, options] = frames;
    assert_eq!([header, command, separator], ["W", "2", ""]);
    Given { token, service, rid, data, options }
}

/// Sends a final reply to a request.
pub fn answer(worker: &mut Peer, given: &Given, status: &str, data: &str) {
    let (status, data) = (status.as_bytes(), data.as_bytes());
    worker.send(&[b"W", b"3", &given.token, b"", &given.rid, status, data, b"{}"]);
}

pub fn ask(client: &mut Peer, service: &str, rid: &str, options: &str) {
    client.send(&[b"C", b"2", service.as_bytes(), rid.as_bytes(), b"1", options.as_bytes()]);
}

#[track_caller]
pub fn expect_final(client: &mut Peer, rid: &str, data: &str) {
    client.expect(&[b"C", b"3", b"", rid.as_bytes(), b"0", data.as_bytes(), b"{}"]);
}

#[track_caller]
pub fn expect_error(client: &mut Peer, rid: &str, error: &str) {
    client.expect(&[b"C", b"3", b"", rid.as_bytes(), b"-1", error.as_bytes(), b"{}"]);
}

/// Checks that the broker has sent a client nothing else: the answer to a heartbeat comes next.
#[track_caller]
pub fn expect_silence(client: &mut Peer) {
    client.send(&[b"C", b"4"]);
    client.expect(&[b"C", b"4"]);
}

/// A well-behaved client and worker.
pub struct Honest {
    client: Peer,
    worker: Peer,
    asked: u32,
}

impl Honest {
    pub const SERVICE: &str = "honest";

    pub fn new(broker: &Broker) -> Self {
        Self { client: client(broker), worker: worker(broker, Self::SERVICE), asked: 0 }
    }

    /// Checks that a request gets its reply.
    #[track_caller]
    pub fn goes_on(&mut self) {
        self.asked += 1;
        let rid = format!("honest-{}", self.asked);
        ask(&mut self.client, Self::SERVICE, &rid, r#"{"timeout":60000,"retry":0}"#);
        let asked = given(&mut self.worker);
        assert_eq!((&asked.service[..], &asked.rid[..]), (&b"honest"[..], rid.as_bytes()));
        answer(&mut self.worker, &asked, "0", "\"served\"");
        expect_final(&mut self.client, &rid, "\"served\"");
    }
}
