//! A command frame that is being written.

use alloc::vec::Vec;
use core::time::Duration;

use majordomus_core::{Form, Frames, Label};

use super::{HEADERS_BYTES_MAX, UNLIMITED};
use crate::Sink;
use crate::body::as_frames;

/// What a command frame holds in place: all that have no long names or headers.
const PLACE_BYTES: usize = 128;

/// The octets of a command frame.
#[derive(Debug)]
pub(super) struct CommandFrame {
    place: [u8; PLACE_BYTES],
    /// How many of them are in place.
    length: usize,
    /// All of them, where the place is too small.
    spilled: Vec<u8>,
}

impl CommandFrame {
    #[inline]
    pub(super) fn new(command: u8) -> Self {
        let mut place = [0; PLACE_BYTES];
        place[0] = command;
        Self { place, length: 1, spilled: Vec::new() }
    }

    #[inline]
    pub(super) fn octets(&mut self, octets: &[u8]) -> &mut Self {
        let end = self.length + octets.len();
        match self.place.get_mut(self.length..end) {
            Some(place) if self.spilled.is_empty() => {
                place.copy_from_slice(octets);
                self.length = end;
            }
            _ => self.spill(octets),
        }
        self
    }

    #[cold]
    fn spill(&mut self, octets: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.place[..self.length]);
        }
        self.spilled.extend_from_slice(octets);
    }

    #[inline]
    pub(super) fn number_1(&mut self, number: u8) -> &mut Self {
        self.octets(&[number])
    }

    #[inline]
    pub(super) fn number_2(&mut self, number: u16) -> &mut Self {
        self.octets(&number.to_be_bytes())
    }

    #[inline]
    pub(super) fn number_4(&mut self, number: u32) -> &mut Self {
        self.octets(&number.to_be_bytes())
    }

    #[inline]
    pub(super) fn number_8(&mut self, number: u64) -> &mut Self {
        self.octets(&number.to_be_bytes())
    }

    /// Milliseconds, or that there is no limit.
    pub(super) fn time(&mut self, span: Option<Duration>) -> &mut Self {
        self.number_4(span.map_or(UNLIMITED, |span| millis(span, UNLIMITED - 1)))
    }

    /// What is longer than a length can say is cut: no name of ours is.
    #[inline]
    pub(super) fn short(&mut self, text: &[u8]) -> &mut Self {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.number_1(length).octets(&text[..length.into()])
    }

    /// The id of a request. One that is no number in decimal was given by no peer of this dialect.
    pub(super) fn id(&mut self, id: &[u8]) -> &mut Self {
        self.number_8(Label::number_of(id).unwrap_or(0))
    }

    /// The headers that belong to a body: packed ones beside frames, while what stands beside JSON
    /// is JSON, too. More of them than their length can say are left out.
    pub(super) fn headers(&mut self, packed: &[u8], body: &Frames) -> &mut Self {
        match u16::try_from(packed.len()) {
            Ok(0) => self.no_headers(),
            Ok(length) if body.form() == Form::Frames && packed.len() <= HEADERS_BYTES_MAX => {
                self.number_2(length).octets(packed)
            }
            _ => self.no_headers(),
        }
    }

    pub(super) fn no_headers(&mut self) -> &mut Self {
        self.number_2(0)
    }

    pub(super) fn as_octets(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.place[..self.length] } else { &self.spilled }
    }

    /// Writes a message that has no body.
    pub(super) fn write(&self, sink: &mut impl Sink) {
        sink.frame(self.as_octets(), false);
    }

    /// Writes a message with a body.
    pub(super) fn write_with(&self, body: &Frames, sink: &mut impl Sink) {
        let body = as_frames(body);
        let count = body.len();
        sink.frame(self.as_octets(), count > 0);
        for index in 0..count {
            sink.body_frame(&body, index, index + 1 < count);
        }
    }
}

/// A span in milliseconds, and no more than `most`. What is a little is not nothing.
pub(super) fn millis(span: Duration, most: u32) -> u32 {
    let millis = span.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).map_or(most, |millis| millis.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_place_is_too_small_for() {
        for length in [0, 1, PLACE_BYTES - 2, PLACE_BYTES - 1, PLACE_BYTES, 3 * PLACE_BYTES] {
            let mut frame = CommandFrame::new(7);
            frame.octets(&alloc::vec![8; length]).number_2(0x0102).octets(&[]);
            let expected = [&[7][..], &alloc::vec![8; length], &[1, 2]].concat();
            assert_eq!(frame.as_octets(), expected, "{length}");
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
