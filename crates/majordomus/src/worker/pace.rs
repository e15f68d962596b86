//! How long the first polls of a handler take, which decides where it is polled first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A first poll that takes this long is slow: its service gets tasks.
pub(crate) const FIRST_POLL_MAX: Duration = Duration::from_micros(100);
/// Fast first polls after which a slow service is polled inline again, at the least and at the most.
/// More are needed each time for a service that has slow polls again and again.
const FAST_POLLS: (u32, u32) = (16, 4_096);
/// A slow poll counts if another one came at most this many polls before. A single one is mostly the
/// machine's fault.
const SUSPECT_POLLS: u32 = 16;
/// First polls between two looks at the clock. When handlers begin to block, these and two more block
/// the connection.
const POLLS_PER_LAP: u32 = 4;

/// Whether a service's handlers are polled inline first, in the task that owns the connection.
///
/// The first request of a service gets a task, so that a handler that always blocks never blocks the
/// connection. From then on slow polls decide.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Fast first polls that are missing before handlers are polled inline.
    missing: AtomicU32,
    /// How many will be missing when the service is found slow.
    penalty: AtomicU32,
    /// Polls until the last slow one is forgotten.
    suspect: AtomicU32,
}

impl Pace {
    /// Returns whether first polls are fast.
    #[inline]
    pub(crate) fn is_fast(&self) -> bool {
        self.missing.load(Ordering::Relaxed) == 0
    }

    /// Records how long a first poll took.
    pub(crate) fn record(&self, took: Duration) {
        let fewer = |left: u32| left.checked_sub(1);
        match (self.is_fast(), took >= FIRST_POLL_MAX) {
            (true, true) => self.suspect(),
            (true, false) => {
                let _ = self.suspect.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
            }
            (false, true) => {
                self.missing.fetch_max(FAST_POLLS.0, Ordering::Relaxed);
            }
            (false, false) => {
                let _ = self.missing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
            }
        }
    }

    /// A handler that was polled inline took long.
    fn suspect(&self) {
        if self.suspect.swap(SUSPECT_POLLS, Ordering::Relaxed) > 0 {
            let penalty = self.penalty.load(Ordering::Relaxed);
            self.penalty.store((2 * penalty).min(FAST_POLLS.1), Ordering::Relaxed);
            self.missing.store(penalty, Ordering::Relaxed);
        }
    }

    /// Records a lap of fast polls.
    fn record_lap(&self) {
        let penalty = self.penalty.load(Ordering::Relaxed);
        self.penalty.store(penalty.max(FAST_POLLS.0 + 1) - 1, Ordering::Relaxed);
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            missing: AtomicU32::new(1),
            penalty: AtomicU32::new(FAST_POLLS.0),
            suspect: AtomicU32::new(0),
        }
    }
}

/// Times first polls that follow each other, with one look at the clock for several of them.
///
/// Polls that together take as long as one slow poll may have a slow one among them. The next ones
/// are timed one by one, so that a slow one is found.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    /// When the lap began.
    begun: Instant,
    /// Polls that are left of the lap.
    left: u32,
    /// Laps of a single poll that are left.
    closely: u32,
}

impl Stopwatch {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), left: POLLS_PER_LAP, closely: 0 }
    }

    /// Begins a lap: what happened since the last poll does not count.
    pub(crate) fn start(&mut self) {
        self.start_at(Instant::now());
    }

    fn start_at(&mut self, now: Instant) {
        self.begun = now;
        self.left = if self.closely > 0 { 1 } else { POLLS_PER_LAP };
    }

    /// Begins a poll: where polls are timed one by one, only what follows counts.
    #[inline]
    pub(crate) fn polling(&mut self) {
        if self.closely > 0 {
            self.begun = Instant::now();
        }
    }

    /// Counts a poll that has ended, and tells the service's pace what is known of it.
    #[inline]
    pub(crate) fn polled(&mut self, pace: &Pace) {
        self.left -= 1;
        if self.left == 0 {
            self.lap(pace);
        }
    }

    /// Ends the lap, because something else is done next.
    pub(crate) fn stop(&mut self) {
        if self.closely == 0 && self.begun.elapsed() >= FIRST_POLL_MAX {
            self.closely = SUSPECT_POLLS;
        }
    }

    fn lap(&mut self, pace: &Pace) {
        let now = Instant::now();
        let took = now - self.begun;
        if self.closely > 0 {
            pace.record(took);
        }
        if took >= FIRST_POLL_MAX {
            self.closely = SUSPECT_POLLS;
        } else {
            self.closely = self.closely.saturating_sub(1);
            pace.record_lap();
        }
        self.start_at(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(99);

    fn polls_until_fast(pace: &Pace) -> u32 {
        let polls = (0..).take_while(|_| {
            let slow = !pace.is_fast();
            pace.record(FAST);
            slow
        });
        polls.count() as u32
    }

    #[test]
    fn the_first_poll_and_those_after_slow_ones_are_not_inline() {
        let pace = Pace::default();
        assert_eq!(polls_until_fast(&pace), 1);
        for penalty in [16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 4_096] {
            for _ in 0..2 {
                assert!(pace.is_fast());
                pace.record(FIRST_POLL_MAX);
            }
            assert_eq!(polls_until_fast(&pace), penalty);
            for _ in 0..SUSPECT_POLLS {
                pace.record(FAST);
            }
        }
        for _ in 0..FAST_POLLS.1 {
            pace.record_lap();
        }
        for _ in 0..2 {
            pace.record(FIRST_POLL_MAX);
        }
        assert_eq!(polls_until_fast(&pace), FAST_POLLS.0);
    }

    #[test]
    fn slow_polls_far_apart_do_not_count() {
        let pace = Pace::default();
        for _ in 0..10 {
            for _ in 0..=SUSPECT_POLLS {
                pace.record(FAST);
            }
            pace.record(FIRST_POLL_MAX);
            assert!(pace.is_fast());
        }
    }

    #[test]
    fn a_service_whose_first_polls_are_slow_is_never_polled_inline() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.record(FIRST_POLL_MAX);
            assert!(!pace.is_fast());
        }
    }

    #[test]
    fn after_a_slow_lap_polls_are_timed_one_by_one() {
        let (mut watch, pace) = (Stopwatch::new(), Pace::default());
        pace.record(FAST);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for left in (0..=POLLS_PER_LAP + 1).rev() {
            assert!(pace.is_fast());
            watch.begun = long_ago;
            watch.polled(&pace);
            assert_eq!(pace.is_fast(), left > 0);
        }
    }

    #[test]
    fn a_slow_lap_that_was_cut_short_counts() {
        let (mut watch, pace) = (Stopwatch::new(), Pace::default());
        pace.record(FAST);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for fast in [true, true, false] {
            watch.start();
            watch.polling();
            watch.begun = long_ago;
            watch.polled(&pace);
            watch.stop();
            assert_eq!(pace.is_fast(), fast);
        }
    }
}
