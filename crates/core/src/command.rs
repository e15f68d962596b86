//! The neutral commands: what clients, workers and the broker say to each other, in no dialect.

use core::time::Duration;

use crate::{Frames, Label, Outcome};

/// What a client says to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Do this, service.
    Request(Request),
    /// I am here.
    Heartbeat,
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
    /// What the worker gets.
    pub body: Frames,
}

impl Request {
    /// A request without id and with the timeouts of the service.
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
    /// What the worker said.
    pub body: Frames,
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
    /// I am here.
    Heartbeat,
    /// I go.
    Disconnect,
}

/// What is in a worker's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReply {
    /// The address that came with the request.
    pub address: Label,
    /// The id that came with the request; empty where the dialect has none.
    pub id: Label,
    /// The reply.
    pub body: Frames,
}

/// What the broker says to a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "most of them are requests, and a box costs an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// Do this.
    Request(WorkerRequest),
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
    /// What is to be done.
    pub body: Frames,
}
