//! The peers: who is connected, what each can do, and the lists that begin at it.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::by_number::ByNumber;
use super::deferred::Deferred;
use crate::broker::config::Limits;
use crate::broker::io::Profile;
use crate::broker::keys::{KeyedState, Keys};
use crate::list::{Linked, Links, List};
use crate::wheel::TimerId;
use crate::{
    ClientCapabilities, Concurrency, Form, FramesView, Label, PeerId, Reply, RequestId, Role, Time,
    WorkerCapabilities,
};

/// A connected peer.
#[derive(Debug)]
pub(in crate::broker) struct Peer {
    pub(in crate::broker) id: PeerId,
    pub(in crate::broker) identity: Label,
    pub(in crate::broker) answers_probes: bool,
    /// Whether it has ever answered a probe.
    pub(in crate::broker) answered_probe: bool,
    /// When it was first probed, if it has shown no life since.
    pub(in crate::broker) probed: Option<Time>,
    /// When its last byte came.
    pub(in crate::broker) seen: Time,
    /// Fires when it has had its time to read what is more than may wait for it.
    pub(in crate::broker) stall_timer: Option<TimerId>,
    /// Whether as much waits to be written to it as may wait.
    pub(in crate::broker) above_high_water: bool,
    /// Number of reasons for which it is not read from.
    pub(in crate::broker) pauses: u32,
    pub(in crate::broker) identity_claim: Claim,
    /// Whether its handshake is done, where its dialect has one, and it was not sent away since.
    pub(in crate::broker) handshake_done: bool,
    /// How long it is silent at the most, where it says so itself.
    pub(in crate::broker) declared_interval: Option<Duration>,
    /// Bytes that a body and the options beside it may have for this peer.
    pub(in crate::broker) body_bytes_max: usize,
    pub(in crate::broker) side: SideState,
}

impl Peer {
    /// Whether its dialect has a handshake, and tells it why it is disconnected.
    #[inline]
    pub(in crate::broker) fn requires_handshake(&self) -> bool {
        match &self.side {
            SideState::Client(client) => client.can.greets,
            SideState::Worker(worker) => worker.can.greets,
        }
    }

    /// Whether it has to complete its handshake before anything else.
    #[inline]
    pub(in crate::broker) fn handshake_pending(&self) -> bool {
        !self.handshake_done && self.requires_handshake()
    }

    /// What its commands are held against.
    #[inline]
    pub(in crate::broker) fn standing(&self) -> Standing {
        let (handshake, worker) = match &self.side {
            SideState::Client(client) => (client.can.greets, None),
            SideState::Worker(worker) => (worker.can.greets, Some((worker.registered, worker.can))),
        };
        Standing { handshake_pending: handshake && !self.handshake_done, worker }
    }

    /// What it can be given to read.
    #[inline]
    pub(in crate::broker) fn reader(&self) -> Reader {
        let form = match &self.side {
            SideState::Client(client) => client.can.form,
            SideState::Worker(worker) => worker.can.form,
        };
        Reader { form, body_bytes_max: self.body_bytes_max }
    }

    pub(in crate::broker) fn as_client(&self) -> Option<&Client> {
        match &self.side {
            SideState::Client(client) => Some(client),
            SideState::Worker(_) => None,
        }
    }

    pub(in crate::broker) fn as_worker(&self) -> Option<&Worker> {
        match &self.side {
            SideState::Worker(worker) => Some(worker),
            SideState::Client(_) => None,
        }
    }
}

/// What the commands of a peer are held against.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Standing {
    /// Whether it has to complete its handshake before anything else.
    pub(in crate::broker) handshake_pending: bool,
    /// Whether it is registered and what it can do, where it is a worker.
    pub(in crate::broker) worker: Option<(bool, WorkerCapabilities)>,
}

/// What a peer can be given to read.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Reader {
    form: Form,
    body_bytes_max: usize,
}

impl Reader {
    /// Whether it can be given a body, as it is or translated, and these options beside it.
    #[inline(always)]
    pub(in crate::broker) fn takes(
        self,
        body: FramesView<'_>,
        options: &[u8],
        limits: &Limits,
    ) -> bool {
        let bytes = body.bytes();
        bytes + options.len() <= self.body_bytes_max
            && (body.form() == self.form || bytes <= limits.translate_bytes_max)
    }
}

/// How far a peer has come with the identity it gave itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Claim {
    /// Nobody disputes it.
    Settled,
    /// It owns it, and that other peer waits for it to show life, or not.
    ChallengedBy(PeerId),
    /// That other peer owns it and was probed; the timer says until when, until it fires.
    WaitsFor(PeerId, Option<TimerId>),
}

/// What is known of a peer by its role.
#[derive(Debug)]
pub(in crate::broker) enum SideState {
    Client(Client),
    Worker(Worker),
}

