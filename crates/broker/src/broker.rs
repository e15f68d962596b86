//! The public handle of a running broker.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use majordomus_core::broker::{Broker as Core, Keys};
use mio::{Poll, Waker};

use crate::inproc::Door;
use crate::reactor::{self, Reactor, WAKER};
use crate::stream::Listener;
use crate::{Config, ConfigError, ControlMessage, Endpoint, EndpointError, Snapshot};

/// A broker that runs in its own thread until it is shut down or dropped.
///
/// ```
/// use majordomus_broker::{Broker, Config, Listen};
///
/// let config = Config {
///     listen: vec![Listen::new("tcp://127.0.0.1:0".parse()?)],
///     ..Config::default()
/// };
/// let broker = Broker::start(config)?;
/// println!("listening {}", broker.endpoints()[0]);
/// let summary = broker.shutdown()?;
/// assert_eq!(summary.counters.received, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Broker {
    endpoints: Vec<Endpoint>,
    publication: Option<Endpoint>,
    control: Control,
    thread: Option<JoinHandle<io::Result<Snapshot>>>,
}

/// A handle that controls a running broker. It can be cloned and sent to other threads.
///
/// ```
/// # use majordomus_broker as majordomus;
/// use majordomus::Broker;
///
/// let broker = Broker::start("inproc://controlled")?;
/// let control = broker.control();
/// assert!(control.snapshot().is_some());
/// control.shutdown();
/// # Ok::<(), majordomus_broker::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Control {
    messages: Sender<ControlMessage>,
    waker: Arc<Waker>,
    /// The broker's `inproc` names.
    doors: Arc<[Arc<Door>]>,
}

impl Control {
    /// Shuts the broker down without waiting for it to end: workers receive DISCONNECT, and every
    /// request ends with an outcome.
    ///
    /// The broker's `inproc` names can be reused as soon as this method returns. Its ports and
    /// socket paths can be reused when the reactor has closed them.
    ///
    /// ```
    /// # use majordomus_broker as majordomus;
    /// use majordomus::Broker;
    ///
    /// let broker = Broker::start("inproc://ending")?;
    /// let control = broker.control();
    /// std::thread::spawn(move || control.shutdown());
    /// # broker.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) {
        for door in self.doors.iter() {
            door.close();
        }
        self.send(ControlMessage::Shutdown);
    }

    /// Returns the broker's statistics, or `None` if the broker has ended. Blocks until the
    /// reactor's next iteration.
    ///
    /// ```
    /// # use majordomus_broker as majordomus;
    /// use majordomus::Broker;
    ///
    /// let broker = Broker::start("inproc://counted")?;
    /// let snapshot = broker.control().snapshot().expect("it runs");
    /// assert_eq!(snapshot.connections, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.snapshot_to(move |snapshot| {
            // The caller is blocked in `recv`, and the channel has capacity for the reply.
            let _ = reply.send(snapshot);
        });
        answer.recv().ok()
    }

    /// Calls `answer` with the broker's statistics; for callers that must not block. If the broker
    /// has ended, `answer` is dropped without a call. `answer` runs in the reactor's thread and
    /// must return at once, like `send` on a channel that has capacity.
    ///
    /// ```
    /// # use majordomus_broker as majordomus;
    /// use majordomus::Broker;
    ///
    /// let broker = Broker::start("inproc://told")?;
    /// let (tell, told) = std::sync::mpsc::sync_channel(1);
    /// broker.control().snapshot_to(move |snapshot| {
    ///     let _ = tell.send(snapshot.connections);
    /// });
    /// assert_eq!(told.recv(), Ok(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot_to(&self, answer: impl FnOnce(Snapshot) + Send + 'static) {
        self.send(ControlMessage::Snapshot(Box::new(answer)));
    }

    fn send(&self, message: ControlMessage) {
        // A broker that has ended ignores messages.
        if self.messages.send(message).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

/// The error for a broker that did not start.
///
/// ```
/// # mod majordomus { pub use majordomus_broker::{self as broker, Broker}; }
/// use majordomus::Broker;
/// use majordomus::broker::StartError;
///
/// assert!(matches!(Broker::start("nowhere"), Err(StartError::Endpoint(_))));
/// ```
#[derive(Debug)]
pub enum StartError {
    /// The endpoint is invalid.
    Endpoint(EndpointError),
    /// The configuration is invalid.
    Config(ConfigError),
    /// The broker cannot listen on this endpoint.
    Bind(Endpoint, io::Error),
    /// The system failed to provide a poll instance, a thread or random numbers.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Endpoint(error) => error.fmt(f),
            StartError::Config(error) => write!(f, "configuration: {error}"),
            StartError::Bind(endpoint @ Endpoint::Inproc { .. }, error)
                if error.kind() == io::ErrorKind::AddrInUse =>
            {
                write!(
                    f,
                    "cannot listen on {endpoint}: the name is in use in this process; take another \
                     one, or inproc://* for any"
                )
            }
            StartError::Bind(endpoint, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot listen on {endpoint}: it is in use by another program")
            }
            StartError::Bind(endpoint, error) => write!(f, "cannot listen on {endpoint}: {error}"),
            StartError::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Endpoint(error) => Some(error),
            StartError::Config(error) => Some(error),
            StartError::Bind(_, error) | StartError::System(error) => Some(error),
        }
    }
}

impl From<EndpointError> for StartError {
    fn from(error: EndpointError) -> Self {
        StartError::Endpoint(error)
    }
}

