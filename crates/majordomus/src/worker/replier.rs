//! The reply side of a handler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{CODE_UNSAID, TaskHandle};

use crate::worker::outbox::{Outbox, Saying};
use crate::worker::task_control::TaskControl;
use crate::{Body, Cancellation};

/// The sender of a handler's reply: any number of parts, then one final reply or an error.
///
/// If the handler returns without a final reply or an error, the request fails, even if another
/// task still owns the replier. A handler that replies from another task must therefore wait for
/// that task. A handler that continues to run after its final reply still counts against the
/// worker's concurrency until it returns.
///
/// ```
/// use majordomus::{Replier, Request, testing};
///
/// async fn halve(request: Request, reply: Replier) {
///     match request.body.text().parse::<f64>() {
///         Ok(number) => reply.finish((number / 2.0).to_string()).await,
///         Err(error) => reply.fail_with(400, error.to_string()).await,
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = testing::call(halve, Request::new("halve", "5")).await;
/// assert_eq!(answer.result(), Ok("2.5".into()));
/// # }
/// ```
#[derive(Debug)]
pub struct Replier {
    task: TaskHandle,
    outbox: Arc<Outbox>,
    strings: TaskControl,
    keep: Option<Duration>,
}

impl Replier {
    pub(crate) fn new(task: TaskHandle, outbox: Arc<Outbox>, strings: TaskControl) -> Self {
        Self { task, outbox, strings, keep: None }
    }

    /// Sends a part of the reply. Waits while the client or the broker does not accept more parts.
    ///
    /// In [`Mdp01`](crate::Dialect::Mdp01), [`Gdp`](crate::Dialect::Gdp) and
    /// [`Libmdp`](crate::Dialect::Libmdp), workers cannot send partial replies. There, the parts
    /// are buffered and sent as the first frames of the final reply.
    ///
    /// # Errors
    ///
    /// Returns [`Cancelled`] if the reply is no longer needed.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// for number in 0..1_000_000 {
    ///     if reply.part(number.to_string()).await.is_err() {
    ///         return;
    ///     }
    /// }
    /// reply.finish("that is all").await;
    /// # }
    /// ```
    pub async fn part(&self, body: impl Into<Body>) -> Result<(), Cancelled> {
        if !self.is_wanted() {
            return Err(Cancelled);
        }
        let part = Saying::Part(self.task, body.into().into_content());
        let sending = async {
            self.strings.take().await;
            self.say(part).await
        };
        tokio::select! {
            said = sending => said,
            () = self.strings.pulled() => Err(Cancelled),
        }
    }

    /// Sends each item as a part, and then ends the reply with an empty final part.
    ///
    /// # Errors
    ///
    /// Returns [`Cancelled`] if the reply is no longer needed.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// let _ = reply.send_all((1..=3).map(|number| number.to_string())).await;
    /// # }
    /// ```
    pub async fn send_all<I>(self, parts: I) -> Result<(), Cancelled>
    where
        I: IntoIterator<Item: Into<Body>>,
    {
        for part in parts {
            self.part(part).await?;
        }
        self.finish(Body::empty()).await;
        Ok(())
    }

    /// Reports that the handler is still working, for a client that limits [the silence of its
    /// worker](crate::RequestBuilder::silence). Only [`Dialect::Omdp1`](crate::Dialect::Omdp1)
    /// supports this report.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// for step in 0..100 {
    ///     // A long computation in steps.
    ///     reply.at_work().await;
    /// }
    /// reply.finish("done").await;
    /// # }
    /// ```
    pub async fn at_work(&self) {
        let _ = self.say(Saying::AtWork(self.task)).await;
    }

    /// Allows the broker to cache the reply for this duration and to answer identical requests from
    /// the cache. Only a reply without parts can be cached.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.cache_for(Duration::from_secs(10)).finish("sunny").await;
    /// # }
    /// ```
    #[must_use]
    pub fn cache_for(self, duration: Duration) -> Self {
        Self { keep: Some(duration), ..self }
    }

