//! The MDP decoder: frames to commands. Frames are read from the front; `at` is the current frame's
//! index.

use alloc::vec::Vec;

use majordomus_core::{
    ByteStr, DisconnectReason, Form, Frames, FramesView, FromClientView, FromWorkerView, Outcome,
    OutcomeSet, Reply, RequestView, ToClient, ToWorker, WorkerReplyView, WorkerRequest,
};

use super::{Framing, Manner, NoBody, head, parts};
use crate::detect::wrong_header;
use crate::errors::ERROR_PREFIX;
use crate::reading::{address_at, command_at, separator_at, service_at, wrong_command};
use crate::{Error, Errors, Scratch, Side, Violation, errors, hint};

impl Manner {
    #[inline]
    pub(crate) fn decode_from_client<'a>(
        self,
        message: FramesView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<FromClientView<'a>, Error> {
        match self.table.framing {
            Framing::Frames | Framing::Head => self.read_from_client(message),
            Framing::Parts => {
                let parts = parts::unpack(message, &mut scratch.bounds)?;
                self.read_from_client(parts).map_err(Error::of_part)
            }
        }
    }

    #[inline]
    pub(crate) fn decode_from_worker<'a>(
        self,
        message: FramesView<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<FromWorkerView<'a>, Error> {
        match self.table.framing {
            Framing::Frames | Framing::Head => self.read_from_worker(message),
            Framing::Parts => {
                let parts = parts::unpack(message, &mut scratch.bounds)?;
                self.read_from_worker(parts).map_err(Error::of_part)
            }
        }
    }

    pub(crate) fn decode_to_client(
        self,
        message: Frames,
        errors: Errors,
    ) -> Result<ToClient, Error> {
        self.unpacked(message, |manner, message| manner.read_to_client(message, errors))
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        self.unpacked(message, Self::read_to_worker)
    }

    /// Decodes a message after unpacking its logical frames.
    fn unpacked<T>(
        self,
        message: Frames,
        read: impl FnOnce(Self, Frames) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.table.framing {
            Framing::Frames | Framing::Head => read(self, message),
            Framing::Parts => {
                let mut bounds = Vec::new();
                let parts = parts::unpack(message.view(), &mut bounds)?.to_frames();
                read(self, parts).map_err(Error::of_part)
            }
        }
    }

    fn read_from_client<'a>(self, message: FramesView<'a>) -> Result<FromClientView<'a>, Error> {
        let client = &self.table.client;
        let mut opening = self.opening(message, Side::Client, client.request.is_some())?;
        if client.request.is_some_and(|request| request != opening.command) {
            let replies = client.replies.as_ref();
            let known = replies.is_some_and(|replies| replies.has(opening.command));
            return Err(opening.wrong_command(known));
        }
        let service = opening.service(message)?;
        let body_at = opening.next;
        let body = message.skip(body_at).in_form(Form::Frames, hint::of_frames(self.json));
        if self.table.no_body == NoBody::Refused && body.is_empty() {
            return Err(Error::at(body_at, Violation::MissingBody));
        }
        Ok(FromClientView::Request(RequestView::new(service, body)))
    }

    fn read_from_worker<'a>(self, message: FramesView<'a>) -> Result<FromWorkerView<'a>, Error> {
        let worker = &self.table.worker;
        let mut opening = self.opening(message, Side::Worker, true)?;
        let (command, next) = (opening.command, opening.next);
        if command == worker.last {
            Ok(FromWorkerView::Final(worker_reply_at(message, next)?))
        } else if Some(command) == worker.partial {
            Ok(FromWorkerView::Partial(worker_reply_at(message, next)?))
        } else if command == worker.heartbeat {
            end_at(message, next).map(|()| FromWorkerView::HEARTBEAT)
        } else if command == worker.ready {
            let service = opening.service(message)?;
            end_at(message, opening.next).map(|()| FromWorkerView::Ready { service })
        } else if command == worker.disconnect {
            end_at(message, next).map(|()| FromWorkerView::Disconnect)
        } else {
            Err(opening.wrong_command(command == worker.request))
        }
    }

    fn read_to_client(self, message: Frames, errors: Errors) -> Result<ToClient, Error> {
        let client = &self.table.client;
        let mut opening = self.opening(message.view(), Side::Client, client.replies.is_some())?;
        let command = opening.command;
        if client.replies.as_ref().is_some_and(|replies| !replies.has(command)) {
            return Err(opening.wrong_command(client.request == Some(command)));
        }
        let service = if client.service_in_reply { opening.service(message.view())? } else { b"" };
        let (service, body_at) = (ByteStr::from(service), opening.next);
        let reply = Reply::new(service, message.skip(body_at));
        let (mut partial, mut last, mut by_nak) = (false, true, OutcomeSet::NONE);
        if let Some(replies) = &client.replies {
            if let Some(nak) = &replies.nak {
                if nak.command == command {
                    return Ok(ToClient::Failed(outcome(&reply.body, nak.outcomes), reply));
                }
                by_nak = nak.outcomes;
            }
            (partial, last) = (command == replies.partial, command == replies.last);
        }
        match error_in(&reply.body) {
            Some(body) if last && errors == Errors::Final => {
                let said = outcome(&body, errors.told());
                // The broker reports these outcomes by a separate command, so a worker has written
                // this text.
                let outcome = if by_nak.contains(said) { Outcome::Failed } else { said };
                Ok(ToClient::Failed(outcome, Reply { body, ..reply }))
            }
            _ if partial => Ok(ToClient::Partial(reply)),
            _ => Ok(ToClient::Final(reply)),
        }
    }

    fn read_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        let worker = &self.table.worker;
        let opening = self.opening(message.view(), Side::Worker, true)?;
        let (command, next) = (opening.command, opening.next);
        if command == worker.request {
            let (address, body_at) = addressed_at(message.view(), next)?;
            let address = ByteStr::from(address);
            let body = message.skip(body_at);
            Ok(ToWorker::Request(WorkerRequest::new(address, ByteStr::empty(), body)))
        } else if command == worker.heartbeat {
            end_at(message.view(), next).map(|()| ToWorker::Heartbeat)
        } else if command == worker.disconnect {
            end_at(message.view(), next).map(|()| ToWorker::Disconnect(DisconnectReason::Unsaid))
        } else {
            let known = command == worker.ready
                || command == worker.last
                || Some(command) == worker.partial;
            Err(opening.wrong_command(known))
        }
    }

    /// Decodes the beginning of a message: up to its command, if it `has_command`.
    #[inline(always)]
    fn opening<'a>(
        self,
        message: FramesView<'a>,
        side: Side,
        has_command: bool,
    ) -> Result<Opening<'a>, Error> {
        if self.table.framing == Framing::Head {
            return head::read(self.table, message, side);
        }
        let at = self.after_header(message, side)?;
        if !has_command {
            return Ok(Opening { command: 0, at, next: at, service: None });
        }
        let command = command_at(message, at)?;
        Ok(Opening { command, at, next: at + 1, service: None })
    }

    /// Checks the leading empty frame and the header. Returns the index of the next frame.
    #[inline(always)]
    fn after_header(self, message: FramesView<'_>, side: Side) -> Result<usize, Error> {
        let Some(first) = message.get(0) else {
            return Err(Error::of_message(Violation::NoFrames));
        };
        match (self.delimiter, first.is_empty()) {
            (true, false) => return Err(Error::at(0, Violation::DelimiterMissing)),
            (false, true) => return Err(Error::at(0, Violation::UnexpectedDelimiter)),
            (true, true) | (false, false) => {}
        }
        let at = usize::from(self.delimiter);
        let expected = match side {
            Side::Client => self.table.client.header,
            Side::Worker => self.table.worker.header,
        };
        match message.get(at) {
            None => Err(Error::at(at, Violation::MissingHeader)),
            // Comparing arrays of constant length needs no call.
            Some(header) if header.as_array() == Some(expected) => Ok(at + 1),
            Some(header) => Err(Error::at(at, wrong_header(header, self.table.dialect, side))),
        }
    }
}

