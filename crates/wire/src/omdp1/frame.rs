//! Encoding of command frames.

use alloc::vec::Vec;
use core::time::Duration;

use majordomus_core::{Form, FramesView};

use super::{HEADERS_BYTES_MAX, UNLIMITED};
use crate::Sink;
use crate::body::as_frames;

/// The longest command frame that is built on the stack. Only long names and headers exceed it.
const PLACE_BYTES: usize = 96;

/// Calls `write` with a command frame that is the concatenation of these parts.
// Inlined, so that a part of constant length is copied by a few moves.
#[inline(always)]
pub(super) fn joined<const N: usize, T>(parts: [&[u8]; N], write: impl FnOnce(&[u8]) -> T) -> T {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut place = [0; PLACE_BYTES];
    let mut long;
    // One call of `write`, so that it is inlined.
    let frame = if length > PLACE_BYTES {
        long = Vec::with_capacity(length);
        for part in parts {
            long.extend_from_slice(part);
        }
        &long[..]
    } else {
        let mut at = 0;
        for part in parts {
            copy(&mut place[at..at + part.len()], part);
            at += part.len();
        }
        &place[..length]
    };
    write(frame)
}

/// Copies a part, without a call if it is short. Both slices have the same length.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        0 => {}
        1..4 => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        4..=8 => copy_ends::<4>(to, from),
        9..=16 => copy_ends::<8>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies N to 2 N bytes as the first N and the last N, which may overlap.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        if let Some(to) = to.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = *last;
        }
    }
}

/// Writes a message without a body.
#[inline(always)]
pub(super) fn write<const N: usize>(parts: [&[u8]; N], sink: &mut impl Sink) {
    joined(parts, |frame| sink.frame(frame, false));
}

/// Writes a message with a body.
#[inline(always)]
pub(super) fn write_with<const N: usize>(
    parts: [&[u8]; N],
    body: &FramesView<'_>,
    sink: &mut impl Sink,
) {
    joined(parts, |frame| match body.form() {
        Form::Frames => sink.frame_and_body(frame, body),
        Form::Json => write_translated(frame, body, sink),
    });
}

#[cold]
fn write_translated(frame: &[u8], body: &FramesView<'_>, sink: &mut impl Sink) {
    sink.frame_and_body(frame, &as_frames(*body).view());
}

/// Returns the length field of a text, and the text. A text of more than 255 bytes is cut; no name
/// is that long.
#[inline]
pub(super) fn short(text: &[u8]) -> (u8, &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length) => (length, text),
        Err(_) => (u8::MAX, &text[..usize::from(u8::MAX)]),
    }
}

/// Returns the length field of the headers beside a body, and the headers. Options beside a JSON
/// body are JSON too, so they are left out. Headers longer than the field's maximum are left out
/// too.
#[inline]
pub(super) fn headers<'a>(packed: &'a [u8], body: &FramesView<'_>) -> ([u8; 2], &'a [u8]) {
    if packed.is_empty() || packed.len() > HEADERS_BYTES_MAX || body.form() == Form::Json {
        return ([0; 2], &[]);
    }
    ((packed.len() as u16).to_be_bytes(), packed)
}

/// Returns a time field: milliseconds, or [`UNLIMITED`] for `None`.
#[inline]
pub(super) fn time(span: Option<Duration>) -> [u8; 4] {
    span.map_or(UNLIMITED, |span| millis(span, UNLIMITED - 1)).to_be_bytes()
}

/// Returns a span in milliseconds, rounded up, at most `most`.
#[inline]
pub(super) fn millis(span: Duration, most: u32) -> u32 {
    let rest = span.subsec_nanos().div_ceil(1_000_000);
    let millis = span.as_secs().saturating_mul(1_000).saturating_add(rest.into());
    u32::try_from(millis).map_or(most, |millis| millis.min(most))
}

/// Joins fields of constant length.
#[inline(always)]
pub(super) fn fixed<const N: usize, const P: usize>(fields: [&[u8]; P]) -> [u8; N] {
    let mut joined = [0; N];
    let mut at = 0;
    for field in fields {
        joined[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    debug_assert_eq!(at, N);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_whatever_their_length() {
        for length in (0..40).chain([PLACE_BYTES - 3, PLACE_BYTES - 2, PLACE_BYTES, 1_000]) {
            let name: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let expected = [&[7][..], &name, &[1, 2]].concat();
            joined([&[7], &name, &[1, 2]], |frame| assert_eq!(frame, expected, "{length}"));
        }
    }

    #[test]
    fn spans() {
        let most = UNLIMITED - 1;
        for (span, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1_500), 2),
            (Duration::from_millis(most.into()), most),
            (Duration::from_millis(UNLIMITED.into()), most),
            (Duration::MAX, most),
        ] {
            assert_eq!(millis(span, most), expected, "{span:?}");
        }
    }
}
