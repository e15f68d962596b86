//! The neutral commands: what clients, workers and the broker say to each other, in no dialect.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::{Concurrency, CorrelationId, Frames, Label, Outcome};

/// What a client says to the broker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// I am here, and I am new. Only peers that [greet](crate::ClientCapabilities::greets) say so.
    Hello(Hello),
    /// Do this, service.
    Request(Request),
    /// I am here.
    Heartbeat,
    /// I still want the request with this id.
    StillWanted {
        /// The id that the client gave the request.
        id: CorrelationId,
    },
    /// This worker is alive.
    Vouch {
        /// Its identity.
        worker: Label,
    },
    /// I no longer want the request with this id.
    Cancel {
        /// The id that the client gave the request.
        id: CorrelationId,
    },
    /// I take so many parts more of the reply to the request with this id.
    More {
        /// The id that the client gave the request.
        id: CorrelationId,
        /// How many parts.
        credit: u32,
    },
    /// I go.
    Disconnect,
}

/// What a peer says of itself, where it [greets](crate::ClientCapabilities::greets).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// How long it is silent at the most, while it is well; nothing where it does not say.
    pub heartbeat: Option<Duration>,
    /// How many bytes a message to it may have; nothing where it takes any.
    pub message_bytes_max: Option<usize>,
}

/// What the broker answers to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// How long the broker is silent at the most towards a worker, while it is well.
    pub heartbeat: Duration,
    /// After how many such silences a peer is lost.
    pub liveness: u32,
    /// How many bytes a message may have that the broker takes.
    pub message_bytes_max: u64,
    /// How many frames.
    pub frames_max: u32,
    /// How many requests this peer may have in progress.
    pub requests_max: u32,
    /// The name of the broker; empty where it has none.
    pub broker: Label,
}

/// What a message to the broker has beside a body and what stands beside that, in bytes, at the most: a
/// service, a target or an address, and numbers. In OMDP/1 a REQUEST has the most, 533 bytes.
pub const COMMAND_BYTES_MAX: usize = 640;

impl Welcome {
    /// Whether the broker takes a message with so many bytes of body and options, in so many frames of
    /// a body.
    pub(crate) fn takes(&self, bytes: usize, frames: usize) -> bool {
        let bytes = bytes.saturating_add(COMMAND_BYTES_MAX) as u64;
        (self.message_bytes_max == 0 || bytes <= self.message_bytes_max)
            && frames < self.frames_max as usize
    }
}

/// The priority of a request, from 0, which comes last, to 9.
///
/// It counts among the requests that wait for the same service.
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
    /// That of a request that says none: 4.
    pub const ORDINARY: Priority = Priority(4);

    /// The priority of this number; what is above 9 is 9.
    pub const fn new(number: u8) -> Self {
        if number > 9 { Priority(9) } else { Priority(number) }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::ORDINARY
    }
}

/// A credit without limit: whoever sends parts of a reply does not count them.
pub const CREDIT_UNLIMITED: u32 = u32::MAX;

/// A request, as a client makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of the service.
    pub service: Label,
    /// The client's own id for it; empty where its dialect has none.
    pub id: CorrelationId,
    /// How long it may take.
    pub timeout: Timeout,
    /// Whether it asks to go to another worker when its worker is lost. It counts for clients
    /// whose [`Redelivery`](crate::Redelivery) is `WhereAsked`.
    pub redeliver: bool,
    /// The identity of the one worker that may serve it; empty where any may.
    pub target: Label,
    /// Whether only a new reply will do, and none that was kept.
    pub fresh: bool,
    /// Whether it asks to outlive the broker. It counts as any other until there is a store.
    pub durable: bool,
    /// Which of those that wait for the same service comes first.
    pub priority: Priority,
    /// How many parts of the reply the client takes before it says
    /// [`More`](FromClient::More).
    pub credit: u32,
    /// Whether it wants to hear what becomes of it meanwhile, by [`ToClient::Notice`].
    pub notices: bool,
    /// What the client wrote beside the body, as it wrote it, for workers whose dialect has a place
    /// for that: JSON beside a body that is JSON, packed headers beside frames.
    pub options: Bytes,
    /// What the worker gets.
    pub body: Frames,
}

