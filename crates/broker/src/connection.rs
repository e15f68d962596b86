//! One connection: its stream, its ZMTP, what is known of its peer, and the states of reading and
//! writing.

use std::io::{self, IoSlice, Read};

use bytes::Bytes;
use majordomus_core::{Frames, PeerId, Time};
use majordomus_wire::{Codec, Side, Sink};
use majordomus_zmtp as zmtp;

use crate::stream::{Origin, Stream};
use crate::subscriber::Subscriber;

/// Slices that one gathered write takes.
const SLICES_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: PeerId,
    pub(crate) stream: Stream,
    pub(crate) zmtp: zmtp::Connection,
    pub(crate) origin: Origin,
    /// The listener that accepted it.
    pub(crate) listener: usize,
    pub(crate) session: Session,
    pub(crate) reading: Reading,
    pub(crate) incoming: Incoming,
    /// Whether it is in the list of connections to read from.
    pub(crate) queued_to_read: bool,
    pub(crate) reassembly: Reassembly,
    pub(crate) writing: Writing,
    /// Whether the system reports when the socket takes bytes.
    pub(crate) watches_writing: bool,
    pub(crate) high_water: HighWater,
    /// When the log last mentioned it, and how often it did not since.
    pub(crate) logged: Option<Time>,
    pub(crate) unlogged: u64,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Session {
    /// The ZMTP handshake is not complete. `reads` counts the reads from it so far.
    Handshake { reads: u32 },
    /// The ZMTP handshake is complete.
    Open { peer: zmtp::Peer, kind: Kind },
}

/// What a peer has turned out to be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// No message has told its dialect yet. `answered` says that it was told so.
    Unknown { answered: bool },
    /// It reads what is published and sends subscriptions only.
    Subscriber(Subscriber),
    /// Its dialect is known, and so is the peer to the core. `first` is its first message, while the
    /// core has it paused.
    Detected { codec: Codec, first: Option<Box<Frames>> },
}

/// Whether messages are taken from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Messages are delivered as they come.
    Active,
    /// The core takes no commands from the peer.
    Paused,
    /// A message waits for this much buffer memory. The core may have paused the peer meanwhile.
    WaitingForMemory { bytes: usize, paused: bool },
    /// A slow handshake: the next read is due later.
    Resting,
    /// The connection is closed when its output is written. Input is read and discarded.
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

    /// The memory that was waited for is there.
    pub(crate) fn memory_granted(&mut self) {
        if let Reading::WaitingForMemory { paused, .. } = *self {
            *self = if paused { Reading::Paused } else { Reading::Active };
        }
    }

    fn is_paused(self) -> bool {
        matches!(self, Reading::Paused | Reading::WaitingForMemory { paused: true, .. })
    }
}

/// What the socket has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Nothing, until the system reports something.
    Empty,
    /// There may be something.
    Ready,
    /// There may be something, and the peer will write nothing more.
    Ended,
}

impl Incoming {
    /// The system reports that the socket has something to read.
    pub(crate) fn arrived(&mut self) {
        if *self == Incoming::Empty {
            *self = Incoming::Ready;
        }
    }

    /// Everything was read.
    pub(crate) fn exhausted(&mut self) {
        if *self == Incoming::Ready {
            *self = Incoming::Empty;
        }
    }
}

/// Whether the socket takes bytes, and whether the connection is in the list of connections to write
/// to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Nothing is to be written.
    Idle,
    /// It is in the list, to be written to at the end of the turn.
    Queued,
    /// The socket is full. It is in the list so that the system is asked to report when it is not.
    BlockedQueued,
    /// The socket is full, and the system reports when it takes bytes again.
    Blocked,
}

impl Writing {
    /// Something is to be written. Returns whether the connection is to be put into the list.
    #[inline]
    pub(crate) fn queue(&mut self) -> bool {
        let idle = *self == Writing::Idle;
        if idle {
            *self = Writing::Queued;
        }
        idle
    }

    /// It was taken from the list.
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

