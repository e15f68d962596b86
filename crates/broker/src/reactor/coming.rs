//! Connections that come and go.

use std::io;
use std::time::Duration;

use majordomus_core::PeerId;
use majordomus_core::broker::Input;
use majordomus_zmtp::{self as zmtp, Security};
use mio::Interest;
use tracing::debug;

use super::Reactor;
use crate::connection::Connection;
use crate::stream::{Origin, Stream};

/// Connections that one listener brings in a turn.
const ACCEPTS_MAX: usize = 64;
/// How long a listener rests when there are no open files left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

impl Reactor {
    pub(super) fn accept(&mut self, at: usize) {
        for _ in 0..ACCEPTS_MAX {
            if self.ending.is_some() || self.resting.is_some() {
                return;
            }
            match self.listeners[at].accept() {
                Ok((stream, origin)) => self.welcome(at, stream, origin),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer gave up while it was in the queue.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let text = format_args!("no connection can be accepted for now: {error}");
                    self.census.trouble(self.now, &text);
                    let made_room = is_exhaustion(&error)
                        && self.make_room("no_open_files", &"there are no open files left");
                    if !made_room {
                        self.resting = Some(self.now.after(ACCEPT_REST));
                    }
                }
            }
        }
        // There may be more, and no further event will say so.
        self.to_accept.push(at);
    }

    /// Cuts the connection that has gone longest without a word: one that has not shaken hands,
    /// else one that has and wants nothing. False where all have spoken, or have come this turn and
    /// could not: that there is no open file left is said whether anybody waits for one or not.
    fn make_room(&mut self, reason: &'static str, text: &dyn std::fmt::Display) -> bool {
        let oldest = self.handshakes.oldest(self.now).or_else(|| self.quiet.oldest(self.now));
        if let Some(oldest) = oldest {
            self.cut(oldest, reason, text);
        }
        oldest.is_some()
    }

    fn welcome(&mut self, listener: usize, stream: Stream, origin: Origin) {
        self.census.accepted += 1;
        let limits = &self.config.connections;
        let handshake_bytes_max = limits.handshake_bytes_max;
        let zmtp_limits = match self.config.publishes_at(listener) {
            // As much as a command may have, which is the other way to subscribe.
            true => zmtp::Limits {
                handshake_bytes_max,
                message_bytes_max: zmtp::COMMAND_BYTES_MAX,
                frames_max: 1,
            },
            false => zmtp::Limits {
                handshake_bytes_max,
                message_bytes_max: limits.message_bytes_max,
                frames_max: limits.frames_max,
            },
        };
        let zmtp = zmtp::Connection::listener(Security::Null, zmtp_limits);
        let (most, most_here) = (limits.handshakes_max, limits.handshakes_per_address_max);
        let connections_max = limits.connections_max;
        let text = "as many connections are open as may be";
        let over =
            self.connections.len() >= connections_max && !self.make_room("connections_max", &text);
        let id = self.connections.next_id();
        let mut connection = Connection::new(id, stream, zmtp, origin, listener);
        if over {
            return self.census.close(self.now, &connection, "connections_max", &text);
        }
        let token = self.token(id);
        if let Err(error) =
            self.poll.registry().register(&mut connection.stream, token, Interest::READABLE)
        {
            return self.census.close(self.now, &connection, "not_registered", &error);
        }
        debug!(peer = %origin, "connected");
        self.connections.insert(connection);
        self.to_write.push(id.index);
        self.queue_read(id.index);
        self.handshakes.begin(self.now, id, origin.address());
        while let Some(surplus) = self.handshakes.surplus(origin.address(), most, most_here) {
            self.cut(surplus, "handshakes_max", &"too many handshakes are not over");
        }
    }

    /// Closes a connection because of what its peer did.
    pub(super) fn cut(&mut self, id: PeerId, reason: &'static str, text: &dyn std::fmt::Display) {
        if let Some(connection) = self.connections.get(id) {
            self.census.close(self.now, connection, reason, text);
            self.lose(id);
        }
    }

    /// A connection is gone, whoever ended it.
    pub(super) fn lose(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.codec.is_some() {
            self.tell_core(Input::Gone { peer: id });
        }
        self.drop_connection(id);
    }

    /// Closes a connection that the core knows nothing of, any more.
    pub(super) fn drop_connection(&mut self, id: PeerId) {
        let Some(connection) = self.connections.remove(id) else { return };
        self.handshakes.end(id);
        self.quiet.end(id);
        self.publishing.forget(id);
        self.reception_bytes -= connection.charged;
        if connection.wants.is_some() {
            self.wanting.retain(|waits| *waits != id);
        }
        debug!(peer = %connection.name(), "closed");
        drop(connection);
        if self.resting.is_some() {
            // There is an open file again.
            self.resting = Some(self.now);
        }
        self.grant_wanted();
    }
}

/// Whether the system, or this process, has no open files or no memory left.
fn is_exhaustion(error: &io::Error) -> bool {
    const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code))
}
