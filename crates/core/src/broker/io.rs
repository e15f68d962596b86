//! What goes into the broker and what comes out of it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::Config;
use crate::{
    Farewell, FromClient, FromClientView, FromWorker, FromWorkerView, Label, Outcome, PeerId,
    RequestId, Role, Time, ToClient, ToClientView, ToWorker, ToWorkerView,
};

/// Something that happened. An input about a peer that the broker does not know (any more) changes
/// nothing.
///
/// Commands are owned here, so that tests and simulations can keep inputs and replay them;
/// [`with_view`](Input::with_view) lends them to the broker.
#[derive(Clone, Debug)]
pub enum Input<C = FromClient, W = FromWorker> {
    /// A peer said its first word, so that its capabilities are known.
    Appeared {
        /// Who.
        peer: PeerId,
        /// What is known of it.
        profile: Profile,
    },
    /// A client said this.
    FromClient {
        /// Who.
        peer: PeerId,
        /// What.
        command: C,
    },
    /// A worker said this.
    FromWorker {
        /// Who.
        peer: PeerId,
        /// What.
        command: W,
    },
    /// A peer said something that its dialect does not allow.
    Malformed {
        /// Who.
        peer: PeerId,
    },
    /// A peer showed life without saying anything yet.
    Alive {
        /// Who.
        peer: PeerId,
        /// How.
        sign: Sign,
    },
    /// A single message is more than may wait to be written to a peer, and nothing else waits: it
    /// has to be read in time like what fills a peer, and harms nobody meanwhile.
    Laden {
        /// Who.
        peer: PeerId,
    },
    /// What waits to be written to a peer is as much as may wait.
    Filled {
        /// Who.
        peer: PeerId,
    },
    /// A good part of what waits to be written to a full or laden peer has been, and as much waits
    /// still: it reads, but not fast.
    Draining {
        /// Who.
        peer: PeerId,
    },
    /// What waited to be written to a peer has been.
    Drained {
        /// Who.
        peer: PeerId,
    },
    /// A peer's connection is gone.
    Gone {
        /// Who.
        peer: PeerId,
    },
    /// Time has passed.
    Tick,
    /// The configuration changed.
    Configured(Box<Config>),
    /// End everything.
    Shutdown,
}

/// An [`Input`] as the broker takes it: its command is borrowed.
pub type InputView<'a> = Input<&'a FromClientView<'a>, &'a FromWorkerView<'a>>;

impl Input {
    /// Calls `handle` with the input, borrowed.
    ///
    /// ```
    /// use majordomus_core::broker::{Input, InputView};
    ///
    /// let input: Input = Input::Tick;
    /// assert!(input.with_view(|view| matches!(view, InputView::Tick)));
    /// ```
    pub fn with_view<T>(&self, handle: impl FnOnce(InputView<'_>) -> T) -> T {
        let (client_command, worker_command);
        handle(match self {
            Input::Appeared { peer, profile } => {
                Input::Appeared { peer: *peer, profile: profile.clone() }
            }
            Input::FromClient { peer, command } => {
                client_command = command.view();
                Input::FromClient { peer: *peer, command: &client_command }
            }
            Input::FromWorker { peer, command } => {
                worker_command = command.view();
                Input::FromWorker { peer: *peer, command: &worker_command }
            }
            Input::Malformed { peer } => Input::Malformed { peer: *peer },
            Input::Alive { peer, sign } => Input::Alive { peer: *peer, sign: *sign },
            Input::Laden { peer } => Input::Laden { peer: *peer },
            Input::Filled { peer } => Input::Filled { peer: *peer },
            Input::Draining { peer } => Input::Draining { peer: *peer },
            Input::Drained { peer } => Input::Drained { peer: *peer },
            Input::Gone { peer } => Input::Gone { peer: *peer },
            Input::Tick => Input::Tick,
            Input::Configured(config) => Input::Configured(config.clone()),
            Input::Shutdown => Input::Shutdown,
        })
    }
}

/// What is known of a peer when it appears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The identity it gave itself; empty where it did not.
    pub identity: Label,
    /// Whether it can be asked for life below its dialect, by ZMTP's PING.
    pub answers_probes: bool,
    /// What it is and can do.
    pub role: Role,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Bytes came, a part of a message perhaps.
    Bytes,
    /// It answered [`Output::Probe`].
    Pong,
}

