//! The outputs of one step.

use core::fmt;

/// The most outputs that one input may make a broker produce; a broker that produces more is in an
/// endless loop. The inputs with the most outputs end all requests in progress, of which a simulation
/// has a few hundred.
const OUTPUTS_MAX: usize = 10_000;

/// Collects the outputs of one step, and panics with its number when they do not end.
pub type Outputs = majordomus_core::broker::Outputs<Step>;

/// The number of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub(crate) u64);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}

/// Creates an empty list for the outputs of later steps.
pub(crate) fn empty() -> Outputs {
    Outputs::new(Step(0), OUTPUTS_MAX)
}
