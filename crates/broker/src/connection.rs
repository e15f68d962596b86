//! One connection: its stream, its ZMTP, how it speaks, and why it is not read from.

use std::io::{self, IoSlice, Read};

use bytes::BytesMut;
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
    /// Through which listener it came.
    pub(crate) listener: usize,
    /// Who it is, as its handshake said.
    pub(crate) peer: Option<zmtp::Peer>,
    /// How it speaks, once it has spoken. The core knows it from then on.
    pub(crate) codec: Option<Codec>,
    /// It is here to hear the directory being published, and never speaks.
    pub(crate) subscriber: Option<Subscriber>,
    /// It was told that it has to begin otherwise.
    pub(crate) answered: bool,
    /// A first message that waits until the core takes commands from this peer.
    pub(crate) first: Option<Frames>,
    /// The core takes no commands from it.
    pub(crate) paused: bool,
    /// It waits for memory for a message of this many bytes.
    pub(crate) wants: Option<usize>,
    /// What it is charged for the message it is receiving.
    pub(crate) charged: usize,
    /// It is in the list of those whose reception is looked at for progress.
    pub(crate) watched: bool,
    /// When it was charged first for this message, and the bytes that came since.
    pub(crate) granted: Time,
    pub(crate) received: usize,
    /// When the last byte of a message that is charged came.
    pub(crate) progress: Time,
    /// How often it was read from before its handshake was over.
    pub(crate) handshake_reads: u32,
    /// Its handshake comes in small pieces, and it is read from again only when its rest is over.
    pub(crate) resting: bool,
    /// There may be more to read.
    pub(crate) readable: bool,
    /// The other end writes no more.
    pub(crate) ended: bool,
    /// The socket takes no more bytes until it says so.
    pub(crate) blocked: bool,
    /// The system tells us when it does.
    pub(crate) watches_writing: bool,
    /// As much waits to be written as may wait.
    pub(crate) filled: bool,
    /// At least so much waits; where it is not full, because one message is that large.
    pub(crate) laden: bool,
    /// Bytes that were written since it was full, or since the core was told so.
    pub(crate) drained: usize,
    /// It is in the list of those that have something to be written.
    pub(crate) dirty: bool,
    /// It is in the list of those that have something to be read.
    pub(crate) queued: bool,
    /// It is to be closed when what waits is written.
    pub(crate) closing: bool,
    /// When it was last mentioned in the log, and how often it was not since.
    pub(crate) logged: Option<Time>,
    pub(crate) unlogged: u64,
}

/// How a turn of reading or writing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes, and there may be more to do.
    Some(usize),
    /// So many bytes, and the socket has no more for now.
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
            peer: None,
            codec: None,
            subscriber: None,
            answered: false,
            first: None,
            paused: false,
            wants: None,
            charged: 0,
            watched: false,
            granted: Time::ZERO,
            received: 0,
            progress: Time::ZERO,
            handshake_reads: 0,
            resting: false,
            readable: true,
            ended: false,
            blocked: false,
            watches_writing: false,
            filled: false,
            laden: false,
            drained: 0,
            dirty: true,
            queued: false,
            closing: false,
            logged: None,
            unlogged: 0,
        }
    }

    /// Whether it is to be read from at all.
    pub(crate) fn is_heard(&self) -> bool {
        !self.paused && self.wants.is_none() && !self.closing && !self.resting
    }

    /// Whether it is a client that went away while it was not read from. What it still had to say,
    /// nobody waits for. A worker's last reply may be among what it said.
    pub(crate) fn is_client_gone_unheard(&self) -> bool {
        self.ended && self.paused && self.codec.is_some_and(|codec| codec.side() == Side::Client)
    }

    /// Reads once, into memory of its own where it receives a large message, else into `shared`.
    pub(crate) fn read(&mut self, shared: &mut BytesMut) -> Progress {
        let (result, room) = match self.zmtp.direct_buffer() {
            Some(buffer) => (self.stream.read(buffer), buffer.len()),
            None => (self.stream.read(shared), shared.len()),
        };
        match result {
            Ok(0) => Progress::End,
            Ok(read) => {
                if self.zmtp.direct_buffer().is_some() {
                    self.zmtp.direct_received(read);
                } else {
                    self.zmtp.receive(&mut shared.split_to(read));
                }
                // A short read of a stream socket has taken all there was.
                if read == room || self.ended { Progress::Some(read) } else { Progress::Last(read) }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Progress::Last(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::Some(0),
            Err(_) => Progress::End,
        }
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
                self.blocked = written < total;
                if self.blocked || self.zmtp.unsent_bytes() == 0 {
                    Progress::Last(written)
                } else {
                    Progress::Some(written)
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.blocked = true;
                Progress::Last(0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::Some(0),
            Err(_) => Progress::End,
        }
    }

    /// How it is named in the log.
    pub(crate) fn name(&self) -> String {
        let routing_id = self.peer.as_ref().map(|peer| &peer.metadata.routing_id[..]);
        match routing_id {
            Some(id) if !id.is_empty() => format!("{} \"{}\"", self.origin, id.escape_ascii()),
            _ => self.origin.to_string(),
        }
    }
}

/// Takes the frames of a message straight into a connection's output.
pub(crate) struct Outlet<'a>(pub(crate) &'a mut zmtp::Connection);

impl Sink for Outlet<'_> {
    fn frame(&mut self, frame: &[u8], more: bool) {
        self.0.send_frame(frame, more);
    }

    fn body_frame(&mut self, frames: &Frames, index: usize, more: bool) {
        match frames.get(index) {
            Some(frame) if frame.len() < zmtp::SHARED_FRAME_BYTES_MIN => {
                self.0.send_frame(frame, more);
            }
            _ => {
                if let Some(frame) = frames.shared(index) {
                    self.0.send_shared(&frame, more);
                }
            }
        }
    }
}
