//! How one connection speaks.

use core::fmt;
use core::num::NonZeroU32;

use majordomus_core::{
    ClientCapabilities, Frames, FromClient, FromWorker, Redelivery, Role, ToClient, ToWorker,
    WorkerCapabilities,
};

use crate::detect;
use crate::dialect::Grammar;
use crate::mdp::{Delimiter, Form};
use crate::{Dialect, Error, Errors, Sink};

/// Which side of the broker a peer is on.
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
    /// assert_eq!(majordomus_wire::Side::Worker.name(), "worker");
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
/// and what a client is told of errors. It never changes; the broker remembers one per connection.
///
/// Each method that reads or writes is for one side and one direction, as its name says. The broker
/// calls `decode_from_*` and `encode_to_*`, a client or worker the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    dialect: Dialect,
    side: Side,
    delimiter: bool,
    errors: Errors,
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
        let Grammar::Mdp(table) = dialect.grammar();
        let delimiter = matches!(table.delimiter, Delimiter::Required);
        Self::with_delimiter(dialect, side, delimiter)
    }

    pub(crate) const fn with_delimiter(dialect: Dialect, side: Side, delimiter: bool) -> Self {
        Self { dialect, side, delimiter, errors: Errors::Silent }
    }

    /// How the peer speaks whose first message this is. A listener that is `pinned` takes that
    /// dialect only.
    ///
    /// Where this succeeds for a client, the message can be decoded too. A worker that begins with an empty frame
    /// and `MDPW02` is taken for majortomo's unless `mdp02` is pinned: the RFC has no such frame, and
    /// no library but majortomo writes it.
    ///
    /// # Errors
    ///
    /// The first offence in the message; [`UnknownHeader`](crate::Offence::UnknownHeader) where no
    /// dialect begins like this, [`PinnedToOther`](crate::Offence::PinnedToOther) where another than
    /// the pinned one does.
    ///
    /// ```
    /// use majordomus_core::Frames;
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let first = Frames::from_slices(&["", "MDPW01", "\x01", "echo"]);
    /// let codec = Codec::detect(&first, None)?;
    /// assert_eq!((codec.dialect(), codec.side()), (Dialect::Mdp01, Side::Worker));
    ///
    /// let error = Codec::detect(&first, Some(Dialect::Mdp02)).unwrap_err();
    /// assert_eq!(error.to_string(), "frame 1: mdp01 is spoken where only mdp02 is taken");
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn detect(first_message: &Frames, pinned: Option<Dialect>) -> Result<Self, Error> {
        let codec = detect::detect(first_message, pinned)?;
        // A client's first command tells its dialect, so it has to be right. A worker's header is
        // enough, and to be known is to be answered: it hears what is wrong with the rest.
        if codec.side == Side::Client {
            codec.decode_from_client(first_message.clone())?;
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

    /// Whether the dialect has partial replies.
    ///
    /// ```
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// assert!(!Codec::new(Dialect::Mdp01, Side::Worker).has_partials());
    /// assert!(Codec::new(Dialect::Mdp02, Side::Worker).has_partials());
    /// ```
    pub const fn has_partials(&self) -> bool {
        let Grammar::Mdp(table) = self.dialect.grammar();
        table.worker.partial.is_some()
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
        match self.side {
            Side::Client => Role::Client(ClientCapabilities {
                partial_replies: self.has_partials(),
                told: self.errors.told(),
                // 7/MDP and 18/MDP: workers are to be idempotent.
                redelivery: Redelivery::Always,
            }),
            // A REQUEST has no id, so a worker cannot tell two of them apart; nor has the protocol a
            // command to take one back.
            Side::Worker => Role::Worker(WorkerCapabilities {
                concurrency: Some(NonZeroU32::MIN),
                cancel: false,
            }),
        }
    }

    /// Reads what a client says to the broker.
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromClient, Request};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Majortomo, Side::Client);
    /// let message = Frames::from_slices(&["", "MDPC02", "\x02", "echo", "hello"]);
    /// assert_eq!(
    ///     codec.decode_from_client(message)?,
    ///     FromClient::Request(Request::new("echo", Frames::from_slices(&["hello"])))
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn decode_from_client(&self, message: Frames) -> Result<FromClient, Error> {
        self.form().decode_from_client(message)
    }

    /// Reads what a worker says to the broker.
    ///
    /// None of these dialects has error replies, so a worker's failure comes as
    /// [`FromWorker::Final`].
    ///
    /// # Errors
    ///
    /// The first [`Offence`](crate::Offence) in the message, and the frame.
    ///
    /// ```
    /// use majordomus_core::{Frames, FromWorker};
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let message = Frames::from_slices(&["MDPW02", "\x01", "echo"]);
    /// assert_eq!(
    ///     codec.decode_from_worker(message)?,
    ///     FromWorker::Ready { service: "echo".into() }
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn decode_from_worker(&self, message: Frames) -> Result<FromWorker, Error> {
        self.form().decode_from_worker(message)
    }

    /// Writes what the broker says to a client.
    ///
    /// Nothing is written for what the dialect cannot say: a heartbeat, and a failure that the
    /// client is not [told](Codec::role) of. A partial reply to a client that takes none is not
    /// written either; the core never sends one.
    ///
    /// ```
    /// use majordomus_core::{Frames, Outcome, Reply, ToClient};
    /// use majordomus_wire::{Codec, Dialect, Errors, Side};
    ///
    /// let nothing = Reply { service: "echo".into(), id: "".into(), body: Frames::empty() };
    /// let lost = ToClient::Failed(Outcome::WorkerLost, nothing);
    /// let codec = Codec::new(Dialect::Mdp02, Side::Client);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_client(&lost, &mut written);
    /// assert!(written.is_empty());
    /// codec.with_errors(Errors::Final).encode_to_client(&lost, &mut written);
    /// assert_eq!(written, ["MDPC02", "\x03", "echo", "-1 B_WORKER_LOST"]);
    /// ```
    pub fn encode_to_client(&self, command: &ToClient, sink: &mut impl Sink) {
        self.form().encode_to_client(command, self.errors, sink);
    }

    /// Writes what the broker says to a worker. Nothing is written for
    /// [`ToWorker::Cancel`], which these dialects cannot say.
    ///
    /// ```
    /// use majordomus_core::ToWorker;
    /// use majordomus_wire::{Codec, Dialect, Side};
    ///
    /// let codec = Codec::new(Dialect::Mdp02, Side::Worker);
    /// let mut written: Vec<bytes::Bytes> = Vec::new();
    /// codec.encode_to_worker(&ToWorker::Disconnect, &mut written);
    /// assert_eq!(written, ["MDPW02", "\x06"]);
    /// ```
    pub fn encode_to_worker(&self, command: &ToWorker, sink: &mut impl Sink) {
        self.form().encode_to_worker(command, sink);
    }

    /// Writes what a client says to the broker.
    ///
    /// Of a request only service and body are written: these dialects have no ids and no options.
    /// Nothing is written for a heartbeat or a cancellation. The name of the service is not checked;
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
        self.form().encode_from_client(command, sink);
    }

    /// Writes what a worker says to the broker.
    ///
    /// A failure is written as a final reply of one frame of text: `-1 ` and the error. To a broker
    /// it is a reply like any other; a client finds the error in it if it has been told to look,
    /// with [`Errors::Final`].
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
    /// let failed = FromWorker::Failed(WorkerReply { address: "17".into(), id: "".into(), body });
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
        self.form().encode_from_worker(command, sink)
    }

    /// Reads what the broker says to a client.
    ///
    /// With [`Errors::Final`], a final reply of one frame that begins with `-1 ` is
    /// [`ToClient::Failed`] with [`Outcome::Failed`](majordomus_core::Outcome::Failed) and the rest
    /// of the text; with [`Errors::Silent`] it is a reply like any other. A majortomo reply does
    /// not name its service: the label is empty.
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
    ///     ToClient::Failed(
    ///         Outcome::Failed,
    ///         Reply { service: "echo".into(), id: "".into(), body },
    ///     )
    /// );
    /// # Ok::<(), majordomus_wire::Error>(())
    /// ```
    pub fn decode_to_client(&self, message: Frames) -> Result<ToClient, Error> {
        self.form().decode_to_client(message, self.errors)
    }

    /// Reads what the broker says to a worker. A request does not name its service: the label is
    /// empty.
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
        self.form().decode_to_worker(message)
    }

    const fn form(&self) -> Form {
        let Grammar::Mdp(table) = self.dialect.grammar();
        Form { table, delimiter: self.delimiter }
    }
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
