//! Protocol violations: the errors of the decoders.

use core::fmt;

use bytes::Bytes;
use majordomus_core::{ByteStr, DisconnectReason};

use crate::mdp::PACKED_PARTS_MAX;
use crate::reading::{ADDRESS_BYTES_MAX, REQUEST_ID_BYTES_MAX};
use crate::service::SERVICE_NAME_BYTES_MAX;
use crate::{Dialect, Side, omdp1};

/// The maximum number of bytes of an unknown header that are kept for display.
pub const HEADER_SHOWN_BYTES_MAX: usize = 32;

/// A message that violates its dialect.
///
/// ```
/// use majordomus_core::Frames;
/// use majordomus_wire::{Codec, Violation, Socket};
///
/// let first = Frames::from_slices(&["", "MDPC01"]);
/// let error = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap_err();
/// assert_eq!((error.frame(), error.violation()), (Some(2), &Violation::MissingService));
/// assert_eq!(error.to_string(), "frame 2: there is no service name");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: Place,
    violation: Violation,
    /// The disconnect reason to answer with although the peer has no codec.
    disconnect_reason: Option<DisconnectReason>,
}

/// The place of a violation in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Message,
    Frame(usize),
    /// A part of the single frame that a message is packed in.
    Part(usize),
}

impl Error {
    pub(crate) fn at(frame: usize, violation: Violation) -> Self {
        Self { place: Place::Frame(frame), violation, disconnect_reason: None }
    }

    pub(crate) fn at_part(part: usize, violation: Violation) -> Self {
        Self { place: Place::Part(part), violation, disconnect_reason: None }
    }

    pub(crate) fn of_message(violation: Violation) -> Self {
        Self { place: Place::Message, violation, disconnect_reason: None }
    }

    /// Returns the same error for a first message that is answered.
    pub(crate) fn answered_with(self, disconnect_reason: DisconnectReason) -> Self {
        Self { disconnect_reason: Some(disconnect_reason), ..self }
    }

    /// Returns the same error for a packed message, whose decoded frames are parts of one frame.
    pub(crate) fn of_part(self) -> Self {
        match self.place {
            Place::Frame(part) => Self::at_part(part, self.violation),
            Place::Message | Place::Part(_) => self,
        }
    }

    /// Returns the invalid or missing frame, counted from 0 in the message as received, including a
    /// leading empty frame. Returns `None` if the message as a whole is invalid.
    pub fn frame(&self) -> Option<usize> {
        match self.place {
            Place::Message => None,
            Place::Frame(frame) => Some(frame),
            Place::Part(_) => Some(0),
        }
    }

    /// Returns the invalid or missing part, counted from 0, if the message is one frame with packed
    /// parts.
    pub fn part(&self) -> Option<usize> {
        match self.place {
            Place::Part(part) => Some(part),
            Place::Message | Place::Frame(_) => None,
        }
    }

    /// Returns the violation.
    pub fn violation(&self) -> &Violation {
        &self.violation
    }

    /// Returns the single frame to answer a first message with if it yields no
    /// [codec](crate::Codec::detect) and its dialect has an answer for that: DISCONNECT of OMDP/1.
    /// The connection's dialect stays unknown, and the peer may start again.
    ///
    /// ```
    /// use majordomus_core::Frames;
    /// use majordomus_wire::{Codec, Socket};
    ///
    /// // HEARTBEAT without a preceding HELLO.
    /// let first = Frames::from_slices(&["\x03"]);
    /// let error = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap_err();
    /// assert_eq!(error.answer().as_deref(), Some(&b"\x05\x01\x90\x0bHELLO first"[..]));
    ///
    /// let first = Frames::from_slices(&["", "MDPC01"]);
    /// let error = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap_err();
    /// assert_eq!(error.answer(), None);
    /// ```
    pub fn answer(&self) -> Option<Bytes> {
        self.disconnect_reason
            .map(|disconnect_reason| omdp1::answer(disconnect_reason, &self.violation))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Message => {}
            Place::Frame(frame) => write!(f, "frame {frame}: ")?,
            Place::Part(part) => write!(f, "part {part}: ")?,
        }
        fmt::Display::fmt(&self.violation, f)
    }
}

