//! Bringing requests and free workers together.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::free::shuffled;
use super::offers::load;
use super::peers::SideState;
use super::requests::{InPlace, State};
use super::{Balance, Broker, Event, Output, Timer};
use crate::list::List;
use crate::{
    CREDIT_UNLIMITED, Frames, Notice, Outcome, PeerId, Time, ToClient, ToWorker, WorkerRequest,
};

impl Broker {
    /// Puts a request that has just come at the end of its service's queue, or before the one worker
    /// that it asks for.
    pub(super) fn wait(&mut self, now: Time, index: u32) {
        match self.requests[index].target {
            None => self.services.push_back(&mut self.requests, index),
            Some(worker) => self.wait_for(index, worker),
        }
        if self.requests[index].deadline <= now {
            // Its client wanted a worker that is free at once, and none is.
            self.expire_waiting(now, index);
        } else {
            self.set_request_timer(index);
        }
    }

    fn wait_for(&mut self, index: u32, id: PeerId) {
        if let Some(worker) = self.peers.worker(id) {
            worker.targeted.push_back(&mut InPlace(&mut self.requests), index);
            self.requests[index].state = State::Targeted(id);
        }
    }

    /// Gives waiting requests to free workers until one of the two runs out: those that this service
    /// concerns, as the one that is asked for or as the one that is offered.
    pub(super) fn dispatch(&mut self, now: Time, service: u32) {
        while self.dispatch_next(now, service) {}
    }

    /// The same for one request. False where there is none, or no worker.
    fn dispatch_next(&mut self, now: Time, service: u32) -> bool {
        let Some((worker, index)) = self.pair(service) else { return false };
        if self.requests[index].deadline <= now {
            self.expire_waiting(now, index);
            return true;
        }
        let asked = self.requests[index].service;
        self.services.take_out(&mut self.requests, index);
        if asked != service {
            // It has had its turn.
            self.services.stand(asked);
            self.services.sit(asked);
        }
        if !self.park(index) {
            self.start_kept(now, index, worker);
        }
        true
    }

    /// The request whose turn it is where this service has free workers, and the worker that it gets:
    /// of those that are free the best for what it asks for, which need not offer this service.
    fn pair(&self, service: u32) -> Option<(PeerId, u32)> {
        let index = self.next_for(service)?;
        let at = self.services.free_worker(self.requests[index].service, self.chance)?;
        Some((self.offers[at].worker, index))
    }

    /// The request whose turn it is at the free workers of this service, and of its backers.
    fn next_for(&self, service: u32) -> Option<u32> {
        if !self.services.contains(service) {
            return None;
        }
        let known = &self.services[service];
        let own = known.waiting.first();
        let backed = known.next_backed().filter(|_| !known.free.is_empty());
        let backed = backed.and_then(|other| self.services[other].waiting.first());
        let since = |index: u32| self.requests[index].waiting_since;
        match (own, backed) {
            (Some(own), Some(backed)) if since(backed) < since(own) => Some(backed),
            (own, backed) => own.or(backed),
        }
    }

    /// The worker that a request gets that has just come, if one is free.
    pub(super) fn free_worker(&self, service: u32, target: Option<PeerId>) -> Option<PeerId> {
        match target {
            Some(id) => self.peers.worker_ref(id).filter(|worker| worker.listed).map(|_| id),
            None => {
                let at = self.services.free_worker(service, self.chance)?;
                Some(self.offers[at].worker)
            }
        }
    }

    /// Gives a request that has waited to a worker.
    pub(super) fn start_kept(&mut self, now: Time, index: u32, worker: PeerId) {
        let again = self.may_come_back(index, worker);
        let (options, body) = match again {
            true => self.requests[index].body.both(),
            false => self.requests.give_up(index),
        };
        self.start(now, index, worker, options, body);
    }

    /// Gives a request that has just come to a worker that is free.
    pub(super) fn start_fresh(
        &mut self,
        now: Time,
        index: u32,
        worker: PeerId,
        options: Bytes,
        body: Frames,
    ) {
        if self.may_come_back(index, worker) {
            self.requests.keep(index, &options, &body);
        }
        self.start(now, index, worker, options, body);
    }

    /// Whether a request may have to go to another worker after this one.
    fn may_come_back(&self, index: u32, worker: PeerId) -> bool {
        let rejects = || self.peers.worker_ref(worker).is_some_and(|worker| worker.can.rejects);
        let record = &self.requests[index];
        record.redeliver || record.leads().is_some() || rejects()
    }

