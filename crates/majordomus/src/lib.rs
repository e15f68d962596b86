//! Clients and workers for Majordomo service brokers. A client sends a request to a service by
//! name, a worker registers a service, and the broker routes requests to workers and replies to
//! clients.
//!
//! Clients and workers connect over `tcp://` and `ipc://` and reconnect automatically. [`Client`]
//! and [`Worker`] are handles to tasks of a Tokio runtime. A lost request is reported as an error
//! and is never silently repeated. Only [`blocking`] and an embedded broker start threads or a
//! runtime; the rest of this crate starts neither.
//!
//! # A worker
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let worker = majordomus::Worker::builder("tcp://127.0.0.1:5555")
//!         .serve("echo", |request, reply| reply.finish(request.body))?;
//!     worker.ended().await;
//!     Ok(())
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
//! A [`Body`] is any number of frames of arbitrary bytes, usually one. [`Headers`] carry metadata
//! next to it. A request is sent when it is awaited or [sent](RequestBuilder::send). A client can
//! have any number of requests in flight. Clones of a client share its connection.
//!
//! # Errors and retries
//!
//! | [`RequestError`] | Meaning | Was the request processed? | Safe to retry? |
//! |---|---|---|---|
//! | [`Refused`](RequestError::Refused) | The request reached a limit of the broker or of this client. | no | yes, later |
//! | [`NotConnected`](RequestError::NotConnected) | No broker is connected. The request was not sent. | no | yes |
//! | [`SentAway`](RequestError::SentAway) | The broker disconnected this client for a reason that prevents reconnecting. The request was not sent. | no | no: it would fail again |
//! | [`NoSuchService`](RequestError::NoSuchService) | No worker registered the service in time, or the [requested worker](RequestBuilder::target) is not connected. | no | yes |
//! | [`Rejected`](RequestError::Rejected) | Every worker [rejected](Replier::reject) the request. | no | yes, later |
//! | [`WorkerLost`](RequestError::WorkerLost) | The worker was lost, or exceeded the broker's busy limit (default: 15 minutes), and the broker did not redeliver the request. The broker does not redeliver a request that is not [repeatable](RequestBuilder::repeatable), that is for [one worker](RequestBuilder::target), that has a partial reply, or that has lost three workers. | maybe | if the request is idempotent |
//! | [`Disconnected`](RequestError::Disconnected) | The connection to the broker was lost. | maybe | if the request is idempotent |
//! | [`ShutDown`](RequestError::ShutDown) | The broker is shutting down. | maybe | if the request is idempotent |
//! | [`Silent`](RequestError::Silent) | The worker was silent for [too long](RequestBuilder::silence). | maybe | if the request is idempotent |
//! | [`Expired`](RequestError::Expired) | The request timed out. | maybe | if the request is idempotent; `retry` does not retry it |
//! | [`Stopped`](RequestError::Stopped) | The client's task has ended together with its runtime. | maybe | if the request is idempotent; `retry` does not retry it |
//! | [`Remote`](RequestError::Remote) | The worker replied with an error, panicked, or sent no reply. | the error may tell | depends on the worker's error |
//! | [`TooLarge`](RequestError::TooLarge) | The request exceeds the maximum message size. | no | no: it would fail again |
//! | [`NotTaken`](RequestError::NotTaken) | The broker rejected the request for a reason other than a limit. | no | no: it would fail again |
//! | [`Untranslatable`](RequestError::Untranslatable) | The request is too large for the worker, the reply is too large for this client, or one of them cannot be translated. | maybe | no: it would fail again |
//! | [`BadService`](RequestError::BadService) | The service name is invalid. | no | no: it would fail again |
//! | [`UnsupportedOption`](RequestError::UnsupportedOption) | The client's dialect does not support an [option](RequestOption) of the request. | no | no: it would fail again |
//!
//! [`RequestError::retriable`] returns the last column as a value. [`RequestBuilder::retry`]
//! retries automatically, with increasing delays and at another broker if there is one. It never
//! retries after a part of the reply has arrived. It also marks the request as
//! [repeatable](RequestBuilder::repeatable), so that the broker can redeliver it to another worker
//! if its worker is lost.
//!
#![cfg_attr(feature = "broker", doc = "```")]
#![cfg_attr(not(feature = "broker"), doc = "```ignore")]
//! use majordomus::{Broker, Client, Replier, RequestError, Retriable, Retry, Worker};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = Broker::start("inproc://*")?;
//! let worker = Worker::builder(broker.endpoint())
//!     .serve("print", |_, reply: Replier| reply.fail_with(507, "no paper"))?;
//! let client = Client::connect(broker.endpoint())?;
//!
//! let error = client.request("print", "a page").retry(Retry::times(3)).await.unwrap_err();
//! assert!(matches!(error, RequestError::Remote { code: 507, .. }));
//! assert_eq!(error.retriable(), Retriable::Never);
//! assert_eq!(error.to_string(), "no paper (507)");
//! # Ok(())
//! # }
//! ```
//!
//! # Multipart replies
//!
//! A handler sends [parts](Replier::part) and then [the last one](Replier::finish). A client reads
//! the parts one by one from the [`Reply`], which is also a stream, or collects them [into one
//! body](Reply::whole). The client grants credit for 16 parts ahead of its reader, and
//! [`Replier::part`] waits for credit. A slow reader therefore slows down only its own reply.
//!
#![cfg_attr(feature = "broker", doc = "```")]
#![cfg_attr(not(feature = "broker"), doc = "```ignore")]
//! use majordomus::{Broker, Client, Replier, Worker};
//!
//! async fn count(reply: Replier) {
//!     for number in 1..3 {
//!         // An error means that the client no longer waits for the reply.
//!         if reply.part(number.to_string()).await.is_err() {
//!             return;
//!         }
//!     }
//!     reply.finish("3").await;
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = Broker::start("inproc://*")?;
//! let worker = Worker::builder(broker.endpoint()).serve("count", |_, reply| count(reply))?;
//! let client = Client::connect(broker.endpoint())?;
//!
//! let mut reply = client.request("count", "").send().await;
//! while let Some(part) = reply.next().await {
//!     println!("{}", part?.text());
//! }
//! assert_eq!(client.request("count", "").await?.frames().len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Cancellation
//!
//! Dropping a [`Reply`] before its end cancels the request. The worker is notified within one round
//! trip: [`Replier::part`] returns an error, and the request's [`Cancellation`] is triggered. The
//! same happens when the request times out, and when the worker loses its broker or is stopped.
//!
//! A handler that checks neither runs to its end, and its result is discarded. It counts towards
//! the worker's [concurrency](WorkerBuilder::concurrency) until it returns. A handler is aborted
//! only if the worker is [stopped](Worker::stop) or dropped.
//!
//! ```no_run
//! # async fn long_computation() -> Vec<u8> { Vec::new() }
//! async fn handler(reply: majordomus::Replier) {
//!     let cancellation = reply.cancellation();
//!     tokio::select! {
//!         result = long_computation() => reply.finish(result).await,
//!         () = cancellation.cancelled() => {}
//!     }
//! }
//! ```
//!
//! Run blocking or long computations in `tokio::task::spawn_blocking`, and check
//! [`Cancellation::is_cancelled`] there.
//!
//! # Timeouts
//!
//! - [`timeout`](RequestBuilder::timeout): the maximum time to wait for the next part. It restarts
//!   with each part. Default: 60 s.
//! - [`deadline`](RequestBuilder::deadline): the maximum time for the complete reply, including all
//!   retries.
//! - [`silence`](RequestBuilder::silence): the maximum time in which the worker sends neither a
//!   part nor an [at-work notice](Replier::at_work).
//!
//! [`Request::deadline`] gives the worker the time at which the client stops waiting for the reply.
//! The broker never dispatches an expired request.
//!
//! # Several services and several brokers
//!
//! A worker registers any number of services over one connection, including [wildcards and
//! versions](WorkerBuilder::service). It can add and remove services [while it
//! runs](Worker::offer). It processes up to [`concurrency`](WorkerBuilder::concurrency) requests at
//! once (default: 1). [`Worker::drain`] finishes all requests in flight before the worker
//! disconnects.
//!
//! Given several endpoints, a worker serves all of these brokers at once. A client opens a
//! connection to each broker and sends each request to the first connected one, or to all of them
//! [in round-robin order](Brokers::Spread). [`Client::events`] and [`Worker::events`] report
//! connection changes.
//!
//! ```no_run
//! use majordomus::{Client, Replier, Request, Retry, Worker};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let brokers = ["tcp://10.0.0.1:5555", "tcp://10.0.0.2:5555"];
//! let worker = Worker::builder(brokers)
//!     .concurrency(8)
//!     .service("echo", |request: Request, reply: Replier| reply.finish(request.body))
//!     .service("stock.*", |request: Request, reply: Replier| reply.finish(request.service))
//!     .start()?;
//!
//! let client = Client::connect(brokers)?;
//! println!("{}", client.request("stock.ACME", "").retry(Retry::default()).await?.text());
//! # Ok(())
//! # }
//! ```
//!
//! # Embedded broker and tests
//!
//! The feature `broker` adds a `Broker` to embed in a program or a test. It listens on `tcp://`, on
//! `ipc://`, and on `inproc://` for clients and workers in the same process, so a test needs no
//! port.
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
//! # Dialects
//!
//! Clients and workers use OMDP/1 ([`Dialect::Omdp1`]) by default. It is the dialect of the
//! Majordomus broker, and the only one with headers, error codes, priorities, progress, credit and
//! a limit on silence. To connect to another broker, select its dialect with
//! [`ClientBuilder::dialect`] and [`WorkerBuilder::dialect`]: 7/MDP, 18/MDP, or the dialect of
//! majortomo, PIGATO, zmq-omdp, generaldomo or zeromq/majordomo. The Majordomus broker accepts
//! clients and workers of all dialects and translates between them.
//!
//! # Blocking API and unit tests
//!
//! [`blocking`] provides a client and a worker for programs without an async runtime. [`testing`]
//! provides, for unit tests, a client whose requests are answered by handlers, and a way to call a
//! single handler.
//!
//! # Features
//!
//! - `broker`: the embedded broker and `inproc://`. Without this feature, the crate contains only
//!   the client and the worker.
//! - `json`: `Body::from_json` and `Body::json`, which convert values to and from JSON.
//! - `msgpack`: the same conversions for MessagePack.

