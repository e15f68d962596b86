//! Checks of the broker's outputs.

use majordomus_core::broker::{Event, Output};
use majordomus_core::{
    ByteStr, CODE_UNSAID, CorrelationId, Frames, PeerId, Reply, ToClient, ToWorker,
};

use super::model::{Peer, Side};
use super::request::{Place, Uid};
use super::{Cause, Checker, Part, Rule, Word};

impl Checker {
    pub(super) fn note_output(&mut self, output: &Output) {
        let to = match output {
            Output::ToClient { peer, .. } | Output::ToWorker { peer, .. } => Some(*peer),
            Output::Probe { peer } | Output::Pause { peer } | Output::Resume { peer } => {
                Some(*peer)
            }
            Output::Close { peer, .. } => Some(*peer),
            Output::Event(_) => None,
        };
        if let Some(to) = to {
            let gone = self.step.cause == Cause::Gone(to) || self.step.closed.contains(&to);
            if gone || self.model.peer(to).is_none() {
                return self.accuse(Rule::Addressee, format!("{to} is not there: {output:?}"));
            }
            let speaks = match output {
                Output::ToClient { command, .. } => !matches!(command, ToClient::Disconnect(_)),
                Output::ToWorker { command, .. } => !matches!(command, ToWorker::Disconnect(_)),
                _ => false,
            };
            if speaks && self.model.peer(to).is_some_and(Peer::is_unheard) {
                return self.accuse(Rule::Greeting, format!("{to} hears {output:?}"));
            }
        }
        match output {
            Output::ToClient { peer, command } => self.client_hears(*peer, command),
            Output::ToWorker { peer, command } => self.worker_hears(*peer, command),
            Output::Probe { peer } => self.probes(*peer),
            Output::Pause { peer } => self.reading(*peer, false),
            Output::Resume { peer } => self.reading(*peer, true),
            Output::Close { peer, reason } => self.closes(*peer, *reason),
            Output::Event(event) => self.event(event),
        }
    }

    fn probes(&mut self, id: PeerId) {
        let now = self.now;
        let Some(peer) = self.model.peer_mut(id) else { return };
        peer.probed.get_or_insert(now);
        if !peer.answers_probes {
            self.accuse(Rule::Addressee, format!("{id} cannot answer a probe"));
        }
    }

    fn client_hears(&mut self, peer: PeerId, command: &ToClient) {
        if self.model.client(peer).is_none() {
            return self.accuse(Rule::Addressee, format!("{peer} is no client"));
        }
        match command {
            ToClient::Heartbeat => {
                if self.step.cause != Cause::ClientHeartbeat(peer) {
                    self.accuse(Rule::Author, format!("{peer} did not ask for a heartbeat"));
                }
                self.step.answered = true;
            }
            ToClient::Partial(reply) => self.replied(peer, Part::Partial, reply),
            ToClient::Final(reply) if reply.service.starts_with(b"mmi.") => {
                self.answered(peer, reply);
            }
            ToClient::Final(reply) if self.step.cause == Cause::Directory(peer) => {
                self.directory_answered(peer, reply);
            }
            ToClient::Final(reply) => self.replied(peer, Part::Final, reply),
            ToClient::Failed(outcome, reply) => {
                let word = Word { peer, outcome: *outcome, reply: reply.clone() };
                self.step.failures.push(word);
            }
            ToClient::Welcome(welcome) => self.welcomed(peer, welcome),
            ToClient::Notice { id, notice } => self.noticed(peer, id, *notice),
            ToClient::Disconnect(why) => self.parts(peer, *why),
        }
    }

