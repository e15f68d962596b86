//! The checker (oracle): observes the broker's inputs and outputs, maintains its own model of the
//! broker's state, and reports the first step that violates a rule.
//!
//! It is independent of the generators and relies only on the broker's contract. `inputs` and
//! `replies` record the inputs and the outputs that must follow. `outputs`, `dispatches`,
//! `outcomes` and `closings` check each output. `checks` compares both at the end of the step.
//! `greetings` covers handshakes, `offers` registrations, and `progress` the notices about a
//! request. `names` matches services, `turns` checks round-robin turns, `sharing` and `kept` check
//! request coalescing and cached replies, and `directory` checks the directory.

mod checks;
mod closings;
mod directory;
mod dispatches;
mod greetings;
mod inputs;
mod kept;
mod model;
mod names;
mod numbers;
mod offers;
mod outcomes;
mod outputs;
mod progress;
mod replies;
mod request;
mod rule;
mod sharing;
mod turns;

use core::time::Duration;

use majordomus_core::broker::{
    Config, HEAD_BYTES_MAX, HEARTBEAT_INTERVAL_MIN, Input, Output, PeerViolation,
};
use majordomus_core::{
    ByteStr, CODE_UNSAID, Concurrency, CorrelationId, DisconnectReason, Frames, Hello, Notice,
    Outcome, PeerId, Reply, Time, Timeout,
};

use crate::machine::Machine;
use kept::Kept;
use model::Model;
pub use request::Uid;
pub(crate) use request::{MARK, UID_BYTES, uid_in, uid_of};
pub use rule::{Breach, Rule};

/// The maximum delay of the broker's timers: two ticks of its timer wheel.
const TIMER_SLACK: Duration = Duration::from_micros(2 * 1024 + 1);

/// The outcomes of a run's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of received requests.
    pub received: u64,
    /// The number of requests per outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// The number of dispatches.
    pub dispatched: u64,
}

impl Tally {
    /// Adds another run's counters.
    pub fn add(&mut self, other: &Tally) {
        self.received += other.received;
        self.dispatched += other.dispatched;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
    }
}

/// The kind of a worker's message about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Partial,
    Final,
    Failed,
    Rejected,
}

/// The input that justifies the broker's outputs in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// An input without an answer.
    Other,
    Request(PeerId, Uid),
    /// A request for one of the broker's own `mmi.` services.
    Mmi(PeerId),
    Directory(PeerId),
    /// A request with an invalid service name, from a client that can receive the error.
    Nameless(PeerId),
    ClientHeartbeat(PeerId),
    /// A reply. `live` is true if the request is at this worker and the reply is in time.
    Reply {
        uid: Option<Uid>,
        part: Part,
        live: bool,
    },
    Ready(PeerId),
    Left(PeerId),
    Appeared(PeerId),
    Gone(PeerId),
    Filled(PeerId),
    Drained,
    Tick,
    Shutdown,
}

/// A worker that must receive a request keep-alive. It is optional if `sure` is false.
#[derive(Clone, Copy, Debug)]
struct Want {
    worker: PeerId,
    uid: Uid,
    sure: bool,
}

/// A report to a client that its request ended with this outcome.
#[derive(Debug)]
struct Word {
    peer: PeerId,
    outcome: Outcome,
    reply: Reply,
}

/// The checker's state of the current step.
#[derive(Debug)]
struct Step {
    cause: Cause,
    /// The time since the broker's previous input.
    gap: Duration,
    /// The body of the worker's message, or of the request for one of the broker's own services.
    body: Frames,
    options: Vec<u8>,
    /// The id of a request for one of the broker's own services.
    id: CorrelationId,
    /// The service that a worker registers.
    offered: ByteStr,
    note: u8,
    /// The cached reply that the request may get. True if the broker must use it.
    kept: Option<(usize, bool)>,
    /// The requests that received this step's answer.
    heard: Vec<Uid>,
    /// The protocol violation that the broker must report. It is optional if `unsure` is true.
    violation: Option<PeerViolation>,
    unsure: bool,
    offended: bool,
    /// The requests that must end, with their outcomes.
    must_end: Vec<(Uid, Outcome)>,
    /// Requests that received parts of an answer which will not be completed.
    must_fall: Vec<Uid>,
    /// Requests that possibly received parts of such an answer.
    may_fall: Vec<Uid>,
    must_lose: Option<PeerId>,
    must_register: Option<PeerId>,
    must_greet: Option<PeerId>,
    must_answer: Option<PeerId>,
    must_want: Option<Want>,
    may_want: bool,
    must_welcome: Option<PeerId>,
    /// The worker that must receive its new concurrency limit.
    must_settle: Option<(PeerId, Concurrency)>,
    /// Peers that the broker must disconnect, with the reasons. `parted` has the disconnected peers
    /// whose cause is not determined yet.
    must_part: Vec<(PeerId, DisconnectReason)>,
    parted: Vec<(PeerId, DisconnectReason)>,
    /// The worker that withdraws services, and the services that it still offers.
    withdraws: Option<PeerId>,
    must_withdraw: Vec<usize>,
    /// The worker that must or may receive more credit, and the notices that clients must receive.
    must_more: Option<(PeerId, Uid, u32)>,
    must_notice: Vec<(Uid, Notice)>,
    /// True if the incoming request reuses the id of another request.
    duplicate: bool,
    /// The error code of the worker's message.
    code: u16,
    /// Workers that may send to a client that has stopped reading. `holds_up` is true if that
    /// delays other clients.
    may_feed: Vec<PeerId>,
    holds_up: bool,
    directory_changed: bool,
    /// Replies to requests that had ended: the minimum and maximum number.
    late: (u64, u64),
    /// Failure reports whose request is not determined yet.
    failures: Vec<Word>,
    /// Clients whose requests ended because the client disconnected, and peers that the broker
    /// closed.
    went: Vec<PeerId>,
    closed: Vec<PeerId>,
    answered: bool,
    dispatched: Option<(Uid, PeerId)>,
    held_before: usize,
}

