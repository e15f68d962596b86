//! A client's requests by the numbers that it gave them.
//!
//! A client of a dialect whose ids are numbers gives each of its requests in progress another one, and
//! most never name one again. So there is no index until a request is asked for by its number: it is
//! made of all that the client has in progress, and kept from then on.

use hashbrown::HashMap;

use super::Tables;
use super::peers::Client;
use crate::broker::keys::KeyedState;
use crate::{CorrelationIdRef, PeerId, table};

/// Requests by number.
pub(super) type ByNumber = HashMap<u64, u32, KeyedState>;

impl Client {
    /// Adds a request that was admitted.
    #[inline]
    pub(super) fn add_number(&mut self, number: u64, request: u32) {
        self.next_number = self.next_number.max(number.saturating_add(1));
        if let Some(by_number) = &mut self.by_number {
            by_number.insert(number, request);
        }
    }

    /// Whether an id is above all that it has given, so that it cannot be in use.
    #[inline]
    pub(in crate::broker) fn is_above_all(&self, id: CorrelationIdRef<'_>) -> bool {
        matches!(id, CorrelationIdRef::Number(number)
            if number >= self.next_number && number < u64::MAX)
    }

    /// Removes a request that ended.
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
    /// The request in progress to which a client has given this id.
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

    /// As [`request_of_client`](Self::request_of_client), as far as there is an index.
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
