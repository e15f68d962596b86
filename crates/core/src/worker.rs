//! The worker state machine: registrations, requests in flight, heartbeats and reconnection.

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
    ByteStr, CODE_UNSAID, Concurrency, Content, DisconnectReason, Frames, FromWorker, Hello,
    Status, Time, ToWorker, Welcome, WorkerReply, WorkerRequest,
};

/// A request's handle in a worker: a slot in its task table and that slot's generation. Each handle
/// is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(pub u64);

/// A worker's configuration, including its dialect's features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The names of the services that the worker registers. Some dialects allow only one.
    pub services: Vec<ByteStr>,
    /// The maximum number of requests that the handler processes concurrently. It is 1 if the
    /// dialect allows no more.
    pub tasks_max: usize,
    /// The maximum number of further requests that the worker queues until its handler is idle. It
    /// covers the requests that a broker can send before it receives the worker's concurrency.
    pub held_max: usize,
    /// True if the dialect has partial replies. Otherwise parts are buffered and sent with the
    /// final reply.
    pub partial_replies: bool,
    /// The maximum size, in bytes, of one reply message, including buffered parts. A request with a
    /// larger reply fails, because the broker would close the connection.
    pub reply_bytes_max: usize,
    /// The maximum number of frames in one reply message.
    pub reply_frames_max: usize,
    /// True if the worker starts with HELLO and the broker answers with its limits.
    pub greets: bool,
    /// True if the worker can report its maximum number of concurrent requests.
    pub says_capacity: bool,
    /// True if the worker can reject a request, so that another worker gets it.
    pub rejects: bool,
    /// The size limit, in bytes, of a message to the worker; `None` to declare none.
    pub message_bytes_max: Option<usize>,
    /// The interval between heartbeats.
    pub heartbeat_interval: Duration,
    /// The number of heartbeat intervals for which the broker can be silent.
    pub liveness: u32,
    /// The time that the broker has to confirm the worker's maximum number of concurrent requests.
    /// A draining worker leaves after this time even without a confirmation.
    pub capacity_timeout: Duration,
    /// The backoff between connection attempts.
    pub backoff: Backoff,
}

impl WorkerConfig {
    /// Creates a configuration for `service`: one request at a time, partial replies of up to 32
    /// MiB and 1,000 frames, a heartbeat every 2.5 s, a liveness of 3, and 10 s for the broker to
    /// confirm the number of concurrent requests.
    ///
    /// ```
    /// let config = majordomus_core::WorkerConfig::new("echo");
    /// assert_eq!(config.tasks_max, 1);
    /// ```
    pub fn new(service: impl Into<ByteStr>) -> Self {
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

/// An input to a worker. `C` is the broker's command: owned, or a reference, because commands are
/// large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerInput<C = ToWorker> {
    /// The connection requested by [`WorkerOutput::Open`] is open.
    Opened,
    /// The connection broke or could not be opened.
    Lost,
    /// A command from the broker arrived.
    Received(C),
    /// Bytes of any kind arrived from the broker.
    Alive,
    /// The handler sends a part of the reply.
    Part(TaskHandle, Content),
    /// The handler sends the reply, or its last part, and the time for which it may be cached.
    Final(TaskHandle, Content, Option<Duration>),
    /// The handler reports an error, with its code, if any, and a body that describes it.
    Failed(TaskHandle, u16, Content),
    /// The handler rejects the request, so that another worker gets it. The body has the reason.
    Rejected(TaskHandle, Content),
    /// The handler reports that it is still working.
    AtWork(TaskHandle),
    /// The handler has returned. If it sent no final reply, the request fails with this body.
    Ended(TaskHandle, Frames),
    /// Set the maximum number of concurrent requests.
    Concurrency(usize),
    /// Register another service.
    Offer(ByteStr),
    /// Withdraw a service.
    Withdraw(ByteStr),
    /// Finish the requests in flight, accept no more, and leave.
    Drain,
    /// Leave at once.
    Stop,
    /// Only time passed.
    Tick,
}

/// An output of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOutput {
    /// Open a connection to the broker, then report [`WorkerInput::Opened`] or
    /// [`WorkerInput::Lost`].
    Open,
    /// Close the connection after the pending data is written, and report nothing more about it.
    Close(ClosingReason),
    /// Send a command to the broker.
    Send(FromWorker),
    /// Probe the broker without a command (ZMTP's PING).
    AskForLife,
    /// Pass a request to the handler, and report [`WorkerInput::Ended`] when the handler has
    /// returned.
    Deliver(TaskHandle, WorkerRequest),
    /// Tell the handler that its request is cancelled. The handler stays active until it returns.
    Cancel(TaskHandle),
    /// The client grants credit for this many more parts.
    Credit(TaskHandle, u32),
    /// The worker has left and every handler has returned. There is no more output.
    Stopped,
}

