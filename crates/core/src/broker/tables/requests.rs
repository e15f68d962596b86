//! Request records: requests in progress, and ended requests that still occupy a worker slot.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;

use bytes::Bytes;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::place::Place;
use super::rejection::Rejection;
use crate::broker::config::{Limits, REQUEST_BYTES};
use crate::broker::keys::{KeyedState, Keys};
use crate::frames::SHARED_BODY_MIN;
use crate::list::{Linked, Links, List};
use crate::table::{self, Table};
use crate::wheel::TimerId;
use crate::{
    CREDIT_UNLIMITED, CorrelationIdRef, Form, Frames, FramesView, PeerId, Priority, RequestId,
    RequestView, Time, Timeout,
};

/// The part of a request's record that every command accesses.
///
/// The links are private to the tables: [`Tables::relocate`](super::Tables::relocate) and the
/// operations beside it are the only writers.
#[derive(Debug)]
pub(in crate::broker) struct Record {
    pub(super) place: Place,
    /// The request's links in the list of its place.
    pub(super) links: Links,
    /// The request's links in the list of its client's requests.
    pub(super) client_links: Links,
    /// Bytes that the request is charged in every limit.
    pub(super) charged: usize,
    /// The service that the client requested. The name may be forgotten once the request is
    /// orphaned.
    pub(in crate::broker) service: u32,
    pub(in crate::broker) client: PeerId,
    /// The start of the current wait for a worker.
    pub(in crate::broker) waiting_since: Time,
    pub(in crate::broker) deadline: Time,
    /// The time at which the worker's busy limit passes.
    pub(in crate::broker) busy_until: Time,
    /// Fires at or before the next due time.
    pub(in crate::broker) timer: Option<TimerId>,
    /// The hash in the token for its worker.
    pub(in crate::broker) token_hash: u64,
    /// The correlation id if it is a number, or the hash of client and correlation id if the id is text.
    id: u64,
    /// The number of reply parts that the client accepts, summed over all grants.
    pub(in crate::broker) credit: u32,
    pub(in crate::broker) attempts: u32,
    id_is_number: bool,
    pub(in crate::broker) redeliver: bool,
    /// True if the client requested progress notices.
    pub(in crate::broker) notices: bool,
    /// True if a part of the reply was sent to the client.
    pub(in crate::broker) part_sent: bool,
    /// True while the request is in the list of requests without a timer.
    pub(in crate::broker) untimed: bool,
    pub(in crate::broker) priority: Priority,
    /// The translation hint of its body.
    pub(in crate::broker) asked: u8,
    pub(in crate::broker) rest: Box<Rest>,
}

/// The part of a request's record that only some commands access, and the retained content.
#[derive(Debug)]
pub(in crate::broker) struct Rest {
    pub(in crate::broker) received: Time,
    pub(in crate::broker) timeout: Timeout,
    /// The one worker that may take the request, if the client targets one.
    pub(in crate::broker) target: Option<PeerId>,
    content: Content,
    /// The workers that rejected the request, if any.
    pub(in crate::broker) rejection: Option<Box<Rejection>>,
    pub(super) coalescing: Option<Box<Coalescing>>,
    /// Collected parts of the reply, for a client that does not accept partial replies.
    pub(in crate::broker) collected: Option<Box<Collected>>,
}

/// A textual correlation id, and the retained options and body of a request.
#[derive(Debug, Default)]
struct Content {
    /// The id, followed by the options if the content is retained, followed by the frames of the
    /// body unless they are in shared memory.
    bytes: Vec<u8>,
    id_bytes: u32,
    options_bytes: u32,
    /// The bounds of the frames.
    bounds: SmallVec<[(u32, u32); 1]>,
    shared: Option<Box<Bytes>>,
    form: Form,
    note: u8,
    is_retained: bool,
}

/// The requests that are coalesced with this one.
#[derive(Debug)]
pub(super) struct Coalescing {
    /// The hash by which equal requests find this one, while they may join.
    pub(super) hash: Option<u64>,
    pub(super) coalesced: List,
}

/// Collected parts of a reply, and the bytes charged for them.
#[derive(Debug, Default)]
pub(in crate::broker) struct Collected {
    pub(in crate::broker) parts: Vec<Frames>,
    pub(in crate::broker) bytes: usize,
}