    fn start(&mut self, now: Time, index: u32, worker_id: PeerId, options: Bytes, body: Frames) {
        if !self.can_be_read(&body, &options, worker_id) {
            // What stands beside the body is its own, and goes to nobody for those that follow it.
            if !self.can_be_read(&body, &Bytes::new(), worker_id) {
                self.end_followers(index, Outcome::Untranslatable);
            }
            return self.end_loose(index, Outcome::Untranslatable);
        }
        let request_id = self.requests.id(index);
        let record = &mut self.requests[index];
        let busy = self.services[record.service].settings.busy;
        record.state = State::Running(worker_id);
        record.attempts += 1;
        if let Some(rejection) = &mut record.rejection {
            rejection.hopes();
        }
        record.busy_until = now.after(busy);
        if record.leads().is_some() {
            // Those that share its answer may take more than its own client does.
            record.credit = CREDIT_UNLIMITED;
        }
        let (busy_until, attempt) = (record.busy_until, record.attempts);
        // Taken out and put in again: whoever got a request comes later, or not at all.
        let listed = self.unlist(worker_id);
        let worker = self.peers.worker(worker_id).expect("a free worker is there");
        worker.running.push_back(&mut InPlace(&mut self.requests), index);
        worker.given += 1;
        worker.answered = None;
        if listed && worker.has_slot() {
            self.list(worker_id);
        }
        self.started_with(index, busy_until);
        self.followers_start(index);
        self.counters.dispatched += 1;
        let record = &self.requests[index];
        let ends = record.deadline.min(busy_until);
        let service = self.services[record.service].name.clone();
        let command = ToWorker::Request(WorkerRequest {
            address: self.tokens.issue(worker_id, request_id),
            service,
            id: record.id.clone(),
            deadline: (ends < Time::NEVER).then(|| ends.since(now)),
            attempt,
            priority: record.priority,
            credit: record.credit,
            options,
            body,
        });
        self.outputs.push_back(Output::ToWorker { peer: worker_id, command });
        let notice = if attempt == 1 { Notice::Dispatched } else { Notice::Redelivered };
        self.notify(index, notice);
        if self.config.request_events {
            self.outputs.push_back(Output::Event(Event::Dispatched {
                request: request_id,
                worker: worker_id,
                attempt,
            }));
        }
        self.chance = shuffled(self.chance);
    }

    /// Puts a request aside whose turn has come, where its client does not read: a worker that took
    /// it would have to wait for the client. True where it was put aside.
    pub(super) fn park(&mut self, index: u32) -> bool {
        let record = &mut self.requests[index];
        let Some(peer) = self.peers.get_mut(record.client) else { return false };
        let filled = peer.filled;
        if let SideState::Client(client) = &mut peer.side
            && filled
        {
            record.state = State::Parked;
            client.parked.push_back(&mut InPlace(&mut self.requests), index);
            self.set_request_timer(index);
            // Who shares its answer does not wait for its client.
            self.release_followers(index);
        }
        filled
    }

    /// Whether a client does not read.
    pub(super) fn is_filled(&self, client: PeerId) -> bool {
        self.peers.get(client).is_some_and(|peer| peer.filled)
    }

    /// It is the turn again of requests that were put aside: their client reads.
    pub(super) fn unpark(&mut self, now: Time, client: PeerId) {
        let mut services = Vec::new();
        let mut rejected = Vec::new();
        let mut targets = Vec::new();
        // The last goes to the front first, so that all stand there in their order.
        while let Some(state) = self.peers.client(client)
            && let Some(index) = state.parked.last()
        {
            state.parked.remove(&mut InPlace(&mut self.requests), index);
            let record = &self.requests[index];
            targets.extend(record.target);
            if record.rejection.is_some() {
                self.requests[index].state = State::Loose;
                rejected.push(index);
            } else if record.target.is_some() {
                self.rejoin(now, index);
            } else {
                services.push(record.service);
                self.goes_to_front(index);
            }
        }
        services.reverse();
        for service in &services {
            self.services.sit(*service);
        }
        for index in rejected.into_iter().rev() {
            self.rejoin(now, index);
        }
        for worker in targets {
            if self.peers.worker_ref(worker).is_some_and(|worker| worker.listed) {
                self.give_targeted(now, worker);
            }
        }
        // What is behind a wildcard is given out there, so that each name has its turn.
        let waiting = services.iter().filter(|service| self.services.contains(**service));
        let backers = waiting.flat_map(|service| &self.services[*service].backers);
        let backers: BTreeSet<u32> = backers.copied().collect();
        for service in backers.into_iter().chain(services) {
            self.dispatch(now, service);
        }
    }

