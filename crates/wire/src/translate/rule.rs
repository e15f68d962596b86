//! The listener's option for translating frames to JSON.

use core::fmt;
use core::str::FromStr;

use majordomus_core::ByteStr;

/// The translation of a body of frames to the single JSON text that some dialects carry. The option
/// of the client's listener applies to its requests and their replies.
///
/// One frame that does not pass through becomes a JSON string, or `{"$base64": "…"}` if it is not
/// UTF-8. Several frames become an array of these. No frame becomes `null`.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_wire::*; } }
/// use majordomus::broker::Json;
///
/// let rule: Json = "string".parse()?;
/// assert_eq!(rule, Json::String);
/// # Ok::<(), majordomus::broker::UnknownJson>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Json {
    /// One frame that is a JSON object or array passes through. In a reply to a request whose data
    /// was JSON other than a string, any JSON passes through.
    #[default]
    Auto,
    /// Nothing passes through.
    String,
    /// One frame of UTF-8 always passes through, even if it is not JSON: peers that write frames
    /// are trusted to write JSON. Of several frames, those that are JSON pass through.
    Raw,
}

impl Json {
    /// All rules, in display order.
    pub const ALL: [Json; 3] = [Json::Auto, Json::String, Json::Raw];

    /// Returns the name used in the configuration.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_wire::*; } }
    /// assert_eq!(majordomus::broker::Json::Auto.name(), "auto");
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

    /// Parses the name of a rule.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_wire::*; } }
    /// use majordomus::broker::Json;
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

/// The error for an unknown rule name.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_wire::*; } }
/// use majordomus::broker::{Json, UnknownJson};
///
/// let unknown: UnknownJson = "yaml".parse::<Json>().unwrap_err();
/// assert!(unknown.to_string().contains("yaml"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownJson {
    name: ByteStr,
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
