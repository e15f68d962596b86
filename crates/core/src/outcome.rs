//! Request outcomes: the possible ways for a request to end. Each request has exactly one outcome
//! and is counted under it.

use core::fmt;

/// A request's outcome.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_core::*; } }
/// use majordomus::broker::Outcome;
///
/// for outcome in Outcome::ALL {
///     println!("{outcome}");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A worker sent the final reply, or the broker answered the request itself (8/MMI).
    Replied,
    /// The worker replied with an error.
    Failed,
    /// The request's deadline passed.
    Expired,
    /// The client cancelled the request.
    Cancelled,
    /// The client disconnected.
    ClientGone,
    /// The worker was lost, and the request could not be dispatched to another one.
    WorkerLost,
    /// Every worker that could serve the request rejected it.
    Rejected,
    /// A limit was reached.
    Refused,
    /// No worker registered the service in time.
    NoSuchService,
    /// The target worker is not connected, or does not serve the service.
    NoSuchWorker,
    /// The body or the reply is too large for translation between body formats.
    Untranslatable,
    /// The broker shut down.
    ShutDown,
}

impl Outcome {
    /// All outcomes, in display order.
    pub const ALL: [Outcome; 12] = [
        Outcome::Replied,
        Outcome::Failed,
        Outcome::Expired,
        Outcome::Cancelled,
        Outcome::ClientGone,
        Outcome::WorkerLost,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::NoSuchService,
        Outcome::NoSuchWorker,
        Outcome::Untranslatable,
        Outcome::ShutDown,
    ];

    /// Returns the outcome's name in logs and counters.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_core::*; } }
    /// assert_eq!(majordomus::broker::Outcome::ClientGone.name(), "client_gone");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Replied => "replied",
            Outcome::Failed => "failed",
            Outcome::Expired => "expired",
            Outcome::Cancelled => "cancelled",
            Outcome::ClientGone => "client_gone",
            Outcome::WorkerLost => "worker_lost",
            Outcome::Rejected => "rejected",
            Outcome::Refused => "refused",
            Outcome::NoSuchService => "no_such_service",
            Outcome::NoSuchWorker => "no_such_worker",
            Outcome::Untranslatable => "untranslatable",
            Outcome::ShutDown => "shut_down",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of outcomes, for example those that a client's dialect can report.
///
/// ```
/// use majordomus_core::{Outcome, OutcomeSet};
///
/// let told = OutcomeSet::of(&[Outcome::WorkerLost, Outcome::Failed]);
/// assert!(told.contains(Outcome::Failed));
/// assert!(!told.contains(Outcome::Expired));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeSet(u16);

impl OutcomeSet {
    /// The empty set.
    pub const NONE: OutcomeSet = OutcomeSet(0);

    /// Creates a set of the given outcomes.
    pub const fn of(outcomes: &[Outcome]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < outcomes.len() {
            bits |= 1 << outcomes[at] as u16;
            at += 1;
        }
        OutcomeSet(bits)
    }

    /// Returns true if `outcome` is a member.
    pub const fn contains(self, outcome: Outcome) -> bool {
        self.0 & 1 << outcome as u16 != 0
    }
}
