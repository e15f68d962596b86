//! Checks of outcomes, of reports to clients, and of requests that are queued again.

use core::time::Duration;

use majordomus_core::{
    CODE_UNSAID, CorrelationId, Frames, Outcome, PeerId, Reply, RequestId, Timeout,
};

use super::model::{Hand, Side, Worker};
use super::request::{Place, Rejection, Request};
use super::{Cause, Checker, Part, Rule, Uid, Word};

/// The error code for a request that reuses the id of another one in progress.
const CODE_ID_IN_USE: u16 = 400;

impl Checker {
    pub(super) fn ended(&mut self, id: RequestId, outcome: Outcome) {
        let Some(uid) = self.model.by_id.remove(&id) else {
            return self.accuse(Rule::OneOutcome, format!("{id} ended again"));
        };
        if let Err(why) = self.end_is_fair(uid, outcome) {
            let request = &self.model.requests[&uid];
            let text = format!("request {uid}, {outcome}: {why}: {request:?}");
            let beyond =
                outcome == Outcome::Untranslatable && self.is_unreadable_for(request, |_| true);
            let rule = if beyond { Rule::Concurrency } else { Rule::OneOutcome };
            return self.accuse(rule, text);
        }
        self.step.must_end.retain(|(must, _)| *must != uid);
        let request = &self.model.requests[&uid];
        let (client, service, id) = (request.client, request.service, request.id.clone());
        let place = request.place;
        let told = self.is_told(request, outcome);
        if outcome == Outcome::Untranslatable {
            self.never_queued(uid);
        }
        let word = self.take_word(client, outcome, service, &id);
        let heard = match outcome {
            Outcome::Replied => self.has_heard(uid),
            _ => word.is_some() == told || self.model.requests[&uid].sharing.murky,
        };
        if !heard {
            self.accuse(Rule::Told, format!("request {uid}, {outcome}, {told} {word:?}"));
        }
        if let Some(word) = word
            && !self.is_right(&word, uid)
        {
            let text = format!("request {uid}: {word:?}: {:?}", self.model.requests[&uid]);
            self.accuse(Rule::Author, text);
        }
        self.leaves(uid);
        self.model.end(uid, outcome);
        self.tally.outcomes[outcome as usize] += 1;
        self.released(uid, place);
    }

    /// Returns true if the answer to a request was sent, to it or to one that its client cannot
    /// distinguish from it.
    fn has_heard(&mut self, uid: Uid) -> bool {
        let requests = &mut self.model.requests;
        let (client, id) = (requests[&uid].client, requests[&uid].id.clone());
        let same = |other: &Uid| {
            let request = &requests[other];
            request.told && request.client == client && request.id == id
        };
        let heard = &mut self.step.heard;
        let at = heard.iter().position(|other| *other == uid);
        let Some(at) = at.or_else(|| heard.iter().position(same)) else { return false };
        let other = heard.swap_remove(at);
        for (uid, told) in [(other, false), (uid, true)] {
            if let Some(request) = requests.get_mut(&uid) {
                request.told = told;
            }
        }
        true
    }

    /// Returns true if a request's client must receive this outcome. A client that times out by
    /// itself has forgotten the request after its timeout, and may not accept any report about it.
    fn is_told(&self, request: &Request, outcome: Outcome) -> bool {
        let Some(client) = self.model.client(request.client) else { return false };
        let over = matches!(request.timeout, Timeout::After(_))
            && !matches!(request.place, Place::At(_))
            && request.early <= self.now
            && matches!(outcome, Outcome::Rejected | Outcome::NoSuchService);
        client.can.told.contains(outcome) && (!over || client.can.told.contains(Outcome::Expired))
    }

    /// Records a client's failure report.
    pub(super) fn take_word(
        &mut self,
        client: PeerId,
        outcome: Outcome,
        service: usize,
        id: &CorrelationId,
    ) -> Option<Word> {
        let name = &self.model.services[service].name;
        let at = self.step.failures.iter().position(|word| {
            let Word { peer, outcome: why, reply } = word;
            *peer == client && *why == outcome && reply.service == *name && reply.id == *id
        })?;
        Some(self.step.failures.swap_remove(at))
    }

