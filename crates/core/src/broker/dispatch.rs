//! Dispatch: assigning queued requests to idle workers.

use super::tables::{Place, Started, Worker, next_draw};
use super::{Broker, Event, Turn};
use crate::{Notice, Outcome, PeerId, RequestView, Time, ToWorkerView, Token, WorkerRequestView};

impl Broker {
    /// Dispatches queued requests until no request or no idle worker is left. This covers the
    /// requests for this service, and those for services that it matches.
    pub(super) fn dispatch(&mut self, turn: &mut Turn<'_>, service: u32) {
        while self.dispatch_next(turn, service) {}
    }

    /// Dispatches one request. Returns false if there is no request or no idle worker.
    fn dispatch_next(&mut self, turn: &mut Turn<'_>, service: u32) -> bool {
        let Some(request) = self.tables.next_for(service) else { return false };
        let record = &self.tables.requests[request];
        let (asked, deadline) = (record.service, record.deadline);
        // The best idle worker for the requested name may be registered for another service.
        let Some(worker) = self.tables.idle_worker(asked, self.draw) else { return false };
        if deadline <= turn.now {
            self.expire(turn, request);
            return true;
        }
        if !self.suspend(turn, request) {
            self.start_waiting(turn, request, worker);
        }
        if asked != service {
            // The requested service has used its round-robin turn.
            self.tables.end_turn(asked);
        }
        true
    }

    /// Returns the idle worker for a request that has just arrived, if there is one.
    #[inline]
    pub(super) fn idle_worker(&self, service: u32, target: Option<PeerId>) -> Option<PeerId> {
        match target {
            Some(id) => self.tables.peers.worker(id).filter(|worker| worker.is_idle()).map(|_| id),
            None => self.tables.idle_worker(service, self.draw),
        }
    }

    /// Dispatches a waiting request to a worker with a free slot.
    pub(super) fn start_waiting(&mut self, turn: &mut Turn<'_>, request: u32, worker: PeerId) {
        self.start(turn, request, worker, None);
    }

    /// Dispatches a request to a worker. A request that has just arrived passes its options and
    /// body in `fresh`; for any other request they are retained.
    #[inline(always)]
    pub(super) fn start(
        &mut self,
        turn: &mut Turn<'_>,
        request: u32,
        worker: PeerId,
        fresh: Option<&RequestView<'_>>,
    ) {
        let (options, body) = match fresh {
            Some(fresh) => (fresh.options, fresh.body),
            None => self.tables.requests[request].content(),
        };
        let Some(peer) = self.tables.peers.get(worker) else { return };
        let limits = &self.config.limits;
        let reader = peer.reader();
        if !reader.takes(body, options, limits) {
            // The options belong to this request only. Coalesced requests do not need them.
            if !reader.takes(body, &[], limits) {
                self.end_all_coalesced(turn, request, Outcome::Untranslatable);
            }
            self.detach(request);
            return self.end_quietly(turn, request, Outcome::Untranslatable);
        }
        // The request may need another worker later, so its content must be retained.
        let record = &self.tables.requests[request];
        let comes_back = record.redeliver
            || record.is_primary()
            || peer.as_worker().is_some_and(|worker| worker.can.rejects);
        if let Some(fresh) = fresh
            && comes_back
        {
            self.tables.requests.retain(request, fresh.options, fresh.body);
        }
        let token = self.tokens.issue(worker, self.tables.requests.id(request));
        let Started { attempt, notices, is_shared, busy_until, due } =
            self.tables.start(request, worker, token.hash(), turn.now);
        self.arm_by(turn.now, request, due);
        if is_shared {
            self.coalesced_start(turn, request, busy_until);
        }
        self.counters.dispatched += 1;
        self.send_request(turn, request, worker, token, fresh);
        if !comes_back {
            self.tables.requests.release(request);
        }
        if notices || is_shared {
            let notice = if attempt == 1 { Notice::Dispatched } else { Notice::Redelivered };
            self.notify(turn, request, notice);
        }
        if self.config.request_events {
            let request = self.tables.requests.id(request);
            turn.out.note(Event::Dispatched { request, worker, attempt });
        }
        self.draw = next_draw(self.draw);
    }

