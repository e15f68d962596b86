//! The state machines of Majordomus, and the neutral commands that they exchange.
#![no_std]

extern crate alloc;

mod capabilities;
mod command;
mod frames;
mod id;
mod label;
mod outcome;
mod time;
mod token;

pub use capabilities::{ClientCapabilities, Redelivery, Role, WorkerCapabilities};
pub use command::{
    FromClient, FromWorker, Reply, Request, Timeout, ToClient, ToWorker, WorkerReply, WorkerRequest,
};
pub use frames::{Bounds, Frames, SHARED_BODY_MIN};
pub use id::{PeerId, RequestId};
pub use label::Label;
pub use outcome::{Outcome, OutcomeSet};
pub use time::Time;
