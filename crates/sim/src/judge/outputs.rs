//! What the broker wants done, and whether it may.

use majordomus_core::broker::{CloseReason, Config, Event, LossReason, Output};
use majordomus_core::{
    Frames, Label, Outcome, PeerId, Reply, RequestId, Time, Timeout, ToClient, ToWorker,
    WorkerRequest,
};

use super::model::{Hand, Place, Side, timings};
use super::{Cause, Judge, Part, Rule, Uid, uid_of};

impl Judge {
    pub(super) fn note_output(&mut self, output: &Output) {
        let to = match output {
            Output::ToClient { peer, .. } | Output::ToWorker { peer, .. } => Some(*peer),
            Output::Probe { peer } | Output::Pause { peer } | Output::Resume { peer } => {
                Some(*peer)
            }
            Output::Close { peer, .. } => Some(*peer),
            Output::Event(_) => None,
        };
        if let Some(to) = to {
            let gone = self.step.cause == Cause::Gone(to) || self.step.closed.contains(&to);
            if gone || self.model.peer(to).is_none() {
                return self.accuse(Rule::Addressee, format!("{to} is not there: {output:?}"));
            }
        }
        match output {
            Output::ToClient { peer, command } => self.client_hears(*peer, command),
            Output::ToWorker { peer, command } => self.worker_hears(*peer, command),
            Output::Probe { peer } => self.probes(*peer),
            Output::Pause { peer } => self.reading(*peer, false),
            Output::Resume { peer } => self.reading(*peer, true),
            Output::Close { peer, reason } => self.closes(*peer, *reason),
            Output::Event(event) => self.event(event),
        }
    }

