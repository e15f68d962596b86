//! Translation of bodies between opaque frames and JSON, for all dialects.
//!
//! JSON text is never parsed and rewritten: text that passes through keeps its bytes. The only
//! values read from a text are strings, and bytes in base64.
//!
//! Frames translated to JSON and back are the same frames, except:
//!
//! | frames | JSON | frames again |
//! |---|---|---|
//! | none | `null` | one, `null` |
//! | one, passed through: `{"$base64": …}` with valid base64 | unchanged | its bytes |
//! | one, passed through: array of 2 to 1,016 strings or such objects | unchanged | its elements |
//! | one, passed through: a string (see below) | unchanged | its text |
//! | one that is blank or the bare word `undefined`, with `raw` | unchanged | none |
//! | more than 1,016 | an array | one, the text of the array |
//!
//! With `auto`, a string passes through only in a reply to a request whose data was other JSON.
//! With `raw`, JSON frames among several pass through as elements of the array: strings and base64
//! objects among them become their contents, and any other JSON makes the array become one frame,
//! its text.
//!
//! Each direction takes time linear in the size of the body, and nesting uses no stack. JSON is at
//! most 6 bytes for each byte of the frames, plus 13 for each frame, plus 4. Frames are never
//! larger than their JSON.

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

/// The key of the object that represents bytes that are not UTF-8.
const BASE64_KEY: &[u8] = b"$base64";

/// The maximum nesting of arrays and objects in a text that passes through. This is the limit of
/// the strictest reader in use (pigato-ruby's), and a reader that exceeds its limit ends its
/// program.
const NESTING_MAX: usize = 100;

/// The maximum number of array elements that become frames. A longer array would exceed the number
/// of frames that the peers of this project read in one message.
const ELEMENTS_MAX: usize = 1_016;

/// The maximum length in bytes of a number that is recognised in a request's data.
const SCALAR_BYTES_MAX: usize = 64 * 1024;

/// Translates a body of frames to one JSON text. `asked_other` is true for a reply to a request
/// whose data was JSON other than a string.
///
/// With [`Json::Raw`] a frame is passed on unchanged, so the result may be invalid JSON.
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

/// Translates a body of JSON texts to the frames that they represent, in order. A text that is
/// invalid JSON, or JSON that represents no frames, becomes one frame. An empty text and the bare
/// word `undefined` become no frame.
///
/// A string with half of a surrogate pair has no UTF-8 form, so it becomes its own text.
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

/// Translates a body of one text, without moving the frame in memory if possible.
fn only_to_frames(body: FramesView<'_>) -> Translated<'_> {
    let text = body.get(0).unwrap_or_default();
    let mut reader = Reader::new(text);
    if let Some(string) = reader.string()
        && let Some(plain) = string.plain().filter(|_| string.is_utf8())
        && let end = text.len() - reader.left() - 1
        && reader.is_at_end()
        && let Some((start, _)) = body.bounds(0)
    {
        // The offsets are inside a frame, so the sums do not overflow.
        let (from, to) = (start + (end - plain.len()) as u32, start + end as u32);
        return Translated::Inside(body, [(from, to)]);
    }
    let mut flat = Flat::default();
    if is_nothing(text) || flat.read(text).is_some() {
        return Translated::Written(flat.into_frames());
    }
    Translated::AsItIs(body)
}

/// A body translated to frames.
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

/// Returns true if the data of a request is JSON other than a string.
///
/// An array or object is recognised by its first and last character, because reading every request
/// to its end costs too much. Data that only looks like an array or object counts as one. This
/// affects only its client, which then gets a reply of one frame such as `5` as a number instead of
/// a string.
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

/// Returns true for a text that JavaScript writes for no value.
fn is_nothing(text: &[u8]) -> bool {
    matches!(text.trim_ascii(), b"" | b"undefined")
}

/// Returns true if a body of this one frame passes through as JSON text.
fn passes(frame: &[u8], rule: Json, asked_other: bool) -> bool {
    match rule {
        Json::String => false,
        Json::Raw => core::str::from_utf8(frame).is_ok(),
        Json::Auto => (asked_other || is_structure(frame)) && is_sound(frame, NESTING_MAX),
    }
}

/// Returns true if the frame begins like an object or array.
fn is_structure(frame: &[u8]) -> bool {
    matches!(frame.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Returns true if the text is JSON that every reader accepts.
fn is_sound(text: &[u8], nesting_max: usize) -> bool {
    let mut reader = Reader::new(text);
    reader.skip(nesting_max, true).is_some() && reader.is_at_end()
}

/// Appends a frame as a JSON string, or as a base64 object if it is not UTF-8.
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
        // A frame that is not JSON would make the array invalid.
        if rule == Json::Raw && is_sound(frame, NESTING_MAX - 1) {
            text.extend_from_slice(frame);
        } else {
            write_value(frame, text);
        }
    })
}

/// Returns a JSON array with one element for each frame, appended by `write`. `more` is the
/// expected size of the elements beyond the size of the frames.
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

/// Frames read from JSON, concatenated.
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

    /// Records the data added since `start` as a frame.
    fn bound_from(&mut self, start: usize) {
        let bound = |at: usize| u32::try_from(at).expect("a message is under 4 GiB");
        self.bounds.push((bound(start), bound(self.data.len())));
    }

    /// Appends the frames that a text represents. If it represents none, appends nothing and
    /// returns `None`.
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

    /// Reads one value. Stops at the first value that represents no frame, so the nesting never
    /// exceeds an object in an array.
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

    /// Reads a string or an object that represents bytes.
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

/// Returns a string with its escapes resolved, or `None` if an escape is not Unicode. A string
/// without escapes is not checked for UTF-8.
fn unescaped(text: Text<'_>) -> Option<Cow<'_, [u8]>> {
    if let Some(plain) = text.plain() {
        return Some(Cow::Borrowed(plain));
    }
    let mut written = Vec::new();
    text.append_to(&mut written)?;
    Some(Cow::Owned(written))
}