/// A client.
#[derive(Debug)]
pub(in crate::broker) struct Client {
    pub(in crate::broker) can: ClientCapabilities,
    /// Its requests in progress.
    pub(super) requests: List,
    pub(super) bytes: usize,
    /// Its requests by id, where its dialect has numbers for ids: made when one is asked for.
    pub(super) by_number: Option<ByNumber>,
    /// The number behind the highest that it has given a request: no higher one is in use.
    pub(super) next_number: u64,
    /// The service that it asked for last, which may be another by now.
    pub(in crate::broker) last_service: u32,
    /// Its request in an admission queue, if it has one there.
    pub(super) deferred: Option<Deferred>,
    pub(super) admission_links: Links,
    /// Requests whose turn came while it did not read.
    pub(super) suspended: List,
    /// Workers that are not read from until this client has read what they sent it.
    pub(in crate::broker) paused_workers: Vec<PeerId>,
    /// Whether the agenda has it among those whose deferred request may be admitted.
    pub(in crate::broker) admission_due: bool,
}

impl Client {
    /// Whether a request of `bytes` more is within the limits for one client. One that is too large
    /// for the limit of bytes is admitted alone.
    #[inline]
    pub(in crate::broker) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests.is_empty()
            || self.requests.len() < limits.client_requests_max
                && self.bytes + bytes <= limits.client_bytes_max
    }

    /// Its oldest request in progress.
    pub(in crate::broker) fn first_request(&self) -> Option<u32> {
        self.requests.first()
    }

    /// Its request in an admission queue.
    #[inline]
    pub(in crate::broker) fn deferred(&self) -> Option<&Deferred> {
        self.deferred.as_ref()
    }
}

/// A worker.
#[derive(Debug)]
pub(in crate::broker) struct Worker {
    pub(in crate::broker) can: WorkerCapabilities,
    /// Number of requests that it takes at once, by its last word since READY.
    pub(in crate::broker) concurrency: Concurrency,
    /// Number of requests that it may have in flight whatever it takes.
    pub(in crate::broker) in_flight_max: usize,
    /// Whether it has registered, and was not lost since.
    pub(in crate::broker) registered: bool,
    /// Its registrations, by index.
    pub(super) registrations: SmallVec<[u32; 1]>,
    /// Whether it is among the idle workers of its services.
    pub(super) is_idle: bool,
    /// Number of requests that it was given.
    pub(super) dispatched: u64,
    /// Requests that occupy a slot of it, orphans among them.
    pub(super) in_flight: List,
    /// Requests that wait for this worker and no other.
    pub(super) targeted: List,
    /// The request that it answered last, where it may go on about it.
    pub(in crate::broker) last_answered: Option<Box<Answered>>,
    /// When its last request left it.
    pub(super) idle_since: Time,
    pub(in crate::broker) heartbeat_sent: Time,
    pub(in crate::broker) liveness_timer: Option<TimerId>,
    /// Whether the agenda has it among those that may take a request.
    pub(in crate::broker) feed_due: bool,
}

/// A request that has ended, of which its worker may still speak.
#[derive(Debug)]
pub(in crate::broker) struct Answered {
    pub(in crate::broker) request: RequestId,
    pub(in crate::broker) client: PeerId,
    /// What every further reply to it begins with.
    pub(in crate::broker) head: Reply,
}

impl Worker {
    /// Whether it can take one more request, as far as its concurrency goes.
    #[inline]
    pub(in crate::broker) fn has_slot(&self) -> bool {
        let occupied = self.in_flight.len();
        self.concurrency.allows_beyond(occupied) && occupied < self.in_flight_max
    }

    /// Whether it is among the idle workers of its services.
    #[inline]
    pub(in crate::broker) fn is_idle(&self) -> bool {
        self.is_idle
    }

    pub(in crate::broker) fn registrations(&self) -> &[u32] {
        &self.registrations
    }

    /// Number of requests that occupy a slot of it.
    pub(in crate::broker) fn in_flight_len(&self) -> usize {
        self.in_flight.len()
    }

    /// The first request that waits for this worker and no other.
    pub(in crate::broker) fn first_targeted(&self) -> Option<u32> {
        self.targeted.first()
    }

    /// When its last request left it.
    pub(in crate::broker) fn idle_since(&self) -> Time {
        self.idle_since
    }

    /// How loaded it is: by requests in flight, then by requests it ever had.
    pub(super) fn load(&self) -> (u32, u64) {
        (self.in_flight.len() as u32, self.dispatched)
    }
}

/// All peers, under the index of their id.
#[derive(Debug)]
pub(in crate::broker) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    identities: HashMap<Label, PeerId, KeyedState>,
    count: usize,
}

impl Peers {
    pub(super) fn new(keys: Keys) -> Self {
        Self { slots: Vec::new(), identities: HashMap::with_hasher(keys.state()), count: 0 }
    }

