//! Test support for interoperability tests: third-party programs against the real broker.
//!
//! The tests start the program `majordomus` ([`Broker`]), programs made with the unmodified
//! majortomo and pyzmq packages ([`Python`]), and PIGATO programs ([`Node`]), and connect them to
//! each other. This library starts them, reads their output, sends them signals and ends them. It
//! does not depend on the broker's internals and links none of our crates. The tests of the library
//! `majordomus` against a broker in a separate process link it themselves. The library never sleeps
//! for a fixed time: it waits for each condition itself, with a bound ([`PATIENCE`] by default).
//!
//! ```no_run
//! use majordomus_interop::{Broker, Dialect, Python};
//!
//! // Without Python, `ready` writes one line to standard error. In CI, it fails.
//! let Some(python) = Python::ready() else { return };
//! let broker = Broker::start(&["--heartbeat-interval", "200ms"]);
//! let mut worker = python.worker(broker.endpoint(), Dialect::Mdp01, "echo", &["--sign", "A"]);
//! let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &["--socket", "dealer"]);
//! client.request("echo", &[b"hello", b"", b"\xff"]);
//! worker.expect("request");
//! client.expect_final(&[b"hello", b"", b"\xff", b"A"]);
//! ```
//!
//! A failed test prints the output of all its processes.
//!
//! # Environment
//!
//! - `CI`: if set, a missing Python or Node.js is a failure.
//! - `MAJORDOMUS_PROGRAM`: test the program at this path, such as an installed release, instead of
//!   building one.

mod broker;
mod dialect;
mod frames;
mod node;
mod patience;
mod process;
mod program;
mod python;
mod pyzmq;
mod workspace;

pub use self::broker::Broker;
pub use self::dialect::Dialect;
pub use self::frames::written;
pub use self::node::Node;
pub use self::patience::{PATIENCE, wait_until};
pub use self::process::{Finished, Process};
pub use self::program::{program, request, worker};
pub use self::python::Python;
pub use self::pyzmq::Client;

pub use rustix::process::Signal;
