//! The codec of a connection.

use alloc::boxed::Box;
use core::fmt;

use majordomus_core::{
    ByteStr, ClientCapabilities, Concurrency, Form, Frames, FramesView, FromClient, FromClientView,
    FromWorker, FromWorkerView, Redelivery, Request, Role, ToClient, ToClientView, ToWorker,
    ToWorkerView, WorkerCapabilities,
};

use crate::detect;
use crate::dialect::Grammar;
use crate::mdp::Delimiter;
use crate::{Dialect, Error, Errors, Json, Scratch, Sink, Socket, json, mdp, omdp1};

/// The side of the broker that a peer is on.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::{Violation, Side};
///
/// let violation = Violation::HeaderOfOtherSide { expected: Side::Client };
/// assert!(violation.to_string().contains("client"), "{violation}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The peer sends requests.
    Client,
    /// The peer serves requests.
    Worker,
}

impl Side {
    /// Returns the name used in logs and counters.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// assert_eq!(majordomus::Side::Worker.name(), "worker");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Worker => "worker",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A connection's codec: its dialect, its side, whether its messages begin with an empty frame, how
/// errors are reported to a client, and how frames are converted to and from JSON. A codec never
/// changes; the broker stores one for each connection.
///
/// Each method is for one side and one direction, as its name says. The broker calls
/// `decode_from_*` and `encode_to_*`; a client or worker calls the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    dialect: Dialect,
    side: Side,
    delimiter: bool,
    errors: Errors,
    json: Json,
}

impl Codec {
    /// Creates the codec of a Majordomus client or worker that uses this dialect.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromClient, Request};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Client);
    /// let request = Request::new("echo", Frames::from_slices(&["hello"]));
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_from_client(&FromClient::Request(request), &mut written);
    /// assert_eq!(written, ["MDPC02", "\x01", "echo", "hello"]);
    /// ```
    pub const fn new(dialect: Dialect, side: Side) -> Self {
        let delimiter = match dialect.grammar() {
            Grammar::Mdp(table) => matches!(table.delimiter, Delimiter::Required),
            Grammar::Omdp1 | Grammar::Json(_) => false,
        };
        Self::with_delimiter(dialect, side, delimiter)
    }

    pub(crate) const fn with_delimiter(dialect: Dialect, side: Side, delimiter: bool) -> Self {
        Self { dialect, side, delimiter, errors: Errors::Silent, json: Json::Auto }
    }

    /// Detects the codec of a peer from its first message, its ZMTP routing id (`identity`) and its
    /// kind of socket. If the listener is `pinned` to a dialect, only that dialect is accepted.
    ///
    /// If this succeeds for a client, the message can be decoded too. A worker whose first message
    /// begins with an empty frame and `MDPW02` is detected as majortomo's unless `mdp02` is pinned:
    /// the RFC has no such frame, and no library but majortomo writes it.
    ///
    /// A peer of OMDP/1 begins with HELLO. If HELLO is missing or invalid, the error has an
    /// [answer](Error::answer).
    ///
    /// A CLIENT socket uses gdp. No other socket does.
    ///
    /// PIGATO and zmq-omdp are similar. They are distinguished by the format of the routing id,
    /// otherwise by the options of a request: PIGATO's include `retry`. If neither decides, the
    /// dialect is PIGATO.
    ///
    /// # Errors
    ///
    /// Returns the first protocol violation in the message;
    /// [`UnknownHeader`](crate::Violation::UnknownHeader) if no dialect matches,
    /// [`PinnedToOther`](crate::Violation::PinnedToOther) if a dialect other than the pinned one
    /// matches.
    ///
    /// ```
    /// use majordomus_core::Frames;
    /// use majordomus_wire::{Codec, Dialect, Side, Socket};
    ///
    /// let first = Frames::from_slices(&["", "MDPW01", "\x01", "echo"]);
    /// let codec = Codec::detect(first.view(), b"", Socket::Dealer, None)?;
    /// assert_eq!((codec.dialect(), codec.side()), (Dialect::Mdp01, Side::Worker));
    ///
    /// let pinned = Some(Dialect::Mdp02);
    /// let error = Codec::detect(first.view(), b"", Socket::Dealer, pinned).unwrap_err();
    /// assert_eq!(error.to_string(), "frame 1: mdp01 is spoken where only mdp02 is taken");
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn detect(
        first_message: FramesView<'_>,
        identity: &[u8],
        socket: Socket,
        pinned: Option<Dialect>,
    ) -> Result<Self, Error> {
        let codec = detect::detect(first_message, identity, socket, pinned)?;
        // A client's first command decides its dialect, so the whole command must be valid. For a
        // worker the header suffices: a worker with a codec can be sent a DISCONNECT if the rest is
        // invalid.
        if codec.side == Side::Client {
            codec.decode_from_client(first_message, &mut Scratch::default())?;
        }
        Ok(codec)
    }

