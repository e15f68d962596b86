//! The load generator: an event loop in one thread that runs all clients and workers.
//!
//! Each iteration waits for a socket event or for a due request. Then it reads once from and writes
//! once to every ready connection. A client with free slots sends its next requests at once.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use majordomus_wire::Side;
use mio::{Events, Poll, Token};

use crate::cmd::bench::client::{Came, Client};
use crate::cmd::bench::line::{Broken, Line};
use crate::cmd::bench::progress::Progress;
use crate::cmd::bench::schedule::{Schedule, Timer};
use crate::cmd::bench::speech::{Served, Speech};
use crate::cmd::bench::tag::TEXT_BYTES;
use crate::cmd::bench::tally::{Tally, Window};
use crate::cmd::bench::usage::{Memory, Usage};
use crate::cmd::tripping::body;

const EVENTS_MAX: usize = 1_024;
const TIMER: Token = Token(usize::MAX);
/// The maximum number of concurrent handshakes.
const HANDSHAKES_MAX: usize = 256;
/// The interval between attempts at a first call. Some brokers drop requests for services without
/// workers.
const FIRST_CALL_INTERVAL: Duration = Duration::from_millis(200);
/// The interval between heartbeats of workers that must send them.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The interval between progress updates.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);

/// The complete parameters of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The broker's endpoint for clients.
    pub(super) endpoint: String,
    /// The broker's endpoint for workers, which differs for a proxy.
    pub(super) worker_endpoint: String,
    /// The broker's process id, if known.
    pub(super) broker_pid: Option<u32>,
    pub(super) speech: Speech,
    pub(super) service: String,
    pub(super) clients: u16,
    /// Requests in flight per client.
    pub(super) in_flight: u16,
    pub(super) workers: u16,
    pub(super) body_bytes: usize,
    /// Requests per second of all clients together. Without a rate, clients send as fast as
    /// possible.
    pub(super) rate: Option<u32>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// The time without an expected message after which the run fails.
    pub(super) timeout: Duration,
}

/// The results of a finished run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// The time over which the CPU time was measured.
    pub(super) elapsed: Duration,
    pub(super) usage: Usage,
    /// The broker's memory at the end of the run.
    pub(super) memory: Option<Memory>,
    /// The reason that the run ended early, if it did.
    pub(super) cut: Option<String>,
}

/// The reason that a run could not start or ended early.
#[derive(Debug)]
pub(super) enum Fault {
    Connect(io::Error),
    /// Some handshakes did not complete in time.
    NoWelcome(Duration),
    /// No reply to a first call arrived in time.
    NoReply(Duration),
    /// No message arrived for this time.
    Stalled(Duration),
    Broken(Broken),
    /// A malformed message.
    Malformed(majordomus_wire::Error),
    DisconnectReason(String),
    System(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Connect(error) => write!(
                f,
                "cannot connect: {error}; start a broker with `majordomus broker -b ENDPOINT`, or \
                 name another with --broker"
            ),
            Fault::NoWelcome(time) => write!(
                f,
                "the broker did not welcome all connections within {}; is it one, and does it \
                 take the dialect?",
                crate::duration::show(*time)
            ),
            Fault::NoReply(time) => write!(
                f,
                "no call came back within {}; is there a worker, and does the broker take the \
                 dialect and such a --body?",
                crate::duration::show(*time)
            ),
            Fault::Stalled(time) => {
                write!(f, "nothing came any more for {}", crate::duration::show(*time))
            }
            Fault::Broken(broken) => broken.fmt(f),
            Fault::Malformed(error) => write!(f, "a message that does not fit: {error}"),
            Fault::DisconnectReason(why) => write!(f, "sent away by the broker: {why}"),
            Fault::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Fault::Broken(broken)
    }
}

impl From<majordomus_wire::Error> for Fault {
    fn from(error: majordomus_wire::Error) -> Self {
        Fault::Malformed(error)
    }
}

/// A connection of a run.
#[derive(Debug)]
struct Peer {
    line: Line,
    role: Role,
    /// True once the handshake was sent.
    begun: bool,
    /// True while the connection is in the ready queue.
    queued: bool,
}

#[derive(Debug)]
enum Role {
    Client(Box<Client>),
    Worker,
}

