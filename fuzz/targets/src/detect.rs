//! Fuzz target for the detection of a peer's dialect from its first message.

use majordomus_core::Frames;
use majordomus_wire::{Codec, Dialect, Side, Socket};

use crate::command::{Command, comes_through, read_from_client, read_from_worker, shows};
use crate::source::Source;

/// Routing ids as the libraries create them, and others.
const IDENTITIES: &[&[u8]] = &[
    b"",
    b"CPPBqWA9",
    b"WQ810000",
    b"W-1908f7b8-8bcb-49d1-b09d-da2c553f70b7",
    b"\0\x01\x02\x03\x04",
    b"stock-echo-0",
];

/// Detects the dialect of a message. The first byte chooses the socket, the identity and the
/// listener's pinned dialect, and the rest is the message. Detection must give the same result if
/// the detected dialect is pinned, and for our encoding of the message. With one more frame the
/// result must be the same dialect or none. A detected message must be decodable.
pub fn detect(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = usize::from(source.byte());
    let socket = if choice & 1 == 0 { Socket::Dealer } else { Socket::Client };
    let identity = IDENTITIES[(choice >> 1) % IDENTITIES.len()];
    let pinned = Dialect::ALL[(choice >> 1) / IDENTITIES.len() % Dialect::ALL.len()];
    let whole = source.message();

    let other = Codec::detect(whole.borrowed(), identity, socket, Some(pinned));
    if let Ok(codec) = other {
        assert_eq!(codec.dialect(), pinned);
    }
    let detected = Codec::detect(whole.borrowed(), identity, socket, None);
    let message = whole.compact();
    assert_eq!(Codec::detect(message.view(), identity, socket, None), detected, "{message:?}");
    let codec = match detected {
        Ok(codec) => codec,
        Err(error) => {
            shows(&error);
            assert!(error.frame().is_none_or(|at| at <= message.len()), "{error}");
            return;
        }
    };
    assert_eq!(codec.dialect().socket(), socket);
    let dialect = Some(codec.dialect());
    let again = Codec::detect(message.view(), identity, socket, dialect);
    assert_eq!(again, Ok(codec), "{message:?}");
    if Some(pinned) == dialect {
        assert_eq!(other, Ok(codec));
    }

    let more = longer(&message, socket);
    if let Ok(again) = Codec::detect(more.view(), identity, socket, None) {
        assert_eq!(again, codec, "{message:?}");
    }

    let said = match codec.side() {
        Side::Client => Ok(Command::FromClient(read_from_client(codec, &whole).unwrap())),
        Side::Worker => read_from_worker(codec, &whole).map(Command::FromWorker),
    };
    // A worker is detected by its header, whatever follows it.
    let Ok(said) = said else { return };
    comes_through(codec, &said);
    if let Some(written) = said.written(codec) {
        let again = Codec::detect(written.view(), identity, socket, None);
        assert_eq!(again, Ok(codec), "{message:?} {written:?}");
    }
}

/// Returns the message with one more body frame, or with one more part if parts are packed.
fn longer(message: &Frames, socket: Socket) -> Frames {
    let mut frames: Vec<Vec<u8>> = message.iter().map(<[u8]>::to_vec).collect();
    match (socket, frames.last_mut()) {
        (Socket::Client, Some(parts)) => parts.extend(b"\x04more"),
        _ => frames.push(b"more".to_vec()),
    }
    Frames::from_slices(&frames)
}
