//! The asynchronous client.

mod driver;
mod reply;
mod request;
mod retry;
mod routes;
mod says;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use majordomus_core::{Backoff, ClientConfig, EXPIRY_GRACE, Outcome, RequestHandle, Role};
use majordomus_wire::{Codec, Dialect, Errors, Side};
use majordomus_zmtp::Limits;
use tokio::sync::mpsc;

pub use driver::Progress;
pub(crate) use driver::{ASKS_MAX, Ask, Wish, next_ask};
pub use reply::Reply;
pub use request::RequestBuilder;
pub use retry::Retry;
pub use routes::Brokers;
pub(crate) use routes::{Route, Routes};
pub(crate) use says::{PARTS_MAX, Said, Says};

use crate::client::driver::Driver;
use crate::client::request::Place;
use crate::endpoint::parse_all;
use crate::events::Connections;
use crate::uplink::Uplink;
use crate::{Body, ConnectionEvents, Endpoints, SetupError, ambient_seed};

/// The default request timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one broker, or of several.
///
/// `Client` is a handle to a task that owns the connection. The task reconnects automatically, and
/// ends when all clones of the handle are dropped and all replies have ended. Clones are cheap and
/// share the connection.
///
/// By default, a client uses [`Dialect::Omdp1`], which allows any number of requests in flight over
/// one connection. A client of several brokers opens a connection to each, and [`Brokers`] selects
/// the broker of each request.
///
/// Most older dialects have no request ids. In these dialects, a connection has one request in
/// flight at a time, and further requests are queued in order. A cancelled request, which timed out
/// or whose [`Reply`] was dropped, closes the connection, because its late reply would be taken for
/// the reply to the next request. In [`Dialect::Libmdp`], every request closes the connection,
/// because no reply is marked as the last one. To have several requests in flight, use several
/// clients, or [`Dialect::Pigato`] or [`Dialect::Omdp`], which have request ids.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, Client};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start("inproc://client")?;
/// let client = Client::connect("inproc://client")?;
/// // Asks the broker itself if a worker is registered for the service.
/// let reply = client.request("mmi.service", "echo").await?;
/// assert_eq!(reply.text(), "404");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    routes: Routes,
    next_request: AtomicU64,
    /// The number of requests that wait to be passed to a task, and its limit.
    waiting: AtomicUsize,
    waiting_max: usize,
    timeout: Option<Duration>,
    limits: Limits,
    dialect: Dialect,
    /// True if the dialect marks the last part of a reply.
    has_finals: bool,
    /// The time after which a silent broker is considered lost.
    silence_max: Duration,
    /// The additional time after a request's timeout in which the broker can report the outcome.
    grace: Duration,
}

impl Client {
    /// Creates a client of one or more brokers, with the defaults of [`ClientBuilder`].
    ///
    /// This function returns immediately. The connection is opened in the background, and requests
    /// are queued until it is open. [`events`](Self::events) reports connection failures.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Endpoint`] if an endpoint is invalid, [`SetupError::Wildcard`] if it
    /// is valid only for listening, [`SetupError::InprocWithoutBroker`] if it is an `inproc://`
    /// endpoint and the feature `broker` is disabled, and [`SetupError::NoEndpoint`] if there is
    /// none. An unreachable broker is not an error.
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    ///
    /// ```
    /// use majordomus::Client;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert!(Client::connect("ipc:///run/majordomus.sock").is_ok());
    /// assert!(Client::connect("localhost").is_err());
    /// # }
    /// ```
    pub fn connect(endpoints: impl Endpoints) -> Result<Self, SetupError> {
        Self::builder(endpoints).connect()
    }

    /// Returns a builder to set the options of a client.
    ///
    /// ```no_run
    /// use majordomus::{Client, Dialect};
    ///
    /// # async fn example() -> Result<(), majordomus::SetupError> {
    /// let client =
    ///     Client::builder("tcp://127.0.0.1:5555").dialect(Dialect::Majortomo).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(endpoints: impl Endpoints) -> ClientBuilder {
        ClientBuilder {
            endpoints: endpoints.texts(),
            dialect: Dialect::Omdp1,
            brokers: Brokers::FailOver,
            error_replies: true,
            timeout: Some(REQUEST_TIMEOUT),
            config: ClientConfig::default(),
            limits: Limits::default(),
        }
    }

    /// Creates a request to a service. The request is sent when it is awaited or
    /// [sent](RequestBuilder::send).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let whole = client.request("echo", "hello").timeout(Duration::from_secs(3)).await?;
    /// println!("{}", whole.text());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, service: &str, body: impl Into<Body>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), service, body.into())
    }

    /// Returns true if a broker is currently connected.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::Client) {
    /// if !client.is_connected() {
    ///     println!("requests will wait");
    /// }
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.shared.routes.connections.any_open()
    }

    /// Waits until a broker is connected. Requests also wait for a connection, so calling this
    /// method first is not necessary. This method is cancel safe.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// tokio::time::timeout(Duration::from_secs(5), client.connected()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connected(&self) {
        self.shared.routes.connections.opened().await;
    }

    /// Returns a receiver of future connection events.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) {
    /// let mut events = client.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> ConnectionEvents {
        self.shared.routes.connections.events()
    }
}

