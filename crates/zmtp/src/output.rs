//! A connection's send buffer: queued bytes that are not yet written.
//!
//! ```text
//!   bytes    |--sent--|-- headers, small frames --|-- header --|-- headers, small frames --|--room--|
//!                     cursor                                   at                          end
//!   shared                                                     large frame (by reference)
//! ```

use alloc::{collections::VecDeque, vec, vec::Vec};
use core::{iter, mem};

use bytes::{Buf, Bytes};

use crate::frame;

/// Frames of at least this size, in bytes, are queued by reference. Shorter frames are copied.
pub const SHARED_FRAME_BYTES_MIN: usize = 8 * 1024;
/// The memory, in bytes, that an empty output retains for the next turn.
const KEPT_BYTES_MAX: usize = 4 * 1024;
/// The same limit for a connection that shares output memory with others.
const POOLED_BYTES_MAX: usize = 64 * 1024;
const KEPT_SHARED_MAX: usize = 16;
/// The bounds of the first reservation, which otherwise equals the size needed in the last turn.
const FIRST_BYTES_MIN: usize = 256;
const FIRST_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Shared {
    /// The offset in `bytes` before which the frame must be written.
    at: usize,
    frame: Bytes,
}

#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Queued bytes up to `end`, followed by zeros that later frames overwrite. Each frame then
    /// needs only one capacity check.
    bytes: Vec<u8>,
    end: usize,
    /// The number of sent bytes in `bytes`.
    cursor: usize,
    shared: VecDeque<Shared>,
    /// The number of shared frames, from the front, that [`Output::detach`] has checked.
    detached: usize,
    unsent: usize,
    /// The total number of bytes sent.
    sent: u64,
    /// The number of bytes in `bytes` when it last became empty.
    last_fill: usize,
    /// True if other connections can take the memory when it is empty.
    is_pooled: bool,
}

impl Output {
    /// Retains more memory when empty, for other connections to take.
    pub(crate) fn pool(&mut self) {
        self.is_pooled = true;
    }

