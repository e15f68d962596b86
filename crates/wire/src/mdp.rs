//! The engine for the dialects of 7/MDP and 18/MDP: header, command, service or client address,
//! body. The dialects differ in the constants of a [`Table`].

mod decode;
mod encode;
mod head;
mod parts;

use majordomus_core::{FramesView, OutcomeSet};

pub use parts::PACKED_PARTS_MAX;

use crate::detect::Recognition;
use crate::{Codec, Dialect, Error, Errors, Json, Side};

/// The length in bytes of the headers of these dialects.
const HEADER_BYTES: usize = 6;

/// The constants of a dialect.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) dialect: Dialect,
    pub(crate) framing: Framing,
    pub(crate) delimiter: Delimiter,
    pub(crate) no_body: NoBody,
    pub(crate) client: ClientTable,
    pub(crate) worker: WorkerTable,
}

impl Table {
    /// Returns the outcomes that are reported to a client.
    pub(crate) const fn told(&self, errors: Errors) -> OutcomeSet {
        match (&self.client.replies, errors) {
            (Some(ReplyCommands { nak: Some(nak), .. }), Errors::Silent) => nak.outcomes,
            (Some(ReplyCommands { nak: Some(nak), .. }), Errors::Final) => nak.and_errors,
            _ => errors.told(),
        }
    }

    /// Returns the side that writes this header.
    pub(crate) fn side_of(&self, header: &[u8]) -> Option<Side> {
        if self.framing == Framing::Head {
            return head::side_of(header);
        }
        if header == self.client.header {
            Some(Side::Client)
        } else if header == self.worker.header {
            Some(Side::Worker)
        } else {
            None
        }
    }
}

/// The mapping of a message's logical frames to ZMTP frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each logical frame is a ZMTP frame.
    Frames,
    /// All logical frames are packed into one ZMTP frame.
    Parts,
    /// Header, command and service (if any) are packed into the first ZMTP frame; each other
    /// logical frame is a ZMTP frame.
    Head,
}

/// The handling of a body without frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// The empty body is written as it is.
    Kept,
    /// It is written as one empty frame because a library of the dialect requires one.
    Filled,
    /// It is written as one empty frame, and a request without a body is rejected.
    Refused,
}

/// The leading empty frame of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Never,
    Required,
    /// Each peer chooses, and must keep to its choice.
    Optional,
}

#[derive(Debug)]
pub(crate) struct ClientTable {
    pub(crate) header: &'static [u8; HEADER_BYTES],
    /// `None` if a request has no command frame: clients send no other command.
    pub(crate) request: Option<u8>,
    /// `None` if a reply has no command frame: each is the last.
    pub(crate) replies: Option<ReplyCommands>,
    /// True if a reply names its service.
    pub(crate) service_in_reply: bool,
}

#[derive(Debug)]
pub(crate) struct ReplyCommands {
    pub(crate) partial: u8,
    /// Equal to `partial` if the dialect does not mark the last reply.
    pub(crate) last: u8,
    pub(crate) nak: Option<Nak>,
}

impl ReplyCommands {
    /// Returns true if this is one of the reply commands.
    fn has(&self, command: u8) -> bool {
        let nak = self.nak.as_ref().is_some_and(|nak| nak.command == command);
        nak || command == self.partial || command == self.last
    }
}

/// The command that reports to a client that there will be no reply.
#[derive(Debug)]
pub(crate) struct Nak {
    pub(crate) command: u8,
    /// The outcomes reported by this command.
    pub(crate) outcomes: OutcomeSet,
    /// These outcomes, and those reported by a reply if the listener reports errors.
    pub(crate) and_errors: OutcomeSet,
}

#[derive(Debug)]
pub(crate) struct WorkerTable {
    pub(crate) header: &'static [u8; HEADER_BYTES],
    pub(crate) ready: u8,
    pub(crate) request: u8,
    pub(crate) partial: Option<u8>,
    pub(crate) last: u8,
    pub(crate) heartbeat: u8,
    pub(crate) disconnect: u8,
}

/// A dialect's table and a connection's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) table: &'static Table,
    pub(crate) delimiter: bool,
    /// The translation of clients' bodies to JSON for a worker that requires it.
    pub(crate) json: Json,
}

/// Returns how well a first message fits this dialect. A matching header and leading empty frame
/// make the dialect possible; a client's command that is the dialect's REQUEST makes it certain.
pub(crate) fn recognise(table: &Table, first_message: FramesView<'_>) -> Recognition {
    let first = match table.framing {
        Framing::Parts => parts::first(first_message).ok(),
        Framing::Frames | Framing::Head => first_message.get(0),
    };
    let delimiter = first.is_some_and(<[u8]>::is_empty);
    match (table.delimiter, delimiter) {
        (Delimiter::Required, false) | (Delimiter::Never, true) => return Recognition::No,
        _ => {}
    }
    let header = if delimiter { first_message.get(1) } else { first };
    let Some(side) = header.and_then(|header| table.side_of(header)) else {
        return Recognition::No;
    };
    let codec = Codec::with_delimiter(table.dialect, side, delimiter);
    let command = first_message.get(usize::from(delimiter) + 1);
    match (side, table.client.request, table.framing) {
        (Side::Client, Some(request), Framing::Frames) if command == Some(&[request]) => {
            Recognition::Certain(codec)
        }
        _ => Recognition::Possible(codec),
    }
}

/// Returns the error if the header cannot be read in the first message of a CLIENT socket.
pub(crate) fn wrong_parts<'a>(first_message: FramesView<'a>) -> Result<&'a [u8], Error> {
    parts::first(first_message)
}

/// Returns the error of a first frame that has zproto's signature but an invalid message id.
pub(crate) fn wrong_head(frame: &[u8]) -> Option<Error> {
    head::wrong(frame)
}
