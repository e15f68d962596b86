//! Coalesced requests, which wait for the reply to an equal request, their primary.

use alloc::vec::Vec;
use core::cmp::Reverse;

use hashbrown::HashTable;

use super::Tables;
use super::place::Place;
use super::requests::{InPlace, Record, Requests};
use crate::broker::keys::{KeyedState, Keys};
use crate::list::List;
use crate::{FramesView, PeerId};

/// The primaries that equal requests may join, by service and body.
#[derive(Debug)]
pub(super) struct Primaries {
    index: HashTable<u32>,
    keyed: KeyedState,
}

impl Primaries {
    pub(super) fn new(keys: Keys) -> Self {
        Self { index: HashTable::new(), keyed: keys.state() }
    }

    fn insert(&mut self, requests: &Requests, index: u32, hash: u64) {
        let hash_of = |other: &u32| requests[*other].primary_hash().unwrap_or_default();
        self.index.insert_unique(hash, index, hash_of);
    }

    fn remove(&mut self, index: u32, hash: u64) {
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
    }
}

impl Tables {
    /// Returns the primary that a request with this body may join, of those for which `fits`
    /// returns true. Prefers the primary whose reply is expected first.
    pub(in crate::broker) fn find_primary(
        &self,
        service: u32,
        body: FramesView<'_>,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<u32> {
        if self.primaries.index.is_empty() {
            return None;
        }
        let same = |index: &u32| {
            let record = &self.requests[*index];
            record.service == service && fits(record) && record.content().1.is_same(&body)
        };
        let turn = |index: &u32| {
            let record = &self.requests[*index];
            let waits = !record.place().is_in_flight();
            (waits, Reverse(record.priority), record.rest.received, *index)
        };
        let hash = self.primaries.keyed.of_body(&self.services[service].name, body);
        self.primaries.index.iter_hash(hash).copied().filter(same).min_by_key(turn)
    }

    /// Lets equal requests join a request with this body, which must be retained.
    pub(in crate::broker) fn make_primary(&mut self, request: u32, body: FramesView<'_>) {
        let name = &self.services[self.requests[request].service].name;
        let hash = self.primaries.keyed.of_body(name, body);
        self.requests.get_mut(request).coalescing_mut().hash = Some(hash);
        self.primaries.insert(&self.requests, request, hash);
    }

    /// Lets no more requests join a request.
    pub(in crate::broker) fn close_primary(&mut self, request: u32) {
        let coalescing = self.requests.get_mut(request).rest.coalescing.as_mut();
        if let Some(hash) = coalescing.and_then(|coalescing| coalescing.hash.take()) {
            self.primaries.remove(request, hash);
        }
    }

    /// Returns the first request that is coalesced with this one.
    #[inline]
    pub(in crate::broker) fn first_coalesced(&self, primary: u32) -> Option<u32> {
        self.requests[primary].coalesced().first()
    }

    /// Returns the requests that are coalesced with this one, in order.
    pub(in crate::broker) fn coalesced(&mut self, primary: u32) -> Vec<u32> {
        self.requests[primary].coalesced().to_vec(&mut InPlace(&mut self.requests))
    }

    /// Closes a primary and detaches the first request that is coalesced with it. Returns `None` if
    /// there is none.
    pub(in crate::broker) fn detach_first_coalesced(&mut self, primary: u32) -> Option<u32> {
        self.close_primary(primary);
        let first = self.first_coalesced(primary)?;
        self.relocate(first, Place::Detached);
        Some(first)
    }

    /// Replaces an ending primary in the queue by the first coalesced request of the highest
    /// priority, so that this one is not delayed by a primary of a lower priority. It becomes the
    /// primary of the others. Returns false if there is no coalesced request.
    pub(in crate::broker) fn succeed(&mut self, request: u32) -> bool {
        let coalesced = self.coalesced(request);
        let priority = |at: &u32| Reverse(self.requests[*at].priority);
        let Some(successor) = coalesced.iter().copied().min_by_key(priority) else { return false };
        let Some(hash) = self.requests[request].primary_hash() else { return false };
        self.close_primary(request);
        self.relocate(successor, Place::Detached);
        self.replace_queued(request, successor);
        self.requests.get_mut(successor).coalescing_mut().hash = Some(hash);
        self.primaries.insert(&self.requests, successor, hash);
        for other in coalesced.into_iter().filter(|other| *other != successor) {
            self.relocate(other, Place::Detached);
            self.relocate(other, Place::Coalesced(successor));
        }
        true
    }

    /// Returns true if any other client waits for the reply to a request.
    pub(in crate::broker) fn is_shared_beyond(&mut self, primary: u32, client: PeerId) -> bool {
        let mut at = self.first_coalesced(primary);
        while let Some(request) = at
            && self.requests[request].client == client
        {
            at = List::after(&mut InPlace(&mut self.requests), request);
        }
        at.is_some()
    }

    /// Returns the worker of a request or of its primary, and the request that is in flight there.
    #[inline]
    pub(in crate::broker) fn worker_of(&self, request: u32) -> Option<(PeerId, u32)> {
        match self.requests[request].place() {
            Place::InFlight(worker) => Some((worker, request)),
            Place::Coalesced(primary) => match self.requests[primary].place() {
                Place::InFlight(worker) => Some((worker, primary)),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(any(test, feature = "audit"))]
impl Tables {
    pub(in crate::broker) fn is_in_primaries(&self, request: u32, hash: u64) -> bool {
        self.primaries.index.find(hash, |other| *other == request).is_some()
    }

    pub(in crate::broker) fn primaries_len(&self) -> usize {
        self.primaries.index.len()
    }
}
