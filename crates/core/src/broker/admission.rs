//! Admission: limit checks, request records, and admission of deferred requests.

use alloc::boxed::Box;

use super::statistics::End as Ending;
use super::tables::{Admitted, Deferred, End, Limit, Place, Requests};
use super::{Broker, CloseReason, Event, Refusal, Turn};
use crate::{Notice, Outcome, PeerId, Redelivery, RequestView, Time, Timeout};

/// The worker that a request targets is not connected, or does not serve the requested service.
struct NoSuchWorker;

impl Broker {
    /// Returns the limit that a new request has reached, if any. `has_room` is true if the client's
    /// own limits allow the request, which is `charged` this many bytes. A request behind deferred
    /// requests for the same limit has reached that limit too.
    #[inline]
    pub(super) fn limit_for(
        &self,
        has_room: bool,
        charged: usize,
        request: &RequestView<'_>,
        service: Option<u32>,
    ) -> Option<Limit> {
        if self.tables.admission.clients() > 0 {
            if let Some(service) = service.map(Limit::Service)
                && self.tables.is_deferring(service)
            {
                return Some(service);
            }
            if service.is_none()
                && self.tables.is_deferring(Limit::Names)
                && !self.tables.services.is_served(request.service)
            {
                return Some(Limit::Names);
            }
            if self.tables.is_deferring(Limit::Broker) {
                return Some(Limit::Broker);
            }
        }
        self.limit_reached(has_room, charged, request, service)
    }

    #[inline(always)]
    fn limit_reached(
        &self,
        has_room: bool,
        charged: usize,
        request: &RequestView<'_>,
        service: Option<u32>,
    ) -> Option<Limit> {
        let limits = &self.config.limits;
        if !has_room {
            return Some(Limit::Client);
        }
        match service {
            Some(index) if !self.tables.services[index].has_room(limits, charged) => {
                return Some(Limit::Service(index));
            }
            None if self.tables.services.unserved() >= limits.names_max
                && !self.tables.services.is_served(request.service) =>
            {
                return Some(Limit::Names);
            }
            _ => {}
        }
        (!self.tables.requests.has_room(limits, charged)).then_some(Limit::Broker)
    }

    /// Refuses a request that has reached a limit, if the client's dialect can report that.
    /// Otherwise defers the request and stops reading from the client until the request is
    /// admitted.
    ///
    /// Deferred requests are limited to the same total of bytes as requests in progress. Beyond
    /// that, the client is closed.
    pub(super) fn refuse_or_defer(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
        limit: Limit,
    ) {
        let Some(client) = self.tables.peers.client(peer) else { return };
        if client.can.told.contains(Outcome::Refused) || client.deferred().is_some() {
            return self.refuse(turn, peer, request, Ending::Refused(limit.refusal()));
        }
        let admission = &self.tables.admission;
        let bytes = admission.bytes() + Requests::charge(request);
        if admission.clients() > 0 && bytes > self.config.limits.request_bytes_max {
            self.count_unadmitted(request.service, Ending::Refused(Refusal::Door));
            return self.close(turn, peer, CloseReason::NoMemory);
        }
        self.counters.held += 1;
        let deferred = Box::new(request.detached());
        self.tables.defer(peer, deferred, limit, End::Back);
        self.pause(turn, peer);
    }

