//! The neutral commands: messages between clients, workers and the broker, independent of any
//! dialect.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::{ByteStr, Concurrency, CorrelationId, Frames, Outcome};

/// A client's message to the broker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Starts a session. Only peers that require a [handshake](crate::ClientCapabilities::greets)
    /// send it.
    Hello(Hello),
    /// Submits a request to a service.
    Request(Request),
    /// Keeps the connection alive.
    Heartbeat,
    /// Request keep-alive: the client still waits for the reply.
    RequestKeepAlive {
        /// The id that the client gave the request.
        id: CorrelationId,
    },
    /// Worker keep-alive: the client reports that the worker is alive.
    WorkerKeepAlive {
        /// The worker's identity.
        worker: ByteStr,
    },
    /// Cancels a request.
    Cancel {
        /// The id that the client gave the request.
        id: CorrelationId,
    },
    /// Grants credit for more parts of a reply.
    More {
        /// The id that the client gave the request.
        id: CorrelationId,
        /// The number of additional parts that the client accepts.
        credit: u32,
    },
    /// Ends the session.
    Disconnect,
}

/// The data in a peer's [handshake](crate::ClientCapabilities::greets).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The declared heartbeat interval: the longest time that a healthy peer stays silent. `None`
    /// if the peer declares no interval.
    pub heartbeat: Option<Duration>,
    /// The size limit, in bytes, of a message to the peer. `None` if there is no limit.
    pub message_bytes_max: Option<usize>,
}

/// The broker info: the broker's answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The longest time that a healthy broker stays silent towards a worker.
    pub heartbeat: Duration,
    /// The number of silent heartbeat intervals after which a peer is lost.
    pub liveness: u32,
    /// The maximum size, in bytes, of a message that the broker accepts.
    pub message_bytes_max: u64,
    /// The maximum number of frames in a message that the broker accepts.
    pub frames_max: u32,
    /// The maximum number of requests that this peer can have in progress.
    pub requests_max: u32,
    /// The broker's name; empty if it has none.
    pub broker: ByteStr,
}

/// The maximum size, in bytes, of a message to the broker without its body and options. It covers a
/// service, a target or an address, and numbers. The largest such message in OMDP/1 is a REQUEST,
/// with 533 bytes.
pub const COMMAND_BYTES_MAX: usize = 640;

impl Welcome {
    /// Returns true if the broker accepts a message with `bytes` bytes of body and options and
    /// `frames` body frames.
    pub(crate) fn takes(&self, bytes: usize, frames: usize) -> bool {
        let bytes = bytes.saturating_add(COMMAND_BYTES_MAX) as u64;
        (self.message_bytes_max == 0 || bytes <= self.message_bytes_max)
            && frames < self.frames_max as usize
    }
}

/// The priority of a request, from 0 (lowest) to 9 (highest).
///
/// It orders requests that are queued for the same service.
///
/// ```
/// use majordomus_core::Priority;
///
/// assert!(Priority::new(7) > Priority::ORDINARY);
/// assert_eq!(Priority::new(200), Priority::new(9));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The priority of a request that specifies none: 4.
    pub const ORDINARY: Priority = Priority(4);

    /// Creates a priority from a number. Numbers above 9 become 9.
    pub const fn new(number: u8) -> Self {
        if number > 9 { Priority(9) } else { Priority(number) }
    }

    /// Returns the priority as a number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::ORDINARY
    }
}