/// The event loop of a run.
#[derive(Debug)]
pub(super) struct Load<'a> {
    plan: &'a Plan,
    poll: Poll,
    events: Events,
    timer: Timer,
    started: Instant,
    /// All connections, workers first.
    peers: Vec<Peer>,
    ready: VecDeque<usize>,
    read_buffer: BytesMut,
    tally: Tally,
    /// True while clients send requests whenever they have a free slot.
    asking: bool,
    schedule: Option<Schedule>,
    /// Clients with scheduled requests that are not yet written.
    unwritten: Vec<usize>,
    /// The client at which the search for a free slot starts.
    next_client: usize,
    first_call_came: bool,
    served: u64,
    /// The time of the last request or reply, in nanoseconds since the start, as all times here.
    heard: u64,
    next_beat: u64,
}

/// The phases of a run, from opening connections to closing them.
impl<'a> Load<'a> {
    /// Opens all connections and waits until all handshakes are complete.
    pub(super) fn open(plan: &'a Plan) -> Result<Self, Fault> {
        let poll = Poll::new().map_err(Fault::System)?;
        let timer = Timer::new(poll.registry(), TIMER).map_err(Fault::System)?;
        let mut load = Self {
            plan,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            started: Instant::now(),
            peers: Vec::new(),
            ready: VecDeque::new(),
            read_buffer: BytesMut::new(),
            tally: Tally::new(plan.rate.is_some()),
            asking: false,
            schedule: None,
            unwritten: Vec::new(),
            next_client: 0,
            first_call_came: false,
            served: 0,
            heard: 0,
            next_beat: 0,
        };
        for _ in 0..plan.workers {
            load.connect(&plan.worker_endpoint, Side::Worker, Role::Worker)?;
        }
        let filling = body::text(0, plan.body_bytes.saturating_sub(TEXT_BYTES));
        for number in 0..plan.clients {
            let client = Client::new(number, plan.speech, &plan.service, &filling, plan.in_flight);
            load.connect(&plan.endpoint, Side::Client, Role::Client(Box::new(client)))?;
        }
        load.await_welcome()?;
        Ok(load)
    }

    /// Waits until all handshakes are complete.
    fn await_welcome(&mut self) -> Result<(), Fault> {
        let deadline = self.after(self.plan.timeout);
        while !self.peers.iter().all(Peer::is_up) {
            self.turn(deadline)?;
            if self.now() >= deadline {
                return Err(Fault::NoWelcome(self.plan.timeout));
            }
        }
        Ok(())
    }

    /// Sends requests, first to warm up and then to measure, and waits for the remaining replies.
    pub(super) fn run(mut self, progress: &Progress) -> Result<Measured, Fault> {
        self.call_first()?;
        let Plan { warm_up, duration, rate, .. } = *self.plan;
        let (now, from) = (self.now(), self.after(warm_up));
        self.tally.measure(Window { from, to: from + nanos(duration) });
        match rate {
            Some(rate) => self.schedule = Some(Schedule::new(now, rate, warm_up + duration)),
            None => self.asking = true,
        }
        let mut cut = self.go_on_until(from, progress).err();
        let (started, before) = (Instant::now(), self.usage()?);
        if cut.is_none() {
            cut = self.go_on_until(self.tally.window().to, progress).err();
        }
        let (elapsed, usage) = (started.elapsed(), self.usage()? - before);
        self.asking = false;
        if cut.is_none() {
            cut = self.drain().err();
        }
        self.close();
        let memory = self.plan.broker_pid.map(Memory::of).transpose().map_err(Fault::System)?;
        let cut = cut.map(|fault| fault.to_string());
        Ok(Measured { tally: self.tally, elapsed, usage, memory, cut })
    }

    /// Serves requests until stopped or until the time is over. Returns the number of answered
    /// requests.
    pub(super) fn serve(
        mut self,
        duration: Option<Duration>,
        stopped: impl Fn() -> bool,
    ) -> Result<u64, Fault> {
        let end = duration.map_or(u64::MAX, |duration| self.after(duration));
        while !stopped() && self.now() < end {
            self.turn(end.min(self.after(SHOW_INTERVAL)))?;
        }
        self.close();
        Ok(self.served)
    }

    fn connect(&mut self, endpoint: &str, side: Side, role: Role) -> Result<(), Fault> {
        let random = || u128::from(RandomState::new().hash_one(()));
        let ours = self.plan.speech.metadata(side, random() << 64 | random());
        let line = Line::open(endpoint, ours, self.plan.timeout);
        let mut line = line.map_err(Fault::Connect)?;
        let token = Token(self.peers.len());
        line.register(self.poll.registry(), token).map_err(Fault::System)?;
        self.peers.push(Peer { line, role, begun: false, queued: false });
        // Brokers limit the number of concurrent handshakes from one address.
        if self.peers.len().is_multiple_of(HANDSHAKES_MAX) { self.await_welcome() } else { Ok(()) }
    }

