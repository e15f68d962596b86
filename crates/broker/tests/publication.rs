//! Directory publication: the messages to a SUB socket, over every transport and both versions of
//! ZMTP, and the treatment of subscribers that exceed limits, stop reading or send invalid
//! messages.

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use common::{
    PATIENCE, Patient, Peer, address, address_of, broker_with, round_trip, wait_for, write_unsent,
};
use majordomus_broker::{Broker, Config, Endpoint};
use majordomus_zmtp::{Connection, Error, Limits, Metadata, Security, SocketType};

/// The high-water mark of one peer in these tests.
const UNSENT_BYTES_MAX: usize = 64 << 10;

/// Starts a broker that publishes on its own port.
fn publisher() -> Broker {
    publisher_with(|_| {})
}

fn publisher_with(configure: impl FnOnce(&mut Config)) -> Broker {
    broker_with(|config| {
        config.intch = Some("tcp://127.0.0.1:0".parse().expect("an endpoint"));
        configure(config);
    })
}

fn publication(broker: &Broker) -> TcpStream {
    let endpoint = broker.publication().expect("it publishes");
    TcpStream::connect(address_of(endpoint)).expect("it listens")
}

fn subscriber(broker: &Broker) -> Peer {
    Peer::shake_hands(publication(broker), Metadata::new(SocketType::Sub))
}

/// A peer of ZMTP 3.0, as declared in its greeting.
struct Old<S> {
    stream: S,
    written: usize,
}

impl<S: Write> Write for Old<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const MINOR_AT: usize = 11;
        let mut bytes = bytes.to_vec();
        if let Some(minor) = MINOR_AT.checked_sub(self.written).and_then(|at| bytes.get_mut(at)) {
            *minor = 0;
        }
        let written = self.stream.write(&bytes)?;
        self.written += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read> Read for Old<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Patient> Patient for Old<S> {
    fn patience(&self, span: Duration) {
        self.stream.patience(span);
    }
}

/// A peer's way to subscribe or cancel.
type Say<S> = fn(&mut Peer<S>, subscribes: bool, topic: &[u8]);

/// Subscribes or cancels by a command of ZMTP 3.1.
fn command<S: Patient>(peer: &mut Peer<S>, subscribes: bool, topic: &[u8]) {
    let name: &[u8] = if subscribes { b"SUBSCRIBE" } else { b"CANCEL" };
    let body = [&[name.len() as u8], name, topic].concat();
    // A long command, whatever its size.
    let size = (body.len() as u64).to_be_bytes();
    peer.send_raw(&[&[0x06], &size[..], &body].concat());
}

/// Subscribes or cancels by a message of ZMTP 3.0.
fn message<S: Patient>(peer: &mut Peer<S>, subscribes: bool, topic: &[u8]) {
    peer.send(&[&[&[u8::from(subscribes)], topic].concat()]);
}

impl<S: Patient> Peer<S> {
    #[track_caller]
    fn expect_directory(&mut self, json: &str) {
        self.expect(&[format!("$dir {json}").as_bytes()]);
    }
}

/// Connects a worker with a name.
fn named(broker: &Broker, name: &str) -> Peer {
    let metadata = Metadata::new(SocketType::Dealer).with_routing_id(name.as_bytes());
    Peer::connect_as(broker, metadata)
}

fn offer(worker: &mut Peer, service: &str) {
    worker.send(&[b"", b"MDPW01", b"\x01", service.as_bytes()]);
}

fn withdraw(worker: &mut Peer) {
    worker.send(&[b"", b"MDPW01", b"\x05"]);
}

