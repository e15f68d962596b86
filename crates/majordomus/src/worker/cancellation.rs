//! How a handler hears that nobody waits for it any more.

use crate::worker::strings::Strings;

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
    strings: Strings,
}

impl Cancellation {
    pub(crate) fn new(strings: Strings) -> Self {
        Self { strings }
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
        self.strings.is_pulled()
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
        self.strings.pulled().await;
    }
}
