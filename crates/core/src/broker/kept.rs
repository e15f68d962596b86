//! Kept replies: what a worker said is good for a while, for other requests of the same service and
//! body.

use alloc::boxed::Box;
use core::hash::{BuildHasher, Hasher};

use bytes::Bytes;
use hashbrown::{HashMap, HashTable};

use super::config::FRAME_BYTES;
use super::keys::{KeyedState, Keys};
use super::{Broker, Timer};
use crate::list::{Linked, Links, List};
use crate::table::Table;
use crate::wheel::TimerId;
use crate::{Frames, Label, PeerId, Reply, Request, Time, WorkerReply};

/// What a kept reply is counted as, in bytes, beside both bodies.
pub const KEPT_REPLY_BYTES: usize = 512;

#[derive(Debug)]
struct Entry {
    service: Label,
    asked: Frames,
    reply: Frames,
    options: Bytes,
    until: Time,
    timer: Option<TimerId>,
    bytes: usize,
    by_use: Links,
}

/// All kept replies.
#[derive(Debug)]
pub(super) struct Kept {
    table: Table<Box<Entry>>,
    index: HashTable<u32>,
    keyed: KeyedState,
    /// How many there are of each service, so that requests for others are not even hashed.
    services: HashMap<Label, usize, KeyedState>,
    /// The one that was not asked for for the longest time comes first.
    by_use: List,
    bytes: usize,
}

impl Kept {
    pub(super) fn new(keys: Keys) -> Self {
        let keyed = keys.state();
        Self {
            table: Table::new(),
            index: HashTable::new(),
            keyed,
            services: HashMap::with_hasher(keyed),
            by_use: List::EMPTY,
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn find(&self, service: &Label, asked: &Frames) -> Option<u32> {
        let same = |index: &u32| {
            let entry = &self.table[*index];
            entry.service == *service && entry.asked.is_same(asked)
        };
        self.index.find(body_hash(self.keyed, service, asked), same).copied()
    }

    fn remove(&mut self, index: u32) -> Option<TimerId> {
        let entry = &self.table[index];
        let hash = body_hash(self.keyed, &entry.service, &entry.asked);
        if let Ok(place) = self.index.find_entry(hash, |other| *other == index) {
            place.remove();
        }
        if let Some(count) = self.services.get_mut(&entry.service) {
            *count -= 1;
            if *count == 0 {
                self.services.remove(&entry.service);
            }
        }
        self.bytes -= entry.bytes;
        let timer = entry.timer;
        self.by_use.remove(&mut ByUse(&mut self.table), index);
        self.table.remove(index);
        timer
    }
}

impl Broker {
    /// Answers a request with what was kept for it. False where nothing was.
    pub(super) fn answer_kept(&mut self, now: Time, peer: PeerId, request: &Request) -> bool {
        let kept = &mut self.kept;
        // Who asks for one worker wants the answer of that one.
        if request.fresh
            || !request.target.is_empty()
            || !kept.services.contains_key(&request.service)
        {
            return false;
        }
        let Some(index) = kept.find(&request.service, &request.body) else { return false };
        let entry = &kept.table[index];
        let reader = self.peers.reader(peer);
        let limits = &self.config.limits;
        if entry.until <= now
            || reader.is_none_or(|reader| !reader.takes(&entry.reply, &entry.options, limits))
        {
            return false;
        }
        kept.by_use.remove(&mut ByUse(&mut kept.table), index);
        kept.by_use.push_back(&mut ByUse(&mut kept.table), index);
        let entry = &kept.table[index];
        let reply = Reply {
            id: request.id.clone(),
            asked: request.body.note(),
            options: entry.options.clone(),
            ..Reply::new(request.service.clone(), entry.reply.clone())
        };
        self.counters.kept_replies += 1;
        self.answer(peer, reply);
        true
    }

    /// Keeps a reply for so long, as far as there is room. Those that nobody asked for for the longest
    /// time go.
    pub(super) fn keep(&mut self, service: Label, asked: Frames, reply: &WorkerReply, until: Time) {
        let limit = self.config.limits.cache_bytes_max;
        // Each frame is held with its bounds.
        let frames = FRAME_BYTES * (asked.len() + reply.body.len());
        let bytes =
            asked.bytes() + reply.body.bytes() + frames + reply.options.len() + KEPT_REPLY_BYTES;
        if bytes > limit {
            return;
        }
        if let Some(before) = self.kept.find(&service, &asked) {
            self.drop_kept(before);
        }
        self.shrink_kept(limit - bytes);
        let kept = &mut self.kept;
        let hash = body_hash(kept.keyed, &service, &asked);
        *kept.services.entry(service.clone()).or_default() += 1;
        kept.bytes += bytes;
        let (index, _) = kept.table.insert(Box::new(Entry {
            service,
            asked: asked.detached(),
            reply: reply.body.detached(),
            options: super::dispatch::kept(&reply.options),
            until,
            timer: None,
            bytes,
            by_use: Links::NONE,
        }));
        kept.table[index].timer = Some(self.timers.arm(until, Timer::Kept(index)));
        let (table, keyed) = (&kept.table, kept.keyed);
        kept.index.insert_unique(hash, index, |other| {
            body_hash(keyed, &table[*other].service, &table[*other].asked)
        });
        kept.by_use.push_back(&mut ByUse(&mut kept.table), index);
    }

    /// Drops kept replies until they hold no more than `bytes`.
    pub(super) fn shrink_kept(&mut self, bytes: usize) {
        while self.kept.bytes > bytes
            && let Some(oldest) = self.kept.by_use.first()
        {
            self.drop_kept(oldest);
        }
    }

    fn drop_kept(&mut self, index: u32) {
        if let Some(timer) = self.kept.remove(index) {
            self.timers.cancel(timer);
        }
    }

    /// A reply was kept for as long as it was good.
    pub(super) fn kept_due(&mut self, index: u32) {
        self.kept.remove(index);
    }
}

pub(super) fn body_hash(keyed: KeyedState, service: &[u8], body: &Frames) -> u64 {
    let mut hasher = keyed.build_hasher();
    hasher.write(service);
    hasher.write_u8(body.note());
    for frame in body.iter() {
        hasher.write_usize(frame.len());
        hasher.write(frame);
    }
    hasher.finish()
}

struct ByUse<'a>(&'a mut Table<Box<Entry>>);

impl Linked for ByUse<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0[index].by_use
    }
}

#[cfg(any(test, feature = "audit"))]
impl Kept {
    pub(super) fn audit(&self) {
        let sum: usize = self.table.indices().map(|at| self.table[at].bytes).sum();
        assert_eq!(sum, self.bytes);
        assert_eq!(self.index.len(), self.table.len());
        assert_eq!(self.by_use.len(), self.table.len());
        assert_eq!(self.services.values().sum::<usize>(), self.table.len());
    }
}
