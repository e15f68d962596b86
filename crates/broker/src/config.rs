//! The broker's configuration: endpoints, connection limits and the core's configuration.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use majordomus_core::broker as core;
use majordomus_wire::{Dialect, Errors, Json};

use crate::{Endpoint, EndpointError};

/// A broker's configuration.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::{Config, Listen};
///
/// let mut config = Config::default();
/// config.listen = vec![Listen::new("tcp://127.0.0.1:0".parse().unwrap())];
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The endpoints to listen on. The default is `tcp://127.0.0.1:5555`.
    pub listen: Vec<Listen>,
    /// The endpoint to publish the directory on for SUB sockets; none by default. Each change is
    /// published as one frame: `$dir ` followed by the directory as JSON. This endpoint serves
    /// nothing else.
    pub intch: Option<Endpoint>,
    /// The routing id announced to ROUTER peers: up to 255 bytes, empty by default.
    pub name: String,
    /// The time that the reactor polls its sockets before it sleeps, at most
    /// [`SPIN_MAX`](Config::SPIN_MAX); 0 by default. Polling shortens round trips because no thread
    /// has to be woken, but it keeps a processor core busy for this long after each message.
    pub spin: Duration,
    /// Timeouts and limits of requests.
    pub core: core::Config,
    /// Limits on connections.
    pub connections: ConnectionLimits,
}

impl Default for Config {
    fn default() -> Self {
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 5555)).into();
        Self {
            listen: vec![Listen::new(endpoint)],
            intch: None,
            name: String::new(),
            spin: Duration::ZERO,
            core: core::Config::default(),
            connections: ConnectionLimits::default(),
        }
    }
}

/// The default configuration with one endpoint.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::{Config, Endpoint};
///
/// let config = Config::from(Endpoint::Inproc { name: "md".into() });
/// assert_eq!(config.listen.len(), 1);
/// ```
impl From<Endpoint> for Config {
    fn from(endpoint: Endpoint) -> Self {
        Self { listen: vec![Listen::new(endpoint)], ..Self::default() }
    }
}

/// The default configuration with one endpoint.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::Config;
///
/// let mut config = Config::try_from("inproc://md")?;
/// config.core.liveness = 5;
/// # Ok::<(), majordomus::broker::EndpointError>(())
/// ```
impl TryFrom<&str> for Config {
    type Error = EndpointError;

    fn try_from(endpoint: &str) -> Result<Self, EndpointError> {
        endpoint.parse().map(|endpoint: Endpoint| endpoint.into())
    }
}

/// A listening endpoint and its protocol options.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::{Dialect, Errors, Listen};
///
/// let listen = Listen {
///     dialect: Some(Dialect::Mdp02),
///     errors: Errors::Final,
///     ..Listen::new("tcp://127.0.0.1:5555".parse()?)
/// };
/// # Ok::<(), majordomus::broker::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The endpoint to listen on.
    pub endpoint: Endpoint,
    /// The only dialect accepted on this endpoint. `None` accepts every dialect.
    pub dialect: Option<Dialect>,
    /// The error reports sent to clients whose dialect has no error replies.
    pub errors: Errors,
    /// The conversion between frames and JSON if the client's dialect and the worker's dialect
    /// differ in body format. The option of the client's listener applies.
    pub json: Json,
}

impl Listen {
    /// Listens for every dialect, and reports errors only to clients whose dialect has error
    /// replies.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_broker as broker; }
    /// use majordomus::broker::Listen;
    ///
    /// assert_eq!(Listen::new("tcp://*:5555".parse()?).dialect, None);
    /// # Ok::<(), majordomus::broker::EndpointError>(())
    /// ```
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, dialect: None, errors: Errors::Silent, json: Json::Auto }
    }
}

/// Limits on connections and on the memory that they use.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::{Config, ConnectionLimits};
///
/// let connections = ConnectionLimits { message_bytes_max: 1 << 20, ..ConnectionLimits::default() };
/// let config = Config { connections, ..Config::default() };
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The maximum number of open connections. The default is 100,000.
    pub connections_max: usize,
    /// The maximum number of connections whose handshake is incomplete. Above it, the broker closes
    /// the oldest such connection. The default is 4,096.
    pub handshakes_max: usize,
    /// The same limit for connections from one address. The default is 1,024.
    pub handshakes_per_address_max: usize,
    /// The time limit of a handshake. The default is 5 seconds.
    pub handshake_timeout: Duration,
    /// The maximum number of bytes that a peer may send before its handshake is complete. The
    /// default is 8 KiB.
    pub handshake_bytes_max: usize,
    /// The maximum size of one message, in bytes. The default is 64 MiB.
    pub message_bytes_max: usize,
    /// The maximum number of frames in one message. The default is 1,024.
    pub frames_max: usize,
    /// The maximum number of bytes buffered for incomplete messages, over all connections. The
    /// default is 512 MiB.
    pub reception_bytes_max: usize,
    /// The number of unsent bytes above which a peer is above its high-water mark. The default is 8
    /// MiB.
    pub unsent_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 100_000,
            handshakes_max: 4_096,
            handshakes_per_address_max: 1_024,
            handshake_timeout: Duration::from_secs(5),
            handshake_bytes_max: 8 << 10,
            message_bytes_max: 64 << 20,
            frames_max: 1_024,
            reception_bytes_max: 512 << 20,
            unsent_bytes_max: 8 << 20,
        }
    }
}

