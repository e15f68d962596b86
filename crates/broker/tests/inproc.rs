//! Peers in the broker's own process, over `inproc://`, with the same ZMTP and the same limits as
//! over other transports.

mod common;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use common::{PATIENCE, Patient, Peer, wait_for};
use majordomus_broker::inproc::{self, ConnectError};
use majordomus_broker::{Broker, Config, Endpoint, Listen, StartError};
use majordomus_zmtp::{Metadata, SocketType};

fn config(name: &str) -> Config {
    Config::from(Endpoint::Inproc { name: name.into() })
}

/// Returns the broker's name, which may be generated.
fn name(broker: &Broker) -> String {
    let Endpoint::Inproc { name } = &broker.endpoints()[0] else { panic!("inproc") };
    name.clone()
}

fn connect(broker: &Broker) -> UnixStream {
    inproc::connect(&name(broker)).expect("the broker is there")
}

fn peer(broker: &Broker, socket: SocketType) -> Peer<UnixStream> {
    Peer::shake_hands(connect(broker), Metadata::new(socket))
}

fn worker(broker: &Broker, service: &str) -> Peer<UnixStream> {
    let mut worker = peer(broker, SocketType::Dealer);
    worker.send(&[b"", b"MDPW01", b"\x01", service.as_bytes()]);
    wait_for(broker, "the worker to register", |now| now.counters.workers_registered == 1);
    worker
}

/// Checks that a request gets its reply.
fn round_trip(broker: &Broker, worker: &mut Peer<UnixStream>) {
    let mut client = peer(broker, SocketType::Dealer);
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, body) = worker.request();
    assert_eq!(body, [&b"hello"[..]]);
    worker.reply(&address, &[b"served"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"served"]);
}

fn assert_no_broker(name: &str) {
    assert!(matches!(inproc::connect(name), Err(ConnectError::NoBroker(_))), "{name}");
}

#[test]
fn a_request_is_served() {
    let broker = Broker::start("inproc://*").expect("it starts");
    let mut worker = worker(&broker, "echo");
    round_trip(&broker, &mut worker);
    let summary = broker.shutdown().expect("it ran");
    assert_eq!((summary.counters.received, summary.accepted), (1, 2));
    worker.expect_end();
}

#[test]
fn each_socket_meets_its_own() {
    let broker = Broker::start("inproc://*").expect("it starts");
    for (socket, met) in [
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Req, SocketType::Router),
        (SocketType::Router, SocketType::Router),
        (SocketType::Client, SocketType::Server),
    ] {
        let peer = peer(&broker, socket);
        assert_eq!(peer.broker.expect("it said so").metadata.socket_type, met);
    }
}

#[test]
fn one_broker_listens_here_and_elsewhere() {
    let mut config = config("here-and-elsewhere");
    config.listen.insert(0, Listen::new("tcp://127.0.0.1:0".parse().expect("an endpoint")));
    let broker = Broker::start(config).expect("it starts");
    let mut far = Peer::worker(&broker, "echo");
    let stream = inproc::connect("here-and-elsewhere").expect("it is there");
    let mut client = Peer::shake_hands(stream, Metadata::new(SocketType::Dealer));
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, _) = far.request();
    far.reply(&address, &[b"served"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"served"]);
}

#[test]
fn a_name_is_one_brokers_until_that_ends() {
    assert_no_broker("lent");
    let first = Broker::start("inproc://lent").expect("the name is free");
    let error = Broker::start("inproc://lent").expect_err("the name is taken");
    assert!(matches!(&error, StartError::Bind(..)));
    let text = error.to_string();
    assert!(text.contains("inproc://lent") && text.contains("in use in this process"), "{text}");
    let mut peer = peer(&first, SocketType::Dealer);
    first.shutdown().expect("it ran");
    peer.expect_end();
    assert_no_broker("lent");
    let second = Broker::start("inproc://lent").expect("the name is free again");
    // A broker that is shut down, by whichever handle, releases its name at once.
    second.control().shutdown();
    let third = Broker::start("inproc://lent").expect("the name is free again");
    drop(second);
    round_trip(&third, &mut worker(&third, "echo"));
    third.dismiss();
    assert_no_broker("lent");
}

#[test]
fn a_broker_that_does_not_start_keeps_no_name() {
    let mut twice = config("kept");
    twice.listen.extend(config("kept").listen);
    Broker::start(twice).expect_err("the name is taken");
    assert_no_broker("kept");
    Broker::start("inproc://kept").expect("the name is free");
}

