//! The OMDP/1 decoder: frames to commands.

use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, Concurrency, CorrelationId, DisconnectReason, Form, Frames, FramesView,
    FromClientView, FromWorkerView, Hello, Notice, Outcome, Priority, Reply, RequestView, Status,
    Timeout, ToClient, ToWorker, Welcome, WorkerReplyView, WorkerRequest,
};

use super::fields::{Fields, wrong};
use super::{
    AT_WORK, AUTHOR_WORKER, CANCEL, CAPACITY, CAPACITY_IS, DISCONNECT, DISPATCHED, DURABLE, ERROR,
    FINAL, FRESH, GOODBYE, HEARTBEAT, HELLO, MORE, Manner, NOTICE, NOTICES, PARTIAL, QUEUED, READY,
    REDELIVER, REDELIVERED, REGISTERED, REQUEST, ROLE_CLIENT, ROLE_WORKER, SIGNATURE, STILL_WANTED,
    TASK, TASK_AT_WORK, TASK_CANCEL, TASK_ERROR, TASK_FINAL, TASK_MORE, TASK_PARTIAL, TASK_REJECT,
    TASK_WANTED, TIMEOUT_OF_SERVICE, UNLIMITED, VERSION, WELCOME, WITHDRAW, codes, is_said_by,
    is_said_to,
};
use crate::{Error, Side, Violation, hint};

impl Manner {
    pub(crate) fn decode_from_client<'a>(
        self,
        message: FramesView<'a>,
    ) -> Result<FromClientView<'a>, Error> {
        let (command, mut fields) = opening(message)?;
        match command {
            REQUEST => {
                // One length check for five fields.
                let fixed = &mut Fields::new(fields.octets::<18>()?);
                let service = fields.service()?;
                let target = fields.short()?;
                let options = fields.headers()?;
                let id = fixed.id()?;
                let flags = fixed.number_1()?;
                let priority = Priority::new(fixed.number_1()?);
                let timeout = match fixed.number_4()? {
                    UNLIMITED => Timeout::Never,
                    TIMEOUT_OF_SERVICE => Timeout::OfService,
                    millis => Timeout::After(Duration::from_millis(millis.into())),
                };
                let credit = fixed.number_4()?;
                Ok(FromClientView::Request(RequestView {
                    service,
                    id,
                    timeout,
                    redeliver: flags & REDELIVER != 0,
                    target,
                    fresh: flags & FRESH != 0,
                    durable: flags & DURABLE != 0,
                    priority,
                    credit,
                    notices: flags & NOTICES != 0,
                    options,
                    body: message.skip(1).in_form(Form::Frames, hint::of_frames(self.json)),
                }))
            }
            command => bare_from_client(command, fields, message),
        }
    }

    pub(crate) fn decode_from_worker<'a>(
        self,
        message: FramesView<'a>,
    ) -> Result<FromWorkerView<'a>, Error> {
        let (command, mut fields) = opening(message)?;
        let body = message.skip(1);
        match command {
            TASK_PARTIAL => {
                let reply = WorkerReplyView::new(fields.ticket()?, body);
                let options = fields.headers()?;
                Ok(FromWorkerView::Partial(WorkerReplyView { options, ..reply }))
            }
            TASK_FINAL => {
                let reply = WorkerReplyView::new(fields.ticket()?, body);
                let keep = match fields.number_4()? {
                    0 => None,
                    UNLIMITED => Some(Duration::MAX),
                    millis => Some(Duration::from_millis(millis.into())),
                };
                let options = fields.headers()?;
                Ok(FromWorkerView::Final(WorkerReplyView { keep, options, ..reply }))
            }
            TASK_ERROR => {
                let reply = WorkerReplyView::new(fields.ticket()?, body);
                let code = codes::worker(fields.number_2()?);
                let options = fields.headers()?;
                Ok(FromWorkerView::Failed(WorkerReplyView { code, options, ..reply }))
            }
            TASK_REJECT => {
                let reply = WorkerReplyView::new(fields.ticket()?, body);
                let options = fields.headers()?;
                Ok(FromWorkerView::Rejected(WorkerReplyView { options, ..reply }))
            }
            command => bare_from_worker(command, fields, message),
        }
    }

    pub(crate) fn decode_to_client(self, message: Frames) -> Result<ToClient, Error> {
        let (command, mut fields) = opening(message.view())?;
        let fields = &mut fields;
        match command {
            PARTIAL => {
                let id = fields.number_8()?;
                let options = shared(&message, fields.headers()?);
                Ok(ToClient::Partial(reply(id, options, message)))
            }
            FINAL => {
                let id = fields.number_8()?;
                let options = shared(&message, fields.headers()?);
                Ok(ToClient::Final(reply(id, options, message)))
            }
            ERROR => {
                let id = fields.number_8()?;
                let author = fields.number_1()?;
                let code = fields.number_2()?;
                let options = shared(&message, fields.headers()?);
                let reply = reply(id, options, message);
                let (outcome, code) = match author {
                    AUTHOR_WORKER => (Outcome::Failed, codes::worker(code)),
                    // An unknown author counts as the broker.
                    _ => codes::outcome(code, &reply.body),
                };
                Ok(ToClient::Failed(outcome, Reply { code, ..reply }))
            }
            command => {
                let said = bare_to_client(command, fields)?;
                end(message.view()).map(|()| said)
            }
        }
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        let (command, mut fields) = opening(message.view())?;
        let fields = &mut fields;
        match command {
            TASK => {
                let address = ByteStr::from(fields.ticket()?);
                let service = ByteStr::from(fields.service()?);
                let deadline = fields.time()?;
                let attempt = u32::from(fields.number_1()?).max(1);
                let priority = Priority::new(fields.number_1()?);
                let credit = fields.number_4()?;
                let options = shared(&message, fields.headers()?);
                Ok(ToWorker::Request(WorkerRequest {
                    address,
                    service,
                    id: CorrelationId::NONE,
                    deadline,
                    attempt,
                    priority,
                    credit,
                    options,
                    body: message.skip(1),
                }))
            }
            command => {
                let said = bare_to_worker(command, fields)?;
                end(message.view()).map(|()| said)
            }
        }
    }
}

