//! What workers say, and what becomes of their requests when they are lost.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem::take;

use smallvec::SmallVec;

use super::config::SERVICE_NAME_BYTES_MAX;
use super::offers::{Offer, load};
use super::peers::{SideState, Worker};
use super::replies::Part;
use super::requests::InPlace;
use super::{Broker, Event, Input, LossReason, Offence, Output, Sign, mmi};
use crate::list::List;
use crate::{FromWorker, Label, Outcome, PeerId, Status, Time, ToWorker, WorkerReply};

impl Broker {
    pub(super) fn heard_worker(&mut self, now: Time, peer: PeerId, command: &mut FromWorker) {
        let Some(known) = self.peers.get(peer) else { return };
        let unheard = known.is_unheard();
        match known.side {
            SideState::Client(_) => return self.handle(now, Input::Malformed { peer }),
            SideState::Worker(_) => self.alive(now, peer, Sign::Bytes),
        }
        if let FromWorker::Hello(hello) = command {
            return self.greeted(now, peer, *hello);
        }
        if unheard {
            return self.note_offence(peer, Offence::NotReady);
        }
        let Some(Worker { registered, can, .. }) = self.peers.worker_ref(peer) else { return };
        let (registered, can) = (*registered, *can);
        match command {
            FromWorker::Hello(_) => {}
            FromWorker::Ready { service } if registered && can.several_services => {
                self.ready(now, peer, take(service));
            }
            FromWorker::Ready { .. } if registered && can.ready_again => {}
            FromWorker::Ready { .. } if registered => self.offend(now, peer, Offence::ReadyTwice),
            FromWorker::Ready { service } => self.ready(now, peer, take(service)),
            FromWorker::Withdraw { .. } if !can.several_services => {
                self.offend(now, peer, Offence::Malformed);
            }
            FromWorker::Withdraw { service } => self.withdraw(now, peer, service),
            // Who is not there can go without a word.
            FromWorker::Disconnect => {
                self.forget_greeting(peer);
                self.lose(now, peer, LossReason::Left);
            }
            // Who was sent away may not know it yet: what it says to a request that it had is late.
            FromWorker::Partial(WorkerReply { address, .. })
            | FromWorker::Final(WorkerReply { address, .. })
            | FromWorker::Failed(WorkerReply { address, .. })
            | FromWorker::Rejected(WorkerReply { address, .. })
            | FromWorker::AtWork { address }
                if !registered && self.tokens.verify(peer, address).is_some() =>
            {
                self.counters.late_replies += 1;
            }
            FromWorker::Heartbeat(status) if can.greets => {
                self.worker_heartbeat(now, peer, *status);
            }
            _ if !registered => self.offend(now, peer, Offence::NotReady),
            FromWorker::Heartbeat(status) => self.worker_heartbeat(now, peer, *status),
            FromWorker::Partial(reply) => self.reply(now, peer, Part::Partial, reply),
            FromWorker::Final(reply) => self.reply(now, peer, Part::Final, reply),
            FromWorker::Failed(reply) => self.reply(now, peer, Part::Failed, reply),
            FromWorker::Rejected(reply) => self.reply(now, peer, Part::Rejected, reply),
            FromWorker::AtWork { address } => self.at_work(now, peer, address),
        }
    }

    fn worker_heartbeat(&mut self, now: Time, id: PeerId, status: Status) {
        let Some(worker) = self.peers.worker(id) else { return };
        let (answered, greets) = (worker.can.heartbeats_answered, worker.can.greets);
        if status.publish {
            self.directory.wanted();
        }
        if let Some(concurrency) = status.concurrency {
            worker.takes = concurrency;
            match worker.has_slot() {
                true => self.feed(now, id),
                false => _ = self.unlist(id),
            }
            if greets {
                self.tell_worker(id, ToWorker::Capacity { concurrency });
            }
        }
        if answered {
            self.tell_worker(id, ToWorker::Heartbeat);
        }
    }

    fn ready(&mut self, now: Time, id: PeerId, name: Label) {
        if self.shut_down {
            return self.send_worker_away(now, id, LossReason::ShutDown);
        }
        if name.is_empty() || name.len() > SERVICE_NAME_BYTES_MAX {
            return self.offend(now, id, Offence::BadName);
        }
        if name.starts_with(mmi::PREFIX) {
            return self.offend(now, id, Offence::ReservedName);
        }
        if self.own_offer(id, &name).is_some() {
            return self.tell_registered(id, name);
        }
        let Some(worker) = self.peers.worker_ref(id) else { return };
        let limits = &self.config.limits;
        if worker.offers.len() >= limits.worker_services_max.max(1) {
            return self.offend(now, id, Offence::TooManyServices);
        }
        if self.offers.len() >= limits.offers_max.max(1) {
            return self.offend(now, id, Offence::TooManyOffers);
        }
        let service = self.services.find_or_add(&name, &self.config);
        let concerned = self.services.add_worker(now, service, self.config.limits.accounts_max);
        let (at, _) = self.offers.insert(Offer::new(id, service));
        let load = load(&self.peers, id);
        let Some(worker) = self.peers.worker(id) else { return };
        worker.offers.push(at);
        let listed = worker.listed;
        if listed {
            self.services[service].free.insert(&mut self.offers, at, load);
        }
        if !core::mem::replace(&mut worker.registered, true) {
            if !worker.can.greets {
                worker.takes = worker.can.concurrency;
            }
            worker.hands_max = self.config.limits.worker_requests_max;
            worker.idle_since = now;
            worker.heartbeat_sent = now;
            self.counters.workers_registered += 1;
            self.arm_life(id);
        }
        self.directory.changed();
        let event = Event::WorkerRegistered { peer: id, service: name.clone() };
        self.outputs.push_back(Output::Event(event));
        self.tell_registered(id, name);
        self.rebacked(now, concerned);
        match listed {
            true => {
                self.give_rejected(now, id);
                self.dispatch(now, service);
            }
            false => self.feed(now, id),
        }
        self.names_offered(now);
    }

