//! Connections that come and go, for those who want to hear of it.

use std::fmt;

use majordomus_core::Farewell;
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
    /// It is not open any more. It will be tried again, unless the broker has
    /// [sent us away](Self::SentAway) for good.
    Disconnected {
        /// Where the broker is.
        endpoint: Endpoint,
        /// What happened.
        why: String,
    },
    /// The broker does not want us, or no longer, and says why. Where it was connected,
    /// [`Disconnected`](Self::Disconnected) comes next.
    ///
    /// It is tried again after a wait, as section 4 of OMDP/1 has it: after
    /// [`Farewell::IdentityInUse`] not before a minute, and not at all after what
    /// [is for good](Farewell::is_for_good), but that a worker which was [`Farewell::Forbidden`] tries
    /// again when it offers something else.
    SentAway {
        /// Where the broker is.
        endpoint: Endpoint,
        /// Why it does not want us.
        why: Farewell,
    },
    /// It could not be opened, and will be tried again. Of a row of failures, the first is told, the
    /// second, the fourth, the eighth and so on; so it is with [`SentAway`](Self::SentAway) where it says
    /// the same again.
    Failed {
        /// Where the broker is.
        endpoint: Endpoint,
        /// What happened.
        why: String,
        /// How many times in a row there was no connection to be had.
        row: u32,
    },
}

impl fmt::Display for ConnectionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionEvent::Connected { endpoint } => write!(f, "connected to {endpoint}"),
            ConnectionEvent::Disconnected { endpoint, why } => {
                write!(f, "not connected to {endpoint}: {why}")
            }
            ConnectionEvent::SentAway { endpoint, why } => {
                write!(f, "not wanted at {endpoint}: {why}")
            }
            ConnectionEvent::Failed { endpoint, why, .. } => {
                write!(f, "cannot connect to {endpoint}: {why}")
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

/// What is known of the connections to each of several brokers. Each broker is known by its place.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    places: watch::Sender<Vec<Place>>,
    events: broadcast::Sender<ConnectionEvent>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// How many connections are open.
    open: usize,
    /// How often one could not be opened, or was refused, since the first was open.
    failures: u32,
    /// What the broker said last when it refused one since then.
    farewell: Option<Farewell>,
    /// Why none is tried for long, or ever.
    refused: Option<Farewell>,
}

impl Place {
    /// Takes in what happened. Whether it is to be told.
    fn note(&mut self, event: &mut ConnectionEvent) -> bool {
        match event {
            ConnectionEvent::Connected { .. } => {
                self.open += 1;
                if self.open == 1 {
                    (self.failures, self.farewell) = (0, None);
                }
                self.open == 1
            }
            ConnectionEvent::Disconnected { .. } => {
                self.open -= 1;
                self.open == 0
            }
            ConnectionEvent::SentAway { why, .. } => {
                let before = self.farewell.replace(*why);
                self.failures = self.failures.saturating_add(1);
                before != Some(*why) || self.failures.is_power_of_two()
            }
            ConnectionEvent::Failed { row, .. } => {
                self.failures = self.failures.saturating_add(1);
                *row = self.failures;
                self.failures.is_power_of_two()
            }
        }
    }
}

impl Connections {
    pub(crate) fn new(count: usize) -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        Self { places: watch::Sender::new(vec![Place::default(); count]), events }
    }

    /// Notes what happened at this place, and tells those who listen what is news. Nobody notes the end
    /// of a connection whose beginning was not noted.
    pub(crate) fn note(&self, at: usize, mut event: ConnectionEvent) {
        let mut news = false;
        self.places.send_modify(|places| news = places[at].note(&mut event));
        if news {
            // Nobody may listen.
            let _ = self.events.send(event);
        }
    }

    /// Notes why none is tried at this place for long, or that one is.
    pub(crate) fn note_refused(&self, at: usize, why: Option<Farewell>) {
        self.places.send_if_modified(|places| {
            let before = std::mem::replace(&mut places[at].refused, why);
            before != why
        });
    }

    pub(crate) fn is_open(&self, at: usize) -> bool {
        self.places.borrow()[at].open > 0
    }

    pub(crate) fn any_open(&self) -> bool {
        any_open(&self.places.borrow())
    }

    /// Waits until one of them is open.
    pub(crate) async fn opened(&self) {
        // The sender is here, so it does not end before that.
        let _ = self.places.subscribe().wait_for(|places| any_open(places)).await;
    }

    /// Waits until one of them is open, or none is tried any more: then it says why.
    pub(crate) async fn opened_or_refused(&self) -> Result<(), Farewell> {
        let mut refused = None;
        let settled = |places: &Vec<Place>| {
            // One that is tried may be open soon.
            let tried = places.iter().any(|place| place.refused.is_none());
            refused = places.first().and_then(|place| place.refused).filter(|_| !tried);
            any_open(places) || refused.is_some()
        };
        let _ = self.places.subscribe().wait_for(settled).await;
        refused.map_or(Ok(()), Err)
    }

    pub(crate) fn events(&self) -> ConnectionEvents {
        ConnectionEvents { events: self.events.subscribe() }
    }
}

fn any_open(places: &[Place]) -> bool {
    places.iter().any(|place| place.open > 0)
}
