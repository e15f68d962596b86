//! The peers: who is connected, what each can do, and how it lives.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use core::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::config::Limits;
use super::io::Profile;
use super::keys::{KeyedState, Keys};
use crate::list::{Linked, Links, List};
use crate::wheel::TimerId;
use crate::{
    ClientCapabilities, Concurrency, Form, Frames, Label, PeerId, Reply, Request, RequestId, Role,
    Time, WorkerCapabilities,
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
    /// Whether it was welcomed, where it is one that greets, and was not sent away since.
    pub(super) greeted: bool,
    /// How long it is silent at the most, where it says so itself.
    pub(super) pace: Option<Duration>,
    /// How many bytes the bodies may have that it is given, with what stands beside them.
    pub(super) body_bytes_max: usize,
    pub(super) side: SideState,
}

impl Peer {
    /// Whether it begins with HELLO, and is told why it ends.
    pub(super) fn greets(&self) -> bool {
        match &self.side {
            SideState::Client(client) => client.can.greets,
            SideState::Worker(worker) => worker.can.greets,
        }
    }

    /// Whether it has to say HELLO before it is heard.
    pub(super) fn is_unheard(&self) -> bool {
        self.greets() && !self.greeted
    }
}

/// What a peer can be given to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    form: Form,
    body_bytes_max: usize,
}

impl Reader {
    /// Whether it can be given a body, as it is or translated, and these options beside it.
    pub(super) fn takes(self, body: &Frames, options: &Bytes, limits: &Limits) -> bool {
        let as_it_is = body.form() == self.form;
        body.bytes() + options.len() <= self.body_bytes_max
            && (as_it_is || body.bytes() <= limits.translate_bytes_max)
    }
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
    /// The service that it asked for last, which may be another by now.
    pub(super) asked_last: u32,
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
    /// Whether it has said READY, and was not lost since.
    pub(super) registered: bool,
    /// What it offers.
    pub(super) offers: SmallVec<[u32; 1]>,
    /// Whether it stands among the free workers of its services.
    pub(super) listed: bool,
    /// How many requests it was given.
    pub(super) given: u64,
    /// Requests that take a slot of it, those that ended meanwhile among them.
    pub(super) running: List,
    /// Requests that wait for this worker and no other.
    pub(super) targeted: List,
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
                asked_last: 0,
                held: None,
                at_door: Links::NONE,
                parked: List::EMPTY,
                feeders: Vec::new(),
            }),
            Role::Worker(can) => SideState::Worker(Worker {
                can,
                takes: can.concurrency,
                hands_max: usize::MAX,
                registered: false,
                offers: SmallVec::new(),
                listed: false,
                given: 0,
                running: List::EMPTY,
                targeted: List::EMPTY,
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
            greeted: false,
            pace: None,
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

    /// What a peer can be given to read.
    pub(super) fn reader(&self, id: PeerId) -> Option<Reader> {
        let peer = self.get(id)?;
        let form = match &peer.side {
            SideState::Client(client) => client.can.form,
            SideState::Worker(worker) => worker.can.form,
        };
        Some(Reader { form, body_bytes_max: peer.body_bytes_max })
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

/// The links of clients at the door.
pub(super) struct AtDoor<'a>(pub(super) &'a mut Peers);

impl Linked for AtDoor<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        let id = self.0.id_at(index);
        &mut self.0.client(id).expect("a client is in this list").at_door
    }
}