    /// The socket takes bytes again. Returns whether the connection is to be put into the list.
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

/// How much waits to be written, as the core knows it. `written` counts the bytes that were written
/// since, or since the core was last told that the peer makes progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HighWater {
    /// No more than may wait.
    Below,
    /// More than may wait, because one message alone is that large.
    OversizedPending { written: usize },
    /// More than may wait.
    Above { written: usize },
}

/// The memory that a connection is charged for a message that comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reassembly {
    /// None.
    Idle,
    /// None any more. The connection is still in the list of those that are watched for progress.
    Released,
    /// This, and the connection is in that list.
    Charged(Charge),
}

/// What is known of a message whose memory is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) bytes: usize,
    /// When memory was first granted for this message, and how many bytes came since.
    pub(crate) granted: Time,
    pub(crate) received: usize,
    /// When the last byte came.
    pub(crate) progress: Time,
}

impl Reassembly {
    pub(crate) fn charged_bytes(&self) -> usize {
        match self {
            Reassembly::Idle | Reassembly::Released => 0,
            Reassembly::Charged(charge) => charge.bytes,
        }
    }

    /// Gives back the memory. Returns how much it was.
    pub(crate) fn release(&mut self) -> usize {
        let bytes = self.charged_bytes();
        if bytes > 0 {
            *self = Reassembly::Released;
        }
        bytes
    }

    /// So many bytes came, or the peer was not read from until now.
    pub(crate) fn progressed(&mut self, now: Time, bytes: usize) {
        if let Reassembly::Charged(charge) = self {
            charge.progress = now;
            charge.received += bytes;
        }
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Bytes, all together.
    pub(crate) bytes: usize,
    /// Those of them that are in the read buffer, and not in memory of the connection's own.
    pub(crate) buffered: usize,
    /// Whether there may be more to read.
    pub(crate) more: bool,
}

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes, and there may be more to do.
    Some(usize),
    /// So many bytes, and there is no more to do for now.
    Last(usize),
    /// The other end is gone.
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

    /// The peer, once its ZMTP handshake has told it.
    pub(crate) fn peer(&self) -> Option<&zmtp::Peer> {
        match &self.session {
            Session::Handshake { .. } => None,
            Session::Open { peer, .. } => Some(peer),
        }
    }

    /// Its codec, once its dialect is known. The core knows the peer from then on.
    #[inline]
    pub(crate) fn codec(&self) -> Option<Codec> {
        match self.session {
            Session::Open { kind: Kind::Detected { codec, .. }, .. } => Some(codec),
            _ => None,
        }
    }

    /// Notes what the peer has turned out to be.
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

    /// Whether its first message waits for the core.
    pub(crate) fn has_first_message(&self) -> bool {
        matches!(self.session, Session::Open { kind: Kind::Detected { first: Some(_), .. }, .. })
    }

    /// Takes the first message, where it waits for the core.
    pub(crate) fn take_first_message(&mut self) -> Option<Box<Frames>> {
        match &mut self.session {
            Session::Open { kind: Kind::Detected { first, .. }, .. } => first.take(),
            _ => None,
        }
    }

    /// Whether it is a client that disconnected while the core had it paused: nobody waits for what it
    /// still has to say. A worker's last reply may be among that.
    pub(crate) fn is_disconnected_client_while_paused(&self) -> bool {
        self.incoming == Incoming::Ended
            && self.reading.is_paused()
            && self.codec().is_some_and(|codec| codec.side() == Side::Client)
    }

    /// Reads once, into the connection's own memory where it assembles a large message, else into
    /// `buffer`. `None` where the other end is gone.
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
        // A short read of a stream socket has taken all there was.
        let more = bytes == room || self.incoming == Incoming::Ended;
        Some(Received { bytes, buffered: if is_own { 0 } else { bytes }, more })
    }

    /// Writes once, as much as the socket takes of what waits.
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

    /// Its name in the log.
    pub(crate) fn name(&self) -> String {
        let routing_id = self.peer().map(|peer| &peer.metadata.routing_id[..]);
        match routing_id {
            Some(id) if !id.is_empty() => format!("{} \"{}\"", self.origin, id.escape_ascii()),
            _ => self.origin.to_string(),
        }
    }
}

/// Encodes the frames of a message straight into a connection's output.
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
