//! Offers: that a worker serves a service. A worker has one for each of its services, and stands with
//! all of them among the free ones, or with none.

use super::peers::Peers;
use crate::PeerId;
use crate::list::{Linked, Links};
use crate::table::Table;

/// What one worker offers of one service.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) worker: PeerId,
    pub(super) service: u32,
    pub(super) in_free: Links,
    /// What it stands among the free ones by, where that is not the order in which it came.
    pub(super) rank: (u32, u64),
    /// Up to which place its worker has looked at the rejected requests of the service.
    pub(super) looked_at: u64,
}

impl Offer {
    pub(super) const fn new(worker: PeerId, service: u32) -> Self {
        Self { worker, service, in_free: Links::NONE, rank: (0, 0), looked_at: 0 }
    }
}

/// All offers.
pub(super) type Offers = Table<Offer>;

/// By what a worker is less or more loaded than another: what it has in hand, then what it ever had.
pub(super) fn load(peers: &Peers, worker: PeerId) -> (u32, u64) {
    let worker = peers.worker_ref(worker);
    worker.map_or((0, 0), |worker| (worker.running.len() as u32, worker.given))
}

/// The links of offers among the free ones of their service.
pub(super) struct InFree<'a>(pub(super) &'a mut Offers);

impl Linked for InFree<'_> {
    fn links(&mut self, at: u32) -> &mut Links {
        &mut self.0[at].in_free
    }
}
