//! Test support: a peer made of a plain socket and `majordomus-zmtp`, so that tests control every
//! byte, and a broker to connect it to.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod pigato;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use majordomus_broker::{Broker, Config, Endpoint, Listen, Snapshot};
use majordomus_zmtp::{Connection, Event, Limits, Message, Metadata, Security, SocketType};

/// The maximum time to wait for an expected event on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a broker on its own port.
pub fn broker() -> Broker {
    broker_with(|_| {})
}

/// Starts a configured broker on its own port.
pub fn broker_with(configure: impl FnOnce(&mut Config)) -> Broker {
    let listen = Listen::new("tcp://127.0.0.1:0".parse().expect("an endpoint"));
    let mut config = Config { listen: vec![listen], ..Config::default() };
    configure(&mut config);
    Broker::start(config).expect("the broker starts")
}

pub fn address(broker: &Broker) -> SocketAddr {
    address_of(&broker.endpoints()[0])
}

pub fn address_of(endpoint: &Endpoint) -> SocketAddr {
    let text = endpoint.to_string();
    text.strip_prefix("tcp://").expect("it is tcp").parse().expect("an address")
}

/// Waits until the broker's statistics fulfil a condition.
pub fn wait_for(broker: &Broker, what: &str, mut is_so: impl FnMut(&Snapshot) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let snapshot = broker.control().snapshot().expect("the broker runs");
        if is_so(&snapshot) {
            return;
        }
        assert!(Instant::now() < end, "waited for {what} in vain: {snapshot}");
        std::thread::yield_now();
    }
}

/// A peer of the broker, over any stream.
pub struct Peer<S = TcpStream> {
    pub stream: S,
    pub zmtp: Connection,
    /// The broker's metadata from its handshake.
    pub broker: Option<majordomus_zmtp::Peer>,
    pub pings: usize,
    pub pongs: usize,
}

impl Peer {
    /// Connects a DEALER and completes its handshake.
    pub fn connect(broker: &Broker) -> Self {
        Self::connect_as(broker, Metadata::new(SocketType::Dealer))
    }

    pub fn connect_as(broker: &Broker, metadata: Metadata) -> Self {
        let stream = TcpStream::connect(address(broker)).expect("the broker listens");
        // As set by every ZMQ library.
        stream.set_nodelay(true).expect("an option of TCP");
        Self::shake_hands(stream, metadata)
    }

    /// Connects a DEALER with a routing id.
    pub fn with_id(broker: &Broker, routing_id: &[u8]) -> Self {
        Self::connect_as(broker, Metadata::new(SocketType::Dealer).with_routing_id(routing_id))
    }

    /// Connects a 7/MDP worker and waits until the broker has registered it.
    pub fn worker(broker: &Broker, service: &str) -> Self {
        let registered = |now: &Snapshot| now.counters.workers_registered;
        let before = registered(&broker.control().snapshot().expect("the broker runs"));
        let mut worker = Self::connect(broker);
        worker.send(&[b"", b"MDPW01", b"\x01", service.as_bytes()]);
        wait_for(broker, "the worker to register", |now| registered(now) > before);
        worker
    }
}

/// Writes all pending output of a connection.
pub fn write_unsent(zmtp: &mut Connection, stream: &mut impl Write) {
    for part in zmtp.unsent() {
        stream.write_all(part).expect("the broker reads");
    }
    zmtp.sent(zmtp.unsent_bytes());
}

/// A stream whose reads can time out.
pub trait Patient: Read + Write {
    fn patience(&self, span: Duration);
}

impl Patient for TcpStream {
    fn patience(&self, span: Duration) {
        self.set_read_timeout(Some(span)).expect("a timeout");
    }
}

impl Patient for std::os::unix::net::UnixStream {
    fn patience(&self, span: Duration) {
        self.set_read_timeout(Some(span)).expect("a timeout");
    }
}

impl<S: Patient> Peer<S> {
    pub fn shake_hands(stream: S, metadata: Metadata) -> Self {
        let zmtp = Connection::connector(Security::Null, Limits::default(), metadata);
        let mut peer = Self { stream, zmtp, broker: None, pings: 0, pongs: 0 };
        peer.flush();
        peer.stream.patience(PATIENCE);
        while peer.broker.is_none() {
            let event = peer.event().expect("the broker answers the handshake");
            assert!(matches!(event, Event::Hello(_)), "{event:?}");
        }
        peer
    }

