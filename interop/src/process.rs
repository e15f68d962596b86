//! A child process of a test.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::{PATIENCE, wait_until};

/// A child process whose output lines are read as they are printed.
///
/// Dropping it kills the process, even if a signal has stopped it. A failed test prints the
/// transcripts of all its processes.
pub struct Process {
    name: String,
    child: Child,
    input: ChildStdin,
    /// The lines of standard output that [`expect`](Process::expect) has not consumed yet. The
    /// sender is dropped at the end of the output.
    said: Receiver<String>,
    transcript: Arc<Mutex<Transcript>>,
    readers: Vec<JoinHandle<()>>,
}

/// The result of a process that has exited by itself.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// The complete standard output.
    pub stdout: String,
    /// The complete standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command`. `name` identifies it in transcripts and failures.
    ///
    /// # Panics
    ///
    /// Panics if the command cannot be started.
    #[track_caller]
    pub fn start(name: impl Into<String>, mut command: Command) -> Process {
        let name = name.into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let error = child.stderr.take().expect("it is piped");

        let transcript = Arc::new(Mutex::new(Transcript::new()));
        let (say, said) = mpsc::channel();
        let out = Arc::clone(&transcript);
        let err = Arc::clone(&transcript);
        let readers = vec![
            thread::spawn(move || {
                read_lines(output, |line| {
                    lock(&out).add(Stream::Output, line.clone());
                    // The receiver is dropped at the end of the test.
                    let _ = say.send(line);
                });
            }),
            thread::spawn(move || read_lines(error, |line| lock(&err).add(Stream::Error, line))),
        ];
        Process { name, child, input, said, transcript, readers }
    }

    /// Waits up to [`PATIENCE`] for a line on standard output that starts with `prefix` and skips
    /// other lines. Returns the rest of the line without surrounding spaces.
    ///
    /// # Panics
    ///
    /// Panics if the line does not appear in time, or if the process ends first.
    #[track_caller]
    pub fn expect(&mut self, prefix: &str) -> String {
        self.expect_within(prefix, PATIENCE)
    }

    /// Waits like [`expect`](Process::expect), up to `bound`.
    #[track_caller]
    pub fn expect_within(&mut self, prefix: &str, bound: Duration) -> String {
        let end = Instant::now() + bound;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return rest.trim().to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} did not say {prefix:?} within {bound:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended without saying {prefix:?}", self.name)
                }
            }
        }
    }

    /// Returns all lines so far on standard output that start with `prefix`, consumed or not,
    /// without the prefix.
    pub fn said(&self, prefix: &str) -> Vec<String> {
        let transcript = lock(&self.transcript);
        let lines = transcript.of(Stream::Output);
        lines.filter_map(|line| line.strip_prefix(prefix)).map(|rest| rest.trim().into()).collect()
    }

    /// Returns standard error so far.
    pub fn log(&self) -> String {
        lock(&self.transcript).text(Stream::Error)
    }

    /// Writes a line to standard input.
    ///
    /// # Panics
    ///
    /// Panics if the process has exited.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        if let Err(error) = writeln!(self.input, "{line}") {
            panic!("{} does not listen any more: {error}", self.name);
        }
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// Panics if the process has exited.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        // The process id stays reserved until it is waited for, so the signal cannot reach another
        // process.
        let ended = self.child.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "{} has ended before {signal:?} was sent", self.name);
        if let Err(error) = kill_process(Pid::from_child(&self.child), signal) {
            panic!("{} cannot be sent {signal:?}: {error}", self.name);
        }
    }

    /// Stops the process with SIGSTOP.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Continues the process with SIGCONT.
    #[track_caller]
    pub fn cont(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process with SIGKILL and waits until it has exited. Its sockets are closed then.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exited(PATIENCE);
    }

    /// Waits until the process has exited by itself and all of its output has been read.
    ///
    /// # Panics
    ///
    /// Panics if the process does not exit within `bound`.
    #[track_caller]
    pub fn exited(&mut self, bound: Duration) -> ExitStatus {
        let mut status = None;
        wait_until(&format!("the end of {}", self.name), bound, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
        status.expect("it was awaited")
    }

    /// Waits up to [`PATIENCE`] until the process has exited by itself, and returns its result.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let status = self.exited(PATIENCE);
        let transcript = lock(&self.transcript);
        Finished {
            status,
            stdout: transcript.text(Stream::Output),
            stderr: transcript.text(Stream::Error),
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        // An error is harmless: the process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("---- {} ----\n{}", self.name, lock(&self.transcript));
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("pid", &self.child.id())
            .finish_non_exhaustive()
    }
}

/// An output stream of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// The complete output of a process, with the time since its start.
struct Transcript {
    start: Instant,
    lines: Vec<(Duration, Stream, String)>,
}

impl Transcript {
    fn new() -> Transcript {
        Transcript { start: Instant::now(), lines: Vec::new() }
    }

    fn add(&mut self, stream: Stream, line: String) {
        self.lines.push((self.start.elapsed(), stream, line));
    }

    fn of(&self, stream: Stream) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(_, from, _)| *from == stream).map(|(_, _, line)| &**line)
    }

    fn text(&self, stream: Stream) -> String {
        self.of(stream).fold(String::new(), |text, line| text + line + "\n")
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(at, stream, line)| {
            let mark = if *stream == Stream::Output { '>' } else { '!' };
            writeln!(f, "{:8.3} {mark} {line}", at.as_secs_f64())
        })
    }
}

/// Locks the transcript. A poisoned lock is harmless, because lines are added whole.
fn lock(transcript: &Mutex<Transcript>) -> MutexGuard<'_, Transcript> {
    transcript.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a stream line by line to its end. Invalid UTF-8 is replaced.
fn read_lines(stream: impl Read, mut each: impl FnMut(String)) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        each(String::from_utf8_lossy(&line).into_owned());
    }
}
