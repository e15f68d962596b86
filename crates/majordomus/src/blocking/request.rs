//! Builder of blocking requests.

use std::future::IntoFuture;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::blocking::{Reply, Runtime};
use crate::{Body, HeaderError, Progress, RequestError, Retry};

/// The maximum number of progress reports of one request that are queued for the user's channel.
///
/// ```
/// use std::sync::mpsc;
///
/// use majordomus::blocking::PROGRESS_MAX;
/// use majordomus::testing;
///
/// // The channel has capacity for all queued reports.
/// let (tell, told) = mpsc::sync_channel(PROGRESS_MAX);
/// let (client, _) = testing::client().service("job", |_, reply| reply.finish("done")).blocking_build();
/// client.request("job", "").progress(tell).call()?;
/// assert!(told.iter().count() > 0);
/// # Ok::<(), majordomus::RequestError>(())
/// ```
pub const PROGRESS_MAX: usize = 16;

/// A request before it is sent, from [`Client::request`](crate::blocking::Client::request).
///
/// [`call`](Self::call) sends the request and waits for the whole reply. [`send`](Self::send)
/// returns the parts of the reply individually.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::testing;
///
/// let (client, _) =
///     testing::client().service("echo", |request, reply| reply.finish(request.body)).blocking_build();
/// let request = client.request("echo", "hello").timeout(Duration::from_secs(3));
/// assert_eq!(request.call()?.text(), "hello");
/// # Ok::<(), majordomus::RequestError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent until `call` or `send` is called"]
pub struct RequestBuilder {
    request: crate::RequestBuilder,
    runtime: Runtime,
}

impl RequestBuilder {
    pub(crate) fn new(request: crate::RequestBuilder, runtime: Runtime) -> Self {
        Self { request, runtime }
    }

    /// Returns the request with the changes that `set` makes.
    fn with(
        self,
        set: impl FnOnce(crate::RequestBuilder) -> crate::RequestBuilder,
    ) -> RequestBuilder {
        Self { request: set(self.request), ..self }
    }

    /// Sets the time limit from sending the request to the first part of its reply, and from each
    /// part to the next: see the [async method](crate::RequestBuilder::timeout).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("sleep", "1 h").timeout(None).call()?;
    /// client.request("echo", "hello").timeout(Duration::from_millis(500)).call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// Sets the time limit for the whole request, including all parts: see the [async
    /// method](crate::RequestBuilder::deadline).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) {
    /// let prices = client.request("prices", "ZMQ").deadline(Duration::from_secs(60)).send();
    /// # }
    /// ```
    pub fn deadline(self, deadline: Duration) -> Self {
        self.with(|request| request.deadline(deadline))
    }

    /// Sets the time for which the worker may be silent: see the [async
    /// method](crate::RequestBuilder::silence).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("render", "scene").timeout(None).silence(Duration::from_secs(5)).call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn silence(self, longest: Duration) -> Self {
        self.with(|request| request.silence(longest))
    }

    /// Sets the priority, from 0 (lowest) to 9 (highest). The default is 4. Higher values are
    /// treated as 9.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("print", "at once").priority(9).call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(self, priority: u8) -> Self {
        self.with(|request| request.priority(priority))
    }

    /// Marks the request as repeatable: see the [async method](crate::RequestBuilder::repeatable).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").repeatable().call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeatable(self) -> Self {
        self.with(crate::RequestBuilder::repeatable)
    }

    /// Retries the request if it fails: see the [async method](crate::RequestBuilder::retry).
    ///
    /// ```no_run
    /// use majordomus::Retry;
    ///
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").retry(Retry::times(5)).call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(self, retry: Retry) -> Self {
        self.with(|request| request.retry(retry))
    }

    /// Addresses one worker by its name: see the [async method](crate::RequestBuilder::target).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("status", "").target("worker-17").call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn target(self, worker: &str) -> Self {
        self.with(|request| request.target(worker))
    }

    /// Requests a new reply instead of one that the broker has cached for an identical request.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("price", "ZMQ").no_cache().call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_cache(self) -> Self {
        self.with(crate::RequestBuilder::no_cache)
    }

    /// Adds a header to those of the body.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Headers::with`](crate::Headers::with).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.request("echo", "hello").header("lang", "en")?.call()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        Ok(Self { request: self.request.header(name, value)?, ..self })
    }

    /// Sends reports of the request's progress to a channel: see the [async
    /// method](crate::RequestBuilder::progress). Reports are dropped while the channel is full.
    ///
    /// ```no_run
    /// use std::sync::mpsc;
    ///
    /// # fn example(client: majordomus::blocking::Client) {
    /// let (tell, told) = mpsc::sync_channel(8);
    /// let reply = client.request("render", "scene").progress(tell).send();
    /// for progress in told {
    ///     println!("{progress:?}");
    /// }
    /// # }
    /// ```
    pub fn progress(self, tell: SyncSender<Progress>) -> Self {
        let says = passed_on(&self.runtime, tell);
        self.with(|request| request.progress(says))
    }

    /// Sets the number of reports in the reply in [`Dialect::Libmdp`](crate::Dialect::Libmdp): see
    /// the [async method](crate::RequestBuilder::reports).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// for report in client.request("count", "to three").reports(3).send() {
    ///     println!("{}", report?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reports(self, count: u32) -> Self {
        self.with(|request| request.reports(count))
    }

    /// Sends the request and waits for the whole reply.
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// println!("{}", client.request("echo", "hello").call()?.text());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn call(self) -> Result<Body, RequestError> {
        self.runtime.block_on(self.request.into_future())
    }

    /// Sends the request and returns its reply, whose parts can be read as they arrive. Waits only
    /// while many other requests are being sent.
    ///
    /// All errors, including those of an invalid request, are returned by the reply.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// for part in client.request("count", "to three").send() {
    ///     println!("{}", part?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn send(self) -> Reply {
        let reply = self.runtime.block_on(self.request.send());
        Reply::new(reply, self.runtime)
    }
}

/// Creates a channel for a request's progress and a task that forwards it to the user's channel.
fn passed_on(runtime: &Runtime, tell: SyncSender<Progress>) -> mpsc::Sender<Progress> {
    let (says, mut said) = mpsc::channel(PROGRESS_MAX);
    // The task ends when the request drops its sender.
    runtime.spawn(async move {
        while let Some(progress) = said.recv().await {
            if let Err(TrySendError::Disconnected(_)) = tell.try_send(progress) {
                return;
            }
        }
    });
    says
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use tokio::task::spawn_blocking;

    use super::*;

    #[tokio::test]
    async fn so_much_progress_is_on_its_way_and_no_more() {
        let (tell, told) = sync_channel(2 * PROGRESS_MAX);
        let says = passed_on(&Runtime::current(), tell);
        // The runtime's only thread is busy here, so the forwarding task cannot run.
        let sent = (0..2 * PROGRESS_MAX).filter(|_| says.try_send(Progress::Queued).is_ok());
        assert_eq!(sent.count(), PROGRESS_MAX);
        drop(says);
        let came = spawn_blocking(move || told.iter().count()).await;
        assert_eq!(came.expect("it does not panic"), PROGRESS_MAX);
    }
}
