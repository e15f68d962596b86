//! Redelivery: requests that go to another worker because theirs was lost or rejected them.
//!
//! A rejected request goes to each worker of its service at most once. It then waits for a limited
//! time for a worker that has not rejected it, and finally ends with the last worker's error.
//! Rejected requests wait in a list of their own, in the order of their rejections, so that a
//! request which no idle worker may take does not block others. A worker that becomes idle examines
//! only requests added since it last looked: it has rejected all earlier ones itself.

use alloc::boxed::Box;

use super::config::FRAME_BYTES;
use super::tables::{End, Place, Record, Rejection};
use super::{Broker, Turn};
use crate::{Outcome, PeerId, WorkerReplyView};

impl Broker {
    /// Requeues a request whose worker was lost, or ends it. Returns true if it was requeued.
    pub(super) fn after_loss(&mut self, turn: &mut Turn<'_>, request: u32) -> bool {
        let record = &self.tables.requests[request];
        if !record.place().in_progress() {
            self.tables.relocate(request, Place::Detached);
            self.forget(request);
            return false;
        }
        let rejections = record.rest.rejection.as_ref().map_or(0, |rejection| rejection.count());
        let again = record.redeliver
            && !record.part_sent
            && record.attempts - rejections < self.config.attempts_max
            && record.deadline > turn.now
            && !self.shut_down;
        if !again {
            self.detach_coalesced(request, true);
            self.detach(request);
            self.end_quietly(turn, request, Outcome::WorkerLost);
            return false;
        }
        self.tables.relocate(request, Place::Detached);
        self.drop_collected(request);
        self.counters.redelivered += 1;
        self.wait_again(turn, request);
        true
    }

    /// Handles a worker's rejection of a request: dispatches it to another worker, or lets it wait
    /// for one.
    pub(super) fn reject(
        &mut self,
        turn: &mut Turn<'_>,
        request: u32,
        worker: PeerId,
        reply: &WorkerReplyView<'_>,
    ) {
        self.counters.rejections += 1;
        let limits = &self.config.limits;
        let bytes = reply.body.bytes() + FRAME_BYTES * reply.body.len() + reply.options.len();
        let fits = bytes <= limits.reply_bytes_max
            && self.tables.requests.bytes() + bytes <= limits.request_bytes_max;
        let rejections_max = limits.rejections_max;
        let record = self.tables.requests.get_mut(request);
        let rejection = record.rest.rejection.get_or_insert_with(|| Box::new(Rejection::NONE));
        let before = rejection.bytes();
        rejection.record(worker, reply, fits);
        let held = rejection.bytes();
        // A client that has received a part of one worker's reply must not receive parts of
        // another's. A request with a target worker must not go to another worker.
        let over =
            record.part_sent || record.rest.target.is_some() || rejection.count() >= rejections_max;
        let charged = record.charged() - before + held;
        self.tables.recharge(request, charged);
        if over {
            self.detach_coalesced(request, true);
        }
        self.tables.free_slot(turn.now, request);
        if over {
            self.end_quietly(turn, request, Outcome::Rejected);
        } else {
            self.drop_collected(request);
            self.wait_again(turn, request);
        }
        // Feed the worker last, so that the rejected request goes to other workers first.
        self.feed_soon(worker);
    }

    /// Lets a request that was at a worker, and is in no list, wait for another worker.
    fn wait_again(&mut self, turn: &mut Turn<'_>, request: u32) {
        self.restart_wait(turn.now, request);
        self.coalesced_wait(turn.now, request);
        self.requeue(turn, request);
    }

    /// Drops the collected parts of a lost worker's reply, because another worker starts again.
    fn drop_collected(&mut self, request: u32) {
        let record = self.tables.requests.get_mut(request);
        let collected = record.rest.collected.take();
        let charged = record.charged() - collected.map_or(0, |collected| collected.bytes);
        self.tables.recharge(request, charged);
        let Record { service, client, .. } = self.tables.requests[request];
        self.admit_soon(Some(service), Some(client));
    }

    /// Requeues a detached or suspended request in front of all others. The caller must schedule a
    /// dispatch of its service.
    pub(super) fn requeue(&mut self, turn: &mut Turn<'_>, request: u32) {
        let record = &self.tables.requests[request];
        if let Some(worker) = record.rest.target {
            if !self.tables.serves(worker, record.service) {
                // The target worker left meanwhile, or no longer serves this service.
                self.detach(request);
                return self.end_quietly(turn, request, Outcome::NoSuchWorker);
            }
            self.tables.relocate_to(request, Place::Targeted(worker), End::Front);
        } else if record.rest.rejection.is_some() {
            self.detach(request);
            return self.seek_another(turn, request);
        } else {
            self.tables.relocate_to(request, Place::Queued, End::Front);
        }
        self.set_request_timer(turn.now, request);
    }

    /// Dispatches a rejected, detached request to an idle worker that has not rejected it, or lets
    /// it wait for one.
    pub(super) fn seek_another(&mut self, turn: &mut Turn<'_>, request: u32) {
        let now = turn.now;
        if self.tables.requests[request].deadline <= now {
            return self.expire(turn, request);
        }
        if let Some(worker) = self.tables.idle_worker_for_rejected(request, self.draw) {
            if !self.suspend(turn, request) {
                self.start_waiting(turn, request, worker);
            }
            return;
        }
        // All workers may have rejected the request some time ago already: this also runs when
        // workers register or leave.
        let by_all = self.tables.all_rejected(request);
        let rejection = self.tables.requests[request].rest.rejection.as_ref();
        let before = rejection.and_then(|rejection| rejection.by_all_since);
        let since = by_all.then_some(before.unwrap_or(now));
        let look_at = since.unwrap_or(now).after(self.config.reject_wait);
        if look_at <= now {
            return self.end_quietly(turn, request, Outcome::Rejected);
        }
        self.tables.relocate(request, Place::Rejected);
        if let Some(rejection) = &mut self.tables.requests.get_mut(request).rest.rejection {
            rejection.look_at = look_at;
            rejection.by_all_since = since;
        }
        self.set_request_timer(now, request);
    }

    /// Checks whether any worker may still take a rejected request.
    pub(super) fn look_at_rejected(&mut self, turn: &mut Turn<'_>, request: u32) {
        let (all, wait, now) =
            (self.tables.all_rejected(request), self.config.reject_wait, turn.now);
        let Some(rejection) = &mut self.tables.requests.get_mut(request).rest.rejection else {
            return;
        };
        match (all, rejection.by_all_since) {
            (true, Some(since)) if since.after(wait) <= now => {
                return self.end_quietly(turn, request, Outcome::Rejected);
            }
            (true, Some(since)) => rejection.look_at = since.after(wait),
            (true, None) => {
                rejection.by_all_since = Some(now);
                rejection.look_at = now.after(wait);
            }
            (false, _) => {
                rejection.by_all_since = None;
                rejection.look_at = now.after(wait);
            }
        }
        self.set_request_timer(now, request);
    }
}
