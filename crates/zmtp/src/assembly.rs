//! Message reassembly: the bounds of an incoming message's frames, and the parse position.

use alloc::vec::Vec;
use core::{mem, ops::Range};

use crate::{Error, Limits, command, frame::Header, message::Bounds};

/// The maximum length of a command after the handshake, in bytes.
pub const COMMAND_BYTES_MAX: usize = 8 * 1024;

/// The result of parsing the buffered bytes.
#[derive(Debug)]
pub(crate) enum Found {
    /// A message that ends at `end`. Its frames can be [taken](Assembly::take_frames).
    Message { end: usize },
    /// A command and the range of its body. It may be between the frames of a message.
    Command { body: Range<usize> },
    /// An incomplete message or command.
    Need(Need),
}

/// The bytes required before the next parse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The number of bytes, counted from the start of the message.
    pub(crate) end: usize,
    /// True if the message continues after them.
    pub(crate) more: bool,
}

/// The frames of the incoming message. Offsets are relative to its first byte.
///
/// Only the header of the incomplete frame is parsed again, never an earlier one. A message that
/// arrives byte by byte therefore takes one step for each byte.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    frames: Bounds,
    /// The offset of the next header.
    next: usize,
    /// The total size of the bodies so far, including commands between the frames.
    body_bytes: usize,
}

impl Assembly {
    /// Returns true if a message is incomplete.
    pub(crate) fn begun(&self) -> bool {
        self.next != 0
    }

    /// Looks for the end of the message in `bytes`, which start with its first byte.
    ///
    /// A command before a message stays in place, and the caller removes it. A command between the
    /// frames of a message stays in the message's memory. The grammar of 37/ZMTP does not allow
    /// commands there, but libzmq sends PING and PONG when its timers fire, even between two
    /// frames.
    #[inline]
    pub(crate) fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
        loop {
            let header = match Header::parse(bytes.get(self.next..).unwrap_or_default())? {
                Ok(header) => header,
                Err(need) => {
                    return Ok(Found::Need(Need { end: self.next + need, more: true }));
                }
            };
            if header.command() {
                return self.find_command(header, bytes.len(), limits);
            }
            let body = self.check(header, limits)?;
            let start = self.next + header.bytes();
            let end = start + body;
            if bytes.len() < end {
                return Ok(Found::Need(Need { end, more: header.more() }));
            }
            self.frames.push((start as u32, end as u32));
            if !header.more() {
                self.next = 0;
                self.body_bytes = 0;
                return Ok(Found::Message { end });
            }
            self.body_bytes += body;
            self.next = end;
        }
    }

    /// Takes the frames of the message that was found.
    #[inline]
    pub(crate) fn take_frames(&mut self) -> Bounds {
        mem::take(&mut self.frames)
    }

    /// Returns the length of a frame's body if it is within the limits.
    #[inline]
    fn check(&self, header: Header, limits: &Limits) -> Result<usize, Error> {
        let limit = limits.message_bytes_max;
        if self.frames.len() >= limits.frames_max {
            return Err(Error::TooManyFrames { limit: limits.frames_max });
        }
        match usize::try_from(header.body) {
            Ok(body) if body <= limit => {
                if body > limit - self.body_bytes {
                    return Err(Error::MessageTooLong { limit });
                }
                Ok(body)
            }
            _ => Err(Error::FrameTooLong { len: header.body, limit }),
        }
    }

    #[cold]
    fn find_command(
        &mut self,
        header: Header,
        here: usize,
        limits: &Limits,
    ) -> Result<Found, Error> {
        let body = match usize::try_from(header.body) {
            Ok(body) if body <= COMMAND_BYTES_MAX => body,
            _ => return Err(Error::CommandTooLong { len: header.body, limit: COMMAND_BYTES_MAX }),
        };
        let start = self.next + header.bytes();
        let end = start + body;
        if self.begun() {
            // The command occupies the message's memory until the message is complete, so it counts
            // as part of it.
            let limit = limits.message_bytes_max;
            if end - self.next > limit - self.body_bytes {
                return Err(Error::MessageTooLong { limit });
            }
        }
        if here < end {
            return Ok(Found::Need(Need { end, more: true }));
        }
        if self.begun() {
            self.body_bytes += end - self.next;
            self.next = end;
        }
        Ok(Found::Command { body: start..end })
    }
}

/// Returns the length of the message at the start of `bytes`, and writes the bounds of its frames
/// to `bounds`. Returns `None` if [`Assembly::find`] has to decide, because the message is
/// incomplete, exceeds a limit or contains a command.
#[inline]
pub(crate) fn whole_message(
    bytes: &[u8],
    limits: &Limits,
    bounds: &mut Vec<(u32, u32)>,
) -> Option<usize> {
    bounds.clear();
    let mut body_bytes = 0;
    let mut next = 0;
    loop {
        let header = Header::parse(bytes.get(next..)?).ok()?.ok()?;
        let start = next + header.bytes();
        let body = usize::try_from(header.body).ok()?;
        if header.command() || body > bytes.len() - start {
            return None;
        }
        body_bytes += body;
        if body_bytes > limits.message_bytes_max || bounds.len() >= limits.frames_max {
            return None;
        }
        next = start + body;
        bounds.push((start as u32, next as u32));
        if !header.more() {
            return Some(next);
        }
    }
}

/// Looks for a handshake command at the start of `bytes`. It may be at most `bytes_max` bytes long.
pub(crate) fn find_handshake_command(
    bytes: &[u8],
    bytes_max: usize,
    limits: &Limits,
) -> Result<Result<Range<usize>, usize>, Error> {
    let header = match Header::parse(bytes)? {
        Ok(header) => header,
        Err(need) => return Ok(Err(need)),
    };
    if !header.command() {
        return Err(Error::MessageBeforeReady);
    }
    let end = usize::try_from(header.body).ok().and_then(|body| body.checked_add(header.bytes()));
    match end {
        Some(end) if end <= bytes_max => {
            Ok(if bytes.len() < end { Err(end) } else { Ok(header.bytes()..end) })
        }
        _ => Err(Error::HandshakeTooLong { limit: limits.handshake_bytes_max }),
    }
}

/// A command received after the handshake.
#[derive(Debug)]
pub(crate) enum Command<'a> {
    Ping { context: &'a [u8] },
    Pong { context: &'a [u8] },
    Subscribe { topic: &'a [u8] },
    Cancel { topic: &'a [u8] },
    Unknown { name: &'a [u8] },
}

/// Parses a command's body.
pub(crate) fn read_command(body: &[u8]) -> Result<Command<'_>, Error> {
    let (name, data) = command::split(body)?;
    Ok(match name {
        command::PING => Command::Ping { context: command::ping_context(data)? },
        command::PONG => Command::Pong { context: command::pong_context(data)? },
        command::SUBSCRIBE => Command::Subscribe { topic: data },
        command::CANCEL => Command::Cancel { topic: data },
        command::READY => {
            return Err(Error::UnexpectedCommand { name: name.to_vec().into() });
        }
        // A peer that rejects this side's READY sends ERROR after its own READY.
        command::ERROR => return Err(command::refusal(data)),
        _ => Command::Unknown { name },
    })
}
