//! The greeting: the first 64 bytes of a connection (37/ZMTP, "Version Negotiation").

use bytes::Bytes;

use crate::Error;

pub(crate) const GREETING_BYTES: usize = 64;
const MECHANISM: core::ops::Range<usize> = 12..32;
const AS_SERVER: usize = 32;

/// A peer's greeting with a matching mechanism.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The minor version to use with the peer.
    pub(crate) minor: u8,
}

/// Encodes this side's greeting, for ZMTP 3.1.
pub(crate) fn encode(mechanism: &str, as_server: bool) -> [u8; GREETING_BYTES] {
    let mut greeting = [0; GREETING_BYTES];
    greeting[0] = 0xFF;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = 1;
    greeting[MECHANISM][..mechanism.len()].copy_from_slice(mechanism.as_bytes());
    greeting[AS_SERVER] = u8::from(as_server);
    greeting
}

/// Parses the peer's greeting from the first received bytes. Returns `None` while it is incomplete.
///
/// Each byte is checked as soon as it arrives. An old peer sends eleven bytes and then waits for
/// this side's answer, so waiting for 64 bytes would deadlock. Padding, filler and as-server are
/// ignored: the first two have no meaning, and the NULL mechanism does not use as-server.
pub(crate) fn parse(bytes: &[u8], ours: &'static str) -> Result<Option<Greeting>, Error> {
    match bytes.first() {
        Some(&first) if first != 0xFF => return Err(Error::GreetingNotZmtp { first }),
        _ => {}
    }
    match bytes.get(9) {
        Some(&last) if last & 1 == 0 => return Err(Error::SignatureEnd { last }),
        _ => {}
    }
    match bytes.get(10) {
        Some(&major) if major < 3 => return Err(Error::VersionTooOld { major }),
        _ => {}
    }
    let Some(greeting) = bytes.first_chunk::<GREETING_BYTES>() else { return Ok(None) };
    let theirs = &greeting[MECHANISM];
    let (name, padding) = theirs.split_at(ours.len());
    if name != ours.as_bytes() || padding.iter().any(|&byte| byte != 0) {
        let len = theirs.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        return Err(Error::MechanismMismatch {
            theirs: Bytes::copy_from_slice(&theirs[..len]),
            ours,
        });
    }
    // "A peer MUST accept higher protocol versions"; they include all features of 3.1.
    let minor = if greeting[10] > 3 { 1 } else { greeting[11] };
    Ok(Some(Greeting { minor }))
}
