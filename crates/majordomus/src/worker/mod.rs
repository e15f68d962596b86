//! The worker.

mod cancellation;
mod driver;
mod replier;
mod request;

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{Backoff, Concurrency, Role, Status, WorkerConfig};
use majordomus_wire::{Codec, Dialect, Side, check_service_name};
use majordomus_zmtp::Limits;
use tokio::sync::watch;

pub use cancellation::Cancellation;
pub use replier::{Cancelled, Replier};
pub use request::Request;

use crate::link::{HEAD_FRAMES_MAX, head_bytes_max};
use crate::uplink::Uplink;
use crate::worker::driver::{Driver, Leave};
use crate::{Endpoint, SetupError, ambient_seed};

/// A worker that serves requests in the background, until it is stopped or dropped.
///
/// It connects and registers by itself, again and again: when the connection is lost, when the
/// broker is silent for too long, and when the broker sends it away. It sends heartbeats whether its
/// handler is busy or not, as long as the handler does not block the runtime's threads; what blocks
/// or computes for long belongs into `tokio::task::spawn_blocking`.
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
    leave: watch::Sender<Leave>,
}

impl Worker {
    /// A worker of the broker at `endpoint`, whose options are to be set.
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
    pub fn builder(endpoint: &str) -> WorkerBuilder {
        WorkerBuilder {
            endpoint: endpoint.into(),
            dialect: Dialect::Mdp02,
            concurrency: 1,
            // The service is named last, in `serve`.
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
    /// The dialects that there are so far cannot tell a broker that a worker drains. So a request
    /// that the broker sends meanwhile is not answered, and goes to another worker when this one
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
    /// [drained](Self::drain) it.
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
        self.leave.closed().await;
    }

    async fn leave(&self, how: Leave) {
        self.leave.send_modify(|leave| *leave = how.max(*leave));
        self.ended().await;
    }
}

/// The options of a [`Worker`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `serve` is called"]
pub struct WorkerBuilder {
    endpoint: String,
    dialect: Dialect,
    concurrency: usize,
    config: WorkerConfig,
    limits: Limits,
}

impl WorkerBuilder {
    /// What it speaks; [`Dialect::Mdp02`] unless set.
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

    /// How often it sends a heartbeat, and expects one; 2.5 s unless set. The broker's interval
    /// should be the same.
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

    /// How many requests it serves at once; 1 unless set.
    ///
    /// In the dialects whose workers take one request at a time, it makes that many connections, and
    /// to the broker it is that many workers.
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
    /// loses the connection, and a request whose reply has more fails.
    ///
    /// ```
    /// let builder = majordomus::Worker::builder("ipc://broker").message_bytes_max(1 << 20);
    /// ```
    pub fn message_bytes_max(mut self, bytes_max: usize) -> Self {
        self.limits.message_bytes_max = bytes_max;
        self
    }

    /// Starts to serve `service`: `handler` gets each request, and the [`Replier`] by which it is
    /// answered.
    ///
    /// A handler that panics, or returns without a final reply, fails its request. When nobody waits
    /// for the reply any more, as when the connection is lost, its [`Cancellation`] is pulled, and
    /// the worker registers again when the handler has returned.
    ///
    /// # Errors
    ///
    /// When the endpoint is none, the service cannot have this name, or an option is zero.
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
        let endpoint: Endpoint = self.endpoint.parse()?;
        check_service_name(service.as_bytes()).map_err(SetupError::Service)?;
        if self.config.heartbeat_interval.is_zero() {
            return Err(SetupError::NoHeartbeatInterval);
        }
        if self.config.liveness == 0 {
            return Err(SetupError::NoLiveness);
        }
        let concurrency =
            NonZeroUsize::new(self.concurrency).ok_or(SetupError::NoConcurrency)?.get();

        let codec = Codec::new(self.dialect, Side::Worker);
        let per_connection = tasks_per_connection_max(&codec);
        let tasks_max = concurrency.min(per_connection);
        // The broker has to hear of it only where it would give us more.
        let fewer = tasks_max < per_connection;
        let takes = Concurrency::AtMost(u32::try_from(tasks_max).unwrap_or(u32::MAX));
        let status = Status { concurrency: fewer.then_some(takes), publish: false };
        let config = WorkerConfig {
            service: service.into(),
            partial_replies: codec.has_partials(),
            tasks_max,
            // What the broker may send before it has heard of it.
            held_max: per_connection - tasks_max,
            reply_bytes_max: self
                .limits
                .message_bytes_max
                .saturating_sub(head_bytes_max(self.dialect)),
            reply_frames_max: self.limits.frames_max.saturating_sub(HEAD_FRAMES_MAX),
            ..self.config
        };
        let handler = Arc::new(handler);
        let (leave, leaving) = watch::channel(Leave::Never);
        for _ in 0..concurrency.div_ceil(tasks_max) {
            let core = majordomus_core::Worker::new(config.clone(), ambient_seed());
            let uplink = Uplink::new(endpoint.clone(), codec, self.limits);
            let handler = Arc::clone(&handler);
            let driver = Driver::new(core, codec, uplink, status, handler, leaving.clone());
            tokio::spawn(driver.run());
        }
        Ok(Worker { leave })
    }
}

/// How many requests the dialect gives to one worker at once.
fn tasks_per_connection_max(codec: &Codec) -> usize {
    match codec.role() {
        Role::Worker(worker) => match worker.concurrency {
            Concurrency::AtMost(tasks) => tasks.max(1) as usize,
            Concurrency::Unlimited => usize::MAX,
        },
        Role::Client(_) => 1,
    }
}
