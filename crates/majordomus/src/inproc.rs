//! Connections to a broker in this process (`inproc://`).

use std::io;

use tokio::net::UnixStream;

/// Connects to the broker with this name in this process. Never blocks.
#[cfg(feature = "broker")]
pub(crate) fn connect(name: &str) -> io::Result<UnixStream> {
    let stream = majordomus_broker::inproc::connect(name)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Always fails. The parser rejects `inproc://` endpoints without the feature `broker`, so only an
/// endpoint constructed in code can get here.
#[cfg(not(feature = "broker"))]
pub(crate) fn connect(_name: &str) -> io::Result<UnixStream> {
    Err(io::ErrorKind::Unsupported.into())
}
