//! Borrowed views of the neutral commands, in memory that belongs to the caller.
//!
//! A decoder creates a view of the read buffer, and the broker copies only the data that it
//! retains. For output, the broker creates a view of its own data, and an encoder writes it to the
//! peer. Each view has an owned counterpart in `command`, which the client and worker libraries and
//! tests use.

use core::time::Duration;

use bytes::Bytes;

use crate::frames::SHARED_BODY_MIN;
use crate::{
    ByteStr, CODE_UNSAID, CREDIT_UNLIMITED, Concurrency, CorrelationIdRef, DisconnectReason, Form,
    Frames, FromClient, FromWorker, Hello, Notice, Outcome, Priority, Reply, Request, Status,
    Timeout, ToClient, ToWorker, Token, Welcome, WorkerReply, WorkerRequest,
};

/// The borrowed frames of a message or a body.
///
/// ```
/// use majordomus_core::{Frames, FramesView};
///
/// let message = Frames::from_slices(&["MDPC01", "echo", "hello"]);
/// let body: FramesView<'_> = message.view().skip(2);
/// assert_eq!(body.iter().collect::<Vec<_>>(), [b"hello"]);
/// ```
#[derive(Clone, Copy)]
pub struct FramesView<'a> {
    pub(crate) data: &'a [u8],
    /// Start and end of each frame in `data`.
    pub(crate) bounds: &'a [(u32, u32)],
    /// The shareable allocation, if there is one; `data` is all of it.
    pub(crate) memory: Option<&'a Bytes>,
    pub(crate) form: Form,
    pub(crate) note: u8,
}

impl<'a> FramesView<'a> {
    /// An empty list.
    pub const EMPTY: FramesView<'static> =
        FramesView { data: &[], bounds: &[], memory: None, form: Form::Frames, note: 0 };

    /// Creates a view of frames at `bounds` (start and end of each) in borrowed `data`.
    ///
    /// # Panics
    ///
    /// Reading a frame panics if its bounds are outside `data`.
    ///
    /// ```
    /// use majordomus_core::FramesView;
    ///
    /// let frames = FramesView::borrowed(b"hello", &[(0, 1), (1, 5)]);
    /// assert_eq!(frames.get(1), Some(&b"ello"[..]));
    /// ```
    #[inline]
    pub const fn borrowed(data: &'a [u8], bounds: &'a [(u32, u32)]) -> Self {
        Self { data, bounds, memory: None, form: Form::Frames, note: 0 }
    }

    /// Creates a view of frames in shareable memory; see [`share`](FramesView::share).
    ///
    /// ```
    /// use majordomus_core::FramesView;
    ///
    /// let memory = "hello".into();
    /// let frames = FramesView::shared(&memory, &[(1, 5)]);
    /// assert_eq!(frames.share(0).expect("it can be shared"), "ello");
    /// ```
    #[inline]
    pub fn shared(memory: &'a Bytes, bounds: &'a [(u32, u32)]) -> Self {
        Self { data: memory, bounds, memory: Some(memory), form: Form::Frames, note: 0 }
    }

    /// Replaces the bounds (start and end of each frame) in the same memory. The frames stay
    /// shareable if they were.
    ///
    /// # Panics
    ///
    /// Reading a frame panics if its bounds are outside that memory.
    ///
    /// ```
    /// use majordomus_core::Frames;
    ///
    /// let message = Frames::from_slices(&["a", "bc"]);
    /// let (start, end) = message.view().bounds(1).expect("there are two");
    /// let bounds = [(start, start + 1), (start + 1, end)];
    /// let parts = message.view().with_bounds(&bounds);
    /// assert_eq!(parts.iter().collect::<Vec<_>>(), [b"b", b"c"]);
    /// ```
    #[must_use]
    #[inline]
    pub const fn with_bounds(self, bounds: &'a [(u32, u32)]) -> Self {
        Self { bounds, ..self }
    }

    /// Sets the body format. `note` is a translation hint for the encoder; the core passes it on
    /// unread.
    #[must_use]
    #[inline]
    pub const fn in_form(self, form: Form, note: u8) -> Self {
        Self { form, note, ..self }
    }