impl Request {
    /// A request without id and options, and with the timeouts of the service.
    ///
    /// ```
    /// use majordomus_core::{Frames, Request};
    ///
    /// let request = Request::new("echo", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*request.service, b"echo");
    /// ```
    pub fn new(service: impl Into<Label>, body: Frames) -> Self {
        Self {
            service: service.into(),
            id: CorrelationId::NONE,
            timeout: Timeout::OfService,
            redeliver: false,
            target: Label::empty(),
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

/// How long a request may take, as its client says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// It does not say: the service's and the broker's configuration count.
    #[default]
    OfService,
    /// As long as it takes.
    Never,
    /// So long from its arrival, and from each part of the reply.
    After(Duration),
}

/// What the broker says to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// You are welcome.
    Welcome(Welcome),
    /// A part of the reply; more follow.
    Partial(Reply),
    /// The reply, or its last part.
    Final(Reply),
    /// There is no reply, for the reason given. The body is the worker's, where it was the worker
    /// that failed.
    Failed(Outcome, Reply),
    /// The request with this id has come so far.
    Notice {
        /// The id that the client gave the request.
        id: CorrelationId,
        /// What happened to it.
        notice: Notice,
    },
    /// I am here.
    Heartbeat,
    /// Your requests are over, and whatever you say next but HELLO.
    Disconnect(Farewell),
}

/// What happens to a request before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// It waits for a worker.
    Queued,
    /// A worker has it.
    Dispatched,
    /// A worker has it, after another one was lost with it or rejected it.
    Redelivered,
    /// Its worker says that it is still at work.
    AtWork,
}

impl Notice {
    /// All notices.
    pub const ALL: [Notice; 4] =
        [Notice::Queued, Notice::Dispatched, Notice::Redelivered, Notice::AtWork];
}

/// Why the broker ends it with a peer.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_core::*; } }
/// use majordomus::broker::Farewell;
///
/// assert_eq!(Farewell::Silent.to_string(), "silent for too long");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Farewell {
    /// It does not say.
    Unsaid,
    /// The peer said what its dialect does not allow, or not there.
    Malformed,
    /// The peer replied to a request that it was never given, or offered a name of the broker's own.
    Forbidden,
    /// The peer's identity belongs to another that is alive.
    IdentityInUse,
    /// A limit stands against it.
    Full,
    /// The broker shuts down.
    ShutDown,
    /// The peer was silent for too long, or had a request for too long.
    Silent,
    /// There is no version of the protocol that both speak.
    NoCommonVersion,
}

impl Farewell {
    /// All of them.
    pub const ALL: [Farewell; 8] = [
        Farewell::Unsaid,
        Farewell::Malformed,
        Farewell::Forbidden,
        Farewell::IdentityInUse,
        Farewell::Full,
        Farewell::ShutDown,
        Farewell::Silent,
        Farewell::NoCommonVersion,
    ];

    /// Whether the broker would send the peer away again, however often it came back as it is.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Farewell;
    ///
    /// assert!(Farewell::NoCommonVersion.is_for_good());
    /// assert!(!Farewell::ShutDown.is_for_good());
    /// ```
    pub const fn is_for_good(self) -> bool {
        matches!(self, Farewell::Forbidden | Farewell::NoCommonVersion)
    }

    /// Whether a peer that hears this stays away for long: for good, or for a minute where its
    /// identity is in use.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Farewell;
    ///
    /// assert!(Farewell::IdentityInUse.is_refusal());
    /// assert!(!Farewell::IdentityInUse.is_for_good());
    /// assert!(!Farewell::Full.is_refusal());
    /// ```
    pub const fn is_refusal(self) -> bool {
        self.is_for_good() || matches!(self, Farewell::IdentityInUse)
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Farewell::Unsaid => "the broker does not say why",
            Farewell::Malformed => "a command that does not fit",
            Farewell::Forbidden => "a ticket that was not given, or a name of the broker's own",
            Farewell::IdentityInUse => "the identity is in use",
            Farewell::Full => "a limit stands against it",
            Farewell::ShutDown => "the broker shuts down",
            Farewell::Silent => "silent for too long",
            Farewell::NoCommonVersion => "no version that both speak",
        })
    }
}

/// The code of a worker's own error, where its dialect has one: three digits.
pub const CODE_UNSAID: u16 = 0;

/// What is in a reply to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The service that the client asked for.
    pub service: Label,
    /// The client's own id for the request; empty where its dialect has none.
    pub id: CorrelationId,
    /// The [note](Frames::note) of the request's body.
    pub asked: u8,
    /// The code of the worker's error, where it failed and gave one; else [`CODE_UNSAID`].
    pub code: u16,
    /// What the worker wrote beside the body, as it wrote it: JSON beside a body that is JSON, packed
    /// headers beside frames.
    pub options: Bytes,
    /// What the worker said.
    pub body: Frames,
}

impl Reply {
    /// A reply without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, Reply};
    ///
    /// let reply = Reply::new("echo", Frames::from_slices(&["hello"]));
    /// assert!(reply.id.is_none());
    /// ```
    pub fn new(service: impl Into<Label>, body: Frames) -> Self {
        let (id, options) = (CorrelationId::NONE, Bytes::new());
        Self { service: service.into(), id, asked: 0, code: CODE_UNSAID, options, body }
    }
}

