//! The report of a run: a table for the terminal, or one JSON object.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cmd::tripping::Plan;
use crate::cmd::tripping::part::{Fault, Part};
use crate::failure::Failure;

/// The maximum number of faulty calls listed per part.
const NAMED_FAULTS_MAX: usize = 10;

/// A finished run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) plan: Plan,
    /// The synchronous part, and the pipelined part if it ran.
    pub(super) parts: Vec<Part>,
    /// The reason that the second part could not start.
    pub(super) unbegun: Option<Failure>,
}

/// The number of faulty calls of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    calls: u64,
    lost: u64,
    wrong: u64,
    failed: u64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            lost: self.lost + other.lost,
            wrong: self.wrong + other.wrong,
            failed: self.failed + other.failed,
        }
    }
}

impl Part {
    fn counts(&self) -> Counts {
        let calls = (self.times.len() + self.faults.len()) as u64;
        let mut counts = Counts { calls, ..Counts::default() };
        for (_, fault) in &self.faults {
            match fault {
                Fault::Lost(_) => counts.lost += 1,
                Fault::Wrong(_) => counts.wrong += 1,
                Fault::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    fn calls_per_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Returns a percentile of the times of the correct calls.
    fn within(&self, percent: usize) -> Option<Duration> {
        let rank = (self.times.len() * percent).div_ceil(100);
        self.times.get(rank.checked_sub(1)?).copied()
    }

    fn json(&self) -> Value {
        let counts = self.counts();
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        let faults = self.faults.iter().map(|(call, fault)| {
            let (kind, text) = match fault {
                Fault::Lost(error) => ("lost", error.to_string()),
                Fault::Wrong(difference) => ("wrong", difference.to_string()),
                Fault::Failed(error) => ("failed", error.to_string()),
            };
            json!({ "call": call, "kind": kind, "text": text })
        });
        json!({
            "calls": counts.calls,
            "calls_per_second": self.calls_per_second(),
            "connections": self.connections,
            "elapsed_us": micros(self.elapsed),
            "failed": counts.failed,
            "faults": faults.collect::<Vec<_>>(),
            "given_up": self.given_up,
            "in_flight": self.in_flight,
            "lost": counts.lost,
            "p50_us": self.within(50).map(micros),
            "p99_us": self.within(99).map(micros),
            "wrong": counts.wrong,
        })
    }
}

/// Formats a row of the table, followed by the part's faults.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { calls, lost, wrong, failed } = self.counts();
        let rate = self.calls_per_second();
        let p50 = self.within(50).map_or("-".into(), show_time);
        let p99 = self.within(99).map_or("-".into(), show_time);
        writeln!(
            f,
            "{:11}{calls:9}{rate:11.0}{p50:>11}{p99:>11}{lost:8}{wrong:8}{failed:8}",
            self.name
        )
    }
}

impl Report {
    /// Formats the run as one JSON object in one line.
    pub(super) fn json(&self) -> String {
        let Plan { endpoint, own_broker, service, client, worker, .. } = &self.plan;
        let part = |at| self.parts.get(at).map(Part::json);
        let object = json!({
            "body_bytes": self.plan.body_bytes,
            "broker": endpoint,
            "client": client.name(),
            "own_broker": own_broker,
            "pipelined": part(1),
            "service": service,
            "synchronous": part(0),
            "worker": worker.name(),
        });
        format!("{object}\n")
    }

    /// Returns an error if any call was faulty.
    pub(super) fn verdict(self) -> Result<(), Failure> {
        if let Some(failure) = self.unbegun {
            return Err(failure);
        }
        let counts = self.parts.iter().map(Part::counts);
        let Counts { calls, lost, wrong, failed } = counts.fold(Counts::default(), Counts::and);
        if lost + wrong + failed == 0 {
            return Ok(());
        }
        Err(Failure::Tripping { calls, lost, wrong, failed })
    }
}

/// Formats the run as a table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        writeln!(
            f,
            "{:11}{:>9}{:>11}{:>11}{:>11}{:>8}{:>8}{:>8}",
            "", "calls", "calls/s", "p50", "p99", "lost", "wrong", "failed"
        )?;
        for part in &self.parts {
            part.fmt(f)?;
        }
        writeln!(f)?;
        if let Some(Part { in_flight, connections, .. }) = self.parts.get(1) {
            let plural = if *connections == 1 { "" } else { "s" };
            writeln!(
                f,
                "Pipelined: {in_flight} in flight, over {connections} connection{plural} of the \
                 client."
            )?;
        }
        for part in &self.parts {
            for (call, fault) in part.faults.iter().take(NAMED_FAULTS_MAX) {
                writeln!(f, "{}, call {call}: {fault}", part.name)?;
            }
            let unnamed = part.faults.len().saturating_sub(NAMED_FAULTS_MAX);
            if unnamed > 0 {
                writeln!(f, "{}: and {unnamed} more", part.name)?;
            }
            if part.given_up {
                writeln!(f, "{}: given up after {} calls", part.name, part.counts().calls)?;
            }
        }
        Ok(())
    }
}

fn show_time(time: Duration) -> String {
    match time.as_micros() {
        micros @ ..10_000 => format!("{micros} µs"),
        micros => format!("{:.1} ms", micros as f64 / 1e3),
    }
}
