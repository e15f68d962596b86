//! A connection: its stream, its ZMTP codec, its peer, and the states of reading and writing.

use std::io::{self, IoSlice, Read};

use bytes::Bytes;
use majordomus_core::{Frames, PeerId, Time};
use majordomus_wire::{Codec, Side, Sink};
use majordomus_zmtp as zmtp;

use crate::stream::{Origin, Stream};
use crate::subscriber::Subscriber;

/// The maximum number of slices in one gathered write.
const SLICES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: PeerId,
    pub(crate) stream: Stream,
    pub(crate) zmtp: zmtp::Connection,
    pub(crate) origin: Origin,
    /// The index of the listener that accepted the connection.
    pub(crate) listener: usize,
    pub(crate) session: Session,
    pub(crate) reading: Reading,
    pub(crate) incoming: Incoming,
    /// True while the connection is in the list of connections to read from.
    pub(crate) queued_to_read: bool,
    pub(crate) reassembly: Reassembly,
    pub(crate) writing: Writing,
    /// True while the system reports when the socket becomes writable.
    pub(crate) watches_writing: bool,
    pub(crate) high_water: HighWater,
    /// The time of the last log line about this connection, and the number of lines suppressed
    /// since.
    pub(crate) logged: Option<Time>,
    pub(crate) unlogged: u64,
}

/// The handshake state of a connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// The ZMTP handshake is not complete. `reads` counts the reads so far.
    Handshake { reads: u32 },
    /// The ZMTP handshake is complete.
    Open { peer: zmtp::Peer, kind: Kind },
}

/// A peer's kind, as detected from its handshake and its first message.
#[derive(Debug)]
pub(crate) enum Kind {
    /// No message has revealed the peer's dialect yet. `answered` is true if the broker has already
    /// sent an error reply.
    Unknown { answered: bool },
    /// The peer subscribes to the directory publication and sends only subscriptions.
    Subscriber(Subscriber),
    /// The dialect is known, and the peer is connected in the core. `first` is its first message if
    /// the core paused the peer before that message was delivered.
    Detected { codec: Codec, first: Option<Box<Frames>> },
}

/// The read state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Messages are delivered as they arrive.
    Active,
    /// The core has paused the peer: no messages are delivered.
    Paused,
    /// A message needs this much buffer memory and waits for it. The core may pause the peer
    /// meanwhile.
    WaitingForMemory { bytes: usize, paused: bool },
    /// The handshake is slow, so the next read is delayed.
    Resting,
    /// The connection closes when its output is written. Input is read and discarded.
    Closing,
}

impl Reading {
    pub(crate) fn pause(&mut self) {
        match self {
            Reading::Active => *self = Reading::Paused,
            Reading::WaitingForMemory { paused, .. } => *paused = true,
            Reading::Paused | Reading::Resting | Reading::Closing => {}
        }
    }

    pub(crate) fn resume(&mut self) {
        match self {
            Reading::Paused => *self = Reading::Active,
            Reading::WaitingForMemory { paused, .. } => *paused = false,
            Reading::Active | Reading::Resting | Reading::Closing => {}
        }
    }

    /// Continues after the awaited memory was granted.
    pub(crate) fn memory_granted(&mut self) {
        if let Reading::WaitingForMemory { paused, .. } = *self {
            *self = if paused { Reading::Paused } else { Reading::Active };
        }
    }

    fn is_paused(self) -> bool {
        matches!(self, Reading::Paused | Reading::WaitingForMemory { paused: true, .. })
    }
}

/// The state of the socket's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Nothing to read until the system reports an event.
    Empty,
    /// There may be data to read.
    Ready,
    /// There may be data to read, and the peer will send no more.
    Ended,
}

impl Incoming {
    /// Records that the system reported the socket as readable.
    pub(crate) fn arrived(&mut self) {
        if *self == Incoming::Empty {
            *self = Incoming::Ready;
        }
    }

    /// Records that all input was read.
    pub(crate) fn exhausted(&mut self) {
        if *self == Incoming::Ready {
            *self = Incoming::Empty;
        }
    }
}

/// The write state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// There is nothing to write.
    Idle,
    /// The connection is in the write list and is written to at the end of the iteration.
    Queued,
    /// The socket is not writable. The connection is in the write list so that the system is asked
    /// to report when the socket becomes writable.
    BlockedQueued,
    /// The socket is not writable, and the system reports when it becomes writable.
    Blocked,
}

impl Writing {
    /// Requests a write. Returns true if the connection must be added to the write list.
    #[inline]
    pub(crate) fn queue(&mut self) -> bool {
        let idle = *self == Writing::Idle;
        if idle {
            *self = Writing::Queued;
        }
        idle
    }

    /// Records that the connection was removed from the write list.
    pub(crate) fn dequeue(&mut self) {
        *self = match *self {
            Writing::Idle | Writing::Queued => Writing::Idle,
            Writing::Blocked | Writing::BlockedQueued => Writing::Blocked,
        };
    }