    /// Returns the body format.
    #[inline]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Returns the translation hint set with [`in_form`](FramesView::in_form).
    #[inline]
    pub const fn note(&self) -> u8 {
        self.note
    }

    /// Returns the number of frames.
    #[inline]
    pub const fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Returns true if there are no frames.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Returns frame `index`, counted from 0.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.bounds.get(index)?;
        Some(&self.data[start as usize..end as usize])
    }

    /// Returns the start and end of frame `index` in the memory of the frames.
    #[inline]
    pub fn bounds(&self, index: usize) -> Option<(u32, u32)> {
        self.bounds.get(index).copied()
    }

    /// Returns frame `index` as shared memory, or `None` if the frame does not exist or its memory
    /// cannot be shared.
    #[inline]
    pub fn share(&self, index: usize) -> Option<Bytes> {
        let &(start, end) = self.bounds.get(index)?;
        Some(self.memory?.slice(start as usize..end as usize))
    }

    /// Returns an iterator over the frames.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let data = self.data;
        self.bounds.iter().map(move |&(start, end)| &data[start as usize..end as usize])
    }

    /// Removes the first `count` frames. The result is empty if there are fewer.
    #[must_use]
    #[inline]
    pub fn skip(self, count: usize) -> Self {
        Self { bounds: self.bounds.get(count..).unwrap_or_default(), ..self }
    }

    /// Returns a list of only frame `index`. The result is empty if it does not exist.
    #[must_use]
    #[inline]
    pub fn only(self, index: usize) -> Self {
        Self { bounds: self.bounds.get(index..=index).unwrap_or_default(), ..self }
    }

    /// Returns the total size of all frames in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self.bounds {
            [(start, end)] => (end - start) as usize,
            bounds => bounds.iter().map(|&(start, end)| (end - start) as usize).sum(),
        }
    }

    /// Creates an owned list of the frames. It shares memory if possible and copies otherwise.
    pub fn to_frames(&self) -> Frames {
        match self.memory {
            Some(memory) => Frames::new(memory.clone(), self.bounds.into()),
            None => Frames::copied(self.iter()),
        }
        .in_form(self.form, self.note)
    }

    /// Copies the frames into an allocation of their own. Bodies of 64 KiB and more share their
    /// memory instead, if it can be shared.
    ///
    /// ```
    /// # use majordomus_core::Frames;
    /// let read = Frames::from_slices(&["a head", "a body"]).skip(1);
    /// let retained = read.view().detached();
    /// assert_eq!(retained, read);
    /// assert_ne!(retained.get(0).map(<[u8]>::as_ptr), read.get(0).map(<[u8]>::as_ptr));
    /// ```
    pub fn detached(&self) -> Frames {
        match self.memory {
            Some(_) if self.bytes() >= SHARED_BODY_MIN => self.to_frames(),
            _ => Frames::copied(self.iter()).in_form(self.form, self.note),
        }
    }

    /// Returns true if two bodies have the same frames, format and translation hint.
    pub(crate) fn is_same(&self, other: &FramesView<'_>) -> bool {
        (self.form, self.note) == (other.form, other.note) && self.iter().eq(other.iter())
    }
}

impl Frames {
    /// Borrows the frames.
    ///
    /// ```
    /// use majordomus_core::Frames;
    ///
    /// let frames = Frames::from_slices(&["hello"]);
    /// assert_eq!(frames.view().to_frames(), frames);
    /// ```
    #[doc(hidden)]
    #[inline]
    pub fn view(&self) -> FramesView<'_> {
        FramesView {
            data: &self.data,
            bounds: &self.bounds[self.first as usize..],
            memory: Some(&self.data),
            form: self.form,
            note: self.note,
        }
    }
}

impl Default for FramesView<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for FramesView<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for FramesView<'_> {}

impl core::fmt::Debug for FramesView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.to_frames(), f)
    }
}

