//! How a handler answers.

use std::fmt;

use majordomus_core::{TaskHandle, WorkerInput};
use tokio::sync::mpsc;

use crate::{Body, Cancellation};

/// How a handler answers its request: with any number of parts, and then with one final reply or an
/// error.
///
/// When it is dropped without one of these and the handler returns, the request fails.
#[derive(Debug)]
pub struct Replier {
    task: TaskHandle,
    says: mpsc::Sender<WorkerInput>,
    cancellation: Cancellation,
}

impl Replier {
    pub(crate) fn new(
        task: TaskHandle,
        says: mpsc::Sender<WorkerInput>,
        cancellation: Cancellation,
    ) -> Self {
        Self { task, says, cancellation }
    }

    /// Sends a part of the reply. Waits while the broker takes no more.
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
        if self.cancellation.is_cancelled() {
            return Err(Cancelled);
        }
        let part = WorkerInput::Part(self.task, body.into().into_frames());
        tokio::select! {
            sent = self.says.send(part) => sent.map_err(|_| Cancelled),
            () = self.cancellation.cancelled() => Err(Cancelled),
        }
    }

    /// Sends the reply, or its last part. Where nobody waits for it any more, it is dropped.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.finish("hello").await;
    /// # }
    /// ```
    pub async fn finish(self, body: impl Into<Body>) {
        let _ = self.says.send(WorkerInput::Final(self.task, body.into().into_frames())).await;
    }

    /// Fails the request, and says why.
    ///
    /// The MDP dialects have no error replies: the client gets a final reply of one frame, `-1 ` and
    /// the text, which our [`Client`](crate::Client) knows for an error.
    ///
    /// ```no_run
    /// # async fn handler(reply: majordomus::Replier) {
    /// reply.fail("the printer is out of paper").await;
    /// # }
    /// ```
    pub async fn fail(self, text: impl Into<String>) {
        let why = Body::from(text.into()).into_frames();
        let _ = self.says.send(WorkerInput::Failed(self.task, why)).await;
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
        self.cancellation.clone()
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
