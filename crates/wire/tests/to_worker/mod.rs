//! Views of owned commands to workers.

use majordomus_core::{ToWorker, ToWorkerView, Token};

/// The token, as octets, that replaces an address that is not a token.
pub(crate) const OCTETS: [u8; 16] = *b"0123456789abcdef";

/// Borrows the command.
pub(crate) fn view(command: &ToWorker) -> ToWorkerView<'_> {
    command.view(Token::read(&OCTETS).expect("any 16 octets are a token"))
}
