//! The checker's model of peers, services and requests.

use core::hash::{BuildHasherDefault, Hasher};
use core::time::Duration;
use std::collections::HashMap;

use majordomus_core::broker::{Balance, Config, Profile};
use majordomus_core::{
    ByteStr, ClientCapabilities, Concurrency, CorrelationId, Form, Outcome, PeerId, RequestId,
    Role, Time, WorkerCapabilities,
};

use super::request::{Place, Request, Uid};

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) identity: ByteStr,
    pub(crate) answers_probes: bool,
    pub(crate) answered: bool,
    /// The time of the first probe since its last sign of life.
    pub(crate) probed: Option<Time>,
    /// The latest sign of life that the checker is sure of: the broker's value is not earlier.
    pub(crate) seen: Time,
    /// The latest possible sign of life: the broker's value is not later.
    pub(crate) seen_late: Time,
    /// The step of its last message, and the step of its connection.
    pub(crate) spoke: u64,
    pub(crate) appeared: u64,
    pub(crate) paused: bool,
    /// The time until which it must read, if it is above its high-water mark.
    pub(crate) filled: Option<Time>,
    /// The time until which its identity is disputed.
    pub(crate) dispute: Option<Time>,
    /// True if its handshake is complete, if required, and it was not disconnected since.
    pub(crate) greeted: bool,
    /// Its declared heartbeat interval.
    pub(crate) pace: Option<Duration>,
    /// The largest body that it accepts, in bytes, including the options.
    pub(crate) body_bytes_max: usize,
    pub(crate) side: Side,
}

#[derive(Debug)]
pub(crate) enum Side {
    Client(Client),
    Worker(Worker),
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) can: ClientCapabilities,
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Its request in the admission queue.
    pub(crate) held: Option<Uid>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) can: WorkerCapabilities,
    /// The last declared concurrency, and the time of its declaration.
    pub(crate) takes: Concurrency,
    pub(crate) takes_since: Time,
    /// The maximum number of requests in flight, whatever the declared concurrency.
    pub(crate) hands_max: usize,
    /// True if it has sent READY and was not lost since.
    pub(crate) registered: bool,
    /// The registered services, each with the step of its registration.
    pub(crate) offers: Vec<(usize, u64)>,
    /// The services withdrawn since it registered.
    pub(crate) withdrawn: Vec<usize>,
    pub(crate) hands: Vec<Hand>,
    /// The time since which it has nothing in flight, and the latest such time that the broker may
    /// have.
    pub(crate) idle_since: Time,
    pub(crate) idle_late: Time,
    /// The time since which it has a request in flight, if it has one.
    pub(crate) busy_since: Time,
    pub(crate) heartbeat_sent: Time,
    /// The longest heartbeat interval in force since then.
    pub(crate) interval_max: Duration,
    /// Clients above their high-water mark to which this worker sends.
    pub(crate) feeds: Vec<PeerId>,
    /// The number of requests that it was given.
    pub(crate) given: u64,
    /// The step in which it became idle, or was given a request and still had a free slot: the
    /// latest possible step, and the earliest, because a slot may become free when its busy limit
    /// is over.
    pub(crate) free_since: Option<u64>,
    pub(crate) may_be_free_since: Option<u64>,
}

/// A request that occupies a slot of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand {
    pub(crate) uid: Uid,
    pub(crate) busy_until: Time,
}

impl Peer {
    pub(crate) fn new(
        now: Time,
        step: u64,
        id: PeerId,
        profile: &Profile,
        config: &Config,
    ) -> Self {
        let side = match profile.role {
            Role::Client(can) => Side::Client(Client { can, requests: 0, bytes: 0, held: None }),
            Role::Worker(can) => Side::Worker(Worker {
                can,
                takes: can.concurrency,
                takes_since: now,
                hands_max: usize::MAX,
                registered: false,
                offers: Vec::new(),
                withdrawn: Vec::new(),
                hands: Vec::new(),
                idle_since: now,
                idle_late: now,
                busy_since: now,
                heartbeat_sent: now,
                interval_max: config.heartbeat_interval,
                feeds: Vec::new(),
                given: 0,
                free_since: None,
                may_be_free_since: None,
            }),
        };
        Self {
            id,
            identity: profile.identity.clone(),
            answers_probes: profile.answers_probes,
            answered: false,
            probed: None,
            seen: now,
            seen_late: now,
            spoke: step,
            appeared: step,
            paused: false,
            filled: None,
            dispute: None,
            greeted: false,
            pace: None,
            body_bytes_max: usize::MAX,
            side,
        }
    }
}

