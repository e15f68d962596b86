//! Message headers: named values that accompany a body.

use std::fmt;

use bytes::Bytes;
use majordomus_wire::{Violation, pack_headers};

/// The maximum size of a message's headers, in bytes of their encoded form.
///
/// ```
/// use majordomus::{HEADERS_BYTES_MAX, HeaderError, Headers};
///
/// // Together with its name, the header exceeds the limit.
/// let value = vec![0; HEADERS_BYTES_MAX];
/// assert_eq!(Headers::new().with("x", value), Err(HeaderError::TooLarge));
/// ```
pub const HEADERS_BYTES_MAX: usize = majordomus_wire::HEADERS_BYTES_MAX;

/// The headers of a request or a reply: names and values, such as a `traceparent`.
///
/// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) supports headers. They are omitted from messages
/// to a peer that uses another dialect.
///
/// ```
/// use majordomus::Headers;
///
/// let headers = Headers::new().with("content-type", "text/plain")?;
/// assert_eq!(headers.get("Content-Type"), Some(&b"text/plain"[..]));
/// assert_eq!(headers.get("traceparent"), None);
/// # Ok::<(), majordomus::HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The headers in the encoding of OMDP/1, section 3: for each header, the length of the name,
    /// the name, the length of the value and the value.
    packed: Bytes,
}

impl Headers {
    /// Creates an empty set of headers.
    ///
    /// ```
    /// assert!(majordomus::Headers::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self { packed: Bytes::new() }
    }

    /// Appends a header. A name can occur more than once; [`get`](Self::get) returns the first
    /// value.
    ///
    /// # Errors
    ///
    /// Returns [`HeaderError::Name`] if the name is invalid (valid: 1 to 255 letters, digits, `-`,
    /// `_`, `.` or `+`), and [`HeaderError::TooLarge`] if all headers together exceed
    /// [`HEADERS_BYTES_MAX`] bytes.
    ///
    /// ```
    /// use majordomus::{HeaderError, Headers};
    ///
    /// assert_eq!(Headers::new().with("a name", "x"), Err(HeaderError::Name));
    /// assert_eq!(Headers::new().with("x", vec![0; 70_000]), Err(HeaderError::TooLarge));
    /// ```
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        let packed = pack_headers(self.iter().chain([(name, value.as_ref())]));
        let packed = packed.map_err(|violation| match violation {
            Violation::HeaderPastEnd { .. } if u8::try_from(name.len()).is_ok() => {
                HeaderError::TooLarge
            }
            _ => HeaderError::Name,
        })?;
        Ok(Self { packed })
    }

    /// Returns the value of the first header with this name, ignoring ASCII case.
    ///
    /// ```
    /// use majordomus::Headers;
    ///
    /// let headers = Headers::new().with("a", "1")?.with("A", "2")?;
    /// assert_eq!(headers.get("a"), Some(&b"1"[..]));
    /// # Ok::<(), majordomus::HeaderError>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns an iterator over all headers, in order.
    ///
    /// ```
    /// use majordomus::Headers;
    ///
    /// let headers = Headers::new().with("a", "1")?.with("b", "2")?;
    /// let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["a", "b"]);
    /// # Ok::<(), majordomus::HeaderError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        majordomus_wire::Headers::read(&self.packed).into_iter().flat_map(|read| read.iter())
    }

    /// Returns true if there are no headers.
    ///
    /// ```
    /// assert!(!majordomus::Headers::new().with("a", "")?.is_empty());
    /// # Ok::<(), majordomus::HeaderError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Copies received headers into their own memory.
    pub(crate) fn received(packed: &Bytes) -> Self {
        let packed = if packed.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(packed) };
        Self { packed }
    }

    pub(crate) fn into_packed(self) -> Bytes {
        self.packed
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(shown).finish()
    }
}

/// An error that occurs when a header is added.
///
/// ```
/// use majordomus::{HeaderError, Headers};
///
/// assert_eq!(Headers::new().with("two words", "x"), Err(HeaderError::Name));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is empty, is longer than 255 bytes, or contains bytes other than letters, digits,
    /// `-`, `_`, `.` and `+`.
    Name,
    /// The headers exceed [`HEADERS_BYTES_MAX`] bytes together with the new header.
    TooLarge,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Name => f.write_str(
                "the name of a header has from 1 to 255 letters, digits, or any of - _ . +",
            ),
            HeaderError::TooLarge => {
                write!(f, "the headers of a message have more than {HEADERS_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_found() {
        let headers = Headers::new().with("a", "1").unwrap().with("b-2", b"\xff\0").unwrap();
        assert_eq!(headers.clone().into_packed(), &b"\x01a\0\0\0\x011\x03b-2\0\0\0\x02\xff\0"[..]);
        let read = Headers::received(&headers.clone().into_packed());
        assert_eq!(read, headers);
        assert_eq!(format!("{read:?}"), "{\"a\": \"1\", \"b-2\": \"\u{fffd}\\0\"}");
    }

    #[test]
    fn names() {
        for name in ["", "a b", "é", "a:b", &"x".repeat(256)] {
            assert_eq!(Headers::new().with(name, ""), Err(HeaderError::Name), "{name}");
        }
        assert!(Headers::new().with(&"x".repeat(255), "").is_ok());
        let most = vec![0; HEADERS_BYTES_MAX - 6];
        assert!(Headers::new().with("x", &most).is_ok());
        assert_eq!(Headers::new().with("xy", &most), Err(HeaderError::TooLarge));
    }
}
