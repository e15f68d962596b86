//! The MDP encoder: commands to frames.

use majordomus_core::{
    Form, FramesView, FromClient, FromWorker, Outcome, ReplyView, ToClientView, ToWorkerView,
    WorkerReply,
};

use super::{Delimiter, Framing, Manner, NoBody, head, parts};
use crate::body::as_frames;
use crate::errors::{bare_error_text, error_text};
use crate::{Errors, Side, Sink, UnsupportedOption};

impl Manner {
    #[inline]
    pub(crate) fn encode_to_client(
        self,
        command: &ToClientView<'_>,
        errors: Errors,
        sink: &mut impl Sink,
    ) {
        match self.table.framing {
            Framing::Frames => self.write_to_client(command, errors, sink),
            Framing::Parts => self.write_to_client(command, errors, &mut parts::Packer::new(sink)),
            Framing::Head => {
                self.write_to_client(command, errors, &mut head::Packer::new(Side::Client, sink));
            }
        }
    }

    #[inline]
    pub(crate) fn encode_to_worker(self, command: &ToWorkerView<'_>, sink: &mut impl Sink) {
        match self.table.framing {
            Framing::Frames => self.write_to_worker(command, sink),
            Framing::Parts => self.write_to_worker(command, &mut parts::Packer::new(sink)),
            Framing::Head => {
                self.write_to_worker(command, &mut head::Packer::new(Side::Worker, sink));
            }
        }
    }

