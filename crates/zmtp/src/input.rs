//! The bytes that came and are not yet taken, and the memory that they hold.
//!
//! ```text
//!   head                         rest
//!   own memory: a message        what came last, usually a slice of the read buffer
//!   that an earlier turn         that all connections share
//!   did not complete
//! ```
//!
//! Bytes are in order: first `head`, then `rest`. While `head` is empty, messages are cut out of
//! `rest` without a copy. While it is not, it takes from `rest` only what its message still
//! needs, so one message a turn is copied and not the whole read.

use core::mem;

use bytes::{Bytes, BytesMut};

use crate::{assembly::Need, frame::HEADER_BYTES_MIN};

/// What an incomplete message may hold without having been asked for: more needs a grant.
pub const UNGRANTED_BYTES_MAX: usize = 16 * 1024;
/// Memory granted in addition when more frames follow the large one, so that small ones do not
/// need a grant of their own.
const FOLLOWING_FRAMES_ROOM: usize = 512;

/// Whether an incomplete message may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    /// It is small, or it fits what was granted before.
    Fits,
    /// It waits for this much memory.
    Asked { capacity: usize },
}

#[derive(Debug)]
pub(crate) struct Input {
    head: BytesMut,
    /// How much of `head` was received; what is behind it is zeros to be read into.
    filled: usize,
    rest: BytesMut,
    /// Whether `rest` is memory of our own and not a slice of the caller's.
    rest_is_own: bool,
    /// Bytes that must be here before looking again is worthwhile.
    need: usize,
    /// Bytes that the message in reception may hold.
    allowance: usize,
    grant: Grant,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            head: BytesMut::new(),
            filled: 0,
            rest: BytesMut::new(),
            rest_is_own: true,
            need: 0,
            allowance: UNGRANTED_BYTES_MAX,
            grant: Grant::Fits,
        }
    }

    /// Takes all bytes of `input`.
    #[inline]
    pub(crate) fn receive(&mut self, input: &mut BytesMut) {
        if self.rest.is_empty() {
            self.rest = input.split();
            self.rest_is_own = false;
        } else if !input.is_empty() {
            self.receive_behind_rest(input);
        }
    }

    /// Takes a copy of all of `bytes`.
    pub(crate) fn receive_copy(&mut self, bytes: &[u8]) {
        self.receive(&mut BytesMut::from(bytes));
        self.rest_is_own |= !bytes.is_empty() || self.rest.is_empty();
    }

    /// Copies the bytes that the next parse needs from the front of `bytes`, and advances `bytes`. The
    /// bytes received before must have been parsed as far as they go.
    pub(crate) fn receive_front(&mut self, bytes: &mut &[u8]) {
        if self.filled == 0 {
            self.own_rest();
            self.head = mem::take(&mut self.rest);
            self.filled = self.head.len();
        }
        let missing = self.need.max(HEADER_BYTES_MIN).saturating_sub(self.filled).max(1);
        let (taken, behind) = bytes.split_at(missing.min(bytes.len()));
        self.extend_head(taken);
        *bytes = behind;
    }

    #[cold]
    fn receive_behind_rest(&mut self, input: &mut BytesMut) {
        self.own_rest();
        if self.filled == 0 {
            self.head = mem::take(&mut self.rest);
            self.filled = self.head.len();
            self.rest = input.split();
            self.rest_is_own = false;
        } else {
            self.rest.extend_from_slice(input);
            input.clear();
        }
    }

    /// Returns whether no bytes are buffered, so that the next byte begins a message or a command.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.rest.is_empty()
    }

    /// Returns whether more bytes can be taken: false while a message waits for memory.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.grant == Grant::Fits
    }

    /// The bytes from the start of the message in reception, as far as they are in one piece.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.filled == 0 { &self.rest } else { &self.head[..self.filled] }
    }

    /// All bytes that are here.
    pub(crate) fn len(&self) -> usize {
        self.filled + self.rest.len()
    }

    /// Whether it is worthwhile to look for the next thing: what was needed is here.
    #[inline]
    pub(crate) fn ready(&mut self) -> bool {
        self.grant == Grant::Fits && self.fill(self.need)
    }

    /// Brings the first `end` bytes into one piece; false when they are not here.
    pub(crate) fn fill(&mut self, end: usize) -> bool {
        if self.filled == 0 {
            return self.rest.len() >= end;
        }
        if self.filled < end && !self.rest.is_empty() {
            self.fill_head(end);
        }
        self.filled >= end
    }

    #[cold]
    fn fill_head(&mut self, end: usize) {
        let taken = self.rest.split_to(self.rest.len().min(end - self.filled));
        self.extend_head(&taken);
    }

    fn extend_head(&mut self, taken: &[u8]) {
        let room = taken.len().min(self.head.len() - self.filled);
        self.head[self.filled..self.filled + room].copy_from_slice(&taken[..room]);
        self.head.extend_from_slice(&taken[room..]);
        self.filled += taken.len();
    }

    /// Nothing whole was found, and `need` is needed. Returns the memory to ask for, if that is
    /// more than the message may hold; nothing is taken then until [`Self::grant`].
    pub(crate) fn starve(&mut self, need: Need) -> Option<usize> {
        self.need = need.end;
        if need.end <= self.allowance {
            return None;
        }
        let capacity = if need.more {
            // A quarter more than is here keeps the copying linear when many frames follow.
            (need.end + FOLLOWING_FRAMES_ROOM).max(self.bytes().len() / 4 * 5)
        } else {
            need.end
        };
        self.grant = Grant::Asked { capacity };
        Some(capacity)
    }

    /// Reserves the memory that was asked for: this, where it is large enough.
    pub(crate) fn grant(&mut self, memory: BytesMut) {
        let Grant::Asked { capacity } = self.grant else { return };
        self.grant = Grant::Fits;
        self.allowance = capacity;
        let here = self.bytes();
        let filled = here.len();
        // The bytes are zeros because safe code cannot read a socket into anything else; the
        // operating system has large pieces of them for nothing.
        let bytes = capacity.max(filled);
        let mut head = match memory.capacity() >= bytes {
            true => memory,
            false => BytesMut::zeroed(bytes),
        };
        head.resize(bytes, 0);
        head[..filled].copy_from_slice(here);
        if self.filled == 0 {
            self.rest = BytesMut::new();
        }
        self.head = head;
        self.filled = filled;
    }

    /// Room to read into, when the message in reception has memory granted and needs more bytes.
    pub(crate) fn direct_room(&mut self) -> Option<&mut [u8]> {
        let granted = self.allowance > UNGRANTED_BYTES_MAX && self.grant == Grant::Fits;
        if !granted || self.filled == 0 || !self.rest.is_empty() || self.need <= self.filled {
            return None;
        }
        if self.head.len() < self.need {
            // Only what the frame needs, or the zeros would cost more than the bytes.
            self.head.resize(self.need, 0);
        }
        Some(&mut self.head[self.filled..])
    }

    /// `n` bytes were read into the room.
    pub(crate) fn direct_received(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.head.len());
    }

    /// Takes the first `end` bytes, which are a message.
    #[inline]
    pub(crate) fn take_message(&mut self, end: usize) -> Bytes {
        self.need = 0;
        if self.filled != 0 {
            return self.take_head(end);
        }
        // Taking the last of a buffer saves a step of its reference count.
        let taken = if end == self.rest.len() {
            mem::take(&mut self.rest)
        } else {
            self.rest.split_to(end)
        };
        taken.freeze()
    }

    #[cold]
    fn take_head(&mut self, end: usize) -> Bytes {
        let mut head = mem::take(&mut self.head);
        head.truncate(self.filled);
        let mut behind = head.split_off(end);
        self.filled = 0;
        self.allowance = UNGRANTED_BYTES_MAX;
        if !behind.is_empty() {
            // It shares memory with the message, so it is not ours to keep. With what came after
            // it in one piece, all of it is cut without a copy from here on.
            behind.extend_from_slice(&self.rest);
            self.rest = behind;
            self.rest_is_own = false;
        }
        head.freeze()
    }

    /// Drops the first `end` bytes.
    pub(crate) fn skip(&mut self, end: usize) {
        let _ = self.take_message(end);
    }

    /// Looks again at the next bytes: the message in reception goes on after something in it.
    pub(crate) fn look_again(&mut self) {
        self.need = 0;
    }

    /// Lets go of the caller's read buffer, and of all memory when nothing is left.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if !self.rest.is_empty() {
            self.own_rest();
        } else {
            // An empty slice would still keep the memory that it is a slice of.
            self.rest = BytesMut::new();
            self.rest_is_own = true;
        }
    }

    fn own_rest(&mut self) {
        if !self.rest_is_own {
            self.rest = BytesMut::from(&self.rest[..]);
            self.rest_is_own = true;
        }
    }

    /// Memory that is held. A slice of the caller's buffer counts by its length.
    pub(crate) fn held_bytes(&self) -> usize {
        let rest = if self.rest_is_own { self.rest.capacity() } else { self.rest.len() };
        self.head.capacity() + rest
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}
