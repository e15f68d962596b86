//! Decoders that return owned commands.

use majordomus_core::{Frames, FromClient, FromWorker};
use majordomus_wire::{Codec, Error, Scratch};

pub(crate) fn from_client(codec: Codec, message: &Frames) -> Result<FromClient, Error> {
    let scratch = &mut Scratch::default();
    codec.decode_from_client(message.view(), scratch).map(|command| command.to_owned())
}

pub(crate) fn from_worker(codec: Codec, message: &Frames) -> Result<FromWorker, Error> {
    let scratch = &mut Scratch::default();
    codec.decode_from_worker(message.view(), scratch).map(|command| command.to_owned())
}
