//! Tests of the simulator's command-line output.

use std::process::{Command, Output};

fn program(words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_majordomus-sim");
    Command::new(program).args(words).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn help_names_every_option() {
    let output = program(&["--help"]);
    assert!(output.status.success());
    for option in ["--seed", "--steps", "--seeds", "--until-failure", "--trace", "--mutant"] {
        assert!(said(&output).contains(option), "{option}");
    }
}

#[test]
fn a_wrong_option_is_named() {
    let cases: [(&[&str], &str); 6] = [
        (&["--sede", "1"], "--sede: there is no such option"),
        (&["--seed"], "--seed: a value is missing"),
        (&["--steps", "many"], "--steps: `many` is no number"),
        (&["--seed", "-1"], "--seed: `-1` is no number"),
        (&["--seeds", "0"], "--seeds: it must be at least 1"),
        (&["--mutant", "Nobody"], "--mutant: `Nobody` is none of "),
    ];
    for (words, error) in cases {
        let output = program(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with(error), "{words:?}: {text}");
    }
}

#[test]
fn the_last_seed_of_all_can_be_played() {
    let seed = u64::MAX.to_string();
    let output = program(&["--seed", &seed, "--steps", "500"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_failure_can_be_seen_again() {
    // Some mutants are detected only in a later episode of the seed.
    for seed in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let words = ["--seed", seed, "--steps", "50000", "--mutant", "OverlooksForgedReply"];
        let output = program(&words);
        assert_eq!(output.status.code(), Some(1), "seed {seed}");
        let text = said(&output);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start));
        let broken = line("broken: ").expect("a rule is broken");
        let (_, words) = line("again: ").and_then(|line| line.split_once(" -- ")).expect("options");
        let words: Vec<&str> = words.split(' ').collect();
        assert!(words.contains(&"--trace"), "{words:?}");
        let output = program(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert_eq!(said(&output).lines().last(), Some(broken), "{words:?}");
    }
}