    /// Admits a request that is `charged` this many bytes: creates its record, then dispatches or
    /// queues it.
    pub(super) fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
        charged: usize,
        service: Option<u32>,
    ) {
        let now = turn.now;
        let Some(client) = self.tables.peers.get(peer) else { return };
        // A request whose client does not read must not be dispatched.
        let reads = !client.above_high_water;
        let Some(client) = client.as_client() else { return };
        let redeliver = match client.can.redelivery {
            Redelivery::Always => true,
            Redelivery::WhereAsked => request.redeliver,
            Redelivery::Never => false,
        };
        let service = service
            .unwrap_or_else(|| self.tables.services.find_or_add(request.service, &self.config));
        let Ok(target) = self.target(service, request.target) else {
            self.refuse(turn, peer, request, Ending::As(Outcome::NoSuchWorker));
            return self.tables.forget_unused(service);
        };
        let settings = &self.tables.services[service].settings;
        let shares = settings.share && target.is_none() && !request.fresh;
        let deadline = match request.timeout {
            Timeout::OfService => now.after(settings.wait),
            Timeout::Never => Time::NEVER,
            Timeout::After(span) => now.after(span),
        };
        let primary = match shares {
            true => self.primary_for(peer, service, request.priority, request.body),
            false => None,
        };
        let idle = self.idle_worker(service, target);
        let admitted =
            Admitted { client: peer, service, target, redeliver, charged, received: now, deadline };
        let index = self.tables.admit(admitted, request);
        self.counters.receive();
        if self.config.request_events {
            let (request, service) = (self.tables.requests.id(index), request.service.into());
            turn.out.note(Event::Received { request, client: peer, service });
        }
        if let Some(worker) = idle.filter(|_| reads && primary.is_none()) {
            if shares {
                self.tables.make_primary(index, request.body);
            }
            return self.start(turn, index, worker, Some(request));
        }
        self.tables.requests.retain(index, request.options, request.body);
        let in_flight = primary.is_some_and(|primary| self.tables.worker_of(primary).is_some());
        let notice = if reads && in_flight { Notice::Dispatched } else { Notice::Queued };
        self.notify(turn, index, notice);
        if let Some(primary) = primary {
            return self.coalesce(turn, index, primary);
        }
        if shares {
            self.tables.make_primary(index, request.body);
        }
        // If a worker is idle, the request could be dispatched now, so it is suspended.
        if idle.is_none() || !self.suspend(turn, index) {
            self.tables.relocate(index, target.map_or(Place::Queued, Place::Targeted));
        }
        if self.tables.requests[index].deadline <= now {
            // The client asked for an idle worker, and there is none.
            self.expire(turn, index);
        } else {
            self.set_request_timer(now, index);
        }
    }

    /// Returns the worker that a request targets, if it targets one.
    #[inline]
    fn target(&self, service: u32, identity: &[u8]) -> Result<Option<PeerId>, NoSuchWorker> {
        if identity.is_empty() {
            return Ok(None);
        }
        let id = self.tables.peers.named(identity).ok_or(NoSuchWorker)?;
        if self.tables.serves(id, service) { Ok(Some(id)) } else { Err(NoSuchWorker) }
    }

    /// Admits a client's deferred request, if it waits for the limit of names and a worker now
    /// serves its name.
    pub(super) fn admit_served(&mut self, turn: &mut Turn<'_>, client: PeerId) {
        let deferred = self.tables.peers.client(client).and_then(|client| client.deferred());
        if deferred.is_some_and(|deferred| {
            deferred.limit == Limit::Names
                && self.tables.services.is_served(&deferred.request.service)
        }) {
            self.admit_deferred(turn, client);
        }
    }

    /// Admits a client's deferred request, if it waits for that client's own limit.
    pub(super) fn admit_of_client(&mut self, turn: &mut Turn<'_>, client: PeerId) {
        let Some(state) = self.tables.peers.client_mut(client) else { return };
        state.admission_due = false;
        if state.deferred().is_some_and(|deferred| deferred.limit == Limit::Client) {
            self.admit_deferred(turn, client);
        }
    }

    /// Admits the first request that waits for a limit, and schedules the next one.
    pub(super) fn admit_next(&mut self, turn: &mut Turn<'_>, limit: Limit) {
        if let Limit::Service(service) = limit
            && self.tables.services.contains(service)
        {
            self.tables.services.get_mut(service).admission_due = false;
        }
        if let Some(client) = self.tables.first_deferred(limit)
            && self.admit_deferred(turn, client)
        {
            self.admit_more_soon(limit);
        } else if let Limit::Service(service) = limit {
            self.tables.forget_unused(service);
        }
    }

    /// Schedules admission from every queue, because the limits have changed.
    pub(super) fn admit_all_soon(&mut self) {
        if self.tables.admission.clients() > 0 {
            for service in self.tables.services.indices() {
                self.admit_soon(Some(service), None);
            }
            for client in self.tables.peers.ids().collect::<alloc::vec::Vec<_>>() {
                self.admit_soon(None, Some(client));
            }
        }
    }

    /// Admits a client's deferred request, or moves it to the queue of another limit. Returns false
    /// if it still reaches the same limit.
    fn admit_deferred(&mut self, turn: &mut Turn<'_>, client: PeerId) -> bool {
        let Some(Deferred { request, limit: before }) = self.tables.undefer(client) else {
            return false;
        };
        let view = request.view();
        let service = self.tables.services.find(view.service);
        let charged = Requests::charge(&view);
        let limits = &self.config.limits;
        let state = self.tables.peers.client(client);
        let has_room = state.is_some_and(|client| client.has_room(limits, charged));
        match self.limit_reached(has_room, charged, &view, service) {
            None => {
                self.admit(turn, client, &view, charged, service);
                self.resume(turn, client);
                true
            }
            Some(limit) => {
                let end = if limit == before { End::Front } else { End::Back };
                self.tables.defer(client, request, limit, end);
                limit != before
            }
        }
    }
}
