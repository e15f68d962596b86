//! The way to a broker in this process.

use std::io;

use tokio::net::UnixStream;

/// Connects to the broker of this process that has the name. It does not wait.
#[cfg(feature = "broker")]
pub(crate) fn connect(name: &str) -> io::Result<UnixStream> {
    let stream = majordomus_broker::inproc::connect(name)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// There is none: an endpoint that says so was not read, it was made by hand.
#[cfg(not(feature = "broker"))]
pub(crate) fn connect(_name: &str) -> io::Result<UnixStream> {
    Err(io::ErrorKind::Unsupported.into())
}