/// A client's message to the broker, borrowed: [`FromClient`].
#[expect(missing_docs, reason = "each is described at its owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromClientView<'a> {
    Hello(Hello),
    Request(RequestView<'a>),
    Heartbeat,
    RequestKeepAlive { id: CorrelationIdRef<'a> },
    WorkerKeepAlive { worker: &'a [u8] },
    Cancel { id: CorrelationIdRef<'a> },
    More { id: CorrelationIdRef<'a>, credit: u32 },
    Disconnect,
}

/// A client's request, borrowed: [`Request`].
#[expect(missing_docs, reason = "each field is described at the owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestView<'a> {
    pub service: &'a [u8],
    pub id: CorrelationIdRef<'a>,
    pub timeout: Timeout,
    pub redeliver: bool,
    pub target: &'a [u8],
    pub fresh: bool,
    pub durable: bool,
    pub priority: Priority,
    pub credit: u32,
    pub notices: bool,
    pub options: &'a [u8],
    pub body: FramesView<'a>,
}

impl<'a> RequestView<'a> {
    /// Creates a request without id and options that uses the service's timeouts.
    #[inline]
    pub const fn new(service: &'a [u8], body: FramesView<'a>) -> Self {
        Self {
            service,
            id: CorrelationIdRef::NONE,
            timeout: Timeout::OfService,
            redeliver: false,
            target: &[],
            fresh: false,
            durable: false,
            priority: Priority::ORDINARY,
            credit: CREDIT_UNLIMITED,
            notices: false,
            options: &[],
            body,
        }
    }

    /// Copies the request. The body shares memory if possible.
    pub fn to_owned(&self) -> Request {
        self.with_body(self.body.to_frames())
    }

    /// Copies the request. The body gets an allocation of its own, unless it is large.
    pub(crate) fn detached(&self) -> Request {
        self.with_body(self.body.detached())
    }

    fn with_body(&self, body: Frames) -> Request {
        Request {
            service: ByteStr::from(self.service),
            id: self.id.to_owned(),
            timeout: self.timeout,
            redeliver: self.redeliver,
            target: ByteStr::from(self.target),
            fresh: self.fresh,
            durable: self.durable,
            priority: self.priority,
            credit: self.credit,
            notices: self.notices,
            options: owned(self.options),
            body,
        }
    }
}

impl Request {
    /// Borrows the request.
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            service: &self.service,
            id: self.id.as_ref(),
            timeout: self.timeout,
            redeliver: self.redeliver,
            target: &self.target,
            fresh: self.fresh,
            durable: self.durable,
            priority: self.priority,
            credit: self.credit,
            notices: self.notices,
            options: &self.options,
            body: self.body.view(),
        }
    }
}

impl FromClientView<'_> {
    /// Copies the command.
    pub fn to_owned(&self) -> FromClient {
        match *self {
            FromClientView::Hello(hello) => FromClient::Hello(hello),
            FromClientView::Request(request) => FromClient::Request(request.to_owned()),
            FromClientView::Heartbeat => FromClient::Heartbeat,
            FromClientView::RequestKeepAlive { id } => {
                FromClient::RequestKeepAlive { id: id.to_owned() }
            }
            FromClientView::WorkerKeepAlive { worker } => {
                FromClient::WorkerKeepAlive { worker: ByteStr::from(worker) }
            }
            FromClientView::Cancel { id } => FromClient::Cancel { id: id.to_owned() },
            FromClientView::More { id, credit } => FromClient::More { id: id.to_owned(), credit },
            FromClientView::Disconnect => FromClient::Disconnect,
        }
    }
}

impl FromClient {
    /// Borrows the command.
    pub fn view(&self) -> FromClientView<'_> {
        match self {
            FromClient::Hello(hello) => FromClientView::Hello(*hello),
            FromClient::Request(request) => FromClientView::Request(request.view()),
            FromClient::Heartbeat => FromClientView::Heartbeat,
            FromClient::RequestKeepAlive { id } => {
                FromClientView::RequestKeepAlive { id: id.as_ref() }
            }
            FromClient::WorkerKeepAlive { worker } => FromClientView::WorkerKeepAlive { worker },
            FromClient::Cancel { id } => FromClientView::Cancel { id: id.as_ref() },
            FromClient::More { id, credit } => {
                FromClientView::More { id: id.as_ref(), credit: *credit }
            }
            FromClient::Disconnect => FromClientView::Disconnect,
        }
    }
}