impl core::error::Error for Error {}

/// A protocol violation.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::Violation;
///
/// let violation = Violation::ServiceTooLong { bytes: 300 };
/// assert!(violation.to_string().contains("300"), "{violation}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The message has no frame.
    NoFrames,
    /// The message has no leading empty frame, which the dialect requires or this connection has
    /// used so far.
    DelimiterMissing,
    /// The message has a leading empty frame, which the dialect forbids or this connection has not
    /// used so far.
    UnexpectedDelimiter,
    /// An empty frame is the whole message.
    MissingHeader,
    /// No dialect has this header.
    UnknownHeader {
        /// The header, or its first [`HEADER_SHOWN_BYTES_MAX`] bytes.
        header: ByteStr,
    },
    /// A client sent a worker's header, or a worker a client's.
    HeaderOfOtherSide {
        /// The side that the connection is on.
        expected: Side,
    },
    /// The header belongs to a dialect other than the connection's.
    HeaderOfOtherDialect {
        /// The header, or its first [`HEADER_SHOWN_BYTES_MAX`] bytes.
        header: ByteStr,
        /// The connection's dialect.
        expected: Dialect,
    },
    /// The listener is pinned to one dialect, and the peer uses another.
    PinnedToOther {
        /// The peer's dialect.
        spoken: Dialect,
        /// The listener's dialect.
        pinned: Dialect,
    },
    /// The message ends before its command.
    MissingCommand,
    /// The command frame is not one byte long.
    CommandLength {
        /// The frame's length in bytes.
        bytes: usize,
    },
    /// The dialect has no such command.
    UnknownCommand {
        /// The command's number.
        command: u8,
    },
    /// The dialect has this command only in the other direction.
    CommandOfOtherDirection {
        /// The command's number.
        command: u8,
    },
    /// The message ends before the service name.
    MissingService,
    /// The service name is empty.
    EmptyService,
    /// The service name is longer than [`SERVICE_NAME_BYTES_MAX`](crate::SERVICE_NAME_BYTES_MAX).
    ServiceTooLong {
        /// The name's length in bytes.
        bytes: usize,
    },
    /// The service name is not UTF-8.
    ServiceNotUtf8,
    /// The service name contains a control character.
    ServiceControlCharacter {
        /// The control character.
        byte: u8,
    },
    /// The message ends before the client address.
    MissingAddress,
    /// The client address is empty.
    EmptyAddress,
    /// The client address is longer than [`ADDRESS_BYTES_MAX`](crate::ADDRESS_BYTES_MAX).
    AddressTooLong {
        /// The address's length in bytes.
        bytes: usize,
    },
    /// The message ends before the empty frame that follows the client address.
    MissingSeparator,
    /// The frame after the client address is not empty.
    SeparatorNotEmpty {
        /// The frame's length in bytes.
        bytes: usize,
    },
    /// A command without a body is followed by more frames.
    ExcessFrames {
        /// The number of excess frames.
        count: usize,
    },
    /// The dialect requires at least one body frame, and there is none.
    MissingBody,
    /// The message ends before the request id.
    MissingId,
    /// The request id is longer than [`REQUEST_ID_BYTES_MAX`](crate::REQUEST_ID_BYTES_MAX).
    IdTooLong {
        /// The id's length in bytes.
        bytes: usize,
    },
    /// A CLIENT socket sent more than one frame, which ZMTP forbids.
    SeveralFrames {
        /// The number of frames.
        count: usize,
    },
    /// A part's declared length exceeds the rest of the frame that it is packed in.
    PartPastEnd {
        /// The declared length in bytes.
        bytes: u32,
        /// The number of bytes left.
        left: usize,
    },
    /// A packed frame ends where a number or the length of a part must follow.
    PackedFrameCut,
    /// A frame has more parts than [`PACKED_PARTS_MAX`](crate::PACKED_PARTS_MAX).
    TooManyParts,
    /// The dialect has no message with this id.
    UnknownMessageId {
        /// The message id.
        id: u8,
    },
    /// The version does not match the message id.
    VersionNotOfMessage {
        /// The message id.
        id: u8,
    },
    /// The command does not match the message id.
    CommandNotOfMessage {
        /// The message id.
        id: u8,
        /// The command.
        command: u8,
    },
    /// A packed frame has bytes after its last field.
    ExcessBytes {
        /// The number of excess bytes.
        count: usize,
    },
    /// The first message is not HELLO, which this dialect requires.
    HelloMissing {
        /// The command received instead.
        command: u8,
    },
    /// HELLO does not begin with the protocol's signature.
    WrongSignature,
    /// The peer supports no version that Majordomus supports.
    NoCommonVersion {
        /// The lowest version that the peer supports.
        lowest: u8,
        /// The highest version that the peer supports.
        highest: u8,
    },
    /// The peer's declared role is neither client nor worker.
    UnknownRole {
        /// The declared role.
        role: u8,
    },
    /// A client sent the HELLO of a worker, or a worker that of a client.
    RoleOfOtherSide {
        /// The side that the connection is on.
        expected: Side,
    },
    /// The dialect has this command in this direction, but only for peers of the other side.
    CommandOfOtherSide {
        /// The command's number.
        command: u8,
        /// The side that the connection is on.
        expected: Side,
    },
    /// A field's declared length exceeds the rest of the frame that it is packed in.
    FieldPastEnd {
        /// The declared length in bytes.
        bytes: usize,
        /// The number of bytes left.
        left: usize,
    },
    /// A ticket is empty.
    EmptyTicket,
    /// The headers end inside a header.
    HeaderCut,
    /// The declared length of a header's name or value exceeds the rest of the headers.
    HeaderPastEnd {
        /// The declared length in bytes.
        bytes: usize,
        /// The number of bytes left.
        left: usize,
    },
    /// A header name is empty.
    EmptyHeaderName,
    /// A header name contains a character other than a letter, digit, `-`, `_`, `.` or `+`.
    HeaderNameCharacter {
        /// The invalid character.
        byte: u8,
    },
}

