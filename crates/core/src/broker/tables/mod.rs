//! The tables: peers, registrations, services and requests, and the one writer of what links them.
//!
//! A request's [`Place`] and the list that it is linked into change together, in
//! [`Tables::relocate`] and the operations beside it that move several at once; only `set_place` writes
//! a place, and it checks every move against the table of legal moves. A worker's registrations change
//! together with its membership in the lists of idle workers, and the bytes of a request change
//! together at its client, at its service and in the total. The fields behind this are private to this
//! folder; handlers read them through getters.

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

/// Everything that the broker knows of peers, services and requests.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) peers: Peers,
    registrations: Registrations,
    pub(super) services: Services,
    pub(super) requests: Requests,
    pub(super) admission: Admission,
    primaries: Primaries,
}

/// A request that a worker has got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// Number of times that it went to a worker, with this.
    pub(super) attempt: u32,
    /// Whether its client wants notices of its progress.
    pub(super) notices: bool,
    /// Whether others may wait for its reply.
    pub(super) is_shared: bool,
    pub(super) busy_until: Time,
    /// The next moment at which something is due for it.
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

    /// All registrations.
    pub(super) fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    // Requests.

    /// Makes a record of a request, which is in no list yet, and counts it everywhere.
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

    /// Moves a request to another place: out of the list that it is in, and behind all others of the
    /// list of the new place.
    pub(super) fn relocate(&mut self, request: u32, place: Place) {
        self.relocate_to(request, place, End::Back);
    }

    /// Moves a request to another place, at this end of its list.
    ///
    /// Where the place is known to the compiler it knows what to do, so this is inlined in what every
    /// request goes through.
    #[inline(always)]
    pub(super) fn relocate_to(&mut self, request: u32, place: Place, end: End) {
        let before = self.requests[request].place;
        // An orphan keeps the slot that it occupies.
        if !matches!(place, Place::Orphaned(_)) {
            if !matches!(before, Place::Detached) {
                self.unlink(request, before);
            }
            self.link(request, place, end);
        }
        self.set_place(request, place);
    }

    /// Writes where a request is. Nothing else does.
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

    /// Moves requests that are in no list, or set aside at their client, to the front of the queues of
    /// their services, where they stand in this order. Their services take their turns in it, too.
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

    /// Puts a request that is in no list in the place of a queued one, which is in none then.
    fn replace_queued(&mut self, request: u32, successor: u32) {
        debug_assert_eq!(self.requests[request].place, Place::Queued);
        debug_assert_eq!(self.requests[successor].place, Place::Detached);
        self.services.succeed(&mut self.requests, request, successor);
        self.set_place(request, Place::Detached);
        self.set_place(successor, Place::Queued);
    }

    /// Gives a request to a worker at `now`, under a token with this hash. The worker goes behind the
    /// other idle ones of its services, or leaves them where it has no slot left.
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

    /// Takes a request out of the slot of its worker.
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

    /// Counts a request as so many bytes, everywhere.
    pub(super) fn recharge(&mut self, request: u32, charged: usize) {
        let Record { client, service, charged: before, .. } = self.requests[request];
        self.requests.recharge(request, charged);
        let service = self.services.get_mut(service);
        service.bytes = service.bytes - before + charged;
        if let Some(client) = self.peers.client_mut(client) {
            client.bytes = client.bytes - before + charged;
        }
    }

    /// Counts a request nowhere any more. It is still where it was.
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

    /// Forgets a request that counts nowhere and is in no list.
    #[inline]
    pub(super) fn forget(&mut self, request: u32) {
        self.requests.remove(request);
    }

    /// The request of the same client behind this one.
    pub(super) fn next_of_client(&mut self, request: u32) -> Option<u32> {
        List::after(&mut OfClient(&mut self.requests), request)
    }

    /// The requests that occupy a slot of a worker, the oldest first.
    pub(super) fn in_flight(&mut self, worker: PeerId) -> Vec<u32> {
        let list = self.peers.worker(worker).map_or(List::EMPTY, |worker| worker.in_flight);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    /// The requests that wait for this worker and no other.
    pub(super) fn targeted(&mut self, worker: PeerId) -> Vec<u32> {
        let list = self.peers.worker(worker).map_or(List::EMPTY, |worker| worker.targeted);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    /// The requests of a client that are in progress, the oldest first.
    pub(super) fn of_client(&mut self, client: PeerId) -> Vec<u32> {
        let list = self.peers.client(client).map_or(List::EMPTY, |client| client.requests);
        list.to_vec(&mut OfClient(&mut self.requests))
    }

    /// The requests that are set aside at a client.
    pub(super) fn suspended(&mut self, client: PeerId) -> Vec<u32> {
        let list = self.peers.client(client).map_or(List::EMPTY, |client| client.suspended);
        list.to_vec(&mut InPlace(&mut self.requests))
    }

    // Services and registrations.

    /// Registers a worker for a service. Returns the services whose matching services may have changed.
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

    /// Removes registrations of a worker: this one, or all where it names none. They are still in the
    /// table, until [`end_registrations`](Self::end_registrations).
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

    /// Forgets registrations that were removed from their worker. Returns their services, and those
    /// whose matching services may have changed.
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

    /// Adds a worker to the idle ones of its services.
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

    /// Counts the time for which a worker has nothing in flight from now on.
    pub(super) fn restart_idle_time(&mut self, now: Time, worker: PeerId) {
        if let Some(worker) = self.peers.worker_mut(worker) {
            worker.idle_since = now;
        }
    }

    /// Removes a worker from the idle ones of its services, if it is there.
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

    /// The registration by which a worker serves exactly this name.
    pub(super) fn own_registration(&self, worker: PeerId, name: &[u8]) -> Option<u32> {
        let service = self.services.find(name)?;
        let registrations = self.peers.worker(worker)?.registrations();
        registrations.iter().copied().find(|at| self.registrations[*at].service == service)
    }

    /// Whether a worker serves this service, by whatever name.
    pub(super) fn serves(&self, worker: PeerId, service: u32) -> bool {
        let serving = self.services.serving(service);
        self.peers.worker(worker).is_some_and(|worker| {
            let mut served =
                worker.registrations().iter().map(|at| self.registrations[*at].service);
            served.any(|served| serving.binary_search(&served).is_ok())
        })
    }

    /// Gives a service other matching services. None of its requests may be among the rejected ones.
    pub(super) fn set_matching(&mut self, now: Time, service: u32, matching: Vec<u32>) {
        self.services.set_matching(now, service, matching);
    }

    /// Forgets a service that nobody uses any more.
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

    // Who gets what.

    /// The request whose turn it is at the idle workers of this service, and of those that it matches.
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

    /// Ends the turn of a service, which goes behind the others.
    pub(super) fn end_turn(&mut self, service: u32) {
        if self.services.contains(service) {
            self.services.leave_turn(service);
            self.services.take_turn(service);
        }
    }

    /// The idle worker that gets the next request of a service; `draw` is a random number.
    #[inline(always)]
    pub(super) fn idle_worker(&self, service: u32, draw: u64) -> Option<PeerId> {
        let at = self.services.idle_worker(service, draw)?;
        Some(self.registrations[at].worker)
    }

    /// The idle worker that may have a rejected request next.
    pub(super) fn idle_worker_for_rejected(&mut self, request: u32, draw: u64) -> Option<PeerId> {
        let Self { services, requests, registrations, .. } = self;
        let record = &requests[request];
        let rejection = record.rest.rejection.as_ref();
        let by = rejection.map(|rejection| rejection.by()).unwrap_or_default();
        let fits = |registrations: &Registrations, at: u32| !by.contains(&registrations[at].worker);
        let found = services.find_idle_worker(registrations, record.service, draw, fits)?;
        Some(self.registrations[found].worker)
    }

    /// Whether every worker of its service that is there has rejected a request.
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

    /// The first rejected request that an idle worker has not looked at, by rank. It counts as looked
    /// at from then on.
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