/// Takes what the broker wants done, as it arises.
///
/// A method must not call the broker: what it notices while it writes (a peer that has too much
/// waiting, for example) is told to the broker after [`handle`](super::Broker::handle) has returned.
///
/// ```
/// use majordomus_core::PeerId;
/// use majordomus_core::broker::{Action, Event, Outlet};
/// use majordomus_core::{ToClientView, ToWorkerView};
///
/// /// Counts messages.
/// struct Count(usize);
///
/// impl Outlet for Count {
///     fn to_client(&mut self, _client: PeerId, _command: &ToClientView<'_>) {
///         self.0 += 1;
///     }
///     fn to_worker(&mut self, _worker: PeerId, _command: &ToWorkerView<'_>) {
///         self.0 += 1;
///     }
///     fn act(&mut self, _peer: PeerId, _action: Action) {}
///     fn note(&mut self, _event: Event) {}
/// }
/// ```
pub trait Outlet {
    /// Sends a command to a client.
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>);

    /// Sends a command to a worker.
    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>);

    /// Does something with a peer's connection.
    fn act(&mut self, peer: PeerId, action: Action);

    /// Tells observers of an event.
    fn note(&mut self, event: Event);
}

/// Something to do with a peer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the peer whether it is alive; [`Sign::Pong`] reports the answer.
    Probe,
    /// Stop delivering this peer's commands, at once, until [`Resume`](Action::Resume).
    Pause,
    /// Deliver this peer's commands again.
    Resume,
    /// Close the connection. The broker has forgotten the peer already.
    Close(CloseReason),
}

/// Collects what the broker wants done, for tests and simulations.
impl Outlet for Vec<Output> {
    fn to_client(&mut self, peer: PeerId, command: &ToClientView<'_>) {
        self.push(Output::ToClient { peer, command: command.to_owned() });
    }

    fn to_worker(&mut self, peer: PeerId, command: &ToWorkerView<'_>) {
        self.push(Output::ToWorker { peer, command: command.to_owned() });
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        self.push(match action {
            Action::Probe => Output::Probe { peer },
            Action::Pause => Output::Pause { peer },
            Action::Resume => Output::Resume { peer },
            Action::Close(reason) => Output::Close { peer, reason },
        });
    }

    fn note(&mut self, event: Event) {
        self.push(Output::Event(event));
    }
}

/// Something that the broker wants done, owned: how tests and simulations see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to a client.
    ToClient {
        /// Whom.
        peer: PeerId,
        /// What.
        command: ToClient,
    },
    /// Send this to a worker.
    ToWorker {
        /// Whom.
        peer: PeerId,
        /// What.
        command: ToWorker,
    },
    /// Ask a peer for life; it is told by [`Sign::Pong`] if there was an answer.
    Probe {
        /// Whom.
        peer: PeerId,
    },
    /// Take no more commands from a peer, at once, until [`Output::Resume`].
    Pause {
        /// From whom.
        peer: PeerId,
    },
    /// Take commands from a peer again.
    Resume {
        /// From whom.
        peer: PeerId,
    },
    /// Close a peer's connection. The broker has forgotten it already.
    Close {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// Something that observers may want to know.
    Event(Event),
}

/// Why the broker has a connection closed.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::CloseReason;
///
/// assert_eq!(CloseReason::SlowReader.to_string(), "it did not read what was sent to it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its identity belongs to a peer that is alive.
    IdentityInUse,
    /// Another connection has its identity, and it did not answer when it was asked for life.
    IdentityTaken,
    /// It did not read what was sent to it.
    SlowReader,
    /// There was no memory left for what it sent.
    NoMemory,
}

impl CloseReason {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [CloseReason; 4] = [
        CloseReason::IdentityInUse,
        CloseReason::IdentityTaken,
        CloseReason::SlowReader,
        CloseReason::NoMemory,
    ];

    /// The name by which it is logged and counted.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// assert_eq!(majordomus::broker::CloseReason::NoMemory.name(), "no_memory");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::IdentityInUse => "identity_in_use",
            CloseReason::IdentityTaken => "identity_taken",
            CloseReason::SlowReader => "slow_reader",
            CloseReason::NoMemory => "no_memory",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::IdentityInUse => "its identity is in use by a peer that is alive",
            CloseReason::IdentityTaken => {
                "it showed no life when another connection came with its identity"
            }
            CloseReason::SlowReader => "it did not read what was sent to it",
            CloseReason::NoMemory => "there was no memory left for what it sent",
        })
    }
}

/// A breach of the protocol.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Offence;
///
/// assert_eq!(Offence::ReadyTwice.to_string(), "READY a second time");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A message that its dialect does not allow.
    Malformed,
    /// A peer said something before READY, or before HELLO where it has to greet.
    NotReady,
    /// A worker said READY twice.
    ReadyTwice,
    /// A worker offered a name that belongs to the broker.
    ReservedName,
    /// A worker offered a service without a name, or with one that is too long.
    BadName,
    /// A worker replied to a request that it was never given.
    ForgedReply,
    /// A worker offered more services than it may.
    TooManyServices,
    /// A worker offered one service more than all workers may together.
    TooManyOffers,
}