    /// Returns the same codec with the listener's error reporting to clients.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Errors, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp01, Side::Client).with_errors(Errors::Final);
    /// assert_eq!(codec.errors(), Errors::Final);
    /// ```
    #[must_use]
    pub const fn with_errors(self, errors: Errors) -> Self {
        Self { errors, ..self }
    }

    /// Returns the same codec with the listener's conversion of frames to JSON.
    ///
    /// The codec of the client applies in both directions: to its requests and to their replies.
    ///
    /// ```
    /// use majordomus_core::{Frames, ReplyView, ToClientView};
    /// use majordomus_wire::{Codec, Dialect, Json, Side};
    ///
    /// let body = Frames::from_slices(&["[1]"]);
    /// let reply = ToClientView::Final(ReplyView::new(b"echo", body.view()));
    /// let codec = Codec::new(Dialect::Pigato, Side::Client);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_client(&reply, &mut written);
    /// assert_eq!(written[5], "[1]");
    /// written.clear();
    /// codec.with_json(Json::String).encode_to_client(&reply, &mut written);
    /// assert_eq!(written[5], "\"[1]\"");
    /// ```
    #[must_use]
    pub const fn with_json(self, json: Json) -> Self {
        Self { json, ..self }
    }

    /// Returns the dialect.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the side that the peer is on.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Returns true if messages begin with an empty frame.
    pub const fn delimiter(&self) -> bool {
        self.delimiter
    }

    /// Returns how errors are reported to a client.
    pub const fn errors(&self) -> Errors {
        self.errors
    }

    /// Returns how frames are converted to JSON.
    pub const fn json(&self) -> Json {
        self.json
    }

    /// Returns true if the dialect has request ids, so that a client can have several requests at
    /// once.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(!Codec::new(Dialect::Mdp02, Side::Client).has_request_ids());
    /// assert!(Codec::new(Dialect::Pigato, Side::Client).has_request_ids());
    /// ```
    pub const fn has_request_ids(&self) -> bool {
        matches!(self.dialect.grammar(), Grammar::Omdp1 | Grammar::Json(_))
    }

    /// Returns true if the dialect has partial replies on this side: the worker can send them, or
    /// the client accepts them.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(!Codec::new(Dialect::Mdp01, Side::Worker).has_partials());
    /// assert!(Codec::new(Dialect::Mdp02, Side::Worker).has_partials());
    /// // Others accept only one reply from its workers; its clients accept any number.
    /// assert!(!Codec::new(Dialect::Libmdp, Side::Worker).has_partials());
    /// assert!(Codec::new(Dialect::Libmdp, Side::Client).has_partials());
    /// ```
    pub const fn has_partials(&self) -> bool {
        match (self.dialect.grammar(), self.side) {
            (Grammar::Mdp(table), Side::Client) => table.client.replies.is_some(),
            (Grammar::Mdp(table), Side::Worker) => table.worker.partial.is_some(),
            (Grammar::Omdp1 | Grammar::Json(_), _) => true,
        }
    }

    /// Returns true if a peer begins with HELLO, is answered with WELCOME, and receives a
    /// disconnect reason. A client of such a dialect also sends GOODBYE.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Omdp1, Side::Client).greets());
    /// assert!(!Codec::new(Dialect::Pigato, Side::Client).greets());
    /// ```
    pub const fn greets(&self) -> bool {
        matches!(self.dialect.grammar(), Grammar::Omdp1)
    }

    /// Returns true if the peer is a worker that can reject a request, so that another worker gets
    /// it. If it cannot, a rejection is written as a failure.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Omdp1, Side::Worker).rejects());
    /// assert!(Codec::new(Dialect::Pigato, Side::Worker).rejects());
    /// assert!(!Codec::new(Dialect::Mdp02, Side::Worker).rejects());
    /// ```
    pub const fn rejects(&self) -> bool {
        match self.role() {
            Role::Client(_) => false,
            Role::Worker(can) => can.rejects,
        }
    }

