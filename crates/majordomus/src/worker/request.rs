//! A request as a handler gets it.

use std::ascii::escape_default;
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

/// An address as text. Most are the tokens of a broker, eight bytes of any value, or numbers.
fn printable(address: &Label) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(4 * address.len());
    for &byte in address.iter() {
        match byte {
            b'\t' | b'\r' | b'\n' | b'\'' | b'"' | b'\\' => text.extend(escape_default(byte)),
            b' '..=b'~' => text.push(byte),
            _ => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                text.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
    // All of it is ASCII.
    String::from_utf8(text).unwrap_or_default()
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
            ("\t\"'\\\x7f~", "\\t\\\"\\'\\\\\\x7f~"),
        ] {
            assert_eq!(printable(&Label::from(address)), id);
        }
        assert_eq!(printable(&Label::from(&b"\xff"[..])), "\\xff");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(printable(&Label::from(&all[..])), all.escape_ascii().to_string());
    }
}
