//! The broker: brings each request to an idle worker, and every part of the reply back.
//!
//! An input goes down through these files, and none calls one above it:
//!
//! ```text
//!   mod           one entry, one loop over the agenda
//!   clients, workers, handshake, liveness, identity, backpressure        commands and events
//!   admission, replies, mmi, directory, cache                            admission and replies
//!   departure, matching, redelivery, coalescing, dispatch, ending        dispatch and endings
//!   answers, deadlines, pausing, agenda                                  shared helpers
//!   tables/       peers, registrations, services, requests, and what links them
//! ```
//!
//! A handler does not start the work that an input makes possible: it records it in the `agenda`, which
//! one loop works off.

mod admission;
mod agenda;
mod answers;
mod backpressure;
mod cache;
mod clients;
mod coalescing;
mod config;
mod counters;
mod deadlines;
mod departure;
mod directory;
mod dispatch;
mod ending;
mod handshake;
mod identity;
mod io;
mod keys;
mod liveness;
mod matching;
mod mmi;
#[cfg(any(test, feature = "audit"))]
mod outputs;
mod pausing;
mod redelivery;
mod replies;
mod statistics;
mod tables;
#[cfg(test)]
mod tests;
mod workers;

pub use cache::KEPT_REPLY_BYTES;
pub use config::{
    Balance, Config, FRAME_BYTES, HEARTBEAT_INTERVAL_MIN, Introduction, Limits, PART_BYTES,
    REJECT_WAIT_MIN, REQUEST_BYTES, SERVICE_NAME_BYTES_MAX, ServiceConfig,
};
pub use counters::Counters;
pub use handshake::HEAD_BYTES_MAX;
pub use io::{
    Action, CloseReason, Event, Input, InputView, LossReason, Offence, Outlet, Output, Profile,
    Sign,
};
pub use keys::Keys;
#[cfg(any(test, feature = "audit"))]
pub use outputs::Outputs;
pub use statistics::{Account, Ends, Refusal, Statement};
pub use tables::best_offer;

use self::agenda::{Agenda, Work};
use self::cache::Cache;
use self::deadlines::Timers;
use self::directory::Directory;
use self::tables::Tables;
use crate::token::Tokens;
use crate::{PeerId, Time};

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
/// // 1. Handle what happened. What is to be done about it goes to an `Outlet` as it arises: a
/// //    reactor writes it to its peers, this one collects it.
/// let mut outputs: Vec<Output> = Vec::new();
/// broker.handle(now, Input::Tick, &mut outputs);
/// // 2. Sleep until something happens, or until this moment, and then handle `Input::Tick`.
/// assert_eq!(broker.next_deadline(), None);
/// ```
#[derive(Debug)]
pub struct Broker {
    config: Config,
    tokens: Tokens,
    tables: Tables,
    agenda: Agenda,
    timers: Timers,
    cache: Cache,
    directory: Directory,
    counters: Counters,
    /// Where the next random choice comes from.
    draw: u64,
    shut_down: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// A request's deadline, or its worker's busy limit, may have come.
    Request(u32),
    /// A worker is due a heartbeat, or has been silent for too long.
    Liveness(PeerId),
    /// A peer has not read what was sent to it.
    Stall(PeerId),
    /// The owner of the identity that this peer claims has not shown life.
    Identity(PeerId),
    /// A reply has been cached for as long as it is good.
    Cached(u32),
}

