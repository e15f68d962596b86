//! Connected peers: capabilities, liveness state, and lists of their requests.

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
    ByteStr, ClientCapabilities, Concurrency, Form, FramesView, PeerId, Reply, RequestId, Role,
    Time, WorkerCapabilities,
};

/// A connected peer.
#[derive(Debug)]
pub(in crate::broker) struct Peer {
    pub(in crate::broker) id: PeerId,
    pub(in crate::broker) identity: ByteStr,
    pub(in crate::broker) answers_probes: bool,
    /// True if it has ever answered a probe.
    pub(in crate::broker) answered_probe: bool,
    /// The time of the first probe since the peer last showed liveness.
    pub(in crate::broker) probed: Option<Time>,
    /// The time at which its last bytes arrived.
    pub(in crate::broker) seen: Time,
    /// Fires if the peer is above its high-water mark, or has an oversized message pending, for the
    /// stall timeout.
    pub(in crate::broker) stall_timer: Option<TimerId>,
    /// True while it is above its high-water mark.
    pub(in crate::broker) above_high_water: bool,
    /// The number of reasons for which it is paused.
    pub(in crate::broker) pauses: u32,
    pub(in crate::broker) identity_claim: Claim,
    /// True if its dialect has a handshake, the handshake is done, and the peer was not
    /// disconnected since.
    pub(in crate::broker) handshake_done: bool,
    /// The heartbeat interval that it declared, if any.
    pub(in crate::broker) declared_interval: Option<Duration>,
    /// The maximum bytes of a body and its options that this peer accepts.
    pub(in crate::broker) body_bytes_max: usize,
    pub(in crate::broker) side: SideState,
}

impl Peer {
    /// Returns true if its dialect has a handshake and a disconnect reason.
    #[inline]
    pub(in crate::broker) fn requires_handshake(&self) -> bool {
        match &self.side {
            SideState::Client(client) => client.can.greets,
            SideState::Worker(worker) => worker.can.greets,
        }
    }

    /// Returns true if it must complete its handshake before any other command.
    #[inline]
    pub(in crate::broker) fn handshake_pending(&self) -> bool {
        !self.handshake_done && self.requires_handshake()
    }

    /// Returns the state that its commands are checked against.
    #[inline]
    pub(in crate::broker) fn standing(&self) -> Standing {
        let (handshake, worker) = match &self.side {
            SideState::Client(client) => (client.can.greets, None),
            SideState::Worker(worker) => (worker.can.greets, Some((worker.registered, worker.can))),
        };
        Standing { handshake_pending: handshake && !self.handshake_done, worker }
    }

    /// Returns the limits of the messages that it can receive.
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

/// The state that a peer's commands are checked against.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Standing {
    /// True if the peer must complete its handshake before any other command.
    pub(in crate::broker) handshake_pending: bool,
    /// For a worker, true if it is registered, and its capabilities.
    pub(in crate::broker) worker: Option<(bool, WorkerCapabilities)>,
}

/// The limits of the messages that a peer can receive.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Reader {
    form: Form,
    body_bytes_max: usize,
}

impl Reader {
    /// Returns true if the peer can receive a body, translated if necessary, with these options.
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

/// The state of a peer's claim to its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Claim {
    /// The identity is not disputed.
    Settled,
    /// The peer owns the identity. The other peer claims it and waits for the owner to show
    /// liveness or time out.
    ChallengedBy(PeerId),
    /// The other peer owns the identity and was probed. The timer is `None` once it has fired.
    WaitsFor(PeerId, Option<TimerId>),
}

/// A peer's state that depends on its role.
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
    /// Its requests by numeric id; built when a request is first looked up.
    pub(super) by_number: Option<ByNumber>,
    /// One more than its highest request number so far: no number from here on is in use.
    pub(super) next_number: u64,
    /// The service of its last request; the index may be in use by another service now.
    pub(in crate::broker) last_service: u32,
    /// Its deferred request, if any.
    pub(super) deferred: Option<Deferred>,
    pub(super) admission_links: Links,
    /// Its suspended requests, which could have been dispatched while it did not read.
    pub(super) suspended: List,
    /// Workers that are paused until this client has read their messages.
    pub(in crate::broker) paused_workers: Vec<PeerId>,
    /// True while the agenda has an admission for this client.
    pub(in crate::broker) admission_due: bool,
}

impl Client {
    /// Returns true if a request of `bytes` fits within the limits of one client. A request above
    /// the byte limit is admitted if the client has no other request in progress.
    #[inline]
    pub(in crate::broker) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests.is_empty()
            || self.requests.len() < limits.client_requests_max
                && self.bytes + bytes <= limits.client_bytes_max
    }

    /// Returns its oldest request in progress.
    pub(in crate::broker) fn first_request(&self) -> Option<u32> {
        self.requests.first()
    }

    /// Returns its deferred request.
    #[inline]
    pub(in crate::broker) fn deferred(&self) -> Option<&Deferred> {
        self.deferred.as_ref()
    }
}