/// A builder for a [`Client`].
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::{Brokers, Client};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), majordomus::SetupError> {
/// let client = Client::builder(["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"])
///     .brokers(Brokers::Spread)
///     .timeout(Duration::from_secs(10))
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `connect` is called"]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    dialect: Dialect,
    brokers: Brokers,
    error_replies: bool,
    timeout: Option<Duration>,
    config: ClientConfig,
    limits: Limits,
}

impl ClientBuilder {
    /// Sets the dialect (default: [`Dialect::Omdp1`]).
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").dialect("mdp01".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets how the client selects one of several brokers for a request (default:
    /// [`Brokers::FailOver`]).
    ///
    /// ```
    /// use majordomus::{Brokers, Client};
    ///
    /// let two = ["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"];
    /// let builder = Client::builder(two).brokers(Brokers::Spread);
    /// ```
    pub fn brokers(mut self, brokers: Brokers) -> Self {
        self.brokers = brokers;
        self
    }

    /// Sets the heartbeat interval (default: 2.5 s). While replies are outstanding, the client
    /// sends a heartbeat and keep-alives of its requests to the broker at this interval. The
    /// dialects of 7/MDP and 18/MDP do not support either.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = majordomus::Client::builder("ipc://broker").heartbeat(Duration::from_secs(1));
    /// ```
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// Sets the liveness (default: 3): the number of silent heartbeat intervals after which the
    /// broker is considered lost.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").liveness(5);
    /// ```
    pub fn liveness(mut self, intervals: u32) -> Self {
        self.config.liveness = intervals;
        self
    }

    /// Sets whether a final reply of one text frame that begins with `-1 ` is treated as an error
    /// (default: true).
    ///
    /// The MDP dialects have no error replies, so Majordomus workers and brokers encode errors in
    /// this form. Disable this option if such a text is an ordinary reply.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").error_replies(false);
    /// ```
    pub fn error_replies(mut self, error_replies: bool) -> Self {
        self.error_replies = error_replies;
        self
    }

    /// Sets the default request timeout (default: 60 s). The time starts when the request is passed
    /// to the client's task, and restarts with each part of the reply. `None` disables the timeout.
    /// [`RequestBuilder::timeout`] overrides this value.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").timeout(None);
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the shortest and the longest reconnect delay (default: 100 ms and 5 s). The delays
    /// double from the shortest to the longest, and each is reduced by a random amount of up to one
    /// half. The delay can be longer after the broker sent a [disconnect
    /// reason](crate::ConnectionEvent::SentAway).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = majordomus::Client::builder("ipc://broker")
    ///     .reconnect(Duration::from_millis(10), Duration::from_secs(60));
    /// ```
    pub fn reconnect(mut self, shortest: Duration, longest: Duration) -> Self {
        self.config.backoff = Backoff { shortest, longest };
        self
    }

    /// Sets the maximum number of requests in flight per broker (default: 65,536). The broker's
    /// limit applies if it is lower. Further requests are queued. In dialects without request ids,
    /// the maximum is always 1.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").max_in_flight(100);
    /// ```
    pub fn max_in_flight(mut self, requests_max: usize) -> Self {
        self.config.running_max = requests_max.max(1);
        self
    }

    /// Sets the maximum number of queued requests and the maximum total size of their bodies in
    /// bytes (default: 1,024 requests and 64 MiB). A request that exceeds a limit fails with
    /// [`Refused`](crate::RequestError::Refused).
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").max_queued(10, 1024 * 1024);
    /// ```
    pub fn max_queued(mut self, requests_max: usize, bytes_max: usize) -> Self {
        self.config.waiting_max = requests_max;
        self.config.waiting_bytes_max = bytes_max;
        self
    }

