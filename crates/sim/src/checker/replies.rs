//! Messages from workers and the outputs that must follow.

use majordomus_core::broker::{FRAME_BYTES, PART_BYTES, PeerViolation, Sign};
use majordomus_core::{Frames, FromWorker, Outcome, PeerId, Status, Timeout, WorkerReply};

use super::model::Peer;
use super::request::Place;
use super::{Cause, Checker, Part, Uid};

impl Checker {
    pub(super) fn worker_said(&mut self, peer: PeerId, command: &FromWorker) {
        if self.model.peer(peer).is_none() {
            return;
        }
        self.lives(peer, Sign::Bytes);
        let Some(worker) = self.model.worker(peer) else {
            return self.offends(peer, PeerViolation::Malformed);
        };
        let (registered, can) = (worker.registered, worker.can);
        if let FromWorker::Hello(hello) = command {
            return self.greets(peer, *hello);
        }
        if self.model.peer(peer).is_some_and(Peer::is_unheard) {
            return self.offends(peer, PeerViolation::NotReady);
        }
        match command {
            FromWorker::Hello(_) => {}
            FromWorker::Ready { service } if can.several_services => self.readies(peer, service),
            FromWorker::Ready { .. } if registered && can.ready_again => {}
            FromWorker::Ready { .. } if registered => self.offends(peer, PeerViolation::ReadyTwice),
            FromWorker::Ready { service } => self.readies(peer, service),
            FromWorker::Withdraw { .. } if !can.several_services => {
                self.offends(peer, PeerViolation::Malformed);
            }
            FromWorker::Withdraw { service } => self.withdraws(peer, service),
            FromWorker::AtWork { address } => self.works(peer, registered, address),
            FromWorker::Disconnect => {
                self.step.cause = Cause::Left(peer);
                self.step.must_lose = registered.then_some(peer);
                self.takes_leave(peer);
            }
            FromWorker::Heartbeat(status) if registered || can.greets => {
                self.step.directory_changed |= status.publish;
                self.beats(peer, *status);
                self.step.must_answer = can.heartbeats_answered.then_some(peer);
            }
            FromWorker::Heartbeat(_) => self.offends(peer, PeerViolation::NotReady),
            FromWorker::Partial(reply) => self.replies(peer, registered, Part::Partial, reply),
            FromWorker::Final(reply) => self.replies(peer, registered, Part::Final, reply),
            FromWorker::Failed(reply) => self.replies(peer, registered, Part::Failed, reply),
            FromWorker::Rejected(reply) => self.replies(peer, registered, Part::Rejected, reply),
        }
    }

    /// Applies the status in a worker's heartbeat.
    fn beats(&mut self, peer: PeerId, status: Status) {
        let now = self.now;
        let Some(concurrency) = status.concurrency else { return };
        let Some(worker) = self.model.worker_mut(peer) else { return };
        if worker.takes != concurrency {
            (worker.takes, worker.takes_since) = (concurrency, now);
        }
        if worker.can.greets {
            self.step.must_settle = Some((peer, concurrency));
        }
    }

    fn replies(&mut self, peer: PeerId, registered: bool, part: Part, reply: &WorkerReply) {
        let token = self.model.tokens.get(&reply.address);
        let uid = token.filter(|(worker, _)| *worker == peer).map(|(_, uid)| *uid);
        self.step.cause = Cause::Reply { uid, part, live: false };
        self.step.body = reply.body.clone();
        self.step.options = reply.options.to_vec();
        self.step.code = reply.code;
        let Some(uid) = uid else {
            let violation =
                if registered { PeerViolation::ForgedReply } else { PeerViolation::NotReady };
            return self.offends(peer, violation);
        };
        if !registered {
            self.step.late = (1, 1);
            return;
        }
        let request = &self.model.requests[&uid];
        let says_ids = self.model.worker(peer).is_some_and(|worker| worker.can.request_ids);
        let other_id = (says_ids || !reply.id.is_none()) && reply.id != request.id;
        let in_hand =
            self.model.worker(peer).is_some_and(|worker| worker.has_in_hand(uid, self.now));
        if other_id && (request.is_live() || in_hand) {
            return self.offends(peer, PeerViolation::ForgedReply);
        }
        if other_id {
            // It is unspecified whether the broker still has the request and detects the different
            // id.
            self.step.violation = Some(PeerViolation::ForgedReply);
            self.step.unsure = true;
            self.step.late = (0, 1);
            return;
        }
        let live = request.place == Place::At(peer) && request.deadline > self.now;
        let request_may_be_over = request.sharing.murky && request.early <= self.now;
        if request.place == Place::At(peer) && !live {
            self.step.must_end.push((uid, Outcome::Expired));
        }
        if part != Part::Partial {
            let now = self.now;
            if let Some(worker) = self.model.worker_mut(peer) {
                worker.let_go(uid, now, now);
            }
        }
        if !live {
            self.step.late = (1, 1);
            return;
        }
        if request_may_be_over {
            self.step.late = (0, 1);
        }
        self.step.cause = Cause::Reply { uid: Some(uid), part, live };
        match part {
            Part::Partial => self.takes_part(uid, reply),
            Part::Final => self.takes_final(uid, reply),
            Part::Failed => {
                let all = self.sharers(uid);
                self.step.must_end.extend(all.into_iter().map(|uid| (uid, Outcome::Failed)));
            }
            Part::Rejected => self.takes_rejection(peer, uid, reply),
        }
    }

