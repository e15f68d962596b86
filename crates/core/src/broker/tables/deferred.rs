//! Admission queues: deferred requests of clients whose dialect cannot report that a limit was
//! reached.
//!
//! The broker does not read from such a client while its one request is deferred, so the queues
//! hold at most one message for each connection. Each limit has its own queue, so that a client
//! that waits for one limit does not block a client that waits for another.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Tables;
use super::peers::InAdmission;
use super::requests::Requests;
use crate::broker::Refusal;
use crate::list::List;
use crate::{PeerId, Request};

/// The limit that a request has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Limit {
    /// The limit of requests in progress for one client.
    Client,
    /// The limit of requests in progress for one service.
    Service(u32),
    /// The limit of names without a registered worker.
    Names,
    /// The limit of requests in progress for the whole broker.
    Broker,
}

impl Limit {
    /// Returns the reason for refusing a request that has reached this limit.
    pub(in crate::broker) fn refusal(self) -> Refusal {
        match self {
            Limit::Client => Refusal::Client,
            Limit::Service(_) => Refusal::Service,
            Limit::Names => Refusal::Names,
            Limit::Broker => Refusal::Broker,
        }
    }
}

/// A request in an admission queue.
#[derive(Debug)]
pub(in crate::broker) struct Deferred {
    pub(in crate::broker) request: Box<Request>,
    pub(in crate::broker) limit: Limit,
}

/// An end of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum End {
    Front,
    Back,
}

/// The admission queues that belong to no service, and the totals of all queues.
#[derive(Debug)]
pub(in crate::broker) struct Admission {
    names: List,
    broker: List,
    clients: usize,
    bytes: usize,
}

impl Admission {
    pub(super) const fn new() -> Self {
        Self { names: List::EMPTY, broker: List::EMPTY, clients: 0, bytes: 0 }
    }

    /// Returns the number of clients with a deferred request.
    #[inline]
    pub(in crate::broker) fn clients(&self) -> usize {
        self.clients
    }

    /// Returns the bytes of all deferred requests.
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Tables {
    /// Adds a client's request to the admission queue of a limit.
    pub(in crate::broker) fn defer(
        &mut self,
        client: PeerId,
        request: Box<Request>,
        limit: Limit,
        end: End,
    ) {
        let Some(peer) = self.peers.client_mut(client) else { return };
        self.admission.clients += 1;
        self.admission.bytes += Requests::charge(&request.view());
        peer.deferred = Some(Deferred { request, limit });
        let Some(mut queue) = self.admission_queue(limit) else { return };
        match end {
            End::Front => queue.push_front(&mut InAdmission(&mut self.peers), client.index),
            End::Back => queue.push_back(&mut InAdmission(&mut self.peers), client.index),
        }
        self.set_admission_queue(limit, queue);
    }

    /// Removes a client's request from its admission queue.
    pub(in crate::broker) fn undefer(&mut self, client: PeerId) -> Option<Deferred> {
        let deferred = self.peers.client_mut(client)?.deferred.take()?;
        self.admission.clients -= 1;
        self.admission.bytes -= Requests::charge(&deferred.request.view());
        if let Some(mut queue) = self.admission_queue(deferred.limit) {
            queue.remove(&mut InAdmission(&mut self.peers), client.index);
            self.set_admission_queue(deferred.limit, queue);
        }
        Some(deferred)
    }

    /// Returns true if requests wait for a limit.
    #[inline]
    pub(in crate::broker) fn is_deferring(&self, limit: Limit) -> bool {
        self.admission.clients > 0
            && self.admission_queue(limit).is_some_and(|queue| !queue.is_empty())
    }

    /// Returns the client that has waited longest for a limit.
    pub(in crate::broker) fn first_deferred(&self, limit: Limit) -> Option<PeerId> {
        let first = self.admission_queue(limit)?.first()?;
        Some(self.peers.id_at(first))
    }

    /// Returns the clients that wait for a limit, in order.
    pub(in crate::broker) fn deferred_clients(&mut self, limit: Limit) -> Vec<PeerId> {
        let queue = self.admission_queue(limit).unwrap_or(List::EMPTY);
        let clients = queue.to_vec(&mut InAdmission(&mut self.peers));
        clients.into_iter().map(|index| self.peers.id_at(index)).collect()
    }

    /// Returns the queue of a limit. Returns `None` if the service was forgotten, and for a
    /// client's own limit, for which only that client waits.
    fn admission_queue(&self, limit: Limit) -> Option<List> {
        match limit {
            Limit::Client => None,
            Limit::Service(service) => {
                self.services.contains(service).then(|| self.services[service].admission)
            }
            Limit::Names => Some(self.admission.names),
            Limit::Broker => Some(self.admission.broker),
        }
    }

    fn set_admission_queue(&mut self, limit: Limit, queue: List) {
        match limit {
            Limit::Client => {}
            Limit::Service(service) => self.services.get_mut(service).admission = queue,
            Limit::Names => self.admission.names = queue,
            Limit::Broker => self.admission.broker = queue,
        }
    }
}
