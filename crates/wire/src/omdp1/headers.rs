//! Packed headers of OMDP/1: names and values.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::Violation;

/// The maximum size of all headers of a command in bytes: the maximum of their length field.
pub const HEADERS_BYTES_MAX: usize = u16::MAX as usize;

/// The headers of a request or a reply: its options if its body is frames.
///
/// ```
/// use majordomus_wire::{Headers, pack_headers};
///
/// let packed = pack_headers([("traceparent", "00-…-01"), ("tenant", "17")])?;
/// let headers = Headers::read(&packed)?;
/// assert_eq!(headers.get("Tenant"), Some(&b"17"[..]));
/// assert_eq!(headers.get("colour"), None);
/// # Ok::<(), majordomus_wire::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    packed: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Parses packed headers, without the length field that precedes them.
    ///
    /// # Errors
    ///
    /// Returns the violation of the first invalid header: [`HeaderCut`](Violation::HeaderCut),
    /// [`HeaderPastEnd`](Violation::HeaderPastEnd), [`EmptyHeaderName`](Violation::EmptyHeaderName) or
    /// [`HeaderNameCharacter`](Violation::HeaderNameCharacter).
    ///
    /// ```
    /// use majordomus_wire::{Headers, Violation};
    ///
    /// assert!(Headers::read(b"\x01a\0\0\0\x01b").is_ok());
    /// assert_eq!(Headers::read(b"\x01a\0\0"), Err(Violation::HeaderCut));
    /// ```
    pub fn read(packed: &'a [u8]) -> Result<Self, Violation> {
        check(packed)?;
        Ok(Self { packed })
    }

    /// Returns the names and values, in order.
    ///
    /// ```
    /// let headers = majordomus_wire::Headers::read(b"\x01a\0\0\0\x01b")?;
    /// assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", &b"b"[..])]);
    /// # Ok::<(), majordomus_wire::Violation>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = self.packed;
        core::iter::from_fn(move || {
            let (name, value, behind) = next(rest).ok()??;
            rest = behind;
            Some((core::str::from_utf8(name).ok()?, value))
        })
    }

    /// Returns the value of the first header with this name, ignoring case.
    ///
    /// ```
    /// let headers = majordomus_wire::Headers::read(b"\x01a\0\0\0\x01b")?;
    /// assert_eq!(headers.get("A"), Some(&b"b"[..]));
    /// # Ok::<(), majordomus_wire::Violation>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Packs headers for use as the options of a request or reply.
///
/// # Errors
///
/// Returns [`EmptyHeaderName`](Violation::EmptyHeaderName) or
/// [`HeaderNameCharacter`](Violation::HeaderNameCharacter) for an invalid name, and
/// [`HeaderPastEnd`](Violation::HeaderPastEnd) if a name is longer than 255 bytes or all headers
/// together are longer than [`HEADERS_BYTES_MAX`].
///
/// ```
/// use majordomus_wire::{Violation, pack_headers};
///
/// assert_eq!(&pack_headers([("a", "b")])?[..], b"\x01a\0\0\0\x01b");
/// assert_eq!(pack_headers([("a b", "c")]), Err(Violation::HeaderNameCharacter { byte: b' ' }));
/// # Ok::<(), Violation>(())
/// ```
pub fn pack_headers<N, V>(headers: impl IntoIterator<Item = (N, V)>) -> Result<Bytes, Violation>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut packed = Vec::new();
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        check_name(name)?;
        let length = u8::try_from(name.len())
            .map_err(|_| Violation::HeaderPastEnd { bytes: name.len(), left: u8::MAX.into() })?;
        let left = HEADERS_BYTES_MAX.saturating_sub(packed.len() + 5 + name.len());
        if value.len() > left || packed.len() + 5 + name.len() > HEADERS_BYTES_MAX {
            return Err(Violation::HeaderPastEnd { bytes: value.len(), left });
        }
        packed.push(length);
        packed.extend_from_slice(name);
        // The value is under 64 KiB.
        packed.extend_from_slice(&(value.len() as u32).to_be_bytes());
        packed.extend_from_slice(value);
    }
    Ok(packed.into())
}

/// Checks packed headers.
pub(super) fn check(packed: &[u8]) -> Result<(), Violation> {
    let mut rest = packed;
    while let Some((name, _, behind)) = next(rest)? {
        check_name(name)?;
        rest = behind;
    }
    Ok(())
}

/// Returns the first header and the rest.
#[expect(clippy::type_complexity, reason = "a name, a value and the rest")]
fn next(packed: &[u8]) -> Result<Option<(&[u8], &[u8], &[u8])>, Violation> {
    let [length, rest @ ..] = packed else { return Ok(None) };
    let (name, rest) = split(rest, usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk().ok_or(Violation::HeaderCut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (value, rest) = split(rest, length)?;
    Ok(Some((name, value, rest)))
}

fn split(rest: &[u8], length: usize) -> Result<(&[u8], &[u8]), Violation> {
    let past_end = Violation::HeaderPastEnd { bytes: length, left: rest.len() };
    rest.split_at_checked(length).ok_or(past_end)
}

fn check_name(name: &[u8]) -> Result<(), Violation> {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    match name.iter().find(|&&byte| !is_of_it(byte)) {
        Some(&byte) => Err(Violation::HeaderNameCharacter { byte }),
        None if name.is_empty() => Err(Violation::EmptyHeaderName),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_was_packed_is_found() {
        let packed = pack_headers([("Content-Type", "a"), ("x_1.+", ""), ("content-type", "b")]);
        let packed = packed.expect("they are right");
        let headers = Headers::read(&packed).expect("they are right");
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("Content-Type", &b"a"[..]), ("x_1.+", b""), ("content-type", b"b")]);
        // The first of several headers with the same name counts.
        assert_eq!(headers.get("content-type"), Some(&b"a"[..]));
        assert_eq!(Headers::read(b"").map(|none| none.iter().count()), Ok(0));
    }

    #[test]
    fn every_cut_is_refused() {
        let packed = pack_headers([("name", "value")]).expect("it is right");
        for cut in 1..packed.len() {
            assert!(Headers::read(&packed[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn as_much_as_there_may_be() {
        let value = vec![0; HEADERS_BYTES_MAX - 6];
        let packed = pack_headers([("a", &value)]).expect("it is right");
        assert_eq!(packed.len(), HEADERS_BYTES_MAX);
        let more = pack_headers([("a", &value[..]), ("b", b"")]);
        assert_eq!(more, Err(Violation::HeaderPastEnd { bytes: 0, left: 0 }));
        let longer = vec![0; HEADERS_BYTES_MAX - 5];
        let left = value.len();
        let refused = Violation::HeaderPastEnd { bytes: longer.len(), left };
        assert_eq!(pack_headers([("a", &longer)]), Err(refused));
        let name = [b'x'; 256];
        let refused = Violation::HeaderPastEnd { bytes: 256, left: 255 };
        assert_eq!(pack_headers([(name, "")]), Err(refused));
    }
}
