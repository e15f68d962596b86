//! A connection's receive buffer: received bytes that are not yet processed.
//!
//! ```text
//!   head                         rest
//!   own memory: a message        what came last, usually a slice of the read buffer
//!   that an earlier turn         that all connections share
//!   did not complete
//! ```
//!
//! The bytes in `head` precede those in `rest`. While `head` is empty, messages are split off
//! `rest` without a copy. Otherwise `head` takes from `rest` only the bytes that its message still
//! needs, so each turn copies one message and not the whole read.

use core::mem;

use bytes::{Bytes, BytesMut};

use crate::{assembly::Need, frame::HEADER_BYTES_MIN};

/// The number of bytes that an incomplete message may occupy without a grant.
pub const UNGRANTED_BYTES_MAX: usize = 16 * 1024;
/// Additional memory in a grant when more frames follow the large one, so that small frames do not
/// need grants of their own.
const FOLLOWING_FRAMES_ROOM: usize = 512;

/// The state of an incomplete message's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    /// The message is small, or fits the memory granted before.
    Fits,
    /// The message waits for a grant of this size.
    Asked { capacity: usize },
}

#[derive(Debug)]
pub(crate) struct Input {
    head: BytesMut,
    /// The number of received bytes in `head`. The bytes after them are zeros to be read into.
    filled: usize,
    rest: BytesMut,
    /// True if `rest` is own memory and not a slice of the caller's buffer.
    rest_is_own: bool,
    /// The number of bytes required before the next parse can succeed.
    need: usize,
    /// The number of bytes that the incoming message may occupy.
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

    /// Moves all bytes out of `input`.
    #[inline]
    pub(crate) fn receive(&mut self, input: &mut BytesMut) {
        if self.rest.is_empty() {
            self.rest = input.split();
            self.rest_is_own = false;
        } else if !input.is_empty() {
            self.receive_behind_rest(input);
        }
    }

    /// Copies all of `bytes`.
    pub(crate) fn receive_copy(&mut self, bytes: &[u8]) {
        self.receive(&mut BytesMut::from(bytes));
        self.rest_is_own |= !bytes.is_empty() || self.rest.is_empty();
    }

    /// Copies the bytes that the next parse needs from the front of `bytes`, and advances `bytes`.
    /// All complete messages in earlier bytes must have been parsed.
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

    /// Returns true if no bytes are buffered, so that the next byte starts a message or a command.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.rest.is_empty()
    }

    /// Returns true if more bytes can be received: false while a message waits for a grant.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.grant == Grant::Fits
    }

    /// Returns the contiguous bytes from the start of the incoming message.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.filled == 0 { &self.rest } else { &self.head[..self.filled] }
    }

    /// Returns the number of buffered bytes.
    pub(crate) fn len(&self) -> usize {
        self.filled + self.rest.len()
    }

    /// Returns true if enough bytes have arrived for another parse.
    #[inline]
    pub(crate) fn ready(&mut self) -> bool {
        self.grant == Grant::Fits && self.fill(self.need)
    }

    /// Makes the first `end` bytes contiguous. Returns false if they have not arrived.
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

    /// Records the bytes needed after an incomplete parse. Returns the size of the grant to
    /// request, if the message needs more than it may occupy. Parsing stops then until
    /// [`Self::grant`].
    pub(crate) fn starve(&mut self, need: Need) -> Option<usize> {
        self.need = need.end;
        if need.end <= self.allowance {
            return None;
        }
        let capacity = if need.more {
            // Growing by a quarter keeps the copying linear when many frames follow.
            (need.end + FOLLOWING_FRAMES_ROOM).max(self.bytes().len() / 4 * 5)
        } else {
            need.end
        };
        self.grant = Grant::Asked { capacity };
        Some(capacity)
    }

    /// Reserves the requested memory. Uses `memory` if it is large enough.
    pub(crate) fn grant(&mut self, memory: BytesMut) {
        let Grant::Asked { capacity } = self.grant else { return };
        self.grant = Grant::Fits;
        self.allowance = capacity;
        let here = self.bytes();
        let filled = here.len();
        // The memory is zeroed, because safe code cannot read a socket into uninitialized memory.
        // The operating system provides large zeroed allocations at no extra cost.
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

    /// Returns a buffer to read into, if the incoming message has a grant and needs more bytes.
    pub(crate) fn direct_room(&mut self) -> Option<&mut [u8]> {
        let granted = self.allowance > UNGRANTED_BYTES_MAX && self.grant == Grant::Fits;
        if !granted || self.filled == 0 || !self.rest.is_empty() || self.need <= self.filled {
            return None;
        }
        if self.head.len() < self.need {
            // Zeroes only the bytes that the frame needs; zeroing more would cost more than
            // reading.
            self.head.resize(self.need, 0);
        }
        Some(&mut self.head[self.filled..])
    }

    /// Records that `n` bytes were read into the direct buffer.
    pub(crate) fn direct_received(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.head.len());
    }

    /// Removes and returns the first `end` bytes, which are a message.
    #[inline]
    pub(crate) fn take_message(&mut self, end: usize) -> Bytes {
        self.need = 0;
        if self.filled != 0 {
            return self.take_head(end);
        }
        // Moving the whole buffer avoids a reference count update.
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
            // The remaining bytes share memory with the message, so they cannot stay there.
            // Appending `rest` makes them contiguous with the later bytes, and further messages are
            // split off without a copy.
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

    /// Allows another parse of the same bytes, after a command inside an incoming message.
    pub(crate) fn look_again(&mut self) {
        self.need = 0;
    }

    /// Releases the caller's read buffer, and all memory if no bytes are left.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if !self.rest.is_empty() {
            self.own_rest();
        } else {
            // An empty slice would keep its underlying memory alive.
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

    /// Returns the occupied memory in bytes. A slice of the caller's buffer counts by its length.
    pub(crate) fn held_bytes(&self) -> usize {
        let rest = if self.rest_is_own { self.rest.capacity() } else { self.rest.len() };
        self.head.capacity() + rest
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}
