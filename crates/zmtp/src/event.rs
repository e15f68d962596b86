//! Connection events and peer information.

use bytes::Bytes;

use crate::{Message, Metadata};

/// The other side of a connection, as described by its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The minor version of ZMTP 3 that the peer supports; 1 if its major version is above 3.
    pub minor: u8,
    /// The peer's metadata.
    pub metadata: Metadata,
}

impl Peer {
    /// Returns true if the peer supports PING: ZMTP 3.1 or newer.
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

/// An event on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer sent its metadata. A listener must answer with
    /// [`accept`](crate::Connection::accept) or [`refuse`](crate::Connection::refuse), and receives
    /// no messages before that. For a connector, the handshake is complete.
    Hello(Peer),
    /// A complete message arrived.
    Message(Message),
    /// The peer sent a PING. The PONG is already queued.
    Ping,
    /// The peer answered a PING, echoing its context.
    Pong(Bytes),
    /// The incoming message needs more memory than the connection reserves by itself. There are no
    /// more events until [`grant`](crate::Connection::grant), so stop reading from the socket until
    /// then.
    Large {
        /// The memory, in bytes, that the message will occupy once granted: the frame being
        /// received, the data before it, and some spare capacity if more frames follow.
        bytes: usize,
    },
    /// The peer subscribed with a command, as in ZMTP 3.1.
    Subscribe(Bytes),
    /// The peer cancelled a subscription with a command.
    Cancel(Bytes),
    /// The peer sent a command with this unknown name. It was ignored.
    Unknown(Bytes),
}
