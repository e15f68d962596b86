//! The simulated faults and their frequency.

use core::time::Duration;

use crate::rng::Rng;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A connection is cut. Messages in transit may still arrive in part.
    Cut,
    /// One end of a connection is gone, and the broker is not notified.
    HalfOpen,
    /// A program computes and sends nothing, but its ZMTP layer still answers.
    Block(Duration),
    /// A program is stopped and continues later.
    Stop(Duration),
    /// A peer reads slowly from now on, with this time per message.
    ReadSlowly(Duration),
    /// A peer sends a message that its dialect does not allow, or a part of a message.
    Noise,
    /// The broker is stopped for this time.
    Leap(Duration),
    /// The configuration changes.
    Configure,
    /// The broker restarts.
    Restart,
    /// The broker is shut down and started again later.
    Shutdown,
}

/// The kinds of faults in a run and their frequencies. Not every run has every kind, because faults
/// that mask each other must also occur alone.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    every: Duration,
    shares: [u64; 10],
    /// The requests per thousand over which a worker crashes.
    pub(crate) crash: u64,
    /// The replies per thousand that violate the protocol.
    pub(crate) mischief: u64,
    /// The requests per thousand for which a worker takes far too long.
    pub(crate) slow: u64,
}

impl Faults {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut shares = [10, 6, 6, 6, 6, 10, 3, 3, 1, 1];
        for share in &mut shares {
            if rng.one_in(3) {
                *share = 0;
            }
        }
        Self {
            every: Duration::from_millis(rng.pick(&[30, 200, 1000])),
            shares,
            crash: rng.pick(&[0, 5, 30]),
            mischief: rng.pick(&[0, 10, 60]),
            slow: rng.pick(&[0, 10, 60]),
        }
    }

    /// Returns a configuration without faults.
    pub(crate) fn none() -> Self {
        Self { every: Duration::MAX, shares: [0; 10], crash: 0, mischief: 0, slow: 0 }
    }

    /// Returns the time until the next fault.
    pub(crate) fn pause(&self, rng: &mut Rng) -> Option<Duration> {
        let any = self.shares.iter().sum::<u64>() > 0;
        any.then(|| rng.millis(1, 2 * self.every.as_millis() as u64))
    }

    /// Returns the next fault.
    pub(crate) fn next(&self, rng: &mut Rng) -> Option<Fault> {
        let sum = self.shares.iter().sum::<u64>();
        if sum == 0 {
            return None;
        }
        let mut at = rng.below(sum);
        let which = self.shares.iter().position(|share| {
            let here = at < *share;
            at = at.saturating_sub(*share);
            here
        })?;
        Some(match which {
            0 => Fault::Cut,
            1 => Fault::HalfOpen,
            2 => Fault::Block(rng.millis(10, 3000)),
            3 => Fault::Stop(rng.millis(10, 3000)),
            4 => Fault::ReadSlowly(rng.millis(5, 500)),
            5 => Fault::Noise,
            6 => Fault::Leap(rng.millis(1, 4000)),
            7 => Fault::Configure,
            8 => Fault::Restart,
            _ => Fault::Shutdown,
        })
    }
}
