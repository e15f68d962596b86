//! How far a part is, for a person who waits.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error where that is a terminal, and nothing elsewhere. It is gone when the
/// part is over.
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

    /// One more call is over.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
