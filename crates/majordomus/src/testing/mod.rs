//! For unit tests of what uses this crate: clients and handlers without a broker.
//!
//! [`client`] gives a real [`Client`](crate::Client) whose requests are answered in this process, by
//! handlers like those of a worker, and the [`Record`] of what it was asked for. [`call`] runs one
//! handler for one request, and gives what it [answered](Answer).
//!
//! ```
//! use majordomus::{Client, Replier, Request, RequestError, testing};
//!
//! // What is to be tested: something that asks, and something that answers.
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
//! All is as with [`Dialect::Omdp1`](crate::Dialect::Omdp1) and one worker that is always free: parts
//! need the credit of their reader, and what a reader gives up is cancelled. What depends on a
//! broker is not here: requests do not wait for a worker, no name of a worker is known, so every
//! [target](crate::RequestBuilder::target) will do, and no reply is kept. Who wants to test that,
//! embeds a broker (feature `broker`).

mod call;
mod client;
mod handling;
mod record;

pub use call::{Answer, Call, End, PARTS_MAX, blocking_call, call, start};
pub use client::{ClientBuilder, client};
pub use record::{ASKED_MAX, Asked, Record};
