//! The unmodified majortomo package, with its own peers and with ours.

use majordomus_interop::{
    Broker, Dialect, Process, Python, Signal, program, request, worker, written,
};

/// A heartbeat interval short enough to detect a worker that the broker has forgotten.
const QUICK: &[&str] = &["--heartbeat-interval", "200ms"];

/// Starts `python -m majortomo.echo … worker`.
fn echo_worker(python: &Python, endpoint: &str, service: &str) -> Process {
    python.module("majortomo.echo", &["-b", endpoint, "-n", service, "worker"])
}

/// Runs `python -m majortomo.echo … client`, which sends three requests, and compares its output.
#[track_caller]
fn echo_client_is_served(python: &Python, endpoint: &str, service: &str) {
    let options = ["-b", endpoint, "-n", service, "client", "-m", "hello", "-r", "3", "-d", "0"];
    let client = python.module("majortomo.echo", &options).finish();
    // The client prints correct replies in green, which is color 32.
    let line = "\x1b[38;32mGot response: [b'hello']\x1b[0m\n";
    assert_eq!(client.stdout, line.repeat(3), "from {service}");
    assert!(client.status.success());
}

#[test]
fn its_client_is_served_by_its_worker() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let _worker = echo_worker(python, broker.endpoint(), "mdp-echo");
    echo_client_is_served(python, broker.endpoint(), "mdp-echo");
}

#[test]
fn its_client_is_served_by_our_worker_of_each_dialect() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    for dialect in Dialect::ALL {
        let _worker = worker(broker.endpoint(), dialect, dialect.name());
        echo_client_is_served(python, broker.endpoint(), dialect.name());
    }
}

#[test]
fn our_client_of_each_dialect_is_served_by_its_worker() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let _worker = echo_worker(python, broker.endpoint(), "echo");
    for dialect in Dialect::ALL {
        let client = request(broker.endpoint(), dialect, "echo", &["hello"]);
        assert_eq!(client.stdout.trim_end(), "hello", "in {dialect}");
        assert!(client.status.success());
    }
}

#[test]
fn its_client_hears_every_part_that_its_worker_streams() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let peer = ["--broker", broker.endpoint(), "--service", "stream"];
    let _worker = python.script("majortomo_worker", &[&peer, &["--stream"][..]].concat());
    let body = written(&[b"one", b"", b"\xff\0"]);
    let client =
        python.script("majortomo_client", &[&peer, &["--body", &body][..]].concat()).finish();
    assert_eq!(client.stdout, "part one\npart ''\npart %FF%00\npart end\nend\n");
}

/// The broker sends DISCONNECT to its workers before it exits: they register again by themselves.
#[test]
fn its_worker_comes_back_to_a_broker_that_was_ended() {
    comes_back_after(Signal::TERM);
}

/// libzmq reconnects without notifying its program. The worker detects the restart when the new
/// broker answers its next heartbeat with DISCONNECT.
#[test]
fn its_worker_comes_back_to_a_broker_that_was_killed() {
    comes_back_after(Signal::KILL);
}

#[track_caller]
fn comes_back_after(signal: Signal) {
    let Some(python) = Python::ready() else { return };
    let mut broker = Broker::start(QUICK);
    let peer = ["--broker", broker.endpoint(), "--service", "echo"];
    let mut worker = python.script("majortomo_worker", &peer);
    echo_client_is_served(python, broker.endpoint(), "echo");

    broker.restart(signal);

    worker.expect("disconnect");
    worker.expect("opened");
    echo_client_is_served(python, broker.endpoint(), "echo");
    for _ in 0..3 {
        assert_eq!(worker.expect("request"), "hello");
    }
    assert_eq!(worker.said("request"), ["hello"; 6]);
}

/// The commands of a new user: our program on one side, the package on the other, and a command as
/// the worker.
#[test]
fn its_client_is_served_by_a_command() {
    let Some(python) = Python::ready() else { return };
    let broker = Broker::start(&[]);
    let mut command = program();
    command.args(["worker", "-b", broker.endpoint(), "cat", "--exec", "cat"]);
    let _worker = Process::start("majordomus worker cat --exec cat", command);
    echo_client_is_served(python, broker.endpoint(), "cat");
}
