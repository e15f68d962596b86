//! Clients and workers for Majordomo service brokers: a client asks for a service by its name, a
//! worker offers one, and the broker brings them together.
//!
//! Both speak every dialect of the Majordomo protocol that Majordomus has so far, with any broker of
//! that dialect, over `tcp://` and `ipc://`. They connect, and connect again, by themselves; they
//! are handles to tasks of a tokio runtime, and what is lost is said and never silently repeated.
//! This crate never starts a runtime or a thread of its own, and it is no broker.
//!
//! # A worker
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let worker = majordomus::Worker::builder("tcp://127.0.0.1:5555")
//!         .serve("echo", |request, reply| reply.finish(request.body))?;
//!     Ok(worker.ended().await)
//! }
//! ```
//!
//! # A client
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = majordomus::Client::connect("tcp://127.0.0.1:5555")?;
//!     println!("{}", client.request("echo", "hello").await?.text());
//!     Ok(())
//! }
//! ```
//!
//! # What else there is
//!
//! - Replies in parts: [`RequestBuilder::send`] and [`Reply::next`] on one side, [`Replier::part`] on
//!   the other. Who reads too slowly slows who writes.
//! - Requests that nobody waits for any more: dropping a [`Reply`] gives it up, and a handler hears
//!   of it by its [`Cancellation`].
//! - Errors with a type, [`RequestError`], which says what is known of the request.
//! - Other [dialects](Dialect), timings and limits: [`ClientBuilder`] and [`WorkerBuilder`].

mod body;
mod client;
mod clock;
mod endpoint;
mod error;
mod link;
mod uplink;
mod worker;

use std::hash::{BuildHasher, RandomState};

pub use body::Body;
pub use client::{Client, ClientBuilder, Reply, RequestBuilder};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{RequestError, SetupError};
pub use majordomus_core::Frames;
pub use majordomus_wire::{Dialect, Offence, UnknownDialect};
pub use worker::{Cancellation, Cancelled, Replier, Request, Worker, WorkerBuilder};

/// A number that is another one each time, for what must not happen everywhere at once.
fn ambient_seed() -> u64 {
    RandomState::new().hash_one(())
}
