//! The read path: decodes bytes into messages, and messages into inputs of the core.
//!
//! A message that is complete in the read buffer is decoded in place. A message that arrives in
//! several reads is reassembled by its connection first.

use std::io::{self, Read};
use std::time::Duration;

use majordomus_core::broker::{Input, Profile, Sign};
use majordomus_core::{ByteStr, FramesView, FromClientView, PeerId};
use majordomus_wire::{Codec, Error, Scratch, Side, Socket, Violation};
use majordomus_zmtp::{self as zmtp, Event, Metadata, SocketType};
use tracing::debug;

use super::Reactor;
use crate::connection::{Incoming, Kind, Reading, Session};
use crate::subscriber::Subscriber;

/// The size of the shared read buffer in bytes.
pub(super) const READ_BUFFER_BYTES: usize = 64 << 10;
/// The maximum number of messages of one connection that are delivered in one iteration.
const MESSAGES_PER_TURN_MAX: usize = 256;

/// The number of reads after which an incomplete handshake is slow, and the delay after each
/// further read. No ordinary peer needs as many reads, and every read costs a system call.
const HANDSHAKE_READS_MAX: u32 = 16;
const HANDSHAKE_REST: Duration = Duration::from_millis(50);

/// The shared read buffer, and the memory needed to decode one message in it.
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
    /// The start and end of each frame of the message.
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

/// The result of delivering the read bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// There is nothing more to deliver for now. `messages` counts the complete messages.
    Complete { messages: usize },
    /// There may be more to deliver in the next iteration.
    Unfinished,
    /// The peer is disconnected.
    Disconnected,
}

impl Reactor {
    /// Reads once from each ready connection.
    pub(super) fn read_all(&mut self, buffer: &mut ReadBuffer) {
        for _ in 0..self.io.to_read.len() {
            let Some(index) = self.io.to_read.pop_front() else { return };
            let Some(connection) = self.io.connections.at(index) else { continue };
            connection.queued_to_read = false;
            let id = connection.id;
            // Bytes from earlier reads come first.
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
                // No message is complete, but part of a message is proof of liveness too.
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

    /// Resumes reading from connections with a slow handshake when their delay is over.
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

    /// Reads and discards input from a closing connection until its peer closes it.
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

    /// Delivers the bytes of earlier reads and the first `received` bytes of the buffer, while the
    /// connection may be read and up to `MESSAGES_PER_TURN_MAX` messages. The remaining bytes are
    /// copied to the connection.
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
                    self.io.stats.close(self.io.now, connection, error.name(), &error);
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

    /// Delivers the first message of a connection that the core had paused and has resumed.
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
            // PING has already been answered. Other events need no action here.
            _ => {}
        }
    }

    /// Delivers a reassembled message, in memory that can be shared.
    fn assembled_message(&mut self, id: PeerId, message: &zmtp::Message, scratch: &mut Scratch) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let codec = connection.codec();
        let charged = connection.reassembly.charged_bytes() > 0;
        if charged {
            self.reassembly.pool.lend(&message.data);
        }
        let frames = FramesView::shared(&message.data, &message.frames);
        self.message(id, codec, frames, scratch);
        // A first message that was not delivered yet keeps its memory.
        if charged
            && self.io.connections.get(id).is_some_and(|connection| !connection.has_first_message())
        {
            self.release_memory(id);
        }
    }

    /// Reports a sign of liveness to the core if the core knows the peer.
    pub(super) fn show_life(&mut self, id: PeerId, sign: Sign) {
        if self.io.connections.get(id).is_some_and(|connection| connection.codec().is_some()) {
            self.tell_core(Input::Alive { peer: id, sign });
        }
    }

    /// Completes a peer's handshake, or rejects the peer by its socket type.
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
            self.io.stats.close(self.io.now, connection, "socket_type", &text);
            connection.zmtp.refuse(&text);
            connection.reading = Reading::Closing;
        }
        self.io.queue_write(id.index);
    }

    /// Handles a message. Without a codec, it is the connection's first message.
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

    /// Decodes a message and passes it to the core.
    #[inline(always)]
    fn decode(&mut self, id: PeerId, codec: Codec, message: FramesView<'_>, scratch: &mut Scratch) {
        match codec.side() {
            // A command is large, so it is not moved out of the decoder's result.
            Side::Client => match &codec.decode_from_client(message, scratch) {
                Ok(command) => {
                    if matches!(command, FromClientView::Request(request) if request.durable) {
                        self.io.stats.note_durable();
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
        self.io.stats.refuse(self.io.now, connection, error.violation().name(), error);
        self.tell_core(Input::Malformed { peer: id });
    }

    /// Detects a connection's dialect from its first message. Messages are dropped until one
    /// reveals the dialect.
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
                self.io.stats.refuse(self.io.now, connection, error.violation().name(), &error);
                // Only one error reply is sent, except to a (malformed) HELLO. No reply is sent
                // while earlier output is unsent: a peer that is not reading already has a reply
                // pending.
                let says_hello = !matches!(error.violation(), Violation::HelloMissing { .. });
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
                .map(|peer| ByteStr::from(&peer.metadata.routing_id[..]))
                .unwrap_or_default(),
            answers_probes: peer.is_some_and(zmtp::Peer::announces_ping),
            role: codec.role(),
        };
        debug!(
            peer = %connection.name(), dialect = %codec.dialect(), side = %codec.side(), "speaks"
        );
        self.tell_core(Input::Connected { peer: id, profile });
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
