//! A hierarchical timer wheel: arming, cancelling and firing take constant time.
//!
//! The wheel has six levels of 64 slots. A slot of level 0 is one tick wide. A slot of each further
//! level is as wide as the whole level below. When time reaches a slot of a higher level, its
//! timers move down.

use alloc::vec::Vec;

use crate::Time;
use crate::table::Table;

/// A tick is 2^10 microseconds, about a millisecond.
const TICK_BITS: u32 = 10;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;
/// The maximum distance, in ticks, at which a timer is placed (two years). A timer that is due
/// later is placed again when it gets there. The distance is one slot less than the highest level
/// has, because the last slot would wrap around to the current one.
const REACH_TICKS: u64 = (SLOTS as u64 - 1) << (SLOT_BITS as u64 * (LEVELS as u64 - 1));

const NONE: u32 = u32::MAX;
/// The list of due timers that are not yet popped. It follows the lists of all slots.
const DUE: usize = LEVELS * SLOTS;

/// The id of an armed timer. It is invalid after the timer has fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId(u32);

#[derive(Debug)]
struct Entry<K> {
    what: K,
    due: Time,
    prev: u32,
    next: u32,
    /// The index of the list that contains the entry.
    list: u32,
}

/// A timer wheel. Each timer carries a value of type `K`.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    /// The tick up to which all timers have fired.
    elapsed: u64,
    heads: Vec<u32>,
    /// A bitmap of the non-empty slots for each level.
    occupied: [u64; LEVELS],
    entries: Table<Entry<K>>,
}

impl<K: Copy> Wheel<K> {
    pub(crate) fn new() -> Self {
        Self {
            elapsed: 0,
            heads: alloc::vec![NONE; DUE + 1],
            occupied: [0; LEVELS],
            entries: Table::new(),
        }
    }

    /// Arms a timer that fires at `due` or up to one tick later, never earlier.
    pub(crate) fn arm(&mut self, due: Time, what: K) -> TimerId {
        let entry = Entry { what, due, prev: NONE, next: NONE, list: NONE };
        let (index, _) = self.entries.insert(entry);
        self.place(index);
        TimerId(index)
    }

    /// Returns the due time of an armed timer.
    pub(crate) fn due(&self, timer: TimerId) -> Time {
        self.entries[timer.0].due
    }

    /// Cancels an armed timer.
    pub(crate) fn cancel(&mut self, timer: TimerId) {
        self.unlink(timer.0);
        self.entries.remove(timer.0);
    }

