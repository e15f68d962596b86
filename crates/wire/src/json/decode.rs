//! The JSON dialects' decoder: frames to commands. Excess frames are ignored: PIGATO forwards them,
//! and no library reads them.

use bytes::Bytes;
use majordomus_core::{
    ByteStr, CODE_UNSAID, CorrelationIdRef, DisconnectReason, Form, Frames, FramesView,
    FromClientView, FromWorkerView, Outcome, Reply, RequestView, Status, ToClient, ToWorker,
    WorkerReplyView, WorkerRequest,
};

use super::options::{self, RequestOptions};
use super::{
    CLIENT, DISCONNECT, ErrorPlace, FINAL, HEARTBEAT, Heartbeats, Manner, OF_REQUEST, OF_WORKER,
    PARTIAL, READY, REJECT, REQUEST, WORKER,
};
use crate::detect::wrong_header;
use crate::reading::{
    ADDRESS_BYTES_MAX, address_at, command_at, id_at, separator_at, service_at, wrong_command,
};
use crate::service::check_service_name;
use crate::{Error, Scratch, Side, Violation, errors, hint};

/// The index of the command frame, after the header.
const COMMAND_AT: usize = 1;

impl Manner {
    pub(crate) fn decode_from_client<'a>(
        self,
        message: FramesView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<FromClientView<'a>, Error> {
        match self.command(message, Side::Client)? {
            REQUEST => {
                let service = message.get(2);
                let service = service.ok_or_else(|| Error::at(2, Violation::MissingService))?;
                // Clients of these dialects can be sent a no-such-service error, so an invalid name
                // is not a violation.
                let service = if check_service_name(service).is_ok() { service } else { b"" };
                let id = id_at(message, 3)?;
                let options = message.get(5).unwrap_or_default();
                let said = RequestOptions::read(options, &mut scratch.target);
                let body = asked_at(message, 4);
                Ok(FromClientView::Request(RequestView {
                    id,
                    timeout: said.timeout,
                    redeliver: said.redeliver,
                    target: said.target,
                    fresh: said.fresh,
                    durable: said.durable,
                    options,
                    ..RequestView::new(service, body)
                }))
            }
            HEARTBEAT => self.client_heartbeat(message),
            command => {
                let known = matches!(command, FINAL | PARTIAL) || self.is_reject(command);
                Err(Error::at(COMMAND_AT, wrong_command(command, known)))
            }
        }
    }

    pub(crate) fn decode_from_worker<'a>(
        self,
        message: FramesView<'a>,
    ) -> Result<FromWorkerView<'a>, Error> {
        match self.command(message, Side::Worker)? {
            READY => Ok(FromWorkerView::Ready { service: service_at(message, 2)? }),
            command if matches!(command, FINAL | PARTIAL) || self.is_reject(command) => {
                let address = address_at(message, 2)?;
                let answer = self.answer_at(message, self.after_separator(message, 3)?)?;
                let options = self.options_at(message, answer).get(0).unwrap_or_default();
                let reply = WorkerReplyView {
                    address,
                    id: answer.id,
                    keep: options::keep(options),
                    code: CODE_UNSAID,
                    options,
                    body: data_at(message, answer.data_at),
                };
                Ok(match command {
                    PARTIAL => FromWorkerView::Partial(reply),
                    FINAL if answer.failed => FromWorkerView::Failed(reply),
                    FINAL => FromWorkerView::Final(reply),
                    _ => FromWorkerView::Rejected(reply),
                })
            }
            HEARTBEAT => Ok(FromWorkerView::Heartbeat(self.status_at(message, 3))),
            DISCONNECT => Ok(FromWorkerView::Disconnect),
            command => Err(Error::at(COMMAND_AT, wrong_command(command, command == REQUEST))),
        }
    }

    pub(crate) fn decode_to_client(self, message: Frames) -> Result<ToClient, Error> {
        let view = message.view();
        match self.command(view, Side::Client)? {
            command if matches!(command, FINAL | PARTIAL) || self.is_reject(command) => {
                // No client reads the frame before the id.
                let answer = self.answer_at(view, 2 + usize::from(self.table.separator))?;
                let body = data_at(view, answer.data_at);
                let reply = Reply {
                    id: answer.id.to_owned(),
                    options: self.options_at(view, answer).share(0).unwrap_or_default(),
                    ..Reply::new(ByteStr::empty(), body.to_frames())
                };
                Ok(match command {
                    PARTIAL => ToClient::Partial(reply),
                    FINAL if answer.failed => ToClient::Failed(self.outcome(body), reply),
                    FINAL => ToClient::Final(reply),
                    // Only PIGATO's broker sends this.
                    _ => ToClient::Failed(Outcome::Rejected, reply),
                })
            }
            HEARTBEAT => Ok(ToClient::Heartbeat),
            command => Err(Error::at(COMMAND_AT, wrong_command(command, command == REQUEST))),
        }
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        let view = message.view();
        match self.command(view, Side::Worker)? {
            READY if self.table.answers => {
                let (service, worker) = (ByteStr::empty(), ByteStr::empty());
                Ok(ToWorker::Registered { service, worker })
            }
            REQUEST => {
                let address = address_at(view, 2)?;
                let mut at = 3;
                let mut service: &[u8] = b"";
                if self.table.service_in_request {
                    service = service_at(view, at)?;
                    at += 1;
                }
                let at = self.after_separator(view, at)?;
                let id = id_at(view, at)?.to_owned();
                let body = asked_at(view, at + 1).to_frames();
                let options = match self.table.options {
                    true => view.share(at + 2).unwrap_or_default(),
                    false => Bytes::new(),
                };
                let request = WorkerRequest::new(address, service, body);
                Ok(ToWorker::Request(WorkerRequest { id, options, ..request }))
            }
            HEARTBEAT if message.len() > COMMAND_AT + 1 => {
                let address = ByteStr::from(address_at(view, 2)?);
                let at = self.after_separator(view, 3)?;
                Ok(ToWorker::RequestKeepAlive { address, id: id_at(view, at)?.to_owned() })
            }
            HEARTBEAT => Ok(ToWorker::Heartbeat),
            DISCONNECT => Ok(ToWorker::Disconnect(DisconnectReason::Unsaid)),
            command => {
                let known = matches!(command, READY | FINAL | PARTIAL) || self.is_reject(command);
                Err(Error::at(COMMAND_AT, wrong_command(command, known)))
            }
        }
    }

    /// Decodes the header and the command.
    #[inline(always)]
    fn command(self, message: FramesView<'_>, side: Side) -> Result<u8, Error> {
        let expected = match side {
            Side::Client => CLIENT,
            Side::Worker => WORKER,
        };
        match message.get(0) {
            None => Err(Error::of_message(Violation::NoFrames)),
            Some([]) => Err(Error::at(0, Violation::UnexpectedDelimiter)),
            Some(header) if header == expected => command_at(message, COMMAND_AT),
            Some(header) => Err(Error::at(0, wrong_header(header, self.table.dialect, side))),
        }
    }

    fn is_reject(self, command: u8) -> bool {
        command == REJECT && self.table.worker.rejects
    }

    fn after_separator(self, message: FramesView<'_>, at: usize) -> Result<usize, Error> {
        if !self.table.separator {
            return Ok(at);
        }
        separator_at(message, at).map(|()| at + 1)
    }

    /// Decodes a client's heartbeat. A heartbeat of an unknown kind is a plain heartbeat.
    fn client_heartbeat<'a>(self, message: FramesView<'a>) -> Result<FromClientView<'a>, Error> {
        let request_at = match (self.table.heartbeats, message.get(2)) {
            // PIGATO's clients write one word, and its broker expects the other.
            (Heartbeats::Named, Some(OF_REQUEST | b"req")) => 3,
            (Heartbeats::Named, Some(OF_WORKER)) => {
                return Ok(match message.get(3) {
                    // A longer text is not a routing id.
                    Some(worker @ [_, ..]) if worker.len() <= ADDRESS_BYTES_MAX => {
                        FromClientView::WorkerKeepAlive { worker }
                    }
                    _ => FromClientView::Heartbeat,
                });
            }
            (Heartbeats::Named, _) => return Ok(FromClientView::Heartbeat),
            (Heartbeats::Plain, _) => 2,
        };
        if message.len() <= request_at {
            return Ok(FromClientView::Heartbeat);
        }
        Ok(FromClientView::RequestKeepAlive { id: id_at(message, request_at)? })
    }

    fn status_at(self, message: FramesView<'_>, at: usize) -> Status {
        match (self.table.heartbeats, message.get(at)) {
            (Heartbeats::Named, Some(options)) => options::status(options),
            _ => Status::NOTHING,
        }
    }

    /// Returns the outcome of an error. The broker's own errors are codes in a JSON string.
    fn outcome(self, error: FramesView<'_>) -> Outcome {
        let text = error.get(0).unwrap_or_default().trim_ascii();
        let word = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        errors::outcome(word.unwrap_or_default(), self.table.client.told)
    }

    /// Decodes an answer, starting at its id.
    #[inline(always)]
    fn answer_at<'a>(self, message: FramesView<'a>, at: usize) -> Result<Answer<'a>, Error> {
        let id = id_at(message, at)?;
        let status_at = at + 1;
        let status = message.get(status_at).unwrap_or_default();
        let failed = match self.table.error {
            ErrorPlace::Data => is_error_status(status),
            ErrorPlace::Status => !is_nothing(status),
        };
        let error_in_status = failed && self.table.error == ErrorPlace::Status;
        // A REJECT has a status too, but some descriptions of the protocol omit it.
        let short_reject =
            message.len() == status_at + 1 && message.get(COMMAND_AT) == Some(&[REJECT]);
        let data_at = if error_in_status || short_reject { status_at } else { status_at + 1 };
        Ok(Answer { id, failed, data_at })
    }

    /// Returns the options of an answer, as one frame or none.
    #[inline]
    fn options_at<'a>(self, message: FramesView<'a>, answer: Answer<'_>) -> FramesView<'a> {
        if self.table.options { message.only(answer.data_at + 1) } else { FramesView::EMPTY }
    }
}

