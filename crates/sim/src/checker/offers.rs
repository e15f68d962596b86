//! Checks of registered and withdrawn services.

use majordomus_core::broker::{PeerViolation, SERVICE_NAME_BYTES_MAX};
use majordomus_core::{ByteStr, DisconnectReason, PeerId};

use super::directory::name_of;
use super::request::Place;
use super::{Cause, Checker, Rule};

impl Checker {
    pub(super) fn readies(&mut self, peer: PeerId, service: &ByteStr) {
        self.step.cause = Cause::Ready(peer);
        let Some(worker) = self.model.worker(peer) else { return };
        let known = self.model.find_service(service);
        let offered = worker.offers.iter().any(|(at, _)| Some(*at) == known);
        let limits = &self.config.limits;
        let (most, most_of_all) = (limits.worker_services_max.max(1), limits.offers_max.max(1));
        if self.shut_down {
            self.step.must_part.push((peer, DisconnectReason::ShutDown));
        } else if service.is_empty() || service.len() > SERVICE_NAME_BYTES_MAX {
            self.offends(peer, PeerViolation::BadName);
        } else if service.starts_with(b"mmi.") {
            self.offends(peer, PeerViolation::ReservedName);
        } else if offered {
            self.step.must_greet = Some(peer);
            self.step.offered = service.clone();
        } else if worker.offers.len() >= most {
            self.offends(peer, PeerViolation::TooManyServices);
        } else if self.model.offers() >= most_of_all {
            self.offends(peer, PeerViolation::TooManyOffers);
        } else {
            self.step.must_register = Some(peer);
            self.step.offered = service.clone();
        }
    }

    pub(super) fn registered(&mut self, peer: PeerId, service: &ByteStr) {
        if self.step.must_register.take() != Some(peer) || self.step.offered != *service {
            let unheard = self.model.peer(peer).is_some_and(|peer| peer.is_unheard());
            let rule = if unheard { Rule::Greeting } else { Rule::PeerViolation };
            return self.accuse(rule, format!("{peer} did not ask to register"));
        }
        let (now, step, interval) = (self.now, self.steps, self.config.heartbeat_interval);
        let hands_max = self.config.limits.worker_requests_max;
        let at = self.model.service(service);
        self.model.services[at].workers += 1;
        self.model.look_who_serves_all(now);
        self.step.directory_changed = true;
        self.step.must_greet = Some(peer);
        // The worker may serve a withdrawn name again by another service.
        let all = 0..self.model.services.len();
        let served: Vec<usize> = all.filter(|asked| self.model.serves(at, *asked)).collect();
        let Some(worker) = self.model.worker_mut(peer) else { return };
        worker.offers.push((at, step));
        worker.withdrawn.retain(|withdrawn| !served.contains(withdrawn));
        if core::mem::replace(&mut worker.registered, true) {
            return;
        }
        (worker.free_since, worker.may_be_free_since) = (None, None);
        if !worker.can.greets {
            worker.takes = worker.can.concurrency;
        }
        worker.hands_max = hands_max;
        (worker.idle_since, worker.idle_late) = (now, now);
        (worker.heartbeat_sent, worker.interval_max) = (now, interval);
    }

    /// Handles the confirmation of a worker's registration, with the worker's name.
    pub(super) fn hears_of_offer(&mut self, peer: PeerId, service: &ByteStr, name: &ByteStr) {
        let right = self.step.must_greet.take() == Some(peer)
            && *service == self.step.offered
            && self.model.peer(peer).is_some_and(|peer| name_of(peer) == name.to_string());
        if !right {
            self.accuse(Rule::Addressee, format!("{peer} did not register {service}: {name}"));
        }
    }

    /// Handles a withdrawal of one service, or of all services if `name` is empty.
    pub(super) fn withdraws(&mut self, peer: PeerId, name: &ByteStr) {
        let (known, step) = (self.model.find_service(name), self.steps);
        let Some(worker) = self.model.worker_mut(peer) else { return };
        let is_meant = |at: usize| name.is_empty() || Some(at) == known;
        let offers = worker.offers.iter().map(|(at, _)| *at);
        let withdrawn: Vec<usize> = offers.filter(|at| is_meant(*at)).collect();
        if withdrawn.is_empty() {
            return;
        }
        worker.offers.retain(|(at, _)| !is_meant(*at));
        worker.withdrawn.extend(&withdrawn);
        // The worker is enqueued again among the idle workers of its other services.
        worker.free_since = worker.free_since.map(|_| step);
        self.step.withdraws = Some(peer);
        self.step.must_withdraw = withdrawn;
    }

    pub(super) fn withdrew(&mut self, peer: PeerId, service: &ByteStr) {
        let services = &self.model.services;
        let due = self.step.must_withdraw.iter().position(|at| services[*at].name == *service);
        let Some(due) = due.filter(|_| self.step.withdraws == Some(peer)) else {
            return self.accuse(Rule::Withdrawn, format!("{peer} did not withdraw {service}"));
        };
        let at = self.step.must_withdraw.swap_remove(due);
        self.model.services[at].workers -= 1;
        self.model.look_who_serves_all(self.now);
        self.step.directory_changed = true;
    }

    /// Checks the registrations after a withdrawal, and the requests that targeted the worker.
    pub(super) fn settle_offers(&mut self) {
        let Some(peer) = self.step.withdraws else { return };
        if let Some(at) = self.step.must_withdraw.first() {
            let name = &self.model.services[*at].name;
            return self.accuse(Rule::Withdrawn, format!("{peer} offers {name} still"));
        }
        let Some(worker) = self.model.worker(peer) else { return };
        let in_vain = |uid: &&super::Uid| {
            let request = &self.model.requests[*uid];
            request.target == Some(peer)
                && request.place == Place::Waiting
                && self.model.is_reading(request.client)
                && self.model.best_offer(worker, request.service).is_none()
        };
        if let Some(uid) = self.model.live.iter().find(in_vain) {
            let text = format!("request {uid} waits for what {peer} offers no more");
            self.accuse(Rule::Target, text);
        }
    }
}
