//! The write path: one write in each iteration to each connection with pending output.

use majordomus_core::PeerId;
use majordomus_core::broker::Input;
use mio::Interest;

use super::Reactor;
use crate::connection::{HighWater, Progress, Reading};

impl Reactor {
    /// Asks the system to report when a socket becomes writable, but only while it is blocked.
    /// Otherwise every message that the peer reads would cause an event.
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

    /// Writes once to each connection with pending output.
    pub(super) fn write_all(&mut self) {
        let mut indices = std::mem::take(&mut self.io.to_write);
        for index in indices.drain(..) {
            if let Some(connection) = self.io.connections.at(index) {
                connection.writing.dequeue();
                let id = connection.id;
                self.write(id);
            }
        }
        // Output queued meanwhile is written in the next iteration; otherwise the list's memory is
        // reused.
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

    /// Ends a closing connection whose output is all written.
    fn close_written(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        // The connection is closed when the peer has closed it too. Closing it now could lose the
        // last output.
        if connection.stream.finish_writing().is_err() {
            return self.lose(id);
        }
        if self.shutdown_due.is_none() {
            // The peer was rejected.
            return self.lose(id);
        }
        connection.incoming.arrived();
        self.io.queue_read(id.index);
    }

    /// Reports to the core the read progress of a peer that is above its high-water mark or has an
    /// oversized message pending.
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
            self.tell_core(Input::BelowLowWater { peer: id });
        } else if *written > half {
            *written = 0;
            self.tell_core(Input::MakingProgress { peer: id });
        }
    }
}
