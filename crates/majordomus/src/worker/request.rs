//! A request as a handler gets it.

use std::time::Instant;

use majordomus_core::{Content, Label, Priority, WorkerRequest};

use crate::Body;

/// A request as a handler gets it.
///
/// ```
/// use majordomus::{Replier, Request, testing};
///
/// async fn urgent(request: Request, reply: Replier) {
///     match request.priority {
///         9 => reply.finish(request.body).await,
///         _ => reply.reject("not urgent").await,
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut request = Request::new("urgent", "now");
/// request.priority = 9;
/// assert_eq!(testing::call(urgent, request).await.result(), Ok("now".into()));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The name of the service that was asked.
    pub service: String,
    /// By what the broker knows the request, for logs and names of files. It is printable: bytes
    /// that are not are written as `\x00`.
    pub id: String,
    /// What is to be done.
    pub body: Body,
    /// Until when it is wanted; nothing where there is no end to that, or its dialect does not say.
    pub deadline: Option<Instant>,
    /// How many times its broker has given it to a worker, with this.
    pub attempt: u32,
    /// Its priority, from 0 to 9; 4 is ordinary.
    pub priority: u8,
}

impl Request {
    /// A request as a unit test makes it, which nobody made in earnest.
    ///
    /// ```
    /// let request = majordomus::Request::new("echo", "hello");
    /// assert_eq!(request.body.text(), "hello");
    /// ```
    pub fn new(service: &str, body: impl Into<Body>) -> Self {
        Self {
            service: service.into(),
            id: String::new(),
            body: body.into(),
            deadline: None,
            attempt: 1,
            priority: Priority::ORDINARY.number(),
        }
    }
}

impl Request {
    /// A request that was received, for the handler of `offered`. What it has is taken out of it.
    pub(crate) fn received(request: &mut WorkerRequest, offered: &str) -> Self {
        // Mostly that is the name which was asked for, and known to be text.
        let service = match &*request.service == offered.as_bytes() {
            true => offered.to_string(),
            false => String::from_utf8_lossy(&request.service).into_owned(),
        };
        let (options, body) =
            (std::mem::take(&mut request.options), std::mem::take(&mut request.body));
        Self {
            service,
            id: printable(&request.address),
            body: Body::received(Content { options, body }),
            deadline: request.deadline.and_then(|span| Instant::now().checked_add(span)),
            attempt: request.attempt,
            priority: request.priority.number(),
        }
    }
}

impl From<WorkerRequest> for Request {
    fn from(mut request: WorkerRequest) -> Self {
        Self::received(&mut request, "")
    }
}

/// An address as text.
fn printable(address: &Label) -> String {
    match std::str::from_utf8(address) {
        // Tokens and numbers, which have nothing to escape, are copied at once.
        Ok(text) if text.bytes().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric()) => {
            text.to_string()
        }
        _ => address.to_string(),
    }
}