/// Decodes a client's command without a body.
#[inline(never)]
fn bare_from_client<'a>(
    command: u8,
    mut fields: Fields<'a>,
    message: FramesView<'a>,
) -> Result<FromClientView<'a>, Error> {
    let fields = &mut fields;
    let said = match command {
        HELLO => FromClientView::Hello(hello_of(Side::Client, fields)?),
        HEARTBEAT => FromClientView::Heartbeat,
        GOODBYE => FromClientView::Disconnect,
        MORE => FromClientView::More { id: fields.id()?, credit: fields.number_4()? },
        CANCEL => FromClientView::Cancel { id: fields.id()? },
        STILL_WANTED => FromClientView::RequestKeepAlive { id: fields.id()? },
        command => return Err(wrong(not_said_by(Side::Client, command))),
    };
    end(message).map(|()| said)
}

/// Decodes a worker's command without a body.
#[inline(never)]
fn bare_from_worker<'a>(
    command: u8,
    mut fields: Fields<'a>,
    message: FramesView<'a>,
) -> Result<FromWorkerView<'a>, Error> {
    let fields = &mut fields;
    let said = match command {
        HELLO => FromWorkerView::Hello(hello_of(Side::Worker, fields)?),
        HEARTBEAT => FromWorkerView::HEARTBEAT,
        GOODBYE => FromWorkerView::Disconnect,
        READY => FromWorkerView::Ready { service: fields.service()? },
        WITHDRAW => FromWorkerView::Withdraw {
            // An empty name means all services.
            service: match fields.service() {
                Err(error) if *error.violation() == Violation::EmptyService => b"",
                service => service?,
            },
        },
        CAPACITY => {
            let concurrency = Some(concurrency(fields.number_4()?));
            FromWorkerView::Heartbeat(Status { concurrency, ..Status::NOTHING })
        }
        TASK_AT_WORK => FromWorkerView::AtWork { address: fields.ticket()? },
        command => return Err(wrong(not_said_by(Side::Worker, command))),
    };
    end(message).map(|()| said)
}

/// Decodes a command without a body to a client.
fn bare_to_client(command: u8, fields: &mut Fields<'_>) -> Result<ToClient, Error> {
    Ok(match command {
        WELCOME => ToClient::Welcome(welcome(fields)?),
        HEARTBEAT => ToClient::Heartbeat,
        DISCONNECT => ToClient::Disconnect(disconnect_reason(fields)?),
        NOTICE => {
            let id = fields.id()?.to_owned();
            let notice = match fields.number_1()? {
                QUEUED => Notice::Queued,
                DISPATCHED => Notice::Dispatched,
                REDELIVERED => Notice::Redelivered,
                AT_WORK => Notice::AtWork,
                // An unknown notice of a later version counts as a heartbeat.
                _ => return Ok(ToClient::Heartbeat),
            };
            ToClient::Notice { id, notice }
        }
        command => return Err(wrong(not_said_to(Side::Client, command))),
    })
}

/// Decodes a command without a body to a worker.
fn bare_to_worker(command: u8, fields: &mut Fields<'_>) -> Result<ToWorker, Error> {
    let address = |fields: &mut Fields<'_>| fields.ticket().map(ByteStr::from);
    Ok(match command {
        WELCOME => ToWorker::Welcome(welcome(fields)?),
        HEARTBEAT => ToWorker::Heartbeat,
        DISCONNECT => ToWorker::Disconnect(disconnect_reason(fields)?),
        TASK_CANCEL => ToWorker::Cancel {
            address: address(fields)?,
            outcome: codes::cancel(fields.number_2()?),
        },
        TASK_MORE => ToWorker::More { address: address(fields)?, credit: fields.number_4()? },
        TASK_WANTED => {
            ToWorker::RequestKeepAlive { address: address(fields)?, id: CorrelationId::NONE }
        }
        CAPACITY_IS => ToWorker::Capacity { concurrency: concurrency(fields.number_4()?) },
        REGISTERED => ToWorker::Registered {
            service: ByteStr::from(fields.service()?),
            worker: ByteStr::from(fields.short()?),
        },
        command => return Err(wrong(not_said_to(Side::Worker, command))),
    })
}

