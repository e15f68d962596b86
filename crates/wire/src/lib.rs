//! The dialects of the Majordomo protocol, in frames: what a peer writes is read into the neutral
//! commands of `majordomus-core`, and what the broker says is written the way that peer expects.
//! This crate keeps no state, knows no time and does no I/O, and no dialect leaves it: the core
//! hears of one only as capabilities.
//!
//! A [`Codec`] is how one connection speaks. The broker finds it by the first message of the
//! connection ([`Codec::detect`]) and then keeps it; a client or worker of our own starts with the
//! one that it wants ([`Codec::new`]). Frames go out through a [`Sink`], so that they can be written
//! straight into a peer's buffer. What a peer must not write is an [`Error`], which names one exact
//! [`Offence`] and the frame.
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
//! | name | who speaks it | file |
//! |---|---|---|
//! | `omdp1` | Majordomus: OMDP/1, our own | `omdp1.rs` |
//! | `mdp01` | the examples of the ZeroMQ Guide, generaldomo (7/MDP) | `mdp01.rs` |
//! | `mdp02` | the RFC 18/MDP, with and without a leading empty frame | `mdp02.rs` |
//! | `majortomo` | majortomo (PyPI) | `majortomo.rs` |
//! | `pigato` | PIGATO (npm), pigato-ruby, pigato-go | `pigato.rs` |
//! | `omdp` | zmq-omdp (npm) | `omdp.rs` |
//! | `gdp` | generaldomo over CLIENT sockets | `gdp.rs` |
//! | `zproto` | zeromq/majordomo (C) | `zproto.rs` |
//! | `libmdp` | libmdp of zeromq/majordomo, and its bindings | `libmdp.rs` |
//!
//! `pigato` and `omdp` differ in constants, so each file is a table, and `json/` is the one engine
//! that reads and writes by it; so it is with all others and `mdp/`, which also knows how frames are
//! packed into one (`mdp/parts.rs`) or partly so (`mdp/head.rs`). `omdp1` is like no other, and has
//! an engine of its own (`omdp1/`).
//!
//! The bodies of `pigato` and `omdp` are JSON, those of the others frames. Where a body goes from
//! one kind to the other, it is translated when it is written (`translate.rs`).
#![no_std]

extern crate alloc;

mod body;
mod codec;
mod detect;
mod dialect;
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
mod offence;
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
pub use codec::{Codec, Side, Unsayable};
pub use dialect::{Dialect, UnknownDialect};
pub use errors::{ERROR_TEXT_BYTES_MAX, Errors};
pub use json::OPTIONS_BYTES_MAX;
pub use mdp::PACKED_PARTS_MAX;
pub use offence::{Error, HEADER_SHOWN_BYTES_MAX, Offence};
pub use omdp1::{HEADERS_BYTES_MAX, Headers, pack_headers};
pub use option::RequestOption;
pub use reading::{ADDRESS_BYTES_MAX, REQUEST_ID_BYTES_MAX};
pub use scratch::Scratch;
pub use service::{SERVICE_NAME_BYTES_MAX, check_service_name};
pub use sink::Sink;
pub use socket::Socket;
pub use translate::{Json, UnknownJson};
