//! The client and worker in `omdp1-python`, which were written only from the specification of
//! OMDP/1, and their own tests.

use std::fs;
use std::path::Path;
use std::time::Duration;

use majordomus_interop::{Broker, Python, program};

/// The timeout of the tests, which take six seconds on an idle machine.
const BOUND: Duration = Duration::from_secs(120);

#[test]
fn its_commands_are_those_of_the_vectors() {
    let Some(python) = Python::ready() else { return };
    let vectors = python.file("omdp1-python/test_vectors.py", &[]).finish();
    assert!(vectors.status.success(), "{}{}", vectors.stdout, vectors.stderr);
}

#[test]
fn its_peers_and_the_broker_do_what_the_specification_says() {
    let Some(python) = Python::ready() else { return };
    let program = program();
    let program = program.get_program().to_str().expect("a path that is text");
    let mut peers = python.file("omdp1-python/test_peers.py", &[program]);
    let status = peers.exited(BOUND);
    assert!(status.success(), "{:?}", peers.said("FAIL"));
}

/// The examples in its README work as they are, except for the port.
#[test]
fn its_readme_is_right() {
    let Some(python) = Python::ready() else { return };
    let readme = include_str!("../omdp1-python/README.md");
    let (_, shown) = readme.split_once("```python\n").expect("a block");
    let (shown, _) = shown.split_once("```").expect("its end");
    let broker = Broker::start(&[]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("omdp1-python");
    let here = here.to_str().expect("a path that is text");
    let shown = shown.replace("tcp://127.0.0.1:5555", broker.endpoint());
    let ran = python.code(&format!("import sys; sys.path.insert(0, {here:?})\n{shown}")).finish();
    assert_eq!(ran.stdout, "(b'hello',)\n", "{}", ran.stderr);
}

/// All tests share one environment. A user who runs these tests by hand creates one with the same
/// packages.
#[test]
fn its_requirements_are_among_ours() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = |path: &str| fs::read_to_string(here.join(path)).expect("it is there");
    let ours = lines("python/requirements.txt");
    for line in lines("omdp1-python/requirements.txt").lines() {
        assert!(ours.lines().any(|other| other == line), "{line}");
    }
}