impl Violation {
    /// The names of all violations, for counters of a fixed size. [`index`](Violation::index) is the
    /// position in this list.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::Violation;
    ///
    /// let mut counters = [0u64; Violation::NAMES.len()];
    /// counters[Violation::MissingBody.index()] += 1;
    /// ```
    pub const NAMES: [&'static str; 46] = [
        "no_frames",
        "delimiter_missing",
        "unexpected_delimiter",
        "missing_header",
        "unknown_header",
        "header_of_other_side",
        "header_of_other_dialect",
        "pinned_to_other",
        "missing_command",
        "command_length",
        "unknown_command",
        "command_of_other_direction",
        "missing_service",
        "empty_service",
        "service_too_long",
        "service_not_utf8",
        "service_control_character",
        "missing_address",
        "empty_address",
        "address_too_long",
        "missing_separator",
        "separator_not_empty",
        "excess_frames",
        "missing_body",
        "missing_id",
        "id_too_long",
        "several_frames",
        "part_past_end",
        "packed_frame_cut",
        "too_many_parts",
        "unknown_message_id",
        "version_not_of_message",
        "command_not_of_message",
        "excess_bytes",
        "hello_missing",
        "wrong_signature",
        "no_common_version",
        "unknown_role",
        "role_of_other_side",
        "command_of_other_side",
        "field_past_end",
        "empty_ticket",
        "header_cut",
        "header_past_end",
        "empty_header_name",
        "header_name_character",
    ];

