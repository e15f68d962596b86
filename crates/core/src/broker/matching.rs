//! Matching services: services whose workers also serve another service by a wildcard or version.
//! They are recomputed when such a name is registered or withdrawn.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::tables::Place;
use super::{Broker, Turn};

impl Broker {
    /// Recomputes the matching services of these services. New matching services are dispatched
    /// only afterwards, so that each service gets its round-robin turn.
    pub(super) fn rematch(&mut self, turn: &mut Turn<'_>, concerned: Vec<u32>) {
        let mut feeding = BTreeSet::new();
        for service in concerned {
            // Work for an earlier service may have removed this one.
            if !self.tables.services.contains(service) {
                continue;
            }
            let matching = self.tables.services.matching_due(service);
            if matching == self.tables.services[service].matching() {
                continue;
            }
            let rejected = self.tables.services.rejected_of(&self.tables.requests, service);
            for request in &rejected {
                self.tables.relocate(*request, Place::Detached);
            }
            feeding.extend(&matching);
            self.tables.set_matching(turn.now, service, matching);
            for request in rejected {
                self.seek_another(turn, request);
            }
        }
        for service in feeding {
            self.dispatch_soon(service);
        }
    }
}
