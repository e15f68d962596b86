//! Node.js with PIGATO and the test runner mocha, in a folder that the tests create.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::program::program;
use crate::workspace;

/// The input files of npm in `pigato/`.
const MADE_FROM: [&str; 5] =
    ["package.json", "package-lock.json", ".npmrc", "zmq/package.json", "zmq/index.js"];

/// The timeout of a mocha run. The shim ends a run after two minutes, together with its brokers.
const RUN_MAX: Duration = Duration::from_secs(150);

/// A Node.js installation with the packages of `pigato/package.json`.
#[derive(Debug)]
pub struct Node {
    /// The folder with `node_modules`.
    home: PathBuf,
}

impl Node {
    /// Returns the packages under `target/interop`. The first test process that needs them installs
    /// them.
    ///
    /// Returns `None` if that is impossible (no `node`, no `npm`, no network), after writing one
    /// line to standard error. The calling test should return then.
    ///
    /// # Panics
    ///
    /// Panics if `CI` is set and the packages cannot be installed.
    pub fn ready() -> Option<&'static Node> {
        static READY: OnceLock<Option<Node>> = OnceLock::new();
        READY.get_or_init(|| prepare().map_err(skip).ok()).as_ref()
    }

    /// Returns PIGATO's own test files, except the excluded ones.
    ///
    /// # Panics
    ///
    /// Panics if an excluded file does not exist.
    pub fn pigato_tests(&self, left_out: &[&str]) -> Vec<PathBuf> {
        let folder = self.home.join("node_modules/pigato/test");
        let mut files = scripts(&folder);
        for name in left_out {
            let place = files.iter().position(|file| file.file_name() == Some(OsStr::new(name)));
            files.remove(place.unwrap_or_else(|| panic!("PIGATO has no {name}")));
        }
        files
    }

    /// Returns our own test files, in `pigato/tests`.
    pub fn our_tests(&self) -> Vec<PathBuf> {
        scripts(&workspace::package().join("pigato/tests"))
    }

    /// Runs mocha on the files, with further options of mocha, and with the shim that connects them
    /// to our broker. Returns the number of tests.
    ///
    /// Runs do not overlap, because some of PIGATO's tests have a timeout of 60 ms.
    ///
    /// # Panics
    ///
    /// Panics if a test fails, with the names of all failed tests.
    #[track_caller]
    pub fn mocha(&self, files: &[PathBuf], options: &[&str]) -> usize {
        static ALONE: Mutex<()> = Mutex::new(());
        // The failure of another run does not affect this one.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

        let modules = self.home.join("node_modules");
        let mut command = Command::new("node");
        // PIGATO uses the deprecated `new Buffer`.
        command.arg("--no-deprecation").arg(modules.join("mocha/bin/_mocha"));
        command.arg("--require").arg(workspace::package().join("pigato/shim.js"));
        // Some of PIGATO's tests leave peers behind that would keep the process alive.
        command.args(["--reporter", "json-stream", "--exit"]).args(options).args(files);
        command.env("NODE_PATH", modules).env("MAJORDOMUS", program().get_program());

        let mut mocha = Process::start("mocha", command);
        let status = mocha.exited(RUN_MAX);
        let mut failures = String::new();
        let mut ended = None;
        for line in mocha.said("") {
            // A line of the report is `["pass", {…}]`, and the last one is `["end", {…}]`.
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            match event[0].as_str() {
                Some("fail") => failures += &failure(&event[1]),
                Some("end") => ended = event[1]["tests"].as_u64(),
                _ => {}
            }
        }
        assert!(failures.is_empty(), "these tests failed:\n{failures}");
        let tests = ended.unwrap_or_else(|| panic!("mocha did not come to its end: {status}"));
        assert!(status.success(), "all tests passed, but mocha ended with {status}");
        usize::try_from(tests).expect("they fit")
    }
}

/// Returns the name of a failed test and the reason, on one line.
fn failure(test: &Value) -> String {
    let title = test["fullTitle"].as_str().unwrap_or("one without a name");
    let why = test["err"].as_str().unwrap_or("no word why");
    format!("  {title}: {why}\n")
}

/// Returns the `.js` files of a folder in alphabetical order.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}", about(folder, &error)));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension() == Some(OsStr::new("js")))
        .collect();
    files.sort();
    files
}

/// Writes the reason for a skipped test. Bypasses the output capture of the test harness, which
/// hides the output of successful tests.
fn skip(reason: String) {
    let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "no Node.js to test with: {reason}");
    // A write error cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "skipping the tests that need Node.js: {reason}");
}

/// Installs the packages unless they are installed already.
///
/// Several test processes may call this at once; a lock file lets one of them install. The marker
/// file is written last and contains the inputs of the installation. A folder with an incomplete
/// installation, other packages or another Node.js is therefore installed again.
fn prepare() -> Result<Node, String> {
    let interop = workspace::target().join("interop");
    let home = interop.join("pigato");
    let marker = home.join("made-of");
    let from = workspace::package().join("pigato");

    let mut made_of = output(Command::new("node").arg("--version"))?;
    for name in MADE_FROM {
        made_of += &read(&from.join(name))?;
    }
    fs::create_dir_all(&interop).map_err(|error| about(&interop, &error))?;
    let _lock = lock(&interop.join("pigato.lock"))?;
    if fs::read_to_string(&marker).is_ok_and(|text| text == made_of) {
        return Ok(Node { home });
    }

    if home.exists() {
        fs::remove_dir_all(&home).map_err(|error| about(&home, &error))?;
    }
    fs::create_dir_all(home.join("zmq")).map_err(|error| about(&home, &error))?;
    for name in MADE_FROM {
        fs::copy(from.join(name), home.join(name)).map_err(|error| about(&home, &error))?;
    }
    output(Command::new("npm").args(["ci", "--no-progress"]).current_dir(&home))?;
    fs::write(&marker, made_of).map_err(|error| about(&marker, &error))?;
    Ok(Node { home })
}

/// Locks the file until the returned handle is dropped.
fn lock(path: &Path) -> Result<File, String> {
    let file = File::create(path).map_err(|error| about(path, &error))?;
    file.lock().map_err(|error| about(path, &error))?;
    Ok(file)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| about(path, &error))
}

/// Runs a command and returns its standard output, or a one-line error.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    // npm prints the error first and the path of its log last.
    let first = words.lines().find(|line| line.contains("error")).unwrap_or("no word why");
    Err(format!("{name}: {}: {}", output.status, first.trim()))
}

fn about(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
