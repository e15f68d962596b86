//! Liveness: heartbeats, silent workers, and the busy limit.

use core::time::Duration;

use super::tables::{Claim, Peer, Place, SideState, Standing};
use super::{Action, Broker, CloseReason, Config, LossReason, Sign, Timer, Turn};
use crate::{Concurrency, Outcome, PeerId, Time, ToWorkerView};

impl Broker {
    /// Records a peer's liveness. Returns the state that its commands are checked against, or
    /// `None` for an unknown peer.
    #[inline(always)]
    pub(super) fn show_life(
        &mut self,
        turn: &mut Turn<'_>,
        id: PeerId,
        sign: Sign,
    ) -> Option<Standing> {
        let peer = self.tables.peers.get_mut(id)?;
        peer.seen = turn.now;
        peer.probed = None;
        peer.answered_probe |= sign == Sign::Pong;
        let standing = peer.standing();
        if let Claim::ChallengedBy(claimant) = peer.identity_claim {
            peer.identity_claim = Claim::Settled;
            self.close(turn, claimant, CloseReason::IdentityInUse);
        }
        Some(standing)
    }

    /// Returns the time for which an idle worker may be silent. The interval that the worker
    /// declared takes precedence over the broker's.
    fn silence_max(&self, id: PeerId) -> Duration {
        match self.tables.peers.get(id).and_then(|peer| peer.declared_interval) {
            Some(interval) => interval.saturating_mul(self.config.liveness),
            None => self.config.silence_max(),
        }
    }

    /// Arms a worker's timer for the next heartbeat or for its silence limit.
    pub(super) fn arm_liveness(&mut self, id: PeerId) {
        let (interval, silence_max) = (self.config.heartbeat_interval, self.silence_max(id));
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        let (seen, stopped_at) = (peer.seen, stopped_at(peer, &self.config));
        let SideState::Worker(worker) = &mut peer.side else { return };
        let mut due = worker.heartbeat_sent.after(interval);
        if worker.in_flight_len() == 0 {
            due = due.min(seen.max(worker.idle_since()).after(silence_max));
        } else if let Some(at) = stopped_at {
            due = due.min(at);
        }
        worker.liveness_timer = Some(self.timers.arm(due, Timer::Liveness(id)));
    }

    /// Returns true if a timer fires so late that the broker itself did not run, because the
    /// process or the machine was stopped. Messages that peers sent meanwhile are still unread.
    pub(super) fn was_stopped(&self, now: Time, due: Time) -> bool {
        now.since(due) > self.config.heartbeat_interval
    }

    /// Handles a worker that is due a heartbeat or has been silent for too long.
    pub(super) fn liveness_due(&mut self, turn: &mut Turn<'_>, id: PeerId, due: Time) {
        let now = turn.now;
        let (interval, silence_max) = (self.config.heartbeat_interval, self.silence_max(id));
        let was_stopped = self.was_stopped(now, due);
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        let SideState::Worker(worker) = &mut peer.side else { return };
        worker.liveness_timer = None;
        // A peer does not count as silent while the broker does not read from it: because the peer
        // is paused, or because the broker was stopped and handles the tick before messages that
        // arrived meanwhile.
        if peer.pauses > 0 || was_stopped {
            peer.seen = now;
            peer.probed = None;
        }
        let idle = worker.in_flight_len() == 0;
        let silent_since = if idle { peer.seen.max(worker.idle_since()) } else { peer.seen };
        let silent = now.since(silent_since);
        if idle && silent >= silence_max {
            return self.dismiss(turn, id, LossReason::Silent);
        }
        let stopped = stopped_at(peer, &self.config).is_some_and(|at| at <= now);
        if !idle && stopped {
            return self.dismiss(turn, id, LossReason::Stopped);
        }
        let SideState::Worker(worker) = &mut peer.side else { return };
        if now.since(worker.heartbeat_sent) >= interval {
            worker.heartbeat_sent = now;
            if !peer.above_high_water {
                turn.out.to_worker(id, &ToWorkerView::Heartbeat);
            }
            // An idle worker must send heartbeats itself; a busy worker may be unable to.
            if !idle && peer.answers_probes && silent >= interval {
                peer.probed.get_or_insert(now);
                turn.out.act(id, Action::Probe);
            }
        }
        self.arm_liveness(id);
    }

    /// Handles a request's timer: something is due, or its due time has moved since the timer was
    /// armed.
    pub(super) fn request_due(&mut self, turn: &mut Turn<'_>, request: u32) {
        self.tables.requests.get_mut(request).timer = None;
        let record = &self.tables.requests[request];
        let Some(worker) = record.place().worker() else {
            return self.waiting_due(turn, request);
        };
        if record.place().in_progress() && record.deadline <= turn.now {
            self.end(turn, request, Outcome::Expired);
        }
        if self.tables.requests[request].busy_until <= turn.now {
            return self.overdue(turn, worker, request);
        }
        self.set_request_timer(turn.now, request);
    }

    fn waiting_due(&mut self, turn: &mut Turn<'_>, request: u32) {
        let record = &self.tables.requests[request];
        // A rejected request ends as rejected, even if its service has no workers now.
        let unserved = !matches!(record.place(), Place::Targeted(_))
            && record.rest.rejection.is_none()
            && self.config.no_worker_wait.is_some_and(|wait| {
                record.waiting_since.after(wait) <= turn.now
                    && !self.tables.services[record.service].served_after(record.waiting_since)
            });
        if record.deadline <= turn.now || unserved {
            self.expire(turn, request);
        } else if record.place() == Place::Rejected {
            self.look_at_rejected(turn, request);
        } else {
            self.set_request_timer(turn.now, request);
        }
    }

    /// Handles a request that was in flight for longer than the busy limit. A worker with a
    /// concurrency of one, or a silent worker, is lost. Any other worker loses only the slot, and a
    /// worker that can be told to cancel keeps even that until it answers.
    fn overdue(&mut self, turn: &mut Turn<'_>, id: PeerId, request: u32) {
        let Some(peer) = self.tables.peers.get(id) else { return };
        let is_silent = turn.now.since(peer.seen) >= self.config.silence_max();
        let Some(worker) = peer.as_worker() else { return };
        if is_silent || worker.concurrency == Concurrency::ONE {
            return self.dismiss(turn, id, LossReason::Overdue);
        }
        let told = worker.can.cancel;
        if told {
            // The worker itself reports when the slot is free.
            self.tables.requests.get_mut(request).busy_until = Time::NEVER;
        }
        // The request's own deadline has not passed, or it has none, so its client still waits.
        if self.tables.requests[request].place().in_progress() {
            self.end(turn, request, Outcome::WorkerLost);
        }
        if !told {
            self.free_slot(turn, request);
        }
    }
}

/// Returns the time at which a busy worker counts as stopped, if it has answered probes before and
/// was probed again. The worker has one interval to answer, however long it has been silent.
fn stopped_at(peer: &Peer, config: &Config) -> Option<Time> {
    let probed = peer.probed.filter(|_| peer.answered_probe)?;
    Some(peer.seen.after(config.silence_max()).max(probed.after(config.heartbeat_interval)))
}
