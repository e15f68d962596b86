//! Message reassembly: a message that comes in pieces is charged for its memory before that is
//! reserved, and a peer that holds memory without use is cut.

use std::collections::VecDeque;
use std::time::Duration;

use majordomus_core::broker::Sign;
use majordomus_core::{PeerId, Time};
use majordomus_zmtp::Spares;

use super::Reactor;
use crate::connection::{Charge, Reading, Reassembly};

/// How often connections that hold memory are checked for progress, at the least.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How much memory of large messages is pooled for the next ones, for a second or so.
const POOL_BYTES_MAX: usize = 16 << 20;
/// How fast a message has to come, in bytes a second, if others wait for its memory.
const BYTES_PER_SECOND_MIN: u32 = 1 << 20;

/// The memory of messages that come in pieces.
#[derive(Debug)]
pub(super) struct ReassemblyMemory {
    /// Connections that wait for memory, in order.
    pub(super) waiting: VecDeque<PeerId>,
    /// Bytes that connections are charged for.
    pub(super) charged_bytes: usize,
    /// Connections that are charged, and are checked for progress.
    watched: Vec<PeerId>,
    pub(super) next_check: Option<Time>,
    /// The buffer pool.
    pub(super) pool: Spares,
}

impl Default for ReassemblyMemory {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            charged_bytes: 0,
            watched: Vec::new(),
            next_check: None,
            pool: Spares::new(POOL_BYTES_MAX),
        }
    }
}

impl Reactor {
    /// A peer sends a message that needs this much memory of its own.
    pub(super) fn wait_for_memory(&mut self, id: PeerId, bytes: usize) {
        let Some(connection) = self.io.connections.get(id) else { return };
        connection.reading = Reading::WaitingForMemory { bytes, paused: false };
        self.reassembly.waiting.push_back(id);
        self.grant_memory();
        let next = self.next_reassembly_check();
        self.reassembly.next_check.get_or_insert(next);
    }

    /// Grants memory to the connections that wait for it, in order, as long as there is some. A
    /// message that is too large for all of it may come alone.
    pub(super) fn grant_memory(&mut self) {
        let now = self.io.now;
        while let Some(id) = self.reassembly.waiting.front().copied() {
            if let Some(connection) = self.io.connections.get(id)
                && let Reading::WaitingForMemory { bytes, .. } = connection.reading
            {
                let charged = connection.reassembly.charged_bytes();
                let more = bytes.saturating_sub(charged);
                let others = self.reassembly.charged_bytes - charged;
                let total = self.reassembly.charged_bytes + more;
                if others > 0 && total > self.config.connections.reception_bytes_max {
                    return;
                }
                self.reassembly.charged_bytes = total;
                if connection.reassembly == Reassembly::Idle {
                    self.reassembly.watched.push(id);
                }
                let before = match connection.reassembly {
                    Reassembly::Charged(charge) => charge,
                    _ => Charge { bytes: 0, granted: now, received: 0, progress: now },
                };
                let charge = Charge { bytes: before.bytes + more, progress: now, ..before };
                connection.reassembly = Reassembly::Charged(charge);
                connection.reading.memory_granted();
                connection.zmtp.grant_in(self.reassembly.pool.take(bytes));
                self.io.queue_read(id.index);
            }
            self.reassembly.waiting.pop_front();
        }
    }

    /// Gives back the memory that a connection is charged for, to those that wait.
    pub(super) fn release_memory(&mut self, id: PeerId) {
        if let Some(connection) = self.io.connections.get(id) {
            let released = connection.reassembly.release();
            if released > 0 {
                self.reassembly.charged_bytes -= released;
                self.grant_memory();
            }
        }
    }

    /// Cuts a peer that holds memory for a message and does not go on sending it, or keeps others
    /// waiting for that memory. A peer that waits is alive, though its connection is not read from.
    pub(super) fn check_reassemblies(&mut self) {
        for id in self.reassembly.waiting.clone() {
            self.show_life(id, Sign::Bytes);
        }
        let now = self.io.now;
        let stall = self.config.core.stall_timeout;
        for id in std::mem::take(&mut self.reassembly.watched) {
            let Some(connection) = self.io.connections.get(id) else { continue };
            let Reassembly::Charged(charge) = connection.reassembly else {
                connection.reassembly = Reassembly::Idle;
                continue;
            };
            let since = now.since(charge.granted);
            let due = BYTES_PER_SECOND_MIN as f64 * since.as_secs_f64();
            let holds_up = !self.reassembly.waiting.is_empty()
                && since >= stall
                && (charge.received as f64) < due;
            let silent =
                connection.reading == Reading::Active && now.since(charge.progress) >= stall;
            if silent {
                self.cut(id, "stalled", &"it stopped in the middle of a message");
            } else if holds_up {
                self.cut(id, "too_slow", &"others wait for the memory of its unfinished message");
            } else {
                self.reassembly.watched.push(id);
            }
        }
        let idle = self.reassembly.watched.is_empty() && self.reassembly.waiting.is_empty();
        if idle {
            self.reassembly.pool.clear();
        }
        self.reassembly.next_check = (!idle).then(|| self.next_reassembly_check());
    }

    fn next_reassembly_check(&self) -> Time {
        self.io.now.after(CHECK_INTERVAL.min(self.config.core.heartbeat_interval))
    }
}