    /// Returns the position of the name in [`NAMES`](Violation::NAMES). The position can change
    /// between versions; the name does not.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::Violation;
    ///
    /// let violation = Violation::EmptyService;
    /// assert_eq!(Violation::NAMES[violation.index()], violation.name());
    /// ```
    pub const fn index(&self) -> usize {
        match self {
            Violation::NoFrames => 0,
            Violation::DelimiterMissing => 1,
            Violation::UnexpectedDelimiter => 2,
            Violation::MissingHeader => 3,
            Violation::UnknownHeader { .. } => 4,
            Violation::HeaderOfOtherSide { .. } => 5,
            Violation::HeaderOfOtherDialect { .. } => 6,
            Violation::PinnedToOther { .. } => 7,
            Violation::MissingCommand => 8,
            Violation::CommandLength { .. } => 9,
            Violation::UnknownCommand { .. } => 10,
            Violation::CommandOfOtherDirection { .. } => 11,
            Violation::MissingService => 12,
            Violation::EmptyService => 13,
            Violation::ServiceTooLong { .. } => 14,
            Violation::ServiceNotUtf8 => 15,
            Violation::ServiceControlCharacter { .. } => 16,
            Violation::MissingAddress => 17,
            Violation::EmptyAddress => 18,
            Violation::AddressTooLong { .. } => 19,
            Violation::MissingSeparator => 20,
            Violation::SeparatorNotEmpty { .. } => 21,
            Violation::ExcessFrames { .. } => 22,
            Violation::MissingBody => 23,
            Violation::MissingId => 24,
            Violation::IdTooLong { .. } => 25,
            Violation::SeveralFrames { .. } => 26,
            Violation::PartPastEnd { .. } => 27,
            Violation::PackedFrameCut => 28,
            Violation::TooManyParts => 29,
            Violation::UnknownMessageId { .. } => 30,
            Violation::VersionNotOfMessage { .. } => 31,
            Violation::CommandNotOfMessage { .. } => 32,
            Violation::ExcessBytes { .. } => 33,
            Violation::HelloMissing { .. } => 34,
            Violation::WrongSignature => 35,
            Violation::NoCommonVersion { .. } => 36,
            Violation::UnknownRole { .. } => 37,
            Violation::RoleOfOtherSide { .. } => 38,
            Violation::CommandOfOtherSide { .. } => 39,
            Violation::FieldPastEnd { .. } => 40,
            Violation::EmptyTicket => 41,
            Violation::HeaderCut => 42,
            Violation::HeaderPastEnd { .. } => 43,
            Violation::EmptyHeaderName => 44,
            Violation::HeaderNameCharacter { .. } => 45,
        }
    }

