//! Departures: lost workers, disconnecting clients, and connections that the broker closes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem::{replace, take};

use super::statistics::End;
use super::tables::{Claim, Deferred, Limit, Place, Record, SideState};
use super::{Action, Broker, CloseReason, Event, LossReason, PeerViolation, Turn};
use crate::{DisconnectReason, Outcome, PeerId, ToClientView, ToWorkerView};

impl Broker {
    /// Ends a worker's registrations. Its requests are redelivered or end.
    pub(super) fn lose(&mut self, turn: &mut Turn<'_>, id: PeerId, reason: LossReason) {
        let Some(worker) = self.tables.peers.worker_mut(id) else { return };
        if !replace(&mut worker.registered, false) {
            return;
        }
        worker.last_answered = None;
        if let Some(timer) = worker.liveness_timer.take() {
            self.timers.cancel(timer);
        }
        let registrations = self.tables.unregister(id, None);
        let in_flight = self.tables.in_flight(id);
        let name =
            |at: &u32| self.tables.services[self.tables.registrations()[*at].service].name.clone();
        let services = registrations.iter().map(name).collect();
        turn.out.note(Event::WorkerLost { peer: id, services, reason, requests: in_flight.len() });
        self.counters.workers_lost += 1;
        self.end_unserved(turn, id);
        // Each request goes to the front of its queue, so the oldest request goes last.
        let mut requeued = Vec::new();
        for request in in_flight.into_iter().rev() {
            let Record { service, .. } = self.tables.requests[request];
            if self.after_loss(turn, request) {
                requeued.push(service);
            }
        }
        self.end_registrations(turn, &registrations);
        // Services behind a pattern are dispatched after it, so that each name gets its round-robin
        // turn.
        for service in requeued {
            self.dispatch_soon(service);
        }
    }

    /// Ends the requests that target this worker for a service that it does not serve, or no longer
    /// serves.
    pub(super) fn end_unserved(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let mut served = BTreeMap::new();
        for request in self.tables.targeted(id) {
            let service = self.tables.requests[request].service;
            let is_served =
                served.entry(service).or_insert_with(|| self.tables.serves(id, service));
            if !*is_served {
                self.end(turn, request, Outcome::NoSuchWorker);
            }
        }
    }

    /// Ends registrations that were removed from their worker. Requests are rematched only after
    /// all of them have ended, so that no request waits for a registration that ends next.
    pub(super) fn end_registrations(&mut self, turn: &mut Turn<'_>, registrations: &[u32]) {
        if registrations.is_empty() {
            return;
        }
        self.directory.changed();
        let (services, concerned) = self.tables.end_registrations(turn.now, registrations);
        self.rematch(turn, concerned);
        for service in services {
            self.tables.forget_unused(service);
        }
    }

    /// Ends a client's deferred request.
    pub(super) fn end_deferred(&mut self, client: PeerId, outcome: Outcome) {
        let Some(Deferred { request, limit }) = self.tables.undefer(client) else { return };
        self.count_unadmitted(&request.service, End::As(outcome));
        // A request behind the deferred one may fit although the deferred one did not.
        let service = match limit {
            Limit::Service(service) => Some(service),
            _ => None,
        };
        self.admit_soon(service, None);
    }

    /// Ends all requests of a client that disconnected.
    pub(super) fn client_gone(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        self.end_deferred(id, Outcome::ClientGone);
        // Coalesced requests end first, so that none of them succeeds an ended primary.
        for request in self.tables.of_client(id) {
            if let Place::Coalesced(_) = self.tables.requests[request].place() {
                self.end(turn, request, Outcome::ClientGone);
            }
        }
        while let Some(first) =
            self.tables.peers.client(id).and_then(|client| client.first_request())
        {
            self.end(turn, first, Outcome::ClientGone);
        }
        self.resume_workers_of(turn, id);
    }

    /// Disconnects a client, if its dialect has a disconnect message.
    pub(super) fn send_client_away(
        &mut self,
        turn: &mut Turn<'_>,
        id: PeerId,
        why: DisconnectReason,
    ) {
        if self.tables.peers.get(id).is_some_and(|peer| peer.handshake_done) {
            self.undo_handshake(id);
            turn.out.to_client(id, &ToClientView::Disconnect(why));
            self.client_gone(turn, id);
        }
    }

