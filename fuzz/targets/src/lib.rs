//! Fuzz targets: properties that must hold for any input. Targets are ordinary functions, so tests
//! run them too. A target panics only if a property does not hold.
//!
//! Each target reads its input as a sequence of choices. `docs/fuzzing.md` describes how to run the
//! targets.

mod broker;
mod command;
mod decode;
mod detect;
mod message;
mod mutation;
mod random;
mod relay;
mod seeds;
mod source;
mod traffic;
mod translate;
mod zmtp;

pub use broker::broker;
pub use decode::{decode, decode_cuts};
pub use detect::detect;
pub use mutation::Mutation;
pub use relay::relay;
pub use seeds::seeds;
pub use traffic::traffic;
pub use translate::translate;
pub use zmtp::zmtp;

/// A function that runs one input.
pub type Target = fn(&[u8]);

/// All targets with their names, which are also the names of their corpora.
pub const TARGETS: [(&str, Target); 7] = [
    ("broker", broker),
    ("decode", decode),
    ("detect", detect),
    ("relay", relay),
    ("traffic", traffic),
    ("translate", translate),
    ("zmtp", zmtp),
];
