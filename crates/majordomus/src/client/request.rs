//! The builder of a request.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{ByteStr, Priority, Timeout};
use majordomus_wire::{RequestOption, check_service_name};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::driver::{Ask, Tell};
use crate::client::reply::{Asked, Deadline};
use crate::client::retry::ask_again;
use crate::client::routes::Route;
use crate::client::says::Says;
use crate::client::{Client, Shared};
use crate::link::{HEAD_FRAMES_MAX, head_bytes_max};
use crate::{Body, HeaderError, Progress, Reply, RequestError, Retry};

/// The maximum length of a worker's name, which is a ZMTP routing id.
const ROUTING_ID_BYTES_MAX: usize = 255;

/// A request that has not been sent yet, created by [`Client::request`].
///
/// Awaiting the request sends it and waits for the complete reply. Use [`send`](Self::send) to read
/// the parts of the reply one by one.
///
/// A request with an [option](RequestOption) that the client's dialect does not support is not
/// sent: it fails with [`UnsupportedOption`](RequestError::UnsupportedOption). Options that the client implements
/// alone ([`deadline`](Self::deadline), [`retry`](Self::retry), [`progress`](Self::progress),
/// [`reports`](Self::reports)) are available in every dialect.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::{Retry, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, record) =
///     testing::client().service("price", |_, reply| reply.finish("100.25")).build();
/// let request = client.request("price", "ZMQ").timeout(Duration::from_secs(3)).priority(9);
/// assert_eq!(request.retry(Retry::default()).await?.text(), "100.25");
/// assert!(record.all()[0].repeatable);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited, or `send` is"]
pub struct RequestBuilder {
    asking: Asking,
    retry: Option<Retry>,
    deadline: Option<Duration>,
    /// The first option that the dialect does not support.
    unsayable: Option<RequestOption>,
}

