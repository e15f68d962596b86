//! The reactor: one thread that reads, decodes, lets the core decide, encodes and writes.
//!
//! A turn: wait for sockets or for time; read once from each that is ready and carry out what the
//! core wants done about each message; tell the core the time, after what came in that time; write
//! once to each that has something waiting. Nothing in a turn waits.

mod coming;
mod publishing;
mod reading;
mod reception;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use majordomus_core::broker::{Broker as Core, Input, Output};
use majordomus_core::{PeerId, Time};
use majordomus_zmtp::Spares;
use mio::event::Event as Ready;
use mio::{Events, Poll, Token};
use tracing::info;

use self::publishing::Publishing;
use crate::census::{Census, Snapshot};
use crate::connection::Outlet;
use crate::handshakes::Handshakes;
use crate::observer;
use crate::slots::Slots;
use crate::stream::Listener;
use crate::{Config, Order};

/// Events that are taken from the system at once.
const EVENTS_MAX: usize = 1_024;
/// Outputs of one input that there is memory for when nothing happens.
const OUTPUTS_KEPT_MAX: usize = 1_024;
/// How long the end waits until every peer has read its last words.
const FAREWELL: Duration = Duration::from_millis(500);

/// The wake-up of the program that started us. Listeners come behind it, then connections.
pub(crate) const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;

