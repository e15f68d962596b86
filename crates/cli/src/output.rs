//! Standard output, whose reader may go away at any time.

use std::io::{self, Write};

use crate::failure::Failure;

/// Whether somebody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reader {
    Here,
    Gone,
}

/// Prints bytes on standard output, at once.
///
/// A reader that has gone away, as `head` does, is no failure; anything else is.
pub(crate) fn print(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Here),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error)),
    }
}
