//! Wire data as sent by a peer, and the caller's loop that feeds it to a connection.

use bytes::{Bytes, BytesMut};
use majordomus_zmtp::{Connection, Error, Event, Limits, Message, Metadata, Security, SocketType};

pub(crate) const MORE: u8 = 1;
pub(crate) const LONG: u8 = 2;
pub(crate) const COMMAND: u8 = 4;

pub(crate) fn greeting(minor: u8) -> Vec<u8> {
    let mut greeting = vec![0; 64];
    greeting[0] = 0xFF;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = minor;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

/// Encodes only a header, long if `flags` has the LONG bit.
pub(crate) fn header(flags: u8, len: u64) -> Vec<u8> {
    if flags & LONG == 0 {
        vec![flags, u8::try_from(len).unwrap()]
    } else {
        let mut header = vec![flags];
        header.extend(len.to_be_bytes());
        header
    }
}

/// Encodes a frame in its shortest form.
pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let long = if body.len() > 255 { LONG } else { 0 };
    let mut frame = header(flags | long, body.len() as u64);
    frame.extend(body);
    frame
}

pub(crate) fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend(name.as_bytes());
    body.extend(data);
    frame(COMMAND, &body)
}

pub(crate) fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let mut property = vec![name.len() as u8];
    property.extend(name.as_bytes());
    property.extend((value.len() as u32).to_be_bytes());
    property.extend(value);
    property
}

pub(crate) fn ready(socket_type: &str, routing_id: &[u8]) -> Vec<u8> {
    let data = [property("Socket-Type", socket_type.as_bytes()), property("Identity", routing_id)];
    command("READY", &data.concat())
}

pub(crate) fn message<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let last = frames.len() - 1;
    let flags = |index| if index < last { MORE } else { 0 };
    frames.iter().enumerate().flat_map(|(i, body)| frame(flags(i), body.as_ref())).collect()
}

/// Encodes a DEALER's whole handshake.
pub(crate) fn hello(minor: u8) -> Vec<u8> {
    [greeting(minor), ready("DEALER", b"d")].concat()
}

pub(crate) fn listener() -> Connection {
    Connection::listener(Security::Null, Limits::default())
}

pub(crate) fn connector() -> Connection {
    let ours = Metadata::new(SocketType::Dealer).with_routing_id(b"me");
    Connection::connector(Security::Null, Limits::default(), ours)
}

/// Creates a listener that has completed its handshake with a DEALER of this minor version and has
/// no unsent bytes.
pub(crate) fn open(minor: u8, limits: Limits) -> Connection {
    let mut connection = Connection::listener(Security::Null, limits);
    let events = feed(&mut connection, &hello(minor)).unwrap();
    assert!(matches!(events[..], [Event::Hello(_)]));
    let _ = written(&mut connection);
    connection
}

/// Runs one turn of the caller's loop with `bytes` as a single read. Accepts the peer and grants
/// memory.
pub(crate) fn feed(connection: &mut Connection, bytes: &[u8]) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    let mut read_buffer = BytesMut::from(bytes);
    connection.receive(&mut read_buffer);
    assert!(read_buffer.is_empty());
    poll_into(connection, &mut events)?;
    Ok(events)
}

/// Like [`feed`], but reads into the direct buffer if the connection offers one.
pub(crate) fn feed_direct(
    connection: &mut Connection,
    mut bytes: &[u8],
) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        if let Some(buffer) = connection.direct_buffer() {
            let n = buffer.len().min(bytes.len());
            assert_ne!(n, 0);
            buffer[..n].copy_from_slice(&bytes[..n]);
            connection.direct_received(n);
            bytes = &bytes[n..];
        } else {
            let n = bytes.len().min(10_000);
            connection.receive(&mut BytesMut::from(&bytes[..n]));
            bytes = &bytes[n..];
        }
        poll_into(connection, &mut events)?;
    }
    Ok(events)
}

/// Like [`feed`], but extracts complete messages from `bytes` in place. The connection consumes
/// only the other bytes.
pub(crate) fn feed_in_place(
    connection: &mut Connection,
    mut bytes: &[u8],
) -> Result<Vec<Event>, Error> {
    let (mut events, mut bounds) = (Vec::new(), Vec::new());
    loop {
        if let Some(length) = connection.whole_message(bytes, &mut bounds) {
            let (whole, behind) = bytes.split_at(length);
            let frames = bounds.iter().copied().collect();
            events.push(Event::Message(Message { data: Bytes::copy_from_slice(whole), frames }));
            bytes = behind;
        } else if let Some(event) = connection.poll_from(&mut bytes)? {
            answer(connection, &event);
            events.push(event);
        } else {
            assert!(bytes.is_empty());
            connection.settle();
            return Ok(events);
        }
    }
}

/// Polls until there are no more events, then settles. Events before an error stay in `events`.
pub(crate) fn poll_into(connection: &mut Connection, events: &mut Vec<Event>) -> Result<(), Error> {
    while let Some(event) = connection.poll()? {
        answer(connection, &event);
        events.push(event);
    }
    connection.settle();
    Ok(())
}

/// Accepts the peer and grants memory.
fn answer(connection: &mut Connection, event: &Event) {
    match event {
        Event::Hello(_) => connection.accept(&Metadata::new(SocketType::Router)),
        Event::Large { .. } => {
            assert_eq!(connection.poll(), Ok(None), "nothing comes before the grant");
            connection.grant();
        }
        _ => {}
    }
}

/// Returns the messages among the events, as frames.
pub(crate) fn messages(events: &[Event]) -> Vec<Vec<Bytes>> {
    let frames = |message: &Message| (0..message.len()).map(|i| message.share(i)).collect();
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(frames(message)),
            _ => None,
        })
        .collect()
}

/// Takes all unsent bytes, as one write would.
pub(crate) fn written(connection: &mut Connection) -> Vec<u8> {
    let bytes: Vec<u8> = connection.unsent().flatten().copied().collect();
    assert_eq!(bytes.len(), connection.unsent_bytes());
    connection.sent(bytes.len());
    bytes
}

pub(crate) fn send<F: AsRef<[u8]>>(connection: &mut Connection, frames: &[F]) {
    for (index, frame) in frames.iter().enumerate() {
        let more = index + 1 < frames.len();
        // Both ways of sending must produce the same bytes.
        if index % 2 == 0 {
            connection.send_frame(frame.as_ref(), more);
        } else {
            connection.send_shared(&Bytes::copy_from_slice(frame.as_ref()), more);
        }
    }
}
