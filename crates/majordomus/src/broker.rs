//! An embedded broker for programs and tests (feature `broker`).
//!
//! [`Broker::start`] takes an endpoint, or a [`Config`] to override the defaults.
//!
//! ```
//! use std::time::Duration;
//!
//! use majordomus::broker::{Config, Listen};
//! use majordomus::{Broker, Client};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Listens for this process, and for other processes on a free port.
//! let mut config = Config::try_from("inproc://both")?;
//! config.listen.push(Listen::new("tcp://127.0.0.1:0".parse()?));
//! config.core.wait_timeout = Duration::from_secs(5);
//! let broker = Broker::start(config)?;
//! println!("others find it at {}", broker.endpoints()[1]);
//!
//! let client = Client::connect("inproc://both")?;
//! assert_eq!(client.request("mmi.service", "echo").await?.text(), "404");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;

use tokio::sync::{oneshot, watch};

pub use majordomus_broker::{
    Account, Balance, CloseReason, Config, ConfigError, ConnectionLimits, Control, CoreConfig,
    Counters, Dialect, DisconnectReason, Endpoint, EndpointError, Ends, Errors, Gauges,
    Introduction, Json, Listen, Outcome, PeerViolation, Refusal, RequestLimits, ServiceConfig,
    Snapshot, StartError, Statement, Tally, UnknownJson,
};

/// A broker that runs in its own thread inside this process, until it is shut down or dropped.
///
/// The broker listens on `tcp://` and `ipc://` like the standalone program, and on `inproc://name`
/// for clients and workers of this process. They can connect before the broker starts, and find it
/// once it is running. The broker does not need or use an async runtime. An `inproc://` connection
/// uses two file descriptors of this process, and connection limits apply to it as to any other.
///
/// Dropping the broker also ends it, without waiting, so that no runtime thread is blocked. Its
/// `inproc://` names are free at once, and its paths and ports a moment later. To get the final
/// statistics, or to be sure that all peers were notified, call [`shutdown`](Self::shutdown).
///
/// ```
/// use majordomus::{Broker, Client, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start("inproc://test")?;
/// let _worker = Worker::builder("inproc://test")
///     .serve("echo", |request, reply| reply.finish(request.body))?;
/// let client = Client::connect("inproc://test")?;
/// assert_eq!(client.request("echo", "hello").await?.text(), "hello");
/// let summary = broker.shutdown().await?;
/// assert_eq!(summary.counters.received, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a broker ends when it is dropped"]
pub struct Broker {
    endpoint: String,
    endpoints: Vec<Endpoint>,
    publication: Option<Endpoint>,
    control: Control,
    /// `None` once the end of the broker has been waited for, which consumes this handle.
    running: Option<majordomus_broker::Broker>,
    /// The broker's thread holds the sender and never sends. A closed channel means that the broker
    /// has ended.
    ended: watch::Receiver<()>,
}

impl Broker {
    /// Starts a broker that listens on an endpoint, or on all endpoints of a [`Config`].
    ///
    /// An endpoint is `tcp://HOST:PORT` (port `0` selects a free port), `ipc://PATH`, or
    /// `inproc://NAME` (`*` generates an unused name). [`endpoint`](Self::endpoint) returns the
    /// resulting endpoint. The open file limit is raised as far as the system allows.
    ///
    /// # Errors
    ///
    /// Returns [`StartError::Endpoint`] if the endpoint is invalid, [`StartError::Bind`] if the
    /// endpoint is in use or cannot be listened on, [`StartError::Config`] if the configuration is
    /// invalid, and [`StartError::System`] if the system cannot create a thread.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// let broker = Broker::start("inproc://taken")?;
    /// let error = Broker::start("inproc://taken").unwrap_err();
    /// assert!(error.to_string().contains("in use"));
    /// # Ok::<(), majordomus::broker::StartError>(())
    /// ```
    pub fn start(
        config: impl TryInto<Config, Error: Into<StartError>>,
    ) -> Result<Self, StartError> {
        let (held, ended) = watch::channel(());
        let running = majordomus_broker::Broker::start_holding(config, held)?;
        let endpoints = running.endpoints().to_vec();
        Ok(Self {
            endpoint: endpoints.first().map(Endpoint::to_string).unwrap_or_default(),
            endpoints,
            publication: running.publication().cloned(),
            control: running.control(),
            running: Some(running),
            ended,
        })
    }

