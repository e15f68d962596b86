//! Retries of failed requests.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::client::request::Asking;
use crate::client::says::{First, Said};
use crate::{RequestError, Retriable, ambient_seed};

/// A retry policy for [`RequestBuilder::retry`](crate::RequestBuilder::retry): the number of
/// retries and the delays between them.
///
/// The delays double from the shortest to the longest. Each delay is reduced by a random amount of
/// up to one half, so that clients that failed at the same time do not retry at the same time.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::Retry;
///
/// let patient = Retry::times(10).backoff(Duration::from_millis(100), Duration::from_secs(10));
/// assert_eq!(Retry::default(), Retry::times(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    times: u32,
    shortest: Duration,
    longest: Duration,
}

impl Retry {
    /// Creates a policy with this maximum number of retries and delays from 50 ms to 2 s.
    ///
    /// ```
    /// let retry = majordomus::Retry::times(5);
    /// ```
    pub const fn times(times: u32) -> Self {
        Self { times, shortest: Duration::from_millis(50), longest: Duration::from_secs(2) }
    }

    /// Sets the shortest and the longest delay.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let retry = majordomus::Retry::times(5).backoff(Duration::ZERO, Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn backoff(self, shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, ..self }
    }

    /// Returns the delay before retry `nth`, counted from 0.
    fn wait(&self, nth: u32) -> Duration {
        let doubled = self.shortest.saturating_mul(1 << nth.min(20));
        let wait = doubled.min(self.longest);
        let unit = (ambient_seed() >> 11) as f64 / (1u64 << 53) as f64;
        wait - wait.mul_f64(unit / 2.0)
    }
}

impl Default for Retry {
    /// Returns a policy with three retries.
    fn default() -> Self {
        Self::times(3)
    }
}

/// Spawns a task that retries the request until a reply begins or an error cannot be retried. The
/// task ends early if the reply is dropped.
pub(crate) fn ask_again(asking: Asking, retry: Retry) -> oneshot::Receiver<First> {
    let (mut says, heard) = oneshot::channel();
    tokio::spawn(async move {
        let first = tokio::select! {
            first = attempts(asking, retry) => first,
            () = says.closed() => return,
        };
        let _ = says.send(first);
    });
    heard
}

/// Runs all attempts. They share the request's timeout: each attempt gets the remaining time.
async fn attempts(mut asking: Asking, retry: Retry) -> First {
    let mut failed = None;
    let mut nth = 0;
    let until = asking.patience().and_then(|span| Instant::now().checked_add(span));
    let left = || until.map_or(Duration::MAX, |until| until.duration_since(Instant::now()));
    loop {
        let mut reply = asking.clone().ask(failed).await;
        let error = match reply.said().await {
            // A reply cannot restart after the user has received a part of it.
            Some(Said::Part(part)) => return First::Begun(Box::new((part, reply))),
            Some(last @ Said::Last(_)) => return First::End(last),
            Some(Said::Failed(error)) => error,
            None => RequestError::Stopped,
        };
        // An attempt that was not sent does not count.
        let untried = error == RequestError::NotConnected;
        let again = untried || nth < retry.times && may_go_again(&error);
        let wait = if untried { Duration::ZERO } else { retry.wait(nth) };
        if !again || left() <= wait {
            return First::End(Said::Failed(error));
        }
        failed = reply.broker();
        if !untried {
            sleep(wait).await;
            nth += 1;
        }
        // A timeout of zero would mean something else: it requires an idle worker.
        asking.shorten(left().max(Duration::from_millis(1)));
    }
}

fn may_go_again(error: &RequestError) -> bool {
    match error.retriable() {
        Retriable::Always => true,
        // A retry after a timeout would only take as long again.
        Retriable::IfRepeatable => !matches!(error, RequestError::Expired | RequestError::Stopped),
        Retriable::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        let retry = Retry::times(9).backoff(Duration::from_millis(100), Duration::from_secs(1));
        let full = [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis);
        for (nth, full) in (0..).zip(full) {
            for _ in 0..100 {
                let wait = retry.wait(nth);
                assert!(full / 2 <= wait && wait <= full, "{wait:?} of {full:?}");
            }
        }
        assert_eq!(Retry::times(1).backoff(Duration::ZERO, Duration::ZERO).wait(9), Duration::ZERO);
    }
}
