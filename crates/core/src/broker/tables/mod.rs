//! Tables of peers, registrations, services and requests, and the only code that writes the links
//! between them.
//!
//! A request's [`Place`] and its list membership change together, in [`Tables::relocate`] and the
//! operations beside it that move several requests at once. Only `set_place` writes a place, and it
//! checks every move against the table of legal moves. A worker's registrations change together
//! with its membership in the lists of idle workers. A request's bytes change together at its
//! client, at its service and in the total. The underlying fields are private to this folder;
//! handlers read them through getters.

#[cfg(any(test, feature = "audit"))]
mod audit;
mod by_number;
mod coalesced;
mod deferred;
mod idle;
mod names;
mod peers;
mod place;
mod queue;
mod registrations;
mod rejection;
mod requests;
mod services;

use alloc::vec::Vec;
use core::mem::take;

use smallvec::SmallVec;

pub(super) use self::deferred::{Admission, Deferred, End, Limit};
use self::idle::Idle;
pub(super) use self::idle::next_draw;
pub use self::names::best_offer;
pub(super) use self::peers::{Answered, Claim, Peer, Peers, SideState, Standing, Worker};
pub(super) use self::place::Place;
pub(super) use self::registrations::{Registration, Registrations};
pub(super) use self::rejection::Rejection;
pub(super) use self::requests::{Admitted, Record, Requests};
pub(super) use self::services::Services;

use self::coalesced::Primaries;
use self::requests::{Discharged, InPlace, OfClient};
use super::config::Config;
use super::keys::Keys;
use super::statistics::End as Ending;
use crate::list::List;
use crate::{CorrelationIdRef, PeerId, RequestView, Time};

/// The broker's state of peers, services and requests.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) peers: Peers,
    registrations: Registrations,
    pub(super) services: Services,
    pub(super) requests: Requests,
    pub(super) admission: Admission,
    primaries: Primaries,
}

/// A request that was dispatched to a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// The number of this dispatch, starting at 1.
    pub(super) attempt: u32,
    /// True if the client requested progress notices.
    pub(super) notices: bool,
    /// True if other requests may be coalesced with it.
    pub(super) is_shared: bool,
    pub(super) busy_until: Time,
    /// The next time at which something is due for the request.
    pub(super) due: Time,
}

