//! Mutation testing of the checker: brokers with one fault each, modelled on faults of other
//! brokers. A mutant is the real broker behind a filter that changes its inputs or outputs. The
//! checker must detect every mutant.

mod greetings;
mod hears;
mod mutation;
mod progress;
mod says;

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use majordomus_core::broker::{
    Balance, Broker, Config, Counters, Event, Gauges, Input, Keys, Output,
};
use majordomus_core::{
    ByteStr, Concurrency, Frames, FromClient, FromWorker, Outcome, PeerId, Reply, Request,
    RequestId, Role, Time, Timeout, ToWorker, WorkerRequest,
};

pub use self::mutation::Mutation;
use self::progress::Wishes;
use crate::checker::{Uid, uid_of};
use crate::machine::Machine;
use crate::outputs::{self, Outputs};

/// A mutant: the real broker and the filter around it.
#[derive(Debug)]
pub struct Mutant {
    mutation: Mutation,
    broker: Broker,
    /// The broker's outputs, and the outputs after the mutation.
    produced: Outputs,
    outputs: Vec<Output>,
    /// The known peers and the requests in flight at workers.
    clients: Vec<PeerId>,
    registered: Vec<PeerId>,
    busy: HashMap<PeerId, u32>,
    takes: HashMap<PeerId, Concurrency>,
    identities: Vec<(PeerId, ByteStr)>,
    sent: HashMap<ByteStr, (PeerId, Reply, bool)>,
    senders: HashMap<Uid, PeerId>,
    given: HashMap<ByteStr, WorkerRequest>,
    /// Requests with a deadline that were not dispatched yet.
    undelivered: Vec<(Time, WorkerRequest)>,
    candidate: Option<(Time, WorkerRequest)>,
    offers: Vec<(PeerId, ByteStr)>,
    /// The services of workers that were lost or disconnected.
    left: Vec<(PeerId, ByteStr)>,
    /// The names with request coalescing.
    shared: Vec<ByteStr>,
    count: u64,
    /// True if the current input is a request.
    asked: bool,
    /// True if the broker was stopped until now: it may then use slots that are not certainly free.
    stopped: bool,
    /// The current request, if it may be coalesced; the requests that have joined a primary; and
    /// those detached in this step.
    heard: Option<(ByteStr, Frames)>,
    known: HashMap<RequestId, (ByteStr, Frames)>,
    shared_before: u64,
    followers: HashSet<RequestId>,
    left_alone: HashSet<RequestId>,
    capacity: HashMap<PeerId, Concurrency>,
    owed: Option<(PeerId, Concurrency)>,
    counted: Option<Counters>,
    /// The peers with a handshake, and whether it is complete; the withdrawn services; and the
    /// attributes of requests.
    greeted: HashMap<PeerId, bool>,
    several: HashSet<PeerId>,
    withdrawn: Vec<(PeerId, ByteStr)>,
    wishes: Wishes,
    /// All names requested so far.
    names: HashSet<ByteStr>,
}

impl Machine for Mutant {
    type Kind = Mutation;

    fn start(mutation: Mutation, mut config: Config, keys: Keys) -> Self {
        configure(mutation, &mut config);
        Self {
            mutation,
            broker: Broker::new(config.clone(), keys),
            produced: outputs::empty(),
            outputs: Vec::new(),
            clients: Vec::new(),
            registered: Vec::new(),
            busy: HashMap::new(),
            takes: HashMap::new(),
            identities: Vec::new(),
            sent: HashMap::new(),
            senders: HashMap::new(),
            given: HashMap::new(),
            undelivered: Vec::new(),
            candidate: None,
            offers: Vec::new(),
            left: Vec::new(),
            shared: shared(&config),
            count: 0,
            asked: false,
            stopped: false,
            heard: None,
            known: HashMap::new(),
            shared_before: 0,
            followers: HashSet::new(),
            left_alone: HashSet::new(),
            capacity: HashMap::new(),
            owed: None,
            counted: None,
            greeted: HashMap::new(),
            several: HashSet::new(),
            withdrawn: Vec::new(),
            wishes: Wishes::default(),
            names: HashSet::new(),
        }
    }

