//! A dense table with reusable slots that shrinks when most slots are unused.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use hashbrown::HashTable;

/// The number of slots below which a table does not shrink.
const PLACES_KEPT: usize = 1_024;

/// Entries at small indices. Each slot has a generation.
#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// The generation of a new slot. No earlier entry at that index has had it.
    first_generation: u32,
    /// The number of entries at which the table checks whether it can shrink.
    look_at: usize,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), first_generation: 0, look_at: 0 }
    }

    /// Inserts an entry into an unused slot. Returns the index and the generation of the slot.
    #[inline(always)]
    pub(crate) fn insert(&mut self, entry: T) -> (u32, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: self.first_generation, entry: None });
            u32::try_from(self.places.len() - 1).expect("fewer than 4 G entries")
        });
        let place = &mut self.places[index as usize];
        place.entry = Some(entry);
        let inserted = (index, place.generation);
        if self.len() > self.places.len() / 2 {
            self.look_at = self.places.len() / 4;
        }
        inserted
    }

    /// Removes an entry. The slot gets a new generation.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let place = &mut self.places[index as usize];
        let entry = place.entry.take().expect("an entry is removed once");
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        self.give_back_if_few();
        entry
    }

    /// Drops an entry in place, without moving it. The slot gets a new generation.
    pub(crate) fn discard(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        place.entry = None;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        self.give_back_if_few();
    }

    #[inline(always)]
    fn give_back_if_few(&mut self) {
        if self.places.len() > PLACES_KEPT && self.len() <= self.look_at {
            self.give_back();
        }
    }

    /// Removes the slots after the last entry, if they are at least half of all slots. The check
    /// takes a step for each of those slots, so the next check is due when half of the entries are
    /// removed.
    #[cold]
    fn give_back(&mut self) {
        self.look_at = self.len() / 2;
        let used = self.places.iter().rposition(|place| place.entry.is_some());
        let kept = used.map_or(0, |last| last + 1).max(PLACES_KEPT / 2);
        if kept > self.places.len() / 2 {
            return;
        }
        let last = self.places[kept..].iter().map(|place| place.generation).max();
        self.first_generation = self.first_generation.max(last.unwrap_or_default());
        self.places.truncate(kept);
        self.places.shrink_to_fit();
        self.free.retain(|index| (*index as usize) < kept);
        self.free.shrink_to_fit();
    }

    pub(crate) fn get(&self, index: u32, generation: u32) -> Option<&T> {
        let place = self.places.get(index as usize)?;
        if place.generation == generation { place.entry.as_ref() } else { None }
    }

    pub(crate) fn contains(&self, index: u32) -> bool {
        self.places.get(index as usize).is_some_and(|place| place.entry.is_some())
    }

    pub(crate) fn generation(&self, index: u32) -> u32 {
        self.places[index as usize].generation
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Returns the number of entries that fit in the allocated memory.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.places.capacity()
    }

    /// Returns the indices of all entries.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.places).filter(|(_, place)| place.entry.is_some()).map(|(at, _)| at)
    }
}

impl<T> Index<u32> for Table<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, index: u32) -> &T {
        self.places[index as usize].entry.as_ref().expect("the entry is there")
    }
}

impl<T> IndexMut<u32> for Table<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.places[index as usize].entry.as_mut().expect("the entry is there")
    }
}

/// Returns true if a collection with capacity for `capacity` entries should shrink to twice its
/// `len`. Shrinking takes a step for each entry, and half of the entries must be removed before the
/// next time.
#[inline]
pub(crate) const fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > PLACES_KEPT && len < capacity / 8
}

/// Shrinks a sparse hash table. Call it after removing an entry.
pub(crate) fn give_back(table: &mut HashTable<u32>, hash: impl Fn(&u32) -> u64) {
    if is_sparse(table.len(), table.num_buckets()) {
        table.shrink_to(2 * table.len(), hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_hashes_that_was_full_once_gives_its_memory_back() {
        let hash = |number: &u32| u64::from(*number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut table = HashTable::new();
        for number in 0..100_000 {
            table.insert_unique(hash(&number), number, hash);
        }
        for number in 1..100_000 {
            let entry = table.find_entry(hash(&number), |other| *other == number);
            entry.expect("it is there").remove();
            give_back(&mut table, hash);
        }
        assert!(table.num_buckets() <= PLACES_KEPT, "{}", table.num_buckets());
        assert_eq!(table.find(hash(&0), |other| *other == 0), Some(&0));
    }

    #[test]
    fn a_table_that_was_full_once_gives_its_memory_back() {
        let mut table = Table::new();
        table.insert(0);
        let ids: Vec<_> = (1..=100_000).map(|number| table.insert(number)).collect();
        for (index, _) in &ids {
            table.remove(*index);
        }
        assert!(table.places.capacity() <= PLACES_KEPT, "{}", table.places.capacity());
        assert!(table.free.capacity() <= PLACES_KEPT, "{}", table.free.capacity());
        assert_eq!((table.len(), table[0]), (1, 0));
        // Ids of removed entries do not match new entries in the same slots.
        let again: Vec<_> = (1..=100_000).map(|number| table.insert(number)).collect();
        assert!(ids.iter().all(|(index, generation)| table.get(*index, *generation).is_none()));
        assert!((1..).zip(again).all(|(number, (index, generation))| {
            table.get(index, generation) == Some(&number)
        }));
    }

    #[test]
    fn places_before_an_entry_are_kept() {
        let mut table = Table::new();
        let ids: Vec<_> = (0..10_000).map(|number| table.insert(number).0).collect();
        for index in &ids[..9_999] {
            table.remove(*index);
        }
        assert_eq!((table.len(), table[9_999]), (1, 9_999));
        assert!((0..9_999).all(|number| table.insert(number).0 < 9_999));
    }
}
