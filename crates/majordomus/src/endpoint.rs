//! Where a broker is to be found.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::SetupError;

/// Bytes that the name of a broker in this process may have.
const NAME_BYTES_MAX: usize = 255;

/// Where a broker is to be found: `tcp://host:port`, `ipc://path` or `inproc://name`.
///
/// The host is a name, an IPv4 address, or an IPv6 address in brackets. What has a name in this
/// process is an embedded broker, so `inproc://` is taken with the feature `broker` only.
///
/// ```
/// use majordomus::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:5555".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: "::1".into(), port: 5555 });
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:5555");
/// # Ok::<(), majordomus::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port, from 1 on.
        port: u16,
    },
    /// A Unix socket.
    Ipc {
        /// The path of its file.
        path: PathBuf,
    },
    /// A broker of this process.
    Inproc {
        /// Its name, from 1 to 255 bytes without control characters.
        name: String,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads an endpoint to connect to. A `*` for a host or a name, or the port 0, is for those who
    /// listen, and refused here.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let offence = |offence| EndpointError { endpoint: text.into(), offence };
        let (transport, address) =
            text.split_once("://").ok_or_else(|| offence(Offence::NoTransport))?;
        match transport {
            "tcp" => parse_tcp(address).map_err(offence),
            "ipc" => parse_ipc(address).map_err(offence),
            "inproc" => parse_inproc(address).map_err(offence),
            _ => Err(offence(Offence::UnknownTransport)),
        }
    }
}

fn parse_tcp(address: &str) -> Result<Endpoint, Offence> {
    let (host, port) = address.rsplit_once(':').ok_or(Offence::NoPort)?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').ok_or(Offence::BadHost)?,
        None if host.contains(':') => return Err(Offence::NoBrackets),
        None => host,
    };
    if host.is_empty() || host == "*" || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(Offence::BadHost);
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok(Endpoint::Tcp { host: host.into(), port }),
        _ => Err(Offence::BadPort),
    }
}

fn parse_ipc(address: &str) -> Result<Endpoint, Offence> {
    // `@` begins a name in Linux's abstract namespace, which has no path.
    if address.is_empty() || address.starts_with('@') || address.contains('\0') {
        return Err(Offence::BadPath);
    }
    Ok(Endpoint::Ipc { path: Path::new(address).into() })
}

fn parse_inproc(name: &str) -> Result<Endpoint, Offence> {
    if !cfg!(feature = "broker") {
        return Err(Offence::NoBroker);
    }
    let has_room = (1..=NAME_BYTES_MAX).contains(&name.len());
    if !has_room || name == "*" || name.contains(char::is_control) {
        return Err(Offence::BadName);
    }
    Ok(Endpoint::Inproc { name: name.into() })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Endpoint::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Endpoint::Ipc { path } => write!(f, "ipc://{}", path.display()),
            Endpoint::Inproc { name } => write!(f, "inproc://{name}"),
        }
    }
}

/// One broker, or several: what [`Client::connect`](crate::Client::connect) and
/// [`Worker::builder`](crate::Worker::builder) take.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), majordomus::SetupError> {
/// use majordomus::Client;
///
/// let one = Client::connect("tcp://127.0.0.1:5555")?;
/// let two = Client::connect(["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"])?;
/// let many = Client::connect(vec![String::from("ipc:///run/majordomus.sock")])?;
/// # Ok(())
/// # }
/// ```
pub trait Endpoints {
    /// The endpoints, as text.
    fn texts(&self) -> Vec<String>;
}

impl Endpoints for &str {
    fn texts(&self) -> Vec<String> {
        vec![(*self).into()]
    }
}

