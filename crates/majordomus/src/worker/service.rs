//! The services of a worker: names, and who handles what is asked of them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use majordomus_core::broker::best_offer;
use majordomus_wire::check_service_name;

use crate::{Replier, Request, SetupError};

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who handles the requests for a service.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(Request, Replier) -> Handling + Send + Sync>);

impl Handler {
    pub(crate) fn new<H, F>(handler: H) -> Self
    where
        H: Fn(Request, Replier) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |request, replier| Box::pin(handler(request, replier))))
    }

    pub(crate) fn handle(&self, request: Request, replier: Replier) -> Handling {
        (self.0)(request, replier)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// The services of a worker. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    all: Arc<RwLock<Vec<(String, Handler)>>>,
}

impl Services {
    /// Adds one; an error where there is one of that name, or none can have it.
    pub(crate) fn add(&self, name: &str, handler: Handler) -> Result<(), SetupError> {
        if let Err(offence) = check_service_name(name.as_bytes()) {
            return Err(SetupError::Service { name: name.into(), offence });
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|(other, _)| other == name) {
            return Err(SetupError::ServiceTwice(name.into()));
        }
        all.push((name.into(), handler));
        Ok(())
    }

    /// Takes one away; says whether there was one.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|(other, _)| other != name);
        all.len() < before
    }

    /// Takes all away: nothing of theirs is held any more.
    pub(crate) fn clear(&self) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Who handles a request for this name, by which a client asked: it may be one that a wildcard or
    /// a version stands for.
    pub(crate) fn handler(&self, asked: &str) -> Option<Handler> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        if let [(_, only)] = &all[..] {
            return Some(only.clone());
        }
        let names: Vec<&str> = all.iter().map(|(name, _)| &name[..]).collect();
        best_offer(&names, asked).map(|at| all[at].1.clone())
    }
}