/// The initial values of a new record, in addition to the request itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Admitted {
    pub(in crate::broker) client: PeerId,
    pub(in crate::broker) service: u32,
    pub(in crate::broker) target: Option<PeerId>,
    pub(in crate::broker) redeliver: bool,
    /// Bytes that the request is charged in every limit.
    pub(in crate::broker) charged: usize,
    pub(in crate::broker) received: Time,
    pub(in crate::broker) deadline: Time,
}

/// The values that identify where a discharged request was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discharged {
    pub(super) client: PeerId,
    pub(super) service: u32,
    pub(super) charged: usize,
    /// The correlation id, if it is a number.
    pub(super) number: Option<u64>,
}

impl Record {
    /// Records a dispatch to a worker, under a token with this hash.
    #[inline(always)]
    pub(super) fn start(&mut self, token_hash: u64, busy_until: Time) {
        self.token_hash = token_hash;
        self.attempts += 1;
        self.busy_until = busy_until;
        self.end_wait(busy_until);
        if let Some(rejection) = &mut self.rest.rejection {
            // If the request is requeued, its wait restarts.
            rejection.by_all_since = None;
        }
        if self.is_primary() {
            // The clients of coalesced requests may accept more than the request's own client.
            self.credit = CREDIT_UNLIMITED;
        }
    }

    /// Ends the request's wait: it, or its primary, was dispatched to a worker with this busy
    /// limit.
    #[inline]
    pub(in crate::broker) fn end_wait(&mut self, busy_until: Time) {
        match self.rest.timeout {
            Timeout::OfService => self.deadline = busy_until,
            Timeout::After(Duration::ZERO) => self.deadline = Time::NEVER,
            Timeout::After(_) | Timeout::Never => {}
        }
    }

    /// Returns the request's place.
    #[inline]
    pub(in crate::broker) fn place(&self) -> Place {
        self.place
    }

    /// Returns the bytes that the request is charged.
    pub(in crate::broker) fn charged(&self) -> usize {
        self.charged
    }

    /// Returns the client's correlation id.
    #[inline]
    pub(in crate::broker) fn id(&self) -> CorrelationIdRef<'_> {
        if self.id_is_number {
            CorrelationIdRef::Number(self.id)
        } else {
            let content = &self.rest.content;
            CorrelationIdRef::Text(&content.bytes[..content.id_bytes as usize])
        }
    }

    /// Returns true if equal requests may join.
    #[inline]
    pub(in crate::broker) fn is_primary(&self) -> bool {
        self.primary_hash().is_some()
    }

    /// Returns the hash by which equal requests find this one, while they may join.
    #[inline]
    pub(super) fn primary_hash(&self) -> Option<u64> {
        self.rest.coalescing.as_ref()?.hash
    }

    /// Returns the requests that are coalesced with this one.
    #[inline]
    pub(super) fn coalesced(&self) -> List {
        self.rest.coalescing.as_ref().map_or(List::EMPTY, |coalescing| coalescing.coalesced)
    }

    pub(super) fn coalescing_mut(&mut self) -> &mut Coalescing {
        self.rest
            .coalescing
            .get_or_insert_with(|| Box::new(Coalescing { hash: None, coalesced: List::EMPTY }))
    }

    /// Returns true if options and body are retained.
    #[inline]
    pub(in crate::broker) fn is_retained(&self) -> bool {
        self.rest.content.is_retained
    }

    /// Returns the retained options and body, or empty ones if they are not retained.
    #[inline]
    pub(in crate::broker) fn content(&self) -> (&[u8], FramesView<'_>) {
        self.rest.content.view()
    }
}

impl Content {
    fn view(&self) -> (&[u8], FramesView<'_>) {
        if !self.is_retained {
            return (&[], FramesView::EMPTY);
        }
        let options = self.id_bytes as usize..(self.id_bytes + self.options_bytes) as usize;
        let body = match &self.shared {
            Some(memory) => FramesView::shared(memory, &self.bounds),
            None => FramesView::borrowed(&self.bytes, &self.bounds),
        };
        (&self.bytes[options], body.in_form(self.form, self.note))
    }