    /// Sets the maximum size of a sent or received message in bytes (default: 64 MiB). The client
    /// closes the connection if the broker sends a larger message.
    ///
    /// Of each sent message, 640 bytes (5,760 bytes in [`Dialect::Gdp`]) are reserved for the data
    /// that precedes the body and its headers. A request that exceeds the remaining size fails with
    /// [`TooLarge`](crate::RequestError::TooLarge).
    ///
    /// ```
    /// use majordomus::{Client, RequestError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), majordomus::SetupError> {
    /// let client = Client::builder("ipc://broker").message_bytes_max(1024).connect()?;
    /// let reply = client.request("echo", vec![0; 385]).await;
    /// assert_eq!(reply, Err(RequestError::TooLarge));
    /// # Ok(())
    /// # }
    /// ```
    pub fn message_bytes_max(mut self, bytes_max: usize) -> Self {
        self.limits.message_bytes_max = bytes_max;
        self
    }

    /// Starts the client. This method returns immediately, like [`Client::connect`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Client::connect`], [`SetupError::NoHeartbeatInterval`] if the
    /// [heartbeat](Self::heartbeat) interval is zero, [`SetupError::NoLiveness`] if the
    /// [liveness](Self::liveness) is zero, and [`SetupError::NoMessageBytes`] if the [maximum
    /// message size](Self::message_bytes_max) is zero.
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), majordomus::SetupError> {
    /// let client = majordomus::Client::builder("tcp://127.0.0.1:5555").connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(self) -> Result<Client, SetupError> {
        let endpoints = parse_all(&self.endpoints)?;
        if self.config.heartbeat_interval.is_zero() {
            return Err(SetupError::NoHeartbeatInterval);
        }
        if self.config.liveness == 0 {
            return Err(SetupError::NoLiveness);
        }
        if self.limits.message_bytes_max == 0 {
            return Err(SetupError::NoMessageBytes);
        }
        let errors = if self.error_replies { Errors::Final } else { Errors::Silent };
        let codec = Codec::new(self.dialect, Side::Client).with_errors(errors);
        let connections = Connections::new(endpoints.len());
        let config = self.config_for(&codec);
        let mut routes = Vec::with_capacity(endpoints.len());
        for (place, endpoint) in endpoints.into_iter().enumerate() {
            let (asks, asked) = mpsc::channel(ASKS_MAX);
            let (wishes, wished) = mpsc::unbounded_channel();
            let core = majordomus_core::Client::new(config, ambient_seed());
            let uplink = Uplink::new(endpoint, codec, self.limits, connections.clone(), place);
            let driver = Driver::new(core, codec, uplink, asked, wished);
            tokio::spawn(driver.run());
            routes.push(Route { asks, wishes });
        }
        let routes = Routes::new(routes, connections, self.brokers);
        Ok(self.client(routes, &codec))
    }

    /// Returns the configuration of the state machine for this dialect.
    fn config_for(&self, codec: &Codec) -> ClientConfig {
        ClientConfig {
            request_ids: codec.has_request_ids(),
            greets: codec.greets(),
            heartbeats: codec.has_request_ids(),
            still_wanted: codec.has_request_ids(),
            told_of_expiry: is_told_of_expiry(codec),
            credit: codec.has_credit().then_some(PARTS_MAX as u32),
            message_bytes_max: Some(self.limits.message_bytes_max),
            // With several brokers, requests wait for any connected broker instead of one
            // connection.
            waits_for_connection: self.endpoints.len() == 1,
            ..self.config
        }
    }

    /// Creates a client with this routing table.
    pub(crate) fn client(self, routes: Routes, codec: &Codec) -> Client {
        let ClientConfig { heartbeat_interval, liveness, .. } = self.config;
        let shared = Shared {
            routes,
            next_request: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            waiting_max: self.config.waiting_max,
            timeout: self.timeout,
            limits: self.limits,
            dialect: self.dialect,
            has_finals: codec.has_finals(),
            silence_max: heartbeat_interval.saturating_mul(liveness),
            grace: if is_told_of_expiry(codec) { EXPIRY_GRACE } else { Duration::ZERO },
        };
        Client { shared: Arc::new(shared) }
    }
}

/// Returns true if the broker reports the expiry of a request to the client.
fn is_told_of_expiry(codec: &Codec) -> bool {
    match codec.role() {
        Role::Client(client) => client.told.contains(Outcome::Expired),
        Role::Worker(_) => false,
    }
}

impl Shared {
    fn next_request(&self) -> RequestHandle {
        RequestHandle(self.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a request that waits to be passed to a task. Returns `None` if the limit is reached.
    fn waits(&self) -> Option<Place<'_>> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        (waiting < self.waiting_max).then_some(place)
    }

    fn leaves(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
