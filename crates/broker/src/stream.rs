//! Byte streams over TCP and Unix sockets, and their listeners. `inproc` streams are Unix sockets
//! too.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token, Waker};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use crate::Endpoint;
use crate::inproc::{Door, Inbox};

/// The backlog of a listening socket.
const BACKLOG: i32 = 4_096;

/// TCP keepalive: the idle time before the first probe, the interval between probes, and the number
/// of probes. A dead host is detected within two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn write_gathered(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // One slice is cheaper to write than a list of one slice.
        match (self, slices) {
            (Stream::Tcp(stream), [only]) => stream.write(only),
            (Stream::Unix(stream), [only]) => stream.write(only),
            (Stream::Tcp(stream), _) => stream.write_vectored(slices),
            (Stream::Unix(stream), _) => stream.write_vectored(slices),
        }
    }

    pub(crate) fn finish_writing(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.register(registry, token, on),
            Stream::Unix(stream) => stream.register(registry, token, on),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, on: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.reregister(registry, token, on),
            Stream::Unix(stream) => stream.reregister(registry, token, on),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.deregister(registry),
            Stream::Unix(stream) => stream.deregister(registry),
        }
    }
}

/// The origin of a connection, for the log and for limits by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Tcp(SocketAddr),
    Ipc,
    Inproc,
}

impl Origin {
    /// Returns the address for limits by address. All local connections count as one address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Origin::Tcp(address) => Some(address.ip()),
            Origin::Ipc | Origin::Inproc => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Tcp(address) => write!(f, "{address}"),
            Origin::Ipc => f.write_str("ipc"),
            Origin::Inproc => f.write_str("inproc"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener, SocketFile),
    /// An `inproc` listener. It has no listening socket: the waker signals new connections.
    Inproc(Inbox),
}

impl Listener {
    /// Starts listening. `waker` is the waker of the reactor that accepts the connections.
    pub(crate) fn bind(endpoint: &Endpoint, waker: &Arc<Waker>) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let address = address_of(host, *port)?;
                let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.set_nonblocking(true)?;
                socket.bind(&address.into())?;
                socket.listen(BACKLOG)?;
                Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
            }
            Endpoint::Ipc { path } => {
                make_way(Path::new(path))?;
                let listener = UnixListener::bind(path)?;
                Ok(Listener::Ipc(listener, SocketFile::of(path)?))
            }
            Endpoint::Inproc { name } => Inbox::bind(name, waker).map(Listener::Inproc),
        }
    }

    /// Returns the actual endpoint, with the port chosen by the system or the generated name.
    pub(crate) fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(Endpoint::from),
            Listener::Ipc(_, file) => Ok(Endpoint::Ipc { path: file.path.clone() }),
            Listener::Inproc(inbox) => Ok(Endpoint::Inproc { name: inbox.name().to_string() }),
        }
    }

    /// Returns the handle that releases the listener's `inproc` name, if it has one.
    pub(crate) fn door(&self) -> Option<Arc<Door>> {
        match self {
            Listener::Inproc(inbox) => Some(inbox.door()),
            Listener::Tcp(_) | Listener::Ipc(..) => None,
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listener::Ipc(listener, _) => registry.register(listener, token, Interest::READABLE),
            Listener::Inproc(_) => Ok(()),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<(Stream, Origin)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // If the peer has already disconnected, the first read fails.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(KEEPALIVE_INTERVAL)
                    .with_retries(KEEPALIVE_RETRIES);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                Ok((Stream::Tcp(stream), Origin::Tcp(address)))
            }
            Listener::Ipc(listener, _) => {
                let (stream, _) = listener.accept()?;
                Ok((Stream::Unix(stream), Origin::Ipc))
            }
            Listener::Inproc(inbox) => {
                let stream = UnixStream::from_std(inbox.accept()?);
                Ok((Stream::Unix(stream), Origin::Inproc))
            }
        }
    }
}

/// Resolves a host to listen on. Prefers an IPv4 address if the host has several addresses.
fn address_of(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host == "*" {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let found = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    found.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Removes the socket file of a program that no longer runs.
fn make_way(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

/// The file of a Unix socket. It is removed on drop if it is still the same file.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: String,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &str) -> io::Result<Self> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_string(), device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| metadata.dev() == self.device && metadata.ino() == self.inode);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
