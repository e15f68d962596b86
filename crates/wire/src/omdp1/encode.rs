//! Commands to frames.

use alloc::string::ToString;
use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    CODE_UNSAID, Concurrency, Farewell, Frames, FromClient, FromWorker, Hello, Notice, Outcome,
    Reply, Request, Timeout, ToClient, ToWorker, Welcome, WorkerReply, WorkerRequest,
};

use super::frame::{CommandFrame, millis};
use super::{
    AT_WORK, AUTHOR_BROKER, AUTHOR_WORKER, CANCEL, CAPACITY, CAPACITY_IS, DISCONNECT, DISPATCHED,
    DURABLE, ERROR, FINAL, FRESH, GOODBYE, HEARTBEAT, HELLO, MORE, Manner, NOTICE, NOTICES,
    PARTIAL, QUEUED, READY, REDELIVER, REDELIVERED, REGISTERED, REQUEST, ROLE_CLIENT, ROLE_WORKER,
    SIGNATURE, STILL_WANTED, TASK, TASK_AT_WORK, TASK_CANCEL, TASK_ERROR, TASK_FINAL, TASK_MORE,
    TASK_PARTIAL, TASK_REJECT, TASK_WANTED, TIMEOUT_OF_SERVICE, UNLIMITED, VERSION, WELCOME,
    WITHDRAW, codes,
};
use crate::errors::code;
use crate::{Offence, Side, Sink};

impl Manner {
    pub(crate) fn encode_to_client(self, command: &ToClient, sink: &mut impl Sink) {
        match command {
            ToClient::Welcome(said) => welcome(said).write(sink),
            ToClient::Partial(reply) => replied(PARTIAL, reply, sink),
            ToClient::Final(reply) => replied(FINAL, reply, sink),
            ToClient::Failed(outcome, reply) => failed(*outcome, reply, sink),
            ToClient::Notice { id, notice } => {
                let what = match notice {
                    Notice::Queued => QUEUED,
                    Notice::Dispatched => DISPATCHED,
                    Notice::Redelivered => REDELIVERED,
                    Notice::AtWork => AT_WORK,
                };
                CommandFrame::new(NOTICE).id(id).number_1(what).write(sink);
            }
            ToClient::Heartbeat => CommandFrame::new(HEARTBEAT).write(sink),
            ToClient::Disconnect(why) => farewell(*why, &why.to_string()).write(sink),
        }
    }

    pub(crate) fn encode_to_worker(self, command: &ToWorker, sink: &mut impl Sink) {
        match command {
            ToWorker::Welcome(said) => welcome(said).write(sink),
            ToWorker::Registered { service, worker } => {
                CommandFrame::new(REGISTERED).short(service).short(worker).write(sink);
            }
            ToWorker::Request(request) => task(request, sink),
            ToWorker::StillWanted { address, .. } => {
                CommandFrame::new(TASK_WANTED).short(address).write(sink);
            }
            ToWorker::Capacity { concurrency } => {
                CommandFrame::new(CAPACITY_IS).number_4(requests(*concurrency)).write(sink);
            }
            ToWorker::More { address, credit } => {
                CommandFrame::new(TASK_MORE).short(address).number_4(*credit).write(sink);
            }
            ToWorker::Cancel { address, outcome } => {
                let code = codes::of_cancel(*outcome);
                CommandFrame::new(TASK_CANCEL).short(address).number_2(code).write(sink);
            }
            ToWorker::Heartbeat => CommandFrame::new(HEARTBEAT).write(sink),
            ToWorker::Disconnect(why) => farewell(*why, &why.to_string()).write(sink),
        }
    }

    pub(crate) fn encode_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        match command {
            FromClient::Hello(said) => hello(Side::Client, said).write(sink),
            FromClient::Request(asked) => request(asked, sink),
            FromClient::More { id, credit } => {
                CommandFrame::new(MORE).id(id).number_4(*credit).write(sink);
            }
            FromClient::Cancel { id } => CommandFrame::new(CANCEL).id(id).write(sink),
            FromClient::StillWanted { id } => CommandFrame::new(STILL_WANTED).id(id).write(sink),
            FromClient::Heartbeat => CommandFrame::new(HEARTBEAT).write(sink),
            FromClient::Disconnect => CommandFrame::new(GOODBYE).write(sink),
            FromClient::Vouch { .. } => {}
        }
    }

    pub(crate) fn encode_from_worker(self, command: &FromWorker, sink: &mut impl Sink) {
        match command {
            FromWorker::Hello(said) => hello(Side::Worker, said).write(sink),
            FromWorker::Ready { service } => CommandFrame::new(READY).short(service).write(sink),
            FromWorker::Withdraw { service } => {
                CommandFrame::new(WITHDRAW).short(service).write(sink);
            }
            FromWorker::Partial(reply) => {
                answered(CommandFrame::new(TASK_PARTIAL).short(&reply.address), reply, sink);
            }
            FromWorker::Final(reply) => {
                let keep = match reply.keep {
                    None => Some(Duration::ZERO),
                    Some(Duration::MAX) => None,
                    keep => keep,
                };
                let mut head = CommandFrame::new(TASK_FINAL);
                answered(head.short(&reply.address).time(keep), reply, sink);
            }
            FromWorker::Failed(reply) => {
                let code = codes::of_worker(reply.code);
                let mut head = CommandFrame::new(TASK_ERROR);
                answered(head.short(&reply.address).number_2(code), reply, sink);
            }
            FromWorker::Rejected(reply) => {
                answered(CommandFrame::new(TASK_REJECT).short(&reply.address), reply, sink);
            }
            FromWorker::AtWork { address } => {
                CommandFrame::new(TASK_AT_WORK).short(address).write(sink);
            }
            FromWorker::Heartbeat(status) => match status.concurrency {
                None => CommandFrame::new(HEARTBEAT).write(sink),
                Some(concurrency) => {
                    CommandFrame::new(CAPACITY).number_4(requests(concurrency)).write(sink);
                }
            },
            FromWorker::Disconnect => CommandFrame::new(GOODBYE).write(sink),
        }
    }
}

