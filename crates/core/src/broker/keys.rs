//! Hash keys. The caller supplies them, so that peers cannot choose colliding names, and a run can
//! be replayed.

use core::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

use crate::FramesView;

/// The seed of all values in the broker that must be unpredictable. Use 32 bytes from a secure
/// random source in production, and any value in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys(pub [u64; 4]);

impl Keys {
    pub(super) fn tokens(&self) -> (u64, u64) {
        (self.0[2], self.0[3])
    }

    pub(super) fn random(&self) -> u64 {
        self.0[0] ^ self.0[2].rotate_left(17)
    }

    pub(super) fn state(&self) -> KeyedState {
        KeyedState(self.0[0], self.0[1])
    }
}

/// Builds keyed hashers for tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyedState(u64, u64);

impl KeyedState {
    #[inline]
    pub(super) fn of(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    /// Returns the hash of a request by service and body.
    pub(super) fn of_body(&self, service: &[u8], body: FramesView<'_>) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(service);
        hasher.write_u8(body.note());
        for frame in body.iter() {
            hasher.write_usize(frame.len());
            hasher.write(frame);
        }
        hasher.finish()
    }
}

impl BuildHasher for KeyedState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}
