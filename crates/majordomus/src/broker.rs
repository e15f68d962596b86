//! The broker, to be embedded in a program or a test (feature `broker`).
//!
//! [`Broker::start`] takes an endpoint, or a [`Config`] where something is to differ from the
//! defaults.
//!
//! ```
//! use std::time::Duration;
//!
//! use majordomus::broker::{Config, Listen};
//! use majordomus::{Broker, Client};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // For this process, and for others on a port that is free.
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
    Counters, Dialect, Endpoint, EndpointError, Ends, Errors, Farewell, Holdings, Introduction,
    Json, Listen, Offence, Outcome, Refusal, RequestLimits, ServiceConfig, Snapshot, StartError,
    Statement, Tally, UnknownJson,
};

/// A broker that runs in a thread of its own, inside this process, until it is shut down or dropped.
///
/// It listens on `tcp://` and `ipc://` as the program does, and on `inproc://name` for the clients
/// and workers of this process: they may connect before it is there and find it when it is. It needs
/// no runtime and takes nothing from one. A connection over `inproc://` has two open files of this
/// process; limits on connections hold there as everywhere.
///
/// Dropping it has it end too, without waiting for that, so that no thread of a runtime is blocked.
/// Its names are free at once then, its paths and ports a moment later. Whoever wants its last
/// numbers, or wants to be sure that everybody has heard the end, [shuts it down](Self::shutdown).
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
    /// It is there until its end is waited for, which is the end of this handle too.
    running: Option<majordomus_broker::Broker>,
    /// Its other side is held by the broker's thread, and says nothing but that it is gone.
    ended: watch::Receiver<()>,
}

impl Broker {
    /// Listens on an endpoint, or on all endpoints of a [`Config`], and begins to serve.
    ///
    /// An endpoint is `tcp://HOST:PORT` with `0` for any free port, `ipc://PATH`, or
    /// `inproc://NAME` with `*` for a name that nobody has; [`endpoint`](Self::endpoint) tells what
    /// became of it. The limit of open files is raised as far as the system allows.
    ///
    /// # Errors
    ///
    /// [`StartError::Endpoint`] for what is no endpoint, [`StartError::Bind`] where the endpoint is
    /// in use or cannot be listened on, [`StartError::Config`] for a configuration that cannot be,
    /// [`StartError::System`] where the system gives no thread.
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

    /// The first endpoint on which it listens, as clients and workers take it.
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

    /// All endpoints on which it listens, in the order of its configuration, with the ports that the
    /// system chose and the names that were made up.
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

    /// Where it publishes the directory of workers, if its [`Config::intch`] says so.
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

    /// What happened so far and what it holds; nothing where it has ended.
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
            // Whoever asked may have gone.
            let _ = tell.send(snapshot);
        });
        told.await.ok()
    }

    /// Something to end it with from elsewhere, and to ask for its numbers where waiting for them
    /// blocks nobody.
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

    /// Returns when it has ended, because it was told so by its [`Control`] or the system failed it.
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
        // Nothing is ever sent, so this is the other side going away.
        let _ = ended.changed().await;
    }

    /// Waits until it has ended: what happened. Where the returned future is dropped, so is the
    /// broker.
    ///
    /// # Errors
    ///
    /// Where the system failed the broker.
    ///
    /// # Panics
    ///
    /// Where the broker's thread did.
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
        // Its thread returns at this moment.
        self.blocking_wait()
    }

    /// Has it end, and waits for that: what happened. Workers get DISCONNECT, requests that are not
    /// over their outcome, and whoever does not read that in half a second is cut.
    ///
    /// # Errors
    ///
    /// Where the system failed the broker.
    ///
    /// # Panics
    ///
    /// Where the broker's thread did.
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

    /// As [`wait`](Self::wait), for a program without a runtime: it blocks the thread.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait), whose panics it has too.
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

    /// As [`shutdown`](Self::shutdown), for a program without a runtime: it blocks the thread.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait), whose panics it has too.
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