    /// Returns true if a client received exactly the worker's message.
    pub(super) fn is_right(&self, word: &Word, uid: Uid) -> bool {
        let request = &self.model.requests[&uid];
        let (nothing, none) = (Frames::empty(), Vec::new());
        let failed = match self.step.cause {
            Cause::Reply { uid: Some(said), part: Part::Failed, live: true } => {
                self.may_share(uid, said)
            }
            _ => false,
        };
        let (body, options) = match word.outcome {
            Outcome::Failed if failed => (&self.step.body, &self.step.options),
            // The unreadable part of an answer is its body.
            Outcome::Untranslatable if !word.reply.options.is_empty() => {
                (&nothing, &self.step.options)
            }
            Outcome::Rejected => (&request.rejection.error, &request.rejection.options),
            _ => (&nothing, &none),
        };
        let body = match self.can_be_read(request.client, body, options) {
            true => body,
            false => &nothing,
        };
        let options = match self.can_be_read(request.client, body, options) {
            true => options,
            false => &none,
        };
        let code = match word.outcome {
            Outcome::Failed | Outcome::Untranslatable if failed => self.step.code,
            Outcome::Refused if self.step.duplicate => CODE_ID_IN_USE,
            _ => CODE_UNSAID,
        };
        let Reply { asked, code: their_code, options: their_options, body: their_body, .. } =
            &word.reply;
        // For an ambiguous request, the next worker may be unable to read the request's own body.
        let by_itself = request.sharing.murky
            && word.outcome == Outcome::Untranslatable
            && *their_code == CODE_UNSAID;
        *asked == request.body.note()
            && (*their_code == code || by_itself)
            && their_options == options
            && their_body == body
    }

