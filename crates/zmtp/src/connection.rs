//! A ZMTP connection: the handshake and the traffic after it.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::mem;

use bytes::{Bytes, BytesMut};

use crate::{
    Error, Event, Limits, Message, Metadata, Peer, Security,
    assembly::{self, Assembly, Command, Found},
    command::{self, PING_CONTEXT_BYTES_MAX},
    frame,
    greeting::{self, GREETING_BYTES},
    input::Input,
    mechanism::{Mechanism, Step},
    output::{Output, SHARED_FRAME_BYTES_MIN},
};

/// The maximum number of unsent PONGs. Further PINGs get no answer.
pub const UNSENT_PONGS_MAX: u32 = 64;

/// The state of a connection.
///
/// ```text
///   Greeting --64 bytes--> Handshake --connector--> Open
///                              |                     ^
///                              +----listener--> Deciding
///                                                    accept()
///   any --refuse()--> Refused        any --violation--> Failed
/// ```
#[derive(Debug)]
enum Phase {
    /// The peer's greeting is incomplete.
    Greeting,
    /// The mechanisms exchange their commands.
    Handshake,
    /// A listener has reported the peer and waits for its user's answer.
    Deciding,
    /// The handshake is complete.
    Open,
    /// The user refused the peer.
    Refused,
    /// The peer violated the protocol.
    Failed(Error),
}

/// One side of a ZMTP 3 connection, without I/O: received bytes go in, and events and bytes to send
/// come out. The [crate documentation](crate) shows the caller's loop.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    limits: Limits,
    is_listener: bool,
    /// The minor version that the peer announced.
    minor: u8,
    mechanism: Mechanism,
    /// The number of handshake bytes processed.
    handshake_bytes: usize,
    input: Input,
    assembly: Assembly,
    output: Output,
    /// True while a message is partially queued: more of its frames follow.
    sending: bool,
    /// The number of PONGs queued since the last time that none were unsent, and the stream
    /// position at which the last one ends.
    pongs: u32,
    pongs_end: u64,
}

/// Creating a connection and answering its handshake.
impl Connection {
    /// Creates the accepting side of a connection. Its greeting is queued at once, and its metadata
    /// is queued by [`accept`](Self::accept).
    ///
    /// ```
    /// use majordomus_zmtp::{Connection, Limits, Security};
    ///
    /// let connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.unsent_bytes(), 64);
    /// ```
    #[must_use]
    pub fn listener(security: Security, limits: Limits) -> Self {
        Self::new(Mechanism::listener(security), limits, true)
    }

    /// Creates the connecting side of a connection. Its greeting is queued at once, and `ours` as
    /// soon as the peer's greeting has arrived, without waiting for the peer's metadata.
    ///
    /// ```
    /// use majordomus_zmtp::{Connection, Limits, Metadata, Security, SocketType};
    ///
    /// let ours = Metadata::new(SocketType::Dealer);
    /// let connection = Connection::connector(Security::Null, Limits::default(), ours);
    /// assert!(!connection.is_open());
    /// ```
    #[must_use]
    pub fn connector(security: Security, limits: Limits, ours: Metadata) -> Self {
        Self::new(Mechanism::connector(security, ours), limits, false)
    }

    fn new(mechanism: Mechanism, limits: Limits, is_listener: bool) -> Self {
        let mut output = Output::default();
        output.copy(&greeting::encode(mechanism.name(), mechanism.as_server()));
        Self {
            phase: Phase::Greeting,
            limits: limits.representable(),
            is_listener,
            minor: 0,
            mechanism,
            handshake_bytes: 0,
            input: Input::new(),
            assembly: Assembly::default(),
            output,
            sending: false,
            pongs: 0,
            pongs_end: 0,
        }
    }

    /// Accepts the peer after [`Event::Hello`]: sends `ours` and opens a listener's connection.
    /// Does nothing at any other time.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Metadata, Security, SocketType};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.accept(&Metadata::new(SocketType::Router));
    /// assert!(!connection.is_open(), "nobody has said hello");
    /// ```
    pub fn accept(&mut self, ours: &Metadata) {
        if matches!(self.phase, Phase::Deciding) {
            self.mechanism.accept(ours, &mut self.output);
            self.phase = Phase::Open;
        }
    }