/// Checks the messages to a subscriber from its first subscription to the end.
#[track_caller]
fn check<S: Patient, W: Patient>(
    broker: Broker,
    mut peer: Peer<S>,
    say: Say<S>,
    mut witness: Peer<W>,
) {
    let theirs = peer.broker.clone().expect("a handshake").metadata;
    assert_eq!(theirs.socket_type, SocketType::Pub);
    say(&mut peer, true, b"$dir");
    peer.expect_directory("{}");
    let mut worker = named(&broker, "W1");
    offer(&mut worker, "echo");
    peer.expect_directory(r#"{"echo":["W1"]}"#);
    // A second subscription to the same topic has no effect.
    say(&mut peer, true, b"$dir");
    withdraw(&mut worker);
    peer.expect_directory("{}");

    say(&mut peer, false, b"$dir");
    peer.send(&[b"\x02"]);
    wait_for(&broker, "all it said", |now| now.refused.get("no_subscription") == Some(&1));
    command(&mut witness, true, b"");
    witness.expect_directory("{}");
    offer(&mut worker, "add");
    witness.expect_directory(r#"{"add":["W1"]}"#);
    wait_for(&broker, "only the witness to hear of it", |now| now.published == 5);

    say(&mut peer, true, b"$d");
    peer.expect_directory(r#"{"add":["W1"]}"#);
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!((snapshot.published, snapshot.holdings.peers), (6, 1), "{snapshot}");

    let end = std::thread::spawn(move || broker.shutdown().expect("it ran"));
    worker.expect(&[b"", b"MDPW01", b"\x05"]);
    worker.expect_end();
    drop(worker);
    // The last message is an empty directory.
    peer.expect_directory("{}");
    peer.expect_end();
    drop(peer);
    drop(witness);
    assert!(end.join().expect("it ended").counters.balanced());
}

#[test]
fn a_subscriber_of_zmtp_3_1_over_tcp() {
    let broker = publisher();
    let (peer, witness) = (subscriber(&broker), subscriber(&broker));
    check(broker, peer, command, witness);
}

#[test]
fn a_subscriber_of_zmtp_3_0_over_tcp() {
    let broker = publisher();
    let stream = Old { stream: publication(&broker), written: 0 };
    let peer = Peer::shake_hands(stream, Metadata::new(SocketType::XSub));
    let witness = subscriber(&broker);
    check(broker, peer, message, witness);
}

/// Returns a Unix socket endpoint for publication.
fn ipc() -> (tempfile::TempDir, Endpoint) {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = format!("ipc://{}", folder.path().join("pub.sock").display());
    (folder, endpoint.parse().expect("an endpoint"))
}

fn connect_ipc(endpoint: &Endpoint) -> UnixStream {
    let Endpoint::Ipc { path } = endpoint else { panic!("ipc") };
    UnixStream::connect(path).expect("it listens")
}

fn subscriber_ipc(endpoint: &Endpoint) -> Peer<UnixStream> {
    Peer::shake_hands(connect_ipc(endpoint), Metadata::new(SocketType::Sub))
}

#[test]
fn a_subscriber_of_zmtp_3_1_over_ipc() {
    let (_folder, endpoint) = ipc();
    let broker = publisher_with(|config| config.intch = Some(endpoint.clone()));
    let (peer, witness) = (subscriber_ipc(&endpoint), subscriber_ipc(&endpoint));
    check(broker, peer, command, witness);
    let Endpoint::Ipc { path } = endpoint else { panic!("ipc") };
    assert!(!Path::new(&path).exists(), "its file goes with the broker");
}

#[test]
fn a_subscriber_of_zmtp_3_0_over_ipc() {
    let (_folder, endpoint) = ipc();
    let broker = publisher_with(|config| config.intch = Some(endpoint.clone()));
    let stream = Old { stream: connect_ipc(&endpoint), written: 0 };
    let peer = Peer::shake_hands(stream, Metadata::new(SocketType::Sub));
    let witness = subscriber_ipc(&endpoint);
    check(broker, peer, message, witness);
}

#[test]
fn what_changes_at_once_is_one_message() {
    let broker = publisher();
    let mut peer = subscriber(&broker);
    message(&mut peer, true, b"");
    peer.expect_directory("{}");
    let mut worker = named(&broker, "W1");
    for service in ["one", "two", "three"] {
        worker.queue(&[b"", b"MDPW01", b"\x01", service.as_bytes()]);
        worker.queue(&[b"", b"MDPW01", b"\x05"]);
    }
    worker.queue(&[b"", b"MDPW01", b"\x01", b"four"]);
    // One write, so that it is read at once.
    let mut bytes = Vec::new();
    write_unsent(&mut worker.zmtp, &mut bytes);
    worker.send_raw(&bytes);
    peer.expect_directory(r#"{"four":["W1"]}"#);
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!((snapshot.published, snapshot.counters.workers_registered), (2, 4), "{snapshot}");
}

#[test]
fn a_subscription_is_the_beginning_of_a_message() {
    let broker = publisher();
    let mut nothing = subscriber(&broker);
    command(&mut nothing, true, b"$dirs");
    let mut narrow = subscriber(&broker);
    command(&mut narrow, true, br#"$dir {"echo":["#);
    let mut all = subscriber(&broker);
    for topic in [&b""[..], b"$dir ", b"$dir {}"] {
        // Each subscription is new and triggers the current directory.
        command(&mut all, true, topic);
        all.expect_directory("{}");
    }
    let mut worker = named(&broker, "W1");
    offer(&mut worker, "echo");
    all.expect_directory(r#"{"echo":["W1"]}"#);
    narrow.expect_directory(r#"{"echo":["W1"]}"#);
    withdraw(&mut worker);
    // Two subscriptions match, but it is one message.
    all.expect_directory("{}");
    offer(&mut worker, "add");
    all.expect_directory(r#"{"add":["W1"]}"#);
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!(snapshot.published, 3 + 3 + 1, "{snapshot}");
}

#[test]
fn a_worker_that_wants_it_published_has_it_published() {
    let broker = publisher();
    let mut peer = subscriber(&broker);
    command(&mut peer, true, b"$dir");
    peer.expect_directory("{}");
    let mut worker = named(&broker, "D1");
    worker.send(&[b"W", b"1", b"$dir"]);
    peer.expect_directory(r#"{"$dir":["D1"]}"#);
    worker.send(&[b"W", b"4", b"", br#"{"update":1,"concurrency":100}"#]);
    peer.expect_directory(r#"{"$dir":["D1"]}"#);
}

#[test]
fn one_that_reads_nothing_misses_what_is_published_and_nobody_else_does() {
    let (_folder, endpoint) = ipc();
    let broker = publisher_with(|config| {
        config.intch = Some(endpoint.clone());
        config.connections.unsent_bytes_max = UNSENT_BYTES_MAX;
    });
    let mut echo = Peer::worker(&broker, "echo");
    let subscribe = || {
        let mut peer = subscriber_ipc(&endpoint);
        command(&mut peer, true, b"");
        let first = peer.frames();
        (peer, first)
    };
    // A large directory: names of 255 bytes each.
    let _crowd: Vec<Peer> = (0..80)
        .map(|number| {
            let mut worker = Peer::connect(&broker);
            offer(&mut worker, &format!("{number:0255}"));
            worker
        })
        .collect();
    wait_for(&broker, "all workers", |now| now.counters.workers_registered == 81);
    let (mut lazy, _) = subscribe();
    let (mut reader, mut last) = subscribe();
    assert!(last[0].len() > 80 * 255 && last[0].len() < UNSENT_BYTES_MAX);
    let mut worker = named(&broker, "W1");
    let mut changes = 0;
    let end = Instant::now() + PATIENCE;
    while broker.control().snapshot().expect("it runs").publications_missed < 5 {
        assert!(Instant::now() < end, "it misses nothing");
        if changes > 0 {
            withdraw(&mut worker);
            reader.receive().expect("it hears of every change");
        }
        offer(&mut worker, &format!("change {changes}"));
        last = reader.frames();
        changes += 2;
    }
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!(snapshot.holdings.peers, 82, "the core knows no subscriber");
    assert!(snapshot.closed.is_empty(), "{snapshot}");
    round_trip(&broker, &mut echo, "echo");

    // When the subscriber reads again, the last message is the current directory.
    let mut heard = 1;
    while lazy.frames() != last {
        heard += 1;
        assert!(heard <= changes);
    }
    assert!(heard <= changes - snapshot.publications_missed + 1, "{heard} of {changes}");
    withdraw(&mut worker);
    lazy.receive().expect("it is a subscriber as before");
}

/// Checks that a peer that does this is disconnected for this reason, and that others are served as
/// before.
#[track_caller]
fn check_cut(reason: &'static str, offend: impl Fn(&mut Peer)) {
    let broker = publisher();
    let mut worker = Peer::worker(&broker, "echo");
    let mut honest = subscriber(&broker);
    for times in 1..=2 {
        let mut offender = subscriber(&broker);
        offend(&mut offender);
        offender.expect_end();
        wait_for(&broker, "it to be cut", |now| now.closed.get(reason) == Some(&times));
        round_trip(&broker, &mut worker, "echo");
        command(&mut honest, true, &[b"$dir", &b" "[..times as usize - 1]].concat());
        honest.receive().expect("the directory");
    }
    drop((worker, honest));
    assert!(broker.shutdown().expect("it ran").counters.balanced());
}

#[test]
fn more_subscriptions_than_there_may_be() {
    for say in [command, message] {
        check_cut("too_many_subscriptions", |peer| {
            for number in 0..65 {
                say(peer, true, format!("topic {number}").as_bytes());
            }
        });
    }
}

#[test]
fn a_subscription_that_is_too_long() {
    for say in [command, message] {
        check_cut("subscription_too_long", |peer| say(peer, true, &[b'x'; 256]));
    }
    check_cut("frame_too_long", |peer| message(peer, true, &[b'x'; 8 << 10]));
    check_cut("command_too_long", |peer| command(peer, true, &[b'x'; 8 << 10]));
}

#[test]
fn a_message_of_many_frames() {
    check_cut("too_many_frames", |peer| peer.send(&[b"\x01$dir", b"", b"x"]));
}

#[test]
fn bytes_that_are_no_frame() {
    check_cut("reserved_flag_bits", |peer| peer.send_raw(b"\xFFnonsense"));
}

#[test]
fn messages_that_are_no_subscriptions_are_counted_and_dropped() {
    let broker = publisher();
    let mut peer = subscriber(&broker);
    for garbage in [&b""[..], b"\x02$dir", b"$dir", b"\0never subscribed"] {
        peer.send(&[garbage]);
    }
    command(&mut peer, false, b"$dir");
    command(&mut peer, true, b"$dir");
    peer.expect_directory("{}");
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!(snapshot.refused.get("no_subscription"), Some(&3), "{snapshot}");
    assert!(snapshot.closed.is_empty(), "{snapshot}");
}

/// Returns the error sent to a peer of this socket type instead of a handshake.
fn refusal(mut stream: TcpStream, socket_type: SocketType) -> Error {
    let metadata = Metadata::new(socket_type);
    let mut zmtp = Connection::connector(Security::Null, Limits::default(), metadata);
    loop {
        let polled = zmtp.poll();
        write_unsent(&mut zmtp, &mut stream);
        if let Err(error) = polled {
            return error;
        }
        let mut buffer = BytesMut::zeroed(1_024);
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "it says why before it closes");
        zmtp.receive(&mut buffer.split_to(read));
    }
}

#[test]
fn each_listener_answers_its_own_socket_types() {
    let broker = publisher();
    for other in [SocketType::Dealer, SocketType::Req, SocketType::Router, SocketType::Pub] {
        let told = refusal(publication(&broker), other).to_string();
        assert!(told.contains(other.as_str()) && told.contains("SUB and XSUB"), "{told}");
    }
    for subscriber in [SocketType::Sub, SocketType::XSub] {
        let stream = TcpStream::connect(address(&broker)).expect("it listens");
        let told = refusal(stream, subscriber).to_string();
        assert!(told.contains("REQ, DEALER, ROUTER and CLIENT"), "{told}");
    }
    wait_for(&broker, "all to be counted", |now| now.closed.get("socket_type") == Some(&6));
}

#[test]
fn it_does_not_publish_unless_it_is_told_to() {
    assert_eq!(broker_with(|_| {}).publication(), None);
}
