//! What a peer can do, as far as the broker must know it. A dialect is told to the core as these,
//! never by its name.

use crate::{Form, OutcomeSet};

/// What a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// Takes a reply in parts. One that does not gets a single final reply with all frames.
    pub partial_replies: bool,
    /// The ends of a request that it can be told of with an error reply. A client that cannot be
    /// told of [`Outcome::Refused`](crate::Outcome::Refused) is not read from while a limit stands
    /// against its request.
    pub told: OutcomeSet,
    /// Whether a request of it may go to another worker when its worker is lost.
    pub redelivery: Redelivery,
    /// Takes what a worker says after the reply, too, where the worker never says that it is done.
    pub afterwords: bool,
    /// Begins with [`Hello`](crate::FromClient::Hello), and is told why it ends.
    pub greets: bool,
    /// How the bodies are written that it reads.
    pub form: Form,
}

impl Default for ClientCapabilities {
    /// One that can do nothing but ask and take a reply.
    fn default() -> Self {
        Self {
            partial_replies: false,
            told: OutcomeSet::NONE,
            redelivery: Redelivery::Always,
            afterwords: false,
            greets: false,
            form: Form::Frames,
        }
    }
}

/// Whether requests may be delivered a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// Workers are taken to be idempotent.
    Always,
    /// Where the request asks for it.
    WhereAsked,
    /// Never.
    Never,
}

/// What a worker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerCapabilities {
    /// How many requests it takes at once, until it says otherwise.
    pub concurrency: Concurrency,
    /// Can be told to give a request up.
    pub cancel: bool,
    /// Says with each reply which request it is for, beside the address: the two must agree.
    pub request_ids: bool,
    /// May reject a request, so that another worker gets it.
    pub rejects: bool,
    /// Never says that a request is done: its first reply is the end of one, and what comes behind
    /// it goes to clients that take it.
    pub afterwords: bool,
    /// Wants an answer to each of its heartbeats.
    pub heartbeats_answered: bool,
    /// May say READY again for what it offers, which changes nothing.
    pub ready_again: bool,
    /// May offer several services, and withdraw one.
    pub several_services: bool,
    /// Counts the parts that it sends, and can be told that its client takes more.
    pub credit: bool,
    /// Begins with [`Hello`](crate::FromWorker::Hello), and may say how many requests it takes before
    /// it offers a service.
    pub greets: bool,
    /// How the bodies are written that it reads.
    pub form: Form,
}

impl Default for WorkerCapabilities {
    /// One that has one request at a time.
    fn default() -> Self {
        Self {
            concurrency: Concurrency::ONE,
            cancel: false,
            request_ids: false,
            rejects: false,
            afterwords: false,
            heartbeats_answered: false,
            ready_again: false,
            several_services: false,
            credit: false,
            greets: false,
            form: Form::Frames,
        }
    }
}

/// How many requests a worker takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// So many; none at all for the time being where it is 0.
    AtMost(u32),
    /// Any number.
    Unlimited,
}

impl Concurrency {
    /// One at a time.
    pub const ONE: Concurrency = Concurrency::AtMost(1);

    /// Whether one that has `held` requests takes another.
    ///
    /// ```
    /// use majordomus_core::Concurrency;
    ///
    /// assert!(Concurrency::ONE.allows_beyond(0));
    /// assert!(!Concurrency::ONE.allows_beyond(1));
    /// assert!(Concurrency::Unlimited.allows_beyond(1_000));
    /// ```
    pub const fn allows_beyond(self, held: usize) -> bool {
        match self {
            Concurrency::AtMost(most) => held < most as usize,
            Concurrency::Unlimited => true,
        }
    }
}

/// What a peer is, and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks.
    Client(ClientCapabilities),
    /// It serves.
    Worker(WorkerCapabilities),
}
