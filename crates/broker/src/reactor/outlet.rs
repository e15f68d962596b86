//! The connections, as the core writes to them: commands are encoded straight into the output of
//! their peer.
//!
//! Nothing here calls the core. What it has to be told of what was written, or what needs more than
//! the connections, is collected as [`FollowUp`]s and done when the core has returned.

use std::collections::VecDeque;

use majordomus_core::broker::{Action, CloseReason, Event, Outlet};
use majordomus_core::{PeerId, Time, ToClientView, ToWorkerView};
use majordomus_zmtp::SHARED_FRAME_BYTES_MIN;

use super::reading::READ_BUFFER_BYTES;
use crate::census::Census;
use crate::connection::{Connection, FrameSink, HighWater, Progress};
use crate::observer;
use crate::slots::Slots;

/// How many times its length a frame may hold: the shortest that is passed on by reference, of the
/// buffer that it was read into.
const HELD_PER_BYTE_MAX: usize = READ_BUFFER_BYTES / SHARED_FRAME_BYTES_MIN;

/// Output buffers that are pooled.
const OUTPUT_BUFFERS_MAX: usize = 64;

/// What the core acts on, and the lists that its actions fill.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) now: Time,
    pub(super) connections: Slots,
    /// Connections that may have more to read.
    pub(super) to_read: VecDeque<u32>,
    /// Connections that have something to be written.
    pub(super) to_write: Vec<u32>,
    /// The memory of outputs that were written, for the next.
    output_buffers: Vec<Vec<u8>>,
    pub(super) follow_ups: VecDeque<FollowUp>,
    pub(super) census: Census,
    /// How much may wait to be written to one peer.
    pub(super) unsent_bytes_max: usize,
}

/// What is to be done when the core has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    /// The core is to be told that a peer is above its high-water mark.
    AboveHighWater(PeerId),
    /// The core is to be told that an oversized message is pending for a peer.
    OversizedPending(PeerId),
    /// A connection is to be closed.
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
            census: Census::default(),
            unsent_bytes_max,
        }
    }

    /// Puts a connection into the list of those to read from.
    pub(super) fn queue_read(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !connection.queued_to_read
        {
            connection.queued_to_read = true;
            self.to_read.push_back(index);
        }
    }

    /// Puts a connection into the list of those to write to.
    pub(super) fn queue_write(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && connection.writing.queue()
        {
            self.to_write.push(index);
        }
    }

    /// Takes back the memory of a connection's output, where all of that is written.
    pub(super) fn pool_output_buffer(&mut self, id: PeerId) {
        if let Some(connection) = self.connections.get(id)
            && let Some(buffer) = connection.zmtp.take_output_buffer()
            && self.output_buffers.len() < OUTPUT_BUFFERS_MAX
        {
            self.output_buffers.push(buffer);
        }
    }

    /// Lets `encode` queue something for a peer, and sees to it that it is written.
    #[inline]
    fn output(&mut self, peer: PeerId, encode: impl FnOnce(&mut Connection)) {
        let Some(connection) = self.connections.get(peer) else { return };
        let before = connection.zmtp.unsent_bytes();
        if before == 0
            && let Some(buffer) = self.output_buffers.pop()
        {
            connection.zmtp.give_output_buffer(buffer);
        }
        encode(connection);
        if connection.writing.queue() {
            self.to_write.push(peer.index);
        }
        if connection.zmtp.unsent_bytes() > self.unsent_bytes_max / HELD_PER_BYTE_MAX {
            self.follow_ups.extend(check_unsent(connection, before, self.unsent_bytes_max));
        }
    }
}

/// Holds what waits for a peer against the limits of it. Returns what the core is to be told.
#[cold]
fn check_unsent(connection: &mut Connection, before: usize, most: usize) -> Option<FollowUp> {
    if connection.writing.is_blocked() {
        // The limit is of what is held.
        connection.zmtp.detach(READ_BUFFER_BYTES);
    }
    let above = matches!(connection.high_water, HighWater::Above { .. });
    if above || connection.zmtp.unsent_bytes() <= most {
        return None;
    }
    let message = connection.zmtp.unsent_bytes() - before;
    // It may be we who have not tried to write for a while.
    while !connection.writing.is_blocked() && matches!(connection.write(), Progress::Some(_)) {}
    let unsent = connection.zmtp.unsent_bytes();
    if unsent.saturating_sub(message) > most {
        connection.high_water = HighWater::Above { written: 0 };
        Some(FollowUp::AboveHighWater(connection.id))
    } else if unsent > most && connection.high_water == HighWater::Below {
        // One message alone is that large: it is read in its time, or not.
        connection.high_water = HighWater::OversizedPending { written: 0 };
        Some(FollowUp::OversizedPending(connection.id))
    } else {
        None
    }
}

impl Outlet for Io {
    #[inline]
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        self.output(client, |connection| {
            if let Some(codec) = connection.codec() {
                codec.encode_to_client(command, &mut FrameSink(&mut connection.zmtp));
            }
        });
    }

    #[inline]
    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        self.output(worker, |connection| {
            if let Some(codec) = connection.codec() {
                codec.encode_to_worker(command, &mut FrameSink(&mut connection.zmtp));
            }
        });
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        match action {
            Action::Probe => self.output(peer, |connection| {
                connection.zmtp.ping(0, b"");
            }),
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
        observer::log(&event, &mut self.census, &mut self.connections, self.now);
    }
}
