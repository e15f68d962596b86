//! Hostile peers: the effect of attacks on honest peers, and the state that each attack leaves in
//! the broker.
//!
//! The broker runs in a separate process, so that its memory and CPU time can be measured. During
//! each attack an honest client sends requests to an honest worker over OMDP/1.

mod arena;
mod attacks;
mod broker;
mod honest;

use std::time::{Duration, Instant};

use self::arena::{Arena, State};
use self::attacks::ATTACKS;
use crate::Verdict;
use crate::figure::{Figure, MIB};

/// The maximum number of live bytes left after an attack. Tables keep their capacity, which takes
/// some dozens of bytes per entry, and the number of connection buffers varies.
const LEFT_BYTES_MAX: u64 = 2 << 20;
/// The maximum growth of the resident size when the attack is repeated, in percent.
const AGAIN_PERCENT_MAX: f64 = 10.0;
/// The maximum number of repetitions until the growth is below that limit. The amount of freed
/// memory that the system's allocator keeps varies, but a leak grows with each repetition.
const AGAIN_TIMES_MAX: u32 = 3;

/// An attack on the broker.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Changes the broker's configuration from its defaults.
    configure: fn(Scale, &mut majordomus::broker::Config),
    /// Runs the attack and checks its effects. Returns an error if a check fails.
    carry_out: fn(&mut Arena) -> Result<Vec<Figure>, String>,
}

/// The size of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// The size for which the figures are meant.
    Full,
    /// A hundredth of the full size: a quick check whether the broker withstands the attack.
    Small,
}

impl Scale {
    const ALL: [Scale; 2] = [Scale::Full, Scale::Small];

    const fn name(self) -> &'static str {
        match self {
            Scale::Full => "full",
            Scale::Small => "small",
        }
    }

    /// Returns the number for this scale, given the number at full scale.
    pub(super) const fn of(self, full: u64) -> u64 {
        match self {
            Scale::Full => full,
            Scale::Small => full.div_ceil(100),
        }
    }

    /// Returns one of the two values, depending on the scale.
    pub(super) fn pick<T>(self, full: T, small: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Small => small,
        }
    }
}

/// Runs all attacks, or the named ones, repeatedly, and prints the table.
pub(crate) fn compare(names: &[&str]) -> Result<Verdict, String> {
    let attacks = named(names)?;
    println!("{:<16}{:<48}{:>14}{:>12}", "attack", "", "figure", "bar");
    let mut verdict = Verdict::Met;
    for attack in &attacks {
        let began = Instant::now();
        match measure(attack) {
            Ok(figures) => {
                for figure in &figures {
                    println!("{:<16}{figure}", attack.name);
                    if !figure.is_met() {
                        verdict = Verdict::Missed;
                    }
                }
            }
            Err(why) => {
                verdict = Verdict::Missed;
                println!("{:<16}FAILED: {why}", attack.name);
            }
        }
        eprintln!("{:<16}took {:.1} s", attack.name, began.elapsed().as_secs_f64());
    }
    println!();
    for attack in attacks {
        println!("{:<16}{}", attack.name, attack.what);
    }
    Ok(verdict)
}

/// Runs the attacks at small scale and checks only whether the broker withstands them.
pub(crate) fn try_out(names: &[&str]) -> Result<Verdict, String> {
    let mut verdict = Verdict::Met;
    for attack in named(names)? {
        let withstood = Arena::open(attack, Scale::Small).and_then(|mut arena| {
            let before = arena.quiet()?;
            (attack.carry_out)(&mut arena)?;
            arena.echo()?;
            arena.back_to(&before)?;
            arena.close()
        });
        match withstood {
            Ok(()) => println!("{}: withstood", attack.name),
            Err(why) => {
                verdict = Verdict::Missed;
                println!("{}: {why}", attack.name);
            }
        }
    }
    Ok(verdict)
}

/// Runs the broker process for an attack.
pub(crate) fn run_broker(attack: &str, scale: &str) -> Result<Verdict, String> {
    let scale = Scale::ALL.into_iter().find(|known| known.name() == scale);
    broker::run(named(&[attack])?[0], scale.ok_or("no such scale")?)
}

/// Returns the attacks with these names, or all attacks if there are none.
fn named(names: &[&str]) -> Result<Vec<&'static Attack>, String> {
    if names.is_empty() {
        return Ok(ATTACKS.iter().collect());
    }
    let find = |name: &&str| {
        let known = || ATTACKS.map(|attack| attack.name).join(", ");
        let found = ATTACKS.iter().find(|attack| attack.name == *name);
        found.ok_or_else(|| format!("there is no attack {name:?}, but {}", known()))
    };
    names.iter().map(find).collect()
}

/// Measures the effects of an attack and the remaining state.
fn measure(attack: &'static Attack) -> Result<Vec<Figure>, String> {
    let mut arena = Arena::open(attack, Scale::Full)?;
    let before = arena.quiet()?;
    let mut figures = (attack.carry_out)(&mut arena)?;
    figures.push(arena.served_anew()?);
    let mut state = arena.back_to(&before)?;
    figures.push(left(&before, &state));
    for times in 1..=AGAIN_TIMES_MAX {
        (attack.carry_out)(&mut arena)?;
        arena.echo()?;
        let last = std::mem::replace(&mut state, arena.back_to(&before)?);
        let again = again(times, &last, &state);
        if again.is_met() || times == AGAIN_TIMES_MAX {
            figures.push(again);
            break;
        }
    }
    arena.close()?;
    Ok(figures)
}

fn left(before: &State, after: &State) -> Figure {
    let left = after.since(before, "live_bytes") as f64 / MIB;
    Figure::at_most(LEFT_BYTES_MAX as f64 / MIB, "live bytes left", left, "MiB")
}

fn again(times: u32, last: &State, state: &State) -> Figure {
    let [last, now] = [last, state].map(|state| state.get("resident_bytes") as f64);
    let what = format!("resident size of {:.1} MiB, and again ({times})", last / MIB);
    Figure::at_most(AGAIN_PERCENT_MAX, what, 100.0 * (now / last - 1.0), "%")
}

/// Sleeps briefly between two checks, so that other processes can run.
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
