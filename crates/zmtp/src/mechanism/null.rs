//! The NULL mechanism: each side sends READY with its metadata.

use bytes::{Bytes, BytesMut};

use super::Step;
use crate::{Error, Metadata, command, output::Output};

/// The state of a NULL handshake.
#[derive(Debug)]
pub(crate) struct Null {
    /// A connector's metadata, until it is sent after the peer's greeting.
    ours: Option<Metadata>,
}

impl Null {
    pub(crate) const fn listener() -> Self {
        Self { ours: None }
    }

    pub(crate) const fn connector(ours: Metadata) -> Self {
        Self { ours: Some(ours) }
    }

    pub(crate) fn greeted(&mut self, out: &mut Output) {
        if let Some(ours) = self.ours.take() {
            send_ready(&ours, out);
        }
    }

    pub(crate) fn command(&mut self, name: &[u8], data: &[u8]) -> Result<Step, Error> {
        match name {
            command::READY => Ok(Step::Hello(Metadata::decode(data)?)),
            command::ERROR => Err(command::refusal(data)),
            _ => Err(Error::NotReadyFirst { name: Bytes::copy_from_slice(name) }),
        }
    }

    pub(crate) fn accept(&mut self, ours: &Metadata, out: &mut Output) {
        send_ready(ours, out);
    }
}

fn send_ready(ours: &Metadata, out: &mut Output) {
    let mut metadata = BytesMut::new();
    ours.encode(&mut metadata);
    command::send(command::READY, &[&metadata], out);
}
