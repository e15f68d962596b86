//! A queue of request deadlines, ordered by due time.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::RequestHandle;
use crate::Time;

/// The number of stale entries that are allowed in addition to one per request.
pub(super) const STALE_MAX: usize = 64;

/// The times at which requests are due. Adding an entry is cheap, because the newest entry usually
/// is due last. Ending a request is cheap too, because its entry stays in the heap as a stale
/// entry.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    entries: BinaryHeap<Reverse<(Time, RequestHandle)>>,
}

impl Deadlines {
    /// Returns true if there are enough entries for `requests` requests to remove the stale ones.
    pub(super) fn are_too_many(&self, requests: usize) -> bool {
        self.entries.len() > STALE_MAX + 2 * requests
    }

    /// Removes the stale entries.
    pub(super) fn retain(&mut self, is_right: impl Fn(Time, RequestHandle) -> bool) {
        self.entries.retain(|Reverse((due, handle))| is_right(*due, *handle));
    }

    pub(super) fn push(&mut self, due: Time, handle: RequestHandle) {
        self.entries.push(Reverse((due, handle)));
    }

    /// Returns the time of the first entry, which may be stale.
    pub(super) fn first(&self) -> Option<Time> {
        self.entries.peek().map(|Reverse((due, _))| *due)
    }

    /// Removes and returns the first entry, if it is due.
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
