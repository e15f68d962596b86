//! Bounded waiting in tests.

use std::thread;
use std::time::{Duration, Instant};

/// The default bound of every wait. It is far longer than any operation here takes, because a
/// machine that runs all tests of a workspace may be busy. Only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The interval between two checks of a polled condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Polls `condition` until it holds. Panics with `what` if it does not hold within `bound`.
///
/// Use this for conditions that can only be polled, such as the removal of a file. To wait for a
/// process's output, use [`Process::expect`](crate::Process::expect).
#[track_caller]
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < bound, "waited {bound:?} in vain for {what}");
        thread::sleep(LOOK_EVERY);
    }
}
