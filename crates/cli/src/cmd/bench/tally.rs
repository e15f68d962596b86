//! Statistics of a run: the outcome and latency of each request.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cmd::bench::client::Came;

/// The longest recorded latency, in nanoseconds. Longer ones are recorded as this value.
const LATENCY_MAX_NS: u64 = 600_000_000_000;
/// The number of significant digits of recorded times.
const LATENCY_DIGITS: u8 = 3;
/// The number of equal parts of the measured time.
pub(super) const PARTS: usize = 100;
/// The maximum number of faults that are described in text.
const FAULTS_NAMED_MAX: usize = 10;

/// The measured time, in nanoseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Window {
    fn contains(self, time: u64) -> bool {
        (self.from..self.to).contains(&time)
    }
}

/// The outcomes of a run's requests.
///
/// Every request is answered correctly, answered wrongly, failed, or lost. All other replies are
/// duplicates or foreign.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) right: u64,
    pub(super) wrong: u64,
    pub(super) failed: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) foreign: u64,
    /// Requests that were due but not sent, because too many were in flight.
    pub(super) unasked: u64,
    /// Descriptions of the first faults.
    pub(super) faults: Vec<String>,
    /// Correct replies in the measured time.
    pub(super) measured: u64,
    /// Correct replies in each part of the measured time.
    pub(super) parts: Vec<u64>,
    /// The latency of the correct replies, in nanoseconds.
    pub(super) latency: Histogram<u64>,
    /// The generator's lateness for requests due in the measured time, in nanoseconds. Empty in a
    /// run without a rate.
    pub(super) lateness: Histogram<u64>,
    window: Window,
    /// True in a run with a rate: the latency includes requests that started in the measured time,
    /// even if their replies arrive later.
    by_start: bool,
}

impl Tally {
    pub(super) fn new(by_start: bool) -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX_NS, LATENCY_DIGITS)
                .expect("they are good bounds")
        };
        Self {
            asked: 0,
            right: 0,
            wrong: 0,
            failed: 0,
            lost: 0,
            doubled: 0,
            foreign: 0,
            unasked: 0,
            faults: Vec::new(),
            measured: 0,
            parts: vec![0; PARTS],
            latency: histogram(),
            lateness: histogram(),
            window: Window::default(),
            by_start,
        }
    }

    /// Sets the measured time.
    pub(super) fn measure(&mut self, window: Window) {
        self.window = window;
    }

    pub(super) fn window(&self) -> Window {
        self.window
    }

    /// Records the lateness of a request.
    pub(super) fn started(&mut self, due: u64, start: u64) {
        if self.window.contains(due) {
            self.lateness.saturating_record(start.saturating_sub(due).max(1));
        }
    }

    /// Counts a message that arrived at `now`.
    pub(super) fn count(&mut self, came: Came, now: u64) {
        match came {
            Came::Right { since } => {
                self.right += 1;
                self.time(since, now);
            }
            Came::Wrong(why) => {
                self.wrong += 1;
                self.name(|| format!("wrong: {why}"));
            }
            Came::Failed(why) => {
                self.failed += 1;
                self.name(|| format!("failed: {why}"));
            }
            Came::Doubled(tag) => {
                self.doubled += 1;
                self.name(|| format!("doubled: {tag} was answered again"));
            }
            Came::Foreign(why) => {
                self.foreign += 1;
                self.name(|| format!("foreign: {why}"));
            }
            Came::FirstCall | Came::DisconnectReason(_) | Came::Nothing => {}
        }
    }

    fn time(&mut self, since: u64, now: u64) {
        let Window { from, to } = self.window;
        if self.window.contains(now) {
            self.measured += 1;
            let part = u128::from(now - from) * PARTS as u128 / u128::from(to - from);
            self.parts[part as usize] += 1;
        }
        if self.window.contains(if self.by_start { since } else { now }) {
            self.latency.saturating_record(now.saturating_sub(since).max(1));
        }
    }

    /// Adds a fault's description, if there are fewer than the maximum.
    pub(super) fn name(&mut self, fault: impl FnOnce() -> String) {
        if self.faults.len() < FAULTS_NAMED_MAX {
            self.faults.push(fault());
        }
    }

    /// Returns true if every reply was correct and arrived once.
    pub(super) fn is_right(&self) -> bool {
        self.wrong + self.failed + self.lost + self.doubled + self.foreign == 0
    }

    /// Returns the correct replies per second in the measured time.
    pub(super) fn rate(&self) -> f64 {
        let Window { from, to } = self.window;
        self.measured as f64 / Duration::from_nanos((to - from).max(1)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::bench::tag::Tag;

    const WINDOW: Window = Window { from: 1_000, to: 2_000 };

    fn tally(by_start: bool) -> Tally {
        let mut tally = Tally::new(by_start);
        tally.measure(WINDOW);
        tally
    }

    #[test]
    fn what_comes_in_the_measured_time_counts() {
        let mut tally = tally(false);
        for (since, now) in [(900, 999), (990, 1_000), (1_500, 1_999), (1_999, 2_000)] {
            tally.count(Came::Right { since }, now);
        }
        assert_eq!((tally.right, tally.measured, tally.latency.len()), (4, 2, 2));
        assert_eq!((tally.latency.min(), tally.latency.max()), (10, 499));
        assert_eq!((tally.parts[0], tally.parts[PARTS - 1]), (1, 1));
        assert_eq!(tally.parts.iter().sum::<u64>(), tally.measured);
        assert_eq!(tally.rate(), 2e6);
    }

    #[test]
    fn with_a_rate_a_request_counts_that_starts_in_the_measured_time_however_late_its_reply() {
        let mut tally = tally(true);
        for (since, now) in [(900, 1_100), (1_500, 9_500), (2_000, 2_001)] {
            tally.count(Came::Right { since }, now);
        }
        assert_eq!((tally.latency.len(), tally.latency.max() / 100), (1, 80));
    }

    #[test]
    fn lateness_counts_for_requests_due_in_the_measured_time() {
        let mut tally = tally(true);
        for (due, start) in [(999, 1_500), (1_000, 1_000), (1_999, 2_005), (2_000, 2_900)] {
            tally.started(due, start);
        }
        let lateness = &tally.lateness;
        assert_eq!((lateness.len(), lateness.min(), lateness.max()), (2, 1, 6));
    }

    #[test]
    fn whatever_is_not_right_is_counted_and_named() {
        let mut tally = tally(false);
        assert!(tally.is_right());
        let tag = Tag { client: 1, slot: 2, turn: 3 };
        tally.count(Came::Wrong("a".into()), 1);
        tally.count(Came::Failed("b".into()), 1);
        tally.count(Came::Doubled(tag), 1);
        tally.count(Came::Foreign("c".into()), 1);
        assert_eq!((tally.wrong, tally.failed, tally.doubled, tally.foreign), (1, 1, 1, 1));
        assert!(!tally.is_right());
        let named = [
            "wrong: a",
            "failed: b",
            "doubled: request 2.3 of client 1 was answered again",
            "foreign: c",
        ];
        assert_eq!(tally.faults, named);
        for _ in 0..100 {
            tally.count(Came::Wrong("a".into()), 1);
        }
        assert_eq!(tally.faults.len(), FAULTS_NAMED_MAX);
    }
}
