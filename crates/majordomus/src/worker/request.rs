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
    /// A request that was received. Its body and its options are taken out of it.
    pub(crate) fn received(request: &mut WorkerRequest, service: String) -> Self {
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
        let service = String::from_utf8_lossy(&request.service).into_owned();
        Self::received(&mut request, service)
    }
}

/// An address as text.
fn printable(address: &Label) -> String {
    let is_plain = address.iter().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric());
    if !is_plain {
        return address.to_string();
    }
    // Tokens and numbers have nothing to escape. As memory of its own begins at a whole word, it is
    // checked faster there.
    String::from_utf8(address.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable() {
        for (address, id) in [
            ("", ""),
            ("0af9", "0af9"),
            ("a b", "a b"),
            ("\0a", "\\x00a"),
            ("\u{e9}", "\\xc3\\xa9"),
        ] {
            assert_eq!(printable(&Label::from(address)), id);
        }
        assert_eq!(printable(&Label::from(&b"\xff"[..])), "\\xff");
    }
}
