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

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use majordomus_core::{Bounds, Form, Frames};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use rule::{Json, UnknownJson};

/// The key of the object that stands for bytes which are not UTF-8.
const BASE64_KEY: &str = "$base64";

/// Arrays and objects in one another; what nests deeper does not pass through. It is what the
/// strictest reader in use takes (pigato-ruby's), and a reader that refuses ends its program.
const NESTING_MAX: usize = 100;

/// Elements of an array that become frames. The elements of a longer one would be more frames than
/// the peers of this project read in one message.
const ELEMENTS_MAX: usize = 1_016;

/// The data of a longer request is not read to its end only to learn what kind of JSON it is.
const CHECKED_BYTES_MAX: usize = 64 * 1024;

/// A body of frames as one JSON text. `asked_other` says that it is a reply, and that the data of
/// its request was JSON other than a string.
///
/// With [`Json::Raw`] the result is what the frame is, so it may be no JSON.
pub(crate) fn to_json(body: &Frames, rule: Json, asked_other: bool) -> Vec<u8> {
    let text = match (body.get(0), body.len()) {
        (None, _) => return b"null".to_vec(),
        (Some(frame), 1) if passes(frame, rule, asked_other) => return frame.to_vec(),
        (Some(frame), 1) => value(frame),
        (Some(_), _) => array(body, rule),
    };
    text.into_bytes()
}

/// A body of JSON texts as the frames that they stand for, in order. A text that is no JSON is one
/// frame, as JSON is that stands for no frames; there is none for an empty text and for the bare
/// word `undefined`.
///
/// A string with half of a surrogate pair has no UTF-8, so it stands for nothing but its own text.
pub(crate) fn to_frames(body: &Frames) -> Frames {
    let mut flat = Flat::default();
    for text in body.iter().filter(|text| !is_nothing(text)) {
        if flat.read(text).is_ok() {
            continue;
        }
        if body.len() == 1 {
            // It stays where it is in memory.
            return body.clone().in_form(Form::Frames, 0);
        }
        flat.push(text);
    }
    Frames::new(flat.data.into(), flat.bounds)
}

/// Whether the data of a request is JSON and not a string. Of a long one only the beginning is
/// looked at.
pub(crate) fn is_other_than_string(json: &[u8]) -> bool {
    let first = json.trim_ascii_start().first();
    if json.len() > CHECKED_BYTES_MAX {
        return matches!(first, Some(b'{' | b'['));
    }
    first != Some(&b'"') && is_json(json)
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
    is_json(text) && nesting(text) <= nesting_max
}

/// Whether it is JSON from its first byte to its last. Nesting takes no stack here.
fn is_json(text: &[u8]) -> bool {
    // What is skipped is not looked at for UTF-8.
    core::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// How deep arrays and objects are in one another, in a text that is JSON.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        escaped = in_string && byte == b'\\' && !escaped;
    }
    deepest
}

/// One frame as a JSON string, or in base64 where it is not UTF-8.
fn value(frame: &[u8]) -> String {
    match core::str::from_utf8(frame) {
        Ok(text) => serde_json::to_string(text).expect("a string is always JSON"),
        Err(_) => [r#"{"$base64":""#, &STANDARD.encode(frame), r#""}"#].concat(),
    }
}

fn array(body: &Frames, rule: Json) -> String {
    let mut text = String::from("[");
    for (index, frame) in body.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match core::str::from_utf8(frame) {
            // One that is no JSON would spoil what stands around it.
            Ok(json) if rule == Json::Raw && is_sound(frame, NESTING_MAX - 1) => {
                text.push_str(json);
            }
            _ => text.push_str(&value(frame)),
        }
    }
    text.push(']');
    text
}

/// Frames that are being read out of JSON, one behind the other.
#[derive(Default)]
struct Flat {
    data: Vec<u8>,
    bounds: Bounds,
}

impl Flat {
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

    /// Adds the frames that this text stands for, or nothing where it stands for none.
    fn read(&mut self, text: &[u8]) -> serde_json::Result<()> {
        let (bytes, frames) = (self.data.len(), self.bounds.len());
        let mut reader = serde_json::Deserializer::from_slice(text);
        let outcome = Place::Whole.of(self).deserialize(&mut reader).and_then(|()| reader.end());
        if outcome.is_err() {
            self.data.truncate(bytes);
            self.bounds.truncate(frames);
        }
        outcome
    }
}

/// Where in a text a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Element,
}

impl Place {
    fn of(self, flat: &mut Flat) -> Reading<'_> {
        Reading { flat, place: self }
    }
}

/// Reads one value into frames. It gives up at the first thing that stands for none, so it never
/// goes deeper than an object in an array.
struct Reading<'a> {
    flat: &'a mut Flat,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what stands for frames")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.flat.push(text.as_bytes());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        if object.next_key::<String>()?.is_none_or(|key| key != BASE64_KEY) {
            return Err(A::Error::custom("another object"));
        }
        let text = object.next_value::<String>()?;
        if object.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an object with more in it"));
        }
        let start = self.flat.data.len();
        STANDARD.decode_vec(text, &mut self.flat.data).map_err(A::Error::custom)?;
        self.flat.bound_from(start);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        if self.place == Place::Element {
            return Err(A::Error::custom("an array in an array"));
        }
        let mut elements = 0;
        while array.next_element_seed(Place::Element.of(self.flat))?.is_some() {
            elements += 1;
            if elements > ELEMENTS_MAX {
                return Err(A::Error::custom("too many elements"));
            }
        }
        if elements < 2 {
            return Err(A::Error::custom("too few elements"));
        }
        Ok(())
    }
}
