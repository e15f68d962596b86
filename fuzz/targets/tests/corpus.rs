//! Runs every target on its corpus and on mutations of it.
//!
//! `FUZZ_RUNS` sets the number of mutated inputs per target, `FUZZ_SEED` sets their seed, and
//! `UPDATE_CORPUS=1` writes the initial corpus.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use majordomus_fuzz::{Mutation, TARGETS, Target, decode_cuts, seeds};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(name))
        .expect("a corpus")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).expect("an input")).collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[track_caller]
fn run(target: Target, input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("it fails with b\"{}\"", input.escape_ascii());
    }
}

#[track_caller]
fn check(name: &str, runs: u64) {
    let (_, target) = TARGETS.into_iter().find(|target| target.0 == name).expect("a target");
    let corpus = corpus(name);
    for input in &corpus {
        run(target, input);
    }
    let mut mutation = Mutation::new(&corpus, setting("FUZZ_SEED", 0));
    for _ in 0..setting("FUZZ_RUNS", runs) {
        run(target, &mutation.next_input());
    }
}

#[test]
fn broker() {
    check("broker", 10_000);
}

#[test]
fn decode() {
    check("decode", 100_000);
}

#[test]
fn detect() {
    check("detect", 100_000);
}

#[test]
fn relay() {
    check("relay", 100_000);
}

#[test]
fn traffic() {
    check("traffic", 10_000);
}

#[test]
fn translate() {
    check("translate", 100_000);
}

#[test]
fn zmtp() {
    check("zmtp", 20_000);
}

/// Messages of a real peer are among the inputs.
#[test]
fn the_corpus_begins_with_real_bytes() {
    for (name, _) in TARGETS {
        let folder = folder(name);
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            for (at, seed) in seeds(name).iter().enumerate() {
                fs::write(folder.join(format!("seed-{at:03}")), seed).expect("a file");
            }
        }
        let corpus = corpus(name);
        for seed in seeds(name) {
            assert!(corpus.contains(&seed), "{name}: UPDATE_CORPUS=1 writes what is missing");
        }
    }
}

#[test]
fn a_message_cut_at_any_byte_decodes_alike_from_any_memory() {
    for input in corpus("decode") {
        run(decode_cuts, &input);
    }
}
