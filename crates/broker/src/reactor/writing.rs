//! What is written: once a turn to each connection that has something waiting.

use majordomus_core::PeerId;
use majordomus_core::broker::Input;
use majordomus_zmtp::SHARED_FRAME_BYTES_MIN;
use mio::Interest;

use super::Reactor;
use super::reading::READ_BUFFER_BYTES;
use crate::connection::Progress;

/// How many times its length a frame may hold: the shortest that is passed on by reference, of the
/// buffer that it was read into.
const HELD_PER_BYTE_MAX: usize = READ_BUFFER_BYTES / SHARED_FRAME_BYTES_MIN;

impl Reactor {
    /// Something was queued for a peer, for which `before` bytes waited before.
    pub(super) fn wrote(&mut self, id: PeerId, before: usize) {
        self.mark_dirty(id.index);
        let Some(connection) = self.connections.get(id) else { return };
        let most = self.config.connections.unsent_bytes_max;
        if connection.blocked && connection.zmtp.unsent_bytes() > most / HELD_PER_BYTE_MAX {
            // The limit is of what is held.
            connection.zmtp.detach(READ_BUFFER_BYTES);
        }
        if connection.filled || connection.zmtp.unsent_bytes() <= most {
            return;
        }
        let message = connection.zmtp.unsent_bytes() - before;
        // It may be we who have not tried to write for a while.
        while !connection.blocked && matches!(connection.write(), Progress::Some(_)) {}
        let unsent = connection.zmtp.unsent_bytes();
        if unsent.saturating_sub(message) > most {
            connection.filled = true;
            connection.laden = true;
            connection.drained = 0;
            self.core.handle(self.now, Input::Filled { peer: id });
        } else if unsent > most && !connection.laden {
            // One message alone is that large: it is read in its time, or not.
            connection.laden = true;
            connection.drained = 0;
            self.core.handle(self.now, Input::Laden { peer: id });
        }
    }

    /// Hears of a socket that takes bytes again while it takes none, and not otherwise: that would
    /// be an event for each message that a peer reads.
    fn watch_writing(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.blocked == connection.watches_writing {
            return;
        }
        connection.watches_writing = connection.blocked;
        let on = match connection.blocked {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let token = self.token(id);
        let Some(connection) = self.connections.get(id) else { return };
        if let Err(error) = self.poll.registry().reregister(&mut connection.stream, token, on) {
            self.cut(id, "not_registered", &error);
        }
    }

    pub(super) fn mark_dirty(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.dirty
        {
            connection.dirty = true;
            self.to_write.push(index);
        }
    }

    /// Writes once to each connection that has something waiting.
    pub(super) fn write_all(&mut self) {
        let mut indices = std::mem::take(&mut self.to_write);
        for index in indices.drain(..) {
            if let Some(connection) = self.connections.at(index) {
                connection.dirty = false;
                let id = connection.id;
                self.write(id);
            }
        }
        // What was marked meanwhile is written in the next turn; the memory is used again.
        if self.to_write.is_empty() {
            self.to_write = indices;
        }
    }

    fn write(&mut self, id: PeerId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.blocked {
            return self.watch_writing(id);
        }
        let progress = connection.write();
        if let Progress::Some(written) | Progress::Last(written) = progress {
            connection.drained += written;
        }
        match progress {
            Progress::End => return self.lose(id),
            Progress::Some(_) => self.mark_dirty(id.index),
            Progress::Last(_) => {}
        }
        self.watch_writing(id);
        let Some(connection) = self.connections.get(id) else { return };
        let unsent = connection.zmtp.unsent_bytes();
        if connection.closing && unsent == 0 {
            // It is closed when the peer has closed too: closing now could cost it our last words.
            if connection.stream.finish_writing().is_err() {
                return self.lose(id);
            }
            if self.ending.is_none() {
                // A peer that was refused.
                self.lose(id);
            } else {
                connection.readable = true;
                self.queue_read(id.index);
            }
            return;
        }
        if unsent == 0 && connection.subscriber.is_some() {
            return self.catch_up(id);
        }
        let half = self.config.connections.unsent_bytes_max / 2;
        if connection.laden && unsent <= half {
            (connection.filled, connection.laden) = (false, false);
            self.tell_core(Input::Drained { peer: id });
        } else if connection.laden && connection.drained > half {
            connection.drained = 0;
            self.tell_core(Input::Draining { peer: id });
        }
    }
}