    #[inline(always)]
    fn send_request(
        &self,
        turn: &mut Turn<'_>,
        request: u32,
        worker: PeerId,
        token: Token,
        fresh: Option<&RequestView<'_>>,
    ) {
        let record = &self.tables.requests[request];
        let (options, body) = match fresh {
            Some(fresh) => (fresh.options, fresh.body),
            None => record.content(),
        };
        let ends = record.deadline.min(record.busy_until);
        let view = WorkerRequestView {
            token,
            service: &self.tables.services[record.service].name,
            id: record.id(),
            deadline: (ends < Time::NEVER).then(|| ends.since(turn.now)),
            attempt: record.attempts,
            priority: record.priority,
            credit: record.credit,
            options,
            body,
        };
        turn.out.to_worker(worker, &ToWorkerView::Request(view));
    }

    /// Suspends a request that could be dispatched now, if its client does not read: its worker
    /// would have to wait for the client. Returns true if the request was suspended.
    pub(super) fn suspend(&mut self, turn: &mut Turn<'_>, request: u32) -> bool {
        let client = self.tables.requests[request].client;
        if !self.tables.peers.is_above_high_water(client) {
            return false;
        }
        self.tables.relocate(request, Place::Suspended);
        self.set_request_timer(turn.now, request);
        // Coalesced requests have clients of their own, so they do not wait for this client.
        self.detach_coalesced(request, false);
        true
    }

    /// Dispatches requests to a worker that is not paused and has a free slot.
    pub(super) fn feed(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        let is_read_from = peer.pauses == 0;
        let Some(worker) = peer.as_worker() else { return };
        if !is_read_from
            || worker.registrations().is_empty()
            || worker.is_idle()
            || !worker.has_slot()
        {
            return;
        }
        self.give_targeted(turn, id);
        if self.tables.peers.worker(id).is_some_and(|worker| !worker.is_idle() && worker.has_slot())
        {
            self.tables.set_idle(id);
            self.give_rejected(turn, id);
            while let Some(service) = self.longest_waiting(id)
                && self.dispatch_next(turn, service)
            {}
        }
    }

    /// Returns the service of an idle worker whose next request has waited longest.
    fn longest_waiting(&self, id: PeerId) -> Option<u32> {
        let worker = self.tables.peers.worker(id).filter(|worker| worker.is_idle())?;
        if let [only] = worker.registrations() {
            return Some(self.tables.registrations()[*only].service);
        }
        let services =
            worker.registrations().iter().map(|at| self.tables.registrations()[*at].service);
        let waiting = services.filter_map(|service| {
            let request = self.tables.next_for(service)?;
            Some((self.tables.requests[request].waiting_since, service))
        });
        waiting.min_by_key(|(since, _)| *since).map(|(_, service)| service)
    }

    /// Dispatches the requests that target this worker, as long as it has free slots.
    pub(super) fn give_targeted(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        while let Some(worker) = self.tables.peers.worker(id)
            && worker.has_slot()
            && let Some(request) = worker.first_targeted()
        {
            if self.tables.requests[request].deadline <= turn.now {
                self.expire(turn, request);
            } else if !self.suspend(turn, request) {
                self.start_waiting(turn, request, id);
            }
        }
    }

    /// Dispatches rejected requests to a worker that became idle, except for those that it has
    /// rejected itself.
    pub(super) fn give_rejected(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        while let Some(request) = self.tables.next_rejected(id) {
            let record = &self.tables.requests[request];
            let rejection = record.rest.rejection.as_ref();
            if rejection.is_some_and(|rejection| rejection.by().contains(&id)) {
                continue;
            }
            if record.deadline <= turn.now {
                self.expire(turn, request);
            } else if !self.suspend(turn, request) {
                self.start_waiting(turn, request, id);
            }
        }
    }

    /// Removes a request from its list.
    pub(super) fn detach(&mut self, request: u32) {
        if self.tables.requests[request].place() != Place::Detached {
            self.tables.relocate(request, Place::Detached);
        }
    }

    /// Returns true if a worker is idle, so that requests can be dispatched to it at once.
    pub(super) fn is_idle(&self, worker: PeerId) -> bool {
        self.tables.peers.worker(worker).is_some_and(Worker::is_idle)
    }
}
