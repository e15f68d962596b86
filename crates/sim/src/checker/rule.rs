//! The checker's rules, and the report of a violation.

use core::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A rule that the broker must follow. Every rule is checked after every step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// Returns the rule's text.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Rule::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// The balance of the counters.
    Balance = "received is the sum of the outcomes and of what is in progress, as we count them too",
    /// The balance of outcomes for each request.
    OneOutcome = "a request has one outcome, and that for a cause",
    /// Reports to clients about the end of requests.
    Told = "a client hears of the end of its request once, as far as it can be told",
    /// Delivery to the right client.
    Asker = "a reply goes to the client that asked",
    /// The final reply as the last message.
    AfterFinal = "nothing goes to a client after the end of its request",
    /// The origin of replies.
    Author = "a reply is what the worker said that has the request",
    /// Commands only to connected peers that support them.
    Addressee = "commands go to peers that are there, registered, and can take them",
    /// Deadlines before dispatch.
    Deadline = "no request is dispatched after its deadline",
    /// At most one worker per request.
    OneWorker = "no request is at two workers, or goes to a second one without leave",
    /// Rejections are final for the worker.
    RejectedOnce = "no worker gets a request again that it has rejected",
    /// The concurrency limits of workers.
    Concurrency = "no worker gets a request when it has as many as it takes",
    /// No loss of a live worker.
    LostWithoutCause = "no worker is lost that kept the rules",
    /// Loss of dead workers.
    DeadWorkerKept = "a worker that is gone, silent, stopped or overdue is lost in time",
    /// Detection of protocol violations.
    PeerViolation = "each breach of the protocol is noticed, and nothing else is taken for one",
    /// Limits.
    Limit = "every limit is held",
    /// Progress of the admission queue.
    Door = "who waits for room comes in when there is room",
    /// Backpressure: pausing and resuming of peers.
    Reading = "a peer is not read from for a reason, and is when there is none",
    /// No idle worker while a request is queued for it.
    Idle = "no request waits while a worker is free for it",
    /// The order of priorities.
    Priority = "a request never waits behind one of lower priority for the same service, or one that came later",
    /// Matching of services by wildcard and version.
    Names = "a request goes to a worker that offers its name, else the longest beginning of it or the best version that is free",
    /// Withdrawn services.
    Withdrawn = "a worker gets nothing more for a service that it has withdrawn, and what it has in hand stays",
    /// Requests to a target worker.
    Target = "a request for one worker goes to that one, which is there and serves its name, or ends",
    /// Balancing policies and round-robin turns.
    Turn = "of several workers the one gets a request that is balanced so, and no name waits behind others for ever",
    /// The reply cache.
    Kept = "a kept reply is given as it was, while it is good, to who does not want a fresh one",
    /// Request coalescing.
    Shared = "equal requests share an answer where that is set, whole, and who is left alone is served alone",
    /// Body formats and size limits.
    Form = "nobody is given a body that is larger than it takes, or of another form and too large to be translated",
    /// The contents of the directory.
    Directory = "the directory names the workers that are there, and has a new edition after each change",
    /// Bounded lifetimes of requests.
    EndsInTime = "every request ends within its bound",
    /// The broker's heartbeats.
    Heartbeats = "workers are told in time that the broker is there, and when they ask",
    /// Request keep-alives.
    Wanted = "a worker hears that its request is still wanted when its client says so, and only then",
    /// The attributes of a dispatched request.
    Task = "a worker hears of each request how long it is wanted, which attempt it is, its priority and all its credit",
    /// Delivery of credit.
    Credit = "a worker that counts parts hears once how many more its client takes, and nobody else does",
    /// Progress notices to clients.
    Notices = "a client hears how far its request has come where it wants to, and only what is so",
    /// Unique request ids.
    Ids = "an id that is in progress is refused to a client that greets, and the first goes on",
    /// The handshake before all else.
    Greeting = "nobody who has to say HELLO is served or answered before it does",
    /// Answers to handshakes.
    Welcome = "each HELLO is answered once with WELCOME, which says what holds",
    /// Confirmation of a worker's concurrency.
    CapacityIs = "a worker that greets and says how many requests it takes is answered once with that number, and gets none beyond it from then on",
    /// Disconnects and their reasons.
    DisconnectReason = "DISCONNECT goes to whom the broker has done with, says why, and goes to nobody else",
    /// Reasons for closed connections.
    Closing = "a connection is closed for a cause, and then in time",
    /// The gauges: names, peers and bytes.
    Gauges = "what is held is what is in progress",
    /// Progress of the timers.
    Spins = "when all that was due is done, nothing is due",
    /// The contract of the client library.
    ClientLibrary = "a client delivers one end for each request that its user makes",
    /// Recovery after the faults.
    WorkAgain = "when faults stop, every live worker gets work",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}: {}", self.text())
    }
}

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The violated rule.
    pub rule: Rule,
    /// A description of the violation.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.what)
    }
}
