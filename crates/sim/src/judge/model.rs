//! What the judge knows: its own picture of peers, services and requests.

use core::hash::{BuildHasherDefault, Hasher};
use core::time::Duration;
use std::collections::HashMap;

use majordomus_core::broker::{Config, Profile, REQUEST_BYTES};
use majordomus_core::{
    ClientCapabilities, Concurrency, Frames, Label, Outcome, PeerId, RequestId, Role, Time,
    Timeout, WorkerCapabilities,
};

/// The number of a request: the first eight bytes of its body.
pub type Uid = u64;

/// The number in a body; nothing where it has none.
pub(crate) fn uid_of(body: &Frames) -> Option<Uid> {
    body.get(0)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) identity: Label,
    pub(crate) answers_probes: bool,
    pub(crate) answered: bool,
    /// When it was first asked for life since it last showed any.
    pub(crate) probed: Option<Time>,
    /// When it last showed life: not later than the broker may think.
    pub(crate) seen: Time,
    /// The same: not earlier.
    pub(crate) seen_late: Time,
    /// The step in which it last showed life by itself, and that in which it appeared.
    pub(crate) spoke: u64,
    pub(crate) appeared: u64,
    pub(crate) paused: bool,
    /// Until when it has to read, where it is full.
    pub(crate) filled: Option<Time>,
    /// Until when its identity is disputed.
    pub(crate) dispute: Option<Time>,
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
    /// Its request at the door.
    pub(crate) held: Option<Uid>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) can: WorkerCapabilities,
    /// How many requests it takes at once, as it said last; and since when.
    pub(crate) takes: Concurrency,
    pub(crate) takes_since: Time,
    /// Which of the services it offers.
    pub(crate) service: Option<usize>,
    pub(crate) hands: Vec<Hand>,
    /// Since when it has had nothing in hand; and the latest that the broker may think.
    pub(crate) idle_since: Time,
    pub(crate) idle_late: Time,
    /// Since when it has had something in hand, where it has.
    pub(crate) busy_since: Time,
    pub(crate) heartbeat_sent: Time,
    /// The longest interval that was in force since.
    pub(crate) interval_max: Duration,
    /// Full clients that it feeds.
    pub(crate) feeds: Vec<PeerId>,
    /// How many requests it was given.
    pub(crate) given: u64,
}

/// A request that takes a slot of a worker.
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
                service: None,
                hands: Vec::new(),
                idle_since: now,
                idle_late: now,
                busy_since: now,
                heartbeat_sent: now,
                interval_max: config.heartbeat_interval,
                feeds: Vec::new(),
                given: 0,
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
            side,
        }
    }
}

impl Worker {
    /// Whether it has a slot that is free without doubt.
    pub(crate) fn has_slot(&self) -> bool {
        self.takes.allows_beyond(self.hands.len())
    }

    /// Takes what stands for a request out of its hands.
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
    pub(crate) name: Label,
    pub(crate) workers: usize,
    pub(crate) unoffered_since: Option<Time>,
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Of these requests, how many wait for a worker; and of those, how many were rejected.
    pub(crate) waiting: usize,
    pub(crate) rejected: usize,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not taken in: on its way, at the door, or refused.
    Outside,
    Waiting,
    At(PeerId),
    Ended(Outcome),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) place: Place,
    pub(crate) client: PeerId,
    pub(crate) service: usize,
    pub(crate) id: Label,
    /// Whether its client can speak of it: it has an id that no other had when it came.
    pub(crate) named: bool,
    pub(crate) options: Vec<u8>,
    /// The note of its body.
    pub(crate) note: u8,
    pub(crate) timeout: Timeout,
    pub(crate) redeliver: bool,
    pub(crate) deadline: Time,
    pub(crate) waiting_since: Time,
    pub(crate) attempts: u32,
    pub(crate) part_sent: bool,
    /// Whether its final reply, or the word that there is none, went out.
    pub(crate) told: bool,
    pub(crate) charged: usize,
    pub(crate) body_bytes: usize,
    pub(crate) collected: Vec<Frames>,
    pub(crate) collected_bytes: usize,
    pub(crate) rejection: Rejection,
}

impl Request {
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.place, Place::Waiting | Place::At(_))
    }

    /// Whether somebody has rejected it.
    pub(crate) fn is_rejected(&self) -> bool {
        !self.rejection.by.is_empty()
    }

    pub(crate) fn charge(request: &majordomus_core::Request) -> usize {
        request.body.bytes() + request.options.len() + REQUEST_BYTES
    }
}