impl Endpoints for String {
    fn texts(&self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Endpoints for &String {
    fn texts(&self) -> Vec<String> {
        vec![(*self).clone()]
    }
}

impl Endpoints for Endpoint {
    fn texts(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl<T: AsRef<str>, const N: usize> Endpoints for [T; N] {
    fn texts(&self) -> Vec<String> {
        texts_of(self)
    }
}

impl<T: AsRef<str>> Endpoints for &[T] {
    fn texts(&self) -> Vec<String> {
        texts_of(self)
    }
}

impl<T: AsRef<str>> Endpoints for Vec<T> {
    fn texts(&self) -> Vec<String> {
        texts_of(self)
    }
}

fn texts_of<T: AsRef<str>>(all: &[T]) -> Vec<String> {
    all.iter().map(|text| text.as_ref().into()).collect()
}

/// Reads endpoints, of which there has to be one at least.
pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<Endpoint>, SetupError> {
    if texts.is_empty() {
        return Err(SetupError::NoEndpoint);
    }
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, EndpointError>>()?)
}

/// This is no endpoint that can be connected to.
///
/// ```
/// let error = "tcp://localhost".parse::<majordomus::Endpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "bad endpoint \"tcp://localhost\": there is no port");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: String,
    offence: Offence,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offence = match self.offence {
            Offence::NoTransport => "it does not begin with tcp://, ipc:// or inproc://",
            Offence::UnknownTransport => "the transports are tcp://, ipc:// and inproc://",
            Offence::NoPort => "there is no port",
            Offence::NoBrackets => "an IPv6 address needs brackets, as in tcp://[::1]:5555",
            Offence::BadHost => "there is no host that can be connected to",
            Offence::BadPort => "a port is a number from 1 to 65535",
            Offence::BadPath => "there is no path of a file",
            Offence::NoBroker => {
                "inproc:// needs the feature `broker` of the crate majordomus, with which a broker \
                 can be in this process"
            }
            Offence::BadName => {
                "a name to connect to has from 1 to 255 bytes, none of them a control character, \
                 and is not `*`"
            }
        };
        write!(f, "bad endpoint {:?}: {offence}", self.endpoint)
    }
}

impl std::error::Error for EndpointError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offence {
    NoTransport,
    UnknownTransport,
    NoPort,
    NoBrackets,
    BadHost,
    BadPort,
    BadPath,
    NoBroker,
    BadName,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Endpoint, Offence>) {
        let parsed = text.parse::<Endpoint>();
        if let Ok(endpoint) = &parsed {
            assert_eq!(endpoint.to_string(), text);
        }
        assert_eq!(parsed.map_err(|error| error.offence), expected, "{text}");
    }

    #[test]
    fn endpoints() {
        let tcp = |host: &str, port| Ok(Endpoint::Tcp { host: host.into(), port });
        check("tcp://127.0.0.1:5555", tcp("127.0.0.1", 5555));
        check("tcp://broker.example:1", tcp("broker.example", 1));
        check("tcp://[fe80::1%eth0]:65535", tcp("fe80::1%eth0", 65535));
        check("ipc:///tmp/broker", Ok(Endpoint::Ipc { path: "/tmp/broker".into() }));
        check("ipc://broker", Ok(Endpoint::Ipc { path: "broker".into() }));
        check("", Err(Offence::NoTransport));
        check("127.0.0.1:5555", Err(Offence::NoTransport));
        check("udp://127.0.0.1:5555", Err(Offence::UnknownTransport));
        check("tcp://localhost", Err(Offence::NoPort));
        check("tcp://::1:5555", Err(Offence::NoBrackets));
        check("tcp://[::1:5555", Err(Offence::BadHost));
        check("tcp://:5555", Err(Offence::BadHost));
        check("tcp://*:5555", Err(Offence::BadHost));
        check("tcp://a/b:5555", Err(Offence::BadHost));
        check("tcp://a:0", Err(Offence::BadPort));
        check("tcp://a:65536", Err(Offence::BadPort));
        check("tcp://a:x", Err(Offence::BadPort));
        check("ipc://", Err(Offence::BadPath));
        check("ipc://@abstract", Err(Offence::BadPath));
    }

    #[test]
    #[cfg(feature = "broker")]
    fn endpoints_in_this_process() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for name in ["a", "a name/of:more é", &longest] {
            check(&format!("inproc://{name}"), Ok(Endpoint::Inproc { name: name.into() }));
        }
        for name in ["", "*", "a\nb", &format!("{longest}x")] {
            check(&format!("inproc://{name}"), Err(Offence::BadName));
        }
    }

    #[test]
    #[cfg(not(feature = "broker"))]
    fn endpoints_in_this_process_need_the_feature() {
        check("inproc://a", Err(Offence::NoBroker));
        let error = "inproc://a".parse::<Endpoint>().expect_err("there is no broker").to_string();
        assert!(error.contains("inproc://a") && error.contains("feature `broker`"), "{error}");
    }
}
