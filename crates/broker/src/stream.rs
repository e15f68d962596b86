//! A byte stream to a peer, over TCP or a Unix socket, and the listeners that bring them. Over
//! `inproc` it is a Unix socket too.

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

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// After how long without a byte the system asks a TCP peer's host whether it is there, how often
/// it asks, and how long it waits: a dead host is noticed within two minutes.
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
        // The system has less to do about one slice than about a list of one.
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

/// Who is at the other end, for the log and for limits by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Tcp(SocketAddr),
    Ipc,
    Inproc,
}

impl Origin {
    /// What limits by address count together; everything local is one.
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
    /// It has no socket to listen on: what comes is told by the waker.
    Inproc(Inbox),
}

impl Listener {
    /// Listens. `waker` is that of the reactor that will take what comes.
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

    /// Where it listens in fact, with the port that the system chose, or the name that was made up.
    pub(crate) fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(Endpoint::from),
            Listener::Ipc(_, file) => Ok(Endpoint::Ipc { path: file.path.clone() }),
            Listener::Inproc(inbox) => Ok(Endpoint::Inproc { name: inbox.name().to_string() }),
        }
    }

    /// The door to it, where it has a name in this process.
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
                // A peer that is gone already shows at the first read.
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

/// The address of a host to listen on: an IPv4 one where it has several.
fn address_of(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host == "*" {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let found = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    found.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Removes the socket file of a program that is no longer there.
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

/// The file of a Unix socket, removed at the end where it is still ours.
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
