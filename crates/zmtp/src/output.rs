//! The bytes that wait to be written.
//!
//! ```text
//!   bytes    |--sent--|-- headers, small frames --|-- header --|-- headers, small frames --|
//!                     cursor                                   at
//!   shared                                                     large frame (by reference)
//! ```

use alloc::{collections::VecDeque, vec::Vec};
use core::iter;

use bytes::{Buf, Bytes};

use crate::frame;

/// Frames of this many bytes or more are passed on by reference, shorter ones are copied.
pub const SHARED_FRAME_BYTES_MIN: usize = 8 * 1024;
/// Memory that an empty output keeps for the next turn.
const KEPT_BYTES_MAX: usize = 4 * 1024;
const KEPT_SHARED_MAX: usize = 16;
/// Bounds of the first reservation, which otherwise is what the last turn needed.
const FIRST_BYTES_MIN: usize = 256;
const FIRST_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Shared {
    /// The offset in `bytes` before which it is to be written.
    at: usize,
    frame: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How much of `bytes` was sent.
    cursor: usize,
    shared: VecDeque<Shared>,
    /// How many of them, from the front, were looked at by [`Output::detach`].
    detached: usize,
    unsent: usize,
    /// All bytes that were ever sent.
    sent: u64,
    /// What `bytes` held when it was last empty again.
    last_fill: usize,
}

