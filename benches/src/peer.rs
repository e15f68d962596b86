//! A peer that decides about every byte on its socket: a hostile one, and one that is to weigh little.

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

/// How long anything that has to happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// From where those connect that are hostile.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What is read at once.
const READ_BYTES: usize = 64 << 10;

/// Where the broker listens.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) tcp: SocketAddr,
    pub(crate) ipc: PathBuf,
}

impl Place {
    /// As clients and workers take it.
    pub(crate) fn endpoint(&self) -> String {
        format!("tcp://{}", self.tcp)
    }
}

/// A connection over TCP, from another address than those of honest peers.
pub(crate) fn connect(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(text)?;
    socket.bind(&SocketAddr::from((SOURCE, 0)).into()).map_err(text)?;
    socket.connect(&place.tcp.into()).map_err(text)?;
    socket.set_tcp_nodelay(true).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// A connection over a Unix socket, of which there can be any number in a minute.
pub(crate) fn connect_ipc(place: &Place) -> Result<Socket, String> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(text)?;
    socket.connect(&SockAddr::unix(&place.ipc).map_err(text)?).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(socket)
}

/// Reads and forgets until the broker has closed. Fails where it does not.
pub(crate) fn read_to_end(mut socket: &Socket) -> Result<(), String> {
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
pub(crate) fn greeting() -> Vec<u8> {
    let mut greeting = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    greeting
}

/// A message as ZMTP has it on the stream.
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

/// A peer that has shaken hands.
pub(crate) struct Peer {
    socket: Socket,
    zmtp: Connection,
}

impl Peer {
    /// A DEALER over TCP.
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

    /// Writes bytes as they are. That the broker has closed is no failure: it may, and the caller
    /// looks.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What comes next; nothing where the broker has closed.
    pub(crate) fn event(&mut self) -> Result<Option<Event>, String> {
        self.next_event(true)
    }

    fn next_event(&mut self, answers: bool) -> Result<Option<Event>, String> {
        loop {
            let polled = self.zmtp.poll().map_err(text)?;
            for part in self.zmtp.unsent().filter(|_| answers) {
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

    /// Says a message.
    pub(crate) fn send(&self, frames: &[&[u8]]) -> Result<(), String> {
        self.write(&framed(frames)).map_err(text)
    }

    /// The next message; nothing where the broker has closed.
    pub(crate) fn receive(&mut self) -> Result<Option<Message>, String> {
        loop {
            match self.event()? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The token of the next request, as a worker of 7/MDP.
    pub(crate) fn token(&mut self) -> Result<Vec<u8>, String> {
        while let Some(message) = self.receive()? {
            if message.len() > 4 && message.frame(2) == b"\x02" {
                return Ok(message.frame(3).to_vec());
            }
        }
        Err("a worker was sent away".into())
    }

    /// Says no more, and reads until the broker has closed too.
    pub(crate) fn leave(self) -> Result<(), String> {
        // Where it has closed already, there is nothing to be ended.
        let _ = self.socket.shutdown(Shutdown::Write);
        read_to_end(&self.socket)
    }

    /// Has a thread read what comes, so that no more need be read before more is said.
    pub(crate) fn flood(self) -> Result<Flood, String> {
        let socket = self.socket.try_clone().map_err(text)?;
        socket.set_read_timeout(None).map_err(text)?;
        let mut peer = self;
        let listener = std::thread::spawn(move || {
            let mut heard = 0;
            // A PONG would get between the bytes of a message.
            while let Some(event) = peer.next_event(false)? {
                heard += u64::from(matches!(event, Event::Message(_)));
            }
            Ok(heard)
        });
        Ok(Flood { socket, listener })
    }
}

/// A peer that says more than it could if it read, too.
pub(crate) struct Flood {
    socket: Socket,
    /// How many messages came.
    listener: JoinHandle<Result<u64, String>>,
}

impl Flood {
    /// Says so many messages, each as `message` appends it.
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

    /// Closes: how many messages came.
    pub(crate) fn close(self) -> Result<u64, String> {
        self.socket.shutdown(Shutdown::Both).map_err(text)?;
        self.listener.join().map_err(|_| "a listener panicked".to_string())?
    }
}

/// What a client says in this dialect, as frames; none where it cannot say that.
pub(crate) fn client_frames(dialect: Dialect, command: &FromClient) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    Codec::new(dialect, Side::Client).encode_from_client(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

/// What a worker says, likewise.
pub(crate) fn worker_frames(dialect: Dialect, command: &FromWorker) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    // What cannot be said is not written.
    let _ = Codec::new(dialect, Side::Worker).encode_from_worker(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

pub(crate) fn on_stream(frames: &[Vec<u8>]) -> Vec<u8> {
    framed(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A client of OMDP/1 that has greeted.
pub(crate) fn greeted_client(place: &Place) -> Result<Peer, String> {
    let peer = Peer::connect(place)?;
    let hello = client_frames(Dialect::Omdp1, &FromClient::Hello(Default::default()));
    peer.write(&on_stream(&hello)).map_err(text)?;
    Ok(peer)
}

/// A request of OMDP/1 with a number for its id, on the stream.
pub(crate) fn request(service: &str, number: u64, timeout: Timeout, body: &[u8]) -> Vec<u8> {
    let request = Request {
        id: CorrelationId::Number(number),
        timeout,
        ..Request::new(service, Frames::from_slices(&[body]))
    };
    on_stream(&client_frames(Dialect::Omdp1, &FromClient::Request(request)))
}
