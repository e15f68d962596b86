//! The outputs of one input.

use majordomus_core::broker::{Action, Event, Outlet, Output};
use majordomus_core::{PeerId, ToClientView, ToWorkerView};

/// The most outputs that one input may make a broker produce; a broker that produces more is in an
/// endless loop. The inputs with the most outputs end all requests in progress, of which a simulation
/// has a few hundred.
const OUTPUTS_MAX: usize = 10_000;

/// Collects the outputs of one input, and panics with the number of the step when they do not end.
#[derive(Debug, Default)]
pub struct Outputs {
    pub(crate) list: Vec<Output>,
    step: u64,
}

impl Outputs {
    /// Drops all outputs, and collects those of this step.
    pub(crate) fn begin(&mut self, step: u64) {
        self.list.clear();
        self.step = step;
    }

    /// Returns the number of the step.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// Adds an output.
    ///
    /// # Panics
    ///
    /// Panics when the input has more outputs than any input of a simulation can have.
    pub fn push(&mut self, output: Output) {
        self.list.push(output);
        self.check();
    }

    fn check(&self) {
        if self.list.len() > OUTPUTS_MAX {
            let (step, last) = (self.step, &self.list[OUTPUTS_MAX]);
            panic!("step {step} has more than {OUTPUTS_MAX} outputs, the last of them {last:?}");
        }
    }
}

impl Outlet for Outputs {
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        self.list.to_client(client, command);
        self.check();
    }

    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        self.list.to_worker(worker, command);
        self.check();
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        self.list.act(peer, action);
        self.check();
    }

    fn note(&mut self, event: Event) {
        self.list.note(event);
        self.check();
    }
}