    /// Returns the first endpoint on which the broker listens, in the form that clients and workers
    /// accept.
    ///
    /// ```
    /// use majordomus::{Broker, Client};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://*")?;
    /// let client = Client::connect(broker.endpoint())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns all endpoints on which the broker listens, in configuration order, with the ports
    /// chosen by the system and the generated names.
    ///
    /// ```
    /// use majordomus::{Broker, Client};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("tcp://127.0.0.1:0")?;
    /// assert_ne!(broker.endpoints()[0].to_string(), "tcp://127.0.0.1:0");
    /// let client = Client::connect(broker.endpoints())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Returns the endpoint on which the broker publishes the directory of workers, if
    /// [`Config::intch`] enables it.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// assert!(Broker::start("inproc://*")?.publication().is_none());
    /// # Ok::<(), majordomus::broker::StartError>(())
    /// ```
    pub fn publication(&self) -> Option<&Endpoint> {
        self.publication.as_ref()
    }

    /// Returns the broker's current statistics and gauges, or `None` if the broker has ended.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://*")?;
    /// let now = broker.snapshot().await.expect("it runs");
    /// assert_eq!((now.connections, now.holdings.requests), (0, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (tell, told) = oneshot::channel();
        self.control.snapshot_to(|snapshot| {
            // The caller may have stopped waiting.
            let _ = tell.send(snapshot);
        });
        told.await.ok()
    }

    /// Returns a handle that shuts the broker down from another thread or task. It can also request
    /// the statistics in a thread that may block.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://*")?;
    /// let control = broker.control();
    /// std::thread::spawn(move || control.shutdown());
    /// broker.ended().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the broker has ended, because its [`Control`] shut it down or because of a
    /// system error.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://*")?;
    /// broker.control().shutdown();
    /// broker.ended().await;
    /// assert!(broker.snapshot().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // Nothing is ever sent, so this returns when the sender is dropped.
        let _ = ended.changed().await;
    }

    /// Waits until the broker has ended and returns its final statistics. Dropping the returned
    /// future drops the broker.
    ///
    /// # Errors
    ///
    /// Returns the system error that ended the broker.
    ///
    /// # Panics
    ///
    /// Panics if the broker's thread panicked.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://*")?;
    /// broker.control().shutdown();
    /// let summary = broker.wait().await?;
    /// assert!(summary.counters.balanced());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait(self) -> io::Result<Snapshot> {
        self.ended().await;
        // The broker's thread returns at this moment.
        self.blocking_wait()
    }

    /// Shuts the broker down, waits for its end and returns its final statistics. Workers receive
    /// DISCONNECT, and clients receive the outcome of each unfinished request. A peer that does not
    /// read this within half a second is disconnected.
    ///
    /// # Errors
    ///
    /// Returns the system error that ended the broker.
    ///
    /// # Panics
    ///
    /// Panics if the broker's thread panicked.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = Broker::start("inproc://again")?;
    /// broker.shutdown().await?;
    /// let broker = Broker::start("inproc://again")?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(self) -> io::Result<Snapshot> {
        self.control.shutdown();
        self.wait().await
    }

    /// Does the same as [`wait`](Self::wait), but blocks the thread, for programs without a
    /// runtime.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`wait`](Self::wait), and panics in the same case.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let broker = Broker::start("tcp://127.0.0.1:0")?;
    ///     let control = broker.control();
    ///     std::thread::spawn(move || control.shutdown());
    ///     println!("{}", broker.blocking_wait()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn blocking_wait(mut self) -> io::Result<Snapshot> {
        match self.running.take() {
            Some(running) => running.wait(),
            None => Ok(Snapshot::default()),
        }
    }

    /// Does the same as [`shutdown`](Self::shutdown), but blocks the thread, for programs without a
    /// runtime.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`wait`](Self::wait), and panics in the same case.
    ///
    /// ```
    /// use majordomus::Broker;
    ///
    /// let summary = Broker::start("inproc://*")?.blocking_shutdown()?;
    /// assert_eq!(summary.accepted, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking_shutdown(self) -> io::Result<Snapshot> {
        self.control.shutdown();
        self.blocking_wait()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.dismiss();
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
