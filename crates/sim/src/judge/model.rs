//! What the judge knows: its own picture of peers, services and requests.

use core::hash::{BuildHasherDefault, Hasher};
use core::time::Duration;
use std::collections::HashMap;

use majordomus_core::broker::{Balance, Config, Profile};
use majordomus_core::{
    ClientCapabilities, Concurrency, CorrelationId, Form, Label, Outcome, PeerId, RequestId, Role,
    Time, WorkerCapabilities,
};

use super::request::{Place, Request, Uid};

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
    /// Whether it was welcomed, where it has to be, and was not sent away since.
    pub(crate) greeted: bool,
    /// How long it is silent at the most, as it says itself.
    pub(crate) pace: Option<Duration>,
    /// How many bytes a body may have that it is given, with what stands beside it.
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
    /// Its request at the door.
    pub(crate) held: Option<Uid>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) can: WorkerCapabilities,
    /// How many requests it takes at once, as it said last; and since when.
    pub(crate) takes: Concurrency,
    pub(crate) takes_since: Time,
    /// How many it may have in hand whatever it takes.
    pub(crate) hands_max: usize,
    /// Whether it has said READY, and was not lost since.
    pub(crate) registered: bool,
    /// The services that it offers, each with the step since which it does.
    pub(crate) offers: Vec<(usize, u64)>,
    /// Those that it has withdrawn since it registered.
    pub(crate) withdrawn: Vec<usize>,
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
    /// In which step it got free, or was given something and stayed free: at the latest, and at the
    /// earliest, as a slot may be free when its busy limit is over.
    pub(crate) free_since: Option<u64>,
    pub(crate) may_be_free_since: Option<u64>,
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
    /// Whether it begins with HELLO, and is told why it ends.
    pub(crate) fn greets(&self) -> bool {
        match &self.side {
            Side::Client(client) => client.can.greets,
            Side::Worker(worker) => worker.can.greets,
        }
    }

    /// Whether it has to say HELLO before it is heard.
    pub(crate) fn is_unheard(&self) -> bool {
        self.greets() && !self.greeted
    }

    /// Whether it is a worker that has said READY.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(&self.side, Side::Worker(worker) if worker.registered)
    }
}

impl Worker {
    /// Whether it has a slot that is free without doubt.
    pub(crate) fn has_slot(&self) -> bool {
        self.has_room_beyond(self.hands.len())
    }

    /// In which step it got free for a service that it offers, at the latest.
    pub(crate) fn free_for_since(&self, service: usize) -> Option<u64> {
        let offer = self.offers.iter().find(|(offered, _)| *offered == service);
        Some(self.free_since?.max(offer?.1))
    }

    /// Whether it can be given one more than so many.
    pub(crate) fn has_room_beyond(&self, hands: usize) -> bool {
        self.takes.allows_beyond(hands) && hands < self.hands_max
    }

    /// How many requests it has in hand without doubt. What is over the busy limit it may have no longer,
    /// but one that is told to cancel says itself when it is done.
    pub(crate) fn busy(&self, now: Time) -> usize {
        self.hands.iter().filter(|hand| self.has(hand, now)).count()
    }

    /// Whether it has a request in hand without doubt.
    pub(crate) fn has_in_hand(&self, uid: Uid, now: Time) -> bool {
        self.hands.iter().any(|hand| hand.uid == uid && self.has(hand, now))
    }

    fn has(&self, hand: &Hand, now: Time) -> bool {
        self.can.cancel || hand.busy_until > now
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
    /// Workers that offer exactly this.
    pub(crate) workers: usize,
    /// Which others serve it too, the best first; and whether anybody does.
    pub(crate) backers: Vec<usize>,
    pub(crate) offered: bool,
    pub(crate) unoffered_since: Option<Time>,
    /// How many requests for other names its workers were given since it had its turn.
    pub(crate) passed_over: usize,
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Of these requests, how many wait for a worker; and of those, how many were rejected.
    pub(crate) waiting: usize,
    pub(crate) rejected: usize,
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

    /// How the bodies are written that a peer reads.
    pub(crate) fn form(&self, id: PeerId) -> Form {
        self.peer(id).map_or(Form::Frames, |peer| match &peer.side {
            Side::Client(client) => client.can.form,
            Side::Worker(worker) => worker.can.form,
        })
    }

    /// Whether a peer takes replies in parts.
    pub(crate) fn takes_parts(&self, id: PeerId) -> bool {
        self.client(id).is_some_and(|client| client.can.partial_replies)
    }

    /// Whether a peer reads what it is sent.
    pub(crate) fn is_reading(&self, id: PeerId) -> bool {
        self.peer(id).is_some_and(|peer| peer.filled.is_none())
    }

    /// How many services all workers offer together.
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

    pub(crate) fn service(&mut self, name: &Label) -> usize {
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

    /// Whether every worker that serves the name of a request has rejected it.
    pub(crate) fn all_rejected(&self, request: &Request) -> bool {
        self.all_peers().all(|peer| match &peer.side {
            Side::Worker(worker) => {
                self.best_offer(worker, request.service).is_none()
                    || request.rejection.by.contains(&peer.id)
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
    pub(crate) fn called(&self, client: PeerId, id: &CorrelationId) -> Option<Uid> {
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
        let unoffered = self.services.iter().filter(used).filter(|service| !service.offered);
        (all, unoffered.count())
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

/// Whether equal requests for a name share an answer.
pub(crate) fn shares(config: &Config, name: &Label) -> bool {
    config.services.iter().find(|own| own.name == *name).is_some_and(|own| own.share)
}

/// How the workers that offer a name are balanced.
pub(crate) fn balance(config: &Config, name: &Label) -> Balance {
    let own = config.services.iter().find(|own| own.name == *name);
    own.and_then(|own| own.balance).unwrap_or(config.balance)
}
