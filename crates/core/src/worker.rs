//! The worker: what it offers, which requests it has, and how it stays with its broker.

mod task;
mod tasks;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::borrow::BorrowMut;
use core::time::Duration;

use crate::broker::HEARTBEAT_INTERVAL_MIN;
use crate::uplink::{Backoff, Uplink};
use crate::worker::task::{Room, Task, TooLarge};
use crate::worker::tasks::Tasks;
use crate::{
    CODE_UNSAID, Concurrency, Content, Farewell, Frames, FromWorker, Hello, Label, Status, Time,
    ToWorker, Welcome, WorkerReply, WorkerRequest,
};

/// What a worker calls a request that it has delivered: a slot of its table of tasks, and how often
/// that slot was used before. None is used twice.
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

/// What a worker is told. `C` is the broker's command: owned, or a reference to it, since commands are
/// large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerInput<C = ToWorker> {
    /// The connection that [`WorkerOutput::Open`] asked for is there.
    Opened,
    /// The connection broke, or could not be opened.
    Lost,
    /// The broker says something.
    Received(C),
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

/// Takes what a worker wants done, as it arises.
///
/// A `VecDeque` of [`WorkerOutput`] is one that collects it.
pub trait WorkerOutlet {
    /// Sends this to the broker.
    fn send(&mut self, command: &FromWorker);

    /// Gives this to the handler, as with [`WorkerOutput::Deliver`]. The body and the options may be
    /// taken out of it.
    fn deliver(&mut self, task: TaskHandle, request: &mut WorkerRequest);

    /// Does anything else.
    fn act(&mut self, action: WorkerAction);
}

/// What a worker wants done beside commands and requests: see [`WorkerOutput`].
#[expect(missing_docs, reason = "each is described at its twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerAction {
    Open,
    Close(Parting),
    AskForLife,
    Cancel(TaskHandle),
    Credit(TaskHandle, u32),
    Stopped,
}

/// Collects what a worker wants done.
impl WorkerOutlet for VecDeque<WorkerOutput> {
    fn send(&mut self, command: &FromWorker) {
        self.push_back(WorkerOutput::Send(command.clone()));
    }

    fn deliver(&mut self, task: TaskHandle, request: &mut WorkerRequest) {
        self.push_back(WorkerOutput::Deliver(task, taken(request)));
    }

    fn act(&mut self, action: WorkerAction) {
        self.push_back(match action {
            WorkerAction::Open => WorkerOutput::Open,
            WorkerAction::Close(why) => WorkerOutput::Close(why),
            WorkerAction::AskForLife => WorkerOutput::AskForLife,
            WorkerAction::Cancel(task) => WorkerOutput::Cancel(task),
            WorkerAction::Credit(task, more) => WorkerOutput::Credit(task, more),
            WorkerAction::Stopped => WorkerOutput::Stopped,
        });
    }
}

