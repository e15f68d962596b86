//! Test that the Rust code in the README works as written, except for the endpoint.

use std::thread;

use majordomus::Broker;

#[expect(clippy::print_stdout, reason = "it is as short as it can be")]
mod programs {
    include!(concat!(env!("OUT_DIR"), "/readme.rs"));
}

#[test]
fn its_client_is_served_by_its_worker() {
    let broker = Broker::start("inproc://readme").expect("the name is free");
    // The program runs until this process ends.
    thread::spawn(programs::program_0::main);
    programs::program_1::main().expect("there is a reply");
    let counters = broker.blocking_shutdown().expect("it ran").counters;
    assert_eq!(counters.received, 1);
    assert_eq!(counters.outcome(majordomus::broker::Outcome::Replied), 1);
}
