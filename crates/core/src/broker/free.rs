//! The workers of a service that can take a request, in the order in which they get one.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::config::Balance;
use super::peers::{InFree, Peers};
use crate::list::List;

/// The free workers of a service, by the index of their peer.
#[derive(Debug)]
pub(super) enum Free {
    /// The one that has waited longest comes first.
    LeastRecent(List),
    /// The one with the fewest requests in hand, then with the fewest ever.
    LeastLoaded(BTreeSet<(u32, u64, u32)>),
    /// Any.
    Random(Vec<u32>),
}

impl Free {
    pub(super) const fn new(balance: Balance) -> Self {
        match balance {
            Balance::LeastRecent => Free::LeastRecent(List::EMPTY),
            Balance::LeastLoaded => Free::LeastLoaded(BTreeSet::new()),
            Balance::Random => Free::Random(Vec::new()),
        }
    }

    pub(super) const fn balance(&self) -> Balance {
        match self {
            Free::LeastRecent(_) => Balance::LeastRecent,
            Free::LeastLoaded(_) => Balance::LeastLoaded,
            Free::Random(_) => Balance::Random,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Free::LeastRecent(list) => list.is_empty(),
            Free::LeastLoaded(set) => set.is_empty(),
            Free::Random(all) => all.is_empty(),
        }
    }

    /// The worker that gets the next request. `draw` is where chance begins.
    pub(super) fn next(&self, draw: u64) -> Option<u32> {
        match self {
            Free::LeastRecent(list) => list.first(),
            Free::LeastLoaded(set) => set.first().map(|(_, _, index)| *index),
            Free::Random(all) => (!all.is_empty()).then(|| all[(draw % all.len() as u64) as usize]),
        }
    }

    /// The first worker, in the order in which they get requests, for which `fits` holds.
    pub(super) fn find(
        &self,
        peers: &mut Peers,
        draw: u64,
        fits: impl Fn(&Peers, u32) -> bool,
    ) -> Option<u32> {
        match self {
            Free::LeastRecent(list) => {
                let mut at = list.first();
                while let Some(index) = at
                    && !fits(peers, index)
                {
                    at = List::after(&mut InFree(peers), index);
                }
                at
            }
            Free::LeastLoaded(set) => {
                set.iter().map(|(_, _, index)| *index).find(|index| fits(peers, *index))
            }
            Free::Random(all) => {
                let start = if all.is_empty() { 0 } else { (draw % all.len() as u64) as usize };
                let (before, behind) = all.split_at(start);
                behind.iter().chain(before).copied().find(|index| fits(peers, *index))
            }
        }
    }

    /// Puts a worker in that is not there.
    pub(super) fn insert(&mut self, peers: &mut Peers, index: u32) {
        match self {
            Free::LeastRecent(list) => list.push_back(&mut InFree(peers), index),
            Free::LeastLoaded(set) => {
                let Some(worker) = peers.worker_at(index) else { return };
                worker.rank = (worker.running.len() as u32, worker.given);
                set.insert((worker.rank.0, worker.rank.1, index));
            }
            Free::Random(all) => {
                let Some(worker) = peers.worker_at(index) else { return };
                worker.rank.0 = all.len() as u32;
                all.push(index);
            }
        }
    }

    /// Takes a worker out that is there.
    pub(super) fn remove(&mut self, peers: &mut Peers, index: u32) {
        match self {
            Free::LeastRecent(list) => list.remove(&mut InFree(peers), index),
            Free::LeastLoaded(set) => {
                let Some(worker) = peers.worker_at(index) else { return };
                set.remove(&(worker.rank.0, worker.rank.1, index));
            }
            Free::Random(all) => {
                let Some(worker) = peers.worker_at(index) else { return };
                let at = worker.rank.0;
                all.swap_remove(at as usize);
                if let Some(moved) = all.get(at as usize).copied()
                    && let Some(worker) = peers.worker_at(moved)
                {
                    worker.rank.0 = at;
                }
            }
        }
    }

    /// The same workers, in another order from now on.
    pub(super) fn rebalance(&mut self, peers: &mut Peers, balance: Balance) {
        if self.balance() == balance {
            return;
        }
        let mut other = Free::new(balance);
        while let Some(index) = self.next(0) {
            self.remove(peers, index);
            other.insert(peers, index);
        }
        *self = other;
    }
}

/// The next number of a sequence that looks like chance (SplitMix64).
pub(super) const fn shuffled(chance: u64) -> u64 {
    let mut mixed = chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
