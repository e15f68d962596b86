//! Conversions between bodies and values in JSON or MessagePack (features `json` and `msgpack`).

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Body;

impl Body {
    /// Serializes a value as JSON into a body with one frame and no headers.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::WriteJson`] if JSON cannot represent the value, for example a map with
    /// keys that are not strings, or if the value's `Serialize` implementation fails.
    ///
    /// ```
    /// use majordomus::Body;
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Order {
    ///     item: String,
    ///     count: u32,
    /// }
    ///
    /// let body = Body::from_json(&Order { item: "tea".into(), count: 2 })?;
    /// assert_eq!(body.text(), r#"{"item":"tea","count":2}"#);
    /// # Ok::<(), majordomus::BodyError>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn from_json<T: Serialize + ?Sized>(value: &T) -> Result<Self, BodyError> {
        serde_json::to_vec(value).map(Self::from).map_err(BodyError::WriteJson)
    }

    /// Deserializes the body's only frame from JSON. Headers are ignored.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::NoFrame`] if the body has no frame, [`BodyError::SeveralFrames`] if it
    /// has more than one, and [`BodyError::ReadJson`] if the frame is not valid JSON, does not
    /// match the type, or has trailing characters. An empty frame is not valid JSON.
    ///
    /// ```
    /// use majordomus::{Body, BodyError};
    ///
    /// assert_eq!(Body::from("[1, 2]").json::<Vec<u8>>()?, [1, 2]);
    /// assert!(matches!(Body::empty().json::<Vec<u8>>(), Err(BodyError::NoFrame)));
    /// # Ok::<(), BodyError>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        serde_json::from_slice(self.only_frame()?).map_err(BodyError::ReadJson)
    }

    /// Serializes a value as MessagePack into a body with one frame and no headers. Structs are
    /// encoded as maps with field names, so that programs in other languages can read them.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::WriteMsgpack`] if MessagePack cannot represent the value, or if the
    /// value's `Serialize` implementation fails.
    ///
    /// ```
    /// use majordomus::Body;
    ///
    /// let body = Body::from_msgpack(&("tea", 2))?;
    /// assert_eq!(&*body.bytes(), b"\x92\xa3tea\x02");
    /// # Ok::<(), majordomus::BodyError>(())
    /// ```
    #[cfg(feature = "msgpack")]
    pub fn from_msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Self, BodyError> {
        rmp_serde::to_vec_named(value).map(Self::from).map_err(BodyError::WriteMsgpack)
    }

    /// Deserializes the body's only frame from MessagePack. Headers are ignored. Structs can be
    /// encoded as maps with field names or as arrays in field order.
    ///
    /// # Errors
    ///
    /// Returns [`BodyError::NoFrame`] if the body has no frame, [`BodyError::SeveralFrames`] if it
    /// has more than one, [`BodyError::ReadMsgpack`] if the frame is not valid MessagePack or does
    /// not match the type, and [`BodyError::BytesLeft`] if it has trailing bytes. An empty frame is
    /// not valid MessagePack.
    ///
    /// ```
    /// use majordomus::{Body, BodyError};
    ///
    /// let body = Body::from(&b"\x92\xa3tea\x02"[..]);
    /// assert_eq!(body.msgpack::<(String, u32)>()?, ("tea".into(), 2));
    /// assert!(matches!(Body::from_frames(["\x01", "\x02"]).msgpack::<u32>(),
    ///     Err(BodyError::SeveralFrames(2))));
    /// # Ok::<(), BodyError>(())
    /// ```
    #[cfg(feature = "msgpack")]
    pub fn msgpack<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        let mut rest = self.only_frame()?;
        let value = rmp_serde::from_read(&mut rest).map_err(BodyError::ReadMsgpack)?;
        match rest.len() {
            0 => Ok(value),
            bytes => Err(BodyError::BytesLeft(bytes)),
        }
    }

    fn only_frame(&self) -> Result<&[u8], BodyError> {
        let frames = self.frames();
        match (frames.get(0), frames.len()) {
            (Some(only), 1) => Ok(only),
            (None, _) => Err(BodyError::NoFrame),
            (Some(_), several) => Err(BodyError::SeveralFrames(several)),
        }
    }
}

/// An error of the conversion between a body and a value.
///
/// ```
/// let error = majordomus::BodyError::NoFrame;
/// assert_eq!(error.to_string(), "the body has no frame, where a value is one frame");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The body has no frame; a value requires exactly one.
    NoFrame,
    /// The body has this number of frames; a value requires exactly one.
    SeveralFrames(usize),
    /// The value cannot be serialized as JSON.
    #[cfg(feature = "json")]
    WriteJson(serde_json::Error),
    /// The body is not valid JSON, or does not match the requested type.
    #[cfg(feature = "json")]
    ReadJson(serde_json::Error),
    /// The value cannot be serialized as MessagePack.
    #[cfg(feature = "msgpack")]
    WriteMsgpack(rmp_serde::encode::Error),
    /// The body is not valid MessagePack, or does not match the requested type.
    #[cfg(feature = "msgpack")]
    ReadMsgpack(rmp_serde::decode::Error),
    /// The body has this number of trailing bytes after the MessagePack value.
    #[cfg(feature = "msgpack")]
    BytesLeft(usize),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::NoFrame => f.write_str("the body has no frame, where a value is one frame"),
            BodyError::SeveralFrames(frames) => {
                write!(f, "the body has {frames} frames, where a value is one frame")
            }
            #[cfg(feature = "json")]
            BodyError::WriteJson(error) => {
                write!(f, "the value cannot be written as JSON: {error}")
            }
            #[cfg(feature = "json")]
            BodyError::ReadJson(error) => {
                write!(f, "the body is not the JSON that was looked for: {error}")
            }
            #[cfg(feature = "msgpack")]
            BodyError::WriteMsgpack(error) => {
                write!(f, "the value cannot be written as MessagePack: {error}")
            }
            #[cfg(feature = "msgpack")]
            BodyError::ReadMsgpack(error) => {
                write!(f, "the body is not the MessagePack that was looked for: {error}")
            }
            #[cfg(feature = "msgpack")]
            BodyError::BytesLeft(bytes) => {
                write!(f, "the body has {bytes} bytes behind its value in MessagePack")
            }
        }
    }
}

/// `source` returns `None`, because the message already contains the underlying error.
impl Error for BodyError {}
