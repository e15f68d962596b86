//! A message template in which only the request's tag changes.

use std::ops::Range;

use majordomus_wire::Sink;

use crate::cmd::bench::tag::{TEXT_BYTES, Tag};

/// The encoding of a tag in a message.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Number,
}

/// A message template. The tag is filled in wherever it occurs: in the body, and in the request id
/// if the dialect has one.
#[derive(Clone, Debug)]
pub(super) struct Stencil {
    data: Vec<u8>,
    frames: Vec<Range<usize>>,
    holes: Vec<(usize, Form)>,
    /// The position of a textual tag.
    text: Option<usize>,
}

impl Stencil {
    /// Creates a template from the frames that `write` writes for this tag.
    pub(super) fn written(tag: Tag, write: impl FnOnce(&mut Frames)) -> Self {
        let mut frames = Frames::default();
        write(&mut frames);
        let mut stencil = Self::of(frames.data, tag);
        stencil.frames = frames.bounds;
        stencil
    }

    /// Creates a template from an incoming message with this tag.
    pub(super) fn of(data: Vec<u8>, tag: Tag) -> Self {
        let places = |pattern: &[u8], form: Form| {
            let found = data.windows(pattern.len()).enumerate();
            let found = found.filter(|(_, window)| *window == pattern).map(|(at, _)| (at, form));
            found.collect::<Vec<_>>()
        };
        let texts = places(&tag.text(), Form::Text);
        let text = texts.first().map(|(at, _)| *at);
        let holes = [texts, places(&tag.number().to_be_bytes(), Form::Number)].concat();
        Self { data, frames: Vec::new(), holes, text }
    }

    /// Fills in the tag.
    pub(super) fn fill(&mut self, tag: Tag) {
        let (text, number) = (tag.text(), tag.number().to_be_bytes());
        for &(at, form) in &self.holes {
            let tag = match form {
                Form::Text => &text[..],
                Form::Number => &number[..],
            };
            self.data[at..at + tag.len()].copy_from_slice(tag);
        }
    }

    /// Returns the frames with the tag filled in. The flag is true if more frames follow.
    pub(super) fn frames(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let last = self.frames.len().saturating_sub(1);
        let frames = self.frames.iter().enumerate();
        frames.map(move |(at, range)| (&self.data[range.clone()], at < last))
    }

    /// Returns the tag in `data` if `data` equals this message in everything else.
    pub(super) fn tag_of(&mut self, data: &[u8]) -> Option<Tag> {
        let at = self.text?;
        if data.len() != self.data.len() {
            return None;
        }
        let tag = Tag::read(&data[at..at + TEXT_BYTES])?;
        self.fill(tag);
        (self.data == data).then_some(tag)
    }
}

/// Frames in one contiguous buffer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    data: Vec<u8>,
    bounds: Vec<Range<usize>>,
}

impl Sink for Frames {
    fn frame(&mut self, frame: &[u8], _more: bool) {
        let start = self.data.len();
        self.data.extend_from_slice(frame);
        self.bounds.push(start..self.data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { client: 1, slot: 2, turn: 3 };
    const OTHER: Tag = Tag { client: 4, slot: 5, turn: 6 };

    fn message(tag: Tag) -> Vec<u8> {
        [b"id ", &tag.number().to_be_bytes()[..], b" body ", &tag.text(), b" more"].concat()
    }

    #[test]
    fn a_message_with_another_tag_is_known_by_it() {
        let mut stencil = Stencil::of(message(TAG), TAG);
        assert_eq!(stencil.tag_of(&message(OTHER)), Some(OTHER));
        assert_eq!(stencil.tag_of(&message(TAG)), Some(TAG));
    }

    #[test]
    fn a_message_with_any_other_byte_is_not() {
        let mut stencil = Stencil::of(message(TAG), TAG);
        for at in 0..message(OTHER).len() {
            let mut data = message(OTHER);
            data[at] ^= 1;
            assert_eq!(stencil.tag_of(&data), None, "byte {at}");
        }
        for other in [&message(OTHER)[1..], b"", &[&message(OTHER)[..], b"x"].concat()] {
            assert_eq!(stencil.tag_of(other), None);
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut stencil = Stencil::written(TAG, |sink| {
            sink.frame(b"", true);
            sink.frame(&TAG.text(), false);
        });
        stencil.fill(OTHER);
        let frames: Vec<_> = stencil.frames().collect();
        assert_eq!(frames, [(&b""[..], true), (&OTHER.text()[..], false)]);
    }
}
