//! Peers made of plain pyzmq sockets: every dialect with every other, and workers that violate the
//! protocol.

use majordomus_interop::{Broker, Dialect, Python};

/// Frames that fail if a program treats them as text or drops empty ones.
const BODY: &[&[u8]] = &[b"hello", b"", b"\xff\xfe\0\n", b" ", b""];

/// A liveness so high that a DISCONNECT can only be caused by a protocol violation.
const PATIENT: &[&str] = &["--liveness", "100"];

/// The routing id of a client that has sent no request to the workers that write to it. The scripts
/// also know it by this name.
const STRANGER: &[&str] = &["--identity", "stranger"];

#[test]
fn clients_of_every_dialect_are_served_by_workers_of_every_dialect() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let endpoint = broker.endpoint();
    let _workers =
        Dialect::OF_SCRIPTS.map(|dialect| python.worker(endpoint, dialect, dialect.name(), &[]));
    let clients = [
        ("req", Dialect::Mdp01),
        // REQ adds an empty frame before a message that has none in the RFC.
        ("req", Dialect::Mdp02),
        ("dealer", Dialect::Mdp01),
        ("dealer", Dialect::Mdp02),
        ("dealer", Dialect::Majortomo),
    ];
    for (socket, dialect) in clients {
        let mut client = python.client(endpoint, dialect, &["--socket", socket]);
        for service in Dialect::OF_SCRIPTS {
            client.round_trip(service.name(), BODY, BODY);
        }
        client.has_had_only(&[BODY; 3]);
    }
}

#[test]
fn partial_replies_reach_clients_that_know_them_one_by_one() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let stream = ["--behaviour", "stream"];
    let _worker = python.worker(broker.endpoint(), Dialect::Mdp02, "stream", &stream);
    for dialect in [Dialect::Mdp02, Dialect::Majortomo] {
        let mut client = python.client(broker.endpoint(), dialect, &[]);
        client.round_trip("stream", &[b"one", b"", b"\xff"], &[b"end"]);
        assert_eq!(client.said("partial"), ["one", "''", "%FF"], "in {dialect}");
        assert_eq!(client.said("final"), ["end"], "in {dialect}");
    }
}

#[test]
fn partial_replies_reach_a_client_that_knows_none_as_one_reply() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let stream = ["--behaviour", "stream"];
    let _worker = python.worker(broker.endpoint(), Dialect::Mdp02, "stream", &stream);
    let mut client = python.client(broker.endpoint(), Dialect::Mdp01, &[]);
    client.round_trip("stream", &[b"one", b"", b"\xff"], &[b"one", b"", b"\xff", b"end"]);
    client.round_trip("stream", &[b"two"], &[b"two", b"end"]);
    client.has_had_only(&[&[b"one", b"", b"\xff", b"end"], &[b"two", b"end"]]);
}

#[test]
fn a_request_waits_for_the_first_worker_of_its_service() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let mut client = python.client(broker.endpoint(), Dialect::Majortomo, &[]);
    client.request("late", &[b"hello"]);
    // The answer to the second request shows that the first is at the broker, and that no worker
    // is.
    client.round_trip("mmi.service", &[b"late"], &[b"404"]);
    let _worker = python.worker(broker.endpoint(), Dialect::Mdp01, "late", &[]);
    client.expect_final(&[b"hello"]);
}

#[test]
fn mmi_tells_clients_of_every_dialect_which_services_there_are() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let _worker = python.worker(broker.endpoint(), Dialect::Mdp02, "echo", &[]);
    for dialect in Dialect::OF_SCRIPTS {
        let mut client = python.client(broker.endpoint(), dialect, &[]);
        // After it has served a request, the worker is known.
        client.round_trip("echo", &[b"hello"], &[b"hello"]);
        client.round_trip("mmi.service", &[b"echo"], &[b"200"]);
        client.round_trip("mmi.service", &[b"nobody"], &[b"404"]);
        client.round_trip("mmi.unknown", &[b"echo"], &[b"501"]);
    }
}