/// Unlimited credit: the sender of a reply's parts does not count them.
pub const CREDIT_UNLIMITED: u32 = u32::MAX;

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of the service.
    pub service: ByteStr,
    /// The client's id for the request; empty if its dialect has no request ids.
    pub id: CorrelationId,
    /// The time limit.
    pub timeout: Timeout,
    /// True to dispatch the request to another worker if its worker is lost. It applies to clients
    /// whose [`Redelivery`](crate::Redelivery) is `WhereAsked`.
    pub redeliver: bool,
    /// The identity of the only worker that may serve the request; empty for any worker.
    pub target: ByteStr,
    /// True to bypass the reply cache.
    pub fresh: bool,
    /// True to let the request survive a restart of the broker. The broker has no store yet and
    /// treats the request like any other.
    pub durable: bool,
    /// The priority among requests queued for the same service.
    pub priority: Priority,
    /// The number of reply parts that the client accepts before it sends
    /// [`More`](FromClient::More).
    pub credit: u32,
    /// True to receive progress reports for the request as [`ToClient::Notice`].
    pub notices: bool,
    /// The client's options, passed on unchanged to workers whose dialect can carry them: JSON for
    /// a JSON body, packed headers for frames.
    pub options: Bytes,
    /// The payload for the worker.
    pub body: Frames,
}

impl Request {
    /// Creates a request without id and options that uses the service's timeouts.
    ///
    /// ```
    /// use majordomus_core::{Frames, Request};
    ///
    /// let request = Request::new("echo", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*request.service, b"echo");
    /// ```
    pub fn new(service: impl Into<ByteStr>, body: Frames) -> Self {
        Self {
            service: service.into(),
            id: CorrelationId::NONE,
            timeout: Timeout::OfService,
            redeliver: false,
            target: ByteStr::empty(),
            fresh: false,
            durable: false,
            priority: Priority::ORDINARY,
            credit: CREDIT_UNLIMITED,
            notices: false,
            options: Bytes::new(),
            body,
        }
    }
}

/// A request's time limit, as set by its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// Uses the service's and the broker's configuration.
    #[default]
    OfService,
    /// No time limit.
    Never,
    /// A limit that starts when the request arrives and restarts with each part of the reply.
    After(Duration),
}

/// The broker's message to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// Answers a [`Hello`].
    Welcome(Welcome),
    /// A part of the reply, followed by others.
    Partial(Reply),
    /// The whole reply, or its last part.
    Final(Reply),
    /// The request ended without a reply, with this outcome. The body is the worker's if the worker
    /// reported an error.
    Failed(Outcome, Reply),
    /// Reports the progress of a request.
    Notice {
        /// The id that the client gave the request.
        id: CorrelationId,
        /// The progress of the request.
        notice: Notice,
    },
    /// Keeps the connection alive.
    Heartbeat,
    /// Ends the session. The client's requests are over, and the broker ignores its next messages
    /// until a HELLO.
    Disconnect(DisconnectReason),
}

/// The progress of a request that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The request is queued.
    Queued,
    /// The request was dispatched to a worker.
    Dispatched,
    /// The request was dispatched again, after a worker was lost or rejected it.
    Redelivered,
    /// The worker reported that it is still working on the request.
    AtWork,
}

impl Notice {
    /// All notices.
    pub const ALL: [Notice; 4] =
        [Notice::Queued, Notice::Dispatched, Notice::Redelivered, Notice::AtWork];
}

/// The reason why the broker disconnects a peer.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_core::*; } }
/// use majordomus::broker::DisconnectReason;
///
/// assert_eq!(DisconnectReason::Silent.to_string(), "silent for too long");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// The broker gives no reason.
    Unsaid,
    /// The peer sent a command that its dialect does not allow, or does not allow at this point.
    Malformed,
    /// The peer replied to a request that was never dispatched to it, or registered a reserved
    /// name.
    Forbidden,
    /// The peer's identity belongs to another live peer.
    IdentityInUse,
    /// A limit is reached.
    Full,
    /// The broker is shutting down.
    ShutDown,
    /// The peer was silent for too long, or kept a request for too long.
    Silent,
    /// The peer and the broker have no protocol version in common.
    NoCommonVersion,
}

