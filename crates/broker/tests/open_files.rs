//! A test with its own process, because it lowers the limit of open files.

mod common;

use std::fs::File;
use std::net::TcpStream;
use std::time::Duration;

use common::{Peer, address, broker_with, round_trip, wait_for};

/// The number of open files left for this test.
const OPEN_FILES: u64 = 100;

#[test]
fn running_out_of_open_files_neither_spins_nor_ends_the_broker() {
    rlimit::setrlimit(rlimit::Resource::NOFILE, OPEN_FILES, OPEN_FILES).expect("it can be lowered");
    let broker = broker_with(|config| {
        config.connections.handshake_timeout = Duration::from_secs(60);
    });
    let mut worker = Peer::worker(&broker, "echo");
    let connect = || TcpStream::connect(address(&broker));
    // Each connection takes two open files of this process, one for each end.
    let silent: Vec<TcpStream> = (0..20).map(|_| connect().expect("it listens")).collect();
    wait_for(&broker, "all to be accepted", |now| now.accepted == 21);
    let mut others: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One open file is left for this end of a connection, and none for the broker's.
    others.pop();
    let last = connect().expect("the system takes it in");
    wait_for(&broker, "the oldest to make room", |now| now.closed.contains_key("no_open_files"));
    drop(others);
    round_trip(&broker, &mut worker, "echo");
    drop((silent, last));
    wait_for(&broker, "the silent ones to be gone", |now| now.connections == 1);
    // A connection that gets the last open file is not closed for the next one.
    let cut = broker.control().snapshot().expect("it runs").closed["no_open_files"];
    let mut others: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    others.truncate(others.len() - 2);
    round_trip(&broker, &mut worker, "echo");
    assert_eq!(broker.control().snapshot().expect("it runs").closed["no_open_files"], cut);
    drop(others);
    assert!(broker.shutdown().expect("it ran").counters.balanced());
}
