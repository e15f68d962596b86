//! What is read: bytes become events, events become inputs of the core.

use std::io::{self, Read};
use std::time::Duration;

use majordomus_core::broker::{Input, Profile, Sign};
use majordomus_core::{Frames, FromClient, Label, PeerId};
use majordomus_wire::{Codec, Offence, Side, Socket};
use majordomus_zmtp::{self as zmtp, Event, Metadata, SocketType};
use tracing::debug;

use super::Reactor;
use crate::connection::Progress;
use crate::subscriber::Subscriber;

/// Bytes of the buffer that all connections are read into.
pub(super) const READ_BUFFER_BYTES: usize = 64 << 10;
/// It is renewed when less than this is left, so that a read is worth its call.
const READ_BYTES_MIN: usize = 16 << 10;
/// Messages of one connection that are taken in a turn, before it is another's turn.
const MESSAGES_PER_TURN_MAX: usize = 256;

/// Reads after which a handshake that is not over comes in smaller pieces than any peer needs, and
/// how long it is left alone then after each read: a byte costs a call of the system.
const HANDSHAKE_READS_MAX: u32 = 16;
const HANDSHAKE_REST: Duration = Duration::from_millis(50);

/// How taking events out of what was read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// There is nothing more to be taken for now.
    Over,
    /// There may be more, in the next turn.
    MoreToCome,
    /// The connection is no longer there.
    Gone,
}

impl Reactor {
    pub(super) fn queue_read(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.queued
        {
            connection.queued = true;
            self.to_read.push_back(index);
        }
    }

    /// Reads once from each connection that is ready.
    pub(super) fn read_all(&mut self) {
        for _ in 0..self.to_read.len() {
            let Some(index) = self.to_read.pop_front() else { return };
            let Some(connection) = self.connections.at(index) else { continue };
            connection.queued = false;
            let id = connection.id;
            // What was read before comes first.
            if self.converse(id) == Talk::Over {
                self.read(id);
            }
        }
    }

    fn read(&mut self, id: PeerId) {
        if self.read_buffer.len() < READ_BYTES_MIN {
            self.renew_read_buffer();
        }
        let Some(connection) = self.connections.get(id) else { return };
        if !connection.readable {
            return;
        }
        if connection.closing {
            return self.discard(id);
        }
        if !connection.is_heard() {
            return;
        }
        let progress = connection.read(&mut self.read_buffer);
        let (Progress::Some(read) | Progress::Last(read)) = progress else {
            return self.lose(id);
        };
        connection.readable = matches!(progress, Progress::Some(_));
        if read > 0 {
            connection.progress = self.now;
            connection.received += read;
            let before = self.messages;
            if self.converse(id) == Talk::Over && self.messages == before {
                // No message is complete, but a part of one is life too.
                self.show_life(id, Sign::Bytes);
            }
        }
        let Some(connection) = self.connections.get(id) else { return };
        if connection.is_client_gone_unheard() {
            return self.lose(id);
        }
        if connection.peer.is_none() {
            connection.handshake_reads += 1;
            if connection.handshake_reads > HANDSHAKE_READS_MAX {
                connection.resting = true;
                self.dribbling.push_back((id, self.now.after(HANDSHAKE_REST)));
                return;
            }
        }
        if connection.readable && connection.is_heard() {
            self.queue_read(id.index);
        }
    }

    /// Connections whose handshakes came in small pieces are read from again.
    pub(super) fn end_rests(&mut self) {
        while let Some((id, due)) = self.dribbling.front().copied()
            && due <= self.now
        {
            self.dribbling.pop_front();
            if let Some(connection) = self.connections.get(id) {
                connection.resting = false;
                self.queue_read(id.index);
            }
        }
    }

    /// Takes and forgets what a peer still says, until it closes.
    fn discard(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        match connection.stream.read(&mut self.read_buffer) {
            Ok(0) => self.lose(id),
            Ok(_) => self.queue_read(id.index),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
            Err(_) => self.lose(id),
        }
    }

    /// A fresh piece of the read buffer, in the old memory where nobody holds it any more.
    fn renew_read_buffer(&mut self) {
        self.read_buffer.clear();
        self.read_buffer.reserve(READ_BUFFER_BYTES);
        self.read_buffer.resize(READ_BUFFER_BYTES, 0);
    }

