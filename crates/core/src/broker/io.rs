//! Inputs and outputs of the broker.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::Config;
use crate::{
    ByteStr, DisconnectReason, FromClient, FromClientView, FromWorker, FromWorkerView, Outcome,
    PeerId, RequestId, Role, Time, ToClient, ToClientView, ToWorker, ToWorkerView,
};

/// An input of the broker. An input about an unknown or forgotten peer has no effect.
///
/// This type owns its commands, so that tests and simulations can store and replay inputs.
/// [`with_view`](Input::with_view) passes them to the broker by reference.
#[derive(Clone, Debug)]
pub enum Input<C = FromClient, W = FromWorker> {
    /// A peer connected: its first message arrived, so its capabilities are known.
    Connected {
        /// The peer.
        peer: PeerId,
        /// The peer's identity and capabilities.
        profile: Profile,
    },
    /// A client sent a command.
    FromClient {
        /// The client.
        peer: PeerId,
        /// The command.
        command: C,
    },
    /// A worker sent a command.
    FromWorker {
        /// The worker.
        peer: PeerId,
        /// The command.
        command: W,
    },
    /// A peer sent a message that its dialect does not allow.
    Malformed {
        /// The peer.
        peer: PeerId,
    },
    /// A peer showed liveness without a complete command.
    Alive {
        /// The peer.
        peer: PeerId,
        /// The kind of evidence.
        sign: Sign,
    },
    /// An oversized message is pending: a single message took the bytes queued for a peer above the
    /// high-water mark. The peer must read it within the stall timeout. The broker pauses no peer
    /// for it.
    OversizedPending {
        /// The peer.
        peer: PeerId,
    },
    /// The bytes queued for a peer are above the high-water mark.
    AboveHighWater {
        /// The peer.
        peer: PeerId,
    },
    /// A peer with an oversized message pending or above the high-water mark is making progress: it
    /// has read a large part of its queued bytes, but is not below the low-water mark yet.
    MakingProgress {
        /// The peer.
        peer: PeerId,
    },
    /// The bytes queued for a peer are below the low-water mark again.
    BelowLowWater {
        /// The peer.
        peer: PeerId,
    },
    /// A peer disconnected.
    Disconnected {
        /// The peer.
        peer: PeerId,
    },
    /// Time has passed.
    Tick,
    /// The configuration changed.
    Configured(Box<Config>),
    /// The broker must end all requests and disconnect its peers.
    Shutdown,
}

/// A borrowed [`Input`], as the broker handles it.
pub type InputView<'a> = Input<&'a FromClientView<'a>, &'a FromWorkerView<'a>>;

impl Input {
    /// Calls `handle` with a borrowed view of the input.
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
            Input::Connected { peer, profile } => {
                Input::Connected { peer: *peer, profile: profile.clone() }
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
            Input::OversizedPending { peer } => Input::OversizedPending { peer: *peer },
            Input::AboveHighWater { peer } => Input::AboveHighWater { peer: *peer },
            Input::MakingProgress { peer } => Input::MakingProgress { peer: *peer },
            Input::BelowLowWater { peer } => Input::BelowLowWater { peer: *peer },
            Input::Disconnected { peer } => Input::Disconnected { peer: *peer },
            Input::Tick => Input::Tick,
            Input::Configured(config) => Input::Configured(config.clone()),
            Input::Shutdown => Input::Shutdown,
        })
    }
}

/// A peer's properties at the time it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The identity that the peer chose; empty if it chose none.
    pub identity: ByteStr,
    /// True if the peer can be probed below its dialect, by ZMTP's PING.
    pub answers_probes: bool,
    /// The peer's role and capabilities.
    pub role: Role,
}

/// Evidence of a peer's liveness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Bytes arrived, possibly only part of a message.
    Bytes,
    /// The peer answered an [`Output::Probe`].
    Pong,
}

