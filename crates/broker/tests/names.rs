//! A hundred thousand distinct service names from one client: the limits hold, other clients are
//! served meanwhile, and all memory is released when the requests have ended.

mod common;

use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::thread::JoinHandle;
use std::time::Duration;

use common::pigato::{self, Honest, expect_error, expect_final, given, quiet_broker};
use common::{Peer, wait_for};
use majordomus_broker::{Broker, Snapshot};
use majordomus_core::Outcome;
use socket2::SockRef;

const NAMES: u32 = 100_000;

/// The number of requests written before the client reads their replies.
const BREATH: u32 = 500;

/// Returns names of all kinds in turn: plain, unusual, and with a version, a version range or an
/// invalid version.
fn name(number: u32) -> String {
    match number % 8 {
        0 => format!("plain-{number}"),
        1 => format!("versioned@1.2.{number}"),
        2 => format!("ranged@>=0.0.{number}"),
        3 => format!("ranged-{number}@^1.2.x || >=7 <9"),
        4 => format!("no-version@({number}"),
        5 => format!("pattern-{number}*"),
        6 => format!("__proto__{number}"),
        _ => format!("größe {number}"),
    }
}

/// Returns a name that matches a wildcard worker.
fn plain_name(number: u32) -> String {
    match number % 3 {
        0 => format!("plain-{number}"),
        1 => format!("constructor{number}"),
        _ => format!("größe {number}"),
    }
}

fn breaths() -> impl Iterator<Item = Range<u32>> {
    (0..NAMES / BREATH).map(|breath| breath * BREATH..(breath + 1) * BREATH)
}

/// Requests each of these names, with its number as the request id. The answer to a final heartbeat
/// ends the replies.
fn ask_all(client: &mut Peer, numbers: impl Iterator<Item = (u32, String)>, options: &str) {
    for (number, name) in numbers {
        let rid = number.to_string();
        let frames: [&[u8]; 6] =
            [b"C", b"2", name.as_bytes(), rid.as_bytes(), b"1", options.as_bytes()];
        client.queue(&frames);
    }
    client.send(&[b"C", b"4"]);
}

fn now(broker: &Broker) -> Snapshot {
    broker.control().snapshot().expect("the broker runs")
}

/// Waits until only the well-behaved worker's service is left, and nothing of any request.
fn wait_for_nothing(broker: &Broker, services: usize) {
    wait_for(broker, "all to be given back", |now| {
        let held = &now.holdings;
        held.services == services
            && (held.unoffered_services, held.requests, held.request_bytes) == (0, 0, 0)
    });
}

const FOR_EVER: &str = r#"{"timeout":-1,"retry":0}"#;

#[test]
fn names_that_nobody_offers_are_kept_up_to_their_limit_and_given_back() {
    let broker = quiet_broker(|config| config.core.limits.names_max = 1_000);
    let (mut honest, mut client) = (Honest::new(&broker), pigato::client(&broker));
    let mut asked = 0;
    for numbers in breaths() {
        ask_all(&mut client, numbers.clone().map(|number| (number, name(number))), FOR_EVER);
        asked += numbers.len();
        for number in numbers.filter(|number| *number >= 1_000) {
            expect_error(&mut client, &number.to_string(), "\"B_BUSY\"");
        }
        client.expect(&[b"C", b"4"]);
        honest.goes_on();
        let now = now(&broker);
        let known = asked.min(1_000);
        assert_eq!(now.holdings.unoffered_services, known);
        assert_eq!(now.holdings.services, known + 1);
        assert_eq!(now.holdings.requests, known);
    }
    // A name that already exists is not limited.
    ask_all(&mut client, [(0, name(0))].into_iter(), FOR_EVER);
    client.expect(&[b"C", b"4"]);
    let counters = now(&broker).counters;
    assert_eq!(counters.outcome(Outcome::Refused), u64::from(NAMES) - 1_000);
    assert_eq!(counters.in_progress, 1_001);
    drop(client);
    wait_for_nothing(&broker, 1);
    honest.goes_on();
    assert_eq!(now(&broker).counters.outcome(Outcome::ClientGone), 1_001);
}

