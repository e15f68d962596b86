//! Memory of large messages, to be received into again.
//!
//! A system gives memory page by page, and clears each: for a large message that costs more than to
//! read it. So what a message came in serves for the next of its size, once nobody holds it any more.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::UNGRANTED_BYTES_MAX;

/// How many pieces of memory are remembered at the most.
pub const SPARES_MAX: usize = 64;
/// A piece that is so much larger than what is wanted is for another: limits count what is wanted. One that
/// looks so much smaller may have room behind the shorter message that came in it.
const SURPLUS_BYTES_MAX: usize = 4 * 1024;

/// Remembers in which memory large messages came, up to [`SPARES_MAX`] and so many bytes, and gives
/// it out again when all others have let go of it.
///
/// ```
/// use bytes::Bytes;
/// use majordomus_zmtp::Spares;
///
/// let mut spares = Spares::new(1 << 20);
/// let message = Bytes::from(vec![0; 100_000]);
/// let place = message.as_ptr();
/// spares.lend(&message);
/// assert_ne!(spares.take(100_000).as_ptr(), place, "the message is still there");
/// drop(message);
/// assert_eq!(spares.take(100_000).as_ptr(), place);
/// ```
#[derive(Debug)]
pub struct Spares {
    lent: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl Spares {
    /// None yet; at most so many bytes, 0 to remember nothing.
    ///
    /// ```
    /// assert!(majordomus_zmtp::Spares::new(0).take(1).is_empty());
    /// ```
    pub const fn new(bytes_max: usize) -> Self {
        Self { lent: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Remembers the memory of a message, if that is a large one. The longest remembered makes room.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::Spares::new(1 << 20);
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

    /// Memory for a message of so many bytes, for [`grant_in`](crate::Connection::grant_in): none
    /// where there is none to spare.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::Spares::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 100_000]));
    /// assert!(spares.take(200_000).is_empty(), "that is too small");
    /// ```
    pub fn take(&mut self, bytes: usize) -> BytesMut {
        let surplus = bytes..=bytes.saturating_add(SURPLUS_BYTES_MAX);
        let free = |fits: &dyn Fn(usize) -> bool| {
            // The last one is the likeliest to be in the processor's cache still.
            self.lent.iter().rposition(|memory| fits(memory.len()) && memory.is_unique())
        };
        let large_enough = free(&|length| surplus.contains(&length));
        let perhaps = || free(&|length| (length..=length + SURPLUS_BYTES_MAX).contains(&bytes));
        let found = large_enough.or_else(perhaps).and_then(|at| self.remove(at));
        match found.map(Bytes::try_into_mut) {
            Some(Ok(memory)) if surplus.contains(&memory.capacity()) => memory,
            // It has less room than it might have, or more than it seemed.
            _ => BytesMut::new(),
        }
    }

    /// Forgets all, so that what nobody holds is given back to the system.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::Spares::new(1 << 20);
    /// spares.lend(&bytes::Bytes::from(vec![0; 100_000]));
    /// spares.clear();
    /// assert_eq!(spares.held_bytes(), 0);
    /// ```
    pub fn clear(&mut self) {
        (self.lent, self.bytes) = (VecDeque::new(), 0);
    }

    /// Bytes that are remembered, others may hold them too.
    ///
    /// ```
    /// let mut spares = majordomus_zmtp::Spares::new(1 << 20);
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
        let mut spares = Spares::new(10 << 20);
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
        let mut spares = Spares::new(10 << 20);
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
        let mut spares = Spares::new(10 << 20);
        let mut memory = BytesMut::zeroed(100_000);
        let place = memory.as_ptr();
        for length in [99_990, 100_000, 99_900, 99_990] {
            memory.truncate(length);
            // As a connection does with what it reads.
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
        let mut spares = Spares::new(10 << 20);
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
