//! Connection events of clients and workers.

use std::fmt;

use majordomus_core::DisconnectReason;
use tokio::sync::{broadcast, watch};

use crate::Endpoint;

/// The maximum number of events that are queued for each receiver. If the queue is full, the oldest
/// events are dropped.
///
/// ```
/// use std::collections::VecDeque;
///
/// use majordomus::EVENTS_MAX;
///
/// // This vector has room for as many events as can be queued.
/// let mut latest: VecDeque<String> = VecDeque::with_capacity(EVENTS_MAX);
/// ```
pub const EVENTS_MAX: usize = 64;

/// An event on the connection to a broker. If a worker has several connections to one broker, the
/// first connection to open is reported as connected, and the last one to close as disconnected.
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
    /// The connection is open, and the broker accepts requests and registrations.
    Connected {
        /// The broker's endpoint.
        endpoint: Endpoint,
    },
    /// The connection is closed. The client or worker reconnects, unless the broker sent a
    /// permanent [disconnect reason](Self::SentAway).
    Disconnected {
        /// The broker's endpoint.
        endpoint: Endpoint,
        /// The reason for the disconnection.
        why: String,
    },
    /// The broker disconnected this client or worker, or did not admit it, and gave a reason. If
    /// the connection was reported as connected, [`Disconnected`](Self::Disconnected) follows.
    ///
    /// The client or worker reconnects after a delay, as section 4 of OMDP/1 specifies. After
    /// [`DisconnectReason::IdentityInUse`], the delay is at least one minute. After a
    /// [permanent](DisconnectReason::is_for_good) reason, it does not reconnect, with one exception: a
    /// worker that received [`DisconnectReason::Forbidden`] reconnects when its set of services changes.
    SentAway {
        /// The broker's endpoint.
        endpoint: Endpoint,
        /// The broker's reason.
        why: DisconnectReason,
    },
    /// The connection could not be opened, and will be retried. Of consecutive failures, only the
    /// first, second, fourth, eighth and so on are reported. The same applies to repeated
    /// [`SentAway`](Self::SentAway) events with the same reason.
    Failed {
        /// The broker's endpoint.
        endpoint: Endpoint,
        /// The reason for the failure.
        why: String,
        /// The number of consecutive failures.
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

/// A receiver of the connection events of a client or a worker, created by
/// [`Client::events`](crate::Client::events) or [`Worker::events`](crate::Worker::events).
///
/// A slow receiver loses the oldest events: at most [`EVENTS_MAX`] events are queued.
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
    /// Waits for the next event. Returns `None` once the client or worker no longer exists. This
    /// method is cancel safe.
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

/// The state of the connections to each of several brokers. Each broker is identified by its index.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    places: watch::Sender<Vec<Place>>,
    events: broadcast::Sender<ConnectionEvent>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// The number of open connections.
    open: usize,
    /// The number of failed or refused connection attempts since a connection was last opened.
    failures: u32,
    /// The broker's last disconnect reason since then.
    disconnect_reason: Option<DisconnectReason>,
    /// The reason why reconnecting is suspended for a long time or for good.
    refused: Option<DisconnectReason>,
}

impl Place {
    /// Applies an event. Returns true if the event must be reported to receivers.
    fn note(&mut self, event: &mut ConnectionEvent) -> bool {
        match event {
            ConnectionEvent::Connected { .. } => {
                self.open += 1;
                if self.open == 1 {
                    (self.failures, self.disconnect_reason) = (0, None);
                }
                self.open == 1
            }
            ConnectionEvent::Disconnected { .. } => {
                self.open -= 1;
                self.open == 0
            }
            ConnectionEvent::SentAway { why, .. } => {
                let before = self.disconnect_reason.replace(*why);
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

    /// Records an event for the broker at this index, and reports it to receivers if necessary. A
    /// caller must not record a disconnection without a preceding connection.
    pub(crate) fn note(&self, at: usize, mut event: ConnectionEvent) {
        let mut news = false;
        self.places.send_modify(|places| news = places[at].note(&mut event));
        if news {
            // There may be no receiver.
            let _ = self.events.send(event);
        }
    }

    /// Records why reconnecting to this broker is suspended, or that it is not.
    pub(crate) fn note_refused(&self, at: usize, why: Option<DisconnectReason>) {
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

    /// Waits until a connection is open.
    pub(crate) async fn opened(&self) {
        // `self` holds the sender, so the channel cannot close while this waits.
        let _ = self.places.subscribe().wait_for(|places| any_open(places)).await;
    }

    /// Waits until a connection is open. Returns the refusal reason if reconnecting is suspended
    /// for all brokers.
    pub(crate) async fn opened_or_refused(&self) -> Result<(), DisconnectReason> {
        let mut refused = None;
        let settled = |places: &Vec<Place>| {
            // A broker that is not suspended may become connected soon.
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
