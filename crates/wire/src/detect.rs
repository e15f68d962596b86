//! Which dialect a connection speaks, by its first message.

use majordomus_core::{FramesView, Label};

use crate::offence::HEADER_SHOWN_BYTES_MAX;
use crate::{Codec, Dialect, Error, Offence, Side, Socket, mdp};

/// The order in which dialects are tried: of two that share their headers, the one that asks more of
/// its messages comes first.
const PREFERENCE: [Dialect; 9] = [
    Dialect::Omdp1,
    Dialect::Mdp01,
    Dialect::Majortomo,
    Dialect::Mdp02,
    Dialect::Pigato,
    Dialect::Omdp,
    Dialect::Gdp,
    Dialect::Zproto,
    Dialect::Libmdp,
];

/// How well a first message fits a dialect.
pub(crate) enum Recognition {
    /// It is not of this dialect.
    No,
    /// It begins like one.
    Possible(Codec),
    /// It has what only this dialect has.
    Certain(Codec),
    /// It is of this dialect alone, and breaks it so that there is no codec for it.
    Refused(Dialect, Error),
}

/// The codec for a connection that begins with this message, of a peer with this routing id and kind
/// of socket. Only as much of the message is looked at as that takes.
pub(crate) fn detect(
    first_message: FramesView<'_>,
    identity: &[u8],
    socket: Socket,
    pinned: Option<Dialect>,
) -> Result<Codec, Error> {
    let (spoken, certain) = match recognise(first_message, identity, socket) {
        Recognition::Certain(codec) => (codec, true),
        Recognition::Possible(codec) => (codec, false),
        Recognition::Refused(spoken, error) => {
            return Err(match pinned {
                Some(pinned) if pinned != spoken => {
                    Error::at(0, Offence::PinnedToOther { spoken, pinned })
                }
                _ => error,
            });
        }
        Recognition::No => return Err(unrecognised(first_message, socket)),
    };
    let Some(pinned) = pinned else { return Ok(spoken) };
    let fits = match pinned.socket() == socket {
        true => pinned.grammar().recognise(first_message, None),
        false => Recognition::No,
    };
    match fits {
        Recognition::Certain(codec) => Ok(codec),
        Recognition::Possible(codec) if !certain => Ok(codec),
        Recognition::Possible(_) | Recognition::Refused(..) | Recognition::No => {
            let offence = Offence::PinnedToOther { spoken: spoken.dialect(), pinned };
            let error = Error::at(usize::from(spoken.delimiter()), offence);
            Err(if socket == Socket::Client { error.of_part() } else { error })
        }
    }
}

/// The dialect that fits best, of those that are spoken over such a socket.
fn recognise(first_message: FramesView<'_>, identity: &[u8], socket: Socket) -> Recognition {
    let mut possible = None;
    for dialect in PREFERENCE.into_iter().filter(|dialect| dialect.socket() == socket) {
        match dialect.grammar().recognise(first_message, Some(identity)) {
            known @ (Recognition::Certain(_) | Recognition::Refused(..)) => return known,
            Recognition::Possible(codec) => _ = possible.get_or_insert(codec),
            Recognition::No => {}
        }
    }
    possible.map_or(Recognition::No, Recognition::Possible)
}

/// Why no dialect fits.
fn unrecognised(first_message: FramesView<'_>, socket: Socket) -> Error {
    if socket == Socket::Client {
        return match mdp::wrong_parts(first_message) {
            Ok([]) => Error::at_part(0, Offence::UnexpectedDelimiter),
            Ok(header) => Error::at_part(0, wrong_header(header, Dialect::Gdp, Side::Client)),
            Err(error) => error,
        };
    }
    let Some(first) = first_message.get(0) else {
        return Error::of_message(Offence::NoFrames);
    };
    if let Some(error) = mdp::wrong_head(first) {
        return error;
    }
    let at = usize::from(first.is_empty());
    match first_message.get(at) {
        None => Error::at(at, Offence::MissingHeader),
        // The header is known, so what kept its dialect from fitting is the frame before it.
        Some(header) if is_known(header) && at == 0 => Error::at(0, Offence::DelimiterMissing),
        Some(header) if is_known(header) => Error::at(0, Offence::UnexpectedDelimiter),
        Some(header) => Error::at(at, unknown_header(header)),
    }
}

/// What is wrong with a header on a connection whose dialect and side are known.
#[cold]
pub(crate) fn wrong_header(header: &[u8], dialect: Dialect, expected: Side) -> Offence {
    if side_of(dialect, header).is_some() {
        return Offence::HeaderOfOtherSide { expected };
    }
    if is_known(header) {
        let header = Label::from(shown(header));
        return Offence::HeaderOfOtherDialect { header, expected: dialect };
    }
    unknown_header(header)
}

/// Whether any dialect has this header.
fn is_known(header: &[u8]) -> bool {
    Dialect::ALL.into_iter().any(|dialect| side_of(dialect, header).is_some())
}

/// Which side writes this header in this dialect.
fn side_of(dialect: Dialect, header: &[u8]) -> Option<Side> {
    dialect.grammar().side_of(header)
}

fn unknown_header(header: &[u8]) -> Offence {
    Offence::UnknownHeader { header: Label::from(shown(header)) }
}

fn shown(header: &[u8]) -> &[u8] {
    &header[..header.len().min(HEADER_SHOWN_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_is_tried() {
        assert!(Dialect::ALL.iter().all(|dialect| PREFERENCE.contains(dialect)));
    }
}
