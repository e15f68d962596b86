//! Errors of client and worker setup, and of requests.

use std::fmt;

use majordomus_core::{CODE_UNSAID, DisconnectReason, Failure, Outcome};
use majordomus_wire::{Dialect, RequestOption, Violation};

use crate::{Body, Endpoint, EndpointError};

/// An error in the configuration of a client or a worker.
///
/// An unreachable broker is not a setup error, because it may become reachable later.
///
/// ```
/// use majordomus::{SetupError, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = Worker::builder("tcp://127.0.0.1:5555").start().unwrap_err();
/// assert_eq!(error, SetupError::NoService);
/// assert_eq!(error.to_string(), "a worker has to offer a service");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The endpoint is invalid.
    Endpoint(EndpointError),
    /// The endpoint contains a wildcard for the host, port or name, which is valid only for
    /// listening.
    Wildcard(Endpoint),
    /// The endpoint is `inproc://`, which requires the feature `broker`.
    InprocWithoutBroker(Endpoint),
    /// No endpoint was given.
    NoEndpoint,
    /// The name of a service that the worker registers is invalid.
    Service {
        /// The service name.
        name: String,
        /// The reason why the name is invalid.
        violation: Violation,
    },
    /// The service name begins with `mmi.`, which is reserved for the broker's own services.
    ReservedService(String),
    /// The worker has no service.
    NoService,
    /// The worker registers this service twice.
    ServiceTwice(String),
    /// The worker's name is invalid: it is too long or begins with a zero byte.
    Name(String),
    /// The worker's name is invalid together with this service. This dialect combines both into the
    /// connection's identity, and the result is too long or is reserved for another dialect.
    NameWithService {
        /// The worker's name.
        name: String,
        /// The service name.
        service: String,
        /// The worker's dialect.
        dialect: Dialect,
    },
    /// The interval between two heartbeats is zero.
    NoHeartbeatInterval,
    /// The liveness is zero.
    NoLiveness,
    /// The concurrency is zero.
    NoConcurrency,
    /// The maximum message size is zero.
    NoMessageBytes,
    /// The worker is draining or has stopped, and accepts no new services.
    Leaves,
    /// The system could not create a thread for the runtime.
    NoRuntime(String),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Endpoint(error) => fmt::Display::fmt(error, f),
            SetupError::Wildcard(endpoint) => write!(
                f,
                "cannot connect to {endpoint}: `*` and the port 0 are for those who listen; name one \
                 host and port"
            ),
            SetupError::InprocWithoutBroker(endpoint) => write!(
                f,
                "cannot connect to {endpoint}: it needs the feature `broker` of the crate majordomus, \
                 with which a broker can be in this process"
            ),
            SetupError::NoEndpoint => f.write_str("there is no endpoint to connect to"),
            SetupError::Service { name, violation } => {
                write!(f, "a worker cannot offer the service {name:?}: {violation}")
            }
            SetupError::ReservedService(name) => write!(
                f,
                "a worker cannot offer the service {name:?}: names that begin with `mmi.` are the \
                 broker's own"
            ),
            SetupError::NoService => f.write_str("a worker has to offer a service"),
            SetupError::ServiceTwice(name) => {
                write!(f, "the service {name:?} has a handler already")
            }
            SetupError::Name(name) => {
                write!(
                    f,
                    "a worker cannot have the name {name:?}: up to 200 bytes, and no zero first"
                )
            }
            SetupError::NameWithService { name, service, dialect } => {
                write!(
                    f,
                    "a worker cannot offer {service:?} under the name {name:?} in {dialect}: both \
                     together are too long, or the mark of another dialect; give it another name, \
                     or none"
                )
            }
            SetupError::NoHeartbeatInterval => {
                f.write_str("the time between two heartbeats must be more than nothing")
            }
            SetupError::NoLiveness => f.write_str("the liveness must be 1 or more"),
            SetupError::NoConcurrency => f.write_str("the concurrency must be 1 or more"),
            SetupError::NoMessageBytes => {
                f.write_str("the bytes that a message may have must be 1 or more")
            }
            SetupError::Leaves => f.write_str("the worker leaves, and offers nothing more"),
            SetupError::NoRuntime(error) => write!(
                f,
                "there is no thread for what blocks: {error}; end some, or raise this process's limit"
            ),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<EndpointError> for SetupError {
    fn from(error: EndpointError) -> Self {
        SetupError::Endpoint(error)
    }
}

