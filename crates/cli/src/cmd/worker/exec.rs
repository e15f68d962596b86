//! A command that runs for each request.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomus::{Body, Frames, Replier, Request};
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{debug, error, warn};

use crate::bytes;

/// How much of the end of standard error goes into an error reply.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How long output is awaited when the command has ended and something outside its process group
/// still holds its pipes.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// What is to be run for each request, and how its output becomes a reply.
#[derive(Debug)]
pub(super) struct Exec {
    program: OsString,
    arguments: Vec<OsString>,
    stream: bool,
    output_max: usize,
    /// Whether the last attempt to start it failed, so that this is not logged again and again.
    unstartable: AtomicBool,
}

/// Why a command that was started gives no reply.
enum Trouble {
    /// It wrote more than it may.
    TooMuch,
    /// Nobody waits for the reply any more.
    Cancelled,
    /// The system failed.
    System(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::System(error)
    }
}

impl Exec {
    pub(super) fn new(
        program: &OsStr,
        arguments: &[OsString],
        stream: bool,
        output_max: usize,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into(),
            stream,
            output_max,
            unstartable: AtomicBool::new(false),
        }
    }

    /// Runs the command for one request and answers it.
    pub(super) async fn answer(self: Arc<Self>, request: Request, reply: Replier) {
        let mut running = match self.start(&request) {
            Ok(running) => running,
            Err(error) => return self.complain(error, reply).await,
        };
        let cancellation = reply.cancellation();
        let mut output = Output { bytes: Vec::new(), exec: &self };
        let mut complaint = Tail::default();
        let attended = tokio::select! {
            attended = running.attend(request.body.frames(), &mut output, &mut complaint, &reply) => attended,
            () = cancellation.cancelled() => Err(Trouble::Cancelled),
        };
        let status = running.end().await;
        debug!(request = request.id, ?status, errors = %complaint, "command ended");
        match (attended, status) {
            (Err(Trouble::Cancelled), _) => {}
            (Err(Trouble::TooMuch), _) => reply.fail(self.too_much()).await,
            (Err(Trouble::System(error)), _) | (Ok(()), Err(error)) => {
                warn!("{self} cannot be watched: {error}");
                reply.fail(format!("the command cannot be watched: {error}")).await;
            }
            (Ok(()), Ok(status)) if !status.success() => {
                let text = complaint.to_string();
                let text =
                    if text.is_empty() { format!("the command failed: {status}") } else { text };
                reply.fail(text).await;
            }
            (Ok(()), Ok(_)) => reply.finish(output.rest()).await,
        }
    }

    fn start(&self, request: &Request) -> io::Result<Running> {
        // Before the command is there, so that its end is not missed.
        let ends = signal(SignalKind::child())?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env("MAJORDOMUS_SERVICE", &request.service)
            .env("MAJORDOMUS_REQUEST_ID", &request.id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        self.unstartable.store(false, Ordering::Relaxed);
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = group.ok_or(io::ErrorKind::NotFound)?;
        Ok(Running { child, group, ends, reaped: false })
    }

    /// The command could not be started.
    async fn complain(&self, error: io::Error, reply: Replier) {
        if !self.unstartable.swap(true, Ordering::Relaxed) {
            error!("{self} cannot be started: {error}");
        }
        reply.fail(format!("{self} cannot be started: {error}")).await;
    }

    fn too_much(&self) -> String {
        let what = if self.stream { "a line of its output" } else { "its output" };
        format!("the command was killed: {what} is longer than {}", bytes::show(self.output_max))
    }
}

/// The program, without its arguments, which may be secret.
impl fmt::Display for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

/// A command that runs. It is killed with its whole process group when it is dropped.
struct Running {
    child: Child,
    /// Its process group. The number is its own until it is reaped.
    group: Pid,
    /// Says that some child has ended.
    ends: Signal,
    reaped: bool,
}

impl Running {
    /// Feeds it, and takes what it says, until it has ended and nothing more comes.
    async fn attend(
        &mut self,
        input: &Frames,
        output: &mut Output<'_>,
        complaint: &mut Tail,
        reply: &Replier,
    ) -> Result<(), Trouble> {
        let pipes = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let (Some(stdin), Some(mut stdout), Some(mut stderr)) = pipes else {
            return Err(Trouble::System(io::ErrorKind::NotFound.into()));
        };
        let mut feeding = pin!(feed(stdin, input));
        let (mut fed, mut said_all, mut complained_all, mut ended) = (false, false, false, false);
        let (mut said, mut complained) = (vec![0; CHUNK_BYTES], vec![0; ERROR_BYTES_MAX]);
        while !(ended && said_all && complained_all) {
            tokio::select! {
                count = stdout.read(&mut said), if !said_all => {
                    let count = count?;
                    said_all = count == 0;
                    output.take(&said[..count], reply).await?;
                }
                count = stderr.read(&mut complained), if !complained_all => {
                    let count = count?;
                    complained_all = count == 0;
                    complaint.take(&complained[..count]);
                }
                () = &mut feeding, if !fed => fed = true,
                end = exited(&mut self.ends, self.group), if !ended => {
                    end?;
                    ended = true;
                    kill(self.group);
                }
                () = tokio::time::sleep(OUTPUT_GRACE), if ended => break,
            }
        }
        Ok(())
    }

    /// Kills what is left of it, and says how it ended.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        kill(self.group);
        let status = self.child.wait().await?;
        self.reaped = true;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            kill(self.group);
        }
    }
}

/// Kills every process of a group whose leader is not reaped yet.
fn kill(group: Pid) {
    // Where nobody is left, that is as good.
    let _ = kill_process_group(group, rustix::process::Signal::KILL);
}

/// Returns when the process has ended, and leaves it to be reaped, so that its number stays taken.
/// Can be dropped and called again.
async fn exited(ends: &mut Signal, process: Pid) -> io::Result<()> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(process), look)?.is_none() {
        ends.recv().await;
    }
    Ok(())
}

/// Writes the request to the command's standard input and closes it.
async fn feed(mut stdin: ChildStdin, input: &Frames) {
    for frame in input.iter() {
        // A command need not read what it is given.
        if stdin.write_all(frame).await.is_err() {
            return;
        }
    }
}

/// What the command has said and is not sent yet.
struct Output<'a> {
    bytes: Vec<u8>,
    exec: &'a Exec,
}

impl Output<'_> {
    /// Takes more of it, and sends its lines where they are parts of the reply.
    async fn take(&mut self, mut more: &[u8], reply: &Replier) -> Result<(), Trouble> {
        while self.exec.stream
            && let Some(end) = more.iter().position(|byte| *byte == b'\n')
        {
            self.keep(&more[..end])?;
            let line = std::mem::take(&mut self.bytes);
            reply.part(line).await.map_err(|_| Trouble::Cancelled)?;
            more = &more[end + 1..];
        }
        self.keep(more)
    }

    fn keep(&mut self, more: &[u8]) -> Result<(), Trouble> {
        if self.bytes.len() + more.len() > self.exec.output_max {
            return Err(Trouble::TooMuch);
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// The final reply.
    fn rest(self) -> Body {
        if self.exec.stream && self.bytes.is_empty() {
            return Body::empty();
        }
        self.bytes.into()
    }
}

/// The end of what the command wrote to standard error.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn take(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        let over = self.bytes.len().saturating_sub(ERROR_BYTES_MAX);
        self.bytes.drain(..over);
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(&self.bytes).trim())
    }
}
