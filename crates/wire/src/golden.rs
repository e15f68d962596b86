//! Golden messages: commands and their frames. Each dialect's file has its golden messages as data;
//! only [`check`] calls the API.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, CorrelationId, DisconnectReason, Frames, FromClient, FromWorker, Hello, Notice,
    Outcome, Reply, Request, Role, ToClient, ToWorker, Welcome, WorkerReply, WorkerRequest,
};

use crate::{Codec, Scratch, Side};

#[path = "../tests/to_worker/mod.rs"]
mod to_worker;

/// The token of every request to a worker, as text and as octets.
pub(crate) const TOKEN: &str = "dadbdcdddedfdgdhdidjgbgcgdgegfgg";
pub(crate) const TOKEN_OCTETS: &[u8; 16] = &to_worker::OCTETS;

/// A command of either side in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    FromClient(FromClient),
    ToClient(ToClient),
    FromWorker(FromWorker),
    ToWorker(ToWorker),
}

/// The relation between a command and a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The command is encoded as the message, and the message is decoded as the command.
    Both,
    /// The command is encoded as the message. The message is decoded as another command.
    Encode,
    /// The message is decoded as the command. The command is encoded as another message.
    Decode,
}

/// A test case. The frames are texts, or bytes if they are packed.
pub(crate) type Case<'a, T = str> = (Way, Command, &'a [&'a T]);

/// Checks every case with a codec for its side, and checks that no decoder panics on a truncated
/// message. A case without frames is a command that is not encoded.
#[track_caller]
pub(crate) fn check<T>(codec: impl Fn(Side) -> Codec, cases: &[Case<'_, T>])
where
    T: AsRef<[u8]> + ?Sized,
{
    for (way, command, frames) in cases {
        let side = match command {
            Command::FromClient(_) | Command::ToClient(_) => Side::Client,
            Command::FromWorker(_) | Command::ToWorker(_) => Side::Worker,
        };
        let codec = codec(side);
        let message = Frames::from_slices(frames);
        decode_cuts(codec, &message);
        if *way != Way::Decode {
            let written = Frames::from_slices(&encode(codec, command));
            assert_eq!(written, message, "{codec:?} writes {command:?}");
        }
        if *way != Way::Encode {
            let read = decode(codec, command, message.clone());
            assert_eq!(read, *command, "{codec:?} reads {message:?}");
            let form = match codec.role() {
                Role::Client(can) => can.form,
                Role::Worker(can) => can.form,
            };
            assert!(body(&read).is_none_or(|body| body.form() == form), "{codec:?} {message:?}");
        }
    }
}

fn encode(codec: Codec, command: &Command) -> Vec<Bytes> {
    let mut written = Written::default();
    match command {
        Command::FromClient(command) => codec.encode_from_client(command, &mut written),
        Command::ToClient(command) => codec.encode_to_client(&command.view(), &mut written),
        Command::FromWorker(command) => {
            codec.encode_from_worker(command, &mut written).expect("the dialect can say it");
        }
        Command::ToWorker(command) => {
            codec.encode_to_worker(&to_worker::view(command), &mut written)
        }
    }
    assert!(!written.more, "{codec:?} leaves a message open with {command:?}");
    written.frames
}

fn decode(codec: Codec, like: &Command, message: Frames) -> Command {
    let scratch = &mut Scratch::default();
    match like {
        Command::FromClient(_) => codec
            .decode_from_client(message.view(), scratch)
            .map(|command| Command::FromClient(command.to_owned())),
        Command::ToClient(_) => codec.decode_to_client(message).map(Command::ToClient),
        Command::FromWorker(_) => codec
            .decode_from_worker(message.view(), scratch)
            .map(|command| Command::FromWorker(command.to_owned())),
        Command::ToWorker(_) => codec.decode_to_worker(message).map(Command::ToWorker),
    }
    .expect("the message is right")
}

/// Decodes a message in all directions with each frame cut at every byte, with each frame missing,
/// and ending before each frame. The decoders may accept or reject the result.
fn decode_cuts(codec: Codec, message: &Frames) {
    let scratch = &mut Scratch::default();
    let mut decode = |frames: &[&[u8]]| {
        let message = Frames::from_slices(frames);
        let _ = codec.decode_from_client(message.view(), scratch);
        let _ = codec.decode_from_worker(message.view(), scratch);
        let _ = codec.decode_to_client(message.clone());
        let _ = codec.decode_to_worker(message.clone());
        let _ = Codec::detect(message.view(), b"", codec.dialect().socket(), None);
    };
    let frames: Vec<&[u8]> = message.iter().collect();
    for (at, frame) in frames.iter().enumerate() {
        let mut left = frames.clone();
        for cut in 0..frame.len() {
            left[at] = &frame[..cut];
            decode(&left);
        }
        left.remove(at);
        decode(&left);
        decode(&frames[..at]);
    }
}

fn body(command: &Command) -> Option<&Frames> {
    match command {
        Command::FromClient(FromClient::Request(request)) => Some(&request.body),
        Command::ToClient(
            ToClient::Partial(reply) | ToClient::Final(reply) | ToClient::Failed(_, reply),
        ) => Some(&reply.body),
        Command::FromWorker(
            FromWorker::Partial(reply)
            | FromWorker::Final(reply)
            | FromWorker::Failed(reply)
            | FromWorker::Rejected(reply),
        ) => Some(&reply.body),
        Command::ToWorker(ToWorker::Request(request)) => Some(&request.body),
        _ => None,
    }
}

/// A sink that checks that nothing follows the last frame.
#[derive(Default)]
struct Written {
    frames: Vec<Bytes>,
    more: bool,
}

impl crate::Sink for Written {
    fn frame(&mut self, frame: &[u8], more: bool) {
        assert!(self.frames.is_empty() || self.more, "a frame behind the last");
        self.frames.push(Bytes::copy_from_slice(frame));
        self.more = more;
    }
}

pub(crate) fn request(body: &[&str]) -> Command {
    Command::FromClient(FromClient::Request(Request::new("echo", Frames::from_slices(body))))
}

/// A reply, with or without a service name.
fn reply(service: &str, body: &[&str]) -> Reply {
    Reply::new(service, Frames::from_slices(body))
}

pub(crate) fn partial(service: &str, body: &[&str]) -> Command {
    Command::ToClient(ToClient::Partial(reply(service, body)))
}

pub(crate) fn last(service: &str, body: &[&str]) -> Command {
    Command::ToClient(ToClient::Final(reply(service, body)))
}

pub(crate) fn failed(outcome: Outcome, service: &str, body: &[&str]) -> Command {
    Command::ToClient(ToClient::Failed(outcome, reply(service, body)))
}

pub(crate) fn ready() -> Command {
    Command::FromWorker(FromWorker::Ready { service: "echo".into() })
}

fn worker_reply(body: &[&str]) -> WorkerReply {
    WorkerReply::new("17", Frames::from_slices(body))
}

pub(crate) fn worker_partial(body: &[&str]) -> Command {
    Command::FromWorker(FromWorker::Partial(worker_reply(body)))
}

pub(crate) fn worker_last(body: &[&str]) -> Command {
    Command::FromWorker(FromWorker::Final(worker_reply(body)))
}

pub(crate) fn worker_failed(body: &[&str]) -> Command {
    Command::FromWorker(FromWorker::Failed(worker_reply(body)))
}

pub(crate) fn worker_rejected(body: &[&str]) -> Command {
    Command::FromWorker(FromWorker::Rejected(worker_reply(body)))
}

pub(crate) fn worker_request(body: &[&str]) -> Command {
    Command::ToWorker(ToWorker::Request(WorkerRequest::new(
        TOKEN,
        ByteStr::empty(),
        Frames::from_slices(body),
    )))
}

pub(crate) const WORKER_HEARTBEAT: Command = Command::FromWorker(FromWorker::HEARTBEAT);
pub(crate) const WORKER_DISCONNECT: Command = Command::FromWorker(FromWorker::Disconnect);
pub(crate) const BROKER_HEARTBEAT: Command = Command::ToWorker(ToWorker::Heartbeat);
pub(crate) const BROKER_DISCONNECT: Command =
    Command::ToWorker(ToWorker::Disconnect(DisconnectReason::Unsaid));

/// The registration of a worker whose dialect does not name the service.
pub(crate) const REGISTERED: ToWorker =
    ToWorker::Registered { service: ByteStr::empty(), worker: ByteStr::empty() };

/// The WELCOME of a broker with the default limits.
pub(crate) fn welcome() -> Welcome {
    Welcome {
        heartbeat: Duration::from_millis(2_500),
        liveness: 3,
        message_bytes_max: 1 << 26,
        frames_max: 1_024,
        requests_max: 1_000,
        broker: "here".into(),
    }
}

/// Commands that no dialect of 7/MDP and 18/MDP can express, so that nothing is encoded.
pub(crate) fn unsaid() -> Vec<Case<'static>> {
    let id = CorrelationId::from("r1");
    let wanted = ToWorker::RequestKeepAlive { address: TOKEN.into(), id: id.clone() };
    let said_by_none_of_them = [
        Command::FromClient(FromClient::Heartbeat),
        Command::FromClient(FromClient::RequestKeepAlive { id }),
        Command::FromClient(FromClient::WorkerKeepAlive { worker: "W1".into() }),
        Command::ToClient(ToClient::Heartbeat),
        Command::ToWorker(REGISTERED),
        Command::ToWorker(wanted),
    ]
    .into_iter()
    .chain(Outcome::ALL.map(|outcome| failed(outcome, "echo", &["why"])))
    .map(|command| (Way::Encode, command, &[] as &[&str]));
    unsaid_but_in_omdp1().into_iter().chain(said_by_none_of_them).collect()
}

/// Commands that only OMDP/1 can express.
pub(crate) fn unsaid_but_in_omdp1() -> Vec<Case<'static>> {
    let id = CorrelationId::from("7");
    [
        Command::FromClient(FromClient::Hello(Hello::default())),
        Command::FromClient(FromClient::Cancel { id: id.clone() }),
        Command::FromClient(FromClient::More { id: id.clone(), credit: 1 }),
        Command::FromClient(FromClient::Disconnect),
        Command::ToClient(ToClient::Welcome(welcome())),
        Command::ToClient(ToClient::Notice { id, notice: Notice::Queued }),
        Command::ToClient(ToClient::Disconnect(DisconnectReason::ShutDown)),
        Command::FromWorker(FromWorker::Hello(Hello::default())),
        Command::FromWorker(FromWorker::Withdraw { service: "echo".into() }),
        Command::FromWorker(FromWorker::AtWork { address: "17".into() }),
        Command::ToWorker(ToWorker::Welcome(welcome())),
        Command::ToWorker(ToWorker::Capacity { concurrency: majordomus_core::Concurrency::ONE }),
        Command::ToWorker(ToWorker::More { address: TOKEN.into(), credit: 1 }),
        Command::ToWorker(ToWorker::Cancel { address: TOKEN.into(), outcome: Outcome::Expired }),
    ]
    .map(|command| (Way::Encode, command, &[] as &[&str]))
    .into()
}