/// A sink for a worker's outputs, called as they occur.
///
/// `VecDeque<WorkerOutput>` implements it by collecting the outputs.
pub trait WorkerOutlet {
    /// Sends a command to the broker.
    fn send(&mut self, command: &FromWorker);

    /// Passes a request to the handler; see [`WorkerOutput::Deliver`]. The callee may move the body
    /// and the options out of the request.
    fn deliver(&mut self, task: TaskHandle, request: &mut WorkerRequest);

    /// Performs any other output.
    fn act(&mut self, action: WorkerAction);
}

/// A worker's outputs other than commands and requests: see [`WorkerOutput`].
#[expect(missing_docs, reason = "each is described at its twin")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerAction {
    Open,
    Close(ClosingReason),
    AskForLife,
    Cancel(TaskHandle),
    Credit(TaskHandle, u32),
    Stopped,
}

/// Collects a worker's outputs.
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

/// Moves a request out of a reference.
fn taken(request: &mut WorkerRequest) -> WorkerRequest {
    let nothing = WorkerRequest::new(ByteStr::empty(), ByteStr::empty(), Frames::EMPTY);
    core::mem::replace(request, nothing)
}

/// The reason why a worker closes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingReason {
    /// The worker was told to leave.
    Leaving,
    /// The broker disconnected the worker, for this reason.
    SentAway(DisconnectReason),
    /// The broker was silent for too long.
    Silence,
    /// The broker dispatched more requests than the worker accepts.
    Overload,
    /// The broker repeated its handshake, or sent a command before it.
    OutOfTurn,
}

/// A worker of one broker, over one connection at a time.
///
/// The worker is a state machine without I/O and without a clock, driven like
/// [`Client`](crate::Client):
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
/// When the connection is lost, the worker cancels its handlers. A worker that cannot report its
/// concurrency registers again only after all handlers have returned.
///
/// An idle worker closes the connection after `liveness` silent intervals. A busy worker does so
/// only if it received data on this connection while it was busy, because some brokers send
/// heartbeats to idle workers only.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    uplink: Uplink,
    purpose: Purpose,
    /// The requests whose handlers have not returned.
    tasks: Tasks,
    /// Queued requests, received before the handlers of earlier requests returned.
    held: VecDeque<WorkerRequest>,
    /// The time of the next heartbeat while connected.
    heartbeat_at: Time,
    /// The last time that the broker sent data or the worker became idle.
    heard_at: Time,
    heard_while_busy: bool,
    /// The broker info, once received.
    welcome: Option<Welcome>,
    /// The longest time that the broker can be silent.
    silence_max: Duration,
    /// The number of unconfirmed registrations on this connection, if the broker confirms
    /// registrations.
    unregistered: usize,
    /// The last concurrency reported to the broker, while connected.
    said: usize,
    /// The number of unconfirmed concurrency reports on this connection.
    unanswered: u32,
    /// The time limit for the confirmation of the last report.
    answer_due: Time,
    /// The concurrency that the broker last confirmed on this connection.
    settled: Option<Concurrency>,
    /// The highest concurrency that the broker may still use on this connection.
    told_max: usize,
    outputs: VecDeque<WorkerOutput>,
}

