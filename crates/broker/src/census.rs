//! The census: what happened, in numbers and in lines of the log, both bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use majordomus_core::broker::{Counters, Holdings, Offence, Refusal, Statement};
use majordomus_core::{Outcome, Time};
use tracing::warn;

use crate::connection::Connection;

/// How often one peer is mentioned in the log for what it does wrong.
const PEER_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Lines about misbehaviour in one second, of all peers together.
const COMPLAINTS_PER_SECOND_MAX: u32 = 20;

/// Lines about workers that come and go in one second.
const TIDINGS_PER_SECOND_MAX: u32 = 100;

/// Counts by reason. The reasons are names in the program, so there are only so many.
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

/// A picture of the broker at a moment: all its counters, for whoever shows them.
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
    /// What the core counted.
    pub counters: Counters,
    /// How requests ended, for each service by itself.
    pub services: Statement,
    /// What it holds.
    pub holdings: Holdings,
    /// Connections that are open.
    pub connections: usize,
    /// Handshakes that are not over.
    pub handshakes: usize,
    /// Connections that were accepted since the start.
    pub accepted: u64,
    /// Connections that were closed by the broker, by reason.
    pub closed: Tally,
    /// Messages that were refused, by reason.
    pub refused: Tally,
    /// Bytes of incomplete messages that are held.
    pub reception_bytes: usize,
    /// How often the directory was sent to a subscriber.
    pub published: u64,
    /// How often it was not, because the subscriber did not read what came before.
    pub publications_missed: u64,
}

/// The table of outcomes, as it is logged.
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
        let offences = Offence::ALL.map(|offence| (offence.name(), counters.offence(offence)));
        write_some(f, "offences", offences)
    }
}

/// What is not 0 of some counts, behind what they are, if anything is.
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

/// Counts what the reactor sees, and says so in the log as long as there is room for it.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) accepted: u64,
    pub(crate) closed: Tally,
    pub(crate) refused: Tally,
    complaints: Lines,
    tidings: Lines,
    /// That nothing is stored was said.
    durable_noted: bool,
}

/// A budget of lines for each second.
#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Lines {
    /// Whether there is room for one more, and how many were left out before it.
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

impl Census {
    /// A connection is closed because of what its peer did.
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

    /// A message is refused: dropped, or answered with a DISCONNECT.
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

    /// Says something about a peer, if nothing was said of it for a second.
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

    /// Something is wrong here, not with a peer.
    pub(crate) fn trouble(&mut self, now: Time, text: &dyn fmt::Display) {
        if self.may_complain(now) {
            warn!("{text}");
        }
    }

    /// A request asks to outlive the broker, which none can so far. That is said once.
    pub(crate) fn note_durable(&mut self) {
        if !std::mem::replace(&mut self.durable_noted, true) {
            warn!(
                "a request asks to be stored (`persist`): there is no durable storage, so it and \
                 all like it are served like any other, and are gone when the broker ends"
            );
        }
    }

    /// Whether there is room for a line about a worker that comes or goes.
    pub(crate) fn may_tell(&mut self, now: Time) -> bool {
        let left_out = self.tidings.take(now, TIDINGS_PER_SECOND_MAX);
        left_out.inspect(|left_out| note_left_out(*left_out)).is_some()
    }

    /// Whether there is room for a line about what is wrong.
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
