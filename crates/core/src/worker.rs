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
    /// How many requests more it holds until its handler is free: as many as a broker may send that
    /// has not heard yet how many it takes.
    pub held_max: usize,
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
            held_max: 0,
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
            ToWorker::Heartbeat | ToWorker::Registered | ToWorker::StillWanted { .. } => {
                self.uplink.proven();
            }
            ToWorker::Disconnect => self.part(now, Parting::SentAway),
        }
    }

    fn handle_request(&mut self, now: Time, mut request: WorkerRequest) {
        if self.purpose != Purpose::Serve {
            // The broker hears of it when we leave, and gives it to another.
            return;
        }
        let most = self.config.tasks_max + self.config.held_max;
        if self.open_tasks() + self.held.len() >= most {
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
            self.outputs.push_back(WorkerOutput::Send(FromWorker::HEARTBEAT));
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
mod tests;
