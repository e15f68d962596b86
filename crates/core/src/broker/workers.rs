//! What workers say, and what becomes of their requests when they are lost.

use alloc::vec::Vec;

use super::config::SERVICE_NAME_BYTES_MAX;
use super::peers::{SideState, Worker};
use super::replies::Part;
use super::requests::InPlace;
use super::{Broker, Event, Input, LossReason, Offence, Output, Sign, mmi};
use crate::list::List;
use crate::{FromWorker, Label, Outcome, PeerId, Status, Time, ToWorker};

impl Broker {
    pub(super) fn heard_worker(&mut self, now: Time, peer: PeerId, command: FromWorker) {
        match self.peers.get(peer).map(|peer| &peer.side) {
            None => return,
            Some(SideState::Client(_)) => return self.handle(now, Input::Malformed { peer }),
            Some(SideState::Worker(_)) => self.alive(now, peer, Sign::Bytes),
        }
        let Some(Worker { service, can, .. }) = self.peers.worker_ref(peer) else { return };
        let registered = service.is_some();
        match command {
            FromWorker::Ready { .. } if registered && can.ready_again => {}
            FromWorker::Ready { .. } if registered => self.offend(now, peer, Offence::ReadyTwice),
            FromWorker::Ready { service } => self.ready(now, peer, service),
            // Who is not there can go without a word.
            FromWorker::Disconnect => self.lose(now, peer, LossReason::Left),
            // Who was sent away may not know it yet: what it says to a request that it had is late.
            FromWorker::Partial(reply)
            | FromWorker::Final(reply)
            | FromWorker::Failed(reply)
            | FromWorker::Rejected(reply)
                if !registered && self.tokens.verify(peer, &reply.address).is_some() =>
            {
                self.counters.late_replies += 1;
            }
            _ if !registered => self.offend(now, peer, Offence::NotReady),
            FromWorker::Heartbeat(status) => self.worker_heartbeat(now, peer, status),
            FromWorker::Partial(reply) => self.reply(now, peer, Part::Partial, reply),
            FromWorker::Final(reply) => self.reply(now, peer, Part::Final, reply),
            FromWorker::Failed(reply) => self.reply(now, peer, Part::Failed, reply),
            FromWorker::Rejected(reply) => self.reply(now, peer, Part::Rejected, reply),
        }
    }

    fn worker_heartbeat(&mut self, now: Time, id: PeerId, status: Status) {
        let Some(worker) = self.peers.worker(id) else { return };
        let answered = worker.can.heartbeats_answered;
        if status.publish {
            self.directory.wanted();
        }
        if let Some(concurrency) = status.concurrency {
            worker.takes = concurrency;
            match worker.has_slot() {
                true => self.offer(now, id),
                false => _ = self.unlist(id),
            }
        }
        if answered {
            self.tell_worker(id, ToWorker::Heartbeat);
        }
    }

    fn ready(&mut self, now: Time, id: PeerId, name: Label) {
        if self.shut_down {
            return self.tell_worker(id, ToWorker::Disconnect);
        }
        if name.is_empty() || name.len() > SERVICE_NAME_BYTES_MAX {
            return self.offend(now, id, Offence::BadName);
        }
        if name.starts_with(mmi::PREFIX) {
            return self.offend(now, id, Offence::ReservedName);
        }
        let service = self.services.find_or_add(&name, &self.config);
        let concerned = self.services.add_worker(now, service);
        let Some(worker) = self.peers.worker(id) else { return };
        worker.service = Some(service);
        worker.takes = worker.can.concurrency;
        worker.hands_max = self.config.limits.worker_requests_max;
        worker.idle_since = now;
        worker.heartbeat_sent = now;
        self.counters.workers_registered += 1;
        self.directory.changed();
        let event = Event::WorkerRegistered { peer: id, service: name };
        self.outputs.push_back(Output::Event(event));
        self.tell_worker(id, ToWorker::Registered);
        self.arm_life(id);
        self.rebacked(now, concerned);
        self.offer(now, id);
        self.names_offered(now);
    }

