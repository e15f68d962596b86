//! The connection from a client or a worker to the broker: its state and its reconnect backoff.

use core::time::Duration;

use crate::{DisconnectReason, Time};

/// The wait before a client or a worker reconnects.
///
/// The wait doubles with each lost connection, from `shortest` to `longest`. It starts over once
/// the broker serves the peer, or after a connection that lasted at least as long as `longest`.
/// Each wait is shortened by a random fraction of up to a half, so that the peers of a restarted
/// broker do not all reconnect at once.
///
/// If the broker reports that the peer's identity is in use, the wait is at least a minute. If the
/// broker rejects the peer permanently ([`DisconnectReason::is_for_good`]), the peer does not reconnect
/// unless its registrations change.
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
    /// The maximum wait.
    pub longest: Duration,
}

impl Default for Backoff {
    /// From 100 ms to 5 s.
    fn default() -> Self {
        Self { shortest: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

/// The minimum wait before the peer tries an identity that is in use again.
const IDENTITY_WAIT: Duration = Duration::from_secs(60);

/// The state of the connection.
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
    /// The number of losses since the broker last served this peer.
    losses: u32,
    /// The reason why the broker rejected this peer, until the next attempt.
    refused: Option<DisconnectReason>,
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

    /// Returns the time of the next attempt; never while the connection is open or being opened.
    pub(crate) fn due_at(&self) -> Time {
        match self.state {
            State::Closed { open_at } => open_at,
            State::Opening | State::Open { .. } => Time::NEVER,
        }
    }

    /// Moves to `Opening` if the next attempt is due, and returns true in that case.
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

    /// Resets the backoff, because the broker served this peer.
    pub(crate) fn proven(&mut self) {
        self.losses = 0;
    }

    /// Handles a disconnect by the broker.
    pub(crate) fn sent_away(&mut self, now: Time, why: DisconnectReason) {
        self.refused = Some(why).filter(|why| why.is_refusal());
        self.lost(now);
    }

    /// Returns the reason for a long or permanent wait, if the broker rejected this peer.
    pub(crate) fn refused(&self) -> Option<DisconnectReason> {
        self.refused
    }

    /// Allows another attempt after a `Forbidden`, because the registrations changed.
    pub(crate) fn changed(&mut self, now: Time) {
        if self.refused == Some(DisconnectReason::Forbidden) {
            self.closed(now);
        }
    }

    /// Handles a connection that broke, could not be opened, or was closed because of the broker's
    /// behavior.
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
            Some(DisconnectReason::IdentityInUse) => now.after(wait.max(IDENTITY_WAIT)),
            Some(_) => Time::NEVER,
        };
        self.state = State::Closed { open_at };
    }

    /// Handles a connection that this side closed. The next attempt is due at once.
    pub(crate) fn closed(&mut self, now: Time) {
        self.state = State::Closed { open_at: now };
    }

    /// Returns a random number from 0 up to, but not including, 1 (SplitMix64).
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
        for why in DisconnectReason::ALL {
            let due = due_after(why);
            match why {
                DisconnectReason::Forbidden | DisconnectReason::NoCommonVersion => {
                    assert_eq!(due, Time::NEVER)
                }
                DisconnectReason::IdentityInUse => assert_eq!(due.since(Time::ZERO), IDENTITY_WAIT),
                _ => assert!(due.since(Time::ZERO) <= Duration::from_millis(100), "{why:?}"),
            }
        }
    }

    #[test]
    fn who_was_not_wanted_is_asked_for_again_when_it_is_another() {
        let mut uplink = Uplink::new(Backoff::default(), 0);
        uplink.sent_away(Time::ZERO, DisconnectReason::Forbidden);
        uplink.changed(Time::ZERO);
        assert!(uplink.open_if_due(Time::ZERO));
        uplink.lost(Time::ZERO);
        assert_ne!(uplink.due_at(), Time::NEVER);
        // A peer without a common version does not try again.
        uplink.sent_away(Time::ZERO, DisconnectReason::NoCommonVersion);
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