/// A worker.
#[derive(Debug)]
pub(in crate::broker) struct Worker {
    pub(in crate::broker) can: WorkerCapabilities,
    /// The number of requests that it accepts at once, as of its last message.
    pub(in crate::broker) concurrency: Concurrency,
    /// The maximum number of requests in flight, regardless of its concurrency.
    pub(in crate::broker) in_flight_max: usize,
    /// True if it has registered, and was not lost since.
    pub(in crate::broker) registered: bool,
    /// Its registrations, by index.
    pub(super) registrations: SmallVec<[u32; 1]>,
    /// True while it is in the lists of idle workers of its services.
    pub(super) is_idle: bool,
    /// The number of requests dispatched to it.
    pub(super) dispatched: u64,
    /// Requests that occupy its slots, including orphaned requests.
    pub(super) in_flight: List,
    /// Waiting requests that target this worker.
    pub(super) targeted: List,
    /// The last request that it answered, if further replies to it may follow.
    pub(in crate::broker) last_answered: Option<Box<Answered>>,
    /// The time at which it last became free of requests.
    pub(super) idle_since: Time,
    pub(in crate::broker) heartbeat_sent: Time,
    pub(in crate::broker) liveness_timer: Option<TimerId>,
    /// True while the agenda has a dispatch to this worker.
    pub(in crate::broker) feed_due: bool,
}

/// An ended request that its worker may still send replies to.
#[derive(Debug)]
pub(in crate::broker) struct Answered {
    pub(in crate::broker) request: RequestId,
    pub(in crate::broker) client: PeerId,
    /// The head of every further reply.
    pub(in crate::broker) head: Reply,
}

impl Worker {
    /// Returns true if it has a free slot.
    #[inline]
    pub(in crate::broker) fn has_slot(&self) -> bool {
        let occupied = self.in_flight.len();
        self.concurrency.allows_beyond(occupied) && occupied < self.in_flight_max
    }

    /// Returns true if it is in the lists of idle workers of its services.
    #[inline]
    pub(in crate::broker) fn is_idle(&self) -> bool {
        self.is_idle
    }

    pub(in crate::broker) fn registrations(&self) -> &[u32] {
        &self.registrations
    }

    /// Returns the number of requests that occupy its slots.
    pub(in crate::broker) fn in_flight_len(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the first waiting request that targets this worker.
    pub(in crate::broker) fn first_targeted(&self) -> Option<u32> {
        self.targeted.first()
    }

    /// Returns the time at which it last became free of requests.
    pub(in crate::broker) fn idle_since(&self) -> Time {
        self.idle_since
    }

    /// Returns its load: requests in flight, then requests ever dispatched.
    pub(super) fn load(&self) -> (u32, u64) {
        (self.in_flight.len() as u32, self.dispatched)
    }
}

/// All peers, by the index of their id.
#[derive(Debug)]
pub(in crate::broker) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    identities: HashMap<ByteStr, PeerId, KeyedState>,
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

    /// Returns the id of the peer at `index`, which must exist.
    pub(super) fn id_at(&self, index: u32) -> PeerId {
        self.slots[index as usize].as_ref().expect("a peer is there").id
    }

    /// Returns the owner of an identity.
    pub(in crate::broker) fn owner(&self, identity: &ByteStr) -> Option<PeerId> {
        self.identities.get(identity).copied()
    }

    /// Returns the peer with this name: an identity, or a name assigned by the broker.
    pub(in crate::broker) fn named(&self, name: &[u8]) -> Option<PeerId> {
        // Assigned names come first, so that no peer can take another's name by choosing a similar
        // identity.
        self.named_by_us(name).or_else(|| self.identities.get(name).copied())
    }

    fn named_by_us(&self, name: &[u8]) -> Option<PeerId> {
        let (index, generation) = str::from_utf8(name).ok()?.strip_prefix('p')?.split_once('.')?;
        let id = PeerId::new(index.parse().ok()?, generation.parse().ok()?);
        self.get(id).filter(|peer| text_of(&peer.identity).is_none()).map(|_| id)
    }

    /// Returns the name by which clients can target a peer: its identity, or an assigned name if it
    /// has no textual identity.
    pub(in crate::broker) fn name_of(&self, id: PeerId) -> String {
        let identity = self.get(id).and_then(|peer| text_of(&peer.identity));
        identity.map_or_else(|| id.to_string(), String::from)
    }

    /// Makes a peer the owner of an identity.
    pub(in crate::broker) fn own(&mut self, identity: ByteStr, id: PeerId) {
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

    /// Returns true if a peer is above its high-water mark.
    #[inline]
    pub(in crate::broker) fn is_above_high_water(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(|peer| peer.above_high_water)
    }
}

/// Returns an identity as text, if it is text.
fn text_of(identity: &ByteStr) -> Option<&str> {
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
