//! Short byte strings, stored inline: service names, addresses and request ids.

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

/// The number of bytes stored inline. It makes the type five words in size; a UUID in text form has
/// 36 bytes.
const INLINE_BYTES: usize = 38;

/// A short byte string, such as a service name, a client address or a request id.
///
/// Up to 38 bytes are stored inline, so a clone copies a few words and touches no reference count.
/// Longer strings share an allocation. The bytes are opaque; `Display` escapes non-printable bytes.
///
/// ```
/// # use majordomus_core as majordomus;
/// use majordomus::ByteStr;
///
/// let service = ByteStr::from("echo");
/// assert_eq!(&*service, b"echo");
/// assert_eq!(service.to_string(), "echo");
/// assert_eq!(ByteStr::from(&b"\x00\xff"[..]).to_string(), "\\x00\\xff");
/// ```
#[derive(Clone)]
pub struct ByteStr(Place);

/// The storage of the bytes.
#[derive(Clone)]
enum Place {
    /// Inline storage: the first `length` bytes are used, and the others are zero.
    Here {
        length: u8,
        bytes: [u8; INLINE_BYTES],
    },
    There(Arc<[u8]>),
}

impl ByteStr {
    /// Returns the empty string, which stands for an absent field.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// assert!(majordomus::ByteStr::empty().is_empty());
    /// ```
    pub const fn empty() -> Self {
        ByteStr(Place::Here { length: 0, bytes: [0; INLINE_BYTES] })
    }

    /// Formats a number in decimal.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::ByteStr;
    ///
    /// assert_eq!(ByteStr::decimal(0), ByteStr::from("0"));
    /// assert_eq!(ByteStr::decimal(u64::MAX).to_string(), u64::MAX.to_string());
    /// ```
    pub fn decimal(number: u64) -> Self {
        ByteStr::from(itoa::Buffer::new().format(number))
    }

    /// Parses a decimal number. Returns `None` if the text contains anything but digits or the
    /// number is too large.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::ByteStr;
    ///
    /// assert_eq!(ByteStr::number_of(b"007"), Some(7));
    /// assert_eq!(ByteStr::number_of(b"+7"), None);
    /// ```
    pub fn number_of(text: &[u8]) -> Option<u64> {
        if text.is_empty() {
            return None;
        }
        // Numbers of up to 19 digits cannot overflow.
        let (sure, rest) = text.split_at(text.len().min(19));
        let mut number = 0;
        for byte in sure {
            number = number * 10 + digit(*byte)?;
        }
        for byte in rest {
            number = number.checked_mul(10)?.checked_add(digit(*byte)?)?;
        }
        Some(number)
    }

    /// Returns the bytes.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// assert_eq!(majordomus::ByteStr::from("echo").as_bytes(), b"echo");
    /// ```
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here { length, bytes } => &bytes[..usize::from(*length).min(INLINE_BYTES)],
            Place::There(bytes) => bytes,
        }
    }
}

impl Default for ByteStr {
    fn default() -> Self {
        ByteStr::empty()
    }
}

impl PartialEq for ByteStr {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            // Compares whole arrays, because the unused bytes are zero.
            (
                Place::Here { length, bytes },
                Place::Here { length: other_length, bytes: other_bytes },
            ) => length == other_length && bytes == other_bytes,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for ByteStr {}

impl PartialOrd for ByteStr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByteStr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Deref for ByteStr {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for ByteStr {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Hash for ByteStr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl From<&[u8]> for ByteStr {
    fn from(bytes: &[u8]) -> Self {
        let mut here = [0; INLINE_BYTES];
        ByteStr(match here.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Place::Here { length: bytes.len() as u8, bytes: here }
            }
            None => Place::There(bytes.into()),
        })
    }
}

impl From<&str> for ByteStr {
    fn from(text: &str) -> Self {
        ByteStr::from(text.as_bytes())
    }
}

impl fmt::Display for ByteStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(self) {
            // The common case (tokens, numbers and most names): nothing to escape, and one write.
            Ok(text) if is_plain(self) => f.write_str(text),
            _ => fmt::Display::fmt(&self.escape_ascii(), f),
        }
    }
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

/// Returns true if all bytes are ASCII letters or digits. There is no early exit, so that the loop
/// vectorizes.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric())
}

impl fmt::Debug for ByteStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_decimal() {
        for (text, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("00000000000000000000007", Some(7)),
            ("007", Some(7)),
            ("", None),
            ("+1", None),
            ("r1", None),
            (" 1", None),
        ] {
            assert_eq!(ByteStr::number_of(text.as_bytes()), expected, "{text:?}");
        }
    }
}
