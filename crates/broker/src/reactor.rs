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
use mio::{Events, Interest, Poll, Token};
use tracing::{debug, info};

use crate::census::{Census, Snapshot};
use crate::connection::{Connection, Outlet, Progress};
use crate::handshakes::Handshakes;
use crate::observer;
use crate::slots::Slots;
use crate::stream::{Listener, Origin, Stream};
use crate::{Config, Order};

/// Bytes of the buffer that all connections are read into.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// It is renewed when less than this is left, so that a read is worth its call.
const READ_BYTES_MIN: usize = 16 << 10;
/// Messages of one connection that are taken in a turn, before it is another's turn.
const MESSAGES_PER_TURN_MAX: usize = 256;
/// Events that are taken from the system at once.
const EVENTS_MAX: usize = 1_024;
/// Connections that one listener brings in a turn.
const ACCEPTS_MAX: usize = 64;
/// How long a listener rests when there are no open files left.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How often receptions that hold memory are looked at for progress, at the least.
const RECEPTION_CHECK: Duration = Duration::from_secs(1);
/// How fast a message has to come, in bytes a second, if others wait for its memory.
const RECEPTION_RATE_MIN: u32 = 1 << 20;
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
    /// Connections that have shaken hands and said nothing.
    quiet: Handshakes,
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
            quiet: Handshakes::default(),
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
            if connection.is_client_gone_unheard() {
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

    /// Cuts who holds memory for a message and does not go on sending it, or keeps others waiting
    /// for that memory. Who waits is alive, though we do not read what it says.
    fn check_receptions(&mut self) {
        for id in self.wanting.clone() {
            self.tell_core(Input::Alive { peer: id, sign: Sign::Bytes });
        }
        let stall = self.config.core.stall_timeout;
        for id in std::mem::take(&mut self.receiving) {
            let Some(connection) = self.connections.get(id) else { continue };
            if connection.charged == 0 {
                connection.watched = false;
                continue;
            }
            let since = self.now.since(connection.granted);
            let due = RECEPTION_RATE_MIN as f64 * since.as_secs_f64();
            let holds_up =
                !self.wanting.is_empty() && since >= stall && (connection.received as f64) < due;
            let silent = connection.is_heard() && self.now.since(connection.progress) >= stall;
            if silent {
                self.cut(id, "stalled", &"it stopped in the middle of a message");
            } else if holds_up {
                self.cut(id, "too_slow", &"others wait for the memory of its unfinished message");
            } else {
                self.receiving.push(id);
            }
        }
        let idle = self.receiving.is_empty() && self.wanting.is_empty();
        self.reception_check = (!idle).then(|| self.next_reception_check());
    }

    fn next_reception_check(&self) -> Time {
        self.now.after(RECEPTION_CHECK.min(self.config.core.heartbeat_interval))
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
                    let text = format_args!("no connection can be accepted for now: {error}");
                    self.census.trouble(self.now, &text);
                    let made_room = is_exhaustion(&error)
                        && self.make_room("no_open_files", &"there are no open files left");
                    if !made_room {
                        self.resting = Some(self.now.after(ACCEPT_REST));
                    }
                }
            }
        }
        // There may be more, and no further event will say so.
        self.to_accept.push(at);
    }

    /// Cuts the connection that has gone longest without a word: one that has not shaken hands,
    /// else one that has and wants nothing. False where all have spoken.
    fn make_room(&mut self, reason: &'static str, text: &dyn std::fmt::Display) -> bool {
        let oldest = self.handshakes.oldest().or_else(|| self.quiet.oldest());
        if let Some(oldest) = oldest {
            self.cut(oldest, reason, text);
        }
        oldest.is_some()
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
        let connections_max = limits.connections_max;
        let text = "as many connections are open as may be";
        let over =
            self.connections.len() >= connections_max && !self.make_room("connections_max", &text);
        let id = self.connections.next_id();
        let mut connection = Connection::new(id, stream, zmtp, origin, listener);
        if over {
            return self.census.close(self.now, &connection, "connections_max", &text);
        }
        let token = self.token(id);
        if let Err(error) =
            self.poll.registry().register(&mut connection.stream, token, Interest::READABLE)
        {
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
        self.quiet.end(id);
        self.reception_bytes -= connection.charged;
        if connection.wants.is_some() {
            self.wanting.retain(|waits| *waits != id);
        }
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
                self.tell_core(Input::Alive { peer: id, sign: Sign::Bytes });
            }
        }
        let Some(connection) = self.connections.get(id) else { return };
        if connection.is_client_gone_unheard() {
            return self.lose(id);
        }
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

    /// Takes events out of what was read, as long as the peer is heard and it is its turn.
    fn converse(&mut self, id: PeerId) -> Talk {
        if let Some(connection) = self.connections.get(id)
            && !connection.paused
            && let Some(first) = connection.first.take()
        {
            self.message(id, first);
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
            let address = connection.origin.address();
            self.handshakes.end(id);
            self.quiet.begin(self.now, id, address);
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

    // Memory for messages in reception.

    /// A peer sends a message that needs memory of its own.
    fn want(&mut self, id: PeerId, bytes: usize) {
        let Some(connection) = self.connections.get(id) else { return };
        connection.wants = Some(bytes);
        self.wanting.push_back(id);
        self.grant_wanted();
        let next = self.next_reception_check();
        self.reception_check.get_or_insert(next);
    }

    /// Gives memory to those that wait for it, in order, as long as there is some. A message that
    /// is too large for all of it may come alone.
    fn grant_wanted(&mut self) {
        while let Some(id) = self.wanting.front().copied() {
            if let Some(connection) = self.connections.get(id)
                && let Some(bytes) = connection.wants
            {
                let more = bytes.saturating_sub(connection.charged);
                let others = self.reception_bytes - connection.charged;
                let total = self.reception_bytes + more;
                if others > 0 && total > self.config.connections.reception_bytes_max {
                    return;
                }
                self.reception_bytes = total;
                if connection.charged == 0 {
                    (connection.granted, connection.received) = (self.now, 0);
                }
                connection.charged += more;
                connection.wants = None;
                connection.progress = self.now;
                connection.zmtp.grant();
                if !std::mem::replace(&mut connection.watched, true) {
                    self.receiving.push(id);
                }
                self.queue_read(id.index);
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
            connection.drained = 0;
            self.core.handle(self.now, Input::Filled { peer: id });
        }
    }

    /// Hears of a socket that takes bytes again while it takes none, and not otherwise: that would
    /// be an event for each message that a peer reads.
    fn watch_writing(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.blocked == connection.watches_writing {
            return;
        }
        connection.watches_writing = connection.blocked;
        let on = match connection.blocked {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let token = self.token(id);
        let Some(connection) = self.connections.get(id) else { return };
        if let Err(error) = self.poll.registry().reregister(&mut connection.stream, token, on) {
            self.cut(id, "not_registered", &error);
        }
    }

    fn token(&self, id: PeerId) -> Token {
        Token(FIRST_LISTENER + self.config.listen.len() + id.index as usize)
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
            return self.watch_writing(id);
        }
        let progress = connection.write();
        if let Progress::Some(written) | Progress::Last(written) = progress {
            connection.drained += written;
        }
        match progress {
            Progress::End => return self.lose(id),
            Progress::Some(_) => self.mark_dirty(id.index),
            Progress::Last(_) => {}
        }
        self.watch_writing(id);
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
        let half = self.config.connections.unsent_bytes_max / 2;
        if connection.filled && unsent <= half {
            connection.filled = false;
            self.tell_core(Input::Drained { peer: id });
        } else if connection.filled && connection.drained > half {
            connection.drained = 0;
            self.tell_core(Input::Draining { peer: id });
        }
    }
}

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

/// Whether the system, or this process, has no open files or no memory left.
fn is_exhaustion(error: &io::Error) -> bool {
    const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code))
}

/// What the reactor says when it begins.
pub(crate) fn announce(config: &Config) {
    for listen in &config.listen {
        let dialect = listen.dialect.map_or_else(|| "all dialects".to_string(), |d| d.to_string());
        info!(endpoint = %listen.endpoint, "listening for {dialect}");
    }
}
