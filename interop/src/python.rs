//! Python with third-party packages, in a virtual environment that the tests create.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::Process;
use crate::workspace;

/// A Python installation with the packages of `python/requirements.txt`.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Returns the environment under `target/interop`. The first test process that needs it creates
    /// it.
    ///
    /// Returns `None` if that is impossible (no `python3`, no `venv`, no network for `pip`), after
    /// writing one line to standard error. The calling test should return then.
    ///
    /// # Panics
    ///
    /// Panics if `CI` is set and the environment cannot be created.
    pub fn ready() -> Option<&'static Python> {
        static READY: OnceLock<Option<Python>> = OnceLock::new();
        READY.get_or_init(|| prepare().map_err(skip).ok()).as_ref()
    }

    /// Starts `python/NAME.py` with `arguments`.
    #[track_caller]
    pub fn script(&self, name: &str, arguments: &[&str]) -> Process {
        self.file(&format!("python/{name}.py"), arguments)
    }

    /// Starts a file of this package with `arguments`.
    #[track_caller]
    pub fn file(&self, path: &str, arguments: &[&str]) -> Process {
        let mut command = self.command();
        command.arg(workspace::package().join(path)).args(arguments);
        let name = path.rsplit('/').next().unwrap_or(path);
        Process::start(format!("{name} {}", arguments.join(" ")), command)
    }

    /// Starts a package's module: `python -m NAME` with `arguments`.
    #[track_caller]
    pub fn module(&self, name: &str, arguments: &[&str]) -> Process {
        let mut command = self.command();
        command.args(["-m", name]).args(arguments);
        Process::start(format!("{name} {}", arguments.join(" ")), command)
    }

    /// Starts inline code: `python -c CODE`.
    #[track_caller]
    pub fn code(&self, code: &str) -> Process {
        let mut command = self.command();
        command.args(["-c", code]);
        let first = code.lines().find(|line| !line.is_empty()).unwrap_or_default();
        Process::start(format!("python -c '{first} …'"), command)
    }

    /// Returns a command for the interpreter with unbuffered output and without bytecode files.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Writes the reason for a skipped test. Bypasses the output capture of the test harness, which
/// hides the output of successful tests.
fn skip(reason: String) {
    let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "no Python to test with: {reason}");
    // A write error cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "skipping the tests that need Python: {reason}");
}

/// Creates the environment unless it exists already.
///
/// Several test processes may call this at once; a lock file lets one of them create it. The marker
/// file is written last and contains the inputs of the installation. An environment that is
/// incomplete, or that has other requirements or another Python, is therefore created again.
fn prepare() -> Result<Python, String> {
    let home = workspace::target().join("interop");
    let venv = home.join("venv");
    let marker = venv.join("made-of");
    let requirements = workspace::package().join("python/requirements.txt");
    let python = Python { interpreter: venv.join("bin/python") };

    let version = output(Command::new("python3").arg("--version"))?;
    let made_of = format!("# {version}{}", read(&requirements)?);
    fs::create_dir_all(&home).map_err(|error| about(&home, &error))?;
    let _lock = lock(&home.join("venv.lock"))?;
    if fs::read_to_string(&marker).is_ok_and(|text| text == made_of) {
        return Ok(python);
    }

    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = python.command();
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    output(pip.arg("--requirement").arg(&requirements))?;
    fs::write(&marker, made_of).map_err(|error| about(&marker, &error))?;
    Ok(python)
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
    // `venv` prints errors to standard output, `pip` to standard error.
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word why");
    Err(format!("{name}: {}: {}", output.status, last.trim()))
}

fn about(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
