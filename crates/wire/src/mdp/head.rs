//! The first frame of a message as packed by zproto: a signature, the message id, and the message's
//! first fields.
//!
//! ```text
//! 0xAA 0xA4   id   version   command   service
//!             1 B  string    1 B       string, in a request and a reply of a client and in READY
//! string      one byte of length, and the text
//! ```
//!
//! The id determines version and command, which must agree with it.

use alloc::vec::Vec;

use majordomus_core::FramesView;

use super::Table;
use super::decode::Opening;
use crate::detect::wrong_header;
use crate::service::check_service_name;
use crate::{Error, Side, Sink, Violation};

const SIGNATURE: &[u8] = b"\xAA\xA4";

/// The worker's message ids continue after the client's.
const CLIENT_IDS: u8 = 3;
const WORKER_IDS: u8 = 6;
/// The worker's first message id, the only one of a worker with a service.
const READY: u8 = CLIENT_IDS + 1;

/// Returns the side and the command of a message id.
fn message(id: u8) -> Option<(Side, u8)> {
    match id {
        1..=CLIENT_IDS => Some((Side::Client, id)),
        READY.. if id <= CLIENT_IDS + WORKER_IDS => Some((Side::Worker, id - CLIENT_IDS)),
        _ => None,
    }
}

/// The initial capacity of a first frame: enough for a short name.
const HEAD_BYTES: usize = 64;

fn has_service(id: u8) -> bool {
    id <= READY
}

/// Returns the side that writes this first frame.
pub(super) fn side_of(frame: &[u8]) -> Option<Side> {
    let id = frame.strip_prefix(SIGNATURE)?.first()?;
    message(*id).map(|(side, _)| side)
}

/// Returns the error of a frame that has the signature but an invalid message id.
pub(super) fn wrong(frame: &[u8]) -> Option<Error> {
    let violation = match frame.strip_prefix(SIGNATURE)? {
        [] => Violation::PackedFrameCut,
        [id, ..] if message(*id).is_none() => Violation::UnknownMessageId { id: *id },
        _ => return None,
    };
    Some(Error::at(0, violation))
}

/// Decodes the first frame of a message.
pub(super) fn read<'a>(
    table: &Table,
    message: FramesView<'a>,
    side: Side,
) -> Result<Opening<'a>, Error> {
    let Some(frame) = message.get(0) else {
        return Err(Error::of_message(Violation::NoFrames));
    };
    fields(table, frame, side).map_err(|violation| Error::at(0, violation))
}

fn fields<'a>(table: &Table, frame: &'a [u8], expected: Side) -> Result<Opening<'a>, Violation> {
    let Some(mut rest) = frame.strip_prefix(SIGNATURE) else {
        return Err(match frame {
            [] => Violation::UnexpectedDelimiter,
            _ => wrong_header(frame, table.dialect, expected),
        });
    };
    let id = number(&mut rest)?;
    let Some((side, named)) = message(id) else {
        return Err(Violation::UnknownMessageId { id });
    };
    if side != expected {
        return Err(Violation::HeaderOfOtherSide { expected });
    }
    let header = match side {
        Side::Client => table.client.header,
        Side::Worker => table.worker.header,
    };
    if string(&mut rest)? != header {
        return Err(Violation::VersionNotOfMessage { id });
    }
    let command = number(&mut rest)?;
    if command != named {
        return Err(Violation::CommandNotOfMessage { id, command });
    }
    let mut service = None;
    if has_service(id) {
        let name = string(&mut rest)?;
        check_service_name(name)?;
        service = Some(name);
    }
    if !rest.is_empty() {
        return Err(Violation::ExcessBytes { count: rest.len() });
    }
    Ok(Opening { command, at: 0, next: 1, service })
}

fn number(rest: &mut &[u8]) -> Result<u8, Violation> {
    let (number, behind) = rest.split_first().ok_or(Violation::PackedFrameCut)?;
    *rest = behind;
    Ok(*number)
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Violation> {
    let length = number(rest)?;
    let past_end = Violation::PartPastEnd { bytes: length.into(), left: rest.len() };
    let (text, behind) = rest.split_at_checked(length.into()).ok_or(past_end)?;
    *rest = behind;
    Ok(text)
}

/// A sink that packs the first logical frames of a message into one frame.
pub(super) struct Packer<'a, S> {
    sink: &'a mut S,
    side: Side,
    head: Vec<u8>,
    next: Next,
}

/// The next logical frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Version,
    Command,
    Service,
    /// A frame that is sent unpacked.
    Frame,
}

impl<'a, S: Sink> Packer<'a, S> {
    pub(super) fn new(side: Side, sink: &'a mut S) -> Self {
        Self { sink, side, head: Vec::with_capacity(HEAD_BYTES), next: Next::Version }
    }

    /// Appends a string. A text too long for its length field is cut; no service name is that long.
    fn string(&mut self, text: &[u8]) {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.head.push(length);
        self.head.extend_from_slice(&text[..length.into()]);
    }

    fn end_head(&mut self, more: bool) {
        self.sink.frame(&self.head, more);
        self.next = Next::Frame;
    }
}

impl<S: Sink> Sink for Packer<'_, S> {
    fn frame(&mut self, frame: &[u8], more: bool) {
        match self.next {
            Next::Version => {
                self.head.extend_from_slice(SIGNATURE);
                // A placeholder for the id, which the command determines.
                self.head.push(0);
                self.string(frame);
                self.next = Next::Command;
            }
            Next::Command => {
                let command = frame.first().copied().unwrap_or_default();
                let id = match self.side {
                    Side::Client => command,
                    Side::Worker => CLIENT_IDS + command,
                };
                self.head[SIGNATURE.len()] = id;
                self.head.push(command);
                if has_service(id) {
                    self.next = Next::Service;
                } else {
                    self.end_head(more);
                }
            }
            Next::Service => {
                self.string(frame);
                self.end_head(more);
            }
            Next::Frame => self.sink.frame(frame, more),
        }
    }

    fn body_frame(&mut self, frames: &FramesView<'_>, index: usize, more: bool) {
        self.sink.body_frame(frames, index, more);
    }
}
