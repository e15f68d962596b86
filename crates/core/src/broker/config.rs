//! What can be set: timings, and the limits. Every limit has a name and a default.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::Label;

/// The longest name of a service, in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// Heartbeats do not come closer together than this.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What every worker has rejected waits at least so long for another.
pub const REJECT_WAIT_MIN: Duration = Duration::from_millis(1);

/// How the broker behaves.
///
/// ```
/// # mod majordomus {
/// #     pub mod broker {
/// #         pub use majordomus_core::broker::{Config as CoreConfig, Limits as RequestLimits};
/// #         pub use majordomus_core::broker::*;
/// #     }
/// # }
/// use std::time::Duration;
///
/// use majordomus::broker::CoreConfig;
///
/// let config = CoreConfig { wait_timeout: Duration::from_secs(5), ..CoreConfig::default() };
/// assert_eq!(config.heartbeat_interval, Duration::from_millis(2_500));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often workers are told that the broker is there, and how often they are expected to say
    /// the same.
    pub heartbeat_interval: Duration,
    /// After how many intervals of silence a worker is lost.
    pub liveness: u32,
    /// How long a request waits for a worker.
    pub wait_timeout: Duration,
    /// How long a request waits for a worker where none offers its service at all, if not as long
    /// as for any other.
    pub no_worker_wait: Option<Duration>,
    /// The busy limit: how long a worker may have one request in hand.
    pub busy_timeout: Duration,
    /// How long a peer may leave what is sent to it unread before it is cut.
    pub stall_timeout: Duration,
    /// How long the owner of an identity has to show life when another connection claims it.
    pub identity_timeout: Duration,
    /// How often a request is given to a worker at the most.
    pub attempts_max: u32,
    /// How long a request that every worker has rejected waits for another.
    pub reject_wait: Duration,
    /// Which of its free workers a service gives a request to.
    pub balance: Balance,
    /// Limits on what is held.
    pub limits: Limits,
    /// Where single services differ.
    pub services: Vec<ServiceConfig>,
    /// Whether [`Event`](super::Event)s about single requests are put out.
    pub request_events: bool,
    /// What peers that greet are told of the broker. A broker with sockets fills it in by itself.
    pub introduction: Introduction,
}

/// What peers that greet are told of the broker, and what the core itself has no use for.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// let nobody = majordomus::broker::Introduction::default();
/// assert!(nobody.broker.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The name of the broker; empty where it has none.
    pub broker: Label,
    /// How many bytes a message may have; 0 for any number.
    pub message_bytes_max: u64,
    /// How many frames.
    pub frames_max: u32,
}

impl Default for Introduction {
    fn default() -> Self {
        Self { broker: Label::empty(), message_bytes_max: 0, frames_max: u32::MAX }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(2_500),
            liveness: 3,
            wait_timeout: Duration::from_secs(60),
            no_worker_wait: None,
            busy_timeout: Duration::from_secs(900),
            stall_timeout: Duration::from_secs(10),
            identity_timeout: Duration::from_millis(2_500),
            attempts_max: 3,
            reject_wait: Duration::from_secs(1),
            balance: Balance::LeastRecent,
            limits: Limits::default(),
            services: Vec::new(),
            request_events: false,
            introduction: Introduction::default(),
        }
    }
}

impl Config {
    /// The same, with nothing in it that would have the broker do something for ever.
    pub(super) fn sane(mut self) -> Self {
        self.heartbeat_interval = self.heartbeat_interval.max(HEARTBEAT_INTERVAL_MIN);
        self.liveness = self.liveness.max(1);
        self.reject_wait = self.reject_wait.max(REJECT_WAIT_MIN);
        self
    }

    /// How long a worker may be silent.
    pub(super) fn silence_max(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.liveness)
    }

    /// What holds for one service.
    pub(super) fn settings(&self, service: &[u8]) -> Settings {
        let own = self.services.iter().find(|own| own.name.as_bytes() == service);
        Settings {
            wait: own.and_then(|own| own.wait_timeout).unwrap_or(self.wait_timeout),
            busy: own.and_then(|own| own.busy_timeout).unwrap_or(self.busy_timeout),
            balance: own.and_then(|own| own.balance).unwrap_or(self.balance),
            share: own.is_some_and(|own| own.share),
        }
    }
}

/// What is set for one service in place of the broker's value.
///
/// ```
/// # mod majordomus {
/// #     pub mod broker {
/// #         pub use majordomus_core::broker::{Config as CoreConfig, Limits as RequestLimits};
/// #         pub use majordomus_core::broker::*;
/// #     }
/// # }
/// use std::time::Duration;
///
/// use majordomus::broker::{CoreConfig, ServiceConfig};
///
/// let mut config = CoreConfig::default();
/// config.services.push(ServiceConfig {
///     name: "render".into(),
///     busy_timeout: Some(Duration::from_secs(3_600)),
///     ..ServiceConfig::default()
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The service's name.
    pub name: Label,
    /// See [`Config::wait_timeout`].
    pub wait_timeout: Option<Duration>,
    /// See [`Config::busy_timeout`].
    pub busy_timeout: Option<Duration>,
    /// See [`Config::balance`].
    pub balance: Option<Balance>,
    /// Whether equal requests that are in progress at the same time share one answer. Only for what
    /// has no effect beside its answer.
    pub share: bool,
}