/// What is known of the rejections of a request.
#[derive(Debug, Default)]
pub(crate) struct Rejection {
    /// Who rejected it.
    pub(crate) by: Vec<PeerId>,
    /// What the last of them said, where that is kept.
    pub(crate) error: Frames,
    pub(crate) options: Vec<u8>,
    /// Since when it has waited and all workers that are there have rejected it.
    pub(crate) by_all_since: Option<Time>,
    /// When that was so for the first time since it began to wait.
    pub(crate) by_all_first: Option<Time>,
    /// The longest `reject_wait` that was in force since.
    pub(crate) wait_max: Duration,
}

impl Rejection {
    /// What it is counted as.
    pub(crate) fn bytes(&self) -> usize {
        let frames = majordomus_core::broker::FRAME_BYTES * self.error.len();
        self.error.bytes() + frames + self.options.len()
    }

    /// It begins to wait for another worker.
    pub(crate) fn wait(&mut self, wait: Duration) {
        (self.by_all_since, self.by_all_first, self.wait_max) = (None, None, wait);
    }
}

/// A hasher for keys that are spread already, the same in every run.
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

/// Everything the judge knows of the broker that runs.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Under the index of their id.
    pub(crate) peers: Vec<Option<Peer>>,
    pub(crate) peers_count: usize,
    pub(crate) services: Vec<Service>,
    pub(crate) requests: FoldMap<Uid, Request>,
    /// Requests in progress, in no order.
    pub(crate) live: Vec<Uid>,
    pub(crate) live_bytes: usize,
    pub(crate) held: usize,
    pub(crate) held_bytes: usize,
    pub(crate) by_id: FoldMap<RequestId, Uid>,
    /// Which worker was given which token for which request.
    pub(crate) tokens: FoldMap<Label, (PeerId, Uid)>,
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

    pub(crate) fn service(&mut self, name: &Label) -> usize {
        self.find_service(name).unwrap_or_else(|| {
            self.services.push(Service {
                name: name.clone(),
                workers: 0,
                unoffered_since: None,
                requests: 0,
                bytes: 0,
                waiting: 0,
                rejected: 0,
            });
            self.services.len() - 1
        })
    }

    /// Moves a request, and counts it where it is.
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

    /// Counts a request as so many bytes.
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

    /// Takes a request in.
    pub(crate) fn admit(&mut self, uid: Uid) {
        let Some(request) = self.requests.get(&uid) else { return };
        let (client, service, charged) = (request.client, request.service, request.charged);
        let named = !request.id.is_empty() && self.called(client, &request.id).is_none();
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

    /// Whether every worker that offers the service of a request has rejected it.
    pub(crate) fn all_rejected(&self, request: &Request) -> bool {
        self.all_peers().all(|peer| match &peer.side {
            Side::Worker(worker) => {
                worker.service != Some(request.service) || request.rejection.by.contains(&peer.id)
            }
            Side::Client(_) => true,
        })
    }

    /// The peer that owns an identity.
    pub(crate) fn owner(&self, identity: &Label) -> Option<PeerId> {
        let owns = |peer: &&Peer| peer.identity == *identity && peer.dispute.is_none();
        let owner = self.all_peers().find(owns).filter(|_| !identity.is_empty());
        owner.map(|peer| peer.id)
    }

    /// The request in progress that a client means by this id.
    pub(crate) fn called(&self, client: PeerId, id: &Label) -> Option<Uid> {
        let meant = |uid: &&Uid| {
            let request = &self.requests[*uid];
            request.named && request.client == client && request.id == *id
        };
        self.live.iter().find(meant).copied()
    }

    /// The services that somebody uses, and those of them that no worker offers. Names of which
    /// only requests at the door speak are not among them.
    pub(crate) fn names(&self) -> (usize, usize) {
        let used = |service: &&Service| service.workers > 0 || service.requests > 0;
        let all = self.services.iter().filter(used).count();
        let offered = self.services.iter().filter(|service| service.workers > 0).count();
        (all, all - offered)
    }
}

/// The timings in force for a service: waiting and running.
pub(crate) fn timings(config: &Config, name: &Label) -> (Duration, Duration) {
    let own = config.services.iter().find(|own| own.name == *name);
    (
        own.and_then(|own| own.wait_timeout).unwrap_or(config.wait_timeout),
        own.and_then(|own| own.busy_timeout).unwrap_or(config.busy_timeout),
    )
}