    /// Repeats first calls until one is answered, which proves that a worker is reachable.
    fn call_first(&mut self) -> Result<(), Fault> {
        let deadline = self.after(self.plan.timeout);
        let mut attempt = 0;
        while !self.first_call_came {
            if self.now() >= deadline {
                return Err(Fault::NoReply(self.plan.timeout));
            }
            let clients = self.peers.iter_mut().filter_map(Peer::as_client);
            if let Some((client, line)) = clients.take(1).next() {
                client.ask_first(attempt, line);
                line.write()?;
            }
            attempt += 1;
            let again = deadline.min(self.after(FIRST_CALL_INTERVAL));
            while !self.first_call_came && self.now() < again {
                self.turn(again)?;
            }
        }
        Ok(())
    }

    /// Runs the event loop until `end`.
    fn go_on_until(&mut self, end: u64, progress: &Progress) -> Result<(), Fault> {
        self.heard = self.now();
        self.ask_all()?;
        let mut show = 0;
        loop {
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            self.look_for_stall(now)?;
            if now >= show {
                progress.show(Duration::from_nanos(now), self.tally.right);
                show = now + nanos(SHOW_INTERVAL);
            }
            self.turn(end.min(show))?;
        }
    }

    /// Waits for the remaining replies and sends overdue requests.
    fn drain(&mut self) -> Result<(), Fault> {
        let end = self.after(self.plan.timeout);
        loop {
            let (now, left) = (self.now(), self.schedule.as_ref().map_or(0, Schedule::left));
            if left > 0 && now >= end {
                self.schedule = None;
                self.tally.unasked = left;
            } else if left == 0 && self.in_progress() == 0 {
                return Ok(());
            }
            self.look_for_stall(now)?;
            self.turn(self.after(SHOW_INTERVAL))?;
        }
    }

    fn look_for_stall(&self, now: u64) -> Result<(), Fault> {
        let stalled = now.saturating_sub(self.heard) >= nanos(self.plan.timeout);
        match stalled && self.in_progress() > 0 {
            true => Err(Fault::Stalled(self.plan.timeout)),
            false => Ok(()),
        }
    }

    /// Disconnects the workers and completes the statistics.
    fn close(&mut self) {
        let clients = self.peers.iter().filter_map(|peer| match &peer.role {
            Role::Client(client) => Some(client),
            Role::Worker => None,
        });
        let (asked, lost) = clients.fold((0, 0), |(asked, lost), client| {
            (asked + client.asked(), lost + client.in_progress() as u64)
        });
        (self.tally.asked, self.tally.lost) = (asked, lost);
        if lost > 0 {
            self.tally.name(|| format!("lost: {lost} requests had no reply"));
        }
        for peer in &mut self.peers {
            if matches!(peer.role, Role::Worker) && peer.line.is_open() {
                self.plan.speech.leave(&mut peer.line);
                // A write error is harmless here: the connection may be closed already.
                let _ = peer.line.write();
            }
        }
    }

    fn in_progress(&self) -> usize {
        let of = |peer: &Peer| match &peer.role {
            Role::Client(client) => client.in_progress(),
            Role::Worker => 0,
        };
        self.peers.iter().map(of).sum()
    }

    fn usage(&self) -> Result<Usage, Fault> {
        Usage::now(self.plan.broker_pid).map_err(Fault::System)
    }

    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    fn after(&self, span: Duration) -> u64 {
        self.now().saturating_add(nanos(span))
    }
}

