//! `majordomus broker` as a process.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::patience::PATIENCE;
use crate::process::Process;
use crate::program::program;

/// A running broker. It is killed when it is dropped.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    options: Vec<String>,
    endpoints: Vec<String>,
}

impl Broker {
    /// Starts one on a free port of 127.0.0.1, with further options of `majordomus broker`, and
    /// waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not listen within [`PATIENCE`].
    #[track_caller]
    pub fn start(options: &[&str]) -> Broker {
        Broker::listening_on(&["tcp://127.0.0.1:0"], options)
    }

    /// Starts one on endpoints of your choice and waits until it listens on all of them.
    #[track_caller]
    pub fn listening_on(endpoints: &[&str], options: &[&str]) -> Broker {
        let options: Vec<String> = options.iter().map(|&option| option.into()).collect();
        let (process, endpoints) = launch(endpoints, &options);
        Broker { process, options, endpoints }
    }

    /// The first of its endpoints, with the real port.
    pub fn endpoint(&self) -> &str {
        &self.endpoints[0]
    }

    /// All its endpoints, in the order in which it named them.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it has not ended within `bound`.
    #[track_caller]
    pub fn exited(&mut self, bound: Duration) -> ExitStatus {
        self.process.exited(bound)
    }

    /// Ends it with `signal`, waits until it has ended, and starts another on the same endpoints
    /// with the same options.
    #[track_caller]
    pub fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        self.exited(PATIENCE);
        self.start_again();
    }

    /// Starts another where this one, which has ended, was: on the same endpoints with the same
    /// options.
    #[track_caller]
    pub fn start_again(&mut self) {
        let endpoints: Vec<&str> = self.endpoints.iter().map(|endpoint| &**endpoint).collect();
        self.process = launch(&endpoints, &self.options).0;
    }
}

/// A broker that listens, and where.
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
