//! The peers: who is connected, what each can do, and how it lives.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::config::Limits;
use super::io::Profile;
use super::keys::{KeyedState, Keys};
use crate::list::{Linked, Links, List};
use crate::wheel::TimerId;
use crate::{
    ClientCapabilities, Concurrency, Label, PeerId, Reply, Request, RequestId, Role, Time,
    WorkerCapabilities,
};

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) identity: Label,
    pub(super) answers_probes: bool,
    /// Whether it has ever answered one.
    pub(super) answered_probe: bool,
    /// When it was first asked for life, if it has shown none since.
    pub(super) probed: Option<Time>,
    /// When its last byte came.
    pub(super) seen: Time,
    /// Until when it has to read what is sent to it, where that is more than may wait.
    pub(super) stall: Option<TimerId>,
    /// It is full: nothing more should be sent to it.
    pub(super) filled: bool,
    /// For how many reasons it is not read from.
    pub(super) pauses: u32,
    pub(super) identity_claim: Claim,
    pub(super) side: SideState,
}

/// How far a peer has come with the identity it gave itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nobody disputes it.
    Settled,
    /// It owns it, and that other peer waits for it to show life, or not.
    ChallengedBy(PeerId),
    /// That other peer owns it and was asked for life; the timer says until when, until it fires.
    WaitsFor(PeerId, Option<TimerId>),
}

#[derive(Debug)]
pub(super) enum SideState {
    Client(Client),
    Worker(Worker),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) can: ClientCapabilities,
    /// Its requests in progress.
    pub(super) requests: List,
    pub(super) bytes: usize,
    /// The request that stands at the door until there is room, and what it waits for.
    pub(super) held: Option<(Box<Request>, super::room::Obstacle)>,
    pub(super) at_door: Links,
    /// Requests whose turn came while it did not read.
    pub(super) parked: List,
    /// Workers that are not read from until this client reads what they sent it.
    pub(super) feeders: Vec<PeerId>,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) can: WorkerCapabilities,
    /// How many requests it takes at once, by its last word since READY.
    pub(super) takes: Concurrency,
    /// How many it may have in hand whatever it takes.
    pub(super) hands_max: usize,
    /// What it offers; nothing before READY and after it was lost.
    pub(super) service: Option<u32>,
    /// Whether it stands among the free workers of its service.
    pub(super) listed: bool,
    pub(super) in_free: Links,
    /// What it stands there by, where that is not the order in which it came.
    pub(super) rank: (u32, u64),
    /// How many requests it was given.
    pub(super) given: u64,
    /// Requests that take a slot of it, those that ended meanwhile among them.
    pub(super) running: List,
    /// Requests that wait for this worker and no other.
    pub(super) targeted: List,
    /// Up to which place it has looked at the rejected requests of its service.
    pub(super) looked_at: u64,
    /// Whose request it answered last, where it may go on about it.
    pub(super) answered: Option<Box<Answered>>,
    /// Since when it has had nothing in hand.
    pub(super) idle_since: Time,
    pub(super) heartbeat_sent: Time,
    pub(super) life: Option<TimerId>,
}

/// A request that has ended, of which its worker may still speak.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request: RequestId,
    pub(super) client: PeerId,
    /// What every word of it begins with.
    pub(super) head: Reply,
}

impl Worker {
    /// Whether it can take one more request, as far as its concurrency goes.
    pub(super) fn has_slot(&self) -> bool {
        let held = self.running.len();
        self.takes.allows_beyond(held) && held < self.hands_max
    }
}

impl Client {
    /// Whether a request of `bytes` more is within the limits for one client. One that is too large
    /// for the limit of bytes may come alone.
    pub(super) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests.is_empty()
            || self.requests.len() < limits.client_requests_max
                && self.bytes + bytes <= limits.client_bytes_max
    }
}

/// All peers, under the index of their id.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    identities: HashMap<Label, PeerId, KeyedState>,
    count: usize,
}

impl Peers {
    pub(super) fn new(keys: Keys) -> Self {
        Self { slots: Vec::new(), identities: HashMap::with_hasher(keys.state()), count: 0 }
    }

