//! A broker in a child process for one run.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::cmd::stream::Stream;
use crate::cmd::unheard_of_name;
use crate::duration;

/// The time within which a broker must start to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval between checks whether a broker listens, if it does not report that itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The maximum number of bytes kept from the end of a broker's standard error.
const SAID_BYTES_MAX: usize = 4 << 10;

/// A running broker process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The thread that reads standard error, so that the broker never blocks on it. Returns its
    /// end.
    listener: Option<JoinHandle<Vec<u8>>>,
    pub(super) endpoint: String,
    pub(super) worker_endpoint: String,
    /// The time from the start until the broker listened, if the broker reports that.
    pub(super) started_in: Option<Duration>,
    /// Socket files to remove afterwards. A killed broker does not remove them itself.
    sockets: Vec<PathBuf>,
}

/// A transport between a broker and its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// TCP over the loopback interface
    Tcp,
    /// A Unix domain socket
    Ipc,
}

/// The reason that a broker did not start.
#[derive(Debug)]
pub(super) enum NoBroker {
    System(io::Error),
    /// The process ended and this was its last line of output.
    Ended(String),
    Deaf,
}

impl fmt::Display for NoBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoBroker::System(error) => error.fmt(f),
            NoBroker::Ended(said) => write!(f, "it ended: {said}"),
            NoBroker::Deaf => {
                write!(f, "it did not listen within {}", duration::show(START_TIMEOUT))
            }
        }
    }
}

impl From<io::Error> for NoBroker {
    fn from(error: io::Error) -> Self {
        NoBroker::System(error)
    }
}

impl Process {
    /// Starts this program as a broker with an empty environment, on a free port or a new socket.
    /// The broker spins for `spin` before it sleeps.
    pub(super) fn ours(
        spin: Duration,
        transport: Transport,
        worker_transport: Transport,
    ) -> Result<Self, NoBroker> {
        let mut transports = vec![transport];
        transports.extend((worker_transport != transport).then_some(worker_transport));
        let mut sockets = Vec::new();
        let mut command = Command::new(env::current_exe()?);
        for (variable, _) in env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"MAJORDOMUS_") {
                command.env_remove(variable);
            }
        }
        command.args(["broker", "--quiet"]).stdout(Stdio::piped());
        command.args(["--spin", &duration::show(spin)]);
        for transport in &transports {
            match transport {
                Transport::Tcp => command.args(["--bind", "tcp://127.0.0.1:0"]),
                Transport::Ipc => {
                    let name = unheard_of_name("majordomus-bench");
                    let path = env::temp_dir().join(name).with_added_extension("sock");
                    command.args(["--bind", &format!("ipc://{}", path.display())]);
                    sockets.push(path);
                    &mut command
                }
            };
        }
        let start = Instant::now();
        let mut process = Self::start(&mut command, String::new(), String::new())?;
        process.sockets = sockets;
        let mut endpoints = Vec::new();
        if let Some(stdout) = process.child.stdout.take() {
            let lines = BufReader::new(stdout).lines().take(transports.len());
            for line in lines {
                endpoints.extend(line?.strip_prefix("listening ").map(str::to_owned));
            }
        }
        // Workers use the last endpoint: the second one, or the only one.
        let (Some(first), Some(last)) = (endpoints.first(), endpoints.get(transports.len() - 1))
        else {
            return Err(process.last_words());
        };
        process.started_in = Some(start.elapsed());
        (process.endpoint, process.worker_endpoint) = (first.clone(), last.clone());
        Ok(process)
    }

    /// Starts another program, which listens at these endpoints.
    pub(super) fn other(
        command: &mut Command,
        endpoint: String,
        worker_endpoint: String,
    ) -> Result<Self, NoBroker> {
        command.stdout(Stdio::null());
        let mut process = Self::start(command, endpoint, worker_endpoint)?;
        let start = Instant::now();
        let listens = |endpoint| Stream::connect(endpoint, LOOK_INTERVAL).is_ok();
        while !listens(&process.endpoint) || !listens(&process.worker_endpoint) {
            if process.child.try_wait()?.is_some() {
                return Err(process.last_words());
            }
            if start.elapsed() >= START_TIMEOUT {
                return Err(NoBroker::Deaf);
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(process)
    }

    fn start(
        command: &mut Command,
        endpoint: String,
        worker_endpoint: String,
    ) -> Result<Self, NoBroker> {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let listener = child.stderr.take().map(|stderr| thread::spawn(|| listen(stderr)));
        let sockets = Vec::new();
        Ok(Self { child, listener, endpoint, worker_endpoint, started_in: None, sockets })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process and returns the error with its last output.
    fn last_words(mut self) -> NoBroker {
        // Killing the process closes its standard error.
        let _ = self.child.kill();
        let listener = self.listener.take();
        let said = listener.and_then(|listener| listener.join().ok()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        NoBroker::Ended(last.unwrap_or("without a word").trim().into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error is harmless: the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for path in &self.sockets {
            // A broker that ended by itself has removed its socket file.
            let _ = fs::remove_file(path);
        }
    }
}

/// Reads standard error until it is closed and returns its end.
fn listen(mut stderr: ChildStderr) -> Vec<u8> {
    let (mut said, mut chunk) = (Vec::new(), [0; SAID_BYTES_MAX]);
    while let Ok(count @ 1..) = stderr.read(&mut chunk) {
        said.extend_from_slice(&chunk[..count]);
        said.drain(..said.len().saturating_sub(SAID_BYTES_MAX));
    }
    said
}

/// Returns a local endpoint that no process listens on.
pub(super) fn free_endpoint() -> io::Result<String> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(format!("tcp://127.0.0.1:{port}"))
}
