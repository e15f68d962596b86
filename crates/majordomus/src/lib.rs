//! Clients and workers for Majordomo service brokers: a client asks for a service by its name, a
//! worker offers one, and the broker brings them together.
//!
//! Both connect, and connect again, by themselves, over `tcp://` and `ipc://`. They are handles to
//! tasks of a tokio runtime, and what is lost is said and never silently repeated. This crate starts
//! no runtime and no thread, but those of [`blocking`] and of a broker that you embed.
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
//! A [`Body`] is any number of frames of any bytes, and mostly one; beside them stand [`Headers`].
//! Nothing is sent until a request is awaited or [sent](RequestBuilder::send), and one client has any
//! number of them at once. Clones of a client share its connection.
//!
//! # Errors, and asking again
//!
//! | [`RequestError`] | what it means | was it done? | safe to ask again? |
//! |---|---|---|---|
//! | [`Refused`](RequestError::Refused) | a limit of the broker or of this client stands against it | no | yes, later |
//! | [`NotConnected`](RequestError::NotConnected) | no broker is connected; it was not sent | no | yes |
//! | [`SentAway`](RequestError::SentAway) | the broker does not want this client, and has said why; it was not sent | no | it would not help |
//! | [`NoSuchService`](RequestError::NoSuchService) | no worker offered it in time, or the [one asked for](RequestBuilder::target) is not there | no | yes |
//! | [`Rejected`](RequestError::Rejected) | every worker [gave it back](Replier::reject) | no | yes, later |
//! | [`WorkerLost`](RequestError::WorkerLost) | its worker was lost, or had it for longer than the broker allows (the busy limit, 15 minutes unless set), and it was given to no other: it was not [repeatable](RequestBuilder::repeatable), was for [one worker](RequestBuilder::target), a part had come, or three workers were lost with it | perhaps | if it may be done twice |
//! | [`Disconnected`](RequestError::Disconnected) | the connection to the broker was lost | perhaps | if it may be done twice |
//! | [`ShutDown`](RequestError::ShutDown) | the broker shuts down | perhaps | if it may be done twice |
//! | [`Silent`](RequestError::Silent) | its worker said nothing for [too long](RequestBuilder::silence) | perhaps | if it may be done twice |
//! | [`Expired`](RequestError::Expired) | its time was over | perhaps | if it may be done twice; `retry` does not |
//! | [`Stopped`](RequestError::Stopped) | the client's task has ended, with its runtime | perhaps | if it may be done twice; `retry` does not |
//! | [`Remote`](RequestError::Remote) | the worker answered with an error, panicked, or gave no reply | the error may say | only you can tell |
//! | [`TooLarge`](RequestError::TooLarge) | it is larger than a message may be | no | it would not help |
//! | [`NotTaken`](RequestError::NotTaken) | the broker did not take it, and not for a limit | no | it would not help |
//! | [`Untranslatable`](RequestError::Untranslatable) | it is too large for its worker, or its reply for this client, or one of them cannot be translated | perhaps | it would not help |
//! | [`BadService`](RequestError::BadService) | no service can have this name | no | it would not help |
//! | [`Unsayable`](RequestError::Unsayable) | the client's dialect has no words for [something](RequestOption) that was said of it | no | it would not help |
//!
//! [`RequestError::retriable`] says the last column to programs. [`RequestBuilder::retry`] does it:
//! at another broker where there is one, after waits that grow, and never once a part of the reply has
//! come. It also lets the broker give the request to another worker when its worker is lost, which
//! [`RequestBuilder::repeatable`] does alone.
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
//! # Replies in parts
//!
//! A handler sends [parts](Replier::part) and then [the last one](Replier::finish); a client takes them
//! one by one from the [`Reply`], which is a stream too, or has [all in one body](Reply::whole). The
//! client counts out how many parts it takes, 16 ahead of its reader, and [`Replier::part`] waits for
//! that: who reads slowly slows this reply, and no other.
//!
#![cfg_attr(feature = "broker", doc = "```")]
#![cfg_attr(not(feature = "broker"), doc = "```ignore")]
//! use majordomus::{Broker, Client, Replier, Worker};
//!
//! async fn count(reply: Replier) {
//!     for number in 1..3 {
//!         // An error says that nobody waits for it any more.
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
//! # Cancelling
//!
//! Dropping a [`Reply`] before its end gives the request up. Its worker hears of it within a round
//! trip: [`Replier::part`] fails, and the [`Cancellation`] of the request is pulled. So it is when the
//! time of the request is over, and when the worker loses its broker or is stopped.
//!
//! A handler that looks at neither goes on to its end, for nobody, and takes its place among those
//! that [run at once](WorkerBuilder::concurrency) until it returns: it is never aborted, unless the
//! worker is [stopped](Worker::stop) or dropped.
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
//! What blocks or computes for long belongs into `tokio::task::spawn_blocking`, where it can look at
//! [`Cancellation::is_cancelled`].
//!
//! # How long it may take
//!
//! - [`timeout`](RequestBuilder::timeout): how long the client waits for the next part, anew from
//!   each; 60 s unless set.
//! - [`deadline`](RequestBuilder::deadline): how long all of it may take, with all that is asked again.
//! - [`silence`](RequestBuilder::silence): how long its worker may neither send a part nor say that it
//!   is [at work](Replier::at_work).
//!
//! The worker sees until when the reply is wanted in [`Request::deadline`]. A request whose time is over
//! is never given to a worker.
//!
//! # Several services, several brokers
//!
//! A worker offers any number of services over one connection, more of them or fewer
//! [while it runs](Worker::offer), with [wildcards and versions](WorkerBuilder::service), and takes
//! [so many requests at once](WorkerBuilder::concurrency); one unless set. [`Worker::drain`] finishes
//! what runs before it leaves.
//!
//! Where several endpoints are named, a worker serves all of these brokers at once. A client has a
//! connection to each and asks the first that is there, or [each in turn](Brokers::Spread). What the
//! connections do is told by [`Client::events`] and [`Worker::events`].
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
//! # The broker inside, and tests
//!
//! With the feature `broker` there is a `Broker` to embed in a program or a test. It listens on
//! `tcp://` and `ipc://`, and on `inproc://` for its own process, so a test needs no port.
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
//! # What it speaks
//!
//! OMDP/1 unless told otherwise ([`Dialect::Omdp1`]), which our broker speaks and which alone has
//! headers, codes, priorities, progress, credit and a limit on silence. With other brokers it speaks
//! what they do: 7/MDP, 18/MDP, and those of majortomo, PIGATO, zmq-omdp, generaldomo and
//! zeromq/majordomo; set it with [`ClientBuilder::dialect`] and [`WorkerBuilder::dialect`]. With our
//! broker that is not needed: it brings clients and workers of all dialects together.
//!
//! # Without a runtime, without a broker
//!
//! [`blocking`] has the client and the worker for programs without an async runtime. [`testing`] has a
//! client whose requests are answered by handlers, and a call of one handler, for unit tests.
//!
//! # Features
//!
//! - `broker`: the broker to embed, and `inproc://`. Without it the crate has the client and the worker
//!   alone.
//! - `json`: `Body::from_json` and `Body::json`, for values of your own.
//! - `msgpack`: the same in MessagePack.

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
pub use majordomus_core::{Bounds, Farewell, Form, Frames, Label};
pub use majordomus_wire::{Dialect, Offence, RequestOption, Side, Socket, UnknownDialect};
pub use majordomus_zmtp::{Endpoint, EndpointError};
#[cfg(any(feature = "json", feature = "msgpack"))]
pub use values::BodyError;
pub use worker::{Cancellation, Cancelled, Replier, Request, Worker, WorkerBuilder};

/// A number that is another one each time, for what must not happen everywhere at once.
fn ambient_seed() -> u64 {
    RandomState::new().hash_one(())
}
