//! Timestamps for the state machines: microseconds since the program started, supplied by the
//! caller.

use core::fmt;
use core::time::Duration;

/// A point in time: microseconds since the start, on a monotonic clock.
///
/// Unlike the standard library's `Instant`, it can be printed and replayed from a trace.
///
/// ```
/// use core::time::Duration;
/// use majordomus_core::Time;
///
/// let start = Time::from_micros(1_000);
/// let later = start.after(Duration::from_millis(2));
/// assert_eq!(later.as_micros(), 3_000);
/// assert_eq!(later.since(start), Duration::from_millis(2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start.
    pub const ZERO: Time = Time(0);
    /// A point in time that is never reached.
    pub const NEVER: Time = Time(u64::MAX);

    /// Creates the point in time that is `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Returns the microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the point in time `span` after this one, or [`Time::NEVER`] on overflow.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        let micros =
            span.as_secs().saturating_mul(1_000_000).saturating_add(span.subsec_micros() as u64);
        Time(self.0.saturating_add(micros))
    }

    /// Returns the time elapsed since `earlier`, or zero if `earlier` is later than this.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
