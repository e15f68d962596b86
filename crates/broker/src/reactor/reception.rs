//! Memory for messages in reception: it is charged before it is reserved, and who holds it without
//! use is cut.

use std::time::Duration;

use majordomus_core::broker::Sign;
use majordomus_core::{PeerId, Time};

use super::Reactor;

/// How often receptions that hold memory are looked at for progress, at the least.
const RECEPTION_CHECK: Duration = Duration::from_secs(1);
/// How much memory of large messages is kept for the next ones, for a second or so.
pub(super) const SPARE_BYTES_MAX: usize = 16 << 20;
/// How fast a message has to come, in bytes a second, if others wait for its memory.
const RECEPTION_RATE_MIN: u32 = 1 << 20;

impl Reactor {
    /// A peer sends a message that needs memory of its own.
    pub(super) fn want(&mut self, id: PeerId, bytes: usize) {
        let Some(connection) = self.connections.get(id) else { return };
        connection.wants = Some(bytes);
        self.wanting.push_back(id);
        self.grant_wanted();
        let next = self.next_reception_check();
        self.reception_check.get_or_insert(next);
    }

    /// Gives memory to those that wait for it, in order, as long as there is some. A message that
    /// is too large for all of it may come alone.
    pub(super) fn grant_wanted(&mut self) {
        while let Some(id) = self.wanting.front().copied() {
            if let Some(connection) = self.connections.get(id)
                && let Some(bytes) = connection.wants
            {
                let more = bytes.saturating_sub(connection.charged);
                let others = self.reception_bytes - connection.charged;
                let total = self.reception_bytes + more;
                if others > 0 && total > self.config.connections.reception_bytes_max {
                    return;
                }
                self.reception_bytes = total;
                if connection.charged == 0 {
                    (connection.granted, connection.received) = (self.now, 0);
                }
                connection.charged += more;
                connection.wants = None;
                connection.progress = self.now;
                connection.zmtp.grant_in(self.spares.take(bytes));
                if !std::mem::replace(&mut connection.watched, true) {
                    self.receiving.push(id);
                }
                self.queue_read(id.index);
            }
            self.wanting.pop_front();
        }
    }

    pub(super) fn uncharge(&mut self, id: PeerId) {
        if let Some(connection) = self.connections.get(id)
            && connection.charged > 0
        {
            self.reception_bytes -= std::mem::take(&mut connection.charged);
            self.grant_wanted();
        }
    }

    /// Cuts who holds memory for a message and does not go on sending it, or keeps others waiting
    /// for that memory. Who waits is alive, though we do not read what it says.
    pub(super) fn check_receptions(&mut self) {
        for id in self.wanting.clone() {
            self.show_life(id, Sign::Bytes);
        }
        let stall = self.config.core.stall_timeout;
        for id in std::mem::take(&mut self.receiving) {
            let Some(connection) = self.connections.get(id) else { continue };
            if connection.charged == 0 {
                connection.watched = false;
                continue;
            }
            let since = self.now.since(connection.granted);
            let due = RECEPTION_RATE_MIN as f64 * since.as_secs_f64();
            let holds_up =
                !self.wanting.is_empty() && since >= stall && (connection.received as f64) < due;
            let silent = connection.is_heard() && self.now.since(connection.progress) >= stall;
            if silent {
                self.cut(id, "stalled", &"it stopped in the middle of a message");
            } else if holds_up {
                self.cut(id, "too_slow", &"others wait for the memory of its unfinished message");
            } else {
                self.receiving.push(id);
            }
        }
        let idle = self.receiving.is_empty() && self.wanting.is_empty();
        if idle {
            self.spares.clear();
        }
        self.reception_check = (!idle).then(|| self.next_reception_check());
    }

    pub(super) fn next_reception_check(&self) -> Time {
        self.now.after(RECEPTION_CHECK.min(self.config.core.heartbeat_interval))
    }
}
