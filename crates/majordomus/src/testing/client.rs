//! A test client whose requests are answered in this process.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::time::Duration;

use majordomus_core::{ByteStr, Notice, RequestHandle, Timeout, WorkerRequest};
use majordomus_wire::{Codec, Dialect, Side};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::{ASKS_MAX, Ask, PARTS_MAX, Route, Routes, Said, Says, Wish, next_ask};
use crate::events::Connections;
use crate::testing::Record;
use crate::testing::handling::{Handling, heard};
use crate::worker::{Handler, Services, TaskControl};
use crate::{Brokers, Client, ConnectionEvent, Endpoint, Replier, Request, RequestError, blocking};

/// The broker name that a test client reports.
const NAME: &str = "testing";

/// Creates a builder for a client without a broker. Its services are added to the builder.
///
/// ```
/// use majordomus::{RequestError, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (client, _) = testing::client()
///     .service("echo", |request, reply| reply.finish(request.body))
///     .service("print", |_, reply| reply.fail_with(507, "no paper"))
///     .build();
/// assert_eq!(client.request("echo", "hello").await, Ok("hello".into()));
/// let failed = client.request("print", "hello").await;
/// assert_eq!(failed, Err(RequestError::Remote { code: 507, why: "no paper".into() }));
/// assert_eq!(client.request("shout", "hello").await, Err(RequestError::NoSuchService));
/// # }
/// ```
pub fn client() -> ClientBuilder {
    ClientBuilder { services: Services::default() }
}

/// A builder for a client without a broker, from [`client`].
///
/// ```
/// use majordomus::testing;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, _) = testing::client()
///     .service("stock.*", |request, reply| reply.finish(request.service))
///     .build();
/// assert_eq!(client.request("stock.ACME", "").await?.text(), "stock.ACME");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "there is no client until `build` is called"]
pub struct ClientBuilder {
    services: Services,
}

impl ClientBuilder {
    /// Adds a service and its handler, as with
    /// [`WorkerBuilder::service`](crate::WorkerBuilder::service), including wildcards and versions.
    /// [`blocking::handler`] converts a blocking closure to such a handler.
    ///
    /// # Panics
    ///
    /// Panics if the service name is invalid or was added before.
    ///
    /// ```
    /// use majordomus::testing;
    ///
    /// let builder = testing::client()
    ///     .service("stock.*", |request, reply| reply.finish(request.service))
    ///     .service("old", |_, reply| reply.reject("ask another"));
    /// ```
    #[track_caller]
    pub fn service<H, F>(self, service: &str, handler: H) -> Self
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if let Err(error) = self.services.add(service, Handler::new(handler)) {
            panic!("{error}");
        }
        self
    }

    /// Builds the client and the record of its requests.
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (client, record) = majordomus::testing::client().build();
    /// assert!(client.is_connected() && record.all().is_empty());
    /// # }
    /// ```
    pub fn build(self) -> (Client, Record) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (wishes, wished) = mpsc::unbounded_channel();
        let connections = Connections::new(1);
        let endpoint = Endpoint::Inproc { name: NAME.into() };
        connections.note(0, ConnectionEvent::Connected { endpoint });
        let routes = Routes::new(vec![Route { asks, wishes }], connections, Brokers::FailOver);
        let record = Record::default();
        let stand_in = StandIn {
            services: self.services,
            record: record.clone(),
            asks: Some(asked),
            wishes: wished,
            answering: JoinSet::new(),
            strings: HashMap::new(),
        };
        tokio::spawn(stand_in.run());
        let codec = Codec::new(Dialect::Omdp1, Side::Client);
        (Client::builder(NAME).client(routes, &codec), record)
    }

    /// Builds a blocking client and the record of its requests. The handlers run on the runtime of
    /// [`blocking`](crate::blocking).
    ///
    /// # Panics
    ///
    /// Panics if the operating system cannot start a thread.
    ///
    /// ```
    /// use majordomus::testing;
    ///
    /// let (client, record) = testing::client()
    ///     .service("echo", |request, reply| reply.finish(request.body))
    ///     .blocking_build();
    /// assert_eq!(client.request("echo", "hello").call()?.text(), "hello");
    /// assert_eq!(record.all().len(), 1);
    /// # Ok::<(), majordomus::RequestError>(())
    /// ```
    pub fn blocking_build(self) -> (blocking::Client, Record) {
        let runtime = blocking::Runtime::get().expect("the system gives a thread");
        let (client, record) = {
            let _inside = runtime.enter();
            self.build()
        };
        (blocking::Client::new(client, runtime), record)
    }
}