    /// Puts a request that is in no list back where it waited, before all others.
    pub(super) fn rejoin(&mut self, now: Time, index: u32) {
        let record = &self.requests[index];
        if let Some(id) = record.target {
            let service = record.service;
            let serves = self.serves(id, service);
            let Some(worker) = self.peers.worker(id).filter(|_| serves) else {
                // It went meanwhile, or serves something else by now.
                return self.end_loose(index, Outcome::NoSuchWorker);
            };
            worker.targeted.push_front(&mut InPlace(&mut self.requests), index);
            self.requests[index].state = State::Targeted(id);
        } else if record.rejection.is_some() {
            return self.seek_another(now, index);
        } else {
            self.goes_to_front(index);
            return self.services.sit(self.requests[index].service);
        }
        self.set_request_timer(index);
    }

    /// Puts a request before all that wait for its service, which has to sit down then.
    fn goes_to_front(&mut self, index: u32) {
        self.requests[index].state = State::Waiting;
        self.services.push_front(&mut self.requests, index);
        self.set_request_timer(index);
    }

    /// Has a worker take what it can, where it is heard and has a slot.
    pub(super) fn feed(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        let heard = peer.pauses == 0;
        let SideState::Worker(worker) = &peer.side else { return };
        if !heard || worker.offers.is_empty() || worker.listed || !worker.has_slot() {
            return;
        }
        self.give_targeted(now, id);
        if self.peers.worker_ref(id).is_some_and(|worker| !worker.listed && worker.has_slot()) {
            self.list(id);
            self.give_rejected(now, id);
            while let Some(service) = self.longest_waiting(id)
                && self.dispatch_next(now, service)
            {}
        }
    }

    /// Of the services that a free worker offers, the one whose next request has waited longest.
    fn longest_waiting(&self, id: PeerId) -> Option<u32> {
        let worker = self.peers.worker_ref(id).filter(|worker| worker.listed)?;
        let services = worker.offers.iter().map(|at| self.offers[*at].service);
        if let [only] = worker.offers[..] {
            return Some(self.offers[only].service);
        }
        let since =
            |service: u32| self.next_for(service).map(|index| self.requests[index].waiting_since);
        let waiting = services.filter_map(|service| Some((since(service)?, service)));
        waiting.min_by_key(|(since, _)| *since).map(|(_, service)| service)
    }

    /// Gives a worker that got free the requests that want no other.
    fn give_targeted(&mut self, now: Time, id: PeerId) {
        while let Some(worker) = self.peers.worker(id)
            && worker.has_slot()
            && let Some(index) = worker.targeted.first()
        {
            if self.requests[index].deadline <= now {
                self.expire_waiting(now, index);
                continue;
            }
            worker.targeted.remove(&mut InPlace(&mut self.requests), index);
            if !self.park(index) {
                self.start_kept(now, index, id);
            }
        }
    }

    /// Puts a worker among the free ones of its services.
    pub(super) fn list(&mut self, id: PeerId) {
        let load = load(&self.peers, id);
        let Some(worker) = self.peers.worker(id) else { return };
        worker.listed = true;
        for at in &worker.offers {
            let service = self.offers[*at].service;
            self.services[service].free.insert(&mut self.offers, *at, load);
        }
    }

    /// Takes a worker from among the free ones of its services; says whether it was there.
    pub(super) fn unlist(&mut self, id: PeerId) -> bool {
        let Some(worker) = self.peers.worker(id) else { return false };
        if !core::mem::replace(&mut worker.listed, false) {
            return false;
        }
        for at in &worker.offers {
            let service = self.offers[*at].service;
            self.services[service].free.remove(&mut self.offers, *at);
        }
        true
    }

    /// A worker that is among the free ones has more or less in hand: its place there may be another.
    pub(super) fn relist(&mut self, id: PeerId) {
        let Some(worker) = self.peers.worker_ref(id).filter(|worker| worker.listed) else { return };
        let load = load(&self.peers, id);
        for at in &worker.offers {
            let free = &mut self.services[self.offers[*at].service].free;
            if free.balance() == Balance::LeastLoaded {
                free.remove(&mut self.offers, *at);
                free.insert(&mut self.offers, *at, load);
            }
        }
    }

