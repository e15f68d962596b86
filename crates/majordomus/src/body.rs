//! Message bodies of requests and replies.

use std::borrow::Cow;

use bytes::Bytes;
use majordomus_core::{Content, Form, Frames};
use majordomus_wire::in_frames;

use crate::{HeaderError, Headers};

/// The body of a request or of one part of a reply. A body consists of any number of frames,
/// usually one. It also carries [`Headers`], if the dialect supports them.
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
pub struct Body {
    frames: Frames,
    headers: Headers,
}

impl Body {
    /// Creates a body without frames.
    ///
    /// ```
    /// assert!(majordomus::Body::empty().frames().is_empty());
    /// ```
    pub fn empty() -> Self {
        Self::default()
    }

    /// Creates a body by copying these frames, in order.
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
        Frames::from_slices(&frames).into()
    }

    /// Returns the frames.
    ///
    /// ```
    /// let body = majordomus::Body::from("hello");
    /// for frame in body.frames().iter() {
    ///     assert_eq!(frame, b"hello");
    /// }
    /// ```
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Converts the body into its frames and discards the headers.
    ///
    /// ```
    /// let frames = majordomus::Body::from("hello").into_frames();
    /// assert_eq!(frames.bytes(), 5);
    /// ```
    pub fn into_frames(self) -> Frames {
        self.frames
    }

    /// Returns the headers.
    ///
    /// ```
    /// use majordomus::Body;
    ///
    /// let body = Body::from("hello").with_header("lang", "en")?;
    /// assert_eq!(body.headers().get("lang"), Some(&b"en"[..]));
    /// # Ok::<(), majordomus::HeaderError>(())
    /// ```
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Replaces the headers.
    ///
    /// ```
    /// use majordomus::{Body, Headers};
    ///
    /// let headers = Headers::new().with("lang", "en")?;
    /// assert_eq!(Body::from("hello").with_headers(headers.clone()).headers(), &headers);
    /// # Ok::<(), majordomus::HeaderError>(())
    /// ```
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// Appends a header.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Headers::with`].
    ///
    /// ```
    /// assert!(majordomus::Body::from("hello").with_header("", "nameless").is_err());
    /// ```
    pub fn with_header(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        Ok(Self { headers: self.headers.with(name, value)?, frames: self.frames })
    }

    /// Returns the bytes of all frames, concatenated. The bytes are borrowed if there is at most
    /// one frame, and copied otherwise.
    ///
    /// ```
    /// assert_eq!(&*majordomus::Body::from_frames(["a", "b"]).bytes(), b"ab");
    /// ```
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.frames.get(0) {
            None => Cow::Borrowed(&[]),
            Some(only) if self.frames.len() == 1 => Cow::Borrowed(only),
            Some(_) => Cow::Owned(self.frames.iter().collect::<Vec<_>>().concat()),
        }
    }

    /// Returns the [`bytes`](Self::bytes) as text. Invalid UTF-8 is replaced with U+FFFD.
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

    /// Creates a body from received content. Small frames are copied, so that a small body that the
    /// user retains does not keep the read buffer alive. JSON is converted to frames.
    pub(crate) fn received(content: Content) -> Self {
        let Content { options, body } = content;
        match body.form() {
            Form::Frames => {
                let frames = body.detached().in_form(Form::Frames, 0);
                Self { frames, headers: Headers::received(&options) }
            }
            // The options of a JSON message are not headers.
            Form::Json => in_frames(body).detached().into(),
        }
    }

    /// Concatenates the frames of all parts and keeps the headers of the last part. A single part
    /// is not copied.
    pub(crate) fn joined(parts: Vec<Self>) -> Self {
        let headers = parts.last().map(|part| part.headers.clone()).unwrap_or_default();
        let mut frames: Vec<Frames> = parts.into_iter().map(Self::into_frames).collect();
        let frames = match frames.pop() {
            Some(only) if frames.is_empty() => only,
            last => {
                frames.extend(last);
                Frames::joined(&frames)
            }
        };
        Self { frames, headers }
    }

    pub(crate) fn into_content(self) -> Content {
        Content { options: self.headers.into_packed(), body: self.frames }
    }
}

impl From<Frames> for Body {
    fn from(frames: Frames) -> Self {
        Self { frames, headers: Headers::new() }
    }
}

/// Creates a body of one frame.
impl From<Bytes> for Body {
    fn from(frame: Bytes) -> Self {
        Frames::single(frame).into()
    }
}

/// Creates a body of one frame.
impl From<Vec<u8>> for Body {
    fn from(frame: Vec<u8>) -> Self {
        Bytes::from(frame).into()
    }
}

/// Creates a body of one frame.
impl From<String> for Body {
    fn from(frame: String) -> Self {
        Bytes::from(frame).into()
    }
}

/// Creates a body of one frame by copying the bytes.
impl From<&[u8]> for Body {
    fn from(frame: &[u8]) -> Self {
        Bytes::copy_from_slice(frame).into()
    }
}

/// Creates a body of one frame by copying the text.
impl From<&str> for Body {
    fn from(frame: &str) -> Self {
        frame.as_bytes().into()
    }
}

/// Creates the text of an error. [`RequestError`](crate::RequestError) boxes the body to stay
/// small.
impl From<&str> for Box<Body> {
    fn from(frame: &str) -> Self {
        Box::new(frame.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_received_body_holds_no_foreign_memory() {
        let buffer = Bytes::from(vec![7; 1000]);
        let body = Body::received(Content::of(Frames::new(
            buffer.clone(),
            [(0, 3)].into_iter().collect(),
        )));
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
