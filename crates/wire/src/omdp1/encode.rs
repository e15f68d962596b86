//! The OMDP/1 encoder: commands to frames.

use alloc::string::ToString;
use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    CODE_UNSAID, Concurrency, CorrelationIdRef, DisconnectReason, FromClient, FromWorker, Hello,
    Notice, Outcome, ReplyView, Request, Timeout, ToClientView, ToWorkerView, Token, Welcome,
    WorkerReply, WorkerRequestView,
};

use super::frame::{fixed, headers, joined, millis, short, time, write, write_with};
use super::{
    AT_WORK, AUTHOR_BROKER, AUTHOR_WORKER, CANCEL, CAPACITY, CAPACITY_IS, DISCONNECT, DISPATCHED,
    DURABLE, ERROR, FINAL, FRESH, GOODBYE, HEARTBEAT, HELLO, MORE, Manner, NOTICE, NOTICES,
    PARTIAL, QUEUED, READY, REDELIVER, REDELIVERED, REGISTERED, REQUEST, ROLE_CLIENT, ROLE_WORKER,
    SIGNATURE, STILL_WANTED, TASK, TASK_AT_WORK, TASK_CANCEL, TASK_ERROR, TASK_FINAL, TASK_MORE,
    TASK_PARTIAL, TASK_REJECT, TASK_WANTED, TIMEOUT_OF_SERVICE, UNLIMITED, VERSION, WELCOME,
    WITHDRAW, codes,
};
use crate::errors::code;
use crate::{Side, Sink, Violation};

/// The length field of empty headers.
const NO_HEADERS: [u8; 2] = [0; 2];

impl Manner {
    #[inline(always)]
    pub(crate) fn encode_to_client(self, command: &ToClientView<'_>, sink: &mut impl Sink) {
        match command {
            ToClientView::Partial(reply) | ToClientView::Final(reply) => {
                let is_last = matches!(command, ToClientView::Final(_));
                replied(if is_last { FINAL } else { PARTIAL }, reply, sink);
            }
            ToClientView::Failed(outcome, reply) => failed(*outcome, reply, sink),
            ToClientView::Notice { id, notice } => {
                let what = match notice {
                    Notice::Queued => QUEUED,
                    Notice::Dispatched => DISPATCHED,
                    Notice::Redelivered => REDELIVERED,
                    Notice::AtWork => AT_WORK,
                };
                write([&[NOTICE], &number(*id), &[what]], sink);
            }
            ToClientView::Heartbeat => write([&[HEARTBEAT]], sink),
            ToClientView::Welcome(said) => welcome(said, sink),
            ToClientView::Disconnect(why) => disconnect(*why, &why.to_string(), sink),
        }
    }

    #[inline(always)]
    pub(crate) fn encode_to_worker(self, command: &ToWorkerView<'_>, sink: &mut impl Sink) {
        match command {
            ToWorkerView::Request(request) => task(request, sink),
            ToWorkerView::RequestKeepAlive { token, .. } => {
                write([&ticket(TASK_WANTED, *token)], sink)
            }
            ToWorkerView::More { token, credit } => {
                write([&ticket(TASK_MORE, *token), &credit.to_be_bytes()], sink);
            }
            ToWorkerView::Cancel { token, outcome } => {
                let code = codes::of_cancel(*outcome).to_be_bytes();
                write([&ticket(TASK_CANCEL, *token), &code], sink);
            }
            ToWorkerView::Heartbeat => write([&[HEARTBEAT]], sink),
            ToWorkerView::Capacity { concurrency } => {
                write([&[CAPACITY_IS], &requests(*concurrency).to_be_bytes()], sink);
            }
            ToWorkerView::Registered { service, worker } => {
                let ((service_length, service), (worker_length, worker)) =
                    (short(service), short(worker));
                write([&[REGISTERED, service_length], service, &[worker_length], worker], sink);
            }
            ToWorkerView::Welcome(said) => welcome(said, sink),
            ToWorkerView::Disconnect(why) => disconnect(*why, &why.to_string(), sink),
        }
    }