    /// Looks anew at who serves these services: a pattern that may match them has come or gone. The
    /// workers that serve them from now on are fed when all are looked at, so that each has its turn.
    pub(super) fn rebacked(&mut self, now: Time, concerned: Vec<u32>) {
        let mut feeding = BTreeSet::new();
        for service in concerned {
            // What was done for one before may have been the end of this one.
            if !self.services.contains(service) {
                continue;
            }
            let backers = self.services.backers_due(service);
            if backers == self.services[service].backers {
                continue;
            }
            let rejected = self.services.rejected_of(&self.requests, service);
            for index in &rejected {
                self.leave_rejected(*index);
            }
            feeding.extend(&backers);
            self.services.set_backers(now, service, backers);
            for index in rejected {
                self.seek_another(now, index);
            }
        }
        for service in feeding {
            self.dispatch(now, service);
        }
    }

    /// Whether a worker serves this service, by whatever name.
    pub(super) fn serves(&self, worker: PeerId, service: u32) -> bool {
        let serving = self.services.serving(service);
        self.peers.worker_ref(worker).is_some_and(|worker| {
            let mut offered = worker.offers.iter().map(|at| self.offers[*at].service);
            offered.any(|offered| serving.binary_search(&offered).is_ok())
        })
    }

    /// Tells a client how far its request has come, where it wants to hear that, and so do those that
    /// share its answer.
    pub(super) fn notify(&mut self, index: u32, notice: Notice) {
        self.notify_one(index, notice);
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            self.notify_one(follower, notice);
        }
    }

    fn notify_one(&mut self, index: u32, notice: Notice) {
        let record = &self.requests[index];
        if record.notices {
            let (client, id) = (record.client, record.id.clone());
            self.tell_client(client, ToClient::Notice { id, notice });
        }
    }

    /// Arms the timer of a request for what comes next, unless it fires earlier anyway.
    pub(super) fn set_request_timer(&mut self, index: u32) {
        let record = &self.requests[index];
        let due = match record.state {
            State::Waiting | State::Parked | State::Following(_) => {
                let hopes = record.rejection.is_none();
                let soon = self.config.no_worker_wait.filter(|_| hopes);
                let soon = soon.map(|wait| record.waiting_since.after(wait));
                soon.filter(|_| !self.services[record.service].offered_after(record.waiting_since))
                    .map_or(record.deadline, |soon| soon.min(record.deadline))
            }
            State::Targeted(_) | State::Loose => record.deadline,
            State::Rejected => {
                let look_at = record.rejection.as_ref().map(|rejection| rejection.look_at);
                record.deadline.min(look_at.unwrap_or(Time::NEVER))
            }
            State::Running(_) => record.deadline.min(record.busy_until),
            State::Abandoned(_) => record.busy_until,
        };
        let timer = &mut self.requests[index].timer;
        if timer.is_some_and(|timer| self.timers.due(timer) <= due) {
            return;
        }
        if let Some(timer) = timer.take() {
            self.timers.cancel(timer);
        }
        if due < Time::NEVER {
            *timer = Some(self.timers.arm(due, Timer::Request(index)));
        }
    }

    /// A request's timer fired: something may be due, or it was armed for something that has moved.
    pub(super) fn request_due(&mut self, now: Time, index: u32) {
        self.requests[index].timer = None;
        let record = &self.requests[index];
        match record.state {
            State::Waiting
            | State::Parked
            | State::Targeted(_)
            | State::Following(_)
            | State::Loose
            | State::Rejected => self.waiting_due(now, index),
            State::Running(worker) | State::Abandoned(worker) => {
                if record.state.in_progress() && record.deadline <= now {
                    self.end_and_tell_worker(index, Outcome::Expired);
                }
                if self.requests[index].busy_until <= now {
                    return self.overdue(now, worker, index);
                }
                self.set_request_timer(index);
            }
        }
    }

    fn waiting_due(&mut self, now: Time, index: u32) {
        let record = &self.requests[index];
        // What was rejected ends as that, however nobody is there now.
        let unoffered = !matches!(record.state, State::Targeted(_))
            && record.rejection.is_none()
            && self.config.no_worker_wait.is_some_and(|wait| {
                record.waiting_since.after(wait) <= now
                    && !self.services[record.service].offered_after(record.waiting_since)
            });
        if record.deadline <= now || unoffered {
            self.expire_waiting(now, index);
        } else if record.state == State::Rejected {
            self.look_at_rejected(now, index);
        } else {
            self.set_request_timer(index);
        }
    }
}

/// Options in memory that holds nothing else.
pub(super) fn kept(options: &Bytes) -> Bytes {
    if options.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(options) }
}
