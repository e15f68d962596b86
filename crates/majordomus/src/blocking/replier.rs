//! Handlers that block, and how they answer.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::blocking::Runtime;
use crate::{Body, Cancellation, Cancelled, Request};

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes an async handler of a closure that blocks: each of its requests runs on a thread for that,
/// by tokio's `spawn_blocking`. So the [`Worker`](crate::Worker) of an async program can have it
/// beside others.
///
/// What nobody waits for any more when its turn comes is not begun.
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
            // A panic goes on, so that the request fails with what it said.
            if let Err(failed) = running.await
                && let Ok(panic) = failed.try_into_panic()
            {
                resume_unwind(panic);
            }
        })
    }
}

/// How a handler answers its request: with any number of parts, and then with one final reply or an
/// error. What it says is said as by the [async one](crate::Replier), and waits on this thread.
///
/// When it is dropped without one of these and the handler returns, the request fails.
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
    /// Sends a part of the reply. Waits while its client, or the broker, takes no more.
    ///
    /// # Errors
    ///
    /// When nobody waits for the reply any more.
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

    /// Sends each of these as a part, and then ends the reply with none.
    ///
    /// # Errors
    ///
    /// When nobody waits for the reply any more.
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
        // One by one, because what makes the parts may block too.
        for part in parts {
            self.part(part)?;
        }
        self.finish(Body::empty());
        Ok(())
    }

    /// Says that it is still at work, to a client that limits the silence of its worker.
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

    /// Lets the broker keep the reply for so long, and answer equal requests with it. It counts for a
    /// reply without parts.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// reply.keep(Duration::from_secs(10)).finish("sunny");
    /// # }
    /// ```
    #[must_use]
    pub fn keep(self, good_for: Duration) -> Self {
        Self { reply: self.reply.keep(good_for), ..self }
    }

    /// Sends the reply, or its last part. Where nobody waits for it any more, it is dropped.
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

    /// Fails the request, and says why.
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

    /// Fails the request with a code of your own, from 400 to 999, and says why: see the
    /// [async one](crate::Replier::fail_with).
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

    /// Gives the request back, so that another worker gets it, and says why: see the
    /// [async one](crate::Replier::reject).
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

    /// Whether somebody still waits for the reply. A handler that takes long asks now and then.
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

    /// What says when nobody waits for the reply any more, for those who ask when this is gone.
    ///
    /// ```no_run
    /// # fn handler(reply: majordomus::blocking::Replier) {
    /// let cancellation = reply.cancellation();
    /// reply.finish("it is begun");
    /// while !cancellation.is_cancelled() {
    ///     // The rest.
    /// #   break;
    /// }
    /// # }
    /// ```
    pub fn cancellation(&self) -> Cancellation {
        self.reply.cancellation()
    }
}
