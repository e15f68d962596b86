//! An exchange in one dialect: a request, the task for the worker, its reply, and the answer to the
//! client. Each message is decoded or encoded as in the reactor: from borrowed memory and into
//! existing memory.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use majordomus_core::broker::{
    Action, Broker, Config, Event, Input, InputView, Keys, Outlet, Output, Profile,
};
use majordomus_core::{
    ByteStr, CorrelationId, Frames, FramesView, FromClient, FromWorker, Hello, PeerId, Request,
    Role, Time, ToClient, ToClientView, ToWorker, ToWorkerView, Token, WorkerReply, WorkerRequest,
    WorkerRequestView,
};
use majordomus_wire::{Codec, Dialect, Scratch, Side, Sink};

/// A measured step of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Decoding of the request.
    Request,
    /// Encoding of the task.
    Task,
    /// Decoding of the reply.
    Reply,
    /// Encoding of the answer.
    Answer,
    /// All of these steps, including the core's work between them.
    Exchange,
}

impl Step {
    pub(super) const ALL: [Step; 5] =
        [Step::Request, Step::Task, Step::Reply, Step::Answer, Step::Exchange];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Step::Request => "request",
            Step::Task => "task",
            Step::Reply => "reply",
            Step::Answer => "answer",
            Step::Exchange => "exchange",
        }
    }
}

/// A body in JSON, which has the same length in every dialect.
const BODY: &[u8; 64] = br#"{"text":"It is JSON as it stands, so it is as long everywhere."}"#;

const CLIENT: PeerId = PeerId::new(0, 0);
const WORKER: PeerId = PeerId::new(1, 0);

/// The time between two exchanges.
const STEP: Duration = Duration::from_micros(1);

/// A duration that is longer than any case, so that no heartbeat is due.
const AGES: Duration = Duration::from_secs(1 << 32);

/// The messages of an exchange, ready for repeated decoding and encoding.
pub(super) struct Exchange {
    core: Broker,
    now: Time,
    scratch: Scratch,
    request: Message,
    task: WorkerRequest,
    token: Token,
    reply: Message,
    /// The position of the token in the reply's memory, and whether the token is octets or text.
    token_at: usize,
    token_is_text: bool,
    answer: ToClient,
    peers: Peers,
}

impl Exchange {
    /// Prepares the task and the answer by passing a request and its reply through the core.
    pub(super) fn new(dialect: Dialect) -> Self {
        let [client, worker] = [Side::Client, Side::Worker].map(|side| Codec::new(dialect, side));
        let config = Config { heartbeat_interval: AGES, busy_timeout: AGES, ..Config::default() };
        let mut core = Broker::new(config, Keys([1, 2, 3, 4]));
        appear(&mut core, CLIENT, client);
        appear(&mut core, WORKER, worker);
        let ready = FromWorker::Ready { service: "echo".into() };
        tell(&mut core, &Input::FromWorker { peer: WORKER, command: ready });

        let mut scratch = Scratch::default();
        let asked =
            Request { id: id(client), ..Request::new("echo", Frames::from_slices(&[BODY])) };
        let request = Message::of(&written(|frames| {
            client.encode_from_client(&FromClient::Request(asked), frames);
        }));
        let command = client.decode_from_client(request.view(), &mut scratch);
        let command = command.expect("it is a request").to_owned();
        let task = tell(&mut core, &Input::FromClient { peer: CLIENT, command });
        let Some(Output::ToWorker { peer: WORKER, command: ToWorker::Request(task) }) = task else {
            panic!("{dialect}: no task but {task:?}");
        };
        let token = Token::read(&task.address).expect("the broker's own address");
        let told = written(|frames| worker.encode_to_worker(&view(&task, token), frames));
        let got = worker.decode_to_worker(told);
        let Ok(ToWorker::Request(got)) = got else { panic!("{dialect}: no task but {got:?}") };
        let token_is_text = *got.address == token.text();
        let replied = WorkerReply { id: got.id, ..WorkerReply::new(got.address, got.body) };
        let reply = Message::of(&written(|frames| {
            let written = worker.encode_from_worker(&FromWorker::Final(replied), frames);
            written.expect("every dialect has final replies");
        }));
        let token_at = match token_is_text {
            true => reply.position_of(&token.text()),
            false => reply.position_of(&token.octets()),
        };
        let command = worker.decode_from_worker(reply.view(), &mut scratch);
        let command = command.expect("it is a reply").to_owned();
        let answer = tell(&mut core, &Input::FromWorker { peer: WORKER, command });
        let Some(Output::ToClient { peer: CLIENT, command: answer }) = answer else {
            panic!("{dialect}: no answer but {answer:?}");
        };
        let peers = Peers { client, worker, given: token, written: Written::default() };
        let now = Time::ZERO;
        Self {
            core,
            now,
            scratch,
            request,
            task,
            token,
            reply,
            token_at,
            token_is_text,
            answer,
            peers,
        }
    }

    /// Runs one step this many times.
    pub(super) fn run(&mut self, step: Step, operations: u64) {
        for _ in 0..operations {
            self.peers.written.0.clear();
            match step {
                Step::Request => {
                    let command = self.request.view();
                    black_box(self.peers.client.decode_from_client(command, &mut self.scratch))
                        .expect("it was a request before");
                }
                Step::Task => {
                    let Peers { worker, written, .. } = &mut self.peers;
                    worker.encode_to_worker(&view(&self.task, self.token), written);
                }
                Step::Reply => {
                    let command = self.reply.view();
                    black_box(self.peers.worker.decode_from_worker(command, &mut self.scratch))
                        .expect("it was a reply before");
                }
                Step::Answer => {
                    let Peers { client, written, .. } = &mut self.peers;
                    client.encode_to_client(&self.answer.view(), written);
                }
                Step::Exchange => self.exchange(),
            }
            black_box(&self.peers.written);
        }
    }

