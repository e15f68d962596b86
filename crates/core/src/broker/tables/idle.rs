//! Idle workers of a service, ordered by the balance policy.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::peers::{Peers, Worker};
use super::registrations::{InIdle, Registrations};
use crate::broker::config::Balance;
use crate::list::List;

/// The idle workers of a service, by their registrations.
#[derive(Debug)]
pub(in crate::broker) enum Idle {
    /// The worker that has been idle longest comes first.
    LeastRecent(List),
    /// The worker with the fewest requests in flight comes first; among equals, the one with the
    /// fewest dispatched requests.
    LeastLoaded(BTreeSet<(u32, u64, u32)>),
    /// The next worker is random.
    Random(Vec<u32>),
}

impl Idle {
    pub(super) const fn new(balance: Balance) -> Self {
        match balance {
            Balance::LeastRecent => Idle::LeastRecent(List::EMPTY),
            Balance::LeastLoaded => Idle::LeastLoaded(BTreeSet::new()),
            Balance::Random => Idle::Random(Vec::new()),
        }
    }

    pub(super) const fn balance(&self) -> Balance {
        match self {
            Idle::LeastRecent(_) => Balance::LeastRecent,
            Idle::LeastLoaded(_) => Balance::LeastLoaded,
            Idle::Random(_) => Balance::Random,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Idle::LeastRecent(list) => list.is_empty(),
            Idle::LeastLoaded(set) => set.is_empty(),
            Idle::Random(all) => all.is_empty(),
        }
    }

    /// Moves a registration behind the others if the order is that of insertion, and updates its
    /// rank otherwise.
    #[inline]
    pub(super) fn requeue(&mut self, registrations: &mut Registrations, at: u32, load: (u32, u64)) {
        match self {
            Idle::LeastRecent(list) => list.move_to_back(&mut InIdle(registrations), at),
            _ => {
                self.remove(registrations, at);
                self.insert(registrations, at, load);
            }
        }
    }

    /// Returns the registration of the worker that gets the next request. `draw` is the current
    /// value of the random sequence.
    #[inline(always)]
    pub(super) fn next(&self, draw: u64) -> Option<u32> {
        match self {
            Idle::LeastRecent(list) => list.first(),
            Idle::LeastLoaded(set) => set.first().map(|(_, _, index)| *index),
            Idle::Random(all) => (!all.is_empty()).then(|| all[place_of(draw, all.len())]),
        }
    }

    /// Returns the first registration for which `fits` returns true, in the order of the policy.
    pub(super) fn find(
        &self,
        registrations: &mut Registrations,
        draw: u64,
        fits: impl Fn(&Registrations, u32) -> bool,
    ) -> Option<u32> {
        match self {
            Idle::LeastRecent(list) => {
                let mut at = list.first();
                while let Some(index) = at
                    && !fits(registrations, index)
                {
                    at = List::after(&mut InIdle(registrations), index);
                }
                at
            }
            Idle::LeastLoaded(set) => {
                set.iter().map(|(_, _, index)| *index).find(|index| fits(registrations, *index))
            }
            Idle::Random(all) => {
                let start = if all.is_empty() { 0 } else { place_of(draw, all.len()) };
                let (before, behind) = all.split_at(start);
                behind.iter().chain(before).copied().find(|index| fits(registrations, *index))
            }
        }
    }

    /// Inserts the registration of a worker with this load.
    pub(super) fn insert(&mut self, registrations: &mut Registrations, at: u32, load: (u32, u64)) {
        match self {
            Idle::LeastRecent(list) => list.push_back(&mut InIdle(registrations), at),
            Idle::LeastLoaded(set) => {
                registrations[at].rank = load;
                set.insert((load.0, load.1, at));
            }
            Idle::Random(all) => {
                registrations[at].rank.0 = all.len() as u32;
                all.push(at);
            }
        }
    }

    /// Removes a registration.
    pub(super) fn remove(&mut self, registrations: &mut Registrations, at: u32) {
        match self {
            Idle::LeastRecent(list) => list.remove(&mut InIdle(registrations), at),
            Idle::LeastLoaded(set) => {
                let (held, given) = registrations[at].rank;
                set.remove(&(held, given, at));
            }
            Idle::Random(all) => {
                let place = registrations[at].rank.0;
                all.swap_remove(place as usize);
                if let Some(moved) = all.get(place as usize) {
                    registrations[*moved].rank.0 = place;
                }
            }
        }
    }

    /// Reorders the registrations for another policy.
    pub(super) fn rebalance(
        &mut self,
        registrations: &mut Registrations,
        peers: &Peers,
        balance: Balance,
    ) {
        if self.balance() == balance {
            return;
        }
        let mut other = Idle::new(balance);
        while let Some(at) = self.next(0) {
            self.remove(registrations, at);
            let load = peers.worker(registrations[at].worker).map_or((0, 0), Worker::load);
            other.insert(registrations, at, load);
        }
        *self = other;
    }
}

/// Returns the next draw. The sequence is not random itself; `place_of` mixes it.
pub(in crate::broker) const fn next_draw(draw: u64) -> u64 {
    draw.wrapping_add(0x9E37_79B9_7F4A_7C15)
}

/// Returns a random number below `count`, by applying the mixing function of SplitMix64 to a draw.
const fn place_of(draw: u64, count: usize) -> usize {
    let mut mixed = (draw ^ draw >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed % count as u64) as usize
}
