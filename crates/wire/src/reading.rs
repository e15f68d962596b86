//! What all dialects read alike: commands, names, addresses, request ids.

use majordomus_core::{Frames, Label};

use crate::service::service_name;
use crate::{Error, Offence};

/// The longest client address that a worker may send back, in bytes: as long as a routing id.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// The longest id that a client may give its request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 255;

pub(crate) fn command_at(message: &Frames, at: usize) -> Result<u8, Error> {
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

pub(crate) fn service_at(message: &Frames, at: usize) -> Result<Label, Error> {
    let name = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingService))?;
    service_name(name).map_err(|offence| Error::at(at, offence))
}

pub(crate) fn address_at(message: &Frames, at: usize) -> Result<Label, Error> {
    let address = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingAddress))?;
    if address.is_empty() {
        return Err(Error::at(at, Offence::EmptyAddress));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Error::at(at, Offence::AddressTooLong { bytes: address.len() }));
    }
    Ok(Label::from(address))
}

/// The empty frame that belongs there.
pub(crate) fn separator_at(message: &Frames, at: usize) -> Result<(), Error> {
    match message.get(at) {
        Some([]) => Ok(()),
        Some(frame) => Err(Error::at(at, Offence::SeparatorNotEmpty { bytes: frame.len() })),
        None => Err(Error::at(at, Offence::MissingSeparator)),
    }
}

/// The id of a request. It may be empty: a client that has one request at a time needs none.
pub(crate) fn id_at(message: &Frames, at: usize) -> Result<Label, Error> {
    let id = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingId))?;
    if id.len() > REQUEST_ID_BYTES_MAX {
        return Err(Error::at(at, Offence::IdTooLong { bytes: id.len() }));
    }
    Ok(Label::from(id))
}
