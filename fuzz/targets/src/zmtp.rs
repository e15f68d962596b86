//! Fuzz target for a ZMTP connection: a byte stream in one piece and in many.

use bytes::{Bytes, BytesMut};
use majordomus_zmtp::{
    Connection, Error, Event, Limits, Message, Metadata, Security, SocketType, UNGRANTED_BYTES_MAX,
};

use crate::random::Random;
use crate::source::Source;

const LIMITS: Limits =
    Limits { handshake_bytes_max: 1_000, message_bytes_max: 50_000, frames_max: 20 };

/// The length of the data after some streams: more than a connection buffers of a message without
/// asking for memory.
const FILLING_BYTES: usize = 40_000;

/// Feeds a stream to a connection. The first byte chooses the side and the preceding data. The next
/// byte chooses how the stream is cut and whether much data follows it. The rest is the stream. The
/// events and answers must not depend on the cuts. After an error nothing may be buffered.
pub fn zmtp(data: &[u8]) {
    let mut source = Source::new(data);
    let (choice, cuts) = (source.byte(), source.byte());
    let is_listener = choice & 1 == 0;
    let mut stream = Vec::new();
    if choice & 2 == 0 {
        stream.extend(greeting(choice >> 7));
        if choice & 4 == 0 {
            stream.extend(READY);
        }
    }
    stream.extend(source.rest());
    if cuts & 7 == 7 && choice & 16 == 16 {
        // This completes a large frame, in pieces that are not the smallest.
        stream.resize(stream.len() + FILLING_BYTES, 0xFF);
    }

    let mut whole = Run::new(is_listener);
    whole.receive(&stream);
    whole.end();

    let mut random = Random::new(u64::from(cuts));
    let piece_max = [1, 3, 40, 700][usize::from(choice >> 3 & 3)];
    let mut cut = Run::new(is_listener);
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + random.below(piece_max.min(rest.len())));
        rest = behind;
        match choice >> 5 & 3 {
            0 => cut.receive(piece),
            1 => cut.receive_direct(piece),
            2 => cut.receive_in_place(piece),
            _ => cut.receive_lazily(piece, random.below(4), random.below(3) == 0),
        }
    }
    cut.end();

    assert_eq!(whole.error, cut.error);
    assert_eq!(whole.events, cut.events);
    assert_eq!(whole.unsent(), cut.unsent());
    assert_eq!(whole.connection.receiving(), cut.connection.receiving());
}

/// Returns a peer's greeting with the NULL mechanism.
pub(crate) fn greeting(minor: u8) -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[0] = 0xFF;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = minor;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

/// The READY command of a DEALER without an identity.
pub(crate) const READY: &[u8] =
    b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";

/// A connection and its events, without details that depend on the reads.
struct Run {
    connection: Connection,
    events: Vec<Event>,
    error: Option<Error>,
    /// True if more memory was granted for the incoming message.
    granted: bool,
}

impl Run {
    fn new(is_listener: bool) -> Self {
        let connection = match is_listener {
            true => Connection::listener(Security::Null, LIMITS),
            false => {
                let ours = Metadata::new(SocketType::Dealer);
                Connection::connector(Security::Null, LIMITS, ours)
            }
        };
        Self { connection, events: Vec::new(), error: None, granted: false }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(&mut BytesMut::from(bytes));
        while self.poll() {}
        self.settle();
    }

    /// Reads into the buffer that the connection provides.
    fn receive_direct(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(buffer) = self.connection.direct_buffer() else { return self.receive(bytes) };
            let n = buffer.len().min(bytes.len());
            buffer[..n].copy_from_slice(&bytes[..n]);
            self.connection.direct_received(n);
            bytes = &bytes[n..];
            while self.poll() {}
            self.settle();
        }
    }

    /// Reads whole messages in place. The connection copies the remaining bytes.
    fn receive_in_place(&mut self, mut bytes: &[u8]) {
        let mut bounds = Vec::new();
        loop {
            if let Some(length) = self.connection.whole_message(bytes, &mut bounds) {
                let message = Message {
                    data: Bytes::copy_from_slice(&bytes[..length]),
                    frames: bounds.as_slice().into(),
                };
                assert!(self.error.is_none(), "{message:?} after an error");
                self.events.push(Event::Message(message));
                bytes = &bytes[length..];
                continue;
            }
            let polled = self.connection.poll_from(&mut bytes);
            if !self.handle(polled) {
                break;
            }
        }
        // Bytes may remain while a memory grant is pending.
        self.connection.receive_copy(bytes);
        self.settle();
    }

    /// Polls only `polls` times, so events may remain.
    fn receive_lazily(&mut self, bytes: &[u8], polls: usize, settles: bool) {
        self.connection.receive(&mut BytesMut::from(bytes));
        for _ in 0..polls {
            self.poll();
        }
        if settles {
            self.connection.settle();
        }
    }

    /// Polls once. Returns true if there was an event.
    fn poll(&mut self) -> bool {
        let polled = self.connection.poll();
        self.handle(polled)
    }

    /// Handles the result of a poll. Returns true if there was an event.
    fn handle(&mut self, polled: Result<Option<Event>, Error>) -> bool {
        let event = match polled {
            Ok(event) => event,
            Err(error) => {
                assert_eq!(self.connection.poll(), Err(error.clone()));
                assert!(self.error.as_ref().is_none_or(|first| *first == error));
                self.error = Some(error);
                return false;
            }
        };
        assert!(self.error.is_none(), "{event:?} after an error");
        match event {
            None => return false,
            Some(Event::Large { .. }) => {
                self.granted = true;
                self.connection.grant();
            }
            Some(event) => {
                self.granted &= !matches!(event, Event::Message(_));
                if matches!(event, Event::Hello(_)) {
                    self.connection.accept(&Metadata::new(SocketType::Router));
                }
                self.events.push(event);
            }
        }
        true
    }

    fn settle(&mut self) {
        self.connection.settle();
        let framing = 9 * (LIMITS.frames_max + 1);
        let granted_max = if self.granted { LIMITS.message_bytes_max + framing } else { 0 };
        // Memory grows by doubling.
        let held_max = granted_max + 2 * UNGRANTED_BYTES_MAX;
        assert!(self.connection.held_bytes() <= held_max, "{}", self.connection.held_bytes());
        assert!(self.error.is_none() || self.connection.held_bytes() == 0);
    }

    fn end(&mut self) {
        while self.poll() {}
        self.settle();
    }

    fn unsent(&self) -> Vec<u8> {
        self.connection.unsent().flatten().copied().collect()
    }
}
