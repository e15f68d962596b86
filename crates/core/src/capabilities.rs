//! What a peer can do, as far as the broker must know it. A dialect is told to the core as these,
//! never by its name.

use core::num::NonZeroU32;

use crate::OutcomeSet;

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
    /// How many requests it takes at once, until it says otherwise; `None` is no limit.
    pub concurrency: Option<NonZeroU32>,
    /// Can be told to give a request up.
    pub cancel: bool,
}

/// What a peer is, and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks.
    Client(ClientCapabilities),
    /// It serves.
    Worker(WorkerCapabilities),
}
