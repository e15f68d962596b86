//! Frames to commands. Frames are read from the front; `at` is the one that is looked at.

use majordomus_core::{
    Form, Frames, FromClient, FromWorker, Label, Outcome, Reply, Request, ToClient, ToWorker,
    WorkerReply, WorkerRequest,
};

use super::Manner;
use crate::detect::wrong_header;
use crate::errors::ERROR_PREFIX;
use crate::reading::{address_at, command_at, separator_at, service_at, wrong_command};
use crate::{Error, Errors, Offence, Side, note};

impl Manner {
    pub(crate) fn decode_from_client(self, message: Frames) -> Result<FromClient, Error> {
        let mut at = self.after_header(&message, Side::Client)?;
        if let Some(commands) = &self.table.client.commands {
            let command = command_at(&message, at)?;
            if command != commands.request {
                let known = command == commands.partial || command == commands.last;
                return Err(Error::at(at, wrong_command(command, known)));
            }
            at += 1;
        }
        let service = service_at(&message, at)?;
        let body = message.skip(at + 1).in_form(Form::Frames, note::of_frames(self.json));
        if self.table.needs_body && body.is_empty() {
            return Err(Error::at(at + 1, Offence::MissingBody));
        }
        Ok(FromClient::Request(Request::new(service, body)))
    }

    pub(crate) fn decode_from_worker(self, message: Frames) -> Result<FromWorker, Error> {
        let worker = &self.table.worker;
        let at = self.after_header(&message, Side::Worker)?;
        let command = command_at(&message, at)?;
        let next = at + 1;
        if command == worker.last {
            Ok(FromWorker::Final(worker_reply_at(message, next)?))
        } else if Some(command) == worker.partial {
            Ok(FromWorker::Partial(worker_reply_at(message, next)?))
        } else if command == worker.heartbeat {
            end_at(&message, next).map(|()| FromWorker::HEARTBEAT)
        } else if command == worker.ready {
            let service = service_at(&message, next)?;
            end_at(&message, next + 1).map(|()| FromWorker::Ready { service })
        } else if command == worker.disconnect {
            end_at(&message, next).map(|()| FromWorker::Disconnect)
        } else {
            Err(Error::at(at, wrong_command(command, command == worker.request)))
        }
    }

    pub(crate) fn decode_to_client(
        self,
        message: Frames,
        errors: Errors,
    ) -> Result<ToClient, Error> {
        let client = &self.table.client;
        let mut at = self.after_header(&message, Side::Client)?;
        let mut partial = false;
        if let Some(commands) = &client.commands {
            let command = command_at(&message, at)?;
            partial = command == commands.partial;
            if !partial && command != commands.last {
                let known = command == commands.request;
                return Err(Error::at(at, wrong_command(command, known)));
            }
            at += 1;
        }
        let mut service = Label::empty();
        if client.service_in_reply {
            service = service_at(&message, at)?;
            at += 1;
        }
        let reply = Reply::new(service, message.skip(at));
        if partial {
            return Ok(ToClient::Partial(reply));
        }
        match error_in(&reply.body) {
            Some(body) if errors == Errors::Final => {
                Ok(ToClient::Failed(Outcome::Failed, Reply { body, ..reply }))
            }
            _ => Ok(ToClient::Final(reply)),
        }
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        let worker = &self.table.worker;
        let at = self.after_header(&message, Side::Worker)?;
        let command = command_at(&message, at)?;
        let next = at + 1;
        if command == worker.request {
            let (address, body_at) = addressed_at(&message, next)?;
            let body = message.skip(body_at);
            Ok(ToWorker::Request(WorkerRequest::new(address, Label::empty(), body)))
        } else if command == worker.heartbeat {
            end_at(&message, next).map(|()| ToWorker::Heartbeat)
        } else if command == worker.disconnect {
            end_at(&message, next).map(|()| ToWorker::Disconnect)
        } else {
            let known = command == worker.ready
                || command == worker.last
                || Some(command) == worker.partial;
            Err(Error::at(at, wrong_command(command, known)))
        }
    }

    /// Reads the leading empty frame and the header, and says where the next frame is.
    fn after_header(self, message: &Frames, side: Side) -> Result<usize, Error> {
        let Some(first) = message.get(0) else {
            return Err(Error::of_message(Offence::NoFrames));
        };
        match (self.delimiter, first.is_empty()) {
            (true, false) => return Err(Error::at(0, Offence::DelimiterMissing)),
            (false, true) => return Err(Error::at(0, Offence::UnexpectedDelimiter)),
            (true, true) | (false, false) => {}
        }
        let at = usize::from(self.delimiter);
        let expected = match side {
            Side::Client => self.table.client.header,
            Side::Worker => self.table.worker.header,
        };
        match message.get(at) {
            None => Err(Error::at(at, Offence::MissingHeader)),
            Some(header) if header == expected => Ok(at + 1),
            Some(header) => Err(Error::at(at, wrong_header(header, self.table.dialect, side))),
        }
    }
}

/// The client address and the empty frame behind it; says where the body begins.
fn addressed_at(message: &Frames, at: usize) -> Result<(Label, usize), Error> {
    let address = address_at(message, at)?;
    separator_at(message, at + 1)?;
    Ok((address, at + 2))
}

fn worker_reply_at(message: Frames, at: usize) -> Result<WorkerReply, Error> {
    let (address, body_at) = addressed_at(&message, at)?;
    Ok(WorkerReply::new(address, message.skip(body_at)))
}

/// Commands without a body end where the specifications end them, and every library that we know
/// keeps to it. What comes behind would be lost, so it is refused.
fn end_at(message: &Frames, at: usize) -> Result<(), Error> {
    if message.len() > at {
        return Err(Error::at(at, Offence::ExcessFrames { count: message.len() - at }));
    }
    Ok(())
}

/// The text of the error that a final reply stands for, if it has that form.
fn error_in(body: &Frames) -> Option<Frames> {
    if body.len() != 1 || !body.get(0)?.starts_with(ERROR_PREFIX) {
        return None;
    }
    Some(Frames::single(body.shared(0)?.slice(ERROR_PREFIX.len()..)))
}