    /// Refuses the peer: queues an ERROR with this reason and ignores all further input. The caller
    /// then writes the unsent bytes and closes the socket.
    ///
    /// This method may be called at any time, including after an error. At most 255 characters of
    /// the reason are sent. Characters other than printable ASCII become question marks.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.refuse("too many connections");
    /// assert!(connection.unsent_bytes() > 64);
    /// ```
    pub fn refuse(&mut self, reason: &str) {
        if matches!(self.phase, Phase::Refused) {
            return;
        }
        command::send_error(reason, &mut self.output);
        if !matches!(self.phase, Phase::Failed(_)) {
            self.phase = Phase::Refused;
        }
        self.drop_input();
    }

    /// Returns true if the handshake is complete and messages can be sent.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let connection = Connection::listener(Security::Null, Limits::default());
    /// assert!(!connection.is_open());
    /// ```
    #[inline]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }
}

/// Receiving.
impl Connection {
    /// Moves all bytes out of `input`. This needs no copy unless earlier bytes are unprocessed.
    /// Bytes that arrive after the end of the connection are dropped.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Error, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// let mut read_buffer = bytes::BytesMut::from(&b"GET / HTTP/1.1"[..]);
    /// connection.receive(&mut read_buffer);
    /// assert!(read_buffer.is_empty());
    /// assert_eq!(connection.poll(), Err(Error::GreetingNotZmtp { first: b'G' }));
    /// ```
    #[inline]
    pub fn receive(&mut self, input: &mut BytesMut) {
        if matches!(self.phase, Phase::Failed(_) | Phase::Refused) {
            input.clear();
        } else {
            self.input.receive(input);
        }
    }

    /// Copies all of `bytes`. A caller of [`poll_from`](Self::poll_from) passes the remaining bytes
    /// when it stops polling.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.receive_copy(&[0xFF, 0, 0]);
    /// assert_eq!(connection.held_bytes(), 3);
    /// ```
    pub fn receive_copy(&mut self, bytes: &[u8]) {
        if !matches!(self.phase, Phase::Failed(_) | Phase::Refused) {
            self.input.receive_copy(bytes);
        }
    }

    /// Returns the next event, or `None` if more bytes, or an answer to the last event, are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer violated the protocol, exceeded a limit or refused the
    /// connection. The connection has then failed, and every later call returns the same error.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.poll(), Ok(None));
    /// ```
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Event>, Error> {
        let result = if self.is_open() { self.poll_open() } else { self.poll_handshake() };
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    /// Returns the length of the message at the start of `bytes`, and writes the start and end of
    /// each of its frames to `bounds`. Nothing is copied and the connection does not change; the
    /// caller continues after the message.
    ///
    /// Returns `None` if earlier bytes are unprocessed, or if `bytes` do not start with a complete
    /// message within the limits. In that case call [`poll_from`](Self::poll_from), which consumes
    /// the bytes or returns the error.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let connection = Connection::listener(Security::Null, Limits::default());
    /// let mut bounds = Vec::new();
    /// assert_eq!(connection.whole_message(b"\x00\x05hello", &mut bounds), None, "it is not open");
    /// ```
    #[inline]
    #[must_use]
    pub fn whole_message(&self, bytes: &[u8], bounds: &mut Vec<(u32, u32)>) -> Option<usize> {
        if !self.is_open() || !self.input.is_empty() {
            return None;
        }
        assembly::whole_message(bytes, &self.limits, bounds)
    }

    /// Returns the next event like [`poll`](Self::poll), and copies the bytes that it needs from
    /// the front of `bytes`. When it returns `None`, all of `bytes` have been consumed, unless the
    /// connection waits for [memory](Event::Large).
    ///
    /// # Errors
    ///
    /// The same as for [`poll`](Self::poll).
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Error, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// let mut bytes = &b"GET / HTTP/1.1"[..];
    /// assert_eq!(connection.poll_from(&mut bytes), Err(Error::GreetingNotZmtp { first: b'G' }));
    /// ```
    pub fn poll_from(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, Error> {
        loop {
            let event = self.poll()?;
            if event.is_some() || bytes.is_empty() || !self.input.takes_bytes() {
                return Ok(event);
            }
            if self.is_open() {
                self.input.receive_front(bytes);
            } else {
                self.receive_copy(mem::take(bytes));
            }
        }
    }

    #[cold]
    fn fail(&mut self, error: &Error) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.phase = Phase::Failed(error.clone());
            self.drop_input();
        }
    }

    fn drop_input(&mut self) {
        self.input.clear();
        self.assembly = Assembly::default();
    }

