//! Matching: which services' workers serve a service, when a pattern that may match it has come or gone.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::tables::Place;
use super::{Broker, Turn};

impl Broker {
    /// Looks anew at who serves these services. The workers that serve them from now on are fed when all
    /// are looked at, so that each has its turn.
    pub(super) fn rematch(&mut self, turn: &mut Turn<'_>, concerned: Vec<u32>) {
        let mut feeding = BTreeSet::new();
        for service in concerned {
            // What was done for one before may have been the end of this one.
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
