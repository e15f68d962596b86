//! The worker API: a [`Worker`], its builder and its connections to the brokers.

mod cancellation;
mod driver;
mod fleet;
mod name;
mod outbox;
mod poll_latency;
mod replier;
mod request;
mod service;
mod task_control;

use std::future::Future;
use std::num::NonZeroUsize;
use std::time::Duration;

use majordomus_core::{Backoff, WorkerConfig};
use majordomus_wire::{Codec, Dialect, Side};
use majordomus_zmtp::Limits;
use tokio::sync::watch;

pub use cancellation::Cancellation;
pub(crate) use driver::{NO_REPLY, SAYINGS_MAX, panic_text};
pub(crate) use outbox::{Outbox, Saying};
pub use replier::{Cancelled, Replier};
pub use request::Request;
pub(crate) use service::{Handler, Services};
pub(crate) use task_control::TaskControl;

#[cfg(doc)]
use crate::ConnectionEvent;
use crate::endpoint::parse_all;
use crate::events::Connections;
use crate::worker::driver::{Leave, Plan};
use crate::worker::fleet::Fleet;
use crate::worker::name::Name;
use crate::{ConnectionEvents, Endpoints, SetupError};

/// A worker that serves requests in the background, until it is stopped or dropped.
///
/// The worker connects and registers automatically. It reconnects when the connection is lost, when
/// the broker is silent for too long, and when the broker disconnects it, unless the disconnect
/// reason is [permanent](ConnectionEvent::SentAway). If the broker refuses any part of the
/// registration, such as one service too many, the worker loses the whole connection and registers
/// again after increasing waits. Only its [events](Worker::events) report the reason. The worker
/// sends heartbeats while its handlers are busy, as long as they do not block the runtime's
/// threads. Run code that blocks or computes for a long time in `tokio::task::spawn_blocking`.
///
/// The default dialect is [`Dialect::Omdp1`]. In this dialect the worker has one connection to each
/// broker for all its services, and its [concurrency](WorkerBuilder::concurrency) limits all
/// services together. In the other dialects it has a connection for each service, and more if the
/// dialect allows only one request at a time. The broker sees each connection as a separate worker,
/// and the concurrency limits each service separately.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, Client, Worker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start("inproc://worker")?;
/// let worker = Worker::builder("inproc://worker")
///     .serve("echo", |request, reply| reply.finish(request.body))?;
/// let client = Client::connect("inproc://worker")?;
/// assert_eq!(client.request("echo", "hello").await?.text(), "hello");
/// worker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a worker leaves when it is dropped"]
pub struct Worker {
    plan: watch::Sender<Plan>,
    services: Services,
    connections: Connections,
    name: Name,
}

