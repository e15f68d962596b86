//! Rejected requests: each goes to every worker of its service once at the most, waits a while for
//! one that has not had it, and then ends with what the last one said.
//!
//! They wait apart from the others, in the order in which they were rejected, so that what no free
//! worker may have again does not stand in the way. A worker that gets free looks only at those that
//! came there since it looked last: the others it has rejected itself.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Broker;
use super::config::FRAME_BYTES;
use super::offers::Offers;
use super::requests::State;
use crate::{Frames, Outcome, PeerId, Time, Timeout, WorkerReply};

/// What is known of a request that was rejected.
#[derive(Debug)]
pub(super) struct Rejection {
    /// The workers that did.
    by: Vec<PeerId>,
    /// What the last of them said.
    pub(super) error: Frames,
    pub(super) options: Bytes,
    /// Since when all workers that are there have, as far as that was looked at.
    by_all_since: Option<Time>,
    /// When that is looked at again.
    pub(super) look_at: Time,
    /// Its place among those that wait.
    place: u64,
}

impl Rejection {
    const NONE: Rejection = Rejection {
        by: Vec::new(),
        error: Frames::EMPTY,
        options: Bytes::new(),
        by_all_since: None,
        look_at: Time::NEVER,
        place: 0,
    };

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.error.bytes() + FRAME_BYTES * self.error.len() + self.options.len()
    }

    /// A worker that has not had it gets it: should it come back, its wait begins anew.
    pub(super) fn hopes(&mut self) {
        self.by_all_since = None;
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.by.len()).unwrap_or(u32::MAX)
    }
}

impl Broker {
    /// A worker rejects a request that it has: another gets it, or it waits for one.
    pub(super) fn rejected(&mut self, now: Time, index: u32, worker: PeerId, reply: &WorkerReply) {
        self.counters.rejections += 1;
        let limits = &self.config.limits;
        let bytes = reply.body.bytes() + FRAME_BYTES * reply.body.len() + reply.options.len();
        let fits = bytes <= limits.reply_bytes_max
            && self.requests.bytes() + bytes <= limits.request_bytes_max;
        let rejections_max = limits.rejections_max;
        let record = &mut self.requests[index];
        let rejection = record.rejection.get_or_insert_with(|| Box::new(Rejection::NONE));
        let before = rejection.bytes();
        rejection.by.push(worker);
        rejection.error = if fits { reply.body.detached() } else { Frames::EMPTY };
        rejection.options = Bytes::copy_from_slice(if fits { &reply.options } else { &[] });
        let held = rejection.bytes();
        // Who has had a part of the answer of one worker must not get those of another.
        // And who wants no other worker gets none.
        let over =
            record.part_sent || record.target.is_some() || rejection.count() >= rejections_max;
        let charged = record.charged - before + held;
        self.recharge(index, charged);
        self.leave_worker(now, index);
        if over {
            self.end_loose(index, Outcome::Rejected);
        } else {
            self.drop_collected(index);
            self.wait_again(now, index);
        }
        // Only now, so that what it has just rejected went to others first.
        self.feed(now, worker);
    }

    /// Gives a rejected request that is in no list to a free worker that has not had it, or has it
    /// wait for one.
    pub(super) fn seek_another(&mut self, now: Time, index: u32) {
        let record = &mut self.requests[index];
        record.state = State::Loose;
        let service = record.service;
        if record.deadline <= now {
            return self.expire_waiting(now, index);
        }
        if let Some(worker) = self.free_for(index) {
            if !self.park(index) {
                self.start_kept(now, index, worker);
            }
            return;
        }
        // That they all have may be so for a while: others have begun or ceased to serve it.
        let by_all = self.all_rejected(index);
        let before = self.requests[index].rejection.as_ref().and_then(|it| it.by_all_since);
        let since = by_all.then_some(before.unwrap_or(now));
        let look_at = since.unwrap_or(now).after(self.config.reject_wait);
        if look_at <= now {
            return self.end_and_tell_worker(index, Outcome::Rejected);
        }
        let place = self.services.push_rejected(service, index);
        let record = &mut self.requests[index];
        record.state = State::Rejected;
        if let Some(rejection) = &mut record.rejection {
            rejection.place = place;
            rejection.look_at = look_at;
            rejection.by_all_since = since;
        }
        self.set_request_timer(index);
    }