/// A request and its client-side options.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    client: Client,
    /// Boxed from the start, so that the request is never copied on its way to the connection.
    request: Box<majordomus_core::Request>,
    silence_max: Option<Duration>,
    progress: Option<Tell>,
    reports: u32,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, service: &str, body: Body) -> Self {
        let content = body.into_content();
        let mut request = Box::new(majordomus_core::Request::new(service, content.body));
        request.options = content.options;
        request.timeout = timeout_of(client.shared.timeout);
        let asking = Asking { client, request, silence_max: None, progress: None, reports: 1 };
        Self { asking, retry: None, deadline: None, unsayable: None }
    }

    /// Records the option as unsupported if the dialect does not support it.
    fn says(mut self, option: RequestOption) -> Self {
        if !option.is_in(self.asking.client.shared.dialect) {
            self.unsayable.get_or_insert(option);
        }
        self
    }

    /// Sets the request timeout (default:
    /// [`ClientBuilder::timeout`](crate::ClientBuilder::timeout)). The time starts when the request
    /// is sent, and restarts with each part of the reply. The time in which received parts wait to
    /// be read does not count. `None` disables the timeout. With [`retry`](Self::retry), the
    /// timeout applies to all attempts together.
    ///
    /// [`Duration::ZERO`] requires a worker that is idle now. Only
    /// [`Dialect::Omdp1`](crate::Dialect::Omdp1) supports this.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("sleep", "1 h").timeout(None).await?;
    /// client.request("echo", "hello").timeout(Duration::from_millis(500)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.asking.request.timeout = timeout_of(timeout.into());
        self
    }

    /// Sets the maximum time from sending the request to the end of the reply (default: unlimited).
    /// It includes all parts of the reply and all retries.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let minute = Duration::from_secs(60);
    /// let prices = client.request("prices", "ZMQ").deadline(minute).send().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the maximum time in which the worker sends neither a part of the reply nor an [at-work
    /// notice](crate::Replier::at_work) (default: unlimited). When this time is over, the request
    /// is cancelled, and the worker is notified if its dialect supports it.
    ///
    /// The time starts when a worker receives the request. Only
    /// [`Dialect::Omdp1`](crate::Dialect::Omdp1) reports this.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let five = Duration::from_secs(5);
    /// client.request("render", "scene").timeout(None).silence(five).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn silence(mut self, longest: Duration) -> Self {
        self.asking.silence_max = Some(longest);
        self.says(RequestOption::Silence)
    }

    /// Sets the priority among the requests that are queued for the same service, from 0 (lowest)
    /// to 9 (highest). The default is 4, and larger values than 9 count as 9. Only
    /// [`Dialect::Omdp1`](crate::Dialect::Omdp1) supports priorities.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("print", "at once").priority(9).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: u8) -> Self {
        self.asking.request.priority = Priority::new(priority);
        self.says(RequestOption::Priority)
    }

    /// Marks the request as idempotent. If its worker is lost before a part of the reply has
    /// arrived, the broker redelivers the request to another worker.
    ///
    /// The dialects of 7/MDP and 18/MDP treat all requests as idempotent.
    /// [`Dialect::Omdp`](crate::Dialect::Omdp) does not support this option.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").repeatable().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeatable(mut self) -> Self {
        self.asking.request.redeliver = true;
        self.says(RequestOption::Repeatable)
    }

    /// Retries the request if it fails before a part of the reply has arrived, at another broker if
    /// there is one. This option also marks the request as [repeatable](Self::repeatable), if the
    /// dialect supports it.
    ///
    /// Errors that a retry cannot fix are not retried: a worker's own error, a timeout, or a
    /// request that is too large. All attempts and the delays between them share the request's
    /// [`timeout`](Self::timeout): the timeout of each attempt is the time that remains at its
    /// start, and it restarts with each part of the reply. If the next delay would use up the
    /// remaining time, the request fails with the last error.
    ///
    /// To the broker, each attempt is a new request, so each worker sees it as the first
    /// [`attempt`](crate::Request::attempt). [`progress`](Self::progress) reports a second worker
    /// as a redelivery, both after a retry and after a redelivery by the broker.
    ///
    /// ```no_run
    /// use majordomus::Retry;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").retry(Retry::times(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self.asking.request.redeliver = true;
        self
    }

    /// Sends the request to one specific worker, identified by its ZMTP identity or its name in
    /// `$dir`. If this worker is not connected or has not registered the service, the request fails
    /// with [`NoSuchService`](RequestError::NoSuchService).
    ///
    /// This option is supported by [`Dialect::Omdp1`](crate::Dialect::Omdp1),
    /// [`Dialect::Pigato`](crate::Dialect::Pigato) and [`Dialect::Omdp`](crate::Dialect::Omdp).
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("status", "").target("worker-17").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn target(mut self, worker: &str) -> Self {
        self.asking.request.target = ByteStr::from(worker);
        self.says(RequestOption::Target)
    }

    /// Bypasses the broker's reply cache. This option is supported by the same dialects as
    /// [`target`](Self::target).
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").no_cache().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_cache(mut self) -> Self {
        self.asking.request.fresh = true;
        self.says(RequestOption::NoCache)
    }

    /// Appends a header to the headers of the body.
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) supports headers. In other dialects, the
    /// headers of the body itself are omitted without an error, so that a received body can be
    /// forwarded in any dialect.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Headers::with`](crate::Headers::with).
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// client.request("echo", "hello").header("traceparent", trace)?.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        let options = std::mem::take(&mut self.asking.request.options);
        let headers = crate::Headers::received(&options).with(name, value)?;
        self.asking.request.options = headers.into_packed();
        Ok(self.says(RequestOption::Header))
    }

    /// Reports the progress of the request to a channel: when it is queued for a worker, when it is
    /// dispatched to a worker, and when it is redelivered. A report is dropped if the channel is
    /// full.
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) reports progress. In other dialects, nothing
    /// is sent to the channel.
    ///
    /// ```no_run
    /// use majordomus::Progress;
    /// use tokio::sync::mpsc;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let (tell, mut told) = mpsc::channel(8);
    /// let reply = client.request("render", "scene").progress(tell).send().await;
    /// assert!(matches!(told.recv().await, Some(Progress::Queued | Progress::Dispatched)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(mut self, tell: mpsc::Sender<Progress>) -> Self {
        self.asking.request.notices = true;
        self.asking.progress = Some(Tell::new(tell));
        self
    }

    /// Sets the number of reports in the reply in [`Dialect::Libmdp`](crate::Dialect::Libmdp),
    /// which does not mark the last one (default: 1; 0 counts as 1). In other dialects, this option
    /// has no effect.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let mut reply = client.request("count", "to three").reports(3).send().await;
    /// while let Some(report) = reply.next().await {
    ///     println!("{}", report?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reports(mut self, count: u32) -> Self {
        self.asking.reports = count;
        self
    }

    /// Passes the request to the client's task and returns its reply. This method waits only while
    /// the task's queue is full.
    ///
    /// If the request cannot be sent, the error is the first item of the reply.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let mut reply = client.request("count", "to three").send().await;
    /// while let Some(part) = reply.next().await {
    ///     println!("{}", part?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(self) -> Reply {
        if let Err(error) = self.check() {
            return Reply::failed(error);
        }
        let Self { mut asking, retry, deadline, .. } = self;
        if let Some(deadline) = deadline {
            asking.request.timeout = match asking.request.timeout {
                Timeout::After(span) => Timeout::After(span.min(deadline)),
                Timeout::Never | Timeout::OfService => Timeout::After(deadline),
            };
        }
        let grace = asking.client.shared.grace;
        let until = deadline.map(|deadline| Deadline::new(deadline, grace));
        // If a broker disconnects before the request is sent, the request goes to another broker.
        let again = retry.or(asking.client.shared.routes.are_several().then_some(Retry::times(0)));
        let reply = match again {
            Some(retry) => Reply::new(ask_again(asking, retry), None, None),
            None => asking.ask(None).await,
        };
        reply.with_deadline(until)
    }

    /// Returns an error if the request cannot be sent.
    fn check(&self) -> Result<(), RequestError> {
        let Asking { client, request, .. } = &self.asking;
        let Shared { limits, dialect, .. } = &*client.shared;
        let dialect = *dialect;
        let at_once = request.timeout == Timeout::After(Duration::ZERO);
        let lost = at_once && !RequestOption::AtOnce.is_in(dialect);
        if let Some(option) = self.unsayable.or(lost.then_some(RequestOption::AtOnce)) {
            return Err(RequestError::UnsupportedOption { option, dialect });
        }
        let service = &request.service;
        check_service_name(service).map_err(|violation| {
            let service = String::from_utf8_lossy(service).into_owned();
            RequestError::BadService { service, violation }
        })?;
        if request.target.len() > ROUTING_ID_BYTES_MAX {
            return Err(RequestError::NoSuchService);
        }
        let (bytes, frames) = (request.body.bytes(), request.body.len());
        let beside = head_bytes_max(dialect).saturating_add(request.options.len());
        if bytes.saturating_add(beside) > limits.message_bytes_max
            || frames.saturating_add(HEAD_FRAMES_MAX) > limits.frames_max
        {
            return Err(RequestError::TooLarge);
        }
        Ok(())
    }
}