    /// A worker is one no longer. Its requests go to others, or end.
    pub(super) fn lose(&mut self, now: Time, id: PeerId, reason: LossReason) {
        self.unlist(id);
        let Some(worker) = self.peers.worker(id) else { return };
        let Some(service) = worker.service.take() else { return };
        if let Some(timer) = worker.life.take() {
            self.timers.cancel(timer);
        }
        let mut running = Vec::with_capacity(worker.running.len());
        let mut at = worker.running.first();
        while let Some(index) = at {
            running.push(index);
            at = List::after(&mut InPlace(&mut self.requests), index);
        }
        worker.running = List::EMPTY;
        worker.looked_at = 0;
        worker.answered = None;
        let name = self.services[service].name.clone();
        let requests = running.len();
        let event = Event::WorkerLost { peer: id, service: name, reason, requests };
        self.outputs.push_back(Output::Event(event));
        self.counters.workers_lost += 1;
        self.directory.changed();
        while let Some(worker) = self.peers.worker(id)
            && let Some(index) = worker.targeted.first()
        {
            self.end_and_tell_worker(index, Outcome::NoSuchWorker);
        }
        let mut asked = Vec::new();
        // Each goes to the front of the queue, so the oldest goes last.
        for index in running.into_iter().rev() {
            if self.requests[index].state.in_progress() {
                asked.push(self.requests[index].service);
            }
            self.after_loss(now, index);
        }
        let concerned = self.services.remove_worker(now, service);
        self.rebacked(now, concerned);
        self.services.forget_unused(service);
        for service in asked {
            self.dispatch(now, service);
        }
    }

    /// Has a worker lost and tells it so.
    pub(super) fn dismiss(&mut self, now: Time, id: PeerId, reason: LossReason) {
        if self.peers.worker(id).is_some_and(|worker| worker.service.is_some()) {
            self.tell_worker(id, ToWorker::Disconnect);
            self.lose(now, id, reason);
        }
    }

    /// Counts a breach of the protocol. A worker is sent away for it; a client, in most dialects,
    /// cannot be told.
    pub(super) fn offend(&mut self, now: Time, id: PeerId, offence: Offence) {
        let Some(peer) = self.peers.get(id) else { return };
        let is_worker = matches!(peer.side, SideState::Worker(_));
        self.counters.offend(offence);
        self.outputs.push_back(Output::Event(Event::Offended { peer: id, offence }));
        if is_worker {
            self.tell_worker(id, ToWorker::Disconnect);
            self.lose(now, id, LossReason::Offence(offence));
        }
    }

    /// A client does not read what this worker feeds it: the worker is not read from until it does.
    /// Where that would hold up others, the client is cut instead.
    pub(super) fn pause_feeder(&mut self, now: Time, client: PeerId, worker: PeerId) {
        if self.peers.client_ref(client).is_none_or(|client| client.feeders.contains(&worker)) {
            return;
        }
        let Some(Worker { running, .. }) = self.peers.worker(worker) else { return };
        let mut at = running.first();
        while let Some(index) = at {
            let record = &self.requests[index];
            if record.state.in_progress()
                && (record.client != client || self.is_shared_beyond(index, client))
            {
                return self.close(now, client, super::CloseReason::SlowReader);
            }
            at = List::after(&mut InPlace(&mut self.requests), index);
        }
        let Some(state) = self.peers.client(client) else { return };
        state.feeders.push(worker);
        self.pause(worker);
    }

    /// Reads again from the workers that fed a client.
    pub(super) fn release_feeders(&mut self, now: Time, client: PeerId) {
        let Some(state) = self.peers.client(client) else { return };
        for worker in core::mem::take(&mut state.feeders) {
            self.unpause(now, worker);
        }
    }

    pub(super) fn tell_worker(&mut self, peer: PeerId, command: ToWorker) {
        self.outputs.push_back(Output::ToWorker { peer, command });
    }
}
