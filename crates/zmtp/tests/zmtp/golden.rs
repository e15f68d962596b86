//! Byte-exact tests with data written by hand from 37/ZMTP.

use majordomus_zmtp::{Connection, Limits, Metadata, Security, SocketType};

use crate::wire::{connector, feed, greeting, hello, listener, open, written};

const GREETING: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn check(written: &[u8], expected: &[u8]) {
    assert_eq!(written.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn both_sides_greet_at_once() {
    check(&written(&mut listener()), GREETING);
    check(&written(&mut connector()), GREETING);
}

#[test]
fn connector_sends_ready_after_the_peers_greeting() {
    let mut connection = connector();
    let _ = written(&mut connection);
    feed(&mut connection, &greeting(0)[..63]).unwrap();
    check(&written(&mut connection), b"");
    feed(&mut connection, &greeting(0)[63..]).unwrap();
    check(
        &written(&mut connection),
        b"\x04\x2B\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me",
    );
}

#[test]
fn listener_sends_ready_when_it_accepts() {
    let mut connection = listener();
    let _ = written(&mut connection);
    feed(&mut connection, &hello(1)).unwrap();
    check(
        &written(&mut connection),
        b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0",
    );
}

#[test]
fn long_ready() {
    let ours = Metadata::new(SocketType::Req).with_property("X-Long", &[7; 250]);
    let mut connection = Connection::connector(Security::Null, Limits::default(), ours);
    let _ = written(&mut connection);
    feed(&mut connection, &greeting(1)).unwrap();
    let ready = written(&mut connection);
    check(&ready[..17], b"\x06\0\0\0\0\0\0\x01\x2B\x05READY\x0BS");
    assert_eq!(ready.len(), 9 + 0x12B);
}

#[test]
fn refusals() {
    let mut connection = listener();
    let _ = written(&mut connection);
    connection.refuse("no r\u{f6}\u{f6}m\n");
    check(&written(&mut connection), b"\x04\x0F\x05ERROR\x08no r??m?");
    connection.refuse("again");
    check(&written(&mut connection), b"");

    let mut connection = listener();
    let _ = written(&mut connection);
    connection.refuse(&"x".repeat(300));
    let error = written(&mut connection);
    check(&error[..17], b"\x06\0\0\0\0\0\0\x01\x06\x05ERROR\xFFx");
    assert_eq!(error.len(), 9 + 1 + 5 + 1 + 255);
}

#[test]
fn ping_and_pong() {
    let mut connection = open(1, Limits::default());
    assert!(connection.ping(300, b"abc"));
    check(&written(&mut connection), b"\x04\x0A\x04PING\x01\x2Cabc");
    feed(&mut connection, b"\x04\x09\x04PING\0\x01xy").unwrap();
    check(&written(&mut connection), b"\x04\x07\x04PONGxy");
    feed(&mut connection, b"\x04\x07\x04PING\0\0").unwrap();
    check(&written(&mut connection), b"\x04\x05\x04PONG");
}

#[test]
fn frames() {
    let mut connection = open(1, Limits::default());
    connection.send_frame(b"", true);
    connection.send_frame(b"ab", false);
    check(&written(&mut connection), b"\x01\0\0\x02ab");
    connection.send_frame(&[9; 255], true);
    connection.send_frame(&[9; 256], false);
    let bytes = written(&mut connection);
    check(&bytes[..3], b"\x01\xFF\x09");
    check(&bytes[257..267], b"\x02\0\0\0\0\0\0\x01\0\x09");
    assert_eq!(bytes.len(), 2 + 255 + 9 + 256);
}