impl Worker {
    /// Creates a builder for a worker that connects to this endpoint, or to several brokers at
    /// once.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = majordomus::Worker::builder("tcp://127.0.0.1:5555")
    ///     .dialect("majortomo".parse()?)
    ///     .heartbeat(Duration::from_secs(1))
    ///     .concurrency(4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(endpoints: impl Endpoints) -> WorkerBuilder {
        WorkerBuilder {
            endpoints: endpoints.texts(),
            dialect: Dialect::Omdp1,
            concurrency: 1,
            services: Vec::new(),
            name: String::new(),
            config: WorkerConfig::new(""),
            limits: Limits::default(),
        }
    }

    /// Stops the worker immediately. The broker and the running handlers are notified. Returns when
    /// the handlers have returned, but after at most one second. Handlers that are still running
    /// then are dropped.
    ///
    /// ```no_run
    /// # async fn example(worker: majordomus::Worker) {
    /// tokio::signal::ctrl_c().await.ok();
    /// worker.stop().await;
    /// # }
    /// ```
    pub async fn stop(&self) {
        self.leave(Leave::Now).await;
    }

    /// Stops the worker when its requests in flight are finished. The worker accepts no more
    /// requests. Returns when the last reply is sent and the broker is notified.
    /// [`stop`](Self::stop) can still cut the drain short.
    ///
    /// In [`Dialect::Omdp1`] and [`Dialect::Pigato`], the worker notifies the broker and rejects
    /// requests that still arrive. In OMDP/1, it disconnects after 10 s even if the broker does not
    /// answer the notification. In the other dialects, requests that still arrive are not answered;
    /// the broker sends them to another worker when this one has disconnected.
    ///
    /// ```no_run
    /// # async fn example(worker: majordomus::Worker) {
    /// worker.drain().await;
    /// # }
    /// ```
    pub async fn drain(&self) {
        self.leave(Leave::WhenDone).await;
    }

    /// Waits until the worker has ended, which happens only if another task [stops](Self::stop) or
    /// [drains](Self::drain) it. A worker that every broker refuses does not end: its
    /// [events](Self::events) report the refusal, and it can still [offer](Self::offer) another
    /// service.
    ///
    /// ```no_run
    /// # async fn example(worker: majordomus::Worker) {
    /// tokio::select! {
    ///     () = worker.ended() => {}
    ///     _ = tokio::signal::ctrl_c() => worker.stop().await,
    /// }
    /// # }
    /// ```
    pub async fn ended(&self) {
        self.plan.closed().await;
    }

    async fn leave(&self, how: Leave) {
        self.plan.send_modify(|plan| plan.leave = how.max(plan.leave));
        self.ended().await;
    }

    /// Changes the maximum number of requests in flight. With 0, the worker accepts no requests
    /// until the limit is raised. Requests in flight continue.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) {
    /// worker.set_concurrency(16);
    /// # }
    /// ```
    pub fn set_concurrency(&self, requests: usize) {
        self.plan.send_modify(|plan| plan.concurrency = requests);
    }

    /// Registers one more service while the worker is running. The brokers are notified in the
    /// background. A broker that refuses the service disconnects the worker with all its services;
    /// the worker's [events](Self::events) report this.
    ///
    /// # Errors
    ///
    /// Returns an error if the service name is invalid, if the service already has a handler, or if
    /// the worker's own [name](WorkerBuilder::name) cannot be combined with this service. Returns
    /// [`SetupError::Leaves`] if the worker has been stopped or drained.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) -> Result<(), majordomus::SetupError> {
    /// worker.offer("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn offer<H, F>(&self, service: &str, handler: H) -> Result<(), SetupError>
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.name.check(service)?;
        if self.plan.borrow().leave != Leave::Never {
            return Err(SetupError::Leaves);
        }
        self.services.offer(service, Handler::new(handler))?;
        self.plan.send_modify(|plan| plan.services = self.services.names());
        Ok(())
    }

    /// Unregisters a service while the worker is running. Returns true if the service was
    /// registered. The service's requests in flight continue.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) {
    /// assert!(worker.withdraw("shout"));
    /// # }
    /// ```
    pub fn withdraw(&self, service: &str) -> bool {
        let offered = self.services.remove(service);
        self.plan.send_modify(|plan| plan.services = self.services.names());
        offered
    }

    /// Returns true if a broker is connected at this moment.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) {
    /// println!("connected: {}", worker.is_connected());
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.connections.any_open()
    }

    /// Waits until a broker is connected. Returns immediately if one is connected already. This
    /// method is cancel safe: it can be dropped and called again.
    ///
    /// ```no_run
    /// # async fn example(worker: &majordomus::Worker) {
    /// worker.connected().await;
    /// # }
    /// ```
    pub async fn connected(&self) {
        self.connections.opened().await;
    }

    /// Returns the events of the worker's connections from now on.
    ///
    /// ```no_run
    /// # async fn example(worker: &majordomus::Worker) {
    /// let mut events = worker.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> ConnectionEvents {
        self.connections.events()
    }
}

