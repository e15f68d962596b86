//! The token that stands for a request towards its worker, in place of the client's address.
//!
//! A worker gets it where its dialect has the client's address, and gives it back with each reply.
//! It is the request's id and a keyed hash over that id and the worker, so the broker can tell
//! without remembering anything whether it ever gave this token to this worker: a late reply is not
//! an offence, a forged one is.
//!
//! As it goes out it is 32 letters from `a` to `p`, four bits each, because some workers read it as
//! text.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::{Label, PeerId, RequestId};

/// Bytes of a token as it is sent.
const TEXT_BYTES: usize = 32;

type Text = [u8; TEXT_BYTES];

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
        Label::from(&self.text(worker, request)[..])
    }

    /// The request that `address` stands for, where it was once issued to `worker`.
    pub(crate) fn verify(&self, worker: PeerId, address: &[u8]) -> Option<RequestId> {
        let [id, hash] = read(address.try_into().ok()?)?;
        let request = RequestId::new(id as u32, (id >> 32) as u32);
        (self.hash(worker, request) == hash).then_some(request)
    }

    fn text(&self, worker: PeerId, request: RequestId) -> Text {
        write([request.to_bits(), self.hash(worker, request)])
    }

    fn hash(&self, worker: PeerId, request: RequestId) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(worker.to_bits());
        hasher.write_u64(request.to_bits());
        hasher.finish()
    }
}

fn write(numbers: [u64; 2]) -> Text {
    let mut text = [0; TEXT_BYTES];
    let halves = numbers.into_iter().flat_map(|number| [(number >> 32) as u32, number as u32]);
    for (letters, half) in text.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
        *letters = (spread(half) + u64::from_be_bytes([b'a'; 8])).to_be_bytes();
    }
    text
}

/// Each four bits in a byte of their own, all at once.
fn spread(number: u32) -> u64 {
    let number = u64::from(number);
    let number = (number | number << 16) & 0x0000_FFFF_0000_FFFF;
    let number = (number | number << 8) & 0x00FF_00FF_00FF_00FF;
    (number | number << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

/// The numbers that a text says; none where it has a letter that is not written.
fn read(text: &Text) -> Option<[u64; 2]> {
    let mut halves = [0; 4];
    for (half, letters) in halves.iter_mut().zip(text.as_chunks::<8>().0) {
        *half = u64::from(gather(*letters)?);
    }
    Some([halves[0] << 32 | halves[1], halves[2] << 32 | halves[3]])
}

/// What was [spread] over eight letters.
fn gather(letters: [u8; 8]) -> Option<u32> {
    // A letter before `a` leaves more than four bits in its place, whatever it borrows from the next.
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

    #[test]
    fn a_token_is_printable_and_comes_back() {
        let token = TOKENS.issue(WORKER, REQUEST);
        assert!(token.iter().all(|letter| (b'a'..=b'p').contains(letter)));
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
            for other in 0..=u8::MAX {
                let mut forged = token.to_vec();
                if forged[at] != other {
                    forged[at] = other;
                    assert_eq!(TOKENS.verify(WORKER, &forged), None, "{other} at {at}");
                }
            }
        }
        for other in [&b""[..], b"x", &token[..31], &token.to_ascii_uppercase(), &[0xFF; 32]] {
            assert_eq!(TOKENS.verify(WORKER, other), None);
        }
    }
}
