//! Commands to frames.

use alloc::borrow::Cow;
use alloc::string::String;

use majordomus_core::{
    Frames, FromClient, FromWorker, Outcome, Reply, ToClient, ToWorker, WorkerReply,
};

use super::{Delimiter, Framing, Manner, NoBody, head, parts};
use crate::body::as_frames;
use crate::errors::{bare_error_text, error_text};
use crate::{Errors, Side, Sink, Unsayable};

impl Manner {
    pub(crate) fn encode_to_client(self, command: &ToClient, errors: Errors, sink: &mut impl Sink) {
        self.write_to_client(command, errors, &mut self.packer(Side::Client, sink));
    }

    pub(crate) fn encode_to_worker(self, command: &ToWorker, sink: &mut impl Sink) {
        self.write_to_worker(command, &mut self.packer(Side::Worker, sink));
    }

    pub(crate) fn encode_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        self.write_from_client(command, &mut self.packer(Side::Client, sink));
    }

    pub(crate) fn encode_from_worker(
        self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), Unsayable> {
        self.write_from_worker(command, &mut self.packer(Side::Worker, sink))
    }

    fn packer<S: Sink>(self, side: Side, sink: &mut S) -> Packer<'_, S> {
        match self.table.framing {
            Framing::Frames => Packer::Frames(sink),
            Framing::Parts => Packer::Parts(parts::Packer::new(sink)),
            Framing::Head => Packer::Head(head::Packer::new(side, sink)),
        }
    }

    fn write_to_client(self, command: &ToClient, errors: Errors, sink: &mut impl Sink) {
        let replies = self.table.client.replies.as_ref();
        let last = replies.map(|replies| replies.last);
        match command {
            ToClient::Final(reply) => self.reply(last, reply, self.body(&reply.body), sink),
            ToClient::Partial(reply) => {
                if let Some(replies) = replies {
                    self.reply(Some(replies.partial), reply, self.body(&reply.body), sink);
                }
            }
            ToClient::Failed(outcome, reply) => {
                let nak = replies.and_then(|replies| replies.nak.as_ref());
                if let Some(nak) = nak.filter(|nak| nak.outcomes.contains(*outcome)) {
                    let text = bare_error_text(*outcome, &as_frames(&reply.body));
                    self.reply(Some(nak.command), reply, Tail::Text(text), sink);
                } else if errors.told().contains(*outcome) {
                    let text = error_text(*outcome, &as_frames(&reply.body));
                    self.reply(last, reply, Tail::Text(text), sink);
                }
            }
            ToClient::Welcome(_)
            | ToClient::Notice { .. }
            | ToClient::Heartbeat
            | ToClient::Disconnect(_) => {}
        }
    }

    fn write_to_worker(self, command: &ToWorker, sink: &mut impl Sink) {
        let worker = &self.table.worker;
        match command {
            ToWorker::Request(request) => {
                self.head(worker.header, sink);
                sink.frame(&[worker.request], true);
                addressed(&request.address, self.request_body(&request.body), sink);
            }
            ToWorker::Heartbeat => self.bare(worker.heartbeat, sink),
            ToWorker::Disconnect(_) => self.bare(worker.disconnect, sink),
            ToWorker::Welcome(_)
            | ToWorker::Registered { .. }
            | ToWorker::StillWanted { .. }
            | ToWorker::Capacity { .. }
            | ToWorker::More { .. }
            | ToWorker::Cancel { .. } => {}
        }
    }

    fn write_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        let client = &self.table.client;
        match command {
            FromClient::Request(request) => {
                let tail = self.body(&request.body);
                self.head(client.header, sink);
                if let Some(request) = client.request {
                    sink.frame(&[request], true);
                }
                sink.frame(&request.service, tail.has_frames());
                tail.write(sink);
            }
            FromClient::Hello(_)
            | FromClient::Heartbeat
            | FromClient::StillWanted { .. }
            | FromClient::Vouch { .. }
            | FromClient::Cancel { .. }
            | FromClient::More { .. }
            | FromClient::Disconnect => {}
        }
    }

    fn write_from_worker(
        self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), Unsayable> {
        let worker = &self.table.worker;
        match command {
            FromWorker::Ready { service } => {
                self.head(worker.header, sink);
                sink.frame(&[worker.ready], true);
                sink.frame(service, false);
            }
            FromWorker::Partial(reply) => {
                let unsayable = Unsayable { dialect: self.table.dialect };
                let partial = worker.partial.ok_or(unsayable)?;
                self.worker_reply(partial, reply, self.body(&reply.body), sink);
            }
            FromWorker::Final(reply) => {
                self.worker_reply(worker.last, reply, self.body(&reply.body), sink);
            }
            // To reject a request is to fail: there is no command that gives it to another.
            FromWorker::Failed(reply) | FromWorker::Rejected(reply) => {
                let text = error_text(Outcome::Failed, &as_frames(&reply.body));
                self.worker_reply(worker.last, reply, Tail::Text(text), sink);
            }
            FromWorker::Heartbeat(_) => self.bare(worker.heartbeat, sink),
            FromWorker::Disconnect => self.bare(worker.disconnect, sink),
            FromWorker::Hello(_) | FromWorker::Withdraw { .. } | FromWorker::AtWork { .. } => {}
        }
        Ok(())
    }

    /// A command of the broker to a client.
    fn reply(self, command: Option<u8>, reply: &Reply, tail: Tail<'_>, sink: &mut impl Sink) {
        let client = &self.table.client;
        self.head(client.header, sink);
        if let Some(command) = command {
            sink.frame(&[command], client.service_in_reply || tail.has_frames());
        }
        if client.service_in_reply {
            sink.frame(&reply.service, tail.has_frames());
        }
        tail.write(sink);
    }

    /// A command of a worker that answers a request.
    fn worker_reply(self, command: u8, reply: &WorkerReply, tail: Tail<'_>, sink: &mut impl Sink) {
        self.head(self.table.worker.header, sink);
        sink.frame(&[command], true);
        addressed(&reply.address, tail, sink);
    }

    /// A command of or to a worker that is nothing but a command.
    fn bare(self, command: u8, sink: &mut impl Sink) {
        self.head(self.table.worker.header, sink);
        sink.frame(&[command], false);
    }

    fn head(self, header: &[u8], sink: &mut impl Sink) {
        if self.delimiter {
            sink.frame(b"", true);
        }
        sink.frame(header, true);
    }

    fn fills_body(self) -> bool {
        self.table.no_body != NoBody::Kept
    }

    fn body(self, body: &Frames) -> Tail<'_> {
        tail(body, self.fills_body())
    }

    /// The body of a request to a worker. A worker that begins with an empty frame where the dialect
    /// leaves it open is majortomo's, whatever its listener is pinned to, and that one loses a
    /// request without a body.
    fn request_body(self, body: &Frames) -> Tail<'_> {
        let of_majortomo = self.delimiter && self.table.delimiter == Delimiter::Optional;
        tail(body, self.fills_body() || of_majortomo)
    }
}

