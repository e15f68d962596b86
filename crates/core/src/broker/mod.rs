//! The broker: brings each request to a free worker, and every part of the reply back.
//!
//! What a message goes through: `clients` or `workers` takes a command in, `room` says whether there is
//! place for it, `dispatch` brings requests and free workers together, `replies` takes in what workers
//! answer, `rejecting` finds another worker for what one will not do, `kept` and `sharing` give one
//! answer to equal requests, `ending` gives a request its one outcome, and `life` sees to heartbeats,
//! silence and identities. `greeting` is how those begin that say HELLO. `mmi` and `directory` are
//! services of the broker's own.
//!
//! The tables own what they hold: `peers`, the `offers` of workers, `services` with the `names` that
//! match others, a `queue` each and the workers that are `free`, `requests`, and the timers in the
//! wheel.

mod accounts;
#[cfg(any(test, feature = "audit"))]
mod audit;
mod clients;
mod config;
mod counters;
mod directory;
mod dispatch;
mod ending;
mod free;
mod greeting;
mod io;
mod kept;
mod keys;
mod life;
mod mmi;
mod names;
mod offers;
mod peers;
mod queue;
mod rejecting;
mod replies;
mod requests;
mod room;
mod services;
mod sharing;
#[cfg(test)]
mod tests;
mod workers;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use accounts::{Account, Ends, Refusal, Statement};
pub use config::{
    Balance, Config, FRAME_BYTES, HEARTBEAT_INTERVAL_MIN, Introduction, Limits, PART_BYTES,
    REJECT_WAIT_MIN, REQUEST_BYTES, SERVICE_NAME_BYTES_MAX, ServiceConfig,
};
pub use counters::Counters;
pub use greeting::HEAD_BYTES_MAX;
pub use io::{CloseReason, Event, Input, LossReason, Offence, Output, Profile, Sign};
pub use kept::KEPT_REPLY_BYTES;
pub use keys::Keys;
pub use names::best_offer;

use self::directory::Directory;
use self::kept::Kept;
use self::offers::Offers;
use self::peers::Peers;
use self::requests::Requests;
use self::room::Door;
use self::services::Services;
use self::sharing::Leaders;
use crate::token::Tokens;
use crate::wheel::Wheel;
use crate::{Farewell, FromClient, FromWorker, Outcome, PeerId, RequestId, Time};

/// The broker's state machine.
///
/// It changes only when it is told something, and does nothing by itself. Whoever drives it does
/// this, for ever:
///
/// ```
/// use majordomus_core::broker::{Broker, Config, Input, Keys, Output};
/// use majordomus_core::Time;
///
/// let mut broker = Broker::new(Config::default(), Keys([1, 2, 3, 4]));
/// let now = Time::ZERO;
/// // 1. Tell it what happened.
/// broker.handle(now, Input::Tick);
/// // 2. Do what it asks for, until it asks for nothing.
/// while let Some(output) = broker.poll_output() {
///     match output {
///         Output::ToClient { .. } | Output::ToWorker { .. } => { /* send it */ }
///         _ => { /* probe, pause, resume, close, note */ }
///     }
/// }
/// // 3. Sleep until something happens, or until this moment, and tell it `Input::Tick` then.
/// assert_eq!(broker.next_deadline(), None);
/// ```
#[derive(Debug)]
pub struct Broker {
    config: Config,
    tokens: Tokens,
    peers: Peers,
    offers: Offers,
    services: Services,
    requests: Requests,
    door: Door,
    timers: Wheel<Timer>,
    kept: Kept,
    leaders: Leaders,
    /// Requests whose leader has ended, until what happens is over, and whether it ran.
    released: Vec<(RequestId, bool)>,
    directory: Directory,
    counters: Counters,
    outputs: VecDeque<Output>,
    /// What chance decides next.
    chance: u64,
    shut_down: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// A request's deadline, or its worker's busy limit, may have come.
    Request(u32),
    /// A worker is due a heartbeat, or has been silent for too long.
    Life(PeerId),
    /// A peer has not read what was sent to it.
    Stall(PeerId),
    /// The owner of the identity that this peer claims has not shown life.
    Identity(PeerId),
    /// A reply has been kept for as long as it is good.
    Kept(u32),
}

