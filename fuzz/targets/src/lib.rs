//! What must hold for any input: the targets of the fuzzer, which are ordinary functions, so that
//! tests run them too. A target panics where something does not hold, and never else.
//!
//! An input is read as a row of choices by its target. `docs/fuzzing.md` says how they are run.

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

/// What runs one input.
pub type Target = fn(&[u8]);

/// All targets by their names, which are those of their corpora.
pub const TARGETS: [(&str, Target); 7] = [
    ("broker", broker),
    ("decode", decode),
    ("detect", detect),
    ("relay", relay),
    ("traffic", traffic),
    ("translate", translate),
    ("zmtp", zmtp),
];