/// A worker's message to the broker, borrowed: [`FromWorker`].
#[expect(missing_docs, reason = "each is described at its owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromWorkerView<'a> {
    Hello(Hello),
    Ready { service: &'a [u8] },
    Withdraw { service: &'a [u8] },
    Partial(WorkerReplyView<'a>),
    Final(WorkerReplyView<'a>),
    Failed(WorkerReplyView<'a>),
    Rejected(WorkerReplyView<'a>),
    AtWork { address: &'a [u8] },
    Heartbeat(Status),
    Disconnect,
}

impl FromWorkerView<'_> {
    /// A heartbeat without status changes.
    pub const HEARTBEAT: FromWorkerView<'static> = FromWorkerView::Heartbeat(Status::NOTHING);
}

/// The contents of a worker's reply, borrowed: [`WorkerReply`].
#[expect(missing_docs, reason = "each field is described at the owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerReplyView<'a> {
    pub address: &'a [u8],
    pub id: CorrelationIdRef<'a>,
    pub keep: Option<Duration>,
    pub code: u16,
    pub options: &'a [u8],
    pub body: FramesView<'a>,
}

impl<'a> WorkerReplyView<'a> {
    /// Creates a reply without id and options.
    #[inline]
    pub const fn new(address: &'a [u8], body: FramesView<'a>) -> Self {
        Self {
            address,
            id: CorrelationIdRef::NONE,
            keep: None,
            code: CODE_UNSAID,
            options: &[],
            body,
        }
    }

    /// Copies the reply.
    pub fn to_owned(&self) -> WorkerReply {
        WorkerReply {
            address: ByteStr::from(self.address),
            id: self.id.to_owned(),
            keep: self.keep,
            code: self.code,
            options: owned(self.options),
            body: self.body.to_frames(),
        }
    }
}

impl WorkerReply {
    /// Borrows the reply.
    pub fn view(&self) -> WorkerReplyView<'_> {
        WorkerReplyView {
            address: &self.address,
            id: self.id.as_ref(),
            keep: self.keep,
            code: self.code,
            options: &self.options,
            body: self.body.view(),
        }
    }
}

impl FromWorkerView<'_> {
    /// Copies the command.
    pub fn to_owned(&self) -> FromWorker {
        match *self {
            FromWorkerView::Hello(hello) => FromWorker::Hello(hello),
            FromWorkerView::Ready { service } => FromWorker::Ready { service: service.into() },
            FromWorkerView::Withdraw { service } => {
                FromWorker::Withdraw { service: service.into() }
            }
            FromWorkerView::Partial(reply) => FromWorker::Partial(reply.to_owned()),
            FromWorkerView::Final(reply) => FromWorker::Final(reply.to_owned()),
            FromWorkerView::Failed(reply) => FromWorker::Failed(reply.to_owned()),
            FromWorkerView::Rejected(reply) => FromWorker::Rejected(reply.to_owned()),
            FromWorkerView::AtWork { address } => FromWorker::AtWork { address: address.into() },
            FromWorkerView::Heartbeat(status) => FromWorker::Heartbeat(status),
            FromWorkerView::Disconnect => FromWorker::Disconnect,
        }
    }
}

impl FromWorker {
    /// Borrows the command.
    pub fn view(&self) -> FromWorkerView<'_> {
        match self {
            FromWorker::Hello(hello) => FromWorkerView::Hello(*hello),
            FromWorker::Ready { service } => FromWorkerView::Ready { service },
            FromWorker::Withdraw { service } => FromWorkerView::Withdraw { service },
            FromWorker::Partial(reply) => FromWorkerView::Partial(reply.view()),
            FromWorker::Final(reply) => FromWorkerView::Final(reply.view()),
            FromWorker::Failed(reply) => FromWorkerView::Failed(reply.view()),
            FromWorker::Rejected(reply) => FromWorkerView::Rejected(reply.view()),
            FromWorker::AtWork { address } => FromWorkerView::AtWork { address },
            FromWorker::Heartbeat(status) => FromWorkerView::Heartbeat(*status),
            FromWorker::Disconnect => FromWorkerView::Disconnect,
        }
    }
}

/// The broker's message to a client, borrowed: [`ToClient`].
#[expect(missing_docs, reason = "each is described at its owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToClientView<'a> {
    Welcome(&'a Welcome),
    Partial(ReplyView<'a>),
    Final(ReplyView<'a>),
    Failed(Outcome, ReplyView<'a>),
    Notice { id: CorrelationIdRef<'a>, notice: Notice },
    Heartbeat,
    Disconnect(DisconnectReason),
}

/// The contents of a reply to a client, borrowed: [`Reply`].
#[expect(missing_docs, reason = "each field is described at the owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyView<'a> {
    pub service: &'a [u8],
    pub id: CorrelationIdRef<'a>,
    pub asked: u8,
    pub code: u16,
    pub options: &'a [u8],
    pub body: FramesView<'a>,
}

impl<'a> ReplyView<'a> {
    /// Creates a reply without id and options.
    #[inline]
    pub const fn new(service: &'a [u8], body: FramesView<'a>) -> Self {
        Self {
            service,
            id: CorrelationIdRef::NONE,
            asked: 0,
            code: CODE_UNSAID,
            options: &[],
            body,
        }
    }

    /// Copies the reply.
    pub fn to_owned(&self) -> Reply {
        Reply {
            service: ByteStr::from(self.service),
            id: self.id.to_owned(),
            asked: self.asked,
            code: self.code,
            options: owned(self.options),
            body: self.body.to_frames(),
        }
    }
}

impl Reply {
    /// Borrows the reply.
    pub fn view(&self) -> ReplyView<'_> {
        ReplyView {
            service: &self.service,
            id: self.id.as_ref(),
            asked: self.asked,
            code: self.code,
            options: &self.options,
            body: self.body.view(),
        }
    }
}

impl ToClientView<'_> {
    /// Copies the command.
    pub fn to_owned(&self) -> ToClient {
        match *self {
            ToClientView::Welcome(info) => ToClient::Welcome(info.clone()),
            ToClientView::Partial(reply) => ToClient::Partial(reply.to_owned()),
            ToClientView::Final(reply) => ToClient::Final(reply.to_owned()),
            ToClientView::Failed(outcome, reply) => ToClient::Failed(outcome, reply.to_owned()),
            ToClientView::Notice { id, notice } => ToClient::Notice { id: id.to_owned(), notice },
            ToClientView::Heartbeat => ToClient::Heartbeat,
            ToClientView::Disconnect(why) => ToClient::Disconnect(why),
        }
    }
}

impl ToClient {
    /// Borrows the command.
    pub fn view(&self) -> ToClientView<'_> {
        match self {
            ToClient::Welcome(info) => ToClientView::Welcome(info),
            ToClient::Partial(reply) => ToClientView::Partial(reply.view()),
            ToClient::Final(reply) => ToClientView::Final(reply.view()),
            ToClient::Failed(outcome, reply) => ToClientView::Failed(*outcome, reply.view()),
            ToClient::Notice { id, notice } => {
                ToClientView::Notice { id: id.as_ref(), notice: *notice }
            }
            ToClient::Heartbeat => ToClientView::Heartbeat,
            ToClient::Disconnect(why) => ToClientView::Disconnect(*why),
        }
    }
}

/// The broker's message to a worker, borrowed: [`ToWorker`].
#[expect(missing_docs, reason = "each is described at its owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToWorkerView<'a> {
    Welcome(&'a Welcome),
    Registered { service: &'a [u8], worker: &'a [u8] },
    Request(WorkerRequestView<'a>),
    RequestKeepAlive { token: Token, id: CorrelationIdRef<'a> },
    More { token: Token, credit: u32 },
    Capacity { concurrency: Concurrency },
    Cancel { token: Token, outcome: Outcome },
    Heartbeat,
    Disconnect(DisconnectReason),
}

/// The contents of a request to a worker, borrowed: [`WorkerRequest`], with the broker's [`Token`]
/// as its address.
#[expect(missing_docs, reason = "each field is described at the owned twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRequestView<'a> {
    pub token: Token,
    pub service: &'a [u8],
    pub id: CorrelationIdRef<'a>,
    pub deadline: Option<Duration>,
    pub attempt: u32,
    pub priority: Priority,
    pub credit: u32,
    pub options: &'a [u8],
    pub body: FramesView<'a>,
}

impl<'a> WorkerRequestView<'a> {
    /// Creates a request without id and options.
    #[inline]
    pub const fn new(token: Token, service: &'a [u8], body: FramesView<'a>) -> Self {
        Self {
            token,
            service,
            id: CorrelationIdRef::NONE,
            deadline: None,
            attempt: 1,
            priority: Priority::ORDINARY,
            credit: CREDIT_UNLIMITED,
            options: &[],
            body,
        }
    }

    /// Copies the request. The address becomes the token in text form.
    pub fn to_owned(&self) -> WorkerRequest {
        WorkerRequest {
            address: self.token.to_label(),
            service: ByteStr::from(self.service),
            id: self.id.to_owned(),
            deadline: self.deadline,
            attempt: self.attempt,
            priority: self.priority,
            credit: self.credit,
            options: owned(self.options),
            body: self.body.to_frames(),
        }
    }
}

impl WorkerRequest {
    /// Borrows the request. `token` replaces an address that is not a token.
    #[doc(hidden)]
    pub fn view(&self, token: Token) -> WorkerRequestView<'_> {
        WorkerRequestView {
            token: Token::read(&self.address).unwrap_or(token),
            service: &self.service,
            id: self.id.as_ref(),
            deadline: self.deadline,
            attempt: self.attempt,
            priority: self.priority,
            credit: self.credit,
            options: &self.options,
            body: self.body.view(),
        }
    }
}

impl ToWorkerView<'_> {
    /// Copies the command. Addresses become tokens in text form.
    pub fn to_owned(&self) -> ToWorker {
        match *self {
            ToWorkerView::Welcome(info) => ToWorker::Welcome(info.clone()),
            ToWorkerView::Registered { service, worker } => {
                ToWorker::Registered { service: service.into(), worker: worker.into() }
            }
            ToWorkerView::Request(request) => ToWorker::Request(request.to_owned()),
            ToWorkerView::RequestKeepAlive { token, id } => {
                ToWorker::RequestKeepAlive { address: token.to_label(), id: id.to_owned() }
            }
            ToWorkerView::More { token, credit } => {
                ToWorker::More { address: token.to_label(), credit }
            }
            ToWorkerView::Capacity { concurrency } => ToWorker::Capacity { concurrency },
            ToWorkerView::Cancel { token, outcome } => {
                ToWorker::Cancel { address: token.to_label(), outcome }
            }
            ToWorkerView::Heartbeat => ToWorker::Heartbeat,
            ToWorkerView::Disconnect(why) => ToWorker::Disconnect(why),
        }
    }
}

