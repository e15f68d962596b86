//! What workers say, and what becomes of their requests when they are lost.

use alloc::vec::Vec;

use super::config::{FRAME_BYTES, PART_BYTES, SERVICE_NAME_BYTES_MAX};
use super::peers::{SideState, Worker};
use super::requests::{InPlace, State};
use super::{Broker, Event, Input, LossReason, Offence, Output, Sign, mmi};
use crate::list::List;
use crate::{
    Frames, FromWorker, Label, Outcome, PeerId, Reply, Time, Timeout, ToClient, ToWorker,
    WorkerReply,
};

/// What a reply is, for its client.
enum Part {
    Partial,
    Final,
    Failed,
}

impl Broker {
    pub(super) fn heard_worker(&mut self, now: Time, peer: PeerId, command: FromWorker) {
        match self.peers.get(peer).map(|peer| &peer.side) {
            None => return,
            Some(SideState::Client(_)) => return self.handle(now, Input::Malformed { peer }),
            Some(SideState::Worker(_)) => self.alive(now, peer, Sign::Bytes),
        }
        let registered = self.peers.worker(peer).is_some_and(|worker| worker.service.is_some());
        match command {
            FromWorker::Ready { .. } if registered => self.offend(now, peer, Offence::ReadyTwice),
            FromWorker::Ready { service } => self.ready(now, peer, service),
            // Who is not there can go without a word.
            FromWorker::Disconnect => self.lose(now, peer, LossReason::Left),
            // Who was sent away may not know it yet: what it says to a request that it had is late.
            FromWorker::Partial(reply) | FromWorker::Final(reply) | FromWorker::Failed(reply)
                if !registered && self.tokens.verify(peer, &reply.address).is_some() =>
            {
                self.counters.late_replies += 1;
            }
            _ if !registered => self.offend(now, peer, Offence::NotReady),
            FromWorker::Heartbeat => {}
            FromWorker::Partial(reply) => self.reply(now, peer, Part::Partial, reply),
            FromWorker::Final(reply) => self.reply(now, peer, Part::Final, reply),
            FromWorker::Failed(reply) => self.reply(now, peer, Part::Failed, reply),
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
        self.services.add_worker(service);
        let Some(worker) = self.peers.worker(id) else { return };
        worker.service = Some(service);
        worker.idle_since = now;
        worker.heartbeat_sent = now;
        self.counters.workers_registered += 1;
        let event = Event::WorkerRegistered { peer: id, service: name };
        self.outputs.push_back(Output::Event(event));
        self.arm_life(id);
        self.offer(now, id);
        self.offered(now, service);
    }

    fn reply(&mut self, now: Time, worker: PeerId, part: Part, reply: WorkerReply) {
        let Some(request) = self.tokens.verify(worker, &reply.address) else {
            return self.offend(now, worker, Offence::ForgedReply);
        };
        // It was given this token once. What it says is late where the request has ended, or is
        // another's by now.
        let Some(index) = self.requests.find(request) else {
            return self.counters.late_replies += 1;
        };
        if !reply.id.is_empty() && reply.id != self.requests[index].id {
            return self.offend(now, worker, Offence::ForgedReply);
        }
        if self.requests[index].state == State::Running(worker)
            && self.requests[index].deadline <= now
        {
            self.end_and_tell_worker(index, Outcome::Expired);
        }
        match self.requests[index].state {
            State::Running(at) if at == worker => match part {
                Part::Partial => self.partial_reply(now, index, reply.body),
                Part::Final => self.final_reply(now, index, Outcome::Replied, reply.body),
                Part::Failed => self.final_reply(now, index, Outcome::Failed, reply.body),
            },
            State::Abandoned(at) if at == worker => {
                self.counters.late_replies += 1;
                if !matches!(part, Part::Partial) {
                    self.free_slot(now, index);
                }
            }
            _ => self.counters.late_replies += 1,
        }
    }

    fn partial_reply(&mut self, now: Time, index: u32, body: Frames) {
        let record = &mut self.requests[index];
        if let Timeout::After(span) = record.timeout
            && !span.is_zero()
        {
            record.deadline = now.after(span);
        }
        let client = record.client;
        let takes_parts =
            self.peers.client(client).is_some_and(|client| client.can.partial_replies);
        let record = &mut self.requests[index];
        if takes_parts {
            record.part_sent = true;
            let service = self.services[record.service].name.clone();
            let reply = Reply { service, id: record.id.clone(), body };
            self.counters.partials += 1;
            return self.tell_client(client, ToClient::Partial(reply));
        }
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        record.collected_bytes += cost;
        record.collected.push(body.detached());
        let (collected, charged) = (record.collected_bytes, record.charged + cost);
        self.recharge(index, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max || self.requests.bytes() > limits.request_bytes_max {
            self.end_and_tell_worker(index, Outcome::Failed);
        }
    }

    fn final_reply(&mut self, now: Time, index: u32, outcome: Outcome, mut body: Frames) {
        let record = &mut self.requests[index];
        if outcome == Outcome::Replied && !record.collected.is_empty() {
            if record.collected_bytes + body.bytes() > self.config.limits.reply_bytes_max {
                return self.final_reply(now, index, Outcome::Failed, Frames::empty());
            }
            record.collected.push(body);
            body = Frames::joined(&record.collected);
        }
        if outcome == Outcome::Replied {
            let record = &mut self.requests[index];
            let service = self.services[record.service].name.clone();
            let reply = Reply { service, id: core::mem::take(&mut record.id), body };
            let client = record.client;
            self.tell_client(client, ToClient::Final(reply));
        } else {
            self.tell_failure(index, outcome, body);
        }
        self.end_answered(now, index, outcome);
    }

    /// A worker is one no longer. Its requests go to others, or end.
    pub(super) fn lose(&mut self, now: Time, id: PeerId, reason: LossReason) {
        self.withdraw(id);
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
        let name = self.services[service].name.clone();
        let requests = running.len();
        let event = Event::WorkerLost { peer: id, service: name, reason, requests };
        self.outputs.push_back(Output::Event(event));
        self.counters.workers_lost += 1;
        // Each goes to the front of the queue, so the oldest goes last.
        for index in running.into_iter().rev() {
            self.after_loss(now, index);
        }
        self.services.remove_worker(now, service);
        self.services.forget_unused(service);
        self.dispatch(now, service);
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
            if record.state.in_progress() && record.client != client {
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
