//! The program: plays seeds, and says what became of the requests.

use std::io::Write as _;
use std::process::ExitCode;

use majordomus_core::Outcome;
use majordomus_core::broker::Broker;
use majordomus_sim::judge::Tally;
use majordomus_sim::{run, shrink};

const USAGE: &str = "majordomus-sim [--seed N] [--steps M] [--seeds K] [--until-failure] [--trace]";

/// The command line.
#[derive(Debug)]
struct Args {
    seed: u64,
    steps: u64,
    seeds: u64,
    until_failure: bool,
    trace: bool,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args =
            Self { seed: 1, steps: 1_000_000, seeds: 1, until_failure: false, trace: false };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
                value.parse().map_err(|_| format!("`{value}` is no number"))
            };
            match word.as_str() {
                "--seed" => args.seed = number()?,
                "--steps" => args.steps = number()?,
                "--seeds" => args.seeds = number()?,
                "--until-failure" => args.until_failure = true,
                "--trace" => args.trace = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(args)
    }
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            let _ = writeln!(out, "{why}");
            return ExitCode::from(2);
        }
    };
    let mut sum = Tally::default();
    let mut steps = 0;
    let mut seed = args.seed;
    loop {
        let mut look = |text: String| {
            let _ = out.write_all(text.as_bytes());
        };
        let trace: Option<&mut dyn FnMut(String)> = if args.trace { Some(&mut look) } else { None };
        let report = run::<Broker>((), seed, args.steps, trace);
        steps += report.steps;
        sum.add(&report.tally);
        if let Some(failure) = report.failure {
            let _ = writeln!(out, "broken: {}", failure.breach);
            let again = format!("--seed {} --steps {}", failure.seed, failure.steps);
            if let Some(short) = shrink::<Broker>((), &failure) {
                let (few, many) = (short.entries, short.entries_before);
                let _ = writeln!(out, "in short, {few} of {many}:\n{}", short.trace);
            }
            let _ =
                writeln!(out, "again: cargo run --release -p majordomus-sim -- {again} --trace");
            let _ = writeln!(out, "{}", summary(steps, &sum, seed));
            return ExitCode::FAILURE;
        }
        if !args.until_failure && seed + 1 >= args.seed + args.seeds {
            break;
        }
        seed += 1;
        if args.until_failure && seed % 20 == 0 {
            let _ = writeln!(out, "{}", summary(steps, &sum, seed));
        }
    }
    let _ = writeln!(out, "{}", summary(steps, &sum, seed));
    ExitCode::SUCCESS
}

fn summary(steps: u64, tally: &Tally, seed: u64) -> String {
    let outcomes: Vec<String> = Outcome::ALL
        .iter()
        .zip(tally.outcomes)
        .map(|(outcome, count)| format!("{outcome} {count}"))
        .collect();
    format!(
        "steps {steps}, requests {}, {}, dispatched {}, seed {seed}",
        tally.received,
        outcomes.join(", "),
        tally.dispatched
    )
}
