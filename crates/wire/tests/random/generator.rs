//! Generators of random bytes, frames and nearly valid messages.

use bytes::Bytes;
use majordomus_core::{ByteStr, CorrelationId, Form, Frames, Token};

/// The xorshift64* generator, so that a failure can be replayed anywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Similar seeds must have different beginnings, and the state must not be 0.
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Generates a frame as written by peers, a similar one, or a random one.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        const USUAL: &[&[u8]] = &[
            b"",
            b"",
            b"",
            b"MDPC01",
            b"MDPW01",
            b"MDPC02",
            b"MDPW02",
            b"MDPC0X",
            b"MDPW0X",
            b"MDPC0",
            b"\xaa\xa4",
            b"\xaa\xa4\x01\x06MDPC02\x01\x04echo",
            b"\xaa\xa4\x06\x06MDPW02\x03",
            b"\xaa\xa4\x08\x06MDPW02\x05",
            b"\x12\0\0\0\0\0\0\0\x01",
            b"\x30\x04echo",
            b"\x06MDPC01\x04echo\x01a",
            b"C",
            b"echo",
            b"17",
            b"-1 no",
            b"\x01",
            b"\x02",
            b"\x03",
            b"\x04",
            b"\x05",
            b"\x06",
            b"W",
            b"0",
            b"-1",
            b"1",
            b"2",
            b"3",
            b"4",
            b"request",
            b"worker",
            b"undefined",
            b"null",
            b"{}",
            b"[]",
            b"\"a\"",
            b"{\"$base64\":\"AA==\"}",
            b"{\"timeout\":0,\"retry\":1}",
            b"{\"concurrency\":\"x\"}",
            b"{\"timeout\":{}}",
            b"{\"timeout\":1e400",
            b"[[[[",
        ];
        match self.below(10) {
            0 => {
                let length = self.below(300);
                self.bytes(length)
            }
            1 => {
                let length = self.below(3);
                self.bytes(length)
            }
            _ => self.pick(USUAL).to_vec(),
        }
    }

    /// Generates up to eight frames. The first ones are often valid.
    pub(crate) fn message(&mut self) -> Frames {
        const BEGINNINGS: &[&[&[u8]]] = &[
            &[],
            &[b""],
            &[b"", b"MDPC01"],
            &[b"", b"MDPW01"],
            &[b"MDPC02"],
            &[b"", b"MDPC02"],
            &[b"MDPW02"],
            &[b"", b"MDPW02"],
            &[b"", b"MDPC0X"],
            &[b"", b"MDPW0X"],
            &[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo"],
            &[b"\xaa\xa4\x04\x06MDPW02\x01\x04echo"],
            &[b"\xaa\xa4\x07\x06MDPW02\x04"],
            &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0"],
            &[b"\x01OMDP\x01\x01\x02\0\0\x09\xc4\0\0\0\0\0\0\0\0\0\0later"],
            &[b"\x32\0\0\0\x08"],
            &[b"C"],
            &[b"C", b"2", b"echo", b"r1"],
            &[b"C", b"3", b"", b"r1"],
            &[b"C", b"4"],
            &[b"W"],
            &[b"W", b"2", b"17", b"echo", b"", b"r1"],
            &[b"W", b"3", b"17", b""],
            &[b"W", b"3", b"17", b"r1"],
            &[b"W", b"4", b""],
            &[b"W", b"6", b"17", b"", b"r1", b"0"],
            &[b"W", b"7", b"17", b"", b"r1"],
        ];
        let mut frames: Vec<Vec<u8>> =
            self.pick(BEGINNINGS).iter().map(|frame| frame.to_vec()).collect();
        for _ in 0..self.below(7) {
            frames.push(self.frame());
        }
        Frames::from_slices(&frames)
    }

    /// Generates a message packed into one frame, each frame as a part. It usually has the header
    /// of a packed dialect. It may be truncated, or have a byte changed.
    pub(crate) fn packed(&mut self) -> Frames {
        let mut message = self.message();
        if message.get(0).is_some_and(<[u8]>::is_empty) && self.below(8) > 0 {
            message = message.skip(1);
        }
        let mut packed = Vec::new();
        for part in message.iter() {
            match u8::try_from(part.len()) {
                Ok(length) if length < 255 => packed.push(length),
                _ => {
                    packed.push(255);
                    packed.extend_from_slice(&(part.len() as u32).to_be_bytes());
                }
            }
            packed.extend_from_slice(part);
        }
        if !packed.is_empty() {
            let at = self.below(packed.len());
            match self.below(10) {
                0 => packed.truncate(at),
                1 => packed[at] = self.next() as u8,
                _ => {}
            }
        }
        Frames::from_slices(&[packed])
    }

    pub(crate) fn label(&mut self) -> ByteStr {
        let length = 1 + self.below(60);
        let text: String = (0..length).map(|_| char::from(b' ' + self.below(95) as u8)).collect();
        ByteStr::from(text.as_str())
    }

    pub(crate) fn id(&mut self) -> CorrelationId {
        CorrelationId::Text(self.label())
    }

    pub(crate) fn token(&mut self) -> Token {
        Token::from_bits([self.next(), self.next()])
    }

    pub(crate) fn identity(&mut self) -> Vec<u8> {
        const USUAL: &[&[u8]] =
            &[b"", b"CPPBqWA9", b"Wx-1908f7b8-8bcb-49d1-b09d-da2c553f70b7", b"\0\x01\x02\x03\x04"];
        self.pick(USUAL).to_vec()
    }

    /// Generates one JSON text other than `null`.
    pub(crate) fn json(&mut self) -> Frames {
        const USUAL: &[&str] = &["0", "-1.5e3", "true", "\"\"", "{}", "[]", "[1,[2,{\"a\":null}]]"];
        let text = match self.below(3) {
            0 => self.pick(USUAL).to_owned(),
            _ => serde_json::to_string(&self.label().to_string()).expect("a text"),
        };
        Frames::from_slices(&[text]).in_form(Form::Json, 0)
    }

    pub(crate) fn options(&mut self) -> Bytes {
        const USUAL: &[&str] = &["{}", "undefined", "null", "{\"foo\":\"bar\"}"];
        Bytes::from_static(self.pick(USUAL).as_bytes())
    }

    /// Generates at least one frame, because majortomo turns an empty body into one frame.
    pub(crate) fn body(&mut self) -> Frames {
        let count = 1 + self.below(10);
        let frames: Vec<Vec<u8>> = (0..count).map(|_| self.frame()).collect();
        Frames::from_slices(&frames)
    }
}