impl DisconnectReason {
    /// All reasons.
    pub const ALL: [DisconnectReason; 8] = [
        DisconnectReason::Unsaid,
        DisconnectReason::Malformed,
        DisconnectReason::Forbidden,
        DisconnectReason::IdentityInUse,
        DisconnectReason::Full,
        DisconnectReason::ShutDown,
        DisconnectReason::Silent,
        DisconnectReason::NoCommonVersion,
    ];

    /// Returns true if the broker would disconnect the unchanged peer at every attempt.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::DisconnectReason;
    ///
    /// assert!(DisconnectReason::NoCommonVersion.is_for_good());
    /// assert!(!DisconnectReason::ShutDown.is_for_good());
    /// ```
    pub const fn is_for_good(self) -> bool {
        matches!(self, DisconnectReason::Forbidden | DisconnectReason::NoCommonVersion)
    }

    /// Returns true if the peer must not reconnect soon: never, or for a minute if its identity is
    /// in use.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::DisconnectReason;
    ///
    /// assert!(DisconnectReason::IdentityInUse.is_refusal());
    /// assert!(!DisconnectReason::IdentityInUse.is_for_good());
    /// assert!(!DisconnectReason::Full.is_refusal());
    /// ```
    pub const fn is_refusal(self) -> bool {
        self.is_for_good() || matches!(self, DisconnectReason::IdentityInUse)
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DisconnectReason::Unsaid => "the broker does not say why",
            DisconnectReason::Malformed => "a command that does not fit",
            DisconnectReason::Forbidden => {
                "a ticket that was not given, or a name of the broker's own"
            }
            DisconnectReason::IdentityInUse => "the identity is in use",
            DisconnectReason::Full => "a limit stands against it",
            DisconnectReason::ShutDown => "the broker shuts down",
            DisconnectReason::Silent => "silent for too long",
            DisconnectReason::NoCommonVersion => "no version that both speak",
        })
    }
}

/// The placeholder for a worker error without a code. Error codes have three digits.
pub const CODE_UNSAID: u16 = 0;

/// The contents of a reply to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The requested service.
    pub service: ByteStr,
    /// The client's id for the request; empty if its dialect has no request ids.
    pub id: CorrelationId,
    /// The translation hint ([`note`](Frames::note)) of the request's body.
    pub asked: u8,
    /// The code of the worker's error, or [`CODE_UNSAID`] if there is none.
    pub code: u16,
    /// The worker's options, passed on unchanged: JSON for a JSON body, packed headers for frames.
    pub options: Bytes,
    /// The payload from the worker.
    pub body: Frames,
}

impl Reply {
    /// Creates a reply without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, Reply};
    ///
    /// let reply = Reply::new("echo", Frames::from_slices(&["hello"]));
    /// assert!(reply.id.is_none());
    /// ```
    pub fn new(service: impl Into<ByteStr>, body: Frames) -> Self {
        let (id, options) = (CorrelationId::NONE, Bytes::new());
        Self { service: service.into(), id, asked: 0, code: CODE_UNSAID, options, body }
    }
}

/// A worker's message to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// Starts a session. Only peers that require a [handshake](crate::WorkerCapabilities::greets)
    /// send it.
    Hello(Hello),
    /// Registers a service.
    Ready {
        /// The name of the service.
        service: ByteStr,
    },
    /// Withdraws a service.
    Withdraw {
        /// The name of the service; empty for all services of the worker.
        service: ByteStr,
    },
    /// A part of a reply, followed by others.
    Partial(WorkerReply),
    /// The whole reply, or its last part.
    Final(WorkerReply),
    /// Reports an error, described in the body.
    Failed(WorkerReply),
    /// Rejects the request, so that the broker gives it to another worker. The body has the reason.
    Rejected(WorkerReply),
    /// Reports that the worker is still working on a request.
    AtWork {
        /// The address from the request.
        address: ByteStr,
    },
    /// Keeps the connection alive.
    Heartbeat(Status),
    /// Ends the session.
    Disconnect,
}

impl FromWorker {
    /// A heartbeat without status changes.
    pub const HEARTBEAT: FromWorker = FromWorker::Heartbeat(Status::NOTHING);
}

