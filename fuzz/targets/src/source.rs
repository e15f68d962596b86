//! A reader of fuzz inputs as sequences of choices.

use majordomus_core::ByteStr;
use majordomus_wire::{Codec, Dialect, Errors, Json, Side, check_service_name};

use crate::message::Message;

/// Reads choices from the front of an input. At the end it returns zeros and empty slices.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rest of the input.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Returns a number below `bound`, which must be at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Reads a length and this many bytes. The length is one byte, or 255 and two more bytes.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => u16::from_be_bytes([self.byte(), self.byte()]).into(),
            length => usize::from(length),
        };
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// Reads a message up to the end of the input.
    pub(crate) fn message(mut self) -> Message {
        let mut frames = Vec::new();
        while !self.is_empty() {
            frames.push(self.piece());
        }
        Message::new(frames)
    }

    /// Reads a codec of any dialect and side. See [`codec_byte`].
    pub(crate) fn codec(&mut self) -> Codec {
        let mut choice = usize::from(self.byte());
        let mut of = |bound: usize| {
            let chosen = choice % bound;
            choice /= bound;
            chosen
        };
        let dialect = Dialect::ALL[of(Dialect::ALL.len())];
        let side = [Side::Client, Side::Worker][of(2)];
        let errors = [Errors::Silent, Errors::Final][of(2)];
        Codec::new(dialect, side).with_errors(errors).with_json(Json::ALL[of(3)])
    }

    /// Reads a service name that a client may request.
    pub(crate) fn service(&mut self) -> ByteStr {
        let name = self.piece();
        if check_service_name(name).is_ok() { name.into() } else { "echo".into() }
    }
}

/// Returns the input byte for this dialect and side.
pub(crate) fn codec_byte(dialect: Dialect, side: Side) -> u8 {
    let at = Dialect::ALL.iter().position(|other| *other == dialect).expect("one of all");
    (at + Dialect::ALL.len() * usize::from(side == Side::Worker)) as u8
}

/// Encodes frames in the format of [`Source::message`].
pub(crate) fn packed<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut packed = Vec::new();
    for frame in frames {
        match u8::try_from(frame.len()) {
            Ok(length) if length < 255 => packed.push(length),
            _ => {
                packed.push(255);
                packed.extend((frame.len() as u16).to_be_bytes());
            }
        }
        packed.extend(frame);
    }
    packed
}