/// Which of the free workers of a service gets the next request.
///
/// ```
/// # mod majordomus {
/// #     pub mod broker {
/// #         pub use majordomus_core::broker::{Config as CoreConfig, Limits as RequestLimits};
/// #         pub use majordomus_core::broker::*;
/// #     }
/// # }
/// use majordomus::broker::{Balance, CoreConfig};
///
/// let config = CoreConfig { balance: Balance::LeastLoaded, ..CoreConfig::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balance {
    /// The one that has waited longest.
    #[default]
    LeastRecent,
    /// The one with the fewest requests in hand; of several, the one that was given the fewest so
    /// far.
    LeastLoaded,
    /// Any.
    Random,
}

impl Balance {
    /// All ways, in the order in which they are shown.
    pub const ALL: [Balance; 3] = [Balance::LeastRecent, Balance::LeastLoaded, Balance::Random];

    /// The name by which it is configured.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::Balance;
    ///
    /// assert_eq!(Balance::ALL.map(Balance::name), ["lru", "load", "random"]);
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Balance::LeastRecent => "lru",
            Balance::LeastLoaded => "load",
            Balance::Random => "random",
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What holds for one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) wait: Duration,
    pub(super) busy: Duration,
    pub(super) balance: Balance,
    pub(super) share: bool,
}

/// How much is held at the most. A request counts from its arrival to its outcome, with its body
/// for as long as that is kept and [`REQUEST_BYTES`] for the rest.
///
/// ```
/// # mod majordomus {
/// #     pub mod broker {
/// #         pub use majordomus_core::broker::{Config as CoreConfig, Limits as RequestLimits};
/// #         pub use majordomus_core::broker::*;
/// #     }
/// # }
/// use majordomus::broker::{CoreConfig, RequestLimits};
///
/// let limits = RequestLimits { requests_max: 10_000, ..RequestLimits::default() };
/// let config = CoreConfig { limits, ..CoreConfig::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in progress, in all.
    pub requests_max: usize,
    /// Bytes of requests in progress, in all.
    pub request_bytes_max: usize,
    /// Requests in progress for one service.
    pub service_requests_max: usize,
    /// Bytes of requests in progress for one service.
    pub service_bytes_max: usize,
    /// Requests in progress for one client.
    pub client_requests_max: usize,
    /// Bytes of requests in progress for one client.
    pub client_bytes_max: usize,
    /// Requests that one worker has in hand, those that ended meanwhile among them. One that
    /// registers before this is changed keeps what it was.
    pub worker_requests_max: usize,
    /// Services that one worker may offer.
    pub worker_services_max: usize,
    /// The same for all workers together, a service counting once for each that offers it.
    pub offers_max: usize,
    /// Workers that may reject one request. When so many have, it counts as rejected by all.
    pub rejections_max: u32,
    /// Names that clients asked for and no worker offers.
    pub names_max: usize,
    /// Services whose requests are counted by name; those of others are counted together.
    pub accounts_max: usize,
    /// Bytes of the parts of one reply that are kept for a client that takes no parts, with
    /// [`PART_BYTES`] for each part and [`FRAME_BYTES`] for each frame. They count for the request.
    pub reply_bytes_max: usize,
    /// Bytes of replies that are kept for equal requests, with
    /// [`KEPT_REPLY_BYTES`](super::KEPT_REPLY_BYTES) for each; 0 to keep none.
    pub cache_bytes_max: usize,
    /// Bytes of a body that has to be translated because its reader takes another
    /// [`Form`](crate::Form).
    pub translate_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_max: 1_000_000,
            request_bytes_max: 1 << 30,
            service_requests_max: 200_000,
            service_bytes_max: 512 << 20,
            client_requests_max: 20_000,
            client_bytes_max: 128 << 20,
            worker_requests_max: 100_000,
            worker_services_max: 1_000,
            offers_max: 1_000_000,
            rejections_max: 100,
            names_max: 10_000,
            accounts_max: 1_000,
            reply_bytes_max: 64 << 20,
            cache_bytes_max: 64 << 20,
            translate_bytes_max: 1 << 20,
        }
    }
}

/// What a part of a reply is counted as, in bytes, beside its frames.
pub const PART_BYTES: usize = 128;

/// What a frame of a part is counted as, in bytes, beside its body.
pub const FRAME_BYTES: usize = 8;

/// What a request is counted as, in bytes, beside its body.
pub const REQUEST_BYTES: usize = 256;
