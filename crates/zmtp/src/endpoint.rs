//! Endpoint addresses: parsing and formatting, without I/O.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

/// The wildcard for any host, port or name.
const ANY: &str = "*";
/// The maximum length of a Unix socket's path in bytes.
const PATH_BYTES_MAX: usize = 107;
/// The maximum length of an `inproc` name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The address on which a broker listens and to which clients and workers connect:
/// `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`.
///
/// The host is a name, an IPv4 address, or an IPv6 address in brackets. The path is that of a Unix
/// socket. The name is unique within the process. A listener can use `*` as the host (all IPv4
/// interfaces), the port (any unused port, the same as `0`) or the name (any unused name). It is
/// not possible to connect to such an endpoint.
///
/// ```
/// # use majordomus_zmtp as majordomus;
/// use majordomus::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:5555".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: "::1".into(), port: 5555 });
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:5555");
/// assert_eq!("tcp://*:*".parse::<Endpoint>()?.to_string(), "tcp://*:0");
/// assert_eq!("inproc://md".parse::<Endpoint>()?, Endpoint::Inproc { name: "md".into() });
/// # Ok::<(), majordomus::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A host name or an address without brackets, or `*`.
        host: String,
        /// The port; `0` for any unused port.
        port: u16,
    },
    /// A Unix socket.
    Ipc {
        /// The path of the socket file, from 1 to 107 bytes.
        path: String,
    },
    /// A broker in the same process.
    Inproc {
        /// The name, from 1 to 255 bytes without control characters; `*` for any unused name.
        name: String,
    },
}

impl Endpoint {
    /// Returns true if the endpoint has a wildcard host, port or name. Only listeners can use such
    /// endpoints.
    ///
    /// ```
    /// # use majordomus_zmtp as majordomus;
    /// use majordomus::Endpoint;
    ///
    /// assert!("tcp://127.0.0.1:0".parse::<Endpoint>()?.is_wildcard());
    /// assert!(!"tcp://127.0.0.1:5555".parse::<Endpoint>()?.is_wildcard());
    /// # Ok::<(), majordomus::EndpointError>(())
    /// ```
    pub fn is_wildcard(&self) -> bool {
        match self {
            Endpoint::Tcp { host, port } => host == ANY || *port == 0,
            Endpoint::Ipc { .. } => false,
            Endpoint::Inproc { name } => name == ANY,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                format!("{}%{}", address.ip(), address.scope_id())
            }
            address => address.ip().to_string(),
        };
        Endpoint::Tcp { host, port: address.port() }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let violation = |violation| EndpointError { endpoint: text.into(), violation };
        let (transport, address) =
            text.split_once("://").ok_or_else(|| violation(Violation::NoTransport))?;
        match transport {
            "tcp" => parse_tcp(address).map_err(violation),
            "ipc" => parse_ipc(address).map_err(violation),
            "inproc" => parse_inproc(address).map_err(violation),
            _ => Err(violation(Violation::UnknownTransport)),
        }
    }
}

fn parse_tcp(address: &str) -> Result<Endpoint, Violation> {
    let (host, port) = address.rsplit_once(':').ok_or(Violation::NoPort)?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').ok_or(Violation::BadHost)?,
        // Without brackets, the colons of an IPv6 address and the colon before the port are
        // ambiguous.
        None if host.contains(':') => return Err(Violation::NoBrackets),
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(Violation::BadHost);
    }
    let port = match port {
        ANY => 0,
        port => port.parse().map_err(|_| Violation::BadPort)?,
    };
    Ok(Endpoint::Tcp { host: host.to_owned(), port })
}

fn parse_ipc(path: &str) -> Result<Endpoint, Violation> {
    // A leading `@` denotes Linux's abstract namespace, which has no path.
    if path == ANY || path.starts_with('@') {
        return Err(Violation::NoPath);
    }
    if !(1..=PATH_BYTES_MAX).contains(&path.len()) || path.contains('\0') {
        return Err(Violation::BadPath);
    }
    Ok(Endpoint::Ipc { path: path.to_owned() })
}

fn parse_inproc(name: &str) -> Result<Endpoint, Violation> {
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.contains(char::is_control) {
        return Err(Violation::BadName);
    }
    Ok(Endpoint::Inproc { name: name.to_owned() })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Endpoint::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Endpoint::Ipc { path } => write!(f, "ipc://{path}"),
            Endpoint::Inproc { name } => write!(f, "inproc://{name}"),
        }
    }
}

