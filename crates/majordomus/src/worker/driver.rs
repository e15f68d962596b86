//! The task that owns one connection of a worker, and the handlers that run for it.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use majordomus_core::{
    FromWorker, Label, Parting, TaskHandle, Time, ToWorker, WorkerInput, WorkerOutput,
    WorkerRequest,
};
use majordomus_wire::Codec;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error, warn};

use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};
use crate::worker::service::Services;
use crate::worker::strings::Strings;
use crate::{Body, Replier, Request};

/// How long handlers may take to return when the worker is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// What the handlers of one connection say and the task has not heard yet.
pub(crate) const SAYINGS_MAX: usize = 64;
/// What a client hears of a handler that returned without an end of its reply.
pub(crate) const NO_REPLY: &str = "the worker gave no reply";
/// While the broker has not taken this much, nothing more is heard from the handlers.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// What a worker is to be, as its handle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) leave: Leave,
    /// How many requests it takes at once.
    pub(crate) concurrency: usize,
    /// The names of its services.
    pub(crate) services: Vec<String>,
}

/// Whether, and how, a worker is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leave {
    Never,
    WhenDone,
    Now,
}

/// Drives a worker: tells it what happens, and does what it says.
pub(crate) struct Driver {
    core: majordomus_core::Worker,
    codec: Codec,
    clock: Clock,
    /// What it showed when something happened last.
    now: Option<Time>,
    uplink: Uplink,
    services: Services,
    running: JoinSet<TaskHandle>,
    /// What reaches each handler that has not returned, and what tokio calls it.
    strings: HashMap<TaskHandle, (Strings, Id)>,
    /// What the handlers say.
    says: mpsc::Sender<WorkerInput>,
    sayings: mpsc::Receiver<WorkerInput>,
    plan: watch::Receiver<Plan>,
    /// What it knows of the plan.
    known: Plan,
    /// When it leaves whether the handlers have returned or not.
    leave_at: Time,
    stopped: bool,
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
        let known = plan.borrow_and_update().clone();
        Self {
            core,
            codec,
            clock: Clock::new(),
            now: None,
            uplink,
            services,
            running: JoinSet::new(),
            strings: HashMap::new(),
            says,
            sayings,
            plan,
            known,
            leave_at: Time::NEVER,
            stopped: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(WorkerInput::Tick);
        self.leave(self.known.leave);
        while !self.stopped && self.now() < self.leave_at {
            self.turn().await;
            // Before this is over, it does nothing else.
            self.uplink.flushed().await;
        }
        self.uplink.note_disconnected("the worker has left".into());
    }

    /// Waits until something happens, and does what comes of it.
    async fn turn(&mut self) {
        let deadline = self.core.next_deadline().min(self.leave_at);
        let hearing = self.uplink.unsent_bytes() < UNSENT_BYTES_MAX;
        self.now = None;
        tokio::select! {
            happening = self.uplink.next(true) => self.happened(happening),
            Some(saying) = self.sayings.recv(), if hearing => self.hear(saying),
            Some(returned) = self.running.join_next() => self.returned_all(returned),
            plan = next_plan(&mut self.plan, &self.known) => self.follow(plan),
            () = self.clock.reach(deadline) => self.tell(WorkerInput::Tick),
        }
    }

    /// What the clock showed when something happened last.
    fn now(&mut self) -> Time {
        *self.now.get_or_insert_with(|| self.clock.now())
    }