    /// Takes events out of what was read, as long as the peer is heard and it is its turn.
    fn converse(&mut self, id: PeerId) -> Talk {
        if let Some(connection) = self.connections.get(id)
            && !connection.paused
            && let Some(first) = connection.first.take()
        {
            self.message(id, first);
            self.uncharge(id);
        }
        let mut talk = Talk::MoreToCome;
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(connection) = self.connections.get(id) else { return Talk::Gone };
            if !connection.is_heard() {
                talk = Talk::Over;
                break;
            }
            match connection.zmtp.poll() {
                Ok(Some(event)) => self.event(id, event),
                Ok(None) => {
                    talk = Talk::Over;
                    break;
                }
                Err(error) => {
                    self.census.close(self.now, connection, error.name(), &error);
                    self.lose(id);
                    return Talk::Gone;
                }
            }
        }
        let Some(connection) = self.connections.get(id) else { return Talk::Gone };
        connection.zmtp.settle();
        if connection.zmtp.unsent_bytes() > 0 {
            self.mark_dirty(id.index);
        }
        if talk == Talk::MoreToCome {
            self.queue_read(id.index);
        }
        talk
    }

    fn event(&mut self, id: PeerId, event: Event) {
        match event {
            Event::Message(message) => {
                self.messages += 1;
                // One that needed no memory of its own came in the read buffer, which goes on.
                if self.connections.get(id).is_some_and(|connection| connection.charged > 0) {
                    self.spares.lend(&message.data);
                }
                self.message(id, Frames::new(message.data, message.frames));
                // A first message that waits holds its memory still.
                if self.connections.get(id).is_some_and(|connection| connection.first.is_none()) {
                    self.uncharge(id);
                }
            }
            Event::Pong(_) => self.show_life(id, Sign::Pong),
            Event::Large { bytes } => self.want(id, bytes),
            Event::Hello(peer) => self.hello(id, peer),
            Event::Subscribe(subscription) => self.subscribe(id, &subscription),
            Event::Cancel(subscription) => self.cancel(id, &subscription),
            // A PING was answered. The rest concerns nobody here.
            _ => {}
        }
    }

    /// The core hears that a peer it knows is alive.
    pub(super) fn show_life(&mut self, id: PeerId, sign: Sign) {
        if self.connections.get(id).is_some_and(|connection| connection.codec.is_some()) {
            self.tell_core(Input::Alive { peer: id, sign });
        }
    }

    /// A peer's handshake came: it is answered by the peer's socket type.
    fn hello(&mut self, id: PeerId, peer: zmtp::Peer) {
        let Some(connection) = self.connections.get(id) else { return };
        let publishes = self.config.publishes_at(connection.listener);
        let socket_type = peer.metadata.socket_type;
        connection.peer = Some(peer);
        let ours = match (publishes, socket_type) {
            (false, SocketType::Req | SocketType::Dealer | SocketType::Router) => {
                Some(Metadata::new(SocketType::Router).with_routing_id(self.config.name.as_bytes()))
            }
            (false, SocketType::Client) => Some(Metadata::new(SocketType::Server)),
            (true, SocketType::Sub | SocketType::XSub) => {
                connection.subscriber = Some(Subscriber::default());
                Some(Metadata::new(SocketType::Pub))
            }
            _ => None,
        };
        if let Some(ours) = ours {
            connection.zmtp.accept(&ours);
            let address = connection.origin.address();
            self.handshakes.end(id);
            self.quiet.begin(self.now, id, address);
        } else {
            let served = match publishes {
                true => "SUB and XSUB",
                false => "REQ, DEALER, ROUTER and CLIENT",
            };
            let text = format!("a {socket_type} socket is not served here, but {served}");
            self.census.close(self.now, connection, "socket_type", &text);
            connection.zmtp.refuse(&text);
            connection.closing = true;
        }
        self.mark_dirty(id.index);
    }

    fn message(&mut self, id: PeerId, message: Frames) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(codec) = connection.codec else { return self.first_message(id, message) };
        // A command is large: it stays where it was made.
        let error = match codec.side() {
            Side::Client => match &mut codec.decode_from_client(message) {
                Ok(command) => {
                    if matches!(command, FromClient::Request(request) if request.durable) {
                        self.census.note_durable();
                    }
                    self.core.hear_client(self.now, id, command);
                    return self.carry_all_out();
                }
                Err(error) => error.clone(),
            },
            Side::Worker => match &mut codec.decode_from_worker(message) {
                Ok(command) => {
                    self.core.hear_worker(self.now, id, command);
                    return self.carry_all_out();
                }
                Err(error) => error.clone(),
            },
        };
        self.census.refuse(self.now, connection, error.offence().name(), &error);
        self.tell_core(Input::Malformed { peer: id });
    }

    /// The first message tells how a connection speaks. Until one does, messages are dropped.
    fn first_message(&mut self, id: PeerId, message: Frames) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.subscriber.is_some() {
            return self.subscriber_message(id, &message);
        }
        let listen = &self.config.listen[connection.listener];
        let metadata = connection.peer.as_ref().map(|peer| &peer.metadata);
        let identity = metadata.map_or(&b""[..], |metadata| &metadata.routing_id[..]);
        let socket = match metadata.map(|metadata| metadata.socket_type) {
            Some(SocketType::Client) => Socket::Client,
            _ => Socket::Dealer,
        };
        let codec = match Codec::detect(&message, identity, socket, listen.dialect) {
            Ok(codec) => codec.with_errors(listen.errors).with_json(listen.json),
            Err(error) => {
                self.census.refuse(self.now, connection, error.offence().name(), &error);
                // Once, unless it says HELLO, however wrong: what else it says until it has read the
                // answer needs none. One that does not read has its answer already.
                let says_hello = !matches!(error.offence(), Offence::HelloMissing { .. });
                if let Some(answer) = error.answer()
                    && (says_hello || !connection.answered)
                    && connection.zmtp.unsent_bytes() == 0
                {
                    connection.answered = true;
                    connection.zmtp.send_frame(&answer, false);
                    self.mark_dirty(id.index);
                }
                return;
            }
        };
        connection.codec = Some(codec);
        self.quiet.end(id);
        let Some(connection) = self.connections.get(id) else { return };
        let peer = connection.peer.as_ref();
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
        match self.connections.get(id) {
            Some(connection) if connection.paused => connection.first = Some(message.detached()),
            Some(_) => self.message(id, message),
            None => {}
        }
    }
}
