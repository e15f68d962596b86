//! Checks of pausing and resuming, closed connections, and lost workers.

use majordomus_core::broker::{CloseReason, LossReason};
use majordomus_core::{Concurrency, DisconnectReason, Outcome, PeerId, Time};

use super::model::{Hand, Peer, Side};
use super::request::Place;
use super::{Cause, Checker, Rule, TIMER_SLACK};

impl Checker {
    pub(super) fn reading(&mut self, id: PeerId, reads: bool) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        if peer.paused != reads {
            return self.accuse(Rule::Reading, format!("{id} is told twice: {reads}"));
        }
        peer.paused = !reads;
        if !reads && let Side::Worker(worker) = &mut peer.side {
            (worker.free_since, worker.may_be_free_since) = (None, None);
        }
        if let Cause::Filled(client) = self.step.cause
            && self.step.may_feed.contains(&id)
            && !reads
        {
            self.pauses_for(id, client);
        }
        let Some(peer) = self.model.peer_mut(id) else { return };
        if reads {
            // The broker could not receive anything from the peer while it was paused.
            (peer.seen, peer.seen_late) = (now, now);
            // A connection that disputes the identity waits until this peer has had the full identity
            // timeout to send a message.
            let identity = peer.identity.clone();
            let until = now.after(self.config.identity_timeout);
            for heir in self.model.peers.iter_mut().flatten() {
                if heir.id != id && heir.identity == identity && heir.dispute.is_some() {
                    heir.dispute = Some(until);
                }
            }
        }
    }

    pub(super) fn closes(&mut self, id: PeerId, reason: CloseReason) {
        let Some(peer) = self.model.peer(id) else { return };
        let twins = || {
            let twin = |other: &&Peer| {
                other.id != id && other.identity == peer.identity && !peer.identity.is_empty()
            };
            self.model.all_peers().filter(twin)
        };
        let fine = match reason {
            CloseReason::IdentityInUse if self.step.cause == Cause::Appeared(id) => {
                twins().any(|other| other.dispute.is_some())
            }
            CloseReason::IdentityInUse => peer.dispute.is_some_and(|until| {
                let lives = |owner: &Peer| owner.spoke == self.steps;
                let unheard = |owner: &Peer| owner.paused && self.is_over(until);
                let mut owners = twins().filter(|other| other.dispute.is_none());
                owners.any(|owner| lives(owner) || unheard(owner))
            }),
            CloseReason::IdentityTaken => {
                let waits = |other: &Peer| {
                    other.dispute.is_some_and(|until| self.is_over(until))
                        && peer.spoke < other.appeared
                };
                !peer.paused && twins().any(waits)
            }
            CloseReason::SlowReader => {
                let late = peer.filled.is_some_and(|until| self.is_over(until));
                late || (self.step.cause == Cause::Filled(id) && self.step.holds_up)
            }
            CloseReason::NoMemory => {
                matches!(self.step.cause, Cause::Request(asks, _) if asks == id)
            }
        };
        let told = reason != CloseReason::IdentityInUse || !peer.greets();
        if !fine {
            self.accuse(Rule::Closing, format!("{id} is closed: {reason}"));
        }
        if !told && !self.has_parted(id, DisconnectReason::IdentityInUse) {
            self.accuse(Rule::DisconnectReason, format!("{id} is closed and not told: {reason}"));
        }
        self.step.closed.push(id);
    }

    /// Returns true if a peer's time is over. After the broker was stopped, and could not receive
    /// from the peer, the full time starts again.
    fn is_over(&self, until: Time) -> bool {
        let interval = self.config.heartbeat_interval;
        until <= self.now && self.now.since(until) <= interval + TIMER_SLACK
    }

    pub(super) fn lost(&mut self, id: PeerId, reason: LossReason) {
        if let Err(why) = self.loss_is_fair(id, reason) {
            return self.accuse(Rule::LostWithoutCause, format!("{id}, for {reason}: {why}"));
        }
        if self.step.must_lose == Some(id) {
            self.step.must_lose = None;
        }
        self.hears_of_loss(id, reason);
        let now = self.now;
        let Some(worker) = self.model.worker_mut(id) else { return };
        worker.registered = false;
        worker.withdrawn.clear();
        (worker.free_since, worker.may_be_free_since) = (None, None);
        let hands = core::mem::take(&mut worker.hands);
        let offers = core::mem::take(&mut worker.offers);
        self.step.directory_changed |= !offers.is_empty();
        for (service, _) in offers {
            self.model.services[service].workers -= 1;
        }
        self.model.look_who_serves_all(now);
        for uid in self.model.live.clone() {
            let request = &self.model.requests[&uid];
            if request.target != Some(id) || request.place != Place::Waiting {
                continue;
            }
            match self.model.is_reading(request.client) {
                true => self.step.must_end.push((uid, Outcome::NoSuchWorker)),
                false => {
                    if let Some(request) = self.model.requests.get_mut(&uid) {
                        request.forsaken = true;
                    }
                }
            }
        }
        for Hand { uid, .. } in hands {
            if self.model.requests[&uid].place == Place::At(id) {
                self.returned(uid);
            }
        }
    }

    fn loss_is_fair(&self, id: PeerId, reason: LossReason) -> Result<(), String> {
        let now = self.now;
        let (Some(peer), Some(worker)) = (self.model.peer(id), self.model.worker(id)) else {
            return Err("it is no worker".into());
        };
        if !worker.registered {
            return Err("it is not registered".into());
        }
        let interval = self.config.heartbeat_interval.max(worker.interval_max);
        if matches!(reason, LossReason::Silent | LossReason::Stopped) {
            if peer.paused {
                return Err("it is not read from".into());
            }
            if self.step.gap > interval * 2 + TIMER_SLACK {
                return Err("the broker itself was stopped".into());
            }
        }
        let silent = now.since(peer.seen);
        let in_hand = worker.busy(now) > 0;
        let fair = match reason {
            LossReason::Left => matches!(self.step.cause, Cause::Left(left) if left == id),
            LossReason::ShutDown => self.step.cause == Cause::Shutdown,
            // If its connection was closed, the close is reported later.
            LossReason::Gone => true,
            LossReason::Silent => {
                !in_hand && now.since(peer.seen.max(worker.idle_since)) >= self.silence_of(peer)
            }
            LossReason::Stopped => {
                let asked =
                    peer.probed.is_some_and(|at| now.since(at) >= self.config.heartbeat_interval);
                peer.answered && asked && silent >= self.silence_max()
            }
            LossReason::Overdue => {
                let one = worker.takes == Concurrency::ONE;
                let overdue = worker.hands.iter().any(|hand| hand.busy_until <= now);
                overdue && (one || silent >= self.silence_max())
            }
            LossReason::PeerViolation(violation) => {
                self.step.violation == Some(violation) && self.step.must_lose == Some(id)
            }
        };
        if fair { Ok(()) } else { Err(format!("silent for {silent:?}: {worker:?}")) }
    }
}
