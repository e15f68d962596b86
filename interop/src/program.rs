//! The program `majordomus`, built from this workspace.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::process::{Finished, Process};
use crate::workspace;

/// Returns a command for the program, without arguments and without the `MAJORDOMUS_…` variables
/// that would configure it.
///
/// The first call in a process builds the program, with the profile of the tests.
///
/// # Panics
///
/// Panics if the program cannot be built.
pub fn program() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PATH.get_or_init(|| given().unwrap_or_else(build)));
    for (variable, _) in env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"MAJORDOMUS_") {
            command.env_remove(variable);
        }
    }
    command
}

/// Starts `majordomus worker` for `service`. The worker echoes every request.
#[track_caller]
pub fn worker(endpoint: &str, dialect: Dialect, service: &str) -> Process {
    let mut command = program();
    command.args(["worker", "-b", endpoint, service, "--echo", "--dialect", dialect.name()]);
    Process::start(format!("majordomus worker {service} ({dialect})"), command)
}

/// Runs `majordomus request` to its end. Its timeout is twenty seconds.
#[track_caller]
pub fn request(endpoint: &str, dialect: Dialect, service: &str, body: &[&str]) -> Finished {
    let mut command = program();
    command.args(["request", "-b", endpoint, "--timeout", "20s", "--dialect", dialect.name()]);
    command.arg(service).args(body);
    Process::start(format!("majordomus request {service} ({dialect})"), command).finish()
}

/// Returns the path of a program to test instead of our own build, if given.
fn given() -> Option<PathBuf> {
    env::var_os("MAJORDOMUS_PROGRAM").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn build() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from(env!("CARGO")));
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "majordomus-cli", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.current_dir(workspace::root()).env("CARGO_TARGET_DIR", workspace::target());
    // The compiler's output is in the messages. Cargo's own output goes to the terminal.
    let output = command.stderr(Stdio::inherit()).output().expect("cargo can be started");
    let messages = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "majordomus does not build:\n{}", complaints(&messages));
    executable(&messages).expect("cargo names the program that it built")
}

/// Returns the path in the message about the finished program.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == "majordomus")
        .find_map(|message| message["executable"].as_str().map(|path| Path::new(path).into()))
}

/// Returns the compiler's rendered diagnostics.
fn complaints(messages: &str) -> String {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["message"]["rendered"].as_str().map(str::to_owned))
        .collect()
}
