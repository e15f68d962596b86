//! The mutations, each with the rule that must detect it.

use crate::checker::Rule;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident => $rule:ident,)*) => {
        /// A fault of a broker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[$doc])* $name,)*
        }

        impl Mutation {
            /// All mutations.
            pub const ALL: &[Mutation] = &[$(Mutation::$name),*];

            /// Returns the rule that must detect the mutation.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Mutation::$name => Rule::$rule,)*
                }
            }
        }
    };
}

mutations! {
    /// majortomo, PIGATO: a request is lost when its worker dies.
    LosesRequestOfDeadWorker => Idle,
    /// PIGATO: a request that ends with its worker ends without a report to the client.
    EndsInSilence => Told,
    /// majortomo: a reply from an unregistered peer reaches the client.
    TakesReplyOfStranger => Author,
    /// majortomo: a second READY is not detected.
    OverlooksSecondReady => PeerViolation,
    /// A reply that arrives after the end of its request is forwarded.
    PassesLateReply => AfterFinal,
    /// The final reply is sent twice.
    RepliesTwice => AfterFinal,
    /// PIGATO: request ids are global, so a reply reaches another client.
    ConfusesClients => Asker,
    /// An expired request is dispatched.
    DispatchesExpired => Deadline,
    /// zguide `mdbroker.c`: purging stops too early, and dead workers stay registered.
    KeepsSilentWorker => DeadWorkerKept,
    /// A closed connection is not detected.
    KeepsGoneWorker => DeadWorkerKept,
    /// zeromq/majordomo: after FINAL the queue is not processed.
    ForgetsQueueAfterFinal => Idle,
    /// All other brokers: a worker that is too busy to send heartbeats is lost.
    LosesBusyWorker => LostWithoutCause,
    /// generaldomo: heartbeats are starved by other work.
    StarvesHeartbeats => Heartbeats,
    /// A request is dispatched to two workers at once.
    DispatchesTwice => OneWorker,
    /// A request is redelivered although its client did not allow it.
    RedeliversWithoutLeave => OneWorker,
    /// A worker with several services gets its full concurrency for each of them.
    CountsEachServiceApart => Concurrency,
    /// A worker gets more requests than its concurrency.
    OverloadsWorker => Concurrency,
    /// The limit is exceeded by one request.
    ExceedsLimit => Limit,
    /// The broker keeps reading from a client whose request it cannot accept.
    ForgetsToPause => Door,
    /// generaldomo C++: every service that starts with `m` is treated as the broker's own.
    TakesNameForItsOwn => Author,
    /// A reply to a request that the worker was never given is not detected.
    OverlooksForgedReply => PeerViolation,
    /// PIGATO: a rejected request returns to the worker that rejected it.
    BouncesRejected => RejectedOnce,
    /// PIGATO: a request that all workers reject is in progress forever.
    NeverEndsRejected => EndsInTime,
    /// The first rejection is final, although there are other workers.
    TakesNoForAnAnswer => OneOutcome,
    /// The error of the last rejection does not reach the client.
    ForgetsLastError => Author,
    /// A worker that lowers its concurrency gets as many requests as before.
    IgnoresConcurrency => Concurrency,
    /// PIGATO: a worker that raises its concurrency gets no further requests until another event
    /// occurs.
    IgnoresRaisedConcurrency => Idle,
    /// PIGATO: a client's request keep-alive is never forwarded to the worker.
    LosesStillWanted => Wanted,
    /// A worker is lost although a client sent a keep-alive for it.
    IgnoresVouch => LostWithoutCause,
    /// A worker's heartbeat that requests an answer gets none.
    LeavesHeartbeatUnanswered => Heartbeats,
    /// A worker whose dialect allows a second READY is disconnected for it.
    PunishesReadyAgain => PeerViolation,
    /// The client's options do not reach the worker.
    LosesOptions => Author,
    /// A client that has forgotten its request receives a timeout report.
    TellsWhoTimedOut => Told,
    /// A worker of a wildcard gets a request for a name that another worker offers exactly.
    IgnoresExactness => Names,
    /// A worker gets a request for a wildcard that it has withdrawn.
    KeepsWildcardThatLeft => Names,
    /// A range is served by a lower version although a worker of a higher one is idle.
    PrefersLowerVersion => Names,
    /// Requests are dispatched in order of arrival, regardless of priority.
    IgnoresPriority => Priority,
    /// A worker gets a request for a service that it has withdrawn.
    GivesWithdrawn => Withdrawn,
    /// A withdrawal is ignored.
    OverlooksWithdraw => Withdrawn,
    /// A worker receives the full timeout, although some of it has passed.
    TellsWholeTimeout => Task,
    /// Every attempt is reported to the worker as the first.
    ForgetsAttempts => Task,
    /// Credit that a client added while its request was queued does not reach the worker.
    ForgetsCredit => Task,
    /// Credit that a client adds does not reach the worker.
    LosesMore => Credit,
    /// Added credit reaches the worker twice.
    RepeatsMore => Credit,
    /// The notice that a worker has started is not sent to the client.
    LosesNotices => Notices,
    /// A client that did not request notices receives them.
    NoticesUnasked => Notices,
    /// The code of a worker's error does not reach the client.
    LosesCode => Author,
    /// A progress message for a request that the worker was never given is not detected.
    OverlooksForgedWork => PeerViolation,
    /// Two requests of a client with a handshake have the same id.
    TakesIdTwice => Ids,
    /// A worker is served before its HELLO.
    HearsWhoIsUnheard => Greeting,
    /// HELLO is not answered.
    WelcomesInSilence => Welcome,
    /// The broker's WELCOME has a limit that is too high.
    PromisesTooMuch => Welcome,
    /// A worker that declares its concurrency gets no confirmation.
    SettlesInSilence => CapacityIs,
    /// The confirmation has a different number.
    SettlesForMore => CapacityIs,
    /// A MORE with a credit of 0 does not restart the request's timeout.
    IgnoresMoreOfNothing => OneOutcome,
    /// A peer is disconnected without a DISCONNECT.
    PartsInSilence => DisconnectReason,
    /// A DISCONNECT has no reason.
    GivesNoReason => DisconnectReason,
    /// A worker is lost by the broker's heartbeat interval instead of its own declared one.
    IgnoresPace => LostWithoutCause,
    /// A peer gets bodies above its size limit.
    IgnoresBodyLimit => Form,
    /// A request for a target worker goes to any worker.
    IgnoresTarget => Target,
    /// PIGATO: the target worker is not checked for the service.
    OverlooksServiceOfTarget => Target,
    /// A request for an unknown target worker is queued.
    WaitsForUnknownTarget => Target,
    /// A cached reply is used after its expiry.
    KeepsTooLong => Kept,
    /// A cached reply is used for a request that bypasses the cache.
    GivesOldForFresh => Kept,
    /// Equal requests are coalesced although this is not configured.
    SharesEverywhere => Shared,
    /// Requests coalesced with a cancelled primary are lost.
    LosesFollowers => Shared,
    /// PIGATO: the policy `load` acts as round robin, because the compared field does not exist.
    BalancesByTurn => Turn,
    /// A worker is missing from the directory.
    ForgetsWorkerInDirectory => Directory,
    /// Bodies of any size are translated.
    TranslatesWithoutBound => Form,
    /// A redelivered request is counted as received again.
    CountsTwice => Balance,
    /// A worker that disconnected, but keeps its connection, gets a request.
    GivesToWhoLeft => Addressee,
    /// A paused peer is never resumed.
    NeverResumes => Reading,
    /// A peer that does not read is not closed.
    KeepsStalledReader => Closing,
    /// Requested names are never removed.
    ForgetsNoName => Gauges,
    /// Due timers never fire.
    NeverFiresTimer => Spins,
}
