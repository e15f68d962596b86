//! How one connection speaks.

use alloc::boxed::Box;
use core::fmt;

use majordomus_core::{
    ClientCapabilities, Concurrency, Form, Frames, FramesView, FromClient, FromClientView,
    FromWorker, FromWorkerView, Label, Redelivery, Request, Role, ToClient, ToClientView, ToWorker,
    ToWorkerView, WorkerCapabilities,
};

use crate::detect;
use crate::dialect::Grammar;
use crate::mdp::Delimiter;
use crate::{Dialect, Error, Errors, Json, Scratch, Sink, Socket, json, mdp, omdp1};

/// Which side of the broker a peer is on.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::{Offence, Side};
///
/// let offence = Offence::HeaderOfOtherSide { expected: Side::Client };
/// assert!(offence.to_string().contains("client"), "{offence}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It asks.
    Client,
    /// It serves.
    Worker,
}

impl Side {
    /// The name by which it is logged and counted.
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

/// How one connection speaks: its dialect, its side, whether its messages begin with an empty frame,
/// what a client is told of errors, and how its frames and JSON become each other. It never changes; the broker remembers one per connection.
///
/// Each method that reads or writes is for one side and one direction, as its name says. The broker
/// calls `decode_from_*` and `encode_to_*`, a client or worker the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    dialect: Dialect,
    side: Side,
    delimiter: bool,
    errors: Errors,
    json: Json,
}

impl Codec {
    /// How our own client or worker speaks this dialect.
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

