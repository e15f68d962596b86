//! The workers of a service that can take a request, in the order in which they get one.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::config::Balance;
use super::offers::{InFree, Offers, load};
use super::peers::Peers;
use crate::list::List;

/// The free workers of a service, by their offers of it.
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

    /// The offer whose worker gets the next request. `draw` is where chance begins.
    pub(super) fn next(&self, draw: u64) -> Option<u32> {
        match self {
            Free::LeastRecent(list) => list.first(),
            Free::LeastLoaded(set) => set.first().map(|(_, _, index)| *index),
            Free::Random(all) => (!all.is_empty()).then(|| all[(draw % all.len() as u64) as usize]),
        }
    }

    /// The first one, in the order in which they get requests, for which `fits` holds.
    pub(super) fn find(
        &self,
        offers: &mut Offers,
        draw: u64,
        fits: impl Fn(&Offers, u32) -> bool,
    ) -> Option<u32> {
        match self {
            Free::LeastRecent(list) => {
                let mut at = list.first();
                while let Some(index) = at
                    && !fits(offers, index)
                {
                    at = List::after(&mut InFree(offers), index);
                }
                at
            }
            Free::LeastLoaded(set) => {
                set.iter().map(|(_, _, index)| *index).find(|index| fits(offers, *index))
            }
            Free::Random(all) => {
                let start = if all.is_empty() { 0 } else { (draw % all.len() as u64) as usize };
                let (before, behind) = all.split_at(start);
                behind.iter().chain(before).copied().find(|index| fits(offers, *index))
            }
        }
    }

    /// Puts an offer in that is not there, of a worker with this load.
    pub(super) fn insert(&mut self, offers: &mut Offers, at: u32, load: (u32, u64)) {
        match self {
            Free::LeastRecent(list) => list.push_back(&mut InFree(offers), at),
            Free::LeastLoaded(set) => {
                offers[at].rank = load;
                set.insert((load.0, load.1, at));
            }
            Free::Random(all) => {
                offers[at].rank.0 = all.len() as u32;
                all.push(at);
            }
        }
    }

    /// Takes an offer out that is there.
    pub(super) fn remove(&mut self, offers: &mut Offers, at: u32) {
        match self {
            Free::LeastRecent(list) => list.remove(&mut InFree(offers), at),
            Free::LeastLoaded(set) => {
                let (held, given) = offers[at].rank;
                set.remove(&(held, given, at));
            }
            Free::Random(all) => {
                let place = offers[at].rank.0;
                all.swap_remove(place as usize);
                if let Some(moved) = all.get(place as usize) {
                    offers[*moved].rank.0 = place;
                }
            }
        }
    }

    /// The same offers, in another order from now on.
    pub(super) fn rebalance(&mut self, offers: &mut Offers, peers: &Peers, balance: Balance) {
        if self.balance() == balance {
            return;
        }
        let mut other = Free::new(balance);
        while let Some(at) = self.next(0) {
            self.remove(offers, at);
            let load = load(peers, offers[at].worker);
            other.insert(offers, at, load);
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
