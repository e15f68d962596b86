//! Frame headers (37/ZMTP, "Framing").

use crate::Error;

pub(crate) const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
pub(crate) const COMMAND: u8 = 0b100;

/// The length of the shortest header: flags and a one-byte size.
pub(crate) const HEADER_BYTES_MIN: usize = 2;
/// The length of the longest header: flags and an eight-byte size.
pub(crate) const HEADER_BYTES_MAX: usize = 9;

/// A parsed frame header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    flags: u8,
    /// The announced length of the body, not yet validated.
    pub(crate) body: u64,
}

impl Header {
    /// Parses the header at the start of `bytes`, or returns the number of bytes that it needs.
    ///
    /// Invalid flags are an error as soon as they arrive.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Result<Self, usize>, Error> {
        let Some(&flags) = bytes.first() else { return Ok(Err(1)) };
        if flags & !(MORE | LONG) != 0 {
            check_command_flags(flags)?;
        }
        if flags & LONG == 0 {
            let Some(&body) = bytes.get(1) else { return Ok(Err(2)) };
            Ok(Ok(Self { flags, body: u64::from(body) }))
        } else {
            let Some(body) = bytes.get(1..HEADER_BYTES_MAX) else {
                return Ok(Err(HEADER_BYTES_MAX));
            };
            let body = body.first_chunk().map_or(0, |body| u64::from_be_bytes(*body));
            Ok(Ok(Self { flags, body }))
        }
    }

    #[inline]
    pub(crate) const fn bytes(self) -> usize {
        if self.flags & LONG == 0 { 2 } else { HEADER_BYTES_MAX }
    }

    #[inline]
    pub(crate) const fn more(self) -> bool {
        self.flags & MORE != 0
    }

    #[inline]
    pub(crate) const fn command(self) -> bool {
        self.flags & COMMAND != 0
    }
}

#[cold]
fn check_command_flags(flags: u8) -> Result<(), Error> {
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(Error::ReservedFlagBits { flags });
    }
    if flags & MORE != 0 {
        return Err(Error::CommandWithMore { flags });
    }
    Ok(())
}

/// Encodes a short header, or returns `None` if the body needs a long one.
#[inline]
pub(crate) fn short_header(flags: u8, body: usize) -> Option<[u8; 2]> {
    u8::try_from(body).ok().map(|body| [flags, body])
}

/// Encodes a long header.
#[inline]
pub(crate) fn long_header(flags: u8, body: usize) -> [u8; HEADER_BYTES_MAX] {
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = flags | LONG;
    header[1..].copy_from_slice(&(body as u64).to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Result<(u64, usize), usize>, Error>) {
        let parsed = Header::parse(bytes);
        assert_eq!(parsed.map(|found| found.map(|h| (h.body, h.bytes()))), expected);
    }

    #[test]
    fn headers_are_read_as_they_come() {
        check(b"", Ok(Err(1)));
        check(b"\x00", Ok(Err(2)));
        check(b"\x01\x05", Ok(Ok((5, 2))));
        check(b"\x02", Ok(Err(9)));
        check(b"\x06\0\0\0\0\0\0\0", Ok(Err(9)));
        check(b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", Ok(Ok((u64::MAX, 9))));
        check(b"\x05", Err(Error::CommandWithMore { flags: 5 }));
        check(b"\x08", Err(Error::ReservedFlagBits { flags: 8 }));
    }

    #[test]
    fn what_is_written_is_read() {
        for flags in [0, MORE, COMMAND] {
            for body in [0, 1, 255] {
                let header = short_header(flags, body).unwrap();
                check(&header, Ok(Ok((body as u64, 2))));
            }
            for body in [256, 1 << 20] {
                assert_eq!(short_header(flags, body), None);
                check(&long_header(flags, body), Ok(Ok((body as u64, 9))));
            }
        }
    }
}
