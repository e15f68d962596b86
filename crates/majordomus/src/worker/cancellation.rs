//! Cancellation of running handlers.

use crate::worker::task_control::TaskControl;

/// A handle that reports when a reply is no longer needed: its request was cancelled, its
/// connection was lost, or its worker was stopped.
///
/// Clones are cheap and share the same state.
///
/// ```no_run
/// use tokio::process::Command;
///
/// # async fn handler(request: majordomus::Request, reply: majordomus::Replier) {
/// let cancellation = reply.cancellation();
/// let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is there");
/// tokio::select! {
///     status = child.wait() => reply.finish(format!("{status:?}")).await,
///     () = cancellation.cancelled() => child.kill().await.expect("it is ours"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cancellation {
    strings: TaskControl,
}

impl Cancellation {
    pub(crate) fn new(strings: TaskControl) -> Self {
        Self { strings }
    }

    /// Returns true if the reply is no longer needed.
    ///
    /// ```no_run
    /// # fn example(cancellation: majordomus::Cancellation) {
    /// while !cancellation.is_cancelled() {
    ///     // The next step of a computation, in `spawn_blocking` for example.
    /// }
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.strings.is_pulled()
    }

    /// Waits until the reply is no longer needed. Never returns if the request ends normally. This
    /// method is cancel safe: it can be dropped and called again.
    ///
    /// ```no_run
    /// # async fn example(cancellation: majordomus::Cancellation) {
    /// cancellation.cancelled().await;
    /// assert!(cancellation.is_cancelled());
    /// # }
    /// ```
    pub async fn cancelled(&self) {
        self.strings.pulled().await;
    }
}