    /// Retains options and body. A small body is copied, so that it does not keep its receive
    /// buffer alive. A large body is shared with its buffer if possible.
    #[inline(always)]
    fn retain(&mut self, options: &[u8], body: FramesView<'_>) {
        if self.is_retained {
            self.release();
        }
        let bytes = body.bytes();
        if !options.is_empty() {
            self.bytes.extend_from_slice(options);
        }
        self.options_bytes = options.len() as u32;
        (self.form, self.note) = (body.form(), body.note());
        self.is_retained = true;
        match body.memory {
            Some(memory) if bytes >= SHARED_BODY_MIN => {
                self.shared = Some(Box::new(memory.clone()));
                self.bounds.extend_from_slice(body.bounds);
            }
            _ => {
                if self.bytes.capacity() - self.bytes.len() < bytes {
                    self.bytes.reserve_exact(bytes);
                }
                if let [(start, end)] = *body.bounds {
                    let at = self.bytes.len() as u32;
                    self.bytes.extend_from_slice(&body.data[start as usize..end as usize]);
                    self.bounds = SmallVec::from_buf([(at, at + (end - start))]);
                    return;
                }
                for frame in body.iter() {
                    let start = self.bytes.len() as u32;
                    self.bytes.extend_from_slice(frame);
                    self.bounds.push((start, self.bytes.len() as u32));
                }
            }
        }
    }

    /// Releases the content, and all memory above the pooled size.
    #[inline(always)]
    fn give_back(&mut self) {
        self.release();
        if self.bytes.capacity() > POOLED_BYTES {
            self.bytes = self.bytes.as_slice().into();
        }
        if self.bounds.spilled() {
            self.bounds = SmallVec::new_const();
        }
    }

    #[inline(always)]
    fn release(&mut self) {
        self.bytes.truncate(self.id_bytes as usize);
        self.bounds.clear();
        if self.shared.is_some() {
            self.shared = None;
        }
        self.is_retained = false;
    }
}

/// The maximum bytes of content memory that a pooled record keeps, and the maximum number of pooled
/// records. If more requests are in progress, their content uses no more memory than it needs.
pub(super) const POOLED_BYTES: usize = REQUEST_BYTES;
pub(super) const POOLED_MAX: usize = 1_024;

/// All records.
#[derive(Debug)]
pub(in crate::broker) struct Requests {
    pub(super) table: Table<Record>,
    /// Requests in progress with a textual id, by client and id. If a client uses an id twice, only
    /// the first request is included.
    named: HashTable<u32>,
    keyed: KeyedState,
    in_progress: usize,
    bytes: usize,
    /// A pool of the `Rest`s of removed records.
    #[expect(clippy::vec_box, reason = "a record holds the box, so it is not moved out of one")]
    pool: Vec<Box<Rest>>,
}

