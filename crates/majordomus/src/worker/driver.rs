//! The task that owns one connection of a worker and runs its handlers.

use std::any::Any;
use std::borrow::BorrowMut;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use majordomus_core::{
    ByteStr, ClosingReason, Frames, FromWorker, HandleState, TaskHandle, Time, ToWorker,
    WorkerAction, WorkerInput, WorkerOutlet, WorkerRequest,
};
use majordomus_wire::Codec;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet, coop, yield_now};
use tracing::{debug, error, warn};

use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};
use crate::worker::outbox::{Outbox, Saying};
use crate::worker::poll_latency::Stopwatch;
use crate::worker::service::{FirstPoll, Handling, Services};
use crate::worker::task_control::TaskControl;
use crate::{Body, Replier, Request};

/// The time that handlers have to return when the worker is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// The capacity of the channel from the handlers of one connection to its task.
pub(crate) const SAYINGS_MAX: usize = 64;
/// The error text for a request whose handler returned without a final reply.
pub(crate) const NO_REPLY: &str = "the worker gave no reply";
/// The maximum number of handlers that are polled inline in one turn. Later messages wait for the
/// next turn, so that replies and heartbeats are sent in between.
const INLINE_POLLS_MAX: u32 = 128;
/// The high-water mark of unsent bytes. Above it, the task stops reading the handlers' messages.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// The settings that the worker's handle requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) leave: Leave,
    /// The maximum number of requests in flight.
    pub(crate) concurrency: usize,
    /// The names of the registered services.
    pub(crate) services: Vec<String>,
}

/// The requested way to disconnect, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leave {
    Never,
    WhenDone,
    Now,
}

/// The driver of the worker's state machine: passes events to it and carries out its actions.
pub(crate) struct Driver {
    core: majordomus_core::Worker,
    clock: Clock,
    /// The time of the last event.
    now: Option<Time>,
    effects: Effects,
    /// True if received messages wait for the next turn.
    unread: bool,
    /// Messages from the handlers.
    sayings: mpsc::Receiver<Saying>,
    plan: watch::Receiver<Plan>,
    /// The last plan that was applied.
    known: Plan,
    /// The time at which the worker disconnects even if handlers are still running.
    leave_at: Time,
}

/// The connection and the handlers on which the state machine's actions are carried out.
struct Effects {
    codec: Codec,
    uplink: Uplink,
    services: Services,
    running: JoinSet<TaskHandle>,
    /// The cancellation and credit of each handler that has a task, and the id of its Tokio task.
    strings: HashMap<TaskHandle, (TaskControl, Id), HandleState>,
    /// The number of handlers that were polled inline in this turn.
    polled: u32,
    stopwatch: Stopwatch,
    /// The time at which the first request of this turn was delivered.
    delivered_at: Option<Instant>,
    /// The `TaskControl` of a handler that has returned, for reuse.
    spare_strings: Option<TaskControl>,
    outbox: Arc<Outbox>,
    /// The handler that was polled inline, until the result is passed to the state machine.
    first_polled: Option<FirstPolled>,
    /// Delivered requests without a handler, until they are reported to the state machine.
    unserved: Vec<TaskHandle>,
    stopped: bool,
}

/// The result of a handler's first poll.
struct FirstPolled {
    task: TaskHandle,
    strings: TaskControl,
    result: FirstPoll,
}