impl Peer {
    /// Returns true if its dialect has a handshake and disconnect reasons.
    pub(crate) fn greets(&self) -> bool {
        match &self.side {
            Side::Client(client) => client.can.greets,
            Side::Worker(worker) => worker.can.greets,
        }
    }

    /// Returns true if its handshake is required and pending.
    pub(crate) fn is_unheard(&self) -> bool {
        self.greets() && !self.greeted
    }

    /// Returns true if it is a worker that has sent READY.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(&self.side, Side::Worker(worker) if worker.registered)
    }
}

impl Worker {
    /// Returns true if it certainly has a free slot.
    pub(crate) fn has_slot(&self) -> bool {
        self.has_room_beyond(self.hands.len())
    }

    /// Returns the latest possible step in which it became idle for a service that it offers.
    pub(crate) fn free_for_since(&self, service: usize) -> Option<u64> {
        let offer = self.offers.iter().find(|(offered, _)| *offered == service);
        Some(self.free_since?.max(offer?.1))
    }

    /// Returns true if it can accept another request beyond this number.
    pub(crate) fn has_room_beyond(&self, hands: usize) -> bool {
        self.takes.allows_beyond(hands) && hands < self.hands_max
    }

    /// Returns the number of requests that are certainly in flight. Requests beyond the busy limit
    /// may not be, but a worker that was told to cancel reports their end itself.
    pub(crate) fn busy(&self, now: Time) -> usize {
        self.hands.iter().filter(|hand| self.has(hand, now)).count()
    }

    /// Returns true if a request is certainly in flight at this worker.
    pub(crate) fn has_in_hand(&self, uid: Uid, now: Time) -> bool {
        self.hands.iter().any(|hand| hand.uid == uid && self.has(hand, now))
    }

    fn has(&self, hand: &Hand, now: Time) -> bool {
        self.can.cancel || hand.busy_until > now
    }