    /// Handles an answer of one of the broker's own services.
    fn answered(&mut self, peer: PeerId, reply: &Reply) {
        if self.step.cause == Cause::Mmi(peer) && self.step.answered {
            return self.accuse(Rule::AfterFinal, format!("{peer} gets it twice: {reply:?}"));
        }
        if self.step.cause != Cause::Mmi(peer) {
            return self.accuse(Rule::Author, format!("{peer} did not ask for {}", reply.service));
        }
        self.step.answered = true;
        let asked = super::directory::asked_for(&self.step.body).unwrap_or_default();
        let asked = self.model.service(&ByteStr::from(asked.as_str()));
        let offered = self.model.services[asked].offered;
        let right: &[u8] = match (reply.service.as_bytes(), offered) {
            (b"mmi.service", true) => b"200",
            (b"mmi.service", false) => b"404",
            _ => b"501",
        };
        if !self.can_be_read(peer, &reply.body, &reply.options) {
            return self.accuse(Rule::Form, format!("{peer} cannot read {:?}", reply.body));
        }
        if reply.body.get(0) != Some(right) || reply.asked != self.step.note {
            self.accuse(Rule::Author, format!("{} says {:?}", reply.service, reply.body));
        }
    }

    fn replied(&mut self, peer: PeerId, part: Part, reply: &Reply) {
        if let Cause::Request(asks, uid) = self.step.cause
            && asks == peer
            && part == Part::Final
        {
            return self.answered_from_kept(peer, uid, reply);
        }
        let Cause::Reply { uid, part: said, live } = self.step.cause else {
            return self.accuse(Rule::Author, format!("nobody said {reply:?} to {peer}"));
        };
        let Some(answered) = uid.filter(|uid| self.model.requests.contains_key(uid)) else {
            return self.accuse(Rule::Author, format!("{peer} gets a forged reply"));
        };
        let uid = match self.asker(answered, peer, reply) {
            Ok(uid) => uid,
            Err(rule) => {
                return self
                    .accuse(rule, format!("{peer} gets an answer to {answered}: {reply:?}"));
            }
        };
        let takes_parts = self.model.takes_parts(peer);
        if !live || said != part || (part == Part::Partial && !takes_parts) {
            return self.accuse(Rule::Author, format!("{part:?} of {uid}, said was {said:?}"));
        }
        if !self.can_be_read(peer, &reply.body, &reply.options) {
            return self.accuse(Rule::Form, format!("{peer} cannot read {:?}", reply.body));
        }
        let request = &self.model.requests[&uid];
        let named = reply.service == self.model.services[request.service].name;
        let said = reply.options == self.step.options
            && self.is_what_was_said(&reply.body, &self.model.requests[&answered].collected);
        let code = if part == Part::Final { self.step.code } else { CODE_UNSAID };
        if !named || !said || reply.asked != request.body.note() || reply.code != code {
            return self.accuse(Rule::Author, format!("{uid} gets something else: {reply:?}"));
        }
        let followed = request.place == Place::Waiting;
        if followed && part == Part::Partial {
            // The request has joined that one.
            self.sticks(uid, answered);
        } else if let Some(request) = self.model.requests.get_mut(&uid) {
            // A final part may turn out to belong to another request that is alike.
            match part {
                Part::Final => request.told = true,
                _ => (request.part_sent, request.sharing.leads) = (true, false),
            }
        }
        self.step.heard.push(uid);
        self.step.answered = true;
    }

    /// Returns the request whose answer a client receives. Of several indistinguishable ones, it
    /// returns any.
    fn asker(&self, answered: Uid, peer: PeerId, reply: &Reply) -> Result<Uid, Rule> {
        let requests = &self.model.requests;
        let mut all = self.sharers(answered);
        let murky =
            |uid: &&Uid| requests[*uid].place == Place::Waiting && self.may_share(**uid, answered);
        all.extend(self.model.live.iter().filter(murky));
        let mut mine = all.into_iter().filter(|uid| requests[uid].client == peer).peekable();
        if mine.peek().is_none() {
            let request = &requests[&answered];
            let alike = |uid: &Uid| {
                requests[uid].client == peer
                    && requests[uid].service == request.service
                    && super::request::is_same_body(&requests[uid].body, &request.body)
            };
            let alike = self.model.live.iter().any(alike);
            return Err(if alike { Rule::Shared } else { Rule::Asker });
        }
        let mut named = mine.filter(|uid| requests[uid].id == reply.id).peekable();
        if named.peek().is_none() {
            return Err(Rule::Author);
        }
        let waits = |uid: &Uid| {
            requests[uid].is_live() && !requests[uid].told && !self.step.heard.contains(uid)
        };
        named.find(waits).ok_or(Rule::AfterFinal)
    }

