//! Messages packed into one frame: each part is a length followed by its bytes.
//!
//! ```text
//! length   one byte where it is under 255
//!          else 0xFF and four bytes, big-endian
//! ```

use alloc::vec::Vec;

use bytes::Bytes;
use majordomus_core::{Frames, FramesView};

use crate::{Error, Sink, Violation};

/// The maximum number of parts in one packed frame. A part costs the receiver memory, but the
/// sender as little as one byte.
pub const PACKED_PARTS_MAX: usize = 1024;

/// The initial capacity for the parts before the body, and for a small body.
const HEAD_BYTES: usize = 256;

/// The minimum size in bytes of a packed message that is passed to the sink as shared memory.
const SHARED_BYTES_MIN: usize = 4 * 1024;

/// The marker for a length that follows in four bytes.
const LONG: u8 = 0xFF;

/// Returns the parts of a packed message, in the memory of the message. `bounds` receives their
/// bounds.
pub(super) fn unpack<'a>(
    message: FramesView<'a>,
    bounds: &'a mut Vec<(u32, u32)>,
) -> Result<FramesView<'a>, Error> {
    let frame = only_frame(message)?;
    let (first, _) = message.bounds(0).unwrap_or_default();
    bounds.clear();
    let mut at = 0;
    while at < frame.len() {
        let part = bounds.len();
        if part == PACKED_PARTS_MAX {
            return Err(Error::at_part(part, Violation::TooManyParts));
        }
        let (start, end) = next(frame, at).map_err(|violation| Error::at_part(part, violation))?;
        // Both are inside the frame, so the sums do not overflow.
        bounds.push((first + start as u32, first + end as u32));
        at = end;
    }
    if bounds.is_empty() {
        return Err(Error::at_part(0, Violation::MissingHeader));
    }
    Ok(message.with_bounds(bounds))
}

/// Returns the first part, whatever follows.
pub(super) fn first<'a>(message: FramesView<'a>) -> Result<&'a [u8], Error> {
    let frame = only_frame(message)?;
    if frame.is_empty() {
        return Err(Error::at_part(0, Violation::MissingHeader));
    }
    let (start, end) = next(frame, 0).map_err(|violation| Error::at_part(0, violation))?;
    Ok(&frame[start..end])
}

fn only_frame<'a>(message: FramesView<'a>) -> Result<&'a [u8], Error> {
    match (message.get(0), message.len()) {
        (None, _) => Err(Error::of_message(Violation::NoFrames)),
        (Some(frame), 1) => Ok(frame),
        (Some(_), count) => Err(Error::of_message(Violation::SeveralFrames { count })),
    }
}

/// Returns the start and end of the part whose length is at `at`.
fn next(frame: &[u8], at: usize) -> Result<(usize, usize), Violation> {
    let (bytes, start) = match &frame[at..] {
        [LONG, rest @ ..] => {
            let length = rest.first_chunk::<4>().ok_or(Violation::PackedFrameCut)?;
            (u32::from_be_bytes(*length), at + 5)
        }
        [length, ..] => (u32::from(*length), at + 1),
        [] => return Err(Violation::PackedFrameCut),
    };
    let left = frame.len() - start;
    match usize::try_from(bytes) {
        Ok(length) if length <= left => Ok((start, start + length)),
        _ => Err(Violation::PartPastEnd { bytes, left }),
    }
}

/// A sink that packs the parts of a message into one frame.
pub(super) struct Packer<'a, S> {
    sink: &'a mut S,
    packed: Vec<u8>,
}

impl<'a, S: Sink> Packer<'a, S> {
    pub(super) fn new(sink: &'a mut S) -> Self {
        Self { sink, packed: Vec::with_capacity(HEAD_BYTES) }
    }
}

impl<S: Sink> Sink for Packer<'_, S> {
    fn frame(&mut self, part: &[u8], more: bool) {
        let length = u32::try_from(part.len()).expect("a message is under 4 GiB");
        // The exact size for the last part, which is usually the body.
        let room = part.len() + 5;
        if more {
            self.packed.reserve(room)
        } else {
            self.packed.reserve_exact(room)
        }
        match u8::try_from(length) {
            Ok(short) if short != LONG => self.packed.push(short),
            _ => {
                self.packed.push(LONG);
                self.packed.extend_from_slice(&length.to_be_bytes());
            }
        }
        self.packed.extend_from_slice(part);
        if more {
            return;
        }
        if self.packed.len() < SHARED_BYTES_MIN {
            return self.sink.frame(&self.packed, false);
        }
        // Passed as a body frame, so that the sink can share its memory.
        let packed = Bytes::from(core::mem::take(&mut self.packed));
        self.sink.body_frame(&Frames::single(packed).view(), 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(message: &Frames) -> Result<Frames, Error> {
        unpack(message.view(), &mut Vec::new()).map(|parts| parts.to_frames())
    }

    #[track_caller]
    fn check(parts: &[&[u8]], packed: &[&[u8]]) {
        let packed = packed.concat();
        let mut written: Vec<Bytes> = Vec::new();
        let mut packer = Packer::new(&mut written);
        for (at, part) in parts.iter().enumerate() {
            packer.frame(part, at + 1 < parts.len());
        }
        assert_eq!(written, [&packed[..]]);
        let message = Frames::from_slices(&[&packed]);
        assert_eq!(unpacked(&message), Ok(Frames::from_slices(parts)));
        assert_eq!(first(message.view()), Ok(parts[0]));
    }

    #[test]
    fn lengths_under_255_take_one_byte() {
        check(&[b"MDPC01", b"", b"a"], &[b"\x06MDPC01\x00\x01a"]);
        check(&[&[7; 254], b"b"], &[b"\xfe", &[7; 254], b"\x01b"]);
        check(&[&[7; 255], b"b"], &[b"\xff\x00\x00\x00\xff", &[7; 255], b"\x01b"]);
        check(&[b"a", &[7; 70_000]], &[b"\x01a\xff\x00\x01\x11\x70", &[7; 70_000]]);
    }

    /// Some peers write only the long form.
    #[test]
    fn a_short_part_may_have_a_long_length() {
        let message = Frames::from_slices(&[b"\xff\x00\x00\x00\x02ab\x01c"]);
        assert_eq!(unpacked(&message), Ok(Frames::from_slices(&["ab", "c"])));
    }

    #[test]
    fn parts_stay_in_the_memory_that_they_came_in() {
        let memory = Bytes::from_static(b"\x02ab\x01c");
        let parts = unpacked(&Frames::single(memory.clone())).expect("it is right");
        let part = parts.shared(1).expect("there are two");
        assert_eq!(part.as_ptr(), memory[4..].as_ptr());
    }

    #[test]
    fn as_many_parts_as_there_may_be() {
        let message = |count| Frames::single(Bytes::from(alloc::vec![0; count]));
        assert_eq!(
            unpacked(&message(PACKED_PARTS_MAX)).map(|parts| parts.len()),
            Ok(PACKED_PARTS_MAX)
        );
        let error = Error::at_part(PACKED_PARTS_MAX, Violation::TooManyParts);
        assert_eq!(unpacked(&message(PACKED_PARTS_MAX + 1)), Err(error));
    }

    /// The decoder never reads past the end.
    #[test]
    fn every_cut_is_refused() {
        let whole = [b"\x01a\xff\x00\x00\x01\x00".as_slice(), &[7; 256]].concat();
        for cut in 3..whole.len() {
            let refused = unpacked(&Frames::from_slices(&[&whole[..cut]]));
            assert_eq!(refused.map_err(|error| error.part()), Err(Some(1)), "{cut}");
        }
    }
}
