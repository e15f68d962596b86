//! Blocking handlers and their replies.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::blocking::Runtime;
use crate::{Body, Cancellation, Cancelled, Request};

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Converts a blocking closure to an async handler. Each of its requests runs on a thread of
/// Tokio's `spawn_blocking`, so an async [`Worker`](crate::Worker) can have blocking and async
/// handlers.
///
/// A request that is cancelled before its thread starts is not processed.
///
/// ```no_run
/// use majordomus::{Worker, blocking};
///
/// # async fn example() -> Result<(), majordomus::SetupError> {
/// let read = blocking::handler(|request, reply| match std::fs::read(&*request.body.text()) {
///     Ok(content) => reply.finish(content),
///     Err(error) => reply.fail(error.to_string()),
/// });
/// let worker = Worker::builder("tcp://127.0.0.1:5555")
///     .service("echo", |request, reply| reply.finish(request.body))
///     .service("read", read)
///     .start()?;
/// worker.ended().await;
/// # Ok(())
/// # }
/// ```
pub fn handler<H>(
    handler: H,
) -> impl Fn(Request, crate::Replier) -> Handling + Send + Sync + 'static
where
    H: Fn(Request, Replier) + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    move |request, reply| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let reply = Replier { reply, runtime: Runtime::current() };
            let running = spawn_blocking(move || {
                if reply.is_wanted() {
                    handler(request, reply);
                }
            });
            // The panic is propagated, so that the request fails with its message.
            if let Err(failed) = running.await
                && let Ok(panic) = failed.try_into_panic()
            {
                resume_unwind(panic);
            }
        })
    }
}

/// The sender of a handler's reply: any number of parts, then one final reply or an error. It works
/// like the [async replier](crate::Replier), but blocks the calling thread.
///
/// If it is dropped without a final reply or an error and the handler returns, the request fails.
///
/// ```
/// use majordomus::blocking::Replier;
/// use majordomus::{Request, testing};
///
/// fn shout(request: Request, reply: Replier) {
///     reply.finish(request.body.text().to_uppercase());
/// }
///
/// let answer = testing::blocking_call(shout, Request::new("shout", "hello"));
/// assert_eq!(answer.result(), Ok("HELLO".into()));
/// ```
#[derive(Debug)]
pub struct Replier {
    reply: crate::Replier,
    runtime: Runtime,
}

impl Replier {
    /// Sends a part of the reply. Waits while the client or the broker does not accept more parts.
    ///
    /// # Errors
    ///
    /// Returns [`Cancelled`] if the reply is no longer needed.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// for number in 0..1_000_000 {
    ///     if reply.part(number.to_string()).is_err() {
    ///         return;
    ///     }
    /// }
    /// reply.finish("that is all");
    /// # }
    /// ```
    #[track_caller]
    pub fn part(&self, body: impl Into<Body>) -> Result<(), Cancelled> {
        self.runtime.block_on(self.reply.part(body))
    }

    /// Sends each item as a part, and then ends the reply with an empty final part.
    ///
    /// # Errors
    ///
    /// Returns [`Cancelled`] if the reply is no longer needed.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// let _ = reply.send_all((1..=3).map(|number| number.to_string()));
    /// # }
    /// ```
    #[track_caller]
    pub fn send_all<I>(self, parts: I) -> Result<(), Cancelled>
    where
        I: IntoIterator<Item: Into<Body>>,
    {
        // The parts are sent individually, because the iterator may block too.
        for part in parts {
            self.part(part)?;
        }
        self.finish(Body::empty());
        Ok(())
    }

    /// Reports that the handler is still working, for a client that limits the silence of its
    /// worker.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// for step in 0..100 {
    ///     // A long computation in steps.
    ///     reply.at_work();
    /// }
    /// reply.finish("done");
    /// # }
    /// ```
    #[track_caller]
    pub fn at_work(&self) {
        self.runtime.block_on(self.reply.at_work());
    }

    /// Allows the broker to cache the reply for this duration and to answer identical requests from
    /// the cache. Only a reply without parts can be cached.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// reply.cache_for(Duration::from_secs(10)).finish("sunny");
    /// # }
    /// ```
    #[must_use]
    pub fn cache_for(self, duration: Duration) -> Self {
        Self { reply: self.reply.cache_for(duration), ..self }
    }

    /// Sends the final reply, or its last part. The reply is dropped if it is no longer needed.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// reply.finish("hello");
    /// # }
    /// ```
    #[track_caller]
    pub fn finish(self, body: impl Into<Body>) {
        self.runtime.block_on(self.reply.finish(body));
    }

    /// Fails the request with an error text.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// reply.fail("the printer is out of paper");
    /// # }
    /// ```
    #[track_caller]
    pub fn fail(self, text: impl Into<String>) {
        self.runtime.block_on(self.reply.fail(text));
    }

    /// Fails the request with an application-defined code from 400 to 999 and a reason: see the
    /// [async method](crate::Replier::fail_with).
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// reply.fail_with(507, "the printer is out of paper");
    /// # }
    /// ```
    #[track_caller]
    pub fn fail_with(self, code: u16, why: impl Into<Body>) {
        self.runtime.block_on(self.reply.fail_with(code, why));
    }

    /// Rejects the request and gives the reason, so that the broker dispatches it to another
    /// worker: see the [async method](crate::Replier::reject).
    ///
    /// ```no_run
    /// # fn handler(request: majordomus::Request, reply: majordomus::blocking::Replier) {
    /// if request.body.frames().bytes() > 1_000_000 {
    ///     return reply.reject("too much for me");
    /// }
    /// reply.finish("done");
    /// # }
    /// ```
    #[track_caller]
    pub fn reject(self, why: impl Into<Body>) {
        self.runtime.block_on(self.reply.reject(why));
    }

    /// Returns true if the reply is still needed. A handler that runs for a long time should check
    /// this regularly.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// while reply.is_wanted() {
    ///     // The next step of a computation.
    /// }
    /// # }
    /// ```
    pub fn is_wanted(&self) -> bool {
        self.reply.is_wanted()
    }

    /// Returns a handle that reports when the reply is no longer needed. The handle can outlive the
    /// replier.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// let cancellation = reply.cancellation();
    /// reply.finish("it is begun");
    /// while !cancellation.is_cancelled() {
    ///     // The rest of the work.
    /// #   break;
    /// }
    /// # }
    /// ```
    pub fn cancellation(&self) -> Cancellation {
        self.reply.cancellation()
    }
}
