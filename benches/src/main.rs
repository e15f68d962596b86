//! Benchmarks of Majordomus: one module per subject, each with a subcommand of the same name.
//!
//! ```console
//! $ cargo run --release -p majordomus-benches -- core
//! $ cargo run --release -p majordomus-benches --features nats -- library
//! $ cargo run --release -p majordomus-benches -- hostile
//! $ cargo run --release -p majordomus-benches -- footprint
//! $ cargo run --release -p majordomus-benches -- guard
//! $ cargo run --release -p majordomus-benches -- limits
//! ```
//!
//! Each subcommand prints its figures with their limits. The exit status is 0 if every enforced
//! limit was met, 1 if one was exceeded, and 2 if nothing could be measured.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is what it prints")]

mod child;
mod core_alone;
mod cost;
mod figure;
mod footprint;
mod guard;
mod hostile;
mod instructions;
mod library;
mod limits;
mod peer;
mod random;
mod timing;

use std::fmt;
use std::process::ExitCode;

const USAGE: &str =
    "usage: majordomus-benches core | footprint | guard | limits | library | hostile [ATTACK...]";

/// The result of a benchmark's enforced limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
}

/// Formats an error.
fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let verdict = match words[..] {
        ["core"] => core_alone::compare(),
        // A subprocess of `core` that valgrind counts. It prints nothing and is suitable for
        // profilers.
        ["core-run", case, size, operations] => core_alone::run(case, size, operations),
        ["footprint"] => footprint::compare(),
        // The broker process of `footprint`.
        ["footprint-broker"] => footprint::run_broker(),
        ["guard"] => guard::compare(),
        // A subprocess of `guard` that valgrind counts.
        ["guard-run", case, operations] => guard::run(case, operations),
        ["limits"] => limits::compare(),
        ["library"] => library::compare(),
        // A process of `library`.
        ["library-run", ref what @ ..] => library::run(what),
        ["hostile", ref attacks @ ..] => hostile::compare(attacks),
        // The attacks at small scale, for tests, and the broker process of an attack.
        ["hostile-try", ref attacks @ ..] => hostile::try_out(attacks),
        ["hostile-broker", attack, scale] => hostile::run_broker(attack, scale),
        _ => Err(USAGE.to_string()),
    };
    match verdict {
        Ok(Verdict::Met) => ExitCode::SUCCESS,
        Ok(Verdict::Missed) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(2)
        }
    }
}