    /// Runs an exchange: a request arrives, its task is sent, the reply arrives, and the answer is
    /// sent.
    fn exchange(&mut self) {
        let Self { core, now, scratch, request, reply, peers, .. } = self;
        *now = now.after(STEP);
        if core.next_deadline().is_some_and(|due| due <= *now) {
            core.handle(*now, InputView::Tick, peers);
        }
        let command = peers.client.decode_from_client(request.view(), scratch);
        let command = command.expect("it was a request before");
        core.handle(*now, InputView::FromClient { peer: CLIENT, command: &command }, peers);
        match self.token_is_text {
            true => reply.write_at(self.token_at, &peers.given.text()),
            false => reply.write_at(self.token_at, &peers.given.octets()),
        }
        let command = peers.worker.decode_from_worker(reply.view(), scratch);
        let command = command.expect("it was a reply before");
        core.handle(*now, InputView::FromWorker { peer: WORKER, command: &command }, peers);
    }

    /// Panics unless every exchange ended with a reply.
    pub(super) fn check(&self, exchanges: u64) {
        let counters = self.core.counters();
        // The preparation runs one exchange.
        assert_eq!(counters.outcome(majordomus_core::Outcome::Replied), 1 + exchanges);
        assert_eq!((counters.in_progress, counters.late_replies), (0, 0));
    }
}

/// The core's peers, which encode each command at once.
struct Peers {
    client: Codec,
    worker: Codec,
    /// The last token given to the worker.
    given: Token,
    written: Written,
}

impl Outlet for Peers {
    fn to_client(&mut self, _client: PeerId, command: &ToClientView<'_>) {
        self.client.encode_to_client(command, &mut self.written);
    }

    fn to_worker(&mut self, _worker: PeerId, command: &ToWorkerView<'_>) {
        self.worker.encode_to_worker(command, &mut self.written);
        if let ToWorkerView::Request(request) = command {
            self.given = request.token;
        }
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        panic!("{peer} has {action:?}");
    }

    fn note(&mut self, _event: Event) {}
}

/// A message in contiguous memory, as it is read.
struct Message {
    memory: Vec<u8>,
    /// The start and end of each frame.
    bounds: Vec<(u32, u32)>,
}

impl Message {
    fn of(frames: &Frames) -> Self {
        let (mut memory, mut bounds) = (Vec::new(), Vec::new());
        for frame in frames.iter() {
            let start = memory.len() as u32;
            memory.extend_from_slice(frame);
            bounds.push((start, memory.len() as u32));
        }
        Self { memory, bounds }
    }

    fn view(&self) -> FramesView<'_> {
        FramesView::borrowed(&self.memory, &self.bounds)
    }

    fn position_of(&self, bytes: &[u8]) -> usize {
        let mut windows = self.memory.windows(bytes.len());
        windows.position(|window| window == bytes).expect("it is in the message")
    }

    fn write_at(&mut self, at: usize, bytes: &[u8]) {
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The concatenated bytes of frames, in preallocated memory.
#[derive(Default)]
struct Written(Vec<u8>);

impl Sink for Written {
    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.0.extend_from_slice(frame);
    }
}

fn appear(core: &mut Broker, peer: PeerId, codec: Codec) {
    let profile = Profile { identity: ByteStr::empty(), answers_probes: false, role: codec.role() };
    tell(core, &Input::Connected { peer, profile });
    if codec.greets() {
        let hello = Hello::default();
        let input = match codec.role() {
            Role::Client(_) => Input::FromClient { peer, command: FromClient::Hello(hello) },
            Role::Worker(_) => Input::FromWorker { peer, command: FromWorker::Hello(hello) },
        };
        tell(core, &input);
    }
}

/// Returns the last output of an input.
fn tell(core: &mut Broker, input: &Input) -> Option<Output> {
    let mut outputs = Vec::new();
    input.with_view(|input| core.handle(Time::ZERO, input, &mut outputs));
    outputs.pop()
}

/// Borrows a task as the core passes it on.
fn view(task: &WorkerRequest, token: Token) -> ToWorkerView<'_> {
    ToWorkerView::Request(WorkerRequestView {
        token,
        service: &task.service,
        id: task.id.as_ref(),
        deadline: task.deadline,
        attempt: task.attempt,
        priority: task.priority,
        credit: task.credit,
        options: &task.options,
        body: task.body.view(),
    })
}

/// Returns a request id, if the dialect has request ids.
fn id(client: Codec) -> CorrelationId {
    if client.has_request_ids() { "17".into() } else { CorrelationId::NONE }
}

/// Returns an encoded message.
fn written(write: impl FnOnce(&mut Vec<Bytes>)) -> Frames {
    let mut frames = Vec::new();
    write(&mut frames);
    Frames::from_slices(&frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_of_the_body() {
        for dialect in Dialect::ALL {
            let mut exchange = Exchange::new(dialect);
            for (step, times) in [(Step::Task, 1), (Step::Answer, 1), (Step::Exchange, 2)] {
                exchange.run(step, 2);
                let written = &exchange.peers.written.0;
                let bodies = written.windows(BODY.len()).filter(|bytes| bytes == BODY).count();
                assert_eq!(bodies, times, "{dialect} {step:?}: {}", written.escape_ascii());
            }
            exchange.check(2);
            for message in [&exchange.request, &exchange.reply] {
                let holds_body = message.view().iter().any(|frame| frame.ends_with(BODY));
                assert!(holds_body, "{dialect} {:?}", message.view());
            }
        }
    }
}
