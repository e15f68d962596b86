//! Decoding shared by all dialects: commands, names, addresses and request ids.
//!
//! These functions are inlined because a call would return its result in memory, sized for an
//! error.

use majordomus_core::{CorrelationIdRef, FramesView};

use crate::service::check_service_name;
use crate::{Error, Violation};

/// The maximum length in bytes of the client address in a worker's message: that of a routing id.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// The maximum length in bytes of a client's request id.
pub const REQUEST_ID_BYTES_MAX: usize = 255;

#[inline(always)]
pub(crate) fn command_at(message: FramesView<'_>, at: usize) -> Result<u8, Error> {
    match message.get(at) {
        Some(&[command]) => Ok(command),
        Some(frame) => Err(Error::at(at, Violation::CommandLength { bytes: frame.len() })),
        None => Err(Error::at(at, Violation::MissingCommand)),
    }
}

/// Returns the violation for a command not valid in this direction. `known` is true if it is valid
/// in the other direction.
pub(crate) fn wrong_command(command: u8, known: bool) -> Violation {
    if known {
        Violation::CommandOfOtherDirection { command }
    } else {
        Violation::UnknownCommand { command }
    }
}

#[inline(always)]
pub(crate) fn service_at<'a>(message: FramesView<'a>, at: usize) -> Result<&'a [u8], Error> {
    let name = message.get(at).ok_or_else(|| Error::at(at, Violation::MissingService))?;
    check_service_name(name).map_err(|violation| Error::at(at, violation))?;
    Ok(name)
}

#[inline(always)]
pub(crate) fn address_at<'a>(message: FramesView<'a>, at: usize) -> Result<&'a [u8], Error> {
    let address = message.get(at).ok_or_else(|| Error::at(at, Violation::MissingAddress))?;
    if address.is_empty() {
        return Err(Error::at(at, Violation::EmptyAddress));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Error::at(at, Violation::AddressTooLong { bytes: address.len() }));
    }
    Ok(address)
}

/// Checks that the frame `at` is empty.
#[inline(always)]
pub(crate) fn separator_at(message: FramesView<'_>, at: usize) -> Result<(), Error> {
    match message.get(at) {
        Some([]) => Ok(()),
        Some(frame) => Err(Error::at(at, Violation::SeparatorNotEmpty { bytes: frame.len() })),
        None => Err(Error::at(at, Violation::MissingSeparator)),
    }
}

/// Decodes a request id. It may be empty: a client with one request at a time needs no id.
#[inline(always)]
pub(crate) fn id_at<'a>(message: FramesView<'a>, at: usize) -> Result<CorrelationIdRef<'a>, Error> {
    let id = message.get(at).ok_or_else(|| Error::at(at, Violation::MissingId))?;
    if id.len() > REQUEST_ID_BYTES_MAX {
        return Err(Error::at(at, Violation::IdTooLong { bytes: id.len() }));
    }
    Ok(CorrelationIdRef::Text(id))
}
