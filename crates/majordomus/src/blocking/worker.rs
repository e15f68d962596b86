//! The blocking worker.

use std::time::Duration;

use crate::blocking::{ConnectionEvents, Replier, Runtime, handler};
use crate::{Endpoints, Request, SetupError};

/// A blocking [worker](crate::Worker) for programs without an async runtime. Its handlers are
/// closures that may block.
///
/// The worker serves requests in the background until it is stopped or dropped. Its heartbeats do
/// not depend on its handlers.
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
    /// Creates a builder for a worker that connects to this endpoint, or to several brokers at
    /// once. Use [`crate::WorkerBuilder::blocking`] to set options other than the defaults.
    ///
    /// ```
    /// let builder = majordomus::blocking::Worker::builder("tcp://127.0.0.1:5555");
    /// ```
    pub fn builder(endpoints: impl Endpoints) -> WorkerBuilder {
        crate::Worker::builder(endpoints).blocking()
    }

    /// Stops the worker immediately. The broker and the running handlers are notified. Returns when
    /// the handlers have returned, but after at most one second. Replies of handlers that are still
    /// running then are dropped.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
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

    /// Stops the worker when its requests in flight are finished. The worker accepts no more
    /// requests. Returns when the last reply is sent and the broker is notified.
    /// [`stop`](Self::stop) can still cut the drain short. A handler that calls this method waits
    /// for itself.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
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

    /// Waits until the worker has ended because another thread [stopped](Self::stop) or
    /// [drained](Self::drain) it.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
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

    /// Changes the maximum number of requests in flight. With 0, the worker accepts no requests
    /// until the limit is raised. Requests in flight continue.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// worker.set_concurrency(16);
    /// # }
    /// ```
    pub fn set_concurrency(&self, requests: usize) {
        self.worker.set_concurrency(requests);
    }

    /// Registers one more service while the worker is running.
    ///
    /// # Errors
    ///
    /// Returns the errors of the [async method](crate::Worker::offer).
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

    /// Unregisters a service while the worker is running. Returns true if the service was
    /// registered. The service's requests in flight continue.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// assert!(worker.withdraw("shout"));
    /// # }
    /// ```
    pub fn withdraw(&self, service: &str) -> bool {
        self.worker.withdraw(service)
    }

    /// Returns true if a broker is connected at this moment.
    ///
    /// ```no_run
    /// # fn example(worker: &majordomus::blocking::Worker) {
    /// println!("connected: {}", worker.is_connected());
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.worker.is_connected()
    }

    /// Waits until a broker is connected, or until this time has elapsed. Returns true if a broker
    /// is connected.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
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

    /// Returns the events of the worker's connections from now on.
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

/// A builder that sets the options and the services of a [`Worker`].
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
    /// Adds a service. `handles` is called for each of its requests, on a thread that may block,
    /// with the [`Replier`] that answers the request. For service names, see the [async
    /// method](crate::WorkerBuilder::service).
    ///
    /// If a handler panics, or returns without a final reply, its request fails.
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

    /// Adds a [`service`](Self::service) and starts the worker with all services that were added.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](Self::start).
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

    /// Starts the worker with all services that were added. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns the errors of the [async method](crate::WorkerBuilder::start), and
    /// [`SetupError::NoRuntime`] if the operating system cannot start a thread.
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
    /// Converts this builder, with its options and services, to one for a blocking worker.
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
