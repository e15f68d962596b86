//! A scripted broker for tests. It accepts peers and does nothing else by itself. The test sends
//! its messages, and waits for those of the peers with a time limit.
#![allow(dead_code, reason = "not every test file needs all of it")]

use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use majordomus::{Dialect, Frames};
use majordomus_core::{
    ByteStr, Concurrency, CorrelationId, DisconnectReason, FromClient, FromWorker, Outcome, Reply,
    Request, Status, ToClient, ToWorkerView, Token, Welcome, WorkerReply, WorkerRequestView,
};
pub(crate) use majordomus_wire::Side;
use majordomus_wire::{Codec, Scratch, in_frames};
use majordomus_zmtp::{Connection, Event, Limits, Metadata, Security, SocketType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

/// A time limit for events, so that a hanging test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An interval that is too long to interfere, unless a test sets its own.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Waits for a future, with a time limit.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

pub(crate) struct FakeBroker {
    listener: Listener,
    pub(crate) endpoint: String,
    dialect: Dialect,
    /// The heartbeat interval that the broker announces, if the dialect has that.
    pub(crate) heartbeat: Duration,
}

impl FakeBroker {
    pub(crate) async fn start(dialect: Dialect) -> Self {
        Self::start_at("127.0.0.1:0", dialect).await
    }

    /// Binds a TCP address, which another broker may have used before.
    pub(crate) async fn start_at(address: &str, dialect: Dialect) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let endpoint = format!("tcp://{}", listener.local_addr().expect("it is bound"));
        Self { listener: Listener::Tcp(listener), endpoint, dialect, heartbeat: HEARTBEAT }
    }

    pub(crate) fn start_ipc(path: &std::path::Path, dialect: Dialect) -> Self {
        let listener = UnixListener::bind(path).expect("the path is free");
        let endpoint = format!("ipc://{}", path.display());
        Self { listener: Listener::Unix(listener), endpoint, dialect, heartbeat: HEARTBEAT }
    }

    pub(crate) async fn accept_client(&self) -> Peer {
        self.accept(Side::Client).await
    }

    /// Accepts a client or a worker, and receives its HELLO without a reply.
    pub(crate) async fn accept_unwelcome(&self, side: Side) -> Peer {
        let mut peer = self.shake_hands(side).await;
        peer.hello().await;
        peer
    }

    /// Accepts a client, and announces this maximum message size.
    pub(crate) async fn accept_client_of(&self, message_bytes_max: u64) -> Peer {
        let mut peer = self.shake_hands(Side::Client).await;
        peer.welcome(message_bytes_max).await;
        peer
    }

    /// Accepts a worker and receives its READY for `echo`.
    pub(crate) async fn accept_worker(&self) -> Peer {
        let mut worker = self.accept(Side::Worker).await;
        if self.dialect == Dialect::Omdp1 {
            let FromWorker::Heartbeat(takes) = worker.worker_says().await else {
                panic!("it does not say how many it takes")
            };
            assert!(takes.concurrency.is_some());
        }
        let ready = FromWorker::Ready { service: ByteStr::from("echo") };
        assert_eq!(worker.worker_says().await, ready);
        if self.dialect == Dialect::Pigato {
            // Without this capacity, the worker would receive up to 100 requests at once.
            let takes = Status { concurrency: Some(Concurrency::ONE), publish: false };
            assert_eq!(worker.worker_says().await, FromWorker::Heartbeat(takes));
        }
        worker
    }

    async fn accept(&self, side: Side) -> Peer {
        let mut peer = self.shake_hands(side).await;
        if peer.codec.greets() {
            peer.welcome(0).await;
        }
        peer
    }

    async fn shake_hands(&self, side: Side) -> Peer {
        let accepted = async {
            let socket: Box<dyn Socket> = match &self.listener {
                Listener::Tcp(tcp) => Box::new(tcp.accept().await.expect("a connection").0),
                Listener::Unix(unix) => Box::new(unix.accept().await.expect("a connection").0),
            };
            let zmtp = Connection::listener(Security::Null, Limits::default());
            let codec = Codec::new(self.dialect, side);
            let heartbeat = self.heartbeat;
            let mut peer = Peer { socket, zmtp, codec, heartbeat, asked: CorrelationId::NONE };
            let Some(Event::Hello(hello)) = peer.event().await else { panic!("no handshake") };
            peer.zmtp.accept(&Metadata::new(match hello.metadata.socket_type {
                SocketType::Client => SocketType::Server,
                _ => SocketType::Router,
            }));
            peer.flush().await;
            peer
        };
        soon(accepted).await
    }
}

