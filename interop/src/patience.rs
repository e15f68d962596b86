//! How long a test waits for something that should be there at once.

use std::thread;
use std::time::{Duration, Instant};

/// The bound of every wait for which no specification gives another. It is far above what anything
/// here takes, because a machine that runs all the tests of a workspace may be busy; only a test
/// that is about to fail ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at that cannot wake us.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` holds, looking again and again, and panics with `what` was awaited when
/// it does not within `bound`.
///
/// For what can only be looked at, such as a file that goes away; a process that says something is
/// awaited with [`Process::expect`](crate::Process::expect).
#[track_caller]
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < bound, "waited {bound:?} in vain for {what}");
        thread::sleep(LOOK_EVERY);
    }
}
