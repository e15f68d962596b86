//! Collected outputs of one input, for tests and simulations.

use alloc::vec::Vec;
use core::fmt;

use super::{Action, Event, Outlet, Output};
use crate::{PeerId, ToClientView, ToWorkerView};

/// Collects the outputs of one input, and panics when there are more than `max`: a broker that
/// produces more is in an endless loop. `I` is a name of the input for the panic message.
///
/// ```
/// use majordomus_core::broker::{Broker, Config, Input, Keys, Outputs};
/// use majordomus_core::Time;
///
/// let mut broker = Broker::new(Config::default(), Keys([1, 2, 3, 4]));
/// let mut outputs = Outputs::new("the first tick", 100);
/// broker.handle(Time::ZERO, Input::Tick, &mut outputs);
/// assert_eq!(outputs.list, []);
/// ```
#[derive(Debug)]
pub struct Outputs<I> {
    /// The outputs, in order.
    pub list: Vec<Output>,
    input: I,
    max: usize,
}

impl<I: fmt::Display> Outputs<I> {
    /// Creates a collector for the outputs of `input`, with a maximum of `max` outputs.
    pub fn new(input: I, max: usize) -> Self {
        Self { list: Vec::new(), input, max }
    }

    /// Drops all outputs, and starts to collect those of another input.
    pub fn begin(&mut self, input: I) {
        self.list.clear();
        self.input = input;
    }

    /// Returns the name of the input.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// Adds an output.
    ///
    /// # Panics
    ///
    /// Panics when there are more than `max` outputs.
    pub fn push(&mut self, output: Output) {
        self.list.push(output);
        self.check();
    }

    fn check(&self) {
        if self.list.len() > self.max {
            let (input, max, last) = (&self.input, self.max, self.list.last());
            panic!("{input} has more than {max} outputs, the last of them {last:?}");
        }
    }
}

impl<I: fmt::Display> Outlet for Outputs<I> {
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
