//! Regression guard: the cost, in instructions and allocations, of an operation of the core, of an
//! operation of each dialect's codec, and of a whole exchange through both, compared with the costs
//! recorded in `benches/recorded.txt`. It measures no time.
//!
//! A higher cost is a failure. So is a lower cost until it is recorded, because a loose limit
//! detects nothing. With `UPDATE_RECORD=1` the measured costs are recorded.

mod exchange;
mod record;

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs, thread};

use majordomus_wire::Dialect;

use self::exchange::{Exchange, Step};
use self::record::{Figure, Record, Standing};
use crate::core_alone::{Case, Stage};
use crate::{Verdict, cost, instructions};

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.txt");

/// The number of core operations, with one of a thing. It is large enough to include the work per
/// timer tick.
const CORE_OPERATIONS: u64 = 4_096;
const CODEC_OPERATIONS: u64 = 500;

/// A measured subject.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Core(Case),
    Codec(Dialect, Step),
}

impl Subject {
    fn all() -> impl Iterator<Item = Subject> {
        let codecs = Dialect::ALL
            .into_iter()
            .flat_map(|dialect| Step::ALL.map(|step| Subject::Codec(dialect, step)));
        Case::ALL.into_iter().map(Subject::Core).chain(codecs)
    }

    fn name(self) -> String {
        match self {
            Subject::Core(case) => format!("core/{}", case.name()),
            Subject::Codec(dialect, step) => format!("{dialect}/{}", step.name()),
        }
    }

    const fn operations(self) -> u64 {
        match self {
            Subject::Core(_) | Subject::Codec(_, Step::Exchange) => CORE_OPERATIONS,
            Subject::Codec(..) => CODEC_OPERATIONS,
        }
    }

    /// Prepares the operations and returns a function that runs a given number of them.
    fn prepare(self) -> Box<dyn FnMut(u64)> {
        match self {
            Subject::Core(case) => {
                let mut stage = Stage::new(case, 1);
                Box::new(move |operations| {
                    stage.run(operations);
                    stage.check();
                })
            }
            Subject::Codec(dialect, step) => {
                let mut exchange = Exchange::new(dialect);
                let mut exchanges = 0;
                Box::new(move |operations| {
                    exchange.run(step, operations);
                    exchanges += if step == Step::Exchange { operations } else { 0 };
                    exchange.check(exchanges);
                })
            }
        }
    }

    fn measure(self, counted: bool) -> Result<Figure, String> {
        let operations = self.operations();
        let mut run = self.prepare();
        // After this run, all one-time allocations exist.
        run(operations);
        let before = cost::allocations();
        run(operations);
        let allocations = (cost::allocations() - before) as f64 / operations as f64;
        let arguments =
            |operations: u64| ["guard-run".into(), self.name(), operations.to_string()].to_vec();
        let instructions =
            counted.then(|| instructions::per_operation(operations, arguments)).transpose()?;
        Ok(Figure { instructions, allocations })
    }
}

/// Measures every case and compares it with the record, or updates the record.
pub(crate) fn compare() -> Result<Verdict, String> {
    if cfg!(debug_assertions) {
        return Err("what is recorded is of release builds: `cargo run --release`".into());
    }
    let counted = instructions::can_be_counted();
    if !counted && env::var_os("CI").is_some() {
        return Err("valgrind is not installed, and in CI instructions have to be counted".into());
    }
    let made_by = made_by();
    if env::var_os("UPDATE_RECORD").is_some() {
        if !counted {
            return Err("valgrind is not installed: nothing to be recorded can be counted".into());
        }
        let record = Record { figures: measure_all(counted)?, made_by };
        fs::write(RECORD, record.to_string()).map_err(|error| format!("{RECORD}: {error}"))?;
        println!("recorded in {RECORD}");
        return Ok(Verdict::Met);
    }
    let text = fs::read_to_string(RECORD).map_err(|error| format!("{RECORD}: {error}"))?;
    let record = Record::parse(&text)?;
    let tolerance = record.tolerance(&made_by);
    if record.made_by != made_by {
        println!("made by {made_by}; what was recorded was made by {}", record.made_by);
    }
    match counted {
        true => println!("instructions may be {:.0} % from what was recorded\n", 100.0 * tolerance),
        false => println!("valgrind is not installed: only allocations are counted\n"),
    }
    let verdict = report(&record, &measure_all(counted)?, tolerance);
    if verdict == Verdict::Missed {
        println!("\nwhere all of this is meant, record it: UPDATE_RECORD=1 and the same command");
    }
    Ok(verdict)
}

/// Runs the operations of one case, for an external instruction counter.
pub(crate) fn run(name: &str, operations: &str) -> Result<Verdict, String> {
    let subject = Subject::all().find(|subject| subject.name() == name).ok_or("no such case")?;
    let operations = operations.parse().map_err(|_| "the count is not a number")?;
    // A thread's stack starts at a page. The stack of `main` starts below the environment, so its
    // alignment, and the cost of a copy on it, depend on the environment.
    let done = thread::spawn(move || subject.prepare()(operations)).join();
    done.map(|()| Verdict::Met).map_err(|_| "something else was measured than was meant".into())
}

fn measure_all(counted: bool) -> Result<BTreeMap<String, Figure>, String> {
    Subject::all().map(|subject| Ok((subject.name(), subject.measure(counted)?))).collect()
}

/// Prints every case with its recorded costs.
fn report(record: &Record, measured: &BTreeMap<String, Figure>, tolerance: f64) -> Verdict {
    println!("{:<24}{:>28}{:>28}", "", "instructions", "allocations");
    let columns = format!("{:>14}{:>14}", "recorded", "now");
    println!("{:<24}{columns}{columns}", "one operation of");
    let mut verdict = Verdict::Met;
    for (case, &now) in measured {
        let standing = record.standing(case, now, tolerance);
        let text = match standing {
            Standing::Same => "",
            Standing::Worse => "MISSED: it costs more",
            Standing::Better => "MISSED: it costs less than is recorded",
            Standing::New => "MISSED: it is not recorded",
        };
        if standing != Standing::Same {
            verdict = Verdict::Missed;
        }
        let recorded = record.figures.get(case);
        let [instructions, instructions_now] =
            [recorded.and_then(|it| it.instructions), now.instructions].map(|it| shown(it, 0));
        let allocations = shown(recorded.map(|it| it.allocations), 2);
        let allocations_now = shown(Some(now.allocations), 2);
        println!(
            "{case:<24}{instructions:>14}{instructions_now:>14}{allocations:>14}{allocations_now:>14}  {text}"
        );
    }
    for case in record.figures.keys().filter(|case| !measured.contains_key(*case)) {
        println!("{case:<24}MISSED: it is recorded and no longer there");
        verdict = Verdict::Missed;
    }
    verdict
}

fn shown(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or("-".into(), |figure| format!("{figure:.decimals$}"))
}

/// Describes the tools that affect the figures besides our source.
fn made_by() -> String {
    // Allocations and copies run instructions of the C library.
    let library = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let library = library.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_string());
    let library = library.ok().filter(|said| !said.is_empty());
    let library = library.unwrap_or_else(|| "another C library".into());
    format!("{}, {library}, {}", env!("COMPILER"), env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_recorded_and_no_other() {
        let text = fs::read_to_string(RECORD).expect("it is in the repository");
        let record = Record::parse(&text).expect("it is a record");
        let mut cases: Vec<String> = Subject::all().map(Subject::name).collect();
        cases.sort();
        assert!(record.figures.keys().eq(&cases), "record anew: UPDATE_RECORD=1");
        assert_eq!(record.to_string(), text, "it was edited by hand");
    }
}
