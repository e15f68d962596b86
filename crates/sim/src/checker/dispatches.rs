//! Checks of accepted and dispatched requests.

use core::time::Duration;

use majordomus_core::broker::Config;
use majordomus_core::{Notice, PeerId, RequestId, Time, Timeout, WorkerRequest};

use super::model::{Hand, timings};
use super::request::{Place, is_same_body, uid_of};
use super::{Cause, Checker, Rule, Uid};

impl Checker {
    pub(super) fn received(&mut self, id: RequestId, peer: PeerId) {
        let held = self.model.client(peer).and_then(|client| client.held);
        let uid = match (held, self.step.cause) {
            (Some(uid), _) => uid,
            (None, Cause::Request(asks, uid))
                if asks == peer && self.model.requests[&uid].place == Place::Outside =>
            {
                uid
            }
            _ => {
                let unheard = self.model.peer(peer).is_some_and(|peer| peer.is_unheard());
                let rule = if unheard { Rule::Greeting } else { Rule::Balance };
                return self.accuse(rule, format!("{peer} did not ask again"));
            }
        };
        if held.is_some() {
            self.leave_door(peer);
        } else if self.step.duplicate {
            let text = format!("request {uid} has an id that is in progress");
            return self.accuse(Rule::Ids, text);
        }
        if let Some(limit) = self.limit_reached(uid, held.is_some()) {
            self.accuse(Rule::Limit, format!("request {uid} came in beyond {limit}"));
        }
        let request = &self.model.requests[&uid];
        if request.targeted && request.target.is_none() {
            let text = format!("request {uid} waits for nobody: {request:?}");
            return self.accuse(Rule::Target, text);
        }
        if self.step.kept.is_some_and(|(_, sure)| sure) {
            return self.accuse(Rule::Kept, format!("request {uid} ought to get what is kept"));
        }
        let (now, wait) = (self.now, self.wait_of(uid));
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        (request.received, request.waiting_since) = (now, now);
        request.index = id.index;
        request.set_deadline(match request.timeout {
            Timeout::OfService => now.after(wait),
            Timeout::Never => Time::NEVER,
            Timeout::After(span) => now.after(span),
        });
        self.model.by_id.insert(id, uid);
        self.model.admit(uid);
        self.tally.received += 1;
        self.joins(uid);
        self.expect_first_notice(uid);
    }

    pub(super) fn leave_door(&mut self, peer: PeerId) {
        let Some(uid) = self.model.client_mut(peer).and_then(|client| client.held.take()) else {
            return;
        };
        self.model.held -= 1;
        self.model.held_bytes -= self.model.requests[&uid].charged;
    }

    pub(super) fn wait_of(&self, uid: Uid) -> Duration {
        let service = self.model.requests[&uid].service;
        timings(&self.config, &self.model.services[service].name).0
    }

    /// Returns the limit that a request exceeds, if any. If requests are or were in the admission
    /// queue, names that exist only for them are not counted.
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
        let unknown = !service.offered && service.requests == 0;
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

    pub(super) fn dispatched(&mut self, id: PeerId, sent: &WorkerRequest) {
        let now = self.now;
        let uid = uid_of(&sent.id, &sent.options, &sent.body);
        let Some(uid) = uid.filter(|uid| self.model.requests.contains_key(uid)) else {
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
        let asked = self.model.requests[&uid].service;
        let worker = self.model.worker(id);
        if let Some(offered) = worker.and_then(|worker| self.model.best_offer(worker, asked)) {
            self.has_turn(uid, offered);
        }
        self.model.place(uid, Place::At(id));
        let step = self.steps;
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.attempts += 1;
        let (_, busy) = timings(&self.config, &sent.service);
        let busy_until = now.after(busy);
        match request.timeout {
            Timeout::OfService => request.set_deadline(busy_until),
            Timeout::After(span) if span.is_zero() => request.set_deadline(Time::NEVER),
            Timeout::After(_) | Timeout::Never => {}
        }
        if let Some(worker) = self.model.worker_mut(id) {
            if worker.hands.is_empty() {
                worker.busy_since = now;
            }
            worker.hands.push(Hand { uid, busy_until });
            worker.given += 1;
            worker.free_since = worker.has_slot().then_some(step);
            worker.may_be_free_since = Some(step);
        }
        self.followers_start(uid);
        self.check_task(uid, sent, busy_until);
        self.never_queued(uid);
        let again = sent.attempt > 1;
        self.expect_notices(uid, if again { Notice::Redelivered } else { Notice::Dispatched });
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
            && is_same_body(&request.body, &sent.body)
            && request.options == sent.options;
        // Use the deadline from the time in the queue. A zero timeout has no deadline if a worker
        // is idle.
        let late = request.deadline <= now
            && !(request.timeout == Timeout::After(Duration::ZERO) && request.attempts == 0);
        let reads = self.model.is_reading(request.client);
        let serves = self.model.best_offer(worker, request.service).is_some();
        let withdrawn = worker.withdrawn.contains(&request.service);
        match () {
            () if request.rejection.by.contains(&id) => Some(Rule::RejectedOnce),
            () if late && request.place != Place::Outside => Some(Rule::Deadline),
            () if matches!(request.place, Place::At(_)) => Some(Rule::OneWorker),
            () if !worker.registered || peer.paused => Some(Rule::Addressee),
            () if request.targeted && request.target != Some(id) => Some(Rule::Target),
            () if !serves && withdrawn => Some(Rule::Withdrawn),
            () if !request.targeted && !serves => Some(Rule::Names),
            () if !named => Some(Rule::Author),
            () if request.place == Place::Outside => Some(Rule::Author),
            () if matches!(request.place, Place::Following(_)) => Some(Rule::Shared),
            () if request.place != Place::Waiting => Some(Rule::OneOutcome),
            () if !reads => Some(Rule::Reading),
            () if !worker.has_room_beyond(worker.busy(now)) => Some(Rule::Concurrency),
            () if self.is_out_of_order(uid) => Some(Rule::Priority),
            () => self.wrong_turn(id, uid).or_else(|| {
                (!self.can_be_read(id, &sent.body, &sent.options)).then_some(Rule::Form)
            }),
        }
    }
}
