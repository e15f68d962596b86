//! The client.

use std::time::Duration;

use crate::blocking::{ConnectionEvents, RequestBuilder, Runtime};
use crate::{Body, ClientBuilder, Endpoints, SetupError};

/// A [client](crate::Client) for programs without an async runtime.
///
/// Clones are cheap and share the connection, and threads can share one clone as well.
///
#[cfg_attr(feature = "broker", doc = "```")]
#[cfg_attr(not(feature = "broker"), doc = "```ignore")]
/// use majordomus::{Broker, blocking};
///
/// let broker = Broker::start("inproc://blocking-client")?;
/// let client = blocking::Client::connect("inproc://blocking-client")?;
/// // Whether anybody offers it, which the broker itself answers.
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
    /// A client of the broker at this endpoint, or of several brokers, with the defaults of
    /// [`ClientBuilder`]; [`ClientBuilder::blocking_connect`] is for those who want others.
    ///
    /// Returns at once: the connection is made in the background, and requests wait for it.
    ///
    /// # Errors
    ///
    /// Those of the [async one](crate::Client::connect), and [`SetupError::NoRuntime`] where the system
    /// gives no thread. That nobody answers there is no error.
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

    /// On this runtime, where the client's tasks are, too.
    pub(crate) fn new(client: crate::Client, runtime: Runtime) -> Self {
        Self { client, runtime }
    }

    /// Asks a service for something. Nothing is sent until the result is
    /// [called](RequestBuilder::call) for, or [sent](RequestBuilder::send).
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

    /// Whether a broker is connected at this moment.
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

    /// Returns when a broker is connected, or this time is over, and says whether one is. Nobody has
    /// to wait for that: requests do it by themselves.
    ///
    /// # Panics
    ///
    /// [In async code](crate::blocking#in-async-code).
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

    /// What happens to its connections from now on.
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
    /// Starts the client with these options for a program without an async runtime. Returns at once,
    /// as [`blocking::Client::connect`](Client::connect) does.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), and [`SetupError::NoRuntime`] where the system gives no
    /// thread.
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
