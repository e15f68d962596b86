//! Protocol violation tests: the input for every error, whole and byte by byte.

use bytes::Bytes;
use majordomus_zmtp::{COMMAND_BYTES_MAX, Connection, Error, Limits, Security};

use crate::wire::{
    COMMAND, LONG, MORE, command, feed, feed_in_place, frame, greeting, header, hello, property,
    ready,
};

const LIMITS: Limits = Limits { handshake_bytes_max: 1000, message_bytes_max: 5000, frames_max: 3 };

/// Checks that a listener's connection fails with this error exactly at the last byte.
#[track_caller]
fn check(bytes: &[u8], expected: &Error) {
    for feed in [feed, feed_in_place] {
        let mut connection = Connection::listener(Security::Null, LIMITS);
        assert_eq!(feed(&mut connection, bytes).as_ref(), Err(expected));
        assert_eq!(connection.poll().as_ref(), Err(expected), "the same for ever");
        assert_eq!(feed(&mut connection, b"\0\0").as_ref(), Err(expected));
        assert_eq!(connection.held_bytes(), 0);
        assert!(!connection.receiving());

        let mut connection = Connection::listener(Security::Null, LIMITS);
        for (at, byte) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            match feed(&mut connection, &[*byte]) {
                Ok(_) => assert!(!last, "no error byte by byte"),
                Err(error) => {
                    assert_eq!(&error, expected);
                    assert!(last, "the error comes with the byte that earns it");
                }
            }
        }
    }
    assert!(!expected.to_string().is_empty());
}

#[test]
fn greetings() {
    check(b"G", &Error::GreetingNotZmtp { first: b'G' });
    check(b"\x01", &Error::GreetingNotZmtp { first: 1 });
    check(b"\xFF\0\0\0\0\0\0\0\x01\0", &Error::SignatureEnd { last: 0 });
    check(
        &greeting(1)[..10].iter().copied().chain([1]).collect::<Vec<_>>(),
        &Error::VersionTooOld { major: 1 },
    );
    for name in [&b"CURVE"[..], b"NUL", b"NULLS", b"", b"null", b"NULL\0X"] {
        let mut bytes = greeting(1);
        bytes[12..32].fill(0);
        bytes[12..12 + name.len()].copy_from_slice(name);
        let theirs = Bytes::copy_from_slice(name);
        check(&bytes, &Error::MechanismMismatch { theirs, ours: "NULL" });
    }
}

#[test]
fn old_zmtp_is_told_from_garbage() {
    assert!(Error::VersionTooOld { major: 0 }.is_old_zmtp());
    assert!(Error::SignatureEnd { last: 0 }.is_old_zmtp());
    assert!(Error::GreetingNotZmtp { first: 1 }.is_old_zmtp());
    assert!(!Error::GreetingNotZmtp { first: 0x16 }.is_old_zmtp());
    assert!(!Error::MetadataCut.is_old_zmtp());
}

/// Like [`check`], after a greeting.
#[track_caller]
fn check_handshake(bytes: &[u8], expected: &Error) {
    check(&[greeting(1), bytes.to_vec()].concat(), expected);
}

#[track_caller]
fn check_metadata(properties: &[Vec<u8>], expected: &Error) {
    check_handshake(&command("READY", &properties.concat()), expected);
}

#[test]
fn handshakes() {
    let limit = LIMITS.handshake_bytes_max;
    check_handshake(b"\0\0", &Error::MessageBeforeReady);
    check_handshake(&command("HELLO", b""), &Error::NotReadyFirst { name: "HELLO".into() });
    check_handshake(&command("PING", b"\0\0"), &Error::NotReadyFirst { name: "PING".into() });
    check_handshake(b"\x04\0", &Error::CommandWithoutName);
    check_handshake(b"\x04\x01\0", &Error::CommandWithoutName);
    check_handshake(b"\x04\x03\x05RE", &Error::CommandNameCut { announced: 5, present: 2 });
    check_handshake(&header(COMMAND | LONG, 928), &Error::HandshakeTooLong { limit });
    check_handshake(&header(COMMAND | LONG, u64::MAX), &Error::HandshakeTooLong { limit });
    check_handshake(&header(COMMAND | LONG, 1 << 62), &Error::HandshakeTooLong { limit });
    check_handshake(b"\x05", &Error::CommandWithMore { flags: 5 });
    check_handshake(b"\x08", &Error::ReservedFlagBits { flags: 8 });
    check_handshake(&command("ERROR", b"\x02no"), &Error::PeerRefused { reason: "no".into() });
    check_handshake(&command("ERROR", b""), &Error::PeerRefused { reason: "".into() });
    check_handshake(&command("ERROR", b"\xFFno"), &Error::PeerRefused { reason: "no".into() });
}

