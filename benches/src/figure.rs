//! A measured figure and its limit.

use std::fmt;
use std::time::Duration;

/// The number of bytes in a mebibyte.
pub(crate) const MIB: f64 = 1_048_576.0;

/// A measured figure and its limit.
pub(crate) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The maximum value, if there is a limit.
    most: Option<f64>,
}

impl Figure {
    /// Creates a figure with a maximum.
    pub(crate) fn at_most(
        most: f64,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self { what: what.into(), value, unit, most: Some(most) }
    }

    /// Creates a figure without a limit.
    pub(crate) fn seen(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, most: None }
    }

    /// Creates a figure for a duration with a maximum.
    pub(crate) fn within(most: Duration, what: impl Into<String>, took: Duration) -> Self {
        Self::at_most(1e3 * most.as_secs_f64(), what, 1e3 * took.as_secs_f64(), "ms")
    }

    pub(crate) fn is_met(&self) -> bool {
        self.most.is_none_or(|most| self.value <= most)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value, unit, most } = self;
        write!(f, "{what:<48}{:>14}", format!("{value:.2} {unit}"))?;
        if let Some(most) = most {
            let verdict = if self.is_met() { "met" } else { "MISSED" };
            write!(f, "{:>12}  {verdict}", format!("{most} {unit}"))?;
        }
        Ok(())
    }
}
