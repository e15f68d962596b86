//! A request as a handler gets it.

use majordomus_core::WorkerRequest;

use crate::Body;

/// A request as a handler gets it.
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
}

impl From<WorkerRequest> for Request {
    fn from(request: WorkerRequest) -> Self {
        Self {
            service: String::from_utf8_lossy(&request.service).into_owned(),
            id: request.address.to_string(),
            body: Body::received(request.body),
        }
    }
}