impl Driver {
    pub(crate) fn new(
        core: majordomus_core::Worker,
        codec: Codec,
        uplink: Uplink,
        services: Services,
        mut plan: watch::Receiver<Plan>,
    ) -> Self {
        let (says, sayings) = mpsc::channel(SAYINGS_MAX);
        let outbox = Arc::new(Outbox::new(says));
        let known = plan.borrow_and_update().clone();
        let effects = Effects {
            codec,
            uplink,
            services,
            running: JoinSet::new(),
            strings: HashMap::default(),
            polled: 0,
            stopwatch: Stopwatch::new(),
            delivered_at: None,
            spare_strings: None,
            outbox,
            first_polled: None,
            unserved: Vec::new(),
            stopped: false,
        };
        Self {
            core,
            clock: Clock::new(),
            now: None,
            effects,
            unread: false,
            sayings,
            plan,
            known,
            leave_at: Time::NEVER,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(Saying::Tick);
        self.leave(self.known.leave);
        while !self.effects.stopped && self.now() < self.leave_at {
            self.turn().await;
            // The task does nothing else until all data is flushed.
            self.effects.uplink.flushed().await;
        }
        self.effects.uplink.note_disconnected("the worker has left".into());
    }

    /// Waits for the next event and processes it.
    async fn turn(&mut self) {
        let deadline = self.core.next_deadline().min(self.leave_at);
        let hearing = self.effects.uplink.unsent_bytes() < UNSENT_BYTES_MAX;
        self.now = None;
        self.effects.polled = 0;
        self.effects.delivered_at = None;
        tokio::select! {
            happening = self.effects.uplink.next(!self.unread) => self.happened(happening),
            // Let other tasks run first, such as those of handlers.
            () = yield_now(), if self.unread => self.read_messages(),
            Some(saying) = self.sayings.recv(), if hearing => self.hear(saying),
            Some(returned) = self.effects.running.join_next() => self.returned_all(returned),
            plan = next_plan(&mut self.plan, &self.known) => self.follow(plan),
            () = self.clock.reach(deadline) => self.tell(Saying::Tick),
        }
        if self.effects.polled > 0 {
            self.effects.stopwatch.stop();
        }
    }

    /// Returns the time of the last event.
    fn now(&mut self) -> Time {
        *self.now.get_or_insert_with(|| self.clock.now())
    }

    /// Processes a handler's message, and the other messages in the channel, so that all replies
    /// are sent in one batch.
    fn hear(&mut self, saying: Saying) {
        self.tell(saying);
        for _ in 1..SAYINGS_MAX {
            let hearing = self.effects.uplink.unsent_bytes() < UNSENT_BYTES_MAX;
            let Some(saying) = hearing.then(|| self.sayings.try_recv().ok()).flatten() else {
                return;
            };
            self.tell(saying);
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                self.effects.uplink.opened();
                self.tell(Saying::Opened);
                if !self.effects.codec.greets() {
                    self.effects.uplink.note_connected();
                }
                self.read_messages();
            }
            Happening::Moved(moved) if moved.read => {
                self.tell(Saying::Alive);
                self.read_messages();
            }
            Happening::Moved(_) => {}
            Happening::Lost(error) => self.lost(&error),
        }
    }

