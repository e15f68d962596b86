//! An input as a row of choices.

use majordomus_core::Label;
use majordomus_wire::{Codec, Dialect, Errors, Json, Side, check_service_name};

use crate::message::Message;

/// Reads choices off the front of an input. One that is at its end gives zeros and nothing.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A length, and so many bytes: one byte, or 255 and two more.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => u16::from_be_bytes([self.byte(), self.byte()]).into(),
            length => usize::from(length),
        };
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// A message up to the end of the input.
    pub(crate) fn message(mut self) -> Message {
        let mut frames = Vec::new();
        while !self.is_empty() {
            frames.push(self.piece());
        }
        Message::new(frames)
    }

    /// How a peer of ours speaks, in any dialect on either side. See [`codec_byte`].
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

    /// The name of a service that a client may ask for.
    pub(crate) fn service(&mut self) -> Label {
        let name = self.piece();
        if check_service_name(name).is_ok() { name.into() } else { "echo".into() }
    }
}

/// The byte that stands for this dialect and side in an input.
pub(crate) fn codec_byte(dialect: Dialect, side: Side) -> u8 {
    let at = Dialect::ALL.iter().position(|other| *other == dialect).expect("one of all");
    (at + Dialect::ALL.len() * usize::from(side == Side::Worker)) as u8
}

/// Frames as [`Source::message`] reads them.
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
