//! What a listener has to say about frames that become JSON.

use core::fmt;
use core::str::FromStr;

use majordomus_core::Label;

/// How a body of frames becomes the one JSON text that some dialects carry. The listener of the
/// client decides, for what it asks and for what it is answered.
///
/// One frame that does not pass through becomes a JSON string, or `{"$base64": "…"}` where it is not
/// UTF-8; several frames become an array of these, and no frame `null`.
///
/// ```
/// use majordomus_core::{Frames, Reply, ToClient};
/// use majordomus_wire::{Codec, Dialect, Json, Side};
///
/// let codec = Codec::new(Dialect::Pigato, Side::Client);
/// let reply = ToClient::Final(Reply::new("sum", Frames::from_slices(&["[1, 2]"])));
/// let data = |json| {
///     let mut written: Vec<bytes::Bytes> = Vec::new();
///     codec.with_json(json).encode_to_client(&reply, &mut written);
///     written[5].clone()
/// };
/// assert_eq!(data(Json::Auto), "[1, 2]");
/// assert_eq!(data(Json::String), "\"[1, 2]\"");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Json {
    /// One frame that is a JSON object or array passes through, and in a reply any JSON where the
    /// data of the request was JSON other than a string.
    #[default]
    Auto,
    /// Nothing passes through.
    String,
    /// One frame of UTF-8 always passes through, also where it is no JSON: the peers that write
    /// frames are trusted to write JSON. Of several frames those pass that are JSON.
    Raw,
}

impl Json {
    /// All rules, in the order in which they are shown.
    pub const ALL: [Json; 3] = [Json::Auto, Json::String, Json::Raw];

    /// The name by which it is configured.
    ///
    /// ```
    /// assert_eq!(majordomus_wire::Json::Auto.name(), "auto");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Json::Auto => "auto",
            Json::String => "string",
            Json::Raw => "raw",
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Json {
    type Err = UnknownJson;

    /// The rule of this name.
    ///
    /// ```
    /// use majordomus_wire::Json;
    ///
    /// assert_eq!("raw".parse(), Ok(Json::Raw));
    /// let error = "Raw".parse::<Json>().unwrap_err();
    /// assert_eq!(error.to_string(), "unknown json \"Raw\" (known: auto, string, raw)");
    /// ```
    fn from_str(name: &str) -> Result<Self, UnknownJson> {
        Json::ALL
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| UnknownJson { name: name.into() })
    }
}

/// No rule for JSON has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownJson {
    name: Label,
}

impl fmt::Display for UnknownJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown json {:?} (known: ", self.name)?;
        for (index, rule) in Json::ALL.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}{rule}")?;
        }
        f.write_str(")")
    }
}

impl core::error::Error for UnknownJson {}
