//! What may be the name of a service.

use majordomus_core::Label;

use crate::Offence;

/// The longest name of a service, in bytes.
pub const SERVICE_NAME_BYTES_MAX: usize = 255;

/// Whether a service may have this name: 1 to [`SERVICE_NAME_BYTES_MAX`] bytes of UTF-8 without
/// control characters (below 0x20, and 0x7F).
///
/// The specifications call a name "printable" and stop there. We refuse what cannot be shown,
/// because names end up in logs, metrics and `$dir`. The decoders apply this to every name; our
/// client and worker ask it before they write one.
///
/// # Errors
///
/// [`EmptyService`](Offence::EmptyService), [`ServiceTooLong`](Offence::ServiceTooLong),
/// [`ServiceNotUtf8`](Offence::ServiceNotUtf8),
/// [`ServiceControlCharacter`](Offence::ServiceControlCharacter).
///
/// ```
/// use majordomus_wire::{Offence, check_service_name};
///
/// assert_eq!(check_service_name(b"echo"), Ok(()));
/// assert_eq!(check_service_name(b""), Err(Offence::EmptyService));
/// assert_eq!(check_service_name(b"\xff"), Err(Offence::ServiceNotUtf8));
/// ```
pub fn check_service_name(name: &[u8]) -> Result<(), Offence> {
    if name.is_empty() {
        return Err(Offence::EmptyService);
    }
    if name.len() > SERVICE_NAME_BYTES_MAX {
        return Err(Offence::ServiceTooLong { bytes: name.len() });
    }
    // All bytes are looked at, many at once; which one it is matters only where there is one. Most names
    // are printable ASCII.
    if name.iter().fold(false, |any, byte| any | !(b' '..=b'~').contains(byte)) {
        return check_unusual(name);
    }
    Ok(())
}

#[cold]
fn check_unusual(name: &[u8]) -> Result<(), Offence> {
    if let Some(&byte) = name.iter().find(|byte| byte.is_ascii_control()) {
        return Err(Offence::ServiceControlCharacter { byte });
    }
    match core::str::from_utf8(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(Offence::ServiceNotUtf8),
    }
}

/// The name as a label, if a service may have it.
pub(crate) fn service_name(name: &[u8]) -> Result<Label, Offence> {
    check_service_name(name)?;
    Ok(Label::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &[u8], expected: Result<(), Offence>) {
        assert_eq!(check_service_name(name), expected, "{}", name.escape_ascii());
    }

    #[test]
    fn names() {
        check(b"a", Ok(()));
        check(b"with spaces, and ~ {marks}", Ok(()));
        check("größe".as_bytes(), Ok(()));
        check(&[b'x'; 255], Ok(()));
        check(b"", Err(Offence::EmptyService));
        check(&[b'x'; 256], Err(Offence::ServiceTooLong { bytes: 256 }));
        check(b"a\0", Err(Offence::ServiceControlCharacter { byte: 0 }));
        check(b"a\x1f", Err(Offence::ServiceControlCharacter { byte: 0x1f }));
        check(b"a\x7fb", Err(Offence::ServiceControlCharacter { byte: 0x7f }));
        check(b"caf\xe9", Err(Offence::ServiceNotUtf8));
        // A name that was cut inside a character.
        check(&"größe".as_bytes()[..3], Err(Offence::ServiceNotUtf8));
    }
}
