//! Fuzz targets for the decoders of every dialect.

use majordomus_wire::Codec;

use crate::command::{Command, comes_through, read_from_client, read_from_worker};
use crate::message::Message;
use crate::source::Source;

/// Decodes a message. The first byte chooses the codec, and the rest is the message. Every decoder
/// must accept or reject it with the same result from borrowed and from shared memory, and also
/// after the message is cut at one byte. A command accepted by a decoder of its side must survive
/// encoding and decoding.
pub fn decode(data: &[u8]) {
    let (codec, message) = read(data);
    for command in Command::readings(codec, &message) {
        comes_through(codec, &command);
    }
    decode_all(codec, &message);
    // Different inputs cut at different bytes.
    let sum: usize = data.iter().map(|byte| usize::from(*byte)).sum();
    if let Some(cut) = sum.checked_rem(message.cuts()) {
        decode_all(codec, &message.cut(cut));
    }
}

/// Decodes the input of [`decode`], cut at every byte. Every decoder must accept or reject each cut
/// with the same result from borrowed and from shared memory.
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

/// Decodes a message in both directions.
fn decode_all(codec: Codec, message: &Message) {
    let _ = read_from_client(codec, message);
    let _ = read_from_worker(codec, message);
    let _ = codec.decode_to_client(message.compact());
    let _ = codec.decode_to_worker(message.compact());
}
