//! The guard: the cost, in instructions and allocations, of one operation of the core, of one operation
//! of each dialect's codec, and of a whole exchange through both, compared with the costs recorded in
//! `benches/recorded.txt`. It measures no time.
//!
//! More is a miss. So is less, until it is recorded: a bar that hangs too low guards nothing. With
//! `UPDATE_RECORD=1` what was measured becomes what is recorded.

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

/// Of the core, with one of a thing; enough that what is done for each tick of its timers is in it.
const CORE_OPERATIONS: u64 = 4_096;
const CODEC_OPERATIONS: u64 = 500;

/// What is measured.
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

    /// Makes all that operations need: what carries out so many of them.
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
        // Whatever is made once is there after these.
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

/// Measures every case and compares it with what was recorded, or records it.
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

/// Carries out so many operations of one case, for whoever counts them from outside.
pub(crate) fn run(name: &str, operations: &str) -> Result<Verdict, String> {
    let subject = Subject::all().find(|subject| subject.name() == name).ok_or("no such case")?;
    let operations = operations.parse().map_err(|_| "the count is not a number")?;
    // The stack of a thread begins at a page. That of `main` begins below the environment, so that how
    // what is on it is aligned, and how many steps a copy of it takes, is not the same everywhere.
    let done = thread::spawn(move || subject.prepare()(operations)).join();
    done.map(|()| Verdict::Met).map_err(|_| "something else was measured than was meant".into())
}

fn measure_all(counted: bool) -> Result<BTreeMap<String, Figure>, String> {
    Subject::all().map(|subject| Ok((subject.name(), subject.measure(counted)?))).collect()
}

/// Prints every case beside what was recorded.
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

/// What has a say in the figures beside our source.
fn made_by() -> String {
    // Allocating and copying are instructions of the C library.
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