    /// The free worker that may have a rejected request next.
    fn free_for(&mut self, index: u32) -> Option<PeerId> {
        let record = &self.requests[index];
        let by = record.rejection.as_ref().map(|rejection| &rejection.by[..]).unwrap_or_default();
        let fits = |offers: &Offers, at: u32| !by.contains(&offers[at].worker);
        let (services, chance) = (&self.services, self.chance);
        let found = services.find_free_worker(&mut self.offers, record.service, chance, fits)?;
        Some(self.offers[found].worker)
    }

    fn has_rejected(&self, index: u32, worker: PeerId) -> bool {
        let rejection = self.requests[index].rejection.as_ref();
        rejection.is_some_and(|rejection| rejection.by.contains(&worker))
    }

    /// Whether every worker of its service that is there has rejected it.
    fn all_rejected(&self, index: u32) -> bool {
        let record = &self.requests[index];
        let service = record.service;
        let Some(rejection) = &record.rejection else { return false };
        let serving = self.services.serving(service);
        let of_worker = |id: &PeerId| {
            let offers = self.peers.worker_ref(*id).map_or(&[][..], |worker| &worker.offers);
            let offered = offers.iter().map(|at| self.offers[*at].service);
            offered.filter(|offered| serving.binary_search(offered).is_ok()).count()
        };
        rejection.by.iter().map(of_worker).sum::<usize>() == self.services.workers_for(service)
    }

    /// Gives a worker that got free the rejected requests that it has not had, as far as it takes
    /// them.
    pub(super) fn give_rejected(&mut self, now: Time, id: PeerId) {
        while let Some((place, index)) = self.next_rejected(id) {
            self.look_past(id, place);
            if self.has_rejected(index, id) {
                continue;
            }
            if self.requests[index].deadline <= now {
                self.expire_waiting(now, index);
                continue;
            }
            self.leave_rejected(index);
            if !self.park(index) {
                self.start_kept(now, index, id);
            }
        }
    }

    /// The first rejected request that a free worker has not looked at, by its place.
    fn next_rejected(&self, id: PeerId) -> Option<(u64, u32)> {
        let worker = self.peers.worker_ref(id).filter(|worker| worker.listed)?;
        let next = |at: &u32| {
            let offer = &self.offers[*at];
            self.services[offer.service].rejected_after(offer.looked_at)
        };
        worker.offers.iter().filter_map(next).min()
    }

    /// A worker has looked at all that was rejected up to this place.
    fn look_past(&mut self, id: PeerId, place: u64) {
        let Some(worker) = self.peers.worker_ref(id) else { return };
        for at in &worker.offers {
            let looked_at = &mut self.offers[*at].looked_at;
            *looked_at = place.max(*looked_at);
        }
    }

    /// Takes a request from among those that wait after they were rejected.
    pub(super) fn leave_rejected(&mut self, index: u32) {
        let record = &self.requests[index];
        if let Some(rejection) = &record.rejection {
            self.services.take_rejected(record.service, rejection.place);
        }
    }

    /// The time has come to see whether a rejected request can still hope.
    pub(super) fn look_at_rejected(&mut self, now: Time, index: u32) {
        let (all, wait) = (self.all_rejected(index), self.config.reject_wait);
        let Some(rejection) = &mut self.requests[index].rejection else { return };
        match (all, rejection.by_all_since) {
            (true, Some(since)) if since.after(wait) <= now => {
                return self.end_and_tell_worker(index, Outcome::Rejected);
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
        self.set_request_timer(index);
    }

    /// How a rejected request ends at its deadline.
    pub(super) fn end_of_hope(&self, index: u32) -> Outcome {
        let own = matches!(self.requests[index].timeout, Timeout::After(span) if !span.is_zero());
        if !own && self.all_rejected(index) { Outcome::Rejected } else { Outcome::Expired }
    }
}

#[cfg(any(test, feature = "audit"))]
impl Rejection {
    pub(super) fn place_of(&self) -> u64 {
        self.place
    }

    pub(super) fn by_of(&self) -> &[PeerId] {
        &self.by
    }
}