impl ToWorker {
    /// Borrows the command. `token` replaces an address that is not a token.
    #[doc(hidden)]
    pub fn view(&self, token: Token) -> ToWorkerView<'_> {
        let read = |address: &[u8]| Token::read(address).unwrap_or(token);
        match self {
            ToWorker::Welcome(info) => ToWorkerView::Welcome(info),
            ToWorker::Registered { service, worker } => {
                ToWorkerView::Registered { service, worker }
            }
            ToWorker::Request(request) => ToWorkerView::Request(request.view(token)),
            ToWorker::RequestKeepAlive { address, id } => {
                ToWorkerView::RequestKeepAlive { token: read(address), id: id.as_ref() }
            }
            ToWorker::More { address, credit } => {
                ToWorkerView::More { token: read(address), credit: *credit }
            }
            ToWorker::Capacity { concurrency } => {
                ToWorkerView::Capacity { concurrency: *concurrency }
            }
            ToWorker::Cancel { address, outcome } => {
                ToWorkerView::Cancel { token: read(address), outcome: *outcome }
            }
            ToWorker::Heartbeat => ToWorkerView::Heartbeat,
            ToWorker::Disconnect(why) => ToWorkerView::Disconnect(*why),
        }
    }
}

fn owned(options: &[u8]) -> Bytes {
    if options.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(options) }
}
