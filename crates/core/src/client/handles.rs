//! The handles of requests, and how they are hashed.

use core::hash::{BuildHasher, Hasher};

/// What a client's driver calls a request. None is used twice, and requests are sent in the order of
/// their handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHandle(pub u64);

/// Hashes handles, for maps in which they are looked up all the time. They count upwards and no peer
/// chooses them, so that a multiplication is enough.
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
    /// What lies in its golden section is spread over all bits.
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
