//! The state machines of Majordomus (broker, client and worker) and the neutral commands that they
//! exchange.
//!
//! This crate implements the protocol logic only. It performs no I/O, starts no threads, reads no
//! clock, generates no random numbers and knows no dialect. The caller passes in time, seeds and
//! peer capabilities, so every run can be recorded and replayed. [`broker::Broker`] documents the
//! driver loop; [`Client`] and [`Worker`] are driven in the same way.
#![no_std]

extern crate alloc;

pub mod broker;
mod byte_str;
mod capabilities;
mod client;
mod command;
mod correlation;
mod form;
mod frames;
mod id;
mod list;
mod outcome;
mod table;
mod time;
mod token;
mod uplink;
mod version;
mod view;
mod wheel;
mod worker;

pub use byte_str::ByteStr;
pub use capabilities::{ClientCapabilities, Concurrency, Redelivery, Role, WorkerCapabilities};
pub use client::{
    Client, ClientConfig, ClientInput, ClientOutlet, ClientOutput, Content, Delivery, EXPIRY_GRACE,
    Failure, HandleHasher, HandleState, RequestHandle,
};
pub use command::{
    CODE_UNSAID, COMMAND_BYTES_MAX, CREDIT_UNLIMITED, DisconnectReason, FromClient, FromWorker,
    Hello, Notice, Priority, Reply, Request, Status, Timeout, ToClient, ToWorker, Welcome,
    WorkerReply, WorkerRequest,
};
pub use correlation::{CorrelationId, CorrelationIdRef};
pub use form::Form;
pub use frames::{Bounds, Frames};
pub use id::{PeerId, RequestId};
pub use outcome::{Outcome, OutcomeSet};
pub use time::Time;
pub use token::Token;
pub use uplink::Backoff;
pub use view::{
    FramesView, FromClientView, FromWorkerView, ReplyView, RequestView, ToClientView, ToWorkerView,
    WorkerReplyView, WorkerRequestView,
};
pub use worker::{
    ClosingReason, TaskHandle, Worker, WorkerAction, WorkerConfig, WorkerInput, WorkerOutlet,
    WorkerOutput,
};
