//! A message, to the decoders of every dialect.

use crate::command::{Command, comes_through};
use crate::source::Source;

/// The first byte chooses how the peer speaks, the rest is a message. Every decoder reads it or
/// refuses it, and what one of its side reads is written so that it is read again as what it is.
pub fn decode(data: &[u8]) {
    let mut source = Source::new(data);
    let codec = source.codec();
    let message = source.frames();
    for command in Command::readings(codec, &message) {
        comes_through(codec, &command);
    }
    // A peer of the other side says it.
    let _ = codec.decode_from_client(message.clone());
    let _ = codec.decode_from_worker(message.clone());
    let _ = codec.decode_to_client(message.clone());
    let _ = codec.decode_to_worker(message);
}