    fn handle(&mut self, now: Time, input: &Input, outputs: &mut Outputs) {
        self.produced.begin(*outputs.input());
        self.handle_falsified(now, input.clone());
        self.outputs.drain(..).for_each(|output| outputs.push(output));
    }

    fn next_deadline(&self) -> Option<Time> {
        self.broker.next_deadline()
    }

    fn counters(&self) -> &Counters {
        self.counted.as_ref().unwrap_or(self.broker.counters())
    }

    fn holdings(&self) -> Gauges {
        let mut holdings = self.broker.holdings();
        if self.mutation == Mutation::ForgetsNoName {
            holdings.services = holdings.services.max(self.names.len());
        }
        holdings
    }

    fn directory_edition(&self) -> u64 {
        self.broker.directory_edition()
    }
}

impl Mutant {
    /// Passes an input to the real broker, before its outputs are processed.
    fn tell_broker(&mut self, now: Time, input: &Input) {
        input.with_view(|input| self.broker.handle(now, input, &mut self.produced));
    }

    fn handle_falsified(&mut self, now: Time, mut input: Input) {
        self.note(now, &input);
        self.note_greeting(&input);
        self.mishear_greeting(now, &mut input);
        self.mishear_progress(&mut input);
        if !self.falsify_input(now, &mut input) {
            return;
        }
        let final_reply = matches!(input, Input::FromWorker { command: FromWorker::Final(_), .. });
        let beats = matches!(input, Input::FromWorker { command: FromWorker::Heartbeat(_), .. });
        let rejected = match &input {
            Input::FromWorker { peer, command: FromWorker::Rejected(said) } => {
                Some((*peer, said.address.clone()))
            }
            _ => None,
        };
        let rejections = self.broker.counters().rejections;
        self.tell_broker(now, &input);
        if let Some((peer, address)) = rejected
            && self.broker.counters().rejections > rejections
        {
            self.bounce(peer, &address);
        }
        for output in core::mem::take(&mut self.produced.list) {
            if beats
                && self.mutation == Mutation::LeavesHeartbeatUnanswered
                && is_heartbeat(&output)
            {
                continue;
            }
            self.remember_greeting(&output);
            self.remember_progress(&output);
            let output = self.misspeak_greeting(output);
            if let Some(output) = output.and_then(|output| self.misspeak_progress(output)) {
                self.falsify_output(final_reply, output);
            }
        }
        if let Some((peer, concurrency)) =
            self.owed.take().filter(|(peer, _)| !self.is_unheard(*peer))
        {
            let command = ToWorker::Capacity { concurrency };
            self.outputs.push(Output::ToWorker { peer, command });
        }
        if self.mutation == Mutation::DispatchesExpired {
            self.dispatch_expired(now);
        }
        if self.mutation == Mutation::CountsTwice {
            let mut counters = self.broker.counters().clone();
            counters.received += counters.redelivered;
            self.counted = Some(counters);
        }
    }
}

/// Changes the configuration.
fn configure(mutation: Mutation, config: &mut Config) {
    match mutation {
        Mutation::ExceedsLimit => {
            config.limits.client_requests_max += 1;
            config.limits.service_requests_max += 1;
            config.limits.requests_max += 1;
        }
        Mutation::NeverEndsRejected => config.reject_wait = Duration::from_secs(1_000_000),
        Mutation::TakesNoForAnAnswer => config.limits.rejections_max = 1,
        Mutation::KeepsStalledReader => config.stall_timeout = Duration::from_secs(1_000_000),
        Mutation::TranslatesWithoutBound => config.limits.translate_bytes_max = usize::MAX,
        Mutation::SharesEverywhere => config.services.iter_mut().for_each(|own| own.share = true),
        Mutation::BalancesByTurn => {
            let in_turn = |balance: &mut Balance| *balance = Balance::LeastRecent;
            in_turn(&mut config.balance);
            config.services.iter_mut().filter_map(|own| own.balance.as_mut()).for_each(in_turn);
        }
        _ => {}
    }
}

/// Returns the names with request coalescing.
fn shared(config: &Config) -> Vec<ByteStr> {
    config.services.iter().filter(|own| own.share).map(|own| own.name.clone()).collect()
}