    pub(super) fn add(&mut self, now: Time, id: PeerId, profile: Profile) {
        let index = id.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        let side = match profile.role {
            Role::Client(can) => SideState::Client(Client {
                can,
                requests: List::EMPTY,
                bytes: 0,
                held: None,
                at_door: Links::NONE,
                parked: List::EMPTY,
                feeders: Vec::new(),
            }),
            Role::Worker(can) => SideState::Worker(Worker {
                can,
                takes: can.concurrency,
                hands_max: usize::MAX,
                service: None,
                listed: false,
                in_free: Links::NONE,
                rank: (0, 0),
                given: 0,
                running: List::EMPTY,
                targeted: List::EMPTY,
                looked_at: 0,
                answered: None,
                idle_since: now,
                heartbeat_sent: now,
                life: None,
            }),
        };
        let peer = Peer {
            id,
            identity: profile.identity,
            answers_probes: profile.answers_probes,
            answered_probe: false,
            probed: None,
            seen: now,
            stall: None,
            filled: false,
            pauses: 0,
            identity_claim: Claim::Settled,
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

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.slots.get(id.index as usize)?.as_deref().filter(|peer| peer.id == id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.slots.get_mut(id.index as usize)?.as_deref_mut().filter(|peer| peer.id == id)
    }

    pub(super) fn client(&mut self, id: PeerId) -> Option<&mut Client> {
        match &mut self.get_mut(id)?.side {
            SideState::Client(client) => Some(client),
            SideState::Worker(_) => None,
        }
    }

    pub(super) fn client_ref(&self, id: PeerId) -> Option<&Client> {
        match &self.get(id)?.side {
            SideState::Client(client) => Some(client),
            SideState::Worker(_) => None,
        }
    }

    pub(super) fn worker(&mut self, id: PeerId) -> Option<&mut Worker> {
        match &mut self.get_mut(id)?.side {
            SideState::Worker(worker) => Some(worker),
            SideState::Client(_) => None,
        }
    }

    pub(super) fn worker_ref(&self, id: PeerId) -> Option<&Worker> {
        match &self.get(id)?.side {
            SideState::Worker(worker) => Some(worker),
            SideState::Client(_) => None,
        }
    }

    /// The worker at `index`, where one is there.
    pub(super) fn worker_at(&mut self, index: u32) -> Option<&mut Worker> {
        match &mut self.slots.get_mut(index as usize)?.as_mut()?.side {
            SideState::Worker(worker) => Some(worker),
            SideState::Client(_) => None,
        }
    }

    /// The id of the peer at `index`, which is there.
    pub(super) fn id_at(&self, index: u32) -> PeerId {
        self.slots[index as usize].as_ref().expect("a peer is there").id
    }

    pub(super) fn owner(&self, identity: &Label) -> Option<PeerId> {
        self.identities.get(identity).copied()
    }

    /// The peer of this name: an identity, or a name of ours for one that has none.
    pub(super) fn named(&self, name: &Label) -> Option<PeerId> {
        // Ours first: nobody takes the name of another by an identity that looks like it.
        self.named_by_us(name).or_else(|| self.owner(name))
    }

    fn named_by_us(&self, name: &Label) -> Option<PeerId> {
        let (index, generation) = str::from_utf8(name).ok()?.strip_prefix('p')?.split_once('.')?;
        let id = PeerId::new(index.parse().ok()?, generation.parse().ok()?);
        self.get(id).filter(|peer| text_of(&peer.identity).is_none()).map(|_| id)
    }

    /// The name by which others may ask for a peer: its identity, or one of ours where it has none
    /// that is text.
    pub(super) fn name_of(&self, id: PeerId) -> String {
        let identity = self.get(id).and_then(|peer| text_of(&peer.identity));
        identity.map_or_else(|| id.to_string(), String::from)
    }

    pub(super) fn own(&mut self, identity: Label, id: PeerId) {
        if !identity.is_empty() {
            self.identities.insert(identity, id);
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.slots.iter().flatten().map(|peer| peer.id)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

/// An identity that is text.
fn text_of(identity: &Label) -> Option<&str> {
    str::from_utf8(identity).ok().filter(|text| !text.is_empty())
}

/// The links of workers among the free ones of a service.
pub(super) struct InFree<'a>(pub(super) &'a mut Peers);

impl Linked for InFree<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        let id = self.0.id_at(index);
        &mut self.0.worker(id).expect("a worker is in this list").in_free
    }
}

/// The links of clients at the door.
pub(super) struct AtDoor<'a>(pub(super) &'a mut Peers);

impl Linked for AtDoor<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        let id = self.0.id_at(index);
        &mut self.0.client(id).expect("a client is in this list").at_door
    }
}
