//! The services of a worker and their handlers.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use majordomus_core::TaskHandle;
use majordomus_core::broker::best_offer;
use majordomus_wire::check_service_name;
use tokio::task::{Id, JoinSet};

use crate::worker::poll_latency::PollLatency;
use crate::{Replier, Request, SetupError};

/// The prefix of the service names that the broker serves itself.
const RESERVED: &str = "mmi.";

/// The future of a handler that processes a request.
pub(crate) type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The outcome of a handler's first poll.
pub(crate) enum FirstPoll {
    /// The handler has returned.
    Returned,
    /// The handler panicked with this payload.
    Panicked(Box<dyn Any + Send>),
    /// The handler is pending. Its waker is a no-op, so the caller must poll it again immediately.
    Pending(Handling),
}

/// The handler of a service. Clones share the handler and its [`PollLatency`].
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Handles>);

impl Handler {
    pub(crate) fn new<H, F>(handler: H) -> Self
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Paced { pace: PollLatency::default(), handler }))
    }

    /// Returns the handler's future without polling it.
    pub(crate) fn handle(&self, request: Request, replier: Replier) -> Handling {
        self.0.handle(request, replier)
    }

    /// Returns the record of how long the handler's first polls take.
    pub(crate) fn pace(&self) -> &PollLatency {
        self.0.pace()
    }

    /// Calls the handler and polls it once, in the caller's task. Panics are caught.
    pub(crate) fn poll_once(&self, request: Request, replier: Replier) -> FirstPoll {
        self.0.poll_once(request, replier)
    }

    /// Spawns a task for the request and records the duration of its first poll. The task returns
    /// `task`.
    pub(crate) fn spawn(
        self,
        running: &mut JoinSet<TaskHandle>,
        task: TaskHandle,
        request: Request,
        replier: Replier,
    ) -> Id {
        self.0.spawn(running, task, request, replier)
    }
}

/// A handler with any type of future.
trait Handles: Send + Sync {
    fn handle(&self, request: Request, replier: Replier) -> Handling;

    fn pace(&self) -> &PollLatency;

    fn poll_once(&self, request: Request, replier: Replier) -> FirstPoll;

    fn spawn(
        self: Arc<Self>,
        running: &mut JoinSet<TaskHandle>,
        task: TaskHandle,
        request: Request,
        replier: Replier,
    ) -> Id;
}

/// A handler and the record of its first polls.
struct Paced<H> {
    pace: PollLatency,
    handler: H,
}

impl<H, F> Handles for Paced<H>
where
    H: Fn(Request, Replier) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn handle(&self, request: Request, replier: Replier) -> Handling {
        Box::pin((self.handler)(request, replier))
    }

    fn pace(&self) -> &PollLatency {
        &self.pace
    }

    fn poll_once(&self, request: Request, replier: Replier) -> FirstPoll {
        // The future is also dropped inside, so that a panic in a destructor is caught.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let mut handling = Box::pin((self.handler)(request, replier));
            let mut context = Context::from_waker(Waker::noop());
            match handling.as_mut().poll(&mut context) {
                Poll::Ready(()) => None,
                Poll::Pending => Some(handling),
            }
        }));
        match polled {
            Ok(None) => FirstPoll::Returned,
            Ok(Some(handling)) => FirstPoll::Pending(handling),
            Err(payload) => FirstPoll::Panicked(payload),
        }
    }

    fn spawn(
        self: Arc<Self>,
        running: &mut JoinSet<TaskHandle>,
        task: TaskHandle,
        request: Request,
        replier: Replier,
    ) -> Id {
        let handling = async move {
            let begun = Instant::now();
            // The handler is called inside the task, so that a panic before its first await is
            // caught too.
            let mut handling = pin!((self.handler)(request, replier));
            let polled = poll_fn(|context| Poll::Ready(handling.as_mut().poll(context))).await;
            self.pace.record(begun.elapsed());
            if polled.is_pending() {
                handling.await;
            }
            task
        };
        running.spawn(handling).id()
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// A registered service and its handler.
#[derive(Debug)]
struct Offer {
    name: String,
    handler: Handler,
}

impl AsRef<[u8]> for Offer {
    fn as_ref(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

/// The registered services of a worker. Clones share the same table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    all: Arc<RwLock<Vec<Offer>>>,
}

impl Services {
    /// Registers a service. Returns an error if the name is reserved for the broker, or in the
    /// cases of [`add`](Self::add).
    pub(crate) fn offer(&self, name: &str, handler: Handler) -> Result<(), SetupError> {
        match name.starts_with(RESERVED) {
            true => Err(SetupError::ReservedService(name.into())),
            false => self.add(name, handler),
        }
    }

    /// Registers a service without a check for reserved names. Returns an error if the name is
    /// invalid or already registered.
    pub(crate) fn add(&self, name: &str, handler: Handler) -> Result<(), SetupError> {
        if let Err(violation) = check_service_name(name.as_bytes()) {
            return Err(SetupError::Service { name: name.into(), violation });
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|offer| offer.name == name) {
            return Err(SetupError::ServiceTwice(name.into()));
        }
        all.push(Offer { name: name.into(), handler });
        Ok(())
    }

    /// Removes a service. Returns true if it was registered.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|offer| offer.name != name);
        all.len() < before
    }

    /// Removes all services and drops their handlers.
    pub(crate) fn clear(&self) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|offer| offer.name.clone()).collect()
    }

    /// Returns the handler for a requested name, which can match a wildcard or a version.
    pub(crate) fn handler(&self, asked: impl AsRef<[u8]>) -> Option<Handler> {
        self.with_handler(asked, |handler, _| handler.clone())
    }

    /// Applies `read` to the handler for a requested name and to the name under which it is
    /// registered.
    pub(crate) fn with_handler<T>(
        &self,
        asked: impl AsRef<[u8]>,
        read: impl FnOnce(&Handler, &str) -> T,
    ) -> Option<T> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        best_offer(&all, asked).map(|at| read(&all[at].handler, &all[at].name))
    }
}
