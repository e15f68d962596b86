//! The routing table of a client: its brokers and the selection of one for each request.

use std::sync::atomic::{AtomicUsize, Ordering};

use majordomus_core::DisconnectReason;
use tokio::sync::mpsc;

use crate::client::driver::{Ask, Wish};
use crate::events::Connections;

/// The policy that selects one of several brokers for a request.
///
/// ```
/// use majordomus::{Brokers, Client};
///
/// assert_eq!(Brokers::default(), Brokers::FailOver);
/// let two = ["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"];
/// let builder = Client::builder(two).brokers(Brokers::Spread);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Brokers {
    /// Selects the first connected broker, in the order of the endpoints.
    #[default]
    FailOver,
    /// Selects the connected brokers in round-robin order.
    Spread,
}

/// The channels to the task that owns the connection to one broker.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
}

/// The channels to the tasks of all brokers.
#[derive(Debug)]
pub(crate) struct Routes {
    all: Vec<Route>,
    pub(crate) connections: Connections,
    brokers: Brokers,
    turn: AtomicUsize,
}

impl Routes {
    pub(crate) fn new(all: Vec<Route>, connections: Connections, brokers: Brokers) -> Self {
        Self { all, connections, brokers, turn: AtomicUsize::new(0) }
    }

    /// Returns true if there are several brokers.
    pub(crate) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Selects the broker for the next request and returns its index and channels. With one broker,
    /// returns immediately, and the request waits for the connection in the broker's task. With
    /// several brokers, waits until one is connected.
    ///
    /// `failed` is the index of a broker at which the request failed. It is avoided if another
    /// broker is connected.
    ///
    /// # Errors
    ///
    /// Returns the disconnect reason of the first broker if all brokers sent a reason that prevents
    /// reconnecting.
    pub(crate) async fn choose(
        &self,
        failed: Option<usize>,
    ) -> Result<(usize, &Route), DisconnectReason> {
        loop {
            if let Some(chosen) = self.pick(failed) {
                return Ok(chosen);
            }
            self.connections.opened_or_refused().await?;
        }
    }

    /// Selects a broker like [`choose`](Self::choose), without waiting. Returns `None` if there are
    /// several brokers and none is connected.
    pub(crate) fn pick(&self, failed: Option<usize>) -> Option<(usize, &Route)> {
        if let [only] = &self.all[..] {
            return Some((0, only));
        }
        let count = self.all.len();
        let first = match self.brokers {
            Brokers::FailOver => 0,
            Brokers::Spread => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        let open = (0..count)
            .map(|at| (first.wrapping_add(at)) % count)
            .filter(|at| self.connections.is_open(*at));
        let mut others = open.clone().filter(|at| Some(*at) != failed);
        let at = others.next().or_else(|| open.clone().next())?;
        Some((at, &self.all[at]))
    }
}
