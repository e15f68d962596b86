//! The faults: which of them a run has, and when.

use core::time::Duration;

use crate::rng::Rng;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A connection is cut; what is on its way may get through in part.
    Cut,
    /// One end is gone, and the broker does not hear of it.
    HalfOpen,
    /// A program computes and says nothing; its ZMTP answers.
    Block(Duration),
    /// A program is stopped, and goes on later.
    Stop(Duration),
    /// A peer reads slowly from now on: so long for each message.
    ReadSlowly(Duration),
    /// A peer says something that its dialect does not allow, or sends a part of a message.
    Noise,
    /// The broker is stopped for so long.
    Leap(Duration),
    /// The configuration changes.
    Configure,
    /// The broker is started anew.
    Restart,
    /// The broker is shut down in order, and started anew later.
    Shutdown,
}

/// The kinds of faults, and how often each happens in a run. Not every run has every kind: faults
/// that hide each other have to come alone, too.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    every: Duration,
    shares: [u64; 10],
    /// How often in a thousand requests a worker crashes over one.
    pub(crate) crash: u64,
    /// How often in a thousand replies something is wrong with it.
    pub(crate) mischief: u64,
    /// How often in a thousand requests a worker needs far too long.
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

    /// None at all.
    pub(crate) fn none() -> Self {
        Self { every: Duration::MAX, shares: [0; 10], crash: 0, mischief: 0, slow: 0 }
    }

    /// How long it is to the next.
    pub(crate) fn pause(&self, rng: &mut Rng) -> Option<Duration> {
        let any = self.shares.iter().sum::<u64>() > 0;
        any.then(|| rng.millis(1, 2 * self.every.as_millis() as u64))
    }

    /// Which one is next.
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
