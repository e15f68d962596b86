//! The reactor: the event loop that reads, decodes, calls the core, encodes and writes, in one
//! thread.
//!
//! Each iteration waits for socket events or for the next deadline, then:
//!
//! 1. reads once from each ready connection and carries out the core's actions for each message;
//! 2. passes the time to the core, after the messages that arrived by that time;
//! 3. writes once to each connection that has pending output.
//!
//! No step blocks.

mod accept;
mod outlet;
mod publishing;
mod reading;
mod reassembly;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use majordomus_core::broker::{Broker as Core, Input, InputView};
use majordomus_core::{PeerId, Time};
use mio::event::Event as Ready;
use mio::{Events, Poll, Token};
use tracing::info;

use self::outlet::{FollowUp, Io};
use self::publishing::Publishing;
use self::reading::ReadBuffer;
use self::reassembly::ReassemblyMemory;
use crate::connection::{Incoming, Reading};
use crate::connection_stats::Snapshot;
use crate::handshakes::Handshakes;
use crate::stream::Listener;
use crate::{Config, ControlMessage};

/// The maximum number of events taken from the system at once.
const EVENTS_MAX: usize = 1_024;
/// The time that a shutdown waits until every peer has read its output.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// The token of the waker. The tokens of listeners follow it, then those of connections.
pub(crate) const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;

pub(crate) struct Reactor {
    config: Config,
    poll: Poll,
    core: Core,
    io: Io,
    /// The listeners in the order of the configuration, followed by the publication's, if enabled.
    listeners: Vec<Listener>,
    /// The token of the first connection, after those of the listeners.
    first_connection: usize,
    /// The time until which no connection is accepted because no open files are left.
    accept_again: Option<Time>,
    /// Listeners that may have more connections to accept.
    to_accept: Vec<usize>,
    handshakes: Handshakes,
    /// Connections that have sent nothing since their handshake.
    silent: Handshakes,
    /// Connections with a slow handshake, and the time of each one's next read.
    slow_handshakes: VecDeque<(PeerId, Time)>,
    reassembly: ReassemblyMemory,
    publishing: Publishing,
    control: Receiver<ControlMessage>,
    started: Instant,
    shutdown_due: Option<Time>,
}