/// A client or a worker that is connected to the broker.
pub(crate) struct Peer {
    socket: Box<dyn Socket>,
    zmtp: Connection,
    codec: Codec,
    heartbeat: Duration,
    /// The id of the peer's last request.
    asked: CorrelationId,
}

impl Peer {
    pub(crate) async fn client_says(&mut self) -> FromClient {
        let message = self.message().await;
        let mut scratch = Scratch::default();
        let command = self.codec.decode_from_client(message.view(), &mut scratch);
        command.expect("a command").to_owned()
    }

    /// Receives a worker's message in a form that does not depend on the dialect: the body in
    /// frames, without options.
    pub(crate) async fn worker_says(&mut self) -> FromWorker {
        let message = self.message().await;
        let plain = |reply: WorkerReply| WorkerReply {
            id: reply.id,
            ..WorkerReply::new(address_of(&reply.address), in_frames(reply.body))
        };
        let mut scratch = Scratch::default();
        let command = self.codec.decode_from_worker(message.view(), &mut scratch);
        match command.expect("a command").to_owned() {
            FromWorker::Partial(reply) => FromWorker::Partial(plain(reply)),
            FromWorker::Final(reply) => FromWorker::Final(plain(reply)),
            FromWorker::Failed(reply) => {
                FromWorker::Failed(WorkerReply { address: address_of(&reply.address), ..reply })
            }
            other => other,
        }
    }

    /// Waits for HELLO.
    async fn hello(&mut self) {
        match self.codec.side() {
            Side::Client => assert!(matches!(self.client_says().await, FromClient::Hello(_))),
            Side::Worker => assert!(matches!(self.worker_says().await, FromWorker::Hello(_))),
        }
    }

    /// Waits for HELLO and replies with WELCOME.
    async fn welcome(&mut self, message_bytes_max: u64) {
        let welcome = Welcome {
            heartbeat: self.heartbeat,
            liveness: 3,
            message_bytes_max,
            frames_max: 1_000,
            requests_max: 1_000,
            broker: ByteStr::from("fake"),
        };
        self.hello().await;
        match self.codec.side() {
            Side::Client => self.send_to_client(ToClient::Welcome(welcome)).await,
            Side::Worker => self.send_to_worker(ToWorkerView::Welcome(&welcome)).await,
        }
    }

    /// Disconnects the peer with this reason.
    pub(crate) async fn send_away(&mut self, why: DisconnectReason) {
        match self.codec.side() {
            Side::Client => self.send_to_client(ToClient::Disconnect(why)).await,
            Side::Worker => self.send_to_worker(ToWorkerView::Disconnect(why)).await,
        }
    }

    /// Waits for a request for `echo` and returns its body.
    pub(crate) async fn request(&mut self) -> Frames {
        in_frames(self.asked().await.body)
    }