/// Moves a request out of where it is.
fn taken(request: &mut WorkerRequest) -> WorkerRequest {
    let nothing = WorkerRequest::new(Label::empty(), Label::empty(), Frames::EMPTY);
    core::mem::replace(request, nothing)
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
    pub fn handle(&mut self, now: Time, mut input: WorkerInput) {
        let mut outputs = core::mem::take(&mut self.outputs);
        self.handle_with(now, &mut input, &mut outputs);
        self.outputs = outputs;
    }

    /// Tells it what happened at `now`. What it wants done goes to `out` at once, in order, and without
    /// a copy of requests and replies: bodies are large, and are moved out of the input.
    pub fn handle_with<C: BorrowMut<ToWorker>>(
        &mut self,
        now: Time,
        input: &mut WorkerInput<C>,
        out: &mut impl WorkerOutlet,
    ) {
        match input {
            WorkerInput::Opened => self.register(now, out),
            WorkerInput::Lost => self.lose(now, out),
            WorkerInput::Received(command) => self.handle_command(now, command.borrow_mut(), out),
            WorkerInput::Alive => self.hear(now),
            WorkerInput::Part(handle, part) => self.handle_part(now, *handle, part, out),
            WorkerInput::Final(handle, last, keep) => {
                self.end(now, *handle, out, |task, room| task.finish(room, last, *keep));
            }
            WorkerInput::Rejected(handle, why) if self.config.rejects => {
                self.end(now, *handle, out, |task, room| task.reject(room, why));
            }
            WorkerInput::Rejected(handle, why) => self.fail(now, *handle, CODE_UNSAID, why, out),
            WorkerInput::Failed(handle, code, why) => self.fail(now, *handle, *code, why, out),
            WorkerInput::AtWork(handle) => self.handle_at_work(*handle, out),
            WorkerInput::Ended(handle, why) => self.handle_ended(now, *handle, why, out),
            WorkerInput::Concurrency(tasks_max) => self.config.tasks_max = *tasks_max,
            WorkerInput::Offer(service) => self.handle_offer(now, service, out),
            WorkerInput::Withdraw(service) => self.handle_withdraw(now, service, out),
            WorkerInput::Drain if self.purpose == Purpose::Serve => self.purpose = Purpose::Drain,
            WorkerInput::Stop => self.leave(now, out),
            WorkerInput::Drain | WorkerInput::Tick => {}
        }
        self.keep_in_touch(now, out);
        if !self.held.is_empty() {
            self.deliver_held(out);
        }
        self.say_capacity(now, out);
        self.move_on(now, out);
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<WorkerOutput> {
        self.outputs.pop_front()
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

    fn handle_command(&mut self, now: Time, command: &mut ToWorker, out: &mut impl WorkerOutlet) {
        if !self.uplink.is_open() {
            return;
        }
        self.hear(now);
        let greeted = self.welcome.is_some();
        let out_of_turn = match command {
            ToWorker::Welcome(_) => greeted,
            ToWorker::Disconnect(_) => false,
            _ => self.config.greets && !greeted,
        };
        if out_of_turn {
            return self.part(now, Parting::OutOfTurn, out);
        }
        match command {
            ToWorker::Request(request) => {
                self.proven();
                self.handle_request(now, request, out);
            }
            ToWorker::Cancel { address, .. } => {
                self.drop_held(address, out);
                self.cancel_at(address, out);
            }
            // That it serves us it shows when it has registered all that we offer.
            ToWorker::Welcome(welcome) => {
                self.silence_max = silence_max(&self.config, Some(welcome));
                self.welcome = Some(welcome.clone());
            }
            ToWorker::More { address, credit } => self.handle_more(address, *credit, out),
            ToWorker::Capacity { concurrency } => self.settle(*concurrency),
            ToWorker::Registered { .. } => {
                self.unregistered = self.unregistered.saturating_sub(1);
                self.proven();
            }
            ToWorker::Heartbeat | ToWorker::StillWanted { .. } => self.proven(),
            &mut ToWorker::Disconnect(why) => {
                out.act(WorkerAction::Close(Parting::SentAway(why)));
                self.uplink.sent_away(now, why);
                self.drop_all(out);
            }
        }
    }

    fn handle_request(
        &mut self,
        now: Time,
        request: &mut WorkerRequest,
        out: &mut impl WorkerOutlet,
    ) {
        if self.purpose != Purpose::Serve {
            // It was on its way when we said that we take no more. Where it cannot be given back, the
            // broker hears of it when we leave, and gives it to another.
            if self.config.rejects {
                let WorkerRequest { address, id, .. } = taken(request);
                let reply = WorkerReply::new(address, Frames::empty());
                let rejected = FromWorker::Rejected(WorkerReply { id, ..reply });
                out.send(&rejected);
            }
            return;
        }
        // What is on its way may have been sent before the broker heard of a lower number.
        let most = self.told_max.max(self.config.tasks_max).saturating_add(self.config.held_max);
        if self.tasks.owing() + self.held.len() >= most {
            // One of us has lost count.
            self.part(now, Parting::Overload, out);
            return;
        }
        if request.service.is_empty() {
            // Its dialect does not say, and there is only one that it can be.
            request.service = self.config.services.first().cloned().unwrap_or_default();
        }
        // Nothing is held while there is room.
        match self.tasks.len() < self.delivered_max() {
            true => self.deliver(request, out),
            false => self.held.push_back(taken(request)),
        }
    }

    fn handle_part(
        &mut self,
        now: Time,
        handle: TaskHandle,
        part: &mut Content,
        out: &mut impl WorkerOutlet,
    ) {
        let room = Room { config: &self.config, welcome: self.welcome.as_ref() };
        let Some(taken) = self.tasks.change(handle, |task| task.take_part(room, part)) else {
            return;
        };
        match taken {
            Ok(None) => {}
            Ok(Some(reply)) => {
                out.send(&FromWorker::Partial(reply));
            }
            Err(TooLarge) => {
                out.act(WorkerAction::Cancel(handle));
                self.fail(now, handle, CODE_UNSAID, &mut TooLarge.content(), out);
            }
        }
    }

    fn fail(
        &mut self,
        now: Time,
        handle: TaskHandle,
        code: u16,
        why: &mut Content,
        out: &mut impl WorkerOutlet,
    ) {
        self.end(now, handle, out, |task, room| task.fail(room, code, why));
    }

    fn handle_ended(
        &mut self,
        now: Time,
        handle: TaskHandle,
        why: &mut Frames,
        out: &mut impl WorkerOutlet,
    ) {
        if self.tasks.get(handle).is_some_and(Task::owes_a_reply) {
            let mut why = Content::of(core::mem::take(why));
            self.fail(now, handle, CODE_UNSAID, &mut why, out);
        }
        self.tasks.remove(handle);
    }

    fn handle_at_work(&mut self, handle: TaskHandle, out: &mut impl WorkerOutlet) {
        let Some(task) = self.tasks.get(handle).filter(|task| task.is_open()) else { return };
        let address = task.address().clone();
        out.send(&FromWorker::AtWork { address });
    }

    fn handle_more(&mut self, address: &Label, credit: u32, out: &mut impl WorkerOutlet) {
        self.proven();
        if let Some(handle) = self.tasks.at(address) {
            if self.tasks.get(handle).is_some_and(Task::is_open) {
                out.act(WorkerAction::Credit(handle, credit));
            }
        } else if let Some(held) = self.held.iter_mut().find(|request| request.address == *address)
        {
            held.credit = held.credit.saturating_add(credit);
        }
    }

    fn handle_offer(&mut self, now: Time, service: &Label, out: &mut impl WorkerOutlet) {
        if self.config.services.contains(service) {
            return;
        }
        self.config.services.push(service.clone());
        if self.uplink.is_open() && self.purpose == Purpose::Serve {
            self.unregistered += usize::from(self.config.greets);
            let service = service.clone();
            out.send(&FromWorker::Ready { service });
        }
        self.uplink.changed(now);
    }

    fn handle_withdraw(&mut self, now: Time, service: &Label, out: &mut impl WorkerOutlet) {
        let before = self.config.services.len();
        self.config.services.retain(|offered| offered != service);
        if self.config.services.len() == before {
            return;
        }
        if self.uplink.is_open() {
            let service = service.clone();
            out.send(&FromWorker::Withdraw { service });
        }
        self.uplink.changed(now);
    }

    /// Ends a request with what its task says last.
    fn end(
        &mut self,
        now: Time,
        handle: TaskHandle,
        out: &mut impl WorkerOutlet,
        last: impl FnOnce(&mut Task, Room<'_>) -> Option<FromWorker>,
    ) {
        let room = Room { config: &self.config, welcome: self.welcome.as_ref() };
        let is_last = self.tasks.change(handle, |task| match last(task, room) {
            Some(last) => {
                out.send(&last);
                true
            }
            // It had ended before.
            None => false,
        });
        if is_last == Some(true) && !self.is_busy() {
            // The broker may have been silent for good reason so far.
            self.heard_at = now;
        }
    }

    fn register(&mut self, now: Time, out: &mut impl WorkerOutlet) {
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
        if self.config.greets {
            let heartbeat = Some(self.config.heartbeat_interval);
            let hello = Hello { heartbeat, message_bytes_max: self.config.message_bytes_max };
            out.send(&FromWorker::Hello(hello));
            // So the broker knows it from the first.
            capacity.into_iter().chain(ready).for_each(|command| out.send(&command));
        } else {
            ready.chain(capacity).for_each(|command| out.send(&command));
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

    /// Heartbeats, and what the broker's silence means. Mostly nothing is due.
    #[inline]
    fn keep_in_touch(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        let quiet = now < self.heartbeat_at && now < self.heard_at.after(self.silence_max);
        if !quiet && self.uplink.is_open() {
            self.keep_in_touch_now(now, out);
        }
    }

    #[cold]
    fn keep_in_touch_now(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        if now >= self.silence_ends_at() {
            self.part(now, Parting::Silence, out);
        } else if now >= self.heartbeat_at {
            out.send(&FromWorker::HEARTBEAT);
            self.heartbeat_at = now.after(self.config.heartbeat_interval);
            if now.since(self.heard_at) >= self.config.heartbeat_interval {
                out.act(WorkerAction::AskForLife);
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
    #[inline]
    fn say_capacity(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        let capacity = self.capacity();
        if self.said != capacity && self.config.says_capacity && self.uplink.is_open() {
            self.said = capacity;
            self.told_max = self.told_max.max(capacity);
            self.unanswered = self.unanswered.saturating_add(1);
            self.answer_due = now.after(self.config.capacity_timeout);
            let status = Status { concurrency: Some(concurrency(capacity)), publish: false };
            out.send(&FromWorker::Heartbeat(status));
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

    fn deliver_held(&mut self, out: &mut impl WorkerOutlet) {
        while self.tasks.len() < self.delivered_max()
            && let Some(mut request) = self.held.pop_front()
        {
            self.deliver(&mut request, out);
        }
    }

    fn deliver(&mut self, request: &mut WorkerRequest, out: &mut impl WorkerOutlet) {
        let handle = self.tasks.add(request);
        out.deliver(handle, request);
    }

    /// Opens the connection when it is time, and leaves when all is done. Mostly it serves.
    #[inline]
    fn move_on(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        if self.purpose != Purpose::Serve || !self.uplink.is_open() {
            self.open_or_leave(now, out);
        }
    }

    fn open_or_leave(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        if self.may_open() && self.uplink.open_if_due(now) {
            out.act(WorkerAction::Open);
        }
        if self.is_drained() && now >= self.may_come_until() {
            self.leave(now, out);
        }
        if self.purpose == Purpose::Leave && self.tasks.is_empty() {
            self.purpose = Purpose::Stopped;
            out.act(WorkerAction::Stopped);
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

    fn leave(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        if matches!(self.purpose, Purpose::Leave | Purpose::Stopped) {
            return;
        }
        self.purpose = Purpose::Leave;
        if self.uplink.is_open() {
            out.send(&FromWorker::Disconnect);
        }
        if !self.uplink.is_closed() {
            out.act(WorkerAction::Close(Parting::Leaving));
        }
        self.lose(now, out);
    }

    fn part(&mut self, now: Time, why: Parting, out: &mut impl WorkerOutlet) {
        out.act(WorkerAction::Close(why));
        self.lose(now, out);
    }

    fn lose(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        self.uplink.lost(now);
        self.drop_all(out);
    }

    /// What came on a connection is good for nothing without it.
    fn drop_all(&mut self, out: &mut impl WorkerOutlet) {
        self.held.clear();
        for handle in self.tasks.orphan() {
            out.act(WorkerAction::Cancel(handle));
        }
    }

    /// A request that waits here is not wanted any more.
    fn drop_held(&mut self, address: &Label, out: &mut impl WorkerOutlet) {
        let before = self.held.len();
        self.held.retain(|request| request.address != *address);
        if self.held.len() < before {
            let last = WorkerReply::new(address.clone(), Frames::empty());
            out.send(&FromWorker::Failed(last));
        }
    }

    /// The broker says that nobody waits for this any more: it still waits for the last word.
    fn cancel_at(&mut self, address: &Label, out: &mut impl WorkerOutlet) {
        if let Some(handle) = self.tasks.at(address)
            && self.tasks.change(handle, Task::unwant) == Some(true)
        {
            out.act(WorkerAction::Cancel(handle));
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
