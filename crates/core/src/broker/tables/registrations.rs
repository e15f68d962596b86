//! Registrations of workers for services. A worker has one for each of its services. It is idle for
//! all of them or for none.

use crate::PeerId;
use crate::list::{Linked, Links};
use crate::table::Table;

/// The registration of one worker for one service.
#[derive(Debug)]
pub(in crate::broker) struct Registration {
    pub(in crate::broker) worker: PeerId,
    pub(in crate::broker) service: u32,
    /// Its links among the idle workers of the service.
    pub(super) links: Links,
    /// Its rank among the idle workers, if they are not in order of insertion.
    pub(super) rank: (u32, u64),
    /// The rank up to which the worker has examined the service's rejected requests.
    pub(super) looked_at: u64,
}

impl Registration {
    pub(super) const fn new(worker: PeerId, service: u32) -> Self {
        Self { worker, service, links: Links::NONE, rank: (0, 0), looked_at: 0 }
    }
}

#[cfg(test)]
impl Registration {
    pub(in crate::broker) fn looked_at(&self) -> u64 {
        self.looked_at
    }
}

/// All registrations.
pub(in crate::broker) type Registrations = Table<Registration>;

/// The links of registrations among the idle workers of their service.
pub(super) struct InIdle<'a>(pub(super) &'a mut Registrations);

impl Linked for InIdle<'_> {
    #[inline(always)]
    fn links(&mut self, at: u32) -> &mut Links {
        &mut self.0[at].links
    }
}
