//! The JSON dialects' encoder: commands to frames.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use majordomus_core::{
    CorrelationIdRef, Form, FramesView, FromClient, FromWorker, Outcome, ReplyView, Status,
    ToClientView, ToWorkerView, WorkerReply,
};

use super::decode::is_nothing;
use super::options;
use super::{
    CLIENT, DISCONNECT, ErrorPlace, FINAL, HEARTBEAT, Heartbeats, Manner, OF_REQUEST, OF_WORKER,
    PARTIAL, READY, REJECT, REQUEST, WORKER,
};
use crate::errors::code;
use crate::translate::{array_of, to_json};
use crate::{Json, Sink, hint};

const STATUS_DONE: &[u8] = b"0";
const STATUS_ERROR: &[u8] = b"-1";

impl Manner {
    pub(crate) fn encode_to_client(self, command: &ToClientView<'_>, sink: &mut impl Sink) {
        match command {
            ToClientView::Partial(reply) => {
                let data = self.data_to_client(reply).of_a_part();
                self.reply(PARTIAL, reply, Answer::Done(data), sink);
            }
            ToClientView::Final(reply) => {
                let data = self.data_to_client(reply).of_a_reply();
                self.reply(FINAL, reply, Answer::Done(data), sink);
            }
            ToClientView::Failed(outcome, reply) => {
                if self.table.client.told.contains(*outcome) {
                    let error = self.data_to_client(reply).of_an_error(*outcome, reply.body);
                    self.reply(FINAL, reply, Answer::Failed(error), sink);
                }
            }
            ToClientView::Heartbeat => {
                if self.table.answers {
                    bare(CLIENT, HEARTBEAT, sink);
                }
            }
            ToClientView::Welcome(_)
            | ToClientView::Notice { .. }
            | ToClientView::Disconnect(_) => {}
        }
    }

    pub(crate) fn encode_to_worker(self, command: &ToWorkerView<'_>, sink: &mut impl Sink) {
        match command {
            ToWorkerView::Registered { .. } => {
                if self.table.answers {
                    bare(WORKER, READY, sink);
                }
            }
            ToWorkerView::Request(request) => {
                let rule = hint::rule(request.body.note());
                let mut data = data(request.body, rule, false);
                if !self.table.options {
                    // Workers of a dialect without options do not accept `undefined` either.
                    data = data.of_a_reply();
                }
                head(WORKER, REQUEST, sink);
                sink.frame(&request.token.text(), true);
                if self.table.service_in_request {
                    sink.frame(request.service, true);
                }
                self.id(request.id, true, sink);
                data.write(self.table.options, sink);
                self.options(json_options(request.options, request.body), sink);
            }
            ToWorkerView::RequestKeepAlive { token, id } => {
                head(WORKER, HEARTBEAT, sink);
                sink.frame(&token.text(), true);
                self.id(*id, false, sink);
            }
            ToWorkerView::Heartbeat => bare(WORKER, HEARTBEAT, sink),
            ToWorkerView::Disconnect(_) => bare(WORKER, DISCONNECT, sink),
            ToWorkerView::Welcome(_)
            | ToWorkerView::Capacity { .. }
            | ToWorkerView::More { .. }
            | ToWorkerView::Cancel { .. } => {}
        }
    }

