//! `worker --exec`: runs a command for each request.

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

/// The maximum number of bytes from the end of standard error in an error reply.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// The maximum number of bytes in one read.
const CHUNK_BYTES: usize = 64 << 10;
/// The time to wait for output after the command has ended, if a process outside its process group
/// still holds its pipes.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A command, and the conversion of its output to a reply.
#[derive(Debug)]
pub(super) struct Exec {
    program: OsString,
    arguments: Vec<OsString>,
    stream: bool,
    output_max: usize,
    /// True if the last attempt to start the command failed. Repeated failures are not logged.
    unstartable: AtomicBool,
}

/// The reason that a started command produced no reply.
enum Trouble {
    /// The output exceeded its limit.
    TooMuch,
    /// The request was cancelled.
    Cancelled,
    /// A system call failed.
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

    /// Runs the command for one request and sends the reply.
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
        // Install the handler before the command starts, so that its exit is not missed.
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

    /// Reports that the command could not be started.
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

/// Formats the program without its arguments, which may be secret.
impl fmt::Display for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())
    }
}

/// A running command. Dropping it kills its whole process group.
struct Running {
    child: Child,
    /// The process group. Its number cannot be reused until the command is reaped.
    group: Pid,
    /// Notifies about exited child processes.
    ends: Signal,
    reaped: bool,
}

impl Running {
    /// Writes the input and reads the output until the command has exited and no more output comes.
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

    /// Kills the remaining processes of the group and returns the command's exit status.
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
    // An error is harmless: the group may be empty.
    let _ = kill_process_group(group, rustix::process::Signal::KILL);
}

/// Returns when the process has exited. Does not reap the process, so that its number cannot be
/// reused. This is cancel-safe.
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
        // A command may exit without reading its input.
        if stdin.write_all(frame).await.is_err() {
            return;
        }
    }
}

/// The command's output that is not sent yet.
struct Output<'a> {
    bytes: Vec<u8>,
    exec: &'a Exec,
}

impl Output<'_> {
    /// Adds output, and sends complete lines as parts of the reply with `--stream`.
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

    /// Returns the body of the final reply.
    fn rest(self) -> Body {
        if self.exec.stream && self.bytes.is_empty() {
            return Body::empty();
        }
        self.bytes.into()
    }
}

/// The end of the command's standard error.
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
