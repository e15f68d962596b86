//! A progress bar for a part of a run.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar on standard error, if that is a terminal. The bar disappears at the end of the
/// part.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn start(name: &'static str, calls: u32) -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{prefix:11} [{bar:40}] {pos}/{len}, {eta} left")
            .expect("it is a template")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(calls.into()), target)
            .with_style(style)
            .with_prefix(name);
        Self { bar }
    }

    /// Counts a finished call.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