impl Reactor {
    pub(crate) fn new(
        config: Config,
        poll: Poll,
        core: Core,
        mut listeners: Vec<Listener>,
        control: Receiver<ControlMessage>,
    ) -> io::Result<Self> {
        for (at, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(FIRST_LISTENER + at))?;
        }
        Ok(Self {
            io: Io::new(config.connections.unsent_bytes_max),
            config,
            poll,
            core,
            first_connection: FIRST_LISTENER + listeners.len(),
            listeners,
            accept_again: None,
            to_accept: Vec::new(),
            handshakes: Handshakes::default(),
            silent: Handshakes::default(),
            slow_handshakes: VecDeque::new(),
            reassembly: ReassemblyMemory::default(),
            publishing: Publishing::default(),
            control,
            started: Instant::now(),
            shutdown_due: None,
        })
    }

    /// Runs until shutdown. Returns the final statistics.
    pub(crate) fn run(mut self) -> io::Result<Snapshot> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut read_buffer = ReadBuffer::new();
        loop {
            self.wait(&mut events)?;
            self.io.now = self.clock();
            for event in &events {
                self.ready(event);
            }
            for listener in std::mem::take(&mut self.to_accept) {
                self.accept(listener);
            }
            self.read_all(&mut read_buffer);
            self.pass_time();
            self.publish();
            self.write_all();
            let now = self.io.now;
            if self.shutdown_due.is_some_and(|due| self.io.connections.is_empty() || now >= due) {
                return Ok(self.snapshot());
            }
        }
    }

    /// Waits for socket events: polls for the `spin` time first, then sleeps.
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
            // A deadline is due.
            return Ok(());
        }
        let patience = self.patience();
        self.look(events, patience)
    }

    /// Polls for socket events, for at most this long.
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

    /// Returns the time to wait for socket events.
    fn patience(&self) -> Option<Duration> {
        let idle =
            self.to_accept.is_empty() && self.io.to_read.is_empty() && self.io.to_write.is_empty();
        if !idle {
            return Some(Duration::ZERO);
        }
        let due = [
            self.core.next_deadline(),
            self.handshakes.next_due(self.config.connections.handshake_timeout),
            self.slow_handshakes.front().map(|(_, due)| *due),
            self.accept_again,
            self.reassembly.next_check,
            self.next_publication(),
            self.shutdown_due,
        ];
        let next = due.into_iter().flatten().min()?;
        let wait = next.since(self.clock());
        // Rounded up to whole milliseconds, the resolution of the system's poll.
        Some(wait + Duration::from_micros(999 - u64::from(wait.subsec_micros() % 1_000)))
    }

    fn ready(&mut self, event: &Ready) {
        if event.token() == WAKER {
            self.take_control_messages();
            return self.look_into_inboxes();
        }
        let Some(index) = event.token().0.checked_sub(self.first_connection) else {
            return self.to_accept.push(event.token().0 - FIRST_LISTENER);
        };
        let index = index as u32;
        let Some(connection) = self.io.connections.at(index) else { return };
        if event.is_read_closed() || event.is_error() {
            connection.incoming = Incoming::Ended;
            if connection.is_disconnected_client_while_paused() {
                let id = connection.id;
                return self.lose(id);
            }
        } else if event.is_readable() {
            connection.incoming.arrived();
        }
        if event.is_writable() && connection.writing.unblock() {
            self.io.to_write.push(index);
        }
        self.io.queue_read(index);
    }

    fn take_control_messages(&mut self) {
        while let Ok(message) = self.control.try_recv() {
            match message {
                ControlMessage::Snapshot(answer) => answer(self.snapshot()),
                ControlMessage::Shutdown => self.begin_shutdown(),
            }
        }
    }

    /// Accepts `inproc` connections. The waker does not report which inbox has one.
    fn look_into_inboxes(&mut self) {
        let listeners = self.listeners.iter().enumerate();
        let inboxes = listeners.filter(|(_, listener)| matches!(listener, Listener::Inproc(_)));
        self.to_accept.extend(inboxes.map(|(at, _)| at));
    }

    /// Returns the current statistics.
    fn snapshot(&self) -> Snapshot {
        let stats = &self.io.stats;
        Snapshot {
            counters: self.core.counters().clone(),
            services: self.core.statement(),
            holdings: self.core.holdings(),
            connections: self.io.connections.len(),
            handshakes: self.handshakes.len(),
            accepted: stats.accepted,
            closed: stats.closed.clone(),
            refused: stats.refused.clone(),
            reception_bytes: self.reassembly.charged_bytes,
            published: self.publishing.sent,
            publications_missed: self.publishing.missed,
        }
    }

    /// Sends every peer the shutdown, and ends when all have read it or when `SHUTDOWN_TIMEOUT` is
    /// over.
    fn begin_shutdown(&mut self) {
        if self.shutdown_due.is_some() {
            return;
        }
        self.shutdown_due = Some(self.io.now.after(SHUTDOWN_TIMEOUT));
        self.listeners.clear();
        self.tell_core(Input::Shutdown);
        self.reassembly.waiting.clear();
        for id in self.io.connections.ids() {
            if let Some(connection) = self.io.connections.get(id) {
                connection.reading = Reading::Closing;
                self.io.queue_write(id.index);
            }
        }
    }

    fn pass_time(&mut self) {
        let now = self.io.now;
        if self.core.next_deadline().is_some_and(|due| due <= now) {
            self.tell_core(Input::Tick);
        }
        let timeout = self.config.connections.handshake_timeout;
        while let Some(id) = self.handshakes.overdue(now, timeout) {
            self.cut(id, "handshake_timeout", &"its handshake took too long");
        }
        self.resume_slow_handshakes();
        if self.accept_again.is_some_and(|due| due <= now) {
            self.accept_again = None;
            self.to_accept = (0..self.listeners.len()).collect();
        }
        if self.reassembly.next_check.is_some_and(|due| due <= now) {
            self.check_reassemblies();
        }
    }

    /// Returns the token of a connection.
    fn token(&self, id: PeerId) -> Token {
        Token(self.first_connection + id.index as usize)
    }

    /// Passes an input to the core, then carries out the follow-ups.
    #[inline]
    fn tell_core(&mut self, input: InputView<'_>) {
        self.core.handle(self.io.now, input, &mut self.io);
        if !self.io.follow_ups.is_empty() {
            self.follow_up();
        }
    }

    #[cold]
    fn follow_up(&mut self) {
        while let Some(follow_up) = self.io.follow_ups.pop_front() {
            let input = match follow_up {
                FollowUp::AboveHighWater(peer) => Input::AboveHighWater { peer },
                FollowUp::OversizedPending(peer) => Input::OversizedPending { peer },
                FollowUp::Close(peer, reason) => {
                    self.close(peer, reason);
                    continue;
                }
            };
            self.core.handle(self.io.now, input, &mut self.io);
        }
    }
}

/// Logs the endpoints at startup.
pub(crate) fn announce(config: &Config) {
    for listen in &config.listen {
        let dialect = listen.dialect.map_or_else(|| "all dialects".to_string(), |d| d.to_string());
        info!(endpoint = %listen.endpoint, "listening for {dialect}");
    }
    if let Some(endpoint) = &config.intch {
        info!(%endpoint, "publishing the directory");
    }
}
