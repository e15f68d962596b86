//! The state machines of Majordomus, and the neutral commands that they exchange.
#![no_std]

extern crate alloc;

pub mod broker;
mod capabilities;
mod client;
mod command;
mod frames;
mod id;
mod label;
mod list;
mod outcome;
mod table;
mod time;
mod token;
mod uplink;
mod wheel;
mod worker;

pub use capabilities::{ClientCapabilities, Redelivery, Role, WorkerCapabilities};
pub use client::{
    Client, ClientConfig, ClientInput, ClientOutput, Delivery, Failure, RequestHandle,
};
pub use command::{
    FromClient, FromWorker, Reply, Request, Timeout, ToClient, ToWorker, WorkerReply, WorkerRequest,
};
pub use frames::{Bounds, Frames, SHARED_BODY_MIN};
pub use id::{PeerId, RequestId};
pub use label::Label;
pub use outcome::{Outcome, OutcomeSet};
pub use time::Time;
pub use uplink::Backoff;
pub use worker::{Parting, TaskHandle, Worker, WorkerConfig, WorkerInput, WorkerOutput};