    /// Returns true if partial replies use credit, so that a slow reader delays only its own
    /// request.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Omdp1, Side::Client).has_credit());
    /// assert!(!Codec::new(Dialect::Pigato, Side::Client).has_credit());
    /// ```
    pub const fn has_credit(&self) -> bool {
        matches!(self.dialect.grammar(), Grammar::Omdp1)
    }

    /// Returns true if a worker can register several services over one connection.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Omdp1, Side::Worker).has_several_services());
    /// assert!(!Codec::new(Dialect::Mdp02, Side::Worker).has_several_services());
    /// ```
    pub const fn has_several_services(&self) -> bool {
        match self.role() {
            Role::Worker(worker) => worker.several_services,
            Role::Client(_) => false,
        }
    }

    /// Returns true if a worker can declare the number of requests that it takes at once.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Omdp1, Side::Worker).says_capacity());
    /// assert!(Codec::new(Dialect::Pigato, Side::Worker).says_capacity());
    /// assert!(!Codec::new(Dialect::Omdp, Side::Worker).says_capacity());
    /// ```
    pub const fn says_capacity(&self) -> bool {
        matches!(self.side, Side::Worker)
            && matches!(self.dialect, Dialect::Omdp1 | Dialect::Pigato)
    }

    /// Returns true if a client can tell which reply is the last. If it cannot, every reply is
    /// decoded as [`ToClient::Partial`], and the client must know how many replies form an answer.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(Codec::new(Dialect::Mdp01, Side::Client).has_finals());
    /// assert!(!Codec::new(Dialect::Libmdp, Side::Client).has_finals());
    /// ```
    pub const fn has_finals(&self) -> bool {
        match self.dialect.grammar() {
            Grammar::Mdp(table) => match &table.client.replies {
                Some(replies) => replies.partial != replies.last,
                None => true,
            },
            Grammar::Omdp1 | Grammar::Json(_) => true,
        }
    }

    /// Returns a routing id for a Majordomus client or worker, in the format of the dialect's
    /// libraries; empty if the dialect needs none. `random` makes the id unique.
    ///
    /// This id distinguishes zmq-omdp from PIGATO. In PIGATO it is also the name of a worker.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let worker = |dialect| Codec::new(dialect, Side::Worker).routing_id(0x1234);
    /// assert!(worker(Dialect::Mdp02).is_empty());
    /// assert_eq!(&*worker(Dialect::Pigato), b"W-00000000-0000-4000-8000-000000001234");
    /// assert_eq!(&*worker(Dialect::Omdp), b"WQ810000000");
    /// ```
    pub fn routing_id(&self, random: u128) -> ByteStr {
        match self.dialect.grammar() {
            Grammar::Omdp1 | Grammar::Mdp(_) => ByteStr::empty(),
            Grammar::Json(table) => json::routing_id(table, self.side, random),
        }
    }

    /// Returns true if a worker with this routing id is detected as this dialect by a listener that
    /// is not pinned to the dialect. This is so for every id, except that ids distinguish PIGATO
    /// from zmq-omdp.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let worker = |dialect| Codec::new(dialect, Side::Worker);
    /// assert!(worker(Dialect::Mdp02).can_be_called(b"W-stock-echo-0"));
    /// assert!(worker(Dialect::Pigato).can_be_called(b"stock-echo-0"));
    /// assert!(!worker(Dialect::Pigato).can_be_called(b"W-stock-echo-0"));
    /// assert!(!worker(Dialect::Omdp).can_be_called(b"stock-echo-0"));
    /// ```
    pub fn can_be_called(&self, routing_id: &[u8]) -> bool {
        match self.dialect.grammar() {
            Grammar::Omdp1 | Grammar::Mdp(_) => true,
            Grammar::Json(table) => json::can_be_called(table, routing_id),
        }
    }