/// The time of one input, and where goes what is to be done about it.
struct Turn<'a> {
    now: Time,
    out: &'a mut dyn Outlet,
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
            tables: Tables::new(keys),
            agenda: Agenda::new(),
            timers: Timers::new(),
            cache: Cache::new(keys),
            directory: Directory::default(),
            counters: Counters::default(),
            draw: keys.random(),
            shut_down: false,
        }
    }

    /// Handles an input that happened at `now`, which is never before an earlier `now`, and puts what
    /// is to be done about it into `out` as it arises.
    pub fn handle(&mut self, now: Time, input: InputView<'_>, out: &mut dyn Outlet) {
        let turn = &mut Turn { now, out };
        match input {
            Input::FromClient { peer, command } => self.client_command(turn, peer, command),
            Input::FromWorker { peer, command } => self.worker_command(turn, peer, command),
            Input::Appeared { peer, profile } => self.connected(turn, peer, profile),
            Input::Malformed { peer } => self.malformed(turn, peer),
            Input::Alive { peer, sign } => {
                let _ = self.show_life(turn, peer, sign);
            }
            Input::Laden { peer } => self.oversized_pending(now, peer),
            Input::Filled { peer } => self.above_high_water(turn, peer),
            Input::Draining { peer } => self.making_progress(now, peer),
            Input::Drained { peer } => self.below_low_water(turn, peer),
            Input::Gone { peer } => self.disconnected(turn, peer),
            Input::Tick => self.tick(turn),
            Input::Configured(config) => self.configure(now, *config),
            Input::Shutdown => self.shutdown(turn),
        }
        self.work_off(turn);
        debug_assert!(self.counters.balanced());
    }

    /// Does the work on the agenda, and what that leaves behind.
    #[inline(always)]
    fn work_off(&mut self, turn: &mut Turn<'_>) {
        while let Some(work) = self.agenda.pop() {
            self.follow_up(turn, work);
        }
    }

    fn follow_up(&mut self, turn: &mut Turn<'_>, work: Work) {
        match work {
            Work::Dispatch(service) => {
                if self.tables.services.contains(service) {
                    self.tables.services.get_mut(service).dispatch_due = false;
                    self.dispatch(turn, service);
                }
            }
            Work::Feed(worker) => {
                if let Some(state) = self.tables.peers.worker_mut(worker) {
                    state.feed_due = false;
                    self.feed(turn, worker);
                }
            }
            Work::Challenge(claimant) => self.challenge_again(turn, claimant),
            Work::Inherit(claimant) => self.inherit(turn, claimant),
            Work::OrderReleased => self.order_released(),
            Work::Release(released) => self.resume_released(turn, released),
            Work::AdmitServed(client) => self.admit_served(turn, client),
            Work::AdmitClient(client) => self.admit_of_client(turn, client),
            Work::Admit(limit) => self.admit_next(turn, limit),
        }
    }

    fn malformed(&mut self, turn: &mut Turn<'_>, peer: PeerId) {
        let _ = self.show_life(turn, peer, Sign::Bytes);
        self.violate(turn, peer, Offence::Malformed);
    }

    fn configure(&mut self, now: Time, config: Config) {
        self.config = config.sane();
        self.tables.configure(&self.config);
        for request in self.tables.requests.indices() {
            // Something may be due earlier than before.
            self.set_request_timer(now, request);
        }
        self.shrink_cache(self.config.limits.cache_bytes_max);
        self.admit_all_soon();
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
        self.tables.services.statement()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is held at this moment.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            peers: self.tables.peers.len(),
            services: self.tables.services.len(),
            unoffered_services: self.tables.services.unserved(),
            requests: self.tables.requests.in_progress(),
            request_bytes: self.tables.requests.bytes(),
            held_clients: self.tables.admission.clients(),
            kept_bytes: self.cache.bytes(),
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.time_untimed(turn.now);
        while let Some((timer, due)) = self.timers.pop(turn.now) {
            match timer {
                Timer::Request(request) => self.request_due(turn, request),
                Timer::Liveness(peer) => self.liveness_due(turn, peer, due),
                Timer::Stall(peer) => self.stalled(turn, peer, due),
                Timer::Identity(peer) => self.identity_due(turn, peer, due),
                Timer::Cached(index) => self.cached_due(index),
            }
            // A worker that became idle by this takes what waits, before the next timer is looked at.
            self.work_off(turn);
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
