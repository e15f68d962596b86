//! What is judged: the broker, or something that behaves like it, not quite.

use majordomus_core::Time;
use majordomus_core::broker::{Broker, Config, Counters, Holdings, Input, Keys, Output};

/// A broker as the world sees it.
pub trait Machine: Sized {
    /// Which one is to be made, where there are several kinds.
    type Kind: Copy + core::fmt::Debug;

    /// One without peers.
    fn start(kind: Self::Kind, config: Config, keys: Keys) -> Self;

    /// As [`Broker::handle`].
    fn handle(&mut self, now: Time, input: Input);

    /// As [`Broker::poll_output`].
    fn poll_output(&mut self) -> Option<Output>;

    /// As [`Broker::next_deadline`].
    fn next_deadline(&self) -> Option<Time>;

    /// As [`Broker::counters`].
    fn counters(&self) -> &Counters;

    /// As [`Broker::holdings`].
    fn holdings(&self) -> Holdings;

    /// As [`Broker::directory_edition`].
    fn directory_edition(&self) -> u64;
}

impl Machine for Broker {
    type Kind = ();

    fn start((): (), config: Config, keys: Keys) -> Self {
        Broker::new(config, keys)
    }

    fn handle(&mut self, now: Time, input: Input) {
        Broker::handle(self, now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Broker::poll_output(self)
    }

    fn next_deadline(&self) -> Option<Time> {
        Broker::next_deadline(self)
    }

    fn counters(&self) -> &Counters {
        Broker::counters(self)
    }

    fn holdings(&self) -> Holdings {
        Broker::holdings(self)
    }

    fn directory_edition(&self) -> u64 {
        Broker::directory_edition(self)
    }
}
