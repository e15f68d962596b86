//! What can go wrong when a client or a worker is set up, and when something is asked for.

use std::fmt;

use majordomus_core::{CODE_UNSAID, Failure, Farewell, Outcome};
use majordomus_wire::{Dialect, Offence, RequestOption};

use crate::{Body, Endpoint, EndpointError};

/// Why a client or a worker could not be set up: something that it was given makes no sense.
///
/// That there is no broker is none of these, because there may be one later.
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
    /// The endpoint is none.
    Endpoint(EndpointError),
    /// The endpoint stands for any host, port or name, which is for those who listen.
    Wildcard(Endpoint),
    /// The endpoint is one of this process, in which no broker can be without the feature `broker`.
    InprocWithoutBroker(Endpoint),
    /// There is no endpoint.
    NoEndpoint,
    /// No service can have this name, which a worker was to offer.
    Service {
        /// The name.
        name: String,
        /// What is wrong with it.
        offence: Offence,
    },
    /// The worker was to offer a service of the broker's own, whose names begin with `mmi.`.
    ReservedService(String),
    /// The worker offers no service.
    NoService,
    /// The worker offers this service twice.
    ServiceTwice(String),
    /// The worker cannot have this name: it is too long, or begins with a zero.
    Name(String),
    /// The worker cannot have this name together with this service: in this dialect its connection is
    /// called by both, and that is too long, or the mark of another dialect.
    NameWithService {
        /// The worker's name.
        name: String,
        /// The service.
        service: String,
        /// What it is to speak.
        dialect: Dialect,
    },
    /// The interval between two heartbeats is zero.
    NoHeartbeatInterval,
    /// The liveness is zero.
    NoLiveness,
    /// The concurrency is zero.
    NoConcurrency,
    /// A message may have no byte.
    NoMessageBytes,
    /// The worker was told to leave, or has left: it offers nothing more.
    Leaves,
    /// The system gave no thread to run on.
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
            SetupError::Service { name, offence } => {
                write!(f, "a worker cannot offer the service {name:?}: {offence}")
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

/// Why there is no reply, or no more of it.
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
    /// A limit of the broker stands against it, or too much waits in this client already. It was not
    /// done.
    Refused,
    /// The broker did not take it, and would not take it again: it does not fit, as where its id is
    /// another's. It was not done.
    NotTaken {
        /// The broker's code, which begins with a 4.
        code: u16,
        /// What it said: mostly one frame of text.
        why: Box<Body>,
    },
    /// Its time was over. It may have been done or not.
    Expired,
    /// Its worker said nothing for longer than [`silence`](crate::RequestBuilder::silence) allows. It
    /// may have been done or not.
    Silent,
    /// Its worker was lost, or had it for as long as the broker lets a worker have a request (the busy
    /// limit, 15 minutes unless set). It may have been done or not.
    ///
    /// One that is [repeatable](crate::RequestBuilder::repeatable) goes to another worker first, unless a
    /// part of its reply came, it is for [one worker](crate::RequestBuilder::target), or so many workers
    /// were lost with it as the broker tries: three, unless set.
    WorkerLost,
    /// No worker offers the service, or the worker that was asked for is not there. It was not done.
    NoSuchService,
    /// All workers that offer the service have rejected it. It was not done.
    Rejected {
        /// What the last of them said, if it said anything.
        why: Box<Body>,
    },
    /// The worker answered with an error.
    ///
    /// The broker's own errors are those above and below. In all dialects but [`Dialect::Omdp1`] they are
    /// told by their words (`B_BUSY`, `B_WORKER_LOST` and so on): there a worker's error whose text is
    /// such a word is taken for the broker's, and what every worker has rejected comes like this, if the
    /// last one said why.
    Remote {
        /// The worker's code; 0 where its dialect, or the client's, has none.
        code: u16,
        /// What it said: mostly one frame of text.
        why: Box<Body>,
    },
    /// No broker is connected. It was not sent.
    NotConnected,
    /// The broker does not want this client, and has said why; so it is with all of them, where there are
    /// several. It was not sent: there will be no connection for a minute
    /// ([`Farewell::IdentityInUse`]), or none ever again, so a request does not wait for one.
    SentAway(Farewell),
    /// The connection to the broker was lost when the request was with it. It may have been done or
    /// not.
    Disconnected,
    /// The broker shuts down. It may have been done or not.
    ShutDown,
    /// The request is larger than a message [may be](crate::ClientBuilder::message_bytes_max), here or
    /// at the broker, or has too many frames. It was not sent.
    TooLarge,
    /// The broker cannot give it to its worker, or the reply to us: it is too large for the other
    /// side, or cannot be translated into its dialect. It may have been done or not.
    Untranslatable,
    /// No service can have this name. It was not sent.
    BadService {
        /// The name that was asked for.
        service: String,
        /// What is wrong with it.
        offence: Offence,
    },
    /// The client's dialect has no words for what was said of the request. It was not sent.
    Unsayable {
        /// What it cannot say.
        option: RequestOption,
        /// The client's dialect.
        dialect: Dialect,
    },
    /// The client's task has ended, with its runtime. It may have been done or not.
    Stopped,
}

/// Whether it is safe to ask again after an error.
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
    /// It was not done.
    Always,
    /// It may have been done: only what may be done twice.
    IfRepeatable,
    /// Asking again will hardly help, or only the worker's error tells.
    Never,
}

impl RequestError {
    /// Whether it is safe to ask again.
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
            | RequestError::Unsayable { .. } => Retriable::Never,
        }
    }

    /// What a worker said of the error, or the broker that did [not take](Self::NotTaken) the request, as
    /// text; empty where nobody said anything.
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
            RequestError::BadService { service, offence } => {
                write!(f, "no service can be called {service:?}: {offence}")
            }
            RequestError::Unsayable { option, dialect } => {
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

    /// The place of a variant in the table. A new one needs a new line there.
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
            RequestError::Unsayable { .. } => 16,
        }
    }

    #[test]
    fn what_was_not_done_may_be_asked_again_and_what_may_have_been_only_if_repeatable() {
        let why = || Box::new(Body::from("no"));
        let (service, offence) = (String::new(), Offence::EmptyService);
        let bad_service = RequestError::BadService { service, offence };
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
            (RequestError::SentAway(Farewell::IdentityInUse), Retriable::Never),
            (RequestError::Unsayable { option, dialect }, Retriable::Never),
        ];
        for (at, (error, retriable)) in table.iter().enumerate() {
            assert_eq!((place(error), error.retriable()), (at, *retriable), "{error:?}");
        }
    }
}