#[test]
fn names_are_forgotten_when_their_requests_expire_and_there_is_room_again() {
    let broker = quiet_broker(|config| config.core.limits.names_max = 1_000);
    let (mut honest, mut client) = (Honest::new(&broker), pigato::client(&broker));
    for numbers in breaths() {
        // A request needs an idle worker at once or ends, and its name is released with it.
        let options = r#"{"timeout":0,"retry":0}"#;
        ask_all(&mut client, numbers.map(|number| (number, name(number))), options);
        client.expect(&[b"C", b"4"]);
        honest.goes_on();
    }
    wait_for_nothing(&broker, 1);
    let counters = now(&broker).counters;
    assert_eq!(counters.outcome(Outcome::NoSuchService), u64::from(NAMES));
    // Requests that last for a moment, in several rounds.
    let mut refused = 0;
    for round in 0..3 {
        let numbers = (0..2_000).map(|number| (number, name(2_000 * round + number)));
        ask_all(&mut client, numbers, r#"{"timeout":100,"retry":0}"#);
        while client.frames().len() > 2 {
            refused += 1;
        }
        honest.goes_on();
        wait_for_nothing(&broker, 1);
    }
    let counters = now(&broker).counters;
    // Each round can use the whole limit again.
    assert!(refused <= 3_000, "{refused} refused");
    assert_eq!(counters.outcome(Outcome::Refused), refused);
    assert_eq!(counters.outcome(Outcome::NoSuchService), u64::from(NAMES) + 6_000 - refused);
}

/// Starts a 7/MDP client that requests all names in one write, which exceeds the sockets' buffers.
/// Returns the connection and the writing thread.
fn asks_for_all(broker: &Broker) -> (TcpStream, JoinHandle<()>) {
    let mut client = Peer::connect(broker);
    let connection = client.stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        for number in 0..NAMES {
            client.queue(&[b"", b"MDPC01", name(number).as_bytes(), b"x"]);
        }
        let bytes = client.zmtp.unsent().collect::<Vec<_>>().concat();
        client.send_raw(&bytes);
    });
    (connection, writing)
}

#[test]
fn a_client_that_cannot_be_told_waits_at_the_limit_of_names_and_nobody_with_it() {
    let broker = quiet_broker(|config| config.core.limits.names_max = 1_000);
    let mut honest = Honest::new(&broker);
    let (connection, writing) = asks_for_all(&broker);
    wait_for(&broker, "the client to be held", |now| now.holdings.held_clients == 1);
    for _ in 0..100 {
        honest.goes_on();
    }
    let held = now(&broker).holdings;
    assert_eq!((held.unoffered_services, held.requests), (1_000, 1_000));
    // Abort the connection, without waiting for unwritten data.
    SockRef::from(&connection).set_linger(Some(Duration::ZERO)).expect("an option of TCP");
    connection.shutdown(Shutdown::Read).expect("it is open");
    connection.shutdown(Shutdown::Write).expect("it is open");
    writing.join().expect("it writes until it is cut");
    drop(connection);
    wait_for_nothing(&broker, 1);
    honest.goes_on();
}

#[test]
fn it_comes_in_as_names_are_forgotten() {
    let broker = quiet_broker(|config| {
        config.core.limits.names_max = 1_000;
        config.core.wait_timeout = Duration::from_millis(1);
    });
    let mut honest = Honest::new(&broker);
    let (_connection, writing) = asks_for_all(&broker);
    wait_for(&broker, "all to have come and gone", |now| {
        honest.goes_on();
        now.counters.outcome(Outcome::NoSuchService) == u64::from(NAMES)
    });
    writing.join().expect("it has written all");
    wait_for_nothing(&broker, 1);
    assert!(now(&broker).counters.held > 0, "the limit stood against it");
}