/// Splits a message into its command and the fields that follow.
#[inline]
fn opening<'a>(message: FramesView<'a>) -> Result<(u8, Fields<'a>), Error> {
    match message.get(0) {
        Some([command, fields @ ..]) => Ok((*command, Fields::new(fields))),
        Some([]) => Err(wrong(Violation::UnexpectedDelimiter)),
        None => Err(Error::of_message(Violation::NoFrames)),
    }
}

/// Checks that no frame follows a command without a body.
fn end(message: FramesView<'_>) -> Result<(), Error> {
    match message.len() - 1 {
        0 => Ok(()),
        count => Err(Error::at(1, Violation::ExcessFrames { count })),
    }
}

/// Returns headers in the memory of their message.
fn shared(message: &Frames, headers: &[u8]) -> Bytes {
    // Most messages have no headers; skip the reference count.
    if headers.is_empty() {
        return Bytes::new();
    }
    message.shared(0).unwrap_or_default().slice_ref(headers)
}

fn reply(id: u64, options: Bytes, message: Frames) -> Reply {
    let id = CorrelationId::Number(id);
    Reply { id, options, ..Reply::new(ByteStr::empty(), message.skip(1)) }
}

/// Returns the side of a peer from its first HELLO.
pub(super) fn first_hello(message: FramesView<'_>) -> Result<Side, Error> {
    let (command, mut fields) = opening(message)?;
    if command != HELLO {
        return Err(wrong(Violation::HelloMissing { command }));
    }
    let (side, _) = hello(&mut fields)?;
    end(message).map(|()| side)
}

fn hello_of(expected: Side, fields: &mut Fields<'_>) -> Result<Hello, Error> {
    let (side, hello) = hello(fields)?;
    if side != expected {
        return Err(wrong(Violation::RoleOfOtherSide { expected }));
    }
    Ok(hello)
}

fn hello(fields: &mut Fields<'_>) -> Result<(Side, Hello), Error> {
    if fields.octets()? != SIGNATURE {
        return Err(wrong(Violation::WrongSignature));
    }
    let lowest = fields.number_1()?.max(1);
    let highest = fields.number_1()?.max(lowest);
    // The fields after the versions may differ in other versions.
    if !(lowest..=highest).contains(&VERSION) {
        return Err(wrong(Violation::NoCommonVersion { lowest, highest }));
    }
    let side = match fields.number_1()? {
        ROLE_CLIENT => Side::Client,
        ROLE_WORKER => Side::Worker,
        role => return Err(wrong(Violation::UnknownRole { role })),
    };
    let heartbeat = fields.time()?;
    let message_bytes_max = match fields.number_8()? {
        0 => None,
        bytes => Some(usize::try_from(bytes).unwrap_or(usize::MAX)),
    };
    fields.headers()?;
    Ok((side, Hello { heartbeat, message_bytes_max }))
}

fn welcome(fields: &mut Fields<'_>) -> Result<Welcome, Error> {
    let version = fields.number_1()?;
    if version != VERSION {
        return Err(wrong(Violation::NoCommonVersion { lowest: version, highest: version }));
    }
    let welcome = Welcome {
        heartbeat: fields.time()?.unwrap_or(Duration::MAX),
        liveness: fields.number_1()?.into(),
        message_bytes_max: fields.number_8()?,
        frames_max: fields.number_4()?,
        requests_max: fields.number_4()?,
        broker: ByteStr::from(fields.short()?),
    };
    fields.headers()?;
    Ok(welcome)
}

fn disconnect_reason(fields: &mut Fields<'_>) -> Result<DisconnectReason, Error> {
    let code = fields.number_2()?;
    fields.short()?;
    Ok(codes::disconnect_reason(code))
}

fn not_said_by(expected: Side, command: u8) -> Violation {
    let sides = [Side::Client, Side::Worker];
    if sides.into_iter().any(|side| is_said_by(side, command)) {
        return Violation::CommandOfOtherSide { command, expected };
    }
    match sides.into_iter().any(|side| is_said_to(side, command)) {
        true => Violation::CommandOfOtherDirection { command },
        false => Violation::UnknownCommand { command },
    }
}

fn not_said_to(expected: Side, command: u8) -> Violation {
    let sides = [Side::Client, Side::Worker];
    if sides.into_iter().any(|side| is_said_to(side, command)) {
        return Violation::CommandOfOtherSide { command, expected };
    }
    match sides.into_iter().any(|side| is_said_by(side, command)) {
        true => Violation::CommandOfOtherDirection { command },
        false => Violation::UnknownCommand { command },
    }
}

/// Converts a number field to a concurrency.
fn concurrency(requests: u32) -> Concurrency {
    match requests {
        UNLIMITED => Concurrency::Unlimited,
        most => Concurrency::AtMost(most),
    }
}
