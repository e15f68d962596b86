//! Unit-test clients and handlers without a broker.
//!
//! [`client`] creates a real [`Client`](crate::Client) whose requests are answered in this process
//! by handlers like those of a worker. It also returns the [`Record`] of the requests. [`call`]
//! runs one handler for one request and returns its [answer](Answer).
//!
//! ```
//! use majordomus::{Client, Replier, Request, RequestError, testing};
//!
//! // The code under test: a function that sends a request, and a handler.
//! async fn greet(client: &Client, name: &str) -> Result<String, RequestError> {
//!     Ok(client.request("greeting", name).await?.text().into_owned())
//! }
//!
//! async fn greeting(request: Request, reply: Replier) {
//!     reply.finish(format!("Hello, {}!", request.body.text())).await;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (client, record) = testing::client()
//!     .service("greeting", |_, reply| reply.finish("Welcome!"))
//!     .build();
//! assert_eq!(greet(&client, "Ada").await, Ok("Welcome!".into()));
//! assert_eq!(record.all()[0].body.text(), "Ada");
//!
//! let answer = testing::call(greeting, Request::new("greeting", "Ada")).await;
//! assert_eq!(answer.result(), Ok("Hello, Ada!".into()));
//! # }
//! ```
//!
//! Everything works as with [`Dialect::Omdp1`](crate::Dialect::Omdp1) and one worker that is always
//! idle: parts need credit from their reader, and dropping a reply cancels its request. Features of
//! a broker are not simulated: requests do not wait for a worker, worker names are unknown, so
//! every [target](crate::RequestBuilder::target) is accepted, and no reply is cached. To test
//! these, embed a broker (feature `broker`).

mod call;
mod client;
mod handling;
mod record;

pub use call::{Answer, Call, End, PARTS_MAX, blocking_call, call, start};
pub use client::{ClientBuilder, client};
pub use record::{ASKED_MAX, Asked, Record};
