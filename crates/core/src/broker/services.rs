//! The services: names that workers offer or clients ask for, each with the requests that wait and
//! the workers that are free.

use hashbrown::HashTable;

use super::config::{Config, Limits, Timings};
use super::keys::{KeyedState, Keys};
use crate::list::List;
use crate::table::Table;
use crate::{Label, Time};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: Label,
    pub(super) timings: Timings,
    /// Requests that wait for a worker.
    pub(super) waiting: List,
    /// Workers that can take a request, the one that has waited longest first.
    pub(super) free: List,
    /// Workers that offer it, busy ones too.
    pub(super) workers: u32,
    /// When the last worker that offered it was lost; the start where there never was one.
    pub(super) unoffered_since: Option<Time>,
    /// Requests in progress, and what they hold.
    pub(super) requests: usize,
    pub(super) bytes: usize,
    /// Clients whose request waits for room here.
    pub(super) door: List,
}

impl Service {
    /// Whether some worker has offered it at `since` or later.
    pub(super) fn offered_after(&self, since: Time) -> bool {
        self.workers > 0 || self.unoffered_since.is_some_and(|at| at >= since)
    }

    /// Whether a request of `bytes` more is within the limits for one service. One that is too
    /// large for the limit of bytes may come alone.
    pub(super) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests == 0
            || self.requests < limits.service_requests_max
                && self.bytes + bytes <= limits.service_bytes_max
    }
}

#[derive(Debug)]
pub(super) struct Services {
    table: Table<Service>,
    names: HashTable<u32>,
    keyed: KeyedState,
    /// How many names no worker offers.
    unoffered: usize,
}

impl Services {
    pub(super) fn new(keys: Keys) -> Self {
        Self { table: Table::new(), names: HashTable::new(), keyed: keys.state(), unoffered: 0 }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let table = &self.table;
        let found = |index: &u32| *table[*index].name == *name;
        self.names.find(self.keyed.of(name), found).copied()
    }

    /// The service of that name, which comes to be if it is not there.
    pub(super) fn find_or_add(&mut self, name: &Label, config: &Config) -> u32 {
        if let Some(index) = self.find(name) {
            return index;
        }
        let (index, _) = self.table.insert(Service {
            name: name.clone(),
            timings: config.timings(name),
            waiting: List::EMPTY,
            free: List::EMPTY,
            workers: 0,
            unoffered_since: None,
            requests: 0,
            bytes: 0,
            door: List::EMPTY,
        });
        let (table, keyed) = (&self.table, self.keyed);
        self.names.insert_unique(keyed.of(name), index, |other| keyed.of(&table[*other].name));
        self.unoffered += 1;
        index
    }

    pub(super) fn add_worker(&mut self, index: u32) {
        let service = &mut self.table[index];
        service.workers += 1;
        if service.workers == 1 {
            self.unoffered -= 1;
        }
    }

    pub(super) fn remove_worker(&mut self, now: Time, index: u32) {
        let service = &mut self.table[index];
        service.workers -= 1;
        if service.workers == 0 {
            service.unoffered_since = Some(now);
            self.unoffered += 1;
        }
    }

    /// Forgets a name that nobody uses any more.
    pub(super) fn forget_unused(&mut self, index: u32) {
        if !self.table.contains(index) {
            return;
        }
        let service = &self.table[index];
        if service.workers > 0 || service.requests > 0 || !service.door.is_empty() {
            return;
        }
        let entry = self.names.find_entry(self.keyed.of(&service.name), |other| *other == index);
        if let Ok(entry) = entry {
            entry.remove();
        }
        self.table.remove(index);
        self.unoffered -= 1;
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.table.contains(index)
    }

    pub(super) fn indices(&self) -> alloc::vec::Vec<u32> {
        self.table.indices().collect()
    }

    pub(super) fn configure(&mut self, config: &Config) {
        for index in self.indices() {
            self.table[index].timings = config.timings(&self.table[index].name);
        }
    }

    pub(super) fn unoffered(&self) -> usize {
        self.unoffered
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl core::ops::Index<u32> for Services {
    type Output = Service;

    fn index(&self, index: u32) -> &Service {
        &self.table[index]
    }
}

impl core::ops::IndexMut<u32> for Services {
    fn index_mut(&mut self, index: u32) -> &mut Service {
        &mut self.table[index]
    }
}
