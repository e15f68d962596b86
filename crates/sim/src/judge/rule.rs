//! The rules, and how a breach of one is told.

use core::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What the broker must keep to. Each is checked after every step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// What it says.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Rule::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// The law of the house, in numbers.
    Balance = "received is the sum of the outcomes and of what is in progress, as we count them too",
    /// The law of the house, for each request.
    OneOutcome = "a request has one outcome, and that for a cause",
    /// What a client must hear of the end.
    Told = "a client hears of the end of its request once, as far as it can be told",
    /// No other client hears of it.
    Asker = "a reply goes to the client that asked",
    /// The final reply is the last.
    AfterFinal = "nothing goes to a client after the end of its request",
    /// A reply has an author.
    Author = "a reply is what the worker said that has the request",
    /// Nothing goes to who is not there, or cannot take it.
    Addressee = "commands go to peers that are there, registered, and can take them",
    /// Deadlines are kept before dispatch.
    Deadline = "no request is dispatched after its deadline",
    /// One worker for a request.
    OneWorker = "no request is at two workers, or goes to a second one without leave",
    /// A word is a word.
    RejectedOnce = "no worker gets a request again that it has rejected",
    /// Slots are counted.
    Concurrency = "no worker gets a request when it has as many as it takes",
    /// Who keeps the rules is kept.
    LostWithoutCause = "no worker is lost that kept the rules",
    /// Who is dead is not.
    DeadWorkerKept = "a worker that is gone, silent, stopped or overdue is lost in time",
    /// What is broken is noticed.
    Offence = "each breach of the protocol is noticed, and nothing else is taken for one",
    /// Limits are kept.
    Limit = "every limit is held",
    /// The door opens.
    Door = "who waits for room comes in when there is room",
    /// Nobody is read from who must not, and everybody else is.
    Reading = "a peer is not read from for a reason, and is when there is none",
    /// Work is done.
    Idle = "no request waits while a worker is free for it",
    /// Who is more urgent comes first.
    Priority = "a request never waits behind one of lower priority for the same service, or one that came later",
    /// The right one does it.
    Names = "a request goes to a worker that offers its name, else the longest beginning of it or the best version that is free",
    /// What is withdrawn is gone.
    Withdrawn = "a worker gets nothing more for a service that it has withdrawn, and what it has in hand stays",
    /// The asked one does it.
    Target = "a request for one worker goes to that one, which is there and serves its name, or ends",
    /// In turn.
    Turn = "of several workers the one gets a request that is balanced so, and no name waits behind others for ever",
    /// An old answer is as good as said.
    Kept = "a kept reply is given as it was, while it is good, to who does not want a fresh one",
    /// One answer for all.
    Shared = "equal requests share an answer where that is set, whole, and who is left alone is served alone",
    /// Bodies can be read.
    Form = "nobody is given a body that is larger than it takes, or of another form and too large to be translated",
    /// Who is there is known.
    Directory = "the directory names the workers that are there, and has a new edition after each change",
    /// Time is kept.
    EndsInTime = "every request ends within its bound",
    /// The broker lives.
    Heartbeats = "workers are told in time that the broker is there, and when they ask",
    /// What a client asks for on behalf of its request arrives.
    Wanted = "a worker hears that its request is still wanted when its client says so, and only then",
    /// What a worker is told of a request.
    Task = "a worker hears of each request how long it is wanted, which attempt it is, its priority and all its credit",
    /// Credit arrives.
    Credit = "a worker that counts parts hears once how many more its client takes, and nobody else does",
    /// A client knows how far its request has come.
    Notices = "a client hears how far its request has come where it wants to, and only what is so",
    /// Ids tell requests apart.
    Ids = "an id that is in progress is refused to a client that greets, and the first goes on",
    /// First things first.
    Greeting = "nobody who has to say HELLO is served or answered before it does",
    /// A greeting is answered.
    Welcome = "each HELLO is answered once with WELCOME, which says what holds",
    /// What a worker says of how many it takes is settled.
    CapacityIs = "a worker that greets and says how many requests it takes is answered once with that number, and gets none beyond it from then on",
    /// Who is sent away knows why.
    Farewell = "DISCONNECT goes to whom the broker has done with, says why, and goes to nobody else",
    /// A connection is closed for a reason.
    Closing = "a connection is closed for a cause, and then in time",
    /// Names, peers and bytes are given back.
    Holdings = "what is held is what is in progress",
    /// The timers move on.
    Spins = "when all that was due is done, nothing is due",
    /// Towards the users of the client library.
    ClientLibrary = "a client delivers one end for each request that its user makes",
    /// At the end of the faults.
    WorkAgain = "when faults stop, every live worker gets work",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}: {}", self.text())
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub rule: Rule,
    /// How.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.what)
    }
}
