//! The broker under test: the real broker, or a mutant of it.

use majordomus_core::Time;
use majordomus_core::broker::{Broker, Config, Counters, Gauges, Input, Keys};

use crate::outputs::Outputs;

/// The broker as the simulation uses it.
pub trait Machine: Sized {
    /// The mutation of the broker, if any.
    type Kind: Copy + core::fmt::Debug;

    /// Creates a broker without peers.
    fn start(kind: Self::Kind, config: Config, keys: Keys) -> Self;

    /// Handles an input as [`Broker::handle`] does and adds the outputs to `outputs`.
    fn handle(&mut self, now: Time, input: &Input, outputs: &mut Outputs);

    /// Returns the same as [`Broker::next_deadline`].
    fn next_deadline(&self) -> Option<Time>;

    /// Returns the same as [`Broker::counters`].
    fn counters(&self) -> &Counters;

    /// Returns the same as [`Broker::holdings`].
    fn holdings(&self) -> Gauges;

    /// Returns the same as [`Broker::directory_edition`].
    fn directory_edition(&self) -> u64;
}

impl Machine for Broker {
    type Kind = ();

    fn start((): (), config: Config, keys: Keys) -> Self {
        Broker::new(config, keys)
    }

    fn handle(&mut self, now: Time, input: &Input, outputs: &mut Outputs) {
        input.with_view(|input| Broker::handle(self, now, input, outputs));
    }

    fn next_deadline(&self) -> Option<Time> {
        Broker::next_deadline(self)
    }

    fn counters(&self) -> &Counters {
        Broker::counters(self)
    }

    fn holdings(&self) -> Gauges {
        Broker::holdings(self)
    }

    fn directory_edition(&self) -> u64 {
        Broker::directory_edition(self)
    }
}
