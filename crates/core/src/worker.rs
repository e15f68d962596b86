//! The worker: what it offers, which requests it has, and how it stays with its broker.

mod task;
mod tasks;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::broker::HEARTBEAT_INTERVAL_MIN;
use crate::uplink::{Backoff, Uplink};
use crate::worker::task::{Room, Task, TooLarge};
use crate::worker::tasks::Tasks;
use crate::{
    CODE_UNSAID, Concurrency, Content, Farewell, Frames, FromWorker, Hello, Label, Status, Time,
    ToWorker, Welcome, WorkerReply, WorkerRequest,
};

/// What a worker calls a request that it has delivered. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(pub u64);

/// How a worker behaves, and what its dialect can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The names of the services that it offers: one, where its dialect knows no more.
    pub services: Vec<Label>,
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
    /// Whether it begins with HELLO, and is told what holds at the broker.
    pub greets: bool,
    /// Whether it can say how many requests it takes at once.
    pub says_capacity: bool,
    /// Whether it can give a request back, so that another worker gets it.
    pub rejects: bool,
    /// How many bytes a message to it may have; nothing where it does not say.
    pub message_bytes_max: Option<usize>,
    /// How often it sends a heartbeat.
    pub heartbeat_interval: Duration,
    /// How many intervals the broker may be silent.
    pub liveness: u32,
    /// How long a broker that is told how many requests it takes has to answer that it goes by it. One
    /// that drains leaves then, answer or not.
    pub capacity_timeout: Duration,
    /// When a lost connection is opened again.
    pub backoff: Backoff,
}

impl WorkerConfig {
    /// A worker for `service` that has one request at a time, partial replies of up to 32 MiB and
    /// 1,000 frames, a heartbeat every 2.5 s, a liveness of 3 and 10 s for the broker to answer how many
    /// requests it takes.
    ///
    /// ```
    /// let config = majordomus_core::WorkerConfig::new("echo");
    /// assert_eq!(config.tasks_max, 1);
    /// ```
    pub fn new(service: impl Into<Label>) -> Self {
        Self {
            services: [service.into()].into(),
            tasks_max: 1,
            held_max: 0,
            partial_replies: true,
            reply_bytes_max: 32 * 1024 * 1024,
            reply_frames_max: 1000,
            greets: false,
            says_capacity: false,
            rejects: false,
            message_bytes_max: None,
            heartbeat_interval: Duration::from_millis(2500),
            liveness: 3,
            capacity_timeout: Duration::from_secs(10),
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
    Part(TaskHandle, Content),
    /// The handler has the reply, or its last part, and how long it is good for equal requests.
    Final(TaskHandle, Content, Option<Duration>),
    /// The handler could not do it; the code, where there is one, and the body say why.
    Failed(TaskHandle, u16, Content),
    /// The handler gives it back, so that another worker gets it; the body says why.
    Rejected(TaskHandle, Content),
    /// The handler is still at work.
    AtWork(TaskHandle),
    /// The handler has returned. Where it gave no final reply, the request fails with this body.
    Ended(TaskHandle, Frames),
    /// So many requests at once from now on.
    Concurrency(usize),
    /// Offer this service, too.
    Offer(Label),
    /// Offer this service no longer.
    Withdraw(Label),
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
    /// The client of this takes so many parts more.
    Credit(TaskHandle, u32),
    /// It has left and every handler has returned; it wants nothing more.
    Stopped,
}

/// Why a worker closes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It was told to leave.
    Leaving,
    /// The broker sent it away, and may have said why.
    SentAway(Farewell),
    /// The broker was silent for too long.
    Silence,
    /// The broker gave it more requests than it takes.
    Overload,
    /// The broker greeted it twice, or said something before it did.
    OutOfTurn,
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
    tasks: Tasks,
    /// Requests that came when their predecessors had replied but not yet returned.
    held: VecDeque<WorkerRequest>,
    next_task: u64,
    /// When the next heartbeat is due, while connected.
    heartbeat_at: Time,
    /// When the broker was last heard, or the worker last became idle.
    heard_at: Time,
    heard_while_busy: bool,
    /// What holds at the broker, where it has said so.
    welcome: Option<Welcome>,
    /// How long the broker may be silent.
    silence_max: Duration,
    /// How many services it has offered on this connection to a broker that answers to each, and has not
    /// to these.
    unregistered: usize,
    /// How many requests the broker was told that it takes, while connected.
    said: usize,
    /// How often it has said so on this connection without an answer.
    unanswered: u32,
    /// Until when it has to answer what it was told last.
    answer_due: Time,
    /// What the broker goes by, as it has said on this connection.
    settled: Option<Concurrency>,
    /// The most that it was told on this connection.
    told_max: usize,
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
            silence_max: silence_max(&config, None),
            config,
            purpose: Purpose::Serve,
            tasks: Tasks::default(),
            held: VecDeque::new(),
            next_task: 0,
            heartbeat_at: Time::NEVER,
            heard_at: Time::ZERO,
            heard_while_busy: false,
            welcome: None,
            unregistered: 0,
            said: 0,
            unanswered: 0,
            answer_due: Time::ZERO,
            settled: None,
            told_max: 0,
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
            WorkerInput::Part(handle, part) => self.handle_part(now, handle, part),
            WorkerInput::Final(handle, last, keep) => {
                self.end(now, handle, |task, room| task.finish(room, last, keep));
            }
            WorkerInput::Rejected(handle, why) if self.config.rejects => {
                self.end(now, handle, |task, room| task.reject(room, why));
            }
            WorkerInput::Rejected(handle, why) => self.fail(now, handle, CODE_UNSAID, why),
            WorkerInput::Failed(handle, code, why) => self.fail(now, handle, code, why),
            WorkerInput::AtWork(handle) => self.handle_at_work(handle),
            WorkerInput::Ended(handle, why) => self.handle_ended(now, handle, why),
            WorkerInput::Concurrency(tasks_max) => self.config.tasks_max = tasks_max,
            WorkerInput::Offer(service) => self.handle_offer(now, service),
            WorkerInput::Withdraw(service) => self.handle_withdraw(now, &service),
            WorkerInput::Drain if self.purpose == Purpose::Serve => self.purpose = Purpose::Drain,
            WorkerInput::Stop => self.leave(now),
            WorkerInput::Drain | WorkerInput::Tick => {}
        }
        self.keep_in_touch(now);
        self.deliver_held();
        self.say_capacity(now);
        self.move_on(now);
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<WorkerOutput> {
        self.outputs.pop_front()
    }