/// A task that receives a client's requests in place of a broker and its workers.
struct StandIn {
    services: Services,
    record: Record,
    /// The client's requests. `None` when all handles of the client are dropped.
    asks: Option<mpsc::Receiver<Ask>>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    /// The requests that are being answered.
    answering: JoinSet<RequestHandle>,
    /// The cancellation and credit of each request's handler.
    strings: HashMap<RequestHandle, TaskControl>,
}

impl StandIn {
    async fn run(mut self) {
        while self.asks.is_some() || !self.answering.is_empty() {
            tokio::select! {
                ask = next_ask(&mut self.asks) => match ask {
                    Some(ask) => self.asked(ask),
                    None => self.asks = None,
                },
                Some(wish) = self.wishes.recv() => self.wished(wish),
                Some(answered) = self.answering.join_next() => if let Ok(handle) = answered {
                    self.strings.remove(&handle);
                },
            }
            for _ in 0..self.wishes.len() {
                let Ok(wish) = self.wishes.try_recv() else { break };
                self.wished(wish);
            }
        }
    }

    /// Processes a client's credit. A cancelled request is detected by its closed channel instead.
    fn wished(&self, wish: Wish) {
        if let Wish::Taken(handle, parts) = wish
            && let Some(strings) = self.strings.get(&handle)
        {
            strings.add(parts);
        }
    }

    fn asked(&mut self, ask: Ask) {
        let Ask { handle, request, silence_max, says, progress } = ask;
        self.record.note(&request, silence_max);
        if says.is_closed() {
            return;
        }
        let Some(handler) = self.services.handler(&request.service[..]) else {
            // The channel is still empty.
            return says.end(Said::Failed(RequestError::NoSuchService));
        };
        if let Some(tell) = progress {
            tell.tell(Notice::Dispatched);
        }
        let timeout = match request.timeout {
            Timeout::After(span) if !span.is_zero() => Some(span),
            _ => None,
        };
        let strings = TaskControl::new(PARTS_MAX as u32);
        self.strings.insert(handle, strings.clone());
        let address = ByteStr::decimal(handle.0);
        let given = WorkerRequest {
            deadline: timeout,
            priority: request.priority,
            options: request.options,
            ..WorkerRequest::new(address, request.service, request.body)
        };
        let handle_it = move |request, reply| handler.handle(request, reply);
        let handling = Handling::start(handle_it, given.into(), strings);
        let limits = Limits { timeout, silence: silence_max };
        self.answering.spawn(async move {
            answer(handling, says, limits).await;
            handle
        });
    }
}

/// The time limits of a request.
struct Limits {
    /// The limit for the end and for each part.
    timeout: Option<Duration>,
    /// The limit for each part and each report of work.
    silence: Option<Duration>,
}

/// Forwards a handler's messages until the end of the reply. The handler may continue to run after
/// that.
async fn answer(mut handling: Handling, mut says: Says, limits: Limits) {
    let (mut late, mut silent) = (after(limits.timeout), after(limits.silence));
    loop {
        let end = tokio::select! {
            biased;
            () = says.closed() => {
                handling.cancel();
                break;
            }
            saying = handling.next() => {
                silent = after(limits.silence);
                match saying.map(heard) {
                    Some(None) => continue,
                    Some(Some(Said::Part(part))) => {
                        late = after(limits.timeout);
                        // The credit guarantees capacity for the part and for the end after it.
                        says.part(part);
                        continue;
                    }
                    Some(Some(end)) => end,
                    // The loop ends with the final reply.
                    None => break,
                }
            }
            () = at(late) => Said::Failed(RequestError::Expired),
            () = at(silent) => Said::Failed(RequestError::Silent),
        };
        let is_over = matches!(end, Said::Failed(RequestError::Expired | RequestError::Silent));
        if is_over && says.is_unread() {
            // The limits restart while parts wait to be read.
            (late, silent) = (after(limits.timeout), after(limits.silence));
            continue;
        }
        if is_over {
            handling.cancel();
        }
        says.end(end);
        break;
    }
    tokio::spawn(async move { while handling.next().await.is_some() {} });
}

/// Returns the time after this span. `None` means never, also if the time is out of range.
fn after(span: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(span?)
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
