//! A request before it is sent.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{Label, Priority, Timeout};
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

/// No worker has a longer name: it is a routing id of ZMTP.
const ROUTING_ID_BYTES_MAX: usize = 255;

/// A request before it is sent, from [`Client::request`].
///
/// Awaiting it sends it and waits for the whole reply. [`send`](Self::send) is for those who want
/// the parts of the reply one by one.
///
/// What its client's dialect [has no words for](RequestOption) is not left out in silence: such a
/// request is not sent, and fails with [`Unsayable`](RequestError::Unsayable). What asks nothing of
/// the broker ([`deadline`](Self::deadline), [`retry`](Self::retry), [`progress`](Self::progress),
/// [`reports`](Self::reports)) can be said in every dialect.
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
    /// What was said first of that for which the dialect has no words.
    unsayable: Option<RequestOption>,
}

/// A request, and what its client does about it.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    client: Client,
    /// In a box from the first, so that it is never copied on its way to the connection.
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

    /// It says this, if it can.
    fn says(mut self, option: RequestOption) -> Self {
        if !option.is_in(self.asking.client.shared.dialect) {
            self.unsayable.get_or_insert(option);
        }
        self
    }

    /// How long it may take, counted from when it is sent and again from each part of its reply;
    /// `None` is as long as it takes. While parts wait to be read by you, no time is counted. With
    /// [`retry`](Self::retry) it is for all attempts together.
    ///
    /// Nothing at all ([`Duration::ZERO`]) is: only if a worker is free now, which
    /// [`Dialect::Omdp1`](crate::Dialect::Omdp1) alone can ask for.
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

    /// How long all of it may take, from when it is sent to the end of the reply, whatever comes
    /// meanwhile and however often it is made again; none unless set.
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

    /// How long its worker may be silent, without a part of the reply and without
    /// [a sign](crate::Replier::at_work) that it is still at work; as long as it likes unless set. Then
    /// the request is given up, and its worker told, where that can be done.
    ///
    /// Time is counted from when a worker has it, of which [`Dialect::Omdp1`](crate::Dialect::Omdp1)
    /// alone tells.
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

    /// Its priority among the requests that wait for the same service, from 0 (last) to 9 (first); 4
    /// unless set, and 9 for what is above. Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) has any.
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

    /// Says that it may be done twice: where its worker is lost before a part of the reply came, the
    /// broker gives it to another.
    ///
    /// In the dialects of 7/MDP and 18/MDP all requests are taken to be so; in
    /// [`Dialect::Omdp`](crate::Dialect::Omdp) none can be.
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

    /// Makes it again when it fails, at another broker where there is one, as long as no part of the
    /// reply has come. It says with that that it [may be done twice](Self::repeatable), where there are
    /// words for it.
    ///
    /// What makes no sense to be made again is not: a worker's own error, a time that is over, a
    /// request that is too large. All attempts, and the waits between them, share its
    /// [`timeout`](Self::timeout): each has what is left of that, also from each part of its reply on.
    /// When the next wait would take all that is left, the last error is the answer.
    ///
    /// To its brokers each attempt is another request, so its worker sees a first
    /// [`attempt`](crate::Request::attempt) each time. Its user is
    /// [told](Self::progress) of the second worker that it was redelivered, whoever did that.
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

    /// Asks for one worker, by its name: its ZMTP identity, or what `$dir` calls it. It has to be there
    /// and to offer the service, or else there is [no such service](RequestError::NoSuchService).
    ///
    /// [`Dialect::Omdp1`](crate::Dialect::Omdp1), [`Dialect::Pigato`](crate::Dialect::Pigato) and
    /// [`Dialect::Omdp`](crate::Dialect::Omdp) can ask for one.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("status", "").target("worker-17").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn target(mut self, worker: &str) -> Self {
        self.asking.request.target = Label::from(worker);
        self.says(RequestOption::Target)
    }

    /// Wants a new reply, and none that the broker has kept from an equal request. The dialects that
    /// can ask for one [worker](Self::target) can say this.
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

    /// One header more, beside those that its body has.
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) has headers. Those of the body go as far as the
    /// dialect takes them, so that what was received can be passed on in any.
    ///
    /// # Errors
    ///
    /// Those of [`Headers::with`](crate::Headers::with).
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

    /// Tells how far it has come: when it waits for a worker, when one has it, and when another one
    /// does. What finds no room in the channel is left out.
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) tells of that; in the others nothing comes.
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

    /// How many reports make up its reply in [`Dialect::Libmdp`](crate::Dialect::Libmdp), which has
    /// any number of them and does not say which is the last; 1 unless set, and none is as good as
    /// 1. In other dialects the reply tells its own end, and this changes nothing.
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

    /// Gives it to the client's task, and returns where the reply will come. Waits only while many
    /// others are being given to the task.
    ///
    /// Whatever is wrong with it is the first thing that the reply says.
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
        // Where a broker goes before it is sent, it is sent to another.
        let again = retry.or(asking.client.shared.routes.are_several().then_some(Retry::times(0)));
        let reply = match again {
            Some(retry) => Reply::new(ask_again(asking, retry), None, None),
            None => asking.ask(None).await,
        };
        reply.with_deadline(until)
    }

    /// Whether it can be sent at all.
    fn check(&self) -> Result<(), RequestError> {
        let Asking { client, request, .. } = &self.asking;
        let Shared { limits, dialect, .. } = &*client.shared;
        let dialect = *dialect;
        let at_once = request.timeout == Timeout::After(Duration::ZERO);
        let lost = at_once && !RequestOption::AtOnce.is_in(dialect);
        if let Some(option) = self.unsayable.or(lost.then_some(RequestOption::AtOnce)) {
            return Err(RequestError::Unsayable { option, dialect });
        }
        let service = &request.service;
        check_service_name(service).map_err(|offence| {
            let service = String::from_utf8_lossy(service).into_owned();
            RequestError::BadService { service, offence }
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
    /// How long it may be asked again and again.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.request.timeout {
            // Who wants a worker that is free now waits so long for a broker that can be asked.
            Timeout::After(Duration::ZERO) => Some(self.client.shared.silence_max),
            Timeout::After(span) => Some(span),
            Timeout::Never | Timeout::OfService => None,
        }
    }

    /// Gives it no more time than this.
    pub(crate) fn shorten(&mut self, left: Duration) {
        if let Timeout::After(span) = &mut self.request.timeout {
            *span = left.min(*span);
        }
    }

    /// Asks once, elsewhere than at the broker where it has failed, if there is another.
    pub(crate) async fn ask(self, failed: Option<usize>) -> Reply {
        let shared = Arc::clone(&self.client.shared);
        // Mostly there is room at once, and nobody needs a clock.
        if let Some((broker, route)) = shared.routes.pick(failed)
            && let Ok(place) = route.asks.try_reserve()
        {
            return self.hand_over(broker, route, place);
        }
        // In a box, so that those who need not wait are small.
        Box::pin(self.ask_later(shared, failed)).await
    }

    /// Asks when there is room, unless too many wait for that.
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

    /// Gives it to the task of a broker, where there is a place for it.
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

/// One of those who wait until a request can be given to a task.
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

    /// Sends it and waits for the whole reply.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.whole().await })
    }
}
