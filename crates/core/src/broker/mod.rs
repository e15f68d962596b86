//! The broker state machine: dispatches requests to idle workers and relays their replies.
//!
//! An input passes down through these files. No file calls into a file above it:
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
//! An input can make further work possible, such as a dispatch. A handler records that work in the
//! `agenda` instead of calling the next handler. One loop then runs the agenda.

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
    Action, CloseReason, Event, Input, InputView, LossReason, Outlet, Output, PeerViolation,
    Profile, Sign,
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
/// The broker performs no I/O and starts no work by itself: it only reacts to calls of
/// [`handle`](Self::handle). The driver repeats these two steps:
///
/// ```
/// use majordomus_core::broker::{Broker, Config, Input, Keys, Output};
/// use majordomus_core::Time;
///
/// let mut broker = Broker::new(Config::default(), Keys([1, 2, 3, 4]));
/// let now = Time::ZERO;
/// // 1. Handle an input. Each resulting output goes to an `Outlet` at once: a reactor writes it
/// //    to its peers, this example collects it in a vector.
/// let mut outputs: Vec<Output> = Vec::new();
/// broker.handle(now, Input::Tick, &mut outputs);
/// // 2. Sleep until the next input or until this deadline, then handle `Input::Tick`.
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
    /// State of the random number generator.
    draw: u64,
    shut_down: bool,
}

/// The purpose of a timer.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// Fires at a request's deadline or at its worker's busy limit.
    Request(u32),
    /// Fires when a worker is due a heartbeat or has been silent for too long.
    Liveness(PeerId),
    /// Fires when a peer has not read its messages within the stall timeout.
    Stall(PeerId),
    /// Fires when the owner of the identity that this peer claims has shown no liveness in time.
    Identity(PeerId),
    /// Fires when a cached reply expires.
    Cached(u32),
}

/// The time of one input, and the outlet for its outputs.
struct Turn<'a> {
    now: Time,
    out: &'a mut dyn Outlet,
}

impl Broker {
    /// Creates a broker without peers.
    ///
    /// `keys` seed the broker's hashes and tokens. Use unpredictable keys in production, and fixed
    /// keys to replay a run.
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

    /// Handles an input that happened at `now`, and writes each output to `out` as it arises. `now`
    /// must not be earlier than the `now` of a previous call.
    pub fn handle(&mut self, now: Time, input: InputView<'_>, out: &mut dyn Outlet) {
        let turn = &mut Turn { now, out };
        match input {
            Input::FromClient { peer, command } => self.client_command(turn, peer, command),
            Input::FromWorker { peer, command } => self.worker_command(turn, peer, command),
            Input::Connected { peer, profile } => self.connected(turn, peer, profile),
            Input::Malformed { peer } => self.malformed(turn, peer),
            Input::Alive { peer, sign } => {
                let _ = self.show_life(turn, peer, sign);
            }
            Input::OversizedPending { peer } => self.oversized_pending(now, peer),
            Input::AboveHighWater { peer } => self.above_high_water(turn, peer),
            Input::MakingProgress { peer } => self.making_progress(now, peer),
            Input::BelowLowWater { peer } => self.below_low_water(turn, peer),
            Input::Disconnected { peer } => self.disconnected(turn, peer),
            Input::Tick => self.tick(turn),
            Input::Configured(config) => self.configure(now, *config),
            Input::Shutdown => self.shutdown(turn),
        }
        self.work_off(turn);
        debug_assert!(self.counters.balanced());
    }

    /// Runs the work on the agenda, and all work that it adds.
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
        self.violate(turn, peer, PeerViolation::Malformed);
    }

    fn configure(&mut self, now: Time, config: Config) {
        self.config = config.sane();
        self.tables.configure(&self.config);
        for request in self.tables.requests.indices() {
            // The new configuration may make a deadline earlier.
            self.set_request_timer(now, request);
        }
        self.shrink_cache(self.config.limits.cache_bytes_max);
        self.admit_all_soon();
    }

    /// Returns the time at which the broker needs the next [`Input::Tick`], if no other input comes
    /// first.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next_due()
    }

    /// Returns the counters since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the statistics of each service. Their totals equal those of
    /// [`counters`](Self::counters).
    pub fn statement(&self) -> Statement {
        self.tables.services.statement()
    }

    /// Returns the current configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the current gauges.
    pub fn holdings(&self) -> Gauges {
        Gauges {
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
            // A worker that became idle takes queued requests before the next timer is handled.
            self.work_off(turn);
        }
    }
}

/// Gauges of the broker's current state.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Gauges;
///
/// fn is_idle(holdings: &Gauges) -> bool {
///     holdings.requests == 0
/// }
/// assert!(is_idle(&Gauges::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Connected peers.
    pub peers: usize,
    /// Known service names.
    pub services: usize,
    /// Known service names without a registered worker.
    pub unoffered_services: usize,
    /// Requests in progress.
    pub requests: usize,
    /// Bytes of the requests in progress.
    pub request_bytes: usize,
    /// Clients whose request is deferred because it reached a limit. The broker does not read from
    /// them.
    pub held_clients: usize,
    /// Bytes of cached replies.
    pub kept_bytes: usize,
}
