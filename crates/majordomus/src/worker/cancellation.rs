//! How a handler hears that nobody waits for it any more.

use tokio::sync::watch;

/// Says when nobody waits for a reply any more: its request was cancelled, its connection lost, or
/// its worker stopped.
///
/// Clones are cheap and say the same.
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
    pulled: watch::Receiver<bool>,
}

impl Cancellation {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (pull, pulled) = watch::channel(false);
        (pull, Self { pulled })
    }

    /// Whether nobody waits any more.
    ///
    /// ```no_run
    /// # fn example(cancellation: majordomus::Cancellation) {
    /// while !cancellation.is_cancelled() {
    ///     // The next step of a computation, in `spawn_blocking` for example.
    /// }
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        *self.pulled.borrow()
    }

    /// Returns when nobody waits any more; never where the request ends as it should. Can be
    /// dropped and called again.
    ///
    /// ```no_run
    /// # async fn example(cancellation: majordomus::Cancellation) {
    /// cancellation.cancelled().await;
    /// assert!(cancellation.is_cancelled());
    /// # }
    /// ```
    pub async fn cancelled(&self) {
        let mut pulled = self.pulled.clone();
        if pulled.wait_for(|&pulled| pulled).await.is_err() {
            // The request has ended, and not like that.
            std::future::pending().await
        }
    }
}
