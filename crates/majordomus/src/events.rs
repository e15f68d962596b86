//! Connections that come and go, for those who want to hear of it.

use std::fmt;

use tokio::sync::{broadcast, watch};

use crate::Endpoint;

/// Events that wait for one who listens; of what comes beyond that, the oldest are left out.
///
/// ```
/// use std::collections::VecDeque;
///
/// use majordomus::EVENTS_MAX;
///
/// // As many as can have waited.
/// let mut latest: VecDeque<String> = VecDeque::with_capacity(EVENTS_MAX);
/// ```
pub const EVENTS_MAX: usize = 64;

/// What happened to the connection to a broker. Of several connections to one broker, which a worker
/// may have, the first that is open counts, and the last that is not open any more.
///
/// ```no_run
/// use majordomus::ConnectionEvent;
///
/// # async fn example(client: majordomus::Client) {
/// let mut events = client.events();
/// while let Some(event) = events.next().await {
///     match event {
///         ConnectionEvent::Connected { endpoint } => println!("{endpoint} is there"),
///         ConnectionEvent::Disconnected { endpoint, why } => println!("{endpoint} is not: {why}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// It is open, and the broker serves us.
    Connected {
        /// Where the broker is.
        endpoint: Endpoint,
    },
    /// It is not open any more. It will be tried again; that it could not be opened is no event, but a
    /// line of the log.
    Disconnected {
        /// Where the broker is.
        endpoint: Endpoint,
        /// What happened.
        why: String,
    },
}

impl fmt::Display for ConnectionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionEvent::Connected { endpoint } => write!(f, "connected to {endpoint}"),
            ConnectionEvent::Disconnected { endpoint, why } => {
                write!(f, "not connected to {endpoint}: {why}")
            }
        }
    }
}

/// What happens to the connections of a client or a worker, from
/// [`Client::events`](crate::Client::events) or [`Worker::events`](crate::Worker::events).
///
/// Of one who does not listen for long, the oldest events are left out: [`EVENTS_MAX`] wait.
///
/// ```no_run
/// # async fn example(worker: majordomus::Worker) {
/// let mut events = worker.events();
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         println!("{event}");
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectionEvents {
    events: broadcast::Receiver<ConnectionEvent>,
}

impl ConnectionEvents {
    /// The next one; `None` when there is nobody any more whose connections these are. Can be dropped
    /// and called again.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) {
    /// let mut events = client.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// How many connections to each of several brokers are open. Each broker is known by its place.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    open: watch::Sender<Vec<usize>>,
    events: broadcast::Sender<ConnectionEvent>,
}

impl Connections {
    pub(crate) fn new(count: usize) -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        Self { open: watch::Sender::new(vec![0; count]), events }
    }

    /// Notes that one more connection is open at this place, or one less, and tells those who listen of
    /// the first and of the last. Nobody notes the end of one whose beginning was not noted.
    pub(crate) fn note(&self, at: usize, event: ConnectionEvent) {
        let changed = self.open.send_if_modified(|open| {
            let before = open[at];
            open[at] = match event {
                ConnectionEvent::Connected { .. } => before + 1,
                ConnectionEvent::Disconnected { .. } => before - 1,
            };
            (before == 0) != (open[at] == 0)
        });
        if changed {
            // Nobody may listen.
            let _ = self.events.send(event);
        }
    }

    pub(crate) fn is_open(&self, at: usize) -> bool {
        self.open.borrow()[at] > 0
    }

    pub(crate) fn any_open(&self) -> bool {
        any(&self.open.borrow())
    }

    /// Waits until one of them is open.
    pub(crate) async fn opened(&self) {
        // The sender is here, so it does not end before that.
        let _ = self.open.subscribe().wait_for(|open| any(open)).await;
    }

    pub(crate) fn events(&self) -> ConnectionEvents {
        ConnectionEvents { events: self.events.subscribe() }
    }
}

fn any(open: &[usize]) -> bool {
    open.iter().any(|count| *count > 0)
}
