//! A hostile peer: a socket on which it decides about every byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use majordomus_zmtp::{Connection, Event, Limits, Metadata, Security, SocketType};
use socket2::{Domain, SockAddr, Socket, Type};

use super::arena::{PATIENCE, Place};
use super::text;

/// From where those connect that are hostile.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What is read at once.
const READ_BYTES: usize = 64 << 10;

/// A connection over TCP, from another address than those of honest peers.
pub(super) fn connect(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(text)?;
    socket.bind(&SocketAddr::from((SOURCE, 0)).into()).map_err(text)?;
    socket.connect(&place.tcp.into()).map_err(text)?;
    socket.set_tcp_nodelay(true).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// A connection over a Unix socket, of which there can be any number in a minute.
pub(super) fn connect_ipc(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(text)?;
    socket.connect(&SockAddr::unix(&place.ipc).map_err(text)?).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// Reads and forgets until the broker has closed. Fails where it does not.
pub(super) fn read_to_end(mut socket: &Socket) -> Result<(), String> {
    let mut bytes = [0; 4_096];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err("the broker does not close".into());
            }
            // It closed without having read all.
            Err(_) => return Ok(()),
        }
    }
}

/// A greeting of ZMTP 3.1 with the mechanism NULL.
pub(super) fn greeting() -> Vec<u8> {
    let mut greeting = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    greeting
}

/// A message as ZMTP has it on the stream.
pub(super) fn framed(frames: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let more = u8::from(at + 1 < frames.len());
        match u8::try_from(frame.len()) {
            Ok(length) => stream.extend([more, length]),
            Err(_) => {
                stream.push(more | 2);
                stream.extend((frame.len() as u64).to_be_bytes());
            }
        }
        stream.extend(*frame);
    }
    stream
}

/// A peer that has shaken hands.
pub(super) struct Peer {
    socket: Socket,
    zmtp: Connection,
}

impl Peer {
    /// A DEALER over TCP.
    pub(super) fn connect(place: &Place) -> Result<Self, String> {
        Self::shake_hands(connect(place)?, Metadata::new(SocketType::Dealer))
    }

    pub(super) fn shake_hands(socket: Socket, metadata: Metadata) -> Result<Self, String> {
        let limits = Limits { message_bytes_max: 1 << 30, ..Limits::default() };
        let zmtp = Connection::connector(Security::Null, limits, metadata);
        let mut peer = Self { socket, zmtp };
        match peer.event()? {
            Some(Event::Hello(_)) => Ok(peer),
            other => Err(format!("no handshake, but {other:?}")),
        }
    }

    /// Writes bytes as they are. That the broker has closed is no failure: it may, and the caller
    /// looks.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What comes next; nothing where the broker has closed.
    fn event(&mut self) -> Result<Option<Event>, String> {
        loop {
            let polled = self.zmtp.poll().map_err(text)?;
            for part in self.zmtp.unsent() {
                // Where it has closed, the next read says so.
                let _ = self.write(part);
            }
            self.zmtp.sent(self.zmtp.unsent_bytes());
            match polled {
                Some(Event::Large { .. }) => self.zmtp.grant(),
                Some(event) => return Ok(Some(event)),
                None => {
                    let mut buffer = BytesMut::zeroed(READ_BYTES);
                    match (&self.socket).read(&mut buffer) {
                        Ok(0) => return Ok(None),
                        Ok(read) => self.zmtp.receive(&mut buffer.split_to(read)),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            return Err("the broker says nothing".into());
                        }
                        Err(_) => return Ok(None),
                    };
                }
            }
        }
    }
}
