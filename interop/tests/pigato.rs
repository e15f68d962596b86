//! The unmodified PIGATO package: its own test suite, and the examples in its README.

use majordomus_interop::Node;

/// The files of its suite that are excluded.
const LEFT_OUT: [&str; 3] = [
    // These files test a client and a worker against their own socket, without a broker.
    "client.js",
    "worker.js",
    // This file counts sockets of the in-process transport.
    "z9_system.js",
];

/// The number of tests in the other files.
const TESTS: usize = 37;

#[test]
fn its_own_tests_pass() {
    let Some(node) = Node::ready() else { return };
    let tests = node.mocha(&node.pigato_tests(&LEFT_OUT), &[]);
    assert_eq!(tests, TESTS, "the suite is whole");
}

/// This also runs assertions that the suite intends but does not make.
#[test]
fn what_its_readme_shows_is_so() {
    let Some(node) = Node::ready() else { return };
    node.mocha(&node.our_tests(), &["--timeout", "10000"]);
}
