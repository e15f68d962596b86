//! The engine for the dialects whose data is JSON: header, command, service or client address,
//! request id, data, options. They differ in the constants of a [`Table`].

mod decode;
mod encode;
mod options;

use alloc::format;
use core::iter;

use majordomus_core::{ClientCapabilities, FramesView, Label, WorkerCapabilities};

pub use options::OPTIONS_BYTES_MAX;

use crate::detect::Recognition;
use crate::{Codec, Dialect, Json, Side};

pub(crate) const CLIENT: &[u8] = b"C";
pub(crate) const WORKER: &[u8] = b"W";

// The commands, which are digits and the same in both directions.
const READY: u8 = b'1';
const REQUEST: u8 = b'2';
const FINAL: u8 = b'3';
const HEARTBEAT: u8 = b'4';
const DISCONNECT: u8 = b'5';
const PARTIAL: u8 = b'6';
const REJECT: u8 = b'7';

/// With what a short id counts to 64, and how far.
const SHORT_ID_DIGITS: &[u8; 64] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
const SHORT_ID_DIGITS_COUNT: usize = 10;

/// What a client says that it still wants, or vouches for.
const OF_REQUEST: &[u8] = b"request";
const OF_WORKER: &[u8] = b"worker";

/// What tells one of these dialects from another.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) dialect: Dialect,
    /// Whether an empty frame stands before the request id, wherever a broker has or had a part in
    /// the message.
    pub(crate) separator: bool,
    /// Whether a request to a worker names its service.
    pub(crate) service_in_request: bool,
    /// Whether replies, and requests to a worker, carry options. Requests of a client always do.
    pub(crate) options: bool,
    pub(crate) error: ErrorPlace,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) ids: Ids,
    /// Whether a worker's READY, and a client's heartbeat, are answered.
    pub(crate) answers: bool,
    pub(crate) client: ClientCapabilities,
    pub(crate) worker: WorkerCapabilities,
}

/// How the library of a dialect makes routing ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// What the user likes, `-` and a UUID.
    Uuid,
    /// `C` or `W` and a number in base 64.
    Short,
}

/// Where an error stands in a final reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorPlace {
    /// In the place of the data; the status says that it is one.
    Data,
    /// In the place of the status, and nothing follows.
    Status,
}

/// What is in heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeats {
    /// A client's say of what they are: of a request, of a worker. A worker's have options.
    Named,
    /// A client's have the id of a request, or nothing.
    Plain,
}

/// A table, and what one connection makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) table: &'static Table,
    pub(crate) json: Json,
}

/// Which side writes this header.
pub(crate) fn side_of(header: &[u8]) -> Option<Side> {
    match header {
        CLIENT => Some(Side::Client),
        WORKER => Some(Side::Worker),
        _ => None,
    }
}

/// Whether a connection that begins with this message may speak this dialect. These dialects share
/// their headers and most messages, so which of them it is has to be told by signs; a listener that
/// is pinned knows without, and has no `identity` here.
pub(crate) fn recognise(
    table: &Table,
    first_message: FramesView<'_>,
    identity: Option<&[u8]>,
) -> Recognition {
    let Some(side) = first_message.get(0).and_then(side_of) else { return Recognition::No };
    if identity.is_some_and(|identity| told_apart(first_message, identity) != table.dialect) {
        return Recognition::No;
    }
    Recognition::Possible(Codec::new(table.dialect, side))
}

/// Which of the two it is, by the routing ids that the libraries make, else by the options of a
/// first request: PIGATO's clients always say whether to retry, zmq-omdp's only where their user
/// does. Where nothing tells, PIGATO has more users.
fn told_apart(first_message: FramesView<'_>, identity: &[u8]) -> Dialect {
    if let Some(dialect) = told_by_identity(identity) {
        return dialect;
    }
    let options = match (first_message.get(0), first_message.get(1)) {
        (Some(CLIENT), Some(&[REQUEST])) => first_message.get(5),
        _ => None,
    };
    match options.and_then(options::names_retry) {
        Some(false) => Dialect::Omdp,
        Some(true) | None => Dialect::Pigato,
    }
}

fn told_by_identity(identity: &[u8]) -> Option<Dialect> {
    if ends_in_uuid(identity) {
        return Some(Dialect::Pigato);
    }
    is_short_id(identity).then_some(Dialect::Omdp)
}

/// Whether a worker of this dialect that has this routing id is taken for one.
pub(crate) fn can_be_called(table: &Table, routing_id: &[u8]) -> bool {
    told_by_identity(routing_id).unwrap_or(Dialect::Pigato) == table.dialect
}

/// A prefix, `-` and a UUID, which is how PIGATO makes routing ids, or a UUID, as pigato-ruby does.
fn ends_in_uuid(identity: &[u8]) -> bool {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let Some((prefix, uuid)) = identity.split_last_chunk::<36>() else { return false };
    if !matches!(prefix, [] | [.., b'-']) {
        return false;
    }
    uuid.iter().enumerate().all(|(at, &byte)| match HYPHENS.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    })
}

/// A routing id of this form, for a peer of our own.
pub(crate) fn routing_id(table: &Table, side: Side, random: u128) -> Label {
    let letter = match side {
        Side::Client => 'C',
        Side::Worker => 'W',
    };
    let id = match table.ids {
        Ids::Uuid => {
            // Version and variant, which say that it was drawn at random.
            let uuid = random & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
            let (a, b, c) = (uuid >> 96, uuid >> 80 & 0xffff, uuid >> 64 & 0xffff);
            let (d, e) = (uuid >> 48 & 0xffff, uuid & 0xffff_ffff_ffff);
            format!("{letter}-{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
        }
        Ids::Short => {
            let digit = |at: usize| char::from(SHORT_ID_DIGITS[(random >> (6 * at)) as usize % 64]);
            iter::once(letter).chain((0..SHORT_ID_DIGITS_COUNT).map(digit)).collect()
        }
    };
    Label::from(id.as_str())
}

/// `C` or `W` and what the package shortid makes, which is how zmq-omdp makes routing ids.
fn is_short_id(identity: &[u8]) -> bool {
    let [b'C' | b'W', id @ ..] = identity else { return false };
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (6..=14).contains(&id.len()) && id.iter().all(is_of_it)
}