    fn read_messages(&mut self) {
        self.unread = false;
        while let Some(link) = self.effects.uplink.link() {
            if self.effects.polled > 0 && !may_poll(self.effects.polled, link.unsent_bytes()) {
                self.unread = true;
                return;
            }
            let message = match link.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => message,
                Err(error) => {
                    self.broken(&error);
                    continue;
                }
            };
            // The command is passed by reference, because it is large to move.
            match &mut self.effects.codec.decode_to_worker(message) {
                Ok(command) => {
                    let welcome = matches!(command, ToWorker::Welcome(_));
                    self.tell(WorkerInput::Received(command));
                    if welcome {
                        self.effects.uplink.note_connected();
                    }
                }
                Err(error) => self.broken(&LinkError::from(error.clone())),
            }
        }
    }

    /// Closes the connection after a protocol violation of the broker.
    fn broken(&mut self, error: &LinkError) {
        self.effects.uplink.cut();
        self.lost(error);
    }

    fn lost(&mut self, error: &LinkError) {
        self.effects.uplink.lost(error);
        self.tell(Saying::Lost);
    }

    /// Processes the end of a handler, and of the other handlers that have ended.
    fn returned_all(&mut self, first: Result<TaskHandle, JoinError>) {
        self.returned(first);
        for _ in 0..self.effects.running.len() {
            let Some(returned) = self.effects.running.try_join_next() else { return };
            self.returned(returned);
        }
    }

    fn returned(&mut self, returned: Result<TaskHandle, JoinError>) {
        let (task, why) = match returned {
            Ok(task) => (Some(task), no_reply()),
            Err(failed) => {
                (self.task_of(failed.id()), Body::from(panic_text(failed)).into_frames())
            }
        };
        if let Some(task) = task {
            self.effects.strings.remove(&task);
            // Messages that the handler sent before it returned come first.
            self.hear_rest();
            self.tell(Saying::Ended(task, why));
        }
    }

    /// Passes all messages in the channel to the state machine.
    fn hear_rest(&mut self) {
        for _ in 0..SAYINGS_MAX {
            let Ok(mut saying) = self.sayings.try_recv() else { return };
            self.tell_only(&mut saying);
        }
    }

    fn task_of(&self, id: Id) -> Option<TaskHandle> {
        self.effects.strings.iter().find(|(_, (_, other))| *other == id).map(|(&task, _)| task)
    }

    /// Applies the changes of the plan.
    fn follow(&mut self, plan: Plan) {
        let before = std::mem::replace(&mut self.known, plan.clone());
        if plan.concurrency != before.concurrency {
            self.tell(Saying::Concurrency(plan.concurrency));
        }
        for name in before.services.iter().filter(|name| !plan.services.contains(name)) {
            self.tell(Saying::Withdraw(ByteStr::from(name.as_str())));
        }
        for name in plan.services.iter().filter(|name| !before.services.contains(name)) {
            self.tell(Saying::Offer(ByteStr::from(name.as_str())));
        }
        if plan.leave > before.leave {
            self.leave(plan.leave);
        }
    }

    fn leave(&mut self, leave: Leave) {
        match leave {
            Leave::Never => {}
            Leave::WhenDone => self.tell(Saying::Drain),
            Leave::Now => {
                self.leave_at = self.now().after(STOP_GRACE);
                self.tell(Saying::Stop);
            }
        }
    }

    /// Passes an input to the state machine, then the results of the requests that it delivered.
    fn tell<C: BorrowMut<ToWorker>>(&mut self, mut input: WorkerInput<C>) {
        self.tell_only(&mut input);
        loop {
            if let Some(polled) = self.effects.first_polled.take() {
                self.tell_first_poll(polled);
            } else if let Some(task) = self.effects.unserved.pop() {
                self.reject_unserved(task);
            } else {
                return;
            }
        }
    }

    fn tell_only<C: BorrowMut<ToWorker>>(&mut self, input: &mut WorkerInput<C>) {
        let now = self.now();
        self.core.handle_with(now, input, &mut self.effects);
    }

    /// Passes the message that a handler sent in its first poll, and the poll's result, to the
    /// state machine. A pending handler gets its task before that, because the message may cause
    /// its cancellation.
    fn tell_first_poll(&mut self, polled: FirstPolled) {
        let FirstPolled { task, strings, result } = polled;
        let panicked = match result {
            FirstPoll::Returned => {
                self.effects.spare_strings = Some(strings);
                None
            }
            FirstPoll::Panicked(payload) => Some(payload),
            FirstPoll::Pending(handling) => {
                self.effects.go_on(task, strings, handling);
                return self.tell_said_inline();
            }
        };
        self.tell_said_inline();
        self.tell_only(&mut Saying::Ended(task, why_ended(panicked)));
    }

    /// Passes the messages of the handler that was polled inline last to the state machine.
    fn tell_said_inline(&mut self) {
        let (mut said, has_more) = self.effects.outbox.end();
        if let Some(said) = &mut said {
            self.tell_only(said);
        }
        if has_more {
            self.hear_rest();
        }
    }

    /// Rejects a request for a service that was unregistered while the request was in transit.
    fn reject_unserved(&mut self, task: TaskHandle) {
        let why = Body::from("the worker no longer offers this service").into_content();
        self.tell_only(&mut Saying::Rejected(task, why));
        self.tell_only(&mut Saying::Ended(task, Frames::empty()));
    }
}

impl WorkerOutlet for Effects {
    fn send(&mut self, command: &FromWorker) {
        if let Some(link) = self.uplink.link()
            && let Err(unsayable) = self.codec.encode_from_worker(command, link)
        {
            // The core is configured with the capabilities of the dialect.
            debug_assert!(false, "{unsayable}");
            error!(%unsayable, "a part of a reply is lost");
        }
    }

    /// Calls the handler of a request: its first poll is inline, or in a task.
    fn deliver(&mut self, task: TaskHandle, request: &mut WorkerRequest) {
        let found = self.services.with_handler(&*request.service, |handler, offered| {
            // Usually the requested name equals the registered name, which is valid UTF-8.
            let service = match &*request.service == offered.as_bytes() {
                true => offered.to_string(),
                false => String::from_utf8_lossy(&request.service).into_owned(),
            };
            (handler.clone(), service)
        });
        let Some((handler, service)) = found else {
            self.unserved.push(task);
            return;
        };
        let strings = match self.spare_strings.take() {
            Some(spare) => spare.renewed(request.credit),
            None => TaskControl::new(request.credit),
        };
        let replier = Replier::new(task, Arc::clone(&self.outbox), strings.clone());
        // At most one handler is polled inline for each input of the state machine, so that the
        // handlers' messages stay in order.
        let inline = self.first_polled.is_none() && handler.pace().is_fast();
        if !inline || !may_poll(self.polled, self.uplink.unsent_bytes()) {
            let received = Request::received(request, service, self.now());
            let id = handler.spawn(&mut self.running, task, received, replier);
            self.strings.insert(task, (strings, id));
            return;
        }
        if self.polled == 0 {
            self.stopwatch.start();
        }
        self.polled += 1;
        self.outbox.begin(task);
        self.stopwatch.polling();
        let received = Request::received(request, service, self.now());
        let result = handler.poll_once(received, replier);
        self.stopwatch.polled(handler.pace());
        self.first_polled = Some(FirstPolled { task, strings, result });
    }

