//! Dense ids: a table index with a generation that distinguishes successive entries.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The table index.
            pub index: u32,
            /// The generation of the entry at that index.
            pub generation: u32,
        }

        impl $name {
            /// Creates an id from an index and a generation.
            pub const fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }

            /// Packs the index and the generation into one number.
            pub(crate) const fn to_bits(self) -> u64 {
                (self.generation as u64) << 32 | self.index as u64
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}.{}"), self.index, self.generation)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id! {
    /// The id of a connected client or worker. The caller that drives the broker assigns these ids.
    /// Indices are small and dense, and an index with its generation is never reused.
    PeerId, "p"
}

id! {
    /// The id of a request that the broker accepted.
    RequestId, "r"
}
