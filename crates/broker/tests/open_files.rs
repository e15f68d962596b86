//! A program of its own, because its limit of open files is low.

mod common;

use std::net::TcpStream;

use common::{Peer, address, broker, round_trip, wait_for};

/// Open files that are left to everything here.
const OPEN_FILES: u64 = 100;

#[test]
fn running_out_of_open_files_neither_spins_nor_ends_the_broker() {
    rlimit::setrlimit(rlimit::Resource::NOFILE, OPEN_FILES, OPEN_FILES).expect("it can be lowered");
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    // Each takes two open files of this program, until there are none left for the broker's end.
    let mut silent: Vec<TcpStream> =
        std::iter::from_fn(|| TcpStream::connect(address(&broker)).ok()).collect();
    assert!(silent.len() > 20, "{} connections", silent.len());
    wait_for(&broker, "the oldest to make room", |now| now.closed.contains_key("no_open_files"));
    // Those that never say who they are make room for those that do.
    silent.truncate(silent.len() - 4);
    round_trip(&broker, &mut worker, "echo");
    drop(silent);
    wait_for(&broker, "the silent ones to be gone", |now| now.connections <= 2);
    round_trip(&broker, &mut worker, "echo");
    assert!(broker.shutdown().expect("it ran").counters.balanced());
}
