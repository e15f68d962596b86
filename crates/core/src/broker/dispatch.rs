//! Bringing requests and free workers together.

use alloc::vec::Vec;

use super::peers::{InFree, SideState, Worker};
use super::requests::{InPlace, State};
use super::{Broker, Event, Output, Timer};
use crate::frames::Retained;
use crate::{Frames, PeerId, Time, Timeout, ToWorker, WorkerRequest};

impl Broker {
    /// Puts a request that has just come at the end of its service's queue.
    pub(super) fn wait(&mut self, now: Time, index: u32) {
        let service = self.requests[index].service;
        self.services[service].waiting.push_back(&mut InPlace(&mut self.requests), index);
        if self.requests[index].deadline <= now {
            // Its client wanted a worker that is free at once, and none is.
            self.expire_waiting(index);
        } else {
            self.set_request_timer(index);
        }
    }

    /// Gives waiting requests to free workers until one of the two runs out.
    pub(super) fn dispatch(&mut self, now: Time, service: u32) {
        while self.services.contains(service)
            && let Some(worker) = self.services[service].free.first()
            && let Some(index) = self.services[service].waiting.first()
        {
            if self.requests[index].deadline <= now {
                self.expire_waiting(index);
                continue;
            }
            self.services[service].waiting.remove(&mut InPlace(&mut self.requests), index);
            if self.park(index) {
                continue;
            }
            let record = &mut self.requests[index];
            let body = record.body.frames();
            if !record.redeliver {
                record.body = Retained::NOTHING;
            }
            let worker = self.peers.id_at(worker);
            self.start(now, index, worker, body);
        }
    }

    /// Gives a request that has just come to a worker; the service has a free one.
    pub(super) fn dispatch_fresh(&mut self, now: Time, index: u32, body: Frames) {
        let service = self.requests[index].service;
        let first = self.services[service].free.first().expect("a worker is free");
        let worker = self.peers.id_at(first);
        self.start(now, index, worker, body);
    }

    fn start(&mut self, now: Time, index: u32, worker_id: PeerId, body: Frames) {
        let request_id = self.requests.id(index);
        let record = &mut self.requests[index];
        let service = &mut self.services[record.service];
        record.state = State::Running(worker_id);
        record.attempts += 1;
        record.busy_until = now.after(service.timings.busy);
        match record.timeout {
            Timeout::OfService => record.deadline = record.busy_until,
            Timeout::After(span) if span.is_zero() => record.deadline = Time::NEVER,
            Timeout::After(_) | Timeout::Never => {}
        }
        let attempt = record.attempts;
        let command = ToWorker::Request(WorkerRequest {
            address: self.tokens.issue(worker_id, request_id),
            service: service.name.clone(),
            id: record.id.clone(),
            body,
        });
        // Least recently used: whoever got a request is the last to get the next.
        service.free.remove(&mut InFree(&mut self.peers), worker_id.index);
        let worker = self.peers.worker(worker_id).expect("a free worker is there");
        worker.running.push_back(&mut InPlace(&mut self.requests), index);
        worker.listed = worker.has_slot();
        if worker.listed {
            service.free.push_back(&mut InFree(&mut self.peers), worker_id.index);
        }
        self.set_request_timer(index);
        self.counters.dispatched += 1;
        self.outputs.push_back(Output::ToWorker { peer: worker_id, command });
        if self.config.request_events {
            self.outputs.push_back(Output::Event(Event::Dispatched {
                request: request_id,
                worker: worker_id,
                attempt,
            }));
        }
    }

    /// Puts a request aside whose turn has come, where its client does not read: a worker that took
    /// it would have to wait for the client. True where it was put aside.
    fn park(&mut self, index: u32) -> bool {
        let record = &mut self.requests[index];
        let Some(peer) = self.peers.get_mut(record.client) else { return false };
        let filled = peer.filled.is_some();
        if let SideState::Client(client) = &mut peer.side
            && filled
        {
            record.state = State::Parked;
            client.parked.push_back(&mut InPlace(&mut self.requests), index);
        }
        filled
    }

    /// It is the turn again of requests that were put aside: their client reads.
    pub(super) fn unpark(&mut self, now: Time, client: PeerId) {
        let mut services = Vec::new();
        // The last goes to the front first, so that all stand there in their order.
        while let Some(state) = self.peers.client(client)
            && let Some(index) = state.parked.last()
        {
            state.parked.remove(&mut InPlace(&mut self.requests), index);
            let record = &mut self.requests[index];
            record.state = State::Waiting;
            let service = record.service;
            services.push(service);
            self.services[service].waiting.push_front(&mut InPlace(&mut self.requests), index);
        }
        for service in services {
            self.dispatch(now, service);
        }
    }

    /// Puts a worker among the free ones of its service, where it belongs there and is not.
    pub(super) fn offer(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let heard = peer.pauses == 0;
        let SideState::Worker(worker) = &mut peer.side else { return };
        let Worker { service: Some(service), listed: false, .. } = *worker else { return };
        if !heard || !worker.has_slot() {
            return;
        }
        worker.listed = true;
        self.services[service].free.push_back(&mut InFree(&mut self.peers), id.index);
        self.dispatch(now, service);
    }

    /// Takes a worker from among the free ones of its service.
    pub(super) fn withdraw(&mut self, id: PeerId) {
        let Some(worker) = self.peers.worker(id) else { return };
        if let Worker { service: Some(service), listed: true, .. } = *worker {
            worker.listed = false;
            self.services[service].free.remove(&mut InFree(&mut self.peers), id.index);
        }
    }

    /// Arms the timer of a request for what comes next, unless it fires earlier anyway.
    pub(super) fn set_request_timer(&mut self, index: u32) {
        let record = &self.requests[index];
        let due = match record.state {
            State::Waiting | State::Parked => {
                let soon = self.config.no_worker_wait.map(|wait| record.waiting_since.after(wait));
                soon.filter(|_| !self.services[record.service].offered_after(record.waiting_since))
                    .map_or(record.deadline, |soon| soon.min(record.deadline))
            }
            State::Running(_) => record.deadline.min(record.busy_until),
            State::Abandoned(_) => record.busy_until,
        };
        let record = &mut self.requests[index];
        if record.timer.is_some() && record.timer_due <= due {
            return;
        }
        if let Some(timer) = record.timer.take() {
            self.timers.cancel(timer);
        }
        if due < Time::NEVER {
            record.timer = Some(self.timers.arm(due, Timer::Request(index)));
            record.timer_due = due;
        }
    }

    /// A request's timer fired: something may be due, or it was armed for something that has moved.
    pub(super) fn request_due(&mut self, now: Time, index: u32) {
        self.requests[index].timer = None;
        if let State::Waiting | State::Parked = self.requests[index].state {
            let record = &self.requests[index];
            let unoffered = self.config.no_worker_wait.is_some_and(|wait| {
                record.waiting_since.after(wait) <= now
                    && !self.services[record.service].offered_after(record.waiting_since)
            });
            if record.deadline <= now || unoffered {
                return self.expire_waiting(index);
            }
            return self.set_request_timer(index);
        }
        if let State::Running(_) = self.requests[index].state
            && self.requests[index].deadline <= now
        {
            self.end_and_tell_worker(index, crate::Outcome::Expired);
        }
        let record = &self.requests[index];
        if let State::Running(worker) | State::Abandoned(worker) = record.state
            && record.busy_until <= now
        {
            return self.overdue(now, worker, index);
        }
        self.set_request_timer(index);
    }
}
