//! All requests whose handlers have not returned, and how many of them are what, so that nothing is
//! counted anew for each message.

use alloc::vec::Vec;
use core::hash::BuildHasherDefault;

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use siphasher::sip::SipHasher13;

use super::TaskHandle;
use super::task::Task;
use crate::{Label, WorkerRequest};

/// Without keys: the broker gives the addresses, and gains nothing by some that collide.
type Hashed = BuildHasherDefault<SipHasher13>;

#[derive(Debug, Default)]
pub(super) struct Tasks {
    all: HashMap<TaskHandle, Task, Hashed>,
    /// Those of this connection, by the address that came with them.
    by_address: HashMap<Label, TaskHandle, Hashed>,
    /// How many owe the broker a last word.
    owing: usize,
    /// How many are of an earlier connection.
    orphans: usize,
}

impl Tasks {
    pub(super) fn add(&mut self, handle: TaskHandle, request: &WorkerRequest) {
        self.all.insert(handle, Task::new(request));
        self.by_address.insert(request.address.clone(), handle);
        self.owing += 1;
    }

    /// Its handler has returned.
    pub(super) fn remove(&mut self, handle: TaskHandle) -> Option<Task> {
        let task = self.all.remove(&handle)?;
        self.owing -= usize::from(task.owes_a_reply());
        self.orphans -= usize::from(task.is_orphan());
        if let EntryRef::Occupied(of_address) = self.by_address.entry_ref(task.address())
            && *of_address.get() == handle
        {
            of_address.remove();
        }
        Some(task)
    }

    pub(super) fn get(&self, handle: TaskHandle) -> Option<&Task> {
        self.all.get(&handle)
    }

    /// Does something with one that may say its last word by that.
    pub(super) fn change<T>(
        &mut self,
        handle: TaskHandle,
        change: impl FnOnce(&mut Task) -> T,
    ) -> Option<T> {
        let task = self.all.get_mut(&handle)?;
        let owed = task.owes_a_reply();
        let changed = change(task);
        self.owing -= usize::from(owed && !task.owes_a_reply());
        Some(changed)
    }

    /// The one that came with this address over this connection.
    pub(super) fn at(&self, address: &Label) -> Option<TaskHandle> {
        self.by_address.get(address).copied()
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
