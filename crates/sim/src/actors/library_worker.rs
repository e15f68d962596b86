//! The real worker, and its handlers.

use core::time::Duration;

use majordomus_core::{
    Backoff, Concurrency, Frames, TaskHandle, Time, ToWorker, WorkerCapabilities, WorkerConfig,
    WorkerInput, WorkerOutput,
};

use super::task::{Finish, Plan, body};
use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::Workload;

/// The state machine of the worker library, and handlers that do not all do what they should.
#[derive(Debug)]
pub(crate) struct LibraryWorker {
    pub(crate) can: WorkerCapabilities,
    machine: majordomus_core::Worker,
    tasks: Vec<(TaskHandle, Plan)>,
}

impl LibraryWorker {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        let tasks_max = rng.pick(&[1u32, 1, 3]);
        let config = WorkerConfig {
            tasks_max: tasks_max as usize,
            partial_replies: rng.one_in(2),
            reply_bytes_max: 64,
            heartbeat_interval: rng.millis(20, 200),
            backoff: Backoff {
                shortest: Duration::from_millis(5),
                longest: Duration::from_millis(200),
            },
            ..WorkerConfig::new(workload.service(rng))
        };
        Self {
            // No dialect tells its workers of a cancelled request yet.
            can: WorkerCapabilities {
                concurrency: Concurrency::AtMost(tasks_max),
                ..WorkerCapabilities::default()
            },
            machine: majordomus_core::Worker::new(config, rng.draw()),
            tasks: Vec::new(),
        }
    }

    pub(crate) fn opened(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, WorkerInput::Opened);
    }

    pub(crate) fn lost(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, WorkerInput::Lost);
    }

    pub(crate) fn pong(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, WorkerInput::Alive);
    }

    pub(crate) fn heard(&mut self, scene: &mut Scene<'_>, command: ToWorker) {
        self.tell(scene, WorkerInput::Received(command));
    }

    pub(crate) fn wake(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, WorkerInput::Tick);
        let now = scene.now;
        while let Some(at) = self.tasks.iter().position(|(_, plan)| plan.next_at <= now) {
            let (handle, plan) = &mut self.tasks[at];
            let handle = *handle;
            let said = body(scene);
            if plan.parts > 0 {
                plan.go_on(now);
                self.tell(scene, WorkerInput::Part(handle, said));
                continue;
            }
            let finish = plan.finish;
            if finish == Finish::Forget && scene.open {
                plan.next_at = now.after(Duration::from_secs(5));
                plan.finish = Finish::Fail;
                continue;
            }
            self.tasks.swap_remove(at);
            match finish {
                Finish::Reply | Finish::CrashAfter => {
                    self.tell(scene, WorkerInput::Final(handle, said));
                }
                Finish::Fail | Finish::Reject => {
                    self.tell(scene, WorkerInput::Failed(handle, said))
                }
                Finish::Forget | Finish::CrashBefore | Finish::CrashDuring => {}
            }
            self.tell(scene, WorkerInput::Ended(handle, Frames::empty()));
        }
    }

    fn tell(&mut self, scene: &mut Scene<'_>, input: WorkerInput) {
        self.machine.handle(scene.now, input);
        while let Some(output) = self.machine.poll_output() {
            match output {
                WorkerOutput::Open => scene.acts.push(Act::Open),
                WorkerOutput::Close(_) => scene.acts.push(Act::Close),
                WorkerOutput::Send(command) => scene.acts.push(Act::Say(Up::Worker(command))),
                WorkerOutput::AskForLife => scene.acts.push(Act::Say(Up::Ping)),
                WorkerOutput::Stopped => {}
                WorkerOutput::Deliver(handle, _) => {
                    let plan = Plan::new(scene);
                    self.tasks.push((handle, plan));
                }
                WorkerOutput::Cancel(handle) => {
                    let mine = self.tasks.iter_mut().find(|(task, _)| *task == handle);
                    if let Some((_, plan)) = mine {
                        plan.parts = 0;
                        plan.next_at = scene.now.after(scene.rng.millis(0, 50));
                    }
                }
            }
        }
    }

    pub(crate) fn wakes_at(&self) -> Time {
        let tasks = self.tasks.iter().map(|(_, plan)| plan.next_at).min();
        self.machine.next_deadline().min(tasks.unwrap_or(Time::NEVER))
    }
}
