//! A progress bar for a benchmark run.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar on standard error, if that is a terminal. The bar disappears at the end of the
/// run.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts a bar for a run of length `span`.
    pub(super) fn start(name: &str, span: Duration) -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{prefix} [{bar:40}] {msg}")
            .expect("it is a template")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(millis(span)), target)
            .with_style(style)
            .with_prefix(name.to_owned());
        Self { bar }
    }

    /// Shows the elapsed time and the number of replies.
    pub(super) fn show(&self, passed: Duration, replies: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_message(format!("{:.1} s, {replies} replies", passed.as_secs_f64()));
        self.bar.set_position(millis(passed));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