/// A builder that sets the options of a [`Worker`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use majordomus::Worker;
///
/// # async fn example() -> Result<(), majordomus::SetupError> {
/// let worker = Worker::builder("tcp://127.0.0.1:5555")
///     .concurrency(8)
///     .heartbeat(Duration::from_secs(1))
///     .service("echo", |request, reply| reply.finish(request.body))
///     .service("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `serve` or `start` is called"]
pub struct WorkerBuilder {
    endpoints: Vec<String>,
    dialect: Dialect,
    concurrency: usize,
    services: Vec<(String, Handler)>,
    name: String,
    config: WorkerConfig,
    limits: Limits,
}

impl WorkerBuilder {
    /// Sets the dialect. The default is [`Dialect::Omdp1`].
    ///
    /// ```
    /// use majordomus::{Dialect, Worker};
    ///
    /// let builder = Worker::builder("ipc://broker").dialect(Dialect::Mdp01);
    /// ```
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets the heartbeat interval. The worker sends a heartbeat in each interval and expects one
    /// from the broker. The default is 2.5 s. In [`Dialect::Omdp1`], each side announces its own
    /// interval; in other dialects, the broker should use the same interval.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = majordomus::Worker::builder("ipc://broker").heartbeat(Duration::from_secs(1));
    /// ```
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// Sets the number of heartbeat intervals for which the broker may be silent. The default is 3.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").liveness(5);
    /// ```
    pub fn liveness(mut self, intervals: u32) -> Self {
        self.config.liveness = intervals;
        self
    }

    /// Sets the name by which [clients can address the worker](crate::RequestBuilder::target). The
    /// name is the worker's ZMTP routing id and has at most 200 bytes. By default, the broker
    /// assigns a different name to each connection.
    ///
    /// The name must be unique: if two workers have the same name, the second one waits until the
    /// first has disconnected. In the dialects in which a worker has several connections, `-`, the
    /// service, `-` and a number are appended to the name of each connection; there, name and
    /// service together have at most 233 bytes. [`Dialect::Omdp`] does not allow names, because
    /// brokers distinguish it from PIGATO by the routing ids. [`Dialect::Pigato`] does not allow
    /// names that look like a routing id of the other dialect.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").name("worker-17");
    /// ```
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the maximum number of requests in flight for each broker. The default is 1.
    /// [`Worker::set_concurrency`] changes it while the worker is running.
    ///
    /// In the dialects whose workers take one request at a time, the worker opens this number of
    /// connections for each service, up to 1,000. The broker sees each connection as a separate
    /// worker.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").concurrency(8);
    /// ```
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Sets the shortest and the longest wait before the worker reconnects. The defaults are 100 ms
    /// and 5 s. The wait doubles with each attempt, from the shortest to the longest, and is
    /// reduced by a random part.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = majordomus::Worker::builder("ipc://broker")
    ///     .reconnect(Duration::from_millis(10), Duration::from_secs(60));
    /// ```
    pub fn reconnect(mut self, shortest: Duration, longest: Duration) -> Self {
        self.config.backoff = Backoff { shortest, longest };
        self
    }

    /// Sets the maximum size in bytes of a message in either direction. The default is 64 MiB. The
    /// worker closes the connection to a broker that sends a larger message. The maximum size of a
    /// reply is smaller by the [bytes reserved for
    /// headers](crate::ClientBuilder::message_bytes_max). A request whose reply is larger fails.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").message_bytes_max(1 << 20);
    /// ```
    pub fn message_bytes_max(mut self, bytes_max: usize) -> Self {
        self.limits.message_bytes_max = bytes_max;
        self
    }

