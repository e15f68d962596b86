//! The program as a process.

use std::env;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The bound of every wait that has none of its own; only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so, and fails with its name where it is not within the bound.
#[track_caller]
pub(crate) fn wait_until(what: &str, bound: Duration, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < bound, "waited {bound:?} in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The program with these arguments, and with nothing in its environment that would set it up.
pub(crate) fn majordomus(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_majordomus"));
    for (variable, _) in env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"MAJORDOMUS_") {
            command.env_remove(variable);
        }
    }
    command.args(args);
    command
}

/// The program as it runs. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// The output and exit status of a program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Process {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            follow(child.stdout.take().expect("it is piped"), &stdout),
            follow(child.stderr.take().expect("it is piped"), &stderr),
        ];
        Self { child, stdout, stderr, readers }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().expect("no reader panics")).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().expect("no reader panics")).into_owned()
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish_within(mut self, bound: Duration) -> Finished {
        drop(self.child.stdin.take());
        wait_until("the program ends", bound, || {
            self.child.try_wait().expect("it is a child").is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        let stdout = self.stdout.lock().expect("no reader panics").clone();
        let status = self.child.wait().expect("it is a child");
        Finished { status, stdout, stderr: self.stderr() }
    }

    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        self.finish_within(PATIENCE)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("it is text")
    }

    /// It failed with one line, which says all of this.
    #[track_caller]
    pub(crate) fn failed(&self, said: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("majordomus: "), "{self:?}");
        for said in said {
            assert!(self.stderr.contains(said), "no {said:?} in {self:?}");
        }
    }

    /// It was called wrong, and says how.
    #[track_caller]
    pub(crate) fn misused(&self, said: &[&str]) {
        assert_eq!(self.status.code(), Some(2), "{self:?}");
        for said in said {
            assert!(self.stderr.contains(said), "no {said:?} in {self:?}");
        }
    }

    /// It ended well and printed this.
    #[track_caller]
    pub(crate) fn printed(&self, text: &str) {
        assert!(self.status.success(), "{self:?}");
        assert_eq!(self.text(), text);
    }
}

fn follow(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut chunk = [0; 64 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            said.lock().expect("nobody panics").extend_from_slice(&chunk[..count]);
        }
    })
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run(args: &[&str]) -> Finished {
    Process::start(majordomus(args)).finish()
}

/// Runs the program to its end, with this on its standard input.
#[track_caller]
pub(crate) fn run_with_input(args: &[&str], input: &[u8]) -> Finished {
    let mut process = Process::start(majordomus(args));
    let mut stdin = process.child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    // The program may end without reading it all.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let finished = process.finish();
    writer.join().expect("it does not panic");
    finished
}

/// A broker that listens.
pub(crate) struct Broker {
    pub(crate) process: Process,
    pub(crate) endpoint: String,
}

impl Broker {
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(Path::new("."), options)
    }

    /// Starts one that works in this folder.
    #[track_caller]
    pub(crate) fn start_in(folder: &Path, options: &[&str]) -> Self {
        let mut command = majordomus(&[&["broker", "-b", "tcp://127.0.0.1:0"], options].concat());
        command.current_dir(folder);
        let process = Process::start(command);
        wait_until("the broker listens", PATIENCE, || process.stdout().ends_with('\n'));
        let said = process.stdout();
        let endpoint = said.trim().strip_prefix("listening ").expect("it says so").to_owned();
        Self { process, endpoint }
    }

    /// Starts a worker of this broker, with what comes behind `-b ENDPOINT`.
    #[track_caller]
    pub(crate) fn worker(&self, args: &[&str]) -> Process {
        Process::start(majordomus(&[&["worker", "-b", &self.endpoint], args].concat()))
    }

    /// Starts a client of this broker, with what comes behind `-b ENDPOINT`.
    #[track_caller]
    pub(crate) fn client(&self, args: &[&str]) -> Process {
        Process::start(majordomus(&[&["request", "-b", &self.endpoint], args].concat()))
    }

    /// Sends a request, and returns when its reply is there.
    #[track_caller]
    pub(crate) fn request(&self, args: &[&str]) -> Finished {
        self.client(args).finish()
    }
}
