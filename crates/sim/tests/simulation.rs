//! Runs of a fixed number of seeds, and mutation tests of the checker.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use majordomus_core::broker::{Broker, Config, Counters, Gauges, Input, Keys, Output};
use majordomus_core::{PeerId, Time};
use majordomus_sim::{Machine, Mutant, Mutation, Outputs, Sink, run, shrink};

/// The maximum number of steps in which a mutation must be detected.
const STEPS_MAX: u64 = 100_000;

/// Mutations that a run from seed 1 does not show, with a seed that does.
const OTHER_SEEDS: &[(Mutation, u64)] = &[];

/// The maximum number of entries of a shrunk failure.
const ENTRIES_MAX: usize = 25;
/// The failure that exceeds the shrinker's step budget: it occurs after 15,323 entries. A replay must
/// still reproduce it.
const NOT_SHRUNK: (Mutation, u64) = (Mutation::GivesWithdrawn, 1);

/// Returns a sink that stores its lines, and the lines.
fn keeper() -> (Rc<RefCell<Vec<String>>>, Sink) {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&lines);
    (lines, Sink::new(move |line| kept.borrow_mut().push(line.to_string())))
}

#[test]
fn the_broker_keeps_the_law() {
    for seed in 0..10 {
        let report = run::<Broker>((), seed, 20_000, None);
        assert!(report.failure.is_none(), "seed {seed}: {:?}", report.failure);
        assert!(report.tally.received > 0);
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let play = |seed| {
        let (lines, sink) = keeper();
        let hash = run::<Broker>((), seed, 20_000, Some(&sink)).hash;
        (hash, lines.take())
    };
    let (hash, lines) = play(7);
    let (hash_again, lines_again) = play(7);
    assert!(lines == lines_again);
    assert_eq!(hash, hash_again);
    assert_eq!(hash, run::<Broker>((), 7, 20_000, None).hash);
    assert_ne!(hash, play(8).0);
}

#[test]
fn each_mutation_is_found_by_its_rule() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let other = OTHER_SEEDS.iter().find(|(other, _)| other == mutation);
        let seed = other.map_or(1, |(_, seed)| *seed);
        match run::<Mutant>(*mutation, seed, STEPS_MAX, None).failure {
            None => missed.push(format!("{mutation:?} is not found")),
            Some(failure) if failure.breach.rule != mutation.rule() => {
                missed.push(format!("{mutation:?} is found by {}", failure.breach));
            }
            Some(_) => {}
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_failure_is_shrunk() {
    let mut long = Vec::new();
    for mutation in Mutation::ALL {
        for seed in 1..3 {
            let report = run::<Mutant>(*mutation, seed, STEPS_MAX, None);
            let Some(failure) = report.failure else { continue };
            let Some(short) = shrink::<Mutant>(*mutation, &failure) else {
                long.push(format!("{mutation:?}, seed {seed}: not repeated: {}", failure.breach));
                continue;
            };
            assert_eq!(short.breach.rule, failure.breach.rule);
            if short.entries > ENTRIES_MAX && (*mutation, seed) != NOT_SHRUNK {
                let (few, many) = (short.entries, short.entries_before);
                let script = short.script;
                long.push(format!("{mutation:?}, seed {seed}: {few} of {many}\n{script}"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_trace_ends_with_the_breach() {
    let (lines, sink) = keeper();
    let report = run::<Mutant>(Mutation::RepliesTwice, 1, STEPS_MAX, Some(&sink));
    let breach = report.failure.expect("it is found").breach;
    assert_eq!(lines.borrow().last(), Some(&format!("broken: {breach}")));
}

#[test]
fn a_trace_is_there_before_the_run_is_over() {
    let (lines, sink) = keeper();
    let run = || run::<Faulty>(Fault::Panics, 1, STEPS_MAX, Some(&sink));
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let inputs = |line: &&String| line.starts_with(|first: char| first.is_ascii_digit());
    let told = lines.borrow().iter().filter(inputs).count();
    assert!(told as u64 == FAULT_STEP, "{told} of {FAULT_STEP}");
}

#[test]
fn outputs_without_end_panic_with_their_step() {
    let run = || run::<Faulty>(Fault::NeverEnds, 1, STEPS_MAX, None);
    let panic = catch_unwind(run).expect_err("the outputs have no end");
    let text = panic.downcast_ref::<String>().expect("a panic with text");
    let start = format!("step {FAULT_STEP} has more than ");
    assert!(text.starts_with(&start), "{text}");
}

/// The step in which a faulty broker shows its fault.
const FAULT_STEP: u64 = 6;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Panics,
    NeverEnds,
}

/// The real broker with a fault that ends the run.
#[derive(Debug)]
struct Faulty {
    fault: Fault,
    broker: Broker,
    steps: u64,
}

impl Machine for Faulty {
    type Kind = Fault;

    fn start(fault: Fault, config: Config, keys: Keys) -> Self {
        Self { fault, broker: Broker::new(config, keys), steps: 0 }
    }

    fn handle(&mut self, now: Time, input: &Input, outputs: &mut Outputs) {
        self.steps += 1;
        match self.fault {
            _ if self.steps < FAULT_STEP => {}
            Fault::Panics => panic!("the fault of this test"),
            Fault::NeverEnds => loop {
                outputs.push(Output::Resume { peer: PeerId::new(0, 0) });
            },
        }
        input.with_view(|input| self.broker.handle(now, input, outputs));
    }

    fn next_deadline(&self) -> Option<Time> {
        self.broker.next_deadline()
    }

    fn counters(&self) -> &Counters {
        self.broker.counters()
    }

    fn holdings(&self) -> Gauges {
        self.broker.holdings()
    }

    fn directory_edition(&self) -> u64 {
        self.broker.directory_edition()
    }
}
