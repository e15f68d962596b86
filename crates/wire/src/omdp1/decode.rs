//! Frames to commands.

use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    CODE_UNSAID, Concurrency, Farewell, Form, Frames, FromClient, FromWorker, Hello, Label, Notice,
    Outcome, Priority, Reply, Request, Status, Timeout, ToClient, ToWorker, Welcome, WorkerReply,
    WorkerRequest,
};

use super::fields::{Fields, wrong};
use super::{
    AT_WORK, AUTHOR_WORKER, CANCEL, CAPACITY, CAPACITY_IS, DISCONNECT, DISPATCHED, DURABLE, ERROR,
    FINAL, FRESH, GOODBYE, HEARTBEAT, HELLO, MORE, Manner, NOTICE, NOTICES, PARTIAL, QUEUED, READY,
    REDELIVER, REDELIVERED, REGISTERED, REQUEST, ROLE_CLIENT, ROLE_WORKER, SIGNATURE, STILL_WANTED,
    TASK, TASK_AT_WORK, TASK_CANCEL, TASK_ERROR, TASK_FINAL, TASK_MORE, TASK_PARTIAL, TASK_REJECT,
    TASK_WANTED, TIMEOUT_OF_SERVICE, UNLIMITED, VERSION, WELCOME, WITHDRAW, codes, has_body,
    is_said_by, is_said_to,
};
use crate::{Error, Offence, Side, note};

impl Manner {
    pub(crate) fn decode_from_client(self, message: Frames) -> Result<FromClient, Error> {
        read(message, |command, message| self.read_from_client(command, message))
    }

    pub(crate) fn decode_from_worker(self, message: Frames) -> Result<FromWorker, Error> {
        read(message, read_from_worker)
    }

    pub(crate) fn decode_to_client(self, message: Frames) -> Result<ToClient, Error> {
        read(message, read_to_client)
    }

    pub(crate) fn decode_to_worker(self, message: Frames) -> Result<ToWorker, Error> {
        read(message, read_to_worker)
    }

    fn read_from_client(self, command: u8, message: Frames) -> Result<FromClient, Error> {
        let fields = &mut fields(&message);
        Ok(match command {
            HELLO => FromClient::Hello(hello_of(Side::Client, fields)?),
            HEARTBEAT => FromClient::Heartbeat,
            GOODBYE => FromClient::Disconnect,
            REQUEST => {
                let id = fields.id()?;
                let flags = fields.number_1()?;
                let priority = Priority::new(fields.number_1()?);
                let timeout = match fields.number_4()? {
                    UNLIMITED => Timeout::Never,
                    TIMEOUT_OF_SERVICE => Timeout::OfService,
                    millis => Timeout::After(Duration::from_millis(millis.into())),
                };
                let credit = fields.number_4()?;
                let service = fields.service()?;
                let target = fields.label()?;
                let options = options(&message, fields.headers()?);
                let body = message.skip(1).in_form(Form::Frames, note::of_frames(self.json));
                FromClient::Request(Request {
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
                    body,
                })
            }
            MORE => FromClient::More { id: fields.id()?, credit: fields.number_4()? },
            CANCEL => FromClient::Cancel { id: fields.id()? },
            STILL_WANTED => FromClient::StillWanted { id: fields.id()? },
            command => return Err(wrong(not_said_by(Side::Client, command))),
        })
    }
}

fn read_from_worker(command: u8, message: Frames) -> Result<FromWorker, Error> {
    let fields = &mut fields(&message);
    Ok(match command {
        HELLO => FromWorker::Hello(hello_of(Side::Worker, fields)?),
        HEARTBEAT => FromWorker::HEARTBEAT,
        GOODBYE => FromWorker::Disconnect,
        READY => FromWorker::Ready { service: fields.service()? },
        WITHDRAW => FromWorker::Withdraw {
            // No name stands for all of them.
            service: match fields.service() {
                Err(error) if *error.offence() == Offence::EmptyService => Label::empty(),
                service => service?,
            },
        },
        CAPACITY => {
            let concurrency = Some(concurrency(fields.number_4()?));
            FromWorker::Heartbeat(Status { concurrency, ..Status::NOTHING })
        }
        TASK_PARTIAL => {
            let address = fields.ticket()?;
            let headers = fields.headers()?;
            FromWorker::Partial(worker_reply(address, None, CODE_UNSAID, headers, message))
        }
        TASK_FINAL => {
            let address = fields.ticket()?;
            let keep = match fields.time()? {
                None => Some(Duration::MAX),
                Some(keep) => (!keep.is_zero()).then_some(keep),
            };
            let headers = fields.headers()?;
            FromWorker::Final(worker_reply(address, keep, CODE_UNSAID, headers, message))
        }
        TASK_ERROR => {
            let address = fields.ticket()?;
            let code = codes::worker(fields.number_2()?);
            let headers = fields.headers()?;
            FromWorker::Failed(worker_reply(address, None, code, headers, message))
        }
        TASK_REJECT => {
            let address = fields.ticket()?;
            let headers = fields.headers()?;
            FromWorker::Rejected(worker_reply(address, None, CODE_UNSAID, headers, message))
        }
        TASK_AT_WORK => FromWorker::AtWork { address: fields.ticket()? },
        command => return Err(wrong(not_said_by(Side::Worker, command))),
    })
}

