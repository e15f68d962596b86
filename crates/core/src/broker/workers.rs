//! Handling of workers' commands.

use super::config::SERVICE_NAME_BYTES_MAX;
use super::replies::Part;
use super::{Broker, Event, LossReason, PeerViolation, Sign, Turn, mmi};
use crate::{ByteStr, FromWorkerView, PeerId, Status, ToWorkerView, WorkerReplyView};

impl Broker {
    /// Handles a worker's command.
    pub(super) fn worker_command(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        command: &FromWorkerView<'_>,
    ) {
        let Some(standing) = self.show_life(turn, peer, Sign::Bytes) else { return };
        let Some((registered, can)) = standing.worker else {
            return self.violate(turn, peer, PeerViolation::Malformed);
        };
        if let FromWorkerView::Hello(hello) = *command {
            return self.handshake(turn, peer, hello);
        }
        if standing.handshake_pending {
            return self.record_violation(turn, peer, PeerViolation::NotReady);
        }
        match *command {
            FromWorkerView::Ready { service } if !registered || can.several_services => {
                self.register(turn, peer, service);
            }
            FromWorkerView::Ready { .. } if can.ready_again => {}
            FromWorkerView::Ready { .. } => self.violate(turn, peer, PeerViolation::ReadyTwice),
            FromWorkerView::Withdraw { .. } if !can.several_services => {
                self.violate(turn, peer, PeerViolation::Malformed);
            }
            FromWorkerView::Withdraw { service } => self.withdraw(turn, peer, service),
            // A disconnect from an unregistered worker is not a violation.
            FromWorkerView::Disconnect => {
                self.undo_handshake(peer);
                self.lose(turn, peer, LossReason::Left);
            }
            // A disconnected worker may not have received the disconnect yet. Its reply to one of
            // its requests is late, not a violation.
            FromWorkerView::Partial(WorkerReplyView { address, .. })
            | FromWorkerView::Final(WorkerReplyView { address, .. })
            | FromWorkerView::Failed(WorkerReplyView { address, .. })
            | FromWorkerView::Rejected(WorkerReplyView { address, .. })
            | FromWorkerView::AtWork { address }
                if !registered && self.request_of(peer, address).is_some() =>
            {
                self.counters.late_replies += 1;
            }
            FromWorkerView::Heartbeat(status) if registered || can.greets => {
                self.worker_heartbeat(turn, peer, status);
            }
            _ if !registered => self.violate(turn, peer, PeerViolation::NotReady),
            FromWorkerView::Partial(ref reply) => self.reply(turn, peer, Part::Partial, reply),
            FromWorkerView::Final(ref reply) => self.reply(turn, peer, Part::Final, reply),
            FromWorkerView::Failed(ref reply) => self.reply(turn, peer, Part::Failed, reply),
            FromWorkerView::Rejected(ref reply) => self.reply(turn, peer, Part::Rejected, reply),
            FromWorkerView::AtWork { address } => self.at_work(turn, peer, address),
            FromWorkerView::Hello(_) | FromWorkerView::Heartbeat(_) => {}
        }
    }

    fn worker_heartbeat(&mut self, turn: &mut Turn<'_>, id: PeerId, status: Status) {
        let Some(worker) = self.tables.peers.worker_mut(id) else { return };
        let (answered, greets) = (worker.can.heartbeats_answered, worker.can.greets);
        if let Some(concurrency) = status.concurrency {
            worker.concurrency = concurrency;
            // Dispatch up to the new concurrency before confirming it to the worker.
            match worker.has_slot() {
                true => self.feed(turn, id),
                false => self.tables.set_busy(id),
            }
            if greets {
                turn.out.to_worker(id, &ToWorkerView::Capacity { concurrency });
            }
        }
        if status.publish {
            self.directory.wanted();
        }
        if answered {
            turn.out.to_worker(id, &ToWorkerView::Heartbeat);
        }
    }

    fn register(&mut self, turn: &mut Turn<'_>, id: PeerId, name: &[u8]) {
        let now = turn.now;
        if self.shut_down {
            return self.send_worker_away(turn, id, LossReason::ShutDown);
        }
        if name.is_empty() || name.len() > SERVICE_NAME_BYTES_MAX {
            return self.violate(turn, id, PeerViolation::BadName);
        }
        if name.starts_with(mmi::PREFIX) {
            return self.violate(turn, id, PeerViolation::ReservedName);
        }
        if self.tables.own_registration(id, name).is_some() {
            return self.confirm_registration(turn, id, name);
        }
        let Some(worker) = self.tables.peers.worker(id) else { return };
        let limits = &self.config.limits;
        if worker.registrations().len() >= limits.worker_services_max.max(1) {
            return self.violate(turn, id, PeerViolation::TooManyServices);
        }
        if self.tables.registrations().len() >= limits.offers_max.max(1) {
            return self.violate(turn, id, PeerViolation::TooManyOffers);
        }
        let (accounts_max, in_flight_max) = (limits.accounts_max, limits.worker_requests_max);
        let service = self.tables.services.find_or_add(name, &self.config);
        let concerned = self.tables.register(now, id, service, accounts_max);
        let Some(worker) = self.tables.peers.worker_mut(id) else { return };
        if !core::mem::replace(&mut worker.registered, true) {
            if !worker.can.greets {
                worker.concurrency = worker.can.concurrency;
            }
            worker.in_flight_max = in_flight_max;
            worker.heartbeat_sent = now;
            self.tables.restart_idle_time(now, id);
            self.counters.workers_registered += 1;
            self.arm_liveness(id);
        }
        self.directory.changed();
        turn.out.note(Event::WorkerRegistered { peer: id, service: ByteStr::from(name) });
        self.confirm_registration(turn, id, name);
        self.rematch(turn, concerned);
        if self.is_idle(id) {
            self.give_rejected(turn, id);
            self.dispatch_soon(service);
        } else {
            self.feed_soon(id);
        }
        self.admit_served_soon();
    }

    fn confirm_registration(&mut self, turn: &mut Turn<'_>, id: PeerId, service: &[u8]) {
        let worker = self.tables.peers.name_of(id);
        let worker = worker.as_bytes();
        turn.out.to_worker(id, &ToWorkerView::Registered { service, worker });
    }

    /// Withdraws a worker's service, or all of its services if the name is empty. The worker keeps
    /// its requests in flight.
    fn withdraw(&mut self, turn: &mut Turn<'_>, id: PeerId, name: &[u8]) {
        let one = self.tables.own_registration(id, name);
        if one.is_none() && !name.is_empty() {
            return;
        }
        let withdrawn = self.tables.unregister(id, one);
        for at in &withdrawn {
            let service = self.tables.registrations()[*at].service;
            let service = self.tables.services[service].name.clone();
            turn.out.note(Event::WorkerWithdrew { peer: id, service });
        }
        self.end_registrations(turn, &withdrawn);
        self.end_unserved(turn, id);
    }
}
