//! Translation of bodies between opaque frames and JSON, for every dialect in one place.
//!
//! JSON text is never parsed and written anew: what passes through keeps its bytes, and what is
//! read out of a text is only a string, or bytes in base64.
//!
//! Frames that become JSON and then frames again are the same frames, except:
//!
//! | frames | JSON | frames again |
//! |---|---|---|
//! | none | `null` | one, `null` |
//! | one that passes through, and is `{"$base64": …}` with good base64 | the same | its bytes |
//! | one that passes through, and is an array of 2 to 1,016 strings or such objects | the same | its elements |
//! | one that passes through, and is a string, which `auto` lets it only where the client asked with other JSON | the same | its text |
//! | one of nothing but blanks, or the bare word `undefined`, with `raw` | the same | none |
//! | more than 1,016 | an array | one, the text of the array |
//!
//! and several under `raw`, where what is JSON passes through inside the array: there strings and
//! such objects come back as what they hold, and other JSON makes the array come back as its text.
//!
//! Each direction takes time linear in the size of the body, and no text is nested too deep for the
//! stack. JSON is at most 6 bytes for each byte of the frames, 13 for each frame, and 4. Frames are
//! never more bytes than their JSON.

mod rule;

#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use majordomus_core::{Bounds, Form, Frames, FramesView};

pub use rule::{Json, UnknownJson};

use crate::json_text::{Reader, Text, is_blank, quote};

/// The key of the object that stands for bytes which are not UTF-8.
const BASE64_KEY: &[u8] = b"$base64";

/// Arrays and objects in one another; what nests deeper does not pass through. It is what the
/// strictest reader in use takes (pigato-ruby's), and a reader that refuses ends its program.
const NESTING_MAX: usize = 100;

/// Elements of an array that become frames. The elements of a longer one would be more frames than
/// the peers of this project read in one message.
const ELEMENTS_MAX: usize = 1_016;

/// The longest number in a request's data, in bytes, that is recognised as one.
const SCALAR_BYTES_MAX: usize = 64 * 1024;

