//! Index of a client's requests by numeric correlation id.
//!
//! A client whose dialect has numeric ids gives each request in progress a different number. Most
//! clients never refer to a request by its number. So the index is built only when a request is
//! first looked up by number, from all of the client's requests in progress, and is maintained from
//! then on.

use hashbrown::HashMap;

use super::Tables;
use super::peers::Client;
use crate::broker::keys::KeyedState;
use crate::{CorrelationIdRef, PeerId, table};

/// Requests by number.
pub(super) type ByNumber = HashMap<u64, u32, KeyedState>;

impl Client {
    /// Adds an admitted request.
    #[inline]
    pub(super) fn add_number(&mut self, number: u64, request: u32) {
        self.next_number = self.next_number.max(number.saturating_add(1));
        if let Some(by_number) = &mut self.by_number {
            by_number.insert(number, request);
        }
    }

    /// Returns true if an id is greater than all earlier ids of the client, so that it cannot be in
    /// use.
    #[inline]
    pub(in crate::broker) fn is_above_all(&self, id: CorrelationIdRef<'_>) -> bool {
        matches!(id, CorrelationIdRef::Number(number)
            if number >= self.next_number && number < u64::MAX)
    }

    /// Removes an ended request.
    #[inline(always)]
    pub(super) fn remove_number(&mut self, number: u64) {
        if let Some(by_number) = &mut self.by_number {
            by_number.remove(&number);
            if table::is_sparse(by_number.len(), by_number.capacity()) {
                by_number.shrink_to(2 * by_number.len());
            }
        }
    }
}

impl Tables {
    /// Returns a client's request in progress with this id.
    pub(in crate::broker) fn request_of_client(
        &mut self,
        client: PeerId,
        id: CorrelationIdRef<'_>,
    ) -> Option<u32> {
        if let CorrelationIdRef::Number(_) = id
            && self.peers.client(client)?.by_number.is_none()
        {
            self.index_by_number(client);
        }
        self.find_of_client(client, id)
    }

    fn index_by_number(&mut self, id: PeerId) {
        let mut by_number = HashMap::with_hasher(self.requests.keyed());
        for request in self.of_client(id) {
            if let CorrelationIdRef::Number(number) = self.requests[request].id() {
                by_number.insert(number, request);
            }
        }
        if let Some(client) = self.peers.client_mut(id) {
            client.by_number = Some(by_number);
        }
    }

    /// Finds a request like [`request_of_client`](Self::request_of_client), but does not build the
    /// index.
    pub(in crate::broker) fn find_of_client(
        &self,
        client: PeerId,
        id: CorrelationIdRef<'_>,
    ) -> Option<u32> {
        match id {
            CorrelationIdRef::Number(number) => {
                self.peers.client(client)?.by_number.as_ref()?.get(&number).copied()
            }
            CorrelationIdRef::Text(text) => self.requests.named(client, text),
        }
    }
}