    /// Restarts the timeout of a request that received a part of its answer.
    pub(super) fn restart_timeout(&mut self, uid: Uid) {
        let now = self.now;
        if let Some(request) = self.model.requests.get_mut(&uid)
            && let Timeout::After(span) = request.timeout
            && !span.is_zero()
        {
            request.set_deadline(now.after(span));
        }
    }

    fn takes_part(&mut self, uid: Uid, reply: &WorkerReply) {
        let WorkerReply { body, options, .. } = reply;
        let client = self.model.requests[&uid].client;
        let sharers = self.sharers(uid);
        let readable = self.can_be_read(client, body, options);
        for sharer in sharers.iter().filter(|_| readable) {
            self.restart_timeout(*sharer);
        }
        if !readable || self.model.takes_parts(client) {
            for sharer in sharers {
                if !self.can_be_read(self.model.requests[&sharer].client, body, options) {
                    self.step.must_end.push((sharer, Outcome::Untranslatable));
                }
            }
            return;
        }
        self.may_hear(&self.mates(uid));
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.collected_bytes += cost;
        request.collected.push(body.clone());
        let (collected, charged) = (request.collected_bytes, request.charged + cost);
        self.model.recharge(uid, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max || self.model.live_bytes > limits.request_bytes_max {
            self.all_end(&sharers, Outcome::Failed);
        }
    }

    fn all_end(&mut self, all: &[Uid], outcome: Outcome) {
        self.step.must_end.extend(all.iter().map(|uid| (*uid, outcome)));
    }

    fn takes_final(&mut self, uid: Uid, reply: &WorkerReply) {
        let request = &self.model.requests[&uid];
        let whole = request.collected.is_empty() && !request.part_sent;
        let body = match request.collected.is_empty() {
            true => reply.body.clone(),
            false => {
                let parts: Vec<Frames> =
                    request.collected.iter().chain([&reply.body]).cloned().collect();
                Frames::joined(&parts)
            }
        };
        let too_much = !request.collected.is_empty()
            && request.collected_bytes + reply.body.bytes() > self.config.limits.reply_bytes_max;
        let sharers = self.sharers(uid);
        if too_much {
            return self.all_end(&sharers, Outcome::Failed);
        }
        for uid in sharers {
            let client = self.model.requests[&uid].client;
            let readable = self.can_be_read(client, &body, &reply.options);
            let outcome = if readable { Outcome::Replied } else { Outcome::Untranslatable };
            self.step.must_end.push((uid, outcome));
        }
        let Some(keep) = reply.keep.filter(|_| whole) else { return };
        // The request's body is still stored if it may go to another worker.
        let Place::At(worker) = self.model.requests[&uid].place else { return };
        let rejects = self.model.worker(worker).is_some_and(|worker| worker.can.rejects);
        let may_be_there = self.model.requests[&uid].redeliver || self.is_shared(uid);
        if rejects || may_be_there {
            self.keeps(uid, body, keep, rejects);
        }
    }

    /// Handles a rejection: the request goes to another worker, is queued, or ends.
    fn takes_rejection(&mut self, worker: PeerId, uid: Uid, reply: &WorkerReply) {
        self.rejections += 1;
        let limits = &self.config.limits;
        let frames = FRAME_BYTES * reply.body.len();
        let bytes = reply.body.bytes() + frames + reply.options.len();
        let fits = bytes <= limits.reply_bytes_max
            && self.model.live_bytes + bytes <= limits.request_bytes_max;
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        let before = request.rejection.bytes();
        request.rejection.by.push(worker);
        (request.rejection.error, request.rejection.options) = match fits {
            true => (reply.body.clone(), reply.options.to_vec()),
            false => (Frames::empty(), Vec::new()),
        };
        let over = request.part_sent
            || request.targeted
            || request.rejection.by.len() >= limits.rejections_max as usize;
        let charged = request.charged - before + request.rejection.bytes();
        self.model.recharge(uid, charged);
        match over {
            true => self.step.must_end.push((uid, Outcome::Rejected)),
            false => self.waits_again(uid),
        }
    }
}
