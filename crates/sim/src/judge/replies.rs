//! What workers say, and what has to follow from it.

use majordomus_core::broker::{FRAME_BYTES, Offence, PART_BYTES, SERVICE_NAME_BYTES_MAX, Sign};
use majordomus_core::{Frames, FromWorker, Label, Outcome, PeerId, Status, Timeout, WorkerReply};

use super::model::Place;
use super::{Cause, Judge, Part, Uid};

impl Judge {
    pub(super) fn worker_said(&mut self, peer: PeerId, command: &FromWorker) {
        if self.model.peer(peer).is_none() {
            return;
        }
        self.lives(peer, Sign::Bytes);
        let Some(worker) = self.model.worker(peer) else {
            return self.offends(peer, Offence::Malformed);
        };
        let (registered, can) = (worker.service.is_some(), worker.can);
        match command {
            FromWorker::Ready { .. } if registered && can.ready_again => {}
            FromWorker::Ready { .. } if registered => self.offends(peer, Offence::ReadyTwice),
            FromWorker::Ready { service } => self.readies(peer, service),
            FromWorker::Disconnect => {
                self.step.cause = Cause::Left(peer);
                self.step.must_lose = registered.then_some(peer);
            }
            FromWorker::Heartbeat(status) if registered => {
                self.beats(peer, *status);
                self.step.must_answer = can.heartbeats_answered.then_some(peer);
            }
            FromWorker::Heartbeat(_) => self.offends(peer, Offence::NotReady),
            FromWorker::Partial(reply) => self.replies(peer, registered, Part::Partial, reply),
            FromWorker::Final(reply) => self.replies(peer, registered, Part::Final, reply),
            FromWorker::Failed(reply) => self.replies(peer, registered, Part::Failed, reply),
            FromWorker::Rejected(reply) => self.replies(peer, registered, Part::Rejected, reply),
        }
    }

    /// What a worker says of itself in a heartbeat counts from now on.
    fn beats(&mut self, peer: PeerId, status: Status) {
        let now = self.now;
        if let Some(concurrency) = status.concurrency
            && let Some(worker) = self.model.worker_mut(peer)
            && worker.takes != concurrency
        {
            (worker.takes, worker.takes_since) = (concurrency, now);
        }
    }

    fn readies(&mut self, peer: PeerId, service: &Label) {
        self.step.cause = Cause::Ready(peer);
        if self.shut_down {
        } else if service.is_empty() || service.len() > SERVICE_NAME_BYTES_MAX {
            self.offends(peer, Offence::BadName);
        } else if service.starts_with(b"mmi.") {
            self.offends(peer, Offence::ReservedName);
        } else {
            self.step.must_register = Some(peer);
        }
    }

    fn replies(&mut self, peer: PeerId, registered: bool, part: Part, reply: &WorkerReply) {
        let token = self.model.tokens.get(&reply.address);
        let uid = token.filter(|(worker, _)| *worker == peer).map(|(_, uid)| *uid);
        self.step.cause = Cause::Reply { uid, part, live: false };
        self.step.body = reply.body.clone();
        self.step.options = reply.options.to_vec();
        let Some(uid) = uid else {
            let offence = if registered { Offence::ForgedReply } else { Offence::NotReady };
            return self.offends(peer, offence);
        };
        if !registered {
            self.step.late = (1, 1);
            return;
        }
        let request = &self.model.requests[&uid];
        let other_id = !reply.id.is_empty() && reply.id != request.id;
        let in_hand = self.model.worker(peer).is_some_and(|worker| {
            worker.hands.iter().any(|hand| hand.uid == uid && hand.busy_until > self.now)
        });
        if other_id && (request.is_live() || in_hand) {
            return self.offends(peer, Offence::ForgedReply);
        }
        if other_id {
            // Whether the broker still knows the request, only to find another id, is its matter.
            self.step.offence = Some(Offence::ForgedReply);
            self.step.unsure = true;
            self.step.late = (0, 1);
            return;
        }
        let live = request.place == Place::At(peer) && request.deadline > self.now;
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
        self.step.cause = Cause::Reply { uid: Some(uid), part, live };
        match part {
            Part::Partial => self.takes_part(uid, &reply.body),
            Part::Final => self.takes_final(uid, &reply.body),
            Part::Failed => self.step.must_end.push((uid, Outcome::Failed)),
            Part::Rejected => self.takes_rejection(peer, uid, reply),
        }
    }

    fn takes_part(&mut self, uid: Uid, body: &Frames) {
        let now = self.now;
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        if let Timeout::After(span) = request.timeout
            && !span.is_zero()
        {
            request.deadline = now.after(span);
        }
        let client = request.client;
        if self.model.client(client).is_some_and(|client| client.can.partial_replies) {
            return;
        }
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        let Some(request) = self.model.requests.get_mut(&uid) else { return };
        request.collected_bytes += cost;
        request.collected.push(body.clone());
        let (collected, charged) = (request.collected_bytes, request.charged + cost);
        self.model.recharge(uid, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max || self.model.live_bytes > limits.request_bytes_max {
            self.step.must_end.push((uid, Outcome::Failed));
        }
    }

    fn takes_final(&mut self, uid: Uid, body: &Frames) {
        let request = &self.model.requests[&uid];
        let too_much = !request.collected.is_empty()
            && request.collected_bytes + body.bytes() > self.config.limits.reply_bytes_max;
        let outcome = if too_much { Outcome::Failed } else { Outcome::Replied };
        self.step.must_end.push((uid, outcome));
    }
    /// A worker will not do it: another gets it, or it waits for one, or that was the last word.
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
        let over =
            request.part_sent || request.rejection.by.len() >= limits.rejections_max as usize;
        let charged = request.charged - before + request.rejection.bytes();
        self.model.recharge(uid, charged);
        match over {
            true => self.step.must_end.push((uid, Outcome::Rejected)),
            false => self.waits_again(uid),
        }
    }
}
