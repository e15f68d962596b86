//! Test bodies, a different one for each call, and their comparison with replies.

use std::fmt;

use majordomus::Body;

/// The letters of a body. Every dialect leaves them unchanged, in value and length.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyzABCDEF";
/// The number of letters taken from one random number.
const LETTERS_PER_NUMBER: usize = 12;

/// Returns the body of this call.
pub(in crate::cmd) fn text(call: u64, bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes);
    let mut state = mixed(call);
    while text.len() < bytes {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let number = mixed(state);
        let letters = (0..LETTERS_PER_NUMBER).map(|at| LETTERS[(number >> (5 * at)) as usize % 32]);
        text.extend(letters.take(bytes - text.len()));
    }
    text
}

/// The final mixing step of SplitMix64.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The difference between a reply and the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    Frames {
        came: usize,
    },
    Bytes {
        came: usize,
        sent: usize,
    },
    /// The first differing byte.
    At {
        byte: usize,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Frames { came } => write!(f, "{came} frames came back in place of one"),
            Difference::Bytes { came, sent } => {
                write!(f, "{came} bytes came back in place of {sent}")
            }
            Difference::At { byte } => write!(f, "byte {byte} came back as another one"),
        }
    }
}

/// Compares the sent body, which has one frame, with the reply.
pub(super) fn compare(sent: &[u8], came: &Body) -> Result<(), Difference> {
    let frames = came.frames();
    let came = match frames.get(0) {
        Some(only) if frames.len() == 1 => only,
        _ => return Err(Difference::Frames { came: frames.len() }),
    };
    if came.len() != sent.len() {
        return Err(Difference::Bytes { came: came.len(), sent: sent.len() });
    }
    match sent.iter().zip(came).position(|(sent, came)| sent != came) {
        None => Ok(()),
        Some(byte) => Err(Difference::At { byte }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_own_text_and_of_that_length() {
        for bytes in [0, 1, 11, 12, 13, 1000] {
            assert_eq!(text(7, bytes).len(), bytes);
            assert_eq!(text(7, bytes), text(7, bytes));
        }
        let texts: std::collections::HashSet<_> = (0..10_000).map(|call| text(call, 12)).collect();
        assert_eq!(texts.len(), 10_000);
    }

    #[test]
    fn every_difference_is_seen() {
        let frames = |frames: &[&str]| Body::from_frames(frames);
        for (came, verdict) in [
            (frames(&["abc"]), Ok(())),
            (frames(&["abd"]), Err(Difference::At { byte: 2 })),
            (frames(&["ab"]), Err(Difference::Bytes { came: 2, sent: 3 })),
            (frames(&["abcd"]), Err(Difference::Bytes { came: 4, sent: 3 })),
            (frames(&["abc", ""]), Err(Difference::Frames { came: 2 })),
            (frames(&[]), Err(Difference::Frames { came: 0 })),
        ] {
            assert_eq!(compare(b"abc", &came), verdict, "{came:?}");
        }
        assert_eq!(compare(b"", &frames(&[""])), Ok(()));
    }
}
