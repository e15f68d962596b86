//! Frames to commands. Frames are read from the front; `at` is the one that is looked at.

use majordomus_core::{
    Frames, FromClient, FromWorker, Label, Outcome, Reply, Request, ToClient, ToWorker,
    WorkerReply, WorkerRequest,
};

use super::{ADDRESS_BYTES_MAX, Form};
use crate::detect::wrong_header;
use crate::errors::ERROR_PREFIX;
use crate::service::service_name;
use crate::{Error, Errors, Offence, Side};

impl Form {
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
        let body = message.skip(at + 1);
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
            end_at(&message, next).map(|()| FromWorker::Heartbeat)
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
        let reply = Reply { service, id: Label::empty(), body: message.skip(at) };
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
            let (address, body_at) = address_at(&message, next)?;
            Ok(ToWorker::Request(WorkerRequest {
                address,
                service: Label::empty(),
                id: Label::empty(),
                body: message.skip(body_at),
            }))
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

fn command_at(message: &Frames, at: usize) -> Result<u8, Error> {
    match message.get(at) {
        Some(&[command]) => Ok(command),
        Some(frame) => Err(Error::at(at, Offence::CommandLength { bytes: frame.len() })),
        None => Err(Error::at(at, Offence::MissingCommand)),
    }
}

/// A command that this direction does not have; `known` says that the other one does.
fn wrong_command(command: u8, known: bool) -> Offence {
    if known {
        Offence::CommandOfOtherDirection { command }
    } else {
        Offence::UnknownCommand { command }
    }
}

fn service_at(message: &Frames, at: usize) -> Result<Label, Error> {
    let name = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingService))?;
    service_name(name).map_err(|offence| Error::at(at, offence))
}

/// The client address and the empty frame behind it; says where the body begins.
fn address_at(message: &Frames, at: usize) -> Result<(Label, usize), Error> {
    let address = message.get(at).ok_or_else(|| Error::at(at, Offence::MissingAddress))?;
    if address.is_empty() {
        return Err(Error::at(at, Offence::EmptyAddress));
    }
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Error::at(at, Offence::AddressTooLong { bytes: address.len() }));
    }
    match message.get(at + 1) {
        Some([]) => Ok((Label::from(address), at + 2)),
        Some(frame) => Err(Error::at(at + 1, Offence::SeparatorNotEmpty { bytes: frame.len() })),
        None => Err(Error::at(at + 1, Offence::MissingSeparator)),
    }
}

fn worker_reply_at(message: Frames, at: usize) -> Result<WorkerReply, Error> {
    let (address, body_at) = address_at(&message, at)?;
    Ok(WorkerReply { address, id: Label::empty(), body: message.skip(body_at) })
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
