//! The worker: what it offers, which requests it has, and how it stays with its broker.

mod task;

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use crate::uplink::{Backoff, Uplink};
use crate::worker::task::{Task, TooLarge};
use crate::{Frames, FromWorker, Label, Time, ToWorker, WorkerRequest};

/// What a worker calls a request that it has delivered. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(pub u64);

/// How a worker behaves, and what its dialect can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The name of the service that it offers.
    pub service: Label,
    /// How many requests its handler gets at once. It is 1 where the dialect knows no more.
    pub tasks_max: usize,
    /// Whether the dialect has partial replies. Where it has not, parts are kept and go out with
    /// the final one.
    pub partial_replies: bool,
    /// How many bytes one message of a reply may have, with the parts that were kept for it. A
    /// request whose reply has more fails, because the broker would cut the connection for it.
    pub reply_bytes_max: usize,
    /// How many frames it may have.
    pub reply_frames_max: usize,
    /// How often it sends a heartbeat.
    pub heartbeat_interval: Duration,
    /// How many intervals the broker may be silent.
    pub liveness: u32,
    /// When a lost connection is opened again.
    pub backoff: Backoff,
}

impl WorkerConfig {
    /// A worker for `service` that has one request at a time, partial replies of up to 32 MiB and
    /// 1,000 frames, a heartbeat every 2.5 s and a liveness of 3.
    ///
    /// ```
    /// let config = majordomus_core::WorkerConfig::new("echo");
    /// assert_eq!(config.tasks_max, 1);
    /// ```
    pub fn new(service: impl Into<Label>) -> Self {
        Self {
            service: service.into(),
            tasks_max: 1,
            partial_replies: true,
            reply_bytes_max: 32 * 1024 * 1024,
            reply_frames_max: 1000,
            heartbeat_interval: Duration::from_millis(2500),
            liveness: 3,
            backoff: Backoff::default(),
        }
    }
}

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerInput {
    /// The connection that [`WorkerOutput::Open`] asked for is there.
    Opened,
    /// The connection broke, or could not be opened.
    Lost,
    /// The broker says something.
    Received(ToWorker),
    /// The broker showed life: bytes came from it, of whatever kind.
    Alive,
    /// The handler has a part of the reply.
    Part(TaskHandle, Frames),
    /// The handler has the reply, or its last part.
    Final(TaskHandle, Frames),
    /// The handler could not do it; the body says why.
    Failed(TaskHandle, Frames),
    /// The handler has returned. Where it gave no final reply, the request fails with this body.
    Ended(TaskHandle, Frames),
    /// Finish what runs, take no more, and leave.
    Drain,
    /// Leave now.
    Stop,
    /// Nothing but time passed.
    Tick,
}

/// What a worker wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOutput {
    /// Open a connection to the broker, and answer with [`WorkerInput::Opened`] or
    /// [`WorkerInput::Lost`].
    Open,
    /// Close the connection once what was to be sent is written, and report nothing more of it.
    Close(Parting),
    /// Send this to the broker.
    Send(FromWorker),
    /// Ask the broker for life in a way that needs no command (ZMTP's PING).
    AskForLife,
    /// Give this to the handler, and say with [`WorkerInput::Ended`] when it has returned.
    Deliver(TaskHandle, WorkerRequest),
    /// Tell the handler that nobody waits for this any more. It has not returned until it has.
    Cancel(TaskHandle),
    /// It has left and every handler has returned; it wants nothing more.
    Stopped,
}

/// Why a worker closes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It was told to leave.
    Leaving,
    /// The broker sent it away.
    SentAway,
    /// The broker was silent for too long.
    Silence,
    /// The broker gave it more requests than it takes.
    Overload,
}

