//! The core alone: what the broker's state machine costs with 1 and with 10,000 of a thing.
//!
//! A request is queued, dispatched and replied to; no byte is read, decoded or written. What the
//! bench itself does for it is in the figures: it makes the commands, and takes and drops what
//! comes out.

mod cases;

pub(crate) use self::cases::{Case, Stage};
use crate::{Verdict, instructions, timing};

/// What is compared: so many of a thing with so many of it.
const SIZES: [u32; 2] = [1, 10_000];
/// The same for what one worker offers, of which 1,000 is the most by default.
const OFFERS: [u32; 2] = [1, 1_000];

/// The larger of the two counts is at most so many times the smaller.
const INSTRUCTIONS_BAR: f64 = 1.2;
/// The same, where workers are balanced by load: those that are free are kept in order, so that one
/// is put in and taken out in as many steps as a tree of them is high.
const ORDERED_INSTRUCTIONS_BAR: f64 = 1.5;
/// And the longer of the two times the shorter.
const TIME_BAR: f64 = 2.0;
/// Both, where an operation takes a step for each offer.
const OFFERS_BAR: f64 = 50.0;

/// Enough that 10,000 things which take turns have two each.
const COUNTED_OPERATIONS: u64 = 20_000;
const TIMED_OPERATIONS: u64 = 50_000;
const TIMED_ROUNDS: usize = 21;
/// Of operations that take a step for each offer, one in so many is enough.
const OFFERS_FEWER: u64 = 20;

/// What the sizes cost in one case.
struct Cost {
    /// Of an operation, where it can be counted.
    instructions: Option<[f64; 2]>,
    /// Of an operation.
    nanoseconds: [f64; 2],
}

/// Measures each case at both sizes and prints the table.
pub(crate) fn compare() -> Result<Verdict, String> {
    let counted = instructions::can_be_counted();
    if !counted {
        println!("valgrind is not installed: instructions are not counted, only time is shown");
    }
    println!("the core alone, for each request (queue, dispatch, reply) or timer; 64-byte bodies");
    println!();
    let [small, large] = SIZES;
    let columns = format!("{small:>9}{large:>9}{:>8}{:>14}", "ratio", "within");
    println!("{:<12}{:>40}  {:>40}", "", "instructions", "nanoseconds");
    println!("{:<12}{columns}  {columns}", "so many");
    let mut verdict = Verdict::Met;
    for case in Case::ALL {
        let cost = measure(case, counted)?;
        let [bar, time_bar] = bars(case);
        print!("{:<12}", case.name());
        match cost.instructions {
            Some(counts) => print!("{}", figures(counts, bar)),
            None => print!("{:^40}", "not counted"),
        }
        println!("  {}", figures(cost.nanoseconds, time_bar));
        if cost.instructions.is_some_and(|counts| !meets(counts, bar)) {
            verdict = Verdict::Missed;
        }
    }
    println!();
    for case in Case::ALL {
        println!("{:<12}{}", case.name(), case.what());
    }
    println!();
    println!(
        "Instructions decide the exit status. Time is reported only: it depends on the machine"
    );
    println!(
        "and on who else uses it, and 10,000 things in random order lie in colder memory than 1."
    );
    Ok(verdict)
}

/// Carries out so many operations of one case, for whoever counts them from outside.
pub(crate) fn run(case: &str, size: &str, operations: &str) -> Result<Verdict, String> {
    let case = Case::ALL.into_iter().find(|known| known.name() == case);
    let case = case.ok_or("no such case")?;
    let size = size.parse().map_err(|_| "the size is not a number")?;
    let operations = operations.parse().map_err(|_| "the count is not a number")?;
    let mut stage = Stage::new(case, size);
    stage.run(operations);
    stage.check();
    Ok(Verdict::Met)
}

fn measure(case: Case, counted: bool) -> Result<Cost, String> {
    let (sizes, fewer) = match case {
        Case::Offers => (OFFERS, OFFERS_FEWER),
        _ => (SIZES, 1),
    };
    let count = |size: u32| {
        instructions::per_operation(COUNTED_OPERATIONS / fewer, |operations| {
            let name = case.name().to_string();
            vec!["core-run".to_string(), name, size.to_string(), operations.to_string()]
        })
    };
    let instructions = if counted { Some([count(sizes[0])?, count(sizes[1])?]) } else { None };
    let [mut small, mut large] = sizes.map(|size| Stage::new(case, size));
    let nanoseconds = timing::medians(
        TIMED_ROUNDS,
        TIMED_OPERATIONS / fewer,
        [&mut |operations| small.run(operations), &mut |operations| large.run(operations)],
    );
    small.check();
    large.check();
    Ok(Cost { instructions, nanoseconds })
}

/// What the costs in instructions and in time are held against.
const fn bars(case: Case) -> [f64; 2] {
    match case {
        Case::Load => [ORDERED_INSTRUCTIONS_BAR, TIME_BAR],
        Case::Offers => [OFFERS_BAR; 2],
        _ => [INSTRUCTIONS_BAR, TIME_BAR],
    }
}

fn meets([small, large]: [f64; 2], bar: f64) -> bool {
    small.max(large) <= bar * small.min(large)
}

fn figures([small, large]: [f64; 2], bar: f64) -> String {
    let verdict = if meets([small, large], bar) { "met" } else { "MISSED" };
    format!("{small:>9.0}{large:>9.0}{:>8.2}{:>14}", large / small, format!("{bar} {verdict}"))
}
