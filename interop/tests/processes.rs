//! Failures of the process behind a socket: killed, stopped, busy, silent or closed.

use std::time::{Duration, Instant};

use majordomus_interop::{Broker, Dialect, Process, Python, Signal};

/// A silent worker is probed after 200 ms and lost after three of these intervals.
const QUICK: &[&str] = &["--heartbeat-interval", "200ms", "--liveness", "3"];
const LIVENESS: Duration = Duration::from_millis(600);

/// A worker that holds its request until it is told to continue.
const HOLD: &[&str] = &["--behaviour", "hold", "--sign", "A"];

/// A second worker of the same service. It registers again if it misses a heartbeat on a busy
/// machine.
const SPARE: &[&str] = &["--sign", "B", "--then", "return"];

/// Starts a worker and waits until it is registered. Brokers send heartbeats only to registered
/// workers.
#[track_caller]
fn registered(python: &Python, endpoint: &str, dialect: Dialect, options: &[&str]) -> Process {
    let mut worker = python.worker(endpoint, dialect, "work", options);
    worker.expect("heartbeat");
    worker
}

/// The worker's dialect in these tests: single-threaded workers that send heartbeats only while
/// idle.
const DIALECT: Dialect = Dialect::Mdp01;

#[test]
fn the_request_of_a_killed_worker_reaches_another_within_a_second() {
    let Some(python) = Python::ready() else { return };
    // The liveness time is so long that the broker must detect the failure in another way.
    let broker = Broker::start(&["--heartbeat-interval", "500ms", "--liveness", "20"]);
    let mut victim = registered(python, broker.endpoint(), DIALECT, HOLD);
    let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &[]);
    client.request("work", &[b"first"]);
    victim.expect("request");
    let mut spare = registered(python, broker.endpoint(), DIALECT, SPARE);

    let killed = Instant::now();
    victim.kill();
    assert_eq!(spare.expect("request"), "first");
    let took = killed.elapsed();

    assert!(took < Duration::from_secs(1), "it took {took:?}");
    client.expect_final(&[b"first", b"B"]);
    client.round_trip("work", &[b"second"], &[b"second", b"B"]);
    client.has_had_only(&[&[b"first", b"B"], &[b"second", b"B"]]);
}

#[test]
fn the_request_of_a_stopped_worker_goes_to_another_and_its_late_reply_to_nobody() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(QUICK);
    let mut stopped = registered(python, broker.endpoint(), DIALECT, HOLD);
    let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &[]);
    client.request("work", &[b"first"]);
    stopped.expect("request");
    // Ten times 100 ms of silence: libzmq has been probed and has answered. Without an answer, the
    // broker would never treat its silence as a failure.
    for _ in 0..10 {
        stopped.expect("working");
    }
    let mut spare = registered(python, broker.endpoint(), DIALECT, SPARE);

    stopped.stop();
    assert_eq!(spare.expect("request"), "first");
    client.expect_final(&[b"first", b"B"]);

    stopped.cont();
    stopped.tell("go on");
    stopped.expect("replied");
    stopped.expect("disconnect");
    client.round_trip("work", &[b"second"], &[b"second", b"B"]);
    client.has_had_only(&[&[b"first", b"B"], &[b"second", b"B"]]);
}

/// The worker sends no heartbeat for five times as long as an idle worker may, but its libzmq
/// answers PING.
#[test]
fn a_worker_that_is_blocked_keeps_its_request() {
    keeps_its_request(QUICK, &["--behaviour", "sleep", "--seconds", "3"]);
}

/// The same with default timings and a minute of computation.
#[test]
#[ignore = "takes a minute"]
fn a_worker_that_computes_for_a_minute_keeps_its_request() {
    keeps_its_request(&[], &["--behaviour", "compute", "--seconds", "60", "--heartbeat", "2.5"]);
}

#[track_caller]
fn keeps_its_request(timings: &[&str], work: &[&str]) {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(timings);
    let mut busy =
        registered(python, broker.endpoint(), DIALECT, &[work, &["--sign", "A"]].concat());
    let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &[]);
    client.request("work", &[b"first"]);
    busy.expect("request");
    let mut spare = registered(python, broker.endpoint(), DIALECT, SPARE);

    busy.expect_within("replied", Duration::from_secs(120));
    client.expect_final(&[b"first", b"A"]);
    assert_eq!(busy.said("request"), ["first"]);
    assert_eq!(busy.said("disconnect"), [""; 0]);

    // The second worker's next reply shows that it was not given the first request.
    busy.kill();
    client.round_trip("work", &[b"second"], &[b"second", b"B"]);
    client.has_had_only(&[&[b"first", b"A"], &[b"second", b"B"]]);
    assert_eq!(spare.expect("request"), "second");
    assert_eq!(spare.said("request"), ["second"]);
}

#[test]
fn an_idle_worker_that_never_heartbeats_is_lost_and_given_nothing() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(QUICK);
    for dialect in Dialect::OF_SCRIPTS {
        let options = ["--heartbeat", "0", "--then", "stay", "--sign", "A"];
        let mut silent = python.worker(broker.endpoint(), dialect, "work", &options);
        let opened = Instant::now();
        silent.expect("disconnect");
        let after = opened.elapsed();
        // The READY and the line that reports it were in transit for a moment.
        assert!(after > LIVENESS - Duration::from_millis(200), "{dialect} lost after {after:?}");

        let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &[]);
        client.round_trip("mmi.service", &[b"work"], &[b"404"]);
        client.request("work", &[b"hello"]);
        let _spare = python.worker(broker.endpoint(), dialect, "work", SPARE);
        client.expect_final(&[b"hello", b"B"]);
        assert_eq!(silent.said("request"), [""; 0], "in {dialect}");
    }
}

#[test]
fn the_reply_for_a_client_that_went_away_is_dropped_and_the_worker_serves_the_next() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    for dialect in Dialect::OF_SCRIPTS {
        let mut worker = python.worker(broker.endpoint(), dialect, "work", HOLD);
        let mut gone = python.client(broker.endpoint(), dialect, &[]);
        gone.request("work", &[b"first"]);
        assert_eq!(worker.expect("request"), "first");
        gone.kill();

        let mut client = python.client(broker.endpoint(), dialect, &[]);
        client.request("work", &[b"second"]);
        worker.tell("go on");
        assert_eq!(worker.expect("request"), "second");
        worker.tell("go on");
        client.expect_final(&[b"second", b"A"]);
        client.has_had_only(&[&[b"second", b"A"]]);
        worker.kill();
    }
}

#[test]
fn a_broker_that_is_ended_says_goodbye_and_what_became_of_the_requests() {
    let Some(python) = Python::ready() else { return };
    let mut broker = Broker::start(&[]);
    let mut workers = Dialect::OF_SCRIPTS
        .map(|dialect| python.worker(broker.endpoint(), dialect, dialect.name(), &[]));
    let mut client = python.client(broker.endpoint(), Dialect::Mdp01, &[]);
    for dialect in Dialect::OF_SCRIPTS {
        client.round_trip(dialect.name(), &[b"hello"], &[b"hello"]);
    }

    broker.signal(Signal::TERM);
    let status = broker.exited(Duration::from_secs(2));

    assert!(status.success(), "{status}");
    assert!(broker.log().contains("replied"), "no table of outcomes:\n{}", broker.log());
    for worker in &mut workers {
        worker.expect("disconnect");
    }
}
