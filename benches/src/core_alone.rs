//! Benchmark of the core: the cost of the broker's state machine with 1 and with 10,000 of a thing.
//!
//! A request is queued, dispatched and replied to. No byte is read, decoded or written. The figures
//! include the benchmark's own work: it creates the commands, and takes and drops the outputs.

mod cases;

pub(crate) use self::cases::{Case, Stage};
use crate::{Verdict, instructions, timing};

/// The compared sizes.
const SIZES: [u32; 2] = [1, 10_000];
/// The compared numbers of services per worker. The default maximum is 1,000.
const OFFERS: [u32; 2] = [1, 1_000];

/// The maximum ratio of the larger instruction count to the smaller one.
const INSTRUCTIONS_BAR: f64 = 1.2;
/// The maximum ratio with balancing by load. Idle workers are kept in a tree, so inserting and
/// removing one takes as many steps as the tree is high.
const ORDERED_INSTRUCTIONS_BAR: f64 = 1.5;
/// The maximum ratio of the longer time to the shorter one.
const TIME_BAR: f64 = 2.0;
/// The maximum ratio, in instructions and time, of an operation that takes a step per service.
const OFFERS_BAR: f64 = 50.0;

/// The number of counted operations. 10,000 things in round robin get two operations each.
const COUNTED_OPERATIONS: u64 = 20_000;
const TIMED_OPERATIONS: u64 = 50_000;
const TIMED_ROUNDS: usize = 21;
/// The divisor of the number of operations that take a step per service.
const OFFERS_FEWER: u64 = 20;

/// The costs of one case at both sizes.
struct Cost {
    /// Instructions per operation, if they can be counted.
    instructions: Option<[f64; 2]>,
    /// Nanoseconds per operation.
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

/// Runs the operations of one case, for an external instruction counter.
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

/// Returns the maximum ratios of the instructions and of the times.
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