#[test]
fn metadata() {
    let kind = property("Socket-Type", b"REQ");
    let id = property("Identity", b"me");
    check_metadata(&[], &Error::SocketTypeMissing);
    check_metadata(std::slice::from_ref(&id), &Error::SocketTypeMissing);
    check_metadata(
        &[property("Socket-Type", b"NOPE")],
        &Error::UnknownSocketType { name: "NOPE".into() },
    );
    check_metadata(
        &[property("Socket-Type", b"req")],
        &Error::UnknownSocketType { name: "req".into() },
    );
    check_metadata(&[kind.clone(), kind.clone()], &Error::PropertyTwice { name: "Socket-Type" });
    check_metadata(
        &[id.clone(), kind.clone(), id.clone()],
        &Error::PropertyTwice { name: "Identity" },
    );
    check_metadata(
        &[kind.clone(), property("IDENTITY", &[1; 256])],
        &Error::RoutingIdTooLong { len: 256 },
    );
    check_metadata(&[kind.clone(), vec![0]], &Error::PropertyNameEmpty);
    check_metadata(&[property("a b", b"")], &Error::PropertyNameInvalid { name: "a b".into() });
    check_metadata(&[property("\n", b"")], &Error::PropertyNameInvalid { name: "\n".into() });
    let mut endless = property("X", b"");
    endless[2..6].copy_from_slice(&u32::MAX.to_be_bytes());
    for cut in [kind[..5].to_vec(), kind[..13].to_vec(), kind[..17].to_vec(), endless] {
        check_metadata(&[id.clone(), cut], &Error::MetadataCut);
    }
}

/// Like [`check`], after a handshake.
#[track_caller]
fn check_traffic(bytes: &[u8], expected: &Error) {
    check(&[hello(1), bytes.to_vec()].concat(), expected);
}

#[test]
fn frames() {
    let limit = LIMITS.message_bytes_max;
    for flags in [8, 0x80, 0xFF] {
        check_traffic(&[flags], &Error::ReservedFlagBits { flags });
    }
    check_traffic(&[COMMAND | MORE], &Error::CommandWithMore { flags: 5 });
    check_traffic(&[COMMAND | MORE | LONG], &Error::CommandWithMore { flags: 7 });
    for len in [5001, 1 << 32, 1 << 62, (1 << 63) - 1, u64::MAX] {
        check_traffic(&header(LONG, len), &Error::FrameTooLong { len, limit });
        check_traffic(&header(LONG | MORE, len), &Error::FrameTooLong { len, limit });
        let behind = [frame(MORE, b"x"), header(LONG, len)].concat();
        check_traffic(&behind, &Error::FrameTooLong { len, limit });
    }
    let halves = [frame(MORE, &[0; 2500]), header(LONG, 2501)].concat();
    check_traffic(&halves, &Error::MessageTooLong { limit });
    let frames = [frame(MORE, b""), frame(MORE, b""), frame(MORE, b""), header(0, 0)].concat();
    check_traffic(&frames, &Error::TooManyFrames { limit: 3 });
}

#[test]
fn commands() {
    let limit = COMMAND_BYTES_MAX;
    for len in [limit as u64 + 1, 1 << 62, (1 << 63) - 1, u64::MAX] {
        check_traffic(&header(COMMAND | LONG, len), &Error::CommandTooLong { len, limit });
    }
    check_traffic(b"\x04\0", &Error::CommandWithoutName);
    check_traffic(b"\x04\x02\0x", &Error::CommandWithoutName);
    check_traffic(b"\x04\x01\x04", &Error::CommandNameCut { announced: 4, present: 0 });
    check_traffic(&command("PING", b""), &Error::PingWithoutTtl { len: 0 });
    check_traffic(&command("PING", b"\0"), &Error::PingWithoutTtl { len: 1 });
    check_traffic(&command("PING", &[0; 19]), &Error::PingContextTooLong { len: 17 });
    check_traffic(&command("PONG", &[0; 17]), &Error::PongContextTooLong { len: 17 });
    check_traffic(&ready("REQ", b""), &Error::UnexpectedCommand { name: "READY".into() });
    check_traffic(&command("ERROR", b"\x03bye"), &Error::PeerRefused { reason: "bye".into() });
    // Commands between the frames of a message behave the same, and count as part of the message.
    let between = [frame(MORE, b"x"), command("PING", b"")].concat();
    check_traffic(&between, &Error::PingWithoutTtl { len: 0 });
    let between = [frame(MORE, &[0; 3000]), header(COMMAND | LONG, 1995)].concat();
    check_traffic(&between, &Error::MessageTooLong { limit: LIMITS.message_bytes_max });
}