#[test]
fn a_worker_that_claims_a_name_of_the_broker_is_disconnected() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(PATIENT);
    for dialect in Dialect::OF_SCRIPTS {
        let mut worker = python.worker(broker.endpoint(), dialect, "mmi.x", &[]);
        worker.expect("disconnect");
        let mut client = python.client(broker.endpoint(), dialect, &[]);
        client.round_trip("mmi.x", &[b"hello"], &[b"501"]);
    }
}

#[test]
fn the_second_of_two_replies_reaches_nobody_and_is_no_violation() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    for dialect in Dialect::OF_SCRIPTS {
        let twice = ["--behaviour", "twice"];
        let worker = python.worker(broker.endpoint(), dialect, dialect.name(), &twice);
        let mut client = python.client(broker.endpoint(), dialect, &[]);
        for body in [b"one", b"two", b"six"] {
            client.round_trip(dialect.name(), &[body], &[body]);
        }
        client.has_had_only(&[&[b"one"], &[b"two"], &[b"six"]]);
        assert_eq!(worker.said("disconnect"), [""; 0], "in {dialect}");
    }
}

#[test]
fn a_worker_that_forges_an_address_is_disconnected_and_its_request_goes_to_another() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(PATIENT);
    let endpoint = broker.endpoint();
    let mut stranger = python.client(endpoint, Dialect::Mdp01, STRANGER);
    // The broker knows the client before any worker writes to it.
    stranger.round_trip("mmi.service", &[b"nobody"], &[b"404"]);
    for dialect in Dialect::OF_SCRIPTS {
        let mut forger =
            python.worker(endpoint, dialect, dialect.name(), &["--behaviour", "forge"]);
        let mut client = python.client(endpoint, dialect, &[]);
        client.request(dialect.name(), &[b"hello"]);
        forger.expect("request");
        forger.expect("disconnect");
        let _honest = python.worker(endpoint, dialect, dialect.name(), &[]);
        client.expect_final(&[b"hello"]);
        client.round_trip(dialect.name(), &[b"again"], &[b"again"]);
        client.has_had_only(&[&[b"hello"], &[b"again"]]);
    }
    stranger.round_trip("mmi.service", &[b"nobody"], &[b"404"]);
    stranger.has_had_only(&[&[b"404"], &[b"404"]]);
}

#[test]
fn ready_twice_is_a_violation() {
    is_a_violation("ready-twice");
}

#[test]
fn a_heartbeat_before_ready_is_a_violation() {
    is_a_violation("heartbeat");
}

#[test]
fn a_reply_before_ready_is_a_violation() {
    is_a_violation("reply");
}

#[test]
fn a_reply_that_nobody_asked_for_is_a_violation() {
    is_a_violation("ready-reply");
}

/// Checks that a worker with this first message is disconnected in each dialect, that no client is
/// affected, and that other workers continue.
#[track_caller]
fn is_a_violation(opening: &str) {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(PATIENT);
    let endpoint = broker.endpoint();
    let _honest = python.worker(endpoint, Dialect::Mdp02, "honest", &[]);
    let mut stranger = python.client(endpoint, Dialect::Mdp01, STRANGER);
    stranger.round_trip("honest", &[b"before"], &[b"before"]);
    for dialect in Dialect::OF_SCRIPTS {
        // Heartbeats are disabled, so that this is the only violation.
        let options = ["--opening", opening, "--heartbeat", "0"];
        let mut offender = python.worker(endpoint, dialect, "offender", &options);
        offender.expect("disconnect");
    }
    stranger.round_trip("mmi.service", &[b"offender"], &[b"404"]);
    stranger.round_trip("honest", &[b"after"], &[b"after"]);
    stranger.has_had_only(&[&[b"before"], &[b"404"], &[b"after"]]);
}
