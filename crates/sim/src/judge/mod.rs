//! The judge: sees what goes into the broker and what comes out, keeps its own picture of what must
//! be so, and says at the first step where it is not.
//!
//! It knows nothing of the generators, and nothing of the broker but its contract: `inputs` and
//! `replies` note what was said and what has to follow, `outputs`, `dispatches`, `outcomes` and
//! `closings` look at each thing that the broker wants done, and `checks` compares the two when the
//! step is over. `greetings` says who is heard, `offers` what workers offer, `progress` what goes with
//! a request. `names` says who serves what, `turns` whose turn it is, `sharing` and `kept` who gets
//! an answer that was another's, and `directory` who is there.

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
    Config, HEAD_BYTES_MAX, HEARTBEAT_INTERVAL_MIN, Input, Offence, Output,
};
use majordomus_core::{
    CODE_UNSAID, Concurrency, CorrelationId, Farewell, Frames, Hello, Label, Notice, Outcome,
    PeerId, Reply, Time, Timeout,
};

use crate::machine::Machine;
use kept::Kept;
use model::Model;
pub use request::Uid;
pub(crate) use request::{MARK, UID_BYTES, uid_in, uid_of};
pub use rule::{Breach, Rule};

/// A timer of the broker fires up to two ticks of its wheel late.
const TIMER_SLACK: Duration = Duration::from_micros(2 * 1024 + 1);

/// How the requests of a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that came.
    pub received: u64,
    /// How many ended in each way, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// How often a request went to a worker.
    pub dispatched: u64,
}

impl Tally {
    /// Adds another run's numbers.
    pub fn add(&mut self, other: &Tally) {
        self.received += other.received;
        self.dispatched += other.dispatched;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
    }
}

/// What a worker said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Partial,
    Final,
    Failed,
    Rejected,
}

/// Why the broker may do something in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Nothing that it has to answer.
    Other,
    Request(PeerId, Uid),
    /// A request for a name of the broker's own.
    Mmi(PeerId),
    Directory(PeerId),
    /// A request for what cannot be a name, of a client that can be told so.
    Nameless(PeerId),
    ClientHeartbeat(PeerId),
    /// A reply; `live` where the request is with this worker, and in time.
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

/// A worker that has to hear that its request is still wanted; where not `sure`, it may.
#[derive(Clone, Copy, Debug)]
struct Want {
    worker: PeerId,
    uid: Uid,
    sure: bool,
}

/// A client was told that its request ended so.
#[derive(Debug)]
struct Word {
    peer: PeerId,
    outcome: Outcome,
    reply: Reply,
}

/// What is known of the step that runs.
#[derive(Debug)]
struct Step {
    cause: Cause,
    /// The time since the broker was last told anything.
    gap: Duration,
    /// What the worker said, or what an own service is asked for.
    body: Frames,
    options: Vec<u8>,
    /// The id of a request for one of the broker's own services.
    id: CorrelationId,
    /// The service that a worker registers for.
    offered: Label,
    note: u8,
    /// The kept reply that the request may get; and whether it has to.
    kept: Option<(usize, bool)>,
    /// Those to whom the answer of this step went.
    heard: Vec<Uid>,
    /// The breach that has to be noticed; `unsure` where it need not be.
    offence: Option<Offence>,
    unsure: bool,
    offended: bool,
    /// The request that has to end, and how.
    must_end: Vec<(Uid, Outcome)>,
    /// Requests that had parts of an answer of which no more comes.
    must_fall: Vec<Uid>,
    /// The same, where it is not known whether they had.
    may_fall: Vec<Uid>,
    must_lose: Option<PeerId>,
    must_register: Option<PeerId>,
    must_greet: Option<PeerId>,
    must_answer: Option<PeerId>,
    must_want: Option<Want>,
    may_want: bool,
    must_welcome: Option<PeerId>,
    /// The worker that has to hear how many requests it gets at once from now on.
    must_settle: Option<(PeerId, Concurrency)>,
    /// Peers that have to be sent away, and why; and those that were, of which it is not clear yet
    /// for what cause.
    must_part: Vec<(PeerId, Farewell)>,
    parted: Vec<(PeerId, Farewell)>,
    /// Who withdraws services, and which it offers still.
    withdraws: Option<PeerId>,
    must_withdraw: Vec<usize>,
    /// The worker that has to hear of more credit, or may; and what clients have to hear.
    must_more: Option<(PeerId, Uid, u32)>,
    must_notice: Vec<(Uid, Notice)>,
    /// Whether the request that comes has the id of another.
    duplicate: bool,
    /// The code of what the worker said.
    code: u16,
    /// Workers that may be feeding a client that has stopped to read; and whether others are held up.
    may_feed: Vec<PeerId>,
    holds_up: bool,
    directory_changed: bool,
    /// Replies to requests that had ended: at least and at most.
    late: (u64, u64),
    /// Words of failure that went out and whose request is not known yet.
    failures: Vec<Word>,
    /// Clients whose requests ended because they went; peers that the broker closed.
    went: Vec<PeerId>,
    closed: Vec<PeerId>,
    answered: bool,
    dispatched: Option<(Uid, PeerId)>,
    held_before: usize,
}

