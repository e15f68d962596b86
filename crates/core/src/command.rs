//! The neutral commands: what clients, workers and the broker say to each other, in no dialect.

use core::time::Duration;

use bytes::Bytes;

use crate::{Concurrency, Frames, Label, Outcome};

/// What a client says to the broker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Do this, service.
    Request(Request),
    /// I am here.
    Heartbeat,
    /// I still want the request with this id.
    StillWanted {
        /// The id that the client gave the request.
        id: Label,
    },
    /// This worker is alive.
    Vouch {
        /// Its identity.
        worker: Label,
    },
    /// I no longer want the request with this id.
    Cancel {
        /// The id that the client gave the request.
        id: Label,
    },
}

/// A request, as a client makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name of the service.
    pub service: Label,
    /// The client's own id for it; empty where its dialect has none.
    pub id: Label,
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
    /// What the client wrote beside the body, as it wrote it, for workers whose dialect has a place
    /// for that.
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
            id: Label::empty(),
            timeout: Timeout::OfService,
            redeliver: false,
            target: Label::empty(),
            fresh: false,
            durable: false,
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
    /// A part of the reply; more follow.
    Partial(Reply),
    /// The reply, or its last part.
    Final(Reply),
    /// There is no reply, for the reason given. The body is the worker's, where it was the worker
    /// that failed.
    Failed(Outcome, Reply),
    /// I am here.
    Heartbeat,
}

/// What is in a reply to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The service that the client asked for.
    pub service: Label,
    /// The client's own id for the request; empty where its dialect has none.
    pub id: Label,
    /// The [note](Frames::note) of the request's body.
    pub asked: u8,
    /// What the worker wrote beside the body, as it wrote it.
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
    /// assert!(reply.id.is_empty());
    /// ```
    pub fn new(service: impl Into<Label>, body: Frames) -> Self {
        let (id, options) = (Label::empty(), Bytes::new());
        Self { service: service.into(), id, asked: 0, options, body }
    }
}

/// What a worker says to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// I serve this.
    Ready {
        /// The name of the service.
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
    pub id: Label,
    /// How long the reply is good for other requests of the same body.
    pub keep: Option<Duration>,
    /// What the worker wrote beside the body, as it wrote it, for clients whose dialect has a place
    /// for that.
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
        let (id, options) = (Label::empty(), Bytes::new());
        Self { address: address.into(), id, keep: None, options, body }
    }
}

/// What the broker says to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// You are one of my workers.
    Registered,
    /// Do this.
    Request(WorkerRequest),
    /// The request with this address is still wanted.
    StillWanted {
        /// The address that came with it.
        address: Label,
        /// The client's own id for it.
        id: Label,
    },
    /// The request with this address is no longer wanted.
    Cancel {
        /// The address that came with it.
        address: Label,
    },
    /// I am here.
    Heartbeat,
    /// You are not, or no longer, one of my workers.
    Disconnect,
}

/// What is in a request to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRequest {
    /// Stands for the request; goes back with each reply to it.
    pub address: Label,
    /// The service that the client asked for.
    pub service: Label,
    /// The client's own id for the request; empty where its dialect has none.
    pub id: Label,
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
        let (id, options) = (Label::empty(), Bytes::new());
        Self { address: address.into(), service: service.into(), id, options, body }
    }
}