/// One iteration of the event loop.
impl Load<'_> {
    /// Waits for events, at most until `until`, and handles them.
    fn turn(&mut self, until: u64) -> Result<(), Fault> {
        let now = self.now();
        let wait = match self.ready.is_empty() {
            true => until.min(self.next_beat.max(now + 1)).saturating_sub(now),
            false => 0,
        };
        match self.poll.poll(&mut self.events, Some(Duration::from_nanos(wait))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Fault::System(error));
            }
            _ => {}
        }
        for event in &self.events {
            // The timer's event has no connection: it only ends the wait.
            let Some(peer) = self.peers.get_mut(event.token().0) else { continue };
            if event.is_readable() || event.is_read_closed() {
                peer.line.wake();
            }
            if !peer.queued {
                peer.queued = true;
                self.ready.push_back(event.token().0);
            }
        }
        for _ in 0..self.ready.len() {
            let Some(at) = self.ready.pop_front() else { break };
            self.work(at)?;
        }
        self.ask_due()?;
        self.beat()
    }

    /// Reads from and writes to one connection.
    fn work(&mut self, at: usize) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(at) else { return Ok(()) };
        let Peer { line, role, begun, queued } = peer;
        line.read(&mut self.read_buffer)?;
        let now = nanos(self.started.elapsed());
        while let Some(message) = line.next_message()? {
            let heard = match role {
                Role::Worker => match self.plan.speech.serve(message, line)? {
                    Served::Request => {
                        self.served += 1;
                        true
                    }
                    Served::DisconnectReason(why) => return Err(Fault::DisconnectReason(why)),
                    Served::Else => false,
                },
                Role::Client(client) => match client.take(message)? {
                    Came::FirstCall => {
                        self.first_call_came = true;
                        true
                    }
                    Came::DisconnectReason(why) => return Err(Fault::DisconnectReason(why)),
                    // A heartbeat does not show that a reply is on its way.
                    Came::Nothing => false,
                    came => {
                        self.tally.count(came, now);
                        true
                    }
                },
            };
            if heard {
                self.heard = now;
            }
        }
        if !*begun && line.is_open() {
            *begun = true;
            match role {
                Role::Worker => self.plan.speech.offer(&self.plan.service, line),
                Role::Client(client) => client.greet(line),
            }
        }
        if let Role::Client(client) = role {
            while self.asking && client.ask(now, line) {}
        }
        line.write()?;
        *queued = line.is_readable();
        if *queued {
            self.ready.push_back(at);
        }
        Ok(())
    }

    /// Lets every client with free slots send requests.
    fn ask_all(&mut self) -> Result<(), Fault> {
        let now = self.now();
        for (client, line) in self.peers.iter_mut().filter_map(Peer::as_client) {
            while self.asking && client.ask(now, line) {}
            line.write()?;
        }
        self.ask_due()
    }

    /// Sends the due requests, client by client, and arms the timer for the next one. All requests
    /// of one client are written with one system call.
    fn ask_due(&mut self) -> Result<(), Fault> {
        let Some(schedule) = &mut self.schedule else { return Ok(()) };
        let first = usize::from(self.plan.workers);
        let clients = self.peers.len() - first;
        schedule.look(nanos(self.started.elapsed()));
        while let Some(due) = schedule.next() {
            let with_room = (0..clients).map(|ahead| (self.next_client + ahead) % clients);
            let with_room = with_room.map(|at| first + at).find(|at| self.peers[*at].has_room());
            // If no client has a free slot, the next reply frees one.
            let Some(at) = with_room else { break };
            if let Some((client, line)) = self.peers[at].as_client() {
                if !client.has_unwritten() {
                    self.unwritten.push(at);
                }
                client.ask_due(due, line);
            }
            schedule.advance();
            self.next_client = (at - first + 1) % clients;
        }
        for at in self.unwritten.drain(..) {
            if let Some((client, line)) = self.peers[at].as_client() {
                let now = nanos(self.started.elapsed());
                client.start_unwritten(now, |due, start| self.tally.started(due, start));
                line.write()?;
            }
        }
        let now = nanos(self.started.elapsed());
        schedule.next_look(now).map_or(Ok(()), |at| {
            self.timer.arm(Duration::from_nanos(at.saturating_sub(now))).map_err(Fault::System)
        })
    }

    fn beat(&mut self) -> Result<(), Fault> {
        let now = self.now();
        if now < self.next_beat {
            return Ok(());
        }
        self.next_beat = now + nanos(BEAT_INTERVAL);
        for peer in &mut self.peers {
            if matches!(peer.role, Role::Worker) && peer.begun {
                self.plan.speech.beat(&mut peer.line);
                peer.line.write()?;
            }
        }
        Ok(())
    }
}

impl Peer {
    fn as_client(&mut self) -> Option<(&mut Client, &mut Line)> {
        match &mut self.role {
            Role::Client(client) => Some((client, &mut self.line)),
            Role::Worker => None,
        }
    }

    fn has_room(&self) -> bool {
        matches!(&self.role, Role::Client(client) if client.has_room())
    }

    /// Returns true if the handshake is complete.
    fn is_up(&self) -> bool {
        self.begun
            && match &self.role {
                Role::Client(client) => client.is_welcome(),
                Role::Worker => true,
            }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
