//! Frames to commands. Frames beyond those that are known are left alone: PIGATO passes them on, and
//! no library reads them.

use bytes::Bytes;
use majordomus_core::{
    Farewell, Form, Frames, FromClient, FromWorker, Label, Outcome, Reply, Request, Status,
    ToClient, ToWorker, WorkerReply, WorkerRequest,
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
use crate::{Error, Offence, Side, errors, note};

/// Where the command is, behind the header.
const COMMAND_AT: usize = 1;

impl Manner {
    pub(crate) fn decode_from_client(self, message: Frames) -> Result<FromClient, Error> {
        match self.command(&message, Side::Client)? {
            REQUEST => {
                // A client of these dialects can be told that there is no such service.
                let service = match service_at(&message, 2) {
                    Err(error) if error.offence() == &Offence::MissingService => return Err(error),
                    service => service.unwrap_or_default(),
                };
                let id = id_at(&message, 3)?;
                let options = message.shared(5).unwrap_or_default();
                let said = RequestOptions::read(&options);
                let body = asked_at(&message, 4);
                Ok(FromClient::Request(Request {
                    id,
                    timeout: said.timeout,
                    redeliver: said.redeliver,
                    target: said.target,
                    fresh: said.fresh,
                    durable: said.durable,
                    options,
                    ..Request::new(service, body)
                }))
            }
            HEARTBEAT => self.client_heartbeat(&message),
            command => {
                let known = matches!(command, FINAL | PARTIAL) || self.is_reject(command);
                Err(Error::at(COMMAND_AT, wrong_command(command, known)))
            }
        }
    }

    pub(crate) fn decode_from_worker(self, message: Frames) -> Result<FromWorker, Error> {
        match self.command(&message, Side::Worker)? {
            READY => Ok(FromWorker::Ready { service: service_at(&message, 2)? }),
            FINAL => {
                let answer = self.answer_of_worker(&message)?;
                Ok(match answer.failed {
                    true => FromWorker::Failed(answer.into_worker_reply()),
                    false => FromWorker::Final(answer.into_worker_reply()),
                })
            }
            PARTIAL => {
                let answer = self.answer_of_worker(&message)?;
                Ok(FromWorker::Partial(answer.into_worker_reply()))
            }
            command if self.is_reject(command) => {
                let answer = self.answer_of_worker(&message)?;
                Ok(FromWorker::Rejected(answer.into_worker_reply()))
            }
            HEARTBEAT => Ok(FromWorker::Heartbeat(self.status_at(&message, 3))),
            DISCONNECT => Ok(FromWorker::Disconnect),
            command => Err(Error::at(COMMAND_AT, wrong_command(command, command == REQUEST))),
        }
    }

    pub(crate) fn decode_to_client(self, message: Frames) -> Result<ToClient, Error> {
        match self.command(&message, Side::Client)? {
            FINAL => {
                let answer = self.answer_to_client(&message)?;
                Ok(match answer.failed {
                    true => ToClient::Failed(self.outcome(&answer.body), answer.into_reply()),
                    false => ToClient::Final(answer.into_reply()),
                })
            }
            PARTIAL => {
                let answer = self.answer_to_client(&message)?;
                Ok(ToClient::Partial(answer.into_reply()))
            }
            // Our broker never says so; PIGATO's does.
            command if self.is_reject(command) => {
                let answer = self.answer_to_client(&message)?;
                Ok(ToClient::Failed(Outcome::Rejected, answer.into_reply()))
            }
            HEARTBEAT => Ok(ToClient::Heartbeat),
            command => Err(Error::at(COMMAND_AT, wrong_command(command, command == REQUEST))),
        }
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        match self.command(&message, Side::Worker)? {
            READY if self.table.answers => {
                let (service, worker) = (Label::empty(), Label::empty());
                Ok(ToWorker::Registered { service, worker })
            }
            REQUEST => {
                let address = address_at(&message, 2)?;
                let mut at = 3;
                let mut service = Label::empty();
                if self.table.service_in_request {
                    service = service_at(&message, at)?;
                    at += 1;
                }
                let at = self.after_separator(&message, at)?;
                let id = id_at(&message, at)?;
                let body = asked_at(&message, at + 1);
                let options = self.options_at(&message, at + 2);
                let request = WorkerRequest::new(address, service, body);
                Ok(ToWorker::Request(WorkerRequest { id, options, ..request }))
            }
            HEARTBEAT if message.len() > COMMAND_AT + 1 => {
                let address = address_at(&message, 2)?;
                let at = self.after_separator(&message, 3)?;
                Ok(ToWorker::StillWanted { address, id: id_at(&message, at)? })
            }
            HEARTBEAT => Ok(ToWorker::Heartbeat),
            DISCONNECT => Ok(ToWorker::Disconnect(Farewell::Unsaid)),
            command => {
                let known = matches!(command, READY | FINAL | PARTIAL) || self.is_reject(command);
                Err(Error::at(COMMAND_AT, wrong_command(command, known)))
            }
        }
    }

    /// Reads header and command.
    fn command(self, message: &Frames, side: Side) -> Result<u8, Error> {
        let expected = match side {
            Side::Client => CLIENT,
            Side::Worker => WORKER,
        };
        match message.get(0) {
            None => Err(Error::of_message(Offence::NoFrames)),
            Some([]) => Err(Error::at(0, Offence::UnexpectedDelimiter)),
            Some(header) if header == expected => command_at(message, COMMAND_AT),
            Some(header) => Err(Error::at(0, wrong_header(header, self.table.dialect, side))),
        }
    }

    fn is_reject(self, command: u8) -> bool {
        command == REJECT && self.table.worker.rejects
    }

    fn after_separator(self, message: &Frames, at: usize) -> Result<usize, Error> {
        if !self.table.separator {
            return Ok(at);
        }
        separator_at(message, at).map(|()| at + 1)
    }

    /// A heartbeat of a kind that nobody knows is one all the same.
    fn client_heartbeat(self, message: &Frames) -> Result<FromClient, Error> {
        let request_at = match (self.table.heartbeats, message.get(2)) {
            // PIGATO's clients write one word, and its broker looks for the other.
            (Heartbeats::Named, Some(OF_REQUEST | b"req")) => 3,
            (Heartbeats::Named, Some(OF_WORKER)) => {
                return Ok(match message.get(3) {
                    // A longer one is no routing id.
                    Some(worker @ [_, ..]) if worker.len() <= ADDRESS_BYTES_MAX => {
                        FromClient::Vouch { worker: Label::from(worker) }
                    }
                    _ => FromClient::Heartbeat,
                });
            }
            (Heartbeats::Named, _) => return Ok(FromClient::Heartbeat),
            (Heartbeats::Plain, _) => 2,
        };
        if message.len() <= request_at {
            return Ok(FromClient::Heartbeat);
        }
        Ok(FromClient::StillWanted { id: id_at(message, request_at)? })
    }

    fn status_at(self, message: &Frames, at: usize) -> Status {
        match (self.table.heartbeats, message.get(at)) {
            (Heartbeats::Named, Some(options)) => options::status(options),
            _ => Status::NOTHING,
        }
    }

    fn answer_of_worker(self, message: &Frames) -> Result<Answer, Error> {
        let address = address_at(message, 2)?;
        let at = self.after_separator(message, 3)?;
        self.answer_at(message, at, address)
    }

    /// No client looks at the frame before the id.
    fn answer_to_client(self, message: &Frames) -> Result<Answer, Error> {
        self.answer_at(message, 2 + usize::from(self.table.separator), Label::empty())
    }

    /// What an error says. The broker's own are words, as JSON.
    fn outcome(self, error: &Frames) -> Outcome {
        let text = error.get(0).unwrap_or_default().trim_ascii();
        let word = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        errors::outcome(word.unwrap_or_default(), self.table.client.told)
    }

    /// An answer, from the id on.
    fn answer_at(self, message: &Frames, at: usize, address: Label) -> Result<Answer, Error> {
        let id = id_at(message, at)?;
        let status_at = at + 1;
        let status = message.get(status_at).unwrap_or_default();
        let failed = match self.table.error {
            ErrorPlace::Data => is_error_status(status),
            ErrorPlace::Status => !is_nothing(status),
        };
        let error_in_status = failed && self.table.error == ErrorPlace::Status;
        // A REJECT has a status too, but not in all descriptions of the protocol.
        let short_reject =
            message.get(COMMAND_AT) == Some(&[REJECT]) && message.len() == status_at + 1;
        let place = if error_in_status || short_reject { status_at } else { status_at + 1 };
        let (options, body) = (self.options_at(message, place + 1), data_at(message, place));
        Ok(Answer { address, id, failed, options, body })
    }

    fn options_at(self, message: &Frames, at: usize) -> Bytes {
        if self.table.options { message.shared(at).unwrap_or_default() } else { Bytes::new() }
    }
}

/// What an answer has in both directions.
struct Answer {
    address: Label,
    id: Label,
    failed: bool,
    options: Bytes,
    body: Frames,
}

impl Answer {
    fn into_worker_reply(self) -> WorkerReply {
        let keep = options::keep(&self.options);
        let Self { address, id, options, body, .. } = self;
        WorkerReply { id, keep, options, ..WorkerReply::new(address, body) }
    }

    fn into_reply(self) -> Reply {
        let Self { id, options, body, .. } = self;
        Reply { id, options, ..Reply::new(Label::empty(), body) }
    }
}

/// The data of a request; there is a body only where there is a text.
fn asked_at(message: &Frames, at: usize) -> Frames {
    let body = data_at(message, at);
    let noted = body.get(0).map_or(0, note::of_json);
    body.in_form(Form::Json, noted)
}

fn data_at(message: &Frames, at: usize) -> Frames {
    match message.shared(at) {
        Some(data) if !data.is_empty() => Frames::single(data),
        _ => Frames::empty(),
    }
    .in_form(Form::Json, 0)
}

/// Whether a status is an error: any number but 0, as PIGATO's clients read it.
fn is_error_status(status: &[u8]) -> bool {
    number(status).is_some_and(|number| number != 0.0 && !number.is_nan())
}

/// Whether what stands for an error is none, as zmq-omdp's clients read it.
pub(super) fn is_nothing(error: &[u8]) -> bool {
    error.trim_ascii().is_empty() || number(error) == Some(0.0)
}

fn number(text: &[u8]) -> Option<f64> {
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}