impl Requests {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            table: Table::new(),
            named: HashTable::new(),
            keyed: keys.state(),
            in_progress: 0,
            bytes: 0,
            pool: Vec::new(),
        }
    }

    /// Returns the bytes that a request is charged.
    #[inline]
    pub(in crate::broker) fn charge(request: &RequestView<'_>) -> usize {
        request.body.bytes() + request.options.len() + REQUEST_BYTES
    }

    /// Returns true if a request of `bytes` fits within the broker's limits. A request above the
    /// byte limit is admitted if no other request is in progress.
    #[inline]
    pub(in crate::broker) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.in_progress == 0
            || self.in_progress < limits.requests_max
                && self.bytes + bytes <= limits.request_bytes_max
    }

    /// Creates a record of a request, which is in no list yet.
    pub(super) fn insert(&mut self, admitted: Admitted, request: &RequestView<'_>) -> u32 {
        let charged = admitted.charged;
        let mut rest = self.pool.pop().unwrap_or_else(|| Box::new(Rest::EMPTY));
        rest.received = admitted.received;
        rest.timeout = request.timeout;
        rest.target = admitted.target;
        let (id, id_is_number) = match request.id {
            CorrelationIdRef::Number(number) => (number, true),
            CorrelationIdRef::Text(text) => {
                rest.content.bytes.extend_from_slice(text);
                rest.content.id_bytes = text.len() as u32;
                let is_name = !text.is_empty();
                (if is_name { self.name_hash(admitted.client, text) } else { 0 }, false)
            }
        };
        self.in_progress += 1;
        self.bytes += charged;
        let (index, _) = self.table.insert(Record {
            place: Place::Detached,
            links: Links::NONE,
            client_links: Links::NONE,
            charged,
            service: admitted.service,
            client: admitted.client,
            waiting_since: admitted.received,
            deadline: admitted.deadline,
            busy_until: Time::NEVER,
            timer: None,
            token_hash: 0,
            id,
            credit: request.credit,
            attempts: 0,
            id_is_number,
            redeliver: admitted.redeliver && admitted.target.is_none(),
            notices: request.notices,
            part_sent: false,
            untimed: false,
            priority: request.priority,
            asked: request.body.note(),
            rest,
        });
        if !id_is_number && !request.id.is_none() {
            self.name(index);
        }
        index
    }

    /// Adds a request to the index of textual ids, unless its client already uses the id.
    fn name(&mut self, index: u32) {
        let table = &self.table;
        let record = &table[index];
        let hash = record.id;
        let same = |other: &u32| {
            let other = &table[*other];
            other.client == record.client && other.id() == record.id()
        };
        self.named.entry(hash, same, |other| table[*other].id).or_insert(index);
    }

    pub(super) fn keyed(&self) -> KeyedState {
        self.keyed
    }

    /// Returns the hash of a client and a textual id.
    #[inline]
    fn name_hash(&self, client: PeerId, id: &[u8]) -> u64 {
        let mut hasher = self.keyed.build_hasher();
        hasher.write_u64(client.to_bits());
        hasher.write(id);
        hasher.finish()
    }

    /// Returns this client's request in progress with a textual id. If the client has used the id
    /// several times, returns the first request.
    pub(super) fn named(&self, client: PeerId, id: &[u8]) -> Option<u32> {
        let same = |index: &u32| {
            let record = &self.table[*index];
            record.client == client && record.id() == CorrelationIdRef::Text(id)
        };
        self.named.find(self.name_hash(client, id), same).copied()
    }

    /// Changes the bytes that a request is charged.
    pub(super) fn recharge(&mut self, index: u32, charged: usize) {
        let record = &mut self.table[index];
        self.bytes = self.bytes - record.charged + charged;
        record.charged = charged;
    }

    /// Removes a request from the counts; its record may stay as an orphan.
    #[inline(always)]
    pub(super) fn discharge(&mut self, index: u32) -> Discharged {
        self.in_progress -= 1;
        let record = &self.table[index];
        self.bytes -= record.charged;
        let Record { client, service, charged, id, id_is_number, .. } = *record;
        let number = id_is_number.then_some(id);
        if !id_is_number && record.rest.content.id_bytes > 0 {
            self.unname(index);
        }
        Discharged { client, service, charged, number }
    }

    fn unname(&mut self, index: u32) {
        let hash = self.table[index].id;
        if let Ok(entry) = self.named.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
        let table = &self.table;
        table::give_back(&mut self.named, |other| table[*other].id);
    }

    /// Forgets a request that is in no list.
    #[inline(always)]
    pub(super) fn remove(&mut self, index: u32) {
        let Record { place, rest, .. } = self.table.remove(index);
        debug_assert_eq!(place, Place::Detached, "a request that is in no list is forgotten");
        if self.pool.len() < POOLED_MAX {
            self.pool.push(rest.emptied());
        }
    }

    /// Retains options and body, in case the request is dispatched later or again.
    #[inline]
    pub(in crate::broker) fn retain(&mut self, index: u32, options: &[u8], body: FramesView<'_>) {
        self.table[index].rest.content.retain(options, body);
    }

    /// Releases the retained options and body, and their memory above the pooled size.
    #[inline]
    pub(in crate::broker) fn release(&mut self, index: u32) {
        self.table[index].rest.content.give_back();
    }

    /// Returns the record of a request. Callers can change all of it except its place.
    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, index: u32) -> &mut Record {
        &mut self.table[index]
    }

    #[inline]
    pub(in crate::broker) fn id(&self, index: u32) -> RequestId {
        RequestId::new(index, self.table.generation(index))
    }

    /// Returns the index of the request with this id, if it still exists.
    #[inline]
    pub(in crate::broker) fn find(&self, id: RequestId) -> Option<u32> {
        self.table.get(id.index, id.generation).map(|_| id.index)
    }

    pub(in crate::broker) fn contains(&self, index: u32) -> bool {
        self.table.contains(index)
    }

    pub(in crate::broker) fn indices(&self) -> Vec<u32> {
        self.table.indices().collect()
    }

    #[inline]
    pub(in crate::broker) fn in_progress(&self) -> usize {
        self.in_progress
    }

    #[inline]
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Rest {
    const EMPTY: Rest = Rest {
        received: Time::ZERO,
        timeout: Timeout::OfService,
        target: None,
        content: Content {
            bytes: Vec::new(),
            id_bytes: 0,
            options_bytes: 0,
            bounds: SmallVec::new_const(),
            shared: None,
            form: Form::Frames,
            note: 0,
            is_retained: false,
        },
        rejection: None,
        coalescing: None,
        collected: None,
    };

    /// Returns true if the request is, or was, a primary.
    #[inline]
    pub(in crate::broker) fn is_coalescing(&self) -> bool {
        self.coalescing.is_some()
    }

    /// Clears all fields, and keeps the memory that the next record can use.
    #[inline(always)]
    fn emptied(mut self: Box<Self>) -> Box<Self> {
        let content = &mut self.content;
        content.id_bytes = 0;
        content.give_back();
        self.rejection = None;
        self.coalescing = None;
        self.collected = None;
        self
    }
}

