//! The simulator's command line: runs seeds and prints the outcomes of the requests.

use std::io::Write as _;
use std::process::ExitCode;

use majordomus_core::Outcome;
use majordomus_core::broker::Broker;
use majordomus_sim::checker::Tally;
use majordomus_sim::{Failure, Machine, Mutant, Mutation, Sink, run, shrink};

const HELP: &str = "\
majordomus-sim: runs the broker on virtual time with faults, and checks it.

  --seed N           begin with this seed (1)
  --steps M          how often the broker is told something for each seed (1000000)
  --seeds K          play so many seeds, one after the other (1)
  --until-failure    play seeds until a rule is broken
  --trace            show all that happens, as it happens
  --mutant NAME    play a broker with a fault instead, which the checker has to find
  --help             show this

It ends with 0, with 1 where a rule was broken, or with 2 where an option is wrong.
";

/// The command-line arguments.
#[derive(Debug)]
struct Args {
    seed: u64,
    steps: u64,
    seeds: u64,
    until_failure: bool,
    trace: bool,
    mutant: Option<Mutation>,
}

impl Args {
    /// Parses the arguments. Returns `None` if help is requested.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = Self {
            seed: 1,
            steps: 1_000_000,
            seeds: 1,
            until_failure: false,
            trace: false,
            mutant: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word}: a value is missing"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--seed" => args.seed = number(&word, &value()?)?,
                "--steps" => args.steps = one_or_more(&word, &value()?)?,
                "--seeds" => args.seeds = one_or_more(&word, &value()?)?,
                "--until-failure" => args.until_failure = true,
                "--trace" => args.trace = true,
                "--mutant" => args.mutant = Some(mutation(&word, &value()?)?),
                _ => return Err(format!("{word}: there is no such option")),
            }
        }
        Ok(Some(args))
    }
}

fn number(option: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{option}: `{value}` is no number from 0 to {}", u64::MAX))
}

fn one_or_more(option: &str, value: &str) -> Result<u64, String> {
    match number(option, value)? {
        0 => Err(format!("{option}: it must be at least 1")),
        number => Ok(number),
    }
}

fn mutation(option: &str, value: &str) -> Result<Mutation, String> {
    let names = || Mutation::ALL.iter().map(|mutation| format!("{mutation:?}"));
    let found = names().position(|name| name == value);
    let unknown = || {
        let names: Vec<String> = names().collect();
        format!("{option}: `{value}` is none of {}", names.join(", "))
    };
    found.map(|at| Mutation::ALL[at]).ok_or_else(unknown)
}

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => match args.mutant {
            Some(mutation) => play::<Mutant>(mutation, &args),
            None => play::<Broker>((), &args),
        },
        Ok(None) => {
            say(HELP.trim_end());
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "{why}\nTry --help.");
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn play<M: Machine>(kind: M::Kind, args: &Args) -> ExitCode {
    let sink = args.trace.then(|| {
        Sink::new(|line| {
            let _ = writeln!(std::io::stdout(), "{line}");
        })
    });
    let mut sum = Tally::default();
    let mut steps = 0;
    let mut seed = args.seed;
    for played in 1.. {
        let report = run::<M>(kind, seed, args.steps, sink.as_ref());
        steps += report.steps;
        sum.add(&report.tally);
        if let Some(failure) = report.failure {
            // A trace already ends with the violation.
            if !args.trace {
                explain::<M>(kind, args, &failure);
                say(&summary(steps, &sum, seed));
            }
            return ExitCode::FAILURE;
        }
        if !args.until_failure && played >= args.seeds {
            break;
        }
        if args.until_failure && played % 20 == 0 {
            say(&summary(steps, &sum, seed));
        }
        seed = seed.wrapping_add(1);
    }
    say(&summary(steps, &sum, seed));
    ExitCode::SUCCESS
}

/// Prints the violated rule, the shortened history, and the command that reproduces it.
fn explain<M: Machine>(kind: M::Kind, args: &Args, failure: &Failure) {
    say(&format!("broken: {}", failure.breach));
    match shrink::<M>(kind, failure) {
        Some(short) => say(&format!(
            "in short, {} of {}:\n{}",
            short.entries, short.entries_before, short.script
        )),
        None => say("The broker alone does not repeat it, so it cannot be made short."),
    }
    let mutant = args.mutant.map(|mutation| format!(" --mutant {mutation:?}"));
    say(&format!(
        "again: cargo run --release -p majordomus-sim -- --seed {} --steps {}{} --trace",
        failure.seed,
        failure.steps,
        mutant.unwrap_or_default()
    ));
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