fn read_to_client(command: u8, message: Frames) -> Result<ToClient, Error> {
    let fields = &mut fields(&message);
    Ok(match command {
        WELCOME => ToClient::Welcome(welcome(fields)?),
        HEARTBEAT => ToClient::Heartbeat,
        DISCONNECT => ToClient::Disconnect(farewell(fields)?),
        PARTIAL => {
            let id = fields.id()?;
            let headers = fields.headers()?;
            ToClient::Partial(reply(id, headers, message))
        }
        FINAL => {
            let id = fields.id()?;
            let headers = fields.headers()?;
            ToClient::Final(reply(id, headers, message))
        }
        ERROR => {
            let id = fields.id()?;
            let author = fields.number_1()?;
            let code = fields.number_2()?;
            let headers = fields.headers()?;
            let reply = reply(id, headers, message);
            let (outcome, code) = match author {
                AUTHOR_WORKER => (Outcome::Failed, codes::worker(code)),
                // Another that is not known is taken for the broker, too.
                _ => codes::outcome(code, &reply.body),
            };
            ToClient::Failed(outcome, Reply { code, ..reply })
        }
        NOTICE => {
            let id = fields.id()?;
            let notice = match fields.number_1()? {
                QUEUED => Notice::Queued,
                DISPATCHED => Notice::Dispatched,
                REDELIVERED => Notice::Redelivered,
                AT_WORK => Notice::AtWork,
                // All that one of a later version says to us is that the broker is there.
                _ => return Ok(ToClient::Heartbeat),
            };
            ToClient::Notice { id, notice }
        }
        command => return Err(wrong(not_said_to(Side::Client, command))),
    })
}

fn read_to_worker(command: u8, message: Frames) -> Result<ToWorker, Error> {
    let fields = &mut fields(&message);
    Ok(match command {
        WELCOME => ToWorker::Welcome(welcome(fields)?),
        HEARTBEAT => ToWorker::Heartbeat,
        DISCONNECT => ToWorker::Disconnect(farewell(fields)?),
        TASK => {
            let address = fields.ticket()?;
            let service = fields.service()?;
            let deadline = fields.time()?;
            let attempt = u32::from(fields.number_1()?).max(1);
            let priority = Priority::new(fields.number_1()?);
            let credit = fields.number_4()?;
            let options = options(&message, fields.headers()?);
            ToWorker::Request(WorkerRequest {
                deadline,
                attempt,
                priority,
                credit,
                options,
                ..WorkerRequest::new(address, service, message.skip(1))
            })
        }
        TASK_CANCEL => ToWorker::Cancel {
            address: fields.ticket()?,
            outcome: codes::cancel(fields.number_2()?),
        },
        TASK_MORE => ToWorker::More { address: fields.ticket()?, credit: fields.number_4()? },
        TASK_WANTED => ToWorker::StillWanted { address: fields.ticket()?, id: Label::empty() },
        CAPACITY_IS => ToWorker::Capacity { concurrency: concurrency(fields.number_4()?) },
        REGISTERED => ToWorker::Registered { service: fields.service()?, worker: fields.label()? },
        command => return Err(wrong(not_said_to(Side::Worker, command))),
    })
}

/// Reads a message: `command` its command frame, which is there and has a command, and the body that
/// it has or has not.
fn read<T>(
    message: Frames,
    command: impl FnOnce(u8, Frames) -> Result<T, Error>,
) -> Result<T, Error> {
    let id = match message.get(0) {
        None => return Err(Error::of_message(Offence::NoFrames)),
        Some([]) => return Err(wrong(Offence::UnexpectedDelimiter)),
        Some([id, ..]) => *id,
    };
    let behind = message.len() - 1;
    // A command is large, and most are ready where they are made.
    if behind == 0 || has_body(id) {
        return command(id, message);
    }
    command(id, message)?;
    Err(Error::at(1, Offence::ExcessFrames { count: behind }))
}

