//! What can go wrong when a client or a worker is set up, and when something is asked for.

use std::fmt;

use majordomus_wire::Offence;

use crate::EndpointError;

/// Why a client or a worker could not be set up: something that it was given makes no sense.
///
/// That there is no broker is none of these, because there may be one later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The endpoint cannot be connected to.
    Endpoint(EndpointError),
    /// The service cannot have this name.
    Service(Offence),
    /// The interval between two heartbeats is zero.
    NoHeartbeatInterval,
    /// The liveness is zero.
    NoLiveness,
    /// The concurrency is zero.
    NoConcurrency,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Endpoint(error) => fmt::Display::fmt(error, f),
            SetupError::Service(offence) => write!(f, "bad service: {offence}"),
            SetupError::NoHeartbeatInterval => {
                f.write_str("the time between two heartbeats must be more than nothing")
            }
            SetupError::NoLiveness => f.write_str("the liveness must be 1 or more"),
            SetupError::NoConcurrency => f.write_str("the concurrency must be 1 or more"),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<EndpointError> for SetupError {
    fn from(error: EndpointError) -> Self {
        SetupError::Endpoint(error)
    }
}

/// Why there is no reply, or no more of it.
///
/// ```
/// use majordomus::RequestError;
///
/// fn is_worth_a_retry(error: &RequestError, idempotent: bool) -> bool {
///     match error {
///         RequestError::Refused => true,
///         RequestError::Timeout | RequestError::Disconnected => idempotent,
///         _ => false,
///     }
/// }
/// assert!(is_worth_a_retry(&RequestError::Refused, false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Its time was over. It may have been done or not.
    Timeout,
    /// The connection was lost when the request was with the broker. It may have been done or not.
    Disconnected,
    /// The worker, or the broker, answered with an error.
    Remote {
        /// What it said.
        text: String,
    },
    /// Too many requests wait already in this client. It was not sent.
    Refused,
    /// No service can have this name. It was not sent.
    BadService(Offence),
    /// The body is larger than a message may be, or has too many frames. It was not sent.
    TooLarge,
    /// The client's task has ended, with its runtime. It may have been done or not.
    Stopped,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Timeout => f.write_str("no reply in time"),
            RequestError::Disconnected => f.write_str("the connection to the broker was lost"),
            RequestError::Remote { text } if text.is_empty() => f.write_str("the request failed"),
            RequestError::Remote { text } => f.write_str(text),
            RequestError::Refused => f.write_str("too many requests wait already"),
            RequestError::BadService(offence) => write!(f, "bad service: {offence}"),
            RequestError::TooLarge => f.write_str("the request is too large"),
            RequestError::Stopped => f.write_str("the client has stopped"),
        }
    }
}

impl std::error::Error for RequestError {}
