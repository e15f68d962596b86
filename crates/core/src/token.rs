//! Request tokens: opaque request references for workers, in place of the client's address.
//!
//! A worker receives the token in the address field of its dialect and returns it in each reply. A
//! token consists of the request's id and a keyed hash of that id and the worker. The broker can
//! therefore check without stored state that it issued the token to this worker: a late reply is
//! not a protocol violation, but a forged one is.
//!
//! The text form has 32 letters from `a` to `p`, with four bits each, because some workers read the
//! address as text.

use siphasher::sip::SipHasher13;

use crate::{ByteStr, PeerId, RequestId};

/// The length of a token's text form in bytes.
const TEXT_BYTES: usize = 32;

/// The length of a token's binary form in bytes.
const OCTETS: usize = 16;

/// An opaque reference to a request, for one worker: the request's id, and a keyed hash of that id
/// and the worker.
///
/// ```
/// use majordomus_core::Token;
///
/// let token = Token::from_bits([1, 2]);
/// assert_eq!(Token::read(&token.octets()), Some(token));
/// assert_eq!(Token::read(&token.text()), Some(token));
/// assert_eq!(Token::read(b"no token"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token([u64; 2]);

impl Token {
    /// Creates a token from its bits.
    #[inline]
    pub const fn from_bits(bits: [u64; 2]) -> Self {
        Token(bits)
    }

    /// Returns the binary form, for dialects with opaque addresses.
    #[inline]
    pub fn octets(self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        octets[..8].copy_from_slice(&self.0[0].to_be_bytes());
        octets[8..].copy_from_slice(&self.0[1].to_be_bytes());
        octets
    }

    /// Returns the text form, 32 letters from `a` to `p`, for dialects whose libraries read
    /// addresses as text.
    #[inline]
    pub fn text(self) -> [u8; TEXT_BYTES] {
        write(self.0)
    }

    /// Returns the text form as a `ByteStr`.
    pub fn to_label(self) -> ByteStr {
        ByteStr::from(&self.text()[..])
    }

    /// Reads a token in binary or text form. Returns `None` for any other bytes.
    #[inline]
    pub fn read(address: &[u8]) -> Option<Self> {
        if let Ok(octets) = <&[u8; OCTETS]>::try_from(address) {
            let number = u128::from_be_bytes(*octets);
            return Some(Token([(number >> 64) as u64, number as u64]));
        }
        read(address.try_into().ok()?).map(Token)
    }

    /// Returns the request's id, which is only valid if the hash is.
    #[inline]
    pub(crate) const fn request(self) -> RequestId {
        RequestId::new(self.0[0] as u32, (self.0[0] >> 32) as u32)
    }

    /// Returns the keyed hash.
    #[inline]
    pub(crate) const fn hash(self) -> u64 {
        self.0[1]
    }
}

/// Issues and checks tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    key: (u64, u64),
}

impl Tokens {
    pub(crate) fn new(key: (u64, u64)) -> Self {
        Self { key }
    }

    /// Issues the token of `request` for `worker`.
    #[inline]
    pub(crate) fn issue(&self, worker: PeerId, request: RequestId) -> Token {
        Token([request.to_bits(), self.hash(worker, request)])
    }

    /// Returns the request that `token` refers to, if the token was issued to `worker`.
    pub(crate) fn verify(&self, worker: PeerId, token: Token) -> Option<RequestId> {
        let request = token.request();
        (self.hash(worker, request) == token.hash()).then_some(request)
    }

    fn hash(&self, worker: PeerId, request: RequestId) -> u64 {
        let hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        let both = u128::from(worker.to_bits()) << 64 | u128::from(request.to_bits());
        hasher.hash(&both.to_le_bytes())
    }
}

fn write(numbers: [u64; 2]) -> [u8; TEXT_BYTES] {
    let mut text = [0; TEXT_BYTES];
    let halves = numbers.into_iter().flat_map(|number| [(number >> 32) as u32, number as u32]);
    for (letters, half) in text.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
        *letters = (spread(half) + u64::from_be_bytes([b'a'; 8])).to_be_bytes();
    }
    text
}

/// Spreads the number over eight bytes, four bits each, without a loop.
fn spread(number: u32) -> u64 {
    let number = u64::from(number);
    let number = (number | number << 16) & 0x0000_FFFF_0000_FFFF;
    let number = (number | number << 8) & 0x00FF_00FF_00FF_00FF;
    (number | number << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

/// Reads the numbers from the text form, or returns `None` for a letter outside `a` to `p`.
fn read(text: &[u8; TEXT_BYTES]) -> Option<[u64; 2]> {
    let mut halves = [0; 4];
    for (half, letters) in halves.iter_mut().zip(text.as_chunks::<8>().0) {
        *half = u64::from(gather(*letters)?);
    }
    Some([halves[0] << 32 | halves[1], halves[2] << 32 | halves[3]])
}

/// Reverses [spread] for eight letters.
fn gather(letters: [u8; 8]) -> Option<u32> {
    // A letter below `a` sets bits above the lower four of its byte, even with a borrow from the
    // next one.
    let number = u64::from_be_bytes(letters).wrapping_sub(u64::from_be_bytes([b'a'; 8]));
    if number & 0xF0F0_F0F0_F0F0_F0F0 != 0 {
        return None;
    }
    let number = (number | number >> 4) & 0x00FF_00FF_00FF_00FF;
    let number = (number | number >> 8) & 0x0000_FFFF_0000_FFFF;
    Some((number | number >> 16) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: Tokens = Tokens { key: (1, 2) };
    const WORKER: PeerId = PeerId::new(7, 1);
    const REQUEST: RequestId = RequestId::new(0xABCD, 0x0102_0304);

    fn verify(worker: PeerId, address: &[u8]) -> Option<RequestId> {
        TOKENS.verify(worker, Token::read(address)?)
    }

    #[test]
    fn token_is_printable_and_comes_back() {
        let token = TOKENS.issue(WORKER, REQUEST);
        assert!(token.text().iter().all(|letter| (b'a'..=b'p').contains(letter)));
        assert_eq!(verify(WORKER, &token.text()), Some(REQUEST));
        assert_eq!(verify(WORKER, &token.octets()), Some(REQUEST));
    }

    #[test]
    fn token_is_valid_for_its_worker_only() {
        let token = TOKENS.issue(WORKER, REQUEST).text();
        assert_eq!(verify(PeerId::new(7, 2), &token), None);
        assert_eq!(verify(PeerId::new(8, 1), &token), None);
    }

    #[test]
    fn changed_token_is_refused() {
        let token = TOKENS.issue(WORKER, REQUEST);
        for written in [&token.text()[..], &token.octets()] {
            for at in 0..written.len() {
                for other in 0..=u8::MAX {
                    let mut forged = written.to_vec();
                    if forged[at] != other {
                        forged[at] = other;
                        assert_eq!(verify(WORKER, &forged), None, "{other} at {at}");
                    }
                }
            }
        }
        let text = token.text();
        for other in [&b""[..], b"x", &text[..31], &text.to_ascii_uppercase(), &[0xFF; 32]] {
            assert_eq!(verify(WORKER, other), None);
        }
    }
}
