//! What the broker is told, and what has to follow from it.

use majordomus_core::broker::{Input, Offence, SERVICE_NAME_BYTES_MAX, Sign};
use majordomus_core::{FromClient, Label, Outcome, PeerId, Redelivery, Time};

use super::model::{Peer, Place, Rejection, Request, Side};
use super::{Cause, Judge, Want, sane, uid_of};

impl Judge {
    pub(super) fn note_input(&mut self, input: &Input) {
        match input {
            Input::Appeared { peer, profile } => {
                let known = Peer::new(self.now, self.steps, *peer, profile, &self.config);
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
            // The network of this simulation counts messages, and all are small.
            Input::Laden { .. } => {}
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
                let wait = self.config.reject_wait;
                for uid in &self.model.live {
                    if let Some(request) = self.model.requests.get_mut(uid) {
                        request.rejection.wait_max = request.rejection.wait_max.max(wait);
                    }
                }
            }
            Input::Shutdown => {
                self.step.cause = Cause::Shutdown;
                self.shut_down = true;
            }
        }
    }

    pub(super) fn lives(&mut self, id: PeerId, sign: Sign) {
        let (now, step) = (self.now, self.steps);
        if let Some(peer) = self.model.peer_mut(id) {
            (peer.seen, peer.seen_late, peer.spoke) = (now, now, step);
            peer.probed = None;
            peer.answered |= sign == Sign::Pong;
        }
    }

    pub(super) fn offends(&mut self, id: PeerId, offence: Offence) {
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
        // What was put aside for its sake begins to wait anew.
        for uid in &self.model.live {
            if let Some(request) = self.model.requests.get_mut(uid)
                && request.client == id
            {
                request.rejection.by_all_since = None;
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
            FromClient::StillWanted { id } => self.wants(peer, id),
            FromClient::Vouch { worker } => self.vouches(worker),
            FromClient::Cancel { id } => {
                if let Some(uid) = self.model.called(peer, id) {
                    self.step.must_end.push((uid, Outcome::Cancelled));
                }
            }
        }
    }

    /// A client still waits for a request: the worker that has it must hear of that.
    fn wants(&mut self, client: PeerId, id: &Label) {
        let Some(uid) = self.model.called(client, id) else { return };
        let request = &self.model.requests[&uid];
        if let Place::At(worker) = request.place {
            let sure = request.deadline > self.now;
            self.step.must_want = Some(Want { worker, uid, sure });
        }
    }

    /// Somebody says that a worker lives, which counts as if it had said so itself.
    fn vouches(&mut self, identity: &Label) {
        if let Some(owner) = self.model.owner(identity)
            && self.model.worker(owner).is_some_and(|worker| worker.service.is_some())
        {
            self.lives(owner, Sign::Bytes);
        }
    }

    fn asks(&mut self, peer: PeerId, request: &majordomus_core::Request) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            // Who can be told hears that there is no such service; it is a request then.
            let told = self.model.client(peer).map(|client| client.can.told);
            if told.is_some_and(|told| told.contains(Outcome::NoSuchService)) {
                self.step.must_hear = Some((peer, request.service.clone(), request.id.clone()));
                return;
            }
            return self.offends(peer, Offence::BadName);
        }
        if request.service.starts_with(b"mmi.") && !self.shut_down {
            self.step.cause = Cause::Mmi(peer);
            self.step.body = request.body.clone();
            self.step.note = request.body.note();
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
        let known = Request {
            place: Place::Outside,
            client: peer,
            service,
            id: request.id.clone(),
            named: false,
            options: request.options.to_vec(),
            note: request.body.note(),
            timeout: request.timeout,
            redeliver,
            deadline: Time::NEVER,
            waiting_since: self.now,
            attempts: 0,
            part_sent: false,
            told: false,
            charged: Request::charge(request),
            body_bytes: request.body.bytes(),
            collected: Vec::new(),
            collected_bytes: 0,
            rejection: Rejection::default(),
        };
        self.model.requests.insert(uid, known);
        self.step.cause = Cause::Request(peer, uid);
    }
}