    fn reading(&mut self, id: PeerId, reads: bool) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        if peer.paused != reads {
            return self.accuse(Rule::Reading, format!("{id} is told twice: {reads}"));
        }
        peer.paused = !reads;
        if reads {
            // Nobody could hear it meanwhile.
            (peer.seen, peer.seen_late) = (now, now);
            // Whoever disputes its identity waits until it has had its whole time to show life.
            let identity = peer.identity.clone();
            let until = now.after(self.config.identity_timeout);
            for heir in self.model.peers.iter_mut().flatten() {
                if heir.id != id && heir.identity == identity && heir.dispute.is_some() {
                    heir.dispute = Some(until);
                }
            }
        }
    }

    fn probes(&mut self, id: PeerId) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        peer.probed.get_or_insert(now);
        if !peer.answers_probes {
            self.accuse(Rule::Addressee, format!("{id} cannot answer a probe"));
        }
    }

    fn client_hears(&mut self, peer: PeerId, command: &ToClient) {
        if self.model.client(peer).is_none() {
            return self.accuse(Rule::Addressee, format!("{peer} is no client"));
        }
        match command {
            ToClient::Heartbeat => {
                if self.step.cause != Cause::ClientHeartbeat(peer) {
                    self.accuse(Rule::Author, format!("{peer} did not ask for a heartbeat"));
                }
            }
            ToClient::Partial(reply) => self.replied(peer, Part::Partial, reply),
            ToClient::Final(reply) if reply.service.starts_with(b"mmi.") => {
                self.answered(peer, reply);
            }
            ToClient::Final(reply) => self.replied(peer, Part::Final, reply),
            ToClient::Failed(outcome, reply) => {
                let told = (peer, *outcome, reply.service.clone(), reply.id.clone());
                self.step.failures.push(told);
            }
        }
    }

    /// A service of the broker's own answers.
    fn answered(&mut self, peer: PeerId, reply: &Reply) {
        if self.step.cause != Cause::Mmi(peer) || self.step.answered {
            return self.accuse(Rule::Author, format!("{peer} did not ask for {}", reply.service));
        }
        self.step.answered = true;
        let asked = self.step.body.get(0).unwrap_or_default();
        let offered = self.model.find_service(asked);
        let offered = offered.is_some_and(|at| self.model.services[at].workers > 0);
        let right: &[u8] = match (reply.service.as_bytes(), offered) {
            (b"mmi.service", true) => b"200",
            (b"mmi.service", false) => b"404",
            _ => b"501",
        };
        if reply.body.get(0) != Some(right) {
            self.accuse(Rule::Author, format!("{} says {:?}", reply.service, reply.body));
        }
    }

    fn replied(&mut self, peer: PeerId, part: Part, reply: &Reply) {
        let Cause::Reply { uid, part: said, live } = self.step.cause else {
            return self.accuse(Rule::Author, format!("nobody said {reply:?} to {peer}"));
        };
        let Some(request) = uid.and_then(|uid| self.model.requests.get(&uid)) else {
            return self.accuse(Rule::Author, format!("{peer} gets a forged reply"));
        };
        if request.client != peer {
            return self.accuse(Rule::Asker, format!("{uid:?} is not of {peer}"));
        }
        if request.told || !request.is_live() {
            return self.accuse(Rule::AfterFinal, format!("{uid:?} has ended"));
        }
        let takes_parts = self.model.client(peer).is_some_and(|client| client.can.partial_replies);
        if !live || said != part || (part == Part::Partial && !takes_parts) {
            return self.accuse(Rule::Author, format!("{part:?} of {uid:?}, said was {said:?}"));
        }
        let named =
            reply.id == request.id && reply.service == self.model.services[request.service].name;
        if !named || !self.is_what_was_said(&reply.body, &request.collected) {
            return self.accuse(Rule::Author, format!("{uid:?} gets something else: {reply:?}"));
        }
        if let Some(request) = uid.and_then(|uid| self.model.requests.get_mut(&uid)) {
            request.part_sent = true;
            request.told = part == Part::Final;
        }
        self.step.answered = true;
    }

    fn is_what_was_said(&self, body: &Frames, collected: &[Frames]) -> bool {
        let parts = collected.iter().flat_map(Frames::iter).chain(self.step.body.iter());
        body.iter().eq(parts)
    }

    fn worker_hears(&mut self, peer: PeerId, command: &ToWorker) {
        let Some(known) = self.model.peer(peer) else { return };
        let Side::Worker(worker) = &known.side else {
            return self.accuse(Rule::Addressee, format!("{peer} is no worker"));
        };
        let registered = worker.service.is_some();
        match command {
            ToWorker::Request(request) => self.dispatched(peer, request),
            ToWorker::Cancel { address } => {
                let theirs = self.bearer(address).is_some_and(|(worker, _)| worker == peer);
                if !worker.can.cancel || !theirs {
                    self.accuse(Rule::Addressee, format!("{peer} cannot cancel that"));
                }
            }
            ToWorker::Heartbeat => {
                if !registered || known.filled.is_some() {
                    self.accuse(Rule::Addressee, format!("{peer} gets a heartbeat"));
                }
                let (now, interval) = (self.now, self.config.heartbeat_interval);
                if let Some(worker) = self.model.worker_mut(peer) {
                    (worker.heartbeat_sent, worker.interval_max) = (now, interval);
                }
            }
            // It is looked at where the worker is lost, or where it has to be.
            ToWorker::Disconnect => {}
        }
    }

    fn dispatched(&mut self, id: PeerId, sent: &WorkerRequest) {
        let now = self.now;
        let Some(uid) = uid_of(&sent.body).filter(|uid| self.model.requests.contains_key(uid))
        else {
            return self.accuse(Rule::Author, format!("{id} gets what nobody asked: {sent:?}"));
        };
        if let Some(rule) = self.wrong_dispatch(id, uid, sent) {
            let request = &self.model.requests[&uid];
            return self.accuse(rule, format!("request {uid} to {id}: {request:?}"));
        }
        if let Some(known) = self.model.tokens.insert(sent.address.clone(), (id, uid))
            && known != (id, uid)
        {
            self.accuse(Rule::Asker, format!("{} stands for two requests", sent.address));
        }
        self.model.place(uid, Place::At(id));
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.attempts += 1;
        let (_, busy) = timings(&self.config, &sent.service);
        let busy_until = now.after(busy);
        match request.timeout {
            Timeout::OfService => request.deadline = busy_until,
            Timeout::After(span) if span.is_zero() => request.deadline = Time::NEVER,
            Timeout::After(_) | Timeout::Never => {}
        }
        if let Some(worker) = self.model.worker_mut(id) {
            if worker.hands.is_empty() {
                worker.busy_since = now;
            }
            worker.hands.push(Hand { uid, busy_until });
            worker.given += 1;
        }
        self.tally.dispatched += 1;
        self.step.dispatched = Some((uid, id));
    }

    fn wrong_dispatch(&self, id: PeerId, uid: Uid, sent: &WorkerRequest) -> Option<Rule> {
        let now = self.now;
        let request = &self.model.requests[&uid];
        let peer = self.model.peer(id)?;
        let worker = self.model.worker(id)?;
        let named = self.model.services[request.service].name == sent.service
            && request.id == sent.id
            && request.body_bytes == sent.body.bytes();
        let busy = worker.hands.iter().filter(|hand| hand.busy_until > now).count();
        // Where the deadline was while it waited; a timeout of nothing has none if a worker is free.
        let late = request.deadline <= now
            && !(request.timeout == Timeout::After(core::time::Duration::ZERO)
                && request.attempts == 0);
        let reads = self.model.peer(request.client).is_some_and(|client| client.filled.is_none());
        match () {
            () if late && request.place != Place::Outside => Some(Rule::Deadline),
            () if matches!(request.place, Place::At(_)) => Some(Rule::OneWorker),
            () if worker.service != Some(request.service) || peer.paused => Some(Rule::Addressee),
            () if !named => Some(Rule::Author),
            () if request.place == Place::Outside => Some(Rule::Author),
            () if request.place != Place::Waiting => Some(Rule::OneOutcome),
            () if !reads => Some(Rule::Reading),
            () if worker.can.concurrency.is_some_and(|most| busy >= most.get() as usize) => {
                Some(Rule::Concurrency)
            }
            () => None,
        }
    }

    fn closes(&mut self, id: PeerId, reason: CloseReason) {
        let now = self.now;
        let Some(peer) = self.model.peer(id) else { return };
        let twins = || {
            let twin = |other: &&super::model::Peer| {
                other.id != id && other.identity == peer.identity && !peer.identity.is_empty()
            };
            self.model.all_peers().filter(twin)
        };
        let fine = match reason {
            CloseReason::IdentityInUse => twins().next().is_some(),
            CloseReason::IdentityTaken => {
                let waits = |other: &super::model::Peer| {
                    other.dispute.is_some_and(|until| until <= now) && peer.spoke <= other.appeared
                };
                !peer.paused && twins().any(waits)
            }
            CloseReason::SlowReader => {
                let late = peer.filled.is_some_and(|until| until <= now);
                late || (self.step.cause == Cause::Filled(id) && self.holds_up_others(id))
            }
            CloseReason::NoMemory => {
                matches!(self.step.cause, Cause::Request(asks, _) if asks == id)
            }
        };
        if !fine {
            self.accuse(Rule::Closing, format!("{id} is closed: {reason}"));
        }
        self.step.closed.push(id);
    }

    /// Whether a worker that has requests of this client has some of others. By now it may have no
    /// request of this client any more, because those have ended.
    fn holds_up_others(&self, id: PeerId) -> bool {
        self.model.all_peers().any(|peer| {
            let Side::Worker(worker) = &peer.side else { return false };
            let client = |hand: &Hand| self.model.requests[&hand.uid].client;
            worker.hands.iter().any(|hand| client(hand) == id)
                && worker.hands.iter().any(|hand| client(hand) != id)
        })
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Received { request, client, .. } => self.received(*request, *client),
            Event::Dispatched { request, worker, attempt } => {
                let uid = self.model.by_id.get(request).copied();
                let sent = uid.map(|uid| (uid, *worker));
                let counted = uid.is_some_and(|uid| self.model.requests[&uid].attempts == *attempt);
                if sent != self.step.dispatched.take() || !counted {
                    self.accuse(Rule::Idle, format!("{uid:?} was not sent to {worker}"));
                }
            }
            Event::Ended { request, outcome, .. } => self.ended(*request, *outcome),
            Event::WorkerRegistered { peer, service } => self.registered(*peer, service),
            Event::WorkerLost { peer, reason, .. } => self.lost(*peer, *reason),
            Event::Offended { peer, offence } => {
                if self.step.offence != Some(*offence) || self.step.offended {
                    self.accuse(Rule::Offence, format!("{peer} is blamed for {offence}"));
                }
                self.step.offended = true;
                // One that may or may not be noticed has these effects where it is.
                if self.step.unsure {
                    self.step.unsure = false;
                    self.step.late = (0, 0);
                    self.step.must_lose = Some(*peer);
                }
            }
        }
    }

    fn received(&mut self, id: RequestId, peer: PeerId) {
        let held = self.model.client(peer).and_then(|client| client.held);
        let uid = match (held, self.step.cause) {
            (Some(uid), _) => uid,
            (None, Cause::Request(asks, uid))
                if asks == peer && self.model.requests[&uid].place == Place::Outside =>
            {
                uid
            }
            _ => return self.accuse(Rule::Balance, format!("{peer} did not ask again")),
        };
        if held.is_some() {
            self.leave_door(peer);
        }
        if let Some(limit) = self.limit_reached(uid, held.is_some()) {
            self.accuse(Rule::Limit, format!("request {uid} came in beyond {limit}"));
        }
        let (now, wait) = (self.now, self.wait_of(uid));
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.waiting_since = now;
        request.deadline = match request.timeout {
            Timeout::OfService => now.after(wait),
            Timeout::Never => Time::NEVER,
            Timeout::After(span) => now.after(span),
        };
        self.model.by_id.insert(id, uid);
        self.model.admit(uid);
        self.tally.received += 1;
    }

    pub(super) fn leave_door(&mut self, peer: PeerId) {
        let Some(uid) = self.model.client_mut(peer).and_then(|client| client.held.take()) else {
            return;
        };
        self.model.held -= 1;
        self.model.held_bytes -= self.model.requests[&uid].charged;
    }

    fn wait_of(&self, uid: Uid) -> core::time::Duration {
        let service = self.model.requests[&uid].service;
        timings(&self.config, &self.model.services[service].name).0
    }

    /// The limit that stands against a request. Where requests are or were at the door, the names
    /// that are known only for their sake are not ours to count.
    pub(super) fn limit_reached(&self, uid: Uid, held: bool) -> Option<&'static str> {
        let Config { limits, .. } = &self.config;
        let request = &self.model.requests[&uid];
        let client = self.model.client(request.client)?;
        let service = &self.model.services[request.service];
        let more = request.charged;
        if client.requests > 0
            && (client.requests >= limits.client_requests_max
                || client.bytes + more > limits.client_bytes_max)
        {
            return Some("the limit of its client");
        }
        if service.requests > 0
            && (service.requests >= limits.service_requests_max
                || service.bytes + more > limits.service_bytes_max)
        {
            return Some("the limit of its service");
        }
        let unknown = service.workers == 0 && service.requests == 0;
        let doubtful = held || self.step.held_before > 0;
        if unknown && !doubtful && self.model.names().1 >= limits.names_max {
            return Some("the limit of names");
        }
        let all = self.model.live.len();
        (all > 0
            && (all >= limits.requests_max
                || self.model.live_bytes + more > limits.request_bytes_max))
            .then_some("the limit of all")
    }

    fn registered(&mut self, peer: PeerId, service: &Label) {
        if self.step.must_register.take() != Some(peer) {
            return self.accuse(Rule::Offence, format!("{peer} did not ask to register"));
        }
        let (now, interval) = (self.now, self.config.heartbeat_interval);
        let at = self.model.service(service);
        self.model.services[at].workers += 1;
        let Some(worker) = self.model.worker_mut(peer) else { return };
        worker.service = Some(at);
        (worker.idle_since, worker.idle_late) = (now, now);
        (worker.heartbeat_sent, worker.interval_max) = (now, interval);
    }

    fn lost(&mut self, id: PeerId, reason: LossReason) {
        if let Err(why) = self.loss_is_fair(id, reason) {
            return self.accuse(Rule::LostWithoutCause, format!("{id}, for {reason}: {why}"));
        }
        if self.step.must_lose == Some(id) {
            self.step.must_lose = None;
        }
        let now = self.now;
        let Some(worker) = self.model.worker_mut(id) else { return };
        let Some(service) = worker.service.take() else { return };
        let hands = core::mem::take(&mut worker.hands);
        for Hand { uid, .. } in hands {
            if self.model.requests[&uid].place == Place::At(id) {
                self.returned(uid, service);
            }
        }
        let service = &mut self.model.services[service];
        service.workers -= 1;
        if service.workers == 0 {
            service.unoffered_since = Some(now);
        }
    }

    /// A request lost its worker: it waits again, or has to end.
    fn returned(&mut self, uid: Uid, service: usize) {
        let now = self.now;
        let wait = timings(&self.config, &self.model.services[service].name).0;
        let (attempts_max, shut_down) = (self.config.attempts_max, self.shut_down);
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        let again = request.redeliver
            && !request.part_sent
            && request.attempts < attempts_max
            && request.deadline > now
            && !shut_down;
        if !again {
            self.step.must_end.push((uid, Outcome::WorkerLost));
            return;
        }
        request.waiting_since = now;
        if matches!(request.timeout, Timeout::OfService)
            || request.timeout == Timeout::After(core::time::Duration::ZERO)
        {
            request.deadline = now.after(wait);
        }
        request.collected.clear();
        let charged = request.charged - core::mem::take(&mut request.collected_bytes);
        self.model.recharge(uid, charged);
        self.model.place(uid, Place::Waiting);
        self.redelivered += 1;
    }

    fn loss_is_fair(&self, id: PeerId, reason: LossReason) -> Result<(), String> {
        let now = self.now;
        let (Some(peer), Some(worker)) = (self.model.peer(id), self.model.worker(id)) else {
            return Err("it is no worker".into());
        };
        if worker.service.is_none() {
            return Err("it is not registered".into());
        }
        let interval = self.config.heartbeat_interval.max(worker.interval_max);
        if Self::is_silence(reason) {
            if peer.paused {
                return Err("it is not read from".into());
            }
            if self.step.gap > interval * 2 + super::TIMER_SLACK {
                return Err("the broker itself was stopped".into());
            }
        }
        let silent = now.since(peer.seen);
        let in_hand = worker.hands.iter().any(|hand| hand.busy_until > now);
        let fair = match reason {
            LossReason::Left => matches!(self.step.cause, Cause::Left(left) if left == id),
            LossReason::ShutDown => self.step.cause == Cause::Shutdown,
            // Where its connection was closed, that is said later.
            LossReason::Gone => true,
            LossReason::Silent => {
                !in_hand && now.since(peer.seen.max(worker.idle_since)) >= self.silence_max()
            }
            LossReason::Stopped => {
                let asked =
                    peer.probed.is_some_and(|at| now.since(at) >= self.config.heartbeat_interval);
                peer.answered && asked && silent >= self.silence_max()
            }
            LossReason::Overdue => {
                let one = worker.can.concurrency.is_some_and(|most| most.get() == 1);
                let overdue = worker.hands.iter().any(|hand| hand.busy_until <= now);
                overdue && (one || silent >= self.silence_max())
            }
            LossReason::Offence(offence) => {
                self.step.offence == Some(offence) && self.step.must_lose == Some(id)
            }
        };
        if fair { Ok(()) } else { Err(format!("silent for {silent:?}: {worker:?}")) }
    }

    fn ended(&mut self, id: RequestId, outcome: Outcome) {
        let Some(uid) = self.model.by_id.remove(&id) else {
            return self.accuse(Rule::OneOutcome, format!("{id} ended again"));
        };
        if let Err(why) = self.end_is_fair(uid, outcome) {
            let request = &self.model.requests[&uid];
            let text = format!("request {uid}, {outcome}: {why}: {request:?}");
            return self.accuse(Rule::OneOutcome, text);
        }
        self.step.must_end.retain(|(must, _)| *must != uid);
        let request = &self.model.requests[&uid];
        let (client, service, id) = (request.client, request.service, request.id.clone());
        let told = self.model.client(client).is_some_and(|known| known.can.told.contains(outcome));
        let name = &self.model.services[service].name;
        let word = self.step.failures.iter().position(|(peer, why, service, their_id)| {
            *peer == client && *why == outcome && service == name && *their_id == id
        });
        let heard = match outcome {
            Outcome::Replied => self.step.answered,
            _ => word.is_some() == told,
        };
        if !heard {
            self.accuse(Rule::Told, format!("request {uid}, {outcome}, {told} {word:?}"));
        }
        if let Some(word) = word {
            self.step.failures.swap_remove(word);
        }
        self.model.end(uid, outcome);
        self.tally.outcomes[outcome as usize] += 1;
    }

    fn end_is_fair(&mut self, uid: Uid, outcome: Outcome) -> Result<(), &'static str> {
        let now = self.now;
        let request = &self.model.requests[&uid];
        if !request.is_live() {
            return Err("it has ended");
        }
        let must = self.step.must_end.iter().find(|(must, _)| *must == uid).map(|(_, how)| *how);
        if let Some(must) = must {
            return if must == outcome { Ok(()) } else { Err("it had to end otherwise") };
        }
        let due = request.deadline <= now;
        let service = &self.model.services[request.service];
        let offered = service.workers > 0
            || service.unoffered_since.is_some_and(|at| at >= request.waiting_since);
        let doubtful = service.unoffered_since == Some(request.waiting_since);
        let fair = match (outcome, request.place) {
            (Outcome::Expired, Place::At(worker)) => {
                let overdue = |hand: &Hand| hand.uid == uid && hand.busy_until <= now;
                due || self.model.worker(worker).is_some_and(|w| w.hands.iter().any(overdue))
            }
            (Outcome::Expired, _) => due && offered,
            (Outcome::NoSuchService, Place::Waiting) => {
                let soon = self.config.no_worker_wait;
                let soon = soon.is_some_and(|wait| request.waiting_since.after(wait) <= now);
                (due || soon) && (!offered || doubtful)
            }
            (Outcome::ClientGone, _) => {
                self.step.went.push(request.client);
                true
            }
            (Outcome::ShutDown, _) => self.step.cause == Cause::Shutdown,
            _ => false,
        };
        if fair { Ok(()) } else { Err("there is no cause") }
    }
}
