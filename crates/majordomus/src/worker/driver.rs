//! The task that owns one connection of a worker, and the handlers that run for it.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use majordomus_core::{
    FromWorker, Parting, Status, TaskHandle, Time, WorkerInput, WorkerOutput, WorkerRequest,
};
use majordomus_wire::Codec;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};
use crate::{Body, Cancellation, Replier, Request};

/// How long handlers may take to return when the worker is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// What the handlers of one connection say and the task has not heard yet.
const SAYINGS_MAX: usize = 16;
/// While the broker has not taken this much, nothing more is heard from the handlers.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// Whether, and how, a worker is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leave {
    Never,
    WhenDone,
    Now,
}

/// Drives a worker: tells it what happens, and does what it says.
pub(crate) struct Driver<H> {
    core: majordomus_core::Worker,
    codec: Codec,
    clock: Clock,
    uplink: Uplink,
    /// What it says of itself behind each READY.
    status: Status,
    handler: Arc<H>,
    running: JoinSet<()>,
    tasks: HashMap<Id, TaskHandle>,
    /// What tells each handler that nobody waits for it.
    pulls: HashMap<TaskHandle, watch::Sender<bool>>,
    /// What the handlers say.
    says: mpsc::Sender<WorkerInput>,
    sayings: mpsc::Receiver<WorkerInput>,
    leaving: watch::Receiver<Leave>,
    /// How it was told to leave so far.
    leave: Leave,
    /// When it leaves whether the handlers have returned or not.
    leave_at: Time,
    stopped: bool,
    /// Whether the user was warned that there is no broker, since there was one.
    warned: bool,
}

