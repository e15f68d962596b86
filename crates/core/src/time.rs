//! Time as the state machines see it: microseconds since the program started, told by the caller.

use core::fmt;
use core::time::Duration;

/// A moment: microseconds since the start, on a clock that never goes back.
///
/// It is our own type, and not the standard library's, so that a trace can be printed and replayed.
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
    /// A moment that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment that many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `span` after this one; [`Time::NEVER`] where that is too far to count.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        let micros =
            span.as_secs().saturating_mul(1_000_000).saturating_add(span.subsec_micros() as u64);
        Time(self.0.saturating_add(micros))
    }

    /// How long it is since `earlier`; nothing where `earlier` is later than this.
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