    /// Pops one timer that is due by `now`. Returns its value and its due time.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(K, Time)> {
        let target = now.as_micros() >> TICK_BITS;
        loop {
            let index = self.heads[DUE];
            if index != NONE {
                self.unlink(index);
                let entry = &self.entries[index];
                let fired = (entry.what, entry.due);
                self.entries.remove(index);
                return Some(fired);
            }
            match self.next_slot() {
                Some((list, tick)) if tick <= target => {
                    self.elapsed = self.elapsed.max(tick);
                    self.empty_slot(list);
                }
                _ => {
                    self.elapsed = self.elapsed.max(target);
                    return None;
                }
            }
        }
    }

    /// Returns the earliest time at which a timer can fire.
    pub(crate) fn next_due(&self) -> Option<Time> {
        if self.heads[DUE] != NONE {
            return Some(Time::from_micros(self.elapsed << TICK_BITS));
        }
        self.next_slot().map(|(_, tick)| Time::from_micros(tick << TICK_BITS))
    }

    /// Returns the number of armed timers.
    #[cfg(test)]
    pub(crate) fn armed(&self) -> usize {
        self.entries.len()
    }

    /// Returns the first non-empty slot and the tick at which it starts.
    fn next_slot(&self) -> Option<(usize, u64)> {
        (0..LEVELS).find_map(|level| {
            if self.occupied[level] == 0 {
                return None;
            }
            let shift = SLOT_BITS * level as u32;
            let here = (self.elapsed >> shift) as u32 % SLOTS as u32;
            let ahead = self.occupied[level].rotate_right(here).trailing_zeros();
            let slot = (here + ahead) as usize % SLOTS;
            let tick = ((self.elapsed >> shift) + u64::from(ahead)) << shift;
            Some((level * SLOTS + slot, tick))
        })
    }

    /// Moves the timers of a slot that time has reached to their new slots.
    fn empty_slot(&mut self, list: usize) {
        let mut index = self.heads[list];
        self.heads[list] = NONE;
        self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        while index != NONE {
            let next = self.entries[index].next;
            self.place(index);
            index = next;
        }
    }

    fn place(&mut self, index: u32) {
        let due = self.entries[index].due.as_micros();
        let tick = due.div_ceil(1 << TICK_BITS).min(self.elapsed + REACH_TICKS);
        let list = if tick <= self.elapsed {
            DUE
        } else {
            let differs = (self.elapsed ^ tick) | (SLOTS as u64 - 1);
            let level = ((63 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
            let slot = (tick >> (SLOT_BITS * level)) as usize % SLOTS;
            self.occupied[level as usize] |= 1 << slot;
            level as usize * SLOTS + slot
        };
        let head = self.heads[list];
        let entry = &mut self.entries[index];
        (entry.prev, entry.next, entry.list) = (NONE, head, list as u32);
        if head != NONE {
            self.entries[head].prev = index;
        }
        self.heads[list] = index;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { prev, next, list, .. } = self.entries[index];
        if prev == NONE {
            self.heads[list as usize] = next;
            if next == NONE && (list as usize) < DUE {
                self.occupied[list as usize / SLOTS] &= !(1 << (list as usize % SLOTS));
            }
        } else {
            self.entries[prev].next = next;
        }
        if next != NONE {
            self.entries[next].prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel<u64>, now: u64) -> Vec<u64> {
        let mut all = Vec::new();
        while let Some((what, _)) = wheel.pop(Time::from_micros(now)) {
            all.push(what);
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn a_timer_fires_at_its_time_and_once() {
        let mut wheel = Wheel::new();
        for due in [0, 1, 1_024, 5_000, 70_000, 4_300_000, 900_000_000, 86_400_000_000] {
            wheel.arm(Time::from_micros(due), due);
        }
        assert_eq!(fired(&mut wheel, 0), [0]);
        assert!(fired(&mut wheel, 1_023).is_empty());
        assert_eq!(fired(&mut wheel, 1_024), [1, 1_024]);
        assert_eq!(fired(&mut wheel, 69_999), [5_000]);
        assert_eq!(fired(&mut wheel, 4_299_999), [70_000]);
        assert_eq!(fired(&mut wheel, 1_000_000_000), [4_300_000, 900_000_000]);
        assert_eq!(fired(&mut wheel, 86_400_001_024), [86_400_000_000]);
        assert_eq!(wheel.armed(), 0);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_timer_in_ten_thousand_years_does_not_fire_before() {
        let year = 365 * 86_400_000_000;
        let mut wheel = Wheel::new();
        wheel.arm(Time::from_micros(10_000 * year), 1);
        wheel.arm(Time::from_micros(3 * year), 2);
        for now in [0, 1, year, 2 * year, 3 * year - 1] {
            assert!(fired(&mut wheel, now).is_empty());
        }
        assert_eq!(fired(&mut wheel, 3 * year + 1_024), [2]);
        assert!(fired(&mut wheel, 9_999 * year).is_empty());
        assert_eq!(fired(&mut wheel, 10_001 * year), [1]);
    }

    #[test]
    fn a_cancelled_timer_never_fires() {
        let mut wheel = Wheel::new();
        let timers: Vec<_> =
            (0..100).map(|n| wheel.arm(Time::from_micros(n * 10_000), n)).collect();
        for timer in timers.iter().skip(1).step_by(2) {
            wheel.cancel(*timer);
        }
        assert_eq!(fired(&mut wheel, 2_000_000), (0..100).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn a_wheel_that_was_full_once_gives_its_memory_back() {
        let mut wheel = Wheel::new();
        wheel.arm(Time::from_micros(1_000_000), 0);
        let timers: Vec<_> = (1..=100_000).map(|n| wheel.arm(Time::from_micros(n), n)).collect();
        for timer in timers.iter().skip(1).step_by(2) {
            wheel.cancel(*timer);
        }
        assert_eq!(fired(&mut wheel, 200_000).len(), 50_000);
        assert!(wheel.entries.places() <= 1_024, "{}", wheel.entries.places());
        assert_eq!(fired(&mut wheel, 2_000_000), [0]);
    }

    #[test]
    fn it_fires_like_a_sorted_list() {
        // Compares random arming, cancelling and stepping with a plain list.
        let mut random = 0x9E37_79B9_7F4A_7C15u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut wheel = Wheel::new();
        let mut plain: Vec<(u64, TimerId)> = Vec::new();
        let mut now = 0u64;
        for _ in 0..20_000 {
            match next(4) {
                0 | 1 => {
                    let width = 1 << next(38);
                    let due = now + next(width);
                    plain.push((due, wheel.arm(Time::from_micros(due), due)));
                }
                2 if !plain.is_empty() => {
                    let (_, timer) = plain.swap_remove(next(plain.len() as u64) as usize);
                    wheel.cancel(timer);
                }
                _ => {
                    let width = 1 << next(30);
                    now += next(width);
                    if let Some(due) = wheel.next_due() {
                        assert!(
                            plain.iter().all(|(at, _)| at.div_ceil(1024) * 1024 >= due.as_micros())
                        );
                    }
                    let got = fired(&mut wheel, now);
                    let tick = now >> TICK_BITS;
                    let is_due = |at: u64| at.div_ceil(1 << TICK_BITS) <= tick;
                    let mut want: Vec<u64> =
                        plain.iter().map(|(at, _)| *at).filter(|at| is_due(*at)).collect();
                    want.sort_unstable();
                    assert_eq!(got, want);
                    plain.retain(|(at, _)| !is_due(*at));
                }
            }
        }
    }
}
