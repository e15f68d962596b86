//! The token that stands for a request towards its worker, in place of the client's address.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::{Label, PeerId, RequestId};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes of a token as it is sent.
const TEXT_BYTES: usize = 32;

/// Stands for one delivery of one request to one worker.
///
/// A worker gets it where its dialect has the client's address, and gives it back with each reply.
/// It carries the request's id and a keyed hash over that id and the worker, so the broker can tell
/// without remembering anything whether it ever gave this token to this worker: a late reply is not
/// an offence, a forged one is. As it goes out it is 32 hexadecimal digits, because some workers
/// read it as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) request: RequestId,
    check: u64,
}

/// What makes and checks tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    key: (u64, u64),
}

impl Tokens {
    pub(crate) fn new(key: (u64, u64)) -> Self {
        Self { key }
    }

    /// The token for `request` as it is given to `worker`.
    pub(crate) fn issue(&self, worker: PeerId, request: RequestId) -> Label {
        let id = u64::from(request.generation) << 32 | u64::from(request.index);
        let mut text = [0u8; TEXT_BYTES];
        write_hex(&mut text[..16], id);
        write_hex(&mut text[16..], self.check(worker, request));
        Label::from(&text[..])
    }

    /// The request that `address` stands for, where it was once issued to `worker`.
    pub(crate) fn verify(&self, worker: PeerId, address: &[u8]) -> Option<RequestId> {
        let text: &[u8; TEXT_BYTES] = address.try_into().ok()?;
        let id = read_hex(&text[..16])?;
        let token = Token {
            request: RequestId::new(id as u32, (id >> 32) as u32),
            check: read_hex(&text[16..])?,
        };
        (token.check == self.check(worker, token.request)).then_some(token.request)
    }

    fn check(&self, worker: PeerId, request: RequestId) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(u64::from(worker.generation) << 32 | u64::from(worker.index));
        hasher.write_u64(u64::from(request.generation) << 32 | u64::from(request.index));
        hasher.finish()
    }
}

fn write_hex(text: &mut [u8], value: u64) {
    for (at, digit) in text.iter_mut().enumerate() {
        *digit = HEX[(value >> (60 - 4 * at)) as usize & 0xF];
    }
}

fn read_hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: Tokens = Tokens { key: (1, 2) };
    const WORKER: PeerId = PeerId::new(7, 1);
    const REQUEST: RequestId = RequestId::new(0xABCD, 0x0102_0304);

    #[test]
    fn a_token_is_printable_and_comes_back() {
        let token = TOKENS.issue(WORKER, REQUEST);
        assert!(token.iter().all(u8::is_ascii_graphic));
        assert_eq!(TOKENS.verify(WORKER, &token), Some(REQUEST));
    }

    #[test]
    fn a_token_is_good_for_its_worker_only() {
        let token = TOKENS.issue(WORKER, REQUEST);
        assert_eq!(TOKENS.verify(PeerId::new(7, 2), &token), None);
        assert_eq!(TOKENS.verify(PeerId::new(8, 1), &token), None);
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = TOKENS.issue(WORKER, REQUEST);
        for at in 0..token.len() {
            let mut forged = token.to_vec();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(TOKENS.verify(WORKER, &forged), None, "digit {at}");
        }
        for other in [&b""[..], b"x", &token[..31], &token.to_ascii_uppercase(), &[0xFF; 32]] {
            assert_eq!(TOKENS.verify(WORKER, other), None);
        }
    }
}
