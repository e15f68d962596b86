//! A plain byte stream to an endpoint.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use majordomus::Endpoint;

/// A byte stream to the listener at an endpoint.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to an endpoint that a client accepts. Each of its addresses may take up to
    /// `patience`.
    pub(crate) fn connect(endpoint: &str, patience: Duration) -> io::Result<Self> {
        match endpoint.parse() {
            Ok(Endpoint::Ipc { path }) => UnixStream::connect(path).map(Stream::Unix),
            Ok(Endpoint::Tcp { host, port }) => {
                let mut last = io::ErrorKind::NotFound.into();
                for address in (host.as_str(), port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, patience) {
                        Ok(stream) => return Ok(Stream::Tcp(stream)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Ok(Endpoint::Inproc { .. }) | Err(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
