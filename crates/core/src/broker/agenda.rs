//! The agenda: follow-up work within one input.
//!
//! A handler does not call the handler of the next step. It records the work here, and the loop in
//! [`Broker::handle`](super::Broker::handle) runs it, in this order: work that is possible at once;
//! then coalesced requests whose primary has ended, the highest priority first; then requests in
//! admission queues.
//!
//! The agenda contains no duplicates, so its size is bounded by the broker's state: two entries for
//! each service, four for each peer, one for each request in progress.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::{replace, take};

use super::Broker;
use super::tables::Limit;
use crate::{PeerId, RequestId};

/// One item of follow-up work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Dispatch queued requests of this service, and of those that it matches, to idle workers.
    Dispatch(u32),
    /// Dispatch requests to this worker until it has no free slot.
    Feed(PeerId),
    /// Probe the owner of the identity that this peer claims.
    Challenge(PeerId),
    /// Give this peer the identity that it claims, because the owner has disconnected.
    Inherit(PeerId),
    /// Sort the released requests by priority.
    OrderReleased,
    /// Let this request, whose primary has ended, wait on its own.
    Release(Released),
    /// Admit this client's deferred request, if a worker now serves its name.
    AdmitServed(PeerId),
    /// Admit this client's deferred request, which had reached the client's own limit.
    AdmitClient(PeerId),
    /// Admit requests that had reached this limit.
    Admit(Limit),
}

/// A coalesced request whose primary has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Released {
    pub(super) request: RequestId,
    /// True if the primary was in flight.
    pub(super) was_in_flight: bool,
}

/// Follow-up work that is not done yet.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    next: VecDeque<Work>,
    released: Vec<Released>,
    /// Requests that were released earlier, the highest priority first.
    ordered: VecDeque<Released>,
    served: VecDeque<PeerId>,
    clients: VecDeque<PeerId>,
    services: VecDeque<u32>,
    admit_names: bool,
    admit_broker: bool,
    is_empty: bool,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self { is_empty: true, ..Self::default() }
    }

    fn push(&mut self, work: Work) {
        self.is_empty = false;
        self.next.push_back(work);
    }

    /// Records a request whose primary has ended.
    pub(super) fn release(&mut self, released: Released) {
        self.is_empty = false;
        self.released.push(released);
    }

    /// Schedules a probe of the owner of the identity that a peer claims.
    pub(super) fn challenge(&mut self, claimant: PeerId) {
        self.push(Work::Challenge(claimant));
    }

    /// Schedules the transfer of an identity to the peer that claims it.
    pub(super) fn inherit(&mut self, claimant: PeerId) {
        self.push(Work::Inherit(claimant));
    }

    /// Removes and returns the next item.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Work> {
        if self.is_empty { None } else { self.pop_one() }
    }

    fn pop_one(&mut self) -> Option<Work> {
        if let Some(work) = self.next.pop_front() {
            return Some(work);
        }
        if let Some(released) = self.ordered.pop_front() {
            return Some(Work::Release(released));
        }
        if !self.released.is_empty() {
            return Some(Work::OrderReleased);
        }
        if let Some(client) = self.served.pop_front() {
            return Some(Work::AdmitServed(client));
        }
        if let Some(client) = self.clients.pop_front() {
            return Some(Work::AdmitClient(client));
        }
        if let Some(service) = self.services.pop_front() {
            return Some(Work::Admit(Limit::Service(service)));
        }
        if take(&mut self.admit_names) {
            return Some(Work::Admit(Limit::Names));
        }
        if take(&mut self.admit_broker) {
            return Some(Work::Admit(Limit::Broker));
        }
        self.is_empty = true;
        None
    }

    /// Returns the number of items.
    #[cfg(any(test, feature = "audit"))]
    pub(super) fn len(&self) -> usize {
        self.next.len()
            + self.released.len()
            + self.ordered.len()
            + self.served.len()
            + self.clients.len()
            + self.services.len()
            + usize::from(self.admit_names)
            + usize::from(self.admit_broker)
    }
}

impl Broker {
    /// Schedules a dispatch of a service's queued requests.
    pub(super) fn dispatch_soon(&mut self, service: u32) {
        if self.tables.services.contains(service)
            && !replace(&mut self.tables.services.get_mut(service).dispatch_due, true)
        {
            self.agenda.push(Work::Dispatch(service));
        }
    }

    /// Schedules a dispatch to a worker. An idle worker needs none: no request waits for it.
    #[inline(always)]
    pub(super) fn feed_soon(&mut self, worker: PeerId) {
        if let Some(state) = self.tables.peers.worker_mut(worker)
            && !state.is_idle()
            && !replace(&mut state.feed_due, true)
        {
            self.agenda.push(Work::Feed(worker));
        }
    }

    /// Schedules admission of deferred requests, after a request of this service and client has
    /// ended.
    #[inline]
    pub(super) fn admit_soon(&mut self, service: Option<u32>, client: Option<PeerId>) {
        if self.tables.admission.clients() == 0 {
            return;
        }
        self.agenda.is_empty = false;
        self.agenda.admit_names = true;
        self.agenda.admit_broker = true;
        if let Some(service) = service.filter(|service| self.tables.services.contains(*service))
            && !replace(&mut self.tables.services.get_mut(service).admission_due, true)
        {
            self.agenda.services.push_back(service);
        }
        if let Some(client) = client
            && let Some(state) = self.tables.peers.client_mut(client)
            && !replace(&mut state.admission_due, true)
        {
            self.agenda.clients.push_back(client);
        }
    }

    /// Schedules admission of the requests that are deferred by the limit of names and whose name a
    /// worker now serves.
    pub(super) fn admit_served_soon(&mut self) {
        if self.tables.admission.clients() > 0 {
            self.admit_soon(None, None);
            self.agenda.served = self.tables.deferred_clients(Limit::Names).into();
        }
    }

    /// Schedules admission of further requests that had reached this limit, before those of other
    /// limits.
    pub(super) fn admit_more_soon(&mut self, limit: Limit) {
        self.agenda.push(Work::Admit(limit));
    }

    /// Sorts the released requests by priority, the highest first, so that no request joins a
    /// primary that would be dispatched later.
    pub(super) fn order_released(&mut self) {
        let mut released = take(&mut self.agenda.released);
        let requests = &self.tables.requests;
        released.sort_by_key(|released| {
            let index = requests.find(released.request);
            index.map(|index| core::cmp::Reverse(requests[index].priority))
        });
        self.agenda.ordered.extend(released);
    }
}