    /// A handler says something. Others may have, too: all that goes out in one piece.
    fn hear(&mut self, saying: WorkerInput) {
        self.tell(saying);
        for _ in 1..SAYINGS_MAX {
            let hearing = self.uplink.unsent_bytes() < UNSENT_BYTES_MAX;
            let Some(saying) = hearing.then(|| self.sayings.try_recv().ok()).flatten() else {
                return;
            };
            self.tell(saying);
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                self.uplink.opened();
                self.tell(WorkerInput::Opened);
                if !self.codec.greets() {
                    self.uplink.note_connected();
                }
                self.read_messages();
            }
            Happening::Moved(moved) if moved.read => {
                self.tell(WorkerInput::Alive);
                self.read_messages();
            }
            Happening::Moved(_) => {}
            Happening::Lost(error) => self.lost(&error),
        }
    }

    fn read_messages(&mut self) {
        while let Some(link) = self.uplink.link() {
            let command = match link.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => self.codec.decode_to_worker(message).map_err(LinkError::from),
                Err(error) => Err(error),
            };
            match command {
                Ok(command) => {
                    let welcome = matches!(command, ToWorker::Welcome(_));
                    self.tell(WorkerInput::Received(command));
                    if welcome {
                        self.uplink.note_connected();
                    }
                }
                Err(error) => {
                    self.uplink.cut();
                    self.lost(&error);
                }
            }
        }
    }

    fn lost(&mut self, error: &LinkError) {
        self.uplink.lost(error);
        self.tell(WorkerInput::Lost);
    }

    /// A handler has returned, or panicked. Others may have, too.
    fn returned_all(&mut self, first: Result<TaskHandle, JoinError>) {
        self.returned(first);
        for _ in 0..self.running.len() {
            let Some(returned) = self.running.try_join_next() else { return };
            self.returned(returned);
        }
    }

    fn returned(&mut self, returned: Result<TaskHandle, JoinError>) {
        // What it said before it returned is in this channel, which has room for no more, and comes first.
        for _ in 0..SAYINGS_MAX {
            let Ok(saying) = self.sayings.try_recv() else { break };
            self.tell(saying);
        }
        let (task, why) = match returned {
            Ok(task) => (Some(task), Body::from(Bytes::from_static(NO_REPLY.as_bytes()))),
            Err(failed) => (self.task_of(failed.id()), Body::from(panic_text(failed))),
        };
        if let Some(task) = task {
            self.strings.remove(&task);
            self.tell(WorkerInput::Ended(task, why.into_frames()));
        }
    }

    fn task_of(&self, id: Id) -> Option<TaskHandle> {
        self.strings.iter().find(|(_, (_, other))| *other == id).map(|(&task, _)| task)
    }

    /// Does what has changed in the plan.
    fn follow(&mut self, plan: Plan) {
        let before = std::mem::replace(&mut self.known, plan.clone());
        if plan.concurrency != before.concurrency {
            self.tell(WorkerInput::Concurrency(plan.concurrency));
        }
        for name in before.services.iter().filter(|name| !plan.services.contains(name)) {
            self.tell(WorkerInput::Withdraw(Label::from(name.as_str())));
        }
        for name in plan.services.iter().filter(|name| !before.services.contains(name)) {
            self.tell(WorkerInput::Offer(Label::from(name.as_str())));
        }
        if plan.leave > before.leave {
            self.leave(plan.leave);
        }
    }

    fn leave(&mut self, leave: Leave) {
        match leave {
            Leave::Never => {}
            Leave::WhenDone => self.tell(WorkerInput::Drain),
            Leave::Now => {
                self.leave_at = self.now().after(STOP_GRACE);
                self.tell(WorkerInput::Stop);
            }
        }
    }

    fn tell(&mut self, input: WorkerInput) {
        let now = self.now();
        self.core.handle(now, input);
        while let Some(output) = self.core.poll_output() {
            match output {
                WorkerOutput::Open => self.uplink.open(),
                WorkerOutput::Close(why) => self.close(why),
                WorkerOutput::Send(command) => self.send(&command),
                WorkerOutput::AskForLife => {
                    if let Some(link) = self.uplink.link() {
                        link.ping();
                    }
                }
                WorkerOutput::Deliver(task, request) => self.start(task, request),
                WorkerOutput::Cancel(task) => {
                    if let Some((strings, _)) = self.strings.get(&task) {
                        strings.pull();
                    }
                }
                WorkerOutput::Credit(task, more) => {
                    if let Some((strings, _)) = self.strings.get(&task) {
                        strings.add(more);
                    }
                }
                WorkerOutput::Stopped => self.stopped = true,
            }
        }
    }

    fn send(&mut self, command: &FromWorker) {
        if let Some(link) = self.uplink.link()
            && let Err(unsayable) = self.codec.encode_from_worker(command, link)
        {
            // The core was told what the dialect can say.
            debug_assert!(false, "{unsayable}");
            error!(%unsayable, "a part of a reply is lost");
        }
    }

    fn close(&mut self, why: Parting) {
        let text = match why {
            Parting::SentAway(why) => self.uplink.sent_away(why),
            Parting::Leaving => "the worker leaves".to_string(),
            Parting::Silence => "the broker is silent".to_string(),
            Parting::Overload => "the broker sent one request too many".to_string(),
            Parting::OutOfTurn => "the broker does not keep to the order of greetings".to_string(),
        };
        let endpoint = self.uplink.endpoint();
        match why {
            Parting::SentAway(_) => {}
            Parting::Leaving => debug!(%endpoint, "leaving the broker"),
            _ => warn!(%endpoint, "{text}; registering again"),
        }
        self.uplink.close();
        match why {
            Parting::SentAway(_) | Parting::Leaving => self.uplink.note_disconnected(text),
            _ => self.uplink.note_lost(text),
        }
    }

    fn start(&mut self, task: TaskHandle, request: WorkerRequest) {
        let strings = Strings::new(request.credit);
        let request = Request::from(request);
        let replier = Replier::new(task, self.says.clone(), strings.clone());
        let id = match self.services.handler(&request.service) {
            Some(handler) => handler.spawn(&mut self.running, task, request, replier),
            // It was withdrawn when the request was on its way.
            None => {
                let rejecting = async move {
                    replier.reject("the worker offers this no longer").await;
                    task
                };
                self.running.spawn(rejecting).id()
            }
        };
        self.strings.insert(task, (strings, id));
    }
}

/// Waits until the plan is another than it knows.
async fn next_plan(plan: &mut watch::Receiver<Plan>, known: &Plan) -> Plan {
    if let Ok(plan) = plan.wait_for(|plan| plan != known).await {
        return plan.clone();
    }
    // Whoever made plans is gone.
    if known.leave == Leave::Now {
        return std::future::pending().await;
    }
    Plan { leave: Leave::Now, ..known.clone() }
}

/// What a panic said.
pub(crate) fn panic_text(failed: JoinError) -> String {
    let Ok(payload) = failed.try_into_panic() else {
        return String::from("the handler was aborted");
    };
    let payload: &(dyn Any + Send) = &*payload;
    let said = payload.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("the worker panicked: {}", said.unwrap_or("without a word"))
}
