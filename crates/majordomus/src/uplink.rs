//! A broker connection that a client or worker state machine controls, and its reported state. The
//! connection is closed, opening or open.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;

use majordomus_core::{ByteStr, DisconnectReason};
use majordomus_wire::Codec;
use majordomus_zmtp::Limits;
use tracing::{debug, error, info, warn};

use crate::events::Connections;
use crate::link::{Link, LinkError, Moved};
use crate::{ConnectionEvent, Endpoint, ambient_seed};

/// The only connection of a client, or of a worker that processes one request at a time.
#[derive(Debug)]
pub(crate) struct Uplink {
    endpoint: Endpoint,
    codec: Codec,
    limits: Limits,
    /// The routing id; empty to generate one for each connection.
    name: ByteStr,
    state: State,
    /// A closed connection that may have output to flush.
    closing: Option<Box<Link>>,
    /// The shared connection states, in which this connection's state is recorded at index `place`.
    connections: Connections,
    place: usize,
    /// True if the connection is recorded as connected.
    connected: bool,
    /// True if the user has been warned that the broker is unreachable since the last connection.
    warned: bool,
}

enum State {
    Closed,
    Opening(Pin<Box<dyn Future<Output = Result<Link, LinkError>> + Send>>),
    Open(Box<Link>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Closed => "Closed",
            State::Opening(_) => "Opening",
            State::Open(_) => "Open",
        })
    }
}

/// An event on the connection.
#[derive(Debug)]
pub(crate) enum Happening {
    Opened,
    /// Bytes were read or written.
    Moved(Moved),
    /// The connection was lost or could not be opened, and is now closed.
    Lost(LinkError),
}

impl Uplink {
    pub(crate) fn new(
        endpoint: Endpoint,
        codec: Codec,
        limits: Limits,
        connections: Connections,
        place: usize,
    ) -> Self {
        let (name, state) = (ByteStr::empty(), State::Closed);
        Self {
            endpoint,
            codec,
            limits,
            name,
            state,
            closing: None,
            connections,
            place,
            connected: false,
            warned: false,
        }
    }

    /// Sets the routing id.
    pub(crate) fn with_name(self, name: ByteStr) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn open(&mut self) {
        // Each connection uses a new routing id, because the broker may not have noticed yet that
        // the previous connection is closed.
        let random = u128::from(ambient_seed()) << 64 | u128::from(ambient_seed());
        let routing_id = match self.name.is_empty() {
            true => self.codec.routing_id(random),
            false => self.name.clone(),
        };
        let socket = self.codec.dialect().socket();
        self.connections.note_refused(self.place, None);
        let opening = Link::open(self.endpoint.clone(), socket, routing_id, self.limits);
        self.state = State::Opening(Box::pin(opening));
    }

    /// Closes the connection immediately and discards pending output.
    pub(crate) fn cut(&mut self) {
        self.state = State::Closed;
    }

    /// Closes the connection. Pending output is kept for [`flushed`](Self::flushed).
    pub(crate) fn close(&mut self) {
        if let State::Open(link) = std::mem::replace(&mut self.state, State::Closed) {
            self.closing = Some(link);
        }
    }

    /// Writes the pending output of the closed connection, and gives up after a timeout.
    pub(crate) async fn flushed(&mut self) {
        if let Some(link) = self.closing.take() {
            link.close().await;
        }
    }

    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Open(link) => Some(link),
            State::Closed | State::Opening(_) => None,
        }
    }

    pub(crate) fn unsent_bytes(&self) -> usize {
        match &self.state {
            State::Open(link) => link.unsent_bytes(),
            State::Closed | State::Opening(_) => 0,
        }
    }

    /// Waits for the next event. Waits forever while the connection is closed. This method is
    /// cancel safe.
    pub(crate) async fn next(&mut self, reading: bool) -> Happening {
        let ended = match &mut self.state {
            State::Closed => return pending().await,
            State::Opening(opening) => match opening.await {
                Ok(link) => {
                    self.state = State::Open(Box::new(link));
                    return Happening::Opened;
                }
                Err(error) => error,
            },
            State::Open(link) => match link.turn(reading).await {
                Ok(moved) => return Happening::Moved(moved),
                Err(error) => error,
            },
        };
        self.state = State::Closed;
        Happening::Lost(ended)
    }

    /// Logs that the connection was opened.
    pub(crate) fn opened(&mut self) {
        let endpoint = &self.endpoint;
        if std::mem::take(&mut self.warned) {
            info!(%endpoint, "connected after all");
        } else {
            debug!(%endpoint, "connected");
        }
    }

    /// Logs and records that the connection was lost or could not be opened.
    pub(crate) fn lost(&mut self, error: &LinkError) {
        let endpoint = &self.endpoint;
        if self.warned {
            debug!(%endpoint, %error, "still not connected");
        } else {
            warn!(%endpoint, %error, "not connected to the broker; trying again");
        }
        self.warned = true;
        self.note_lost(error.to_string());
    }

    /// Logs and records the disconnect reason that the broker sent. Returns it as text.
    pub(crate) fn sent_away(&self, why: DisconnectReason) -> String {
        let endpoint = self.endpoint.clone();
        match why {
            _ if why.is_for_good() => error!(%endpoint, %why, "sent away by the broker for good"),
            DisconnectReason::IdentityInUse => {
                error!(%endpoint, %why, "sent away by the broker; trying again in a minute");
            }
            _ => warn!(%endpoint, %why, "sent away by the broker; trying again"),
        }
        self.connections.note_refused(self.place, Some(why).filter(|why| why.is_refusal()));
        self.connections.note(self.place, ConnectionEvent::SentAway { endpoint, why });
        format!("sent away: {why}")
    }

    pub(crate) fn note_connected(&mut self) {
        if !std::mem::replace(&mut self.connected, true) {
            let endpoint = self.endpoint.clone();
            self.connections.note(self.place, ConnectionEvent::Connected { endpoint });
        }
    }

    pub(crate) fn note_disconnected(&mut self, why: String) {
        if std::mem::take(&mut self.connected) {
            let endpoint = self.endpoint.clone();
            self.connections.note(self.place, ConnectionEvent::Disconnected { endpoint, why });
        }
    }

    /// Records that the connection was lost or could not be opened, without a disconnect reason
    /// from the broker.
    pub(crate) fn note_lost(&mut self, why: String) {
        if self.connected {
            return self.note_disconnected(why);
        }
        let endpoint = self.endpoint.clone();
        self.connections.note(self.place, ConnectionEvent::Failed { endpoint, why, row: 0 });
    }
}
