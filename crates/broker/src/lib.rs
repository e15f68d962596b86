//! The Majordomus broker: sockets, timers and limits around the state machine of `majordomus-core`.
//!
//! One thread runs to completion: it reads, decodes, lets the core decide, encodes and writes. It
//! never waits for one peer and never calls anything that could. What the protocol means is decided
//! in `majordomus-core`, what it looks like in `majordomus-wire` and `majordomus-zmtp`; this crate
//! knows none of that.

mod broker;
mod census;
mod config;
mod connection;
mod handshakes;
pub mod inproc;
mod observer;
mod reactor;
mod slots;
mod stream;
mod subscriber;

pub use broker::{Broker, Control, StartError};
pub use census::{Snapshot, Tally};
pub use config::{Config, ConfigError, ConnectionLimits, Listen};
pub use majordomus_core::broker::{
    Account, Balance, CloseReason, Config as CoreConfig, Counters, Ends, Holdings, Introduction,
    Limits as RequestLimits, Offence, Refusal, ServiceConfig, Statement,
};
pub use majordomus_core::{Farewell, Outcome};
pub use majordomus_wire::{Dialect, Errors, Json, UnknownJson};
pub use majordomus_zmtp::{Endpoint, EndpointError};

/// What a program tells the reactor.
enum ControlMessage {
    Snapshot(Box<dyn FnOnce(Snapshot) + Send>),
    Shutdown,
}
