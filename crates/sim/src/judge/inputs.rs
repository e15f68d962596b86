//! What the broker is told, and what has to follow from it.

use majordomus_core::broker::{Input, Offence, SERVICE_NAME_BYTES_MAX, Sign};
use majordomus_core::{
    Frames, FromClient, FromWorker, Label, Outcome, PeerId, Redelivery, Request, Time, Timeout,
    WorkerReply,
};

use super::model::{self, Peer, Place, Side};
use super::{Cause, Judge, Part, Uid, sane, uid_of};

impl Judge {
    pub(super) fn note_input(&mut self, input: &Input) {
        match input {
            Input::Appeared { peer, profile } => {
                let known = Peer::new(self.now, *peer, profile, &self.config);
                self.model.add_peer(known);
                self.step.cause = Cause::Appeared(*peer);
            }
            Input::FromClient { peer, command } => self.client_said(*peer, command),
            Input::FromWorker { peer, command } => self.worker_said(*peer, command),
            Input::Malformed { peer } => {
                self.lives(*peer, Sign::Bytes);
                self.offends(*peer, Offence::Malformed);
            }
            Input::Alive { peer, sign } => self.lives(*peer, *sign),
            Input::Filled { peer } => self.fills(*peer),
            Input::Draining { peer } => {
                let until = self.now.after(self.config.stall_timeout);
                if let Some(peer) = self.model.peer_mut(*peer)
                    && peer.filled.is_some()
                {
                    peer.filled = Some(until);
                }
            }
            Input::Drained { peer } => self.drains(*peer),
            Input::Gone { peer } => {
                self.step.cause = Cause::Gone(*peer);
                if self.model.worker(*peer).is_some_and(|worker| worker.service.is_some()) {
                    self.step.must_lose = Some(*peer);
                }
            }
            Input::Tick => self.step.cause = Cause::Tick,
            Input::Configured(config) => {
                let before = self.silence_max().max(self.config.heartbeat_interval * 4);
                self.config = sane(config);
                let after = self.silence_max().max(self.config.heartbeat_interval * 4);
                self.settled_at = self.settled_at.max(self.now.after(before + after));
                let interval = self.config.heartbeat_interval;
                for peer in self.model.peers.iter_mut().flatten() {
                    if let Side::Worker(worker) = &mut peer.side {
                        worker.interval_max = worker.interval_max.max(interval);
                    }
                }
            }
            Input::Shutdown => {
                self.step.cause = Cause::Shutdown;
                self.shut_down = true;
            }
        }
    }

    fn lives(&mut self, id: PeerId, sign: Sign) {
        let now = self.now;
        if let Some(peer) = self.model.peer_mut(id) {
            (peer.seen, peer.seen_late, peer.spoke) = (now, now, now);
            peer.probed = None;
            peer.answered |= sign == Sign::Pong;
        }
    }

    fn offends(&mut self, id: PeerId, offence: Offence) {
        self.step.offence = Some(offence);
        if self.model.worker(id).is_some_and(|worker| worker.service.is_some()) {
            self.step.must_lose = Some(id);
        }
    }

    fn fills(&mut self, id: PeerId) {
        let until = self.now.after(self.config.stall_timeout);
        let Some(peer) = self.model.peer_mut(id) else { return };
        if peer.filled.is_some() {
            return;
        }
        peer.filled = Some(until);
        self.step.cause = Cause::Filled(id);
        for uid in &self.model.live {
            let request = &self.model.requests[uid];
            let Place::At(worker) = request.place else { continue };
            if request.client != id {
                continue;
            }
            let known = self.model.peers[worker.index as usize].as_mut();
            if let Some(Peer { side: Side::Worker(worker), .. }) = known
                && !worker.feeds.contains(&id)
            {
                worker.feeds.push(id);
            }
        }
    }

    fn drains(&mut self, id: PeerId) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        peer.filled = None;
        if let Side::Worker(worker) = &mut peer.side {
            // What it would have been told meanwhile was left out.
            worker.heartbeat_sent = now;
        }
        for peer in self.model.peers.iter_mut().flatten() {
            if let Side::Worker(worker) = &mut peer.side {
                worker.feeds.retain(|fed| *fed != id);
            }
        }
    }

    fn client_said(&mut self, peer: PeerId, command: &FromClient) {
        if self.model.peer(peer).is_none() {
            return;
        }
        self.lives(peer, Sign::Bytes);
        if self.model.client(peer).is_none() {
            return self.offends(peer, Offence::Malformed);
        }
        match command {
            FromClient::Request(request) => self.asks(peer, request),
            FromClient::Heartbeat => self.step.cause = Cause::ClientHeartbeat(peer),
            FromClient::Cancel { id } => {
                let mine = self.model.live.iter().filter(|uid| {
                    let request = &self.model.requests[*uid];
                    request.client == peer && request.id == *id
                });
                if let Some(uid) = mine.min_by_key(|uid| self.model.requests[*uid].order) {
                    self.step.must_end.push((*uid, Outcome::Cancelled));
                }
            }
        }
    }

    fn asks(&mut self, peer: PeerId, request: &Request) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            return self.offends(peer, Offence::BadName);
        }
        if request.service.starts_with(b"mmi.") && !self.shut_down {
            self.step.cause = Cause::Mmi(peer);
            self.step.body = request.body.clone();
            return;
        }
        let Some(client) = self.model.client(peer) else { return };
        let redeliver = match client.can.redelivery {
            Redelivery::Always => true,
            Redelivery::WhereAsked => request.redeliver,
            Redelivery::Never => false,
        };
        let uid = uid_of(&request.body).unwrap_or(0);
        let service = self.model.service(&request.service);
        self.orders += 1;
        let known = model::Request {
            place: Place::Outside,
            client: peer,
            service,
            id: request.id.clone(),
            timeout: request.timeout,
            redeliver,
            deadline: Time::NEVER,
            waiting_since: self.now,
            attempts: 0,
            part_sent: false,
            told: false,
            charged: model::Request::charge(&request.body),
            body_bytes: request.body.bytes(),
            collected: Vec::new(),
            collected_bytes: 0,
            order: self.orders,
        };
        self.model.requests.insert(uid, known);
        self.step.cause = Cause::Request(peer, uid);
    }

    fn worker_said(&mut self, peer: PeerId, command: &FromWorker) {
        if self.model.peer(peer).is_none() {
            return;
        }
        self.lives(peer, Sign::Bytes);
        let Some(worker) = self.model.worker(peer) else {
            return self.offends(peer, Offence::Malformed);
        };
        let registered = worker.service.is_some();
        match command {
            FromWorker::Ready { .. } if registered => self.offends(peer, Offence::ReadyTwice),
            FromWorker::Ready { service } => self.readies(peer, service),
            FromWorker::Disconnect => {
                self.step.cause = Cause::Left(peer);
                self.step.must_lose = registered.then_some(peer);
            }
            FromWorker::Heartbeat if registered => {}
            FromWorker::Heartbeat => self.offends(peer, Offence::NotReady),
            FromWorker::Partial(reply) => self.replies(peer, registered, Part::Partial, reply),
            FromWorker::Final(reply) => self.replies(peer, registered, Part::Final, reply),
            FromWorker::Failed(reply) => self.replies(peer, registered, Part::Failed, reply),
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
        let cost = majordomus_core::broker::PART_BYTES
            + majordomus_core::broker::FRAME_BYTES * body.len()
            + body.bytes();
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
}