/// The checker of a run.
#[derive(Debug)]
pub struct Checker {
    model: Model,
    config: Config,
    step: Step,
    now: Time,
    steps: u64,
    last_tick: Time,
    /// The broker's next deadline, and the last time when the broker received its tick late.
    due: Option<Time>,
    late_at: Time,
    /// The time after which the previous configuration has no effect on any peer.
    settled_at: Time,
    shut_down: bool,
    /// The counters of the current broker.
    tally: Tally,
    late: u64,
    redelivered: u64,
    rejections: u64,
    /// The cached replies, the most recently used one last, and the number of replies served from
    /// the cache.
    kept: Vec<Kept>,
    kept_replies: u64,
    /// The directory's edition.
    edition: u64,
    /// The counters of earlier brokers in the run.
    before: Tally,
    breach: Option<Breach>,
}

impl Checker {
    /// Creates a checker for a broker that starts with this configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            model: Model::default(),
            config: sane(config),
            step: Step {
                cause: Cause::Other,
                gap: Duration::ZERO,
                body: Frames::empty(),
                options: Vec::new(),
                id: CorrelationId::NONE,
                offered: ByteStr::empty(),
                note: 0,
                kept: None,
                heard: Vec::new(),
                violation: None,
                unsure: false,
                offended: false,
                must_end: Vec::new(),
                must_fall: Vec::new(),
                may_fall: Vec::new(),
                must_lose: None,
                must_register: None,
                must_greet: None,
                must_answer: None,
                must_want: None,
                may_want: false,
                must_welcome: None,
                must_settle: None,
                must_part: Vec::new(),
                parted: Vec::new(),
                withdraws: None,
                must_withdraw: Vec::new(),
                must_more: None,
                must_notice: Vec::new(),
                duplicate: false,
                code: CODE_UNSAID,
                may_feed: Vec::new(),
                holds_up: false,
                directory_changed: false,
                late: (0, 0),
                failures: Vec::new(),
                went: Vec::new(),
                closed: Vec::new(),
                answered: false,
                dispatched: None,
                held_before: 0,
            },
            now: Time::ZERO,
            steps: 0,
            last_tick: Time::ZERO,
            due: None,
            late_at: Time::ZERO,
            settled_at: Time::ZERO,
            shut_down: false,
            tally: Tally::default(),
            late: 0,
            redelivered: 0,
            rejections: 0,
            kept: Vec::new(),
            kept_replies: 0,
            edition: 0,
            before: Tally::default(),
            breach: None,
        }
    }

    /// Resets the checker after a restart of the broker: all connections and requests are lost, and
    /// no client receives a report.
    pub fn restart(&mut self, config: &Config) {
        let tally = core::mem::take(&mut self.tally);
        self.before.add(&tally);
        self.model = Model::default();
        self.config = sane(config);
        self.shut_down = false;
        (self.late, self.redelivered, self.rejections) = (0, 0, 0);
        self.kept.clear();
        (self.kept_replies, self.edition) = (0, 0);
        (self.last_tick, self.due) = (self.now, None);
    }

    /// Records the broker's next input.
    pub fn hear(&mut self, now: Time, input: &Input) {
        self.begin(now);
        self.note_input(input);
    }

    /// Checks one output of the broker.
    pub fn see(&mut self, output: &Output) {
        self.note_output(output);
    }

    /// Checks the broker's state at the end of the step.
    pub fn conclude(&mut self, machine: &impl Machine) {
        self.check(machine);
        self.due = machine.next_deadline();
    }

    /// Returns the first violation of a rule.
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// Records a violation found elsewhere, for example by the client that should receive a reply.
    pub fn accuse(&mut self, rule: Rule, what: impl Into<String>) {
        if self.breach.is_none() {
            self.breach = Some(Breach { rule, what: what.into() });
        }
    }

    /// Returns the outcomes so far.
    pub fn tally(&self) -> Tally {
        let mut sum = self.before.clone();
        sum.add(&self.tally);
        sum
    }

    /// Returns true if the broker has this peer.
    pub fn has(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some()
    }

    /// Returns true if a peer has this index.
    pub fn is_taken(&self, index: u32) -> bool {
        self.model.peers.get(index as usize).is_some_and(Option::is_some)
    }

    /// Returns true if the broker reads from this peer.
    pub fn reads(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some_and(|peer| !peer.paused)
    }

    /// Returns true if this peer is above its high-water mark, as reported to the broker.
    pub fn is_filled(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some_and(|peer| peer.filled.is_some())
    }

    /// Returns the worker and the request of a token.
    pub fn bearer(&self, address: &ByteStr) -> Option<(PeerId, Uid)> {
        self.model.tokens.get(address).copied()
    }

    /// Returns the number of requests in progress.
    pub fn in_progress(&self) -> usize {
        self.model.live.len()
    }

    /// Returns the registered workers, each with the number of requests that it was given.
    pub fn workers(&self) -> impl Iterator<Item = (PeerId, u64)> {
        let given = |peer: &model::Peer| match &peer.side {
            model::Side::Worker(worker) if !worker.offers.is_empty() => {
                Some((peer.id, worker.given))
            }
            _ => None,
        };
        self.model.all_peers().filter_map(given)
    }

    /// Returns the services that a worker offers.
    pub fn services_of(&self, worker: PeerId) -> Vec<ByteStr> {
        let offers = self.model.worker(worker).map_or(&[][..], |worker| &worker.offers);
        offers.iter().map(|(at, _)| self.model.services[*at].name.clone()).collect()
    }

    /// Returns a peer's handshake parameters, if the handshake is complete.
    pub fn greeting_of(&self, peer: PeerId) -> Option<Hello> {
        let peer = self.model.peer(peer).filter(|peer| peer.greeted)?;
        let most = Some(peer.body_bytes_max).filter(|most| *most < usize::MAX);
        let message_bytes_max = most.map(|most| most + HEAD_BYTES_MAX);
        Some(Hello { heartbeat: peer.pace.filter(|pace| *pace < Duration::MAX), message_bytes_max })
    }

    /// Returns true if no request is in progress except those that may stay forever.
    pub fn is_at_rest(&self) -> bool {
        self.model.live.iter().all(|uid| self.may_stay(*uid))
    }

    /// Returns true if a request may be in progress forever: it has no deadline, and no worker
    /// serves it or all workers for it are at capacity. A request at a worker cannot stay, because
    /// the busy limit ends it, which is checked all the time.
    fn may_stay(&self, uid: Uid) -> bool {
        let request = &self.model.requests[&uid];
        let busy = |peer: &model::Peer| match &peer.side {
            model::Side::Worker(worker) => {
                let serves = match request.target {
                    Some(target) => peer.id == target,
                    None => self.model.best_offer(worker, request.service).is_some(),
                };
                !serves || !worker.hands.is_empty()
            }
            model::Side::Client(_) => true,
        };
        match request.place {
            request::Place::At(_) => request.timeout == Timeout::Never,
            request::Place::Following(leader) => {
                request.deadline == Time::NEVER && self.may_stay(leader)
            }
            _ => {
                request.deadline == Time::NEVER
                    && !request.is_rejected()
                    && self.model.all_peers().all(busy)
            }
        }
    }

    /// Reports a violation if a request is in progress that should have ended.
    pub fn expect_rest(&mut self) {
        let stuck = self.model.live.iter().find(|uid| !self.may_stay(**uid));
        if let Some(uid) = stuck.copied() {
            let text = format!("request {uid} is in progress: {:?}", self.model.requests.get(&uid));
            self.accuse(Rule::EndsInTime, text);
        }
    }

    fn begin(&mut self, now: Time) {
        let step = &mut self.step;
        step.gap = now.since(self.now);
        step.cause = Cause::Other;
        step.violation = None;
        step.unsure = false;
        step.offended = false;
        step.must_end.clear();
        step.must_fall.clear();
        step.may_fall.clear();
        step.must_lose = None;
        step.must_register = None;
        step.must_greet = None;
        step.must_answer = None;
        step.must_want = None;
        step.may_want = false;
        step.must_welcome = None;
        step.must_settle = None;
        step.must_part.clear();
        step.parted.clear();
        step.withdraws = None;
        step.must_withdraw.clear();
        step.must_more = None;
        step.must_notice.clear();
        step.duplicate = false;
        step.code = CODE_UNSAID;
        step.kept = None;
        step.heard.clear();
        step.may_feed.clear();
        step.holds_up = false;
        step.directory_changed = false;
        step.late = (0, 0);
        step.failures.clear();
        step.went.clear();
        step.closed.clear();
        step.answered = false;
        step.dispatched = None;
        step.held_before = self.model.held;
        self.now = now;
        self.steps += 1;
        if self.due.is_some_and(|due| due < now) {
            self.late_at = now;
        }
    }

    fn silence_max(&self) -> Duration {
        self.config.heartbeat_interval.saturating_mul(self.config.liveness)
    }
}

/// Returns the configuration as the broker normalizes it.
fn sane(config: &Config) -> Config {
    let mut config = config.clone();
    config.heartbeat_interval = config.heartbeat_interval.max(HEARTBEAT_INTERVAL_MIN);
    config.liveness = config.liveness.max(1);
    config
}