    pub(in crate::broker) fn add(&mut self, now: Time, id: PeerId, profile: Profile) {
        let index = id.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        let side = match profile.role {
            Role::Client(can) => SideState::Client(Client {
                can,
                requests: List::EMPTY,
                bytes: 0,
                by_number: None,
                next_number: 0,
                last_service: 0,
                deferred: None,
                admission_links: Links::NONE,
                suspended: List::EMPTY,
                paused_workers: Vec::new(),
                admission_due: false,
            }),
            Role::Worker(can) => SideState::Worker(Worker {
                can,
                concurrency: can.concurrency,
                in_flight_max: usize::MAX,
                registered: false,
                registrations: SmallVec::new(),
                is_idle: false,
                dispatched: 0,
                in_flight: List::EMPTY,
                targeted: List::EMPTY,
                last_answered: None,
                idle_since: now,
                heartbeat_sent: now,
                liveness_timer: None,
                feed_due: false,
            }),
        };
        let peer = Peer {
            id,
            identity: profile.identity,
            answers_probes: profile.answers_probes,
            answered_probe: false,
            probed: None,
            seen: now,
            stall_timer: None,
            above_high_water: false,
            pauses: 0,
            identity_claim: Claim::Settled,
            handshake_done: false,
            declared_interval: None,
            body_bytes_max: usize::MAX,
            side,
        };
        debug_assert!(self.slots[index].is_none(), "the place of {id} is free");
        self.slots[index] = Some(Box::new(peer));
        self.count += 1;
    }

    pub(super) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        self.get(id)?;
        let peer = *self.slots[id.index as usize].take()?;
        if self.identities.get(&peer.identity) == Some(&id) {
            self.identities.remove(&peer.identity);
        }
        self.count -= 1;
        Some(peer)
    }

    #[inline]
    pub(in crate::broker) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.slots.get(id.index as usize)?.as_deref().filter(|peer| peer.id == id)
    }

    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.slots.get_mut(id.index as usize)?.as_deref_mut().filter(|peer| peer.id == id)
    }

    #[inline]
    pub(in crate::broker) fn client_mut(&mut self, id: PeerId) -> Option<&mut Client> {
        match &mut self.get_mut(id)?.side {
            SideState::Client(client) => Some(client),
            SideState::Worker(_) => None,
        }
    }

    #[inline]
    pub(in crate::broker) fn client(&self, id: PeerId) -> Option<&Client> {
        self.get(id)?.as_client()
    }

    #[inline]
    pub(in crate::broker) fn worker_mut(&mut self, id: PeerId) -> Option<&mut Worker> {
        match &mut self.get_mut(id)?.side {
            SideState::Worker(worker) => Some(worker),
            SideState::Client(_) => None,
        }
    }

    #[inline]
    pub(in crate::broker) fn worker(&self, id: PeerId) -> Option<&Worker> {
        self.get(id)?.as_worker()
    }

    /// The id of the peer at `index`, which is there.
    pub(super) fn id_at(&self, index: u32) -> PeerId {
        self.slots[index as usize].as_ref().expect("a peer is there").id
    }

    /// The owner of an identity.
    pub(in crate::broker) fn owner(&self, identity: &Label) -> Option<PeerId> {
        self.identities.get(identity).copied()
    }

    /// The peer of this name: an identity, or a name of ours for one that has none.
    pub(in crate::broker) fn named(&self, name: &[u8]) -> Option<PeerId> {
        // Ours first: nobody takes the name of another by an identity that looks like it.
        self.named_by_us(name).or_else(|| self.identities.get(name).copied())
    }

    fn named_by_us(&self, name: &[u8]) -> Option<PeerId> {
        let (index, generation) = str::from_utf8(name).ok()?.strip_prefix('p')?.split_once('.')?;
        let id = PeerId::new(index.parse().ok()?, generation.parse().ok()?);
        self.get(id).filter(|peer| text_of(&peer.identity).is_none()).map(|_| id)
    }

    /// The name by which others may ask for a peer: its identity, or one of ours where it has none
    /// that is text.
    pub(in crate::broker) fn name_of(&self, id: PeerId) -> String {
        let identity = self.get(id).and_then(|peer| text_of(&peer.identity));
        identity.map_or_else(|| id.to_string(), String::from)
    }

    /// Makes a peer the owner of an identity.
    pub(in crate::broker) fn own(&mut self, identity: Label, id: PeerId) {
        if !identity.is_empty() {
            self.identities.insert(identity, id);
        }
    }

    pub(in crate::broker) fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.slots.iter().flatten().map(|peer| peer.id)
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.count
    }

    /// Whether as much waits to be written to a peer as may wait.
    #[inline]
    pub(in crate::broker) fn is_above_high_water(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(|peer| peer.above_high_water)
    }
}

/// An identity that is text.
fn text_of(identity: &Label) -> Option<&str> {
    str::from_utf8(identity).ok().filter(|text| !text.is_empty())
}

/// The links of clients in an admission queue.
pub(super) struct InAdmission<'a>(pub(super) &'a mut Peers);

impl Linked for InAdmission<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        let id = self.0.id_at(index);
        &mut self.0.client_mut(id).expect("a client is in this list").admission_links
    }
}
