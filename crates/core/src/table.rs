//! A dense table with places that are used again.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// Entries under small indices, each with the generation of its place.
#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts an entry in a free place: its index and the generation of the place.
    pub(crate) fn insert(&mut self, entry: T) -> (u32, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, entry: None });
            u32::try_from(self.places.len() - 1).expect("fewer than 4 G entries")
        });
        let place = &mut self.places[index as usize];
        place.entry = Some(entry);
        (index, place.generation)
    }

    /// Takes an entry out. Its place gets another generation.
    pub(crate) fn remove(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        assert!(place.entry.is_some(), "an entry is removed once");
        place.entry = None;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
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

    /// Indices of all entries.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.places).filter(|(_, place)| place.entry.is_some()).map(|(at, _)| at)
    }
}

impl<T> Index<u32> for Table<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.places[index as usize].entry.as_ref().expect("the entry is there")
    }
}

impl<T> IndexMut<u32> for Table<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.places[index as usize].entry.as_mut().expect("the entry is there")
    }
}