fn is_heartbeat(output: &Output) -> bool {
    matches!(output, Output::ToWorker { command: ToWorker::Heartbeat, .. })
}

impl Mutant {
    /// Records the connected peers.
    fn note(&mut self, now: Time, input: &Input) {
        self.candidate = None;
        self.asked = matches!(input, Input::FromClient { command: FromClient::Request(_), .. });
        self.shared_before = self.broker.counters().shared;
        let due = self.broker.next_deadline();
        self.stopped = due.is_some_and(|due| now.since(due) > Duration::from_millis(100));
        self.left_alone.clear();
        self.heard = match input {
            Input::FromClient { command: FromClient::Request(request), .. }
                if self.shared.contains(&request.service)
                    && !request.fresh
                    && request.target.is_empty() =>
            {
                Some((request.service.clone(), request.body.clone()))
            }
            _ => None,
        };
        match input {
            Input::Connected { peer, profile } => {
                self.identities.push((*peer, profile.identity.clone()));
                match profile.role {
                    Role::Client(_) => self.clients.push(*peer),
                    Role::Worker(can) => {
                        self.takes.insert(*peer, can.concurrency);
                        self.capacity.insert(*peer, can.concurrency);
                    }
                }
            }
            Input::Disconnected { peer } => {
                self.identities.retain(|(other, _)| other != peer);
                self.clients.retain(|client| client != peer);
                self.registered.retain(|worker| worker != peer);
            }
            Input::FromClient { peer, command: FromClient::Request(request) } => {
                self.names.insert(request.service.clone());
                if let Some(uid) = uid_of(&request.id, &request.options, &request.body) {
                    self.senders.insert(uid, *peer);
                }
                if let Timeout::After(span) = request.timeout
                    && !span.is_zero()
                {
                    let Request { service, id, options, body, .. } = request.clone();
                    let address = ByteStr::decimal(self.count);
                    let late =
                        WorkerRequest { id, options, ..WorkerRequest::new(address, service, body) };
                    self.candidate = Some((now.after(span), late));
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, output: &Output) {
        match output {
            Output::Event(Event::Received { request, .. }) => {
                if self.broker.counters().shared > self.shared_before && self.heard.is_some() {
                    self.followers.insert(*request);
                }
                self.undelivered.extend(self.candidate.take());
                self.known.extend(self.heard.take().map(|heard| (*request, heard)));
            }
            Output::Event(Event::Ended { request, outcome, .. }) => {
                self.followers.remove(request);
                self.left_alone.remove(request);
                let Some(gone) = self.known.remove(request) else { return };
                let answered =
                    matches!(outcome, Outcome::Replied | Outcome::Failed | Outcome::Untranslatable);
                if !answered && !self.stopped {
                    let equal = |other: &&RequestId| self.known.get(*other) == Some(&gone);
                    self.left_alone.extend(self.followers.iter().copied().filter(|id| equal(&id)));
                }
            }
            Output::Event(Event::WorkerRegistered { peer, service }) => {
                self.registered.push(*peer);
                self.takes.extend(self.capacity.get(peer).map(|takes| (*peer, *takes)));
                self.offers.push((*peer, service.clone()));
            }
            Output::Event(Event::WorkerLost { peer, services, .. }) => {
                self.left.extend(services.iter().map(|service| (*peer, service.clone())));
                self.registered.retain(|worker| worker != peer);
                self.offers.retain(|(worker, _)| worker != peer);
                self.busy.remove(peer);
            }
            Output::Close { peer, .. } => {
                self.identities.retain(|(other, _)| other != peer);
                self.clients.retain(|client| client != peer);
                self.registered.retain(|worker| worker != peer);
            }
            Output::ToWorker { peer, command: ToWorker::Request(request) } => {
                *self.busy.entry(*peer).or_default() += 1;
                let WorkerRequest { address, service, id, options, body, .. } = request.clone();
                self.undelivered.retain(|(_, waits)| waits.body.iter().ne(body.iter()));
                if self.mutation == Mutation::BouncesRejected {
                    self.given.insert(address.clone(), request.clone());
                }
                let reply = Reply { id, options, ..Reply::new(service, body) };
                self.sent.insert(address, (*peer, reply, false));
            }
            _ => {}
        }
    }
}
