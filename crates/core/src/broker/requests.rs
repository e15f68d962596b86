//! The requests in progress, and those that ended but still take a slot of their worker.

use alloc::boxed::Box;
use alloc::vec::Vec;

use core::hash::{BuildHasher, Hasher};

use bytes::Bytes;
use hashbrown::HashTable;

use super::config::{Limits, REQUEST_BYTES};
use super::keys::{KeyedState, Keys};
use super::rejecting::Rejection;
use crate::frames::Retained;
use crate::list::{Linked, Links, List};
use crate::table::{self, Table};
use crate::wheel::TimerId;
use crate::{Frames, Label, PeerId, Priority, Request, RequestId, Time, Timeout};

/// Where a request is.
///
/// ```text
///   Parked: it was its turn, but its client does not read
///     ▲ │
///     │ ▼          a worker is free
///   Waiting ─────────────────────► Running ──► ended: replied, failed
///     │  ▲                          │   │
///     │  └────── redelivered ───────┤   │ expired, cancelled, client gone
///     │  Rejected ◄── rejected ─────┘   │
///     ▼                                 ▼
///   ended                           Abandoned: ended, but its worker does not know
///                                       │
///                                       ▼ late reply, worker lost; busy limit, where it was
///                                     forgotten                     not told to cancel
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// For a worker, in the queue of its service.
    Waiting,
    /// For a worker that has not rejected it.
    Rejected,
    /// For the answer to another request, which is equal.
    Following(u32),
    /// In no list, for what happens now to be over.
    Loose,
    /// For this worker and no other.
    Targeted(PeerId),
    /// For its client to read what it was sent before, so that no worker waits for that.
    Parked,
    /// At this worker.
    Running(PeerId),
    /// It has had its outcome, and takes a slot of this worker.
    Abandoned(PeerId),
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) state: State,
    pub(super) client: PeerId,
    /// Its service. Not to be asked of an abandoned request: the name may be forgotten by then.
    pub(super) service: u32,
    /// Its place in the queue of its service, or among the requests of its worker.
    pub(super) place: Links,
    pub(super) of_client: Links,
    pub(super) received: Time,
    /// Since when it waits for a worker, this time.
    pub(super) waiting_since: Time,
    /// When it expires.
    pub(super) deadline: Time,
    /// When its worker has had it for too long.
    pub(super) busy_until: Time,
    /// Fires at the deadline or at the busy limit, or before.
    pub(super) timer: Option<TimerId>,
    pub(super) timeout: Timeout,
    pub(super) attempts: u32,
    pub(super) redeliver: bool,
    pub(super) priority: Priority,
    /// How many parts its client takes, all that it has said so far.
    pub(super) credit: u32,
    /// Whether its client wants to hear what becomes of it.
    pub(super) notices: bool,
    /// The one worker that may have it, where it asks for one.
    pub(super) target: Option<PeerId>,
    /// Whether a part of the reply has reached the client.
    pub(super) part_sent: bool,
    pub(super) id: Label,
    /// By which number it is found by client and id.
    pub(super) name_hash: u64,
    /// The note of its body.
    pub(super) asked: u8,
    /// The body and what the client wrote beside it, for as long as they may be sent (again).
    pub(super) body: Retained,
    /// Who rejected it, where anybody did.
    pub(super) rejection: Option<Box<Rejection>>,
    /// Who shares its answer, where anybody may.
    pub(super) sharing: Option<Box<Sharing>>,
    /// Parts for a client that takes none, where there are any.
    pub(super) collected: Option<Box<Collected>>,
    /// What it is counted as in the limits.
    pub(super) charged: usize,
}

/// Who shares the answer to a request.
#[derive(Debug)]
pub(super) struct Sharing {
    /// By which number those that are equal find it, until they may no more.
    pub(super) leads: Option<u64>,
    /// Those that do.
    pub(super) followers: List,
}

/// Parts of a reply that wait for its end, and what they are counted as.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) parts: Vec<Frames>,
    pub(super) bytes: usize,
}

impl Record {
    /// By which number those that are equal find it, where they may share its answer.
    pub(super) fn leads(&self) -> Option<u64> {
        self.sharing.as_ref().and_then(|sharing| sharing.leads)
    }

    /// Has it be found by that number.
    pub(super) fn lead(&mut self, hash: u64) {
        self.shared().leads = Some(hash);
    }

    /// Has it be found no more: by what it was.
    pub(super) fn stop_leading(&mut self) -> Option<u64> {
        self.sharing.as_mut().and_then(|sharing| sharing.leads.take())
    }

    /// Those that share its answer.
    pub(super) fn followers(&self) -> List {
        self.sharing.as_ref().map_or(List::EMPTY, |sharing| sharing.followers)
    }

    pub(super) fn set_followers(&mut self, followers: List) {
        self.shared().followers = followers;
    }

    fn shared(&mut self) -> &mut Sharing {
        self.sharing
            .get_or_insert_with(|| Box::new(Sharing { leads: None, followers: List::EMPTY }))
    }
}

#[derive(Debug)]
pub(super) struct Requests {
    table: Table<Record>,
    /// Those in progress to which their client gave an id that no other of it had, by both.
    named: HashTable<u32>,
    keyed: KeyedState,
    in_progress: usize,
    bytes: usize,
    /// Memory of small bodies that were kept, for others, and how much of it is in use.
    spares: Vec<Vec<u8>>,
    lent: usize,
}

/// What a piece of that memory has, and how many there are. Where more requests run than that, their
/// bodies have no more memory than they need.
const SPARE_BYTES: usize = REQUEST_BYTES;
const SPARES_MAX: usize = 1_024;

