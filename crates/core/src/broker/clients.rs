//! What clients say.

use alloc::boxed::Box;

use super::config::SERVICE_NAME_BYTES_MAX;
use super::peers::SideState;
use super::requests::{OfClient, Record, Requests, State};
use super::{Broker, Event, Input, Offence, Output, Sign, mmi};
use crate::frames::Retained;
use crate::list::{Links, List};
use crate::{
    Frames, FromClient, Label, Outcome, PeerId, Redelivery, Reply, Request, Time, Timeout, ToClient,
};

impl Broker {
    pub(super) fn heard_client(&mut self, now: Time, peer: PeerId, command: FromClient) {
        match self.peers.get(peer).map(|peer| &peer.side) {
            None => return,
            Some(SideState::Worker(_)) => return self.handle(now, Input::Malformed { peer }),
            Some(SideState::Client(_)) => self.alive(now, peer, Sign::Bytes),
        }
        match command {
            FromClient::Request(request) => self.request(now, peer, request),
            FromClient::Heartbeat => self.tell_client(peer, ToClient::Heartbeat),
            FromClient::Cancel { id } => self.cancel(peer, &id),
        }
    }

    fn request(&mut self, now: Time, peer: PeerId, request: Request) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            return self.offend(now, peer, Offence::BadName);
        }
        if self.shut_down {
            return self.refuse(peer, request, Outcome::ShutDown);
        }
        if request.service.starts_with(mmi::PREFIX) {
            return self.answer_mmi(peer, &request);
        }
        let known = self.services.find(&request.service);
        let Some(obstacle) = self.obstacle(peer, &request, known) else {
            return self.take(now, peer, request, known);
        };
        let Some(client) = self.peers.client(peer) else { return };
        if client.can.told.contains(Outcome::Refused) || client.held.is_some() {
            self.refuse(peer, request, Outcome::Refused);
        } else {
            self.hold(now, peer, Box::new(request), obstacle);
        }
    }

    /// Ends a request that is not taken at all.
    fn refuse(&mut self, peer: PeerId, request: Request, outcome: Outcome) {
        self.counters.receive();
        self.counters.end(outcome);
        if self.is_told(peer, outcome) {
            let Request { service, id, .. } = request;
            let reply = Reply { service, id, body: Frames::empty() };
            self.tell_client(peer, ToClient::Failed(outcome, reply));
        }
    }

    /// Takes a request in: it goes to a worker, or waits for one.
    pub(super) fn take(&mut self, now: Time, peer: PeerId, request: Request, known: Option<u32>) {
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
        // Where a worker is free nobody waits, but whose client does not read.
        let reads = self.peers.get(peer).is_some_and(|peer| peer.filled.is_none());
        let at_once = reads && !self.services[service].free.is_empty();
        // A body that is sent at once and never again need not be kept.
        let body =
            if redeliver || !at_once { Retained::keep(&request.body) } else { Retained::NOTHING };
        let charged = Requests::charge(&request.body);
        let index = self.requests.insert(Record {
            state: State::Waiting,
            client: peer,
            service,
            place: Links::NONE,
            of_client: Links::NONE,
            received: now,
            waiting_since: now,
            deadline: match request.timeout {
                Timeout::OfService => now.after(self.services[service].timings.wait),
                Timeout::Never => Time::NEVER,
                Timeout::After(span) => now.after(span),
            },
            busy_until: Time::NEVER,
            timer: None,
            timer_due: Time::NEVER,
            timeout: request.timeout,
            attempts: 0,
            redeliver,
            part_sent: false,
            id: request.id,
            body,
            collected: alloc::vec::Vec::new(),
            collected_bytes: 0,
            charged,
        });
        let Some(client) = self.peers.client(peer) else { return };
        client.requests.push_back(&mut OfClient(&mut self.requests), index);
        client.bytes += charged;
        let entry = &mut self.services[service];
        entry.requests += 1;
        entry.bytes += charged;
        self.counters.receive();
        if self.config.request_events {
            self.outputs.push_back(Output::Event(Event::Received {
                request: self.requests.id(index),
                client: peer,
                service: request.service,
            }));
        }
        if at_once {
            self.dispatch_fresh(now, index, request.body);
        } else {
            self.wait(now, index);
            self.dispatch(now, service);
        }
    }

    fn cancel(&mut self, peer: PeerId, id: &Label) {
        let Some(client) = self.peers.client(peer) else { return };
        let mut at = client.requests.first();
        while let Some(index) = at {
            if self.requests[index].id == *id {
                return self.end_and_tell_worker(index, Outcome::Cancelled);
            }
            at = List::after(&mut OfClient(&mut self.requests), index);
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

    pub(super) fn tell_client(&mut self, peer: PeerId, command: ToClient) {
        self.outputs.push_back(Output::ToClient { peer, command });
    }

    /// Tells a client how its request ended, where it can be told.
    pub(super) fn tell_failure(&mut self, index: u32, outcome: Outcome, body: Frames) {
        let record = &self.requests[index];
        if self.is_told(record.client, outcome) {
            let service = self.services[record.service].name.clone();
            let reply = Reply { service, id: record.id.clone(), body };
            self.tell_client(record.client, ToClient::Failed(outcome, reply));
        }
    }

    fn is_told(&self, peer: PeerId, outcome: Outcome) -> bool {
        self.peers.client_ref(peer).is_some_and(|client| client.can.told.contains(outcome))
    }
}
