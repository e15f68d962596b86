//! Pausing: stopping and resuming reads from a peer.

use super::tables::Claim;
use super::{Action, Broker, Turn};
use crate::PeerId;

impl Broker {
    /// Adds a reason to pause a peer. The broker reads from the peer again when no reason is left.
    pub(super) fn pause(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        peer.pauses += 1;
        if peer.pauses == 1 {
            turn.out.act(id, Action::Pause);
            // A paused worker could not finish a request, so it must not get any.
            self.tables.set_busy(id);
        }
    }

    /// Removes one reason to pause a peer.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        peer.pauses -= 1;
        if peer.pauses == 0 {
            // The peer could not show liveness while it was paused.
            peer.seen = turn.now;
            turn.out.act(id, Action::Resume);
            if let Claim::ChallengedBy(claimant) = peer.identity_claim {
                self.agenda.challenge(claimant);
            }
            self.feed_soon(id);
        }
    }
}
