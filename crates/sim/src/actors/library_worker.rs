//! The real worker library and simulated handlers.

use core::time::Duration;

use majordomus_core::{
    Backoff, CODE_UNSAID, ClosingReason, Concurrency, Content, Form, Frames, TaskHandle, Time,
    ToWorker, WorkerCapabilities, WorkerConfig, WorkerInput, WorkerOutput,
};

use super::task::{Finish, Plan, body};
use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::{Workload, options};

/// The state machine of the worker library, and handlers that partly misbehave.
#[derive(Debug)]
pub(crate) struct LibraryWorker {
    pub(crate) can: WorkerCapabilities,
    config: WorkerConfig,
    machine: majordomus_core::Worker,
    tasks: Vec<(TaskHandle, Plan)>,
    /// The time when the user changes the services or the concurrency.
    changes_at: Time,
}

impl LibraryWorker {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        let tasks_max = rng.pick(&[1u32, 1, 3]);
        let WorkerCapabilities { greets, credit, .. } = workload.worker(rng);
        let can = WorkerCapabilities {
            // A worker with a handshake declares its concurrency itself.
            concurrency: Concurrency::AtMost(if greets { 1 } else { tasks_max }),
            cancel: greets,
            rejects: greets,
            several_services: greets,
            ready_again: greets,
            credit: greets && credit,
            greets,
            form: Form::Frames,
            ..WorkerCapabilities::default()
        };
        let config = WorkerConfig {
            tasks_max: tasks_max as usize,
            partial_replies: rng.one_in(2),
            reply_bytes_max: 64,
            greets,
            says_capacity: greets,
            rejects: greets,
            message_bytes_max: workload.hello(rng, None).message_bytes_max,
            heartbeat_interval: rng.millis(20, 200),
            backoff: Backoff {
                shortest: Duration::from_millis(5),
                longest: Duration::from_millis(200),
            },
            ..WorkerConfig::new(workload.service(rng))
        };
        Self {
            can,
            machine: majordomus_core::Worker::new(config.clone(), rng.draw()),
            config,
            tasks: Vec::new(),
            changes_at: if greets { Time::ZERO } else { Time::NEVER },
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
        if self.changes_at <= now {
            self.changes_at = Time::NEVER;
            if scene.open {
                self.changes_at = now.after(scene.rng.millis(10, 2_000));
                self.change(scene);
            }
        }
        while let Some(at) = self.tasks.iter().position(|(_, plan)| plan.next_at <= now) {
            let (handle, plan) = &mut self.tasks[at];
            let handle = *handle;
            let said = Content { options: options(scene.rng).into(), body: body(scene) };
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
                    let keep = scene.workload.keep(scene.rng).filter(|_| self.can.greets);
                    self.tell(scene, WorkerInput::Final(handle, said, keep));
                }
                Finish::Fail if scene.rng.one_in(4) => {
                    self.tell(scene, WorkerInput::Rejected(handle, said));
                }
                Finish::Fail | Finish::Reject => {
                    self.tell(scene, WorkerInput::Failed(handle, CODE_UNSAID, said));
                }
                Finish::Forget | Finish::CrashBefore | Finish::CrashDuring => {}
            }
            self.tell(scene, WorkerInput::Ended(handle, Frames::empty()));
        }
    }

    /// Changes the services or the concurrency, as a user of the library.
    fn change(&mut self, scene: &mut Scene<'_>) {
        let service = scene.workload.service(scene.rng);
        let change = match scene.rng.below(8) {
            0 => WorkerInput::Drain,
            1 | 2 => WorkerInput::Offer(service),
            3 if service != self.config.services[0] => WorkerInput::Withdraw(service),
            _ => WorkerInput::Concurrency(scene.rng.within(1, 4) as usize),
        };
        self.tell(scene, change);
    }

    fn tell(&mut self, scene: &mut Scene<'_>, input: WorkerInput) {
        self.machine.handle(scene.now, input);
        while let Some(output) = self.machine.poll_output() {
            match output {
                WorkerOutput::Open => scene.acts.push(Act::Open),
                // A worker that cannot receive cancellations is given another request at the busy
                // limit.
                WorkerOutput::Close(ClosingReason::Overload) if self.can.cancel => {
                    scene.acts.push(Act::Accuse("a worker got more than it takes".into()));
                }
                WorkerOutput::Close(_) => scene.acts.push(Act::Close),
                WorkerOutput::Send(command) => scene.acts.push(Act::Say(Up::Worker(command))),
                WorkerOutput::AskForLife => scene.acts.push(Act::Say(Up::Ping)),
                WorkerOutput::Stopped => {
                    // The user starts a new worker.
                    self.machine =
                        majordomus_core::Worker::new(self.config.clone(), scene.rng.draw());
                    self.tasks.clear();
                    self.tell(scene, WorkerInput::Tick);
                }
                WorkerOutput::Credit(..) => {}
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
        let own = self.changes_at.min(tasks.unwrap_or(Time::NEVER));
        self.machine.next_deadline().min(own)
    }
}
