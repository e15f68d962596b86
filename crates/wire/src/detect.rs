//! Dialect detection from a connection's first message.

use majordomus_core::{ByteStr, FramesView};

use crate::error::HEADER_SHOWN_BYTES_MAX;
use crate::{Codec, Dialect, Error, Side, Socket, Violation, mdp};

/// The order in which dialects are tried. Of two dialects with the same headers, the stricter one
/// comes first.
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

/// The result of matching a first message against a dialect.
pub(crate) enum Recognition {
    /// The message is not of this dialect.
    No,
    /// The message may be of this dialect.
    Possible(Codec),
    /// The message has a feature that only this dialect has.
    Certain(Codec),
    /// The message can only be of this dialect, but violates it so that there is no codec.
    Refused(Dialect, Error),
}

/// Returns the codec for a connection with this first message, routing id and kind of socket. Reads
/// only as much of the message as needed.
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
                    Error::at(0, Violation::PinnedToOther { spoken, pinned })
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
            let violation = Violation::PinnedToOther { spoken: spoken.dialect(), pinned };
            let error = Error::at(usize::from(spoken.delimiter()), violation);
            Err(if socket == Socket::Client { error.of_part() } else { error })
        }
    }
}

/// Returns the best-matching dialect of those used over this kind of socket.
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

/// Returns the reason why no dialect matches.
fn unrecognised(first_message: FramesView<'_>, socket: Socket) -> Error {
    if socket == Socket::Client {
        return match mdp::wrong_parts(first_message) {
            Ok([]) => Error::at_part(0, Violation::UnexpectedDelimiter),
            Ok(header) => Error::at_part(0, wrong_header(header, Dialect::Gdp, Side::Client)),
            Err(error) => error,
        };
    }
    let Some(first) = first_message.get(0) else {
        return Error::of_message(Violation::NoFrames);
    };
    if let Some(error) = mdp::wrong_head(first) {
        return error;
    }
    let at = usize::from(first.is_empty());
    match first_message.get(at) {
        None => Error::at(at, Violation::MissingHeader),
        // The header is known, so the frame before it is the reason why its dialect does not match.
        Some(header) if is_known(header) && at == 0 => Error::at(0, Violation::DelimiterMissing),
        Some(header) if is_known(header) => Error::at(0, Violation::UnexpectedDelimiter),
        Some(header) => Error::at(at, unknown_header(header)),
    }
}

/// Returns the violation for a header on a connection whose dialect and side are known.
#[cold]
pub(crate) fn wrong_header(header: &[u8], dialect: Dialect, expected: Side) -> Violation {
    if side_of(dialect, header).is_some() {
        return Violation::HeaderOfOtherSide { expected };
    }
    if is_known(header) {
        let header = ByteStr::from(shown(header));
        return Violation::HeaderOfOtherDialect { header, expected: dialect };
    }
    unknown_header(header)
}

/// Returns true if any dialect has this header.
fn is_known(header: &[u8]) -> bool {
    Dialect::ALL.into_iter().any(|dialect| side_of(dialect, header).is_some())
}

/// Returns the side that writes this header in this dialect.
fn side_of(dialect: Dialect, header: &[u8]) -> Option<Side> {
    dialect.grammar().side_of(header)
}

fn unknown_header(header: &[u8]) -> Violation {
    Violation::UnknownHeader { header: ByteStr::from(shown(header)) }
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
