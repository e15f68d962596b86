//! Checks of request attributes: priority, dispatch attributes, credit and progress notices.

use core::cmp::Ordering;

use majordomus_core::broker::PeerViolation;
use majordomus_core::{
    ByteStr, CREDIT_UNLIMITED, CorrelationId, Notice, PeerId, Time, WorkerRequest,
};

use super::request::{Place, Request, Uid};
use super::{Cause, Checker, Rule};

impl Checker {
    /// Returns true if another request that is queued for the same service should be dispatched
    /// first: it has a higher priority or arrived earlier.
    pub(super) fn is_out_of_order(&self, uid: Uid) -> bool {
        let request = &self.model.requests[&uid];
        // Rejected requests are queued separately. The order in which suspended requests return is
        // unspecified.
        if request.targeted || request.is_rejected() || self.step.cause == Cause::Drained {
            return false;
        }
        let in_line =
            |request: &Request| !request.aside && request.attempts == 0 && !request.sharing.leads;
        self.model.services[request.service].waiting > 1
            && self.model.live.iter().any(|other| {
                let rival = &self.model.requests[other];
                *other != uid
                    && rival.service == request.service
                    && rival.place == Place::Waiting
                    && !rival.targeted
                    && !rival.is_rejected()
                    && !rival.sharing.murky
                    && !rival.sharing.released
                    && self.model.is_reading(rival.client)
                    && match rival.priority.cmp(&request.priority) {
                        Ordering::Greater => true,
                        Ordering::Equal => {
                            rival.waiting_since < request.waiting_since
                                && in_line(rival)
                                && in_line(request)
                                && !request.sharing.released
                                && !request.sharing.murky
                        }
                        Ordering::Less => false,
                    }
            })
    }

    /// Checks the attributes of a dispatched request.
    pub(super) fn check_task(&mut self, uid: Uid, sent: &WorkerRequest, busy_until: Time) {
        let request = &self.model.requests[&uid];
        let ends = request.deadline.min(busy_until);
        let deadline = (ends < Time::NEVER).then(|| ends.since(self.now));
        let unsure = request.sharing.murky || request.deadline != request.early;
        let shared = request.sharing.leads || request.sharing.murky;
        let credit = sent.credit == request.credit && !request.sharing.leads
            || sent.credit == CREDIT_UNLIMITED && shared;
        let right = (unsure || sent.deadline == deadline)
            && sent.attempt == request.attempts
            && sent.priority == request.priority
            && credit;
        if sent.credit == CREDIT_UNLIMITED && !credit {
            // The request is marked as shared if others share its answer.
            return self.accuse(Rule::Shared, format!("{uid} shares nothing: {sent:?}"));
        }
        if !right {
            let text = format!("of {uid}, with {deadline:?}, a worker hears {sent:?}: {request:?}");
            self.accuse(Rule::Task, text);
        }
        let told = sent.credit;
        if let Some(request) = self.model.requests.get_mut(&uid) {
            request.unlimited = told == CREDIT_UNLIMITED;
        }
    }

    /// Handles a client's additional credit: a worker that counts parts must receive it.
    pub(super) fn gives_credit(&mut self, client: PeerId, id: &CorrelationId, credit: u32) {
        let Some(uid) = self.model.called(client, id) else { return };
        // The request was waiting for its client.
        self.restart_timeout(uid);
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.credit = request.credit.saturating_add(credit);
        let (place, unlimited) = (request.place, request.unlimited);
        if let Place::At(worker) = place
            && credit > 0
            && self.model.worker(worker).is_some_and(|worker| worker.can.credit)
        {
            if !unlimited {
                self.step.must_more = Some((worker, uid, credit));
            }
            if let Some(request) = self.model.requests.get_mut(&uid) {
                request.unlimited |= request.credit == CREDIT_UNLIMITED;
            }
        }
    }

    pub(super) fn hears_of_credit(&mut self, worker: PeerId, address: &ByteStr, credit: u32) {
        let bearer = self.bearer(address);
        let said = bearer.map(|(bearer, uid)| (bearer, uid, credit));
        let due = self.step.must_more.take();
        if due != said || bearer.is_none_or(|(bearer, _)| bearer != worker) {
            self.accuse(Rule::Credit, format!("{worker} hears of {credit} for {address}"));
        }
    }