    /// Disconnects a worker and ends its registrations. A worker with a completed handshake
    /// receives the disconnect even if it is not registered.
    pub(super) fn dismiss(&mut self, turn: &mut Turn<'_>, id: PeerId, reason: LossReason) {
        let handshake_done = self.tables.peers.get(id).is_some_and(|peer| peer.handshake_done);
        let worker = self.tables.peers.worker(id);
        if worker.is_some_and(|worker| worker.registered || handshake_done) {
            self.send_worker_away(turn, id, reason);
        }
    }

    pub(super) fn send_worker_away(&mut self, turn: &mut Turn<'_>, id: PeerId, reason: LossReason) {
        self.undo_handshake(id);
        turn.out.to_worker(id, &ToWorkerView::Disconnect(reason.disconnect_reason()));
        self.lose(turn, id, reason);
    }

    /// Records a protocol violation. Disconnects a worker, and also a client if its dialect has a
    /// disconnect message. Most dialects have none for clients.
    pub(super) fn violate(&mut self, turn: &mut Turn<'_>, id: PeerId, violation: PeerViolation) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        let is_worker = matches!(peer.side, SideState::Worker(_));
        let pending = peer.handshake_pending();
        self.record_violation(turn, id, violation);
        if is_worker && !pending {
            self.send_worker_away(turn, id, LossReason::PeerViolation(violation));
        } else if !pending {
            self.send_client_away(turn, id, violation.disconnect_reason());
        }
    }

    pub(super) fn record_violation(
        &mut self,
        turn: &mut Turn<'_>,
        id: PeerId,
        violation: PeerViolation,
    ) {
        self.counters.offend(violation);
        turn.out.note(Event::Violated { peer: id, violation });
    }

    /// Removes a peer whose connection closed.
    pub(super) fn disconnected(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        match peer.side {
            SideState::Client(_) => self.client_gone(turn, id),
            SideState::Worker(_) => self.lose(turn, id, LossReason::Gone),
        }
        let Some(peer) = self.tables.remove_peer(id) else { return };
        if let Some(timer) = peer.stall_timer {
            self.timers.cancel(timer);
        }
        match peer.identity_claim {
            Claim::Settled => {}
            Claim::ChallengedBy(claimant) => self.agenda.inherit(claimant),
            Claim::WaitsFor(owner, timer) => {
                if let Some(timer) = timer {
                    self.timers.cancel(timer);
                }
                if let Some(owner) = self.tables.peers.get_mut(owner) {
                    owner.identity_claim = Claim::Settled;
                }
            }
        }
    }

    /// Closes a peer's connection.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>, id: PeerId, reason: CloseReason) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        if peer.requires_handshake() && reason == CloseReason::IdentityInUse {
            let why = DisconnectReason::IdentityInUse;
            match peer.side {
                SideState::Client(_) => turn.out.to_client(id, &ToClientView::Disconnect(why)),
                SideState::Worker(_) => turn.out.to_worker(id, &ToWorkerView::Disconnect(why)),
            }
        }
        self.counters.close(reason);
        self.disconnected(turn, id);
        turn.out.act(id, Action::Close(reason));
    }

    /// Shuts the broker down: ends all requests and disconnects all peers.
    pub(super) fn shutdown(&mut self, turn: &mut Turn<'_>) {
        self.shut_down = true;
        for request in self.tables.requests.indices() {
            if self.tables.requests.contains(request)
                && self.tables.requests[request].place().in_progress()
            {
                self.end_quietly(turn, request, Outcome::ShutDown);
            }
        }
        for id in self.tables.peers.ids().collect::<Vec<_>>() {
            self.end_deferred(id, Outcome::ShutDown);
            self.dismiss(turn, id, LossReason::ShutDown);
            self.send_client_away(turn, id, DisconnectReason::ShutDown);
        }
    }

    /// Requires a peer that disconnects, or is disconnected, to complete its handshake again.
    pub(super) fn undo_handshake(&mut self, id: PeerId) {
        if let Some(peer) = self.tables.peers.get_mut(id) {
            peer.handshake_done = false;
        }
    }

    /// Resumes the workers that were paused because they sent to this client faster than it reads.
    pub(super) fn resume_workers_of(&mut self, turn: &mut Turn<'_>, client: PeerId) {
        let Some(state) = self.tables.peers.client_mut(client) else { return };
        for worker in take(&mut state.paused_workers) {
            self.resume(turn, worker);
        }
    }
}