    /// Swaps everything that is to be done with `outputs`, which is empty. It is in order, and can be
    /// read where it is.
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// use majordomus_core::{Time, Worker, WorkerConfig, WorkerInput, WorkerOutput};
    ///
    /// let mut worker = Worker::new(WorkerConfig::new("echo"), 4711);
    /// let mut outputs = VecDeque::new();
    /// worker.handle(Time::ZERO, WorkerInput::Tick);
    /// worker.take_outputs(&mut outputs);
    /// assert_eq!(outputs, [WorkerOutput::Open]);
    /// ```
    pub fn take_outputs(&mut self, outputs: &mut VecDeque<WorkerOutput>) {
        debug_assert!(outputs.is_empty(), "outputs are lost");
        core::mem::swap(&mut self.outputs, outputs);
    }

    /// When it must be told the time, by [`WorkerInput::Tick`] or anything else, at the latest.
    pub fn next_deadline(&self) -> Time {
        if self.uplink.is_open() {
            let drained_at = match self.is_drained() {
                true => self.may_come_until(),
                false => Time::NEVER,
            };
            return self.heartbeat_at.min(self.silence_ends_at()).min(drained_at);
        }
        if self.may_open() { self.uplink.due_at() } else { Time::NEVER }
    }

    fn handle_command(&mut self, now: Time, command: ToWorker) {
        if !self.uplink.is_open() {
            return;
        }
        self.hear(now);
        let greeted = self.welcome.is_some();
        let out_of_turn = match &command {
            ToWorker::Welcome(_) => greeted,
            ToWorker::Disconnect(_) => false,
            _ => self.config.greets && !greeted,
        };
        if out_of_turn {
            return self.part(now, Parting::OutOfTurn);
        }
        match command {
            ToWorker::Request(request) => {
                self.proven();
                self.handle_request(now, request);
            }
            ToWorker::Cancel { address, .. } => {
                self.drop_held(&address);
                self.cancel_at(&address);
            }
            // That it serves us it shows when it has registered all that we offer.
            ToWorker::Welcome(welcome) => {
                self.silence_max = silence_max(&self.config, Some(&welcome));
                self.welcome = Some(welcome);
            }
            ToWorker::More { address, credit } => self.handle_more(&address, credit),
            ToWorker::Capacity { concurrency } => self.settle(concurrency),
            ToWorker::Registered { .. } => {
                self.unregistered = self.unregistered.saturating_sub(1);
                self.proven();
            }
            ToWorker::Heartbeat | ToWorker::StillWanted { .. } => self.proven(),
            ToWorker::Disconnect(why) => {
                self.outputs.push_back(WorkerOutput::Close(Parting::SentAway(why)));
                self.uplink.sent_away(now, why);
                self.drop_all();
            }
        }
    }