    /// Handles a worker's progress message.
    pub(super) fn works(&mut self, worker: PeerId, registered: bool, address: &ByteStr) {
        let bearer = self.bearer(address).filter(|(bearer, _)| *bearer == worker);
        match bearer {
            None if registered => self.offends(worker, PeerViolation::ForgedReply),
            None => self.offends(worker, PeerViolation::NotReady),
            // The worker may not have read its disconnect yet.
            Some(_) if !registered => self.step.late = (1, 1),
            Some((_, uid)) if self.model.requests[&uid].place == Place::At(worker) => {
                self.expect_notices(uid, Notice::AtWork);
            }
            Some(_) => {}
        }
    }

    /// Expects notices to all clients that share a request's answer.
    pub(super) fn expect_notices(&mut self, uid: Uid, notice: Notice) {
        for sharer in self.sharers(uid) {
            // The request may have been detached in this step, and may have joined this one only
            // now.
            if sharer == uid || !self.model.requests[&sharer].sharing.released {
                self.expect_notice(sharer, notice);
            }
        }
    }

    pub(super) fn expect_notice(&mut self, uid: Uid, notice: Notice) {
        let request = &self.model.requests[&uid];
        if request.notices && !request.sharing.murky {
            self.step.must_notice.push((uid, notice));
        }
    }

    /// Expects the first notice of an accepted request, unless it is dispatched at once: it is queued,
    /// or coalesced with a request in flight.
    pub(super) fn expect_first_notice(&mut self, uid: Uid) {
        let runs = match self.model.requests[&uid].place {
            Place::Following(leader) => {
                matches!(self.model.requests[&leader].place, Place::At(_))
            }
            _ => false,
        };
        self.expect_notice(uid, if runs { Notice::Dispatched } else { Notice::Queued });
    }

    /// Cancels the expected queue notice of a request that was dispatched or failed at once.
    pub(super) fn never_queued(&mut self, uid: Uid) {
        self.step.must_notice.retain(|due| *due != (uid, Notice::Queued));
    }

    pub(super) fn noticed(&mut self, peer: PeerId, id: &CorrelationId, notice: Notice) {
        let is_of = |uid: &Uid| {
            let request = &self.model.requests[uid];
            request.client == peer && request.id == *id && request.notices
        };
        let due = self.step.must_notice.iter().position(|(uid, due)| *due == notice && is_of(uid));
        if let Some(due) = due {
            self.step.must_notice.swap_remove(due);
            return;
        }
        let unsure = |uid: &Uid| {
            let request = &self.model.requests[uid];
            (request.sharing.murky || request.sharing.released) && is_of(uid)
        };
        if self.model.live.iter().any(unsure) {
            return;
        }
        // A request whose first notice is that a worker has it shares that worker's answer.
        let shares = |uid: &Uid| {
            let comes = matches!(self.step.cause, Cause::Request(_, comes) if comes == *uid);
            comes && is_of(uid) && notice == Notice::Dispatched
        };
        if self.model.live.iter().any(shares) {
            let text = format!("{id:?} of {peer} shares an answer where that is not set");
            self.accuse(Rule::Shared, text);
        } else {
            self.accuse(Rule::Notices, format!("{peer} hears of {id:?} that it is {notice:?}"));
        }
    }

    /// Checks the required notices of requests that are still in progress.
    pub(super) fn settle_progress(&mut self) {
        let requests = &self.model.requests;
        let sure = |(uid, _): &&(Uid, Notice)| !requests[uid].sharing.murky;
        if let Some((uid, notice)) = self.step.must_notice.iter().find(sure) {
            let text = format!("nobody hears of {uid} that it is {notice:?}: {:?}", requests[uid]);
            return self.accuse(Rule::Notices, text);
        }
        if let Some(more) = self.step.must_more {
            self.accuse(Rule::Credit, format!("{more:?} had to be told"));
        }
    }
}
