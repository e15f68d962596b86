//! Other people's programs against the real broker: what the tests beside this library stand on.
//!
//! The tests start the program `majordomus` ([`Broker`]), programs made with the unmodified
//! majortomo and pyzmq packages ([`Python`]) and with PIGATO ([`Node`]), and let them talk. This
//! library starts them, reads what they say, sends them signals and ends them. It knows nothing of
//! the broker's insides, links none of our crates (the tests of the library `majordomus` against a
//! broker in a process of its own do that themselves), and never sleeps to wait for something:
//! whatever is awaited is awaited itself, with a bound ([`PATIENCE`] where no other is given).
//!
//! ```no_run
//! use majordomus_interop::{Broker, Dialect, Python};
//!
//! // One line on standard error and nothing else where Python is missing; a failure in CI.
//! let Some(python) = Python::ready() else { return };
//! let broker = Broker::start(&["--heartbeat-interval", "200ms"]);
//! let mut worker = python.worker(broker.endpoint(), Dialect::Mdp01, "echo", &["--sign", "A"]);
//! let mut client = python.client(broker.endpoint(), Dialect::Mdp02, &["--socket", "dealer"]);
//! client.request("echo", &[b"hello", b"", b"\xff"]);
//! worker.expect("request");
//! client.expect_final(&[b"hello", b"", b"\xff", b"A"]);
//! ```
//!
//! A test that fails shows what every process in it has said.
//!
//! # Environment
//!
//! - `CI`, set to anything: Python or Node.js that is missing is a failure.
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
