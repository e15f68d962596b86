//! Dense ids with a generation: an index into a table, and a number that tells its tenants apart.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The place in the table.
            pub index: u32,
            /// Which tenant of that place is meant.
            pub generation: u32,
        }

        impl $name {
            /// The id of tenant `generation` of place `index`.
            pub const fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }

            /// Both in one number.
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
    /// A connected peer, client or worker. Whoever drives the broker gives these out: the index is
    /// small and dense, and the pair is never used twice.
    PeerId, "p"
}

id! {
    /// A request that the broker has taken.
    RequestId, "r"
}