/// A `Config` needs no conversion, so this error cannot occur.
impl From<Infallible> for StartError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Broker {
    /// Listens on every endpoint of the configuration and starts serving. To use the default
    /// configuration, pass only an endpoint.
    ///
    /// Raises the process's limit of open files as far as the system allows.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid or if the broker cannot listen on an
    /// endpoint.
    ///
    /// ```
    /// use majordomus_broker::Broker;
    ///
    /// let broker = Broker::start("tcp://127.0.0.1:0")?;
    /// assert!(Broker::start(&*broker.endpoints()[0].to_string()).is_err());
    /// # Ok::<(), majordomus_broker::StartError>(())
    /// ```
    pub fn start(
        config: impl TryInto<Config, Error: Into<StartError>>,
    ) -> Result<Self, StartError> {
        Self::start_holding(config, ())
    }

    /// Like [`start`](Self::start), and drops `held` when the broker has ended, for whatever
    /// reason. A caller that cannot block in [`wait`](Self::wait) can use this to learn that the
    /// broker has ended.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`start`](Self::start).
    ///
    /// ```
    /// use std::sync::mpsc::sync_channel;
    ///
    /// use majordomus_broker::Broker;
    ///
    /// let (held, ended) = sync_channel::<()>(0);
    /// let broker = Broker::start_holding("inproc://held", held)?;
    /// assert!(ended.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty));
    /// broker.control().shutdown();
    /// assert!(ended.recv().is_err());
    /// # Ok::<(), majordomus_broker::StartError>(())
    /// ```
    pub fn start_holding(
        config: impl TryInto<Config, Error: Into<StartError>>,
        held: impl Send + 'static,
    ) -> Result<Self, StartError> {
        let mut config: Config = config.try_into().map_err(Into::into)?;
        config.check().map_err(StartError::Config)?;
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!("the limit of open files stays as it is: {error}");
        }
        let poll = Poll::new().map_err(StartError::System)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(StartError::System)?);
        let mut listeners = Vec::with_capacity(config.listen.len());
        let endpoints = config.listen.iter_mut().map(|listen| &mut listen.endpoint);
        for endpoint in endpoints.chain(&mut config.intch) {
            let failed = |error| StartError::Bind(endpoint.clone(), error);
            let listener = Listener::bind(endpoint, &waker).map_err(failed)?;
            *endpoint = listener.endpoint().map_err(failed)?;
            listeners.push(listener);
        }
        config.core.introduction = config.introduction();
        config.core.request_events = tracing::enabled!(tracing::Level::DEBUG);
        let doors = listeners.iter().filter_map(Listener::door).collect();
        let core = Core::new(config.core.clone(), keys().map_err(StartError::System)?);
        let (messages, inbox) = mpsc::channel();
        let endpoints = config.listen.iter().map(|listen| listen.endpoint.clone()).collect();
        let publication = config.intch.clone();
        reactor::announce(&config);
        let reactor =
            Reactor::new(config, poll, core, listeners, inbox).map_err(StartError::System)?;
        // When a waker's last handle is dropped, a wake-up that was not yet delivered is lost. So
        // the thread has its own handle.
        let holding = (held, Arc::clone(&waker));
        let thread = std::thread::Builder::new()
            .name("reactor".to_string())
            .spawn(move || {
                let _holding = holding;
                reactor.run()
            })
            .map_err(StartError::System)?;
        let control = Control { messages, waker, doors };
        Ok(Self { endpoints, publication, control, thread: Some(thread) })
    }

    /// Returns the endpoints that the broker listens on, with the ports chosen by the system and
    /// the generated `inproc` names.
    ///
    /// ```
    /// use majordomus_broker::{Broker, Endpoint};
    ///
    /// let broker = Broker::start("inproc://*")?;
    /// assert!(matches!(&broker.endpoints()[0], Endpoint::Inproc { name } if name != "*"));
    /// # Ok::<(), majordomus_broker::StartError>(())
    /// ```
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Returns the endpoint of the directory publication, if enabled, with the port chosen by the
    /// system.
    pub fn publication(&self) -> Option<&Endpoint> {
        self.publication.as_ref()
    }

    /// Returns a handle that controls the broker, also from other threads.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the broker has ended and returns its final statistics.
    ///
    /// # Errors
    ///
    /// Returns an error if a system call of the reactor failed.
    pub fn wait(mut self) -> io::Result<Snapshot> {
        self.join()
    }

    /// Shuts the broker down, waits until it has ended and returns its final statistics.
    ///
    /// # Errors
    ///
    /// Returns an error if a system call of the reactor failed.
    pub fn shutdown(mut self) -> io::Result<Snapshot> {
        self.control.shutdown();
        self.join()
    }

    /// Shuts the broker down without waiting until it has ended. Dropping the `Broker` waits.
    ///
    /// ```
    /// use majordomus_broker::Broker;
    ///
    /// Broker::start("inproc://brief")?.dismiss();
    /// // The name can be reused at once.
    /// Broker::start("inproc://brief")?.dismiss();
    /// # Ok::<(), majordomus_broker::StartError>(())
    /// ```
    pub fn dismiss(mut self) {
        self.control.shutdown();
        self.thread = None;
    }

    fn join(&mut self) -> io::Result<Snapshot> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Snapshot::default()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.control.shutdown();
            // Nobody asked for the result, and the thread has already printed any panic.
            let _ = thread.join();
        }
    }
}

/// Generates random keys.
fn keys() -> io::Result<Keys> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut keys = [0u64; 4];
    for (key, bytes) in keys.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *key = u64::from_le_bytes(*bytes);
    }
    Ok(Keys(keys))
}
