//! The program `majordomus`: a service broker for the Majordomo protocol, and what a person needs
//! beside it. One file a subcommand, in `cmd`.
//!
//! It ends with status 0 when all went well, 1 with one line on standard error when something
//! failed, and 2 when it was called in a way that makes no sense.

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
            // Where standard error is closed, the status has to do.
            let _ = writeln!(io::stderr(), "majordomus: {}", failure.line());
            ExitCode::FAILURE
        }
    }
}