    pub(crate) fn encode_from_client(self, command: &FromClient, sink: &mut impl Sink) {
        match command {
            FromClient::Hello(said) => hello(Side::Client, said, sink),
            FromClient::Request(asked) => self.encode_request(asked, sink),
            FromClient::More { id, credit } => {
                write([&[MORE], &number(id.as_ref()), &credit.to_be_bytes()], sink);
            }
            FromClient::Cancel { id } => write([&[CANCEL], &number(id.as_ref())], sink),
            FromClient::RequestKeepAlive { id } => {
                write([&[STILL_WANTED], &number(id.as_ref())], sink)
            }
            FromClient::Heartbeat => write([&[HEARTBEAT]], sink),
            FromClient::Disconnect => write([&[GOODBYE]], sink),
            FromClient::WorkerKeepAlive { .. } => {}
        }
    }

    pub(crate) fn encode_request(self, asked: &Request, sink: &mut impl Sink) {
        request(asked, sink);
    }

    pub(crate) fn encode_from_worker(self, command: &FromWorker, sink: &mut impl Sink) {
        let named = |command, name, sink| {
            let (length, name) = short(name);
            write([&[command, length], name], sink);
        };
        match command {
            FromWorker::Hello(said) => hello(Side::Worker, said, sink),
            FromWorker::Ready { service } => named(READY, service, sink),
            FromWorker::Withdraw { service } => named(WITHDRAW, service, sink),
            FromWorker::Partial(reply) => answered(TASK_PARTIAL, &[], reply, sink),
            FromWorker::Final(reply) => {
                let keep = match reply.keep {
                    None => Some(Duration::ZERO),
                    Some(Duration::MAX) => None,
                    keep => keep,
                };
                answered(TASK_FINAL, &time(keep), reply, sink);
            }
            FromWorker::Failed(reply) => {
                let code = codes::of_worker(reply.code).to_be_bytes();
                answered(TASK_ERROR, &code, reply, sink);
            }
            FromWorker::Rejected(reply) => answered(TASK_REJECT, &[], reply, sink),
            FromWorker::AtWork { address } => named(TASK_AT_WORK, address, sink),
            FromWorker::Heartbeat(status) => match status.concurrency {
                None => write([&[HEARTBEAT]], sink),
                Some(concurrency) => {
                    write([&[CAPACITY], &requests(concurrency).to_be_bytes()], sink);
                }
            },
            FromWorker::Disconnect => write([&[GOODBYE]], sink),
        }
    }
}

/// Encodes DISCONNECT for a peer with only a first message, with the violation in that message.
pub(super) fn answer(why: DisconnectReason, violation: &Violation) -> Bytes {
    let text = match violation {
        Violation::HelloMissing { .. } => "HELLO first".to_string(),
        Violation::NoCommonVersion { .. } => why.to_string(),
        violation => violation.to_string(),
    };
    with_disconnect(why, &text, Bytes::copy_from_slice)
}

fn disconnect(why: DisconnectReason, text: &str, sink: &mut impl Sink) {
    with_disconnect(why, text, |frame| sink.frame(frame, false));
}

fn with_disconnect<T>(why: DisconnectReason, text: &str, write: impl FnOnce(&[u8]) -> T) -> T {
    let (length, text) = short(text.as_bytes());
    joined([&[DISCONNECT], &codes::of_disconnect_reason(why).to_be_bytes(), &[length], text], write)
}

fn hello(side: Side, hello: &Hello, sink: &mut impl Sink) {
    let role = match side {
        Side::Client => ROLE_CLIENT,
        Side::Worker => ROLE_WORKER,
    };
    let most = hello.message_bytes_max.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
    let versions_and_role = [VERSION, VERSION, role];
    let heartbeat = time(hello.heartbeat);
    write(
        [&[HELLO], SIGNATURE, &versions_and_role, &heartbeat, &most.to_be_bytes(), &NO_HEADERS],
        sink,
    );
}

