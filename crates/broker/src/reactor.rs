//! The reactor: one thread that reads, decodes, lets the core decide, encodes and writes.
//!
//! A turn: wait for sockets or for time; read once from each that is ready and carry out what the
//! core wants done about each message; tell the core the time, after what came in that time; write
//! once to each that has something waiting. Nothing in a turn waits.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use majordomus_core::broker::{Broker as Core, Input, Output, Profile, Sign};
use majordomus_core::{Frames, Label, PeerId, Time};
use majordomus_wire::{Codec, Side};
use majordomus_zmtp::{self as zmtp, Event, Metadata, Security, SocketType};
use mio::event::Event as Ready;
use mio::{Events, Poll, Token};
use tracing::{debug, info};

use crate::census::{Census, Snapshot};
use crate::connection::{Connection, Outlet, Progress};
use crate::handshakes::Handshakes;
use crate::observer;
use crate::slots::Slots;
use crate::stream::{Listener, Origin, Stream};
use crate::{Config, Order};

/// Bytes of the buffer that all connections are read into.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// It is renewed when less than this is left, so that a read is worth its call.
const READ_BYTES_MIN: usize = 64 << 10;
/// Events that are taken from the system at once.
const EVENTS_MAX: usize = 1_024;
/// Connections that one listener brings in a turn.
const ACCEPTS_MAX: usize = 64;
/// How long a listener rests when there are no open files left.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How often receptions that hold memory are looked at for progress.
const RECEPTION_CHECK: Duration = Duration::from_secs(1);
/// How long the end waits until every peer has read its last words.
const FAREWELL: Duration = Duration::from_millis(500);

/// The wake-up of the program that started us. Listeners come behind it, then connections.
pub(crate) const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;

pub(crate) struct Reactor {
    config: Config,
    poll: Poll,
    core: Core,
    listeners: Vec<Listener>,
    /// Listeners that rest until then, because there are no open files left.
    resting: Option<Time>,
    connections: Slots,
    handshakes: Handshakes,
    orders: Receiver<Order>,
    read_buffer: BytesMut,
    started: Instant,
    now: Time,
    /// Listeners that may bring more.
    to_accept: Vec<usize>,
    /// Connections that may have more to read.
    to_read: VecDeque<u32>,
    /// Connections that have something to be written.
    to_write: Vec<u32>,
    /// Connections that wait for memory to receive a message, in order.
    wanting: VecDeque<PeerId>,
    /// Memory that incomplete messages hold.
    reception_bytes: usize,
    /// Connections whose reception holds memory.
    receiving: Vec<PeerId>,
    reception_check: Option<Time>,
    census: Census,
    ending: Option<Time>,
    /// Messages that came in.
    messages: u64,
}

