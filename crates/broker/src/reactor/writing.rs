//! Writing: once a turn to each connection that has something waiting.

use majordomus_core::PeerId;
use majordomus_core::broker::Input;
use mio::Interest;

use super::Reactor;
use crate::connection::{HighWater, Progress, Reading};

impl Reactor {
    /// Asks the system to report when a socket takes bytes again while it takes none, and not
    /// otherwise: that would be an event for each message that a peer reads.
    fn watch_writing(&mut self, id: PeerId) {
        let token = self.token(id);
        let Some(connection) = self.io.connections.get(id) else { return };
        let blocked = connection.writing.is_blocked();
        if blocked == connection.watches_writing {
            return;
        }
        connection.watches_writing = blocked;
        let on = match blocked {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        if let Err(error) = self.poll.registry().reregister(&mut connection.stream, token, on) {
            self.cut(id, "not_registered", &error);
        }
    }

    /// Writes once to each connection that has something waiting.
    pub(super) fn write_all(&mut self) {
        let mut indices = std::mem::take(&mut self.io.to_write);
        for index in indices.drain(..) {
            if let Some(connection) = self.io.connections.at(index) {
                connection.writing.dequeue();
                let id = connection.id;
                self.write(id);
            }
        }
        // What was queued meanwhile is written in the next turn; the memory is used again.
        if self.io.to_write.is_empty() {
            self.io.to_write = indices;
        }
    }

    fn write(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        if connection.writing.is_blocked() {
            return self.watch_writing(id);
        }
        let written = match connection.write() {
            Progress::End => return self.lose(id),
            Progress::Some(written) => {
                self.io.queue_write(id.index);
                written
            }
            Progress::Last(written) => written,
        };
        self.io.pool_output_buffer(id);
        self.watch_writing(id);
        let Some(connection) = self.io.connections.get(id) else { return };
        let unsent = connection.zmtp.unsent_bytes();
        if connection.reading == Reading::Closing && unsent == 0 {
            return self.close_written(id);
        }
        if unsent == 0 && connection.subscriber().is_some() {
            return self.catch_up(id);
        }
        if connection.high_water != HighWater::Below {
            self.note_progress(id, written);
        }
    }

    /// Ends a connection that is closing and has got all that was to be written.
    fn close_written(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        // It is closed when the peer has closed too: closing now could cost it what we wrote last.
        if connection.stream.finish_writing().is_err() {
            return self.lose(id);
        }
        if self.shutdown_due.is_none() {
            // A peer that was refused.
            return self.lose(id);
        }
        connection.incoming.arrived();
        self.io.queue_read(id.index);
    }

    /// Tells the core how far a peer has read that is above its high-water mark, or for which an
    /// oversized message is pending.
    fn note_progress(&mut self, id: PeerId, newly_written: usize) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let half = self.io.unsent_bytes_max / 2;
        let written = match &mut connection.high_water {
            HighWater::Below => return,
            HighWater::OversizedPending { written } | HighWater::Above { written } => written,
        };
        *written += newly_written;
        if connection.zmtp.unsent_bytes() <= half {
            connection.high_water = HighWater::Below;
            self.tell_core(Input::Drained { peer: id });
        } else if *written > half {
            *written = 0;
            self.tell_core(Input::Draining { peer: id });
        }
    }
}
