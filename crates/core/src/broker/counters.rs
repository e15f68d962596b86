//! Counters of requests, workers, violations and closed connections.

use super::statistics::{End, Ends};
use super::{CloseReason, PeerViolation, Refusal};
use crate::Outcome;

/// Counts since the start. At every moment, [`received`](Counters::received) is the sum of all
/// outcomes and of the requests in progress.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Counters;
///
/// fn show(counters: &Counters) {
///     println!("{} of {} requests are in progress", counters.in_progress, counters.received);
/// }
/// # show(&Counters::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that arrived.
    pub received: u64,
    /// Requests without an outcome yet.
    pub in_progress: u64,
    /// Dispatches of requests to workers.
    pub dispatched: u64,
    /// Requests that were queued again because their worker was lost.
    pub redelivered: u64,
    /// Rejections of requests by workers.
    pub rejections: u64,
    /// Requests that were answered from the reply cache.
    pub kept_replies: u64,
    /// Requests that were coalesced with another one.
    pub shared: u64,
    /// Partial replies that were relayed.
    pub partials: u64,
    /// Replies to requests that had already ended.
    pub late_replies: u64,
    /// Deferred requests: a limit was reached, and the broker stopped reading from the client.
    pub held: u64,
    /// Workers that have registered.
    pub workers_registered: u64,
    /// Workers that were lost or left.
    pub workers_lost: u64,
    ends: Ends,
    violations: [u64; PeerViolation::ALL.len()],
    closed: [u64; CloseReason::ALL.len()],
}

impl Counters {
    /// Returns the number of requests that ended with this outcome.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_core::{Outcome, broker::*}; } }
    /// use majordomus::broker::{Counters, Outcome};
    ///
    /// assert_eq!(Counters::default().outcome(Outcome::WorkerLost), 0);
    /// ```
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.ends.outcome(outcome)
    }

    /// Returns the number of requests that were refused for this reason.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::{Counters, Refusal};
    ///
    /// assert_eq!(Counters::default().refusal(Refusal::Client), 0);
    /// ```
    pub fn refusal(&self, refusal: Refusal) -> u64 {
        self.ends.refusal(refusal)
    }

    /// Returns the number of violations of this kind.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::{Counters, PeerViolation};
    ///
    /// let counters = Counters::default();
    /// assert!(PeerViolation::ALL.into_iter().all(|violation| counters.violation(violation) == 0));
    /// ```
    pub fn violation(&self, violation: PeerViolation) -> u64 {
        self.violations[violation as usize]
    }

    /// Returns the number of connections that the broker closed for this reason.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::{CloseReason, Counters};
    ///
    /// assert_eq!(Counters::default().closed(CloseReason::SlowReader), 0);
    /// ```
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize]
    }

    /// Returns true if every received request either has exactly one outcome or is in progress.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// assert!(majordomus::broker::Counters::default().balanced());
    /// ```
    pub fn balanced(&self) -> bool {
        self.received == self.ends.total() + self.in_progress
    }

    pub(super) fn receive(&mut self) {
        self.received += 1;
        self.in_progress += 1;
    }

    pub(super) fn end(&mut self, end: End) {
        self.in_progress -= 1;
        self.ends.count(end);
    }

    pub(super) fn offend(&mut self, violation: PeerViolation) {
        self.violations[violation as usize] += 1;
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        self.closed[reason as usize] += 1;
    }
}