    fn block(&mut self) {
        *self = match *self {
            Writing::Idle | Writing::Blocked => Writing::Blocked,
            Writing::Queued | Writing::BlockedQueued => Writing::BlockedQueued,
        };
    }

    /// Records that the socket is writable again. Returns true if the connection must be added to
    /// the write list.
    pub(crate) fn unblock(&mut self) -> bool {
        match *self {
            Writing::Idle | Writing::Queued => false,
            Writing::BlockedQueued => {
                *self = Writing::Queued;
                false
            }
            Writing::Blocked => {
                *self = Writing::Queued;
                true
            }
        }
    }

    #[inline]
    pub(crate) fn is_blocked(self) -> bool {
        matches!(self, Writing::Blocked | Writing::BlockedQueued)
    }
}

/// The amount of unsent output, as last reported to the core. `written` counts the bytes written
/// since then, or since the core was last told that the peer is making progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HighWater {
    /// Below the high-water mark.
    Below,
    /// Above the high-water mark only because of one oversized message.
    OversizedPending { written: usize },
    /// Above the high-water mark.
    Above { written: usize },
}

/// The memory that a connection is charged for reassembling a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reassembly {
    /// No memory is charged.
    Idle,
    /// The memory was released. The connection is still in the list that is checked for progress.
    Released,
    /// Memory is charged, and the connection is in the list that is checked for progress.
    Charged(Charge),
}

/// The memory charged for a message, and the progress of that message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) bytes: usize,
    /// The time at which memory was first granted for this message, and the bytes received since.
    pub(crate) granted: Time,
    pub(crate) received: usize,
    /// The time at which the last byte arrived.
    pub(crate) progress: Time,
}

impl Reassembly {
    pub(crate) fn charged_bytes(&self) -> usize {
        match self {
            Reassembly::Idle | Reassembly::Released => 0,
            Reassembly::Charged(charge) => charge.bytes,
        }
    }

    /// Releases the charged memory and returns its size in bytes.
    pub(crate) fn release(&mut self) -> usize {
        let bytes = self.charged_bytes();
        if bytes > 0 {
            *self = Reassembly::Released;
        }
        bytes
    }

    /// Records that `bytes` bytes arrived, or (with 0) that reading was suspended until now.
    pub(crate) fn progressed(&mut self, now: Time, bytes: usize) {
        if let Reassembly::Charged(charge) = self {
            charge.progress = now;
            charge.received += bytes;
        }
    }
}

/// The result of one read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// The number of bytes read.
    pub(crate) bytes: usize,
    /// The number of bytes that are in the shared read buffer, not in the connection's own memory.
    pub(crate) buffered: usize,
    /// True if there may be more to read.
    pub(crate) more: bool,
}

/// The result of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The number of bytes written; there may be more to write.
    Some(usize),
    /// The number of bytes written; there is nothing more to write for now.
    Last(usize),
    /// The peer closed the connection.
    End,
}

impl Connection {
    pub(crate) fn new(
        id: PeerId,
        stream: Stream,
        zmtp: zmtp::Connection,
        origin: Origin,
        listener: usize,
    ) -> Self {
        Self {
            id,
            stream,
            zmtp,
            origin,
            listener,
            session: Session::Handshake { reads: 0 },
            reading: Reading::Active,
            incoming: Incoming::Ready,
            queued_to_read: false,
            reassembly: Reassembly::Idle,
            writing: Writing::Idle,
            watches_writing: false,
            high_water: HighWater::Below,
            logged: None,
            unlogged: 0,
        }
    }

    /// Returns the peer, once its ZMTP handshake is complete.
    pub(crate) fn peer(&self) -> Option<&zmtp::Peer> {
        match &self.session {
            Session::Handshake { .. } => None,
            Session::Open { peer, .. } => Some(peer),
        }
    }

    /// Returns the codec, once the dialect is known. From then on the peer is connected in the
    /// core.
    #[inline]
    pub(crate) fn codec(&self) -> Option<Codec> {
        match self.session {
            Session::Open { kind: Kind::Detected { codec, .. }, .. } => Some(codec),
            _ => None,
        }
    }

    /// Sets the peer's kind, once detected.
    pub(crate) fn set_kind(&mut self, new: Kind) {
        if let Session::Open { kind, .. } = &mut self.session {
            *kind = new;
        }
    }

    pub(crate) fn subscriber(&mut self) -> Option<&mut Subscriber> {
        match &mut self.session {
            Session::Open { kind: Kind::Subscriber(subscriber), .. } => Some(subscriber),
            _ => None,
        }
    }

    /// Returns true if the first message has not been delivered to the core yet.
    pub(crate) fn has_first_message(&self) -> bool {
        matches!(self.session, Session::Open { kind: Kind::Detected { first: Some(_), .. }, .. })
    }

