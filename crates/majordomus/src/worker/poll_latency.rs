//! Choice between inline polling and spawning, by the duration of a handler's first polls.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The duration from which a first poll is slow. Slow services get a task for each request.
pub(crate) const FIRST_POLL_MAX: Duration = Duration::from_micros(100);
/// The minimum and the maximum number of fast first polls after which a slow service is polled
/// inline again. The number grows each time the service becomes slow again.
const FAST_POLLS: (u32, u32) = (16, 4_096);
/// The maximum distance, in polls, between two slow polls that count. A single slow poll is usually
/// caused by the machine.
const SUSPECT_POLLS: u32 = 16;
/// The number of first polls between two reads of the clock. When handlers begin to block, these
/// and two more polls block the connection.
const POLLS_PER_LAP: u32 = 4;

/// The record of a service's first polls, which decides if its handlers are polled inline, in the
/// task that owns the connection.
///
/// The first request of a service gets a task, so that a handler that always blocks never blocks
/// the connection. After that, the number of slow polls decides.
#[derive(Debug)]
pub(crate) struct PollLatency {
    /// The number of fast first polls that are needed before handlers are polled inline.
    missing: AtomicU32,
    /// The value that `missing` gets when the service becomes slow.
    penalty: AtomicU32,
    /// The number of polls until the last slow poll is forgotten.
    suspect: AtomicU32,
}

impl PollLatency {
    /// Returns true if first polls are fast.
    #[inline]
    pub(crate) fn is_fast(&self) -> bool {
        self.missing.load(Ordering::Relaxed) == 0
    }

    /// Records the duration of a first poll.
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

    /// Records a slow inline poll.
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

impl Default for PollLatency {
    fn default() -> Self {
        Self {
            missing: AtomicU32::new(1),
            penalty: AtomicU32::new(FAST_POLLS.0),
            suspect: AtomicU32::new(0),
        }
    }
}

/// A timer for consecutive first polls that reads the clock once for several polls.
///
/// A lap that takes as long as one slow poll may contain a slow poll. The following polls are timed
/// individually to find it.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    /// The start of the lap.
    begun: Instant,
    /// The number of polls left in the lap.
    left: u32,
    /// The number of following laps that have a single poll.
    closely: u32,
}

impl Stopwatch {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), left: POLLS_PER_LAP, closely: 0 }
    }

    /// Begins a lap. Time since the last poll does not count.
    pub(crate) fn start(&mut self) {
        self.start_at(Instant::now());
    }

    fn start_at(&mut self, now: Instant) {
        self.begun = now;
        self.left = if self.closely > 0 { 1 } else { POLLS_PER_LAP };
    }

    /// Begins a poll. If polls are timed individually, the time before it does not count.
    #[inline]
    pub(crate) fn polling(&mut self) {
        if self.closely > 0 {
            self.begun = Instant::now();
        }
    }

    /// Ends a poll. At the end of a lap, records its duration in the service's pace.
    #[inline]
    pub(crate) fn polled(&mut self, pace: &PollLatency) {
        self.left -= 1;
        if self.left == 0 {
            self.lap(pace);
        }
    }

    /// Ends the lap early, because the task does something else next.
    pub(crate) fn stop(&mut self) {
        if self.closely == 0 && self.begun.elapsed() >= FIRST_POLL_MAX {
            self.closely = SUSPECT_POLLS;
        }
    }

    fn lap(&mut self, pace: &PollLatency) {
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

    fn polls_until_fast(pace: &PollLatency) -> u32 {
        let polls = (0..).take_while(|_| {
            let slow = !pace.is_fast();
            pace.record(FAST);
            slow
        });
        polls.count() as u32
    }

    #[test]
    fn the_first_poll_and_those_after_slow_ones_are_not_inline() {
        let pace = PollLatency::default();
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
        let pace = PollLatency::default();
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
        let pace = PollLatency::default();
        for _ in 0..100 {
            pace.record(FIRST_POLL_MAX);
            assert!(!pace.is_fast());
        }
    }

    #[test]
    fn after_a_slow_lap_polls_are_timed_one_by_one() {
        let (mut watch, pace) = (Stopwatch::new(), PollLatency::default());
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
        let (mut watch, pace) = (Stopwatch::new(), PollLatency::default());
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