/// A worker of one broker, over one connection at a time.
///
/// It is a state machine without I/O and without a clock, driven like [`Client`](crate::Client):
///
/// ```
/// use majordomus_core::{FromWorker, Time, Worker, WorkerConfig, WorkerInput, WorkerOutput};
///
/// let mut worker = Worker::new(WorkerConfig::new("echo"), 4711);
/// worker.handle(Time::ZERO, WorkerInput::Tick);
/// assert_eq!(worker.poll_output(), Some(WorkerOutput::Open));
/// worker.handle(Time::ZERO, WorkerInput::Opened);
/// let ready = FromWorker::Ready { service: "echo".into() };
/// assert_eq!(worker.poll_output(), Some(WorkerOutput::Send(ready)));
/// ```
///
/// When the connection is lost, the handlers of its requests are told, and it registers again only
/// when they have returned: a worker that is still busy takes no request.
///
/// Silence ends the connection after `liveness` intervals when the worker is idle. When it is busy,
/// it does so only where the broker was heard on this connection while the worker was busy:
/// some brokers send heartbeats to idle workers alone.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    uplink: Uplink,
    purpose: Purpose,
    /// Those whose handler has not returned.
    tasks: BTreeMap<TaskHandle, Task>,
    /// Requests that came when their predecessors had replied but not yet returned.
    held: VecDeque<WorkerRequest>,
    next_task: u64,
    /// When the next heartbeat is due, while connected.
    heartbeat_at: Time,
    /// When the broker was last heard, or the worker last became idle.
    heard_at: Time,
    heard_while_busy: bool,
    outputs: VecDeque<WorkerOutput>,
}

/// What a worker is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Serve,
    /// To finish what runs.
    Drain,
    /// To wait until the handlers have returned.
    Leave,
    /// Nothing any more.
    Stopped,
}

impl Worker {
    /// A worker that wants to be connected. `seed` varies its waits before it reconnects.
    pub fn new(config: WorkerConfig, seed: u64) -> Self {
        Self {
            uplink: Uplink::new(config.backoff, seed),
            config,
            purpose: Purpose::Serve,
            tasks: BTreeMap::new(),
            held: VecDeque::new(),
            next_task: 0,
            heartbeat_at: Time::NEVER,
            heard_at: Time::ZERO,
            heard_while_busy: false,
            outputs: VecDeque::new(),
        }
    }

