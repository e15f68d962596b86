//! What a connection tells its user.

use bytes::Bytes;

use crate::{Message, Metadata};

/// The other side of a connection, as its handshake describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The minor version of ZMTP 3 that it speaks; 1 when its major version is above 3.
    pub minor: u8,
    /// What it says of itself.
    pub metadata: Metadata,
}

impl Peer {
    /// Whether it knows PING: ZMTP 3.1 or newer.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, Peer, SocketType};
    ///
    /// let peer = Peer { minor: 0, metadata: Metadata::new(SocketType::Req) };
    /// assert!(!peer.announces_ping());
    /// ```
    #[must_use]
    pub const fn announces_ping(&self) -> bool {
        self.minor >= 1
    }
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer has said who it is. A listener answers with [`accept`](crate::Connection::accept)
    /// or [`refuse`](crate::Connection::refuse), and no message comes before that. For a
    /// connector the handshake is over.
    Hello(Peer),
    /// A whole message came.
    Message(Message),
    /// The peer asked for life. The answer is queued already.
    Ping,
    /// The peer answered a PING, with the context that it was sent.
    Pong(Bytes),
    /// The message in reception needs more memory than is reserved without asking. Nothing more
    /// comes out until [`grant`](crate::Connection::grant), so until then the socket is better
    /// not read.
    Large {
        /// What the message will hold once it is granted, in bytes: its frame in reception, what
        /// came before that, and a little room when more frames follow.
        bytes: usize,
    },
    /// The peer subscribed with a command, as ZMTP 3.1 has it.
    Subscribe(Bytes),
    /// The peer ended a subscription with a command.
    Cancel(Bytes),
    /// A command of this name came that is none of ours. It was ignored.
    Unknown(Bytes),
}
