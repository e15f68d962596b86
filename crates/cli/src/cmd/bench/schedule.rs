//! When requests are due, where they are made at a rate.
//!
//! A request counts from when it was due and not from when it could be made, so that a broker that
//! stops for a while is charged for all who would have asked meanwhile (coordinated omission).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Requests that are due at even distances, from one moment to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// In nanoseconds since the run began.
    from: u64,
    requests: u64,
    rate: u32,
    made: u64,
}

impl Schedule {
    /// So many requests a second, for so long.
    pub(super) fn new(from: u64, rate: u32, span: Duration) -> Self {
        let requests = span.as_nanos() * u128::from(rate) / NANOS_PER_SECOND;
        Self { from, requests: requests as u64, rate, made: 0 }
    }

    /// When the next request is due, if there is one.
    pub(super) fn next(&self) -> Option<u64> {
        let after = u128::from(self.made) * NANOS_PER_SECOND / u128::from(self.rate);
        (self.made < self.requests).then(|| self.from + after as u64)
    }

    /// The next request was made.
    pub(super) fn advance(&mut self) {
        self.made += 1;
    }

    /// Requests that are still to be made.
    pub(super) fn left(&self) -> u64 {
        self.requests - self.made
    }
}

/// Wakes the loop when a request is due, more finely than epoll's own milliseconds.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
}

impl Timer {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Wakes the loop once after so long.
    pub(super) fn arm(&self, after: Duration) -> io::Result<()> {
        let nanos = |span: Duration| Timespec {
            tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        // Nothing at all would disarm it.
        let it_value = nanos(after.max(Duration::from_nanos(1)));
        let once = Itimerspec { it_interval: nanos(Duration::ZERO), it_value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_distances() {
        let mut schedule = Schedule::new(100, 1_000, Duration::from_millis(4));
        let mut due = Vec::new();
        while let Some(next) = schedule.next() {
            due.push(next);
            schedule.advance();
        }
        assert_eq!(due, [100, 1_000_100, 2_000_100, 3_000_100]);
        assert_eq!(schedule.left(), 0);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_is_held_over_all() {
        let mut schedule = Schedule::new(0, 7, Duration::from_secs(3));
        assert_eq!(schedule.left(), 21);
        for _ in 0..20 {
            schedule.advance();
        }
        assert_eq!(schedule.next(), Some(20_000_000_000 / 7));
    }
}