    fn is_what_was_said(&self, body: &Frames, collected: &[Frames]) -> bool {
        let parts = collected.iter().flat_map(Frames::iter).chain(self.step.body.iter());
        let form = collected.first().unwrap_or(&self.step.body).form();
        body.iter().eq(parts) && body.form() == form
    }

    fn worker_hears(&mut self, peer: PeerId, command: &ToWorker) {
        let Some(known) = self.model.peer(peer) else { return };
        let Side::Worker(worker) = &known.side else {
            return self.accuse(Rule::Addressee, format!("{peer} is no worker"));
        };
        let registered = worker.registered;
        match command {
            ToWorker::Request(request) => self.dispatched(peer, request),
            ToWorker::Cancel { address, .. } => {
                let theirs = self.bearer(address).is_some_and(|(worker, _)| worker == peer);
                if !worker.can.cancel || !theirs {
                    self.accuse(Rule::Addressee, format!("{peer} cannot cancel that"));
                }
            }
            ToWorker::Registered { service, worker } => self.hears_of_offer(peer, service, worker),
            ToWorker::RequestKeepAlive { address, id } => self.wanted(peer, address, id),
            ToWorker::Heartbeat => {
                let asked = self.step.must_answer.take() == Some(peer);
                let due = asked || self.step.cause == Cause::Tick;
                if !(registered || asked) || !due || known.filled.is_some() {
                    return self.accuse(Rule::Addressee, format!("{peer} gets a heartbeat"));
                }
                let (now, interval) = (self.now, self.config.heartbeat_interval);
                if let Some(worker) = self.model.worker_mut(peer) {
                    worker.heartbeat_sent = now;
                    // An answer to a heartbeat comes in addition to the scheduled heartbeats.
                    worker.interval_max = if asked { worker.interval_max } else { interval };
                }
            }
            ToWorker::Welcome(welcome) => self.welcomed(peer, welcome),
            ToWorker::Capacity { concurrency } => self.hears_of_capacity(peer, *concurrency),
            ToWorker::More { address, credit } => self.hears_of_credit(peer, address, *credit),
            ToWorker::Disconnect(why) => self.parts(peer, *why),
        }
    }

    /// Handles a request keep-alive to a worker.
    fn wanted(&mut self, peer: PeerId, address: &ByteStr, id: &CorrelationId) {
        let right = self.step.must_want.take().is_some_and(|want| {
            self.bearer(address) == Some((want.worker, want.uid))
                && want.worker == peer
                && self.model.requests[&want.uid].id == *id
        });
        if !right && !self.step.may_want {
            self.accuse(Rule::Wanted, format!("{peer} hears it of {address}"));
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Received { request, client, .. } => self.received(*request, *client),
            Event::Dispatched { request, worker, attempt } => {
                let uid = self.model.by_id.get(request).copied();
                let sent = uid.map(|uid| (uid, *worker));
                let counted = uid.is_some_and(|uid| self.model.requests[&uid].attempts == *attempt);
                if sent != self.step.dispatched.take() || !counted {
                    self.accuse(Rule::Idle, format!("{uid:?} was not sent to {worker}"));
                }
            }
            Event::Ended { request, outcome, .. } => self.ended(*request, *outcome),
            Event::WorkerRegistered { peer, service } => self.registered(*peer, service),
            Event::WorkerWithdrew { peer, service } => self.withdrew(*peer, service),
            Event::WorkerLost { peer, reason, .. } => self.lost(*peer, *reason),
            Event::Violated { peer, violation } => {
                if self.step.violation != Some(*violation) || self.step.offended {
                    self.accuse(Rule::PeerViolation, format!("{peer} is blamed for {violation}"));
                }
                self.step.offended = true;
                // A violation that need not be reported has these effects if it is reported.
                if self.step.unsure {
                    self.step.unsure = false;
                    self.step.late = (0, 0);
                    self.step.must_lose = Some(*peer);
                    self.step.must_part.push((*peer, violation.disconnect_reason()));
                }
            }
        }
    }
}