/// The reason why a request has no reply, or no complete reply.
///
/// ```
/// use majordomus::{RequestError, Retriable};
///
/// let error = RequestError::WorkerLost;
/// assert_eq!(error.retriable(), Retriable::IfRepeatable);
/// assert_eq!(error.to_string(), "the worker was lost");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// A limit of the broker was reached, or the client's queue is full. The request was not
    /// processed.
    Refused,
    /// The broker rejected the request for a reason other than a limit, for example a duplicate
    /// request id. Retrying would fail again. The request was not processed.
    NotTaken {
        /// The broker's error code, in the range 400 to 499.
        code: u16,
        /// The broker's message, usually one frame of text.
        why: Box<Body>,
    },
    /// The request timed out. It may have been processed.
    Expired,
    /// The worker was silent for longer than [`silence`](crate::RequestBuilder::silence) allows.
    /// The request may have been processed.
    Silent,
    /// The worker was lost, or exceeded the broker's limit for processing a request (the busy
    /// limit, default: 15 minutes). The request may have been processed.
    ///
    /// The broker first redelivers a [repeatable](crate::RequestBuilder::repeatable) request to
    /// another worker. It does not redeliver the request if a part of the reply has arrived, if the
    /// request is for [one worker](crate::RequestBuilder::target), or if the maximum number of
    /// workers (default: three) was lost while processing it.
    WorkerLost,
    /// No worker is registered for the service, or the requested worker is not connected. The
    /// request was not processed.
    NoSuchService,
    /// All workers of the service rejected the request. It was not processed.
    Rejected {
        /// The message of the last worker that rejected the request; empty if it sent none.
        why: Box<Body>,
    },
    /// The worker replied with an error.
    ///
    /// The broker's own errors are the other variants. Only [`Dialect::Omdp1`] marks them as such.
    /// All other dialects identify them by their text (`B_BUSY`, `B_WORKER_LOST` and so on), with
    /// two consequences: a worker's error with such a text is reported as the broker's, and a
    /// request that all workers rejected is reported as `Remote` if the last worker gave a reason.
    Remote {
        /// The worker's error code, or 0 if the worker's or the client's dialect has no error
        /// codes.
        code: u16,
        /// The worker's message, usually one frame of text.
        why: Box<Body>,
    },
    /// No broker is connected. The request was not sent.
    NotConnected,
    /// The broker disconnected this client for a reason that prevents reconnecting, either for one
    /// minute ([`DisconnectReason::IdentityInUse`]) or permanently. If there are several brokers, all of
    /// them did. The request was not sent, and it is not queued.
    SentAway(DisconnectReason),
    /// The connection to the broker was lost after the request was sent. The request may have been
    /// processed.
    Disconnected,
    /// The broker is shutting down. The request may have been processed.
    ShutDown,
    /// The request exceeds the [maximum message size](crate::ClientBuilder::message_bytes_max) of
    /// the client or the broker, or has too many frames. It was not sent.
    TooLarge,
    /// The broker cannot forward the request to its worker or the reply to this client, because it
    /// is too large for the receiver or cannot be translated into the receiver's dialect. The
    /// request may have been processed.
    Untranslatable,
    /// The service name is invalid. The request was not sent.
    BadService {
        /// The requested service name.
        service: String,
        /// The reason why the name is invalid.
        violation: Violation,
    },
    /// The client's dialect does not support an option of the request. The request was not sent.
    UnsupportedOption {
        /// The unsupported option.
        option: RequestOption,
        /// The client's dialect.
        dialect: Dialect,
    },
    /// The client's task has ended together with its runtime. The request may have been processed.
    Stopped,
}

