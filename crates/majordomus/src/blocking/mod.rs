//! A blocking client and worker for programs without an async runtime.
//!
//! They wrap the async [`Client`](crate::Client) and [`Worker`](crate::Worker). A method that waits
//! blocks the calling thread. The tasks of all blocking clients and workers run on one thread,
//! `majordomus`, which is started for the first of them and runs until the process ends. The
//! options are those of the async builders:
//! [`ClientBuilder::blocking_connect`](crate::ClientBuilder::blocking_connect) and
//! [`WorkerBuilder::blocking`](crate::WorkerBuilder::blocking) return the blocking types.
//!
//! The handlers of a blocking worker are plain closures. Each call runs on a thread of its own. The
//! worker's [concurrency](crate::WorkerBuilder::concurrency) limits the number of concurrent calls,
//! and [`HANDLERS_MAX`] limits it for the whole process. [`handler`] converts such a closure to an
//! async handler, for a [`Worker`](crate::Worker) that also has async handlers.
//!
#![cfg_attr(feature = "broker", doc = "```")]
#![cfg_attr(not(feature = "broker"), doc = "```ignore")]
//! use majordomus::{Broker, blocking};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let broker = Broker::start("inproc://blocking")?;
//!     let worker = blocking::Worker::builder("inproc://blocking")
//!         .serve("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))?;
//!
//!     let client = blocking::Client::connect("inproc://blocking")?;
//!     assert_eq!(client.request("shout", "hello").call()?.text(), "HELLO");
//!
//!     worker.stop();
//!     broker.blocking_shutdown()?;
//!     Ok(())
//! }
//! ```
//!
//! # In async code
//!
//! A method that waits must not be called from a task or inside `block_on`, because it may block
//! the thread that runs the task it waits for. Within Tokio such a call panics with a message that
//! explains this; other runtimes cannot be detected. Calls from threads that may block are allowed:
//! threads of Tokio's `spawn_blocking`, and handlers of this module. Methods that do not wait can
//! be called everywhere: connecting, starting, [`set_concurrency`](Worker::set_concurrency), and
//! dropping these types in any order.

mod client;
mod events;
mod replier;
mod reply;
mod request;
mod runtime;
mod worker;

pub use client::Client;
pub use events::ConnectionEvents;
pub use replier::{Replier, handler};
pub use reply::{NothingYet, Reply};
pub use request::{PROGRESS_MAX, RequestBuilder};
pub use runtime::HANDLERS_MAX;
pub(crate) use runtime::Runtime;
pub use worker::{Worker, WorkerBuilder};
