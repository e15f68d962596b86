//! Test that the public API is the one in `public-api.txt`, so that every change is seen and
//! intended. To accept a change, run
//!
//! ```console
//! $ UPDATE_API=1 cargo test -p majordomus --test public_api
//! ```
//!
//! The items are read from the source with all features. Items from other crates of this workspace
//! are read from the source of those crates. Items that a macro generates are not found in the
//! source, so they must be added here if there ever are any. The source also does not show if a
//! type is `Send`, so the last test checks this.

mod example;
mod listing;
mod source;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;

use majordomus::{
    Body, Cancellation, Client, ClientBuilder, ConnectionEvents, Headers, Replier, Reply, Request,
    RequestBuilder, RequestError, Worker, WorkerBuilder,
};

use crate::example::has_example;
use crate::listing::{listing, without_example};
use crate::source::Crates;

const ACCEPT: &str = "UPDATE_API=1 cargo test -p majordomus --test public_api";

#[test]
fn the_public_items_are_those_that_are_written_down() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = package.join("public-api.txt");
    let found = listing(&Crates::read(package));
    if env::var_os("UPDATE_API").is_some() {
        return fs::write(&file, found).expect("it can be written");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let changes = changes(&written, &found);
    assert!(
        written == found,
        "the public items have changed:\n\n{changes}\nIf that is meant: {ACCEPT}"
    );
}

#[test]
fn every_public_item_has_an_example_that_users_can_write() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lacking = without_example(&Crates::read(package));
    assert!(lacking.is_empty(), "without an example: {lacking:#?}");
}

#[test]
fn an_example_names_no_crate_beside_this_one() {
    let check =
        |lines: &[&str]| has_example(&lines.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(check(&["What it does.", "", "```", "majordomus::Body::empty();", "```"]));
    assert!(check(&[
        "```",
        "# use majordomus_core as majordomus;",
        "majordomus::Frames::EMPTY;",
        "```"
    ]));
    assert!(!check(&["```", "majordomus_core::Frames::EMPTY;", "```"]));
    assert!(!check(&["What it does."]));
    assert!(!check(&["```text", "not to be run", "```"]));
}

/// Returns the lines that are in only one of the texts, with the heading of each.
fn changes(before: &str, after: &str) -> String {
    let (old, new) = (lines(before), lines(after));
    let gone = old.difference(&new).map(|(heading, line)| format!("- {heading}: {line}\n"));
    let come = new.difference(&old).map(|(heading, line)| format!("+ {heading}: {line}\n"));
    gone.chain(come).collect()
}

fn lines(text: &str) -> BTreeSet<(&str, &str)> {
    let mut heading = "";
    let mut lines = BTreeSet::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("# ") {
            heading = path;
        }
        lines.insert((heading, line.trim()));
    }
    lines
}

#[test]
fn a_change_is_told_under_the_heading_of_its_item() {
    let before = "# A\n\npub fn a() {}\n\n# B\n\npub fn b() {}\n";
    let after = "# A\n\npub fn a() {}\n\n# B\n\npub fn b(c: u8) {}\n";
    assert_eq!(changes(before, before), "");
    assert_eq!(changes(before, after), "- B: pub fn b() {}\n+ B: pub fn b(c: u8) {}\n");
}

#[test]
fn handles_go_from_thread_to_thread() {
    fn sent<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Client>();
    shared::<ClientBuilder>();
    shared::<Worker>();
    shared::<WorkerBuilder>();
    shared::<Request>();
    shared::<Replier>();
    shared::<Cancellation>();
    shared::<Body>();
    shared::<Headers>();
    shared::<RequestError>();
    sent::<RequestBuilder>();
    sent::<Reply>();
    sent::<ConnectionEvents>();
}