    fn tell_registered(&mut self, id: PeerId, service: Label) {
        let worker = Label::from(self.peers.name_of(id).as_str());
        self.tell_worker(id, ToWorker::Registered { service, worker });
    }

    /// The offer by which a worker serves exactly this name.
    fn own_offer(&self, id: PeerId, name: &Label) -> Option<u32> {
        let service = self.services.find(name)?;
        let worker = self.peers.worker_ref(id)?;
        worker.offers.iter().copied().find(|at| self.offers[*at].service == service)
    }

    /// A worker offers this no longer, or nothing at all where it names nothing. What it has in hand
    /// stays with it.
    fn withdraw(&mut self, now: Time, id: PeerId, name: &Label) {
        let one = self.own_offer(id, name);
        if one.is_none() && !name.is_empty() {
            return;
        }
        let listed = self.unlist(id);
        let Some(worker) = self.peers.worker(id) else { return };
        let withdrawn = match one {
            Some(one) => {
                worker.offers.retain(|at| *at != one);
                SmallVec::from([one])
            }
            None => take(&mut worker.offers),
        };
        if listed && !worker.offers.is_empty() {
            self.list(id);
        }
        for at in &withdrawn {
            let service = self.services[self.offers[*at].service].name.clone();
            self.outputs.push_back(Output::Event(Event::WorkerWithdrew { peer: id, service }));
        }
        self.no_longer_offered(now, &withdrawn);
        self.end_unserved(id);
    }

    /// Ends those that ask for this worker and for what it does not serve, or no longer.
    fn end_unserved(&mut self, id: PeerId) {
        let mut served = BTreeMap::new();
        let mut at = self.peers.worker_ref(id).and_then(|worker| worker.targeted.first());
        while let Some(index) = at {
            at = List::after(&mut InPlace(&mut self.requests), index);
            let service = self.requests[index].service;
            if !*served.entry(service).or_insert_with(|| self.serves(id, service)) {
                self.end_and_tell_worker(index, Outcome::NoSuchWorker);
            }
        }
    }

    /// Offers are over, of a worker that stands among the free ones with them no more. Only when all
    /// of them are is anything done about it, so that nobody hopes for one that is next.
    fn no_longer_offered(&mut self, now: Time, offers: &[u32]) {
        let services: Vec<u32> = offers.iter().map(|at| self.offers[*at].service).collect();
        for at in offers {
            self.offers.remove(*at);
            self.directory.changed();
        }
        let concerned = self.services.remove_workers(now, &services);
        self.rebacked(now, concerned);
        for service in services {
            self.services.forget_unused(service);
        }
    }

    /// A worker is one no longer. Its requests go to others, or end.
    pub(super) fn lose(&mut self, now: Time, id: PeerId, reason: LossReason) {
        self.unlist(id);
        let Some(worker) = self.peers.worker(id) else { return };
        if !core::mem::replace(&mut worker.registered, false) {
            return;
        }
        let offers = take(&mut worker.offers);
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
        worker.answered = None;
        let name = |at: &u32| self.services[self.offers[*at].service].name.clone();
        let services = offers.iter().map(name).collect();
        let requests = running.len();
        let event = Event::WorkerLost { peer: id, services, reason, requests };
        self.outputs.push_back(Output::Event(event));
        self.counters.workers_lost += 1;
        self.end_unserved(id);
        let mut asked = Vec::new();
        // Each goes to the front of the queue, so the oldest goes last.
        for index in running.into_iter().rev() {
            if self.requests[index].state.in_progress() {
                asked.push(self.requests[index].service);
            }
            self.after_loss(now, index);
        }
        self.no_longer_offered(now, &offers);
        for service in asked {
            self.dispatch(now, service);
        }
    }

    /// Has a worker lost and tells it so. One that was welcomed hears of it even if it offers nothing.
    pub(super) fn dismiss(&mut self, now: Time, id: PeerId, reason: LossReason) {
        let greeted = self.peers.get(id).is_some_and(|peer| peer.greeted);
        if self.peers.worker(id).is_some_and(|worker| worker.registered || greeted) {
            self.send_worker_away(now, id, reason);
        }
    }

    fn send_worker_away(&mut self, now: Time, id: PeerId, reason: LossReason) {
        self.forget_greeting(id);
        self.tell_worker(id, ToWorker::Disconnect(reason.farewell()));
        self.lose(now, id, reason);
    }

    /// Counts a breach of the protocol. A worker is sent away for it, and so is a client where it
    /// can be told; in most dialects it cannot.
    pub(super) fn offend(&mut self, now: Time, id: PeerId, offence: Offence) {
        let Some(peer) = self.peers.get(id) else { return };
        let is_worker = matches!(peer.side, SideState::Worker(_));
        let unheard = peer.is_unheard();
        self.note_offence(id, offence);
        if is_worker && !unheard {
            self.send_worker_away(now, id, LossReason::Offence(offence));
        } else if !unheard {
            self.send_client_away(now, id, offence.farewell());
        }
    }

    pub(super) fn note_offence(&mut self, id: PeerId, offence: Offence) {
        self.counters.offend(offence);
        self.outputs.push_back(Output::Event(Event::Offended { peer: id, offence }));
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
        for worker in take(&mut state.feeders) {
            self.unpause(now, worker);
        }
    }

    pub(super) fn tell_worker(&mut self, peer: PeerId, command: ToWorker) {
        self.outputs.push_back(Output::ToWorker { peer, command });
    }
}
