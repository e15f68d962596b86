//! The engine for the dialects that are 7/MDP and 18/MDP: header, command, service or client
//! address, body. They differ in the constants of a [`Table`].

mod decode;
mod encode;

use majordomus_core::Frames;

use crate::detect::Recognition;
use crate::{Codec, Dialect, Json, Side};

/// What tells one of these dialects from another.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) dialect: Dialect,
    pub(crate) delimiter: Delimiter,
    /// An empty body is written as one empty frame, and a request must have a body.
    pub(crate) needs_body: bool,
    pub(crate) client: ClientTable,
    pub(crate) worker: WorkerTable,
}

impl Table {
    /// Which side writes this header.
    pub(crate) fn side_of(&self, header: &[u8]) -> Option<Side> {
        if header == self.client.header {
            Some(Side::Client)
        } else if header == self.worker.header {
            Some(Side::Worker)
        } else {
            None
        }
    }
}

/// Whether messages begin with an empty frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Required,
    /// Every peer as it likes, and always the same way.
    Optional,
}

#[derive(Debug)]
pub(crate) struct ClientTable {
    pub(crate) header: &'static [u8],
    /// `None` where clients have no command frame: there is one command each way.
    pub(crate) commands: Option<ClientCommands>,
    /// Whether a reply names its service.
    pub(crate) service_in_reply: bool,
}

#[derive(Debug)]
pub(crate) struct ClientCommands {
    pub(crate) request: u8,
    pub(crate) partial: u8,
    pub(crate) last: u8,
}

#[derive(Debug)]
pub(crate) struct WorkerTable {
    pub(crate) header: &'static [u8],
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
pub(crate) fn recognise(table: &Table, first_message: &Frames) -> Recognition {
    let delimiter = first_message.get(0).is_some_and(<[u8]>::is_empty);
    let header_at = usize::from(delimiter);
    let side = first_message.get(header_at).and_then(|header| table.side_of(header));
    let Some(side) = side else { return Recognition::No };
    if table.delimiter == Delimiter::Required && !delimiter {
        return Recognition::No;
    }
    let codec = Codec::with_delimiter(table.dialect, side, delimiter);
    let command = first_message.get(header_at + 1);
    match (side, &table.client.commands) {
        (Side::Client, Some(commands)) if command == Some(&[commands.request]) => {
            Recognition::Certain(codec)
        }
        _ => Recognition::Possible(codec),
    }
}