/// The status that a worker reports in a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The new maximum number of concurrent requests; `None` if it is unchanged.
    pub concurrency: Option<Concurrency>,
    /// True to ask for publication of the directory.
    pub publish: bool,
}

impl Status {
    /// A status without changes.
    pub const NOTHING: Status = Status { concurrency: None, publish: false };
}

/// The contents of a worker's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReply {
    /// The address from the request.
    pub address: ByteStr,
    /// The id from the request; empty if the dialect has no request ids.
    pub id: CorrelationId,
    /// The time for which the reply may be cached and sent to other requests with the same body.
    pub keep: Option<Duration>,
    /// The code of the error, or [`CODE_UNSAID`] if there is none.
    pub code: u16,
    /// The worker's options, passed on unchanged to clients whose dialect can carry them: JSON for
    /// a JSON body, packed headers for frames.
    pub options: Bytes,
    /// The payload.
    pub body: Frames,
}

impl WorkerReply {
    /// Creates a reply without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, WorkerReply};
    ///
    /// let reply = WorkerReply::new("17", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*reply.address, b"17");
    /// ```
    pub fn new(address: impl Into<ByteStr>, body: Frames) -> Self {
        let (id, options) = (CorrelationId::NONE, Bytes::new());
        Self { address: address.into(), id, keep: None, code: CODE_UNSAID, options, body }
    }
}

/// The broker's message to a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Answers a [`Hello`].
    Welcome(Welcome),
    /// Confirms a registration.
    Registered {
        /// The registered service.
        service: ByteStr,
        /// The worker name that clients can use as a target.
        worker: ByteStr,
    },
    /// Dispatches a request.
    Request(WorkerRequest),
    /// Request keep-alive: the client still waits for the reply.
    RequestKeepAlive {
        /// The address from the request.
        address: ByteStr,
        /// The client's id for the request.
        id: CorrelationId,
    },
    /// Grants credit for more parts of a reply.
    More {
        /// The address from the request.
        address: ByteStr,
        /// The number of additional parts that the client accepts.
        credit: u32,
    },
    /// Confirms the maximum number of concurrent requests that the worker reported.
    Capacity {
        /// The maximum number of concurrent requests.
        concurrency: Concurrency,
    },
    /// Cancels a request.
    Cancel {
        /// The address from the request.
        address: ByteStr,
        /// The request's outcome.
        outcome: Outcome,
    },
    /// Keeps the connection alive.
    Heartbeat,
    /// Ends or refuses the worker's session.
    Disconnect(DisconnectReason),
}

/// The contents of a request to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRequest {
    /// An opaque reference to the request, returned in each reply.
    pub address: ByteStr,
    /// The requested service.
    pub service: ByteStr,
    /// The client's id for the request; empty if its dialect has no request ids.
    pub id: CorrelationId,
    /// The time left for the request; `None` if it has no deadline.
    pub deadline: Option<Duration>,
    /// The number of times that the request was dispatched, including this one.
    pub attempt: u32,
    /// The request's priority.
    pub priority: Priority,
    /// The number of reply parts that the client accepts before it grants more credit.
    pub credit: u32,
    /// The client's options, passed on unchanged.
    pub options: Bytes,
    /// The payload.
    pub body: Frames,
}

impl WorkerRequest {
    /// Creates a request without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, WorkerRequest};
    ///
    /// let request = WorkerRequest::new("17", "echo", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*request.service, b"echo");
    /// ```
    pub fn new(address: impl Into<ByteStr>, service: impl Into<ByteStr>, body: Frames) -> Self {
        Self {
            address: address.into(),
            service: service.into(),
            id: CorrelationId::NONE,
            deadline: None,
            attempt: 1,
            priority: Priority::ORDINARY,
            credit: CREDIT_UNLIMITED,
            options: Bytes::new(),
            body,
        }
    }
}