    /// Tells it what happened at `now`. Drain [`poll_output`](Self::poll_output) after each call.
    pub fn handle(&mut self, now: Time, input: WorkerInput) {
        match input {
            WorkerInput::Opened => self.register(now),
            WorkerInput::Lost => self.lose(now),
            WorkerInput::Received(command) => self.handle_command(now, command),
            WorkerInput::Alive => self.hear(now),
            WorkerInput::Part(handle, body) => self.handle_part(now, handle, body),
            WorkerInput::Final(handle, body) => self.finish(now, handle, body),
            WorkerInput::Failed(handle, why) => self.fail(now, handle, why),
            WorkerInput::Ended(handle, why) => {
                self.fail(now, handle, why);
                self.tasks.remove(&handle);
            }
            WorkerInput::Drain if self.purpose == Purpose::Serve => self.purpose = Purpose::Drain,
            WorkerInput::Stop => self.leave(now),
            WorkerInput::Drain | WorkerInput::Tick => {}
        }
        self.keep_in_touch(now);
        self.deliver_held();
        self.move_on(now);
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<WorkerOutput> {
        self.outputs.pop_front()
    }

    /// When it must be told the time, by [`WorkerInput::Tick`] or anything else, at the latest.
    pub fn next_deadline(&self) -> Time {
        if self.uplink.is_open() {
            return self.heartbeat_at.min(self.silence_ends_at());
        }
        if self.may_open() { self.uplink.due_at() } else { Time::NEVER }
    }

    fn handle_command(&mut self, now: Time, command: ToWorker) {
        if !self.uplink.is_open() {
            return;
        }
        self.hear(now);
        match command {
            ToWorker::Request(request) => {
                self.uplink.proven();
                self.handle_request(now, request);
            }
            ToWorker::Cancel { address } => {
                self.held.retain(|request| request.address != address);
                self.cancel(|task| task.is_at(&address));
            }
            ToWorker::Heartbeat => self.uplink.proven(),
            ToWorker::Disconnect => self.part(now, Parting::SentAway),
        }
    }

    fn handle_request(&mut self, now: Time, mut request: WorkerRequest) {
        if self.purpose != Purpose::Serve {
            // The broker hears of it when we leave, and gives it to another.
            return;
        }
        if self.open_tasks() + self.held.len() >= self.config.tasks_max {
            // One of us has lost count.
            self.part(now, Parting::Overload);
            return;
        }
        if request.service.is_empty() {
            // Its dialect does not say, and there is only one that it can be.
            request.service = self.config.service.clone();
        }
        self.held.push_back(request);
    }

    fn handle_part(&mut self, now: Time, handle: TaskHandle, body: Frames) {
        let Some(task) = self.tasks.get_mut(&handle) else { return };
        match task.take_part(&self.config, body) {
            Ok(None) => {}
            Ok(Some(reply)) => {
                self.outputs.push_back(WorkerOutput::Send(FromWorker::Partial(reply)));
            }
            Err(TooLarge) => {
                self.outputs.push_back(WorkerOutput::Cancel(handle));
                self.fail(now, handle, TooLarge.text());
            }
        }
    }

    fn finish(&mut self, now: Time, handle: TaskHandle, body: Frames) {
        let Some(task) = self.tasks.get_mut(&handle) else { return };
        match task.take_final(&self.config, body) {
            Ok(reply) => self.end(now, reply.map(FromWorker::Final)),
            Err(TooLarge) => self.fail(now, handle, TooLarge.text()),
        }
    }

    fn fail(&mut self, now: Time, handle: TaskHandle, why: Frames) {
        let Some(task) = self.tasks.get_mut(&handle) else { return };
        let reply = task.fail(why);
        self.end(now, reply.map(FromWorker::Failed));
    }

    /// Sends the last that is said to a request, if it had not ended before.
    fn end(&mut self, now: Time, reply: Option<FromWorker>) {
        let Some(reply) = reply else { return };
        self.outputs.push_back(WorkerOutput::Send(reply));
        if !self.is_busy() {
            // The broker may have been silent for good reason so far.
            self.heard_at = now;
        }
    }

    fn register(&mut self, now: Time) {
        self.uplink.opened(now);
        if self.purpose != Purpose::Serve {
            return;
        }
        let service = self.config.service.clone();
        self.outputs.push_back(WorkerOutput::Send(FromWorker::Ready { service }));
        self.heartbeat_at = now.after(self.config.heartbeat_interval);
        self.heard_at = now;
        self.heard_while_busy = false;
    }

    fn hear(&mut self, now: Time) {
        self.heard_at = now;
        self.heard_while_busy |= self.is_busy();
    }

    /// Heartbeats, and what the broker's silence means.
    fn keep_in_touch(&mut self, now: Time) {
        if !self.uplink.is_open() {
            return;
        }
        if now >= self.silence_ends_at() {
            self.part(now, Parting::Silence);
        } else if now >= self.heartbeat_at {
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Heartbeat));
            self.heartbeat_at = now.after(self.config.heartbeat_interval);
            if now.since(self.heard_at) >= self.config.heartbeat_interval {
                self.outputs.push_back(WorkerOutput::AskForLife);
            }
        }
    }

    /// When the broker's silence is too long; never where it says nothing about the broker.
    fn silence_ends_at(&self) -> Time {
        if self.is_busy() && !self.heard_while_busy {
            return Time::NEVER;
        }
        let silence_max = self.config.heartbeat_interval.saturating_mul(self.config.liveness);
        self.heard_at.after(silence_max)
    }

    fn deliver_held(&mut self) {
        while self.tasks.len() < self.config.tasks_max
            && let Some(request) = self.held.pop_front()
        {
            let handle = TaskHandle(self.next_task);
            self.next_task += 1;
            let task = Task::new(&request);
            self.tasks.insert(handle, task);
            self.outputs.push_back(WorkerOutput::Deliver(handle, request));
        }
    }

    /// Opens the connection when it is time, and leaves when all is done.
    fn move_on(&mut self, now: Time) {
        if self.may_open() && self.uplink.open_if_due(now) {
            self.outputs.push_back(WorkerOutput::Open);
        }
        if self.purpose == Purpose::Drain && !self.is_busy() {
            self.leave(now);
        }
        if self.purpose == Purpose::Leave && self.tasks.is_empty() {
            self.purpose = Purpose::Stopped;
            self.outputs.push_back(WorkerOutput::Stopped);
        }
    }

    fn leave(&mut self, now: Time) {
        if matches!(self.purpose, Purpose::Leave | Purpose::Stopped) {
            return;
        }
        self.purpose = Purpose::Leave;
        if self.uplink.is_open() {
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Disconnect));
        }
        if !self.uplink.is_closed() {
            self.outputs.push_back(WorkerOutput::Close(Parting::Leaving));
        }
        self.lose(now);
    }

    fn part(&mut self, now: Time, why: Parting) {
        self.outputs.push_back(WorkerOutput::Close(why));
        self.lose(now);
    }

    fn lose(&mut self, now: Time) {
        self.uplink.lost(now);
        self.held.clear();
        self.cancel(|_| true);
    }

    fn cancel(&mut self, which: impl Fn(&Task) -> bool) {
        for (&handle, task) in &mut self.tasks {
            if which(task) && task.cancel() {
                self.outputs.push_back(WorkerOutput::Cancel(handle));
            }
        }
    }

    fn may_open(&self) -> bool {
        self.purpose == Purpose::Serve && self.tasks.is_empty()
    }

    fn open_tasks(&self) -> usize {
        self.tasks.values().filter(|task| task.is_open()).count()
    }

    fn is_busy(&self) -> bool {
        !self.held.is_empty() || self.open_tasks() > 0
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::WorkerInput::{
        Alive, Drain, Ended, Final, Lost, Opened, Part, Received, Stop, Tick,
    };
    use super::WorkerOutput::{AskForLife, Cancel, Close, Deliver, Open, Send, Stopped};
    use super::*;
    use crate::WorkerReply;

    const FIRST: TaskHandle = TaskHandle(0);
    const SECOND: TaskHandle = TaskHandle(1);

    /// At this millisecond, this happens, and that must come out.
    type Step = (u64, WorkerInput, Vec<WorkerOutput>);

    /// A worker with a heartbeat every second and a liveness of 3.
    fn config() -> WorkerConfig {
        let wait = Duration::from_millis(10);
        WorkerConfig {
            heartbeat_interval: Duration::from_secs(1),
            backoff: Backoff { shortest: wait, longest: wait },
            ..WorkerConfig::new("echo")
        }
    }

    fn check(config: WorkerConfig, script: impl IntoIterator<Item = Step>) {
        let mut worker = Worker::new(config, 0);
        for (number, (at_ms, input, expected)) in script.into_iter().enumerate() {
            let shown = format!("step {number}: {input:?}");
            worker.handle(Time::from_micros(at_ms * 1000), input);
            let outputs: Vec<_> = core::iter::from_fn(|| worker.poll_output()).collect();
            assert_eq!(outputs, expected, "{shown}");
        }
    }

    fn connect(at_ms: u64) -> [Step; 2] {
        [(at_ms, Tick, vec![Open]), (at_ms, Opened, vec![ready()])]
    }

    fn body(text: &str) -> Frames {
        Frames::from_slices(&[text])
    }

    fn ready() -> WorkerOutput {
        Send(FromWorker::Ready { service: "echo".into() })
    }

    fn heartbeat() -> WorkerOutput {
        Send(FromWorker::Heartbeat)
    }

    fn leave() -> WorkerOutput {
        Send(FromWorker::Disconnect)
    }

    fn request(address: &str) -> WorkerRequest {
        let (service, id) = ("echo".into(), Label::empty());
        WorkerRequest { address: address.into(), service, id, body: body("do") }
    }

    /// A request as the dialects without a service in it have it.
    fn asked(address: &str) -> WorkerInput {
        let service = Label::empty();
        Received(ToWorker::Request(WorkerRequest { service, ..request(address) }))
    }

    fn given(handle: TaskHandle, address: &str) -> WorkerOutput {
        Deliver(handle, request(address))
    }

    fn replied(kind: fn(WorkerReply) -> FromWorker, address: &str, body: Frames) -> WorkerOutput {
        Send(kind(WorkerReply { address: address.into(), id: Label::empty(), body }))
    }

    fn returned(handle: TaskHandle) -> WorkerInput {
        Ended(handle, body("no reply"))
    }

    #[test]
    fn requests_one_after_the_other() {
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Part(FIRST, body("x")), vec![replied(FromWorker::Partial, "a", body("x"))]),
            (3, Final(FIRST, body("y")), vec![replied(FromWorker::Final, "a", body("y"))]),
            (3, Final(FIRST, body("z")), vec![]),
            (4, returned(FIRST), vec![]),
            (5, asked("b"), vec![given(SECOND, "b")]),
            (6, returned(SECOND), vec![replied(FromWorker::Failed, "b", body("no reply"))]),
        ]);
        check(config(), script);
    }

    #[test]
    fn the_next_request_waits_until_the_handler_has_returned() {
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Final(FIRST, body("y")), vec![replied(FromWorker::Final, "a", body("y"))]),
            (3, asked("b"), vec![]),
            (4, returned(FIRST), vec![given(SECOND, "b")]),
        ]);
        check(config(), script);
    }

    #[test]
    fn more_requests_than_it_takes_cost_the_connection() {
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, asked("b"), vec![Close(Parting::Overload), Cancel(FIRST)]),
        ]);
        check(config(), script);
    }

    #[test]
    fn heartbeats_idle_or_busy() {
        let script = connect(0).into_iter().chain([
            (900, Alive, vec![]),
            (1000, Tick, vec![heartbeat()]),
            (1500, asked("a"), vec![given(FIRST, "a")]),
            (2000, Tick, vec![heartbeat()]),
            (3000, Tick, vec![heartbeat(), AskForLife]),
            (3500, Alive, vec![]),
            (4000, Tick, vec![heartbeat()]),
        ]);
        check(config(), script);
    }

    #[test]
    fn a_silent_broker_is_given_up() {
        let script = connect(0).into_iter().chain([
            (1000, Tick, vec![heartbeat(), AskForLife]),
            (2000, Tick, vec![heartbeat(), AskForLife]),
            (3000, Tick, vec![Close(Parting::Silence)]),
            (3020, Tick, vec![Open]),
            (3020, Opened, vec![ready()]),
        ]);
        check(config(), script);
    }

    #[test]
    fn a_broker_that_is_never_heard_while_we_are_busy_may_be_silent_then() {
        let script = connect(0).into_iter().chain([
            (0, asked("a"), vec![given(FIRST, "a")]),
            (1000, Tick, vec![heartbeat(), AskForLife]),
            (9000, Tick, vec![heartbeat(), AskForLife]),
            (9500, Final(FIRST, body("y")), vec![replied(FromWorker::Final, "a", body("y"))]),
            (9500, returned(FIRST), vec![]),
            (12499, Tick, vec![heartbeat(), AskForLife]),
            (12500, Tick, vec![Close(Parting::Silence)]),
        ]);
        check(config(), script);
    }

    #[test]
    fn a_broker_that_was_heard_while_we_were_busy_may_not() {
        let script = connect(0).into_iter().chain([
            (0, asked("a"), vec![given(FIRST, "a")]),
            (500, Alive, vec![]),
            (3500, Tick, vec![Close(Parting::Silence), Cancel(FIRST)]),
        ]);
        check(config(), script);
    }

    #[test]
    fn a_lost_connection_cancels_and_waits_for_the_handler_before_it_registers() {
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Lost, vec![Cancel(FIRST)]),
            (100, Final(FIRST, body("late")), vec![]),
            (100, returned(FIRST), vec![Open]),
            (100, Lost, vec![]),
            (120, Tick, vec![Open]),
            (120, Opened, vec![ready()]),
        ]);
        check(config(), script);
    }

    #[test]
    fn sent_away_it_registers_again_after_a_wait() {
        let script = connect(0).into_iter().chain([
            (1, Received(ToWorker::Disconnect), vec![Close(Parting::SentAway)]),
            (1, asked("of the old connection"), vec![]),
            (20, Tick, vec![Open]),
            (20, Opened, vec![ready()]),
        ]);
        check(config(), script);
    }

    #[test]
    fn a_cancelled_request_is_told_its_handler() {
        let cancel = Received(ToWorker::Cancel { address: "a".into() });
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, cancel.clone(), vec![Cancel(FIRST)]),
            (2, cancel, vec![]),
            (3, Part(FIRST, body("late")), vec![]),
        ]);
        check(config(), script);
    }

    #[test]
    fn without_partial_replies_parts_go_with_the_final_one() {
        let whole = Frames::from_slices(&["x", "y", "z"]);
        let config = WorkerConfig { partial_replies: false, ..config() };
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Part(FIRST, body("x")), vec![]),
            (2, Part(FIRST, body("y")), vec![]),
            (3, Final(FIRST, body("z")), vec![replied(FromWorker::Final, "a", whole)]),
        ]);
        check(config, script);
    }

    #[test]
    fn a_reply_that_is_too_large_fails_the_request() {
        let failed = || replied(FromWorker::Failed, "a", body("the reply is too large"));
        let bytes = WorkerConfig { reply_bytes_max: 3, ..config() };
        let frames = WorkerConfig { reply_frames_max: 1, ..config() };
        let kept_bytes = WorkerConfig { partial_replies: false, ..bytes.clone() };
        let kept_frames = WorkerConfig { partial_replies: false, ..frames.clone() };
        let part = |body| (2, Part(FIRST, body), vec![Cancel(FIRST), failed()]);
        let last = |body| (2, Final(FIRST, body), vec![failed()]);
        let kept = (1, Part(FIRST, body("two")), vec![]);
        let cases = [
            (&bytes, vec![part(body("four"))]),
            (&bytes, vec![last(body("four"))]),
            (&frames, vec![part(Frames::from_slices(&["", ""]))]),
            (&frames, vec![last(Frames::from_slices(&["", ""]))]),
            (&kept_bytes, vec![kept.clone(), part(body("x"))]),
            (&kept_bytes, vec![kept.clone(), last(body("x"))]),
            (&kept_frames, vec![kept.clone(), part(body(""))]),
            (&kept_frames, vec![kept.clone(), last(body(""))]),
        ];
        for (config, steps) in cases {
            let given = (1, asked("a"), vec![given(FIRST, "a")]);
            check(config.clone(), connect(0).into_iter().chain([given]).chain(steps));
        }
    }

    #[test]
    fn drain_finishes_what_runs() {
        let done = replied(FromWorker::Final, "a", body("y"));
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Drain, vec![]),
            (3, Final(FIRST, body("y")), vec![done, leave(), Close(Parting::Leaving)]),
            (4, returned(FIRST), vec![Stopped]),
            (5, Tick, vec![]),
        ]);
        check(config(), script);
        check(
            config(),
            connect(0).into_iter().chain([(
                1,
                Drain,
                vec![leave(), Close(Parting::Leaving), Stopped],
            )]),
        );
    }

    #[test]
    fn stop_cancels_what_runs() {
        let script = connect(0).into_iter().chain([
            (1, asked("a"), vec![given(FIRST, "a")]),
            (2, Stop, vec![leave(), Close(Parting::Leaving), Cancel(FIRST)]),
            (3, returned(FIRST), vec![Stopped]),
        ]);
        check(config(), script);
        check(config(), [(0, Stop, vec![Stopped])]);
        check(config(), [(0, Tick, vec![Open]), (0, Stop, vec![Close(Parting::Leaving), Stopped])]);
    }
}
