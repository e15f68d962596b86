//! ZMTP 3.0 and 3.1, the protocol under ZeroMQ, on a stream of bytes: greeting, the NULL
//! mechanism, framing, PING and PONG, for both sides of a connection.
//!
//! A [`Connection`] is told what was read and says what happened and what is to be written. It
//! never opens or reads a socket, starts a thread, looks at a clock or draws a random number, and
//! it never takes memory for bytes before their announced size was held against its [`Limits`].
//! It knows frames and nothing of what is in them. An [`Endpoint`] says where the other side is to be
//! found; to go there is for others.
//!
//! # The caller's loop
//!
//! All connections of a thread share one read buffer. For each connection that is readable:
//!
//! ```
//! use std::io::{IoSlice, Read, Write};
//!
//! use majordomus_zmtp::{Connection, Event, Limits, Metadata, Security, SocketType};
//!
//! fn turn(
//!     socket: &mut (impl Read + Write),
//!     connection: &mut Connection,
//!     read_buffer: &mut [u8],
//!     bounds: &mut Vec<(u32, u32)>,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     // 1. Read: a large body goes straight to its place, all else to the shared buffer.
//!     let mut bytes = &[][..];
//!     if let Some(buffer) = connection.direct_buffer() {
//!         let n = socket.read(buffer)?;
//!         connection.direct_received(n);
//!     } else {
//!         let n = socket.read(read_buffer)?;
//!         bytes = &read_buffer[..n];
//!     }
//!     loop {
//!         // 2. Cut whole messages out of the buffer, without a copy.
//!         if let Some(length) = connection.whole_message(bytes, bounds) {
//!             let (message, behind) = bytes.split_at(length);
//!             for (index, &(start, end)) in bounds.iter().enumerate() {
//!                 let frame = &message[start as usize..end as usize];
//!                 connection.send_frame(frame, index + 1 < bounds.len());
//!             }
//!             bytes = behind;
//!             continue;
//!         }
//!         // 3. Leave all else to the connection, which copies what it needs.
//!         match connection.poll_from(&mut bytes)? {
//!             Some(Event::Hello(peer)) if peer.metadata.socket_type == SocketType::Dealer => {
//!                 connection.accept(&Metadata::new(SocketType::Router));
//!             }
//!             Some(Event::Hello(_)) => connection.refuse("only DEALER is served here"),
//!             // A message that came in pieces.
//!             Some(Event::Message(message)) => {
//!                 for (index, frame) in message.iter().enumerate() {
//!                     connection.send_frame(frame, index + 1 < message.len());
//!                 }
//!             }
//!             // Here a program charges `bytes` to its limits, and grants later or never.
//!             Some(Event::Large { .. }) => connection.grant(),
//!             Some(_) => {}
//!             None => break,
//!         }
//!     }
//!     connection.settle();
//!     // 4. Write. A socket that is full is tried again when it is writable.
//!     while connection.unsent_bytes() > 0 {
//!         let slices: Vec<_> = connection.unsent().take(64).map(IoSlice::new).collect();
//!         let n = socket.write_vectored(&slices)?;
//!         connection.sent(n);
//!     }
//!     Ok(())
//! }
//! # let mut socket = std::io::Cursor::new(Vec::new());
//! # let mut connection = Connection::listener(Security::Null, Limits::default());
//! # turn(&mut socket, &mut connection, &mut [0; 1024], &mut Vec::new()).unwrap();
//! # assert_eq!(socket.into_inner().len(), 64);
//! ```
//!
//! A caller that stops before all bytes are handled passes the rest to
//! [`receive_copy`](Connection::receive_copy). A program that keeps messages for long can use
//! [`receive`](Connection::receive), which takes the memory itself, and [`poll`](Connection::poll).
//!
//! # Messages
//!
//! The frames of a [`Message`] stay where they came, with their headers between them: one piece
//! of memory and one reference for all. Whatever is kept for long is better copied, because a
//! small frame keeps the whole memory that it came in.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod assembly;
mod command;
mod connection;
mod endpoint;
mod error;
mod event;
mod frame;
mod greeting;
mod input;
mod limits;
mod mechanism;
mod message;
mod metadata;
mod output;
mod socket_type;
mod spares;

pub use assembly::COMMAND_BYTES_MAX;
pub use command::PING_CONTEXT_BYTES_MAX;
pub use connection::{Connection, UNSENT_PONGS_MAX};
pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use event::{Event, Peer};
pub use input::UNGRANTED_BYTES_MAX;
pub use limits::Limits;
pub use mechanism::Security;
pub use message::{Bounds, Message};
pub use metadata::Metadata;
pub use output::SHARED_FRAME_BYTES_MIN;
pub use socket_type::SocketType;
pub use spares::{SPARES_MAX, Spares};
