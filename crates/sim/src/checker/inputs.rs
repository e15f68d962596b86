//! The broker's inputs and the outputs that must follow.

use majordomus_core::broker::{Input, PeerViolation, SERVICE_NAME_BYTES_MAX, Sign};
use majordomus_core::{ByteStr, CorrelationId, FromClient, Outcome, PeerId, Redelivery, Time};

use super::model::{Peer, Side};
use super::request::{Place, Rejection, Request, Sharing, Uid, uid_of};
use super::{Cause, Checker, Want, sane};

impl Checker {
    pub(super) fn note_input(&mut self, input: &Input) {
        match input {
            Input::Connected { peer, profile } => {
                let known = Peer::new(self.now, self.steps, *peer, profile, &self.config);
                self.model.add_peer(known);
                self.step.cause = Cause::Appeared(*peer);
            }
            Input::FromClient { peer, command } => self.client_said(*peer, command),
            Input::FromWorker { peer, command } => self.worker_said(*peer, command),
            Input::Malformed { peer } => {
                self.lives(*peer, Sign::Bytes);
                self.offends(*peer, PeerViolation::Malformed);
            }
            Input::Alive { peer, sign } => self.lives(*peer, *sign),
            // The simulated network counts messages, and all of them are small.
            Input::OversizedPending { .. } => {}
            Input::AboveHighWater { peer } => self.fills(*peer),
            Input::MakingProgress { peer } => {
                let until = self.now.after(self.config.stall_timeout);
                if let Some(peer) = self.model.peer_mut(*peer)
                    && peer.filled.is_some()
                {
                    peer.filled = Some(until);
                }
            }
            Input::BelowLowWater { peer } => self.drains(*peer),
            Input::Disconnected { peer } => {
                self.step.cause = Cause::Gone(*peer);
                if self.model.peer(*peer).is_some_and(Peer::is_registered) {
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
                self.forget_turns();
                self.make_room(self.config.limits.cache_bytes_max);
            }
            Input::Shutdown => {
                self.step.cause = Cause::Shutdown;
                self.shut_down = true;
                self.all_part();
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

    fn fills(&mut self, id: PeerId) {
        let until = self.now.after(self.config.stall_timeout);
        let Some(peer) = self.model.peer_mut(id) else { return };
        if peer.filled.is_some() {
            return;
        }
        peer.filled = Some(until);
        self.step.cause = Cause::Filled(id);
        let mine = |uid: &&Uid| self.model.requests[*uid].client == id;
        let live: Vec<Uid> = self.model.live.iter().filter(mine).copied().collect();
        let feeders = self.model.live.iter().filter_map(|uid| self.feeds(*uid, id));
        let feeders: Vec<(PeerId, bool)> = feeders.collect();
        for uid in &live {
            self.look_whether_murky(*uid);
        }
        for (worker, sure) in feeders {
            self.step.holds_up |= self.holds_up_others(worker, id);
            match sure {
                true => self.pauses_for(worker, id),
                false => self.step.may_feed.push(worker),
            }
        }
    }

    /// Returns the worker whose answer to this request a client receives, and whether that is
    /// certain.
    fn feeds(&self, uid: Uid, client: PeerId) -> Option<(PeerId, bool)> {
        let Place::At(worker) = self.model.requests[&uid].place else { return None };
        let sure = self.clients_of(uid, false).contains(&client);
        (sure || self.clients_of(uid, true).contains(&client)).then_some((worker, sure))
    }

    /// Returns true if a worker has a request in flight that clients other than this one share.
    fn holds_up_others(&self, worker: PeerId, client: PeerId) -> bool {
        let at = |uid: &&Uid| self.model.requests[*uid].place == Place::At(worker);
        let mut in_hand = self.model.live.iter().filter(at);
        in_hand.any(|uid| self.clients_of(*uid, true).iter().any(|other| *other != client))
    }

    pub(super) fn pauses_for(&mut self, worker: PeerId, client: PeerId) {
        if let Some(worker) = self.model.worker_mut(worker)
            && !worker.feeds.contains(&client)
        {
            worker.feeds.push(client);
        }
    }

    fn drains(&mut self, id: PeerId) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        self.step.cause = Cause::Drained;
        peer.filled = None;
        if let Side::Worker(worker) = &mut peer.side {
            // Heartbeats that were due meanwhile were omitted.
            worker.heartbeat_sent = now;
        }
        for peer in self.model.peers.iter_mut().flatten() {
            if let Side::Worker(worker) = &mut peer.side {
                worker.feeds.retain(|fed| *fed != id);
            }
        }
        // Requests that were suspended because of this client are queued again.
        for uid in &self.model.live {
            if let Some(request) = self.model.requests.get_mut(uid)
                && request.client == id
            {
                request.rejection.by_all_since = None;
                request.aside = true;
                let known = request.forsaken.then_some(request.target).flatten();
                let there = known.is_some_and(|target| {
                    let peer = self.model.peers.get(target.index as usize);
                    let peer = peer.and_then(Option::as_ref);
                    peer.is_some_and(|peer| peer.id == target && peer.is_registered())
                });
                if request.forsaken && !there {
                    self.step.must_end.push((*uid, Outcome::NoSuchWorker));
                }
            }
        }
    }

    fn client_said(&mut self, peer: PeerId, command: &FromClient) {
        if self.model.peer(peer).is_none() {
            return;
        }
        self.lives(peer, Sign::Bytes);
        if self.model.client(peer).is_none() {
            return self.offends(peer, PeerViolation::Malformed);
        }
        if let FromClient::Hello(hello) = command {
            return self.greets(peer, *hello);
        }
        if self.model.peer(peer).is_some_and(Peer::is_unheard) {
            return self.offends(peer, PeerViolation::NotReady);
        }
        match command {
            FromClient::Hello(_) => {}
            FromClient::Request(request) => self.asks(peer, request),
            FromClient::Heartbeat => self.step.cause = Cause::ClientHeartbeat(peer),
            FromClient::More { id, credit } => self.gives_credit(peer, id, *credit),
            FromClient::Disconnect => self.takes_leave(peer),
            FromClient::RequestKeepAlive { id } => self.wants(peer, id),
            FromClient::WorkerKeepAlive { worker } => self.vouches(worker),
            FromClient::Cancel { id } => {
                if let Some(uid) = self.model.called(peer, id) {
                    self.step.must_end.push((uid, Outcome::Cancelled));
                }
            }
        }
    }

    /// Handles a request keep-alive: the worker with the request must receive it.
    fn wants(&mut self, client: PeerId, id: &CorrelationId) {
        let Some(uid) = self.model.called(client, id) else { return };
        let request = &self.model.requests[&uid];
        let named = match request.place {
            Place::Following(leader) => leader,
            _ => uid,
        };
        if let Place::At(worker) = self.model.requests[&named].place {
            let sure = self.model.requests[&named].deadline > self.now;
            self.step.must_want = Some(Want { worker, uid: named, sure });
        } else if request.sharing.murky {
            self.step.may_want = true;
        }
    }

    /// Handles a worker keep-alive by a client, which counts as a sign of life from the worker.
    fn vouches(&mut self, identity: &ByteStr) {
        if let Some(owner) = self.model.owner(identity)
            && self.model.peer(owner).is_some_and(Peer::is_registered)
        {
            self.lives(owner, Sign::Bytes);
        }
    }

    fn asks(&mut self, peer: PeerId, request: &majordomus_core::Request) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            let can = self.model.client(peer).map(|client| client.can);
            if can.is_none_or(|can| !can.told.contains(Outcome::NoSuchService)) {
                return self.offends(peer, PeerViolation::BadName);
            }
            self.step.cause = Cause::Nameless(peer);
            (self.step.id, self.step.note) = (request.id.clone(), request.body.note());
            return;
        }
        self.step.duplicate = self.is_duplicate(peer, &request.id);
        let own = request.service.starts_with(b"mmi.")
            || (*request.service == *b"$dir" && self.owns_directory());
        if own && !self.shut_down && !self.step.duplicate {
            self.step.cause = match request.service.starts_with(b"mmi.") {
                true => Cause::Mmi(peer),
                false => Cause::Directory(peer),
            };
            self.step.body = request.body.clone();
            self.step.id = request.id.clone();
            self.step.note = request.body.note();
            return;
        }
        let Some(client) = self.model.client(peer) else { return };
        let redeliver = match client.can.redelivery {
            Redelivery::Always => true,
            Redelivery::WhereAsked => request.redeliver,
            Redelivery::Never => false,
        };
        let uid = uid_of(&request.id, &request.options, &request.body).unwrap_or(0);
        let service = self.model.service(&request.service);
        let targeted = !request.target.is_empty();
        let target = self.target_of(service, &request.target);
        let known = Request {
            place: Place::Outside,
            client: peer,
            service,
            id: request.id.clone(),
            named: false,
            options: request.options.to_vec(),
            body: request.body.clone(),
            target,
            targeted,
            forsaken: false,
            fresh: request.fresh,
            priority: request.priority,
            credit: request.credit,
            unlimited: false,
            notices: request.notices,
            aside: false,
            sharing: Sharing::default(),
            timeout: request.timeout,
            redeliver: redeliver && !targeted,
            deadline: Time::NEVER,
            early: Time::NEVER,
            received: self.now,
            index: 0,
            waiting_since: self.now,
            attempts: 0,
            part_sent: false,
            told: false,
            charged: Request::charge(request),
            collected: Vec::new(),
            collected_bytes: 0,
            rejection: Rejection::default(),
        };
        self.model.requests.insert(uid, known);
        self.step.cause = Cause::Request(peer, uid);
        if !self.shut_down && !self.step.duplicate {
            self.step.kept = self.kept_for(peer, request);
        }
    }

    /// Returns the target worker, if it is connected and serves the name.
    fn target_of(&self, service: usize, name: &ByteStr) -> Option<PeerId> {
        let ours =
            |peer: &&Peer| peer.identity.is_empty() && peer.id.to_string() == name.to_string();
        // Names assigned by the broker come first, so an identity that resembles one cannot take
        // its requests.
        let named = self.model.all_peers().find(ours).map(|peer| peer.id);
        let peer = named.filter(|_| !name.is_empty()).or_else(|| self.model.owner(name))?;
        self.model.best_offer(self.model.worker(peer)?, service).map(|_| peer)
    }
}
