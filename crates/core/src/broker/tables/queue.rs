//! Request queue of a service, ordered by priority and then by age.

use smallvec::SmallVec;

use super::requests::{InPlace, Requests};
use crate::Priority;
use crate::list::List;

/// Queued requests: one list for each priority in use, the highest first.
#[derive(Debug, Default)]
pub(in crate::broker) struct Queue {
    lists: SmallVec<[(Priority, List); 1]>,
}

impl Queue {
    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Returns the next request.
    pub(in crate::broker) fn first(&self) -> Option<u32> {
        self.lists.first().and_then(|(_, list)| list.first())
    }

    /// Adds a request behind all others of its priority.
    pub(super) fn push_back(&mut self, requests: &mut Requests, index: u32) {
        self.list(requests[index].priority).push_back(&mut InPlace(requests), index);
    }

    /// Adds a request before all others of its priority.
    pub(super) fn push_front(&mut self, requests: &mut Requests, index: u32) {
        self.list(requests[index].priority).push_front(&mut InPlace(requests), index);
    }

    /// Removes a queued request.
    pub(super) fn remove(&mut self, requests: &mut Requests, index: u32) {
        let at = self.at(requests[index].priority);
        let Ok(at) = at else { return };
        let list = &mut self.lists[at].1;
        list.remove(&mut InPlace(requests), index);
        if list.is_empty() {
            self.lists.remove(at);
        }
    }

    /// Replaces a queued request by a detached one.
    pub(super) fn replace(&mut self, requests: &mut Requests, index: u32, successor: u32) {
        if requests[index].priority == requests[successor].priority {
            let list = self.list(requests[index].priority);
            return list.replace(&mut InPlace(requests), index, successor);
        }
        self.remove(requests, index);
        self.push_front(requests, successor);
    }

    fn at(&self, priority: Priority) -> Result<usize, usize> {
        self.lists.binary_search_by(|(other, _)| priority.cmp(other))
    }

    fn list(&mut self, priority: Priority) -> &mut List {
        let at = self.at(priority).unwrap_or_else(|at| {
            self.lists.insert(at, (priority, List::EMPTY));
            at
        });
        &mut self.lists[at].1
    }
}

#[cfg(any(test, feature = "audit"))]
impl Queue {
    pub(in crate::broker) fn lists(&self) -> &[(Priority, List)] {
        &self.lists
    }
}