    pub(crate) fn encode_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        match self.table.framing {
            Framing::Frames => self.write_from_client(command, sink),
            Framing::Parts => self.write_from_client(command, &mut parts::Packer::new(sink)),
            Framing::Head => {
                self.write_from_client(command, &mut head::Packer::new(Side::Client, sink));
            }
        }
    }

    pub(crate) fn encode_from_worker(
        self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), UnsupportedOption> {
        match self.table.framing {
            Framing::Frames => self.write_from_worker(command, sink),
            Framing::Parts => self.write_from_worker(command, &mut parts::Packer::new(sink)),
            Framing::Head => {
                self.write_from_worker(command, &mut head::Packer::new(Side::Worker, sink))
            }
        }
    }

    fn write_to_client(self, command: &ToClientView<'_>, errors: Errors, sink: &mut impl Sink) {
        let replies = self.table.client.replies.as_ref();
        let last = replies.map(|replies| replies.last);
        match command {
            ToClientView::Final(reply) => {
                self.reply(last, reply, sink, |frame, sink| self.body(frame, &reply.body, sink));
            }
            ToClientView::Partial(reply) => {
                if let Some(replies) = replies {
                    self.reply(Some(replies.partial), reply, sink, |frame, sink| {
                        self.body(frame, &reply.body, sink);
                    });
                }
            }
            ToClientView::Failed(outcome, reply) => {
                let nak = replies.and_then(|replies| replies.nak.as_ref());
                if let Some(nak) = nak.filter(|nak| nak.outcomes.contains(*outcome)) {
                    let text = bare_error_text(*outcome, as_frames(reply.body).view());
                    self.reply(Some(nak.command), reply, sink, |frame, sink| {
                        text_behind(frame, &text, sink);
                    });
                } else if errors.told().contains(*outcome) {
                    let text = error_text(*outcome, as_frames(reply.body).view());
                    self.reply(last, reply, sink, |frame, sink| text_behind(frame, &text, sink));
                }
            }
            ToClientView::Welcome(_)
            | ToClientView::Notice { .. }
            | ToClientView::Heartbeat
            | ToClientView::Disconnect(_) => {}
        }
    }

    fn write_to_worker(self, command: &ToWorkerView<'_>, sink: &mut impl Sink) {
        let worker = &self.table.worker;
        match command {
            ToWorkerView::Request(request) => {
                self.head(worker.header, sink);
                sink.frame(&[worker.request], true);
                sink.frame(&request.token.text(), true);
                // A worker that sends an optional leading empty frame is majortomo's, even if its
                // listener is pinned to another dialect. It ignores a request without a body.
                let of_majortomo = self.delimiter && self.table.delimiter == Delimiter::Optional;
                body_behind(b"", &request.body, self.fills_body() || of_majortomo, sink);
            }
            ToWorkerView::Heartbeat => self.bare(worker.heartbeat, sink),
            ToWorkerView::Disconnect(_) => self.bare(worker.disconnect, sink),
            ToWorkerView::Welcome(_)
            | ToWorkerView::Registered { .. }
            | ToWorkerView::RequestKeepAlive { .. }
            | ToWorkerView::Capacity { .. }
            | ToWorkerView::More { .. }
            | ToWorkerView::Cancel { .. } => {}
        }
    }

    fn write_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        let client = &self.table.client;
        match command {
            FromClient::Request(request) => {
                self.head(client.header, sink);
                if let Some(request) = client.request {
                    sink.frame(&[request], true);
                }
                self.body(&request.service, &request.body.view(), sink);
            }
            FromClient::Hello(_)
            | FromClient::Heartbeat
            | FromClient::RequestKeepAlive { .. }
            | FromClient::WorkerKeepAlive { .. }
            | FromClient::Cancel { .. }
            | FromClient::More { .. }
            | FromClient::Disconnect => {}
        }
    }

    fn write_from_worker(
        self,
        command: &FromWorker,
        sink: &mut impl Sink,
    ) -> Result<(), UnsupportedOption> {
        let worker = &self.table.worker;
        match command {
            FromWorker::Ready { service } => {
                self.head(worker.header, sink);
                sink.frame(&[worker.ready], true);
                sink.frame(service, false);
            }
            FromWorker::Partial(reply) => {
                let unsayable = UnsupportedOption { dialect: self.table.dialect };
                let partial = worker.partial.ok_or(unsayable)?;
                self.worker_reply(partial, reply, sink);
                self.body(b"", &reply.body.view(), sink);
            }
            FromWorker::Final(reply) => {
                self.worker_reply(worker.last, reply, sink);
                self.body(b"", &reply.body.view(), sink);
            }
            // A rejection is encoded as a failure: the dialects have no command to reject a
            // request.
            FromWorker::Failed(reply) | FromWorker::Rejected(reply) => {
                let text = error_text(Outcome::Failed, as_frames(reply.body.view()).view());
                self.worker_reply(worker.last, reply, sink);
                text_behind(b"", &text, sink);
            }
            FromWorker::Heartbeat(_) => self.bare(worker.heartbeat, sink),
            FromWorker::Disconnect => self.bare(worker.disconnect, sink),
            FromWorker::Hello(_) | FromWorker::Withdraw { .. } | FromWorker::AtWork { .. } => {}
        }
        Ok(())
    }

    /// Encodes a command to a client. `end` gets the last frame before the body, and writes both.
    fn reply<S: Sink>(
        self,
        command: Option<u8>,
        reply: &ReplyView<'_>,
        sink: &mut S,
        end: impl FnOnce(&[u8], &mut S),
    ) {
        self.head(self.table.client.header, sink);
        match (command, self.table.client.service_in_reply) {
            (Some(command), true) => {
                sink.frame(&[command], true);
                end(reply.service, sink);
            }
            (Some(command), false) => end(&[command], sink),
            (None, _) => end(reply.service, sink),
        }
    }

    /// Encodes a worker's reply up to, but not including, the empty frame before the body.
    fn worker_reply(self, command: u8, reply: &WorkerReply, sink: &mut impl Sink) {
        self.head(self.table.worker.header, sink);
        sink.frame(&[command], true);
        sink.frame(&reply.address, true);
    }

    /// Encodes a worker's message that consists only of a command.
    fn bare(self, command: u8, sink: &mut impl Sink) {
        self.head(self.table.worker.header, sink);
        sink.frame(&[command], false);
    }

    #[inline]
    fn head(self, header: &[u8], sink: &mut impl Sink) {
        if self.delimiter {
            sink.frame(b"", true);
        }
        sink.frame(header, true);
    }

    fn fills_body(self) -> bool {
        self.table.no_body != NoBody::Kept
    }

    /// Writes the frame before a body, and the body.
    #[inline]
    fn body(self, frame: &[u8], body: &FramesView<'_>, sink: &mut impl Sink) {
        body_behind(frame, body, self.fills_body(), sink);
    }
}

/// Writes the frame before a body, and the body. If `filled`, an empty body is written as one empty
/// frame.
#[inline]
fn body_behind(frame: &[u8], body: &FramesView<'_>, filled: bool, sink: &mut impl Sink) {
    match body.form() {
        Form::Frames if filled && body.is_empty() => {
            sink.frame(frame, true);
            sink.frame(b"", false);
        }
        Form::Frames => sink.frame_and_body(frame, body),
        Form::Json => translated_behind(frame, body, filled, sink),
    }
}

#[inline(never)]
fn translated_behind(frame: &[u8], body: &FramesView<'_>, filled: bool, sink: &mut impl Sink) {
    body_behind(frame, &as_frames(*body).view(), filled, sink);
}

fn text_behind(frame: &[u8], text: &str, sink: &mut impl Sink) {
    sink.frame(frame, true);
    sink.frame(text.as_bytes(), false);
}