/// Receives the broker's outputs as they arise.
///
/// A method must not call the broker. A condition that it detects while it writes, such as a peer
/// above its high-water mark, must be passed to the broker after [`handle`](super::Broker::handle)
/// has returned.
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

    /// Performs an action on a peer's connection.
    fn act(&mut self, peer: PeerId, action: Action);

    /// Reports an event to observers.
    fn note(&mut self, event: Event);
}

/// An action on a peer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Probe the peer for liveness; [`Sign::Pong`] reports the answer.
    Probe,
    /// Stop delivering this peer's commands immediately, until [`Resume`](Action::Resume).
    Pause,
    /// Deliver this peer's commands again.
    Resume,
    /// Close the connection. The broker has already forgotten the peer.
    Close(CloseReason),
}

/// Collects the broker's outputs, for tests and simulations.
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

/// An output of the broker that owns its data, for tests and simulations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a command to a client.
    ToClient {
        /// The client.
        peer: PeerId,
        /// The command.
        command: ToClient,
    },
    /// Send a command to a worker.
    ToWorker {
        /// The worker.
        peer: PeerId,
        /// The command.
        command: ToWorker,
    },
    /// Probe a peer for liveness; [`Sign::Pong`] reports the answer.
    Probe {
        /// The peer.
        peer: PeerId,
    },
    /// Stop delivering this peer's commands immediately, until [`Output::Resume`].
    Pause {
        /// The peer.
        peer: PeerId,
    },
    /// Deliver this peer's commands again.
    Resume {
        /// The peer.
        peer: PeerId,
    },
    /// Close a peer's connection. The broker has already forgotten the peer.
    Close {
        /// The peer.
        peer: PeerId,
        /// The reason.
        reason: CloseReason,
    },
    /// An event for observers.
    Event(Event),
}

/// The reason for which the broker closes a connection.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::CloseReason;
///
/// assert_eq!(CloseReason::SlowReader.to_string(), "it did not read what was sent to it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The identity belongs to another peer that is alive.
    IdentityInUse,
    /// Another connection claimed the identity, and this peer did not answer a probe.
    IdentityTaken,
    /// The peer did not read its messages.
    SlowReader,
    /// No memory was left for the peer's messages.
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

    /// Returns the name used in logs and counters.
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

/// A protocol violation.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::PeerViolation;
///
/// assert_eq!(PeerViolation::ReadyTwice.to_string(), "READY a second time");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerViolation {
    /// A message that the peer's dialect does not allow.
    Malformed,
    /// A command before READY, or before HELLO if the peer's dialect requires a handshake.
    NotReady,
    /// A second READY from a worker.
    ReadyTwice,
    /// A registration of a name that is reserved for the broker.
    ReservedName,
    /// A registration of an empty or too long service name.
    BadName,
    /// A reply to a request that the worker never received.
    ForgedReply,
    /// A registration above the limit of services per worker.
    TooManyServices,
    /// A registration above the limit of registrations of all workers.
    TooManyOffers,
}

impl PeerViolation {
    /// All violations, in the order in which they are counted.
    pub const ALL: [PeerViolation; 8] = [
        PeerViolation::Malformed,
        PeerViolation::NotReady,
        PeerViolation::ReadyTwice,
        PeerViolation::ReservedName,
        PeerViolation::BadName,
        PeerViolation::ForgedReply,
        PeerViolation::TooManyServices,
        PeerViolation::TooManyOffers,
    ];

    /// Returns the name used in logs and counters.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// assert_eq!(majordomus::broker::PeerViolation::ForgedReply.name(), "forged_reply");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            PeerViolation::Malformed => "malformed",
            PeerViolation::NotReady => "not_ready",
            PeerViolation::ReadyTwice => "ready_twice",
            PeerViolation::ReservedName => "reserved_name",
            PeerViolation::BadName => "bad_name",
            PeerViolation::ForgedReply => "forged_reply",
            PeerViolation::TooManyServices => "too_many_services",
            PeerViolation::TooManyOffers => "too_many_offers",
        }
    }
}

