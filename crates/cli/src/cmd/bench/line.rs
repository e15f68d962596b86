//! A connection of the load generator: ZMTP over a nonblocking socket.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use majordomus_wire::Sink;
use majordomus_zmtp::{
    Connection, Error, Event, Limits, Message, Metadata, SHARED_FRAME_BYTES_MIN, Security,
};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::cmd::stream::Stream;

/// The maximum number of bytes in one read.
const READ_BYTES_MAX: usize = 64 << 10;
/// The free buffer space below which the buffer is replaced, so that reads stay large.
const READ_BYTES_MIN: usize = 16 << 10;
/// The maximum number of slices in one write.
const SLICES_MAX: usize = 16;

/// A connection to a broker.
#[derive(Debug)]
pub(super) struct Line {
    socket: Socket,
    zmtp: Connection,
    /// True if the socket may be readable.
    readable: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The reason that a connection cannot be used any more.
#[derive(Debug)]
pub(super) enum Broken {
    Closed,
    Socket(io::Error),
    Zmtp(Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closed => f.write_str("the broker closed a connection"),
            Broken::Socket(error) => write!(f, "a connection broke: {error}"),
            Broken::Zmtp(error) => write!(f, "a connection broke: {error}"),
        }
    }
}

impl Line {
    pub(super) fn open(endpoint: &str, ours: Metadata, patience: Duration) -> io::Result<Self> {
        let socket = match Stream::connect(endpoint, patience)? {
            Stream::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Socket::Tcp(TcpStream::from_std(stream))
            }
            Stream::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Socket::Unix(UnixStream::from_std(stream))
            }
        };
        let zmtp = Connection::connector(Security::Null, Limits::default(), ours);
        Ok(Self { socket, zmtp, readable: false })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Tcp(stream) => registry.register(stream, token, both),
            Socket::Unix(stream) => registry.register(stream, token, both),
        }
    }

    /// Marks the socket as readable.
    pub(super) fn wake(&mut self) {
        self.readable = true;
    }

    /// Returns true if the socket may be readable.
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns true if messages can be sent.
    pub(super) fn is_open(&self) -> bool {
        self.zmtp.is_open()
    }

    /// Reads once into `buffer`. No other connection may use the buffer until
    /// [`next_message`](Self::next_message) returns `None`.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> Result<(), Broken> {
        if !self.readable {
            return Ok(());
        }
        if buffer.len() < READ_BYTES_MIN {
            buffer.clear();
            buffer.reserve(READ_BYTES_MAX);
            buffer.resize(READ_BYTES_MAX, 0);
        }
        let (read, room) = match self.zmtp.direct_buffer() {
            Some(place) => (self.socket.read(place), place.len()),
            None => (self.socket.read(buffer), buffer.len()),
        };
        match read {
            Ok(0) => Err(Broken::Closed),
            Ok(read) => {
                if self.zmtp.direct_buffer().is_some() {
                    self.zmtp.direct_received(read);
                } else {
                    self.zmtp.receive(&mut buffer.split_to(read));
                }
                // A short read from a stream socket has emptied the receive buffer.
                self.readable = read == room;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(Broken::Socket(error)),
        }
    }

    /// Returns the next complete message among the bytes read.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, Broken> {
        loop {
            match self.zmtp.poll().map_err(Broken::Zmtp)? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                // The message is at most as large as a requested body. The limits reject anything
                // larger.
                Some(Event::Large { .. }) => self.zmtp.grant(),
                Some(_) => {}
                None => {
                    self.zmtp.settle();
                    return Ok(None);
                }
            }
        }
    }

    /// Writes as many queued bytes as the socket accepts.
    pub(super) fn write(&mut self) -> Result<(), Broken> {
        while self.zmtp.unsent_bytes() > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (place, part) in slices.iter_mut().zip(self.zmtp.unsent()) {
                *place = IoSlice::new(part);
                count += 1;
            }
            match self.socket.write_vectored(&slices[..count]) {
                Ok(written) => self.zmtp.sent(written),
                // The poll reports when the socket is writable again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Socket(error)),
            }
        }
        Ok(())
    }
}

/// Queues frames for the next [`write`](Line::write).
impl Sink for Line {
    const SHARED_FRAME_BYTES_MIN: usize = SHARED_FRAME_BYTES_MIN;

    fn frame(&mut self, frame: &[u8], more: bool) {
        self.zmtp.send_frame(frame, more);
    }

    fn shared_frame(&mut self, frame: Bytes, more: bool) {
        self.zmtp.send_shared(&frame, more);
    }

    fn last_two_frames(&mut self, first: &[u8], last: &[u8]) {
        self.zmtp.send_two_frames(first, last);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Socket {
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write_vectored(slices),
            Socket::Unix(stream) => stream.write_vectored(slices),
        }
    }
}
