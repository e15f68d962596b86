//! How far a run is, for a person who waits.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error where that is a terminal, and nothing elsewhere. It is gone when the run
/// is over.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For a run that takes so long.
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

    /// So much of the time is over, and so many replies have come.
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