impl Offence {
    /// All offences, in the order in which they are counted.
    pub const ALL: [Offence; 8] = [
        Offence::Malformed,
        Offence::NotReady,
        Offence::ReadyTwice,
        Offence::ReservedName,
        Offence::BadName,
        Offence::ForgedReply,
        Offence::TooManyServices,
        Offence::TooManyOffers,
    ];

    /// The name by which it is logged and counted.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// assert_eq!(majordomus::broker::Offence::ForgedReply.name(), "forged_reply");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Offence::Malformed => "malformed",
            Offence::NotReady => "not_ready",
            Offence::ReadyTwice => "ready_twice",
            Offence::ReservedName => "reserved_name",
            Offence::BadName => "bad_name",
            Offence::ForgedReply => "forged_reply",
            Offence::TooManyServices => "too_many_services",
            Offence::TooManyOffers => "too_many_offers",
        }
    }
}

impl Offence {
    /// What its peer is told, where that can be told why.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_core::{Farewell, broker::*}; } }
    /// use majordomus::broker::{Farewell, Offence};
    ///
    /// assert_eq!(Offence::TooManyOffers.farewell(), Farewell::Full);
    /// ```
    pub const fn farewell(self) -> Farewell {
        match self {
            Offence::Malformed | Offence::NotReady | Offence::ReadyTwice | Offence::BadName => {
                Farewell::Malformed
            }
            Offence::ReservedName | Offence::ForgedReply => Farewell::Forbidden,
            Offence::TooManyServices | Offence::TooManyOffers => Farewell::Full,
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Offence::Malformed => "a message that its dialect does not allow",
            Offence::NotReady => "a command before READY, or before HELLO",
            Offence::ReadyTwice => "READY a second time",
            Offence::ReservedName => "READY for a name that belongs to the broker",
            Offence::BadName => "READY for an empty name or one of more than 255 bytes",
            Offence::ForgedReply => "a reply to a request that it was never given",
            Offence::TooManyServices => "READY for more services than one worker may offer",
            Offence::TooManyOffers => "READY for more services than all workers may offer together",
        })
    }
}

/// Why a worker is one no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// It said that it goes.
    Left,
    /// Its connection is gone.
    Gone,
    /// It was idle, and silent for too long.
    Silent,
    /// It was busy, and what answered for it before no longer does.
    Stopped,
    /// It had one request in hand for longer than the busy limit.
    Overdue,
    /// The broker shuts down.
    ShutDown,
    /// It broke the protocol.
    Offence(Offence),
}

impl LossReason {
    /// What the worker is told, where it can be told why.
    pub const fn farewell(self) -> Farewell {
        match self {
            LossReason::ShutDown => Farewell::ShutDown,
            LossReason::Silent | LossReason::Stopped | LossReason::Overdue => Farewell::Silent,
            LossReason::Left | LossReason::Gone => Farewell::Unsaid,
            LossReason::Offence(offence) => offence.farewell(),
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LossReason::ShutDown => "the broker shuts down",
            LossReason::Left => "it said goodbye",
            LossReason::Gone => "its connection is gone",
            LossReason::Silent => "it was idle and sent no heartbeat in liveness x interval",
            LossReason::Stopped => "it was busy and no longer answers PING",
            LossReason::Overdue => "it had one request in hand for longer than the busy limit",
            LossReason::Offence(offence) => {
                return write!(f, "it sent {offence}");
            }
        })
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker offers a service.
    WorkerRegistered {
        /// Who.
        peer: PeerId,
        /// What.
        service: Label,
    },
    /// A worker offers a service no longer.
    WorkerWithdrew {
        /// Who.
        peer: PeerId,
        /// What.
        service: Label,
    },
    /// A worker offers nothing any more.
    WorkerLost {
        /// Who.
        peer: PeerId,
        /// What it offered.
        services: Vec<Label>,
        /// Why.
        reason: LossReason,
        /// How many requests it had in hand.
        requests: usize,
    },
    /// A peer broke the protocol.
    Offended {
        /// Who.
        peer: PeerId,
        /// How.
        offence: Offence,
    },
    /// A request arrived. This and the next two only where
    /// [`Config::request_events`](super::Config::request_events) is set.
    Received {
        /// Which.
        request: RequestId,
        /// From whom.
        client: PeerId,
        /// For what.
        service: Label,
    },
    /// A request went to a worker.
    Dispatched {
        /// Which.
        request: RequestId,
        /// To whom.
        worker: PeerId,
        /// How many times it has gone to one, with this.
        attempt: u32,
    },
    /// A request ended.
    Ended {
        /// Which.
        request: RequestId,
        /// How.
        outcome: Outcome,
        /// When it had arrived.
        received: Time,
    },
}
