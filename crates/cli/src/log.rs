//! Logging to standard error.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// The maximum number of queued log lines. Further lines are dropped.
const QUEUED_LINES_MAX: usize = 16_384;

/// What the log is to be.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Log more: once for debug, twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How the log is written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// How each record is written, in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// A subcommand's default log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A long-running service, which logs its operation.
    Service,
    /// A one-shot command, which logs warnings to a terminal and otherwise only errors.
    Errand,
}

impl LogArgs {
    /// Starts logging for the whole process. Dropping the guard writes all queued lines.
    ///
    /// A separate thread writes the lines from a bounded queue: a slow or blocked log reader loses
    /// lines but never delays a request.
    pub(crate) fn start(&self, manner: Manner) -> WorkerGuard {
        let terminal = io::stderr().is_terminal();
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUED_LINES_MAX)
            .lossy(true)
            .finish(io::stderr());
        let log = tracing_subscriber::fmt()
            .with_max_level(self.level(manner, terminal))
            .with_writer(writer)
            .with_ansi(terminal)
            .with_target(false)
            // Do not panic if standard error is closed.
            .log_internal_errors(false);
        match self.log_format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
        guard
    }

    fn level(&self, manner: Manner, terminal: bool) -> LevelFilter {
        match (self.verbose, manner) {
            (2.., _) => LevelFilter::TRACE,
            (1, _) => LevelFilter::DEBUG,
            (0, Manner::Service) if self.quiet => LevelFilter::WARN,
            (0, Manner::Service) => LevelFilter::INFO,
            (0, Manner::Errand) if self.quiet || !terminal => LevelFilter::ERROR,
            (0, Manner::Errand) => LevelFilter::WARN,
        }
    }
}
