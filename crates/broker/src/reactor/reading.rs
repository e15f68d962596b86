//! Reading: bytes become messages, and messages become inputs of the core.
//!
//! A message that lies whole in the read buffer is decoded where it lies. One that comes in pieces is
//! put together by its connection first.

use std::io::{self, Read};
use std::time::Duration;

use majordomus_core::broker::{Input, Profile, Sign};
use majordomus_core::{FramesView, FromClientView, Label, PeerId};
use majordomus_wire::{Codec, Error, Offence, Scratch, Side, Socket};
use majordomus_zmtp::{self as zmtp, Event, Metadata, SocketType};
use tracing::debug;

use super::Reactor;
use crate::connection::{Incoming, Kind, Reading, Session};
use crate::subscriber::Subscriber;

/// Bytes of the buffer that all connections are read into.
pub(super) const READ_BUFFER_BYTES: usize = 64 << 10;
/// Messages of one connection that are delivered in a turn, before it is another's turn.
const MESSAGES_PER_TURN_MAX: usize = 256;

/// Reads after which a handshake that is not complete comes in smaller pieces than any peer needs, and
/// how long it is left alone then after each read: a byte costs a call of the system.
const HANDSHAKE_READS_MAX: u32 = 16;
const HANDSHAKE_REST: Duration = Duration::from_millis(50);

/// The buffer that all connections are read into, and what one message needs to be decoded in it.
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
    /// Start and end of each frame of the message.
    bounds: Vec<(u32, u32)>,
    scratch: Scratch,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; READ_BUFFER_BYTES].into(),
            bounds: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

/// How it ended to deliver what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// There is nothing more to be delivered for now. `messages` counts those that were complete.
    Complete { messages: usize },
    /// There may be more, in the next turn.
    Unfinished,
    /// The peer is disconnected.
    Disconnected,
}

impl Reactor {
    /// Reads once from each connection that is ready.
    pub(super) fn read_all(&mut self, buffer: &mut ReadBuffer) {
        for _ in 0..self.io.to_read.len() {
            let Some(index) = self.io.to_read.pop_front() else { return };
            let Some(connection) = self.io.connections.at(index) else { continue };
            connection.queued_to_read = false;
            let id = connection.id;
            // What was read before comes first.
            if connection.zmtp.receiving() || connection.has_first_message() {
                self.deliver_first_message(id, &mut buffer.scratch);
                if !matches!(self.deliver(id, 0, buffer), Delivery::Complete { .. }) {
                    continue;
                }
            }
            self.read(id, buffer);
        }
    }

    fn read(&mut self, id: PeerId, buffer: &mut ReadBuffer) {
        let Some(connection) = self.io.connections.get(id) else { return };
        if connection.incoming == Incoming::Empty {
            return;
        }
        match connection.reading {
            Reading::Active => {}
            Reading::Closing => return self.discard(id, buffer),
            Reading::Paused | Reading::WaitingForMemory { .. } | Reading::Resting => return,
        }
        let Some(received) = connection.read(&mut buffer.bytes) else { return self.lose(id) };
        if !received.more {
            connection.incoming.exhausted();
        }
        if received.bytes > 0 {
            connection.reassembly.progressed(self.io.now, received.bytes);
            let delivery = self.deliver(id, received.buffered, buffer);
            if delivery == (Delivery::Complete { messages: 0 }) {
                // No message is complete, but a part of one is life too.
                self.show_life(id, Sign::Bytes);
            }
        }
        let Some(connection) = self.io.connections.get(id) else { return };
        if connection.is_disconnected_client_while_paused() {
            return self.lose(id);
        }
        if let Session::Handshake { reads } = &mut connection.session {
            *reads += 1;
            if *reads > HANDSHAKE_READS_MAX {
                connection.reading = Reading::Resting;
                self.slow_handshakes.push_back((id, self.io.now.after(HANDSHAKE_REST)));
                return;
            }
        }
        if received.more && connection.reading == Reading::Active {
            self.io.queue_read(id.index);
        }
    }

    /// Reads again from connections whose handshakes come in small pieces, when that is due.
    pub(super) fn resume_slow_handshakes(&mut self) {
        while let Some((id, due)) = self.slow_handshakes.front().copied()
            && due <= self.io.now
        {
            self.slow_handshakes.pop_front();
            if let Some(connection) = self.io.connections.get(id)
                && connection.reading == Reading::Resting
            {
                connection.reading = Reading::Active;
                self.io.queue_read(id.index);
            }
        }
    }

