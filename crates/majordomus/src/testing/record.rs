//! The record of a test client's requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomus_core::{Content, Timeout};

use crate::Body;

/// The maximum number of requests in a [`Record`]. The oldest requests are dropped first.
///
/// ```
/// use majordomus::testing::{self, ASKED_MAX};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (client, record) = testing::client().service("echo", |_, reply| reply.finish("")).build();
/// for _ in 0..=ASKED_MAX {
///     assert!(client.request("echo", "").await.is_ok());
/// }
/// assert_eq!(record.all().len(), ASKED_MAX);
/// # }
/// ```
pub const ASKED_MAX: usize = 1_024;

/// The requests that a [test client](crate::testing::client) made, in order. Clones share the same
/// record.
///
/// ```
/// use majordomus::testing;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (client, record) = testing::client().build();
/// assert!(client.request("print", "at once").priority(9).await.is_err());
/// let asked = record.all();
/// assert_eq!((&*asked[0].service, asked[0].priority), ("print", 9));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Record {
    asked: Arc<Mutex<VecDeque<Asked>>>,
}

/// A request of a test client.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::testing;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (client, record) = testing::client().build();
/// let limit = Duration::from_secs(3);
/// let _ = client.request("price", "ACME").timeout(limit).repeatable().await;
/// let asked = &record.of("price")[0];
/// assert_eq!((asked.timeout, asked.repeatable), (Some(limit), true));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The name of the requested service.
    pub service: String,
    /// The body of the request, with its headers.
    pub body: Body,
    /// The time limit of the request.
    pub timeout: Option<Duration>,
    /// The time for which the worker may be silent.
    pub silence: Option<Duration>,
    /// The priority, from 0 to 9.
    pub priority: u8,
    /// True if the request is marked as repeatable.
    pub repeatable: bool,
    /// True if a cached reply is not accepted.
    pub no_cache: bool,
    /// The name of the requested worker; empty for any worker.
    pub target: String,
}

impl Record {
    /// Returns all requests, including those for unknown services. A retry is recorded as another
    /// request.
    ///
    /// ```
    /// assert!(majordomus::testing::Record::default().all().is_empty());
    /// ```
    pub fn all(&self) -> Vec<Asked> {
        self.asked().iter().cloned().collect()
    }

    /// Returns the requests for one service.
    ///
    /// ```
    /// use majordomus::testing;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), majordomus::RequestError> {
    /// let (client, record) =
    ///     testing::client().service("echo", |request, reply| reply.finish(request.body)).build();
    /// client.request("echo", "hello").await?;
    /// assert_eq!((record.of("echo").len(), record.of("shout").len()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(&self, service: &str) -> Vec<Asked> {
        self.asked().iter().filter(|asked| asked.service == service).cloned().collect()
    }

    pub(super) fn note(&self, request: &majordomus_core::Request, silence: Option<Duration>) {
        let majordomus_core::Request { options, body, .. } = request.clone();
        let note = Asked {
            service: String::from_utf8_lossy(&request.service).into_owned(),
            body: Body::received(Content { options, body }),
            timeout: match request.timeout {
                Timeout::After(span) => Some(span),
                Timeout::Never | Timeout::OfService => None,
            },
            silence,
            priority: request.priority.number(),
            repeatable: request.redeliver,
            no_cache: request.fresh,
            target: String::from_utf8_lossy(&request.target).into_owned(),
        };
        let mut asked = self.asked();
        if asked.len() == ASKED_MAX {
            asked.pop_front();
        }
        asked.push_back(note);
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
