//! A ZMTP connection over a TCP or Unix socket.

use std::fmt;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use majordomus_core::{ByteStr, COMMAND_BYTES_MAX, Frames};
use majordomus_wire::{Dialect, PACKED_PARTS_MAX, Sink, Socket};
use majordomus_zmtp::{
    BufferPool, Connection, Event, Limits, Metadata, SHARED_FRAME_BYTES_MIN, Security, SocketType,
};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::Endpoint;

/// The maximum number of frames before a message's body.
pub(crate) const HEAD_FRAMES_MAX: usize = 8;
/// The timeout for connecting, including the handshake.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for writing the remaining output when the link is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The maximum number of bytes per read.
const READ_BYTES_MAX: usize = 64 * 1024;
/// The minimum free space in the read buffer. Below it, a new buffer is allocated.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The maximum size of the buffer pool for large messages.
const SPARE_BYTES_MAX: usize = 4 << 20;
/// The time after which the buffer pool of an idle connection is cleared.
const SPARE_TIME: Duration = Duration::from_secs(1);
/// The maximum number of slices per write.
const SLICES_MAX: usize = 64;

/// Returns the maximum number of bytes in a message in addition to its body.
pub(crate) const fn head_bytes_max(dialect: Dialect) -> usize {
    match dialect.socket() {
        Socket::Dealer => COMMAND_BYTES_MAX,
        // Each frame is preceded by its length.
        Socket::Client => COMMAND_BYTES_MAX + 5 * PACKED_PARTS_MAX,
    }
}

/// A connection to a broker that has completed its handshake.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    zmtp: Connection,
    read_buffer: BytesMut,
    spares: BufferPool,
    /// True if the incoming message uses its own buffer instead of the read buffer.
    granted: bool,
}

impl Link {
    /// Connects to a broker with the given socket type, and performs the handshake.
    pub(crate) async fn open(
        endpoint: Endpoint,
        socket: Socket,
        routing_id: ByteStr,
        limits: Limits,
    ) -> Result<Self, LinkError> {
        let (ours, theirs) = match socket {
            Socket::Dealer => (SocketType::Dealer, SocketType::Router),
            Socket::Client => (SocketType::Client, SocketType::Server),
        };
        let opening = async {
            let stream = Stream::connect(&endpoint).await?;
            let ours = Metadata::new(ours).with_routing_id(&routing_id);
            let mut zmtp = Connection::connector(Security::Null, limits, ours);
            // A busy connection writes more than 4 KiB per iteration.
            zmtp.pool_output();
            let (read_buffer, spares) = (BytesMut::new(), BufferPool::new(SPARE_BYTES_MAX));
            let mut link = Self { stream, zmtp, read_buffer, spares, granted: false };
            link.shake_hands(theirs).await?;
            Ok(link)
        };
        timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(LinkError::NoHandshake))
    }

    async fn shake_hands(&mut self, expected: SocketType) -> Result<(), LinkError> {
        loop {
            match self.zmtp.poll()? {
                Some(Event::Hello(peer)) if peer.metadata.socket_type != expected => {
                    let found = peer.metadata.socket_type;
                    return Err(LinkError::OtherSocket { found, expected });
                }
                // Messages that follow the handshake are left for `next_message`.
                Some(Event::Hello(_)) => return Ok(()),
                Some(_) => {}
                None => {
                    self.zmtp.settle();
                    self.turn(true).await?;
                }
            }
        }
    }

    /// Waits until the socket is readable (if `reading`) or writable (if output is pending), and
    /// reads or writes once. This method is cancel safe.
    pub(crate) async fn turn(&mut self, reading: bool) -> Result<Moved, LinkError> {
        let writing = self.zmtp.unsent_bytes() > 0;
        let interest = match (reading, writing) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        let ready = self.ready(interest).await?;
        if ready.is_writable() {
            self.write()?;
        }
        let read = reading && ready.is_readable() && self.read()?;
        Ok(Moved { read })
    }

    async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        if self.spares.held_bytes() > 0 {
            if let Ok(ready) = timeout(SPARE_TIME, self.stream.ready(interest)).await {
                return ready;
            }
            self.spares.clear();
        }
        self.stream.ready(interest).await
    }

    /// Returns the next message in the received bytes, or `None` if more bytes are needed.
    pub(crate) fn next_message(&mut self) -> Result<Option<Frames>, LinkError> {
        loop {
            match self.zmtp.poll()? {
                Some(Event::Message(message)) => {
                    if std::mem::take(&mut self.granted) {
                        self.spares.lend(&message.data);
                    }
                    return Ok(Some(Frames::new(message.data, message.frames)));
                }
                // There is only one broker, and its message size is limited, so the memory is
                // always granted.
                Some(Event::Large { bytes }) => {
                    self.zmtp.grant_in(self.spares.take(bytes));
                    self.granted = true;
                }
                Some(_) => {}
                None => {
                    self.zmtp.settle();
                    return Ok(None);
                }
            }
        }
    }

    /// Sends a PING to the broker, if its ZMTP version supports PING.
    pub(crate) fn ping(&mut self) {
        self.zmtp.ping(0, b"");
    }

    pub(crate) fn unsent_bytes(&self) -> usize {
        self.zmtp.unsent_bytes()
    }

    /// Writes the remaining output, if possible within the timeout, and closes the connection.
    pub(crate) async fn close(mut self) {
        let flushing =
            async { while self.zmtp.unsent_bytes() > 0 && self.turn(false).await.is_ok() {} };
        let _ = timeout(CLOSE_TIMEOUT, flushing).await;
    }

    /// Reads once. Returns false if no bytes were available.
    fn read(&mut self) -> Result<bool, LinkError> {
        let read = if let Some(place) = self.zmtp.direct_buffer() {
            let read = self.stream.try_read(place);
            if let Ok(count) = read {
                self.zmtp.direct_received(count);
            }
            read
        } else {
            if self.read_buffer.capacity() < READ_BYTES_MIN {
                self.read_buffer.reserve(READ_BYTES_MAX);
            }
            let read = self.stream.try_read_buf(&mut self.read_buffer);
            self.zmtp.receive(&mut self.read_buffer);
            read
        };
        match read {
            Ok(0) => Err(LinkError::Ended),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&mut self) -> Result<(), LinkError> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slot, slice) in slices.iter_mut().zip(self.zmtp.unsent()) {
            *slot = IoSlice::new(slice);
            count += 1;
        }
        match self.stream.try_write_vectored(&slices[..count]) {
            Ok(written) => {
                self.zmtp.sent(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Queues frames, which the next [`turn`](Link::turn) writes.
impl Sink for Link {
    const SHARED_FRAME_BYTES_MIN: usize = SHARED_FRAME_BYTES_MIN;

    fn frame(&mut self, frame: &[u8], more: bool) {
        self.zmtp.send_frame(frame, more);
    }

    fn shared_frame(&mut self, frame: Bytes, more: bool) {
        self.zmtp.send_shared(&frame, more);
    }

    #[inline(always)]
    fn last_two_frames(&mut self, first: &[u8], last: &[u8]) {
        self.zmtp.send_two_frames(first, last);
    }
}

/// The result of [`Link::turn`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    /// True if bytes were read.
    pub(crate) read: bool,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Endpoint::Ipc { path } => Ok(Stream::Unix(UnixStream::connect(path).await?)),
            Endpoint::Inproc { name } => Ok(Stream::Unix(crate::inproc::connect(name)?)),
        }
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Stream::Tcp(stream) => stream.ready(interest).await,
            Stream::Unix(stream) => stream.ready(interest).await,
        }
    }

    fn try_read(&self, place: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_read(place),
            Stream::Unix(stream) => stream.try_read(place),
        }
    }

    fn try_read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_read_buf(buffer),
            Stream::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write_vectored(slices),
            Stream::Unix(stream) => stream.try_write_vectored(slices),
        }
    }
}

