//! Recorded costs: a text file with one line per case, and the comparison of figures with it.

use std::collections::BTreeMap;
use std::fmt;

/// The relative tolerance for instructions. An otherwise neutral change can alter the compiler's
/// inlining, and with it the count by one or two percent.
const TOLERANCE: f64 = 0.03;
/// The tolerance if a different compiler or C library built the program.
const TOLERANCE_ELSEWHERE: f64 = 0.15;

/// The costs of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    /// Instructions, if they can be counted.
    pub(super) instructions: Option<f64>,
    pub(super) allocations: f64,
}

/// The recorded or measured costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    /// The tools that built the measured program.
    pub(super) made_by: String,
    pub(super) figures: BTreeMap<String, Figure>,
}

/// The result of comparing a figure with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Equal within the tolerance.
    Same,
    /// Higher: the limit is exceeded.
    Worse,
    /// Lower: the record is too loose as a limit and must be updated.
    Better,
    /// The case has no record.
    New,
}

impl Record {
    /// Parses the output of [`Display`](fmt::Display).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if let Some(made_by) = line.strip_prefix("made by ") {
                record.made_by = made_by.to_string();
                continue;
            }
            let unreadable = || format!("not a line of a record: {line:?}");
            let words: Vec<&str> = line.split_whitespace().collect();
            let [case, instructions, allocations] = words[..] else { return Err(unreadable()) };
            let instructions = Some(instructions.parse().map_err(|_| unreadable())?);
            let allocations = allocations.parse().map_err(|_| unreadable())?;
            let before =
                record.figures.insert(case.to_string(), Figure { instructions, allocations });
            if before.is_some() {
                return Err(format!("{case} is recorded twice"));
            }
        }
        Ok(record)
    }

    /// Returns the tolerance for instructions in a program that was built by these tools.
    pub(super) fn tolerance(&self, made_by: &str) -> f64 {
        if self.made_by == made_by { TOLERANCE } else { TOLERANCE_ELSEWHERE }
    }

    /// Compares the measured figure of a case with its record.
    ///
    /// Allocations have no tolerance except the rounding to two decimals: their number depends only
    /// on our source, not on the compiler.
    pub(super) fn standing(&self, case: &str, measured: Figure, tolerance: f64) -> Standing {
        let Some(recorded) = self.figures.get(case) else { return Standing::New };
        let allocations = compare(recorded.allocations, measured.allocations, 0.005);
        let instructions = match (recorded.instructions, measured.instructions) {
            (Some(recorded), Some(measured)) => compare(recorded, measured, tolerance * recorded),
            _ => Standing::Same,
        };
        match (allocations, instructions) {
            (Standing::Worse, _) | (_, Standing::Worse) => Standing::Worse,
            (Standing::Same, Standing::Same) => Standing::Same,
            _ => Standing::Better,
        }
    }
}

fn compare(recorded: f64, measured: f64, off: f64) -> Standing {
    match measured - recorded {
        more if more > off => Standing::Worse,
        less if less < -off => Standing::Better,
        _ => Standing::Same,
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# What one operation costs. To compare with it, and to record it anew:")?;
        writeln!(f, "# cargo run --release -p majordomus-benches -- guard")?;
        writeln!(f, "# UPDATE_RECORD=1 cargo run --release -p majordomus-benches -- guard")?;
        writeln!(f, "made by {}\n", self.made_by)?;
        writeln!(f, "# {:<22}{:>14}{:>14}", "case", "instructions", "allocations")?;
        for (case, figure) in &self.figures {
            let instructions = figure.instructions.unwrap_or_default();
            writeln!(f, "{case:<24}{instructions:>14.0}{:>14.2}", figure.allocations)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(instructions: f64, allocations: f64) -> Figure {
        Figure { instructions: Some(instructions), allocations }
    }

    fn record() -> Record {
        let figures = [("core/load".to_string(), figure(1_000.0, 1.5))].into();
        Record { made_by: "rustc 1 on that".into(), figures }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Record::parse(&record().to_string()), Ok(record()));
        let twice = "core/load 1 1.00\ncore/load 1 1.00\n";
        assert_eq!(Record::parse(twice), Err("core/load is recorded twice".into()));
        assert!(Record::parse("core/load many 1.00\n").is_err());
        assert!(Record::parse("core/load 1\n").is_err());
    }

    #[test]
    fn more_is_worse_and_less_has_to_be_recorded() {
        let record = record();
        let standing = |measured| record.standing("core/load", measured, 0.03);
        assert_eq!(standing(figure(1_029.0, 1.5)), Standing::Same);
        assert_eq!(standing(figure(971.0, 1.5)), Standing::Same);
        assert_eq!(standing(figure(1_031.0, 1.5)), Standing::Worse);
        assert_eq!(standing(figure(969.0, 1.5)), Standing::Better);
        assert_eq!(standing(figure(1_000.0, 1.51)), Standing::Worse);
        assert_eq!(standing(figure(1_000.0, 1.49)), Standing::Better);
        assert_eq!(standing(figure(900.0, 2.0)), Standing::Worse, "one cannot pay for the other");
        assert_eq!(standing(Figure { instructions: None, allocations: 1.5 }), Standing::Same);
        assert_eq!(record.standing("core/else", figure(1.0, 1.0), 0.03), Standing::New);
    }

    #[test]
    fn another_compiler_is_given_more_room() {
        let [here, elsewhere] =
            ["rustc 1 on that", "rustc 2 on that"].map(|made_by| record().tolerance(made_by));
        assert!(here < elsewhere);
    }
}