/// A worker's lifecycle stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Serve,
    /// Finishes the requests in flight and accepts no more.
    Drain,
    /// Waits until the handlers have returned.
    Leave,
    /// Has stopped.
    Stopped,
}

impl Worker {
    /// Creates a worker that connects as soon as it is driven. `seed` varies its reconnect waits.
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

    /// Handles an input at time `now`. Drain [`poll_output`](Self::poll_output) after each call.
    pub fn handle(&mut self, now: Time, mut input: WorkerInput) {
        let mut outputs = core::mem::take(&mut self.outputs);
        self.handle_with(now, &mut input, &mut outputs);
        self.outputs = outputs;
    }

    /// Handles an input at time `now` and passes the outputs to `out` at once and in order, without
    /// a copy of requests and replies. Bodies are large and are moved out of the input.
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

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<WorkerOutput> {
        self.outputs.pop_front()
    }

    /// Returns the latest time for the next input; pass [`WorkerInput::Tick`] if there is no other.
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
            return self.part(now, ClosingReason::OutOfTurn, out);
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
            // The backoff resets only when all services are registered.
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
            ToWorker::Heartbeat | ToWorker::RequestKeepAlive { .. } => self.proven(),
            &mut ToWorker::Disconnect(why) => {
                out.act(WorkerAction::Close(ClosingReason::SentAway(why)));
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
            // The request was sent before the broker received the new concurrency of zero. If the
            // worker cannot reject it, the broker redelivers it when the worker leaves.
            if self.config.rejects {
                let WorkerRequest { address, id, .. } = taken(request);
                let reply = WorkerReply::new(address, Frames::empty());
                let rejected = FromWorker::Rejected(WorkerReply { id, ..reply });
                out.send(&rejected);
            }
            return;
        }
        // The broker may have sent requests before it received a lower concurrency.
        let most = self.told_max.max(self.config.tasks_max).saturating_add(self.config.held_max);
        if self.tasks.owing() + self.held.len() >= most {
            // The two sides disagree about the number of requests in flight.
            self.part(now, ClosingReason::Overload, out);
            return;
        }
        if request.service.is_empty() {
            // The dialect carries no service name. The worker then has only one service.
            request.service = self.config.services.first().cloned().unwrap_or_default();
        }
        // Queues a request only if the handler is at its limit.
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

    fn handle_more(&mut self, address: &ByteStr, credit: u32, out: &mut impl WorkerOutlet) {
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

    fn handle_offer(&mut self, now: Time, service: &ByteStr, out: &mut impl WorkerOutlet) {
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

    fn handle_withdraw(&mut self, now: Time, service: &ByteStr, out: &mut impl WorkerOutlet) {
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

    /// Ends a request with its task's last message.
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
            // The task had ended before.
            None => false,
        });
        if is_last == Some(true) && !self.is_busy() {
            // The broker need not send anything to a busy worker, so the silence starts now.
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
            // The broker receives the concurrency before the first registration.
            capacity.into_iter().chain(ready).for_each(|command| out.send(&command));
        } else {
            ready.chain(capacity).for_each(|command| out.send(&command));
        }
        self.heartbeat_at = now.after(self.config.heartbeat_interval);
        self.heard_at = now;
        self.heard_while_busy = false;
    }

    /// Resets the backoff, unless a registration is unconfirmed.
    fn proven(&mut self) {
        if self.unregistered == 0 {
            self.uplink.proven();
        }
    }

    fn hear(&mut self, now: Time) {
        self.heard_at = now;
        self.heard_while_busy |= self.is_busy();
    }