impl core::ops::Index<u32> for Requests {
    type Output = Record;

    #[inline]
    fn index(&self, index: u32) -> &Record {
        &self.table[index]
    }
}

/// The links of requests in the list of their place.
pub(super) struct InPlace<'a>(pub(super) &'a mut Requests);

impl Linked for InPlace<'_> {
    #[inline(always)]
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0.table[index].links
    }
}

/// The links of requests in the list of their client.
pub(super) struct OfClient<'a>(pub(super) &'a mut Requests);

impl Linked for OfClient<'_> {
    #[inline(always)]
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0.table[index].client_links
    }
}

#[cfg(any(test, feature = "audit"))]
impl Record {
    /// Returns the memory of the content, in bytes.
    pub(super) fn content_capacity(&self) -> usize {
        let content = &self.rest.content;
        let bounds = if content.bounds.spilled() { 8 * content.bounds.capacity() } else { 0 };
        content.bytes.capacity() + bounds
    }
}

#[cfg(any(test, feature = "audit"))]
impl Requests {
    /// Returns the number of pooled `Rest`s.
    pub(in crate::broker) fn pooled(&self) -> usize {
        assert!(self.pool.len() <= POOLED_MAX);
        assert!(self.pool.iter().all(|rest| rest.content.bytes.capacity() <= POOLED_BYTES));
        self.pool.len()
    }

    pub(in crate::broker) fn named_len(&self) -> usize {
        self.named.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part that every command accesses fits into two cache lines.
    #[test]
    fn record_fits_two_cache_lines() {
        assert!(size_of::<Record>() <= 128, "{}", size_of::<Record>());
        assert!(size_of::<Rest>() <= 160, "{}", size_of::<Rest>());
    }

    /// Two frames of a body are never merged, and options are not a frame.
    #[test]
    fn retained_content_comes_back_as_it_was() {
        let large = alloc::vec![7u8; SHARED_BODY_MIN];
        let cases: [&[&[u8]]; 5] = [&[], &[b""], &[b"one"], &[b"", b"two", b""], &[&large, b"x"]];
        for frames in cases {
            let frames = Frames::from_slices(frames).in_form(Form::Json, 3);
            for options in [&b""[..], b"beside"] {
                let mut content =
                    Content { bytes: b"id".to_vec(), id_bytes: 2, ..Content::default() };
                for body in [frames.view(), frames.view().only(0), frames.view()] {
                    content.retain(options, body);
                    let (beside, kept) = content.view();
                    assert_eq!((beside, kept), (options, body));
                    assert!(kept.is_same(&body));
                    assert_eq!((kept.form(), kept.note()), (Form::Json, 3));
                    assert!(!kept.is_same(&body.in_form(Form::Json, 4)));
                }
                content.release();
                assert_eq!(content.bytes, b"id");
                assert!(content.view().1.is_empty());
            }
        }
    }

    #[test]
    fn small_retained_bodies_hold_no_foreign_memory() {
        let buffer = Bytes::from(alloc::vec![1u8; 4096]);
        let mut content = Content::default();
        content.retain(&buffer[..9], FramesView::shared(&buffer, &[(10, 20)]));
        assert!(buffer.is_unique());
        assert_eq!(content.view().1.get(0), Some(&[1u8; 10][..]));
    }
}
