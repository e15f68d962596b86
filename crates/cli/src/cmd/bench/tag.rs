//! Tags that match replies to requests. Each request's body contains a tag, which comes back in its
//! reply.

use std::fmt;

/// The length of a tag's text in a body, in bytes.
pub(super) const TEXT_BYTES: usize = 16;
/// Added to every tag, so that a tag cannot occur in a message by chance.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
/// The turn of first calls, which are repeated until one is answered and are not counted.
pub(super) const FIRST_CALL: u32 = 0;

/// A request's tag: its client, the client's slot, and the request's number in that client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) client: u16,
    pub(super) slot: u16,
    pub(super) turn: u32,
}

impl Tag {
    /// Returns the tag as a number. Numbers of a client's requests increase, as in clients that
    /// number their requests.
    pub(super) fn number(self) -> u64 {
        let parts =
            u64::from(self.turn) << 32 | u64::from(self.slot) << 16 | u64::from(self.client);
        parts.wrapping_add(MIX)
    }

    /// Returns the tag with this number.
    pub(super) fn of_number(number: u64) -> Self {
        let parts = number.wrapping_sub(MIX);
        Self { client: parts as u16, slot: (parts >> 16) as u16, turn: (parts >> 32) as u32 }
    }

    /// Returns the tag as letters from `a` to `p`, which every dialect leaves unchanged.
    pub(super) fn text(self) -> [u8; TEXT_BYTES] {
        let mut text = [0; TEXT_BYTES];
        let bytes = self.number().to_be_bytes();
        for (letters, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *letters = [b'a' + (byte >> 4), b'a' + (byte & 0xF)];
        }
        text
    }

    /// Parses a tag's text. Returns `None` if the text is not a tag.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; TEXT_BYTES] = text.try_into().ok()?;
        let mut bytes = [0; 8];
        for (byte, [high, low]) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
            *byte = high.wrapping_sub(b'a') << 4 | (low.wrapping_sub(b'a') & 0xF);
        }
        // Accept the text only if it is exactly the encoding of the tag.
        let tag = Self::of_number(u64::from_be_bytes(bytes));
        (tag.text() == *text).then_some(tag)
    }
}

/// Formats the tag for error messages.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}.{} of client {}", self.slot, self.turn, self.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_from_its_letters_and_its_number() {
        for tag in [
            Tag { client: 0, slot: 0, turn: 0 },
            Tag { client: 7, slot: 63, turn: 1_000_000 },
            Tag { client: u16::MAX, slot: u16::MAX, turn: u32::MAX },
        ] {
            assert_eq!(Tag::read(&tag.text()), Some(tag));
            assert_eq!(Tag::of_number(tag.number()), tag);
        }
    }

    #[test]
    fn what_are_no_letters_of_a_tag_is_none() {
        for text in [&b""[..], b"aaaaaaaaaaaaaaa", b"aaaaaaaaaaaaaaaq", b"AAAAAAAAAAAAAAAA"] {
            assert_eq!(Tag::read(text), None);
        }
    }
}
