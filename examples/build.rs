//! Extracts the Rust code blocks of the documentation, so that tests can compile and run them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The broker endpoint in the documentation, which is replaced by the endpoint of the tests.
const SHOWN: &str = "tcp://127.0.0.1:5555";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    programs(&root.join("README.md"), &out.join("readme.rs"));
    pieces(&root.join("docs/coming-from.md"), &out.join("coming_from.rs"));
}

/// Writes each program as a module with a `main` that tests can call.
fn programs(document: &Path, to: &Path) {
    let modules = blocks(document, "inproc://readme").into_iter().enumerate();
    let modules = modules.map(|(nth, block)| {
        let block = block.replace("async fn main", "pub(crate) async fn main");
        format!("pub(crate) mod program_{nth} {{\n{block}}}\n")
    });
    fs::write(to, modules.collect::<String>()).expect("it can be written");
}

/// Writes each code block as a function with a parameter `client`. The function `all` calls them in
/// order.
fn pieces(document: &Path, to: &Path) {
    let pieces = blocks(document, "inproc://coming-from");
    let functions = pieces.iter().enumerate().map(|(nth, piece)| {
        format!(
            "async fn piece_{nth}(client: &Client) -> Result<(), Failure> {{\n{piece}Ok(())\n}}\n"
        )
    });
    let calls = (0..pieces.len()).map(|nth| format!("piece_{nth}(client).await?;\n"));
    let (functions, calls): (String, String) = (functions.collect(), calls.collect());
    let all = "pub(crate) async fn all(client: &Client) -> Result<(), Failure>";
    fs::write(to, format!("{functions}{all} {{\n{calls}Ok(())\n}}\n")).expect("it can be written");
}

/// Returns the Rust code blocks of a document, in order.
fn blocks(document: &Path, endpoint: &str) -> Vec<String> {
    println!("cargo::rerun-if-changed={}", document.display());
    let text = fs::read_to_string(document).expect("the document is there");
    let blocks = text.split("```rust\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    blocks.map(|block| block.replace(SHOWN, endpoint)).collect()
}
