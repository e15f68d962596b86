//! A worker that follows a script, and does not always keep the rules.

use core::time::Duration;

use majordomus_core::{FromWorker, Label, Time, ToWorker, WorkerCapabilities, WorkerReply};

use super::task::{Finish, Plan, body};
use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::Workload;

/// How many addresses it remembers, to reply late to them.
const OLD_MAX: usize = 16;

/// A worker that speaks the neutral commands itself.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) can: WorkerCapabilities,
    service: Label,
    interval: Duration,
    /// Whether it has one thread, and sends no heartbeat while it works.
    one_thread: bool,
    connected: bool,
    ready: bool,
    tasks: Vec<Task>,
    old: Vec<(Label, Label)>,
    heartbeat_at: Time,
    open_at: Time,
    ready_at: Time,
}

#[derive(Debug)]
struct Task {
    address: Label,
    id: Label,
    plan: Plan,
}

impl Worker {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        Self {
            can: workload.worker(rng),
            service: workload.service(rng),
            interval: rng.millis(10, 100),
            one_thread: rng.one_in(2),
            connected: false,
            ready: false,
            tasks: Vec::new(),
            old: Vec::new(),
            heartbeat_at: Time::NEVER,
            open_at: Time::ZERO.after(rng.millis(0, 100)),
            ready_at: Time::NEVER,
        }
    }

    pub(crate) fn opened(&mut self, scene: &mut Scene<'_>) {
        self.connected = true;
        self.ready_at = scene.now;
        self.wake(scene);
    }

    pub(crate) fn lost(&mut self, scene: &mut Scene<'_>) {
        self.connected = false;
        self.ready = false;
        self.tasks.clear();
        (self.heartbeat_at, self.ready_at) = (Time::NEVER, Time::NEVER);
        self.open_at = scene.now.after(scene.rng.millis(1, 300));
    }

    pub(crate) fn heard(&mut self, scene: &mut Scene<'_>, command: ToWorker) {
        match command {
            ToWorker::Request(request) => {
                let plan = Plan::new(scene);
                self.tasks.push(Task { address: request.address, id: request.id, plan });
            }
            ToWorker::Cancel { address } => {
                // It says that it stopped, sooner or later.
                for task in self.tasks.iter_mut().filter(|task| task.address == address) {
                    task.plan.parts = 0;
                    task.plan.next_at = scene.now.after(scene.rng.millis(0, 5));
                }
            }
            ToWorker::Heartbeat => {}
            ToWorker::Disconnect => {
                self.ready = false;
                if !scene.rng.one_in(3) {
                    // What it works on it may finish all the same.
                    self.ready_at = scene.now.after(scene.rng.millis(0, 100));
                    if scene.rng.one_in(2) {
                        self.tasks.clear();
                    }
                } else {
                    scene.acts.push(Act::Close);
                }
            }
        }
    }

    pub(crate) fn wake(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now;
        if !self.connected {
            if self.open_at <= now {
                self.open_at = Time::NEVER;
                scene.acts.push(Act::Open);
            }
            return;
        }
        if self.ready_at <= now {
            self.ready_at = Time::NEVER;
            self.ready = true;
            self.heartbeat_at = now.after(self.interval);
            let service = match scene.rng.per_mille(scene.faults.mischief / 4) {
                true => Label::from(scene.rng.pick(&["mmi.service", "", "echo"])),
                false => self.service.clone(),
            };
            self.say(scene, FromWorker::Ready { service });
        }
        if self.heartbeat_at <= now {
            self.heartbeat_at = now.after(self.interval);
            if self.tasks.is_empty() || !self.one_thread {
                self.say(scene, FromWorker::Heartbeat);
            }
            self.be_mischievous(scene);
        }
        while let Some(at) = self.tasks.iter().position(|task| task.plan.next_at <= now) {
            if !self.work(scene, at) {
                return;
            }
        }
    }

    /// Goes on with a task. False where the worker died of it.
    fn work(&mut self, scene: &mut Scene<'_>, at: usize) -> bool {
        let finish = self.tasks[at].plan.finish;
        if self.tasks[at].plan.parts > 0 && finish != Finish::CrashBefore {
            let reply = self.reply(scene, at);
            self.tasks[at].plan.go_on(scene.now);
            self.say(scene, FromWorker::Partial(reply));
            if finish == Finish::CrashDuring {
                scene.acts.push(Act::Crash);
                return false;
            }
            return true;
        }
        if finish == Finish::Forget {
            self.tasks[at].plan.next_at = Time::NEVER;
            return true;
        }
        let reply = self.reply(scene, at);
        let task = self.tasks.swap_remove(at);
        if self.old.len() >= OLD_MAX {
            self.old.remove(0);
        }
        self.old.push((task.address, task.id));
        match finish {
            Finish::CrashBefore | Finish::CrashDuring => scene.acts.push(Act::Crash),
            Finish::Fail => self.say(scene, FromWorker::Failed(reply)),
            Finish::Reply | Finish::Forget => self.say(scene, FromWorker::Final(reply)),
            Finish::CrashAfter => {
                self.say(scene, FromWorker::Final(reply));
                scene.acts.push(Act::Crash);
            }
        }
        !matches!(finish, Finish::CrashBefore | Finish::CrashDuring | Finish::CrashAfter)
    }

    fn reply(&self, scene: &mut Scene<'_>, at: usize) -> WorkerReply {
        let task = &self.tasks[at];
        let id = if scene.rng.one_in(2) { task.id.clone() } else { Label::empty() };
        WorkerReply { address: task.address.clone(), id, body: body(scene) }
    }

    /// What no worker ought to do.
    fn be_mischievous(&mut self, scene: &mut Scene<'_>) {
        if !scene.rng.per_mille(scene.faults.mischief) {
            return;
        }
        let old = match self.old.is_empty() {
            true => (Label::from("nothing"), Label::empty()),
            false => self.old[scene.rng.below(self.old.len() as u64) as usize].clone(),
        };
        let other = scene.rng.one_in(8);
        let id = if other { Label::from("other") } else { Label::empty() };
        let reply = WorkerReply { address: old.0, id, body: body(scene) };
        let command = match scene.rng.below(8) {
            0 => FromWorker::Ready { service: self.service.clone() },
            1 => {
                self.ready = false;
                self.ready_at = scene.now.after(scene.rng.millis(0, 50));
                FromWorker::Disconnect
            }
            2 => FromWorker::Partial(reply),
            3 => FromWorker::Failed(reply),
            4 => {
                let address = Label::from("abcdefghijklmnopabcdefghijklmnop");
                FromWorker::Final(WorkerReply { address, ..reply })
            }
            _ => FromWorker::Final(reply),
        };
        self.say(scene, command);
    }

    fn say(&self, scene: &mut Scene<'_>, command: FromWorker) {
        scene.acts.push(Act::Say(Up::Worker(command)));
    }

    pub(crate) fn wakes_at(&self) -> Time {
        if !self.connected {
            return self.open_at;
        }
        let tasks = self.tasks.iter().map(|task| task.plan.next_at).min();
        self.heartbeat_at.min(self.ready_at).min(tasks.unwrap_or(Time::NEVER))
    }
}
