//! Backpressure: peers that do not read their messages, and the workers that send to them.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Broker, CloseReason, Timer, Turn};
use crate::{PeerId, Time};

impl Broker {
    /// Gives a peer time to read an oversized message.
    pub(super) fn oversized_pending(&mut self, now: Time, id: PeerId) {
        let until = now.after(self.config.stall_timeout);
        if let Some(peer) = self.tables.peers.get_mut(id)
            && peer.stall_timer.is_none()
        {
            peer.stall_timer = Some(self.timers.arm(until, Timer::Stall(id)));
        }
    }

    /// Pauses a peer that reached its high-water mark until it has read, so that it cannot request
    /// more replies. Also pauses the workers that send to it.
    pub(super) fn above_high_water(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        self.oversized_pending(turn.now, id);
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        if core::mem::replace(&mut peer.above_high_water, true) {
            return;
        }
        self.pause(turn, id);
        let mut at = self.tables.peers.client(id).and_then(|client| client.first_request());
        while let Some(request) = at {
            if let Some((worker, _)) = self.tables.worker_of(request) {
                self.pause_worker_of(turn, id, worker);
                if self.tables.peers.get(id).is_none() {
                    return;
                }
            }
            at = self.tables.next_of_client(request);
        }
    }

    /// Pauses a worker that sends to a client which does not read. If that would delay other
    /// clients, closes the client instead.
    fn pause_worker_of(&mut self, turn: &mut Turn<'_>, client: PeerId, worker: PeerId) {
        let state = self.tables.peers.client(client);
        if state.is_none_or(|client| client.paused_workers.contains(&worker)) {
            return;
        }
        for request in self.tables.in_flight(worker) {
            let record = &self.tables.requests[request];
            let (in_progress, asker) = (record.place().in_progress(), record.client);
            if in_progress && (asker != client || self.tables.is_shared_beyond(request, client)) {
                return self.close(turn, client, CloseReason::SlowReader);
            }
        }
        let Some(state) = self.tables.peers.client_mut(client) else { return };
        state.paused_workers.push(worker);
        self.pause(turn, worker);
    }

    /// Restarts the stall timeout of a peer that reads slowly.
    pub(super) fn making_progress(&mut self, now: Time, id: PeerId) {
        let until = now.after(self.config.stall_timeout);
        if let Some(peer) = self.tables.peers.get_mut(id)
            && let Some(timer) = &mut peer.stall_timer
        {
            self.timers.cancel(*timer);
            *timer = self.timers.arm(until, Timer::Stall(id));
        }
    }

    /// Resumes a peer that has read most of its queued messages.
    pub(super) fn below_low_water(&mut self, turn: &mut Turn<'_>, id: PeerId) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        if let Some(timer) = peer.stall_timer.take() {
            self.timers.cancel(timer);
        }
        if !core::mem::replace(&mut peer.above_high_water, false) {
            return;
        }
        self.resume(turn, id);
        self.resume_workers_of(turn, id);
        self.resume_suspended(turn, id);
    }

    /// Requeues the suspended requests of a client that reads again.
    fn resume_suspended(&mut self, turn: &mut Turn<'_>, client: PeerId) {
        let (mut queued, mut targeted, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        for request in self.tables.suspended(client) {
            let rest = &self.tables.requests[request].rest;
            match (rest.target, &rest.rejection) {
                (None, None) => queued.push(request),
                (Some(worker), _) => targeted.push((request, worker)),
                (None, Some(_)) => rejected.push(request),
            }
        }
        self.tables.requeue_in_front(&queued);
        for request in &queued {
            self.set_request_timer(turn.now, *request);
        }
        // In reverse order, because each request goes to the front of its queue.
        for (request, _) in targeted.iter().rev() {
            self.requeue(turn, *request);
        }
        for request in rejected {
            self.requeue(turn, request);
        }
        for (_, worker) in targeted {
            if self.is_idle(worker) {
                self.give_targeted(turn, worker);
            }
        }
        // Matching services are dispatched first, so that each name gets its round-robin turn.
        let services: Vec<u32> =
            queued.iter().map(|request| self.tables.requests[*request].service).collect();
        let matching = services.iter().flat_map(|at| self.tables.services[*at].matching());
        let matching: BTreeSet<u32> = matching.copied().collect();
        for service in matching.into_iter().chain(services) {
            self.dispatch_soon(service);
        }
    }

    /// Closes a peer whose stall timeout has passed.
    pub(super) fn stalled(&mut self, turn: &mut Turn<'_>, id: PeerId, due: Time) {
        let was_stopped = self.was_stopped(turn.now, due);
        let until = turn.now.after(self.config.stall_timeout);
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        peer.stall_timer = was_stopped.then(|| self.timers.arm(until, Timer::Stall(id)));
        if !was_stopped {
            self.close(turn, id, CloseReason::SlowReader);
        }
    }
}
