//! A message in memory, as in a read buffer.

use bytes::Bytes;
use majordomus_core::{Frames, FramesView};

/// The bytes before each frame. ZMTP has the flags and the length there, which no decoder may read.
const HEADER: [u8; 2] = [0xFF, 0xFF];

/// A message whose frames are not adjacent in memory.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    memory: Bytes,
    /// The start and end of each frame in `memory`.
    bounds: Vec<(u32, u32)>,
}

impl Message {
    pub(crate) fn new<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut memory, mut bounds) = (Vec::new(), Vec::new());
        for frame in frames {
            memory.extend(HEADER);
            let start = memory.len() as u32;
            memory.extend(frame);
            bounds.push((start, memory.len() as u32));
        }
        Self { memory: memory.into(), bounds }
    }

    /// Borrows the message from memory that cannot be shared.
    pub(crate) fn borrowed(&self) -> FramesView<'_> {
        FramesView::borrowed(&self.memory, &self.bounds)
    }

    /// Borrows the message from memory that frames can share.
    pub(crate) fn shared(&self) -> FramesView<'_> {
        FramesView::shared(&self.memory, &self.bounds)
    }

    /// Copies the frames into memory without other content.
    pub(crate) fn compact(&self) -> Frames {
        let frames: Vec<&[u8]> = self.borrowed().iter().collect();
        Frames::from_slices(&frames)
    }

    /// Returns the number of cuts: two for each byte and each frame, because a cut frame may be the
    /// last frame or be followed by others.
    pub(crate) fn cuts(&self) -> usize {
        2 * (self.borrowed().bytes() + self.bounds.len())
    }

    /// Returns the message with one of its [`cuts`](Message::cuts): the frames before the cut, the
    /// cut frame, and for every other cut the frames after it.
    ///
    /// The memory is unchanged, so the removed bytes still follow the end.
    pub(crate) fn cut(&self, cut: usize) -> Self {
        let mut message = self.clone();
        let mut left = cut / 2;
        for (at, (start, end)) in self.bounds.iter().enumerate() {
            let bytes = (end - start) as usize;
            if left <= bytes {
                message.bounds[at].1 = start + left as u32;
                if cut.is_multiple_of(2) {
                    message.bounds.truncate(at + 1);
                }
                return message;
            }
            left -= bytes + 1;
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_every_prefix_and_every_shortened_frame() {
        let message = Message::new([&b"ab"[..], b"c"]);
        let cuts = (0..message.cuts()).map(|cut| message.cut(cut).compact());
        let expected: [&[&str]; 10] = [
            &[""],
            &["", "c"],
            &["a"],
            &["a", "c"],
            &["ab"],
            &["ab", "c"],
            &["ab", ""],
            &["ab", ""],
            &["ab", "c"],
            &["ab", "c"],
        ];
        assert!(cuts.eq(expected.map(Frames::from_slices)));
    }
}
