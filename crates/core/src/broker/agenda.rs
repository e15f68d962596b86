//! The agenda: follow-up work that an input leaves behind.
//!
//! A handler does not call the handler of what becomes possible next. It records the work here, and the
//! one loop in [`Broker::handle`](super::Broker::handle) does it, in this order: work that is possible
//! at once; then coalesced requests whose primary has ended, the most urgent first; then requests in
//! admission queues.
//!
//! Nothing is here twice, so the agenda is bounded by what the broker holds: two entries for each
//! service, four for each peer, one for each request in progress.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::{replace, take};

use super::Broker;
use super::tables::Limit;
use crate::{PeerId, RequestId};

/// One piece of follow-up work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Give queued requests of this service, or of those that it matches, to idle workers.
    Dispatch(u32),
    /// Give this worker what it can take.
    Feed(PeerId),
    /// Probe the owner of an identity that this peer claims.
    Challenge(PeerId),
    /// Give this peer the identity that it claims: its owner is gone.
    Inherit(PeerId),
    /// Order the requests that were released.
    OrderReleased,
    /// Let this request, whose primary has ended, wait by itself.
    Release(Released),
    /// Admit the deferred request of this client, if a worker serves its name by now.
    AdmitServed(PeerId),
    /// Admit the deferred request of this client, which had reached its own limit.
    AdmitClient(PeerId),
    /// Admit requests that had reached this limit.
    Admit(Limit),
}

/// A coalesced request whose primary has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Released {
    pub(super) request: RequestId,
    /// Whether its primary was at a worker.
    pub(super) was_in_flight: bool,
}

/// Follow-up work, until there is none.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    next: VecDeque<Work>,
    released: Vec<Released>,
    /// Those that were released before, the most urgent first.
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

    /// Probes the owner of an identity that a peer claims.
    pub(super) fn challenge(&mut self, claimant: PeerId) {
        self.push(Work::Challenge(claimant));
    }

    /// Gives a peer the identity that it claims.
    pub(super) fn inherit(&mut self, claimant: PeerId) {
        self.push(Work::Inherit(claimant));
    }

    /// The next piece of work.
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

    /// Number of pieces of work.
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
    /// Dispatches queued requests of a service later in this input.
    pub(super) fn dispatch_soon(&mut self, service: u32) {
        if self.tables.services.contains(service)
            && !replace(&mut self.tables.services.get_mut(service).dispatch_due, true)
        {
            self.agenda.push(Work::Dispatch(service));
        }
    }

    /// Gives a worker what it can take, later in this input. One that is idle has all that it can.
    #[inline(always)]
    pub(super) fn feed_soon(&mut self, worker: PeerId) {
        if let Some(state) = self.tables.peers.worker_mut(worker)
            && !state.is_idle()
            && !replace(&mut state.feed_due, true)
        {
            self.agenda.push(Work::Feed(worker));
        }
    }

    /// Admits deferred requests later in this input, after a request of this service and client has
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

    /// Admits the requests that wait for room for a name and whose name is served, later in this input.
    pub(super) fn admit_served_soon(&mut self) {
        if self.tables.admission.clients() > 0 {
            self.admit_soon(None, None);
            self.agenda.served = self.tables.deferred_clients(Limit::Names).into();
        }
    }

    /// Admits more of the requests that had reached this limit, before those of other limits.
    pub(super) fn admit_more_soon(&mut self, limit: Limit) {
        self.agenda.push(Work::Admit(limit));
    }

    /// Orders the requests that were released: the most urgent comes first, so that it waits with none
    /// that would come later.
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
