//! Room: which limit stands against a request, and the door at which the requests of clients wait
//! that cannot be told to come again.
//!
//! Such a client is not read from while its one request waits here, so what waits is at most one
//! message for each connection. There is a line for each limit, so that who waits for one does not
//! stand in the way of who waits for another.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::accounts::End;
use super::peers::{AtDoor, Claim};
use super::requests::Requests;
use super::services::Services;
use super::{Broker, CloseReason, Output, Refusal};
use crate::list::List;
use crate::{Outcome, PeerId, Request, Time};

/// A limit that stands against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Its client has as much in progress as a client may.
    Client,
    /// Its service has.
    Service(u32),
    /// There are as many names without workers as may be.
    Names,
    /// The whole broker has as much in progress as it may.
    All,
}

impl Obstacle {
    /// What a request is refused for that meets it.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Obstacle::Client => Refusal::Client,
            Obstacle::Service(_) => Refusal::Service,
            Obstacle::Names => Refusal::Names,
            Obstacle::All => Refusal::Broker,
        }
    }

    fn is_there(self, services: &Services) -> bool {
        match self {
            Obstacle::Service(index) => services.contains(index),
            Obstacle::Client | Obstacle::Names | Obstacle::All => true,
        }
    }
}

/// The lines of clients whose request waits; those for a service are with the service.
#[derive(Debug)]
pub(super) struct Door {
    names: List,
    all: List,
    held: usize,
    /// What the requests of these hold.
    bytes: usize,
    /// Where something ended since the door was last looked at.
    freed: bool,
    freed_services: Vec<u32>,
    freed_clients: Vec<PeerId>,
}

impl Door {
    pub(super) const fn new() -> Self {
        Self {
            names: List::EMPTY,
            all: List::EMPTY,
            held: 0,
            bytes: 0,
            freed: false,
            freed_services: Vec::new(),
            freed_clients: Vec::new(),
        }
    }

    /// A request for this service and of this client ended.
    pub(super) fn note_freed(&mut self, service: u32, client: PeerId) {
        if self.held > 0 {
            self.freed = true;
            self.freed_services.push(service);
            self.freed_clients.push(client);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }
}

impl Broker {
    /// The limit that stands against a request which has just come. Who comes after others that
    /// wait for the same limit waits too.
    pub(super) fn obstacle(
        &self,
        client: PeerId,
        request: &Request,
        service: Option<u32>,
    ) -> Option<Obstacle> {
        let in_line = |list: &List| !list.is_empty();
        if service.is_some_and(|service| in_line(&self.services[service].door)) {
            return service.map(Obstacle::Service);
        }
        if service.is_none() && in_line(&self.door.names) && self.is_unheard_of(request) {
            return Some(Obstacle::Names);
        }
        if in_line(&self.door.all) {
            return Some(Obstacle::All);
        }
        self.limit_reached(client, request, service)
    }

    /// Whether no worker serves what a request asks for.
    fn is_unheard_of(&self, request: &Request) -> bool {
        !self.services.is_offered(&request.service)
    }

    fn limit_reached(
        &self,
        client: PeerId,
        request: &Request,
        service: Option<u32>,
    ) -> Option<Obstacle> {
        let limits = &self.config.limits;
        let bytes = Requests::charge(request);
        if !self.peers.client_ref(client)?.has_room(limits, bytes) {
            return Some(Obstacle::Client);
        }
        match service {
            Some(index) if !self.services[index].has_room(limits, bytes) => {
                return Some(Obstacle::Service(index));
            }
            None if self.services.unoffered() >= limits.names_max
                && self.is_unheard_of(request) =>
            {
                return Some(Obstacle::Names);
            }
            _ => {}
        }
        (!self.requests.has_room(limits, bytes)).then_some(Obstacle::All)
    }

    /// Keeps a request at the door; its client is not read from until it is through.
    /// What waits there is bounded like what is in progress; beyond that the client is closed.
    pub(super) fn hold(
        &mut self,
        now: Time,
        peer: PeerId,
        mut request: Box<Request>,
        obstacle: Obstacle,
    ) {
        let bytes = self.door.bytes + Requests::charge(&request);
        if self.door.held > 0 && bytes > self.config.limits.request_bytes_max {
            self.pass(&request.service, End::Refused(Refusal::Door));
            return self.close(now, peer, CloseReason::NoMemory);
        }
        request.body = request.body.detached();
        request.options = super::dispatch::kept(&request.options);
        self.counters.held += 1;
        self.line_up(peer, request, obstacle, false);
        self.pause(peer);
    }

    fn line_up(&mut self, peer: PeerId, request: Box<Request>, obstacle: Obstacle, first: bool) {
        let Some(client) = self.peers.client(peer) else { return };
        self.door.held += 1;
        self.door.bytes += Requests::charge(&request);
        client.held = Some((request, obstacle));
        let Some(line) = line(&mut self.door, &mut self.services, obstacle) else { return };
        match first {
            true => line.push_front(&mut AtDoor(&mut self.peers), peer.index),
            false => line.push_back(&mut AtDoor(&mut self.peers), peer.index),
        }
    }

