//! Broker configuration: timings, limits, and settings per service. Every limit has a name and a
//! default.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::ByteStr;

/// The maximum length of a service name, in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// The minimum heartbeat interval.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The minimum of [`Config::reject_wait`].
pub const REJECT_WAIT_MIN: Duration = Duration::from_millis(1);

/// The broker's configuration.
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
    /// The interval at which the broker sends heartbeats to workers and expects heartbeats from
    /// them. Defaults to 2.5 seconds.
    pub heartbeat_interval: Duration,
    /// The number of silent heartbeat intervals after which a worker is lost. Defaults to 3.
    pub liveness: u32,
    /// The time for which a request waits for a worker. Defaults to 60 seconds.
    pub wait_timeout: Duration,
    /// The time for which a request waits for a worker when none is registered for its service.
    /// Defaults to `None`: such a request waits as long as any other.
    pub no_worker_wait: Option<Duration>,
    /// The busy limit: the maximum time that one request may be in flight at a worker. Defaults to
    /// 900 seconds.
    pub busy_timeout: Duration,
    /// The time after which the broker closes a peer that does not read its messages. Defaults to
    /// 10 seconds.
    pub stall_timeout: Duration,
    /// The time in which the owner of an identity must show liveness when another connection claims
    /// the identity. Defaults to 2.5 seconds.
    pub identity_timeout: Duration,
    /// The maximum number of times that a request is dispatched, not counting dispatches that ended
    /// in a rejection. Defaults to 3.
    pub attempts_max: u32,
    /// The time for which a request rejected by every worker waits for another worker. Defaults to
    /// 1 second.
    pub reject_wait: Duration,
    /// The policy by which a service selects an idle worker. Defaults to [`Balance::LeastRecent`].
    pub balance: Balance,
    /// Resource limits.
    pub limits: Limits,
    /// Settings for individual services.
    pub services: Vec<ServiceConfig>,
    /// Emits the [`Event`](super::Event)s of individual requests if true. Defaults to false.
    pub request_events: bool,
    /// Information about the broker for peers with a handshake. A broker with sockets fills it in
    /// by itself.
    pub introduction: Introduction,
}

/// Information about the broker that it sends to peers with a handshake. The core itself does not
/// use it.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// let nobody = majordomus::broker::Introduction::default();
/// assert!(nobody.broker.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The broker's name; empty if it has none.
    pub broker: ByteStr,
    /// The maximum size of a message in bytes; 0 for no limit.
    pub message_bytes_max: u64,
    /// The maximum number of frames in a message.
    pub frames_max: u32,
}

impl Default for Introduction {
    fn default() -> Self {
        Self { broker: ByteStr::empty(), message_bytes_max: 0, frames_max: u32::MAX }
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
    /// Raises settings that would make the broker loop forever to their minimum.
    pub(super) fn sane(mut self) -> Self {
        self.heartbeat_interval = self.heartbeat_interval.max(HEARTBEAT_INTERVAL_MIN);
        self.liveness = self.liveness.max(1);
        self.reject_wait = self.reject_wait.max(REJECT_WAIT_MIN);
        self
    }

    /// Returns the time for which a worker may be silent.
    pub(super) fn silence_max(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.liveness)
    }

    /// Returns the settings of one service.
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

/// Settings of one service that override the broker's.
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
    pub name: ByteStr,
    /// See [`Config::wait_timeout`].
    pub wait_timeout: Option<Duration>,
    /// See [`Config::busy_timeout`].
    pub busy_timeout: Option<Duration>,
    /// See [`Config::balance`].
    pub balance: Option<Balance>,
    /// Enables request coalescing: equal requests in progress at the same time share one reply.
    /// Enable it only for requests without side effects.
    pub share: bool,
}

/// The policy that selects an idle worker for the next request of a service.
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
    /// The worker that has been idle longest.
    #[default]
    LeastRecent,
    /// The worker with the fewest requests in flight; among equals, the one that has received the
    /// fewest requests so far.
    LeastLoaded,
    /// A random worker.
    Random,
}

impl Balance {
    /// All policies, in display order.
    pub const ALL: [Balance; 3] = [Balance::LeastRecent, Balance::LeastLoaded, Balance::Random];

    /// Returns the name used in the configuration.
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

/// The settings in force for one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) wait: Duration,
    pub(super) busy: Duration,
    pub(super) balance: Balance,
    pub(super) share: bool,
}

/// Resource limits. A request counts from its arrival to its outcome. It counts as
/// [`REQUEST_BYTES`] plus its body, as long as the broker retains the body.
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
    /// The maximum number of requests in progress. Defaults to 1,000,000.
    pub requests_max: usize,
    /// The maximum bytes of requests in progress. Defaults to 1 GiB.
    pub request_bytes_max: usize,
    /// The maximum number of requests in progress for one service. Defaults to 200,000.
    pub service_requests_max: usize,
    /// The maximum bytes of requests in progress for one service. Defaults to 512 MiB.
    pub service_bytes_max: usize,
    /// The maximum number of requests in progress for one client. Defaults to 20,000.
    pub client_requests_max: usize,
    /// The maximum bytes of requests in progress for one client. Defaults to 128 MiB.
    pub client_bytes_max: usize,
    /// The maximum number of requests in flight at one worker, including requests that have ended
    /// but still occupy a worker slot. A worker that is already registered keeps the limit in force
    /// at its registration. Defaults to 100,000.
    pub worker_requests_max: usize,
    /// The maximum number of services that one worker may register. Defaults to 1,000.
    pub worker_services_max: usize,
    /// The maximum number of registrations of all workers. A service counts once for each worker
    /// that registered it. Defaults to 1,000,000.
    pub offers_max: usize,
    /// The number of workers that may reject one request before it counts as rejected by all.
    /// Defaults to 100.
    pub rejections_max: u32,
    /// The maximum number of requested names without a registered worker. Defaults to 10,000.
    pub names_max: usize,
    /// The maximum number of services with statistics of their own; the requests of all others are
    /// counted together. Defaults to 1,000.
    pub accounts_max: usize,
    /// The maximum bytes of reply parts that the broker collects for a client that accepts only
    /// complete replies. Each part adds [`PART_BYTES`] and each frame [`FRAME_BYTES`]. These bytes
    /// are charged to the request. Defaults to 64 MiB.
    pub reply_bytes_max: usize,
    /// The maximum bytes of cached replies. Each reply adds
    /// [`KEPT_REPLY_BYTES`](super::KEPT_REPLY_BYTES). 0 disables the reply cache. Defaults to 64
    /// MiB.
    pub cache_bytes_max: usize,
    /// The maximum size in bytes of a body that must be translated because its reader uses another
    /// [`Form`](crate::Form). Defaults to 1 MiB.
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

/// Bytes charged for a reply part in addition to its frames.
pub const PART_BYTES: usize = 128;

/// Bytes charged for a frame of a part in addition to its body.
pub const FRAME_BYTES: usize = 8;

/// Bytes charged for a request in addition to its body.
pub const REQUEST_BYTES: usize = 256;