    /// Sends the final reply, or its last part. The reply is dropped if it is no longer needed.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.finish("hello").await;
    /// # }
    /// ```
    pub async fn finish(self, body: impl Into<Body>) {
        let last = Saying::Final(self.task, body.into().into_content(), self.keep);
        let _ = self.say(last).await;
    }

    /// Fails the request with an error text. The text must not begin with `B_`: this prefix marks
    /// the broker's own errors, and most dialects have no other way to distinguish them.
    ///
    /// The MDP dialects have no error replies for workers. There, the error is sent as a final
    /// reply of one frame: `-1 ` and the text. Our [`Client`](crate::Client) recognizes this frame
    /// as an error if it uses an MDP dialect too. A client of an MDP dialect also receives the
    /// errors of other workers in this form if its broker is configured to send them.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.fail("the printer is out of paper").await;
    /// # }
    /// ```
    pub async fn fail(self, text: impl Into<String>) {
        self.fail_with(CODE_UNSAID, text.into()).await;
    }

    /// Fails the request with an application-defined code from 400 to 999. The first frame of `why`
    /// is a text for people; the frames after it can contain data for programs. Any other code is
    /// replaced by the nearest code in this range, except 0, which means no code, as with
    /// [`fail`](Self::fail).
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) supports codes and data frames. In other
    /// dialects this method behaves like [`fail`](Self::fail).
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.fail_with(507, "the printer is out of paper").await;
    /// # }
    /// ```
    pub async fn fail_with(self, code: u16, why: impl Into<Body>) {
        let failed = Saying::Failed(self.task, code, why.into().into_content());
        let _ = self.say(failed).await;
    }

    /// Rejects the request and gives the reason, so that the broker dispatches it to another
    /// worker. If all workers reject it, the client receives the last worker's reason, but not
    /// immediately: the broker first waits for another worker, by default for one second
    /// (`reject_wait`), even if this worker is the only one. To report an error to the client
    /// immediately, use [`fail`](Self::fail) instead. In dialects without rejection, this method
    /// fails the request.
    ///
    /// ```no_run
    /// # async fn handler(request: majordomus::Request, reply: majordomus::Replier) {
    /// if request.body.frames().bytes() > 1_000_000 {
    ///     return reply.reject("too much for me").await;
    /// }
    /// reply.finish("done").await;
    /// # }
    /// ```
    pub async fn reject(self, why: impl Into<Body>) {
        let rejected = Saying::Rejected(self.task, why.into().into_content());
        let _ = self.say(rejected).await;
    }

    /// Returns true if the reply is still needed.
    ///
    /// ```no_run
    /// # fn example(reply: &majordomus::Replier) {
    /// if !reply.is_wanted() {
    ///     return;
    /// }
    /// # }
    /// ```
    pub fn is_wanted(&self) -> bool {
        !self.strings.is_pulled()
    }

    /// Returns a handle that reports when the reply is no longer needed.
    ///
    /// ```no_run
    /// # async fn long_computation() -> Vec<u8> { Vec::new() }
    /// # async fn handler(reply: majordomus::Replier) {
    /// let cancellation = reply.cancellation();
    /// tokio::select! {
    ///     result = long_computation() => reply.finish(result).await,
    ///     () = cancellation.cancelled() => {}
    /// }
    /// # }
    /// ```
    pub fn cancellation(&self) -> Cancellation {
        Cancellation::new(self.strings.clone())
    }

    /// Sends a message to the connection's task. A message that fits into the channel is sent
    /// immediately. Otherwise the waiting future is boxed, which keeps the other futures small.
    fn say(&self, saying: Saying) -> impl Future<Output = Result<(), Cancelled>> + use<> {
        let waiting = self.outbox.say(self.task, saying).map(|unsaid| {
            let channel = self.outbox.channel().clone();
            Box::pin(async move { channel.send(unsaid).await })
        });
        async {
            match waiting {
                Some(waiting) => waiting.await.map_err(|_| Cancelled),
                None => Ok(()),
            }
        }
    }
}

/// The error that is returned when a reply is no longer needed.
///
/// ```
/// assert_eq!(majordomus::Cancelled.to_string(), "nobody waits for the reply any more");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits for the reply any more")
    }
}

impl std::error::Error for Cancelled {}
