//! OMDP/1 peers whose first message is not a valid HELLO.

mod common;

use common::{Peer, broker, broker_with, wait_for};
use majordomus_broker::Dialect;

/// The peer's socket may have reconnected automatically, so the peer must be told to start with
/// HELLO again.
#[test]
fn a_first_message_that_is_no_hello_is_answered_and_the_connection_stays() {
    let broker = broker();
    let mut peer = Peer::connect(&broker);
    for refused in 1..=3 {
        peer.send(&[
            b"\x10\0\0\0\0\0\0\0\x01\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\x04echo\0\0\0",
            b"a",
        ]);
        if refused == 1 {
            // The peer may have sent the other messages before it read that answer.
            peer.expect(&[b"\x05\x01\x90\x0bHELLO first"]);
        }
        wait_for(&broker, "it to be counted", |now| {
            now.refused.get("hello_missing") == Some(&refused)
        });
    }
    peer.send(&[b"\x01OMDP\x02\x03\x01"]);
    peer.expect(&[b"\x05\x01\xf9\x1ano version that both speak"]);
    // The peer's dialect is still unknown, so it may use any.
    peer.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    peer.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
}

#[test]
fn a_listener_that_takes_another_dialect_only_does_not_answer() {
    let broker = broker_with(|config| config.listen[0].dialect = Some(Dialect::Mdp01));
    let mut peer = Peer::connect(&broker);
    peer.send(&[b"\x03"]);
    wait_for(&broker, "it to be refused", |now| now.refused.get("pinned_to_other") == Some(&1));
    peer.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    peer.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
}
