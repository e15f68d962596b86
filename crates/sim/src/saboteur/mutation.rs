//! The faults, each with the rule that has to find it.

use crate::judge::Rule;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident => $rule:ident,)*) => {
        /// A fault of a broker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[$doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Mutation] = &[$(Mutation::$name),*];

            /// The rule that ought to find it.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Mutation::$name => Rule::$rule,)*
                }
            }
        }
    };
}

mutations! {
    /// majortomo, PIGATO: a request whose worker died is lost.
    LosesRequestOfDeadWorker => Idle,
    /// PIGATO: a request that ends with its worker ends in silence.
    EndsInSilence => Told,
    /// majortomo: a reply of a peer that never registered reaches the client.
    TakesReplyOfStranger => Author,
    /// majortomo: READY twice is not noticed.
    OverlooksSecondReady => Offence,
    /// A reply that comes when its request has ended is passed on.
    PassesLateReply => AfterFinal,
    /// The final reply goes out twice.
    RepliesTwice => AfterFinal,
    /// PIGATO: request ids are global, so a reply reaches another client.
    ConfusesClients => Asker,
    /// An expired request goes to a worker all the same.
    DispatchesExpired => Deadline,
    /// zguide `mdbroker.c`: purging stops too early, and dead workers stay.
    KeepsSilentWorker => DeadWorkerKept,
    /// A connection that is gone is not noticed.
    KeepsGoneWorker => DeadWorkerKept,
    /// zeromq/majordomo: after FINAL the queue is not looked at.
    ForgetsQueueAfterFinal => Idle,
    /// Everywhere: a worker that is too busy to heartbeat is lost.
    LosesBusyWorker => LostWithoutCause,
    /// generaldomo: heartbeats starve.
    StarvesHeartbeats => Heartbeats,
    /// A request goes to two workers at once.
    DispatchesTwice => OneWorker,
    /// A request goes to a second worker though its client did not allow it.
    RedeliversWithoutLeave => OneWorker,
    /// A worker with several services gets as many as it takes for each of them.
    CountsEachServiceApart => Concurrency,
    /// A worker gets more than it takes.
    OverloadsWorker => Concurrency,
    /// One request more than the limit is taken.
    ExceedsLimit => Limit,
    /// A client for whom there is no room is read from all the same.
    ForgetsToPause => Door,
    /// generaldomo C++: every service that begins with `m` is taken for the broker's own.
    TakesNameForItsOwn => Author,
    /// A worker that replies to what it was never given is not noticed.
    OverlooksForgedReply => Offence,
    /// PIGATO: a rejected request comes back to the worker that rejected it.
    BouncesRejected => RejectedOnce,
    /// PIGATO: a request that all reject is in progress for ever.
    NeverEndsRejected => EndsInTime,
    /// The first rejection is the last, though there are other workers.
    TakesNoForAnAnswer => OneOutcome,
    /// What the worker said that rejected a request last does not reach its client.
    ForgetsLastError => Author,
    /// A worker that takes fewer requests from now on gets as many as before.
    IgnoresConcurrency => Concurrency,
    /// PIGATO: a worker that takes more requests from now on gets none until something else
    /// happens.
    IgnoresRaisedConcurrency => Idle,
    /// PIGATO: that a client still wants its request is never told to the worker.
    LosesStillWanted => Wanted,
    /// A worker is lost though a client has vouched for it.
    IgnoresVouch => LostWithoutCause,
    /// A worker that asks whether the broker is there gets no answer.
    LeavesHeartbeatUnanswered => Heartbeats,
    /// A worker that may say READY again is sent away for it.
    PunishesReadyAgain => Offence,
    /// What the client wrote beside the body does not reach the worker.
    LosesOptions => Author,
    /// A client that has forgotten its request is told that nobody came for it.
    TellsWhoTimedOut => Told,
    /// A worker of a wildcard gets a request for a name that another offers exactly.
    IgnoresExactness => Names,
    /// A worker gets what is meant for a wildcard that it offers no more.
    KeepsWildcardThatLeft => Names,
    /// A range is served by a lower version though a higher is free.
    PrefersLowerVersion => Names,
    /// What came first goes first, whatever is more urgent.
    IgnoresPriority => Priority,
    /// A worker gets a request for a service that it has withdrawn.
    GivesWithdrawn => Withdrawn,
    /// That a worker withdraws a service is not heard.
    OverlooksWithdraw => Withdrawn,
    /// A worker is told of a whole timeout, though some of it has passed.
    TellsWholeTimeout => Task,
    /// A worker is told that each attempt is the first.
    ForgetsAttempts => Task,
    /// What a client has added to its credit while its request waited does not reach the worker.
    ForgetsCredit => Task,
    /// What a client adds to its credit does not reach the worker.
    LosesMore => Credit,
    /// It reaches it twice.
    RepeatsMore => Credit,
    /// That a worker is at work is not told to the client.
    LosesNotices => Notices,
    /// Who did not ask for it hears how far its request has come.
    NoticesUnasked => Notices,
    /// The code of a worker's error does not reach the client.
    LosesCode => Author,
    /// A worker that is at work on what it was never given is not noticed.
    OverlooksForgedWork => Offence,
    /// Two requests of one client have the same id, and it greets.
    TakesIdTwice => Ids,
    /// A worker is heard before HELLO.
    HearsWhoIsUnheard => Greeting,
    /// HELLO is not answered.
    WelcomesInSilence => Welcome,
    /// A peer is told that it may have more requests than it may.
    PromisesTooMuch => Welcome,
    /// A worker that says how many requests it takes is not answered.
    SettlesInSilence => CapacityIs,
    /// It is answered with another number.
    SettlesForMore => CapacityIs,
    /// A client that takes no more parts, and is there, has no more time for that.
    IgnoresMoreOfNothing => OneOutcome,
    /// Who is sent away is not told.
    PartsInSilence => Farewell,
    /// Who is sent away is not told why.
    GivesNoReason => Farewell,
    /// A worker that is silent for as long as it said is lost by the pace of the broker.
    IgnoresPace => LostWithoutCause,
    /// A peer gets bodies that are larger than it takes.
    IgnoresBodyLimit => Form,
    /// A request for one worker goes to any.
    IgnoresTarget => Target,
    /// PIGATO: whether the one worker serves the name is not looked at.
    OverlooksServiceOfTarget => Target,
    /// A request for a worker that nobody knows waits.
    WaitsForUnknownTarget => Target,
    /// A kept reply is given after its time.
    KeepsTooLong => Kept,
    /// A kept reply is given to who wants a fresh one.
    GivesOldForFresh => Kept,
    /// Equal requests share an answer though that is not set.
    SharesEverywhere => Shared,
    /// Those that shared the answer of one that gave up are forgotten.
    LosesFollowers => Shared,
    /// PIGATO: by load is in turn, as what it compares does not exist.
    BalancesByTurn => Turn,
    /// A worker is missing in the directory.
    ForgetsWorkerInDirectory => Directory,
    /// Bodies of any size are translated.
    TranslatesWithoutBound => Form,
    /// A request that is delivered again is received again.
    CountsTwice => Balance,
    /// A worker that said goodbye, and is connected, is given a request.
    GivesToWhoLeft => Addressee,
    /// Who was not read from for a while is not read from any more.
    NeverResumes => Reading,
    /// A peer that does not read stays.
    KeepsStalledReader => Closing,
    /// Names that were asked for once are never forgotten.
    ForgetsNoName => Holdings,
    /// What is due never happens.
    NeverFiresTimer => Spins,
}
