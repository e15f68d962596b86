//! Codecs for the dialects of the Majordomo protocol: they decode a peer's messages into the
//! dialect-neutral commands of `majordomus-core`, and encode the broker's commands in the peer's
//! dialect. This crate is stateless, has no clock and does no I/O. The core does not know dialects,
//! only capabilities.
//!
//! Each connection has one [`Codec`]. The broker detects it from the connection's first message
//! ([`Codec::detect`]) and stores it; a Majordomus client or worker chooses its own
//! ([`Codec::new`]). Frames are written to a [`Sink`], so that they can be written directly into a
//! peer's buffer. An invalid message is an [`Error`], which identifies the protocol violation
//! ([`Violation`]) and the frame.
//!
//! ```
//! use majordomus_core::{Frames, FromClientView, ReplyView, ToClientView};
//! use majordomus_wire::{Codec, Dialect, Scratch, Socket};
//!
//! let message = Frames::from_slices(&["", "MDPC01", "echo", "hello"]);
//! let codec = Codec::detect(message.view(), b"", Socket::Dealer, None)?;
//! assert_eq!(codec.dialect(), Dialect::Mdp01);
//! let mut scratch = Scratch::default();
//! let command = codec.decode_from_client(message.view(), &mut scratch)?;
//! let FromClientView::Request(request) = command else { panic!() };
//!
//! let reply = ReplyView::new(request.service, request.body);
//! let mut written: Vec<bytes::Bytes> = Vec::new();
//! codec.encode_to_client(&ToClientView::Final(reply), &mut written);
//! assert_eq!(written, ["", "MDPC01", "echo", "hello"]);
//! # Ok::<(), majordomus_wire::Error>(())
//! ```
//!
//! # Dialects
//!
//! | name | used by | file |
//! |---|---|---|
//! | `omdp1` | OMDP/1, the protocol of Majordomus | `omdp1.rs` |
//! | `mdp01` | the examples of the ZeroMQ Guide, generaldomo (7/MDP) | `mdp01.rs` |
//! | `mdp02` | the RFC 18/MDP, with and without a leading empty frame | `mdp02.rs` |
//! | `majortomo` | majortomo (PyPI) | `majortomo.rs` |
//! | `pigato` | PIGATO (npm), pigato-ruby, pigato-go | `pigato.rs` |
//! | `omdp` | zmq-omdp (npm) | `omdp.rs` |
//! | `gdp` | generaldomo over CLIENT sockets | `gdp.rs` |
//! | `zproto` | zeromq/majordomo (C) | `zproto.rs` |
//! | `libmdp` | libmdp of zeromq/majordomo, and its bindings | `libmdp.rs` |
//!
//! `pigato` and `omdp` differ only in constants. Each of their files is a table for a shared
//! engine, `json/`. All other dialects but `omdp1` share the engine `mdp/`, which also packs frames
//! into one frame (`mdp/parts.rs`) or packs the leading frames (`mdp/head.rs`). `omdp1` has its own
//! engine (`omdp1/`).
//!
//! The bodies of `pigato` and `omdp` are JSON; those of the other dialects are frames. A body that
//! passes from one format to the other is translated when it is encoded (`translate.rs`).
#![no_std]

extern crate alloc;

mod body;
mod codec;
mod detect;
mod dialect;
mod error;
mod errors;
mod gdp;
mod hint;
mod json;
mod json_text;
mod libmdp;
mod majortomo;
mod mdp;
mod mdp01;
mod mdp02;
mod omdp;
mod omdp1;
mod option;
mod pigato;
mod reading;
mod scratch;
mod service;
mod sink;
mod socket;
mod translate;
mod zproto;

#[cfg(test)]
mod golden;

pub use body::in_frames;
pub use codec::{Codec, Side, UnsupportedOption};
pub use dialect::{Dialect, UnknownDialect};
pub use error::{Error, HEADER_SHOWN_BYTES_MAX, Violation};
pub use errors::{ERROR_TEXT_BYTES_MAX, Errors};
pub use json::OPTIONS_BYTES_MAX;
pub use mdp::PACKED_PARTS_MAX;
pub use omdp1::{HEADERS_BYTES_MAX, Headers, pack_headers};
pub use option::RequestOption;
pub use reading::{ADDRESS_BYTES_MAX, REQUEST_ID_BYTES_MAX};
pub use scratch::Scratch;
pub use service::{SERVICE_NAME_BYTES_MAX, check_service_name};
pub use sink::Sink;
pub use socket::Socket;
pub use translate::{Json, UnknownJson};
