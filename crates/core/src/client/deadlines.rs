//! When each request is looked at, because its time may be over.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::RequestHandle;
use crate::Time;

/// How many entries there may be that are no longer right, beside as many as there are requests.
pub(super) const STALE_MAX: usize = 64;

/// The times at which requests are due. To plan one costs next to nothing, as those that are planned
/// last are mostly due last; and so does the end of a request, as its entry is left where it is.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    entries: BinaryHeap<Reverse<(Time, RequestHandle)>>,
}

impl Deadlines {
    /// Whether there are so many entries that those have to go that are no longer right, where there
    /// are so many requests.
    pub(super) fn are_too_many(&self, requests: usize) -> bool {
        self.entries.len() > STALE_MAX + 2 * requests
    }

    /// Keeps those that are right.
    pub(super) fn retain(&mut self, is_right: impl Fn(Time, RequestHandle) -> bool) {
        self.entries.retain(|Reverse((due, handle))| is_right(*due, *handle));
    }

    pub(super) fn push(&mut self, due: Time, handle: RequestHandle) {
        self.entries.push(Reverse((due, handle)));
    }

    /// When the first is due, if it is still right.
    pub(super) fn first(&self) -> Option<Time> {
        self.entries.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the first, where it is due.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, RequestHandle)> {
        let Reverse(first) = *self.entries.peek()?;
        (first.0 <= now).then(|| {
            self.entries.pop();
            first
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
