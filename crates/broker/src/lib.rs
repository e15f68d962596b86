//! The Majordomus broker: sockets, timers and limits around the state machine of `majordomus-core`.
//!
//! One thread runs the event loop: it reads, decodes, passes commands to the core, encodes and
//! writes. It never blocks on a peer and calls no blocking function. `majordomus-core` implements
//! the protocol's semantics; `majordomus-wire` and `majordomus-zmtp` implement its encoding. This
//! crate implements neither.

mod broker;
mod config;
mod connection;
mod connection_stats;
mod handshakes;
pub mod inproc;
mod observer;
mod reactor;
mod slots;
mod stream;
mod subscriber;

pub use broker::{Broker, Control, StartError};
pub use config::{Config, ConfigError, ConnectionLimits, Listen};
pub use connection_stats::{Snapshot, Tally};
pub use majordomus_core::broker::{
    Account, Balance, CloseReason, Config as CoreConfig, Counters, Ends, Gauges, Introduction,
    Limits as RequestLimits, PeerViolation, Refusal, ServiceConfig, Statement,
};
pub use majordomus_core::{DisconnectReason, Outcome};
pub use majordomus_wire::{Dialect, Errors, Json, UnknownJson};
pub use majordomus_zmtp::{Endpoint, EndpointError};

/// A control message from the program to the reactor.
enum ControlMessage {
    Snapshot(Box<dyn FnOnce(Snapshot) + Send>),
    Shutdown,
}
