//! The outcomes: how a request can end. Each ends in exactly one of these, and is counted there.

use core::fmt;

/// How a request ended.
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
    /// The worker's final reply was passed on, or the broker answered by itself (8/MMI).
    Replied,
    /// The worker answered with an error.
    Failed,
    /// Its deadline came first.
    Expired,
    /// Its client gave it up.
    Cancelled,
    /// Its client went away.
    ClientGone,
    /// Its worker was lost, and it could not be given to another.
    WorkerLost,
    /// Every worker that could serve it rejected it.
    Rejected,
    /// A limit stood against it.
    Refused,
    /// No worker offered its service in time.
    NoSuchService,
    /// The one worker that it asked for is not there, or does not offer its service.
    NoSuchWorker,
    /// Its body, or its reply, is too large to be translated from one form to another.
    Untranslatable,
    /// The broker shut down.
    ShutDown,
}

impl Outcome {
    /// All outcomes, in the order in which they are shown.
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

    /// The name by which it is logged and counted.
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

/// A set of outcomes: of those that a client can be told of, for example.
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
    /// The set without a member.
    pub const NONE: OutcomeSet = OutcomeSet(0);

    /// The set of these.
    pub const fn of(outcomes: &[Outcome]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < outcomes.len() {
            bits |= 1 << outcomes[at] as u16;
            at += 1;
        }
        OutcomeSet(bits)
    }

    /// Whether `outcome` is a member.
    pub const fn contains(self, outcome: Outcome) -> bool {
        self.0 & 1 << outcome as u16 != 0
    }
}
