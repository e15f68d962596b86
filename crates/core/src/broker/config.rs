//! What can be set: timings, and the limits. Every limit has a name and a default.

use alloc::vec::Vec;
use core::time::Duration;

use crate::Label;

/// The longest name of a service, in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// Heartbeats do not come closer together than this.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// How the broker behaves.
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
    /// Limits on what is held.
    pub limits: Limits,
    /// Where single services differ.
    pub services: Vec<ServiceConfig>,
    /// Whether [`Event`](super::Event)s about single requests are put out.
    pub request_events: bool,
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
            limits: Limits::default(),
            services: Vec::new(),
            request_events: false,
        }
    }
}

impl Config {
    /// The same, with nothing in it that would have the broker do something for ever.
    pub(super) fn sane(mut self) -> Self {
        self.heartbeat_interval = self.heartbeat_interval.max(HEARTBEAT_INTERVAL_MIN);
        self.liveness = self.liveness.max(1);
        self
    }

    /// How long a worker may be silent.
    pub(super) fn silence_max(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.liveness)
    }

    /// The timings of one service.
    pub(super) fn timings(&self, service: &[u8]) -> Timings {
        let own = self.services.iter().find(|own| own.name.as_bytes() == service);
        Timings {
            wait: own.and_then(|own| own.wait_timeout).unwrap_or(self.wait_timeout),
            busy: own.and_then(|own| own.busy_timeout).unwrap_or(self.busy_timeout),
        }
    }
}

/// What is set for one service in place of the broker's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The service's name.
    pub name: Label,
    /// See [`Config::wait_timeout`].
    pub wait_timeout: Option<Duration>,
    /// See [`Config::busy_timeout`].
    pub busy_timeout: Option<Duration>,
}

/// The timings that hold for one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timings {
    pub(super) wait: Duration,
    pub(super) busy: Duration,
}

/// How much is held at the most. A request counts from its arrival to its outcome, with its body
/// for as long as that is kept and [`REQUEST_BYTES`] for the rest.
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
    /// Names that clients asked for and no worker offers.
    pub names_max: usize,
    /// Bytes of the parts of one reply that are kept for a client that takes no parts, with
    /// [`PART_BYTES`] for each part and [`FRAME_BYTES`] for each frame. They count for the request.
    pub reply_bytes_max: usize,
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
            names_max: 10_000,
            reply_bytes_max: 64 << 20,
        }
    }
}

/// What a part of a reply is counted as, in bytes, beside its frames.
pub const PART_BYTES: usize = 128;

/// What a frame of a part is counted as, in bytes, beside its body.
pub const FRAME_BYTES: usize = 8;

/// What a request is counted as, in bytes, beside its body.
pub const REQUEST_BYTES: usize = 256;