    /// Adds a service. `handler` is called for each of its requests, with the [`Replier`] that
    /// answers the request.
    ///
    /// The service name can be a wildcard (`stock.*`), which serves all names with this prefix. It
    /// can also have a version (`stock@1.2.3`), which serves requests for a version range that
    /// contains it (`stock@^1.2`). The request contains the service name that the client requested.
    ///
    /// If a handler panics, or returns without a final reply, its request fails. The handler's
    /// [`Cancellation`] is triggered when the reply is no longer needed, for example when the
    /// connection is lost.
    ///
    /// A handler is polled once in the task that owns the connection. It is spawned as a task only
    /// if it is pending then. If the first polls of a service are slow (at least 100 µs), each of
    /// its requests gets a task, so that computing handlers run in parallel on a multi-threaded
    /// runtime. The first request of a service always gets a task. When the first polls of a
    /// service become slow, the worker detects this after at most six slow polls in a row. When
    /// they become fast again, it returns to inline polling after a number of fast polls. A handler
    /// that blocks or computes for a long time only occasionally delays the other requests of its
    /// connection. Such a handler should use `tokio::task::spawn_blocking`.
    ///
    /// ```no_run
    /// use majordomus::Worker;
    ///
    /// # async fn example() -> Result<(), majordomus::SetupError> {
    /// let worker = Worker::builder("tcp://127.0.0.1:5555")
    ///     .service("echo", |request, reply| reply.finish(request.body))
    ///     .service("stock.*", |request, reply| async move {
    ///         reply.finish(format!("no price for {}", request.service)).await;
    ///     })
    ///     .start()?;
    /// worker.ended().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn service<H, F>(mut self, service: &str, handler: H) -> Self
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.services.push((service.into(), Handler::new(handler)));
        self
    }

    /// Adds a [`service`](Self::service) and starts the worker with all services that were added.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    ///
    /// ```no_run
    /// use majordomus::Worker;
    ///
    /// # async fn example() -> Result<(), majordomus::SetupError> {
    /// let worker = Worker::builder("tcp://127.0.0.1:5555").serve(
    ///     "count",
    ///     |request, reply| async move {
    ///         let Ok(last) = request.body.text().parse::<u32>() else {
    ///             return reply.fail("this is no number").await;
    ///         };
    ///         for number in 1..last {
    ///             if reply.part(number.to_string()).await.is_err() {
    ///                 return;
    ///             }
    ///         }
    ///         reply.finish(last.to_string()).await;
    ///     },
    /// )?;
    /// worker.ended().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve<H, F>(self, service: &str, handler: H) -> Result<Worker, SetupError>
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.service(service, handler).start()
    }

    /// Starts the worker with all services that were added.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Client::connect`](crate::Client::connect) for invalid endpoints.
    /// Also returns an error if there is no service, if a service was added twice, if the name of a
    /// service or of the worker is invalid, or if an option is zero.
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    ///
    /// ```
    /// use majordomus::{SetupError, Worker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let nothing = Worker::builder("tcp://127.0.0.1:5555").start();
    /// assert!(matches!(nothing, Err(SetupError::NoService)));
    /// # }
    /// ```
    pub fn start(self) -> Result<Worker, SetupError> {
        let endpoints = parse_all(&self.endpoints)?;
        let codec = Codec::new(self.dialect, Side::Worker);
        let called = Name::new(self.name, codec)?;
        let services = Services::default();
        for (name, handler) in self.services {
            called.check(&name)?;
            services.offer(&name, handler)?;
        }
        let names = services.names();
        if names.is_empty() {
            return Err(SetupError::NoService);
        }
        if self.config.heartbeat_interval.is_zero() {
            return Err(SetupError::NoHeartbeatInterval);
        }
        if self.config.liveness == 0 {
            return Err(SetupError::NoLiveness);
        }
        if self.limits.message_bytes_max == 0 {
            return Err(SetupError::NoMessageBytes);
        }
        let concurrency =
            NonZeroUsize::new(self.concurrency).ok_or(SetupError::NoConcurrency)?.get();
        let plan = Plan { leave: Leave::Never, concurrency, services: names };
        let (plan, planned) = watch::channel(plan);
        let connections = Connections::new(endpoints.len());
        let parts = (services.clone(), connections.clone());
        let name = called.clone();
        let fleet = Fleet::new(endpoints, codec, self.limits, self.config, parts, name, planned);
        tokio::spawn(fleet.run());
        Ok(Worker { plan, services, connections, name: called })
    }
}