/// An error from parsing an endpoint.
///
/// ```
/// # use majordomus_zmtp as majordomus;
/// let error = "tcp://localhost".parse::<majordomus::Endpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "bad endpoint \"tcp://localhost\": there is no port");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: String,
    violation: Violation,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violation = match self.violation {
            Violation::NoTransport => "it does not begin with tcp://, ipc:// or inproc://",
            Violation::UnknownTransport => "the transports are tcp://, ipc:// and inproc://",
            Violation::NoPort => "there is no port",
            Violation::NoBrackets => "an IPv6 address needs brackets, as in tcp://[::1]:5555",
            Violation::BadHost => "there is no host",
            Violation::BadPort => "a port is a number from 1 to 65535, or 0 or * for any",
            Violation::NoPath => {
                "abstract sockets and wildcards have no path; give one, as in \
                 ipc:///run/majordomus.sock"
            }
            Violation::BadPath => "the path of a socket has from 1 to 107 bytes, none of them zero",
            Violation::BadName => {
                "a name in a process has from 1 to 255 bytes, none of them a control character"
            }
        };
        write!(f, "bad endpoint {:?}: {violation}", self.endpoint)
    }
}

impl core::error::Error for EndpointError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Violation {
    NoTransport,
    UnknownTransport,
    NoPort,
    NoBrackets,
    BadHost,
    BadPort,
    NoPath,
    BadPath,
    BadName,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Endpoint, Violation>) {
        let parsed = text.parse::<Endpoint>();
        if let Ok(endpoint) = &parsed {
            assert_eq!(endpoint.to_string(), text.replace(":*", ":0"));
        }
        assert_eq!(parsed.map_err(|error| error.violation), expected, "{text}");
    }

    #[test]
    fn endpoints() {
        let tcp = |host: &str, port| Ok(Endpoint::Tcp { host: host.into(), port });
        let ipc = |path: &str| Ok(Endpoint::Ipc { path: path.into() });
        check("tcp://127.0.0.1:5555", tcp("127.0.0.1", 5555));
        check("tcp://broker.example:1", tcp("broker.example", 1));
        check("tcp://[fe80::1%eth0]:65535", tcp("fe80::1%eth0", 65535));
        check("tcp://*:5555", tcp("*", 5555));
        check("tcp://a:0", tcp("a", 0));
        check("tcp://a:*", tcp("a", 0));
        check("ipc:///tmp/broker", ipc("/tmp/broker"));
        check("ipc://broker", ipc("broker"));
        check("", Err(Violation::NoTransport));
        check("127.0.0.1:5555", Err(Violation::NoTransport));
        check("inproc:a", Err(Violation::NoTransport));
        check("udp://127.0.0.1:5555", Err(Violation::UnknownTransport));
        check("tcp://localhost", Err(Violation::NoPort));
        check("tcp://::1:5555", Err(Violation::NoBrackets));
        check("tcp://[::1:5555", Err(Violation::BadHost));
        check("tcp://:5555", Err(Violation::BadHost));
        check("tcp://a b:5555", Err(Violation::BadHost));
        check("tcp://a/b:5555", Err(Violation::BadHost));
        check("tcp://a:", Err(Violation::BadPort));
        check("tcp://a:65536", Err(Violation::BadPort));
        check("tcp://a:x", Err(Violation::BadPort));
        check("ipc://", Err(Violation::BadPath));
        check("ipc://a\0b", Err(Violation::BadPath));
        check("ipc://*", Err(Violation::NoPath));
        check("ipc://@abstract", Err(Violation::NoPath));
        let longest = "x".repeat(PATH_BYTES_MAX);
        check(&format!("ipc://{longest}"), ipc(&longest));
        check(&format!("ipc://{longest}x"), Err(Violation::BadPath));
    }

    #[test]
    fn endpoints_in_a_process() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for name in ["a", "a name/of:more é", "*", &longest] {
            check(&format!("inproc://{name}"), Ok(Endpoint::Inproc { name: name.into() }));
        }
        for name in ["", "a\nb", &format!("{longest}x")] {
            check(&format!("inproc://{name}"), Err(Violation::BadName));
        }
    }

    #[test]
    fn addresses_are_read_back_as_they_were() {
        for text in ["127.0.0.1:5555", "[::1]:0", "[fe80::1%3]:5555"] {
            let address: SocketAddr = text.parse().expect(text);
            let endpoint = Endpoint::from(address);
            assert_eq!(endpoint.to_string(), format!("tcp://{text}"));
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }
}