impl Asking {
    /// Returns the maximum time for all attempts.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.request.timeout {
            // A request that needs an idle worker still waits this long for a connected broker.
            Timeout::After(Duration::ZERO) => Some(self.client.shared.silence_max),
            Timeout::After(span) => Some(span),
            Timeout::Never | Timeout::OfService => None,
        }
    }

    /// Shortens the timeout to the remaining time.
    pub(crate) fn shorten(&mut self, left: Duration) {
        if let Timeout::After(span) = &mut self.request.timeout {
            *span = left.min(*span);
        }
    }

    /// Sends one attempt, if possible to another broker than the one at which it failed.
    pub(crate) async fn ask(self, failed: Option<usize>) -> Reply {
        let shared = Arc::clone(&self.client.shared);
        // Usually the queue has room, and no timer is needed.
        if let Some((broker, route)) = shared.routes.pick(failed)
            && let Ok(place) = route.asks.try_reserve()
        {
            return self.hand_over(broker, route, place);
        }
        // Boxed, so that the future of the common case stays small.
        Box::pin(self.ask_later(shared, failed)).await
    }

    /// Sends the request when the queue has room, unless too many requests wait already.
    async fn ask_later(self, shared: Arc<Shared>, failed: Option<usize>) -> Reply {
        let Some(_waiting) = shared.waits() else { return Reply::failed(RequestError::Refused) };
        let patience = self.patience();
        let sending = async {
            let (broker, route) = match shared.routes.choose(failed).await {
                Ok(chosen) => chosen,
                Err(why) => return Reply::failed(RequestError::SentAway(why)),
            };
            match route.asks.reserve().await {
                Ok(place) => self.hand_over(broker, route, place),
                Err(_) => Reply::failed(RequestError::Stopped),
            }
        };
        match patience {
            Some(span) => {
                let sent = timeout(span, sending).await;
                sent.unwrap_or_else(|_| Reply::failed(RequestError::Expired))
            }
            None => sending.await,
        }
    }

    /// Passes the request to the task of a broker, using a reserved slot in its queue.
    fn hand_over(self, broker: usize, route: &Route, place: mpsc::Permit<'_, Ask>) -> Reply {
        let Self { client, request, silence_max, progress, reports } = self;
        let handle = client.shared.next_request();
        let (says, first) = Says::new();
        place.send(Ask { handle, request, silence_max, says, progress });
        let asked = Asked::new(handle, broker, route.wishes.clone());
        let parts_max = (!client.shared.has_finals).then_some(reports);
        Reply::new(first, Some(asked), parts_max)
    }
}

/// The count of one request that waits to be passed to a task. Dropping it decrements the counter.
pub(crate) struct Place<'a>(pub(crate) &'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.leaves();
    }
}

fn timeout_of(timeout: Option<Duration>) -> Timeout {
    timeout.map_or(Timeout::Never, Timeout::After)
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Body, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Sends the request and waits for the complete reply.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.whole().await })
    }
}
