//! The program alone: its broker, worker and client with each other. These tests do not need
//! Python.

use std::path::PathBuf;
use std::time::Duration;

use majordomus_interop::{Broker, Dialect, Finished, Process, Signal, program, request, worker};
use tempfile::TempDir;

#[track_caller]
fn replied(answer: &Finished, body: &str) {
    assert_eq!(answer.stdout.trim_end(), body, "and on standard error: {}", answer.stderr);
    assert!(answer.status.success(), "{}", answer.status);
}

/// Returns a directory and a socket file path that is short enough.
fn socket() -> (TempDir, PathBuf, String) {
    let directory = TempDir::with_prefix("majordomus-").expect("there is room for a directory");
    let path = directory.path().join("broker.sock");
    let endpoint = format!("ipc://{}", path.display());
    (directory, path, endpoint)
}

#[test]
fn its_clients_of_every_dialect_are_served_by_its_workers_of_every_dialect() {
    let broker = Broker::start(&[]);
    let _workers = Dialect::ALL.map(|dialect| worker(broker.endpoint(), dialect, dialect.name()));
    for client in Dialect::ALL {
        for service in Dialect::ALL {
            let body = format!("from {client} to {service}");
            replied(&request(broker.endpoint(), client, service.name(), &[&body]), &body);
        }
    }
}

/// Tests names that other brokers treat as their own (every name that begins with `m`, `i` or `.`,
/// or has `mmi.` anywhere in it).
#[test]
fn ordinary_names_belong_to_workers() {
    let broker = Broker::start(&[]);
    for service in ["mirror", ".x", "i", "my.mmi.service", "mmi", "constructor", "__proto__"] {
        let _worker = worker(broker.endpoint(), Dialect::Mdp02, service);
        replied(&request(broker.endpoint(), Dialect::Mdp01, service, &[service]), service);
    }
}

#[test]
fn mmi_belongs_to_the_broker() {
    let broker = Broker::start(&[]);
    let ask = |service, body| request(broker.endpoint(), Dialect::Mdp02, service, &[body]);
    let _worker = worker(broker.endpoint(), Dialect::Mdp02, "echo");
    replied(&ask("echo", "hello"), "hello");
    replied(&ask("mmi.service", "echo"), "200");
    replied(&ask("mmi.service", "nobody"), "404");
    replied(&ask("mmi.unknown", "echo"), "501");
}

#[test]
fn a_command_is_a_worker() {
    let broker = Broker::start(&[]);
    let mut command = program();
    command.args(["worker", "-b", broker.endpoint(), "upper", "--exec", "tr", "a-z", "A-Z"]);
    let _worker = Process::start("majordomus worker upper --exec tr", command);
    replied(&request(broker.endpoint(), Dialect::Mdp02, "upper", &["hello"]), "HELLO");
}

#[test]
fn a_request_that_nobody_serves_in_time_fails_in_one_line() {
    let broker = Broker::start(&[]);
    let mut command = program();
    command.args(["request", "-b", broker.endpoint(), "--timeout", "200ms", "nobody", "hello"]);
    let answer = Process::start("majordomus request nobody", command).finish();
    assert_eq!(answer.status.code(), Some(1));
    assert_eq!(answer.stdout, "");
    assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
}

#[test]
fn ipc_works_from_end_to_end_and_leaves_no_file() {
    let (_directory, path, endpoint) = socket();
    let mut broker = Broker::listening_on(&[&endpoint], &[]);
    assert_eq!(broker.endpoints(), [endpoint]);
    let _worker = worker(broker.endpoint(), Dialect::Majortomo, "echo");
    replied(&request(broker.endpoint(), Dialect::Mdp01, "echo", &["hello"]), "hello");

    broker.signal(Signal::TERM);
    broker.exited(Duration::from_secs(2));
    assert!(!path.exists(), "{} is still there", path.display());
}

#[test]
fn a_socket_file_that_a_killed_broker_left_is_replaced() {
    let (_directory, path, endpoint) = socket();
    let mut broker = Broker::listening_on(&[&endpoint], &[]);
    broker.signal(Signal::KILL);
    broker.exited(Duration::from_secs(20));
    assert!(path.exists(), "nothing was left, so there is nothing to replace");

    let broker = Broker::listening_on(&[&endpoint], &[]);
    let _worker = worker(broker.endpoint(), Dialect::Mdp02, "echo");
    replied(&request(broker.endpoint(), Dialect::Mdp02, "echo", &["hello"]), "hello");
}

#[test]
fn peers_on_several_endpoints_meet() {
    let (_directory, _, ipc) = socket();
    let broker =
        Broker::listening_on(&["tcp://127.0.0.1:0", ipc.as_str(), "tcp://127.0.0.1:*"], &[]);
    let _worker = worker(broker.endpoint(), Dialect::Mdp01, "echo");
    assert_eq!(broker.endpoints().len(), 3);
    for endpoint in broker.endpoints() {
        replied(&request(endpoint, Dialect::Mdp02, "echo", &[endpoint]), endpoint);
    }
}

#[test]
fn its_worker_comes_back_to_a_broker_that_was_started_again() {
    let mut broker = Broker::start(&[]);
    let _workers = Dialect::ALL.map(|dialect| worker(broker.endpoint(), dialect, dialect.name()));
    for signal in [Signal::TERM, Signal::KILL] {
        for dialect in Dialect::ALL {
            replied(&request(broker.endpoint(), dialect, dialect.name(), &["before"]), "before");
        }
        broker.restart(signal);
        for dialect in Dialect::ALL {
            replied(&request(broker.endpoint(), dialect, dialect.name(), &["after"]), "after");
        }
    }
}

#[test]
fn a_broker_ends_within_two_seconds_of_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut broker = Broker::start(&[]);
        let _worker = worker(broker.endpoint(), Dialect::Mdp02, "echo");
        replied(&request(broker.endpoint(), Dialect::Mdp02, "echo", &["hello"]), "hello");
        broker.signal(signal);
        let status = broker.exited(Duration::from_secs(2));
        assert_eq!(status.code(), Some(0), "after {signal:?}");
        assert!(broker.log().contains("replied"), "no table of outcomes:\n{}", broker.log());
    }
}

#[test]
fn the_demonstration_comes_out_right() {
    let mut command = program();
    command.arg("demo");
    let demo = Process::start("majordomus demo", command).finish();
    assert!(demo.status.success(), "{}\n{}", demo.status, demo.stderr);
    for dialect in Dialect::ALL {
        assert!(demo.stdout.contains(dialect.name()), "no {dialect} in:\n{}", demo.stdout);
    }
}