    /// Queues a copy of `bytes`.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.take_room(bytes.len()).copy_from_slice(bytes);
    }

    /// Queues a frame header in its shortest form.
    pub(crate) fn copy_header(&mut self, flags: u8, body: usize) {
        match frame::short_header(flags, body) {
            Some(header) => self.copy(&header),
            None => self.copy(&frame::long_header(flags, body)),
        }
    }

    /// Queues a copy of a frame.
    #[inline]
    pub(crate) fn copy_frame(&mut self, flags: u8, body: &[u8]) {
        let Some(header) = frame::short_header(flags, body.len()) else {
            return self.copy_long_frame(flags, body);
        };
        let room = self.take_room(header.len() + body.len());
        // A constant length lets the compiler avoid a call to copy two bytes.
        room[..header.len()].copy_from_slice(&header);
        room[header.len()..].copy_from_slice(body);
    }

    /// Queues copies of two frames.
    #[inline(always)]
    pub(crate) fn copy_two_frames(&mut self, one: (u8, &[u8]), other: (u8, &[u8])) {
        let headers =
            (frame::short_header(one.0, one.1.len()), frame::short_header(other.0, other.1.len()));
        let (Some(first), Some(second)) = headers else {
            self.copy_frame(one.0, one.1);
            return self.copy_frame(other.0, other.1);
        };
        let room = self.take_room(first.len() + one.1.len() + second.len() + other.1.len());
        let (header, room) = room.split_at_mut(first.len());
        header.copy_from_slice(&first);
        let (body, room) = room.split_at_mut(one.1.len());
        body.copy_from_slice(one.1);
        let (header, room) = room.split_at_mut(second.len());
        header.copy_from_slice(&second);
        room.copy_from_slice(other.1);
    }

    fn copy_long_frame(&mut self, flags: u8, body: &[u8]) {
        if body.len() >= SHARED_FRAME_BYTES_MIN {
            // In its own allocation, the frame is copied only once, even if `bytes` grows, and
            // needs no `detach`.
            let all_detached = self.detached == self.shared.len();
            self.share_frame(flags, Bytes::copy_from_slice(body));
            self.detached += usize::from(all_detached);
            return;
        }
        let header = frame::long_header(flags, body.len());
        let room = self.take_room(header.len() + body.len());
        room[..header.len()].copy_from_slice(&header);
        room[header.len()..].copy_from_slice(body);
    }

    /// Queues a copy of a frame's header and a reference to its body.
    pub(crate) fn share_frame(&mut self, flags: u8, body: Bytes) {
        self.copy_header(flags, body.len());
        self.unsent += body.len();
        self.shared.push_back(Shared { at: self.end, frame: body });
    }

    /// Copies the frames that are queued by reference and are shorter than `below` bytes, so that
    /// they no longer keep larger buffers alive.
    pub(crate) fn detach(&mut self, below: usize) {
        for Shared { frame, .. } in self.shared.range_mut(self.detached..) {
            if frame.len() < below {
                *frame = Bytes::copy_from_slice(frame);
            }
        }
        self.detached = self.shared.len();
    }

    #[inline]
    pub(crate) const fn unsent_bytes(&self) -> usize {
        self.unsent
    }

    /// Returns the stream position after the last queued byte.
    pub(crate) const fn end(&self) -> u64 {
        self.sent + self.unsent as u64
    }

    /// Returns the stream position after the last sent byte.
    pub(crate) const fn sent_to(&self) -> u64 {
        self.sent
    }

    /// Returns the slices to write, in order. No slice is empty.
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
                    let copied = &self.bytes[cursor..self.end];
                    cursor = self.end;
                    copied
                }
            };
            (!copied.is_empty()).then_some(copied)
        })
    }

    /// Removes the first `n` unsent bytes, which were written.
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
            let stop = self.shared.front().map_or(self.end, |shared| shared.at);
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

    /// Resets the empty output: releases large memory and retains small memory for the next turn.
    fn empty(&mut self) {
        self.cursor = 0;
        self.detached = 0;
        self.last_fill = mem::take(&mut self.end);
        let kept = if self.is_pooled { POOLED_BYTES_MAX } else { KEPT_BYTES_MAX };
        if self.bytes.len() > kept {
            self.bytes = Vec::new();
        }
        if self.shared.capacity() > KEPT_SHARED_MAX {
            self.shared = VecDeque::new();
        } else {
            self.shared.clear();
        }
    }

    /// Takes the memory of an empty output.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        (self.unsent == 0 && !self.bytes.is_empty()).then(|| mem::take(&mut self.bytes))
    }

    /// Provides memory to an output that has none.
    #[inline]
    pub(crate) fn give_buffer(&mut self, buffer: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = buffer;
        }
    }

    /// Reserves the next `len` bytes, to be overwritten. They count as queued.
    #[inline(always)]
    fn take_room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < len {
            self.make_room(len);
        }
        let start = self.end;
        self.end += len;
        self.unsent += len;
        &mut self.bytes[start..start + len]
    }

    #[cold]
    fn make_room(&mut self, len: usize) {
        if self.bytes.is_empty() {
            // A busy connection queues about the same amount each turn, so one reservation is
            // enough.
            let usual = self.last_fill.clamp(FIRST_BYTES_MIN, FIRST_BYTES_MAX);
            self.bytes = vec![0; usual.max(len)];
            return;
        }
        // The cost of moving the unsent bytes to the front is amortized by at least as many sent
        // bytes.
        if self.cursor >= self.end - self.cursor {
            self.bytes.copy_within(self.cursor..self.end, 0);
            for shared in &mut self.shared {
                shared.at -= self.cursor;
            }
            self.end -= self.cursor;
            self.cursor = 0;
        }
        let needed = self.end + len;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.max(2 * self.bytes.len()), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_is_kept_and_much_is_given_back() {
        let mut output = Output::default();
        output.copy_frame(0, &[1; 100]);
        output.sent(output.unsent_bytes());
        assert_eq!(output.bytes.len(), FIRST_BYTES_MIN);

        for _ in 0..=KEPT_BYTES_MAX / 100 {
            output.copy_frame(0, &[1; 100]);
        }
        output.sent(output.unsent_bytes());
        assert_eq!(output.bytes.len(), 0);
    }

    #[test]
    fn buffer_is_taken_only_when_it_is_empty() {
        let mut output = Output::default();
        assert_eq!(output.take_buffer(), None);
        output.copy_frame(0, b"abc");
        assert_eq!(output.take_buffer(), None);
        output.give_buffer(vec![7; 1_000]);
        assert_eq!(output.unsent().collect::<Vec<_>>(), [b"\0\x03abc"]);
        output.sent(5);
        let buffer = output.take_buffer().unwrap();
        assert_eq!(buffer.len(), FIRST_BYTES_MIN);

        let mut other = Output::default();
        other.give_buffer(buffer);
        other.copy_frame(0, b"de");
        assert_eq!(other.unsent().collect::<Vec<_>>(), [b"\0\x02de"]);
        other.copy_frame(0, &[1; 255]);
        assert_eq!(other.unsent().flatten().count(), 4 + 2 + 255);
    }

    #[test]
    fn a_busy_connection_reserves_once_a_turn() {
        let mut output = Output::default();
        for turn in 0..3 {
            output.copy_frame(0, &[1; 100]);
            let reserved = output.bytes.len();
            for _ in 0..99 {
                output.copy_frame(0, &[1; 100]);
            }
            assert!(turn == 0 || output.bytes.len() == reserved);
            output.sent(output.unsent_bytes());
        }
    }

    #[test]
    fn a_slow_reader_costs_what_is_unsent_and_not_what_was_sent() {
        let mut output = Output::default();
        let shared = Bytes::from(vec![2; SHARED_FRAME_BYTES_MIN]);
        for _ in 0..10_000 {
            output.copy_frame(0, &[1; 98]);
            output.share_frame(0, shared.clone());
            if output.unsent_bytes() > 20 * shared.len() {
                output.sent(100 + 9 + shared.len());
            }
        }
        assert!(output.bytes.len() < 16 * 1024);
        assert!(output.shared.len() < 25);
    }

    #[test]
    fn memory_for_references_is_given_back() {
        let mut output = Output::default();
        let shared = Bytes::from(vec![2; SHARED_FRAME_BYTES_MIN]);
        for _ in 0..100 {
            output.share_frame(0, shared.clone());
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
            output.share_frame(0, small.clone());
            output.share_frame(0, large.clone());
            output.detach(large.len());
            assert!(small.is_unique() && !large.is_unique());
            let waiting: Vec<u8> = output.unsent().flatten().copied().collect();
            let header = |length: u8| [2, 0, 0, 0, 0, 0, 0, length, 0];
            let both = [&header(0x20)[..], &small, &header(0x40), &large].concat();
            assert!(waiting.ends_with(&both));
            if round == 1 {
                // One frame and a part of another are sent.
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
