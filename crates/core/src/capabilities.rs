//! Peer capabilities: the properties of a peer's dialect that the broker depends on. The core never
//! sees a dialect's name.

use crate::{Form, OutcomeSet};

/// A client's capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// True if the client accepts a reply in parts. Other clients get a single final reply with all
    /// frames.
    pub partial_replies: bool,
    /// The outcomes that the client's dialect can report in an error reply. If they do not include
    /// [`Outcome::Refused`](crate::Outcome::Refused), the broker stops reading from the client
    /// while a limit holds back its request.
    pub told: OutcomeSet,
    /// The redelivery policy for the client's requests when a worker is lost.
    pub redelivery: Redelivery,
    /// True if the client accepts messages that a worker sends after its reply, from workers whose
    /// dialect has no final reply.
    pub afterwords: bool,
    /// True if the session starts with [`Hello`](crate::FromClient::Hello) and ends with a
    /// disconnect reason.
    pub greets: bool,
    /// The body format that the client reads.
    pub form: Form,
}

impl Default for ClientCapabilities {
    /// A client that can only send requests and receive replies.
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

/// The policy for delivering a request a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// Always redeliver: workers are assumed to be idempotent.
    Always,
    /// Redeliver if the request asks for it.
    WhereAsked,
    /// Never redeliver.
    Never,
}

/// A worker's capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerCapabilities {
    /// The maximum number of concurrent requests, until the worker reports another number.
    pub concurrency: Concurrency,
    /// True if the worker accepts cancellations.
    pub cancel: bool,
    /// True if each reply carries the request's id beside the address. The two must agree.
    pub request_ids: bool,
    /// True if the worker can reject a request, so that another worker gets it.
    pub rejects: bool,
    /// True if the dialect has no final reply. The first reply ends the request, and later messages
    /// go to clients that accept them.
    pub afterwords: bool,
    /// True if the worker expects an answer to each heartbeat.
    pub heartbeats_answered: bool,
    /// True if the worker may repeat READY for a registered service, which has no effect.
    pub ready_again: bool,
    /// True if the worker may register several services and withdraw one.
    pub several_services: bool,
    /// True if the worker counts the parts that it sends and accepts credit from its client.
    pub credit: bool,
    /// True if the session starts with [`Hello`](crate::FromWorker::Hello). The worker can then
    /// report its maximum number of concurrent requests before it registers a service.
    pub greets: bool,
    /// The body format that the worker reads.
    pub form: Form,
}

impl Default for WorkerCapabilities {
    /// A worker that handles one request at a time.
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

/// The maximum number of requests that a worker handles concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// At most this many requests; 0 suspends dispatch.
    AtMost(u32),
    /// No limit.
    Unlimited,
}

impl Concurrency {
    /// One request at a time.
    pub const ONE: Concurrency = Concurrency::AtMost(1);

    /// Returns true if a worker with `held` requests in flight accepts another.
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

/// A peer's role, with its capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer sends requests.
    Client(ClientCapabilities),
    /// The peer serves requests.
    Worker(WorkerCapabilities),
}