/// DISCONNECT to a peer of which only one message is known: what is wrong with it.
pub(super) fn answer(why: Farewell, offence: &Offence) -> Bytes {
    let frame = match offence {
        Offence::HelloMissing { .. } => farewell(why, "HELLO first"),
        Offence::NoCommonVersion { .. } => farewell(why, &why.to_string()),
        offence => farewell(why, &offence.to_string()),
    };
    Bytes::copy_from_slice(frame.as_octets())
}

fn hello(side: Side, hello: &Hello) -> CommandFrame {
    let role = match side {
        Side::Client => ROLE_CLIENT,
        Side::Worker => ROLE_WORKER,
    };
    let most = hello.message_bytes_max.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
    let mut frame = CommandFrame::new(HELLO);
    frame
        .octets(SIGNATURE)
        .number_1(VERSION)
        .number_1(VERSION)
        .number_1(role)
        .time(hello.heartbeat)
        .number_8(most)
        .no_headers();
    frame
}

fn welcome(welcome: &Welcome) -> CommandFrame {
    let heartbeat = Some(welcome.heartbeat).filter(|&heartbeat| heartbeat != Duration::MAX);
    let mut frame = CommandFrame::new(WELCOME);
    frame
        .number_1(VERSION)
        .time(heartbeat)
        .number_1(u8::try_from(welcome.liveness).unwrap_or(u8::MAX))
        .number_8(welcome.message_bytes_max)
        .number_4(welcome.frames_max)
        .number_4(welcome.requests_max)
        .short(&welcome.broker)
        .no_headers();
    frame
}

fn farewell(why: Farewell, text: &str) -> CommandFrame {
    let mut frame = CommandFrame::new(DISCONNECT);
    frame.number_2(codes::of_farewell(why)).short(text.as_bytes());
    frame
}

fn request(request: &Request, sink: &mut impl Sink) {
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    let flags = flag(REDELIVER, request.redeliver)
        | flag(FRESH, request.fresh)
        | flag(DURABLE, request.durable)
        | flag(NOTICES, request.notices);
    let timeout = match request.timeout {
        Timeout::Never => UNLIMITED,
        Timeout::OfService => TIMEOUT_OF_SERVICE,
        Timeout::After(span) => millis(span, TIMEOUT_OF_SERVICE - 1),
    };
    CommandFrame::new(REQUEST)
        .id(&request.id)
        .number_1(flags)
        .number_1(request.priority.number())
        .number_4(timeout)
        .number_4(request.credit)
        .short(&request.service)
        .short(&request.target)
        .headers(&request.options, &request.body)
        .write_with(&request.body, sink);
}

fn task(request: &WorkerRequest, sink: &mut impl Sink) {
    CommandFrame::new(TASK)
        .short(&request.address)
        .short(&request.service)
        .time(request.deadline)
        .number_1(u8::try_from(request.attempt).unwrap_or(u8::MAX).max(1))
        .number_1(request.priority.number())
        .number_4(request.credit)
        .headers(&request.options, &request.body)
        .write_with(&request.body, sink);
}

fn replied(command: u8, reply: &Reply, sink: &mut impl Sink) {
    CommandFrame::new(command)
        .id(&reply.id)
        .headers(&reply.options, &reply.body)
        .write_with(&reply.body, sink);
}

fn answered(head: &mut CommandFrame, reply: &WorkerReply, sink: &mut impl Sink) {
    head.headers(&reply.options, &reply.body).write_with(&reply.body, sink);
}

/// The end of a request without a reply. What a worker failed with is its own; of all other ends the
/// broker speaks, in the words of the last worker where one rejected it.
fn failed(outcome: Outcome, reply: &Reply, sink: &mut impl Sink) {
    let Some(of_broker) = codes::of_outcome(outcome) else { return };
    let of_worker =
        outcome == Outcome::Failed && (reply.code != CODE_UNSAID || !reply.body.is_empty());
    let (author, code_written) = match (of_worker, outcome, reply.code) {
        (true, ..) => (AUTHOR_WORKER, codes::of_worker(reply.code)),
        // A refusal may say more exactly what stood against the request.
        (_, Outcome::Refused, 400..=499) => (AUTHOR_BROKER, reply.code),
        _ => (AUTHOR_BROKER, of_broker),
    };
    let mut head = CommandFrame::new(ERROR);
    head.id(&reply.id).number_1(author).number_2(code_written).headers(&reply.options, &reply.body);
    if !of_worker && reply.body.is_empty() {
        return head.write_with(&Frames::from_slices(&[code(outcome)]), sink);
    }
    head.write_with(&reply.body, sink);
}

/// How many requests at once, as a number.
fn requests(concurrency: Concurrency) -> u32 {
    match concurrency {
        Concurrency::Unlimited => UNLIMITED,
        Concurrency::AtMost(most) => most.min(UNLIMITED - 1),
    }
}
