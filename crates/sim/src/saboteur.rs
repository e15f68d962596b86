//! Brokers with one fault each, of those that other brokers have: the real broker behind
//! somebody who changes what it hears or what it says. The judge has to find every one of them.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use majordomus_core::broker::{
    Broker, Config, Counters, Event, Holdings, Input, Keys, Output, Sign,
};
use majordomus_core::{
    ClientCapabilities, Concurrency, Frames, FromClient, FromWorker, Label, Outcome, PeerId,
    Redelivery, Reply, Request, Role, Status, Time, Timeout, ToClient, ToWorker,
    WorkerCapabilities, WorkerRequest,
};

use crate::judge::{Rule, Uid, uid_of};
use crate::machine::Machine;
use crate::workload::TOLD_ALL;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident => $rule:ident,)*) => {
        /// A fault of a broker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[$doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Mutation] = &[$(Mutation::$name),*];

            /// The rule that ought to find it.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Mutation::$name => Rule::$rule,)*
                }
            }
        }
    };
}

mutations! {
    /// majortomo, PIGATO: a request whose worker died is lost.
    LosesRequestOfDeadWorker => Idle,
    /// PIGATO: a request that ends with its worker ends in silence.
    EndsInSilence => Told,
    /// majortomo: a reply of a peer that never registered reaches the client.
    TakesReplyOfStranger => Author,
    /// majortomo: READY twice is not noticed.
    OverlooksSecondReady => Offence,
    /// A reply that comes when its request has ended is passed on.
    PassesLateReply => AfterFinal,
    /// The final reply goes out twice.
    RepliesTwice => AfterFinal,
    /// PIGATO: request ids are global, so a reply reaches another client.
    ConfusesClients => Asker,
    /// An expired request goes to a worker all the same.
    DispatchesExpired => Deadline,
    /// zguide `mdbroker.c`: purging stops too early, and dead workers stay.
    KeepsSilentWorker => DeadWorkerKept,
    /// A connection that is gone is not noticed.
    KeepsGoneWorker => DeadWorkerKept,
    /// zeromq/majordomo: after FINAL the queue is not looked at.
    ForgetsQueueAfterFinal => Idle,
    /// Everywhere: a worker that is too busy to heartbeat is lost.
    LosesBusyWorker => LostWithoutCause,
    /// generaldomo: heartbeats starve.
    StarvesHeartbeats => Heartbeats,
    /// A request goes to two workers at once.
    DispatchesTwice => OneWorker,
    /// A request goes to a second worker though its client did not allow it.
    RedeliversWithoutLeave => OneWorker,
    /// A worker gets more than it takes.
    OverloadsWorker => Concurrency,
    /// One request more than the limit is taken.
    ExceedsLimit => Limit,
    /// A client for whom there is no room is read from all the same.
    ForgetsToPause => Door,
    /// generaldomo C++: every service that begins with `m` is taken for the broker's own.
    TakesNameForItsOwn => Author,
    /// A worker that replies to what it was never given is not noticed.
    OverlooksForgedReply => Offence,
    /// PIGATO: a rejected request comes back to the worker that rejected it.
    BouncesRejected => RejectedOnce,
    /// PIGATO: a request that all reject is in progress for ever.
    NeverEndsRejected => EndsInTime,
    /// The first rejection is the last, though there are other workers.
    TakesNoForAnAnswer => OneOutcome,
    /// What the worker said that rejected a request last does not reach its client.
    ForgetsLastError => Author,
    /// A worker that takes fewer requests from now on gets as many as before.
    IgnoresConcurrency => Concurrency,
    /// PIGATO: a worker that takes more requests from now on gets none until something else
    /// happens.
    IgnoresRaisedConcurrency => Idle,
    /// PIGATO: that a client still wants its request is never told to the worker.
    LosesStillWanted => Wanted,
    /// A worker is lost though a client has vouched for it.
    IgnoresVouch => LostWithoutCause,
    /// A worker that asks whether the broker is there gets no answer.
    LeavesHeartbeatUnanswered => Heartbeats,
    /// A worker that may say READY again is sent away for it.
    PunishesReadyAgain => Offence,
    /// What the client wrote beside the body does not reach the worker.
    LosesOptions => Author,
    /// A client that has forgotten its request is told that nobody came for it.
    TellsWhoTimedOut => Told,
}