impl PeerViolation {
    /// Returns the disconnect reason that the peer receives, if its dialect has one.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_core::{DisconnectReason, broker::*}; } }
    /// use majordomus::broker::{DisconnectReason, PeerViolation};
    ///
    /// assert_eq!(PeerViolation::TooManyOffers.disconnect_reason(), DisconnectReason::Full);
    /// ```
    pub const fn disconnect_reason(self) -> DisconnectReason {
        match self {
            PeerViolation::Malformed
            | PeerViolation::NotReady
            | PeerViolation::ReadyTwice
            | PeerViolation::BadName => DisconnectReason::Malformed,
            PeerViolation::ReservedName | PeerViolation::ForgedReply => DisconnectReason::Forbidden,
            PeerViolation::TooManyServices | PeerViolation::TooManyOffers => DisconnectReason::Full,
        }
    }
}

impl fmt::Display for PeerViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeerViolation::Malformed => "a message that its dialect does not allow",
            PeerViolation::NotReady => "a command before READY, or before HELLO",
            PeerViolation::ReadyTwice => "READY a second time",
            PeerViolation::ReservedName => "READY for a name that belongs to the broker",
            PeerViolation::BadName => "READY for an empty name or one of more than 255 bytes",
            PeerViolation::ForgedReply => "a reply to a request that it was never given",
            PeerViolation::TooManyServices => "READY for more services than one worker may offer",
            PeerViolation::TooManyOffers => {
                "READY for more services than all workers may offer together"
            }
        })
    }
}

/// The reason for which a worker is no longer registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The worker sent a disconnect.
    Left,
    /// The worker's connection closed.
    Gone,
    /// The worker was idle and silent for too long.
    Silent,
    /// The worker was busy and stopped answering probes.
    Stopped,
    /// One request was in flight at the worker for longer than the busy limit.
    Overdue,
    /// The broker shuts down.
    ShutDown,
    /// The worker violated the protocol.
    PeerViolation(PeerViolation),
}

impl LossReason {
    /// Returns the disconnect reason that the worker receives, if its dialect has one.
    pub const fn disconnect_reason(self) -> DisconnectReason {
        match self {
            LossReason::ShutDown => DisconnectReason::ShutDown,
            LossReason::Silent | LossReason::Stopped | LossReason::Overdue => {
                DisconnectReason::Silent
            }
            LossReason::Left | LossReason::Gone => DisconnectReason::Unsaid,
            LossReason::PeerViolation(violation) => violation.disconnect_reason(),
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
            LossReason::PeerViolation(violation) => {
                return write!(f, "it sent {violation}");
            }
        })
    }
}

/// An event for logs and observers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker registered a service.
    WorkerRegistered {
        /// The worker.
        peer: PeerId,
        /// The service.
        service: ByteStr,
    },
    /// A worker withdrew a service.
    WorkerWithdrew {
        /// The worker.
        peer: PeerId,
        /// The service.
        service: ByteStr,
    },
    /// A worker was lost or left, with all its registrations.
    WorkerLost {
        /// The worker.
        peer: PeerId,
        /// The services that it had registered.
        services: Vec<ByteStr>,
        /// The reason.
        reason: LossReason,
        /// The number of requests that were in flight at the worker.
        requests: usize,
    },
    /// A peer violated the protocol.
    Violated {
        /// The peer.
        peer: PeerId,
        /// The violation.
        violation: PeerViolation,
    },
    /// A request arrived. The broker emits this event and the next two only if
    /// [`Config::request_events`](super::Config::request_events) is set.
    Received {
        /// The request.
        request: RequestId,
        /// The request's client.
        client: PeerId,
        /// The service's name.
        service: ByteStr,
    },
    /// A request was dispatched to a worker.
    Dispatched {
        /// The request.
        request: RequestId,
        /// The worker.
        worker: PeerId,
        /// The number of this dispatch, starting at 1.
        attempt: u32,
    },
    /// A request ended.
    Ended {
        /// The request.
        request: RequestId,
        /// The request's outcome.
        outcome: Outcome,
        /// The time at which the request arrived.
        received: Time,
    },
}