    /// Takes back what a client has at the door.
    pub(super) fn leave_door(&mut self, peer: PeerId) -> Option<(Box<Request>, Obstacle)> {
        let (request, obstacle) = self.peers.client(peer)?.held.take()?;
        self.door.held -= 1;
        self.door.bytes -= Requests::charge(&request);
        if let Some(line) = line(&mut self.door, &mut self.services, obstacle) {
            line.remove(&mut AtDoor(&mut self.peers), peer.index);
        }
        Some((request, obstacle))
    }

    /// Ends the request that a client has at the door.
    pub(super) fn end_held(&mut self, peer: PeerId, outcome: Outcome) {
        let Some((request, obstacle)) = self.leave_door(peer) else { return };
        self.pass(&request.service, End::As(outcome));
        // Who was behind it may fit where it did not.
        if self.door.held > 0 {
            self.door.freed = true;
            if let Obstacle::Service(service) = obstacle {
                self.door.freed_services.push(service);
            }
        }
    }

    /// A worker offers a service: the names that it serves are no longer among those that nobody
    /// does, and who waited with one of them need not wait in their line.
    pub(super) fn names_offered(&mut self, now: Time) {
        if self.door.held == 0 {
            return;
        }
        self.door.freed = true;
        let mut at = self.door.names.first();
        while let Some(index) = at {
            at = List::after(&mut AtDoor(&mut self.peers), index);
            let peer = self.peers.id_at(index);
            let held = self.peers.client_ref(peer).and_then(|client| client.held.as_ref());
            if held.is_some_and(|(request, _)| !self.is_unheard_of(request)) {
                self.let_in(now, peer);
            }
        }
    }

    /// Lets in who can come in now, after something ended.
    pub(super) fn open_door(&mut self, now: Time) {
        while core::mem::take(&mut self.door.freed) {
            for peer in core::mem::take(&mut self.door.freed_clients) {
                let waits_for_itself =
                    |(_, obstacle): &(_, Obstacle)| *obstacle == Obstacle::Client;
                let client = self.peers.client(peer);
                if client.and_then(|client| client.held.as_ref()).is_some_and(waits_for_itself) {
                    self.let_in(now, peer);
                }
            }
            for service in core::mem::take(&mut self.door.freed_services) {
                if self.services.contains(service) {
                    self.open_line(now, Obstacle::Service(service));
                    self.services.forget_unused(service);
                }
            }
            self.open_line(now, Obstacle::Names);
            self.open_line(now, Obstacle::All);
        }
    }

    /// Looks at every line: the limits themselves have changed.
    pub(super) fn open_all_lines(&mut self) {
        if self.door.held > 0 {
            self.door.freed = true;
            self.door.freed_services = self.services.indices();
            self.door.freed_clients = self.peers.ids().collect();
        }
    }

    fn open_line(&mut self, now: Time, obstacle: Obstacle) {
        // Who is let in may be done at once, and a service that nobody uses any more is forgotten.
        while obstacle.is_there(&self.services)
            && let Some(line) = line(&mut self.door, &mut self.services, obstacle)
            && let Some(first) = line.first()
        {
            let peer = self.peers.id_at(first);
            if !self.let_in(now, peer) {
                break;
            }
        }
    }

    /// Lets a client's request in, or moves it to the line of another limit. False where the same
    /// limit still stands.
    fn let_in(&mut self, now: Time, peer: PeerId) -> bool {
        let Some((mut request, before)) = self.leave_door(peer) else { return false };
        let service = self.services.find(&request.service);
        match self.limit_reached(peer, &request, service) {
            None => {
                let name_hash = self.requests.name_hash(peer, &request.id);
                self.take(now, peer, &mut request, service, name_hash);
                self.unpause(now, peer);
                true
            }
            Some(obstacle) => {
                self.line_up(peer, request, obstacle, obstacle == before);
                obstacle != before
            }
        }
    }

    /// Reads no more from a peer until each of its reasons is gone.
    pub(super) fn pause(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.pauses += 1;
        if peer.pauses == 1 {
            self.outputs.push_back(Output::Pause { peer: id });
            // A worker that cannot be heard could not be done with what it is given.
            self.unlist(id);
        }
    }

    pub(super) fn unpause(&mut self, now: Time, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.pauses -= 1;
        if peer.pauses == 0 {
            // Nobody could hear it meanwhile.
            peer.seen = now;
            let claim = peer.identity_claim;
            self.outputs.push_back(Output::Resume { peer: id });
            if let Claim::ChallengedBy(heir) = claim {
                self.restart_challenge(now, id, heir);
            }
            self.feed(now, id);
        }
    }
}

fn line<'a>(
    door: &'a mut Door,
    services: &'a mut Services,
    obstacle: Obstacle,
) -> Option<&'a mut List> {
    match obstacle {
        Obstacle::Client => None,
        Obstacle::Service(index) => Some(&mut services[index].door),
        Obstacle::Names => Some(&mut door.names),
        Obstacle::All => Some(&mut door.all),
    }
}

#[cfg(any(test, feature = "audit"))]
impl Door {
    pub(super) fn bytes_of(&self) -> usize {
        self.bytes
    }
}