    fn handle_request(&mut self, now: Time, mut request: WorkerRequest) {
        if self.purpose != Purpose::Serve {
            // It was on its way when we said that we take no more. Where it cannot be given back, the
            // broker hears of it when we leave, and gives it to another.
            if self.config.rejects {
                let reply = WorkerReply::new(request.address, Frames::empty());
                let rejected = FromWorker::Rejected(WorkerReply { id: request.id, ..reply });
                self.outputs.push_back(WorkerOutput::Send(rejected));
            }
            return;
        }
        // What is on its way may have been sent before the broker heard of a lower number.
        let most = self.told_max.max(self.config.tasks_max).saturating_add(self.config.held_max);
        if self.tasks.owing() + self.held.len() >= most {
            // One of us has lost count.
            self.part(now, Parting::Overload);
            return;
        }
        if request.service.is_empty() {
            // Its dialect does not say, and there is only one that it can be.
            request.service = self.config.services.first().cloned().unwrap_or_default();
        }
        // Nothing is held while there is room.
        match self.tasks.len() < self.delivered_max() {
            true => self.deliver(request),
            false => self.held.push_back(request),
        }
    }

    fn handle_part(&mut self, now: Time, handle: TaskHandle, part: Content) {
        let room = Room { config: &self.config, welcome: self.welcome.as_ref() };
        let Some(taken) = self.tasks.change(handle, |task| task.take_part(room, part)) else {
            return;
        };
        match taken {
            Ok(None) => {}
            Ok(Some(reply)) => {
                self.outputs.push_back(WorkerOutput::Send(FromWorker::Partial(reply)));
            }
            Err(TooLarge) => {
                self.outputs.push_back(WorkerOutput::Cancel(handle));
                self.fail(now, handle, CODE_UNSAID, TooLarge.content());
            }
        }
    }

    fn fail(&mut self, now: Time, handle: TaskHandle, code: u16, why: Content) {
        self.end(now, handle, |task, room| task.fail(room, code, why));
    }

    fn handle_ended(&mut self, now: Time, handle: TaskHandle, why: Frames) {
        let task = self.tasks.remove(handle).filter(Task::owes_a_reply);
        let Some(mut task) = task else { return };
        let room = Room { config: &self.config, welcome: self.welcome.as_ref() };
        let last = task.fail(room, CODE_UNSAID, Content::of(why));
        self.say_last(now, last);
    }

    fn handle_at_work(&mut self, handle: TaskHandle) {
        let Some(task) = self.tasks.get(handle).filter(|task| task.is_open()) else { return };
        let address = task.address().clone();
        self.outputs.push_back(WorkerOutput::Send(FromWorker::AtWork { address }));
    }

    fn handle_more(&mut self, address: &Label, credit: u32) {
        self.proven();
        if let Some(handle) = self.tasks.at(address) {
            if self.tasks.get(handle).is_some_and(Task::is_open) {
                self.outputs.push_back(WorkerOutput::Credit(handle, credit));
            }
        } else if let Some(held) = self.held.iter_mut().find(|request| request.address == *address)
        {
            held.credit = held.credit.saturating_add(credit);
        }
    }

