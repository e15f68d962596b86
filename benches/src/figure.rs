//! A figure, beside the bar that it is held to.

use std::fmt;
use std::time::Duration;

/// Bytes of a mebibyte.
pub(crate) const MIB: f64 = 1_048_576.0;

/// A figure, beside the bar that it is held to.
pub(crate) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most that it may be, where there is a bar.
    most: Option<f64>,
}

impl Figure {
    /// One that may be so much and no more.
    pub(crate) fn at_most(
        most: f64,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self { what: what.into(), value, unit, most: Some(most) }
    }

    /// One that nothing is held against.
    pub(crate) fn seen(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, most: None }
    }

    /// How long something took, of what it may take.
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
