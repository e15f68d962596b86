//! The services of a worker: names, and who handles what is asked of them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use majordomus_core::TaskHandle;
use majordomus_core::broker::best_offer;
use majordomus_wire::check_service_name;
use tokio::task::{Id, JoinSet};

use crate::{Replier, Request, SetupError};

/// How the names of the services begin that a broker answers itself.
const RESERVED: &str = "mmi.";

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who handles the requests for a service.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Handles>);

impl Handler {
    pub(crate) fn new<H, F>(handler: H) -> Self
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(handler))
    }

    pub(crate) fn handle(&self, request: Request, replier: Replier) -> Handling {
        self.0.handle(request, replier)
    }

    /// Handles a request in a task that returns what it is called.
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

/// A handler, whatever its future is: in a box, or in the memory of its task.
trait Handles: Send + Sync {
    fn handle(&self, request: Request, replier: Replier) -> Handling;

    fn spawn(
        self: Arc<Self>,
        running: &mut JoinSet<TaskHandle>,
        task: TaskHandle,
        request: Request,
        replier: Replier,
    ) -> Id;
}

impl<H, F> Handles for H
where
    H: Fn(Request, Replier) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn handle(&self, request: Request, replier: Replier) -> Handling {
        Box::pin(self(request, replier))
    }

    fn spawn(
        self: Arc<Self>,
        running: &mut JoinSet<TaskHandle>,
        task: TaskHandle,
        request: Request,
        replier: Replier,
    ) -> Id {
        // It is called inside, so that a panic before its first await is caught too.
        let handling = async move {
            self(request, replier).await;
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

/// A service, and who handles what is asked of it.
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

/// The services of a worker. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    all: Arc<RwLock<Vec<Offer>>>,
}

impl Services {
    /// Adds one; an error where there is one of that name, or none can have it.
    /// Adds one that a broker is to hear of.
    pub(crate) fn offer(&self, name: &str, handler: Handler) -> Result<(), SetupError> {
        match name.starts_with(RESERVED) {
            true => Err(SetupError::ReservedService(name.into())),
            false => self.add(name, handler),
        }
    }

    pub(crate) fn add(&self, name: &str, handler: Handler) -> Result<(), SetupError> {
        if let Err(offence) = check_service_name(name.as_bytes()) {
            return Err(SetupError::Service { name: name.into(), offence });
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|offer| offer.name == name) {
            return Err(SetupError::ServiceTwice(name.into()));
        }
        all.push(Offer { name: name.into(), handler });
        Ok(())
    }

    /// Takes one away; says whether there was one.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|offer| offer.name != name);
        all.len() < before
    }

    /// Takes all away: nothing of theirs is held any more.
    pub(crate) fn clear(&self) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|offer| offer.name.clone()).collect()
    }

    /// Who handles a request for this name, by which a client asked: it may be one that a wildcard or
    /// a version stands for.
    pub(crate) fn handler(&self, asked: impl AsRef<[u8]>) -> Option<Handler> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        best_offer(&all, asked).map(|at| all[at].handler.clone())
    }
}
