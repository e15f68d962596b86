//! Mutations of corpus inputs.

use crate::random::Random;

/// The maximum length of a mutated input.
const BYTES_MAX: usize = 1_024;

/// A generator of mutated corpus inputs with a seed.
#[derive(Debug)]
pub struct Mutation<'a> {
    corpus: &'a [Vec<u8>],
    random: Random,
}

impl<'a> Mutation<'a> {
    /// Creates a generator. The corpus must not be empty.
    pub const fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        Self { corpus, random: Random::new(seed) }
    }

    /// Returns the next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..1 + self.random.below(5) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn any(&mut self) -> &'a [u8] {
        &self.corpus[self.random.below(self.corpus.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let octet = self.random.next() as u8;
        match (self.random.below(8), input.get_mut(at)) {
            (0, Some(place)) => *place ^= 1 << (octet & 7),
            (1, Some(place)) => *place = octet,
            (2, Some(place)) => *place = place.wrapping_add(octet % 9).wrapping_sub(4),
            (3, Some(_)) => {
                let end = input.len().min(at + 1 + usize::from(octet % 16));
                input.drain(at..end);
            }
            (4, Some(_)) => input.truncate(at),
            (5, _) => input.insert(at, octet),
            (6, _) => {
                // Insert a piece of a corpus input.
                let other = self.any();
                let from = self.random.below(other.len() + 1);
                let piece = &other[from..other.len().min(from + 1 + usize::from(octet % 64))];
                input.splice(at..at, piece.iter().copied());
            }
            _ => {
                let other = self.any();
                let from = at.min(other.len());
                input.truncate(at);
                input.extend(&other[from..]);
            }
        }
    }
}