    /// How the peer speaks whose first message this is, whose ZMTP routing id is `identity`, and
    /// whose socket is of this kind. A listener that is `pinned` takes that dialect only.
    ///
    /// Where this succeeds for a client, the message can be decoded too. A worker that begins with an empty frame
    /// and `MDPW02` is taken for majortomo's unless `mdp02` is pinned: the RFC has no such frame, and
    /// no library but majortomo writes it.
    ///
    /// A peer of OMDP/1 begins with HELLO. Where it does not, or says it wrongly, the error has an
    /// [answer](Error::answer).
    ///
    /// A CLIENT socket speaks gdp, and no other does.
    ///
    /// PIGATO and zmq-omdp look alike. A routing id as one of the libraries makes it tells them
    /// apart, else the options of a request: PIGATO's have `retry`. Without a sign it is PIGATO.
    ///
    /// # Errors
    ///
    /// The first offence in the message; [`UnknownHeader`](crate::Offence::UnknownHeader) where no
    /// dialect begins like this, [`PinnedToOther`](crate::Offence::PinnedToOther) where another than
    /// the pinned one does.
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
        // A client's first command tells its dialect, so it has to be right. A worker's header is
        // enough, and to be known is to be answered: it hears what is wrong with the rest.
        if codec.side == Side::Client {
            codec.decode_from_client(first_message, &mut Scratch::default())?;
        }
        Ok(codec)
    }

    /// The same, but with what a client is told of errors, as the listener has it.
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

    /// The same, but with how frames become JSON, as the listener has it.
    ///
    /// What a client says is translated for its worker, and what it is answered for it, as the
    /// codec of the client has it.
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

    /// The dialect.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Which side the peer is on.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Whether messages begin with an empty frame.
    pub const fn delimiter(&self) -> bool {
        self.delimiter
    }

    /// What a client is told of errors.
    pub const fn errors(&self) -> Errors {
        self.errors
    }

    /// How frames become JSON.
    pub const fn json(&self) -> Json {
        self.json
    }

    /// Whether the dialect has request ids, so that a client can have many requests at once.
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

    /// Whether the dialect has partial replies on this side: a worker that can send them, a client
    /// that takes them.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(!Codec::new(Dialect::Mdp01, Side::Worker).has_partials());
    /// assert!(Codec::new(Dialect::Mdp02, Side::Worker).has_partials());
    /// // One reply of its workers is all that others get; its clients take any number.
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

    /// Whether a peer begins with HELLO, is answered with WELCOME, and is told why it ends. A client
    /// that greets says GOODBYE, too.
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

    /// Whether the peer is a worker that can reject a request, so that another gets it. Where it
    /// cannot, a rejection is written as a failure.
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

    /// Whether parts of replies are counted, so that a slow reader slows its own request only.
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

    /// Whether a worker can offer several services over one connection.
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

    /// Whether a worker can say how many requests it takes at once.
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

    /// Whether a client is told which reply is the last. Where it is not, every reply is read as
    /// [`ToClient::Partial`], and how many make up the answer is for the client to know.
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

    /// A routing id for a peer of our own, as the libraries of its dialect make them; empty where
    /// the dialect does without. `random` is what makes it like no other.
    ///
    /// By such an id zmq-omdp is told from PIGATO, and in PIGATO workers are named by them.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let worker = |dialect| Codec::new(dialect, Side::Worker).routing_id(0x1234);
    /// assert!(worker(Dialect::Mdp02).is_empty());
    /// assert_eq!(&*worker(Dialect::Pigato), b"W-00000000-0000-4000-8000-000000001234");
    /// assert_eq!(&*worker(Dialect::Omdp), b"WQ810000000");
    /// ```
    pub fn routing_id(&self, random: u128) -> Label {
        match self.dialect.grammar() {
            Grammar::Omdp1 | Grammar::Mdp(_) => Label::empty(),
            Grammar::Json(table) => json::routing_id(table, self.side, random),
        }
    }

    /// Whether a worker that has this routing id is taken for one of this dialect, where the listener
    /// is not pinned to it. It is so with any id, but for PIGATO and zmq-omdp, which are told apart by
    /// them.
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

    /// What the peer is and can do, as the core wants to know it.
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
                // 7/MDP and 18/MDP: workers are to be idempotent.
                redelivery: Redelivery::Always,
                afterwords: !self.has_finals(),
                greets: false,
                form: Form::Frames,
            }),
            // A REQUEST has no id, so a worker cannot tell two of them apart; nor has the protocol a
            // command to take one back.
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

    /// Reads what a client says to the broker.
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
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

    /// Reads what a worker says to the broker.
    ///
    /// The MDP dialects have no error replies, so there a worker's failure comes as
    /// [`FromWorkerView::Final`].
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
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

    /// Writes what the broker says to a client.
    ///
    /// Nothing is written for what the dialect cannot say: in most of them a heartbeat, a notice, a
    /// farewell, and a failure that the client is not [told](Codec::role) of. A partial reply to a client that takes none is
    /// not written either; the core never sends one.
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

    /// Writes what the broker says to a worker. Nothing is written for what the dialect cannot say:
    /// [`ToWorkerView::Cancel`] and [`ToWorkerView::More`] in all but OMDP/1,
    /// [`ToWorkerView::StillWanted`] in the MDP dialects, [`ToWorkerView::Registered`] in all but
    /// OMDP/1 and PIGATO.
    ///
    /// A token is written as 16 octets in OMDP/1, whose workers treat it as opaque, and as 32 letters in
    /// all other dialects, because some of their libraries read it as text.
    ///
    /// ```
    /// use majordomus_core::{Farewell, ToWorkerView};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_worker(&ToWorkerView::Disconnect(Farewell::Unsaid), &mut written);
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

    /// Writes what a client says to the broker.
    ///
    /// Of a request the MDP dialects write only service and body: they have no ids and no options.
    /// Nor have they heartbeats of a client, for which nothing is written, and only OMDP/1 has a
    /// cancellation and a farewell. Options that a request brings with it are written as they are
    /// where the dialect has a place for them beside a body of that form; JSON options are else made
    /// of what the request says. The name of the service is not checked;
    /// [`check_service_name`](crate::check_service_name) does that.
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

    /// Writes a request of a client to the broker, as [`encode_from_client`](Codec::encode_from_client)
    /// does. It is taken in a box because requests are large, and mostly made in one.
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

    /// Writes what a worker says to the broker.
    ///
    /// In the MDP dialects a failure is written as a final reply of one frame of text: `-1 ` and the
    /// error. To a broker it is a reply like any other; a client finds the error in it if it has been
    /// told to look, with [`Errors::Final`]. A rejection is a failure where there is none.
    ///
    /// # Errors
    ///
    /// [`Unsayable`] for a partial reply where the dialect [has none](Codec::has_partials): leaving
    /// it out would lose a part of the reply. Nothing is written then.
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
    /// # Ok::<(), majordomus_wire::Unsayable>(())
    /// ```
    pub fn encode_from_worker(
        &self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), Unsayable> {
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

    /// Reads what the broker says to a client.
    ///
    /// An error is [`ToClient::Failed`]. In OMDP/1 its code tells the outcome. In the other dialects a
    /// text does that is one of the words of our broker and PIGATO's, such as `B_WORKER_LOST`, for an
    /// end that [the client is told of](Codec::role); it is so too where a worker has written the word,
    /// which looks the same but in libmdp, whose broker has a command of its own for them. With any
    /// other text it is [`Outcome::Failed`](majordomus_core::Outcome::Failed). In the MDP dialects a
    /// final reply of one frame that begins with `-1 ` is an error with [`Errors::Final`], and a reply
    /// like any other with [`Errors::Silent`]. Only the replies of the RFCs name their service; in other
    /// dialects the label is empty.
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
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

    /// Reads what the broker says to a worker. A request names its service in OMDP/1 and PIGATO; in
    /// other dialects the label is empty.
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
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

/// How the connection speaks, by the engine of its dialect.
enum Manner {
    Omdp1(omdp1::Manner),
    Mdp(mdp::Manner),
    Json(json::Manner),
}

/// A partial reply that cannot be written, because the dialect has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsayable {
    pub(crate) dialect: Dialect,
}

impl Unsayable {
    /// The dialect that has no partial replies.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no partial replies", self.dialect)
    }
}

impl core::error::Error for Unsayable {}
