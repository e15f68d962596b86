//! Message reassembly: where the frames of a message are, and how far it was read.

use alloc::vec::Vec;
use core::{mem, ops::Range};

use crate::{Error, Limits, command, frame::Header, message::Bounds};

/// The longest command in bytes, after the handshake.
pub const COMMAND_BYTES_MAX: usize = 8 * 1024;

/// What the bytes that are here hold next.
#[derive(Debug)]
pub(crate) enum Found {
    /// A message that ends here. Its frames are to be [taken](Assembly::take_frames).
    Message { end: usize },
    /// A command: its body. It may lie between the frames of a message.
    Command { body: Range<usize> },
    /// Nothing whole.
    Need(Need),
}

/// What must be here before anything more can be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Bytes, counted from the start of the message.
    pub(crate) end: usize,
    /// Whether the message will go on after them.
    pub(crate) more: bool,
}

/// The frames of the message in reception. Offsets count from its first byte.
///
/// Each frame's header is read again only while that frame is incomplete, and never one before
/// it: a message that comes byte by byte costs a step for each byte.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    frames: Bounds,
    /// Where the next header starts.
    next: usize,
    /// Bytes of the bodies so far, with those of commands between the frames.
    body_bytes: usize,
}

impl Assembly {
    /// Whether a message has begun.
    pub(crate) fn begun(&self) -> bool {
        self.next != 0
    }

    /// Looks for the end of the message in `bytes`, which start with its first byte.
    ///
    /// A command that comes before a message is left in place, and the caller removes it. One
    /// between the frames of a message stays where it is: 37/ZMTP's grammar has none there, but
    /// libzmq writes PING and PONG whenever its timers say so, between two frames too.
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

    /// The frames of the message that was found.
    #[inline]
    pub(crate) fn take_frames(&mut self) -> Bounds {
        mem::take(&mut self.frames)
    }

    /// The length of a frame's body, if the limits allow it.
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
            // It stays in the message's memory until that is complete, so it counts as part.
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

/// Returns the length of the message at the start of `bytes` and puts the bounds of its frames into
/// `bounds`; `None` where [`Assembly::find`] has to decide: where the message is incomplete, over a
/// limit or has a command in it.
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

/// Looks for a command of the handshake at the start of `bytes`, of which `bytes_max` may come.
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

/// What a received command after the handshake is.
#[derive(Debug)]
pub(crate) enum Command<'a> {
    Ping { context: &'a [u8] },
    Pong { context: &'a [u8] },
    Subscribe { topic: &'a [u8] },
    Cancel { topic: &'a [u8] },
    Unknown { name: &'a [u8] },
}

/// Reads a command's body.
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
        // A peer that dislikes our READY says so when its own is long here.
        command::ERROR => return Err(command::refusal(data)),
        _ => Command::Unknown { name },
    })
}
