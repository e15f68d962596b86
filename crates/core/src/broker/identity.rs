//! Identities: ownership, and conflicts between two connections with the same identity.

use core::mem::replace;

use super::tables::Claim;
use super::{Action, Broker, CloseReason, Profile, Timer, Turn};
use crate::{PeerId, Time};

impl Broker {
    /// Adds a peer whose role is known.
    pub(super) fn connected(&mut self, turn: &mut Turn<'_>, id: PeerId, profile: Profile) {
        let owner = self.tables.peers.owner(&profile.identity);
        self.tables.peers.add(turn.now, id, profile);
        match owner {
            None => self.give_identity(turn, id),
            Some(owner) => self.claim(turn, owner, id),
        }
    }

    /// Makes a peer the owner of its identity. Probes a worker, because the broker can detect a
    /// stopped worker only if that worker has answered a probe before.
    fn give_identity(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        let probe = peer.answers_probes && peer.as_worker().is_some();
        self.tables.peers.own(peer.identity.clone(), id);
        if probe {
            turn.out.act(id, Action::Probe);
        }
    }

    /// Handles a connection that claims an identity which already has an owner. The broker probes
    /// the owner and pauses the claimant until the owner answers or times out.
    fn claim(&mut self, turn: &mut Turn<'_>, owner_id: PeerId, claimant: PeerId) {
        let Some(owner) = self.tables.peers.get_mut(owner_id) else { return };
        if owner.identity_claim != Claim::Settled {
            return self.close(turn, claimant, CloseReason::IdentityInUse);
        }
        owner.identity_claim = Claim::ChallengedBy(claimant);
        self.challenge(turn, owner_id, claimant);
        self.pause(turn, claimant);
    }

    /// Probes the owner of an identity, and starts or restarts its timeout.
    fn challenge(&mut self, turn: &mut Turn<'_>, owner: PeerId, claimant: PeerId) {
        if self.tables.peers.get(owner).is_some_and(|owner| owner.answers_probes) {
            turn.out.act(owner, Action::Probe);
        }
        let until = turn.now.after(self.config.identity_timeout);
        let timer = self.timers.arm(until, Timer::Identity(claimant));
        let Some(peer) = self.tables.peers.get_mut(claimant) else {
            return self.timers.cancel(timer);
        };
        let before = replace(&mut peer.identity_claim, Claim::WaitsFor(owner, Some(timer)));
        if let Claim::WaitsFor(_, Some(timer)) = before {
            self.timers.cancel(timer);
        }
    }

    /// Probes the owner of a claimed identity again, because the broker did not read from the owner
    /// meanwhile.
    pub(super) fn challenge_again(&mut self, turn: &mut Turn<'_>, claimant: PeerId) {
        let claim = self.tables.peers.get(claimant).map(|peer| peer.identity_claim);
        if let Some(Claim::WaitsFor(owner, _)) = claim {
            self.challenge(turn, owner, claimant);
        }
    }

    /// Handles an owner that has shown no liveness within the identity timeout.
    pub(super) fn identity_due(&mut self, turn: &mut Turn<'_>, claimant: PeerId, due: Time) {
        let was_stopped = self.was_stopped(turn.now, due);
        let Some(peer) = self.tables.peers.get_mut(claimant) else { return };
        let Claim::WaitsFor(owner, timer) = &mut peer.identity_claim else { return };
        *timer = None;
        let owner = *owner;
        if was_stopped {
            return self.challenge(turn, owner, claimant);
        }
        // A paused owner could not show liveness.
        if self.tables.peers.get(owner).is_some_and(|owner| owner.pauses > 0) {
            self.close(turn, claimant, CloseReason::IdentityInUse);
        } else {
            self.close(turn, owner, CloseReason::IdentityTaken);
        }
    }

    /// Gives a peer the identity that it claims, because the owner has disconnected.
    pub(super) fn inherit(&mut self, turn: &mut Turn<'_>, claimant: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(claimant) else { return };
        if let Claim::WaitsFor(_, Some(timer)) = replace(&mut peer.identity_claim, Claim::Settled) {
            self.timers.cancel(timer);
        }
        self.resume(turn, claimant);
        self.give_identity(turn, claimant);
    }
}
