//! What is in a request, or in a part of a reply.

use std::borrow::Cow;

use bytes::Bytes;
use majordomus_core::{Frames, SHARED_BODY_MIN};
use majordomus_wire::in_frames;

/// What is in a request, or in a part of a reply: any number of frames, and mostly one.
///
/// ```
/// use majordomus::Body;
///
/// let hello = Body::from("hello");
/// assert_eq!(hello.text(), "hello");
///
/// let two = Body::from_frames(["left", "right"]);
/// assert_eq!(two.frames().len(), 2);
/// assert_eq!(two.frames().get(1), Some(&b"right"[..]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Frames);

impl Body {
    /// No frame at all.
    ///
    /// ```
    /// assert!(majordomus::Body::empty().frames().is_empty());
    /// ```
    pub fn empty() -> Self {
        Self::default()
    }

    /// A copy of these frames, in order.
    ///
    /// ```
    /// let body = majordomus::Body::from_frames([vec![1, 2], vec![]]);
    /// assert_eq!(body.frames().len(), 2);
    /// ```
    pub fn from_frames<I>(frames: I) -> Self
    where
        I: IntoIterator<Item: AsRef<[u8]>>,
    {
        let frames: Vec<_> = frames.into_iter().collect();
        Self(Frames::from_slices(&frames))
    }

    /// The frames.
    ///
    /// ```
    /// let body = majordomus::Body::from("hello");
    /// for frame in body.frames().iter() {
    ///     assert_eq!(frame, b"hello");
    /// }
    /// ```
    pub fn frames(&self) -> &Frames {
        &self.0
    }

    /// The frames, of which the body consists.
    ///
    /// ```
    /// let frames = majordomus::Body::from("hello").into_frames();
    /// assert_eq!(frames.bytes(), 5);
    /// ```
    pub fn into_frames(self) -> Frames {
        self.0
    }

    /// The bytes of all frames, one frame behind the other. Copies nothing where there is one.
    ///
    /// ```
    /// assert_eq!(&*majordomus::Body::from_frames(["a", "b"]).bytes(), b"ab");
    /// ```
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.0.get(0) {
            None => Cow::Borrowed(&[]),
            Some(only) if self.0.len() == 1 => Cow::Borrowed(only),
            Some(_) => Cow::Owned(self.0.iter().collect::<Vec<_>>().concat()),
        }
    }

    /// The [`bytes`](Self::bytes) as text. What is not UTF-8 becomes replacement characters.
    ///
    /// ```
    /// assert_eq!(majordomus::Body::from(&b"caf\xE9"[..]).text(), "caf\u{FFFD}");
    /// ```
    pub fn text(&self) -> Cow<'_, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Frames that were just received. Small ones are copied, so that a small body that the user
    /// keeps does not keep the read buffer that it came in. JSON becomes frames.
    pub(crate) fn received(frames: Frames) -> Self {
        let frames = in_frames(frames);
        if frames.bytes() >= SHARED_BODY_MIN {
            return Self(frames);
        }
        Self::from_frames(frames.iter())
    }
}

impl From<Frames> for Body {
    fn from(frames: Frames) -> Self {
        Self(frames)
    }
}

/// One frame.
impl From<Bytes> for Body {
    fn from(frame: Bytes) -> Self {
        Self(Frames::single(frame))
    }
}

/// One frame.
impl From<Vec<u8>> for Body {
    fn from(frame: Vec<u8>) -> Self {
        Bytes::from(frame).into()
    }
}

/// One frame.
impl From<String> for Body {
    fn from(frame: String) -> Self {
        Bytes::from(frame).into()
    }
}

/// One frame, copied.
impl From<&[u8]> for Body {
    fn from(frame: &[u8]) -> Self {
        Bytes::copy_from_slice(frame).into()
    }
}

/// One frame, copied.
impl From<&str> for Body {
    fn from(frame: &str) -> Self {
        frame.as_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_received_body_holds_no_foreign_memory() {
        let buffer = Bytes::from(vec![7; 1000]);
        let body = Body::received(Frames::new(buffer.clone(), [(0, 3)].into_iter().collect()));
        assert!(buffer.is_unique());
        assert_eq!(&*body.bytes(), [7; 3]);
    }

    #[test]
    fn bytes_of_any_number_of_frames() {
        assert_eq!(&*Body::empty().bytes(), b"");
        assert_eq!(&*Body::from("a").bytes(), b"a");
        assert_eq!(Body::from_frames(["caf", "\u{E9}"]).text(), "caf\u{E9}");
    }
}