    /// Waits for a request for `echo`.
    pub(crate) async fn asked(&mut self) -> Request {
        match self.client_says().await {
            FromClient::Request(request) => {
                assert_eq!(&*request.service, b"echo");
                self.asked = request.id.clone();
                request
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send_to_client(&mut self, command: ToClient) {
        self.send(|codec, frames| codec.encode_to_client(&command.view(), frames)).await;
    }

    pub(crate) async fn send_part(&mut self, body: Frames) {
        let reply = self.reply(body);
        self.send_to_client(ToClient::Partial(reply)).await;
    }

    pub(crate) async fn send_final(&mut self, body: Frames) {
        let reply = self.reply(body);
        self.send_to_client(ToClient::Final(reply)).await;
    }

    /// Reports that the peer's last request has failed.
    pub(crate) async fn send_failed(&mut self, outcome: Outcome, code: u16, why: Frames) {
        let reply = Reply { code, ..self.reply(why) };
        self.send_to_client(ToClient::Failed(outcome, reply)).await;
    }

    fn reply(&self, body: Frames) -> Reply {
        Reply { id: self.asked.clone(), ..Reply::new("echo", body) }
    }

    pub(crate) async fn send_to_worker(&mut self, command: ToWorkerView<'_>) {
        self.send(|codec, frames| codec.encode_to_worker(&command, frames)).await;
    }

    pub(crate) async fn send_request(&mut self, address: &str, body: Frames) {
        let request = WorkerRequestView::new(token_of(address), b"echo", body.view());
        self.send_to_worker(ToWorkerView::Request(request)).await;
    }

    /// Sends one frame that is invalid in every dialect.
    pub(crate) async fn send_garbage(&mut self) {
        self.send_raw(b"garbage").await;
    }

    /// Sends a WELCOME of an unknown version of OMDP.
    pub(crate) async fn welcome_to_another_version(&mut self) {
        self.send_raw(b"\x02\x02 and whatever that version has here").await;
    }

    async fn send_raw(&mut self, frame: &[u8]) {
        self.zmtp.send_frame(frame, false);
        self.flush().await;
    }

    /// Waits until the peer closes the connection. Its remaining messages are ignored.
    pub(crate) async fn closed(mut self) {
        soon(async { while self.event().await.is_some() {} }).await;
    }

    /// Waits for the next message.
    async fn message(&mut self) -> Frames {
        let message = async {
            loop {
                match self.event().await {
                    Some(Event::Message(message)) => {
                        return Frames::new(message.data, message.frames);
                    }
                    Some(_) => {}
                    None => panic!("the peer closed the connection"),
                }
            }
        };
        soon(message).await
    }

    /// Returns the next event, or `None` if the connection is closed.
    async fn event(&mut self) -> Option<Event> {
        loop {
            match self.zmtp.poll().expect("it speaks ZMTP") {
                Some(Event::Large { .. }) => self.zmtp.grant(),
                Some(event) => return Some(event),
                None => {
                    self.flush().await;
                    let mut read = BytesMut::new();
                    match self.socket.read_buf(&mut read).await {
                        Ok(0) | Err(_) => return None,
                        Ok(_) => self.zmtp.receive(&mut read),
                    }
                }
            }
        }
    }

    async fn send(&mut self, encode: impl FnOnce(&Codec, &mut Vec<bytes::Bytes>)) {
        let mut frames = Vec::new();
        encode(&self.codec, &mut frames);
        for (index, frame) in frames.iter().enumerate() {
            self.zmtp.send_frame(frame, index + 1 < frames.len());
        }
        self.flush().await;
    }

    /// Writes the unsent bytes. Write errors are ignored: a peer that has closed the connection is
    /// detected by the next read.
    async fn flush(&mut self) {
        let unsent: Vec<u8> = self.zmtp.unsent().flatten().copied().collect();
        let _ = soon(self.socket.write_all(&unsent)).await;
        self.zmtp.sent(unsent.len());
    }
}

pub(crate) fn text(text: &str) -> Frames {
    Frames::from_slices(&[text])
}

/// Returns the token that stands for a short address.
pub(crate) fn token_of(address: &str) -> Token {
    let mut octets = [b' '; 16];
    octets[..address.len()].copy_from_slice(address.as_bytes());
    Token::read(&octets).expect("octets are a token")
}

/// Returns the token as text, as MDP workers see it.
pub(crate) fn token_text(address: &str) -> String {
    String::from_utf8(token_of(address).text().into()).expect("letters")
}

/// Returns the short address of a token; any other address is returned unchanged.
fn address_of(address: &[u8]) -> ByteStr {
    let octets = Token::read(address).map(Token::octets);
    octets.as_ref().map_or(address, |octets| octets.trim_ascii_end()).into()
}