    pub(crate) fn encode_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        match command {
            FromClient::Request(request) => {
                head(CLIENT, REQUEST, sink);
                sink.frame(&request.service, true);
                request.id.as_ref().with_text(|id| sink.frame(id, true));
                data(request.body.view(), self.json, false).write(true, sink);
                let options = json_options(&request.options, request.body.view());
                if options.is_empty() {
                    let retry = self.table.heartbeats == Heartbeats::Named;
                    sink.frame(&options::of_request(request, retry), false);
                } else {
                    sink.frame(options, false);
                }
            }
            FromClient::Heartbeat => bare(CLIENT, HEARTBEAT, sink),
            FromClient::RequestKeepAlive { id } => {
                head(CLIENT, HEARTBEAT, sink);
                if self.table.heartbeats == Heartbeats::Named {
                    sink.frame(OF_REQUEST, true);
                }
                id.as_ref().with_text(|id| sink.frame(id, false));
            }
            FromClient::WorkerKeepAlive { worker } => {
                if self.table.heartbeats == Heartbeats::Named {
                    head(CLIENT, HEARTBEAT, sink);
                    sink.frame(OF_WORKER, true);
                    sink.frame(worker, false);
                }
            }
            FromClient::Hello(_)
            | FromClient::Cancel { .. }
            | FromClient::More { .. }
            | FromClient::Disconnect => {}
        }
    }

    pub(crate) fn encode_from_worker(self, command: &FromWorker, sink: &mut impl Sink) {
        match command {
            FromWorker::Ready { service } => {
                head(WORKER, READY, sink);
                sink.frame(service, false);
            }
            FromWorker::Partial(reply) => {
                let data = data(reply.body.view(), self.json, false).of_a_part();
                self.worker_reply(PARTIAL, reply, Answer::Done(data), sink);
            }
            FromWorker::Final(reply) => {
                let data = data(reply.body.view(), self.json, false).of_a_reply();
                self.worker_reply(FINAL, reply, Answer::Done(data), sink);
            }
            FromWorker::Rejected(reply) if self.table.worker.rejects => {
                let error = data(reply.body.view(), self.json, false);
                let error = error.of_an_error(Outcome::Rejected, reply.body.view());
                // The status is that of a success, as PIGATO's workers write it.
                self.worker_reply(REJECT, reply, Answer::Done(error), sink);
            }
            FromWorker::Failed(reply) | FromWorker::Rejected(reply) => {
                let error = data(reply.body.view(), self.json, false);
                let error = error.of_an_error(Outcome::Failed, reply.body.view());
                self.worker_reply(FINAL, reply, Answer::Failed(error), sink);
            }
            FromWorker::Heartbeat(status) => {
                if self.table.heartbeats == Heartbeats::Named && *status != Status::NOTHING {
                    head(WORKER, HEARTBEAT, sink);
                    sink.frame(b"", true);
                    sink.frame(&options::of_status(*status), false);
                } else {
                    bare(WORKER, HEARTBEAT, sink);
                }
            }
            FromWorker::Disconnect => bare(WORKER, DISCONNECT, sink),
            FromWorker::Hello(_) | FromWorker::Withdraw { .. } | FromWorker::AtWork { .. } => {}
        }
    }

    fn data_to_client<'a>(self, reply: &ReplyView<'a>) -> Data<'a> {
        data(reply.body, self.json, hint::asked_other(reply.asked))
    }

    fn reply(self, command: u8, reply: &ReplyView<'_>, answer: Answer<'_>, sink: &mut impl Sink) {
        head(CLIENT, command, sink);
        self.id(reply.id, true, sink);
        self.answer(answer, json_options(reply.options, reply.body), sink);
    }

    fn worker_reply(
        self,
        command: u8,
        reply: &WorkerReply,
        answer: Answer<'_>,
        sink: &mut impl Sink,
    ) {
        head(WORKER, command, sink);
        sink.frame(&reply.address, true);
        self.id(reply.id.as_ref(), true, sink);
        let options = json_options(&reply.options, reply.body.view());
        if options.is_empty() {
            self.answer(answer, &options::of_reply(reply.keep), sink);
        } else {
            self.answer(answer, options, sink);
        }
    }

    /// Encodes the request id, and the empty frame before it if the dialect has one.
    fn id(self, id: CorrelationIdRef<'_>, more: bool, sink: &mut impl Sink) {
        if self.table.separator {
            sink.frame(b"", true);
        }
        id.with_text(|id| sink.frame(id, more));
    }

    fn answer(self, answer: Answer<'_>, options: &[u8], sink: &mut impl Sink) {
        let (status, data) = match (answer, self.table.error) {
            (Answer::Done(data), _) => (STATUS_DONE, data),
            (Answer::Failed(error), ErrorPlace::Data) => (STATUS_ERROR, error),
            (Answer::Failed(error), ErrorPlace::Status) => {
                return error.other_than_nothing().write(false, sink);
            }
        };
        sink.frame(status, true);
        data.write(self.table.options, sink);
        self.options(options, sink);
    }

    fn options(self, options: &[u8], sink: &mut impl Sink) {
        if self.table.options {
            sink.frame(if options.is_empty() { b"{}" } else { options }, false);
        }
    }
}