fn welcome(welcome: &Welcome, sink: &mut impl Sink) {
    let heartbeat = Some(welcome.heartbeat).filter(|&heartbeat| heartbeat != Duration::MAX);
    let (length, broker) = short(&welcome.broker);
    write(
        [
            &[WELCOME, VERSION],
            &time(heartbeat),
            &[u8::try_from(welcome.liveness).unwrap_or(u8::MAX)],
            &welcome.message_bytes_max.to_be_bytes(),
            &welcome.frames_max.to_be_bytes(),
            &welcome.requests_max.to_be_bytes(),
            &[length],
            broker,
            &NO_HEADERS,
        ],
        sink,
    );
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
    let body = &request.body.view();
    let (service_length, service) = short(&request.service);
    let (target_length, target) = short(&request.target);
    let (headers_length, headers) = headers(&request.options, body);
    let before_service: [u8; 20] = fixed([
        &[REQUEST],
        &number(request.id.as_ref()),
        &[flags, request.priority.number()],
        &timeout.to_be_bytes(),
        &request.credit.to_be_bytes(),
        &[service_length],
    ]);
    write_with(
        [&before_service, service, &[target_length], target, &headers_length, headers],
        body,
        sink,
    );
}

#[inline(always)]
fn task(request: &WorkerRequestView<'_>, sink: &mut impl Sink) {
    let (length, service) = short(request.service);
    let (headers_length, headers) = headers(request.options, &request.body);
    let attempt = u8::try_from(request.attempt).unwrap_or(u8::MAX).max(1);
    let behind_service: [u8; 12] = fixed([
        &time(request.deadline),
        &[attempt, request.priority.number()],
        &request.credit.to_be_bytes(),
        &headers_length,
    ]);
    write_with(
        [&ticket(TASK, request.token), &[length], service, &behind_service, headers],
        &request.body,
        sink,
    );
}

#[inline(always)]
fn replied(command: u8, reply: &ReplyView<'_>, sink: &mut impl Sink) {
    let (length, headers) = headers(reply.options, &reply.body);
    write_with([&[command], &number(reply.id), &length, headers], &reply.body, sink);
}

/// Encodes a worker's reply to a task. `fields` follow the ticket.
fn answered(command: u8, fields: &[u8], reply: &WorkerReply, sink: &mut impl Sink) {
    let body = &reply.body.view();
    let (ticket_length, ticket) = short(&reply.address);
    let (length, headers) = headers(&reply.options, body);
    write_with([&[command, ticket_length], ticket, fields, &length, headers], body, sink);
}

/// Encodes the end of a request without a reply. The author of a worker's failure is the worker.
/// The author of any other error is the broker; the text is that of the last worker that rejected
/// the request, if any.
fn failed(outcome: Outcome, reply: &ReplyView<'_>, sink: &mut impl Sink) {
    let Some(of_broker) = codes::of_outcome(outcome) else { return };
    let of_worker =
        outcome == Outcome::Failed && (reply.code != CODE_UNSAID || !reply.body.is_empty());
    let (author, code_written) = match (of_worker, outcome, reply.code) {
        (true, ..) => (AUTHOR_WORKER, codes::of_worker(reply.code)),
        // A refusal may carry a more specific code for the limit that was reached.
        (_, Outcome::Refused, 400..=499) => (AUTHOR_BROKER, reply.code),
        _ => (AUTHOR_BROKER, of_broker),
    };
    let (length, headers) = headers(reply.options, &reply.body);
    let code_written = code_written.to_be_bytes();
    let parts: [&[u8]; 6] =
        [&[ERROR], &number(reply.id), &[author], &code_written, &length, headers];
    if of_worker || !reply.body.is_empty() {
        return write_with(parts, &reply.body, sink);
    }
    joined(parts, |frame| sink.frame(frame, true));
    sink.frame(code(outcome).as_bytes(), false);
}

/// Returns the id field. A text that is not a decimal number is encoded as 0: no peer of this
/// dialect has such an id.
#[inline]
fn number(id: CorrelationIdRef<'_>) -> [u8; 8] {
    id.number().unwrap_or(0).to_be_bytes()
}

/// Returns a command and its ticket field.
#[inline]
fn ticket(command: u8, token: Token) -> [u8; 18] {
    let ticket = token.octets();
    fixed([&[command, ticket.len() as u8], &ticket])
}

/// Converts a concurrency to a number field.
fn requests(concurrency: Concurrency) -> u32 {
    match concurrency {
        Concurrency::Unlimited => UNLIMITED,
        Concurrency::AtMost(most) => most.min(UNLIMITED - 1),
    }
}