/// The kinds of requests that are safe to retry after an error.
///
/// ```
/// use majordomus::{RequestError, Retriable};
///
/// fn may_ask_again(error: &RequestError, repeatable: bool) -> bool {
///     match error.retriable() {
///         Retriable::Always => true,
///         Retriable::IfRepeatable => repeatable,
///         Retriable::Never => false,
///     }
/// }
///
/// assert!(may_ask_again(&RequestError::Refused, false));
/// assert!(!may_ask_again(&RequestError::WorkerLost, false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retriable {
    /// Every request: the request was not processed.
    Always,
    /// Only idempotent requests: the request may have been processed.
    IfRepeatable,
    /// No request: a retry would fail again, or the worker's error decides.
    Never,
}

impl RequestError {
    /// Returns which requests are safe to retry after this error.
    ///
    /// ```
    /// use majordomus::{RequestError, Retriable};
    ///
    /// assert_eq!(RequestError::Refused.retriable(), Retriable::Always);
    /// assert_eq!(RequestError::Disconnected.retriable(), Retriable::IfRepeatable);
    /// assert_eq!(RequestError::TooLarge.retriable(), Retriable::Never);
    /// ```
    pub fn retriable(&self) -> Retriable {
        match self {
            RequestError::Refused
            | RequestError::NoSuchService
            | RequestError::NotConnected
            | RequestError::Rejected { .. } => Retriable::Always,
            RequestError::Expired
            | RequestError::Silent
            | RequestError::WorkerLost
            | RequestError::Disconnected
            | RequestError::ShutDown
            | RequestError::Stopped => Retriable::IfRepeatable,
            RequestError::NotTaken { .. }
            | RequestError::Remote { .. }
            | RequestError::SentAway(_)
            | RequestError::TooLarge
            | RequestError::Untranslatable
            | RequestError::BadService { .. }
            | RequestError::UnsupportedOption { .. } => Retriable::Never,
        }
    }