impl<H, F> Driver<H>
where
    H: Fn(Request, Replier) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    pub(crate) fn new(
        core: majordomus_core::Worker,
        codec: Codec,
        uplink: Uplink,
        status: Status,
        handler: Arc<H>,
        leaving: watch::Receiver<Leave>,
    ) -> Self {
        let (says, sayings) = mpsc::channel(SAYINGS_MAX);
        Self {
            core,
            codec,
            clock: Clock::new(),
            uplink,
            status,
            handler,
            running: JoinSet::new(),
            tasks: HashMap::new(),
            pulls: HashMap::new(),
            says,
            sayings,
            leaving,
            leave: Leave::Never,
            leave_at: Time::NEVER,
            stopped: false,
            warned: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(WorkerInput::Tick).await;
        while !self.stopped && self.clock.now() < self.leave_at {
            let deadline = self.core.next_deadline().min(self.leave_at);
            let hearing = self.uplink.unsent_bytes() < UNSENT_BYTES_MAX;
            tokio::select! {
                happening = self.uplink.next(true) => self.happened(happening).await,
                Some(saying) = self.sayings.recv(), if hearing => self.tell(saying).await,
                Some(returned) = self.running.join_next_with_id() => {
                    self.returned(returned).await;
                }
                leave = next_leave(&mut self.leaving, self.leave) => self.leave(leave).await,
                () = self.clock.reach(deadline) => self.tell(WorkerInput::Tick).await,
            }
        }
    }

    async fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                let endpoint = self.uplink.endpoint();
                if std::mem::take(&mut self.warned) {
                    info!(%endpoint, "connected after all");
                } else {
                    debug!(%endpoint, "connected");
                }
                self.tell(WorkerInput::Opened).await;
                self.read_messages().await;
            }
            Happening::Moved(moved) if moved.read => {
                self.tell(WorkerInput::Alive).await;
                self.read_messages().await;
            }
            Happening::Moved(_) => {}
            Happening::Lost(error) => self.lost(&error).await,
        }
    }

    async fn read_messages(&mut self) {
        while let Some(link) = self.uplink.link() {
            let command = match link.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => self.codec.decode_to_worker(message).map_err(LinkError::from),
                Err(error) => Err(error),
            };
            match command {
                Ok(command) => self.tell(WorkerInput::Received(command)).await,
                Err(error) => {
                    self.uplink.cut();
                    self.lost(&error).await;
                }
            }
        }
    }

    async fn lost(&mut self, error: &LinkError) {
        let endpoint = self.uplink.endpoint();
        if self.warned {
            debug!(%endpoint, %error, "still not connected");
        } else {
            warn!(%endpoint, %error, "not connected to the broker; trying again");
        }
        self.warned = true;
        self.tell(WorkerInput::Lost).await;
    }

    /// A handler has returned, or panicked.
    async fn returned(&mut self, returned: Result<(Id, ()), JoinError>) {
        // What it said before it returned is in this channel, and comes first.
        while let Ok(saying) = self.sayings.try_recv() {
            self.tell(saying).await;
        }
        let (id, why) = match returned {
            Ok((id, ())) => (id, String::from("the worker gave no reply")),
            Err(failed) => (failed.id(), panic_text(failed)),
        };
        if let Some(task) = self.tasks.remove(&id) {
            self.pulls.remove(&task);
            self.tell(WorkerInput::Ended(task, Body::from(why).into_frames())).await;
        }
    }

    async fn leave(&mut self, leave: Leave) {
        self.leave = leave;
        match leave {
            Leave::Never => {}
            Leave::WhenDone => self.tell(WorkerInput::Drain).await,
            Leave::Now => {
                self.leave_at = self.clock.now().after(STOP_GRACE);
                self.tell(WorkerInput::Stop).await;
            }
        }
    }

    async fn tell(&mut self, input: WorkerInput) {
        self.core.handle(self.clock.now(), input);
        while let Some(output) = self.core.poll_output() {
            match output {
                WorkerOutput::Open => self.uplink.open(),
                WorkerOutput::Close(why) => self.close(why).await,
                WorkerOutput::Send(command) => {
                    self.send(&command);
                    if matches!(command, FromWorker::Ready { .. }) && self.status != Status::NOTHING
                    {
                        self.send(&FromWorker::Heartbeat(self.status));
                    }
                }
                WorkerOutput::AskForLife => {
                    if let Some(link) = self.uplink.link() {
                        link.ping();
                    }
                }
                WorkerOutput::Deliver(task, request) => self.start(task, request),
                WorkerOutput::Cancel(task) => {
                    if let Some(pull) = self.pulls.get(&task) {
                        pull.send_replace(true);
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

    async fn close(&mut self, why: Parting) {
        let endpoint = self.uplink.endpoint();
        match why {
            Parting::Leaving => debug!(%endpoint, "leaving the broker"),
            Parting::SentAway => warn!(%endpoint, "sent away by the broker; registering again"),
            Parting::Silence => warn!(%endpoint, "the broker is silent; registering again"),
            Parting::Overload => {
                warn!(%endpoint, "the broker sent one request too many; registering again");
            }
        }
        self.uplink.close().await;
    }

    fn start(&mut self, task: TaskHandle, request: WorkerRequest) {
        let (pull, cancellation) = Cancellation::new();
        let replier = Replier::new(task, self.says.clone(), cancellation);
        let handler = Arc::clone(&self.handler);
        // The handler is called inside, so that a panic before its first await is caught too.
        let running = self.running.spawn(async move { handler(request.into(), replier).await });
        self.tasks.insert(running.id(), task);
        self.pulls.insert(task, pull);
    }
}

/// Waits until the worker is to leave in another way than it knows.
async fn next_leave(leaving: &mut watch::Receiver<Leave>, known: Leave) -> Leave {
    if known == Leave::Now {
        return std::future::pending().await;
    }
    match leaving.wait_for(|&leave| leave > known).await {
        Ok(leave) => *leave,
        // The worker's handle was dropped.
        Err(_) => Leave::Now,
    }
}

/// What a panic said.
fn panic_text(failed: JoinError) -> String {
    let Ok(payload) = failed.try_into_panic() else {
        return String::from("the handler was aborted");
    };
    let payload: &(dyn Any + Send) = &*payload;
    let said = payload.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("the worker panicked: {}", said.unwrap_or("without a word"))
}
