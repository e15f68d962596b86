//! A fixed budget of seeds, and the proof that the judge bites.

use majordomus_core::broker::Broker;
use majordomus_sim::{Mutation, Saboteur, run, shrink};

/// In how many steps each mutation has to be found.
const STEPS_MAX: u64 = 100_000;

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
    let hash = |seed| run::<Broker>((), seed, 20_000, None).hash;
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(8));
}

#[test]
fn each_mutation_is_found_by_its_rule() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let report = run::<Saboteur>(*mutation, 1, STEPS_MAX, None);
        match report.failure {
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
fn a_failure_is_shrunk() {
    for mutation in [Mutation::RepliesTwice, Mutation::OverlooksSecondReady] {
        let report = run::<Saboteur>(mutation, 1, STEPS_MAX, None);
        let failure = report.failure.expect("it is found");
        let short = shrink::<Saboteur>(mutation, &failure).expect("it can be repeated");
        assert_eq!(short.breach.rule, mutation.rule());
        assert!(
            short.entries <= 8,
            "{} of {}: {}",
            short.entries,
            short.entries_before,
            short.trace
        );
    }
}
