//! The client.

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

/// How long a request may take where nothing else is said.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one broker, or of several.
///
/// It is a handle to a task that owns the connection, opens it again by itself when it is lost, and
/// ends when every clone of the handle is gone and every reply has ended. Clones are cheap and share
/// the connection.
///
/// It speaks [`Dialect::Omdp1`] unless told otherwise, and has any number of requests at once over one
/// connection. With several brokers there is a connection to each, and [`Brokers`] says which one a
/// request goes to.
///
/// Most older dialects have no request ids. There a connection has one request at a time, in the order in
/// which they were made, and the others wait; and a request that is given up, by a timeout or
/// because its [`Reply`] was dropped, costs the connection, because its late reply would be taken
/// for the next one's. So does every request in [`Dialect::Libmdp`], where nobody says which reply is
/// the last. Who needs several at once there uses several clients; [`Dialect::Pigato`]
/// and [`Dialect::Omdp`] have ids.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, Client};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start("inproc://client")?;
/// let client = Client::connect("inproc://client")?;
/// // Whether anybody offers it, which the broker itself answers.
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
    /// Requests that wait until they can be given to a task, and how many may.
    waiting: AtomicUsize,
    waiting_max: usize,
    timeout: Option<Duration>,
    limits: Limits,
    dialect: Dialect,
    /// Whether the dialect tells which reply is the last.
    has_finals: bool,
    /// How long a broker may be silent.
    silence_max: Duration,
    /// How much longer the end of a request is waited for than it may take.
    grace: Duration,
}

impl Client {
    /// A client of the broker at this endpoint, or of several brokers, with the defaults of
    /// [`ClientBuilder`].
    ///
    /// Returns at once: the connection is made in the background, and requests wait for it. What is in
    /// its way is told by its [events](Self::events).
    ///
    /// # Errors
    ///
    /// [`SetupError::Endpoint`] for something that is no endpoint, [`SetupError::Wildcard`] for one that
    /// is for those who listen, [`SetupError::InprocWithoutBroker`] for one of this process without the
    /// feature `broker`, and [`SetupError::NoEndpoint`] where there is none. That nobody answers there
    /// is no error.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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

    /// A client whose options are to be set.
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

    /// Asks a service for something. Nothing is sent until the result is awaited, or
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

    /// Whether a broker is connected at this moment.
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

    /// Returns when a broker is connected, at once where one is. Nobody has to wait for that: requests
    /// do it by themselves. Can be dropped and called again.
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

    /// What happens to its connections from now on.
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

/// The options of a [`Client`].
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
    /// What it speaks; [`Dialect::Omdp1`] unless set.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").dialect("mdp01".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Which of several brokers a request goes to; [`Brokers::FailOver`] unless set.
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

    /// How often it asks, while it waits for replies, whether the broker is there, and says what it
    /// still wants; 2.5 s unless set. Dialects of 7/MDP and 18/MDP have no such thing.
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

    /// How many intervals the broker may be silent though it was asked; 3 unless set.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").liveness(5);
    /// ```
    pub fn liveness(mut self, intervals: u32) -> Self {
        self.config.liveness = intervals;
        self
    }

    /// Whether a final reply of one frame of text that begins with `-1 ` is an error; true unless
    /// set.
    ///
    /// The MDP dialects have no error replies, so our worker and our broker write errors like that.
    /// Set it to false where such a text is an ordinary reply.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").error_replies(false);
    /// ```
    pub fn error_replies(mut self, error_replies: bool) -> Self {
        self.error_replies = error_replies;
        self
    }

    /// How long a request may take, counted from when it is sent to the client's task and again
    /// from each part of its reply; `None` is as long as it takes. 60 s unless set, and
    /// [`RequestBuilder::timeout`] goes before it.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").timeout(None);
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The shortest and the longest wait before a lost connection is opened again; 100 ms and 5 s
    /// unless set. The waits double from one to the other, and a random part of each is left out. A broker
    /// that [does not want us](crate::ConnectionEvent::SentAway) is left alone for longer.
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

    /// How many requests may be with a broker at once, where the dialect has more than one; 65,536 unless
    /// set, and never more than the broker says that it takes. Others wait.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").running(100);
    /// ```
    pub fn running(mut self, requests_max: usize) -> Self {
        self.config.running_max = requests_max.max(1);
        self
    }

    /// How many requests may wait for the connection or for those before them, and how many bytes
    /// they may have together; 1,024 and 64 MiB unless set. More are
    /// [refused](crate::RequestError::Refused).
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").waiting(10, 1024 * 1024);
    /// ```
    pub fn waiting(mut self, requests_max: usize, bytes_max: usize) -> Self {
        self.config.waiting_max = requests_max;
        self.config.waiting_bytes_max = bytes_max;
        self
    }

    /// How many bytes a message may have, either way; 64 MiB unless set. A broker that sends more
    /// loses the connection.
    ///
    /// Of what is sent 640 bytes are kept back for all that stands beside a body and its headers, in
    /// [`Dialect::Gdp`] 5,760; what is larger than the rest is
    /// [too large](crate::RequestError::TooLarge).
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

    /// Starts the client, as [`Client::connect`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Client::connect`], [`SetupError::NoHeartbeatInterval`] where the
    /// [heartbeat](Self::heartbeat) has no time, [`SetupError::NoLiveness`] where the
    /// [liveness](Self::liveness) is zero, and [`SetupError::NoMessageBytes`] where a message
    /// [may have no byte](Self::message_bytes_max).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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

    /// How the state machine is to behave in this dialect.
    fn config_for(&self, codec: &Codec) -> ClientConfig {
        ClientConfig {
            request_ids: codec.has_request_ids(),
            greets: codec.greets(),
            heartbeats: codec.has_request_ids(),
            still_wanted: codec.has_request_ids(),
            told_of_expiry: is_told_of_expiry(codec),
            credit: codec.has_credit().then_some(PARTS_MAX as u32),
            message_bytes_max: Some(self.limits.message_bytes_max),
            // Where there are several brokers, they wait for any that is connected.
            waits_for_connection: self.endpoints.len() == 1,
            ..self.config
        }
    }

    /// A client over these ways.
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

/// Whether a client hears from its broker that a request has expired.
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

    /// One more waits until it can be given to a task, unless too many do.
    fn waits(&self) -> Option<Place<'_>> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        (waiting < self.waiting_max).then_some(place)
    }

    fn leaves(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
