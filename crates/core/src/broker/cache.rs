//! The reply cache: stores replies for a limited time, to answer requests with the same service and
//! body.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;
use hashbrown::{HashMap, HashTable};

use super::config::FRAME_BYTES;
use super::keys::{KeyedState, Keys};
use super::{Broker, Timer, Turn};
use crate::list::{Linked, Links, List};
use crate::table::Table;
use crate::wheel::TimerId;
use crate::{ByteStr, Frames, FramesView, PeerId, RequestView, Time, WorkerReplyView};

/// Bytes charged for a cached reply in addition to both bodies, their frames and the options.
pub const KEPT_REPLY_BYTES: usize = 512;

#[derive(Debug)]
struct Entry {
    service: ByteStr,
    asked: Frames,
    reply: Frames,
    options: Bytes,
    until: Time,
    timer: Option<TimerId>,
    bytes: usize,
    by_use: Links,
    /// The hash of service and request body, by which an equal request finds the entry.
    hash: u64,
}

/// The cached replies.
#[derive(Debug)]
pub(super) struct Cache {
    table: Table<Box<Entry>>,
    index: HashTable<u32>,
    keyed: KeyedState,
    /// The number of cached replies of each service. Requests for other services are not hashed.
    services: HashMap<ByteStr, usize, KeyedState>,
    /// All entries, the least recently used first.
    by_use: List,
    bytes: usize,
}

impl Cache {
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

    fn find(&self, hash: u64, service: &[u8], asked: FramesView<'_>) -> Option<u32> {
        let same = |index: &u32| {
            let entry = &self.table[*index];
            *entry.service == *service && entry.asked.view().is_same(&asked)
        };
        self.index.find(hash, same).copied()
    }

    fn touch(&mut self, index: u32) {
        self.by_use.remove(&mut ByUse(&mut self.table), index);
        self.by_use.push_back(&mut ByUse(&mut self.table), index);
    }

    fn insert(&mut self, entry: Entry) -> u32 {
        let hash = entry.hash;
        *self.services.entry(entry.service.clone()).or_default() += 1;
        self.bytes += entry.bytes;
        let (index, _) = self.table.insert(Box::new(entry));
        let table = &self.table;
        self.index.insert_unique(hash, index, |other| table[*other].hash);
        self.by_use.push_back(&mut ByUse(&mut self.table), index);
        index
    }

    fn remove(&mut self, index: u32) -> Option<TimerId> {
        self.by_use.remove(&mut ByUse(&mut self.table), index);
        let entry = self.table.remove(index);
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == index) {
            found.remove();
        }
        if let Some(count) = self.services.get_mut(&entry.service) {
            *count -= 1;
            if *count == 0 {
                self.services.remove(&entry.service);
            }
        }
        self.bytes -= entry.bytes;
        entry.timer
    }
}

impl Broker {
    /// Answers a request from the cache. Returns false if no reply is cached for it.
    pub(super) fn answer_from_cache(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
    ) -> bool {
        let cache = &self.cache;
        // A client that targets one worker expects that worker's reply.
        if request.fresh
            || !request.target.is_empty()
            || !cache.services.contains_key(request.service)
        {
            return false;
        }
        let hash = cache.keyed.of_body(request.service, request.body);
        let Some(index) = cache.find(hash, request.service, request.body) else { return false };
        let entry = &cache.table[index];
        let reader = self.tables.peers.get(peer).map(|peer| peer.reader());
        let takes = reader.is_some_and(|reader| {
            reader.takes(entry.reply.view(), &entry.options, &self.config.limits)
        });
        if entry.until <= turn.now || !takes {
            return false;
        }
        let (reply, options) = (entry.reply.clone(), entry.options.clone());
        self.cache.touch(index);
        self.counters.kept_replies += 1;
        self.answer(turn, peer, request, &options, reply.view());
        true
    }

    /// Caches a request's reply for `time`, if it fits. Evicts the least recently used replies as
    /// needed.
    pub(super) fn cache_reply(
        &mut self,
        now: Time,
        request: u32,
        time: Duration,
        reply: &WorkerReplyView<'_>,
    ) {
        let record = &self.tables.requests[request];
        if !record.is_retained() {
            return;
        }
        let limit = self.config.limits.cache_bytes_max;
        let service = &self.tables.services[record.service].name;
        let (_, asked) = record.content();
        // Each frame is stored with its bounds.
        let frames = FRAME_BYTES * (asked.len() + reply.body.len());
        let bytes =
            asked.bytes() + reply.body.bytes() + frames + reply.options.len() + KEPT_REPLY_BYTES;
        if bytes > limit {
            return;
        }
        let until = now.after(time);
        let entry = Entry {
            service: service.clone(),
            asked: asked.detached(),
            reply: reply.body.detached(),
            options: Bytes::copy_from_slice(reply.options),
            until,
            timer: None,
            bytes,
            by_use: Links::NONE,
            hash: self.cache.keyed.of_body(service, asked),
        };
        if let Some(before) = self.cache.find(entry.hash, service, asked) {
            self.drop_cached(before);
        }
        self.shrink_cache(limit - bytes);
        let index = self.cache.insert(entry);
        self.cache.table[index].timer = Some(self.timers.arm(until, Timer::Cached(index)));
    }

    /// Evicts cached replies until at most `bytes` are left.
    pub(super) fn shrink_cache(&mut self, bytes: usize) {
        while self.cache.bytes > bytes
            && let Some(oldest) = self.cache.by_use.first()
        {
            self.drop_cached(oldest);
        }
    }

    fn drop_cached(&mut self, index: u32) {
        if let Some(timer) = self.cache.remove(index) {
            self.timers.cancel(timer);
        }
    }

    /// Removes an expired reply.
    pub(super) fn cached_due(&mut self, index: u32) {
        self.cache.remove(index);
    }
}

struct ByUse<'a>(&'a mut Table<Box<Entry>>);

impl Linked for ByUse<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0[index].by_use
    }
}

#[cfg(any(test, feature = "audit"))]
impl Cache {
    pub(super) fn audit(&self) {
        let sum: usize = self.table.indices().map(|at| self.table[at].bytes).sum();
        assert_eq!(sum, self.bytes);
        assert_eq!(self.index.len(), self.table.len());
        assert_eq!(self.by_use.len(), self.table.len());
        assert_eq!(self.services.values().sum::<usize>(), self.table.len());
    }
}