    /// Returns the text of a worker's error, or of the broker's [rejection](Self::NotTaken).
    /// Returns an empty string if there is no text.
    ///
    /// ```
    /// use majordomus::RequestError;
    ///
    /// let error = RequestError::Remote { code: 507, why: "no paper".into() };
    /// assert_eq!(error.text(), "no paper");
    /// assert_eq!(error.to_string(), "no paper (507)");
    /// ```
    pub fn text(&self) -> String {
        match self {
            RequestError::Rejected { why }
            | RequestError::Remote { why, .. }
            | RequestError::NotTaken { why, .. } => {
                let first = why.frames().get(0).unwrap_or_default();
                String::from_utf8_lossy(first).into_owned()
            }
            _ => String::new(),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        match self {
            RequestError::Refused => f.write_str("refused: too many requests are in progress"),
            RequestError::NotTaken { code, .. } if text.is_empty() => {
                write!(f, "the broker did not take it ({code})")
            }
            RequestError::NotTaken { code, .. } => {
                write!(f, "the broker did not take it: {text} ({code})")
            }
            RequestError::Expired => f.write_str("no reply in time"),
            RequestError::Silent => f.write_str("the worker was silent for too long"),
            RequestError::WorkerLost => f.write_str("the worker was lost"),
            RequestError::NoSuchService => f.write_str("no worker offers the service"),
            RequestError::Rejected { .. } if text.is_empty() => {
                f.write_str("every worker rejected it")
            }
            RequestError::Rejected { .. } => write!(f, "every worker rejected it: {text}"),
            RequestError::Remote { code, .. } => {
                let text = if text.is_empty() { "the request failed" } else { &text };
                match *code {
                    CODE_UNSAID => f.write_str(text),
                    code => write!(f, "{text} ({code})"),
                }
            }
            RequestError::NotConnected => f.write_str("no broker is connected"),
            RequestError::SentAway(why) => write!(f, "the broker does not want this client: {why}"),
            RequestError::Disconnected => f.write_str("the connection to the broker was lost"),
            RequestError::ShutDown => f.write_str("the broker shuts down"),
            RequestError::TooLarge => {
                f.write_str("the request is larger than a message may be, or has too many frames")
            }
            RequestError::Untranslatable => f.write_str(
                "the request is too large for its worker or the reply for us, or one of them cannot \
                 be translated",
            ),
            RequestError::BadService { service, violation } => {
                write!(f, "no service can be called {service:?}: {violation}")
            }
            RequestError::UnsupportedOption { option, dialect } => {
                let others: Vec<_> = option.dialects().map(Dialect::name).collect();
                write!(f, "{option} cannot be said in {dialect}, only in {}", others.join(", "))
            }
            RequestError::Stopped => f.write_str("the client has stopped"),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => RequestError::Expired,
            Failure::Silent => RequestError::Silent,
            Failure::Disconnected => RequestError::Disconnected,
            Failure::NotSent => RequestError::NotConnected,
            Failure::SentAway(why) => RequestError::SentAway(why),
            Failure::Refused => RequestError::Refused,
            Failure::TooLarge => RequestError::TooLarge,
            Failure::Remote(outcome, code, content) => {
                let why = Box::new(Body::received(content));
                match outcome {
                    Outcome::Expired => RequestError::Expired,
                    Outcome::WorkerLost => RequestError::WorkerLost,
                    Outcome::Refused if code == CODE_UNSAID => RequestError::Refused,
                    Outcome::Refused => RequestError::NotTaken { code, why },
                    Outcome::NoSuchService | Outcome::NoSuchWorker => RequestError::NoSuchService,
                    Outcome::Rejected => RequestError::Rejected { why },
                    Outcome::Untranslatable => RequestError::Untranslatable,
                    Outcome::ShutDown => RequestError::ShutDown,
                    Outcome::Replied
                    | Outcome::Failed
                    | Outcome::Cancelled
                    | Outcome::ClientGone => RequestError::Remote { code, why },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the index of a variant in the table. A new variant requires a new row in the table.
    fn place(error: &RequestError) -> usize {
        match error {
            RequestError::Refused => 0,
            RequestError::NotTaken { .. } => 1,
            RequestError::Expired => 2,
            RequestError::Silent => 3,
            RequestError::WorkerLost => 4,
            RequestError::NoSuchService => 5,
            RequestError::Rejected { .. } => 6,
            RequestError::Remote { .. } => 7,
            RequestError::NotConnected => 8,
            RequestError::Disconnected => 9,
            RequestError::ShutDown => 10,
            RequestError::TooLarge => 11,
            RequestError::Untranslatable => 12,
            RequestError::BadService { .. } => 13,
            RequestError::Stopped => 14,
            RequestError::SentAway(_) => 15,
            RequestError::UnsupportedOption { .. } => 16,
        }
    }

    #[test]
    fn what_was_not_done_may_be_asked_again_and_what_may_have_been_only_if_repeatable() {
        let why = || Box::new(Body::from("no"));
        let (service, violation) = (String::new(), Violation::EmptyService);
        let bad_service = RequestError::BadService { service, violation };
        let (option, dialect) = (RequestOption::Priority, Dialect::Mdp02);
        let table = [
            (RequestError::Refused, Retriable::Always),
            (RequestError::NotTaken { code: 400, why: why() }, Retriable::Never),
            (RequestError::Expired, Retriable::IfRepeatable),
            (RequestError::Silent, Retriable::IfRepeatable),
            (RequestError::WorkerLost, Retriable::IfRepeatable),
            (RequestError::NoSuchService, Retriable::Always),
            (RequestError::Rejected { why: why() }, Retriable::Always),
            (RequestError::Remote { code: 500, why: why() }, Retriable::Never),
            (RequestError::NotConnected, Retriable::Always),
            (RequestError::Disconnected, Retriable::IfRepeatable),
            (RequestError::ShutDown, Retriable::IfRepeatable),
            (RequestError::TooLarge, Retriable::Never),
            (RequestError::Untranslatable, Retriable::Never),
            (bad_service, Retriable::Never),
            (RequestError::Stopped, Retriable::IfRepeatable),
            (RequestError::SentAway(DisconnectReason::IdentityInUse), Retriable::Never),
            (RequestError::UnsupportedOption { option, dialect }, Retriable::Never),
        ];
        for (at, (error, retriable)) in table.iter().enumerate() {
            assert_eq!((place(error), error.retriable()), (at, *retriable), "{error:?}");
        }
    }
}
