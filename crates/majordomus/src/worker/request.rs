//! The request that a handler receives.

use std::time::Instant;

use majordomus_core::{ByteStr, Content, Priority, WorkerRequest};

use crate::Body;

/// A request that a handler receives.
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
    /// The name of the requested service.
    pub service: String,
    /// The broker's id of the request, for logs and file names. It is printable: other bytes are
    /// escaped, for example as `\x00`.
    pub id: String,
    /// The request's body.
    pub body: Body,
    /// The time until which the reply is needed. `None` if there is no deadline, or if the dialect
    /// has no deadlines.
    pub deadline: Option<Instant>,
    /// The number of times that the broker has dispatched the request, including this one.
    pub attempt: u32,
    /// The request's priority, from 0 to 9. The ordinary priority is 4.
    pub priority: u8,
}

impl Request {
    /// Creates a request for a unit test.
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
    /// Creates a request from one that was received at `now`. Takes its body and its options.
    pub(crate) fn received(request: &mut WorkerRequest, service: String, now: Instant) -> Self {
        let (options, body) =
            (std::mem::take(&mut request.options), std::mem::take(&mut request.body));
        Self {
            service,
            id: printable(&request.address),
            body: Body::received(Content { options, body }),
            deadline: request.deadline.and_then(|span| now.checked_add(span)),
            attempt: request.attempt,
            priority: request.priority.number(),
        }
    }
}

impl From<WorkerRequest> for Request {
    fn from(mut request: WorkerRequest) -> Self {
        let service = String::from_utf8_lossy(&request.service).into_owned();
        Self::received(&mut request, service, Instant::now())
    }
}

/// Returns an address as printable text. Most addresses are tokens of a broker (16 bytes of any
/// value) or numbers.
fn printable(address: &ByteStr) -> String {
    let mut text = vec![0; 4 * address.len()];
    let mut end = 0;
    for &byte in address.iter() {
        let (escaped, length) = &ESCAPED[usize::from(byte)];
        // A copy of constant length is one move. The next copy overwrites the unused bytes.
        text[end..end + 4].copy_from_slice(escaped);
        end += length;
    }
    text.truncate(end);
    // The text is ASCII only.
    String::from_utf8(text).unwrap_or_default()
}

/// The escape sequence of each byte, as in [`escape_ascii`](u8::escape_ascii), and its length.
static ESCAPED: [([u8; 4], usize); 256] = {
    let mut all = [([0; 4], 0); 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = escaped(byte as u8);
        byte += 1;
    }
    all
};

const fn escaped(byte: u8) -> ([u8; 4], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\t' => (*b"\\t\0\0", 2),
        b'\r' => (*b"\\r\0\0", 2),
        b'\n' => (*b"\\n\0\0", 2),
        b'\'' | b'"' | b'\\' => ([b'\\', byte, 0, 0], 2),
        b' '..=b'~' => ([byte, 0, 0, 0], 1),
        _ => ([b'\\', b'x', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]], 4),
    }
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
            assert_eq!(printable(&ByteStr::from(address)), id);
        }
        assert_eq!(printable(&ByteStr::from(&b"\xff"[..])), "\\xff");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(printable(&ByteStr::from(&all[..])), all.escape_ascii().to_string());
    }
}
