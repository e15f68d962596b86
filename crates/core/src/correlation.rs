//! Correlation ids: the ids that clients assign to requests to match replies to them.

use core::fmt;

use crate::ByteStr;

/// The id that a client assigns to a request. Depending on the dialect, it is a number, text, or
/// empty text if the dialect has no request ids.
///
/// A number equals its decimal text, because dialects with text ids write numbers in decimal.
///
/// ```
/// use majordomus_core::CorrelationId;
///
/// assert_eq!(CorrelationId::Number(17), CorrelationId::from("17"));
/// assert_ne!(CorrelationId::Number(17), CorrelationId::from("017"));
/// assert!(CorrelationId::NONE.is_none());
/// ```
#[derive(Clone)]
pub enum CorrelationId {
    /// A number.
    Number(u64),
    /// Opaque bytes.
    Text(ByteStr),
}

/// A borrowed [`CorrelationId`].
///
/// ```
/// use majordomus_core::{CorrelationId, CorrelationIdRef};
///
/// let id = CorrelationId::from("17");
/// assert_eq!(id.as_ref(), CorrelationIdRef::Number(17));
/// ```
#[derive(Clone, Copy)]
pub enum CorrelationIdRef<'a> {
    /// A number.
    Number(u64),
    /// Opaque bytes.
    Text(&'a [u8]),
}

impl CorrelationId {
    /// The absent id, for dialects without request ids.
    pub const NONE: CorrelationId = CorrelationId::Text(ByteStr::empty());

    /// Borrows the id.
    ///
    /// ```
    /// # use majordomus_core::CorrelationId;
    /// assert_eq!(CorrelationId::Number(17).as_ref().number(), Some(17));
    /// ```
    #[inline]
    pub fn as_ref(&self) -> CorrelationIdRef<'_> {
        match self {
            CorrelationId::Number(number) => CorrelationIdRef::Number(*number),
            CorrelationId::Text(text) => CorrelationIdRef::Text(text),
        }
    }

    /// Returns true if the id is absent.
    ///
    /// ```
    /// # use majordomus_core::CorrelationId;
    /// assert!(!CorrelationId::Number(0).is_none());
    /// ```
    #[inline]
    pub fn is_none(&self) -> bool {
        self.as_ref().is_none()
    }
}

impl<'a> CorrelationIdRef<'a> {
    /// The absent id, for dialects without request ids.
    pub const NONE: CorrelationIdRef<'static> = CorrelationIdRef::Text(b"");

    /// Returns true if the id is absent.
    ///
    /// ```
    /// # use majordomus_core::CorrelationIdRef;
    /// assert!(CorrelationIdRef::NONE.is_none());
    /// ```
    #[inline]
    pub fn is_none(self) -> bool {
        matches!(self, CorrelationIdRef::Text([]))
    }

    /// Returns the id as a number, if it is a number or decimal text.
    ///
    /// ```
    /// # use majordomus_core::CorrelationIdRef;
    /// assert_eq!(CorrelationIdRef::Text(b"17").number(), Some(17));
    /// assert_eq!(CorrelationIdRef::Text(b"r17").number(), None);
    /// ```
    #[inline]
    pub fn number(self) -> Option<u64> {
        match self {
            CorrelationIdRef::Number(number) => Some(number),
            CorrelationIdRef::Text(text) => ByteStr::number_of(text),
        }
    }

    /// Calls `write` with the id as text. Numbers are in decimal.
    ///
    /// ```
    /// # use majordomus_core::CorrelationIdRef;
    /// let length = CorrelationIdRef::Number(17).with_text(|text| text.len());
    /// assert_eq!(length, 2);
    /// ```
    #[inline]
    pub fn with_text<T>(self, write: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            CorrelationIdRef::Number(number) => {
                write(itoa::Buffer::new().format(number).as_bytes())
            }
            CorrelationIdRef::Text(text) => write(text),
        }
    }

    /// Copies the id.
    ///
    /// ```
    /// # use majordomus_core::{CorrelationId, CorrelationIdRef};
    /// assert_eq!(CorrelationIdRef::Number(17).to_owned(), CorrelationId::Number(17));
    /// ```
    #[inline]
    pub fn to_owned(self) -> CorrelationId {
        match self {
            CorrelationIdRef::Number(number) => CorrelationId::Number(number),
            CorrelationIdRef::Text(text) => CorrelationId::Text(ByteStr::from(text)),
        }
    }
}

impl PartialEq for CorrelationIdRef<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (CorrelationIdRef::Number(one), CorrelationIdRef::Number(other)) => one == other,
            (CorrelationIdRef::Text(one), CorrelationIdRef::Text(other)) => one == other,
            (number @ CorrelationIdRef::Number(_), CorrelationIdRef::Text(text))
            | (CorrelationIdRef::Text(text), number @ CorrelationIdRef::Number(_)) => {
                number.with_text(|decimal| decimal == text)
            }
        }
    }
}

impl Eq for CorrelationIdRef<'_> {}

impl PartialEq for CorrelationId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for CorrelationId {}

impl Default for CorrelationId {
    fn default() -> Self {
        CorrelationId::NONE
    }
}

impl From<&str> for CorrelationId {
    fn from(text: &str) -> Self {
        CorrelationId::Text(ByteStr::from(text))
    }
}

impl From<ByteStr> for CorrelationId {
    fn from(text: ByteStr) -> Self {
        CorrelationId::Text(text)
    }
}

impl fmt::Display for CorrelationIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorrelationIdRef::Number(number) => fmt::Display::fmt(number, f),
            CorrelationIdRef::Text(text) => fmt::Display::fmt(&ByteStr::from(*text), f),
        }
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for CorrelationIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}
