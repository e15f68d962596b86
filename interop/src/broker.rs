//! `majordomus broker` as a child process.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::patience::PATIENCE;
use crate::process::Process;
use crate::program::program;

/// A running broker. Dropping it kills the process.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    options: Vec<String>,
    endpoints: Vec<String>,
}

impl Broker {
    /// Starts a broker on a free port of 127.0.0.1, with further options of `majordomus broker`,
    /// and waits until it listens.
    ///
    /// # Panics
    ///
    /// Panics if the broker does not listen within [`PATIENCE`].
    #[track_caller]
    pub fn start(options: &[&str]) -> Broker {
        Broker::listening_on(&["tcp://127.0.0.1:0"], options)
    }

    /// Starts a broker on the given endpoints and waits until it listens on all of them.
    #[track_caller]
    pub fn listening_on(endpoints: &[&str], options: &[&str]) -> Broker {
        let options: Vec<String> = options.iter().map(|&option| option.into()).collect();
        let (process, endpoints) = launch(endpoints, &options);
        Broker { process, options, endpoints }
    }

    /// Returns the first endpoint, with the actual port.
    pub fn endpoint(&self) -> &str {
        &self.endpoints[0]
    }

    /// Returns all endpoints, in the order in which the broker printed them.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends a signal to the broker.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the broker exits.
    ///
    /// # Panics
    ///
    /// Panics if the broker does not exit within `bound`.
    #[track_caller]
    pub fn exited(&mut self, bound: Duration) -> ExitStatus {
        self.process.exited(bound)
    }

    /// Ends the broker with `signal`, waits until it has exited, and starts a new one on the same
    /// endpoints with the same options.
    #[track_caller]
    pub fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        self.exited(PATIENCE);
        self.start_again();
    }

    /// Starts a new broker, after this one has exited, on the same endpoints with the same options.
    #[track_caller]
    pub fn start_again(&mut self) {
        let endpoints: Vec<&str> = self.endpoints.iter().map(|endpoint| &**endpoint).collect();
        self.process = launch(&endpoints, &self.options).0;
    }
}

/// Starts a broker and returns it with its endpoints.
#[track_caller]
fn launch(endpoints: &[&str], options: &[String]) -> (Process, Vec<String>) {
    let mut command = program();
    command.arg("broker").args(options);
    for endpoint in endpoints {
        command.args(["-b", endpoint]);
    }
    let mut process = Process::start("majordomus broker", command);
    let listening = endpoints.iter().map(|_| process.expect("listening ")).collect();
    (process, listening)
}
