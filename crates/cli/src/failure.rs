//! Errors that end the program with status 1.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use majordomus::{Dialect, RequestError, SetupError};
use majordomus_broker::StartError;

use crate::duration;
use crate::settings::SettingsError;

/// An error that ends the program with status 1. Its text names the operation that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is invalid.
    Settings(SettingsError),
    /// The broker did not start.
    Start(StartError),
    /// A system call failed while the broker ran.
    Broker(io::Error),
    /// A client or a worker could not be set up.
    Setup(SetupError),
    /// No broker was reachable.
    NoBroker { service: String, endpoint: String, dialect: Dialect },
    /// The target worker does not exist, or does not offer the service.
    NoSuchWorker { service: String, endpoint: String, worker: String },
    /// No reply, or no further part of it, arrived within the timeout.
    Timeout { service: String, endpoint: String, timeout: Duration },
    /// The request failed before its reply was complete.
    Request { service: String, endpoint: String, error: Box<RequestError> },
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output cannot be written.
    Output(io::Error),
    /// The system could not provide threads or signals.
    System(io::Error),
    /// The demonstration had faults.
    Demo { faults: usize },
    /// No first call was answered.
    NoTrip { endpoint: String, timeout: Duration, why: String },
    /// Some calls were lost, wrong or failed.
    Tripping { calls: u64, lost: u64, wrong: u64, failed: u64 },
    /// The broker for a measurement did not start.
    OwnBroker(String),
    /// A measurement could not start.
    NoLoad { endpoint: String, why: String },
    /// The page of a measurement cannot be written.
    Page { path: PathBuf, error: io::Error },
    /// Some replies of a measurement were wrong or missing.
    Bench(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Settings(error) => error.fmt(f),
            Failure::Start(error) => error.fmt(f),
            Failure::Broker(error) => write!(f, "the broker ended: {error}"),
            Failure::Setup(error) => error.fmt(f),
            Failure::NoBroker { service, endpoint, dialect } => write!(
                f,
                "request to {service:?}: no broker at {endpoint} that answers in {dialect}; start \
                 one with `majordomus broker -b ENDPOINT`, or name another with --broker"
            ),
            Failure::NoSuchWorker { service, endpoint, worker } => write!(
                f,
                "request to {service:?} at {endpoint}: no worker named {worker:?} offers the service"
            ),
            Failure::Timeout { service, endpoint, timeout } if timeout.is_zero() => {
                write!(f, "request to {service:?} at {endpoint}: no worker is free")
            }
            Failure::Timeout { service, endpoint, timeout } => {
                let timeout = duration::show(*timeout);
                write!(f, "request to {service:?} at {endpoint}: no reply within {timeout}")
            }
            Failure::Request { service, endpoint, error } => {
                write!(f, "request to {service:?} at {endpoint}: ")?;
                match &**error {
                    // The broker's own error text for a worker that failed without a reason.
                    RequestError::Remote { .. } if error.text() == "B_FAILED" => {
                        write!(f, "the worker failed ({error})")
                    }
                    error => error.fmt(f),
                }
            }
            Failure::Input(error) => write!(f, "cannot read standard input: {error}"),
            Failure::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Failure::System(error) => write!(f, "the system refuses: {error}"),
            Failure::Demo { faults } => {
                write!(f, "the demonstration went wrong in {faults} cells of the matrix")
            }
            Failure::NoTrip { endpoint, timeout, why } => {
                let timeout = duration::show(*timeout);
                write!(f, "no call came back through {endpoint} within {timeout}: {why}")
            }
            Failure::Tripping { calls, lost, wrong, failed } => {
                let bad = lost + wrong + failed;
                write!(
                    f,
                    "{bad} of {calls} calls did not come back as they should: {lost} lost, \
                     {wrong} wrong, {failed} failed"
                )
            }
            Failure::OwnBroker(why) => write!(f, "the broker for this run does not run: {why}"),
            Failure::NoLoad { endpoint, why } => write!(f, "no load through {endpoint}: {why}"),
            Failure::Page { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Failure::Bench(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Formats the error in one line, even if its parts contain line breaks.
    pub(crate) fn line(&self) -> String {
        let text = self.to_string();
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("; ").replace(|c: char| c.is_control(), "\u{FFFD}")
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Failure::Settings(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Failure::Start(error)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Failure::Setup(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let why = "first\n\n  second\r\n\u{1b}[31mthird\n".into();
        let error = Box::new(RequestError::Remote { code: 0, why });
        let (service, endpoint) = ("echo".into(), "ipc://m".into());
        let line = Failure::Request { service, endpoint, error }.line();
        assert_eq!(line, "request to \"echo\" at ipc://m: first; second; \u{fffd}[31mthird");
    }
}
