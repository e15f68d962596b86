//! The engine for the dialects that are 7/MDP and 18/MDP: header, command, service or client
//! address, body. They differ in the constants of a [`Table`].

mod decode;
mod encode;
mod head;
mod parts;

use majordomus_core::{FramesView, OutcomeSet};

pub use parts::PACKED_PARTS_MAX;

use crate::detect::Recognition;
use crate::{Codec, Dialect, Error, Errors, Json, Side};

/// Length of the headers of all these dialects.
const HEADER_BYTES: usize = 6;

/// What tells one of these dialects from another.
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
    /// The ends that a client is told of.
    pub(crate) const fn told(&self, errors: Errors) -> OutcomeSet {
        match (&self.client.replies, errors) {
            (Some(ReplyCommands { nak: Some(nak), .. }), Errors::Silent) => nak.outcomes,
            (Some(ReplyCommands { nak: Some(nak), .. }), Errors::Final) => nak.and_errors,
            _ => errors.told(),
        }
    }

    /// Which side writes this header.
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

/// Which of the frames that make up a message are sent as frames of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// All of them.
    Frames,
    /// None: the message is one frame, in which they are packed.
    Parts,
    /// All but the first: header, command and, where there is one, service are packed in it.
    Head,
}

/// What becomes of a body without a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It is written as it is.
    Kept,
    /// It is written as one empty frame, because a library of the dialect cannot do without.
    Filled,
    /// As filled, and a request must have a body.
    Refused,
}

/// Whether messages begin with an empty frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Never,
    Required,
    /// Every peer as it likes, and always the same way.
    Optional,
}

#[derive(Debug)]
pub(crate) struct ClientTable {
    pub(crate) header: &'static [u8; HEADER_BYTES],
    /// `None` where a request has no command frame: clients say nothing else.
    pub(crate) request: Option<u8>,
    /// `None` where a reply has no command frame: each is the last.
    pub(crate) replies: Option<ReplyCommands>,
    /// Whether a reply names its service.
    pub(crate) service_in_reply: bool,
}

#[derive(Debug)]
pub(crate) struct ReplyCommands {
    pub(crate) partial: u8,
    /// The same, where a dialect does not say which reply is the last.
    pub(crate) last: u8,
    pub(crate) nak: Option<Nak>,
}

impl ReplyCommands {
    /// Whether it is one of them.
    fn has(&self, command: u8) -> bool {
        let nak = self.nak.as_ref().is_some_and(|nak| nak.command == command);
        nak || command == self.partial || command == self.last
    }
}

/// The command by which a client hears that there will be no reply.
#[derive(Debug)]
pub(crate) struct Nak {
    pub(crate) command: u8,
    /// The ends that it is told by this command.
    pub(crate) outcomes: OutcomeSet,
    /// Those, and the ones that it is told by a reply where the listener wants errors told.
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

/// A table, and what one connection makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) table: &'static Table,
    pub(crate) delimiter: bool,
    /// How what clients say becomes JSON for a worker that wants it.
    pub(crate) json: Json,
}

/// Whether a connection that begins with this message speaks this dialect. Header and leading empty
/// frame make it possible; where a client's command is this dialect's REQUEST, it is certain.
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

/// What is wrong with the first message of a CLIENT socket, if its header cannot be read.
pub(crate) fn wrong_parts<'a>(first_message: FramesView<'a>) -> Result<&'a [u8], Error> {
    parts::first(first_message)
}

/// What is wrong with a first frame that begins as zproto's, and says no side.
pub(crate) fn wrong_head(frame: &[u8]) -> Option<Error> {
    head::wrong(frame)
}
