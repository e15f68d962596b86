//! Clients and workers for Majordomo service brokers: a client asks for a service by its name, a
//! worker offers one, and the broker brings them together.
//!
//! Both speak every dialect of the Majordomo protocol that Majordomus has so far, with any broker of
//! that dialect, over `tcp://` and `ipc://`. They connect, and connect again, by themselves; they
//! are handles to tasks of a tokio runtime, and what is lost is said and never silently repeated.
//! This crate never starts a runtime. It starts no thread either, but that of a broker which you
//! embed.
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
//! # All in one process
//!
//! With the feature `broker` there is a `Broker` to embed in a program or a test. It listens on
//! `tcp://` and `ipc://`, and on `inproc://` for its own process.
//!
#![cfg_attr(feature = "broker", doc = "```")]
#![cfg_attr(not(feature = "broker"), doc = "```ignore")]
//! use majordomus::{Broker, Client, Worker};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let broker = Broker::start("inproc://test")?;
//!     let worker = Worker::builder("inproc://test")
//!         .serve("echo", |request, reply| reply.finish(request.body))?;
//!     let client = Client::connect("inproc://test")?;
//!     assert_eq!(client.request("echo", "hello").await?.text(), "hello");
//!
//!     worker.stop().await;
//!     let summary = broker.shutdown().await?;
//!     assert_eq!(summary.counters.received, 1);
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
#[cfg(feature = "broker")]
pub mod broker;
mod client;
mod clock;
mod endpoint;
mod error;
mod inproc;
mod link;
mod uplink;
mod worker;

use std::hash::{BuildHasher, RandomState};

pub use body::Body;
#[cfg(feature = "broker")]
pub use broker::Broker;
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
