//! Benchmarks of Majordomus: one module a subject, each with a subcommand of its name.
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
//! Each prints what it measured beside the bar it is held to. The status is 0 when every bar that
//! is enforced was met, 1 when one was missed, and 2 when nothing could be measured.
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

/// Whether the bars that a benchmark enforces were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
}

/// What an error says.
fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let verdict = match words[..] {
        ["core"] => core_alone::compare(),
        // What `core` has valgrind count. It prints nothing, and is good for a profiler too.
        ["core-run", case, size, operations] => core_alone::run(case, size, operations),
        ["footprint"] => footprint::compare(),
        // The broker of that.
        ["footprint-broker"] => footprint::run_broker(),
        ["guard"] => guard::compare(),
        // What `guard` has valgrind count.
        ["guard-run", case, operations] => guard::run(case, operations),
        ["limits"] => limits::compare(),
        ["library"] => library::compare(),
        // One process of that.
        ["library-run", ref what @ ..] => library::run(what),
        ["hostile", ref attacks @ ..] => hostile::compare(attacks),
        // The same in small, for tests, and the broker of one.
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
