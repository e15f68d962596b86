//! The whole of Majordomus on virtual time: the real broker, real clients and workers and others
//! that speak every mix of capabilities, a network with faults, and a judge, all from one seed.
//!
//! Nothing here looks at a clock or draws a number that the seed does not give, so a run can be
//! repeated. The generators know nothing of the judge, and the judge nothing of them: it sees what
//! goes into the broker and what comes out. Nothing of this is published.

mod actors;
mod faults;
pub mod judge;
mod machine;
mod network;
mod outputs;
mod rng;
mod run;
mod saboteur;
mod script;
mod settings;
mod shrink;
mod stage;
mod tape;
mod trace;
mod workload;
mod world;

pub use machine::Machine;
pub use outputs::{Outputs, Step};
pub use rng::Rng;
pub use run::{Failure, Report, run};
pub use saboteur::{Mutation, Saboteur};
pub use shrink::{Shrunk, shrink};
pub use stage::Stage;
pub use tape::{Entry, Hope};
pub use trace::Sink;
pub use world::World;
