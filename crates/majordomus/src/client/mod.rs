//! The client.

mod driver;
mod reply;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use majordomus_core::{Backoff, ClientConfig, RequestHandle};
use majordomus_wire::{Codec, Dialect, Errors, Side};
use majordomus_zmtp::Limits;
use tokio::sync::mpsc;

pub use reply::Reply;
pub use request::RequestBuilder;

use crate::client::driver::{Ask, Driver};
use crate::uplink::Uplink;
use crate::{Body, Endpoint, SetupError, ambient_seed};

/// How long a request may take where nothing else is said.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests on their way from the users to the task.
const ASKS_MAX: usize = 64;

/// A client of one broker.
///
/// It is a handle to a task that owns the connection, opens it again by itself when it is lost, and
/// ends when every clone of the handle is gone and every reply has ended. Clones are cheap and share
/// the connection.
///
/// Most dialects have no request ids. There a connection has one request at a time, in the order in
/// which they were made, and the others wait; and a request that is given up, by a timeout or
/// because its [`Reply`] was dropped, costs the connection, because its late reply would be taken
/// for the next one's. So does every request in [`Dialect::Libmdp`], where nobody says which reply is
/// the last. Who needs several at once uses several clients, or [`Dialect::Pigato`] or
/// [`Dialect::Omdp`], which have ids.
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
    asks: mpsc::Sender<Ask>,
    cancels: mpsc::UnboundedSender<RequestHandle>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    next_request: AtomicU64,
    timeout: Option<Duration>,
    limits: Limits,
    dialect: Dialect,
    /// Whether the dialect tells which reply is the last.
    has_finals: bool,
}

impl Client {
    /// A client of the broker at `endpoint`, with the defaults of [`ClientBuilder`].
    ///
    /// Returns at once: the connection is made in the background, and requests wait for it.
    ///
    /// # Errors
    ///
    /// [`SetupError::Endpoint`] for something that is no endpoint. That nobody answers there is no
    /// error.
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
    pub fn connect(endpoint: &str) -> Result<Self, SetupError> {
        Self::builder(endpoint).connect()
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
    pub fn builder(endpoint: &str) -> ClientBuilder {
        ClientBuilder {
            endpoint: endpoint.into(),
            dialect: Dialect::Mdp02,
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
}

/// The options of a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `connect` is called"]
pub struct ClientBuilder {
    endpoint: String,
    dialect: Dialect,
    error_replies: bool,
    timeout: Option<Duration>,
    config: ClientConfig,
    limits: Limits,
}

impl ClientBuilder {
    /// What it speaks; [`Dialect::Mdp02`] unless set.
    ///
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").dialect("mdp01".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
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
    /// unless set. The waits double from one to the other, and a random part of each is left out.
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
    /// ```
    /// let builder = majordomus::Client::builder("ipc://broker").message_bytes_max(1 << 20);
    /// ```
    pub fn message_bytes_max(mut self, bytes_max: usize) -> Self {
        self.limits.message_bytes_max = bytes_max;
        self
    }

    /// Starts the client, as [`Client::connect`] does.
    ///
    /// # Errors
    ///
    /// [`SetupError::Endpoint`] for something that is no endpoint.
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
        let endpoint: Endpoint = self.endpoint.parse()?;
        let errors = if self.error_replies { Errors::Final } else { Errors::Silent };
        let codec = Codec::new(self.dialect, Side::Client).with_errors(errors);
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (cancels, cancelled) = mpsc::unbounded_channel();
        let config = ClientConfig { request_ids: codec.has_request_ids(), ..self.config };
        let core = majordomus_core::Client::new(config, ambient_seed());
        let uplink = Uplink::new(endpoint, codec, self.limits);
        tokio::spawn(Driver::new(core, codec, uplink, asked, cancelled).run());
        let shared = Shared {
            next_request: AtomicU64::new(0),
            timeout: self.timeout,
            limits: self.limits,
            dialect: self.dialect,
            has_finals: codec.has_finals(),
        };
        Ok(Client { asks, cancels, shared: Arc::new(shared) })
    }
}

impl Shared {
    fn next_request(&self) -> RequestHandle {
        RequestHandle(self.next_request.fetch_add(1, Ordering::Relaxed))
    }
}