    fn handle_offer(&mut self, now: Time, service: Label) {
        if self.config.services.contains(&service) {
            return;
        }
        self.config.services.push(service.clone());
        if self.uplink.is_open() && self.purpose == Purpose::Serve {
            self.unregistered += usize::from(self.config.greets);
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Ready { service }));
        }
        self.uplink.changed(now);
    }

    fn handle_withdraw(&mut self, now: Time, service: &Label) {
        let before = self.config.services.len();
        self.config.services.retain(|offered| offered != service);
        if self.config.services.len() == before {
            return;
        }
        if self.uplink.is_open() {
            let service = service.clone();
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Withdraw { service }));
        }
        self.uplink.changed(now);
    }

    /// Ends a request with what its task says last.
    fn end(
        &mut self,
        now: Time,
        handle: TaskHandle,
        last: impl FnOnce(&mut Task, Room<'_>) -> Option<FromWorker>,
    ) {
        let room = Room { config: &self.config, welcome: self.welcome.as_ref() };
        let last = self.tasks.change(handle, |task| last(task, room)).flatten();
        self.say_last(now, last);
    }

    /// Sends the last that is said to a request, if it had not ended before.
    fn say_last(&mut self, now: Time, last: Option<FromWorker>) {
        let Some(last) = last else { return };
        self.outputs.push_back(WorkerOutput::Send(last));
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
        self.welcome = None;
        self.silence_max = silence_max(&self.config, None);
        self.unregistered = if self.config.greets { self.config.services.len() } else { 0 };
        self.said = self.capacity();
        self.told_max = self.said;
        self.unanswered = u32::from(self.config.says_capacity);
        self.answer_due = now.after(self.config.capacity_timeout);
        self.settled = None;
        let status = Status { concurrency: Some(concurrency(self.said)), publish: false };
        let capacity = self.config.says_capacity.then_some(FromWorker::Heartbeat(status));
        let services = self.config.services.iter().cloned();
        let ready = services.map(|service| FromWorker::Ready { service });
        let send = |command| WorkerOutput::Send(command);
        if self.config.greets {
            let heartbeat = Some(self.config.heartbeat_interval);
            let hello = Hello { heartbeat, message_bytes_max: self.config.message_bytes_max };
            self.outputs.push_back(send(FromWorker::Hello(hello)));
            // So the broker knows it from the first.
            self.outputs.extend(capacity.into_iter().chain(ready).map(send));
        } else {
            self.outputs.extend(ready.chain(capacity).map(send));
        }
        self.heartbeat_at = now.after(self.config.heartbeat_interval);
        self.heard_at = now;
        self.heard_while_busy = false;
    }

    /// The broker serves us, unless there is something that we offer and it has not taken yet.
    fn proven(&mut self) {
        if self.unregistered == 0 {
            self.uplink.proven();
        }
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
        // Nothing is due, as with nearly all inputs.
        if now < self.heartbeat_at && now < self.heard_at.after(self.silence_max) {
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
        self.heard_at.after(self.silence_max)
    }

    /// How many requests it takes at once: not those for which handlers of an earlier connection are
    /// still at work.
    fn capacity(&self) -> usize {
        match self.purpose {
            Purpose::Serve => self.config.tasks_max.saturating_sub(self.tasks.orphans()),
            _ => 0,
        }
    }

    /// Tells the broker how many requests it takes, where that is not what it was told.
    fn say_capacity(&mut self, now: Time) {
        let capacity = self.capacity();
        if self.config.says_capacity && self.uplink.is_open() && self.said != capacity {
            self.said = capacity;
            self.told_max = self.told_max.max(capacity);
            self.unanswered = self.unanswered.saturating_add(1);
            self.answer_due = now.after(self.config.capacity_timeout);
            let status = Status { concurrency: Some(concurrency(capacity)), publish: false };
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Heartbeat(status)));
        }
    }

    /// The broker goes by this number from now on: nothing comes any more that it sent by another.
    fn settle(&mut self, settled: Concurrency) {
        self.settled = Some(settled);
        self.unanswered = self.unanswered.saturating_sub(1);
        // The same number may have been said before a higher one.
        if self.unanswered == 0 && settled == concurrency(self.said) {
            self.told_max = self.said;
        }
    }

    /// How many requests its handlers get at once. What the broker sent before it heard of a lower
    /// number is still done.
    fn delivered_max(&self) -> usize {
        match self.config.greets {
            true => self.config.tasks_max.max(self.told_max),
            false => self.config.tasks_max.max(1),
        }
    }

    fn deliver_held(&mut self) {
        while self.tasks.len() < self.delivered_max()
            && let Some(request) = self.held.pop_front()
        {
            self.deliver(request);
        }
    }

    fn deliver(&mut self, request: WorkerRequest) {
        let handle = TaskHandle(self.next_task);
        self.next_task += 1;
        self.tasks.add(handle, &request);
        self.outputs.push_back(WorkerOutput::Deliver(handle, request));
    }

    /// Opens the connection when it is time, and leaves when all is done.
    fn move_on(&mut self, now: Time) {
        if self.may_open() && self.uplink.open_if_due(now) {
            self.outputs.push_back(WorkerOutput::Open);
        }
        if self.is_drained() && now >= self.may_come_until() {
            self.leave(now);
        }
        if self.purpose == Purpose::Leave && self.tasks.is_empty() {
            self.purpose = Purpose::Stopped;
            self.outputs.push_back(WorkerOutput::Stopped);
        }
    }

    /// Until when a request may come that the broker sent before it had heard that none is taken. It
    /// would be lost with us.
    fn may_come_until(&self) -> Time {
        let settled = self.unanswered == 0 && self.settled == Some(Concurrency::AtMost(0));
        match self.config.greets && self.uplink.is_open() && !settled {
            true => self.answer_due,
            false => Time::ZERO,
        }
    }

    /// Whether it is to take no more, and has nothing in hand.
    fn is_drained(&self) -> bool {
        self.purpose == Purpose::Drain && !self.is_busy()
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
        self.drop_all();
    }

    /// What came on a connection is good for nothing without it.
    fn drop_all(&mut self) {
        self.held.clear();
        self.outputs.extend(self.tasks.orphan().into_iter().map(WorkerOutput::Cancel));
    }

    /// A request that waits here is not wanted any more.
    fn drop_held(&mut self, address: &Label) {
        let before = self.held.len();
        self.held.retain(|request| request.address != *address);
        if self.held.len() < before {
            let last = WorkerReply::new(address.clone(), Frames::empty());
            self.outputs.push_back(WorkerOutput::Send(FromWorker::Failed(last)));
        }
    }

    /// The broker says that nobody waits for this any more: it still waits for the last word.
    fn cancel_at(&mut self, address: &Label) {
        if let Some(handle) = self.tasks.at(address)
            && self.tasks.change(handle, Task::unwant) == Some(true)
        {
            self.outputs.push_back(WorkerOutput::Cancel(handle));
        }
    }

    /// Whether it may be connected. One that cannot say how many requests it takes has to wait until
    /// it takes all that it may be given.
    fn may_open(&self) -> bool {
        self.purpose == Purpose::Serve && (self.tasks.is_empty() || self.config.says_capacity)
    }

    fn is_busy(&self) -> bool {
        !self.held.is_empty() || self.tasks.owing() > 0
    }
}

/// How long the broker may be silent: by its own word, where it has said so.
fn silence_max(config: &WorkerConfig, welcome: Option<&Welcome>) -> Duration {
    match welcome {
        Some(welcome) => {
            let heartbeat = welcome.heartbeat.max(HEARTBEAT_INTERVAL_MIN);
            heartbeat.saturating_mul(welcome.liveness.max(1))
        }
        None => config.heartbeat_interval.saturating_mul(config.liveness),
    }
}

fn concurrency(tasks: usize) -> Concurrency {
    match u32::try_from(tasks) {
        Ok(tasks) => Concurrency::AtMost(tasks),
        Err(_) => Concurrency::Unlimited,
    }
}

#[cfg(test)]
mod tests;