    fn poll_open(&mut self) -> Result<Option<Event>, Error> {
        while self.input.ready() {
            match self.assembly.find(self.input.bytes(), &self.limits)? {
                Found::Message { end } => {
                    let data = self.input.take_message(end);
                    let frames = self.assembly.take_frames();
                    return Ok(Some(Event::Message(Message { data, frames })));
                }
                Found::Need(need) => {
                    if let Some(bytes) = self.input.starve(need) {
                        return Ok(Some(Event::Large { bytes }));
                    }
                }
                Found::Command { body } => {
                    let end = body.end;
                    let command = assembly::read_command(&self.input.bytes()[body])?;
                    let event =
                        answer(command, &mut self.output, &mut self.pongs, &mut self.pongs_end);
                    if self.assembly.begun() {
                        self.input.look_again();
                    } else {
                        self.input.skip(end);
                    }
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }

    #[cold]
    fn poll_handshake(&mut self) -> Result<Option<Event>, Error> {
        if matches!(self.phase, Phase::Greeting) {
            self.input.fill(GREETING_BYTES);
            let parsed = greeting::parse(self.input.bytes(), self.mechanism.name())?;
            let Some(greeting) = parsed else { return Ok(None) };
            self.minor = greeting.minor;
            self.take_handshake_bytes(GREETING_BYTES);
            self.mechanism.greeted(&mut self.output);
            self.phase = Phase::Handshake;
        }
        match &self.phase {
            Phase::Handshake => self.poll_mechanism(),
            Phase::Failed(error) => Err(error.clone()),
            Phase::Deciding => {
                // A conforming peer waits for this side's READY, so it sends nothing that must be
                // buffered.
                let limit = self.limits.handshake_bytes_max;
                if self.handshake_bytes + self.input.len() > limit {
                    return Err(Error::HandshakeTooLong { limit });
                }
                Ok(None)
            }
            Phase::Greeting | Phase::Open | Phase::Refused => Ok(None),
        }
    }

    fn poll_mechanism(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let bytes_max = self.limits.handshake_bytes_max.saturating_sub(self.handshake_bytes);
            let found =
                assembly::find_handshake_command(self.input.bytes(), bytes_max, &self.limits)?;
            let body = match found {
                Ok(body) => body,
                Err(need) if self.input.fill(need) => continue,
                Err(_) => return Ok(None),
            };
            let end = body.end;
            let (name, data) = command::split(&self.input.bytes()[body])?;
            let step = self.mechanism.command(name, data)?;
            self.take_handshake_bytes(end);
            if let Step::Hello(metadata) = step {
                self.phase = if self.is_listener { Phase::Deciding } else { Phase::Open };
                return Ok(Some(Event::Hello(Peer { minor: self.minor, metadata })));
            }
        }
    }

    fn take_handshake_bytes(&mut self, end: usize) {
        self.input.skip(end);
        self.handshake_bytes += end;
    }

    /// Ends a turn of polling: moves unprocessed bytes out of the caller's read buffer into the
    /// connection's own memory, and releases all memory if there are none.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.receive(&mut bytes::BytesMut::from(&[0xFF, 0, 0][..]));
    /// assert_eq!(connection.poll(), Ok(None));
    /// connection.settle();
    /// assert_eq!(connection.held_bytes(), 3);
    /// ```
    #[inline]
    pub fn settle(&mut self) {
        self.input.settle();
    }

    /// Answers [`Event::Large`]: reserves the requested memory.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.grant();
    /// assert_eq!(connection.held_bytes(), 0, "nothing was asked for");
    /// ```
    pub fn grant(&mut self) {
        self.grant_in(BytesMut::new());
    }

    /// Like [`grant`](Self::grant), but uses existing memory, for example from
    /// [`BufferPool`](crate::BufferPool). Its contents are overwritten. If it is too small, new memory is
    /// allocated.
    ///
    /// ```
    /// # use bytes::BytesMut;
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.grant_in(BytesMut::zeroed(100_000));
    /// assert_eq!(connection.held_bytes(), 0, "nothing was asked for");
    /// ```
    pub fn grant_in(&mut self, memory: BytesMut) {
        self.input.grant(memory);
    }

    /// Returns a buffer for direct reads from the socket, after a [`grant`](Self::grant) and until
    /// that message is complete, so that a large body is not copied. After the read, call
    /// [`direct_received`](Self::direct_received) with the number of bytes, then
    /// [`poll`](Self::poll).
    ///
    /// Returns `None` if there is no such message, or if received bytes have not been polled yet.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// assert!(connection.direct_buffer().is_none());
    /// ```
    #[inline]
    pub fn direct_buffer(&mut self) -> Option<&mut [u8]> {
        self.input.direct_room()
    }

    /// Reports that `n` bytes were read into the [`direct_buffer`](Self::direct_buffer).
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// if let Some(buffer) = connection.direct_buffer() {
    ///     buffer[0] = 7;
    ///     connection.direct_received(1);
    /// }
    /// ```
    #[inline]
    pub fn direct_received(&mut self, n: usize) {
        self.input.direct_received(n);
    }

    /// Returns the memory, in bytes, that is reserved for received data that is not yet an event.
    /// The value is exact after [`settle`](Self::settle).
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.held_bytes(), 0);
    /// ```
    #[inline]
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.input.held_bytes()
    }

