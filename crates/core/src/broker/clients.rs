//! What clients say.

use alloc::boxed::Box;
use core::mem::take;

use bytes::Bytes;

use super::accounts::End;
use super::config::SERVICE_NAME_BYTES_MAX;
use super::peers::SideState;
use super::requests::{OfClient, Record, Requests, State};
use super::{Broker, Event, Input, Offence, Output, Refusal, Sign, directory, mmi};
use crate::frames::Retained;
use crate::list::Links;
use crate::{
    CODE_UNSAID, CREDIT_UNLIMITED, Farewell, Frames, FromClient, Label, Notice, Outcome, PeerId,
    Redelivery, Reply, Request, Time, Timeout, ToClient, ToWorker,
};

/// What a client is told that gives a request the id of another in progress.
const CODE_ID_IN_USE: u16 = 400;

/// The one worker that a request asks for is not there, or serves something else.
struct NoSuchWorker;

impl Broker {
    pub(super) fn heard_client(&mut self, now: Time, peer: PeerId, command: &mut FromClient) {
        let Some(known) = self.peers.get(peer) else { return };
        let unheard = known.is_unheard();
        match known.side {
            SideState::Worker(_) => return self.handle(now, Input::Malformed { peer }),
            SideState::Client(_) => self.alive(now, peer, Sign::Bytes),
        }
        if let FromClient::Hello(hello) = command {
            return self.greeted(now, peer, *hello);
        }
        if unheard {
            return self.note_offence(peer, Offence::NotReady);
        }
        match command {
            FromClient::Request(request) => self.request(now, peer, request),
            FromClient::Heartbeat => self.tell_client(peer, ToClient::Heartbeat),
            FromClient::StillWanted { id } => self.still_wanted(peer, id),
            FromClient::Vouch { worker } => self.vouched(now, worker),
            FromClient::Cancel { id } => self.cancel(peer, id),
            FromClient::More { id, credit } => self.more(now, peer, id, *credit),
            FromClient::Disconnect => {
                self.forget_greeting(peer);
                self.client_gone(now, peer);
            }
            FromClient::Hello(_) => {}
        }
    }