    pub fn flush(&mut self) {
        write_unsent(&mut self.zmtp, &mut self.stream);
    }

    pub fn queue(&mut self, frames: &[&[u8]]) {
        for (at, frame) in frames.iter().enumerate() {
            self.zmtp.send_frame(frame, at + 1 < frames.len());
        }
    }

    pub fn send(&mut self, frames: &[&[u8]]) {
        self.queue(frames);
        self.flush();
    }

    /// Sends bytes that are not a message.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        // The broker may have closed the connection already.
        let _ = self.stream.write_all(bytes);
    }

    /// Returns the next event, or `None` when the connection is closed.
    pub fn event(&mut self) -> Option<Event> {
        loop {
            let polled = self.zmtp.poll().expect("the broker speaks ZMTP");
            self.flush();
            match polled {
                Some(Event::Large { .. }) => self.zmtp.grant(),
                Some(Event::Hello(broker)) => {
                    self.broker = Some(broker.clone());
                    return Some(Event::Hello(broker));
                }
                Some(event) => {
                    self.pings += usize::from(event == Event::Ping);
                    self.pongs += usize::from(matches!(event, Event::Pong(_)));
                    return Some(event);
                }
                None => {
                    let mut buffer = BytesMut::zeroed(64 << 10);
                    match self.stream.read(&mut buffer) {
                        Ok(0) => return None,
                        Ok(read) => {
                            self.zmtp.receive(&mut buffer.split_to(read));
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            panic!("the broker said nothing in {PATIENCE:?}")
                        }
                        Err(_) => return None,
                    }
                }
            }
        }
    }

    /// Returns the next message that is not a heartbeat, or `None` when the connection is closed.
    pub fn receive(&mut self) -> Option<Message> {
        loop {
            match self.event()? {
                Event::Message(message) if !is_heartbeat(&message) => return Some(message),
                _ => {}
            }
        }
    }

    pub fn frames(&mut self) -> Vec<Bytes> {
        let message = self.receive().expect("a message and not the end");
        (0..message.len()).map(|at| message.share(at)).collect()
    }

    #[track_caller]
    pub fn expect(&mut self, frames: &[&[u8]]) {
        assert_eq!(self.frames(), frames);
    }

    /// Waits until the broker has closed the connection.
    pub fn expect_end(&mut self) {
        while self.event().is_some() {}
    }

    /// Returns the address and the body of the next request, as a 7/MDP worker.
    pub fn request(&mut self) -> (Bytes, Vec<Bytes>) {
        let mut frames = self.frames();
        assert_eq!(frames[..3], [&b""[..], b"MDPW01", b"\x02"]);
        let body = frames.split_off(5);
        assert_eq!(frames[4], b""[..]);
        (frames[3].clone(), body)
    }

    pub fn reply(&mut self, address: &[u8], body: &[&[u8]]) {
        let mut frames: Vec<&[u8]> = vec![b"", b"MDPW01", b"\x03", address, b""];
        frames.extend_from_slice(body);
        self.send(&frames);
    }
}

fn is_heartbeat(message: &Message) -> bool {
    message.len() == 3 && message.frame(1) == b"MDPW01" && message.frame(2) == b"\x04"
}

/// Checks that a request from a new client to this worker gets its reply.
#[track_caller]
pub fn round_trip<S: Patient>(broker: &Broker, worker: &mut Peer<S>, service: &str) {
    let mut client = Peer::connect(broker);
    client.send(&[b"", b"MDPC01", service.as_bytes(), b"honest"]);
    let (address, body) = worker.request();
    assert_eq!(body, [&b"honest"[..]]);
    worker.reply(&address, &[b"served"]);
    client.expect(&[b"", b"MDPC01", service.as_bytes(), b"served"]);
}

/// A captured log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log of the whole program; only one caller may do so.
    pub fn of_this_program() -> Self {
        let log = Self::default();
        let subscriber =
            tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only one of this program");
        log
    }

    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("a log").clone()).expect("text");
        text.lines().map(str::to_string).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
