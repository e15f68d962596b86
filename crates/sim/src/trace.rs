//! Text traces and hashes of a run.

use core::fmt::{self, Write as _};
use std::rc::Rc;

use majordomus_core::broker::{Event, Input, Output};
use majordomus_core::{
    CorrelationId, Frames, FromClient, FromWorker, PeerId, Reply, ToClient, ToWorker, WorkerRequest,
};

use crate::checker::{Uid, uid_of};

/// A receiver of trace lines.
#[derive(Clone)]
pub struct Sink(Rc<dyn Fn(fmt::Arguments<'_>)>);

impl Sink {
    /// Creates a sink that calls `take` with each line.
    pub fn new(take: impl Fn(fmt::Arguments<'_>) + 'static) -> Self {
        Self(Rc::new(take))
    }

    pub(crate) fn line(&self, line: fmt::Arguments<'_>) {
        self.0(line);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// Formats an input of the broker.
pub(crate) fn input(input: &Input) -> String {
    match input {
        Input::FromClient { peer, command } => match command {
            FromClient::Request(request) => format!(
                "{peer} asks {} for {} (id {:?}, {:?}, again: {}, fresh: {}, target {:?}, {:?})",
                request.service,
                number(uid_of(&request.id, &request.options, &request.body)),
                request.id,
                request.timeout,
                request.redeliver,
                request.fresh,
                request.target,
                request.body
            ),
            other => format!("{peer} says {other:?}"),
        },
        Input::FromWorker { peer, command } => match command {
            FromWorker::Partial(reply) => format!("{peer} replies in part to {}", reply.address),
            FromWorker::Final(reply) => {
                format!("{peer} replies to {} (keep {:?})", reply.address, reply.keep)
            }
            FromWorker::Failed(reply) => format!("{peer} fails {}", reply.address),
            other => format!("{peer} says {other:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// Formats an output of the broker.
pub(crate) fn output(output: &Output) -> String {
    match output {
        Output::ToClient { peer, command } => match command {
            ToClient::Partial(reply) => {
                format!(
                    "{peer} gets a part of {}, id {:?}: {:?}",
                    reply.service, reply.id, reply.body
                )
            }
            ToClient::Final(reply) => {
                format!(
                    "{peer} gets the end of {}, id {:?}: {:?}",
                    reply.service, reply.id, reply.body
                )
            }
            ToClient::Failed(outcome, reply) => {
                format!("{peer} gets no reply of {}, id {:?}: {outcome}", reply.service, reply.id)
            }
            other => format!("{peer} gets {other:?}"),
        },
        Output::ToWorker { peer, command } => match command {
            ToWorker::Request(request) => {
                let uid = uid_of(&request.id, &request.options, &request.body);
                format!("{peer} gets {} as {}", number(uid), request.address)
            }
            other => format!("{peer} gets {other:?}"),
        },
        Output::Event(event) => match event {
            Event::Ended { request, outcome, .. } => format!("({request} ended: {outcome})"),
            other => format!("({other:?})"),
        },
        other => format!("{other:?}"),
    }
}

fn number(uid: Option<Uid>) -> String {
    uid.map_or_else(|| "what has no number".into(), |uid| format!("#{uid}"))
}

/// Returns a hash of an output and of all outputs before it.
pub(crate) fn digest(before: u64, output: &Output) -> u64 {
    let mut digest = Digest(before);
    // Hashing the text of every output would be correct, but as slow as the whole run. Frequent
    // outputs are therefore hashed field by field.
    match output {
        Output::ToClient { peer, command: ToClient::Partial(reply) } => {
            digest.reply(1, *peer, reply);
        }
        Output::ToClient { peer, command: ToClient::Final(reply) } => {
            digest.reply(2, *peer, reply);
        }
        Output::ToClient { peer, command: ToClient::Failed(outcome, reply) } => {
            digest.reply(3, *peer, reply);
            digest.word(*outcome as u64);
        }
        Output::ToWorker { peer, command: ToWorker::Request(request) } => {
            let WorkerRequest {
                address,
                service,
                id,
                deadline,
                attempt,
                priority,
                credit,
                options,
                body,
            } = request;
            digest.place(4, peer.index, peer.generation);
            digest.place(
                deadline.map_or(u64::MAX, |span| span.as_micros() as u64),
                *attempt,
                *credit,
            );
            digest.word(priority.number().into());
            digest.bytes(address);
            digest.bytes(service);
            digest.id(id);
            digest.bytes(options);
            digest.frames(body);
        }
        Output::ToWorker { peer, command: ToWorker::Heartbeat } => {
            digest.place(5, peer.index, peer.generation);
        }
        Output::Event(Event::Received { request, client, service }) => {
            digest.place(6, request.index, request.generation);
            digest.place(6, client.index, client.generation);
            digest.bytes(service);
        }
        Output::Event(Event::Dispatched { request, worker, attempt }) => {
            digest.place(7, request.index, request.generation);
            digest.place(u64::from(*attempt), worker.index, worker.generation);
        }
        Output::Event(Event::Ended { request, outcome, received }) => {
            digest.place(8, request.index, request.generation);
            digest.word(*outcome as u64);
            digest.word(received.as_micros());
        }
        Output::Pause { peer } => digest.place(9, peer.index, peer.generation),
        Output::Resume { peer } => digest.place(10, peer.index, peer.generation),
        rare => {
            let _ = write!(digest, "{rare:?}");
        }
    }
    digest.0
}

/// A writer that hashes all written text.
struct Digest(u64);

impl Digest {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }

    fn place(&mut self, kind: u64, index: u32, generation: u32) {
        self.word(kind);
        self.word(u64::from(generation) << 32 | u64::from(index));
    }

    fn reply(&mut self, kind: u64, peer: PeerId, reply: &Reply) {
        let Reply { service, id, asked, code, options, body } = reply;
        self.place(kind, peer.index, peer.generation);
        self.word(u64::from(*asked) << 16 | u64::from(*code));
        self.bytes(service);
        self.id(id);
        self.bytes(options);
        self.frames(body);
    }

    fn id(&mut self, id: &CorrelationId) {
        id.as_ref().with_text(|text| self.bytes(text));
    }

    fn frames(&mut self, frames: &Frames) {
        self.place(frames.form() as u64, frames.len() as u32, u32::from(frames.note()));
        for frame in frames.iter() {
            self.bytes(frame);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