    /// Reads and discards what a peer still sends, until it closes.
    fn discard(&mut self, id: PeerId, buffer: &mut ReadBuffer) {
        let Some(connection) = self.io.connections.get(id) else { return };
        match connection.stream.read(&mut buffer.bytes) {
            Ok(0) => self.lose(id),
            Ok(_) => self.io.queue_read(id.index),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.incoming.exhausted();
            }
            Err(_) => self.lose(id),
        }
    }

    /// Delivers what was read before and the first `received` bytes of the buffer, as long as the
    /// connection is read from and it is its turn. What is left is copied to the connection.
    fn deliver(&mut self, id: PeerId, received: usize, buffer: &mut ReadBuffer) -> Delivery {
        let ReadBuffer { bytes, bounds, scratch } = buffer;
        let mut bytes = &bytes[..received];
        let mut messages = 0;
        let mut delivery = Delivery::Unfinished;
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(connection) = self.io.connections.get(id) else {
                return Delivery::Disconnected;
            };
            let exhausted = bytes.is_empty() && !connection.zmtp.receiving();
            if exhausted || connection.reading != Reading::Active {
                delivery = Delivery::Complete { messages };
                break;
            }
            if let Some(length) = connection.zmtp.whole_message(bytes, bounds) {
                let codec = connection.codec();
                let (message, behind) = bytes.split_at(length);
                bytes = behind;
                messages += 1;
                let message = FramesView::borrowed(message, bounds);
                match codec {
                    Some(codec) => self.decode(id, codec, message, scratch),
                    None => self.first_message(id, message, scratch),
                }
                continue;
            }
            match connection.zmtp.poll_from(&mut bytes) {
                Ok(Some(event)) => {
                    messages += usize::from(matches!(event, Event::Message(_)));
                    self.event(id, event, scratch);
                }
                Ok(None) => {
                    delivery = Delivery::Complete { messages };
                    break;
                }
                Err(error) => {
                    self.io.census.close(self.io.now, connection, error.name(), &error);
                    self.lose(id);
                    return Delivery::Disconnected;
                }
            }
        }
        let Some(connection) = self.io.connections.get(id) else { return Delivery::Disconnected };
        if !bytes.is_empty() {
            connection.zmtp.receive_copy(bytes);
        }
        connection.zmtp.settle();
        if connection.zmtp.unsent_bytes() > 0 {
            self.io.queue_write(id.index);
        }
        if delivery == Delivery::Unfinished {
            self.io.queue_read(id.index);
        }
        delivery
    }

    /// Delivers the first message of a connection that the core had paused, and has no longer.
    fn deliver_first_message(&mut self, id: PeerId, scratch: &mut Scratch) {
        if let Some(connection) = self.io.connections.get(id)
            && connection.reading == Reading::Active
            && let Some(first) = connection.take_first_message()
        {
            let codec = connection.codec();
            self.message(id, codec, first.view(), scratch);
            self.release_memory(id);
        }
    }

    fn event(&mut self, id: PeerId, event: Event, scratch: &mut Scratch) {
        match event {
            Event::Message(message) => self.assembled_message(id, &message, scratch),
            Event::Pong(_) => self.show_life(id, Sign::Pong),
            Event::Large { bytes } => self.wait_for_memory(id, bytes),
            Event::Hello(peer) => self.hello(id, peer),
            Event::Subscribe(subscription) => self.subscribe(id, &subscription),
            Event::Cancel(subscription) => self.cancel(id, &subscription),
            // A PING was answered. The rest concerns nobody here.
            _ => {}
        }
    }

    /// Delivers a message that the connection has put together, in memory that can be shared.
    fn assembled_message(&mut self, id: PeerId, message: &zmtp::Message, scratch: &mut Scratch) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let codec = connection.codec();
        let charged = connection.reassembly.charged_bytes() > 0;
        if charged {
            self.reassembly.pool.lend(&message.data);
        }
        let frames = FramesView::shared(&message.data, &message.frames);
        self.message(id, codec, frames, scratch);
        // A first message that waits holds its memory still.
        if charged
            && self.io.connections.get(id).is_some_and(|connection| !connection.has_first_message())
        {
            self.release_memory(id);
        }
    }

    /// Tells the core that a peer it knows is alive.
    pub(super) fn show_life(&mut self, id: PeerId, sign: Sign) {
        if self.io.connections.get(id).is_some_and(|connection| connection.codec().is_some()) {
            self.tell_core(Input::Alive { peer: id, sign });
        }
    }

    /// Answers a peer's handshake by the peer's socket type.
    fn hello(&mut self, id: PeerId, peer: zmtp::Peer) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let publishes = self.config.publishes_at(connection.listener);
        let socket_type = peer.metadata.socket_type;
        let unknown = Kind::Unknown { answered: false };
        let (kind, ours) = match (publishes, socket_type) {
            (false, SocketType::Req | SocketType::Dealer | SocketType::Router) => {
                let ours = Metadata::new(SocketType::Router);
                (unknown, Some(ours.with_routing_id(self.config.name.as_bytes())))
            }
            (false, SocketType::Client) => (unknown, Some(Metadata::new(SocketType::Server))),
            (true, SocketType::Sub | SocketType::XSub) => {
                let subscriber = Kind::Subscriber(Subscriber::default());
                (subscriber, Some(Metadata::new(SocketType::Pub)))
            }
            _ => (unknown, None),
        };
        connection.session = Session::Open { peer, kind };
        if let Some(ours) = ours {
            connection.zmtp.accept(&ours);
            let address = connection.origin.address();
            self.handshakes.end(id);
            self.silent.begin(self.io.now, id, address);
        } else {
            let served = match publishes {
                true => "SUB and XSUB",
                false => "REQ, DEALER, ROUTER and CLIENT",
            };
            let text = format!("a {socket_type} socket is not served here, but {served}");
            self.io.census.close(self.io.now, connection, "socket_type", &text);
            connection.zmtp.refuse(&text);
            connection.reading = Reading::Closing;
        }
        self.io.queue_write(id.index);
    }

    /// Handles a message. Without a codec it is the first of its connection.
    fn message(
        &mut self,
        id: PeerId,
        codec: Option<Codec>,
        message: FramesView<'_>,
        scratch: &mut Scratch,
    ) {
        match codec {
            Some(codec) => self.decode(id, codec, message, scratch),
            None => self.first_message(id, message, scratch),
        }
    }

    /// Decodes a message and hands it to the core.
    #[inline(always)]
    fn decode(&mut self, id: PeerId, codec: Codec, message: FramesView<'_>, scratch: &mut Scratch) {
        match codec.side() {
            // A command is large: it stays where it was decoded.
            Side::Client => match &codec.decode_from_client(message, scratch) {
                Ok(command) => {
                    if matches!(command, FromClientView::Request(request) if request.durable) {
                        self.io.census.note_durable();
                    }
                    self.tell_core(Input::FromClient { peer: id, command });
                }
                Err(error) => self.malformed(id, error),
            },
            Side::Worker => match &codec.decode_from_worker(message, scratch) {
                Ok(command) => self.tell_core(Input::FromWorker { peer: id, command }),
                Err(error) => self.malformed(id, error),
            },
        }
    }

    #[cold]
    fn malformed(&mut self, id: PeerId, error: &Error) {
        let Some(connection) = self.io.connections.get(id) else { return };
        self.io.census.refuse(self.io.now, connection, error.offence().name(), error);
        self.tell_core(Input::Malformed { peer: id });
    }

    /// Tells a connection's dialect by its first message. Until one does, messages are dropped.
    fn first_message(&mut self, id: PeerId, message: FramesView<'_>, scratch: &mut Scratch) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let answered = match &connection.session {
            Session::Open { kind: Kind::Unknown { answered }, .. } => *answered,
            _ => return self.subscriber_message(id, message),
        };
        let listen = &self.config.listen[connection.listener];
        let metadata = connection.peer().map(|peer| &peer.metadata);
        let identity = metadata.map_or(&b""[..], |metadata| &metadata.routing_id[..]);
        let socket = match metadata.map(|metadata| metadata.socket_type) {
            Some(SocketType::Client) => Socket::Client,
            _ => Socket::Dealer,
        };
        let codec = match Codec::detect(message, identity, socket, listen.dialect) {
            Ok(codec) => codec.with_errors(listen.errors).with_json(listen.json),
            Err(error) => {
                self.io.census.refuse(self.io.now, connection, error.offence().name(), &error);
                // Once, unless it says HELLO, however wrong: what else it says until it has read the
                // answer needs none. One that does not read has its answer already.
                let says_hello = !matches!(error.offence(), Offence::HelloMissing { .. });
                if let Some(answer) = error.answer()
                    && (says_hello || !answered)
                    && connection.zmtp.unsent_bytes() == 0
                {
                    connection.set_kind(Kind::Unknown { answered: true });
                    connection.zmtp.send_frame(&answer, false);
                    self.io.queue_write(id.index);
                }
                return;
            }
        };
        connection.set_kind(Kind::Detected { codec, first: None });
        self.silent.end(id);
        let Some(connection) = self.io.connections.get(id) else { return };
        let peer = connection.peer();
        let profile = Profile {
            identity: peer
                .map(|peer| Label::from(&peer.metadata.routing_id[..]))
                .unwrap_or_default(),
            answers_probes: peer.is_some_and(zmtp::Peer::announces_ping),
            role: codec.role(),
        };
        debug!(
            peer = %connection.name(), dialect = %codec.dialect(), side = %codec.side(), "speaks"
        );
        self.tell_core(Input::Appeared { peer: id, profile });
        match self.io.connections.get(id) {
            Some(connection) if connection.reading == Reading::Paused => {
                let first = Some(Box::new(message.to_frames()));
                connection.set_kind(Kind::Detected { codec, first });
            }
            Some(_) => self.message(id, Some(codec), message, scratch),
            None => {}
        }
    }
}