/// The real broker, and somebody between it and the world.
#[derive(Debug)]
pub struct Saboteur {
    mutation: Mutation,
    broker: Broker,
    outputs: VecDeque<Output>,
    /// What is known of the peers, and of the requests that workers have.
    clients: Vec<PeerId>,
    registered: Vec<PeerId>,
    busy: HashMap<PeerId, u32>,
    takes: HashMap<PeerId, Concurrency>,
    identities: Vec<(PeerId, Label)>,
    sent: HashMap<Label, (PeerId, Reply, bool)>,
    senders: HashMap<Uid, PeerId>,
    given: HashMap<Label, WorkerRequest>,
    /// Requests that have a deadline and went to nobody yet.
    undelivered: Vec<(Time, WorkerRequest)>,
    candidate: Option<(Time, WorkerRequest)>,
    offers: Vec<(PeerId, Label)>,
    count: u64,
    /// Whether it is a request that is heard.
    asked: bool,
}

impl Machine for Saboteur {
    type Kind = Mutation;

    fn start(mutation: Mutation, mut config: Config, keys: Keys) -> Self {
        configure(mutation, &mut config);
        Self {
            mutation,
            broker: Broker::new(config, keys),
            outputs: VecDeque::new(),
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
            count: 0,
            asked: false,
        }
    }

