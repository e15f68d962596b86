//! Standard output, whose reader may close it at any time.

use std::io::{self, Write};

use crate::failure::Failure;

/// The state of standard output's reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reader {
    Here,
    Gone,
}

/// Writes bytes to standard output and flushes it.
///
/// A closed pipe, as after `head`, is not an error. Any other write error is.
pub(crate) fn print(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Here),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error)),
    }
}