    fn request(&mut self, now: Time, peer: PeerId, request: &mut Request) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            return match self.is_told(peer, Outcome::NoSuchService) {
                true => self.refuse(peer, request, End::As(Outcome::NoSuchService)),
                false => self.offend(now, peer, Offence::BadName),
            };
        }
        if self.shut_down {
            return self.refuse(peer, request, End::As(Outcome::ShutDown));
        }
        let Some(client) = self.peers.client_ref(peer) else { return };
        let name_hash = self.requests.name_hash(peer, &request.id);
        if client.can.greets && self.requests.named(name_hash, peer, &request.id).is_some() {
            // It could not tell the replies apart.
            return self.refuse(peer, request, End::Refused(Refusal::IdInUse));
        }
        if request.service.starts_with(mmi::PREFIX) {
            return self.answer_mmi(peer, request);
        }
        if *request.service == *directory::NAME && self.answer_directory(peer, request)
            || self.answer_kept(now, peer, request)
        {
            return;
        }
        let Some(client) = self.peers.client_ref(peer) else { return };
        let known = self.services.find_near(client.asked_last, &request.service);
        let Some(obstacle) = self.obstacle(peer, request, known) else {
            return self.take(now, peer, request, known, name_hash);
        };
        let Some(client) = self.peers.client(peer) else { return };
        if client.can.told.contains(Outcome::Refused) || client.held.is_some() {
            self.refuse(peer, request, End::Refused(obstacle.refusal()));
        } else {
            self.hold(now, peer, Box::new(request.clone()), obstacle);
        }
    }

    /// Ends a request that is not taken at all.
    pub(super) fn refuse(&mut self, peer: PeerId, request: &Request, end: End) {
        self.pass(&request.service, end);
        let outcome = end.outcome();
        if self.is_told(peer, outcome) {
            let code = match end {
                End::Refused(Refusal::IdInUse) => CODE_ID_IN_USE,
                _ => CODE_UNSAID,
            };
            let (id, asked) = (request.id.clone(), request.body.note());
            let service = request.service.clone();
            let reply = Reply { id, asked, code, ..Reply::new(service, Frames::empty()) };
            self.tell_client(peer, ToClient::Failed(outcome, reply));
        }
    }

    /// Takes a request in: it goes to a worker, or waits for one.
    pub(super) fn take(
        &mut self,
        now: Time,
        peer: PeerId,
        request: &mut Request,
        known: Option<u32>,
        name_hash: u64,
    ) {
        let Some(client) = self.peers.client(peer) else { return };
        let redeliver = match client.can.redelivery {
            Redelivery::Always => true,
            Redelivery::WhereAsked => request.redeliver,
            Redelivery::Never => false,
        };
        let service = match known {
            Some(service) => service,
            None => self.services.find_or_add(&request.service, &self.config),
        };
        let target = match self.target(service, &request.target) {
            Ok(target) => target,
            Err(NoSuchWorker) => {
                self.refuse(peer, request, End::As(Outcome::NoSuchWorker));
                return self.services.forget_unused(service);
            }
        };
        // Where a worker is free nobody waits, but whose client does not read.
        let reads = !self.is_filled(peer);
        let shares = self.services[service].settings.share && target.is_none() && !request.fresh;
        let leader = match shares {
            true => self.leader_for(peer, service, request.priority, &request.body),
            false => None,
        };
        let free = self.free_worker(service, target);
        let worker = free.filter(|_| reads && leader.is_none());
        // What goes to a worker at once is kept there, where it has to be.
        let body = match worker {
            Some(_) => Retained::Nothing,
            None => Retained::keep(&request.options, &request.body),
        };
        let charged = Requests::charge(request);
        let index = self.requests.insert(Record {
            state: State::Waiting,
            client: peer,
            service,
            place: Links::NONE,
            of_client: Links::NONE,
            received: now,
            waiting_since: now,
            deadline: match request.timeout {
                Timeout::OfService => now.after(self.services[service].settings.wait),
                Timeout::Never => Time::NEVER,
                Timeout::After(span) => now.after(span),
            },
            busy_until: Time::NEVER,
            timer: None,
            timeout: request.timeout,
            attempts: 0,
            redeliver: redeliver && target.is_none(),
            priority: request.priority,
            credit: request.credit,
            notices: request.notices,
            target,
            part_sent: false,
            id: take(&mut request.id),
            name_hash,
            asked: request.body.note(),
            body,
            rejection: None,
            sharing: None,
            collected: None,
            charged,
        });
        let Some(client) = self.peers.client(peer) else { return };
        client.requests.push_back(&mut OfClient(&mut self.requests), index);
        client.bytes += charged;
        client.asked_last = service;
        let entry = &mut self.services[service];
        entry.requests += 1;
        entry.bytes += charged;
        self.counters.receive();
        if self.config.request_events {
            self.outputs.push_back(Output::Event(Event::Received {
                request: self.requests.id(index),
                client: peer,
                service: request.service.clone(),
            }));
        }
        if worker.is_none() {
            let runs = reads && leader.is_some_and(|leader| self.worker_of(leader).is_some());
            self.notify(index, if runs { Notice::Dispatched } else { Notice::Queued });
        }
        if let Some(leader) = leader {
            return self.follow(now, index, leader);
        }
        if shares {
            self.lead(index, &request.body);
        }
        match worker {
            Some(worker) => {
                let (options, body) = (take(&mut request.options), take(&mut request.body));
                self.start_fresh(now, index, worker, options, body);
            }
            // Its turn has come already, and it is put aside.
            None if free.is_some() && self.park(index) => {
                if self.requests[index].deadline <= now {
                    self.expire_waiting(now, index);
                }
            }
            None => {
                self.wait(now, index);
                self.dispatch(now, service);
            }
        }
    }

    /// The one worker that a request asks for, where it asks for one.
    fn target(&self, service: u32, identity: &Label) -> Result<Option<PeerId>, NoSuchWorker> {
        if identity.is_empty() {
            return Ok(None);
        }
        let id = self.peers.named(identity).ok_or(NoSuchWorker)?;
        if self.serves(id, service) { Ok(Some(id)) } else { Err(NoSuchWorker) }
    }

    fn cancel(&mut self, peer: PeerId, id: &Label) {
        if let Some(index) = self.requests.of_client(peer, id) {
            self.end_and_tell_worker(index, Outcome::Cancelled);
        }
    }

    /// A client still waits for a request: its worker hears of it.
    fn still_wanted(&mut self, peer: PeerId, id: &Label) {
        let Some(index) = self.requests.of_client(peer, id) else { return };
        if let Some((worker, index)) = self.worker_of(index) {
            let address = self.tokens.issue(worker, self.requests.id(index));
            let id = self.requests[index].id.clone();
            self.tell_worker(worker, ToWorker::StillWanted { address, id });
        }
    }

    /// A client takes more parts of a reply: its worker hears of it, where it counts them. It has its
    /// whole timeout again, since it was the client that had to be waited for.
    fn more(&mut self, now: Time, peer: PeerId, id: &Label, credit: u32) {
        let Some(index) = self.requests.of_client(peer, id) else { return };
        self.restart_timeout(now, index);
        let record = &mut self.requests[index];
        let unlimited = record.credit == CREDIT_UNLIMITED;
        record.credit = record.credit.saturating_add(credit);
        if let State::Running(worker) = record.state
            && !unlimited
            && credit > 0
            && self.peers.worker_ref(worker).is_some_and(|worker| worker.can.credit)
        {
            let address = self.tokens.issue(worker, self.requests.id(index));
            self.tell_worker(worker, ToWorker::More { address, credit });
        }
    }

    /// Somebody says that the worker of this identity lives.
    fn vouched(&mut self, now: Time, worker: &Label) {
        if let Some(id) = self.peers.named(worker)
            && self.peers.worker(id).is_some_and(|worker| worker.registered)
        {
            self.alive(now, id, Sign::Bytes);
        }
    }

    /// A client went away: its requests end with it.
    pub(super) fn client_gone(&mut self, now: Time, peer: PeerId) {
        self.end_held(peer, Outcome::ClientGone);
        while let Some(first) = self.peers.client(peer).and_then(|client| client.requests.first()) {
            self.end_and_tell_worker(first, Outcome::ClientGone);
        }
        self.release_feeders(now, peer);
    }

    /// Has done with a client, where it can be told so.
    pub(super) fn send_client_away(&mut self, now: Time, peer: PeerId, why: Farewell) {
        if self.peers.get(peer).is_some_and(|peer| peer.greeted) {
            self.forget_greeting(peer);
            self.tell_client(peer, ToClient::Disconnect(why));
            self.client_gone(now, peer);
        }
    }

    pub(super) fn tell_client(&mut self, peer: PeerId, command: ToClient) {
        self.outputs.push_back(Output::ToClient { peer, command });
    }

    /// Answers a request without a worker: it has come and ended.
    pub(super) fn answer(&mut self, peer: PeerId, reply: Reply) {
        self.pass(&reply.service, End::As(Outcome::Replied));
        self.tell_client(peer, ToClient::Final(reply));
    }

    /// Counts a request that comes and ends at once.
    pub(super) fn pass(&mut self, service: &Label, end: End) {
        self.counters.receive();
        self.counters.end(end);
        match self.is_own(service) {
            true => self.services.count_own(end),
            false => self.services.count_named(service, end),
        }
    }

    /// Whether the broker answers a name itself.
    fn is_own(&self, service: &[u8]) -> bool {
        service.starts_with(mmi::PREFIX) || *service == *directory::NAME && !self.offers_directory()
    }

    /// Tells a client how its request ended, where it can be told.
    pub(super) fn tell_failure(&mut self, index: u32, outcome: Outcome, reply: Reply) {
        let client = self.requests[index].client;
        if self.is_told(client, outcome) {
            self.tell_client(client, ToClient::Failed(outcome, reply));
        }
    }

    /// What goes to the client of a request.
    pub(super) fn reply_to(&self, index: u32, code: u16, options: Bytes, body: Frames) -> Reply {
        let record = &self.requests[index];
        let service = self.services[record.service].name.clone();
        Reply { service, id: record.id.clone(), asked: record.asked, code, options, body }
    }

    pub(super) fn is_told(&self, peer: PeerId, outcome: Outcome) -> bool {
        self.peers.client_ref(peer).is_some_and(|client| client.can.told.contains(outcome))
    }
}
