//! Fuzz target for two ZMTP connections that exchange messages.

use bytes::{Bytes, BytesMut};
use majordomus_zmtp::{
    Connection, Event, Limits, Metadata, Security, SocketType, UNSENT_PONGS_MAX,
};

use crate::source::Source;

/// Frame lengths at the boundaries of the framing.
const LENGTHS: &[usize] = &[0, 1, 254, 255, 256, 300, 8_191, 8_192, 20_000];

/// Runs two connected peers. Each byte is an action of one side: it sends a frame, sends a PING, or
/// writes some bytes. Each side must receive exactly the other side's messages, and a PONG for
/// every PING.
pub fn traffic(data: &[u8]) {
    let mut source = Source::new(data);
    let ours = Metadata::new(SocketType::Dealer).with_routing_id(b"me");
    let mut ends = [
        End::new(Connection::connector(Security::Null, Limits::default(), ours)),
        End::new(Connection::listener(Security::Null, Limits::default())),
    ];
    while !source.is_empty() {
        let choice = source.byte();
        let from = usize::from(choice & 1);
        match choice >> 1 & 3 {
            0 | 1 => ends[from].send(choice >> 4, source.byte()),
            2 => ends[from].ping(choice >> 3),
            _ => pass(&mut ends, from, 1 + (usize::from(choice >> 3) << (choice >> 4))),
        }
    }
    for end in &mut ends {
        end.finish();
    }
    while ends.iter().any(|end| end.connection.unsent_bytes() > 0) {
        pass(&mut ends, 0, usize::MAX);
        pass(&mut ends, 1, usize::MAX);
    }
    let [one, other] = &ends;
    for (from, to) in [(one, other), (other, one)] {
        assert_eq!(from.sent, to.received);
        // A peer that sends PINGs faster than it reads gets no answer to the excess ones.
        assert!(from.pings.len() > UNSENT_PONGS_MAX as usize || from.pings == from.pongs);
        assert_eq!(from.connection.held_bytes(), 0);
        assert!(!from.connection.receiving());
    }
}

/// Transfers up to `most` bytes from one end to the other.
fn pass(ends: &mut [End; 2], from: usize, most: usize) {
    let connection = &mut ends[from].connection;
    let bytes: Vec<u8> = connection.unsent().flatten().copied().take(most).collect();
    connection.sent(bytes.len());
    ends[1 - from].receive(&bytes);
}

struct End {
    connection: Connection,
    /// The frames of the unfinished message.
    open: Vec<Bytes>,
    sent: Vec<Vec<Bytes>>,
    received: Vec<Vec<Bytes>>,
    pings: Vec<Bytes>,
    pongs: Vec<Bytes>,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            open: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            pings: Vec::new(),
            pongs: Vec::new(),
        }
    }

    fn send(&mut self, choice: u8, filling: u8) {
        if !self.connection.is_open() {
            return;
        }
        let length = LENGTHS[usize::from(filling) % LENGTHS.len()];
        let more = choice & 1 == 1;
        self.frame(Bytes::from(vec![filling; length]), more, choice & 2 == 0);
    }

    fn frame(&mut self, frame: Bytes, more: bool, shared: bool) {
        match shared {
            true => self.connection.send_shared(&frame, more),
            false => self.connection.send_frame(&frame, more),
        }
        self.open.push(frame);
        if !more {
            self.sent.push(std::mem::take(&mut self.open));
        }
    }

    fn ping(&mut self, choice: u8) {
        let context = vec![choice; usize::from(choice % 20)];
        if self.connection.ping(u16::from(choice), &context) {
            self.pings.push(context.into());
        }
    }

    fn finish(&mut self) {
        if !self.open.is_empty() {
            self.frame(Bytes::new(), false, false);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        // Answers must not interrupt an unfinished message.
        if !self.open.is_empty() {
            self.finish();
        }
        self.connection.receive(&mut BytesMut::from(bytes));
        while let Some(event) = self.connection.poll().expect("a peer of our own") {
            match event {
                Event::Hello(_) => self.connection.accept(&Metadata::new(SocketType::Router)),
                Event::Large { .. } => self.connection.grant(),
                Event::Message(message) => {
                    self.received.push((0..message.len()).map(|at| message.share(at)).collect());
                }
                Event::Pong(context) => self.pongs.push(context),
                _ => {}
            }
        }
        self.connection.settle();
    }
}