/// The reason why a link could not be opened or has been closed.
#[derive(Debug)]
pub(crate) enum LinkError {
    Io(io::Error),
    Zmtp(majordomus_zmtp::Error),
    Wire(majordomus_wire::Error),
    /// The broker closed the connection.
    Ended,
    /// The connection or its handshake took too long.
    NoHandshake,
    /// The peer has the wrong socket type and is therefore not a broker.
    OtherSocket {
        found: SocketType,
        expected: SocketType,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Io(error) => fmt::Display::fmt(error, f),
            LinkError::Zmtp(error) => fmt::Display::fmt(error, f),
            LinkError::Wire(error) => write!(f, "the broker broke the protocol: {error}"),
            LinkError::Ended => f.write_str("the broker closed the connection"),
            LinkError::NoHandshake => write!(f, "no handshake within {OPEN_TIMEOUT:?}"),
            LinkError::OtherSocket { found, expected } => {
                write!(f, "the peer is a {found} and not a {expected}")
            }
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        LinkError::Io(error)
    }
}

impl From<majordomus_zmtp::Error> for LinkError {
    fn from(error: majordomus_zmtp::Error) -> Self {
        LinkError::Zmtp(error)
    }
}

impl From<majordomus_wire::Error> for LinkError {
    fn from(error: majordomus_wire::Error) -> Self {
        LinkError::Wire(error)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use majordomus_core::{FromClient, FromWorker, Priority, Request, Timeout, WorkerReply};
    use majordomus_wire::{ADDRESS_BYTES_MAX, Codec, Side};

    use super::*;

    #[test]
    fn the_longest_names_fit_into_a_head() {
        let longest = "x".repeat(255);
        for dialect in Dialect::ALL {
            let request = Request {
                target: ByteStr::from(longest.as_str()),
                id: "18446744073709551615".into(),
                timeout: Timeout::After(Duration::from_millis(u32::MAX.into())),
                priority: Priority::new(9),
                redeliver: true,
                fresh: true,
                ..Request::new(longest.as_str(), Frames::from_slices(&[""]))
            };
            let mut written: Vec<Bytes> = Vec::new();
            let codec = Codec::new(dialect, Side::Client);
            codec.encode_from_client(&FromClient::Request(request), &mut written);
            check_head(dialect, &written);

            let address = "x".repeat(ADDRESS_BYTES_MAX);
            let reply = WorkerReply::new(address.as_str(), Frames::from_slices(&[""]));
            let mut written: Vec<Bytes> = Vec::new();
            let codec = Codec::new(dialect, Side::Worker);
            codec.encode_from_worker(&FromWorker::Final(reply), &mut written).unwrap();
            check_head(dialect, &written);
        }
    }

    #[test]
    fn what_is_kept_back_is_what_message_bytes_max_says() {
        for dialect in Dialect::ALL {
            let said = if dialect == Dialect::Gdp { 5_760 } else { 640 };
            assert_eq!(head_bytes_max(dialect), said, "{dialect}");
        }
    }

    fn check_head(dialect: Dialect, written: &[Bytes]) {
        let bytes: usize = written.iter().map(Bytes::len).sum();
        assert!((1..=head_bytes_max(dialect)).contains(&bytes), "{dialect}: {bytes}");
        assert!(written.len() <= HEAD_FRAMES_MAX + 1, "{dialect}: {}", written.len());
    }
}