impl Output {
    /// Queues bytes by copying them.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.unsent += bytes.len();
    }

    /// Queues a frame's header, in the shortest form.
    pub(crate) fn copy_header(&mut self, flags: u8, body: usize) {
        match frame::short_header(flags, body) {
            Some(header) => self.copy(&header),
            None => self.copy(&frame::long_header(flags, body)),
        }
    }

    /// Queues a frame by copying it.
    #[inline]
    pub(crate) fn copy_frame(&mut self, flags: u8, body: &[u8]) {
        let header_len = if let Some(header) = frame::short_header(flags, body.len()) {
            self.make_room(header.len() + body.len());
            // A length that the compiler knows spares a call for two bytes.
            self.bytes.extend_from_slice(&header);
            header.len()
        } else {
            let header = frame::long_header(flags, body.len());
            self.make_room(header.len() + body.len());
            self.bytes.extend_from_slice(&header);
            header.len()
        };
        self.bytes.extend_from_slice(body);
        self.unsent += header_len + body.len();
    }

    /// Queues a frame by copying its header and keeping a reference to its body.
    pub(crate) fn share_frame(&mut self, flags: u8, body: &Bytes) {
        self.copy_header(flags, body.len());
        self.shared.push_back(Shared { at: self.bytes.len(), frame: body.clone() });
        self.unsent += body.len();
    }

    /// Copies what waits by reference and is shorter than this, so that nothing is held beside it.
    pub(crate) fn detach(&mut self, below: usize) {
        for Shared { frame, .. } in self.shared.range_mut(self.detached..) {
            if frame.len() < below {
                *frame = Bytes::copy_from_slice(frame);
            }
        }
        self.detached = self.shared.len();
    }

    /// Where the greeting is written.
    pub(crate) fn greet(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        encode(&mut self.bytes);
        self.unsent += self.bytes.len() - before;
    }

    #[inline]
    pub(crate) const fn unsent_bytes(&self) -> usize {
        self.unsent
    }

    /// The place in the stream behind the last byte that is queued.
    pub(crate) const fn end(&self) -> u64 {
        self.sent + self.unsent as u64
    }

    /// The place in the stream behind the last byte that was sent.
    pub(crate) const fn sent_to(&self) -> u64 {
        self.sent
    }

    /// The slices to write, in order. None is empty.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &[u8]> {
        let mut shared = self.shared.iter();
        let mut cursor = self.cursor;
        let mut next_frame: Option<&[u8]> = None;
        iter::from_fn(move || {
            if let Some(frame) = next_frame.take() {
                return Some(frame);
            }
            let copied = match shared.next() {
                Some(next) => {
                    let copied = &self.bytes[cursor..next.at];
                    cursor = next.at;
                    if copied.is_empty() {
                        return Some(&next.frame);
                    }
                    next_frame = Some(&next.frame);
                    copied
                }
                None => {
                    let copied = &self.bytes[cursor..];
                    cursor = self.bytes.len();
                    copied
                }
            };
            (!copied.is_empty()).then_some(copied)
        })
    }

    /// The first `n` unsent bytes were written.
    #[inline]
    pub(crate) fn sent(&mut self, n: usize) {
        let n = n.min(self.unsent);
        self.unsent -= n;
        self.sent += n as u64;
        if self.unsent == 0 {
            self.empty();
        } else if self.shared.is_empty() {
            self.cursor += n;
        } else {
            self.advance(n);
        }
    }

    fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let stop = self.shared.front().map_or(self.bytes.len(), |shared| shared.at);
            let copied = n.min(stop - self.cursor);
            self.cursor += copied;
            n -= copied;
            if n == 0 {
                return;
            }
            let Some(front) = self.shared.front_mut() else { return };
            let shared = n.min(front.frame.len());
            front.frame.advance(shared);
            n -= shared;
            if front.frame.is_empty() {
                self.shared.pop_front();
                self.detached = self.detached.saturating_sub(1);
            }
        }
    }

    /// Everything was sent: what was large is given back, what is small is kept for next time.
    fn empty(&mut self) {
        self.cursor = 0;
        self.detached = 0;
        self.last_fill = self.bytes.len();
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
        if self.shared.capacity() > KEPT_SHARED_MAX {
            self.shared = VecDeque::new();
        } else {
            self.shared.clear();
        }
    }

    #[inline]
    fn make_room(&mut self, additional: usize) {
        if self.bytes.capacity() - self.bytes.len() < additional {
            self.make_more_room(additional);
        }
    }

    #[cold]
    fn make_more_room(&mut self, additional: usize) {
        if self.bytes.capacity() == 0 {
            // A busy connection fills about the same each turn: one reservation is enough.
            let usual = self.last_fill.clamp(FIRST_BYTES_MIN, FIRST_BYTES_MAX);
            self.bytes.reserve_exact(usual.max(additional));
            return;
        }
        // Moving what is unsent to the front is paid for by at least as many bytes sent.
        if self.cursor >= self.bytes.len() - self.cursor {
            self.bytes.drain(..self.cursor);
            for shared in &mut self.shared {
                shared.at -= self.cursor;
            }
            self.cursor = 0;
        }
        self.bytes.reserve(additional);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn little_memory_is_kept_and_much_is_given_back() {
        let mut output = Output::default();
        output.copy_frame(0, &[1; 100]);
        output.sent(output.unsent_bytes());
        assert_eq!(output.bytes.capacity(), FIRST_BYTES_MIN);

        output.copy_frame(0, &[1; 2 * KEPT_BYTES_MAX]);
        output.sent(output.unsent_bytes());
        assert_eq!(output.bytes.capacity(), 0);
    }

    #[test]
    fn a_busy_connection_reserves_once_a_turn() {
        let mut output = Output::default();
        for turn in 0..3 {
            output.copy_frame(0, &[1; 100]);
            let reserved = output.bytes.capacity();
            for _ in 0..99 {
                output.copy_frame(0, &[1; 100]);
            }
            assert!(turn == 0 || output.bytes.capacity() == reserved);
            output.sent(output.unsent_bytes());
        }
    }

    #[test]
    fn a_slow_reader_costs_what_is_unsent_and_not_what_was_sent() {
        let mut output = Output::default();
        let shared = Bytes::from(vec![2; SHARED_FRAME_BYTES_MIN]);
        for _ in 0..10_000 {
            output.copy_frame(0, &[1; 98]);
            output.share_frame(0, &shared);
            if output.unsent_bytes() > 20 * shared.len() {
                output.sent(100 + 9 + shared.len());
            }
        }
        assert!(output.bytes.capacity() < 16 * 1024);
        assert!(output.shared.len() < 25);
    }

    #[test]
    fn memory_for_references_is_given_back() {
        let mut output = Output::default();
        let shared = Bytes::from(vec![2; SHARED_FRAME_BYTES_MIN]);
        for _ in 0..100 {
            output.share_frame(0, &shared);
        }
        output.sent(output.unsent_bytes());
        assert_eq!(output.shared.capacity(), 0);
        assert!(shared.is_unique());
    }

    #[test]
    fn what_waits_long_holds_nothing_beside_it() {
        let mut output = Output::default();
        let [small, large] = [1, 2].map(|times| vec![2; times * SHARED_FRAME_BYTES_MIN]);
        let [small, large] = [small, large].map(Bytes::from);
        for round in 0..3 {
            output.share_frame(0, &small);
            output.share_frame(0, &large);
            output.detach(large.len());
            assert!(small.is_unique() && !large.is_unique());
            let waiting: Vec<u8> = output.unsent().flatten().copied().collect();
            let header = |length: u8| [2, 0, 0, 0, 0, 0, 0, length, 0];
            let both = [&header(0x20)[..], &small, &header(0x40), &large].concat();
            assert!(waiting.ends_with(&both));
            if round == 1 {
                // One is gone, and a part of another.
                output.sent(2 * small.len());
            }
        }
    }

    #[test]
    fn more_than_all_is_all() {
        let mut output = Output::default();
        output.copy(b"abc");
        output.sent(usize::MAX);
        assert_eq!((output.unsent_bytes(), output.sent_to(), output.end()), (0, 3, 3));
    }
}
