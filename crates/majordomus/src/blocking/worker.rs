//! The worker.

use std::time::Duration;

use crate::blocking::{ConnectionEvents, Replier, Runtime, handler};
use crate::{Endpoints, Request, SetupError};

/// A [worker](crate::Worker) for programs without an async runtime, whose handlers are closures that
/// may block.
///
/// It serves in the background, until it is stopped or dropped. Its heartbeats do not depend on its
/// handlers.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, blocking};
///
/// let broker = Broker::start("inproc://blocking-worker")?;
/// let worker = blocking::Worker::builder("inproc://blocking-worker")
///     .service("echo", |request, reply| reply.finish(request.body))
///     .service("count", |_, reply| {
///         for number in ["1", "2"] {
///             if reply.part(number).is_err() {
///                 return;
///             }
///         }
///         reply.finish("3");
///     })
///     .start()?;
/// let client = blocking::Client::connect("inproc://blocking-worker")?;
/// assert_eq!(client.request("count", "to three").call()?.text(), "123");
/// worker.drain();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a worker leaves when it is dropped"]
pub struct Worker {
    worker: crate::Worker,
    runtime: Runtime,
}

impl Worker {
    /// A worker of the broker at this endpoint, or of several brokers at once.
    /// [`crate::WorkerBuilder::blocking`] is for those who want other options than the defaults.
    ///
    /// ```
    /// let builder = majordomus::blocking::Worker::builder("tcp://127.0.0.1:5555");
    /// ```
    pub fn builder(endpoints: impl Endpoints) -> WorkerBuilder {
        crate::Worker::builder(endpoints).blocking()
    }

    /// Leaves now: tells the broker and the running handlers, and returns when they have returned,
    /// or after a second without them. Handlers that are still running then are not heard any more.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// # fn example(worker: majordomus::blocking::Worker) {
    /// worker.stop();
    /// # }
    /// ```
    #[track_caller]
    pub fn stop(&self) {
        self.runtime.block_on(self.worker.stop());
    }

    /// Leaves when what runs is finished: takes no more requests, and returns when the last reply is
    /// sent and the broker told. [`stop`](Self::stop) can still cut it short. A handler that calls
    /// this waits for itself.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// # fn example(worker: majordomus::blocking::Worker) {
    /// worker.drain();
    /// # }
    /// ```
    #[track_caller]
    pub fn drain(&self) {
        self.runtime.block_on(self.worker.drain());
    }

    /// Returns when it has ended, because another thread [stopped](Self::stop) or
    /// [drained](Self::drain) it.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), majordomus::SetupError> {
    /// let worker = majordomus::blocking::Worker::builder("tcp://127.0.0.1:5555")
    ///     .serve("echo", |request, reply| reply.finish(request.body))?;
    /// worker.wait();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.runtime.block_on(self.worker.ended());
    }

    /// Takes so many requests at once from now on; nothing at all takes none until it is more again.
    /// What runs goes on.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// worker.set_concurrency(16);
    /// # }
    /// ```
    pub fn set_concurrency(&self, requests: usize) {
        self.worker.set_concurrency(requests);
    }

    /// Offers one service more, while it runs.
    ///
    /// # Errors
    ///
    /// Those of the [async one](crate::Worker::offer).
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) -> Result<(), majordomus::SetupError> {
    /// worker.offer("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn offer<H>(&self, service: &str, handles: H) -> Result<(), SetupError>
    where
        H: Fn(Request, Replier) + Send + Sync + 'static,
    {
        self.worker.offer(service, handler(handles))
    }

    /// Offers a service no longer, while it runs; says whether it did before. What runs of it goes on.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// assert!(worker.withdraw("shout"));
    /// # }
    /// ```
    pub fn withdraw(&self, service: &str) -> bool {
        self.worker.withdraw(service)
    }

    /// Whether a broker is connected at this moment.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// println!("connected: {}", worker.is_connected());
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.worker.is_connected()
    }

    /// Returns when a broker is connected, or this time is over, and says whether one is.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// assert!(worker.connected_within(Duration::from_secs(5)));
    /// # }
    /// ```
    #[track_caller]
    pub fn connected_within(&self, within: Duration) -> bool {
        self.runtime.block_within(within, self.worker.connected()).is_some()
    }

    /// What happens to its connections from now on.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// let events = worker.events();
    /// std::thread::spawn(move || events.for_each(|event| println!("{event}")));
    /// # }
    /// ```
    pub fn events(&self) -> ConnectionEvents {
        ConnectionEvents::new(self.worker.events(), self.runtime.clone())
    }
}

/// A [`Worker`] before it starts: its options, and its services.
///
/// ```no_run
/// use majordomus::blocking::Worker;
///
/// let worker = Worker::builder("tcp://127.0.0.1:5555")
///     .service("echo", |request, reply| reply.finish(request.body))
///     .service("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))
///     .start()?;
/// # Ok::<(), majordomus::SetupError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `serve` or `start` is called"]
pub struct WorkerBuilder {
    worker: crate::WorkerBuilder,
}

impl WorkerBuilder {
    /// A service that it offers: `handles` gets each request for it, and the [`Replier`] by which it
    /// is answered, on a thread for that. For names see
    /// [the async one](crate::WorkerBuilder::service).
    ///
    /// A handler that panics, or returns without a final reply, fails its request.
    ///
    /// ```
    /// let builder = majordomus::blocking::Worker::builder("tcp://127.0.0.1:5555")
    ///     .service("echo", |request, reply| reply.finish(request.body))
    ///     .service("stock.*", |request, reply| {
    ///         reply.fail(format!("no price for {}", request.service));
    ///     });
    /// ```
    pub fn service<H>(self, service: &str, handles: H) -> Self
    where
        H: Fn(Request, Replier) + Send + Sync + 'static,
    {
        Self { worker: self.worker.service(service, handler(handles)) }
    }

    /// Starts to serve one [`service`](Self::service), and those that were named before.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), majordomus::SetupError> {
    /// let worker = majordomus::blocking::Worker::builder("tcp://127.0.0.1:5555")
    ///     .serve("echo", |request, reply| reply.finish(request.body))?;
    /// worker.wait();
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve<H>(self, service: &str, handles: H) -> Result<Worker, SetupError>
    where
        H: Fn(Request, Replier) + Send + Sync + 'static,
    {
        self.service(service, handles).start()
    }

    /// Starts to serve what was named. Does not wait.
    ///
    /// # Errors
    ///
    /// Those of the [async one](crate::WorkerBuilder::start), and [`SetupError::NoRuntime`] where the
    /// system gives no thread.
    ///
    /// ```
    /// use majordomus::{SetupError, blocking};
    ///
    /// let nothing = blocking::Worker::builder("tcp://127.0.0.1:5555").start();
    /// assert!(matches!(nothing, Err(SetupError::NoService)));
    /// ```
    pub fn start(self) -> Result<Worker, SetupError> {
        let runtime = Runtime::get()?;
        let worker = {
            let _inside = runtime.enter();
            self.worker.start()?
        };
        Ok(Worker { worker, runtime })
    }
}

impl crate::WorkerBuilder {
    /// The worker with these options, and the services that were named so far, for a program without
    /// an async runtime.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), majordomus::SetupError> {
    /// let worker = majordomus::Worker::builder("tcp://127.0.0.1:5555")
    ///     .concurrency(8)
    ///     .blocking()
    ///     .serve("echo", |request, reply| reply.finish(request.body))?;
    /// worker.wait();
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocking(self) -> WorkerBuilder {
        WorkerBuilder { worker: self }
    }
}