impl Requests {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            table: Table::new(),
            named: HashTable::new(),
            keyed: keys.state(),
            in_progress: 0,
            bytes: 0,
            spares: Vec::new(),
            lent: 0,
        }
    }

    /// Keeps the body of a request that is at a worker, in memory of one that is done.
    pub(super) fn keep(&mut self, index: u32, options: &Bytes, body: &Frames) {
        let (spares, lent) = (&mut self.spares, &mut self.lent);
        self.table[index].body = Retained::keep_in(options, body, |bytes| {
            if bytes > SPARE_BYTES || *lent >= SPARES_MAX {
                return None;
            }
            *lent += 1;
            Some(spares.pop().unwrap_or_else(|| Vec::with_capacity(SPARE_BYTES)))
        });
    }

    /// Keeps the body of a request no more.
    pub(super) fn let_go(&mut self, index: u32) {
        if let Retained::Packed { mut bytes, lent: true, .. } = self.take_body(index) {
            bytes.clear();
            self.spares.push(bytes);
        }
    }

    /// Options and body of a request, which are kept no more.
    pub(super) fn give_up(&mut self, index: u32) -> (Bytes, Frames) {
        self.take_body(index).into_both()
    }

    fn take_body(&mut self, index: u32) -> Retained {
        let body = core::mem::take(&mut self.table[index].body);
        self.lent -= usize::from(body.is_lent());
        body
    }

    /// What a request is counted as.
    pub(super) fn charge(request: &Request) -> usize {
        request.body.bytes() + request.options.len() + REQUEST_BYTES
    }

    /// Whether a request of `bytes` more is within the limits for all. One that is too large for
    /// the limit of bytes may come alone.
    pub(super) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.in_progress == 0
            || self.in_progress < limits.requests_max
                && self.bytes + bytes <= limits.request_bytes_max
    }

    /// Counts a request as so many bytes more, or fewer.
    pub(super) fn recharge(&mut self, index: u32, charged: usize) {
        let record = &mut self.table[index];
        self.bytes = self.bytes - record.charged + charged;
        record.charged = charged;
    }

    pub(super) fn insert(&mut self, record: Record) -> u32 {
        self.in_progress += 1;
        self.bytes += record.charged;
        let (index, _) = self.table.insert(record);
        if !self.table[index].id.is_empty() {
            self.name(index);
        }
        index
    }

    /// Has a request be found by its id, unless another of its client is.
    fn name(&mut self, index: u32) {
        let table = &self.table;
        let record = &table[index];
        let hash = record.name_hash;
        let same = |other: &u32| {
            let other = &table[*other];
            other.client == record.client && other.id == record.id
        };
        self.named.entry(hash, same, |other| table[*other].name_hash).or_insert(index);
    }

    /// The hash under which a request of this client with that id is found.
    pub(super) fn name_hash(&self, client: PeerId, id: &Label) -> u64 {
        let mut hasher = self.keyed.build_hasher();
        hasher.write_u64(client.to_bits());
        hasher.write(id);
        hasher.finish()
    }

    /// The request in progress to which this client has given that id. Where it has given it to several
    /// at once, the first; the others have no name.
    pub(super) fn of_client(&self, client: PeerId, id: &Label) -> Option<u32> {
        self.named(self.name_hash(client, id), client, id)
    }

    /// The same, with the hash of both.
    pub(super) fn named(&self, hash: u64, client: PeerId, id: &Label) -> Option<u32> {
        let mine = |index: &u32| {
            let record = &self.table[*index];
            record.client == client && record.id == *id
        };
        self.named.find(hash, mine).copied()
    }

    /// Counts it no more; it may stay as one that is abandoned.
    pub(super) fn discharge(&mut self, index: u32) {
        self.in_progress -= 1;
        let record = &self.table[index];
        self.bytes -= record.charged;
        if !record.id.is_empty() {
            let found = self.named.find_entry(record.name_hash, |other| *other == index);
            if let Ok(entry) = found {
                entry.remove();
            }
            let table = &self.table;
            table::give_back(&mut self.named, |other| table[*other].name_hash);
        }
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.let_go(index);
        self.table.remove(index);
    }

    pub(super) fn id(&self, index: u32) -> RequestId {
        RequestId::new(index, self.table.generation(index))
    }

    /// The index of the request with this id, where it is still there.
    pub(super) fn find(&self, id: RequestId) -> Option<u32> {
        self.table.get(id.index, id.generation).map(|_| id.index)
    }

    pub(super) fn indices(&self) -> Vec<u32> {
        self.table.indices().collect()
    }

    pub(super) fn in_progress(&self) -> usize {
        self.in_progress
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl core::ops::Index<u32> for Requests {
    type Output = Record;

    fn index(&self, index: u32) -> &Record {
        &self.table[index]
    }
}

impl core::ops::IndexMut<u32> for Requests {
    fn index_mut(&mut self, index: u32) -> &mut Record {
        &mut self.table[index]
    }
}

/// The links of requests in the queue of their service or worker, parked at their client, behind the
/// one that they follow, or in the hands of their worker.
pub(super) struct InPlace<'a>(pub(super) &'a mut Requests);

impl Linked for InPlace<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0.table[index].place
    }
}

/// The links of requests among those of their client.
pub(super) struct OfClient<'a>(pub(super) &'a mut Requests);

impl Linked for OfClient<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0.table[index].of_client
    }
}

#[cfg(any(test, feature = "audit"))]
impl Requests {
    /// Pieces of spare memory that are in use, and that are not.
    pub(super) fn pieces(&self) -> (usize, usize) {
        let used = self.table.indices().filter(|at| self.table[*at].body.is_lent()).count();
        assert_eq!(used, self.lent);
        assert!(used + self.spares.len() <= SPARES_MAX);
        (used, self.spares.len())
    }
    pub(super) fn named_len(&self) -> usize {
        self.named.len()
    }
}
