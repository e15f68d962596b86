//! Message reassembly: memory accounting for messages that arrive in several reads. Memory is
//! charged before it is reserved, and a peer that holds memory without making progress is
//! disconnected.

use std::collections::VecDeque;
use std::time::Duration;

use majordomus_core::broker::Sign;
use majordomus_core::{PeerId, Time};
use majordomus_zmtp::BufferPool;

use super::Reactor;
use crate::connection::{Charge, Reading, Reassembly};

/// The maximum interval between checks for progress.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of bytes pooled for the next large messages, kept for about a second.
const POOL_BYTES_MAX: usize = 16 << 20;
/// The minimum rate of a message, in bytes a second, while others wait for its memory.
const BYTES_PER_SECOND_MIN: u32 = 1 << 20;

/// The memory for message reassembly.
#[derive(Debug)]
pub(super) struct ReassemblyMemory {
    /// Connections waiting for memory, in order.
    pub(super) waiting: VecDeque<PeerId>,
    /// The number of bytes charged to connections.
    pub(super) charged_bytes: usize,
    /// Connections with charged memory, checked for progress.
    watched: Vec<PeerId>,
    pub(super) next_check: Option<Time>,
    /// The buffer pool.
    pub(super) pool: BufferPool,
}

impl Default for ReassemblyMemory {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            charged_bytes: 0,
            watched: Vec::new(),
            next_check: None,
            pool: BufferPool::new(POOL_BYTES_MAX),
        }
    }
}

impl Reactor {
    /// Queues a peer whose next message needs a buffer of this many bytes.
    pub(super) fn wait_for_memory(&mut self, id: PeerId, bytes: usize) {
        let Some(connection) = self.io.connections.get(id) else { return };
        connection.reading = Reading::WaitingForMemory { bytes, paused: false };
        self.reassembly.waiting.push_back(id);
        self.grant_memory();
        let next = self.next_reassembly_check();
        self.reassembly.next_check.get_or_insert(next);
    }

    /// Grants memory to waiting connections in order, while the limit allows. A message larger than
    /// the limit is granted memory if no other is charged.
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

    /// Releases the memory charged to a connection and grants it to waiting connections.
    pub(super) fn release_memory(&mut self, id: PeerId) {
        if let Some(connection) = self.io.connections.get(id) {
            let released = connection.reassembly.release();
            if released > 0 {
                self.reassembly.charged_bytes -= released;
                self.grant_memory();
            }
        }
    }

    /// Disconnects a peer that holds memory for a message and has stopped sending it, or that sends
    /// too slowly while others wait for memory. A peer that waits for memory counts as live even
    /// though its connection is not read.
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