/// What a worker says to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// I am here, and I am new. Only peers that [greet](crate::WorkerCapabilities::greets) say so.
    Hello(Hello),
    /// I serve this.
    Ready {
        /// The name of the service.
        service: Label,
    },
    /// I serve this no longer.
    Withdraw {
        /// The name of the service; empty for all that it serves.
        service: Label,
    },
    /// A part of a reply; more follow.
    Partial(WorkerReply),
    /// The reply, or its last part.
    Final(WorkerReply),
    /// I could not do it; the body says why.
    Failed(WorkerReply),
    /// I will not do it, give it to another; the body says why.
    Rejected(WorkerReply),
    /// I am still at work on the request with this address.
    AtWork {
        /// The address that came with it.
        address: Label,
    },
    /// I am here.
    Heartbeat(Status),
    /// I go.
    Disconnect,
}

impl FromWorker {
    /// A heartbeat that says nothing else.
    pub const HEARTBEAT: FromWorker = FromWorker::Heartbeat(Status::NOTHING);
}

/// What a worker says of itself in a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many requests it takes at once from now on, where it says so.
    pub concurrency: Option<Concurrency>,
    /// Whether it wants the directory to be published.
    pub publish: bool,
}

impl Status {
    /// Nothing new.
    pub const NOTHING: Status = Status { concurrency: None, publish: false };
}

/// What is in a worker's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReply {
    /// The address that came with the request.
    pub address: Label,
    /// The id that came with the request; empty where the dialect has none.
    pub id: CorrelationId,
    /// How long the reply is good for other requests of the same body.
    pub keep: Option<Duration>,
    /// The code of the error, where it is one and has one; else [`CODE_UNSAID`].
    pub code: u16,
    /// What the worker wrote beside the body, as it wrote it, for clients whose dialect has a place
    /// for that: JSON beside a body that is JSON, packed headers beside frames.
    pub options: Bytes,
    /// The reply.
    pub body: Frames,
}

impl WorkerReply {
    /// A reply without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, WorkerReply};
    ///
    /// let reply = WorkerReply::new("17", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*reply.address, b"17");
    /// ```
    pub fn new(address: impl Into<Label>, body: Frames) -> Self {
        let (id, options) = (CorrelationId::NONE, Bytes::new());
        Self { address: address.into(), id, keep: None, code: CODE_UNSAID, options, body }
    }
}

/// What the broker says to a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// You are welcome.
    Welcome(Welcome),
    /// You are one of my workers.
    Registered {
        /// What it offers with that.
        service: Label,
        /// By which name others can ask for it.
        worker: Label,
    },
    /// Do this.
    Request(WorkerRequest),
    /// The request with this address is still wanted.
    StillWanted {
        /// The address that came with it.
        address: Label,
        /// The client's own id for it.
        id: CorrelationId,
    },
    /// The client of the request with this address takes so many parts more.
    More {
        /// The address that came with it.
        address: Label,
        /// How many parts.
        credit: u32,
    },
    /// From here on you get no more than this at once, as you said.
    Capacity {
        /// How many.
        concurrency: Concurrency,
    },
    /// The request with this address is no longer wanted.
    Cancel {
        /// The address that came with it.
        address: Label,
        /// How it has ended.
        outcome: Outcome,
    },
    /// I am here.
    Heartbeat,
    /// You are not, or no longer, one of my workers.
    Disconnect(Farewell),
}

/// What is in a request to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRequest {
    /// Stands for the request; goes back with each reply to it.
    pub address: Label,
    /// The service that the client asked for.
    pub service: Label,
    /// The client's own id for the request; empty where its dialect has none.
    pub id: CorrelationId,
    /// How long it is wanted, from now on; nothing where there is no end to that.
    pub deadline: Option<Duration>,
    /// How many times it has gone to a worker, with this.
    pub attempt: u32,
    /// Its priority.
    pub priority: Priority,
    /// How many parts of the reply its client takes before it says more.
    pub credit: u32,
    /// What the client wrote beside the body, as it wrote it.
    pub options: Bytes,
    /// What is to be done.
    pub body: Frames,
}

impl WorkerRequest {
    /// A request without id and options.
    ///
    /// ```
    /// use majordomus_core::{Frames, WorkerRequest};
    ///
    /// let request = WorkerRequest::new("17", "echo", Frames::from_slices(&["hello"]));
    /// assert_eq!(&*request.service, b"echo");
    /// ```
    pub fn new(address: impl Into<Label>, service: impl Into<Label>, body: Frames) -> Self {
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
