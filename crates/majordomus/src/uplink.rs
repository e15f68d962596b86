//! The connection to the broker as a state machine asks for it: closed, being opened, or open; and
//! what users hear of that.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;

use majordomus_core::{Farewell, Label};
use majordomus_wire::Codec;
use majordomus_zmtp::Limits;
use tracing::{debug, error, info, warn};

use crate::events::Connections;
use crate::link::{Link, LinkError, Moved};
use crate::{ConnectionEvent, Endpoint, ambient_seed};

/// The one connection of a client, or of a worker that takes one request at a time.
#[derive(Debug)]
pub(crate) struct Uplink {
    endpoint: Endpoint,
    codec: Codec,
    limits: Limits,
    /// The routing id, where it has one of its own choice.
    name: Label,
    state: State,
    /// One that was closed, and may have something to write.
    closing: Option<Box<Link>>,
    /// Where it is noted whether the broker serves us, and at which place.
    connections: Connections,
    place: usize,
    /// Whether it was noted that the broker serves us.
    connected: bool,
    /// Whether the user was warned that there is no broker, since there was one.
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

/// What happened to the connection.
#[derive(Debug)]
pub(crate) enum Happening {
    Opened,
    /// Bytes were read or written.
    Moved(Moved),
    /// It broke, or could not be opened. It is closed.
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
        let (name, state) = (Label::empty(), State::Closed);
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

    /// The same, with this routing id.
    pub(crate) fn with_name(self, name: Label) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn open(&mut self) {
        // Another one each time: the broker may not know yet that the last connection is gone.
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

    /// Closes it at once, whatever is unsent.
    pub(crate) fn cut(&mut self) {
        self.state = State::Closed;
    }

    /// Closes it. What is unsent waits to be [`flushed`](Self::flushed).
    pub(crate) fn close(&mut self) {
        if let State::Open(link) = std::mem::replace(&mut self.state, State::Closed) {
            self.closing = Some(link);
        }
    }

    /// Writes what was unsent when it was closed, or gives up when that takes too long.
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

    /// Waits until something happens to it; for ever while it is closed. Can be dropped and called
    /// again.
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

    /// It was opened.
    pub(crate) fn opened(&mut self) {
        let endpoint = &self.endpoint;
        if std::mem::take(&mut self.warned) {
            info!(%endpoint, "connected after all");
        } else {
            debug!(%endpoint, "connected");
        }
    }

    /// It broke, or could not be opened.
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

    /// The broker has done with us. Returns why there is no connection, in words.
    pub(crate) fn sent_away(&self, why: Farewell) -> String {
        let endpoint = self.endpoint.clone();
        match why {
            _ if why.is_for_good() => error!(%endpoint, %why, "sent away by the broker for good"),
            Farewell::IdentityInUse => {
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

    /// It is not there, for no reason of our own and without a word of the broker.
    pub(crate) fn note_lost(&mut self, why: String) {
        if self.connected {
            return self.note_disconnected(why);
        }
        let endpoint = self.endpoint.clone();
        self.connections.note(self.place, ConnectionEvent::Failed { endpoint, why, row: 0 });
    }
}
