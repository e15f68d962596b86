//! A buffer pool for large messages.
//!
//! The operating system allocates memory in pages and zeroes each of them. For a large message that
//! costs more than reading it. The pool therefore reuses the memory of a message for the next one
//! of the same size, once the message is dropped.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::UNGRANTED_BYTES_MAX;

/// The maximum number of pooled buffers.
pub const SPARES_MAX: usize = 64;
/// The maximum number of bytes by which a buffer may exceed the requested size, because limits
/// count the requested size. A buffer that seems smaller by up to this amount may fit too, because
/// the message in it may be shorter than its capacity.
const SURPLUS_BYTES_MAX: usize = 4 * 1024;

/// A pool of buffers of large messages, up to [`SPARES_MAX`] buffers and a total size. A buffer can
/// be taken again once all other references to it are dropped.
///
/// ```
/// use bytes::Bytes;
/// use majordomus_zmtp::BufferPool;
///
/// let mut spares = BufferPool::new(1 << 20);
/// let message = Bytes::from(vec![0; 100_000]);
/// let place = message.as_ptr();
/// spares.lend(&message);
/// assert_ne!(spares.take(100_000).as_ptr(), place, "the message is still there");
/// drop(message);
/// assert_eq!(spares.take(100_000).as_ptr(), place);
/// ```
#[derive(Debug)]
pub struct BufferPool {
    lent: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl BufferPool {
    /// Creates an empty pool for at most `bytes_max` bytes; 0 disables it.
    ///
    /// ```
    /// assert!(majordomus_zmtp::BufferPool::new(0).take(1).is_empty());
    /// ```
    pub const fn new(bytes_max: usize) -> Self {
        Self { lent: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the memory of a message to the pool, if the message is large. The oldest buffers are
    /// removed to make room.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::BufferPool::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 5]));
    /// assert_eq!(spares.held_bytes(), 0);
    /// ```
    pub fn lend(&mut self, message: &Bytes) {
        if message.len() <= UNGRANTED_BYTES_MAX || message.len() > self.bytes_max {
            return;
        }
        while self.lent.len() >= SPARES_MAX || self.bytes + message.len() > self.bytes_max {
            self.remove(0);
        }
        self.bytes += message.len();
        self.lent.push_back(message.clone());
    }

    /// Takes a buffer for a message of `bytes` bytes, for
    /// [`grant_in`](crate::Connection::grant_in). Returns an empty buffer if none fits.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::BufferPool::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 100_000]));
    /// assert!(spares.take(200_000).is_empty(), "that is too small");
    /// ```
    pub fn take(&mut self, bytes: usize) -> BytesMut {
        let surplus = bytes..=bytes.saturating_add(SURPLUS_BYTES_MAX);
        let free = |fits: &dyn Fn(usize) -> bool| {
            // The newest buffer is the most likely to be in the processor's cache.
            self.lent.iter().rposition(|memory| fits(memory.len()) && memory.is_unique())
        };
        let large_enough = free(&|length| surplus.contains(&length));
        let perhaps = || free(&|length| (length..=length + SURPLUS_BYTES_MAX).contains(&bytes));
        let found = large_enough.or_else(perhaps).and_then(|at| self.remove(at));
        match found.map(Bytes::try_into_mut) {
            Some(Ok(memory)) if surplus.contains(&memory.capacity()) => memory,
            // The capacity is smaller or larger than the length suggested.
            _ => BytesMut::new(),
        }
    }

    /// Empties the pool, so that unreferenced memory is freed.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::BufferPool::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 100_000]));
    /// spares.clear();
    /// assert_eq!(spares.held_bytes(), 0);
    /// ```
    pub fn clear(&mut self) {
        (self.lent, self.bytes) = (VecDeque::new(), 0);
    }

    /// Returns the total size of the pooled buffers in bytes, including those that are still in
    /// use.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::BufferPool::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 100_000]));
    /// assert_eq!(spares.held_bytes(), 100_000);
    /// ```
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, at: usize) -> Option<Bytes> {
        let memory = self.lent.remove(at)?;
        self.bytes -= memory.len();
        Some(memory)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_in_pieces_and_in_bytes() {
        let mut spares = BufferPool::new(10 << 20);
        for _ in 0..1_000 {
            spares.lend(&Bytes::from(vec![0; 20_000]));
        }
        assert_eq!(spares.held_bytes(), SPARES_MAX * 20_000);
        for _ in 0..1_000 {
            spares.lend(&Bytes::from(vec![0; 3 << 20]));
        }
        assert_eq!(spares.held_bytes(), 9 << 20);
        spares.lend(&Bytes::from(vec![0; 11 << 20]));
        assert_eq!(spares.held_bytes(), 9 << 20, "it would be all and more");
    }

    #[test]
    fn memory_is_never_much_larger_than_what_comes_in_it() {
        let mut spares = BufferPool::new(10 << 20);
        spares.lend(&Bytes::from(vec![0; 1 << 20]));
        for bytes in (20_000..1 << 20).rev().step_by(1_000) {
            let mut memory = spares.take(bytes);
            assert!(memory.capacity() <= bytes + SURPLUS_BYTES_MAX);
            memory.resize(bytes, 0);
            spares.lend(&memory.freeze());
        }
    }

    #[test]
    fn memory_in_which_a_shorter_message_came_is_good_for_a_longer_one() {
        let mut spares = BufferPool::new(10 << 20);
        let mut memory = BytesMut::zeroed(100_000);
        let place = memory.as_ptr();
        for length in [99_990, 100_000, 99_900, 99_990] {
            memory.truncate(length);
            // Freezes the memory as a connection does.
            let message = memory.freeze();
            spares.lend(&message);
            drop(message);
            memory = spares.take(100_000);
            assert_eq!(memory.as_ptr(), place);
            memory.resize(100_000, 0);
        }
        assert!(spares.take(200_000).is_empty());
    }

    #[test]
    fn what_is_held_by_others_is_given_to_nobody_and_stands_in_nobodys_way() {
        let mut spares = BufferPool::new(10 << 20);
        let kept: Vec<Bytes> = (0..SPARES_MAX).map(|_| Bytes::from(vec![7; 20_000])).collect();
        kept.iter().for_each(|message| spares.lend(message));
        for _ in 0..SPARES_MAX {
            assert!(spares.take(20_000).is_empty());
        }
        assert!(kept.iter().all(|message| message[..] == [7; 20_000]));
        spares.lend(&Bytes::from(vec![0; 20_000]));
        let found = (0..SPARES_MAX).any(|_| !spares.take(20_000).is_empty());
        assert!(found);
    }
}
