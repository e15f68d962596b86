//! Checks of handshakes and disconnects with reasons.

use core::time::Duration;

use majordomus_core::broker::{HEAD_BYTES_MAX, HEARTBEAT_INTERVAL_MIN, LossReason, PeerViolation};
use majordomus_core::{
    Concurrency, CorrelationId, DisconnectReason, Hello, Outcome, PeerId, Welcome,
};

use super::model::{Peer, Side};
use super::{Checker, Rule};

impl Checker {
    /// Handles a peer's HELLO.
    pub(super) fn greets(&mut self, id: PeerId, hello: Hello) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        if !peer.greets() || peer.greeted {
            return self.offends(id, PeerViolation::Malformed);
        }
        peer.greeted = true;
        let pace = hello.heartbeat.map(|pace| pace.max(HEARTBEAT_INTERVAL_MIN));
        peer.pace = Some(pace.unwrap_or(Duration::MAX));
        let most = hello.message_bytes_max.map(|most| most.saturating_sub(HEAD_BYTES_MAX));
        peer.body_bytes_max = most.unwrap_or(usize::MAX);
        if let Side::Worker(worker) = &mut peer.side {
            (worker.takes, worker.takes_since) = (worker.can.concurrency, now);
        }
        self.step.must_welcome = Some(id);
    }

    pub(super) fn welcomed(&mut self, id: PeerId, said: &Welcome) {
        if self.step.must_welcome.take() != Some(id) {
            return self.accuse(Rule::Welcome, format!("{id} did not say HELLO"));
        }
        let (config, limits) = (&self.config, &self.config.limits);
        let requests_max = match self.model.client(id) {
            Some(_) => limits.client_requests_max,
            None => limits.worker_requests_max,
        };
        let right = Welcome {
            heartbeat: config.heartbeat_interval,
            liveness: config.liveness,
            message_bytes_max: config.introduction.message_bytes_max,
            frames_max: config.introduction.frames_max,
            requests_max: u32::try_from(requests_max).unwrap_or(u32::MAX),
            broker: config.introduction.broker.clone(),
        };
        if *said != right {
            self.accuse(Rule::Welcome, format!("{id} is told {said:?}, not {right:?}"));
        }
    }

    /// Handles a worker's confirmed concurrency limit.
    pub(super) fn hears_of_capacity(&mut self, id: PeerId, concurrency: Concurrency) {
        if self.step.must_settle.take() != Some((id, concurrency)) {
            self.accuse(Rule::CapacityIs, format!("{id} hears of {concurrency:?}"));
        }
    }

    /// Handles a protocol violation. The broker disconnects every worker, and every client whose
    /// dialect has a disconnect reason.
    pub(super) fn offends(&mut self, id: PeerId, violation: PeerViolation) {
        self.step.violation = Some(violation);
        let Some(peer) = self.model.peer(id).filter(|peer| !peer.is_unheard()) else { return };
        let (is_worker, registered) = (matches!(peer.side, Side::Worker(_)), peer.is_registered());
        if is_worker || peer.greeted {
            self.step.must_part.push((id, violation.disconnect_reason()));
        }
        if registered {
            self.step.must_lose = Some(id);
        } else if !is_worker && peer.greeted {
            self.client_leaves(id);
        }
    }

    /// Handles a client that ends its session but keeps its connection.
    fn client_leaves(&mut self, id: PeerId) {
        let mine = self.model.live.iter().filter(|uid| self.model.requests[*uid].client == id);
        self.step.must_end.extend(mine.map(|uid| (*uid, Outcome::ClientGone)));
    }

    /// Handles a peer's DISCONNECT. The peer is ignored until its next HELLO.
    pub(super) fn takes_leave(&mut self, id: PeerId) {
        if let Some(peer) = self.model.peer_mut(id) {
            peer.greeted = false;
        }
        self.client_leaves(id);
    }

    /// Handles the broker's shutdown: it disconnects every worker, and every client that completed
    /// a handshake.
    pub(super) fn all_part(&mut self) {
        let there = |peer: &&Peer| peer.greeted || peer.is_registered();
        let all =
            self.model.all_peers().filter(there).map(|peer| (peer.id, DisconnectReason::ShutDown));
        self.step.must_part.extend(all);
    }

    /// Handles a DISCONNECT to a peer.
    pub(super) fn parts(&mut self, id: PeerId, why: DisconnectReason) {
        let Some(peer) = self.model.peer_mut(id) else { return };
        let again = peer.is_unheard() && why != DisconnectReason::IdentityInUse;
        peer.greeted = false;
        let due = self.step.must_part.iter().position(|due| *due == (id, why));
        match due {
            Some(due) => _ = self.step.must_part.swap_remove(due),
            None if again => {
                self.accuse(Rule::DisconnectReason, format!("{id} is not there: {why:?}"))
            }
            None => self.step.parted.push((id, why)),
        }
    }

    /// Returns true if a peer was disconnected for this reason.
    pub(super) fn has_parted(&mut self, id: PeerId, why: DisconnectReason) -> bool {
        let at = self.step.parted.iter().position(|parted| *parted == (id, why));
        at.map(|at| self.step.parted.swap_remove(at)).is_some()
    }

    /// Handles the disconnect of a silent peer, which must precede the loss.
    pub(super) fn hears_of_loss(&mut self, id: PeerId, reason: LossReason) {
        let silent =
            matches!(reason, LossReason::Silent | LossReason::Stopped | LossReason::Overdue);
        if silent && !self.has_parted(id, reason.disconnect_reason()) {
            self.accuse(Rule::DisconnectReason, format!("{id} is lost and not told: {reason}"));
        }
    }

    /// Checks the messages that connecting and disconnecting peers must receive.
    pub(super) fn settle_greetings(&mut self) {
        if let Some(peer) = self.step.must_welcome {
            return self.accuse(Rule::Welcome, format!("{peer} is not welcomed"));
        }
        if let Some((peer, concurrency)) = self.step.must_settle {
            let text = format!("{peer} does not hear that {concurrency:?} holds");
            return self.accuse(Rule::CapacityIs, text);
        }
        if let Some((peer, why)) = self.step.must_part.first() {
            return self.accuse(Rule::DisconnectReason, format!("{peer} had to be told: {why:?}"));
        }
        if let Some((peer, why)) = self.step.parted.first() {
            self.accuse(
                Rule::DisconnectReason,
                format!("{peer} is sent away without cause: {why:?}"),
            );
        }
    }

    /// Returns the maximum silence of a peer, using its declared heartbeat interval if it has one.
    pub(super) fn silence_of(&self, peer: &Peer) -> Duration {
        match peer.pace {
            Some(pace) => pace.saturating_mul(self.config.liveness),
            None => self.silence_max(),
        }
    }

    /// Returns true if a request's id is not unique for its client.
    pub(super) fn is_duplicate(&self, client: PeerId, id: &CorrelationId) -> bool {
        self.model.client(client).is_some_and(|client| client.can.greets)
            && !self.shut_down
            && self.model.called(client, id).is_some()
    }
}
