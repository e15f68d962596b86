//! All requests whose handlers have not returned, with counters, so that no message costs a walk.

use alloc::vec::Vec;

use hashbrown::{HashMap, HashTable};

use super::TaskHandle;
use super::task::Task;
use crate::{HandleState, Label, WorkerRequest};

#[derive(Debug, Default)]
pub(super) struct Tasks {
    all: HashMap<TaskHandle, Task, HandleState>,
    /// Those of this connection that owe the broker a last word, by the address that came with them.
    by_address: HashTable<TaskHandle>,
    /// How many owe the broker a last word.
    owing: usize,
    /// How many are of an earlier connection.
    orphans: usize,
}

impl Tasks {
    pub(super) fn add(&mut self, handle: TaskHandle, request: &WorkerRequest) {
        let Self { all, by_address, .. } = self;
        let hash = hash_of(&request.address);
        all.insert(handle, Task::new(request));
        by_address.insert_unique(hash, handle, |other| {
            all.get(other).map_or(0, |task| hash_of(task.address()))
        });
        self.owing += 1;
    }

    /// Its handler has returned.
    pub(super) fn remove(&mut self, handle: TaskHandle) -> Option<Task> {
        let task = self.all.remove(&handle)?;
        if task.owes_a_reply() {
            self.owing -= 1;
            forget(&mut self.by_address, handle, task.address());
        }
        self.orphans -= usize::from(task.is_orphan());
        Some(task)
    }

    pub(super) fn get(&self, handle: TaskHandle) -> Option<&Task> {
        self.all.get(&handle)
    }

    /// Does something with one that may say its last word by that.
    #[inline]
    pub(super) fn change<T>(
        &mut self,
        handle: TaskHandle,
        change: impl FnOnce(&mut Task) -> T,
    ) -> Option<T> {
        let task = self.all.get_mut(&handle)?;
        let owed = task.owes_a_reply();
        let changed = change(task);
        if owed && !task.owes_a_reply() {
            self.owing -= 1;
            forget(&mut self.by_address, handle, task.address());
        }
        Some(changed)
    }

    /// The one that came with this address over this connection, if it owes the broker a last word.
    /// Of several, the latest.
    pub(super) fn at(&self, address: &Label) -> Option<TaskHandle> {
        let of_address = |handle: &&TaskHandle| {
            self.all.get(*handle).is_some_and(|task| task.address() == address)
        };
        self.by_address.iter_hash(hash_of(address)).filter(of_address).max().copied()
    }

    /// The connection is gone, and with it all who waited: those for whom somebody did, in order.
    pub(super) fn orphan(&mut self) -> Vec<TaskHandle> {
        self.by_address.clear();
        self.owing = 0;
        self.orphans = self.all.len();
        let all = self.all.iter_mut();
        let mut wanted: Vec<_> =
            all.filter_map(|(handle, task)| task.orphan().then_some(*handle)).collect();
        wanted.sort_unstable();
        wanted
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn owing(&self) -> usize {
        self.owing
    }

    pub(super) fn orphans(&self) -> usize {
        self.orphans
    }
}

fn forget(by_address: &mut HashTable<TaskHandle>, handle: TaskHandle, address: &Label) {
    if let Ok(entry) = by_address.find_entry(hash_of(address), |other| *other == handle) {
        entry.remove();
    }
}

/// Hashes an address, eight bytes at once. There is no key: the broker chooses the addresses, and
/// gains nothing by some that collide.
fn hash_of(address: &Label) -> u64 {
    let (words, rest) = address.as_bytes().as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    // Of a product, the upper half depends on all bits. A hash table looks at both ends of it.
    words.chain(rest).fold(0x9e37_79b9_7f4a_7c15, |hash: u64, word| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    })
}