impl Broker {
    /// A broker without peers.
    ///
    /// `keys` seed its hashes and tokens: unforeseeable in earnest, fixed where a run is to be
    /// replayed.
    pub fn new(config: Config, keys: Keys) -> Self {
        Self {
            config: config.sane(),
            tokens: Tokens::new(keys.tokens()),
            peers: Peers::new(keys),
            offers: Offers::new(),
            services: Services::new(keys),
            requests: Requests::new(keys),
            door: Door::new(),
            timers: Wheel::new(),
            kept: Kept::new(keys),
            leaders: Leaders::new(keys),
            released: Vec::new(),
            directory: Directory::default(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            chance: keys.chance(),
            shut_down: false,
        }
    }

    /// Takes in something that happened at `now`, which is never before an earlier `now`.
    ///
    /// What is to be done about it is then to be had from [`poll_output`](Broker::poll_output).
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::FromClient { peer, mut command } => self.heard_client(now, peer, &mut command),
            Input::FromWorker { peer, mut command } => self.heard_worker(now, peer, &mut command),
            Input::Appeared { peer, profile } => self.appeared(now, peer, profile),
            Input::Malformed { peer } => {
                self.alive(now, peer, Sign::Bytes);
                self.offend(now, peer, Offence::Malformed);
            }
            Input::Alive { peer, sign } => self.alive(now, peer, sign),
            Input::Laden { peer } => self.laden(now, peer),
            Input::Filled { peer } => self.filled(now, peer),
            Input::Draining { peer } => self.draining(now, peer),
            Input::Drained { peer } => self.drained(now, peer),
            Input::Gone { peer } => self.gone(now, peer),
            Input::Tick => self.tick(now),
            Input::Configured(config) => {
                self.config = config.sane();
                self.services.configure(&self.config, &mut self.offers, &self.peers);
                self.shrink_kept(self.config.limits.cache_bytes_max);
                self.open_all_lines();
            }
            Input::Shutdown => self.shutdown(now),
        }
        self.follow_up(now);
    }

    /// As [`handle`](Broker::handle) with [`Input::FromClient`], for a command that is large and can
    /// stay where it is: what is kept of it is taken out of it.
    pub fn hear_client(&mut self, now: Time, peer: PeerId, command: &mut FromClient) {
        self.heard_client(now, peer, command);
        self.follow_up(now);
    }

    /// The same for a worker, with [`Input::FromWorker`].
    pub fn hear_worker(&mut self, now: Time, peer: PeerId, command: &mut FromWorker) {
        self.heard_worker(now, peer, command);
        self.follow_up(now);
    }

    /// Does what may have become possible.
    fn follow_up(&mut self, now: Time) {
        self.resume_released(now);
        self.open_door(now);
        debug_assert!(self.counters.balanced());
    }

    /// The next thing to be done, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All that is to be done, in order, for who has a list that is empty: they are exchanged, and
    /// nothing is moved.
    pub fn take_outputs(&mut self, list: &mut VecDeque<Output>) {
        debug_assert!(list.is_empty(), "what stands there is to be done before");
        core::mem::swap(&mut self.outputs, list);
    }

    /// When the broker wants to be told of the time, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next_due()
    }

    /// What has happened so far, in numbers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How requests ended, for each service by itself: together as many as
    /// [`counters`](Self::counters) has.
    pub fn statement(&self) -> Statement {
        self.services.statement()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is held at this moment.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            peers: self.peers.len(),
            services: self.services.len(),
            unoffered_services: self.services.unoffered(),
            requests: self.requests.in_progress(),
            request_bytes: self.requests.bytes(),
            held_clients: self.door.held(),
            kept_bytes: self.kept.bytes(),
        }
    }

    fn tick(&mut self, now: Time) {
        while let Some((timer, due)) = self.timers.pop(now) {
            match timer {
                Timer::Request(index) => self.request_due(now, index),
                Timer::Life(peer) => self.life_due(now, peer, due),
                Timer::Stall(peer) => self.stalled(now, peer, due),
                Timer::Identity(peer) => self.identity_due(now, peer, due),
                Timer::Kept(index) => self.kept_due(index),
            }
        }
    }

    fn shutdown(&mut self, now: Time) {
        self.shut_down = true;
        for index in self.requests.indices() {
            if self.requests[index].state.in_progress() {
                self.end_untold_worker(index, Outcome::ShutDown);
            }
        }
        for peer in self.peers.ids().collect::<Vec<_>>() {
            self.end_held(peer, Outcome::ShutDown);
            self.dismiss(now, peer, LossReason::ShutDown);
            self.send_client_away(now, peer, Farewell::ShutDown);
        }
    }
}

/// What the broker holds at a moment.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Holdings;
///
/// fn is_idle(holdings: &Holdings) -> bool {
///     holdings.requests == 0
/// }
/// assert!(is_idle(&Holdings::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Peers that have appeared.
    pub peers: usize,
    /// Names of services that are known.
    pub services: usize,
    /// Those of them that no worker offers.
    pub unoffered_services: usize,
    /// Requests in progress.
    pub requests: usize,
    /// What they hold, in bytes.
    pub request_bytes: usize,
    /// Clients that are not read from because a limit stands against their request.
    pub held_clients: usize,
    /// Bytes of replies that are kept.
    pub kept_bytes: usize,
}
