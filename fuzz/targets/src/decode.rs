//! A message, to the decoders of every dialect.

use majordomus_wire::Codec;

use crate::command::{Command, comes_through, read_from_client, read_from_worker};
use crate::message::Message;
use crate::source::Source;

/// The first byte chooses how the peer speaks, the rest is a message. Every decoder accepts or rejects
/// it, from borrowed and from shared memory with the same result, and so it does with the message cut
/// at one byte. A command that a decoder of its side accepts is written so that it is read again as
/// what it is.
pub fn decode(data: &[u8]) {
    let (codec, message) = read(data);
    for command in Command::readings(codec, &message) {
        comes_through(codec, &command);
    }
    decode_all(codec, &message);
    // Another input cuts at another byte.
    let sum: usize = data.iter().map(|byte| usize::from(*byte)).sum();
    if let Some(cut) = sum.checked_rem(message.cuts()) {
        decode_all(codec, &message.cut(cut));
    }
}

/// The same input as that of [`decode`], with the message cut at every byte: every decoder accepts or
/// rejects it, from borrowed and from shared memory with the same result.
pub fn decode_cuts(data: &[u8]) {
    let (codec, message) = read(data);
    for cut in 0..message.cuts() {
        decode_all(codec, &message.cut(cut));
    }
}

fn read(data: &[u8]) -> (Codec, Message) {
    let mut source = Source::new(data);
    (source.codec(), source.message())
}

/// Decodes a message as one that each side says and as one that each side is told.
fn decode_all(codec: Codec, message: &Message) {
    let _ = read_from_client(codec, message);
    let _ = read_from_worker(codec, message);
    let _ = codec.decode_to_client(message.compact());
    let _ = codec.decode_to_worker(message.compact());
}