impl Tables {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            peers: Peers::new(keys),
            registrations: Registrations::new(),
            services: Services::new(keys),
            requests: Requests::new(keys),
            admission: Admission::new(),
            primaries: Primaries::new(keys),
        }
    }

    /// Returns all registrations.
    pub(super) fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    // Requests.

    /// Creates a record of a request, which is in no list yet, and counts it towards all limits.
    pub(super) fn admit(&mut self, admitted: Admitted, request: &RequestView<'_>) -> u32 {
        let charged = admitted.charged;
        let index = self.requests.insert(admitted, request);
        if let Some(client) = self.peers.client_mut(admitted.client) {
            client.requests.push_back(&mut OfClient(&mut self.requests), index);
            client.bytes += charged;
            client.last_service = admitted.service;
            if let CorrelationIdRef::Number(number) = request.id {
                client.add_number(number, index);
            }
        }
        let service = self.services.get_mut(admitted.service);
        service.requests += 1;
        service.bytes += charged;
        index
    }

    /// Moves a request to another place, at the back of that place's list.
    pub(super) fn relocate(&mut self, request: u32, place: Place) {
        self.relocate_to(request, place, End::Back);
    }

    /// Moves a request to another place, at the given end of its list.
    ///
    /// Inlined on the path of every request: with a constant place, the compiler removes the other
    /// cases.
    #[inline(always)]
    pub(super) fn relocate_to(&mut self, request: u32, place: Place, end: End) {
        let before = self.requests[request].place;
        // An orphaned request keeps its worker slot.
        if !matches!(place, Place::Orphaned(_)) {
            if !matches!(before, Place::Detached) {
                self.unlink(request, before);
            }
            self.link(request, place, end);
        }
        self.set_place(request, place);
    }

    /// Writes a request's place. No other function does.
    #[inline(always)]
    fn set_place(&mut self, request: u32, place: Place) {
        let record = self.requests.get_mut(request);
        debug_assert!(
            record.place.may_become(place),
            "{:?} does not become {place:?}",
            record.place
        );
        record.place = place;
    }

    #[inline(always)]
    fn unlink(&mut self, request: u32, place: Place) {
        let Self { peers, services, requests, .. } = self;
        match place {
            Place::Detached => {}
            Place::Queued => services.dequeue(requests, request),
            Place::Rejected => {
                let record = &requests[request];
                if let Some(rejection) = &record.rest.rejection {
                    services.remove_rejected(record.service, rejection.rank);
                }
            }
            Place::Targeted(worker) => {
                if let Some(worker) = peers.worker_mut(worker) {
                    worker.targeted.remove(&mut InPlace(requests), request);
                }
            }
            Place::Suspended => {
                if let Some(client) = peers.client_mut(requests[request].client) {
                    client.suspended.remove(&mut InPlace(requests), request);
                }
            }
            Place::Coalesced(primary) => {
                let mut coalesced = requests[primary].coalesced();
                coalesced.remove(&mut InPlace(requests), request);
                requests.get_mut(primary).coalescing_mut().coalesced = coalesced;
            }
            Place::InFlight(worker) | Place::Orphaned(worker) => {
                if let Some(worker) = peers.worker_mut(worker) {
                    worker.in_flight.remove(&mut InPlace(requests), request);
                }
            }
        }
    }

    #[inline(always)]
    fn link(&mut self, request: u32, place: Place, end: End) {
        let Self { peers, services, requests, .. } = self;
        match (place, end) {
            (Place::Detached | Place::Orphaned(_), _) => {}
            (Place::Queued, End::Back) => services.push_back(requests, request),
            (Place::Queued, End::Front) => {
                services.push_front(requests, request);
                services.take_turn(requests[request].service);
            }
            (Place::Rejected, _) => {
                let rank = services.push_rejected(requests[request].service, request);
                if let Some(rejection) = &mut requests.get_mut(request).rest.rejection {
                    rejection.rank = rank;
                }
            }
            (Place::Targeted(worker), end) => {
                if let Some(worker) = peers.worker_mut(worker) {
                    match end {
                        End::Back => worker.targeted.push_back(&mut InPlace(requests), request),
                        End::Front => worker.targeted.push_front(&mut InPlace(requests), request),
                    }
                }
            }
            (Place::Suspended, _) => {
                if let Some(client) = peers.client_mut(requests[request].client) {
                    client.suspended.push_back(&mut InPlace(requests), request);
                }
            }
            (Place::Coalesced(primary), _) => {
                let mut coalesced = requests[primary].coalesced();
                coalesced.push_back(&mut InPlace(requests), request);
                requests.get_mut(primary).coalescing_mut().coalesced = coalesced;
            }
            (Place::InFlight(worker), _) => {
                if let Some(worker) = peers.worker_mut(worker) {
                    worker.in_flight.push_back(&mut InPlace(requests), request);
                }
            }
        }
    }

    /// Moves detached or suspended requests to the front of their services' queues, in this order.
    /// Their services join the round-robin in the same order.
    pub(super) fn requeue_in_front(&mut self, requests: &[u32]) {
        for request in requests.iter().rev() {
            let before = self.requests[*request].place;
            self.unlink(*request, before);
            self.services.push_front(&mut self.requests, *request);
            self.set_place(*request, Place::Queued);
        }
        for request in requests {
            self.services.take_turn(self.requests[*request].service);
        }
    }

    /// Replaces a queued request by a detached one. The queued request is detached afterwards.
    fn replace_queued(&mut self, request: u32, successor: u32) {
        debug_assert_eq!(self.requests[request].place, Place::Queued);
        debug_assert_eq!(self.requests[successor].place, Place::Detached);
        self.services.succeed(&mut self.requests, request, successor);
        self.set_place(request, Place::Detached);
        self.set_place(successor, Place::Queued);
    }

    /// Dispatches a request to a worker at `now`, under a token with this hash. The worker moves
    /// behind the other idle workers of its services, or leaves them if it has no free slot.
    #[inline(always)]
    pub(super) fn start(
        &mut self,
        request: u32,
        worker: PeerId,
        token_hash: u64,
        now: Time,
    ) -> Started {
        self.relocate_to(request, Place::InFlight(worker), End::Back);
        let Self { peers, services, registrations, .. } = self;
        if let Some(state) = peers.worker_mut(worker) {
            state.dispatched += 1;
            if state.last_answered.is_some() {
                state.last_answered = None;
            }
            if state.is_idle && state.has_slot() {
                let load = state.load();
                for at in &state.registrations {
                    let service = services.get_mut(registrations[*at].service);
                    service.idle.requeue(registrations, *at, load);
                }
            } else {
                self.set_busy(worker);
            }
        }
        let record = self.requests.get_mut(request);
        record.start(token_hash, now.after(self.services[record.service].settings.busy));
        Started {
            attempt: record.attempts,
            notices: record.notices,
            is_shared: record.rest.is_coalescing(),
            busy_until: record.busy_until,
            due: record.deadline.min(record.busy_until),
        }
    }

    /// Removes a request from its worker's slot.
    #[inline(always)]
    pub(super) fn free_slot(&mut self, now: Time, request: u32) {
        let Some(id) = self.requests[request].place.worker() else { return };
        self.relocate_to(request, Place::Detached, End::Back);
        let Self { peers, services, registrations, .. } = self;
        let Some(worker) = peers.worker_mut(id) else { return };
        if worker.in_flight.is_empty() {
            worker.idle_since = now;
        }
        if worker.is_idle {
            let load = worker.load();
            for at in &worker.registrations {
                let service = services.get_mut(registrations[*at].service);
                if matches!(service.idle, Idle::LeastLoaded(_)) {
                    service.idle.requeue(registrations, *at, load);
                }
            }
        }
    }

    /// Changes the bytes that a request is charged, in all limits.
    pub(super) fn recharge(&mut self, request: u32, charged: usize) {
        let Record { client, service, charged: before, .. } = self.requests[request];
        self.requests.recharge(request, charged);
        let service = self.services.get_mut(service);
        service.bytes = service.bytes - before + charged;
        if let Some(client) = self.peers.client_mut(client) {
            client.bytes = client.bytes - before + charged;
        }
    }

    /// Removes a request from all counts and limits. Its place does not change.
    #[inline(always)]
    pub(super) fn discharge(&mut self, request: u32, end: Ending) {
        let Discharged { client, service, charged, number } = self.requests.discharge(request);
        if let Some(client) = self.peers.client_mut(client) {
            client.requests.remove(&mut OfClient(&mut self.requests), request);
            client.bytes -= charged;
            if let Some(number) = number {
                client.remove_number(number);
            }
        }
        let entry = self.services.get_mut(service);
        entry.requests -= 1;
        entry.bytes -= charged;
        self.services.count(service, end);
        self.services.forget_unused(service);
    }

    /// Forgets a request that is discharged and in no list.
    #[inline]
    pub(super) fn forget(&mut self, request: u32) {
        self.requests.remove(request);
    }

    /// Returns the next request of the same client.
    pub(super) fn next_of_client(&mut self, request: u32) -> Option<u32> {
        List::after(&mut OfClient(&mut self.requests), request)
    }

    /// Returns the requests that occupy a slot of a worker, the oldest first.
    pub(super) fn in_flight(&mut self, worker: PeerId) -> Vec<u32> {
        let list = self.peers.worker(worker).map_or(List::EMPTY, |worker| worker.in_flight);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    /// Returns the requests that target this worker and wait for it.
    pub(super) fn targeted(&mut self, worker: PeerId) -> Vec<u32> {
        let list = self.peers.worker(worker).map_or(List::EMPTY, |worker| worker.targeted);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    /// Returns a client's requests in progress, the oldest first.
    pub(super) fn of_client(&mut self, client: PeerId) -> Vec<u32> {
        let list = self.peers.client(client).map_or(List::EMPTY, |client| client.requests);
        list.to_vec(&mut OfClient(&mut self.requests))
    }

    /// Returns a client's suspended requests.
    pub(super) fn suspended(&mut self, client: PeerId) -> Vec<u32> {
        let list = self.peers.client(client).map_or(List::EMPTY, |client| client.suspended);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    // Services and registrations.

    /// Registers a worker for a service. Returns the services whose matching services may have
    /// changed.
    pub(super) fn register(
        &mut self,
        now: Time,
        worker: PeerId,
        service: u32,
        accounts_max: usize,
    ) -> Vec<u32> {
        let concerned = self.services.add_worker(now, service, accounts_max);
        let (at, _) = self.registrations.insert(Registration::new(worker, service));
        let Some(worker) = self.peers.worker_mut(worker) else { return concerned };
        worker.registrations.push(at);
        if worker.is_idle {
            let load = worker.load();
            self.services.get_mut(service).idle.insert(&mut self.registrations, at, load);
        }
        concerned
    }

    /// Removes one registration of a worker, or all if `one` is `None`. They stay in the table
    /// until [`end_registrations`](Self::end_registrations).
    pub(super) fn unregister(&mut self, worker: PeerId, one: Option<u32>) -> SmallVec<[u32; 1]> {
        let was_idle = self.peers.worker(worker).is_some_and(Worker::is_idle);
        self.set_busy(worker);
        let Some(state) = self.peers.worker_mut(worker) else { return SmallVec::new() };
        let removed = match one {
            Some(one) => {
                state.registrations.retain(|at| *at != one);
                SmallVec::from([one])
            }
            None => take(&mut state.registrations),
        };
        if was_idle && !state.registrations.is_empty() {
            self.set_idle(worker);
        }
        removed
    }

    /// Forgets registrations that were removed from their worker. Returns their services, and the
    /// services whose matching services may have changed.
    pub(super) fn end_registrations(
        &mut self,
        now: Time,
        registrations: &[u32],
    ) -> (Vec<u32>, Vec<u32>) {
        let ended = registrations.iter().map(|at| self.registrations.remove(*at).service);
        let services: Vec<u32> = ended.collect();
        let concerned = self.services.remove_workers(now, &services);
        (services, concerned)
    }

    /// Adds a worker to the idle workers of its services.
    pub(super) fn set_idle(&mut self, id: PeerId) {
        let Some(worker) = self.peers.worker_mut(id) else { return };
        debug_assert!(!worker.is_idle, "{id} is idle already");
        worker.is_idle = true;
        let load = worker.load();
        for at in &worker.registrations {
            let service = self.services.get_mut(self.registrations[*at].service);
            service.idle.insert(&mut self.registrations, *at, load);
        }
    }

    /// Restarts the time for which a worker has had nothing in flight.
    pub(super) fn restart_idle_time(&mut self, now: Time, worker: PeerId) {
        if let Some(worker) = self.peers.worker_mut(worker) {
            worker.idle_since = now;
        }
    }

    /// Removes a worker from the idle workers of its services, if it is idle.
    pub(super) fn set_busy(&mut self, id: PeerId) {
        let Some(worker) = self.peers.worker_mut(id) else { return };
        if !core::mem::replace(&mut worker.is_idle, false) {
            return;
        }
        for at in &worker.registrations {
            let service = self.services.get_mut(self.registrations[*at].service);
            service.idle.remove(&mut self.registrations, *at);
        }
    }

    /// Returns the registration of a worker for exactly this name.
    pub(super) fn own_registration(&self, worker: PeerId, name: &[u8]) -> Option<u32> {
        let service = self.services.find(name)?;
        let registrations = self.peers.worker(worker)?.registrations();
        registrations.iter().copied().find(|at| self.registrations[*at].service == service)
    }

    /// Returns true if a worker serves this service, by its own name, a wildcard or a version.
    pub(super) fn serves(&self, worker: PeerId, service: u32) -> bool {
        let serving = self.services.serving(service);
        self.peers.worker(worker).is_some_and(|worker| {
            let mut served =
                worker.registrations().iter().map(|at| self.registrations[*at].service);
            served.any(|served| serving.binary_search(&served).is_ok())
        })
    }

    /// Sets a service's matching services. None of its requests may be in a list of rejected
    /// requests.
    pub(super) fn set_matching(&mut self, now: Time, service: u32, matching: Vec<u32>) {
        self.services.set_matching(now, service, matching);
    }

    /// Forgets a service that is no longer in use.
    pub(super) fn forget_unused(&mut self, service: u32) {
        self.services.forget_unused(service);
    }

    /// Removes a peer that has no requests and no registrations.
    pub(super) fn remove_peer(&mut self, id: PeerId) -> Option<Peer> {
        self.peers.remove(id)
    }

    /// Applies a changed configuration to the services.
    pub(super) fn configure(&mut self, config: &Config) {
        self.services.configure(config, &mut self.registrations, &self.peers);
    }

    // Selection of requests and workers.

    /// Returns the next request for the idle workers of this service: one of its own, or of a
    /// service that it matches.
    #[inline]
    pub(super) fn next_for(&self, service: u32) -> Option<u32> {
        if !self.services.contains(service) {
            return None;
        }
        let known = &self.services[service];
        let own = known.first_queued();
        let other = known.next_in_turn().filter(|_| !known.idle.is_empty());
        let other = other.and_then(|other| self.services[other].first_queued());
        let since = |index: u32| self.requests[index].waiting_since;
        match (own, other) {
            (Some(own), Some(other)) if since(other) < since(own) => Some(other),
            (own, other) => own.or(other),
        }
    }

    /// Ends a service's round-robin turn and moves it behind the others.
    pub(super) fn end_turn(&mut self, service: u32) {
        if self.services.contains(service) {
            self.services.leave_turn(service);
            self.services.take_turn(service);
        }
    }

    /// Returns the idle worker for the next request of a service; `draw` is a random number.
    #[inline(always)]
    pub(super) fn idle_worker(&self, service: u32, draw: u64) -> Option<PeerId> {
        let at = self.services.idle_worker(service, draw)?;
        Some(self.registrations[at].worker)
    }

    /// Returns the idle worker that may take a rejected request next.
    pub(super) fn idle_worker_for_rejected(&mut self, request: u32, draw: u64) -> Option<PeerId> {
        let Self { services, requests, registrations, .. } = self;
        let record = &requests[request];
        let rejection = record.rest.rejection.as_ref();
        let by = rejection.map(|rejection| rejection.by()).unwrap_or_default();
        let fits = |registrations: &Registrations, at: u32| !by.contains(&registrations[at].worker);
        let found = services.find_idle_worker(registrations, record.service, draw, fits)?;
        Some(self.registrations[found].worker)
    }

    /// Returns true if all current workers of its service have rejected a request.
    pub(super) fn all_rejected(&self, request: u32) -> bool {
        let record = &self.requests[request];
        let service = record.service;
        let Some(rejection) = &record.rest.rejection else { return false };
        let serving = self.services.serving(service);
        let of_worker = |id: &PeerId| {
            let registrations = self.peers.worker(*id).map_or(&[][..], Worker::registrations);
            let served = registrations.iter().map(|at| self.registrations[*at].service);
            served.filter(|served| serving.binary_search(served).is_ok()).count()
        };
        rejection.by().iter().map(of_worker).sum::<usize>() == self.services.workers_for(service)
    }

    /// Returns the first rejected request, by rank, that an idle worker has not examined yet, and
    /// marks it as examined.
    pub(super) fn next_rejected(&mut self, id: PeerId) -> Option<u32> {
        let worker = self.peers.worker(id).filter(|worker| worker.is_idle)?;
        let next = |at: &u32| {
            let registration = &self.registrations[*at];
            self.services[registration.service].rejected_after(registration.looked_at)
        };
        let (rank, request) = worker.registrations.iter().filter_map(next).min()?;
        for at in &worker.registrations {
            let looked_at = &mut self.registrations[*at].looked_at;
            *looked_at = rank.max(*looked_at);
        }
        Some(request)
    }
}
