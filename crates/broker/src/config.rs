//! The broker's configuration: where it listens, what it holds, and the core's own.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use majordomus_core::broker as core;
use majordomus_wire::{Dialect, Errors, Json};

use crate::{Endpoint, EndpointError};

/// What a broker is started with.
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
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Where it publishes the directory to SUB sockets, if it does: one frame, `$dir ` and the
    /// directory as JSON, whenever that has changed. Nothing else is served there.
    pub intch: Option<Endpoint>,
    /// The routing id that a ROUTER peer sees; up to 255 bytes, none by default.
    pub name: String,
    /// How long the reactor looks for something to do before it sleeps, at most
    /// [`SPIN_MAX`](Config::SPIN_MAX): round trips get shorter, since nobody has to be woken, and the
    /// processor is busy so much longer after each. Not at all by default.
    pub spin: Duration,
    /// Timings and limits of requests.
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

/// The defaults, at one endpoint.
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

/// The defaults, at one endpoint.
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

/// One endpoint, and how it is spoken there.
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
    /// Where.
    pub endpoint: Endpoint,
    /// The only dialect that is taken there; all, where there is none.
    pub dialect: Option<Dialect>,
    /// What clients of a dialect without error replies are told of errors.
    pub errors: Errors,
    /// How frames become JSON where a client and a worker differ in that; the client's listener
    /// decides.
    pub json: Json,
}

impl Listen {
    /// Listens for every dialect, and tells clients of errors only where their dialect has them.
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

/// How much connections may hold, and for how long.
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
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once whose handshake is not over; at the limit the oldest is cut.
    pub handshakes_max: usize,
    /// The same, from one address.
    pub handshakes_per_address_max: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Bytes that a peer may send before the handshake is over.
    pub handshake_bytes_max: usize,
    /// Bytes of one message.
    pub message_bytes_max: usize,
    /// Frames of one message.
    pub frames_max: usize,
    /// Bytes of incomplete messages that are held, in all.
    pub reception_bytes_max: usize,
    /// Bytes that may wait to be written to one peer before it counts as full.
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

/// A configuration that cannot be.
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
    /// There is nowhere to listen.
    NoEndpoint,
    /// The routing id is longer than 255 bytes.
    NameTooLong,
    /// A value is nothing where there has to be something.
    Zero(&'static str),
    /// A message may be larger than all messages together.
    MessageOverReception,
    /// A message may be larger than can be counted here.
    MessageTooLarge,
    /// So may a reply that is put together of its parts.
    ReplyTooLarge,
    /// The reactor would look for something to do for longer than [`Config::SPIN_MAX`].
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
    /// The longest [`spin`](Config::spin).
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

    /// Whether the directory is published at this listener: it comes behind all others.
    pub(crate) fn publishes_at(&self, listener: usize) -> bool {
        listener == self.listen.len()
    }

    /// What peers that greet are told of the broker.
    pub(crate) fn introduction(&self) -> core::Introduction {
        core::Introduction {
            broker: self.name.as_str().into(),
            message_bytes_max: self.connections.message_bytes_max as u64,
            frames_max: u32::try_from(self.connections.frames_max).unwrap_or(u32::MAX),
        }
    }

    /// Looks for values that cannot be.
    ///
    /// # Errors
    ///
    /// The first one that is found.
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
