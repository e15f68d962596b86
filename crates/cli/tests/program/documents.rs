//! Checks of the limits and tests that the documents name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the document is there")
}

/// Returns the text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// All Rust of ours: each file with its text.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("it is text");
            found.push((path, text));
        }
    }
}

#[test]
fn every_limit_is_in_the_page_with_its_default() {
    let page = document("limits.md");
    let shown = run(&["broker", "--print-config"]);
    let limits = shown.text().split_once("# Timings").expect("there is such a heading").1;
    let mut settings = 0;
    for line in limits.lines().filter(|line| line.contains(" = ")) {
        let (name, rest) = line.split_once(" = ").expect("a key and a value");
        let value = rest.split("  #").next().expect("a value").trim_matches('"');
        let row = format!("| `{name}` | {value} |");
        assert!(page.contains(&row), "docs/limits.md has no row that begins with {row}");
        settings += 1;
    }
    assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), settings);
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut files = Vec::new();
    for room in ["crates", "interop", "benches", "examples", "fuzz"] {
        sources(&root().join(room), &mut files);
    }
    let named: Vec<String> = ["guarantee.md", "limits.md"].map(document).into();
    let mut seen = BTreeSet::new();
    for name in named.iter().flat_map(|text| quoted(text)) {
        let Some((file, test)) = name.split_once("::") else { continue };
        let snake = |word: &str| {
            word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if !snake(file) || !snake(test) || !seen.insert(name.to_string()) {
            continue;
        }
        let function = format!("fn {test}()");
        let is_of = |path: &Path| path.with_extension("").iter().any(|part| part == file);
        let is_there = files.iter().any(|(path, text)| is_of(path) && text.contains(&function));
        assert!(is_there, "there is no test {name}");
    }
    assert!(seen.len() > 100, "only {} tests are named", seen.len());
}