pub mod blocking;
mod body;
#[cfg(feature = "broker")]
pub mod broker;
mod client;
mod clock;
mod endpoint;
mod error;
mod events;
mod headers;
mod inproc;
mod link;
pub mod testing;
mod uplink;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod values;
mod worker;

use std::hash::{BuildHasher, RandomState};

pub use body::Body;
#[cfg(feature = "broker")]
pub use broker::Broker;
pub use client::{Brokers, Client, ClientBuilder, Progress, Reply, RequestBuilder, Retry};
pub use endpoint::Endpoints;
pub use error::{RequestError, Retriable, SetupError};
pub use events::{ConnectionEvent, ConnectionEvents, EVENTS_MAX};
pub use headers::{HEADERS_BYTES_MAX, HeaderError, Headers};
pub use majordomus_core::{Bounds, ByteStr, DisconnectReason, Form, Frames};
pub use majordomus_wire::{Dialect, RequestOption, Side, Socket, UnknownDialect, Violation};
pub use majordomus_zmtp::{Endpoint, EndpointError};
#[cfg(any(feature = "json", feature = "msgpack"))]
pub use values::BodyError;
pub use worker::{Cancellation, Cancelled, Replier, Request, Worker, WorkerBuilder};

/// Returns a random number, different on each call. Clients and workers use it to avoid acting all
/// at the same time.
fn ambient_seed() -> u64 {
    RandomState::new().hash_one(())
}