/// The beginning of a message.
pub(super) struct Opening<'a> {
    /// The command, or 0 if there is none.
    pub(super) command: u8,
    /// The index of the command's frame.
    pub(super) at: usize,
    /// The index of the next frame.
    pub(super) next: usize,
    /// The service, if it was packed with the command.
    pub(super) service: Option<&'a [u8]>,
}

impl<'a> Opening<'a> {
    /// Decodes the service name, which comes next.
    #[inline(always)]
    fn service(&mut self, message: FramesView<'a>) -> Result<&'a [u8], Error> {
        if let Some(service) = self.service.take() {
            return Ok(service);
        }
        let service = service_at(message, self.next)?;
        self.next += 1;
        Ok(service)
    }

    /// Returns the error for a command not valid in this direction. `known` is true if it is valid
    /// in the other direction.
    fn wrong_command(&self, known: bool) -> Error {
        Error::at(self.at, wrong_command(self.command, known))
    }
}

/// Decodes the client address and the empty frame after it. Returns the index of the body.
fn addressed_at<'a>(message: FramesView<'a>, at: usize) -> Result<(&'a [u8], usize), Error> {
    let address = address_at(message, at)?;
    separator_at(message, at + 1)?;
    Ok((address, at + 2))
}

fn worker_reply_at<'a>(message: FramesView<'a>, at: usize) -> Result<WorkerReplyView<'a>, Error> {
    let (address, body_at) = addressed_at(message, at)?;
    Ok(WorkerReplyView::new(address, message.skip(body_at)))
}

/// Checks that a command without a body ends here. The specifications and every known library end
/// it here. Further frames would be lost, so they are rejected.
fn end_at(message: FramesView<'_>, at: usize) -> Result<(), Error> {
    if message.len() > at {
        return Err(Error::at(at, Violation::ExcessFrames { count: message.len() - at }));
    }
    Ok(())
}

/// Returns the outcome of an error, which is one text frame.
fn outcome(error: &Frames, told: OutcomeSet) -> Outcome {
    match error.len() {
        1 => errors::outcome(error.get(0).unwrap_or_default(), told),
        _ => Outcome::Failed,
    }
}

/// Returns the error text in a final reply, if the reply represents an error.
fn error_in(body: &Frames) -> Option<Frames> {
    if body.len() != 1 || !body.get(0)?.starts_with(ERROR_PREFIX) {
        return None;
    }
    Some(Frames::single(body.shared(0)?.slice(ERROR_PREFIX.len()..)))
}
