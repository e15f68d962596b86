//! Command frames: command names and data.

use bytes::Bytes;

use crate::{Error, frame, output::Output};

pub(crate) const READY: &[u8] = b"READY";
pub(crate) const ERROR: &[u8] = b"ERROR";
pub(crate) const PING: &[u8] = b"PING";
pub(crate) const PONG: &[u8] = b"PONG";
pub(crate) const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
pub(crate) const CANCEL: &[u8] = b"CANCEL";

/// The maximum length of a PING's or PONG's context in bytes (37/ZMTP, "Connection Heartbeating").
pub const PING_CONTEXT_BYTES_MAX: usize = 16;
/// The maximum length of an ERROR's reason in bytes.
const REASON_BYTES_MAX: usize = 255;

/// Splits a command's body into its name and its data.
pub(crate) fn split(body: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    match body.split_first() {
        None | Some((0, _)) => Err(Error::CommandWithoutName),
        Some((&len, rest)) => {
            let announced = usize::from(len);
            rest.split_at_checked(announced)
                .ok_or(Error::CommandNameCut { announced, present: rest.len() })
        }
    }
}

/// Queues a command frame. Its data is the concatenation of the given slices.
pub(crate) fn send(name: &[u8], data: &[&[u8]], out: &mut Output) {
    let body = 1 + name.len() + data.iter().map(|part| part.len()).sum::<usize>();
    out.copy_header(frame::COMMAND, body);
    out.copy(&[name.len() as u8]);
    out.copy(name);
    for part in data {
        out.copy(part);
    }
}

/// Queues an ERROR. The specification allows at most 255 bytes of printable ASCII: other characters
/// become question marks, and longer reasons are truncated.
pub(crate) fn send_error(reason: &str, out: &mut Output) {
    let mut bytes = [0; REASON_BYTES_MAX];
    let mut len = 0;
    for (place, character) in bytes.iter_mut().zip(reason.chars()) {
        let printable = character == ' ' || character.is_ascii_graphic();
        *place = if printable { character as u8 } else { b'?' };
        len += 1;
    }
    send(ERROR, &[&[len as u8], &bytes[..len]], out);
}

/// Converts a peer's ERROR to an [`Error`], with as much of the reason as is readable.
pub(crate) fn refusal(data: &[u8]) -> Error {
    let reason = match data.split_first() {
        Some((&len, reason)) => &reason[..usize::from(len).min(reason.len())],
        None => data,
    };
    Error::PeerRefused { reason: Bytes::copy_from_slice(reason) }
}

/// Returns the context of a PING, which follows the two-byte time to live.
pub(crate) fn ping_context(data: &[u8]) -> Result<&[u8], Error> {
    let Some((_ttl, context)) = data.split_first_chunk::<2>() else {
        return Err(Error::PingWithoutTtl { len: data.len() });
    };
    if context.len() > PING_CONTEXT_BYTES_MAX {
        return Err(Error::PingContextTooLong { len: context.len() });
    }
    Ok(context)
}

/// Returns the context of a PONG.
pub(crate) fn pong_context(data: &[u8]) -> Result<&[u8], Error> {
    if data.len() > PING_CONTEXT_BYTES_MAX {
        return Err(Error::PongContextTooLong { len: data.len() });
    }
    Ok(data)
}
