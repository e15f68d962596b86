//! A seeded random number generator, for reproducible failures.

use bytes::Bytes;

/// An xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Xorshift has a fixed point at zero, and small seeds produce small first numbers.
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Bytes {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Generates a message of 1 to 12 frames, with a preference for lengths at which the framing
    /// changes.
    pub(crate) fn message(&mut self) -> Vec<Bytes> {
        let frames = 1 + self.below(12);
        (0..frames)
            .map(|_| {
                let len = match self.below(16) {
                    0 => 255,
                    1 => 256,
                    2 => self.below(30_000),
                    3 => 8191 + self.below(3),
                    4 | 5 => 0,
                    6 if self.below(8) == 0 => 60_000 + self.below(200_000),
                    _ => self.below(100),
                };
                self.bytes(len)
            })
            .collect()
    }
}
