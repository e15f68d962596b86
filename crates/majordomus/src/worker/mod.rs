//! The worker.

mod cancellation;
mod driver;
mod fleet;
mod name;
mod outbox;
mod pace;
mod replier;
mod request;
mod service;
mod strings;

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
pub(crate) use strings::Strings;

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
/// It connects and registers by itself, again and again: when the connection is lost, when the
/// broker is silent for too long, and when the broker sends it away, unless that is
/// [for good](ConnectionEvent::SentAway). What a broker will not have of it, such as one service too
/// many, costs it the whole connection, each time anew after a longer wait: its
/// [events](Worker::events) say why, and nothing else does. It sends heartbeats whether its
/// handler is busy or not, as long as the handler does not block the runtime's threads; what blocks
/// or computes for long belongs into `tokio::task::spawn_blocking`.
///
/// It speaks [`Dialect::Omdp1`] unless told otherwise. There it has one connection to each of its
/// brokers for all its services, and its [concurrency](WorkerBuilder::concurrency) counts them
/// together. In the other dialects it has a connection for each service, and more where the dialect
/// gives one request at a time; to the broker these are as many workers, and the concurrency counts
/// for each service.
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
    /// A worker of the broker at this endpoint, or of several brokers at once, whose options are to
    /// be set.
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

    /// Leaves now: tells the broker and the running handlers, and returns when they have returned,
    /// or after a second without them. Handlers that are still running then are dropped.
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

    /// Leaves when what runs is finished: takes no more requests, and returns when the last reply is
    /// sent and the broker told. [`stop`](Self::stop) can still cut it short.
    ///
    /// In [`Dialect::Omdp1`] and [`Dialect::Pigato`] the broker is told, and what it sends meanwhile is
    /// given back. A broker that does not answer to that in OMDP/1 is left after 10 s all the same. In
    /// the other dialects what comes meanwhile is not answered, and goes to another worker when this one
    /// has left.
    ///
    /// ```no_run
    /// # async fn example(worker: majordomus::Worker) {
    /// worker.drain().await;
    /// # }
    /// ```
    pub async fn drain(&self) {
        self.leave(Leave::WhenDone).await;
    }

    /// Returns when it has ended, because somebody else [stopped](Self::stop) or
    /// [drained](Self::drain) it, and for no other reason: one that no broker wants
    /// [hears of that](Self::events), and may still be told to offer something else.
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

    /// Takes so many requests at once from now on; nothing at all takes none until it is more again.
    /// What runs goes on.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) {
    /// worker.set_concurrency(16);
    /// # }
    /// ```
    pub fn set_concurrency(&self, requests: usize) {
        self.plan.send_modify(|plan| plan.concurrency = requests);
    }

    /// Offers one service more, while it runs. That is said to its brokers in the background; one that
    /// does not take it sends the worker away with all that it offers, which its [events](Self::events)
    /// tell.
    ///
    /// # Errors
    ///
    /// When the service cannot have this name, or has a handler already, or when the worker cannot
    /// have its own [name](WorkerBuilder::name) together with this service;
    /// [`SetupError::Leaves`] when it was stopped or drained.
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

    /// Offers a service no longer, while it runs; says whether it did before. What runs of it goes on.
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

    /// Whether a broker is connected at this moment.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::Worker) {
    /// println!("connected: {}", worker.is_connected());
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.connections.any_open()
    }

    /// Returns when a broker is connected, at once where one is. Can be dropped and called again.
    ///
    /// ```no_run
    /// # async fn example(worker: &majordomus::Worker) {
    /// worker.connected().await;
    /// # }
    /// ```
    pub async fn connected(&self) {
        self.connections.opened().await;
    }

    /// What happens to its connections from now on.
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

/// The options of a [`Worker`].
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
    /// What it speaks; [`Dialect::Omdp1`] unless set.
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

    /// How often it sends a heartbeat, and expects one; 2.5 s unless set. In [`Dialect::Omdp1`] each
    /// side tells the other its own; in other dialects the broker's should be the same.
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

    /// How many intervals the broker may be silent; 3 unless set.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").liveness(5);
    /// ```
    pub fn liveness(mut self, intervals: u32) -> Self {
        self.config.liveness = intervals;
        self
    }

    /// By which name [others can ask for it](crate::RequestBuilder::target): its ZMTP routing id, up to
    /// 200 bytes. The broker gives it one unless set, another one with each connection.
    ///
    /// It must be its own: of two workers with one name the second waits until the first is gone. In the
    /// dialects in which it has several connections, each has `-`, its service, `-` and a number behind
    /// the name; there name and service have up to 233 bytes together. In [`Dialect::Omdp`], which is
    /// told from PIGATO by its routing ids, no worker can be named, and in [`Dialect::Pigato`] none by
    /// what looks like an id of the other.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").name("worker-17");
    /// ```
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// How many requests it serves at once, for each of its brokers; 1 unless set.
    /// [`Worker::set_concurrency`] changes it while it runs.
    ///
    /// In the dialects whose workers take one request at a time, it makes that many connections for each
    /// service, up to 1,000, and to the broker it is that many workers.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").concurrency(8);
    /// ```
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// The shortest and the longest wait before a lost connection is opened again; 100 ms and 5 s
    /// unless set. The waits double from one to the other, and a random part of each is left out.
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

    /// How many bytes a message may have, either way; 64 MiB unless set. A broker that sends more
    /// loses the connection. What a reply may have is less by what is
    /// [kept back](crate::ClientBuilder::message_bytes_max), and a request whose reply has more fails.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").message_bytes_max(1 << 20);
    /// ```
    pub fn message_bytes_max(mut self, bytes_max: usize) -> Self {
        self.limits.message_bytes_max = bytes_max;
        self
    }

    /// A service that it offers: `handler` gets each request for it, and the [`Replier`] by which it is
    /// answered.
    ///
    /// A name can be a wildcard (`stock.*`), which serves all names that begin like it, or have a
    /// version (`stock@1.2.3`), which serves those who ask for a range with it in (`stock@^1.2`). The
    /// request says which name was asked for.
    ///
    /// A handler that panics, or returns without a final reply, fails its request. When nobody waits
    /// for the reply any more, as when the connection is lost, its [`Cancellation`] is pulled.
    ///
    /// A handler is polled once in the task that owns the connection, and is spawned as a task only if it
    /// is pending then. A service whose first polls take long (100 µs) gets a task for each request, so
    /// that handlers that compute run in parallel on a runtime of several threads. Its first request
    /// gets a task in any case. A service whose first polls become slow is found out after at most six of
    /// them in a row, and one that becomes fast again after a number of fast ones. A handler that only
    /// sometimes blocks or computes for long delays the other requests of its connection meanwhile: it
    /// should do so in `tokio::task::spawn_blocking`.
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

    /// Starts to serve one [`service`](Self::service), and those that were named before.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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

    /// Starts to serve what was named.
    ///
    /// # Errors
    ///
    /// Those of [`Client::connect`](crate::Client::connect) for the endpoints, and when no service was
    /// named or one twice, one of them or the worker cannot have its name, or an option is zero.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
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