    fn handle(&mut self, now: Time, mut input: Input) {
        self.note(now, &input);
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
        self.broker.handle(now, input);
        if let Some((peer, address)) = rejected
            && self.broker.counters().rejections > rejections
        {
            self.bounce(peer, &address);
        }
        while let Some(output) = self.broker.poll_output() {
            if beats
                && self.mutation == Mutation::LeavesHeartbeatUnanswered
                && is_heartbeat(&output)
            {
                continue;
            }
            self.falsify_output(final_reply, output);
        }
        if self.mutation == Mutation::DispatchesExpired {
            self.dispatch_expired(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_deadline(&self) -> Option<Time> {
        self.broker.next_deadline()
    }

    fn counters(&self) -> &Counters {
        self.broker.counters()
    }

    fn holdings(&self) -> Holdings {
        self.broker.holdings()
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
        _ => {}
    }
}

fn is_heartbeat(output: &Output) -> bool {
    matches!(output, Output::ToWorker { command: ToWorker::Heartbeat, .. })
}

impl Saboteur {
    /// Remembers who is there.
    fn note(&mut self, now: Time, input: &Input) {
        self.candidate = None;
        self.asked = matches!(input, Input::FromClient { command: FromClient::Request(_), .. });
        match input {
            Input::Appeared { peer, profile } => {
                self.identities.push((*peer, profile.identity.clone()));
                match profile.role {
                    Role::Client(_) => self.clients.push(*peer),
                    Role::Worker(can) => {
                        self.takes.insert(*peer, can.concurrency);
                    }
                }
            }
            Input::Gone { peer } => {
                self.identities.retain(|(other, _)| other != peer);
                self.clients.retain(|client| client != peer);
                self.registered.retain(|worker| worker != peer);
            }
            Input::FromClient { peer, command: FromClient::Request(request) } => {
                if let Some(uid) = uid_of(&request.body) {
                    self.senders.insert(uid, *peer);
                }
                if let Timeout::After(span) = request.timeout
                    && !span.is_zero()
                {
                    let Request { service, id, options, body, .. } = request.clone();
                    let address = Label::from(format!("{}", self.count).as_str());
                    let late = WorkerRequest { address, service, id, options, body };
                    self.candidate = Some((now.after(span), late));
                }
            }
            _ => {}
        }
    }

    /// Changes what the broker hears. False where it hears nothing.
    fn falsify_input(&mut self, now: Time, input: &mut Input) -> bool {
        self.count += 1;
        if let Input::FromClient { peer, command } = input
            && self.overlooks(command)
        {
            // Something was said, and nothing comes of it.
            *input = Input::Alive { peer: *peer, sign: Sign::Bytes };
        }
        match (self.mutation, input) {
            (Mutation::ExceedsLimit, Input::Configured(config)) => {
                configure(self.mutation, config);
            }
            (
                Mutation::IgnoresConcurrency | Mutation::IgnoresRaisedConcurrency,
                Input::FromWorker { peer, command: FromWorker::Heartbeat(status) },
            ) => self.overhear(*peer, status),
            (Mutation::PunishesReadyAgain, Input::Appeared { profile, .. }) => {
                if let Role::Worker(can) = profile.role {
                    profile.role = Role::Worker(WorkerCapabilities { ready_again: false, ..can });
                }
            }
            (Mutation::TellsWhoTimedOut, Input::Appeared { profile, .. }) => {
                if let Role::Client(can) = profile.role
                    && can.told.contains(Outcome::NoSuchService)
                {
                    profile.role = Role::Client(ClientCapabilities { told: TOLD_ALL, ..can });
                }
            }
            (
                Mutation::TakesReplyOfStranger | Mutation::PassesLateReply,
                Input::FromWorker { peer, command: FromWorker::Final(said) },
            ) => self.pass_on(*peer, said),
            (
                Mutation::OverlooksSecondReady,
                Input::FromWorker { peer, command: FromWorker::Ready { .. } },
            ) => return !self.registered.contains(peer),
            (
                Mutation::OverlooksForgedReply,
                Input::FromWorker { command: FromWorker::Final(said), .. },
            ) => return self.sent.contains_key(&said.address),
            (Mutation::KeepsSilentWorker, Input::Tick) => {
                // Those whose identity nobody can dispute.
                let named = |peer: &PeerId| {
                    self.identities.iter().any(|(at, name)| at == peer && !name.is_empty())
                };
                let mut registered = self.registered.clone();
                registered.retain(|peer| !named(peer));
                for peer in registered {
                    self.broker.handle(now, Input::Alive { peer, sign: Sign::Bytes });
                }
            }
            (Mutation::KeepsGoneWorker, Input::Gone { peer }) => {
                return self.clients.contains(peer) || !self.busy.contains_key(peer);
            }
            (Mutation::LosesBusyWorker, Input::Tick) if self.count.is_multiple_of(7) => {
                if let Some(peer) = self.registered.first().copied() {
                    let command = FromWorker::Disconnect;
                    self.broker.handle(now, Input::FromWorker { peer, command });
                }
            }
            (Mutation::RedeliversWithoutLeave, Input::Appeared { profile, .. }) => {
                if let Role::Client(can) = profile.role {
                    let redelivery = Redelivery::Always;
                    profile.role = Role::Client(ClientCapabilities { redelivery, ..can });
                }
            }
            (Mutation::OverloadsWorker, Input::Appeared { profile, .. }) => {
                if let Role::Worker(can) = profile.role {
                    let concurrency = match can.concurrency {
                        Concurrency::AtMost(most @ 2..) => Concurrency::AtMost(most + 1),
                        other => other,
                    };
                    profile.role = Role::Worker(WorkerCapabilities { concurrency, ..can });
                }
            }
            (
                Mutation::TakesNameForItsOwn,
                Input::FromClient { command: FromClient::Request(request), .. },
            ) if request.service.starts_with(b"m") => {
                request.service = Label::from("mmi.service");
            }
            _ => {}
        }
        true
    }

    /// Whether it does not understand this.
    fn overlooks(&self, command: &FromClient) -> bool {
        match command {
            FromClient::StillWanted { .. } => self.mutation == Mutation::LosesStillWanted,
            // But where two claim to be that worker, each word counts in that dispute, too.
            FromClient::Vouch { worker } => {
                let called = self.identities.iter().filter(|(_, identity)| identity == worker);
                self.mutation == Mutation::IgnoresVouch && called.count() < 2
            }
            _ => false,
        }
    }

    /// Does not hear how many requests a worker takes from now on.
    fn overhear(&mut self, peer: PeerId, status: &mut Status) {
        let Some(concurrency) = status.concurrency else { return };
        let before = self.takes.insert(peer, concurrency).unwrap_or(Concurrency::ONE);
        let slots = |takes| match takes {
            Concurrency::AtMost(most) => most,
            Concurrency::Unlimited => u32::MAX,
        };
        if (slots(concurrency) < slots(before)) == (self.mutation == Mutation::IgnoresConcurrency) {
            status.concurrency = None;
        }
    }

    /// Gives a request back to the worker that has rejected it, before anything else is done.
    fn bounce(&mut self, peer: PeerId, address: &Label) {
        if self.mutation == Mutation::BouncesRejected
            && let Some(request) = self.given.get(address)
        {
            let command = ToWorker::Request(request.clone());
            self.outputs.push_back(Output::ToWorker { peer, command });
        }
    }

    /// Gives a request to a worker that has expired meanwhile.
    fn dispatch_expired(&mut self, now: Time) {
        let over = self.undelivered.iter().position(|(deadline, _)| *deadline < now);
        let Some((_, request)) = over.map(|at| self.undelivered.swap_remove(at)) else { return };
        let free = self.offers.iter().find(|(_, service)| *service == request.service);
        if let Some((peer, _)) = free {
            let command = ToWorker::Request(request);
            self.outputs.push_back(Output::ToWorker { peer: *peer, command });
        }
    }

    /// Passes a reply on that ought not to be.
    fn pass_on(&mut self, from: PeerId, said: &majordomus_core::WorkerReply) {
        let Some((worker, reply, over)) = self.sent.get(&said.address) else {
            // A stranger, or one who makes addresses up.
            if self.mutation == Mutation::TakesReplyOfStranger
                && let Some(peer) = self.clients.first().copied()
            {
                let reply = Reply { id: said.id.clone(), ..Reply::new("echo", said.body.clone()) };
                self.outputs.push_back(Output::ToClient { peer, command: ToClient::Final(reply) });
            }
            return;
        };
        if self.mutation == Mutation::PassesLateReply && *worker == from && *over {
            let asker = uid_of(&reply.body).and_then(|uid| self.senders.get(&uid));
            let asker = asker.filter(|peer| self.clients.contains(peer));
            if let Some(peer) = asker.copied() {
                let reply = Reply { body: said.body.clone(), ..reply.clone() };
                self.outputs.push_back(Output::ToClient { peer, command: ToClient::Final(reply) });
            }
        }
        if let Some(entry) = self.sent.get_mut(&said.address) {
            entry.2 = true;
        }
    }

    /// Changes what the broker says.
    fn falsify_output(&mut self, after_final: bool, output: Output) {
        self.remember(&output);
        match (self.mutation, &output) {
            (
                Mutation::LosesRequestOfDeadWorker,
                Output::Event(Event::Dispatched { attempt: 2.., .. }),
            ) => {
                // What was sent just before goes, too.
                self.outputs.pop_back();
                return;
            }
            (
                Mutation::EndsInSilence,
                Output::ToClient { command: ToClient::Failed(Outcome::WorkerLost, _), .. },
            ) => {
                return;
            }
            (Mutation::RepliesTwice, Output::ToClient { command: ToClient::Final(_), .. }) => {
                self.outputs.push_back(output.clone());
            }
            (
                Mutation::ConfusesClients,
                Output::ToClient { peer, command: command @ ToClient::Final(reply) },
            ) if self.count.is_multiple_of(5) && !reply.service.starts_with(b"mmi.") => {
                if let Some(other) = self.clients.iter().find(|other| *other != peer) {
                    let (peer, command) = (*other, command.clone());
                    self.outputs.push_back(Output::ToClient { peer, command });
                    return;
                }
            }
            (Mutation::ForgetsQueueAfterFinal, Output::Event(Event::Dispatched { .. }))
                if after_final =>
            {
                self.outputs.pop_back();
                return;
            }
            (
                Mutation::StarvesHeartbeats,
                Output::ToWorker { command: ToWorker::Heartbeat, .. },
            ) => return,
            (
                Mutation::DispatchesTwice,
                Output::ToWorker { peer, command: ToWorker::Request(request) },
            ) => {
                let fits = |(other, service): &&(PeerId, Label)| {
                    other != peer && *service == request.service
                };
                let other = self.offers.iter().find(fits).map(|(other, _)| *other);
                self.outputs.push_back(output.clone());
                if let Some(other) = other {
                    let mut request = request.clone();
                    request.address = Label::from(format!("{}", self.count).as_str());
                    let command = ToWorker::Request(request);
                    self.outputs.push_back(Output::ToWorker { peer: other, command });
                }
                return;
            }
            (
                Mutation::ForgetsLastError,
                Output::ToClient { peer, command: ToClient::Failed(Outcome::Rejected, reply) },
            ) => {
                let reply = Reply { body: Frames::empty(), ..reply.clone() };
                let command = ToClient::Failed(Outcome::Rejected, reply);
                self.outputs.push_back(Output::ToClient { peer: *peer, command });
                return;
            }
            (
                Mutation::LosesOptions,
                Output::ToWorker { peer, command: ToWorker::Request(request) },
            ) => {
                let mut request = request.clone();
                request.options.clear();
                let command = ToWorker::Request(request);
                self.outputs.push_back(Output::ToWorker { peer: *peer, command });
                return;
            }
            (Mutation::ForgetsToPause, Output::Pause { .. }) if self.asked => {
                return;
            }
            _ => {}
        }
        self.outputs.push_back(output);
    }

    fn remember(&mut self, output: &Output) {
        match output {
            Output::Event(Event::Received { .. }) => self.undelivered.extend(self.candidate.take()),
            Output::Event(Event::WorkerRegistered { peer, service }) => {
                self.registered.push(*peer);
                self.offers.push((*peer, service.clone()));
            }
            Output::Event(Event::WorkerLost { peer, .. }) => {
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
                let WorkerRequest { address, service, id, body, .. } = request.clone();
                self.undelivered.retain(|(_, waits)| waits.body.iter().ne(body.iter()));
                if self.mutation == Mutation::BouncesRejected {
                    self.given.insert(address.clone(), request.clone());
                }
                let reply = Reply { id, ..Reply::new(service, body) };
                self.sent.insert(address, (*peer, reply, false));
            }
            _ => {}
        }
    }
}
