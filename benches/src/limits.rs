//! Cost of limits and checks: their share of the broker's instructions per request.
//!
//! A broker in a separate process runs under callgrind, which counts every instruction of the
//! program by its address. The program's line tables give the function and line of an address, and
//! the functions into which that line was inlined. If one of these is in [`LIMITS`], the
//! instruction counts as a cost of that limit, even if it belongs to the standard library. So do
//! all instructions of the functions that it calls.

mod callgrind;
mod table;

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::{env, fs, process};

use addr2line::Context;
use addr2line::gimli::{self, Dwarf, EndianSlice, NativeEndian};
use object::{Object, ObjectSection};

use self::callgrind::{Counted, Profile};
use self::table::{LIMITS, Source};
use crate::child::Child;
use crate::{Verdict, instructions};

/// The maximum share of limits and checks in all instructions.
const BAR: f64 = 0.10;

const IN_FLIGHT: &str = "64";
const BODY_BYTES: &str = "64";
const REQUESTS: u64 = 10_000;

/// Measures and prints the cost of each limit.
pub(crate) fn compare() -> Result<Verdict, String> {
    if cfg!(debug_assertions) {
        return Err("the figure is one of release builds: `cargo run --release`".into());
    }
    if !instructions::can_be_counted() {
        return Err("valgrind is not installed: instructions cannot be counted".into());
    }
    // Both counts include startup and shutdown.
    let (once, twice) = (measure(REQUESTS)?, measure(2 * REQUESTS)?);
    let of_a_request = |once: u64, twice: u64| (twice as f64 - once as f64) / REQUESTS as f64;
    println!(
        "instructions of the broker for a request; {IN_FLIGHT} in flight, {BODY_BYTES}-byte bodies\n"
    );
    for (limit, (once, twice)) in LIMITS.iter().zip(once.limits.iter().zip(&twice.limits)) {
        println!("{:>9.1}  {}", of_a_request(*once, *twice), limit.what);
    }
    let limits = of_a_request(once.limits.iter().sum(), twice.limits.iter().sum());
    let all = of_a_request(once.all, twice.all);
    let share = limits / all;
    println!("{limits:>9.1}  limits and checks together");
    println!("{all:>9.1}  all\n");
    let (verdict, text) =
        if share <= BAR { (Verdict::Met, "met") } else { (Verdict::Missed, "MISSED") };
    println!(
        "limits and checks are {:.1} % of all, within {:.0} %: {text}",
        100.0 * share,
        100.0 * BAR
    );
    Ok(verdict)
}

/// The instructions of a broker from start to end.
struct Cost {
    all: u64,
    /// The instructions of each limit.
    limits: Vec<u64>,
}

/// Measures a broker that serves this many requests.
fn measure(requests: u64) -> Result<Cost, String> {
    let file = env::temp_dir().join(format!("majordomus-limits-{}", process::id()));
    let written = serve(requests, &file).and_then(|()| {
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
    });
    // The file exists only if callgrind has written it.
    let _ = fs::remove_file(&file);
    let profile = callgrind::read(&written?)?;
    attribute(&profile).map_err(|error| format!("the line tables of this program: {error}"))
}

/// Runs a broker under callgrind for this many requests. callgrind writes its counts to this file.
fn serve(requests: u64, file: &Path) -> Result<(), String> {
    let file = format!("--callgrind-out-file={}", file.display());
    let callgrind = ["valgrind", "--quiet", "--tool=callgrind", "--dump-instr=yes"];
    let callgrind =
        [&callgrind[..], &["--compress-strings=no", "--compress-pos=no", &file]].concat();
    let broker = Child::start_under(&callgrind, &["library-run", "broker"])?;
    let worker = Child::start(&["library-run", "worker", broker.said()])?;
    let requests = requests.to_string();
    let load = ["library-run", "client", "ours", broker.said(), IN_FLIGHT, BODY_BYTES, &requests];
    Child::start(&load)?.end()?;
    worker.end()?;
    broker.end()?;
    Ok(())
}

/// Attributes the counts to the limits.
fn attribute(profile: &Profile) -> Result<Cost, Box<dyn Error>> {
    let program = env::current_exe()?;
    let bytes = fs::read(&program)?;
    let lines = line_tables(&bytes)?;
    let mut source = SourceLines::default();
    let mut cost = Cost { all: 0, limits: vec![0; LIMITS.len()] };
    for (place, counted) in profile {
        cost.all += counted.own;
        if Path::new(&place.object) == program
            && let Some(limit) = limit_at(&lines, place.address, &mut source)?
        {
            cost.limits[limit] += counted.own + of_calls(counted);
        }
    }
    Ok(cost)
}

type LineTables<'a> = Context<EndianSlice<'a, NativeEndian>>;

fn line_tables(program: &[u8]) -> Result<LineTables<'_>, Box<dyn Error>> {
    let program = object::File::parse(program)?;
    let dwarf = Dwarf::load(|id| {
        let section = program.section_by_name(id.name());
        let data = section.map(|section| section.data()).transpose()?.unwrap_or_default();
        Ok::<_, object::Error>(EndianSlice::new(data, NativeEndian))
    })?;
    Ok(Context::from_dwarf(dwarf)?)
}

/// Returns the instructions of an instruction's calls, except calls of listed functions, which are
/// counted there.
fn of_calls(counted: &Counted) -> u64 {
    let all = LIMITS.iter().flat_map(|limit| limit.source).filter(|source| source.lines.is_empty());
    let is_limit = |name: &str| all.clone().any(|source| source.is_in(name));
    counted.calls.iter().filter(|(name, _)| !is_limit(name)).map(|(_, cost)| cost).sum()
}

/// Returns the limit of the instruction at this address, if any.
fn limit_at(
    lines: &LineTables<'_>,
    address: u64,
    source: &mut SourceLines,
) -> Result<Option<usize>, gimli::Error> {
    let mut frames = lines.find_frames(address).skip_all_loads()?;
    while let Some(frame) = frames.next()? {
        let (Some(function), Some(location)) = (frame.function, frame.location) else { continue };
        let (Some(file), Some(line)) = (location.file, location.line) else { continue };
        let Ok(name) = function.demangle() else { continue };
        let mut is_it = |wanted: &Source| {
            file.ends_with(wanted.file)
                && wanted.is_in(&name)
                && source.line(file, line).contains(wanted.lines)
        };
        let limit = LIMITS.iter().position(|limit| limit.source.iter().any(&mut is_it));
        if limit.is_some() {
            return Ok(limit);
        }
    }
    Ok(None)
}

/// The source files named in the line tables.
#[derive(Default)]
struct SourceLines(HashMap<String, Vec<String>>);

impl SourceLines {
    /// Returns a line, counted from 1, or an empty string if it does not exist.
    fn line(&mut self, file: &str, number: u32) -> &str {
        if !self.0.contains_key(file) {
            let text = fs::read_to_string(file).unwrap_or_default();
            self.0.insert(file.to_string(), text.lines().map(str::to_string).collect());
        }
        let line = self.0[file].get((number as usize).wrapping_sub(1));
        line.map(String::as_str).unwrap_or_default()
    }
}
