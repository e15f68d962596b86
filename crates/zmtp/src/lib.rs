//! ZMTP 3.0 and 3.1, the ZeroMQ wire protocol, without I/O: greeting, the NULL mechanism, framing,
//! PING and PONG, for both sides of a connection.
//!
//! A [`Connection`] takes received bytes, and returns events and the bytes to send. It opens no
//! socket, starts no thread, reads no clock and generates no random numbers. It checks each
//! announced size against its [`Limits`] before it allocates memory for the bytes. It does not
//! interpret the contents of frames. An [`Endpoint`] is a parsed address; connecting to it is up to
//! the caller.
//!
//! # The caller's loop
//!
//! All connections of a thread share one read buffer. For each readable connection:
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
//!     // 1. Read: a large body into its own memory, everything else into the shared buffer.
//!     let mut bytes = &[][..];
//!     if let Some(buffer) = connection.direct_buffer() {
//!         let n = socket.read(buffer)?;
//!         connection.direct_received(n);
//!     } else {
//!         let n = socket.read(read_buffer)?;
//!         bytes = &read_buffer[..n];
//!     }
//!     loop {
//!         // 2. Extract complete messages from the buffer without a copy.
//!         if let Some(length) = connection.whole_message(bytes, bounds) {
//!             let (message, behind) = bytes.split_at(length);
//!             for (index, &(start, end)) in bounds.iter().enumerate() {
//!                 let frame = &message[start as usize..end as usize];
//!                 connection.send_frame(frame, index + 1 < bounds.len());
//!             }
//!             bytes = behind;
//!             continue;
//!         }
//!         // 3. Pass everything else to the connection, which copies the bytes that it needs.
//!         match connection.poll_from(&mut bytes)? {
//!             Some(Event::Hello(peer)) if peer.metadata.socket_type == SocketType::Dealer => {
//!                 connection.accept(&Metadata::new(SocketType::Router));
//!             }
//!             Some(Event::Hello(_)) => connection.refuse("only DEALER is served here"),
//!             // A message that arrived in pieces.
//!             Some(Event::Message(message)) => {
//!                 for (index, frame) in message.iter().enumerate() {
//!                     connection.send_frame(frame, index + 1 < message.len());
//!                 }
//!             }
//!             // A real program charges `bytes` to its limits and may delay or refuse the grant.
//!             Some(Event::Large { .. }) => connection.grant(),
//!             Some(_) => {}
//!             None => break,
//!         }
//!     }
//!     connection.settle();
//!     // 4. Write. If the socket is full, try again when it is writable.
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
//! A caller that stops before all bytes are handled passes the remaining bytes to
//! [`receive_copy`](Connection::receive_copy). A program that retains messages for a long time can
//! use [`receive`](Connection::receive), which takes over the memory, and
//! [`poll`](Connection::poll).
//!
//! # Messages
//!
//! The frames of a [`Message`] stay in the receive memory, with their headers between them, so that
//! one message costs one allocation and one reference. Copy data that is retained for a long time:
//! a small frame keeps the whole allocation alive.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod assembly;
mod buffer_pool;
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

pub use assembly::COMMAND_BYTES_MAX;
pub use buffer_pool::{BufferPool, SPARES_MAX};
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