    /// Sends heartbeats and checks the broker's liveness. In most calls nothing is due.
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
            self.part(now, ClosingReason::Silence, out);
        } else if now >= self.heartbeat_at {
            out.send(&FromWorker::HEARTBEAT);
            self.heartbeat_at = now.after(self.config.heartbeat_interval);
            if now.since(self.heard_at) >= self.config.heartbeat_interval {
                out.act(WorkerAction::AskForLife);
            }
        }
    }

    /// Returns the time at which the broker's silence is too long, or never if the silence is no
    /// sign of a lost broker.
    fn silence_ends_at(&self) -> Time {
        if self.is_busy() && !self.heard_while_busy {
            return Time::NEVER;
        }
        self.heard_at.after(self.silence_max)
    }

    /// Returns the number of requests that the worker accepts concurrently. Handlers that are still
    /// working on requests of an earlier connection reduce it.
    fn capacity(&self) -> usize {
        match self.purpose {
            Purpose::Serve => self.config.tasks_max.saturating_sub(self.tasks.orphans()),
            _ => 0,
        }
    }

    /// Reports the concurrency to the broker if it changed.
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

    /// Handles a confirmed concurrency. The broker no longer sends requests under an earlier one.
    fn settle(&mut self, settled: Concurrency) {
        self.settled = Some(settled);
        self.unanswered = self.unanswered.saturating_sub(1);
        // The same number may have been reported before a higher one.
        if self.unanswered == 0 && settled == concurrency(self.said) {
            self.told_max = self.said;
        }
    }

    /// Returns the maximum number of concurrent handlers. Requests that the broker sent before it
    /// received a lower concurrency are still processed.
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

    /// Opens the connection when it is due, and leaves when the worker is drained.
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

    /// Returns the time until which the broker may send a request before it has received the
    /// concurrency of zero. Leaving earlier would lose that request.
    fn may_come_until(&self) -> Time {
        let settled = self.unanswered == 0 && self.settled == Some(Concurrency::AtMost(0));
        match self.config.greets && self.uplink.is_open() && !settled {
            true => self.answer_due,
            false => Time::ZERO,
        }
    }

    /// Returns true if the worker is draining and has no requests in flight.
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
            out.act(WorkerAction::Close(ClosingReason::Leaving));
        }
        self.lose(now, out);
    }

    fn part(&mut self, now: Time, why: ClosingReason, out: &mut impl WorkerOutlet) {
        out.act(WorkerAction::Close(why));
        self.lose(now, out);
    }

    fn lose(&mut self, now: Time, out: &mut impl WorkerOutlet) {
        self.uplink.lost(now);
        self.drop_all(out);
    }

    /// Drops the requests of a lost connection, and cancels their handlers.
    fn drop_all(&mut self, out: &mut impl WorkerOutlet) {
        self.held.clear();
        for handle in self.tasks.orphan() {
            out.act(WorkerAction::Cancel(handle));
        }
    }

    /// Cancels a queued request.
    fn drop_held(&mut self, address: &ByteStr, out: &mut impl WorkerOutlet) {
        let before = self.held.len();
        self.held.retain(|request| request.address != *address);
        if self.held.len() < before {
            let last = WorkerReply::new(address.clone(), Frames::empty());
            out.send(&FromWorker::Failed(last));
        }
    }

    /// Handles a cancellation. The broker still waits for the last reply.
    fn cancel_at(&mut self, address: &ByteStr, out: &mut impl WorkerOutlet) {
        if let Some(handle) = self.tasks.at(address)
            && self.tasks.change(handle, Task::unwant) == Some(true)
        {
            out.act(WorkerAction::Cancel(handle));
        }
    }

    /// Returns true if the worker may connect. A worker that cannot report its concurrency must
    /// first wait until its handlers have returned.
    fn may_open(&self) -> bool {
        self.purpose == Purpose::Serve && (self.tasks.is_empty() || self.config.says_capacity)
    }

    fn is_busy(&self) -> bool {
        !self.held.is_empty() || self.tasks.owing() > 0
    }
}

/// Returns the longest time that the broker can be silent, as declared in its broker info if there
/// is one.
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