    /// Frees the slot of a request.
    pub(crate) fn let_go(&mut self, uid: Uid, since: Time, late: Time) {
        let before = self.hands.len();
        self.hands.retain(|hand| hand.uid != uid);
        if before > 0 && self.hands.is_empty() {
            (self.idle_since, self.idle_late) = (since, late);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: ByteStr,
    /// The number of workers that offer exactly this name.
    pub(crate) workers: usize,
    /// The other services that match it, best first, and whether any worker offers one.
    pub(crate) backers: Vec<usize>,
    pub(crate) offered: bool,
    pub(crate) unoffered_since: Option<Time>,
    /// The number of requests for other names that its workers were given since its last turn.
    pub(crate) passed_over: usize,
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// The number of its requests that are queued, and how many of these were rejected.
    pub(crate) waiting: usize,
    pub(crate) rejected: usize,
}

/// A hasher for well-distributed keys. It gives the same result in every run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

pub(crate) type FoldMap<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;

/// The checker's model of the running broker.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The peers, indexed by their id.
    pub(crate) peers: Vec<Option<Peer>>,
    pub(crate) peers_count: usize,
    pub(crate) services: Vec<Service>,
    pub(crate) requests: FoldMap<Uid, Request>,
    /// Requests in progress, in no particular order.
    pub(crate) live: Vec<Uid>,
    pub(crate) live_bytes: usize,
    pub(crate) held: usize,
    pub(crate) held_bytes: usize,
    pub(crate) by_id: FoldMap<RequestId, Uid>,
    /// The worker and request of each token.
    pub(crate) tokens: FoldMap<ByteStr, (PeerId, Uid)>,
}

impl Model {
    pub(crate) fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id.index as usize)?.as_ref().filter(|peer| peer.id == id)
    }

    pub(crate) fn peer_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(id.index as usize)?.as_mut().filter(|peer| peer.id == id)
    }

    pub(crate) fn client(&self, id: PeerId) -> Option<&Client> {
        match &self.peer(id)?.side {
            Side::Client(client) => Some(client),
            Side::Worker(_) => None,
        }
    }

    pub(crate) fn client_mut(&mut self, id: PeerId) -> Option<&mut Client> {
        match &mut self.peer_mut(id)?.side {
            Side::Client(client) => Some(client),
            Side::Worker(_) => None,
        }
    }

    pub(crate) fn worker(&self, id: PeerId) -> Option<&Worker> {
        match &self.peer(id)?.side {
            Side::Worker(worker) => Some(worker),
            Side::Client(_) => None,
        }
    }

    pub(crate) fn worker_mut(&mut self, id: PeerId) -> Option<&mut Worker> {
        match &mut self.peer_mut(id)?.side {
            Side::Worker(worker) => Some(worker),
            Side::Client(_) => None,
        }
    }

    /// Returns the body format of a peer.
    pub(crate) fn form(&self, id: PeerId) -> Form {
        self.peer(id).map_or(Form::Frames, |peer| match &peer.side {
            Side::Client(client) => client.can.form,
            Side::Worker(worker) => worker.can.form,
        })
    }

    /// Returns true if a peer accepts partial replies.
    pub(crate) fn takes_parts(&self, id: PeerId) -> bool {
        self.client(id).is_some_and(|client| client.can.partial_replies)
    }

    /// Returns true if a peer reads its messages.
    pub(crate) fn is_reading(&self, id: PeerId) -> bool {
        self.peer(id).is_some_and(|peer| peer.filled.is_none())
    }

    /// Returns the total number of registrations.
    pub(crate) fn offers(&self) -> usize {
        self.services.iter().map(|service| service.workers).sum()
    }

    pub(crate) fn all_peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().flatten()
    }

    pub(crate) fn add_peer(&mut self, peer: Peer) {
        let index = peer.id.index as usize;
        if index >= self.peers.len() {
            self.peers.resize_with(index + 1, || None);
        }
        self.peers[index] = Some(peer);
        self.peers_count += 1;
    }

    pub(crate) fn remove_peer(&mut self, id: PeerId) -> Option<Peer> {
        self.peer(id)?;
        self.peers_count -= 1;
        let gone = self.peers[id.index as usize].take();
        for peer in self.peers.iter_mut().flatten() {
            if let Side::Worker(worker) = &mut peer.side {
                worker.feeds.retain(|fed| *fed != id);
            }
        }
        gone
    }

    pub(crate) fn find_service(&self, name: &[u8]) -> Option<usize> {
        self.services.iter().position(|service| service.name.as_bytes() == name)
    }

    pub(crate) fn service(&mut self, name: &ByteStr) -> usize {
        self.find_service(name).unwrap_or_else(|| {
            self.services.push(Service {
                name: name.clone(),
                workers: 0,
                backers: Vec::new(),
                offered: false,
                unoffered_since: None,
                passed_over: 0,
                requests: 0,
                bytes: 0,
                waiting: 0,
                rejected: 0,
            });
            let at = self.services.len() - 1;
            self.look_who_serves(at, Time::ZERO);
            at
        })
    }

    /// Moves a request to a new place and updates the counters.
    pub(crate) fn place(&mut self, uid: Uid, place: Place) {
        let Some(request) = self.requests.get_mut(&uid) else { return };
        let before = core::mem::replace(&mut request.place, place);
        let rejected = request.is_rejected();
        let service = &mut self.services[request.service];
        if before == Place::Waiting {
            service.waiting -= 1;
            service.rejected -= usize::from(rejected);
        }
        if place == Place::Waiting {
            service.waiting += 1;
            service.rejected += usize::from(rejected);
        }
    }

    /// Changes the bytes charged for a request.
    pub(crate) fn recharge(&mut self, uid: Uid, charged: usize) {
        let Some(request) = self.requests.get_mut(&uid) else { return };
        let before = core::mem::replace(&mut request.charged, charged);
        let (client, service) = (request.client, request.service);
        self.live_bytes = self.live_bytes - before + charged;
        self.services[service].bytes = self.services[service].bytes - before + charged;
        if let Some(client) = self.client_mut(client) {
            client.bytes = client.bytes - before + charged;
        }
    }

    /// Accepts a request.
    pub(crate) fn admit(&mut self, uid: Uid) {
        let Some(request) = self.requests.get(&uid) else { return };
        let (client, service, charged) = (request.client, request.service, request.charged);
        let named = !request.id.is_none() && self.called(client, &request.id).is_none();
        if let Some(request) = self.requests.get_mut(&uid) {
            request.named = named;
        }
        self.place(uid, Place::Waiting);
        self.live.push(uid);
        self.live_bytes += charged;
        self.services[service].requests += 1;
        self.services[service].bytes += charged;
        if let Some(client) = self.client_mut(client) {
            client.requests += 1;
            client.bytes += charged;
        }
    }

    /// Ends a request.
    pub(crate) fn end(&mut self, uid: Uid, outcome: Outcome) {
        let Some(request) = self.requests.get(&uid) else { return };
        let (client, service, charged) = (request.client, request.service, request.charged);
        self.place(uid, Place::Ended(outcome));
        if let Some(at) = self.live.iter().position(|live| *live == uid) {
            self.live.swap_remove(at);
        }
        self.live_bytes -= charged;
        self.services[service].requests -= 1;
        self.services[service].bytes -= charged;
        if let Some(client) = self.client_mut(client) {
            client.requests -= 1;
            client.bytes -= charged;
        }
    }

    /// Returns true if every worker that serves a request's name has rejected it.
    pub(crate) fn all_rejected(&self, request: &Request) -> bool {
        self.all_peers().all(|peer| match &peer.side {
            Side::Worker(worker) => {
                self.best_offer(worker, request.service).is_none()
                    || request.rejection.by.contains(&peer.id)
            }
            Side::Client(_) => true,
        })
    }

    /// Returns the peer that owns an identity.
    pub(crate) fn owner(&self, identity: &ByteStr) -> Option<PeerId> {
        let owns = |peer: &&Peer| peer.identity == *identity && peer.dispute.is_none();
        let owner = self.all_peers().find(owns).filter(|_| !identity.is_empty());
        owner.map(|peer| peer.id)
    }

    /// Returns the request in progress with this id of this client.
    pub(crate) fn called(&self, client: PeerId, id: &CorrelationId) -> Option<Uid> {
        let meant = |uid: &&Uid| {
            let request = &self.requests[*uid];
            request.named && request.client == client && request.id == *id
        };
        self.live.iter().find(meant).copied()
    }

    /// Returns the number of services in use, and of these the number without a worker. Names that
    /// only requests in the admission queue use are not counted.
    pub(crate) fn names(&self) -> (usize, usize) {
        let used = |service: &&Service| service.workers > 0 || service.requests > 0;
        let all = self.services.iter().filter(used).count();
        let unoffered = self.services.iter().filter(used).filter(|service| !service.offered);
        (all, unoffered.count())
    }
}

/// Returns a service's timings: the maximum time in the queue and at a worker.
pub(crate) fn timings(config: &Config, name: &ByteStr) -> (Duration, Duration) {
    let own = config.services.iter().find(|own| own.name == *name);
    (
        own.and_then(|own| own.wait_timeout).unwrap_or(config.wait_timeout),
        own.and_then(|own| own.busy_timeout).unwrap_or(config.busy_timeout),
    )
}

/// Returns true if requests for a name are coalesced.
pub(crate) fn shares(config: &Config, name: &ByteStr) -> bool {
    config.services.iter().find(|own| own.name == *name).is_some_and(|own| own.share)
}

/// Returns the balancing policy of a name.
pub(crate) fn balance(config: &Config, name: &ByteStr) -> Balance {
    let own = config.services.iter().find(|own| own.name == *name);
    own.and_then(|own| own.balance).unwrap_or(config.balance)
}
