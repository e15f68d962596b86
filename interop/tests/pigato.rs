//! The PIGATO package, unmodified: its own test suite, and what its README shows.

use majordomus_interop::Node;

/// The files of its suite that are not run.
const LEFT_OUT: [&str; 3] = [
    // They test a client and a worker against a socket of their own and never meet a broker.
    "client.js",
    "worker.js",
    // It counts sockets of the in-process transport.
    "z9_system.js",
];

/// How many tests are in the others.
const TESTS: usize = 37;

#[test]
fn its_own_tests_pass() {
    let Some(node) = Node::ready() else { return };
    let tests = node.mocha(&node.pigato_tests(&LEFT_OUT), &[]);
    assert_eq!(tests, TESTS, "the suite is whole");
}

/// And what the suite means to assert, but does not.
#[test]
fn what_its_readme_shows_is_so() {
    let Some(node) = Node::ready() else { return };
    node.mocha(&node.our_tests(), &["--timeout", "10000"]);
}