/// The fields of an answer in both directions.
#[derive(Clone, Copy)]
struct Answer<'a> {
    id: CorrelationIdRef<'a>,
    failed: bool,
    /// The index of its data frame. The options follow.
    data_at: usize,
}

/// Returns the data of a request as a body. The body is empty if there is no text.
fn asked_at(message: FramesView<'_>, at: usize) -> FramesView<'_> {
    let body = data_at(message, at);
    body.in_form(Form::Json, body.get(0).map_or(0, hint::of_json))
}

fn data_at(message: FramesView<'_>, at: usize) -> FramesView<'_> {
    match message.get(at) {
        Some([_, ..]) => message.only(at),
        _ => FramesView::EMPTY,
    }
    .in_form(Form::Json, 0)
}

/// Returns true if a status is an error: any number but 0, as PIGATO's clients interpret it.
fn is_error_status(status: &[u8]) -> bool {
    number(status).is_some_and(|number| number != 0.0 && !number.is_nan())
}

/// Returns true if the value of an error field means no error, as zmq-omdp's clients interpret it.
pub(super) fn is_nothing(error: &[u8]) -> bool {
    error.trim_ascii().is_empty() || number(error) == Some(0.0)
}

fn number(text: &[u8]) -> Option<f64> {
    // The usual status.
    if text == b"0" {
        return Some(0.0);
    }
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}
