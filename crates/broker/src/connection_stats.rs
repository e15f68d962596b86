//! The broker's statistics and its rate-limited warnings.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use majordomus_core::broker::{Counters, Gauges, PeerViolation, Refusal, Statement};
use majordomus_core::{Outcome, Time};
use tracing::warn;

use crate::connection::Connection;

/// The minimum interval between two warnings about one peer.
const PEER_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of warnings a second, over all peers.
const COMPLAINTS_PER_SECOND_MAX: u32 = 20;

/// The maximum number of log lines a second about workers that register or leave.
const TIDINGS_PER_SECOND_MAX: u32 = 100;

/// Counters by reason. Reasons are constants in the program, so their number is bounded.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::Tally;
///
/// fn total(tally: &Tally) -> u64 {
///     tally.values().sum()
/// }
/// assert_eq!(total(&Tally::new()), 0);
/// ```
pub type Tally = BTreeMap<&'static str, u64>;

/// A snapshot of the broker's statistics.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::Snapshot;
///
/// fn show(snapshot: &Snapshot) {
///     println!("{} connections are open; {snapshot}", snapshot.connections);
/// }
/// # show(&Snapshot::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The core's counters.
    pub counters: Counters,
    /// The outcomes of requests, by service.
    pub services: Statement,
    /// The core's gauges.
    pub holdings: Gauges,
    /// The number of open connections.
    pub connections: usize,
    /// The number of incomplete handshakes.
    pub handshakes: usize,
    /// The number of connections accepted since the broker started.
    pub accepted: u64,
    /// The number of connections closed by the broker, by reason.
    pub closed: Tally,
    /// The number of messages rejected, by reason.
    pub refused: Tally,
    /// The number of bytes buffered for incomplete messages.
    pub reception_bytes: usize,
    /// The number of directory messages sent to subscribers.
    pub published: u64,
    /// The number of directory messages not sent because the subscriber had not read earlier ones.
    pub publications_missed: u64,
}

/// Formats the statistics as one log line.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        write!(f, "received {}", counters.received)?;
        for outcome in Outcome::ALL {
            write!(f, ", {outcome} {}", counters.outcome(outcome))?;
        }
        write!(
            f,
            ", in_progress {}; dispatched {}, redelivered {}, rejections {}, kept_replies {}, \
             shared {}, late_replies {}",
            counters.in_progress,
            counters.dispatched,
            counters.redelivered,
            counters.rejections,
            counters.kept_replies,
            counters.shared,
            counters.late_replies
        )?;
        if self.published + self.publications_missed > 0 {
            write!(f, "; published {}, missed {}", self.published, self.publications_missed)?;
        }
        let refusals = Refusal::ALL.map(|why| (why.name(), counters.refusal(why)));
        write_some(f, "refused for", refusals)?;
        for (title, tally) in [("closed", &self.closed), ("refused", &self.refused)] {
            write_some(f, title, tally.iter().map(|(reason, count)| (*reason, *count)))?;
        }
        let violations =
            PeerViolation::ALL.map(|violation| (violation.name(), counters.violation(violation)));
        write_some(f, "violations", violations)
    }
}

/// Writes the counters that are not 0, after `title`. Writes nothing if all are 0.
fn write_some(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: impl IntoIterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    for (at, (name, count)) in some.enumerate() {
        let before = if at == 0 { format!("; {title}: ") } else { ", ".to_string() };
        write!(f, "{before}{name} {count}")?;
    }
    Ok(())
}

/// The reactor's counters and rate-limited log lines.
#[derive(Debug, Default)]
pub(crate) struct ConnectionStats {
    pub(crate) accepted: u64,
    pub(crate) closed: Tally,
    pub(crate) refused: Tally,
    complaints: Lines,
    tidings: Lines,
    /// True once the warning about `persist` was logged.
    durable_noted: bool,
}

/// A limit of log lines a second.
#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Lines {
    /// Takes one line from the limit. Returns the number of lines suppressed before it, or `None`
    /// if the limit is reached.
    fn take(&mut self, now: Time, most: u32) -> Option<u64> {
        let second = now.as_micros() / 1_000_000;
        if self.second != second {
            (self.second, self.written) = (second, 0);
        }
        if self.written >= most {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl ConnectionStats {
    /// Counts a connection closed because of its peer's behaviour, and logs it.
    pub(crate) fn close(
        &mut self,
        now: Time,
        connection: &Connection,
        reason: &'static str,
        text: &dyn fmt::Display,
    ) {
        *self.closed.entry(reason).or_default() += 1;
        if self.may_complain(now) {
            warn!(peer = %connection.name(), reason, "connection closed: {text}");
        }
    }

    /// Counts a rejected message, whether dropped or answered with DISCONNECT, and logs it.
    pub(crate) fn refuse(
        &mut self,
        now: Time,
        connection: &mut Connection,
        reason: &'static str,
        text: &dyn fmt::Display,
    ) {
        *self.refused.entry(reason).or_default() += 1;
        self.complain(now, connection, reason, text);
    }

    /// Logs a warning about a peer, at most one per `PEER_LOG_INTERVAL`.
    pub(crate) fn complain(
        &mut self,
        now: Time,
        connection: &mut Connection,
        reason: &'static str,
        text: &dyn fmt::Display,
    ) {
        if connection.logged.is_some_and(|at| now.since(at) < PEER_LOG_INTERVAL) {
            connection.unlogged += 1;
            return;
        }
        if self.may_complain(now) {
            connection.logged = Some(now);
            let before = std::mem::take(&mut connection.unlogged);
            warn!(peer = %connection.name(), reason, before, "refused: {text}");
        }
    }

    /// Logs a problem of the broker itself, not of a peer.
    pub(crate) fn trouble(&mut self, now: Time, text: &dyn fmt::Display) {
        if self.may_complain(now) {
            warn!("{text}");
        }
    }

    /// Logs once that a request asked for durable storage (`persist`), which is not supported.
    pub(crate) fn note_durable(&mut self) {
        if !std::mem::replace(&mut self.durable_noted, true) {
            warn!(
                "a request asks to be stored (`persist`): there is no durable storage, so it and \
                 all like it are served like any other, and are gone when the broker ends"
            );
        }
    }

    /// Returns true if a line about a registering or leaving worker may be logged.
    pub(crate) fn may_tell(&mut self, now: Time) -> bool {
        let left_out = self.tidings.take(now, TIDINGS_PER_SECOND_MAX);
        left_out.inspect(|left_out| note_left_out(*left_out)).is_some()
    }

    /// Returns true if a warning may be logged.
    fn may_complain(&mut self, now: Time) -> bool {
        let left_out = self.complaints.take(now, COMPLAINTS_PER_SECOND_MAX);
        left_out.inspect(|left_out| note_left_out(*left_out)).is_some()
    }
}

fn note_left_out(left_out: u64) {
    if left_out > 0 {
        warn!("{left_out} lines like the next were left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_in_each_second() {
        let mut lines = Lines::default();
        let taken = |lines: &mut Lines, second: u64| {
            let at = Time::from_micros(second * 1_000_000);
            (0..1_000).filter_map(|_| lines.take(at, 20)).count()
        };
        assert_eq!(taken(&mut lines, 0), 20);
        assert_eq!(lines.take(Time::from_micros(1_000_000), 20), Some(980));
        assert_eq!(taken(&mut lines, 1), 19);
    }

    #[test]
    fn the_table_names_every_outcome() {
        let table = Snapshot::default().to_string();
        for outcome in Outcome::ALL {
            assert!(table.contains(outcome.name()), "{table}");
        }
    }
}