    fn act(&mut self, action: WorkerAction) {
        match action {
            WorkerAction::Open => self.uplink.open(),
            WorkerAction::Close(why) => self.close(why),
            WorkerAction::AskForLife => {
                if let Some(link) = self.uplink.link() {
                    link.ping();
                }
            }
            WorkerAction::Cancel(task) => {
                if let Some((strings, _)) = self.strings.get(&task) {
                    strings.pull();
                }
            }
            WorkerAction::Credit(task, more) => {
                if let Some((strings, _)) = self.strings.get(&task) {
                    strings.add(more);
                }
            }
            WorkerAction::Stopped => self.stopped = true,
        }
    }
}

impl Effects {
    /// Returns the time at which the requests of this turn were delivered. The clock is read once
    /// in a turn.
    fn now(&mut self) -> Instant {
        *self.delivered_at.get_or_insert_with(Instant::now)
    }

    fn close(&mut self, why: ClosingReason) {
        let text = match why {
            ClosingReason::SentAway(why) => self.uplink.sent_away(why),
            ClosingReason::Leaving => "the worker leaves".to_string(),
            ClosingReason::Silence => "the broker is silent".to_string(),
            ClosingReason::Overload => "the broker sent one request too many".to_string(),
            ClosingReason::OutOfTurn => {
                "the broker does not keep to the order of greetings".to_string()
            }
        };
        let endpoint = self.uplink.endpoint();
        match why {
            ClosingReason::SentAway(_) => {}
            ClosingReason::Leaving => debug!(%endpoint, "leaving the broker"),
            _ => warn!(%endpoint, "{text}; registering again"),
        }
        self.uplink.close();
        match why {
            ClosingReason::SentAway(_) | ClosingReason::Leaving => {
                self.uplink.note_disconnected(text)
            }
            _ => self.uplink.note_lost(text),
        }
    }

    /// Moves a pending handler to a task of its own.
    ///
    /// The first poll used a no-op waker, so a wake-up may have been lost. The spawned task polls
    /// the handler immediately and registers its own waker, so no event is missed.
    fn go_on(&mut self, task: TaskHandle, strings: TaskControl, handling: Handling) {
        let handling = async move {
            handling.await;
            task
        };
        let id = self.running.spawn(handling).id();
        self.strings.insert(task, (strings, id));
    }
}

/// Returns true if one more handler may be polled inline in this turn. A handler could make no
/// progress if Tokio's cooperative budget is used up.
fn may_poll(polled: u32, unsent_bytes: usize) -> bool {
    polled < INLINE_POLLS_MAX && unsent_bytes < UNSENT_BYTES_MAX && coop::has_budget_remaining()
}

/// Waits until the plan differs from the known plan.
async fn next_plan(plan: &mut watch::Receiver<Plan>, known: &Plan) -> Plan {
    if let Ok(plan) = plan.wait_for(|plan| plan != known).await {
        return plan.clone();
    }
    // The sender of plans was dropped.
    if known.leave == Leave::Now {
        return std::future::pending().await;
    }
    Plan { leave: Leave::Now, ..known.clone() }
}

/// Returns the error for a request whose handler returned without a final reply, or panicked with
/// this payload.
fn why_ended(panicked: Option<Box<dyn Any + Send>>) -> Frames {
    match panicked {
        None => no_reply(),
        Some(payload) => Body::from(payload_text(&*payload)).into_frames(),
    }
}

/// Returns the error for a request whose handler returned without a final reply.
fn no_reply() -> Frames {
    Frames::single(Bytes::from_static(NO_REPLY.as_bytes()))
}

/// Returns the message of a task's panic.
pub(crate) fn panic_text(failed: JoinError) -> String {
    match failed.try_into_panic() {
        Ok(payload) => payload_text(&*payload),
        Err(_) => String::from("the handler was aborted"),
    }
}

/// Returns the message of a panic with this payload.
fn payload_text(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("the worker panicked: {}", said.unwrap_or("without a word"))
}
