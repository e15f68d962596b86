//! All requests whose handlers have not returned, and how many of them are what, so that nothing is
//! counted anew for each message.

use alloc::collections::BTreeMap;

use super::TaskHandle;
use super::task::Task;
use crate::{Label, WorkerRequest};

#[derive(Debug, Default)]
pub(super) struct Tasks {
    all: BTreeMap<TaskHandle, Task>,
    /// Those of this connection, by the address that came with them.
    by_address: BTreeMap<Label, TaskHandle>,
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
    pub(super) fn remove(&mut self, handle: TaskHandle) {
        let Some(task) = self.all.remove(&handle) else { return };
        self.owing -= usize::from(task.owes_a_reply());
        self.orphans -= usize::from(task.is_orphan());
        if self.by_address.get(task.address()) == Some(&handle) {
            self.by_address.remove(task.address());
        }
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

    /// The connection is gone, and with it all who waited: those for whom somebody did.
    pub(super) fn orphan(&mut self) -> impl Iterator<Item = TaskHandle> {
        self.by_address.clear();
        self.owing = 0;
        self.orphans = self.all.len();
        self.all.iter_mut().filter_map(|(handle, task)| task.orphan().then_some(*handle))
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
