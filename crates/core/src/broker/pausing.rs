//! Pausing: peers that are not read from for as long as there is a reason.

use super::tables::Claim;
use super::{Action, Broker, Turn};
use crate::PeerId;

impl Broker {
    /// Reads no more from a peer until each of its reasons is gone.
    pub(super) fn pause(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        peer.pauses += 1;
        if peer.pauses == 1 {
            turn.out.act(id, Action::Pause);
            // A worker that is not read from could not be done with what it is given.
            self.tables.set_busy(id);
        }
    }

    /// One of the reasons for which a peer is not read from is gone.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        peer.pauses -= 1;
        if peer.pauses == 0 {
            // It could not show life meanwhile.
            peer.seen = turn.now;
            turn.out.act(id, Action::Resume);
            if let Claim::ChallengedBy(claimant) = peer.identity_claim {
                self.agenda.challenge(claimant);
            }
            self.feed_soon(id);
        }
    }
}