pub(crate) struct Reactor {
    config: Config,
    poll: Poll,
    core: Core,
    /// Empty between inputs.
    outputs: VecDeque<Output>,
    /// Those of the configuration in its order; behind them that of the publication, if there is one.
    listeners: Vec<Listener>,
    /// The token of the first connection, behind those of the listeners.
    first_connection: usize,
    /// Listeners that rest until then, because there are no open files left.
    resting: Option<Time>,
    connections: Slots,
    handshakes: Handshakes,
    /// Connections that have shaken hands and said nothing.
    quiet: Handshakes,
    /// Connections whose handshakes come in small pieces, and when each is read from again.
    dribbling: VecDeque<(PeerId, Time)>,
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
    spares: Spares,
    publishing: Publishing,
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
        let first_connection = FIRST_LISTENER + listeners.len();
        Ok(Self {
            config,
            poll,
            core,
            outputs: VecDeque::new(),
            listeners,
            first_connection,
            resting: None,
            connections: Slots::default(),
            handshakes: Handshakes::default(),
            quiet: Handshakes::default(),
            dribbling: VecDeque::new(),
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
            spares: Spares::new(reception::SPARE_BYTES_MAX),
            publishing: Publishing::default(),
            census: Census::default(),
            ending: None,
            messages: 0,
        })
    }

    /// Runs until it is told to end: what happened until then.
    pub(crate) fn run(mut self) -> io::Result<Snapshot> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.wait(&mut events)?;
            self.now = self.clock();
            for event in &events {
                self.ready(event);
            }
            for listener in std::mem::take(&mut self.to_accept) {
                self.accept(listener);
            }
            self.read_all();
            self.pass_time();
            self.publish();
            self.write_all();
            if self.ending.is_some_and(|until| self.connections.is_empty() || self.now >= until) {
                return Ok(self.snapshot());
            }
        }
    }

    /// Waits for sockets: awake at first, where it is to spin, and then asleep.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let patience = self.patience();
        if self.config.spin.is_zero() || patience == Some(Duration::ZERO) {
            return self.look(events, patience);
        }
        let spin = patience.map_or(self.config.spin, |patience| patience.min(self.config.spin));
        let began = Instant::now();
        while began.elapsed() < spin {
            self.look(events, Some(Duration::ZERO))?;
            if !events.is_empty() {
                return Ok(());
            }
        }
        if patience.is_some_and(|patience| patience <= spin) {
            // It is time for something.
            return Ok(());
        }
        let patience = self.patience();
        self.look(events, patience)
    }

    /// Takes what the system knows of sockets, within so long.
    fn look(&mut self, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            looked => looked,
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
            self.dribbling.front().map(|(_, due)| *due),
            self.resting,
            self.reception_check,
            self.next_publication(),
            self.ending,
        ];
        let next = due.into_iter().flatten().min()?;
        let wait = next.since(self.clock());
        // Up to the next whole millisecond, which is how finely the system waits.
        Some(wait + Duration::from_micros(999 - u64::from(wait.subsec_micros() % 1_000)))
    }

    fn ready(&mut self, event: &Ready) {
        if event.token() == WAKER {
            self.take_orders();
            return self.look_into_inboxes();
        }
        let Some(index) = event.token().0.checked_sub(self.first_connection) else {
            return self.to_accept.push(event.token().0 - FIRST_LISTENER);
        };
        let index = index as u32;
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
                Order::Snapshot(answer) => answer(self.snapshot()),
                Order::Shutdown => self.begin_end(),
            }
        }
    }

    /// The waker does not say for what it woke us: somebody may have connected.
    fn look_into_inboxes(&mut self) {
        let listeners = self.listeners.iter().enumerate();
        let inboxes = listeners.filter(|(_, listener)| matches!(listener, Listener::Inproc(_)));
        self.to_accept.extend(inboxes.map(|(at, _)| at));
    }

    /// What happened so far.
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.core.counters().clone(),
            services: self.core.statement(),
            holdings: self.core.holdings(),
            connections: self.connections.len(),
            handshakes: self.handshakes.len(),
            accepted: self.census.accepted,
            closed: self.census.closed.clone(),
            refused: self.census.refused.clone(),
            reception_bytes: self.reception_bytes,
            published: self.publishing.sent,
            publications_missed: self.publishing.missed,
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

    fn pass_time(&mut self) {
        if self.core.next_deadline().is_some_and(|due| due <= self.now) {
            self.tell_core(Input::Tick);
        }
        let timeout = self.config.connections.handshake_timeout;
        while let Some(id) = self.handshakes.overdue(self.now, timeout) {
            self.cut(id, "handshake_timeout", &"its handshake took too long");
        }
        self.end_rests();
        if self.resting.is_some_and(|until| until <= self.now) {
            self.resting = None;
            self.to_accept = (0..self.listeners.len()).collect();
        }
        if self.reception_check.is_some_and(|due| due <= self.now) {
            self.check_receptions();
        }
    }

    /// By what the system names a connection.
    fn token(&self, id: PeerId) -> Token {
        Token(self.first_connection + id.index as usize)
    }

    /// Tells the core something, and does what it wants done about it.
    fn tell_core(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.carry_all_out();
    }

    /// Does what the core wants done. An output is large and is looked at where it stands.
    fn carry_all_out(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        loop {
            self.core.take_outputs(&mut outputs);
            if outputs.is_empty() {
                break;
            }
            for output in &outputs {
                self.carry_out(output);
            }
            outputs.clear();
            if outputs.capacity() > OUTPUTS_KEPT_MAX {
                outputs = VecDeque::new();
            }
        }
        self.outputs = outputs;
    }

    fn carry_out(&mut self, output: &Output) {
        match *output {
            Output::ToClient { peer, ref command } => {
                let Some(connection) = self.connections.get(peer) else { return };
                let Some(codec) = connection.codec else { return };
                let before = connection.zmtp.unsent_bytes();
                codec.encode_to_client(command, &mut Outlet(&mut connection.zmtp));
                self.wrote(peer, before);
            }
            Output::ToWorker { peer, ref command } => {
                let Some(connection) = self.connections.get(peer) else { return };
                let Some(codec) = connection.codec else { return };
                let before = connection.zmtp.unsent_bytes();
                codec.encode_to_worker(command, &mut Outlet(&mut connection.zmtp));
                self.wrote(peer, before);
            }
            Output::Probe { peer } => {
                if let Some(connection) = self.connections.get(peer) {
                    let before = connection.zmtp.unsent_bytes();
                    connection.zmtp.ping(0, b"");
                    self.wrote(peer, before);
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
                    // It may have been told why; one that does not read has had its time.
                    let _ = connection.write();
                    self.census.close(self.now, connection, reason.name(), &reason);
                    self.drop_connection(peer);
                }
            }
            Output::Event(ref event) => {
                observer::log(event, &mut self.census, &mut self.connections, self.now);
            }
        }
    }
}

/// What the reactor says when it begins.
pub(crate) fn announce(config: &Config) {
    for listen in &config.listen {
        let dialect = listen.dialect.map_or_else(|| "all dialects".to_string(), |d| d.to_string());
        info!(endpoint = %listen.endpoint, "listening for {dialect}");
    }
    if let Some(endpoint) = &config.intch {
        info!(%endpoint, "publishing the directory");
    }
}
