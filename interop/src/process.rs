//! A program that runs beside the test, whoever wrote it.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::{PATIENCE, wait_until};

/// A child process whose lines are read as it says them.
///
/// It is killed when it is dropped, also when it is stopped by a signal. When a test fails, the
/// transcript of each of its processes is shown.
pub struct Process {
    name: String,
    child: Child,
    input: ChildStdin,
    /// The lines of its standard output that [`expect`](Process::expect) has not passed yet. The
    /// sender goes away with the output.
    said: Receiver<String>,
    transcript: Arc<Mutex<Transcript>>,
    readers: Vec<JoinHandle<()>>,
}

/// What is left of a process that has ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// The whole of its standard output.
    pub stdout: String,
    /// The whole of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command`, which goes by `name` in transcripts and failures.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
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
                    // Nobody listens any more once the test is over.
                    let _ = say.send(line);
                });
            }),
            thread::spawn(move || read_lines(error, |line| lock(&err).add(Stream::Error, line))),
        ];
        Process { name, child, input, said, transcript, readers }
    }

    /// Waits, with [`PATIENCE`], for a line on standard output that begins with `prefix`, passing
    /// over others, and returns what follows the prefix, without spaces around it.
    ///
    /// # Panics
    ///
    /// When it does not come, or the process ends before.
    #[track_caller]
    pub fn expect(&mut self, prefix: &str) -> String {
        self.expect_within(prefix, PATIENCE)
    }

    /// [`expect`](Process::expect) with a bound of its own.
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

    /// Every line so far on standard output that begins with `prefix`, whether awaited or not,
    /// without the prefix.
    pub fn said(&self, prefix: &str) -> Vec<String> {
        let transcript = lock(&self.transcript);
        let lines = transcript.of(Stream::Output);
        lines.filter_map(|line| line.strip_prefix(prefix)).map(|rest| rest.trim().into()).collect()
    }

    /// Everything so far on standard error.
    pub fn log(&self) -> String {
        lock(&self.transcript).text(Stream::Error)
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        if let Err(error) = writeln!(self.input, "{line}") {
            panic!("{} does not listen any more: {error}", self.name);
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        // Its number stays its own until it is waited for, so the signal cannot reach another.
        let ended = self.child.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "{} has ended before {signal:?} was sent", self.name);
        if let Err(error) = kill_process(Pid::from_child(&self.child), signal) {
            panic!("{} cannot be sent {signal:?}: {error}", self.name);
        }
    }

    /// Takes the processor away from it: SIGSTOP.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again: SIGCONT.
    #[track_caller]
    pub fn cont(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Ends it without a word, SIGKILL, and waits until it is gone. Its sockets are closed then.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exited(PATIENCE);
    }

    /// Waits until it has ended by itself and everything that it said has been read.
    ///
    /// # Panics
    ///
    /// When it has not ended within `bound`.
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

    /// Waits, with [`PATIENCE`], until it has ended by itself, and returns what is left of it.
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
        // It may have ended already, which is as good.
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

/// Which of its two mouths a process used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// Everything that a process has said, with the time since its start.
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

/// The transcript is whole whatever became of the thread that held it: lines are added whole.
fn lock(transcript: &Mutex<Transcript>) -> MutexGuard<'_, Transcript> {
    transcript.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads to the end, line by line. What is not UTF-8 is shown as well as it can be.
fn read_lines(stream: impl Read, mut each: impl FnMut(String)) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        each(String::from_utf8_lossy(&line).into_owned());
    }
}
