//! The engine for the dialects with JSON data: header, command, service or client address, request
//! id, data, options. The dialects differ in the constants of a [`Table`].

mod decode;
mod encode;
mod options;

use alloc::format;
use core::iter;

use majordomus_core::{ByteStr, ClientCapabilities, FramesView, WorkerCapabilities};

pub use options::OPTIONS_BYTES_MAX;

use crate::detect::Recognition;
use crate::{Codec, Dialect, Json, Side};

pub(crate) const CLIENT: &[u8] = b"C";
pub(crate) const WORKER: &[u8] = b"W";

// The commands: digits, the same in both directions.
const READY: u8 = b'1';
const REQUEST: u8 = b'2';
const FINAL: u8 = b'3';
const HEARTBEAT: u8 = b'4';
const DISCONNECT: u8 = b'5';
const PARTIAL: u8 = b'6';
const REJECT: u8 = b'7';

/// The 64 digits of a short id, and their number in an id.
const SHORT_ID_DIGITS: &[u8; 64] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
const SHORT_ID_DIGITS_COUNT: usize = 10;

/// The subject of a client's heartbeat: a request or a worker to keep alive.
const OF_REQUEST: &[u8] = b"request";
const OF_WORKER: &[u8] = b"worker";

/// The constants of a dialect.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) dialect: Dialect,
    /// True if an empty frame precedes the request id in every message that passes or passed
    /// through a broker.
    pub(crate) separator: bool,
    /// True if a request to a worker names its service.
    pub(crate) service_in_request: bool,
    /// True if replies, and requests to a worker, carry options. Requests from a client always do.
    pub(crate) options: bool,
    pub(crate) error: ErrorPlace,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) ids: Ids,
    /// True if a worker's READY and a client's heartbeat are answered.
    pub(crate) answers: bool,
    pub(crate) client: ClientCapabilities,
    pub(crate) worker: WorkerCapabilities,
}

/// The format of the routing ids made by a dialect's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// A prefix chosen by the user, `-` and a UUID.
    Uuid,
    /// `C` or `W` and a number in base 64.
    Short,
}

/// The place of an error in a final reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorPlace {
    /// In place of the data; the status marks the reply as an error.
    Data,
    /// In place of the status; nothing follows.
    Status,
}

/// The contents of heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeats {
    /// A client's heartbeat names its subject, a request or a worker. A worker's carries options.
    Named,
    /// A client's heartbeat carries a request id or nothing.
    Plain,
}

/// A dialect's table and a connection's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) table: &'static Table,
    pub(crate) json: Json,
}

/// Returns the side that writes this header.
pub(crate) fn side_of(header: &[u8]) -> Option<Side> {
    match header {
        CLIENT => Some(Side::Client),
        WORKER => Some(Side::Worker),
        _ => None,
    }
}

/// Returns how well a first message fits this dialect. These dialects share their headers and most
/// messages, so the choice between them depends on further signs. A pinned listener needs none and
/// passes no `identity`.
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

/// Chooses between the two dialects by the format of the routing id, otherwise by the options of a
/// first request: PIGATO's clients always write `retry`, zmq-omdp's only if their user does. If
/// neither decides, the result is PIGATO, which has more users.
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

/// Returns true if a worker with this routing id is detected as this dialect.
pub(crate) fn can_be_called(table: &Table, routing_id: &[u8]) -> bool {
    told_by_identity(routing_id).unwrap_or(Dialect::Pigato) == table.dialect
}

/// Returns true for a prefix, `-` and a UUID (PIGATO's routing ids), or for a UUID (pigato-ruby's).
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

/// Returns a routing id in this format for a Majordomus client or worker.
pub(crate) fn routing_id(table: &Table, side: Side, random: u128) -> ByteStr {
    let letter = match side {
        Side::Client => 'C',
        Side::Worker => 'W',
    };
    let id = match table.ids {
        Ids::Uuid => {
            // The version and variant of a random UUID.
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
    ByteStr::from(id.as_str())
}

/// Returns true for `C` or `W` followed by an id of the package shortid (zmq-omdp's routing ids).
fn is_short_id(identity: &[u8]) -> bool {
    let [b'C' | b'W', id @ ..] = identity else { return false };
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (6..=14).contains(&id.len()) && id.iter().all(is_of_it)
}