/// An invalid configuration.
///
/// ```
/// # mod majordomus { pub use majordomus_broker as broker; }
/// use majordomus::broker::{Config, ConfigError};
///
/// let config = Config { listen: Vec::new(), ..Config::default() };
/// assert_eq!(config.check(), Err(ConfigError::NoEndpoint));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No endpoint is configured.
    NoEndpoint,
    /// The routing id is longer than 255 bytes.
    NameTooLong,
    /// The named value must be greater than zero.
    Zero(&'static str),
    /// `message_bytes_max` exceeds `reception_bytes_max`.
    MessageOverReception,
    /// `message_bytes_max` exceeds 2 GiB.
    MessageTooLarge,
    /// `reply_bytes_max` exceeds 2 GiB.
    ReplyTooLarge,
    /// `spin` exceeds [`Config::SPIN_MAX`].
    SpinTooLong,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoEndpoint => f.write_str("there is no endpoint to listen on"),
            ConfigError::NameTooLong => f.write_str("name is longer than 255 bytes"),
            ConfigError::Zero(name) => write!(f, "{name} has to be more than 0"),
            ConfigError::MessageOverReception => {
                f.write_str("message_bytes_max has to be at most reception_bytes_max")
            }
            ConfigError::MessageTooLarge => {
                f.write_str("message_bytes_max has to be at most 2147483648 (2 GiB)")
            }
            ConfigError::ReplyTooLarge => {
                f.write_str("reply_bytes_max has to be at most 2147483648 (2 GiB)")
            }
            ConfigError::SpinTooLong => f.write_str("spin has to be at most 10ms"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The maximum of [`spin`](Config::spin): 10 ms.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_broker as broker; }
    /// use std::time::Duration;
    ///
    /// use majordomus::broker::{Config, ConfigError};
    ///
    /// let spin = Config::SPIN_MAX + Duration::from_micros(1);
    /// let config = Config { spin, ..Config::default() };
    /// assert_eq!(config.check(), Err(ConfigError::SpinTooLong));
    /// ```
    pub const SPIN_MAX: Duration = Duration::from_millis(10);

    /// Returns true if this listener publishes the directory. That listener comes after all others.
    pub(crate) fn publishes_at(&self, listener: usize) -> bool {
        listener == self.listen.len()
    }

    /// Returns the broker information sent to peers whose dialect has a handshake.
    pub(crate) fn introduction(&self) -> core::Introduction {
        core::Introduction {
            broker: self.name.as_str().into(),
            message_bytes_max: self.connections.message_bytes_max as u64,
            frames_max: u32::try_from(self.connections.frames_max).unwrap_or(u32::MAX),
        }
    }

    /// Checks the configuration for invalid values.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value found.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_broker as broker; }
    /// use majordomus::broker::{Config, ConfigError};
    ///
    /// let mut config = Config::default();
    /// assert_eq!(config.check(), Ok(()));
    /// config.core.liveness = 0;
    /// assert_eq!(config.check(), Err(ConfigError::Zero("liveness")));
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoEndpoint);
        }
        if self.name.len() > 255 {
            return Err(ConfigError::NameTooLong);
        }
        let ConnectionLimits { message_bytes_max, reception_bytes_max, .. } = self.connections;
        if message_bytes_max > 2 << 30 {
            return Err(ConfigError::MessageTooLarge);
        }
        if message_bytes_max > reception_bytes_max {
            return Err(ConfigError::MessageOverReception);
        }
        if self.spin > Self::SPIN_MAX {
            return Err(ConfigError::SpinTooLong);
        }
        let (core, limits, own) = (&self.core, &self.core.limits, &self.connections);
        let counts = [
            ("liveness", core.liveness as usize),
            ("attempts_max", core.attempts_max as usize),
            ("requests_max", limits.requests_max),
            ("service_requests_max", limits.service_requests_max),
            ("client_requests_max", limits.client_requests_max),
            ("worker_requests_max", limits.worker_requests_max),
            ("worker_services_max", limits.worker_services_max),
            ("offers_max", limits.offers_max),
            ("rejections_max", limits.rejections_max as usize),
            ("names_max", limits.names_max),
            ("connections_max", own.connections_max),
            ("handshakes_max", own.handshakes_max),
            ("handshakes_per_address_max", own.handshakes_per_address_max),
            ("message_bytes_max", own.message_bytes_max),
            ("frames_max", own.frames_max),
            ("unsent_bytes_max", own.unsent_bytes_max),
        ];
        if limits.reply_bytes_max > 2 << 30 {
            return Err(ConfigError::ReplyTooLarge);
        }
        let spans = [
            ("heartbeat_interval", core.heartbeat_interval),
            ("busy_timeout", core.busy_timeout),
            ("reject_wait", core.reject_wait),
            ("stall_timeout", core.stall_timeout),
            ("identity_timeout", core.identity_timeout),
            ("handshake_timeout", own.handshake_timeout),
        ];
        let zero = counts.iter().find(|(_, count)| *count == 0).map(|(name, _)| *name);
        let busy = core.services.iter().filter_map(|service| service.busy_timeout);
        let spans = spans.into_iter().chain(busy.map(|span| ("busy_timeout of a service", span)));
        let zero =
            zero.or(spans.into_iter().find(|(_, span)| span.is_zero()).map(|(name, _)| name));
        zero.map_or(Ok(()), |name| Err(ConfigError::Zero(name)))
    }
}