    /// Returns true if a greeting, a command or a message is incomplete. Call it after polling.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.receive(&mut bytes::BytesMut::from(&[0xFF][..]));
    /// assert!(connection.receiving());
    /// ```
    #[inline]
    #[must_use]
    pub fn receiving(&self) -> bool {
        !self.input.is_empty()
    }
}

/// Sending.
impl Connection {
    /// Queues a copy of a frame. `more` is true if more frames of the message follow. Queue all
    /// frames of a message before the next [`poll`](Self::poll).
    ///
    /// Only an [open](Self::is_open) connection sends. On a connection that has ended, the frame is
    /// dropped. Before the handshake is complete, the frame is dropped too, and debug builds panic,
    /// because that is a bug in the caller.
    ///
    /// ```
    /// # use majordomus_zmtp::Connection;
    /// fn send_hello(connection: &mut Connection) {
    ///     connection.send_frame(b"", true);
    ///     connection.send_frame(b"hello", false);
    /// }
    /// ```
    #[inline]
    pub fn send_frame(&mut self, frame: &[u8], more: bool) {
        if self.may_send(more) {
            self.output.copy_frame(if more { frame::MORE } else { 0 }, frame);
        }
    }

    /// Queues a message of two frames, like two calls of [`send_frame`](Self::send_frame).
    ///
    /// Most messages consist of a short command frame and a body frame. This method reserves memory
    /// for both at once.
    ///
    /// ```
    /// # use majordomus_zmtp::Connection;
    /// fn send_request(connection: &mut Connection, command: &[u8], body: &[u8]) {
    ///     connection.send_two_frames(command, body);
    /// }
    /// ```
    #[inline(always)]
    pub fn send_two_frames(&mut self, first: &[u8], last: &[u8]) {
        if self.may_send(false) {
            self.output.copy_two_frames((frame::MORE, first), (0, last));
        }
    }

    /// Like [`send_frame`](Self::send_frame), but a frame of
    /// [`SHARED_FRAME_BYTES_MIN`](crate::SHARED_FRAME_BYTES_MIN) bytes or more is not copied: the
    /// connection holds a reference to it until it is written.
    ///
    /// ```
    /// # use majordomus_zmtp::Connection;
    /// fn send_body(connection: &mut Connection, body: &bytes::Bytes) {
    ///     connection.send_shared(body, false);
    /// }
    /// ```
    #[inline]
    pub fn send_shared(&mut self, frame: &Bytes, more: bool) {
        if frame.len() < SHARED_FRAME_BYTES_MIN {
            self.send_frame(frame, more);
        } else if self.may_send(more) {
            self.output.share_frame(if more { frame::MORE } else { 0 }, frame.clone());
        }
    }

    #[inline]
    fn may_send(&mut self, more: bool) -> bool {
        debug_assert!(
            matches!(self.phase, Phase::Open | Phase::Refused | Phase::Failed(_)),
            "a message is sent before the handshake is over"
        );
        self.sending = more;
        self.is_open()
    }

