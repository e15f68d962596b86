//! A deterministic simulation of Majordomus on virtual time.
//!
//! It runs the real broker, the real client and worker, scripted peers with every mix of
//! capabilities, a network with faults, and a checker, all from one seed.
//!
//! The simulation reads no clock and draws every random number from the seed, so a run is
//! reproducible. The generators and the checker are independent of each other: the checker sees
//! only the broker's inputs and outputs. This crate is not published.

mod actors;
pub mod checker;
mod faults;
mod history;
mod machine;
mod mutant;
mod network;
mod outputs;
mod rng;
mod run;
mod script;
mod settings;
mod shrink;
mod stage;
mod trace;
mod workload;
mod world;

pub use history::{Entry, Hope};
pub use machine::Machine;
pub use mutant::{Mutant, Mutation};
pub use outputs::{Outputs, Step};
pub use rng::Rng;
pub use run::{Failure, Report, run};
pub use shrink::{Shrunk, shrink};
pub use stage::Stage;
pub use trace::Sink;
pub use world::World;
