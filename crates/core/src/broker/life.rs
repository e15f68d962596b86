//! Life: who appears and goes, who is silent, who does not read, and whose identity it is.

use core::time::Duration;

use super::peers::{Claim, Peer, SideState};
use super::requests::OfClient;
use super::{Broker, CloseReason, Config, LossReason, Output, Profile, Sign, Timer};
use crate::list::List;
use crate::{Farewell, PeerId, Time, ToClient, ToWorker};

impl Broker {
    pub(super) fn appeared(&mut self, now: Time, id: PeerId, profile: Profile) {
        let identity = profile.identity.clone();
        let probe = profile.answers_probes && matches!(profile.role, crate::Role::Worker(_));
        let owner = self.peers.owner(&identity);
        self.peers.add(now, id, profile);
        match owner {
            None => self.peers.own(identity, id),
            Some(owner) => return self.challenge(now, owner, id),
        }
        if probe {
            // Whether a busy worker that falls silent has stopped can only be told of one that is
            // known to answer.
            self.outputs.push_back(Output::Probe { peer: id });
        }
    }

    /// A peer showed life.
    pub(super) fn alive(&mut self, now: Time, id: PeerId, sign: Sign) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.seen = now;
        peer.probed = None;
        peer.answered_probe |= sign == Sign::Pong;
        if let Claim::ChallengedBy(other) = peer.identity_claim {
            peer.identity_claim = Claim::Settled;
            self.close(now, other, CloseReason::IdentityInUse);
        }
    }

    pub(super) fn gone(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        match peer.side {
            SideState::Client(_) => self.client_gone(now, id),
            SideState::Worker(_) => self.lose(now, id, LossReason::Gone),
        }
        let Some(peer) = self.peers.remove(id) else { return };
        if let Some(timer) = peer.stall {
            self.timers.cancel(timer);
        }
        match peer.identity_claim {
            Claim::Settled => {}
            Claim::ChallengedBy(heir) => self.inherit(now, heir),
            Claim::WaitsFor(owner, timer) => {
                if let Some(timer) = timer {
                    self.timers.cancel(timer);
                }
                if let Some(owner) = self.peers.get_mut(owner) {
                    owner.identity_claim = Claim::Settled;
                }
            }
        }
    }

    pub(super) fn close(&mut self, now: Time, id: PeerId, reason: CloseReason) {
        if let Some(peer) = self.peers.get(id) {
            if peer.greets() && reason == CloseReason::IdentityInUse {
                let why = Farewell::IdentityInUse;
                match peer.side {
                    SideState::Client(_) => self.tell_client(id, ToClient::Disconnect(why)),
                    SideState::Worker(_) => self.tell_worker(id, ToWorker::Disconnect(why)),
                }
            }
            self.counters.close(reason);
            self.gone(now, id);
            self.outputs.push_back(Output::Close { peer: id, reason });
        }
    }

    /// A second connection came with an identity that is owned: the owner is asked for life, and
    /// until then the second waits.
    fn challenge(&mut self, now: Time, owner_id: PeerId, id: PeerId) {
        let Some(owner) = self.peers.get_mut(owner_id) else { return };
        if owner.identity_claim != Claim::Settled {
            return self.close(now, id, CloseReason::IdentityInUse);
        }
        owner.identity_claim = Claim::ChallengedBy(id);
        self.restart_challenge(now, owner_id, id);
        self.pause(id);
    }

    /// Asks the owner of an identity for life, and gives it its time, or its time again.
    pub(super) fn restart_challenge(&mut self, now: Time, owner_id: PeerId, id: PeerId) {
        if self.peers.get(owner_id).is_some_and(|owner| owner.answers_probes) {
            self.outputs.push_back(Output::Probe { peer: owner_id });
        }
        let until = now.after(self.config.identity_timeout);
        let timer = self.timers.arm(until, Timer::Identity(id));
        let Some(peer) = self.peers.get_mut(id) else { return self.timers.cancel(timer) };
        let before =
            core::mem::replace(&mut peer.identity_claim, Claim::WaitsFor(owner_id, Some(timer)));
        if let Claim::WaitsFor(_, Some(timer)) = before {
            self.timers.cancel(timer);
        }
    }

    /// The owner of an identity showed no life in time.
    pub(super) fn identity_due(&mut self, now: Time, id: PeerId, due: Time) {
        let were_stopped = self.were_stopped(now, due);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Claim::WaitsFor(owner, timer) = &mut peer.identity_claim else { return };
        *timer = None;
        let owner = *owner;
        if were_stopped {
            return self.restart_challenge(now, owner, id);
        }
        // One that we do not read from could not show any.
        if self.peers.get(owner).is_some_and(|owner| owner.pauses > 0) {
            self.close(now, id, CloseReason::IdentityInUse);
        } else {
            self.close(now, owner, CloseReason::IdentityTaken);
        }
    }

    /// Gives a peer the identity that it waited for: its owner is gone.
    fn inherit(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let claim = core::mem::replace(&mut peer.identity_claim, Claim::Settled);
        if let Claim::WaitsFor(_, Some(timer)) = claim {
            self.timers.cancel(timer);
        }
        let probe = peer.answers_probes && matches!(peer.side, SideState::Worker(_));
        let identity = peer.identity.clone();
        self.peers.own(identity, id);
        self.unpause(now, id);
        if probe {
            self.outputs.push_back(Output::Probe { peer: id });
        }
    }

    /// How long a worker may be silent while it has nothing to do: by its own pace, where it says
    /// that.
    fn silence_max(&self, id: PeerId) -> Duration {
        match self.peers.get(id).and_then(|peer| peer.pace) {
            Some(pace) => pace.saturating_mul(self.config.liveness),
            None => self.config.silence_max(),
        }
    }

    /// Arms the timer by which a worker is told that we live, and is lost if it does not.
    pub(super) fn arm_life(&mut self, id: PeerId) {
        let (interval, silence_max) = (self.config.heartbeat_interval, self.silence_max(id));
        let Some(peer) = self.peers.get_mut(id) else { return };
        let (seen, stopped_at) = (peer.seen, stopped_at(peer, &self.config));
        let SideState::Worker(worker) = &mut peer.side else { return };
        let mut due = worker.heartbeat_sent.after(interval);
        if worker.running.is_empty() {
            due = due.min(seen.max(worker.idle_since).after(silence_max));
        } else if let Some(at) = stopped_at {
            due = due.min(at);
        }
        worker.life = Some(self.timers.arm(due, Timer::Life(id)));
    }

    /// Whether a timer fires so late that it was we who did not run: the program was stopped, or the
    /// machine. What peers did meanwhile is still to be read.
    fn were_stopped(&self, now: Time, due: Time) -> bool {
        now.since(due) > self.config.heartbeat_interval
    }

    pub(super) fn life_due(&mut self, now: Time, id: PeerId, due: Time) {
        let (interval, silence_max) = (self.config.heartbeat_interval, self.silence_max(id));
        let were_stopped = self.were_stopped(now, due);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let SideState::Worker(worker) = &mut peer.side else { return };
        worker.life = None;
        // Nobody is silent while we do not listen: because we paused it, or because we were
        // stopped ourselves and learn of the time before we learn of what came meanwhile.
        if peer.pauses > 0 || were_stopped {
            peer.seen = now;
            peer.probed = None;
        }
        let idle = worker.running.is_empty();
        let silent_since = if idle { peer.seen.max(worker.idle_since) } else { peer.seen };
        let silent = now.since(silent_since);
        if idle && silent >= silence_max {
            return self.dismiss(now, id, LossReason::Silent);
        }
        let stopped = stopped_at(peer, &self.config).is_some_and(|at| at <= now);
        if !idle && stopped {
            return self.dismiss(now, id, LossReason::Stopped);
        }
        let SideState::Worker(worker) = &mut peer.side else { return };
        if now.since(worker.heartbeat_sent) >= interval {
            worker.heartbeat_sent = now;
            if !peer.filled {
                let command = ToWorker::Heartbeat;
                self.outputs.push_back(Output::ToWorker { peer: id, command });
            }
            // An idle worker has to speak for itself; a busy one may be unable to.
            if !idle && peer.answers_probes && silent >= interval {
                peer.probed.get_or_insert(now);
                self.outputs.push_back(Output::Probe { peer: id });
            }
        }
        self.arm_life(id);
    }

    /// One message is more than may wait for a peer: it has its time to read it.
    pub(super) fn laden(&mut self, now: Time, id: PeerId) {
        let until = now.after(self.config.stall_timeout);
        if let Some(peer) = self.peers.get_mut(id)
            && peer.stall.is_none()
        {
            peer.stall = Some(self.timers.arm(until, Timer::Stall(id)));
        }
    }

    /// What waits for a peer to read it is as much as may wait. It is not read from until it has
    /// read, so that it cannot ask for more answers.
    pub(super) fn filled(&mut self, now: Time, id: PeerId) {
        self.laden(now, id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        if core::mem::replace(&mut peer.filled, true) {
            return;
        }
        self.pause(id);
        let Some(peer) = self.peers.get(id) else { return };
        match &peer.side {
            SideState::Worker(_) => {}
            SideState::Client(client) => {
                let mut at = client.requests.first();
                while let Some(index) = at {
                    if let Some((worker, _)) = self.worker_of(index) {
                        self.pause_feeder(now, id, worker);
                        if self.peers.get(id).is_none() {
                            return;
                        }
                    }
                    at = List::after(&mut OfClient(&mut self.requests), index);
                }
            }
        }
    }

    /// A full or laden peer reads: it has its time again.
    pub(super) fn draining(&mut self, now: Time, id: PeerId) {
        let until = now.after(self.config.stall_timeout);
        if let Some(peer) = self.peers.get_mut(id)
            && let Some(timer) = &mut peer.stall
        {
            self.timers.cancel(*timer);
            *timer = self.timers.arm(until, Timer::Stall(id));
        }
    }

    pub(super) fn drained(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if let Some(timer) = peer.stall.take() {
            self.timers.cancel(timer);
        }
        if !core::mem::replace(&mut peer.filled, false) {
            return;
        }
        self.unpause(now, id);
        self.release_feeders(now, id);
        self.unpark(now, id);
    }

    pub(super) fn stalled(&mut self, now: Time, id: PeerId, due: Time) {
        let were_stopped = self.were_stopped(now, due);
        let until = now.after(self.config.stall_timeout);
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.stall = were_stopped.then(|| self.timers.arm(until, Timer::Stall(id)));
        if were_stopped {
            return;
        }
        self.close(now, id, CloseReason::SlowReader);
    }
}

/// When a busy worker that has answered probes before, and was asked again, counts as stopped. It
/// has an interval to answer, however long it has been silent.
fn stopped_at(peer: &Peer, config: &Config) -> Option<Time> {
    let probed = peer.probed.filter(|_| peer.answered_probe)?;
    Some(peer.seen.after(config.silence_max()).max(probed.after(config.heartbeat_interval)))
}
