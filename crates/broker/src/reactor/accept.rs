//! Accepting and closing connections.

use std::io;
use std::time::Duration;

use majordomus_core::PeerId;
use majordomus_core::broker::{CloseReason, Input};
use majordomus_zmtp::{self as zmtp, Security};
use mio::Interest;
use tracing::debug;

use super::Reactor;
use crate::connection::{Connection, Reading};
use crate::stream::{Origin, Stream};

/// The maximum number of connections that one listener accepts in one iteration.
const ACCEPTS_MAX: usize = 64;
/// The time to stop accepting when no open files are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Reactor {
    pub(super) fn accept(&mut self, at: usize) {
        for _ in 0..ACCEPTS_MAX {
            if self.shutdown_due.is_some() || self.accept_again.is_some() {
                return;
            }
            match self.listeners[at].accept() {
                Ok((stream, origin)) => self.accepted(at, stream, origin),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer closed the connection while it was in the backlog.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let text = format_args!("no connection can be accepted for now: {error}");
                    self.io.stats.trouble(self.io.now, &text);
                    let made_room = is_exhaustion(&error)
                        && self.make_room("no_open_files", &"there are no open files left");
                    if !made_room {
                        self.accept_again = Some(self.io.now.after(ACCEPT_PAUSE));
                    }
                }
            }
        }
        // There may be more, and no further event reports them.
        self.to_accept.push(at);
    }

    /// Closes the connection that has been silent longest: one with an incomplete handshake,
    /// otherwise one that has sent nothing since its handshake.
    ///
    /// Returns false if every connection has sent a message or was accepted in this iteration and
    /// could not send yet: the system reports that no open file is left even if no peer is waiting
    /// for one.
    fn make_room(&mut self, reason: &'static str, text: &dyn std::fmt::Display) -> bool {
        let now = self.io.now;
        let oldest = self.handshakes.oldest(now).or_else(|| self.silent.oldest(now));
        if let Some(oldest) = oldest {
            self.cut(oldest, reason, text);
        }
        oldest.is_some()
    }

    fn accepted(&mut self, listener: usize, stream: Stream, origin: Origin) {
        self.io.stats.accepted += 1;
        let limits = &self.config.connections;
        let handshake_bytes_max = limits.handshake_bytes_max;
        let zmtp_limits = match self.config.publishes_at(listener) {
            // The limit of a command: newer peers subscribe by command.
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
        let mut zmtp = zmtp::Connection::listener(Security::Null, zmtp_limits);
        zmtp.pool_output();
        let (most, most_here) = (limits.handshakes_max, limits.handshakes_per_address_max);
        let connections_max = limits.connections_max;
        let text = "as many connections are open as may be";
        let over = self.io.connections.len() >= connections_max
            && !self.make_room("connections_max", &text);
        let id = self.io.connections.next_id();
        let mut connection = Connection::new(id, stream, zmtp, origin, listener);
        if over {
            return self.io.stats.close(self.io.now, &connection, "connections_max", &text);
        }
        let token = self.token(id);
        if let Err(error) =
            self.poll.registry().register(&mut connection.stream, token, Interest::READABLE)
        {
            return self.io.stats.close(self.io.now, &connection, "not_registered", &error);
        }
        debug!(peer = %origin, "connected");
        self.io.connections.insert(connection);
        self.io.queue_write(id.index);
        self.io.queue_read(id.index);
        self.handshakes.begin(self.io.now, id, origin.address());
        while let Some(surplus) = self.handshakes.surplus(origin.address(), most, most_here) {
            self.cut(surplus, "handshakes_max", &"too many handshakes are not over");
        }
    }

    /// Closes a connection because of its peer's behaviour.
    pub(super) fn cut(&mut self, id: PeerId, reason: &'static str, text: &dyn std::fmt::Display) {
        if let Some(connection) = self.io.connections.get(id) {
            self.io.stats.close(self.io.now, connection, reason, text);
            self.lose(id);
        }
    }

    /// Closes a connection on the core's request. The core has already removed the peer.
    pub(super) fn close(&mut self, id: PeerId, reason: CloseReason) {
        if let Some(connection) = self.io.connections.get(id) {
            // The output may include the disconnect reason. A peer that is not reading gets no more
            // time.
            let _ = connection.write();
            self.io.stats.close(self.io.now, connection, reason.name(), &reason);
            self.drop_connection(id);
        }
    }

    /// Ends a lost connection, whichever side closed it, and reports it to the core.
    pub(super) fn lose(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        if connection.codec().is_some() {
            self.tell_core(Input::Disconnected { peer: id });
        }
        self.drop_connection(id);
    }

    /// Closes a connection that the core does not know, or no longer knows.
    fn drop_connection(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.remove(id) else { return };
        self.handshakes.end(id);
        self.silent.end(id);
        self.publishing.forget(id);
        self.reassembly.charged_bytes -= connection.reassembly.charged_bytes();
        if matches!(connection.reading, Reading::WaitingForMemory { .. }) {
            self.reassembly.waiting.retain(|waits| *waits != id);
        }
        debug!(peer = %connection.name(), "closed");
        drop(connection);
        if self.accept_again.is_some() {
            // An open file is available again.
            self.accept_again = Some(self.io.now);
        }
        self.grant_memory();
    }
}

/// Returns true if the system, or this process, has no open files or no memory left.
fn is_exhaustion(error: &io::Error) -> bool {
    const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code))
}