    fn end_is_fair(&mut self, uid: Uid, outcome: Outcome) -> Result<(), &'static str> {
        let now = self.now;
        let request = &self.model.requests[&uid];
        if !request.is_live() {
            return Err("it has ended");
        }
        let must = self.step.must_end.iter().find(|(must, _)| *must == uid).map(|(_, how)| *how);
        if let Some(must) = must {
            let over = outcome == Outcome::Expired && request.sharing.murky && request.early <= now;
            return if must == outcome || over { Ok(()) } else { Err("it had to end otherwise") };
        }
        if let Cause::Reply { uid: Some(answered), live: true, .. } = self.step.cause
            && request.sharing.murky
            && self.may_share(uid, answered)
            && matches!(outcome, Outcome::Replied | Outcome::Failed | Outcome::Untranslatable)
        {
            return Ok(());
        }
        let due = request.early <= now;
        let service = &self.model.services[request.service];
        let offered = service.offered
            || request.targeted
            || service.unoffered_since.is_some_and(|at| at >= request.waiting_since);
        let doubtful = service.unoffered_since == Some(request.waiting_since)
            || request.sharing.released
            || request.sharing.murky;
        let fair = match (outcome, request.place) {
            (Outcome::Expired, Place::At(_)) => due,
            // The worker exceeded its busy limit but is alive, so it keeps its other requests.
            (Outcome::WorkerLost, Place::At(worker)) => {
                let overdue = |hand: &Hand| hand.uid == uid && hand.busy_until <= now;
                request.deadline > now
                    && self.model.worker(worker).is_some_and(|w| w.hands.iter().any(overdue))
            }
            (Outcome::NoSuchWorker, Place::Waiting) => {
                let target = request.target.and_then(|target| self.model.worker(target));
                let offer = target.and_then(|at| self.model.best_offer(at, request.service));
                let serves = offer.is_some();
                request.targeted && (request.forsaken || !serves)
            }
            (Outcome::WorkerLost, Place::Waiting) => {
                self.step.must_fall.contains(&uid) || self.step.may_fall.contains(&uid)
            }
            (Outcome::Expired | Outcome::Rejected, Place::Waiting) if request.is_rejected() => {
                self.may_give_up(request, outcome)
            }
            (Outcome::Expired, _) => due && (offered || doubtful),
            (Outcome::Untranslatable, Place::Waiting | Place::Following(_)) => {
                self.is_unreadable_for_free(request)
            }
            (Outcome::NoSuchService, Place::Waiting | Place::Following(_))
                if !request.is_rejected() =>
            {
                let soon = self.config.no_worker_wait;
                let soon = soon.is_some_and(|wait| request.waiting_since.after(wait) <= now);
                (due || soon) && (!offered || doubtful)
            }
            (Outcome::ClientGone, _) => {
                self.step.went.push(request.client);
                true
            }
            (Outcome::ShutDown, _) => self.step.cause == Cause::Shutdown,
            _ => false,
        };
        if fair { Ok(()) } else { Err("there is no cause") }
    }

    /// Returns true if a worker is idle for a request and cannot read it.
    fn is_unreadable_for_free(&self, request: &Request) -> bool {
        self.is_unreadable_for(request, |worker| worker.has_room_beyond(worker.busy(self.now)))
    }

    /// Returns true if one of the matching workers that satisfy `fits` cannot read the request.
    fn is_unreadable_for(&self, request: &Request, fits: impl Fn(&Worker) -> bool) -> bool {
        // A coalesced request ends with its primary if the cause is the body, which both share.
        let options = match request.place {
            Place::Following(_) => &[][..],
            _ => &request.options,
        };
        self.model.all_peers().any(|peer| {
            let Side::Worker(worker) = &peer.side else { return false };
            let meant = match request.target {
                Some(target) => target == peer.id,
                None => self.model.best_offer(worker, request.service).is_some(),
            };
            let there = meant && !peer.paused && fits(worker);
            there && !self.can_be_read(peer.id, &request.body, options)
        })
    }

    /// Returns true if a queued, rejected request may end with this outcome by now. It waits
    /// `reject_wait` for a worker that has not rejected it. At its deadline, the outcome depends on
    /// whether such a worker exists.
    fn may_give_up(&self, request: &Request, outcome: Outcome) -> bool {
        let Rejection { by_all_first, .. } = request.rejection;
        let all = self.model.all_rejected(request);
        let own = matches!(request.timeout, Timeout::After(span) if !span.is_zero());
        let waited = by_all_first.is_some_and(|at| at.after(self.config.reject_wait) <= self.now);
        let (due, over) = (request.early <= self.now, request.deadline <= self.now);
        match outcome {
            Outcome::Rejected => all && ((due && !own) || (!over && waited)),
            _ => due && (own || !all),
        }
    }

    /// Handles a request that lost its worker: it is queued again or must end.
    pub(super) fn returned(&mut self, uid: Uid) {
        let now = self.now;
        let (attempts_max, shut_down) = (self.config.attempts_max, self.shut_down);
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        let again = request.redeliver
            && !request.part_sent
            && request.attempts - (request.rejection.by.len() as u32) < attempts_max
            && request.deadline > now
            && !shut_down;
        if !again {
            self.step.must_end.push((uid, Outcome::WorkerLost));
            return;
        }
        self.redelivered += 1;
        self.waits_again(uid);
    }

    /// Queues a request again, with all its initial attributes.
    pub(super) fn waits_again(&mut self, uid: Uid) {
        let (now, wait, reject_wait) = (self.now, self.wait_of(uid), self.config.reject_wait);
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.waiting_since = now;
        if matches!(request.timeout, Timeout::OfService | Timeout::After(Duration::ZERO)) {
            request.set_deadline(now.after(wait));
        }
        request.rejection.wait(reject_wait);
        request.collected.clear();
        let charged = request.charged - core::mem::take(&mut request.collected_bytes);
        self.model.recharge(uid, charged);
        self.model.place(uid, Place::Waiting);
        self.followers_wait(uid);
    }
}