    /// Returns the peer's role and capabilities for the core.
    ///
    /// ```
    /// use majordomus_core::{Redelivery, Role};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let Role::Client(client) = Codec::new(Dialect::Mdp01, Side::Client).role() else { panic!() };
    /// assert_eq!((client.partial_replies, client.redelivery), (false, Redelivery::Always));
    /// ```
    pub const fn role(&self) -> Role {
        match (self.dialect.grammar(), self.side) {
            (Grammar::Omdp1, Side::Client) => Role::Client(omdp1::CLIENT),
            (Grammar::Omdp1, Side::Worker) => Role::Worker(omdp1::WORKER),
            (Grammar::Mdp(table), Side::Client) => Role::Client(ClientCapabilities {
                partial_replies: self.has_partials(),
                told: table.told(self.errors),
                // 7/MDP and 18/MDP require idempotent workers.
                redelivery: Redelivery::Always,
                afterwords: !self.has_finals(),
                greets: false,
                form: Form::Frames,
            }),
            // REQUEST has no id, so a worker cannot distinguish two requests. The protocol also has
            // no command to cancel a request.
            (Grammar::Mdp(_), Side::Worker) => Role::Worker(WorkerCapabilities {
                concurrency: Concurrency::ONE,
                cancel: false,
                request_ids: false,
                rejects: false,
                afterwords: !self.has_finals(),
                heartbeats_answered: false,
                ready_again: false,
                several_services: false,
                credit: false,
                greets: false,
                form: Form::Frames,
            }),
            (Grammar::Json(table), Side::Client) => Role::Client(table.client),
            (Grammar::Json(table), Side::Worker) => Role::Worker(table.worker),
        }
    }

