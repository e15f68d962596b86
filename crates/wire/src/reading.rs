//! What all dialects read alike: commands, names, addresses, request ids.
//!
//! All of it is inlined, because a call would return its result in memory, with room for an error.

use majordomus_core::{CorrelationIdRef, FramesView};

use crate::service::check_service_name;
use crate::{Error, Offence};

/// The longest client address that a worker may send back, in bytes: as long as a routing id.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// The longest id that a client may give its request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 255;

#[inline(always)]
pub(crate) fn command_at(message: FramesView<'_>, at: usize) -> Result<u8, Error> {
    match message.get(at) {
        Some(&[command]) => Ok(command),
        Some(frame) => Err(Error::at(at, Offence::CommandLength { bytes: frame.len() })),
        None => Err(Error::at(at, Offence::MissingCommand)),
    }
}

/// A command that this direction does not have; `known` says that the other one does.
pub(crate) fn wrong_command(command: u8, known: bool) -> Offence {
    if known {
        Offence::CommandOfOtherDirection { command }
    } else {
        Offence::UnknownCommand { command }
    }
}

#[inline(always)]
pub(crate) fn service_at<'a>(message: FramesView<'a>, at: usize) -> Result<&'a [u8], Error> {
    let name = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingService))?;
    check_service_name(name).map_err(|offence| Error::at(at, offence))?;
    Ok(name)
}

#[inline(always)]
pub(crate) fn address_at<'a>(message: FramesView<'a>, at: usize) -> Result<&'a [u8], Error> {
    let address = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingAddress))?;
    if address.is_empty() {
        return Err(Error::at(at, Offence::EmptyAddress));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Error::at(at, Offence::AddressTooLong { bytes: address.len() }));
    }
    Ok(address)
}

/// The empty frame that belongs there.
#[inline(always)]
pub(crate) fn separator_at(message: FramesView<'_>, at: usize) -> Result<(), Error> {
    match message.get(at) {
        Some([]) => Ok(()),
        Some(frame) => Err(Error::at(at, Offence::SeparatorNotEmpty { bytes: frame.len() })),
        None => Err(Error::at(at, Offence::MissingSeparator)),
    }
}

/// The id of a request. It may be empty: a client that has one request at a time needs none.
#[inline(always)]
pub(crate) fn id_at<'a>(message: FramesView<'a>, at: usize) -> Result<CorrelationIdRef<'a>, Error> {
    let id = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingId))?;
    if id.len() > REQUEST_ID_BYTES_MAX {
        return Err(Error::at(at, Offence::IdTooLong { bytes: id.len() }));
    }
    Ok(CorrelationIdRef::Text(id))
}
