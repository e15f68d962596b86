//! Request handles and their hash function.

use core::hash::{BuildHasher, Hasher};

/// A request's handle, chosen by the client's driver. Each handle is used once, and requests are
/// sent in handle order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHandle(pub u64);

/// A fast hash function for maps keyed by handles. Handles count upwards and no peer chooses them,
/// so one multiplication is enough.
///
/// ```
/// use std::collections::HashMap;
///
/// use majordomus_core::{HandleState, RequestHandle};
///
/// let mut users = HashMap::with_hasher(HandleState);
/// users.insert(RequestHandle(7), "alice");
/// assert_eq!(users.get(&RequestHandle(7)), Some(&"alice"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HandleState;

impl BuildHasher for HandleState {
    type Hasher = HandleHasher;

    fn build_hasher(&self) -> HandleHasher {
        HandleHasher(0)
    }
}

/// The hasher of [`HandleState`].
#[derive(Clone, Copy, Debug)]
pub struct HandleHasher(u64);

impl HandleHasher {
    /// The fractional part of the golden ratio, which spreads consecutive numbers over all bits
    /// (Fibonacci hashing).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
}

impl Hasher for HandleHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(Self::FACTOR);
    }
}