/// The judge of one run.
#[derive(Debug)]
pub struct Judge {
    model: Model,
    config: Config,
    step: Step,
    now: Time,
    steps: u64,
    last_tick: Time,
    /// When the broker wants to be told of the time; and when it was last told late.
    due: Option<Time>,
    late_at: Time,
    /// When nobody is looked at any more by the configuration before this one.
    settled_at: Time,
    shut_down: bool,
    /// Of the broker that runs.
    tally: Tally,
    late: u64,
    redelivered: u64,
    rejections: u64,
    /// The replies that are kept, the one last that was asked for last; and how often one was given.
    kept: Vec<Kept>,
    kept_replies: u64,
    /// The directory's edition.
    edition: u64,
    /// Of those before it.
    before: Tally,
    breach: Option<Breach>,
}

impl Judge {
    /// A judge of a broker that starts with this configuration.
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
                offered: Label::empty(),
                note: 0,
                kept: None,
                heard: Vec::new(),
                offence: None,
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

    /// The broker was started anew: whoever was connected is not, and what was in progress is lost
    /// with it, which no client is told.
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

    /// Notes what the broker is about to be told.
    pub fn hear(&mut self, now: Time, input: &Input) {
        self.begin(now);
        self.note_input(input);
    }

    /// Looks at what the broker wants done.
    pub fn see(&mut self, output: &Output) {
        self.note_output(output);
    }

    /// Compares, when the step is over.
    pub fn conclude(&mut self, machine: &impl Machine) {
        self.check(machine);
        self.due = machine.next_deadline();
    }

    /// The first rule that was broken.
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// Notes a breach that was found elsewhere: by the client that was to get a reply, for example.
    pub fn accuse(&mut self, rule: Rule, what: impl Into<String>) {
        if self.breach.is_none() {
            self.breach = Some(Breach { rule, what: what.into() });
        }
    }

    /// How the requests ended so far.
    pub fn tally(&self) -> Tally {
        let mut sum = self.before.clone();
        sum.add(&self.tally);
        sum
    }

    /// Whether the broker has this peer.
    pub fn has(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some()
    }

    /// Whether a peer has this place.
    pub fn is_taken(&self, index: u32) -> bool {
        self.model.peers.get(index as usize).is_some_and(Option::is_some)
    }

    /// Whether the broker reads from this peer.
    pub fn reads(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some_and(|peer| !peer.paused)
    }

    /// Whether this peer is full, as far as the broker was told.
    pub fn is_filled(&self, peer: PeerId) -> bool {
        self.model.peer(peer).is_some_and(|peer| peer.filled.is_some())
    }

    /// The worker and the request that an address was given out for.
    pub fn bearer(&self, address: &Label) -> Option<(PeerId, Uid)> {
        self.model.tokens.get(address).copied()
    }

    /// Requests in progress.
    pub fn in_progress(&self) -> usize {
        self.model.live.len()
    }

    /// Workers that are registered, each with how many requests it was given.
    pub fn workers(&self) -> impl Iterator<Item = (PeerId, u64)> {
        let given = |peer: &model::Peer| match &peer.side {
            model::Side::Worker(worker) if !worker.offers.is_empty() => {
                Some((peer.id, worker.given))
            }
            _ => None,
        };
        self.model.all_peers().filter_map(given)
    }

    /// The services that a worker offers.
    pub fn services_of(&self, worker: PeerId) -> Vec<Label> {
        let offers = self.model.worker(worker).map_or(&[][..], |worker| &worker.offers);
        offers.iter().map(|(at, _)| self.model.services[*at].name.clone()).collect()
    }

    /// What a peer said of itself, where it has greeted.
    pub fn greeting_of(&self, peer: PeerId) -> Option<Hello> {
        let peer = self.model.peer(peer).filter(|peer| peer.greeted)?;
        let most = Some(peer.body_bytes_max).filter(|most| *most < usize::MAX);
        let message_bytes_max = most.map(|most| most + HEAD_BYTES_MAX);
        Some(Hello { heartbeat: peer.pace.filter(|pace| *pace < Duration::MAX), message_bytes_max })
    }

    /// Whether nothing is in progress but what may be for ever.
    pub fn is_at_rest(&self) -> bool {
        self.model.live.iter().all(|uid| self.may_stay(*uid))
    }

    /// Whether a request may be in progress for ever: it has no deadline, and no worker serves it,
    /// or all that do have their hands full. At a worker the busy limit ends it, which is looked at
    /// all the time.
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

    /// Says that everything ought to have ended by now.
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
        step.offence = None;
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

/// The configuration as the broker takes it.
fn sane(config: &Config) -> Config {
    let mut config = config.clone();
    config.heartbeat_interval = config.heartbeat_interval.max(HEARTBEAT_INTERVAL_MIN);
    config.liveness = config.liveness.max(1);
    config
}
