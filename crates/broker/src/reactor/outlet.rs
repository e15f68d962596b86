//! The core's outlet: encodes commands directly into the output of their peer's connection.
//!
//! Nothing here calls the core. Inputs for the core that result from its output, and actions that
//! need more than the connections, are collected as [`FollowUp`]s and carried out when the core has
//! returned.

use std::collections::VecDeque;

use majordomus_core::broker::{Action, CloseReason, Event, Outlet};
use majordomus_core::{PeerId, Time, ToClientView, ToWorkerView};
use majordomus_zmtp::SHARED_FRAME_BYTES_MIN;

use super::reading::READ_BUFFER_BYTES;
use crate::connection::{Connection, FrameSink, HighWater, Progress};
use crate::connection_stats::ConnectionStats;
use crate::observer;
use crate::slots::Slots;

/// The maximum ratio of the memory that a frame can retain to its length: the shortest frame passed
/// by reference retains the whole buffer that it was read into.
const HELD_PER_BYTE_MAX: usize = READ_BUFFER_BYTES / SHARED_FRAME_BYTES_MIN;

/// The maximum number of pooled output buffers.
const OUTPUT_BUFFERS_MAX: usize = 64;

/// The connections that the core acts on, and the lists that its actions fill.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) now: Time,
    pub(super) connections: Slots,
    /// Connections that may have more to read.
    pub(super) to_read: VecDeque<u32>,
    /// Connections with pending output.
    pub(super) to_write: Vec<u32>,
    /// The pool of output buffers.
    output_buffers: Vec<Vec<u8>>,
    pub(super) follow_ups: VecDeque<FollowUp>,
    pub(super) stats: ConnectionStats,
    /// The high-water mark of one peer's unsent output, in bytes.
    pub(super) unsent_bytes_max: usize,
}

/// A step to carry out when the core has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    /// Report to the core that a peer is above its high-water mark.
    AboveHighWater(PeerId),
    /// Report to the core that an oversized message is pending for a peer.
    OversizedPending(PeerId),
    /// Close a connection.
    Close(PeerId, CloseReason),
}

impl Io {
    pub(super) fn new(unsent_bytes_max: usize) -> Self {
        Self {
            now: Time::ZERO,
            connections: Slots::default(),
            to_read: VecDeque::new(),
            to_write: Vec::new(),
            output_buffers: Vec::new(),
            follow_ups: VecDeque::new(),
            stats: ConnectionStats::default(),
            unsent_bytes_max,
        }
    }

    /// Adds a connection to the read list.
    pub(super) fn queue_read(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.queued_to_read
        {
            connection.queued_to_read = true;
            self.to_read.push_back(index);
        }
    }

    /// Adds a connection to the write list.
    pub(super) fn queue_write(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && connection.writing.queue()
        {
            self.to_write.push(index);
        }
    }

    /// Returns a connection's output buffer to the pool if all of it was written.
    pub(super) fn pool_output_buffer(&mut self, id: PeerId) {
        if let Some(connection) = self.connections.get(id)
            && let Some(buffer) = connection.zmtp.take_output_buffer()
            && self.output_buffers.len() < OUTPUT_BUFFERS_MAX
        {
            self.output_buffers.push(buffer);
        }
    }

    /// Starts an output to a peer, if it is connected.
    #[inline(always)]
    fn output(&mut self, peer: PeerId) -> Option<Output<'_>> {
        let connection = self.connections.get(peer)?;
        let before = connection.zmtp.unsent_bytes();
        if before == 0
            && let Some(buffer) = self.output_buffers.pop()
        {
            connection.zmtp.give_output_buffer(buffer);
        }
        let Self { to_write, follow_ups, unsent_bytes_max, .. } = self;
        Some(Output { connection, before, to_write, follow_ups, most: *unsent_bytes_max })
    }
}

/// An output that is being queued on a connection.
struct Output<'a> {
    connection: &'a mut Connection,
    /// The number of unsent bytes before this output.
    before: usize,
    to_write: &'a mut Vec<u32>,
    follow_ups: &'a mut VecDeque<FollowUp>,
    /// The high-water mark of the peer's unsent output, in bytes.
    most: usize,
}

impl Output<'_> {
    /// Adds the connection to the write list and checks the high-water mark.
    #[inline(always)]
    fn end(self) {
        if self.connection.writing.queue() {
            self.to_write.push(self.connection.id.index);
        }
        if self.connection.zmtp.unsent_bytes() > self.most / HELD_PER_BYTE_MAX {
            self.follow_ups.extend(check_unsent(self.connection, self.before, self.most));
        }
    }
}

/// Compares a connection's unsent bytes with its high-water mark. Returns the report for the core,
/// if any.
#[cold]
fn check_unsent(connection: &mut Connection, before: usize, most: usize) -> Option<FollowUp> {
    if connection.writing.is_blocked() {
        // The limit applies to the memory held, so release the shared read buffers.
        connection.zmtp.detach(READ_BUFFER_BYTES);
    }
    let above = matches!(connection.high_water, HighWater::Above { .. });
    if above || connection.zmtp.unsent_bytes() <= most {
        return None;
    }
    let message = connection.zmtp.unsent_bytes() - before;
    // The output may be pending only because the broker has not tried to write for a while.
    while !connection.writing.is_blocked() && matches!(connection.write(), Progress::Some(_)) {}
    let unsent = connection.zmtp.unsent_bytes();
    if unsent.saturating_sub(message) > most {
        connection.high_water = HighWater::Above { written: 0 };
        Some(FollowUp::AboveHighWater(connection.id))
    } else if unsent > most && connection.high_water == HighWater::Below {
        // One message alone exceeds the mark. The peer gets time to read it.
        connection.high_water = HighWater::OversizedPending { written: 0 };
        Some(FollowUp::OversizedPending(connection.id))
    } else {
        None
    }
}

impl Outlet for Io {
    #[inline]
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        let Some(output) = self.output(client) else { return };
        if let Some(codec) = output.connection.codec() {
            codec.encode_to_client(command, &mut FrameSink(&mut output.connection.zmtp));
        }
        output.end();
    }

    #[inline]
    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        let Some(output) = self.output(worker) else { return };
        if let Some(codec) = output.connection.codec() {
            codec.encode_to_worker(command, &mut FrameSink(&mut output.connection.zmtp));
        }
        output.end();
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        match action {
            Action::Probe => {
                if let Some(output) = self.output(peer) {
                    output.connection.zmtp.ping(0, b"");
                    output.end();
                }
            }
            Action::Pause => {
                if let Some(connection) = self.connections.get(peer) {
                    connection.reading.pause();
                }
            }
            Action::Resume => {
                if let Some(connection) = self.connections.get(peer) {
                    connection.reading.resume();
                    connection.reassembly.progressed(self.now, 0);
                    self.queue_read(peer.index);
                }
            }
            Action::Close(reason) => self.follow_ups.push_back(FollowUp::Close(peer, reason)),
        }
    }

    fn note(&mut self, event: Event) {
        observer::log(&event, &mut self.stats, &mut self.connections, self.now);
    }
}
