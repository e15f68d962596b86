//! The outputs of a step.

use core::fmt;

/// The maximum number of outputs for one input. A broker that produces more is in an endless loop.
/// The inputs with the most outputs end all requests in progress, of which a simulation has a few
/// hundred.
const OUTPUTS_MAX: usize = 10_000;

/// A collector for the outputs of a step. It panics with the step's number if there are too many.
pub type Outputs = majordomus_core::broker::Outputs<Step>;

/// The number of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub(crate) u64);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}

/// Creates an empty collector for the outputs of later steps.
pub(crate) fn empty() -> Outputs {
    Outputs::new(Step(0), OUTPUTS_MAX)
}
