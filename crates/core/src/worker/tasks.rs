//! The table of a worker's requests in flight, with counters that avoid scans.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::TaskHandle;
use super::task::Task;
use crate::table::Table;
use crate::{ByteStr, WorkerRequest};

#[derive(Debug)]
pub(super) struct Tasks {
    all: Table<Entry>,
    /// The tasks of this connection that owe the broker a final reply, by address.
    by_address: HashTable<u32>,
    /// The sequence number of the next request.
    next: u64,
    /// The number of tasks that owe the broker a final reply.
    owing: usize,
    /// The number of tasks from earlier connections.
    orphans: usize,
}

#[derive(Debug)]
struct Entry {
    task: Task,
    /// The hash of the task's address.
    hash: u64,
    /// The sequence number of the request. Handles do not preserve the order.
    nth: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        let (all, by_address) = (Table::new(), HashTable::new());
        Self { all, by_address, next: 0, owing: 0, orphans: 0 }
    }
}

impl Tasks {
    pub(super) fn add(&mut self, request: &WorkerRequest) -> TaskHandle {
        let Self { all, by_address, .. } = self;
        let hash = hash_of(&request.address);
        let entry = Entry { task: Task::new(request), hash, nth: self.next };
        let (index, generation) = all.insert(entry);
        by_address.insert_unique(hash, index, |other| all[*other].hash);
        self.next += 1;
        self.owing += 1;
        handle_of(index, generation)
    }

    /// Removes a task whose handler has returned.
    pub(super) fn remove(&mut self, handle: TaskHandle) {
        let Some(index) = self.index_of(handle) else { return };
        let Entry { task, hash, .. } = &self.all[index];
        if task.owes_a_reply() {
            self.owing -= 1;
            forget(&mut self.by_address, index, *hash);
        }
        self.orphans -= usize::from(task.is_orphan());
        self.all.discard(index);
    }

    pub(super) fn get(&self, handle: TaskHandle) -> Option<&Task> {
        let (index, generation) = parts_of(handle);
        self.all.get(index, generation).map(|entry| &entry.task)
    }

    /// Changes a task, and updates the counters if that ends its request.
    #[inline]
    pub(super) fn change<T>(
        &mut self,
        handle: TaskHandle,
        change: impl FnOnce(&mut Task) -> T,
    ) -> Option<T> {
        let index = self.index_of(handle)?;
        let Entry { task, hash, .. } = &mut self.all[index];
        let owed = task.owes_a_reply();
        let changed = change(task);
        if owed && !task.owes_a_reply() {
            self.owing -= 1;
            forget(&mut self.by_address, index, *hash);
        }
        Some(changed)
    }

    /// Returns the task with this address on this connection, if it owes the broker a final reply.
    /// If there are several, returns the latest.
    pub(super) fn at(&self, address: &ByteStr) -> Option<TaskHandle> {
        let of_hash = self.by_address.iter_hash(hash_of(address)).copied();
        let of_address = of_hash.filter(|index| self.all[*index].task.address() == address);
        let latest = of_address.max_by_key(|index| self.all[*index].nth)?;
        Some(handle_of(latest, self.all.generation(latest)))
    }

    /// Ends all tasks after the connection is lost. Returns those whose requests were open, in
    /// order.
    pub(super) fn orphan(&mut self) -> Vec<TaskHandle> {
        self.by_address.clear();
        self.owing = 0;
        self.orphans = self.all.len();
        let mut wanted: Vec<u32> = self.all.indices().collect();
        wanted.retain(|index| self.all[*index].task.orphan());
        wanted.sort_unstable_by_key(|index| self.all[*index].nth);
        wanted.into_iter().map(|index| handle_of(index, self.all.generation(index))).collect()
    }

    fn index_of(&self, handle: TaskHandle) -> Option<u32> {
        let (index, generation) = parts_of(handle);
        self.all.get(index, generation).map(|_| index)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.len() == 0
    }

    pub(super) fn owing(&self) -> usize {
        self.owing
    }

    pub(super) fn orphans(&self) -> usize {
        self.orphans
    }
}

fn handle_of(index: u32, generation: u32) -> TaskHandle {
    TaskHandle(u64::from(generation) << 32 | u64::from(index))
}

fn parts_of(TaskHandle(number): TaskHandle) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

fn forget(by_address: &mut HashTable<u32>, index: u32, hash: u64) {
    if let Ok(entry) = by_address.find_entry(hash, |other| *other == index) {
        entry.remove();
    }
}

/// Hashes an address, eight bytes at a time. The hash has no key, because the broker chooses the
/// addresses and gains nothing from collisions.
fn hash_of(address: &ByteStr) -> u64 {
    let (words, rest) = address.as_bytes().as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    // The upper half of the product depends on all bits. The hash table uses both ends of the hash.
    words.chain(rest).fold(0x9e37_79b9_7f4a_7c15, |hash: u64, word| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    })
}