    /// Returns the name used in logs and counters.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::Violation;
    ///
    /// assert_eq!(Violation::ServiceTooLong { bytes: 300 }.name(), "service_too_long");
    /// ```
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::NoFrames => f.write_str("the message has no frame"),
            Violation::DelimiterMissing => f.write_str("the leading empty frame is missing"),
            Violation::UnexpectedDelimiter => {
                f.write_str("a leading empty frame, where this connection has none")
            }
            Violation::MissingHeader => f.write_str("there is no header"),
            Violation::UnknownHeader { header } => {
                write!(f, "unknown header {header:?} (known: ")?;
                write_known_headers(f)?;
                f.write_str(")")
            }
            Violation::HeaderOfOtherSide { expected: Side::Client } => {
                f.write_str("the header of a worker on the connection of a client")
            }
            Violation::HeaderOfOtherSide { expected: Side::Worker } => {
                f.write_str("the header of a client on the connection of a worker")
            }
            Violation::HeaderOfOtherDialect { header, expected } => {
                write!(f, "header {header:?} on a connection that speaks {expected}")
            }
            Violation::PinnedToOther { spoken, pinned } => {
                write!(f, "{spoken} is spoken where only {pinned} is taken")
            }
            Violation::MissingCommand => f.write_str("there is no command"),
            Violation::CommandLength { bytes } => {
                write!(f, "command of {bytes} bytes instead of one")
            }
            Violation::UnknownCommand { command } => write!(f, "unknown command {command:#04x}"),
            Violation::CommandOfOtherDirection { command } => {
                write!(f, "command {command:#04x} is only for the other direction")
            }
            Violation::MissingService => f.write_str("there is no service name"),
            Violation::EmptyService => f.write_str("the service name is empty"),
            Violation::ServiceTooLong { bytes } => {
                write!(f, "service name of {bytes} bytes is longer than {SERVICE_NAME_BYTES_MAX}")
            }
            Violation::ServiceNotUtf8 => f.write_str("the service name is not UTF-8"),
            Violation::ServiceControlCharacter { byte } => {
                write!(f, "control character {byte:#04x} in the service name")
            }
            Violation::MissingAddress => f.write_str("there is no client address"),
            Violation::EmptyAddress => f.write_str("the client address is empty"),
            Violation::AddressTooLong { bytes } => {
                write!(f, "client address of {bytes} bytes is longer than {ADDRESS_BYTES_MAX}")
            }
            Violation::MissingSeparator => {
                f.write_str("the empty frame behind the client address is missing")
            }
            Violation::SeparatorNotEmpty { bytes } => {
                write!(f, "{bytes} bytes where an empty frame belongs, behind the client address")
            }
            Violation::ExcessFrames { count } => {
                write!(f, "excess frames behind the end of the command: {count}")
            }
            Violation::MissingBody => f.write_str("there is no body frame"),
            Violation::MissingId => f.write_str("there is no request id"),
            Violation::IdTooLong { bytes } => {
                write!(f, "request id of {bytes} bytes is longer than {REQUEST_ID_BYTES_MAX}")
            }
            Violation::SeveralFrames { count } => {
                write!(f, "{count} frames from a CLIENT socket, which sends one")
            }
            Violation::PartPastEnd { bytes, left } => {
                write!(f, "it says that it has {bytes} bytes, and {left} are left of its frame")
            }
            Violation::PackedFrameCut => f.write_str("the packed frame ends too early"),
            Violation::TooManyParts => {
                write!(f, "there are more than {PACKED_PARTS_MAX} parts in one frame")
            }
            Violation::UnknownMessageId { id } => write!(f, "unknown message id {id}"),
            Violation::VersionNotOfMessage { id } => {
                write!(f, "the version is not that of a message with the id {id}")
            }
            Violation::CommandNotOfMessage { id, command } => {
                write!(f, "command {command:#04x} is not that of a message with the id {id}")
            }
            Violation::ExcessBytes { count } => {
                write!(f, "excess bytes behind the last field: {count}")
            }
            Violation::HelloMissing { command } => {
                write!(f, "command {command:#04x} before HELLO")
            }
            Violation::WrongSignature => f.write_str("HELLO without the signature OMDP"),
            Violation::NoCommonVersion { lowest, highest } => {
                write!(f, "versions {lowest} to {highest} are spoken there, and here only 1")
            }
            Violation::UnknownRole { role } => {
                write!(f, "role {role} is neither client (1) nor worker (2)")
            }
            Violation::RoleOfOtherSide { expected: Side::Client } => {
                f.write_str("HELLO of a worker on the connection of a client")
            }
            Violation::RoleOfOtherSide { expected: Side::Worker } => {
                f.write_str("HELLO of a client on the connection of a worker")
            }
            Violation::CommandOfOtherSide { command, expected: Side::Client } => {
                write!(f, "command {command:#04x} is for workers, on the connection of a client")
            }
            Violation::CommandOfOtherSide { command, expected: Side::Worker } => {
                write!(f, "command {command:#04x} is for clients, on the connection of a worker")
            }
            Violation::FieldPastEnd { bytes, left } => {
                write!(
                    f,
                    "a field says that it has {bytes} bytes, and {left} are left of its frame"
                )
            }
            Violation::EmptyTicket => f.write_str("the ticket is empty"),
            Violation::HeaderCut => f.write_str("the headers end inside one of them"),
            Violation::HeaderPastEnd { bytes, left } => {
                write!(
                    f,
                    "a header says that it has {bytes} bytes, and {left} are left of them all"
                )
            }
            Violation::EmptyHeaderName => f.write_str("the name of a header is empty"),
            Violation::HeaderNameCharacter { byte } => {
                write!(f, "byte {byte:#04x} in the name of a header")
            }
        }
    }
}

/// Writes each header once, because some dialects share headers.
fn write_known_headers(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let headers = |dialect: &Dialect| dialect.grammar().headers();
    let mut gap = "";
    for (index, dialect) in Dialect::ALL.iter().enumerate() {
        let Some([client, worker]) = headers(dialect) else { continue };
        if Dialect::ALL[..index].iter().any(|earlier| headers(earlier) == Some([client, worker])) {
            continue;
        }
        write!(f, "{gap}{}, {}", client.escape_ascii(), worker.escape_ascii())?;
        gap = ", ";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut names = Violation::NAMES;
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
