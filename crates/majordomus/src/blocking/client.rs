//! The blocking client.

use std::time::Duration;

use crate::blocking::{ConnectionEvents, RequestBuilder, Runtime};
use crate::{Body, ClientBuilder, Endpoints, SetupError};

/// A blocking [client](crate::Client) for programs without an async runtime.
///
/// Clones are cheap and share the connection. Threads can also share one client.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, blocking};
///
/// let broker = Broker::start("inproc://blocking-client")?;
/// let client = blocking::Client::connect("inproc://blocking-client")?;
/// // Asks the broker itself if a worker has registered the service.
/// let reply = client.request("mmi.service", "echo").call()?;
/// assert_eq!(reply.text(), "404");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
    runtime: Runtime,
}

impl Client {
    /// Connects to the broker at this endpoint, or to several brokers, with the defaults of
    /// [`ClientBuilder`]. Use [`ClientBuilder::blocking_connect`] to set other options.
    ///
    /// Returns immediately: the connection is opened in the background, and requests wait for it.
    ///
    /// # Errors
    ///
    /// Returns the errors of the [async method](crate::Client::connect), and
    /// [`SetupError::NoRuntime`] if the operating system cannot start a thread. An unreachable
    /// broker is not an error.
    ///
    /// ```
    /// use majordomus::blocking::Client;
    ///
    /// assert!(Client::connect("ipc:///run/majordomus.sock").is_ok());
    /// assert!(Client::connect("localhost").is_err());
    /// ```
    pub fn connect(endpoints: impl Endpoints) -> Result<Self, SetupError> {
        crate::Client::builder(endpoints).blocking_connect()
    }

    /// Wraps a client whose tasks run on this runtime.
    pub(crate) fn new(client: crate::Client, runtime: Runtime) -> Self {
        Self { client, runtime }
    }

    /// Creates a request to a service. Nothing is sent until [`call`](RequestBuilder::call) or
    /// [`send`](RequestBuilder::send) is called.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// let whole = client.request("echo", "hello").timeout(Duration::from_secs(3)).call()?;
    /// println!("{}", whole.text());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, service: &str, body: impl Into<Body>) -> RequestBuilder {
        RequestBuilder::new(self.client.request(service, body), self.runtime.clone())
    }

    /// Returns true if a broker is connected at this moment.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) {
    /// if !client.is_connected() {
    ///     println!("requests will wait");
    /// }
    /// # }
    /// ```
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Waits until a broker is connected, or until this time has elapsed. Returns true if a broker
    /// is connected. Calling this method is optional, because requests wait for the connection.
    ///
    /// # Panics
    ///
    /// Panics [in async code](crate::blocking#in-async-code).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) {
    /// if !client.connected_within(Duration::from_secs(5)) {
    ///     println!("there is no broker yet");
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn connected_within(&self, within: Duration) -> bool {
        self.runtime.block_within(within, self.client.connected()).is_some()
    }

    /// Returns the events of the client's connections from now on.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) {
    /// let events = client.events();
    /// std::thread::spawn(move || events.for_each(|event| println!("{event}")));
    /// # }
    /// ```
    pub fn events(&self) -> ConnectionEvents {
        ConnectionEvents::new(self.client.events(), self.runtime.clone())
    }
}

impl ClientBuilder {
    /// Starts a blocking client with these options. Returns immediately, like
    /// [`blocking::Client::connect`](Client::connect).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](Self::connect), and [`SetupError::NoRuntime`] if the
    /// operating system cannot start a thread.
    ///
    /// ```no_run
    /// use majordomus::{Client, Retry};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder("tcp://127.0.0.1:5555").timeout(None).blocking_connect()?;
    /// println!("{}", client.request("echo", "hello").retry(Retry::times(5)).call()?.text());
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocking_connect(self) -> Result<Client, SetupError> {
        let runtime = Runtime::get()?;
        let client = {
            let _inside = runtime.enter();
            self.connect()?
        };
        Ok(Client::new(client, runtime))
    }
}