impl Reactor {
    pub(crate) fn new(
        config: Config,
        poll: Poll,
        core: Core,
        mut listeners: Vec<Listener>,
        orders: Receiver<Order>,
    ) -> io::Result<Self> {
        for (at, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(FIRST_LISTENER + at))?;
        }
        Ok(Self {
            config,
            poll,
            core,
            listeners,
            resting: None,
            connections: Slots::default(),
            handshakes: Handshakes::default(),
            orders,
            read_buffer: BytesMut::new(),
            started: Instant::now(),
            now: Time::ZERO,
            to_accept: Vec::new(),
            to_read: VecDeque::new(),
            to_write: Vec::new(),
            wanting: VecDeque::new(),
            reception_bytes: 0,
            receiving: Vec::new(),
            reception_check: None,
            census: Census::default(),
            ending: None,
            messages: 0,
        })
    }

    /// Runs until it is told to end: what happened until then.
    pub(crate) fn run(mut self) -> io::Result<Snapshot> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.now = self.clock();
            for event in &events {
                self.ready(event);
            }
            for listener in std::mem::take(&mut self.to_accept) {
                self.accept(listener);
            }
            self.read_all();
            self.pass_time();
            self.write_all();
            if self.ending.is_some_and(|until| self.connections.is_empty() || self.now >= until) {
                return Ok(self.snapshot());
            }
        }
    }

    fn clock(&self) -> Time {
        let micros = self.started.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How long to wait for sockets.
    fn patience(&self) -> Option<Duration> {
        let idle = self.to_accept.is_empty() && self.to_read.is_empty() && self.to_write.is_empty();
        if !idle {
            return Some(Duration::ZERO);
        }
        let due = [
            self.core.next_deadline(),
            self.handshakes.next_due(self.config.connections.handshake_timeout),
            self.resting,
            self.reception_check,
            self.ending,
        ];
        let next = due.into_iter().flatten().min()?;
        let wait = next.since(self.clock());
        // Up to the next whole millisecond, which is how finely the system waits.
        Some(wait + Duration::from_micros(999 - u64::from(wait.subsec_micros() % 1_000)))
    }

    fn ready(&mut self, event: &Ready) {
        if event.token() == WAKER {
            return self.take_orders();
        }
        let at = event.token().0 - FIRST_LISTENER;
        if at < self.config.listen.len() {
            return self.to_accept.push(at);
        }
        let index = (at - self.config.listen.len()) as u32;
        let Some(connection) = self.connections.at(index) else { return };
        if event.is_read_closed() || event.is_error() {
            connection.ended = true;
            let silent_client = connection.paused
                && connection.codec.is_some_and(|codec| codec.side() == Side::Client);
            // What a client still had to say while it was not read from, nobody waits for. A
            // worker's last reply may be among it.
            if silent_client {
                let id = connection.id;
                return self.lose(id);
            }
        }
        connection.readable |= event.is_readable() || connection.ended;
        if event.is_writable() && connection.blocked {
            connection.blocked = false;
            self.mark_dirty(index);
        }
        self.queue_read(index);
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Snapshot(reply) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.snapshot());
                }
                Order::Shutdown => self.begin_end(),
            }
        }
    }

    /// What happened so far.
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.core.counters().clone(),
            holdings: self.core.holdings(),
            connections: self.connections.len(),
            handshakes: self.handshakes.len(),
            accepted: self.census.accepted,
            closed: self.census.closed.clone(),
            refused: self.census.refused.clone(),
            reception_bytes: self.reception_bytes,
        }
    }

    /// Says farewell to everybody, and ends when all have heard it or their time is up.
    fn begin_end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(self.now.after(FAREWELL));
        self.listeners.clear();
        self.tell_core(Input::Shutdown);
        for id in self.connections.ids() {
            if let Some(connection) = self.connections.get(id) {
                connection.closing = true;
                let index = id.index;
                self.mark_dirty(index);
            }
        }
    }

    // Time.

    fn pass_time(&mut self) {
        if self.core.next_deadline().is_some_and(|due| due <= self.now) {
            self.tell_core(Input::Tick);
        }
        let timeout = self.config.connections.handshake_timeout;
        while let Some(id) = self.handshakes.overdue(self.now, timeout) {
            self.cut(id, "handshake_timeout", &"its handshake took too long");
        }
        if self.resting.is_some_and(|until| until <= self.now) {
            self.resting = None;
            self.to_accept = (0..self.listeners.len()).collect();
        }
        if self.reception_check.is_some_and(|due| due <= self.now) {
            self.check_receptions();
        }
    }

    /// Cuts who holds memory for a message and does not go on sending it.
    fn check_receptions(&mut self) {
        let stall = self.config.core.stall_timeout;
        for id in std::mem::take(&mut self.receiving) {
            let Some(connection) = self.connections.get(id) else { continue };
            if connection.charged == 0 {
                connection.watched = false;
                continue;
            }
            // Who is not heard for our own reasons is not to blame, but for the memory it waits for.
            let waits = connection.paused;
            if !waits && self.now.since(connection.progress) >= stall {
                self.cut(id, "stalled", &"it stopped in the middle of a message");
            } else {
                self.receiving.push(id);
            }
        }
        self.reception_check =
            (!self.receiving.is_empty()).then(|| self.now.after(RECEPTION_CHECK));
    }

    // Connections that come and go.

    fn accept(&mut self, at: usize) {
        for _ in 0..ACCEPTS_MAX {
            if self.ending.is_some() || self.resting.is_some() {
                return;
            }
            match self.listeners[at].accept() {
                Ok((stream, origin)) => self.welcome(at, stream, origin),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer gave up while it was in the queue.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.census.trouble(
                        self.now,
                        &format_args!("no connection can be accepted for now: {error}"),
                    );
                    // The oldest that has not said who it is makes room; else somebody may leave.
                    match self.handshakes.oldest() {
                        Some(oldest) => {
                            self.cut(oldest, "no_open_files", &"there are no open files left");
                        }
                        None => self.resting = Some(self.now.after(ACCEPT_REST)),
                    }
                }
            }
        }
        // There may be more, and no further event will say so.
        self.to_accept.push(at);
    }

    fn welcome(&mut self, listener: usize, stream: Stream, origin: Origin) {
        self.census.accepted += 1;
        let limits = &self.config.connections;
        let zmtp_limits = zmtp::Limits {
            handshake_bytes_max: limits.handshake_bytes_max,
            message_bytes_max: limits.message_bytes_max,
            frames_max: limits.frames_max,
        };
        let zmtp = zmtp::Connection::listener(Security::Null, zmtp_limits);
        let (most, most_here) = (limits.handshakes_max, limits.handshakes_per_address_max);
        let over = self.connections.len() >= limits.connections_max;
        let id = self.connections.next_id();
        let mut connection = Connection::new(id, stream, zmtp, origin, listener);
        if over {
            let text = "as many are open as may be";
            return self.census.close(self.now, &connection, "connections_max", &text);
        }
        let token = Token(FIRST_LISTENER + self.config.listen.len() + id.index as usize);
        if let Err(error) = connection.stream.register(self.poll.registry(), token) {
            return self.census.close(self.now, &connection, "not_registered", &error);
        }
        debug!(peer = %origin, "connected");
        self.connections.insert(connection);
        self.to_write.push(id.index);
        self.queue_read(id.index);
        self.handshakes.begin(self.now, id, origin.address());
        while let Some(surplus) = self.handshakes.surplus(origin.address(), most, most_here) {
            self.cut(surplus, "handshakes_max", &"too many handshakes are not over");
        }
    }

    /// Closes a connection because of what its peer did.
    fn cut(&mut self, id: PeerId, reason: &'static str, text: &dyn std::fmt::Display) {
        if let Some(connection) = self.connections.get(id) {
            self.census.close(self.now, connection, reason, text);
            self.lose(id);
        }
    }

    /// A connection is gone, whoever ended it.
    fn lose(&mut self, id: PeerId) {
        let known = self.connections.get(id).is_some_and(|connection| connection.codec.is_some());
        if self.drop_connection(id) && known {
            self.tell_core(Input::Gone { peer: id });
        }
    }

    /// Closes a connection; false where it is not there.
    fn drop_connection(&mut self, id: PeerId) -> bool {
        let Some(connection) = self.connections.remove(id) else { return false };
        self.handshakes.end(id);
        self.reception_bytes -= connection.charged;
        debug!(peer = %connection.name(), "closed");
        drop(connection);
        if self.resting.is_some() {
            // There is an open file again.
            self.resting = Some(self.now);
        }
        self.grant_wanted();
        true
    }

    // What is read.

    fn queue_read(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.queued
        {
            connection.queued = true;
            self.to_read.push_back(index);
        }
    }

    /// Reads once from each connection that is ready.
    fn read_all(&mut self) {
        for _ in 0..self.to_read.len() {
            let Some(index) = self.to_read.pop_front() else { return };
            let Some(connection) = self.connections.at(index) else { continue };
            connection.queued = false;
            let id = connection.id;
            // What was read before comes first.
            if self.converse(id) {
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
        if read == 0 {
            return;
        }
        connection.progress = self.now;
        let before = self.messages;
        if self.converse(id) && self.messages == before {
            // No message is complete, but a part of one is life too.
            self.tell_core(Input::Alive { peer: id, sign: Sign::Bytes });
        }
        let Some(connection) = self.connections.get(id) else { return };
        if connection.readable && connection.is_heard() {
            self.queue_read(id.index);
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

    /// Takes all events out of what was read, as long as the peer is heard. False where it is gone.
    fn converse(&mut self, id: PeerId) -> bool {
        if let Some(connection) = self.connections.get(id)
            && !connection.paused
            && let Some(first) = connection.first.take()
        {
            self.message(id, first);
        }
        loop {
            let Some(connection) = self.connections.get(id) else { return false };
            if !connection.is_heard() {
                break;
            }
            match connection.zmtp.poll() {
                Ok(Some(event)) => self.event(id, event),
                Ok(None) => break,
                Err(error) => {
                    self.census.close(self.now, connection, error.name(), &error);
                    self.lose(id);
                    return false;
                }
            }
        }
        let Some(connection) = self.connections.get(id) else { return false };
        connection.zmtp.settle();
        if connection.zmtp.unsent_bytes() > 0 {
            self.mark_dirty(id.index);
        }
        true
    }

    fn event(&mut self, id: PeerId, event: Event) {
        match event {
            Event::Message(message) => {
                self.messages += 1;
                self.uncharge(id);
                self.message(id, Frames::new(message.data, message.frames));
            }
            Event::Pong(_) => self.tell_core(Input::Alive { peer: id, sign: Sign::Pong }),
            Event::Large { bytes } => self.want(id, bytes),
            Event::Hello(peer) => self.hello(id, peer),
            // A PING was answered. The rest concerns no ROUTER.
            _ => {}
        }
    }

    /// A peer's handshake came: it is answered by the peer's socket type.
    fn hello(&mut self, id: PeerId, peer: zmtp::Peer) {
        let Some(connection) = self.connections.get(id) else { return };
        let socket_type = peer.metadata.socket_type;
        connection.peer = Some(peer);
        if matches!(socket_type, SocketType::Req | SocketType::Dealer | SocketType::Router) {
            let ours =
                Metadata::new(SocketType::Router).with_routing_id(self.config.name.as_bytes());
            connection.zmtp.accept(&ours);
            self.handshakes.end(id);
        } else {
            let text =
                format!("a {socket_type} socket is not served here, but REQ, DEALER and ROUTER");
            self.census.close(self.now, connection, "socket_type", &text);
            connection.zmtp.refuse(&text);
            connection.closing = true;
        }
        self.mark_dirty(id.index);
    }

    fn message(&mut self, id: PeerId, message: Frames) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(codec) = connection.codec else { return self.first_message(id, message) };
        let input = match codec.side() {
            Side::Client => codec
                .decode_from_client(message)
                .map(|command| Input::FromClient { peer: id, command }),
            Side::Worker => codec
                .decode_from_worker(message)
                .map(|command| Input::FromWorker { peer: id, command }),
        };
        match input {
            Ok(input) => self.tell_core(input),
            Err(error) => {
                self.census.refuse(self.now, connection, error.offence().name(), &error);
                self.tell_core(Input::Malformed { peer: id });
            }
        }
    }

    /// The first message tells how a connection speaks. Until one does, messages are dropped.
    fn first_message(&mut self, id: PeerId, message: Frames) {
        let Some(connection) = self.connections.get(id) else { return };
        let listen = &self.config.listen[connection.listener];
        let codec = match Codec::detect(&message, listen.dialect) {
            Ok(codec) => codec.with_errors(listen.errors),
            Err(error) => {
                return self.census.refuse(self.now, connection, error.offence().name(), &error);
            }
        };
        connection.codec = Some(codec);
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
            Some(connection) if connection.paused => connection.first = Some(message),
            Some(_) => self.message(id, message),
            None => {}
        }
    }

    // Memory for messages in reception.

    /// A peer sends a message that needs memory of its own.
    fn want(&mut self, id: PeerId, bytes: usize) {
        let Some(connection) = self.connections.get(id) else { return };
        connection.wants = Some(bytes);
        if !std::mem::replace(&mut connection.watched, true) {
            self.receiving.push(id);
        }
        connection.progress = self.now;
        self.wanting.push_back(id);
        self.grant_wanted();
    }

    /// Gives memory to those that wait for it, in order, as long as there is some.
    fn grant_wanted(&mut self) {
        while let Some(id) = self.wanting.front().copied() {
            if let Some(connection) = self.connections.get(id)
                && let Some(bytes) = connection.wants
            {
                let more = bytes.saturating_sub(connection.charged);
                if self.reception_bytes + more > self.config.connections.reception_bytes_max {
                    return;
                }
                self.reception_bytes += more;
                connection.charged += more;
                connection.wants = None;
                connection.progress = self.now;
                connection.zmtp.grant();
                self.queue_read(id.index);
                self.reception_check.get_or_insert(self.now.after(RECEPTION_CHECK));
            }
            self.wanting.pop_front();
        }
    }

    fn uncharge(&mut self, id: PeerId) {
        if let Some(connection) = self.connections.get(id)
            && connection.charged > 0
        {
            self.reception_bytes -= std::mem::take(&mut connection.charged);
            self.grant_wanted();
        }
    }

    // What the core wants done.

    fn tell_core(&mut self, input: Input) {
        self.core.handle(self.now, input);
        while let Some(output) = self.core.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::ToClient { peer, command } => {
                let Some(connection) = self.connections.get(peer) else { return };
                let Some(codec) = connection.codec else { return };
                codec.encode_to_client(&command, &mut Outlet(&mut connection.zmtp));
                self.wrote(peer);
            }
            Output::ToWorker { peer, command } => {
                let Some(connection) = self.connections.get(peer) else { return };
                let Some(codec) = connection.codec else { return };
                codec.encode_to_worker(&command, &mut Outlet(&mut connection.zmtp));
                self.wrote(peer);
            }
            Output::Probe { peer } => {
                if let Some(connection) = self.connections.get(peer) {
                    connection.zmtp.ping(0, b"");
                    self.wrote(peer);
                }
            }
            Output::Pause { peer } => {
                if let Some(connection) = self.connections.get(peer) {
                    connection.paused = true;
                }
            }
            Output::Resume { peer } => {
                if let Some(connection) = self.connections.get(peer) {
                    connection.paused = false;
                    connection.progress = self.now;
                    self.queue_read(peer.index);
                }
            }
            Output::Close { peer, reason } => {
                if let Some(connection) = self.connections.get(peer) {
                    self.census.close(self.now, connection, reason.name(), &reason);
                    self.drop_connection(peer);
                }
            }
            Output::Event(event) => {
                observer::log(&event, &mut self.census, &mut self.connections, self.now);
            }
        }
    }

    // What is written.

    /// Something was queued for a peer.
    fn wrote(&mut self, id: PeerId) {
        self.mark_dirty(id.index);
        let Some(connection) = self.connections.get(id) else { return };
        let most = self.config.connections.unsent_bytes_max;
        if connection.filled || connection.zmtp.unsent_bytes() <= most {
            return;
        }
        // It may be we who have not tried to write for a while.
        while !connection.blocked && matches!(connection.write(), Progress::Some(_)) {}
        if connection.zmtp.unsent_bytes() > most {
            connection.filled = true;
            self.core.handle(self.now, Input::Filled { peer: id });
        }
    }

    fn mark_dirty(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.dirty
        {
            connection.dirty = true;
            self.to_write.push(index);
        }
    }

    /// Writes once to each connection that has something waiting.
    fn write_all(&mut self) {
        let mut indices = std::mem::take(&mut self.to_write);
        for index in indices.drain(..) {
            if let Some(connection) = self.connections.at(index) {
                connection.dirty = false;
                let id = connection.id;
                self.write(id);
            }
        }
        // What was marked meanwhile is written in the next turn; the memory is used again.
        if self.to_write.is_empty() {
            self.to_write = indices;
        }
    }

    fn write(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.blocked {
            return;
        }
        match connection.write() {
            Progress::End => return self.lose(id),
            Progress::Some(_) => self.mark_dirty(id.index),
            Progress::Last(_) => {}
        }
        let Some(connection) = self.connections.get(id) else { return };
        let unsent = connection.zmtp.unsent_bytes();
        if connection.closing && unsent == 0 {
            // It is closed when the peer has closed too: closing now could cost it our last words.
            if connection.stream.finish_writing().is_err() {
                return self.lose(id);
            }
            if self.ending.is_none() {
                // A peer that was refused.
                self.lose(id);
            } else {
                connection.readable = true;
                self.queue_read(id.index);
            }
            return;
        }
        if connection.filled && unsent <= self.config.connections.unsent_bytes_max / 2 {
            connection.filled = false;
            self.tell_core(Input::Drained { peer: id });
        }
    }
}

/// What the reactor says when it begins.
pub(crate) fn announce(config: &Config) {
    for listen in &config.listen {
        let dialect = listen.dialect.map_or_else(|| "all dialects".to_string(), |d| d.to_string());
        info!(endpoint = %listen.endpoint, "listening for {dialect}");
    }
}