#[test]
fn names_that_are_made_up_differ() {
    let start = || Broker::start("inproc://*").expect("some name is free");
    let (one, other) = (start(), start());
    assert_ne!(name(&one), name(&other));
    assert_ne!(name(&one), "*");
    round_trip(&other, &mut worker(&other, "echo"));
    assert_no_broker("*");
}

#[test]
fn no_more_are_connected_than_may() {
    let mut config = config("*");
    config.connections.connections_max = 2;
    let broker = Broker::start(config).expect("it starts");
    let mut worker = worker(&broker, "echo");
    let mut client = peer(&broker, SocketType::Dealer);
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, _) = worker.request();
    // Both have sent a message, so neither is closed for the new connection.
    let mut surplus = connect(&broker);
    surplus.patience(PATIENCE);
    assert_eq!(io::Read::read_to_end(&mut surplus, &mut Vec::new()).expect("it is closed"), 0);
    wait_for(&broker, "that to be counted", |now| now.closed.get("connections_max") == Some(&1));
    worker.reply(&address, &[b"served"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"served"]);
}

#[test]
fn no_more_shake_hands_than_may() {
    let mut config = config("*");
    config.connections.handshakes_per_address_max = 3;
    config.connections.handshake_timeout = Duration::from_secs(60);
    let broker = Broker::start(config).expect("it starts");
    let _silent: Vec<_> = (0..5).map(|_| connect(&broker)).collect();
    wait_for(&broker, "the oldest to be cut", |now| now.closed.get("handshakes_max") == Some(&2));
    // The new connection replaces the oldest of those.
    round_trip(&broker, &mut worker(&broker, "echo"));
}

#[test]
fn nobody_shakes_hands_for_longer_than_may_be() {
    let mut config = config("*");
    config.connections.handshake_timeout = Duration::from_millis(10);
    let broker = Broker::start(config).expect("it starts");
    let _silent = connect(&broker);
    wait_for(&broker, "it to be cut", |now| now.closed.get("handshake_timeout") == Some(&1));
}

#[test]
fn no_message_is_larger_than_may_be() {
    let mut config = config("*");
    config.connections.message_bytes_max = 1_000;
    let broker = Broker::start(config).expect("it starts");
    let mut greedy = peer(&broker, SocketType::Dealer);
    greedy.send(&[b"", b"MDPC01", b"echo", &[0; 1_001]]);
    greedy.expect_end();
    let closed = broker.shutdown().expect("it ran").closed;
    assert_eq!(closed.values().sum::<u64>(), 1, "{closed:?}");
}

#[test]
fn many_connect_at_once() {
    let broker = Broker::start("inproc://*").expect("it starts");
    let name = name(&broker);
    let each = || {
        let end = Instant::now() + PATIENCE;
        let stream = loop {
            match inproc::connect(&name) {
                Ok(stream) => break stream,
                // Retry while the broker accepts the backlog.
                Err(ConnectError::Full(_)) if Instant::now() < end => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        Peer::shake_hands(stream, Metadata::new(SocketType::Dealer))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| [(); 50].map(|()| each()))).collect();
        let peers: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        assert!(peers.iter().all(Result::is_ok));
        wait_for(&broker, "all to be there", |now| now.connections == 1_000);
    });
}

#[test]
fn the_directory_is_published_here_too() {
    let mut config = config("*");
    config.intch = Some(Endpoint::Inproc { name: "directory".into() });
    let broker = Broker::start(config).expect("it starts");
    assert_eq!(broker.publication(), Some(&Endpoint::Inproc { name: "directory".into() }));
    let stream = inproc::connect("directory").expect("it publishes");
    let mut subscriber = Peer::shake_hands(stream, Metadata::new(SocketType::Sub));
    subscriber.send(&[b"\x01$dir"]);
    assert!(subscriber.frames()[0].starts_with(b"$dir "));
}

/// Regression test: the shutdown wake-up was lost with its waker, and the broker kept running.
#[test]
fn a_broker_that_is_dismissed_ends_every_time() {
    for _ in 0..100 {
        let (held, ended) = sync_channel::<()>(0);
        Broker::start_holding(config("*"), held).expect("it starts").dismiss();
        assert_eq!(ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}
