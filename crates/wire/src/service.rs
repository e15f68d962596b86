//! Validation of service names.

use crate::Violation;

/// The maximum length of a service name in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// Checks a service name: 1 to [`SERVICE_NAME_BYTES_MAX`] bytes of UTF-8 without control characters
/// (below 0x20, and 0x7F).
///
/// The specifications only require a "printable" name. Majordomus rejects names that cannot be
/// displayed because names appear in logs, metrics and `$dir`. The decoders apply this check to
/// every name; the Majordomus client and worker apply it before they encode a name.
///
/// # Errors
///
/// Returns [`EmptyService`](Violation::EmptyService), [`ServiceTooLong`](Violation::ServiceTooLong),
/// [`ServiceNotUtf8`](Violation::ServiceNotUtf8) or
/// [`ServiceControlCharacter`](Violation::ServiceControlCharacter).
///
/// ```
/// use majordomus_wire::{Violation, check_service_name};
///
/// assert_eq!(check_service_name(b"echo"), Ok(()));
/// assert_eq!(check_service_name(b""), Err(Violation::EmptyService));
/// assert_eq!(check_service_name(b"\xff"), Err(Violation::ServiceNotUtf8));
/// ```
#[inline]
pub fn check_service_name(name: &[u8]) -> Result<(), Violation> {
    if name.is_empty() {
        return Err(Violation::EmptyService);
    }
    if name.len() > SERVICE_NAME_BYTES_MAX {
        return Err(Violation::ServiceTooLong { bytes: name.len() });
    }
    // Most names are printable ASCII.
    if !is_printable(name) {
        return check_unusual(name);
    }
    Ok(())
}

/// Returns true if a name is printable ASCII. Checks eight bytes at a time; the last eight may
/// overlap.
#[inline]
fn is_printable(name: &[u8]) -> bool {
    if let Some(last) = name.last_chunk::<8>() {
        let (chunks, _) = name.as_chunks::<8>();
        let last = unusual(u64::from_ne_bytes(*last));
        return chunks.iter().fold(last, |any, chunk| any | unusual(u64::from_ne_bytes(*chunk)))
            == 0;
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_ne_bytes(*half)));
        return unusual(first | last << 32) == 0;
    }
    name.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Returns 0 if all eight bytes are printable ASCII.
#[inline]
fn unusual(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let low = bytes.wrapping_sub(EACH * 0x20);
    let delete = bytes.wrapping_add(EACH);
    (bytes | low | delete) & (EACH * 0x80)
}

#[cold]
fn check_unusual(name: &[u8]) -> Result<(), Violation> {
    if let Some(&byte) = name.iter().find(|byte| byte.is_ascii_control()) {
        return Err(Violation::ServiceControlCharacter { byte });
    }
    match core::str::from_utf8(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(Violation::ServiceNotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &[u8], expected: Result<(), Violation>) {
        assert_eq!(check_service_name(name), expected, "{}", name.escape_ascii());
    }

    #[test]
    fn every_byte_at_every_place() {
        for length in 1..=20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut name = [b'x'; 20];
                    name[at] = byte;
                    let expected = match byte {
                        0..0x20 | 0x7f => Err(Violation::ServiceControlCharacter { byte }),
                        0x80.. => Err(Violation::ServiceNotUtf8),
                        _ => Ok(()),
                    };
                    check(&name[..length], expected);
                }
            }
        }
    }

    #[test]
    fn names() {
        check(b"a", Ok(()));
        check(b"with spaces, and ~ {marks}", Ok(()));
        check("größe".as_bytes(), Ok(()));
        check(&[b'x'; 255], Ok(()));
        check(b"", Err(Violation::EmptyService));
        check(&[b'x'; 256], Err(Violation::ServiceTooLong { bytes: 256 }));
        check(b"a\0", Err(Violation::ServiceControlCharacter { byte: 0 }));
        check(b"a\x1f", Err(Violation::ServiceControlCharacter { byte: 0x1f }));
        check(b"a\x7fb", Err(Violation::ServiceControlCharacter { byte: 0x7f }));
        check(b"caf\xe9", Err(Violation::ServiceNotUtf8));
        // A name cut inside a character.
        check(&"größe".as_bytes()[..3], Err(Violation::ServiceNotUtf8));
    }
}