    /// Takes the first message if it has not been delivered to the core yet.
    pub(crate) fn take_first_message(&mut self) -> Option<Box<Frames>> {
        match &mut self.session {
            Session::Open { kind: Kind::Detected { first, .. }, .. } => first.take(),
            _ => None,
        }
    }

    /// Returns true for a client that disconnected while the core had it paused. Its unread
    /// messages can be dropped because nobody waits for their replies. A worker's unread messages
    /// may include its last reply.
    pub(crate) fn is_disconnected_client_while_paused(&self) -> bool {
        self.incoming == Incoming::Ended
            && self.reading.is_paused()
            && self.codec().is_some_and(|codec| codec.side() == Side::Client)
    }

    /// Reads once: into the connection's own memory while a large message is being reassembled,
    /// otherwise into `buffer`. Returns `None` if the peer closed the connection.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<Received> {
        let own = self.zmtp.direct_buffer();
        let is_own = own.is_some();
        let place = own.unwrap_or(buffer);
        let room = place.len();
        let bytes = match self.stream.read(place) {
            Ok(0) => return None,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Some(Received { bytes: 0, buffered: 0, more: false });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Some(Received { bytes: 0, buffered: 0, more: true });
            }
            Err(_) => return None,
        };
        if is_own {
            self.zmtp.direct_received(bytes);
        }
        // A short read from a stream socket has emptied it.
        let more = bytes == room || self.incoming == Incoming::Ended;
        Some(Received { bytes, buffered: if is_own { 0 } else { bytes }, more })
    }

    /// Writes once: as much of the unsent output as the socket takes.
    pub(crate) fn write(&mut self) -> Progress {
        if self.zmtp.unsent_bytes() == 0 {
            return Progress::Last(0);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut count, mut total) = (0, 0);
        for (place, part) in slices.iter_mut().zip(self.zmtp.unsent()) {
            *place = IoSlice::new(part);
            count += 1;
            total += part.len();
        }
        match self.stream.write_gathered(&slices[..count]) {
            Ok(0) => Progress::End,
            Ok(written) => {
                self.zmtp.sent(written);
                if written < total {
                    self.writing.block();
                    Progress::Last(written)
                } else if self.zmtp.unsent_bytes() == 0 {
                    Progress::Last(written)
                } else {
                    Progress::Some(written)
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writing.block();
                Progress::Last(0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::Some(0),
            Err(_) => Progress::End,
        }
    }

    /// Returns the connection's name for the log.
    pub(crate) fn name(&self) -> String {
        let routing_id = self.peer().map(|peer| &peer.metadata.routing_id[..]);
        match routing_id {
            Some(id) if !id.is_empty() => format!("{} \"{}\"", self.origin, id.escape_ascii()),
            _ => self.origin.to_string(),
        }
    }
}

/// Encodes the frames of a message directly into a connection's output.
pub(crate) struct FrameSink<'a>(pub(crate) &'a mut zmtp::Connection);

impl Sink for FrameSink<'_> {
    const SHARED_FRAME_BYTES_MIN: usize = zmtp::SHARED_FRAME_BYTES_MIN;

    #[inline]
    fn frame(&mut self, frame: &[u8], more: bool) {
        self.0.send_frame(frame, more);
    }

    #[inline]
    fn shared_frame(&mut self, frame: Bytes, more: bool) {
        self.0.send_shared(&frame, more);
    }

    #[inline(always)]
    fn last_two_frames(&mut self, first: &[u8], last: &[u8]) {
        self.0.send_two_frames(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_outlasts_the_wait_for_memory() {
        let mut reading = Reading::WaitingForMemory { bytes: 1, paused: false };
        reading.pause();
        assert!(reading.is_paused());
        reading.memory_granted();
        assert_eq!(reading, Reading::Paused);
        reading.resume();
        assert_eq!(reading, Reading::Active);

        let mut reading = Reading::WaitingForMemory { bytes: 1, paused: true };
        reading.resume();
        assert_eq!(reading, Reading::WaitingForMemory { bytes: 1, paused: false });
        reading.memory_granted();
        assert_eq!(reading, Reading::Active);
    }

    #[test]
    fn closing_connection_is_neither_paused_nor_resumed() {
        for change in [Reading::pause, Reading::resume, Reading::memory_granted] {
            let mut reading = Reading::Closing;
            change(&mut reading);
            assert_eq!(reading, Reading::Closing);
        }
    }

    #[test]
    fn connection_is_in_the_write_list_once() {
        let mut writing = Writing::Idle;
        assert!(writing.queue());
        assert!(!writing.queue());
        writing.block();
        assert!(!writing.queue() && writing.is_blocked());
        writing.dequeue();
        assert_eq!(writing, Writing::Blocked);
        assert!(!writing.queue());
        assert!(writing.unblock());
        assert!(!writing.unblock());
        writing.block();
        assert!(!writing.unblock(), "it is in the list");
        assert_eq!(writing, Writing::Queued);
    }
}
