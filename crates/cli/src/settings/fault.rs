//! Errors in the values of settings.

use std::fmt;
use std::num::IntErrorKind;

use majordomus::{Endpoint, EndpointError, SetupError, UnknownDialect};
use majordomus_broker::UnknownJson;

use crate::bytes::NotBytes;
use crate::duration::NotADuration;

/// An error in a value, from any source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Duration(NotADuration),
    Bytes(NotBytes),
    /// The value is not a whole number, or does not fit its type.
    Count {
        text: String,
        too_large: bool,
    },
    /// The whole number is out of range.
    OutOf {
        number: String,
        bounds: String,
    },
    Dialect(UnknownDialect),
    /// The value is not an error mode.
    Errors(String),
    Json(UnknownJson),
    /// The value is not a balancing policy.
    Balance(String),
    Endpoint(EndpointError),
    /// The value is not a TCP or Unix socket endpoint.
    Transport(String),
    /// The value is an in-process endpoint, which no other process can reach.
    Inproc(String),
    /// The value is a wildcard endpoint, which is valid only for listening.
    Wildcard(Endpoint),
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not a valid service name.
    ServiceName(String),
    /// The name is reserved: no worker can register it.
    ReservedName(String),
}

impl Fault {
    /// Returns the error for a text that does not parse as a number.
    pub(crate) fn count(text: &str, kind: &IntErrorKind) -> Self {
        Fault::Count { text: text.into(), too_large: *kind == IntErrorKind::PosOverflow }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Duration(fault) => fault.fmt(f),
            Fault::Bytes(fault) => fault.fmt(f),
            Fault::Count { text, too_large: true } => write!(f, "{text:?} is too large"),
            Fault::Count { text, too_large: false } => {
                write!(f, "{text:?} is no whole number from 0 on")
            }
            Fault::OutOf { number, bounds } => write!(f, "{number} is not {bounds}"),
            Fault::Dialect(fault) => write!(f, "{fault}; `any` takes them all"),
            Fault::Errors(text) => write!(f, "{text:?} is neither `silent` nor `final`"),
            Fault::Json(fault) => fault.fmt(f),
            Fault::Balance(text) => write!(f, "{text:?} is none of `lru`, `load` and `random`"),
            Fault::Endpoint(fault) => fault.fmt(f),
            Fault::Transport(text) => {
                write!(f, "endpoint {text:?}: it has to begin with tcp:// or ipc://")
            }
            Fault::Inproc(text) => write!(
                f,
                "endpoint {text:?}: inproc:// is reached only from within the broker's own process; \
                 give one on tcp:// or ipc://"
            ),
            Fault::Wildcard(endpoint) => SetupError::Wildcard(endpoint.clone()).fmt(f),
            Fault::NotUtf8 => f.write_str("it is not UTF-8"),
            Fault::ServiceName(name) => write!(
                f,
                "{name:?} cannot be the name of a service: it has to have 1 to 255 bytes, none of them a control character"
            ),
            Fault::ReservedName(name) => write!(
                f,
                "{name:?} cannot be offered: names that begin with `mmi.` are the broker's own"
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl From<NotADuration> for Fault {
    fn from(fault: NotADuration) -> Self {
        Fault::Duration(fault)
    }
}

impl From<NotBytes> for Fault {
    fn from(fault: NotBytes) -> Self {
        Fault::Bytes(fault)
    }
}

impl From<UnknownDialect> for Fault {
    fn from(fault: UnknownDialect) -> Self {
        Fault::Dialect(fault)
    }
}

impl From<UnknownJson> for Fault {
    fn from(fault: UnknownJson) -> Self {
        Fault::Json(fault)
    }
}

impl From<EndpointError> for Fault {
    fn from(fault: EndpointError) -> Self {
        Fault::Endpoint(fault)
    }
}
