//! A child process of this program that runs a part of a measurement.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// A child process of this program. It ends when its standard input is closed.
pub(crate) struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// The first line of its output.
    said: String,
}

impl Child {
    /// Starts a child process and waits for its first line of output.
    pub(crate) fn start(args: &[&str]) -> Result<Self, String> {
        Self::start_under(&[], args)
    }

    /// Starts a child process under a tool such as valgrind. `tool` is the tool and its arguments.
    pub(crate) fn start_under(tool: &[&str], args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = match tool {
            [] => Command::new(program),
            [tool, with @ ..] => {
                let mut command = Command::new(tool);
                command.args(with).arg(program);
                command
            }
        };
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| error.to_string())?;
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().ok_or("it has no output")?);
        let mut child = Self { process, stdin, stdout, said: String::new() };
        child.said = child.hear().map_err(|error| format!("{args:?}: {error}"))?;
        Ok(child)
    }

    /// Returns the first line of its output.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Requests another line of output.
    pub(crate) fn ask(&mut self) -> Result<String, String> {
        let stdin = self.stdin.as_mut().ok_or("it was told to end")?;
        stdin.write_all(b"\n").map_err(|error| error.to_string())?;
        self.hear()
    }

    /// Ends the process and returns its remaining output.
    pub(crate) fn end(mut self) -> Result<String, String> {
        drop(self.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).map_err(|error| error.to_string())?;
        Ok(said)
    }

    fn hear(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.is_empty() { Err("it has ended".into()) } else { Ok(line.trim().into()) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
