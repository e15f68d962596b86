//! The connection to the broker as a client or a worker sees it: open or not, and when it is
//! opened again.

use core::time::Duration;

use crate::{Farewell, Time};

/// How long a client or a worker waits before it opens a lost connection again.
///
/// The wait doubles with each loss, from `shortest` to `longest`, until the broker has shown that it
/// serves us, or a connection has lasted as long as the longest wait. Of each wait a random part, up to
/// a half, is left out, so that the peers of a broker that was restarted do not all come back at once.
///
/// Who was told that its identity is in use waits a minute at the least. Who was told that it is not
/// wanted as it is ([`Farewell::is_for_good`]) does not come back, unless it changes what it offers.
///
/// ```
/// use core::time::Duration;
/// use majordomus_core::Backoff;
///
/// let patient = Backoff { longest: Duration::from_secs(60), ..Backoff::default() };
/// assert_eq!(patient.shortest, Duration::from_millis(100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first loss.
    pub shortest: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for Backoff {
    /// From 100 ms to 5 s.
    fn default() -> Self {
        Self { shortest: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

/// How long an identity that is in use is left to its owner, at the least.
const IDENTITY_WAIT: Duration = Duration::from_secs(60);

/// Where the connection is.
///
/// ```text
///            due               opened
///   Closed ───────► Opening ───────────► Open
///      ▲               │                  │
///      └───────────────┴──────────────────┘  lost (after a wait), closed (at once)
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Closed { open_at: Time },
    Opening,
    Open { since: Time },
}

/// The connection to the broker.
#[derive(Debug)]
pub(crate) struct Uplink {
    state: State,
    backoff: Backoff,
    /// Losses since the broker last served us.
    losses: u32,
    /// Why the broker would not have us, until it is asked again.
    refused: Option<Farewell>,
    random: u64,
}

impl Uplink {
    pub(crate) fn new(backoff: Backoff, seed: u64) -> Self {
        let state = State::Closed { open_at: Time::ZERO };
        Self { state, backoff, losses: 0, refused: None, random: seed }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// When it should be opened; never while it is open or being opened.
    pub(crate) fn due_at(&self) -> Time {
        match self.state {
            State::Closed { open_at } => open_at,
            State::Opening | State::Open { .. } => Time::NEVER,
        }
    }

    /// Whether it is time to open it; if so, it is being opened from now on.
    pub(crate) fn open_if_due(&mut self, now: Time) -> bool {
        let due = now >= self.due_at();
        if due {
            (self.state, self.refused) = (State::Opening, None);
        }
        due
    }

    pub(crate) fn opened(&mut self, now: Time) {
        self.state = State::Open { since: now };
    }

    /// The broker serves us: the next loss is a first one again.
    pub(crate) fn proven(&mut self) {
        self.losses = 0;
    }

    /// The broker sends us away.
    pub(crate) fn sent_away(&mut self, now: Time, why: Farewell) {
        self.refused = Some(why).filter(|why| why.is_refusal());
        self.lost(now);
    }

    /// Why it will not be opened for long, or ever, where the broker would not have us.
    pub(crate) fn refused(&self) -> Option<Farewell> {
        self.refused
    }

    /// We are no longer what the broker would not have: it may be asked again.
    pub(crate) fn changed(&mut self, now: Time) {
        if self.refused == Some(Farewell::Forbidden) {
            self.closed(now);
        }
    }

    /// It broke, could not be opened, or was closed because of what the broker did.
    pub(crate) fn lost(&mut self, now: Time) {
        if let State::Open { since } = self.state
            && now.since(since) >= self.backoff.longest
        {
            self.losses = 0;
        }
        let doubled = self.backoff.shortest.saturating_mul(1 << self.losses.min(20));
        let wait = doubled.min(self.backoff.longest);
        self.losses = self.losses.saturating_add(1);
        let wait = wait - wait.mul_f64(self.random_unit() / 2.0);
        let open_at = match self.refused {
            None => now.after(wait),
            Some(Farewell::IdentityInUse) => now.after(wait.max(IDENTITY_WAIT)),
            Some(_) => Time::NEVER,
        };
        self.state = State::Closed { open_at };
    }

    /// We closed it for a reason of our own; it is opened again without a wait.
    pub(crate) fn closed(&mut self, now: Time) {
        self.state = State::Closed { open_at: now };
    }

    /// From 0 up to, and without, 1 (SplitMix64).
    fn random_unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(uplink: &mut Uplink, count: usize) -> alloc::vec::Vec<Duration> {
        let wait = |_| {
            uplink.lost(Time::ZERO);
            uplink.due_at().since(Time::ZERO)
        };
        (0..count).map(wait).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        for seed in 0..100 {
            let mut uplink = Uplink::new(Backoff::default(), seed);
            let full = [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis);
            for (wait, full) in waits(&mut uplink, 8).into_iter().zip(full) {
                assert!(full / 2 <= wait && wait <= full, "{wait:?} of {full:?}, seed {seed}");
            }
            uplink.proven();
            assert!(waits(&mut uplink, 1)[0] <= Duration::from_millis(100));
        }
    }

    #[test]
    fn who_is_not_wanted_does_not_come_back_and_whose_identity_is_in_use_not_before_a_minute() {
        let due_after = |why| {
            let mut uplink = Uplink::new(Backoff::default(), 0);
            uplink.sent_away(Time::ZERO, why);
            uplink.due_at()
        };
        for why in Farewell::ALL {
            let due = due_after(why);
            match why {
                Farewell::Forbidden | Farewell::NoCommonVersion => assert_eq!(due, Time::NEVER),
                Farewell::IdentityInUse => assert_eq!(due.since(Time::ZERO), IDENTITY_WAIT),
                _ => assert!(due.since(Time::ZERO) <= Duration::from_millis(100), "{why:?}"),
            }
        }
    }

    #[test]
    fn who_was_not_wanted_is_asked_for_again_when_it_is_another() {
        let mut uplink = Uplink::new(Backoff::default(), 0);
        uplink.sent_away(Time::ZERO, Farewell::Forbidden);
        uplink.changed(Time::ZERO);
        assert!(uplink.open_if_due(Time::ZERO));
        uplink.lost(Time::ZERO);
        assert_ne!(uplink.due_at(), Time::NEVER);
        // Of another version it is not.
        uplink.sent_away(Time::ZERO, Farewell::NoCommonVersion);
        uplink.changed(Time::ZERO);
        assert_eq!(uplink.due_at(), Time::NEVER);
    }

    #[test]
    fn a_connection_that_lasts_ends_the_row_of_losses() {
        let mut uplink = Uplink::new(Backoff::default(), 0);
        waits(&mut uplink, 8);
        uplink.opened(Time::ZERO);
        let lost_at = Time::ZERO.after(Duration::from_secs(5));
        uplink.lost(lost_at);
        assert!(uplink.due_at().since(lost_at) <= Duration::from_millis(100));
    }

    #[test]
    fn a_seed_repeats_its_waits() {
        let with_seed = |seed| waits(&mut Uplink::new(Backoff::default(), seed), 40);
        assert_eq!(with_seed(7), with_seed(7));
        assert_ne!(with_seed(7), with_seed(8));
    }
}
