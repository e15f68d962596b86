//! The clock and timer of the client and worker state machines.

use std::future::pending;
use std::pin::Pin;

use majordomus_core::Time;
use tokio::time::{Instant, Sleep, sleep_until};

/// A clock that counts microseconds since its creation, with one timer.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    timer: Pin<Box<Sleep>>,
    timer_at: Time,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        Self { start, timer: Box::pin(sleep_until(start)), timer_at: Time::ZERO }
    }

    pub(crate) fn now(&self) -> Time {
        let micros = self.start.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Waits until `deadline`. This method is cancel safe, and calling it again is cheap.
    pub(crate) async fn reach(&mut self, deadline: Time) {
        let at = self.start.checked_add(deadline.since(Time::ZERO));
        let (false, Some(at)) = (deadline == Time::NEVER, at) else { return pending().await };
        if self.timer_at != deadline {
            self.timer.as_mut().reset(at);
            self.timer_at = deadline;
        }
        self.timer.as_mut().await;
    }
}
