//! A peer with control over every byte on its socket, for attacks and for small memory footprints.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use majordomus_core::{CorrelationId, Frames, FromClient, FromWorker, Request, Timeout};
use majordomus_wire::{Codec, Dialect, Side};
use majordomus_zmtp::{Connection, Event, Limits, Message, Metadata, Security, SocketType};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::text;

/// The timeout of every wait, chosen for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The source address of hostile peers.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The maximum number of bytes in one read.
const READ_BYTES: usize = 64 << 10;

/// The addresses of the broker.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) tcp: SocketAddr,
    pub(crate) ipc: PathBuf,
}

impl Place {
    /// Returns the endpoint for clients and workers.
    pub(crate) fn endpoint(&self) -> String {
        format!("tcp://{}", self.tcp)
    }
}

/// Connects over TCP, from a different address than honest peers.
pub(crate) fn connect(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(text)?;
    socket.bind(&SocketAddr::from((SOURCE, 0)).into()).map_err(text)?;
    socket.connect(&place.tcp.into()).map_err(text)?;
    socket.set_tcp_nodelay(true).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// Connects over a Unix socket, which has no limit of connections per minute.
pub(crate) fn connect_ipc(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(text)?;
    socket.connect(&SockAddr::unix(&place.ipc).map_err(text)?).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// Reads and discards bytes until the broker closes the connection. Fails if it does not.
pub(crate) fn read_to_end(mut socket: &Socket) -> Result<(), String> {
    let mut bytes = [0; 4_096];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err("the broker does not close".into());
            }
            // The broker closed the connection without reading everything.
            Err(_) => return Ok(()),
        }
    }
}

/// Returns a ZMTP 3.1 greeting with the mechanism NULL.
pub(crate) fn greeting() -> Vec<u8> {
    let mut greeting = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    greeting
}

/// Encodes a message as ZMTP frames.
pub(crate) fn framed(frames: &[&[u8]]) -> Vec<u8> {
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

/// A peer that has completed the ZMTP handshake.
pub(crate) struct Peer {
    socket: Socket,
    zmtp: Connection,
}

impl Peer {
    /// Connects a DEALER over TCP.
    pub(crate) fn connect(place: &Place) -> Result<Self, String> {
        Self::shake_hands(connect(place)?, Metadata::new(SocketType::Dealer))
    }

    pub(crate) fn shake_hands(socket: Socket, metadata: Metadata) -> Result<Self, String> {
        let limits = Limits { message_bytes_max: 1 << 30, ..Limits::default() };
        let zmtp = Connection::connector(Security::Null, limits, metadata);
        let mut peer = Self { socket, zmtp };
        match peer.event()? {
            Some(Event::Hello(_)) => Ok(peer),
            other => Err(format!("no handshake, but {other:?}")),
        }
    }

    /// Writes raw bytes. A closed connection is an error that the caller may ignore.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the next event, or `None` if the broker closed the connection.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, String> {
        self.next_event(true)
    }

    fn next_event(&mut self, answers: bool) -> Result<Option<Event>, String> {
        loop {
            let polled = self.zmtp.poll().map_err(text)?;
            for part in self.zmtp.unsent().filter(|_| answers) {
                // If the connection is closed, the next read reports it.
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

    /// Sends a message.
    pub(crate) fn send(&self, frames: &[&[u8]]) -> Result<(), String> {
        self.write(&framed(frames)).map_err(text)
    }

    /// Returns the next message, or `None` if the broker closed the connection.
    pub(crate) fn receive(&mut self) -> Result<Option<Message>, String> {
        loop {
            match self.event()? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Returns the token of the next request, as a worker of 7/MDP.
    pub(crate) fn token(&mut self) -> Result<Vec<u8>, String> {
        while let Some(message) = self.receive()? {
            if message.len() > 4 && message.frame(2) == b"\x02" {
                return Ok(message.frame(3).to_vec());
            }
        }
        Err("a worker was sent away".into())
    }

    /// Closes the sending side and reads until the broker closes the connection.
    pub(crate) fn leave(self) -> Result<(), String> {
        // The connection may be closed already.
        let _ = self.socket.shutdown(Shutdown::Write);
        read_to_end(&self.socket)
    }

    /// Starts a thread that reads all messages, so that the peer can keep sending.
    pub(crate) fn flood(self) -> Result<Flood, String> {
        let socket = self.socket.try_clone().map_err(text)?;
        socket.set_read_timeout(None).map_err(text)?;
        let mut peer = self;
        let listener = std::thread::spawn(move || {
            let mut heard = 0;
            // A PONG could end up between the bytes of a message.
            while let Some(event) = peer.next_event(false)? {
                heard += u64::from(matches!(event, Event::Message(_)));
            }
            Ok(heard)
        });
        Ok(Flood { socket, listener })
    }
}

/// A peer that sends continuously while a thread reads its messages.
pub(crate) struct Flood {
    socket: Socket,
    /// The thread that counts incoming messages.
    listener: JoinHandle<Result<u64, String>>,
}

impl Flood {
    /// Sends this many messages, each as `message` appends it.
    pub(crate) fn say(
        &self,
        count: u64,
        mut message: impl FnMut(u64, &mut Vec<u8>),
    ) -> Result<(), String> {
        let mut bytes = Vec::with_capacity(2 * READ_BYTES);
        for number in 0..count {
            message(number, &mut bytes);
            if bytes.len() >= READ_BYTES || number + 1 == count {
                (&self.socket).write_all(&bytes).map_err(text)?;
                bytes.clear();
            }
        }
        Ok(())
    }

    /// Closes the connection and returns the number of received messages.
    pub(crate) fn close(self) -> Result<u64, String> {
        self.socket.shutdown(Shutdown::Both).map_err(text)?;
        self.listener.join().map_err(|_| "a listener panicked".to_string())?
    }
}

/// Encodes a client's command in this dialect. Returns no frames if the dialect cannot encode it.
pub(crate) fn client_frames(dialect: Dialect, command: &FromClient) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    Codec::new(dialect, Side::Client).encode_from_client(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

/// Encodes a worker's command in this dialect. Returns no frames if the dialect cannot encode it.
pub(crate) fn worker_frames(dialect: Dialect, command: &FromWorker) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    // A command that the dialect cannot encode writes no frames.
    let _ = Codec::new(dialect, Side::Worker).encode_from_worker(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

pub(crate) fn on_stream(frames: &[Vec<u8>]) -> Vec<u8> {
    framed(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Returns a client of OMDP/1 that has completed its handshake.
pub(crate) fn greeted_client(place: &Place) -> Result<Peer, String> {
    let peer = Peer::connect(place)?;
    let hello = client_frames(Dialect::Omdp1, &FromClient::Hello(Default::default()));
    peer.write(&on_stream(&hello)).map_err(text)?;
    Ok(peer)
}

/// Returns the bytes of an OMDP/1 request with a numeric id.
pub(crate) fn request(service: &str, number: u64, timeout: Timeout, body: &[u8]) -> Vec<u8> {
    let request = Request {
        id: CorrelationId::Number(number),
        timeout,
        ..Request::new(service, Frames::from_slices(&[body]))
    };
    on_stream(&client_frames(Dialect::Omdp1, &FromClient::Request(request)))
}