/// What is behind the command.
fn fields(message: &Frames) -> Fields<'_> {
    Fields::new(message.get(0).and_then(|frame| frame.get(1..)).unwrap_or_default())
}

/// The headers, which are at these octets behind the command, in the memory of the message.
fn options(message: &Frames, headers: Range<usize>) -> Bytes {
    if headers.is_empty() {
        return Bytes::new();
    }
    let frame = message.shared(0).unwrap_or_default();
    frame.slice(headers.start + 1..headers.end + 1)
}

// A call would have it made in one place and moved to another.
#[inline(always)]
fn worker_reply(
    address: Label,
    keep: Option<Duration>,
    code: u16,
    headers: Range<usize>,
    message: Frames,
) -> WorkerReply {
    let options = options(&message, headers);
    WorkerReply { address, id: Label::empty(), keep, code, options, body: message.skip(1) }
}

fn reply(id: Label, headers: Range<usize>, message: Frames) -> Reply {
    let options = options(&message, headers);
    Reply { id, options, ..Reply::new(Label::empty(), message.skip(1)) }
}

/// Which side says its first HELLO.
pub(super) fn first_hello(message: &Frames) -> Result<Side, Error> {
    read(message.clone(), |command, message| {
        if command != HELLO {
            return Err(wrong(Offence::HelloMissing { command }));
        }
        hello(&mut fields(&message)).map(|(side, _)| side)
    })
}

fn hello_of(expected: Side, fields: &mut Fields<'_>) -> Result<Hello, Error> {
    let (side, hello) = hello(fields)?;
    if side != expected {
        return Err(wrong(Offence::RoleOfOtherSide { expected }));
    }
    Ok(hello)
}

fn hello(fields: &mut Fields<'_>) -> Result<(Side, Hello), Error> {
    if &fields.octets()? != SIGNATURE {
        return Err(wrong(Offence::WrongSignature));
    }
    let lowest = fields.number_1()?.max(1);
    let highest = fields.number_1()?.max(lowest);
    // What is behind the versions may be otherwise in another version.
    if !(lowest..=highest).contains(&VERSION) {
        return Err(wrong(Offence::NoCommonVersion { lowest, highest }));
    }
    let side = match fields.number_1()? {
        ROLE_CLIENT => Side::Client,
        ROLE_WORKER => Side::Worker,
        role => return Err(wrong(Offence::UnknownRole { role })),
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
        return Err(wrong(Offence::NoCommonVersion { lowest: version, highest: version }));
    }
    let welcome = Welcome {
        heartbeat: fields.time()?.unwrap_or(Duration::MAX),
        liveness: fields.number_1()?.into(),
        message_bytes_max: fields.number_8()?,
        frames_max: fields.number_4()?,
        requests_max: fields.number_4()?,
        broker: fields.label()?,
    };
    fields.headers()?;
    Ok(welcome)
}

fn farewell(fields: &mut Fields<'_>) -> Result<Farewell, Error> {
    let code = fields.number_2()?;
    fields.short()?;
    Ok(codes::farewell(code))
}

fn not_said_by(expected: Side, command: u8) -> Offence {
    let sides = [Side::Client, Side::Worker];
    if sides.into_iter().any(|side| is_said_by(side, command)) {
        return Offence::CommandOfOtherSide { command, expected };
    }
    match sides.into_iter().any(|side| is_said_to(side, command)) {
        true => Offence::CommandOfOtherDirection { command },
        false => Offence::UnknownCommand { command },
    }
}

fn not_said_to(expected: Side, command: u8) -> Offence {
    let sides = [Side::Client, Side::Worker];
    if sides.into_iter().any(|side| is_said_to(side, command)) {
        return Offence::CommandOfOtherSide { command, expected };
    }
    match sides.into_iter().any(|side| is_said_by(side, command)) {
        true => Offence::CommandOfOtherDirection { command },
        false => Offence::UnknownCommand { command },
    }
}

/// How many requests at once a number means.
fn concurrency(requests: u32) -> Concurrency {
    match requests {
        UNLIMITED => Concurrency::Unlimited,
        most => Concurrency::AtMost(most),
    }
}