    /// Queues a PING to probe the peer.
    ///
    /// `ttl_tenths` is the time, in tenths of a second, for which the peer keeps the connection
    /// without receiving more data; zero requests no timeout. The peer echoes `context` in its
    /// PONG. Returns true if the PING was queued. It is not queued to a ZMTP 3.0 peer, before the
    /// handshake is complete, between two frames of a message, or with a context of more than
    /// [`PING_CONTEXT_BYTES_MAX`](crate::PING_CONTEXT_BYTES_MAX) bytes.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// # let mut connection = Connection::listener(Security::Null, Limits::default());
    /// assert!(!connection.ping(0, b""), "the handshake is not over");
    /// ```
    pub fn ping(&mut self, ttl_tenths: u16, context: &[u8]) -> bool {
        let may_ping = self.is_open()
            && self.minor >= 1
            && !self.sending
            && context.len() <= PING_CONTEXT_BYTES_MAX;
        if may_ping {
            let ttl = ttl_tenths.to_be_bytes();
            command::send(command::PING, &[&ttl, context], &mut self.output);
        }
        may_ping
    }

    /// Returns the number of unsent bytes.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.unsent_bytes(), 64, "the greeting");
    /// ```
    #[inline]
    #[must_use]
    pub const fn unsent_bytes(&self) -> usize {
        self.output.unsent_bytes()
    }

    /// Returns the unsent bytes, in order, as slices for a vectored write. No slice is empty. The
    /// iterator is lazy: take only as many slices as one write accepts.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.unsent().next().map(|slice| slice[0]), Some(0xFF));
    /// ```
    pub fn unsent(&self) -> impl Iterator<Item = &[u8]> {
        self.output.unsent()
    }

    /// Copies the unsent frames that are queued by reference and are shorter than `below` bytes.
    /// Such a frame may keep a whole read buffer alive. That is acceptable for one turn, but not
    /// for as long as a peer does not read.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.detach(64 << 10);
    /// assert_eq!(connection.unsent_bytes(), 64, "what waits is the same");
    /// ```
    pub fn detach(&mut self, below: usize) {
        self.output.detach(below);
    }

    /// Removes the first `n` unsent bytes, which were written. Releases memory when all bytes are
    /// written.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.sent(60);
    /// assert_eq!(connection.unsent_bytes(), 4);
    /// ```
    #[inline]
    pub fn sent(&mut self, n: usize) {
        self.output.sent(n);
    }
}

/// Sharing output memory between connections.
impl Connection {
    /// Retains up to 64 KiB of output memory, instead of 4 KiB, when all bytes are written. Use it
    /// in programs that call [`take_output_buffer`](Self::take_output_buffer) or that have few
    /// connections.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.pool_output();
    /// ```
    pub fn pool_output(&mut self) {
        self.output.pool();
    }

    /// Takes the output memory once all of it is written, to pass it to
    /// [`give_output_buffer`](Self::give_output_buffer) of the next connection that sends. A
    /// program with many connections then needs memory only for the connections that send at the
    /// same time.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// assert_eq!(connection.take_output_buffer(), None, "its greeting is unsent");
    /// connection.sent(64);
    /// assert!(connection.take_output_buffer().is_some());
    /// ```
    #[inline]
    pub fn take_output_buffer(&mut self) -> Option<Vec<u8>> {
        self.output.take_buffer()
    }

    /// Provides output memory, if the connection has none. Its contents are overwritten.
    ///
    /// ```
    /// # use majordomus_zmtp::{Connection, Limits, Security};
    /// let mut connection = Connection::listener(Security::Null, Limits::default());
    /// connection.give_output_buffer(vec![0; 4096]);
    /// assert_eq!(connection.unsent_bytes(), 64, "the greeting is in memory of its own");
    /// ```
    #[inline]
    pub fn give_output_buffer(&mut self, buffer: Vec<u8>) {
        self.output.give_buffer(buffer);
    }
}

/// Answers a command if it needs an answer, and converts it to an event.
fn answer(
    command: Command<'_>,
    output: &mut Output,
    pongs: &mut u32,
    pongs_end: &mut u64,
) -> Event {
    let owned = |bytes: &[u8]| Bytes::from(bytes.to_owned());
    match command {
        Command::Ping { context } => {
            if output.sent_to() >= *pongs_end {
                *pongs = 0;
            }
            if *pongs < UNSENT_PONGS_MAX {
                command::send(command::PONG, &[context], output);
                *pongs += 1;
                *pongs_end = output.end();
            }
            Event::Ping
        }
        Command::Pong { context } => Event::Pong(owned(context)),
        Command::Subscribe { topic } => Event::Subscribe(owned(topic)),
        Command::Cancel { topic } => Event::Cancel(owned(topic)),
        Command::Unknown { name } => Event::Unknown(owned(name)),
    }
}
