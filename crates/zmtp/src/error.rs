//! Connection errors: one variant for each protocol violation.

use core::fmt;

use bytes::Bytes;

/// The reason why a connection failed. Each variant is one specific protocol violation of the peer.
///
/// Names and reasons from the peer are stored as bytes and printed escaped.
///
/// ```
/// use majordomus_zmtp::Error;
///
/// let error = Error::VersionTooOld { major: 1 };
/// assert!(error.is_old_zmtp());
/// assert!(error.to_string().contains("ZeroMQ 4"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first byte is not 0xFF: the peer uses ZMTP 1.0 or another protocol.
    GreetingNotZmtp {
        /// The received byte.
        first: u8,
    },
    /// The low bit of the tenth byte is not set, as in ZMTP 1.0 with a long routing id.
    SignatureEnd {
        /// The byte received instead of 0x7F.
        last: u8,
    },
    /// The greeting's major version is below 3.
    VersionTooOld {
        /// The announced version.
        major: u8,
    },
    /// The peer announced a different security mechanism. ZMTP does not negotiate mechanisms.
    MechanismMismatch {
        /// The peer's mechanism, without padding.
        theirs: Bytes,
        /// This side's mechanism.
        ours: &'static str,
    },
    /// The peer sent more than [`Limits::handshake_bytes_max`](crate::Limits::handshake_bytes_max)
    /// bytes before the handshake was complete.
    HandshakeTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer sent a message frame before READY.
    MessageBeforeReady,
    /// The first command is neither READY nor ERROR.
    NotReadyFirst {
        /// The received command.
        name: Bytes,
    },
    /// The peer sent a handshake command after the handshake.
    UnexpectedCommand {
        /// The received command.
        name: Bytes,
    },
    /// A command frame has no name.
    CommandWithoutName,
    /// A command's name is longer than its frame.
    CommandNameCut {
        /// The announced length of the name.
        announced: usize,
        /// The number of bytes left in the frame for the name.
        present: usize,
    },
    /// A PING is too short for its two-byte time to live.
    PingWithoutTtl {
        /// The number of bytes after the name.
        len: usize,
    },
    /// The context of a PING is longer than 16 bytes.
    PingContextTooLong {
        /// The length of the context in bytes.
        len: usize,
    },
    /// The context of a PONG is longer than 16 bytes.
    PongContextTooLong {
        /// The length of the context in bytes.
        len: usize,
    },
    /// The property list ends inside a property.
    MetadataCut,
    /// A property has an empty name.
    PropertyNameEmpty,
    /// A property's name has a character other than letters, digits and `-_.+`.
    PropertyNameInvalid {
        /// The name.
        name: Bytes,
    },
    /// The peer sent `Socket-Type` or `Identity` twice.
    PropertyTwice {
        /// The name, as spelled in the specification.
        name: &'static str,
    },
    /// The properties do not include `Socket-Type`.
    SocketTypeMissing,
    /// The `Socket-Type` is not in the specification.
    UnknownSocketType {
        /// The name of the type.
        name: Bytes,
    },
    /// The routing id (property `Identity`) is longer than 255 bytes.
    RoutingIdTooLong {
        /// The length of the routing id in bytes.
        len: usize,
    },
    /// A frame's flags have reserved bits set: the stream is out of sync, or not ZMTP.
    ReservedFlagBits {
        /// The flags byte.
        flags: u8,
    },
    /// A command frame has the MORE flag.
    CommandWithMore {
        /// The flags byte.
        flags: u8,
    },
    /// A command is longer than [`COMMAND_BYTES_MAX`](crate::COMMAND_BYTES_MAX).
    CommandTooLong {
        /// The announced length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A single frame is longer than the message size limit.
    FrameTooLong {
        /// The announced length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The frames of a message together exceed the message size limit.
    MessageTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message has too many frames.
    TooManyFrames {
        /// The maximum number of frames.
        limit: usize,
    },
    /// The peer sent ERROR: it refuses this connection permanently.
    PeerRefused {
        /// The peer's human-readable reason.
        reason: Bytes,
    },
}

impl Error {
    /// Returns the error's name in counters.
    ///
    /// ```
    /// use majordomus_zmtp::Error;
    ///
    /// assert_eq!(Error::VersionTooOld { major: 2 }.name(), "version_too_old");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GreetingNotZmtp { .. } => "greeting_not_zmtp",
            Self::SignatureEnd { .. } => "signature_end",
            Self::VersionTooOld { .. } => "version_too_old",
            Self::MechanismMismatch { .. } => "mechanism_mismatch",
            Self::HandshakeTooLong { .. } => "handshake_too_long",
            Self::MessageBeforeReady => "message_before_ready",
            Self::NotReadyFirst { .. } => "not_ready_first",
            Self::UnexpectedCommand { .. } => "unexpected_command",
            Self::CommandWithoutName => "command_without_name",
            Self::CommandNameCut { .. } => "command_name_cut",
            Self::PingWithoutTtl { .. } => "ping_without_ttl",
            Self::PingContextTooLong { .. } => "ping_context_too_long",
            Self::PongContextTooLong { .. } => "pong_context_too_long",
            Self::MetadataCut => "metadata_cut",
            Self::PropertyNameEmpty => "property_name_empty",
            Self::PropertyNameInvalid { .. } => "property_name_invalid",
            Self::PropertyTwice { .. } => "property_twice",
            Self::SocketTypeMissing => "socket_type_missing",
            Self::UnknownSocketType { .. } => "unknown_socket_type",
            Self::RoutingIdTooLong { .. } => "routing_id_too_long",
            Self::ReservedFlagBits { .. } => "reserved_flag_bits",
            Self::CommandWithMore { .. } => "command_with_more",
            Self::CommandTooLong { .. } => "command_too_long",
            Self::FrameTooLong { .. } => "frame_too_long",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::TooManyFrames { .. } => "too_many_frames",
            Self::PeerRefused { .. } => "peer_refused",
        }
    }

    /// Returns true if the peer seems to use ZMTP before 3.0 (ZeroMQ before 4.0).
    ///
    /// That includes a first byte of 0x01, the first byte of an anonymous ZMTP 1.0 peer.
    ///
    /// ```
    /// use majordomus_zmtp::Error;
    ///
    /// assert!(Error::GreetingNotZmtp { first: 0x01 }.is_old_zmtp());
    /// assert!(!Error::GreetingNotZmtp { first: b'G' }.is_old_zmtp());
    /// ```
    #[must_use]
    pub fn is_old_zmtp(&self) -> bool {
        matches!(
            self,
            Self::VersionTooOld { .. }
                | Self::SignatureEnd { .. }
                | Self::GreetingNotZmtp { first: 0x01 }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GreetingNotZmtp { first } => write!(
                f,
                "not ZMTP 3: the first byte is {first:#04x} and not 0xff; is this a ZeroMQ 4 peer?"
            ),
            Self::SignatureEnd { last } => write!(
                f,
                "ZMTP 1.0, or no ZMTP: the tenth byte is {last:#04x} and not 0x7f; \
                 the peer needs ZeroMQ 4.0 or newer"
            ),
            Self::VersionTooOld { major } => write!(
                f,
                "the greeting has major version {major}, ZMTP before 3.0; \
                 the peer needs ZeroMQ 4.0 or newer"
            ),
            Self::MechanismMismatch { theirs, ours } => write!(
                f,
                "the peer wants the security mechanism \"{}\" and we have {ours}; \
                 configure the same on both sides",
                theirs.escape_ascii()
            ),
            Self::HandshakeTooLong { limit } => {
                write!(f, "more than {limit} bytes came before the handshake ended")
            }
            Self::MessageBeforeReady => f.write_str("a message came before the peer's READY"),
            Self::NotReadyFirst { name } => {
                write!(f, "the first command is {} and not READY", name.escape_ascii())
            }
            Self::UnexpectedCommand { name } => {
                write!(f, "the command {} came after the handshake", name.escape_ascii())
            }
            Self::CommandWithoutName => f.write_str("a command has no name"),
            Self::CommandNameCut { announced, present } => write!(
                f,
                "a command announces a name of {announced} bytes and has {present} bytes for it"
            ),
            Self::PingWithoutTtl { len } => {
                write!(f, "a PING has {len} bytes of data and needs two for its time to live")
            }
            Self::PingContextTooLong { len } => {
                write!(f, "a PING has a context of {len} bytes, and 16 are allowed")
            }
            Self::PongContextTooLong { len } => {
                write!(f, "a PONG has a context of {len} bytes, and 16 are allowed")
            }
            Self::MetadataCut => f.write_str("READY ends inside a property"),
            Self::PropertyNameEmpty => f.write_str("READY has a property without a name"),
            Self::PropertyNameInvalid { name } => write!(
                f,
                "READY has a property named \"{}\"; letters, digits and -_.+ are allowed",
                name.escape_ascii()
            ),
            Self::PropertyTwice { name } => write!(f, "READY has the property {name} twice"),
            Self::SocketTypeMissing => f.write_str("READY has no property Socket-Type"),
            Self::UnknownSocketType { name } => {
                write!(f, "unknown socket type \"{}\"", name.escape_ascii())
            }
            Self::RoutingIdTooLong { len } => {
                write!(f, "the routing id has {len} bytes, and 255 are allowed")
            }
            Self::ReservedFlagBits { flags } => write!(
                f,
                "a frame has the flags {flags:#04x}, with bits that must be zero; \
                 the stream is out of step, or not ZMTP"
            ),
            Self::CommandWithMore { flags } => {
                write!(f, "a command has the flags {flags:#04x}, which announce more frames")
            }
            Self::CommandTooLong { len, limit } => {
                write!(f, "a command of {len} bytes came, and {limit} are allowed")
            }
            Self::FrameTooLong { len, limit } => {
                write!(f, "a frame of {len} bytes came, and a message may have {limit}")
            }
            Self::MessageTooLong { limit } => {
                write!(f, "the frames of a message have more than {limit} bytes")
            }
            Self::TooManyFrames { limit } => {
                write!(f, "a message has more than {limit} frames")
            }
            Self::PeerRefused { reason } if reason.is_empty() => {
                f.write_str("the peer refused the connection without a reason")
            }
            Self::PeerRefused { reason } => {
                write!(f, "the peer refused the connection: {}", reason.escape_ascii())
            }
        }
    }
}

impl core::error::Error for Error {}