/// Returns the options if they are JSON. Options beside a body of frames are packed headers
/// instead.
fn json_options<'a>(options: &'a [u8], body: FramesView<'_>) -> &'a [u8] {
    if body.form() == Form::Json { options } else { b"" }
}

fn head(header: &[u8], command: u8, sink: &mut impl Sink) {
    sink.frame(header, true);
    sink.frame(&[command], true);
}

/// Encodes a message that consists only of a command.
fn bare(header: &[u8], command: u8, sink: &mut impl Sink) {
    sink.frame(header, true);
    sink.frame(&[command], false);
}

/// The fields after the request id of an answer.
enum Answer<'a> {
    Done(Data<'a>),
    Failed(Data<'a>),
}

/// One JSON text.
enum Data<'a> {
    /// The sender's text: the only frame of the body.
    AsItIs(FramesView<'a>),
    Written(Vec<u8>),
    Word(&'static [u8]),
}

/// Translates a body to one JSON text.
fn data(body: FramesView<'_>, rule: Json, asked_other: bool) -> Data<'_> {
    match (body.form(), body.len()) {
        (Form::Frames, count) => match to_json(body, rule, asked_other) {
            Cow::Owned(text) => Data::Written(text),
            Cow::Borrowed(_) if count == 1 => Data::AsItIs(body),
            Cow::Borrowed(_) => Data::Word(b"null"),
        },
        (Form::Json, 0) => Data::Word(b"null"),
        (Form::Json, 1) => Data::AsItIs(body),
        // Parts collected for a client that accepts no partial replies.
        (Form::Json, count) => {
            Data::Written(array_of(body, count + 1, |text, array| array.extend_from_slice(text)))
        }
    }
}

impl Data<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Data::AsItIs(body) => body.get(0).unwrap_or_default(),
            Data::Written(text) => text,
            Data::Word(word) => word,
        }
    }

    /// Returns true for the word that JavaScript writes for no value, which is not JSON.
    fn is_undefined(&self) -> bool {
        matches!(self.bytes().trim_ascii(), b"" | b"undefined")
    }

    /// Returns the data of a reply. Clients parse it as JSON and crash on anything else.
    fn of_a_reply(self) -> Self {
        if self.is_undefined() { Data::Word(b"null") } else { self }
    }

    /// Returns the data of a partial reply. A part of `null` would end the client's stream.
    fn of_a_part(self) -> Self {
        let ends = self.is_undefined() || self.bytes().trim_ascii() == b"null";
        if ends { Data::Word(b"\"\"") } else { self }
    }

    /// Returns the error in `body`, or the outcome's code if there is none.
    fn of_an_error(self, outcome: Outcome, body: FramesView<'_>) -> Self {
        if body.bytes() == 0 || self.is_undefined() {
            return Data::Written(format!("\"{}\"", code(outcome)).into_bytes());
        }
        self
    }

    /// Returns an error as a string if a client would otherwise interpret it as no error.
    fn other_than_nothing(self) -> Self {
        match self.bytes().trim_ascii() {
            // The client parses these to values that are false in JavaScript.
            text if is_nothing(text) || matches!(text, b"null" | b"false") => {
                Data::Written([b"\"", text, b"\""].concat())
            }
            _ => self,
        }
    }

    fn write(&self, more: bool, sink: &mut impl Sink) {
        match self {
            Data::AsItIs(body) => sink.body_frame(body, 0, more),
            Data::Written(text) => sink.frame(text, more),
            Data::Word(word) => sink.frame(word, more),
        }
    }
}
