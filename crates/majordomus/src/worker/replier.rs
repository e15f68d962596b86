//! How a handler answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{CODE_UNSAID, TaskHandle};

use crate::worker::outbox::{Outbox, Saying};
use crate::worker::strings::Strings;
use crate::{Body, Cancellation};

/// How a handler answers its request: with any number of parts, and then with one final reply or an
/// error.
///
/// When the handler returns without one of these, the request fails, wherever the replier is: who goes
/// on in another task has the handler wait for that. A handler that goes on behind the end of its answer
/// keeps its place until it returns.
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
    strings: Strings,
    keep: Option<Duration>,
}

impl Replier {
    pub(crate) fn new(task: TaskHandle, outbox: Arc<Outbox>, strings: Strings) -> Self {
        Self { task, outbox, strings, keep: None }
    }

    /// Sends a part of the reply. Waits while its client, or the broker, takes no more.
    ///
    /// In [`Mdp01`](crate::Dialect::Mdp01), [`Gdp`](crate::Dialect::Gdp) and
    /// [`Libmdp`](crate::Dialect::Libmdp), whose workers have no partial replies, parts are kept and
    /// go out with the final one, as its first frames.
    ///
    /// # Errors
    ///
    /// When nobody waits for the reply any more.
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

    /// Sends each of these as a part, and then ends the reply with none.
    ///
    /// # Errors
    ///
    /// When nobody waits for the reply any more.
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

    /// Says that it is still at work, to a client that limits [the silence of its
    /// worker](crate::RequestBuilder::silence). Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) can say
    /// so.
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

    /// Lets the broker keep the reply for so long, and answer equal requests with it. It counts for a
    /// reply without parts.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.keep(Duration::from_secs(10)).finish("sunny").await;
    /// # }
    /// ```
    #[must_use]
    pub fn keep(self, good_for: Duration) -> Self {
        Self { keep: Some(good_for), ..self }
    }

    /// Sends the reply, or its last part. Where nobody waits for it any more, it is dropped.
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

    /// Fails the request, and says why, in words that do not begin with `B_`: those are the broker's
    /// own, and most dialects have nothing else to tell them by.
    ///
    /// A worker of the MDP dialects has no error replies: there it is a final reply of one frame, `-1 `
    /// and the text, which our [`Client`](crate::Client) knows for an error where it speaks one of them
    /// too. A client of these hears of other workers' errors where its broker is told so, in the same
    /// form.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.fail("the printer is out of paper").await;
    /// # }
    /// ```
    pub async fn fail(self, text: impl Into<String>) {
        self.fail_with(CODE_UNSAID, text.into()).await;
    }

    /// Fails the request with a code of your own, from 400 to 999, and says why: a text for people in
    /// the first frame, and whatever a program needs behind it. Any other code is read as the nearest of
    /// these; 0 is none, as with [`fail`](Self::fail).
    ///
    /// Only [`Dialect::Omdp1`](crate::Dialect::Omdp1) has codes. In other dialects it is as with
    /// [`fail`](Self::fail).
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

    /// Gives the request back, so that another worker gets it, and says why. When all have, the client
    /// gets the last one's word, but not at once: the broker waits for another worker first, mostly for a
    /// second (`reject_wait`), also where there is only this one. Who wants the client to hear at once
    /// [fails](Self::fail) instead. In dialects where nothing can be given back it fails.
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

    /// Whether somebody still waits for the reply.
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

    /// What says when nobody waits for the reply any more.
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

    /// Says something to the task, at once where there is room. Who has to wait does so in a box, so
    /// that the others are small.
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

/// Nobody waits for the reply any more.
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
