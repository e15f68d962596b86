//! The program `majordomus`: a service broker for the Majordomo protocol, and command-line tools
//! for it. Each subcommand has its own file in `cmd`.
//!
//! The exit status is 0 on success, 1 after an error, with one line on standard error, and 2 after
//! a usage error.

mod bytes;
mod cmd;
mod duration;
mod failure;
mod log;
mod output;
mod settings;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cmd::Program::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If standard error is closed, the exit status is the only report.
            let _ = writeln!(io::stderr(), "majordomus: {}", failure.line());
            ExitCode::FAILURE
        }
    }
}
