//! Endpoints: where the broker listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use crate::inproc::{ANY_NAME, NAME_BYTES_MAX, is_name};

/// An address to listen on: `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`.
///
/// The host is an address, an IPv6 address in brackets, a name, or `*` for all IPv4 interfaces; the
/// port is a number, or `0` or `*` for any that is free. A name of `inproc` is for clients and
/// workers of the same process, which find it by [`inproc::connect`](crate::inproc::connect); `*`
/// makes one up that nobody has.
///
/// ```
/// use majordomus_broker::Endpoint;
///
/// let endpoint: Endpoint = "tcp://127.0.0.1:5555".parse()?;
/// assert_eq!(endpoint.to_string(), "tcp://127.0.0.1:5555");
/// assert_eq!("tcp://*:*".parse::<Endpoint>()?.to_string(), "tcp://0.0.0.0:0");
/// assert_eq!("ipc:///run/md.sock".parse::<Endpoint>()?.to_string(), "ipc:///run/md.sock");
/// assert_eq!("inproc://md".parse::<Endpoint>()?, Endpoint::Inproc("md".into()));
/// assert!("http://127.0.0.1:5555".parse::<Endpoint>().is_err());
/// # Ok::<(), majordomus_broker::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Ipc(PathBuf),
    /// A name in this process, from 1 to 255 bytes without control characters; `*` for any.
    Inproc(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
            Endpoint::Ipc(path) => write!(f, "ipc://{}", path.display()),
            Endpoint::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// It begins with none of `tcp://`, `ipc://` and `inproc://`.
    Scheme(String),
    /// There is no port, or none that can be one.
    Port(String),
    /// The host is no address and no name that is known.
    Host(String),
    /// The path is empty, or longer than a Unix socket's may be.
    Path(String),
    /// It is an abstract socket or a wildcard, which have no path.
    NoPath(String),
    /// The name in this process is empty, too long, or has control characters.
    Name(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointError::Scheme(text) => {
                write!(
                    f,
                    "endpoint `{text}`: it has to begin with tcp:// or ipc://, or with inproc:// within one process"
                )
            }
            EndpointError::Port(text) => write!(
                f,
                "endpoint `{text}`: it has to end with a port, as in tcp://127.0.0.1:5555 (0 or * takes any that is free)"
            ),
            EndpointError::Host(text) => {
                write!(f, "endpoint `{text}`: the host is no address and no name that is known")
            }
            EndpointError::NoPath(text) => write!(
                f,
                "endpoint `{text}`: abstract sockets and wildcards are not served; give a path, as in ipc:///run/majordomus.sock"
            ),
            EndpointError::Path(text) => write!(
                f,
                "endpoint `{text}`: the path of a socket has from 1 to {IPC_PATH_BYTES_MAX} bytes"
            ),
            EndpointError::Name(text) => write!(
                f,
                "endpoint `{}`: a name in a process has from 1 to {NAME_BYTES_MAX} bytes, none of them a control character",
                text.escape_debug()
            ),
        }
    }
}

impl std::error::Error for EndpointError {}

/// The longest path that the address of a Unix socket can hold.
const IPC_PATH_BYTES_MAX: usize = 107;

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let whole = || text.to_string();
        if let Some(path) = text.strip_prefix("ipc://") {
            if path.is_empty() || path.len() > IPC_PATH_BYTES_MAX {
                return Err(EndpointError::Path(whole()));
            }
            if path == "*" || path.starts_with('@') {
                return Err(EndpointError::NoPath(whole()));
            }
            return Ok(Endpoint::Ipc(PathBuf::from(path)));
        }
        if let Some(name) = text.strip_prefix("inproc://") {
            return match name == ANY_NAME || is_name(name) {
                true => Ok(Endpoint::Inproc(name.to_string())),
                false => Err(EndpointError::Name(whole())),
            };
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            return Err(EndpointError::Scheme(whole()));
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(|| EndpointError::Port(whole()))?;
        let port = match port {
            "*" => 0,
            port => port.parse::<u16>().map_err(|_| EndpointError::Port(whole()))?,
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(bracketed) => bracketed,
            // Without brackets the colons of an IPv6 address and the port's run together.
            None if host.contains(':') => return Err(EndpointError::Host(whole())),
            None => host,
        };
        let ip = match host {
            "*" => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            host => match host.parse() {
                Ok(ip) => ip,
                Err(_) => resolve(host).ok_or_else(|| EndpointError::Host(whole()))?,
            },
        };
        Ok(Endpoint::Tcp(SocketAddr::new(ip, port)))
    }
}

fn resolve(host: &str) -> Option<IpAddr> {
    let addresses: Vec<_> = (host, 0).to_socket_addrs().ok()?.map(|found| found.ip()).collect();
    addresses.iter().find(|ip| ip.is_ipv4()).or(addresses.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        for (text, shown) in [
            ("tcp://0.0.0.0:1", "tcp://0.0.0.0:1"),
            ("tcp://127.0.0.1:*", "tcp://127.0.0.1:0"),
            ("tcp://[::1]:5555", "tcp://[::1]:5555"),
            ("tcp://[::]:0", "tcp://[::]:0"),
            ("ipc://relative.sock", "ipc://relative.sock"),
            ("inproc://a name", "inproc://a name"),
            ("inproc://*", "inproc://*"),
        ] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused_with_its_fault() {
        let long = format!("ipc://{}", "x".repeat(108));
        for (text, fault) in [
            ("", "begin with tcp:// or ipc://"),
            ("127.0.0.1:5555", "begin with tcp:// or ipc://"),
            ("tcp://127.0.0.1", "port"),
            ("tcp://127.0.0.1:", "port"),
            ("tcp://127.0.0.1:65536", "port"),
            ("tcp://127.0.0.1:x", "port"),
            ("tcp://::1:5555", "host"),
            ("tcp://:5555", "host"),
            ("tcp://no such host:5555", "host"),
            ("ipc://", "path"),
            ("ipc://*", "give a path"),
            ("ipc://@abstract", "give a path"),
            (long.as_str(), "path"),
            ("inproc://", "255 bytes"),
            ("inproc:a", "begin with"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(fault) && error.contains(text), "{text}: {error}");
        }
    }
}