/// A body of frames as one JSON text. `asked_other` says that it is a reply, and that the data of
/// its request was JSON other than a string.
///
/// With [`Json::Raw`] the result is what the frame is, so it may be no JSON.
pub(crate) fn to_json(body: FramesView<'_>, rule: Json, asked_other: bool) -> Cow<'_, [u8]> {
    match (body.get(0), body.len()) {
        (None, _) => Cow::Borrowed(b"null"),
        (Some(frame), 1) if passes(frame, rule, asked_other) => Cow::Borrowed(frame),
        (Some(frame), 1) => {
            let mut text = Vec::new();
            write_value(frame, &mut text);
            Cow::Owned(text)
        }
        (Some(_), _) => Cow::Owned(array(body, rule)),
    }
}

/// A body of JSON texts as the frames that they stand for, in order. A text that is no JSON is one
/// frame, as JSON is that stands for no frames; there is none for an empty text and for the bare
/// word `undefined`.
///
/// A string with half of a surrogate pair has no UTF-8, so it stands for nothing but its own text.
pub(crate) fn to_frames(body: FramesView<'_>) -> Translated<'_> {
    if body.len() == 1 {
        return only_to_frames(body.in_form(Form::Frames, 0));
    }
    let mut flat = Flat::default();
    for text in body.iter().filter(|text| !is_nothing(text)) {
        if flat.read(text).is_none() {
            flat.push(text);
        }
    }
    Translated::Written(flat.into_frames())
}

/// Translates a body of one text. The frame stays where it is in memory where that is possible.
fn only_to_frames(body: FramesView<'_>) -> Translated<'_> {
    let text = body.get(0).unwrap_or_default();
    let mut reader = Reader::new(text);
    if let Some(string) = reader.string()
        && let Some(plain) = string.plain().filter(|_| string.is_utf8())
        && let end = text.len() - reader.left() - 1
        && reader.is_at_end()
        && let Some((start, _)) = body.bounds(0)
    {
        // It is in a frame, so the sums fit.
        let (from, to) = (start + (end - plain.len()) as u32, start + end as u32);
        return Translated::Inside(body, [(from, to)]);
    }
    let mut flat = Flat::default();
    if is_nothing(text) || flat.read(text).is_some() {
        return Translated::Written(flat.into_frames());
    }
    Translated::AsItIs(body)
}

/// A body as frames.
pub(crate) enum Translated<'a> {
    /// The body itself.
    AsItIs(FramesView<'a>),
    /// The body was a string without escapes: the frame is the text between its quotes.
    Inside(FramesView<'a>, [(u32, u32); 1]),
    /// Frames in new memory.
    Written(Frames),
}

impl Translated<'_> {
    #[inline]
    pub(crate) fn view(&self) -> FramesView<'_> {
        match self {
            Translated::AsItIs(body) => *body,
            Translated::Inside(body, bounds) => body.with_bounds(bounds),
            Translated::Written(frames) => frames.view(),
        }
    }
}

/// Returns whether the data of a request is JSON other than a string.
///
/// An array or object is recognised by its first and last character, because reading every request to
/// its end costs too much. Data that only looks like an array or object counts as one; this matters to
/// its client alone, which then gets a reply of one frame such as `5` as a number and not as a string.
#[inline]
pub(crate) fn is_other_than_string(json: &[u8]) -> bool {
    let mut reader = Reader::new(json);
    match reader.peek() {
        Some(b'[') => last_character(json) == Some(b']'),
        Some(b'{') => last_character(json) == Some(b'}'),
        Some(b'"') | None => false,
        Some(_) => is_scalar(reader),
    }
}

/// Returns the last character that is not blank.
fn last_character(json: &[u8]) -> Option<u8> {
    json.iter().rfind(|byte| !is_blank(**byte)).copied()
}

fn is_scalar(mut reader: Reader<'_>) -> bool {
    reader.left() <= SCALAR_BYTES_MAX && reader.value().is_some() && reader.is_at_end()
}

/// What JavaScript writes for no value at all.
fn is_nothing(text: &[u8]) -> bool {
    matches!(text.trim_ascii(), b"" | b"undefined")
}

/// Whether a body of this one frame is its own JSON text.
fn passes(frame: &[u8], rule: Json, asked_other: bool) -> bool {
    match rule {
        Json::String => false,
        Json::Raw => core::str::from_utf8(frame).is_ok(),
        Json::Auto => (asked_other || is_structure(frame)) && is_sound(frame, NESTING_MAX),
    }
}

/// Whether it begins as an object or array does.
fn is_structure(frame: &[u8]) -> bool {
    matches!(frame.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Whether it is JSON that every reader takes.
fn is_sound(text: &[u8], nesting_max: usize) -> bool {
    let mut reader = Reader::new(text);
    reader.skip(nesting_max, true).is_some() && reader.is_at_end()
}

/// Appends a frame as a JSON string, or in base64 where it is not UTF-8.
fn write_value(frame: &[u8], to: &mut Vec<u8>) {
    let Ok(text) = core::str::from_utf8(frame) else {
        let (before, behind) = (br#"{"$base64":""#, br#""}"#);
        let encoded = STANDARD.encode(frame);
        to.reserve(before.len() + encoded.len() + behind.len());
        to.extend_from_slice(before);
        to.extend_from_slice(encoded.as_bytes());
        to.extend_from_slice(behind);
        return;
    };
    quote(text, to);
}

fn array(body: FramesView<'_>, rule: Json) -> Vec<u8> {
    array_of(body, 3 * body.len() + 1, |frame, text| {
        // A frame that is no JSON would break the array.
        if rule == Json::Raw && is_sound(frame, NESTING_MAX - 1) {
            text.extend_from_slice(frame);
        } else {
            write_value(frame, text);
        }
    })
}

/// Returns a JSON array with an element for each frame, as `write` appends it. The elements are expected
/// to take `more` bytes beside the frames.
pub(crate) fn array_of(
    body: FramesView<'_>,
    more: usize,
    mut write: impl FnMut(&[u8], &mut Vec<u8>),
) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.bytes() + more);
    for (index, frame) in body.iter().enumerate() {
        text.push(if index == 0 { b'[' } else { b',' });
        write(frame, &mut text);
    }
    text.push(b']');
    text
}

/// Frames that are being read out of JSON, one behind the other.
#[derive(Default)]
struct Flat {
    data: Vec<u8>,
    bounds: Bounds,
}

impl Flat {
    fn into_frames(self) -> Frames {
        Frames::new(self.data.into(), self.bounds)
    }

    fn push(&mut self, frame: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(frame);
        self.bound_from(start);
    }

    /// What was added to the data since `start` is a frame.
    fn bound_from(&mut self, start: usize) {
        let bound = |at: usize| u32::try_from(at).expect("a message is under 4 GiB");
        self.bounds.push((bound(start), bound(self.data.len())));
    }

    /// Appends the frames that a text stands for. Where it stands for none, appends nothing and returns
    /// `None`.
    fn read(&mut self, text: &[u8]) -> Option<()> {
        let (bytes, frames) = (self.data.len(), self.bounds.len());
        let mut reader = Reader::new(text);
        let read = self.read_from(&mut reader).filter(|()| reader.is_at_end());
        if read.is_none() {
            self.data.truncate(bytes);
            self.bounds.truncate(frames);
        }
        read
    }

    /// Reads one value. It stops at the first value that stands for no frame, so it never goes deeper
    /// than an object in an array.
    fn read_from(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        if !reader.take(b'[') {
            return self.read_one(reader);
        }
        let mut elements = 0;
        loop {
            self.read_one(reader)?;
            elements += 1;
            if elements > ELEMENTS_MAX {
                return None;
            }
            if !reader.take(b',') {
                break;
            }
        }
        (reader.take(b']') && elements >= 2).then_some(())
    }

    /// Reads a string, or an object that stands for bytes.
    fn read_one(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let start = self.data.len();
        if !reader.take(b'{') {
            reader.string()?.append_to(&mut self.data)?;
            self.bound_from(start);
            return Some(());
        }
        if &*unescaped(reader.name()?)? != BASE64_KEY {
            return None;
        }
        let text = unescaped(reader.string()?)?;
        if !reader.take(b'}') {
            return None;
        }
        STANDARD.decode_vec(text, &mut self.data).ok()?;
        self.bound_from(start);
        Some(())
    }
}

/// Returns a string without its escapes; `None` where an escape is not Unicode. A string without escapes
/// is not checked for UTF-8.
fn unescaped(text: Text<'_>) -> Option<Cow<'_, [u8]>> {
    if let Some(plain) = text.plain() {
        return Some(Cow::Borrowed(plain));
    }
    let mut written = Vec::new();
    text.append_to(&mut written)?;
    Some(Cow::Owned(written))
}
