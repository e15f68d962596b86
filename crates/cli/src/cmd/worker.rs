//! `majordomus worker`: registers a service and serves requests until a signal ends it.

mod exec;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use majordomus::{Dialect, Worker, WorkerBuilder};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::cmd::worker::exec::Exec;
use crate::cmd::{BROKER_ENDPOINT, dialect_parser, misused, number, worker_has_parts};
use crate::failure::Failure;
use crate::settings::{read_broker, read_offer};
use crate::{bytes, duration};

/// The maximum size of a message, unless `--output-max` requires more.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// An upper bound for the size of a message without the output.
const MESSAGE_HEAD_BYTES_MAX: usize = 64 << 10;

const EXAMPLES: &str = "\
The command of --exec runs once for each request. The frames of the request, one behind the other, \
are its standard input; MAJORDOMUS_SERVICE and MAJORDOMUS_REQUEST_ID are in its environment; its \
standard output is the reply, in one frame. When it ends with another status than 0, the reply is an \
error: the end of its standard error, or its status where that is empty. The request ends with the \
command; what it leaves running in its process group is killed. When nobody waits for the reply any \
more, and when the worker ends, the whole group is killed.

With --stream each line is a part of the reply, without its newline. The last part is what follows \
the last newline; where nothing does, it is empty. Workers of mdp01, gdp and libmdp have no parts.

SIGTERM and SIGINT end the worker: it says so to the broker, and ends with status 0; a \
second one ends it at once, with status 1. The status is 2 when the command line makes no sense.

Examples:
  majordomus worker echo --echo
      A service that sends back what it gets.
  majordomus worker upper --exec tr a-z A-Z
      A command as a service.
  majordomus worker -b tcp://broker:5555 --concurrency 4 small --exec convert - -resize 200 -
      Another broker, and four requests at once.
  majordomus worker --stream log --exec tail -f /var/log/syslog
      A reply that comes line by line.";

/// Offer a service
#[derive(Args, Clone, Debug)]
#[command(
    after_help = EXAMPLES,
    override_usage = "majordomus worker [OPTIONS] <SERVICE> --echo\n       \
                      majordomus worker [OPTIONS] <SERVICE> --exec <COMMAND>..."
)]
pub(crate) struct WorkerArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH; given again, another one, which is served too
    #[arg(short, long, value_name = "ENDPOINT", default_value = BROKER_ENDPOINT,
          value_parser = read_broker)]
    broker: Vec<String>,
    /// The service to offer
    #[arg(value_parser = read_offer)]
    service: String,
    #[command(flatten)]
    what: What,
    /// Send each line of the command's output as a part of the reply
    #[arg(long)]
    stream: bool,
    /// How much output a command may have, or with --stream a line of it; the broker's
    /// --message-bytes-max is another limit
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = bytes::parse)]
    output_max: usize,
    /// What to speak
    #[arg(short, long, default_value = "omdp1", value_parser = dialect_parser())]
    dialect: Dialect,
    /// How many requests to serve at once
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = number(1..=u16::MAX), allow_negative_numbers = true)]
    concurrency: u16,
    /// How often to send the broker a heartbeat, and to expect one; best what the broker has
    #[arg(long, value_name = "DURATION", default_value = "2.5s", value_parser = duration::parse)]
    heartbeat_interval: Duration,
    /// After how many intervals of silence the broker is lost
    #[arg(long, value_name = "COUNT", default_value_t = 3,
          value_parser = number(1..=u32::MAX), allow_negative_numbers = true)]
    liveness: u32,
}

/// What is done with a request.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// Reply with what was asked
    #[arg(long)]
    echo: bool,
    /// Run a command for each request; takes the rest of the line, so it comes last
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<OsString>,
}

impl WorkerArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.stream && self.what.exec.is_empty() {
            misused("worker", "--stream needs the lines of a command, so it goes with --exec");
        }
        if self.stream && !worker_has_parts(self.dialect) {
            let text = format!(
                "--stream needs partial replies, and workers of {} have none",
                self.dialect
            );
            misused("worker", &text);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(Failure::System)?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let worker = self.start()?;
        info!("offering {} at {}", self.service, self.broker.join(" and "));
        let name = signals.next().await;
        info!("{name}: leaving");
        tokio::select! {
            () = worker.stop() => Ok(()),
            name = signals.next() => {
                info!("{name} again: ending at once");
                std::process::exit(1)
            }
        }
    }

    fn start(&self) -> Result<Worker, Failure> {
        let builder = self.builder();
        let worker = match self.what.exec.split_first() {
            None => builder.serve(&self.service, |request, reply| reply.finish(request.body)),
            Some((program, arguments)) => {
                let exec = Arc::new(Exec::new(program, arguments, self.stream, self.output_max));
                builder.serve(&self.service, move |request, reply| {
                    Arc::clone(&exec).answer(request, reply)
                })
            }
        };
        Ok(worker?)
    }

    fn builder(&self) -> WorkerBuilder {
        let output_max = self.output_max.saturating_add(MESSAGE_HEAD_BYTES_MAX);
        Worker::builder(&self.broker[..])
            .dialect(self.dialect)
            .concurrency(self.concurrency.into())
            .heartbeat(self.heartbeat_interval)
            .liveness(self.liveness)
            .message_bytes_max(output_max.max(MESSAGE_BYTES_MAX))
    }
}

/// The signals that end a worker.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::System);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal and returns its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
