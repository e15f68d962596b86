//! The ways to the brokers, and which of them a request goes.

use std::sync::atomic::{AtomicUsize, Ordering};

use majordomus_core::Farewell;
use tokio::sync::mpsc;

use crate::client::driver::{Ask, Wish};
use crate::events::Connections;

/// Which of several brokers a client asks.
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
    /// The first that is connected, in the order in which they were given.
    #[default]
    FailOver,
    /// Each connected one in turn.
    Spread,
}

/// The way to one broker: the task that owns the connection.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
}

/// The ways to all brokers of a client.
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

    /// Whether there are several brokers.
    pub(crate) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// The way that the next request goes, and its place. Where there is but one broker, requests wait
    /// at it for the connection; where there are several, for the first that is connected.
    ///
    /// `failed` is the place of a broker at which it has failed: it is left out where there is another.
    ///
    /// # Errors
    ///
    /// Why the first does not want us, where none does.
    pub(crate) async fn choose(&self, failed: Option<usize>) -> Result<(usize, &Route), Farewell> {
        loop {
            if let Some(chosen) = self.pick(failed) {
                return Ok(chosen);
            }
            self.connections.opened_or_refused().await?;
        }
    }

    /// As [`choose`](Self::choose), where nothing has to be waited for.
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