fn tail(body: &Frames, filled: bool) -> Tail<'_> {
    let body = as_frames(body);
    if filled && body.is_empty() { Tail::EmptyFrame } else { Tail::Body(body) }
}

/// A client address, the empty frame and what follows.
fn addressed(address: &[u8], tail: Tail<'_>, sink: &mut impl Sink) {
    sink.frame(address, true);
    sink.frame(b"", tail.has_frames());
    tail.write(sink);
}

/// What stands at the end of a message.
enum Tail<'a> {
    Body(Cow<'a, Frames>),
    EmptyFrame,
    Text(String),
}

impl Tail<'_> {
    fn has_frames(&self) -> bool {
        match self {
            Tail::Body(body) => !body.is_empty(),
            Tail::EmptyFrame | Tail::Text(_) => true,
        }
    }

    fn write(&self, sink: &mut impl Sink) {
        match self {
            Tail::Body(body) => {
                let count = body.len();
                for index in 0..count {
                    sink.body_frame(body, index, index + 1 < count);
                }
            }
            Tail::EmptyFrame => sink.frame(b"", false),
            Tail::Text(text) => sink.frame(text.as_bytes(), false),
        }
    }
}

/// Takes the frames that make up a message, and hands on the frames that are sent.
enum Packer<'a, S> {
    Frames(&'a mut S),
    Parts(parts::Packer<'a, S>),
    Head(head::Packer<'a, S>),
}

impl<S: Sink> Sink for Packer<'_, S> {
    #[inline]
    fn frame(&mut self, frame: &[u8], more: bool) {
        match self {
            Packer::Frames(sink) => sink.frame(frame, more),
            Packer::Parts(packer) => packer.part(frame, more),
            Packer::Head(packer) => packer.frame(frame, more),
        }
    }

    #[inline]
    fn body_frame(&mut self, frames: &Frames, index: usize, more: bool) {
        match self {
            Packer::Frames(sink) => sink.body_frame(frames, index, more),
            Packer::Parts(packer) => packer.part(frames.get(index).unwrap_or_default(), more),
            Packer::Head(packer) => packer.body_frame(frames, index, more),
        }
    }
}
