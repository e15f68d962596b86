//! Bodies as values of a program, in JSON or MessagePack (features `json` and `msgpack`).

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Body;

impl Body {
    /// This value in JSON: one frame, without headers.
    ///
    /// # Errors
    ///
    /// [`BodyError::WriteJson`] for what JSON cannot say: a map whose keys are no text, or a value
    /// whose own `Serialize` fails.
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

    /// The value that its one frame says in JSON. Its headers do not matter.
    ///
    /// # Errors
    ///
    /// [`BodyError::NoFrame`] for a body without frames, [`BodyError::SeveralFrames`] for one with
    /// more than one, and [`BodyError::ReadJson`] where the frame is no JSON, says something else, or
    /// says more. A frame without bytes is no JSON.
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

    /// This value in MessagePack: one frame, without headers. The fields of a struct go by their
    /// names, so that programs in other languages find them.
    ///
    /// # Errors
    ///
    /// [`BodyError::WriteMsgpack`] for what MessagePack cannot say, or a value whose own `Serialize`
    /// fails.
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

    /// The value that its one frame says in MessagePack. Its headers do not matter. The fields of a
    /// struct may go by their names or by their order.
    ///
    /// # Errors
    ///
    /// [`BodyError::NoFrame`] for a body without frames, [`BodyError::SeveralFrames`] for one with
    /// more than one, [`BodyError::ReadMsgpack`] where the frame is no MessagePack or says something
    /// else, and [`BodyError::BytesLeft`] where it says more. A frame without bytes is no
    /// MessagePack.
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

/// Why a value is no body, or a body not the value that was looked for.
///
/// ```
/// let error = majordomus::BodyError::NoFrame;
/// assert_eq!(error.to_string(), "the body has no frame, where a value is one frame");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The body has no frame, where a value is one frame.
    NoFrame,
    /// The body has so many frames, where a value is one frame.
    SeveralFrames(usize),
    /// The value cannot be said in JSON.
    #[cfg(feature = "json")]
    WriteJson(serde_json::Error),
    /// The body is no JSON, or says another value than was looked for.
    #[cfg(feature = "json")]
    ReadJson(serde_json::Error),
    /// The value cannot be said in MessagePack.
    #[cfg(feature = "msgpack")]
    WriteMsgpack(rmp_serde::encode::Error),
    /// The body is no MessagePack, or says another value than was looked for.
    #[cfg(feature = "msgpack")]
    ReadMsgpack(rmp_serde::decode::Error),
    /// So many bytes stand behind the value in MessagePack.
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

/// What the format says is in the text already, so there is no source beside it.
impl Error for BodyError {}