#[test]
fn a_worker_for_everything_serves_them_all_and_they_are_forgotten_one_by_one() {
    let broker = quiet_broker(|config| config.core.limits.names_max = 10);
    let (mut honest, mut client) = (Honest::new(&broker), pigato::client(&broker));
    let mut all = pigato::worker(&broker, "*");
    all.send(&[b"W", b"4", b"", br#"{"concurrency":-1}"#]);
    all.expect(&[b"W", b"4"]);
    for numbers in breaths() {
        let named = numbers.clone().map(|number| (number, plain_name(number)));
        ask_all(&mut client, named, FOR_EVER);
        client.expect(&[b"C", b"4"]);
        for number in numbers.clone() {
            let asked = given(&mut all);
            assert_eq!(asked.service, plain_name(number));
            pigato::answer(&mut all, &asked, "0", "1");
        }
        for number in numbers {
            expect_final(&mut client, &number.to_string(), "1");
        }
        honest.goes_on();
        wait_for_nothing(&broker, 2);
    }
    let counters = now(&broker).counters;
    assert_eq!(counters.outcome(Outcome::Replied), u64::from(NAMES + NAMES / BREATH));
}

/// Checks a hundred thousand names that match a busy worker. One client's limit of queued requests
/// applies, and each request ends when the worker takes it or when the client has disconnected.
#[track_caller]
fn check_waiting(offered: &str, name: fn(u32) -> String) {
    const WAITING: u32 = 20_000;
    let broker = quiet_broker(|config| {
        config.core.limits.names_max = 10;
        assert_eq!(config.core.limits.client_requests_max, WAITING as usize);
    });
    let (mut honest, mut client) = (Honest::new(&broker), pigato::client(&broker));
    let mut worker = pigato::worker(&broker, offered);
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":0}"#]);
    worker.expect(&[b"W", b"4"]);
    for numbers in breaths() {
        ask_all(&mut client, numbers.clone().map(|number| (number, name(number))), FOR_EVER);
        for number in numbers.filter(|number| *number >= WAITING) {
            expect_error(&mut client, &number.to_string(), "\"B_BUSY\"");
        }
        client.expect(&[b"C", b"4"]);
        honest.goes_on();
    }
    let held = now(&broker).holdings;
    assert_eq!((held.requests, held.services), (WAITING as usize, WAITING as usize + 2));
    assert_eq!(held.unoffered_services, 0);
    let mut other = pigato::client(&broker);
    pigato::ask(&mut other, &name(NAMES), "r", FOR_EVER);
    wait_for(&broker, "another's request to wait", |now| {
        now.holdings.requests == WAITING as usize + 1
    });
    // The worker takes all requests in order. It has answered half of them when one client's
    // requests end, then the other's.
    worker.send(&[b"W", b"4", b"", br#"{"concurrency":-1}"#]);
    for number in 0..WAITING / 2 {
        let asked = given(&mut worker);
        assert_eq!(asked.service, name(number));
        pigato::answer(&mut worker, &asked, "0", "1");
        expect_final(&mut client, &number.to_string(), "1");
        if number % BREATH == 0 {
            honest.goes_on();
        }
    }
    drop(client);
    wait_for(&broker, "the client to be gone", |now| {
        now.counters.outcome(Outcome::ClientGone) == u64::from(WAITING / 2)
    });
    honest.goes_on();
    drop(worker);
    expect_error(&mut other, "r", "\"B_WORKER_LOST\"");
    wait_for_nothing(&broker, 1);
    honest.goes_on();
}

#[test]
fn what_waits_for_a_worker_for_everything_is_as_much_as_one_client_may_have() {
    check_waiting("*", plain_name);
}

#[test]
fn so_are_ranges_that_wait_for_one_version() {
    check_waiting("ranged@1.2.3", |number| format!("ranged@>=0.0.{number}"));
}

#[test]
fn so_are_ranges_with_alternatives() {
    check_waiting("ranged@1.2.3", |number| format!("ranged@^1.{} || {number}.x", number % 3));
}