    /// Decodes a message from a client to the broker.
    ///
    /// # Errors
    ///
    /// Returns the first protocol violation ([`Violation`](crate::Violation)) in the message, and its
    /// frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromClientView, RequestView};
    /// use majordomus_wire::{Codec, Dialect, Scratch, Side};
    ///
    /// let codec = Codec::new(Dialect::Majortomo, Side::Client);
    /// let message = Frames::from_slices(&["", "MDPC02", "\x02", "echo", "hello"]);
    /// assert_eq!(
    ///     codec.decode_from_client(message.view(), &mut Scratch::default())?,
    ///     FromClientView::Request(RequestView::new(b"echo", message.view().skip(4)))
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    #[inline]
    pub fn decode_from_client<'a>(
        &self,
        message: FramesView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<FromClientView<'a>, Error> {
        match self.manner() {
            Manner::Omdp1(manner) => manner.decode_from_client(message),
            Manner::Mdp(manner) => manner.decode_from_client(message, scratch),
            Manner::Json(manner) => manner.decode_from_client(message, scratch),
        }
    }

    /// Decodes a message from a worker to the broker.
    ///
    /// The MDP dialects have no error replies, so a worker's failure is decoded as
    /// [`FromWorkerView::Final`] there.
    ///
    /// # Errors
    ///
    /// Returns the first protocol violation ([`Violation`](crate::Violation)) in the message, and its
    /// frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromWorkerView};
    /// use majordomus_wire::{Codec, Dialect, Scratch, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let message = Frames::from_slices(&["MDPW02", "\x01", "echo"]);
    /// assert_eq!(
    ///     codec.decode_from_worker(message.view(), &mut Scratch::default())?,
    ///     FromWorkerView::Ready { service: b"echo" }
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    #[inline]
    pub fn decode_from_worker<'a>(
        &self,
        message: FramesView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<FromWorkerView<'a>, Error> {
        match self.manner() {
            Manner::Omdp1(manner) => manner.decode_from_worker(message),
            Manner::Mdp(manner) => manner.decode_from_worker(message, scratch),
            Manner::Json(manner) => manner.decode_from_worker(message),
        }
    }

    /// Encodes a message from the broker to a client.
    ///
    /// Writes nothing for a command that the dialect cannot express: in most dialects a heartbeat,
    /// a notice, a disconnect reason, and a failure that is not [reported](Codec::role) to the
    /// client. A partial reply to a client that accepts none is not written either; the core never
    /// sends one.
    ///
    /// ```
    /// use majordomus_core::{FramesView, Outcome, ReplyView, ToClientView};
    /// use majordomus_wire::{Codec, Dialect, Errors, Side};
    ///
    /// let nothing = ReplyView::new(b"echo", FramesView::EMPTY);
    /// let lost = ToClientView::Failed(Outcome::WorkerLost, nothing);
    /// let codec = Codec::new(Dialect::Mdp02, Side::Client);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_client(&lost, &mut written);
    /// assert!(written.is_empty());
    /// codec.with_errors(Errors::Final).encode_to_client(&lost, &mut written);
    /// assert_eq!(written, ["MDPC02", "\x03", "echo", "-1 B_WORKER_LOST"]);
    /// ```
    #[inline(always)]
    pub fn encode_to_client(&self, command: &ToClientView<'_>, sink: &mut impl Sink) {
        match self.manner() {
            Manner::Omdp1(manner) => manner.encode_to_client(command, sink),
            Manner::Mdp(manner) => manner.encode_to_client(command, self.errors, sink),
            Manner::Json(manner) => manner.encode_to_client(command, sink),
        }
    }

    /// Encodes a message from the broker to a worker. Writes nothing for a command that the dialect
    /// cannot express: [`ToWorkerView::Cancel`] and [`ToWorkerView::More`] in all but OMDP/1,
    /// [`ToWorkerView::RequestKeepAlive`] in the MDP dialects, [`ToWorkerView::Registered`] in all but
    /// OMDP/1 and PIGATO.
    ///
    /// A token is written as 16 octets in OMDP/1, whose workers treat it as opaque, and as 32
    /// letters in all other dialects, because some of their libraries read it as text.
    ///
    /// ```
    /// use majordomus_core::{DisconnectReason, ToWorkerView};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_worker(&ToWorkerView::Disconnect(DisconnectReason::Unsaid), &mut written);
    /// assert_eq!(written, ["MDPW02", "\x06"]);
    /// ```
    #[inline(always)]
    pub fn encode_to_worker(&self, command: &ToWorkerView<'_>, sink: &mut impl Sink) {
        match self.manner() {
            Manner::Omdp1(manner) => manner.encode_to_worker(command, sink),
            Manner::Mdp(manner) => manner.encode_to_worker(command, sink),
            Manner::Json(manner) => manner.encode_to_worker(command, sink),
        }
    }

    /// Encodes a message from a client to the broker.
    ///
    /// The MDP dialects have no request ids and no options, so only the service and the body of a
    /// request are written. They have no client heartbeats either, so nothing is written for one.
    /// Only OMDP/1 has a cancellation and a disconnect reason.
    ///
    /// A request's own options are written unchanged if the dialect can carry them beside a body of
    /// that format; otherwise JSON options are generated from the request. The name of the service
    /// is not checked; use [`check_service_name`](crate::check_service_name).
    ///
    /// ```
    /// use majordomus_core::FromClient;
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp01, Side::Client);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_from_client(&FromClient::Heartbeat, &mut written);
    /// assert!(written.is_empty());
    /// ```
    pub fn encode_from_client(&self, command: &FromClient, sink: &mut impl Sink) {
        match self.manner() {
            Manner::Omdp1(manner) => manner.encode_from_client(command, sink),
            Manner::Mdp(manner) => manner.encode_from_client(command, sink),
            Manner::Json(manner) => manner.encode_from_client(command, sink),
        }
    }

    /// Encodes a request from a client to the broker, like
    /// [`encode_from_client`](Codec::encode_from_client). Takes the request in a box because
    /// requests are large and usually boxed already.
    ///
    /// ```
    /// use majordomus_core::{Frames, Request};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let request = Request::new("echo", Frames::from_slices(&["hello"]));
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// Codec::new(Dialect::Majortomo, Side::Client).encode_request(request.into(), &mut written);
    /// assert_eq!(written, ["", "MDPC02", "\x02", "echo", "hello"]);
    /// ```
    pub fn encode_request(&self, request: Box<Request>, sink: &mut impl Sink) {
        match self.manner() {
            Manner::Omdp1(manner) => manner.encode_request(&request, sink),
            Manner::Mdp(_) | Manner::Json(_) => {
                self.encode_from_client(&FromClient::Request(*request), sink);
            }
        }
    }

    /// Encodes a message from a worker to the broker.
    ///
    /// In the MDP dialects a failure is written as a final reply of one text frame: `-1 ` and the
    /// error. The broker treats it like any other reply; a client with [`Errors::Final`] recognises
    /// the error in it. If the dialect has no rejection, a rejection is written as a failure.
    ///
    /// # Errors
    ///
    /// Returns [`UnsupportedOption`] for a partial reply if the dialect [has none](Codec::has_partials):
    /// leaving it out would lose a part of the reply. Nothing is written then.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromWorker, WorkerReply};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let body = Frames::from_slices(&["no paper"]);
    /// let failed = FromWorker::Failed(WorkerReply::new("17", body));
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_from_worker(&failed, &mut written)?;
    /// assert_eq!(written, ["MDPW02", "\x04", "17", "", "-1 no paper"]);
    /// # Ok::<(), majordomus_wire::UnsupportedOption>(())
    /// ```
    pub fn encode_from_worker(
        &self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), UnsupportedOption> {
        match self.manner() {
            Manner::Omdp1(manner) => {
                manner.encode_from_worker(command, sink);
                Ok(())
            }
            Manner::Mdp(manner) => manner.encode_from_worker(command, sink),
            Manner::Json(manner) => {
                manner.encode_from_worker(command, sink);
                Ok(())
            }
        }
    }

    /// Decodes a message from the broker to a client.
    ///
    /// An error is decoded as [`ToClient::Failed`]. In OMDP/1 its code is the outcome. In the other
    /// dialects the outcome is taken from the error's text if that is one of the codes of
    /// Majordomus and PIGATO, such as `B_WORKER_LOST`, for an outcome [reported to the
    /// client](Codec::role). The same code written by a worker is indistinguishable, except in
    /// libmdp, whose broker has a separate command for errors. Any other text is
    /// [`Outcome::Failed`](majordomus_core::Outcome::Failed).
    ///
    /// In the MDP dialects a final reply of one frame that begins with `-1 ` is an error with
    /// [`Errors::Final`] and an ordinary reply with [`Errors::Silent`]. Only the replies of the
    /// RFCs name their service; in other dialects the service name is empty.
    ///
    /// # Errors
    ///
    /// Returns the first protocol violation ([`Violation`](crate::Violation)) in the message, and its
    /// frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, Outcome, Reply, ToClient};
    /// use majordomus_wire::{Codec, Dialect, Errors, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Client).with_errors(Errors::Final);
    /// let message = Frames::from_slices(&["MDPC02", "\x03", "echo", "-1 B_NO_SERVICE"]);
    /// let body = Frames::from_slices(&["B_NO_SERVICE"]);
    /// assert_eq!(
    ///     codec.decode_to_client(message)?,
    ///     ToClient::Failed(Outcome::NoSuchService, Reply::new("echo", body))
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn decode_to_client(&self, message: Frames) -> Result<ToClient, Error> {
        match self.manner() {
            Manner::Omdp1(manner) => manner.decode_to_client(message),
            Manner::Mdp(manner) => manner.decode_to_client(message, self.errors),
            Manner::Json(manner) => manner.decode_to_client(message),
        }
    }

    /// Decodes a message from the broker to a worker. A request names its service in OMDP/1 and
    /// PIGATO; in other dialects the service name is empty.
    ///
    /// # Errors
    ///
    /// Returns the first protocol violation ([`Violation`](crate::Violation)) in the message, and its
    /// frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, ToWorker};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp01, Side::Worker);
    /// let message = Frames::from_slices(&["", "MDPW01", "\x04"]);
    /// assert_eq!(codec.decode_to_worker(message)?, ToWorker::Heartbeat);
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn decode_to_worker(&self, message: Frames) -> Result<ToWorker, Error> {
        match self.manner() {
            Manner::Omdp1(manner) => manner.decode_to_worker(message),
            Manner::Mdp(manner) => manner.decode_to_worker(message),
            Manner::Json(manner) => manner.decode_to_worker(message),
        }
    }

    const fn manner(&self) -> Manner {
        let Self { delimiter, json, .. } = *self;
        match self.dialect.grammar() {
            Grammar::Omdp1 => Manner::Omdp1(omdp1::Manner { json }),
            Grammar::Mdp(table) => Manner::Mdp(mdp::Manner { table, delimiter, json }),
            Grammar::Json(table) => Manner::Json(json::Manner { table, json }),
        }
    }
}

/// The codec of a connection, by the engine of its dialect.
enum Manner {
    Omdp1(omdp1::Manner),
    Mdp(mdp::Manner),
    Json(json::Manner),
}

/// The error for a partial reply in a dialect that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedOption {
    pub(crate) dialect: Dialect,
}

impl UnsupportedOption {
    /// Returns the dialect that has no partial replies.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }
}

impl fmt::Display for UnsupportedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no partial replies", self.dialect)
    }
}

impl core::error::Error for UnsupportedOption {}
