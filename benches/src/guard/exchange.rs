//! One exchange in one dialect: a request, the task that a worker gets, its reply, and the answer to
//! the client, each decoded or encoded as the broker does it.

use std::hint::black_box;

use bytes::Bytes;
use majordomus_core::broker::{Broker, Config, Input, Keys, Output, Profile};
use majordomus_core::{
    Frames, FromClient, FromWorker, Hello, Label, PeerId, Request, Role, Time, ToClient, ToWorker,
    WorkerReply,
};
use majordomus_wire::{Codec, Dialect, Side, Sink};

/// What the broker reads or writes of an exchange, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Request,
    Task,
    Reply,
    Answer,
}

impl Step {
    pub(super) const ALL: [Step; 4] = [Step::Request, Step::Task, Step::Reply, Step::Answer];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Step::Request => "request",
            Step::Task => "task",
            Step::Reply => "reply",
            Step::Answer => "answer",
        }
    }
}

/// An object of JSON is written as it is in every dialect, so that it is as long in each.
const BODY: &[u8; 64] = br#"{"text":"It is JSON as it stands, so it is as long everywhere."}"#;

const CLIENT: PeerId = PeerId::new(0, 0);
const WORKER: PeerId = PeerId::new(1, 0);

/// All four, ready to be read or written again and again.
pub(super) struct Exchange {
    client: Codec,
    worker: Codec,
    request: Frames,
    task: ToWorker,
    reply: Frames,
    answer: ToClient,
    written: Written,
}

impl Exchange {
    /// Has the broker's core make of a request what a worker gets, and of its reply the answer.
    pub(super) fn new(dialect: Dialect) -> Self {
        let [client, worker] = [Side::Client, Side::Worker].map(|side| Codec::new(dialect, side));
        let mut core = Broker::new(Config::default(), Keys([1, 2, 3, 4]));
        appear(&mut core, CLIENT, client);
        appear(&mut core, WORKER, worker);
        let ready = FromWorker::Ready { service: "echo".into() };
        tell(&mut core, Input::FromWorker { peer: WORKER, command: ready });

        let asked =
            Request { id: id(client), ..Request::new("echo", Frames::from_slices(&[BODY])) };
        let request = message(|frames| {
            client.encode_from_client(&FromClient::Request(asked), frames);
        });
        let command = client.decode_from_client(request.clone()).expect("it is a request");
        let task = tell(&mut core, Input::FromClient { peer: CLIENT, command });
        let Some(Output::ToWorker { peer: WORKER, command: task }) = task else {
            panic!("{dialect}: no task but {task:?}");
        };
        let got = worker.decode_to_worker(message(|frames| worker.encode_to_worker(&task, frames)));
        let Ok(ToWorker::Request(got)) = got else { panic!("{dialect}: no task but {got:?}") };
        let replied = WorkerReply { id: got.id, ..WorkerReply::new(got.address, got.body) };
        let reply = message(|frames| {
            let written = worker.encode_from_worker(&FromWorker::Final(replied), frames);
            written.expect("every dialect has final replies");
        });
        let command = worker.decode_from_worker(reply.clone()).expect("it is a reply");
        let answer = tell(&mut core, Input::FromWorker { peer: WORKER, command });
        let Some(Output::ToClient { peer: CLIENT, command: answer }) = answer else {
            panic!("{dialect}: no answer but {answer:?}");
        };
        Self { client, worker, request, task, reply, answer, written: Written::default() }
    }

    /// Carries out one step so many times.
    pub(super) fn run(&mut self, step: Step, operations: u64) {
        for _ in 0..operations {
            self.written.0.clear();
            match step {
                Step::Request => {
                    black_box(self.client.decode_from_client(self.request.clone()))
                        .expect("it was a request before");
                }
                Step::Task => self.worker.encode_to_worker(&self.task, &mut self.written),
                Step::Reply => {
                    black_box(self.worker.decode_from_worker(self.reply.clone()))
                        .expect("it was a reply before");
                }
                Step::Answer => self.client.encode_to_client(&self.answer, &mut self.written),
            }
            black_box(&self.written);
        }
    }
}

/// The bytes of frames, behind each other, where there is room for them already.
#[derive(Default)]
struct Written(Vec<u8>);

impl Sink for Written {
    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.0.extend_from_slice(frame);
    }
}

fn appear(core: &mut Broker, peer: PeerId, codec: Codec) {
    let profile = Profile { identity: Label::empty(), answers_probes: false, role: codec.role() };
    tell(core, Input::Appeared { peer, profile });
    if codec.greets() {
        let hello = Hello::default();
        let input = match codec.role() {
            Role::Client(_) => Input::FromClient { peer, command: FromClient::Hello(hello) },
            Role::Worker(_) => Input::FromWorker { peer, command: FromWorker::Hello(hello) },
        };
        tell(core, input);
    }
}

/// What the core wants last done about it.
fn tell(core: &mut Broker, input: Input) -> Option<Output> {
    core.handle(Time::ZERO, input);
    std::iter::from_fn(|| core.poll_output()).last()
}

/// The id of a request, where the dialect has any.
fn id(client: Codec) -> Label {
    if client.has_request_ids() { "17".into() } else { Label::empty() }
}

/// A message in one piece of memory, as it is read.
fn message(write: impl FnOnce(&mut Vec<Bytes>)) -> Frames {
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
            for step in [Step::Task, Step::Answer] {
                exchange.run(step, 2);
                let written = &exchange.written.0;
                assert!(
                    written.windows(BODY.len()).any(|bytes| bytes == BODY),
                    "{dialect} {step:?}: {written:?}"
                );
            }
            for message in [&exchange.request, &exchange.reply] {
                assert!(message.iter().any(|frame| frame.ends_with(BODY)), "{dialect} {message:?}");
            }
        }
    }
}
