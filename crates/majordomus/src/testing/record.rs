//! What was asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomus_core::{Content, Timeout};

use crate::Body;

/// Requests that a [`Record`] has; of what comes beyond that, the oldest are left out.
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

/// What a [testing client](crate::testing::client) was asked for, in order. Clones are the same.
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

/// A request, as its client made it.
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
    /// The service that was asked.
    pub service: String,
    /// What is to be done, with its headers.
    pub body: Body,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How long its worker may be silent.
    pub silence: Option<Duration>,
    /// Its priority, from 0 to 9.
    pub priority: u8,
    /// Whether it may be done twice.
    pub repeatable: bool,
    /// Whether no reply will do that was kept.
    pub no_cache: bool,
    /// The worker that was asked for; empty for any.
    pub target: String,
}

impl Record {
    /// All requests, also those for services that are not there. One that is made again is there
    /// again.
    ///
    /// ```
    /// assert!(majordomus::testing::Record::default().all().is_empty());
    /// ```
    pub fn all(&self) -> Vec<Asked> {
        self.asked().iter().cloned().collect()
    }

    /// The requests for one service.
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
