//! A request before it is sent.

use std::future::IntoFuture;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::blocking::{Reply, Runtime};
use crate::{Body, HeaderError, Progress, RequestError, Retry};

/// Progress of one request that is on its way to the channel of its user.
///
/// ```
/// use std::sync::mpsc;
///
/// use majordomus::blocking::PROGRESS_MAX;
/// use majordomus::testing;
///
/// // There is room for all that can be on its way.
/// let (tell, told) = mpsc::sync_channel(PROGRESS_MAX);
/// let (client, _) = testing::client().service("job", |_, reply| reply.finish("done")).blocking_build();
/// client.request("job", "").progress(tell).call()?;
/// assert!(told.iter().count() > 0);
/// # Ok::<(), majordomus::RequestError>(())
/// ```
pub const PROGRESS_MAX: usize = 16;

/// A request before it is sent, from [`Client::request`](crate::blocking::Client::request).
///
/// [`call`](Self::call) sends it and waits for the whole reply. [`send`](Self::send) is for those who
/// want the parts of the reply one by one.
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

    /// The same, with what is set in this.
    fn with(
        self,
        set: impl FnOnce(crate::RequestBuilder) -> crate::RequestBuilder,
    ) -> RequestBuilder {
        Self { request: set(self.request), ..self }
    }

    /// How long it may take, counted from when it is sent and again from each part of its reply: see
    /// the [async one](crate::RequestBuilder::timeout).
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

    /// How long all of it may take, whatever comes meanwhile: see the
    /// [async one](crate::RequestBuilder::deadline).
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

    /// How long its worker may be silent: see the [async one](crate::RequestBuilder::silence).
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

    /// Its priority, from 0 (last) to 9 (first); 4 unless set, and 9 for what is above.
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

    /// Says that it may be done twice: see the [async one](crate::RequestBuilder::repeatable).
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

    /// Makes it again when it fails: see the [async one](crate::RequestBuilder::retry).
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

    /// Asks for one worker, by its name: see the [async one](crate::RequestBuilder::target).
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

    /// Wants a new reply, and none that the broker has kept from an equal request.
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

    /// One header more, beside those that its body has.
    ///
    /// # Errors
    ///
    /// Those of [`Headers::with`](crate::Headers::with).
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

    /// Tells how far it has come: see the [async one](crate::RequestBuilder::progress). What finds no
    /// room in the channel is left out.
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

    /// How many reports make up its reply in [`Dialect::Libmdp`](crate::Dialect::Libmdp): see the
    /// [async one](crate::RequestBuilder::reports).
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

    /// Sends it, and waits for the whole reply.
    ///
    /// # Errors
    ///
    /// When there is no reply.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
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

    /// Sends it, and returns where the reply will come. Waits only while many others are being sent.
    ///
    /// Whatever is wrong with it is the first thing that the reply says.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
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

/// The side of a request for what goes on to the channel of its user.
fn passed_on(runtime: &Runtime, tell: SyncSender<Progress>) -> mpsc::Sender<Progress> {
    let (says, mut said) = mpsc::channel(PROGRESS_MAX);
    // It ends with the request, which holds the other side.
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
        // The one thread has no turn for who passes it on.
        let sent = (0..2 * PROGRESS_MAX).filter(|_| says.try_send(Progress::Queued).is_ok());
        assert_eq!(sent.count(), PROGRESS_MAX);
        drop(says);
        let came = spawn_blocking(move || told.iter().count()).await;
        assert_eq!(came.expect("it does not panic"), PROGRESS_MAX);
    }
}
