//! A scripted worker, which partly violates the protocol.

use core::time::Duration;

use majordomus_core::{
    ByteStr, CODE_UNSAID, Concurrency, CorrelationId, FromWorker, Status, Time, ToWorker,
    WorkerCapabilities, WorkerReply,
};

use super::task::{Finish, Plan, reply};
use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::Workload;

/// The number of old tokens that it remembers for late replies.
const OLD_MAX: usize = 16;

/// A worker that sends neutral commands itself.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) can: WorkerCapabilities,
    /// Its services. Some dialects allow more than one.
    services: Vec<ByteStr>,
    /// Its declared heartbeat interval.
    pace: Option<Duration>,
    /// True if it has sent HELLO and was not disconnected since, as far as it knows.
    greeted: bool,
    interval: Duration,
    /// True if it has one thread and sends no heartbeats while it works.
    one_thread: bool,
    /// True if it sends no heartbeats and relies on keep-alives by clients.
    mute: bool,
    /// True if it rejects every request.
    stubborn: bool,
    /// True if it changes its concurrency from time to time.
    moody: bool,
    /// Its last declared concurrency.
    takes: Concurrency,
    connected: bool,
    ready: bool,
    tasks: Vec<Task>,
    old: Vec<ByteStr>,
    heartbeat_at: Time,
    open_at: Time,
    ready_at: Time,
}

#[derive(Debug)]
struct Task {
    address: ByteStr,
    id: CorrelationId,
    plan: Plan,
}

impl Worker {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        let can = workload.worker(rng);
        let interval = rng.millis(10, 100);
        Self {
            can,
            services: vec![workload.service(rng)],
            pace: rng.pick(&[Some(interval * 2), Some(interval * 8), None]),
            greeted: false,
            interval,
            one_thread: rng.one_in(2),
            mute: rng.one_in(6),
            stubborn: workload.stubborn && rng.one_in(2),
            moody: rng.one_in(3),
            takes: can.concurrency,
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
        self.greeted = false;
        self.takes = self.can.concurrency;
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
                let plan = self.plan(scene);
                self.tasks.push(Task { address: request.address, id: request.id, plan });
            }
            ToWorker::Cancel { address, .. } => {
                // It reports the cancellation after some time.
                for task in self.tasks.iter_mut().filter(|task| task.address == address) {
                    task.plan.parts = 0;
                    if task.plan.finish == Finish::Forget && !scene.rng.one_in(4) {
                        task.plan.finish = Finish::Fail;
                    }
                    task.plan.next_at = scene.now.after(scene.rng.millis(0, 5));
                }
            }
            ToWorker::Welcome(_)
            | ToWorker::Registered { .. }
            | ToWorker::Heartbeat
            | ToWorker::Capacity { .. }
            | ToWorker::RequestKeepAlive { .. }
            | ToWorker::More { .. } => {}
            ToWorker::Disconnect(_) => {
                (self.ready, self.greeted) = (false, false);
                if !scene.rng.one_in(3) {
                    // It may still finish its requests.
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
            if self.moody && scene.rng.one_in(2) {
                self.services = vec![scene.workload.service(scene.rng)];
            }
            // Some workers start with another message.
            if self.can.greets && !self.greeted {
                match scene.open && scene.rng.one_in(10) {
                    true => self.ready_at = now.after(self.interval),
                    false => self.greet(scene),
                }
            }
            let service = match scene.rng.per_mille(scene.faults.mischief / 4) {
                true => ByteStr::from(scene.rng.pick(&["mmi.service", "", "echo"])),
                false => self.services[0].clone(),
            };
            if self.can.greets && scene.rng.one_in(2) {
                let status = self.status(scene);
                self.say(scene, FromWorker::Heartbeat(status));
            }
            self.say(scene, FromWorker::Ready { service });
            for service in self.services.iter().skip(1).cloned() {
                self.say(scene, FromWorker::Ready { service });
            }
            if self.takes != self.can.concurrency {
                let concurrency = Some(self.takes);
                self.say(scene, FromWorker::Heartbeat(Status { concurrency, publish: false }));
            }
        }
        if self.heartbeat_at <= now {
            self.heartbeat_at = now.after(self.interval);
            let silent = self.mute && scene.open && scene.rng.below(50) > 0;
            // In the calm phase it has given up forgotten requests.
            let works = |task: &Task| scene.open || task.plan.next_at < Time::NEVER;
            if !scene.open && self.can.cancel {
                // It also reports them as failed, because their slots are still occupied.
                for task in self.tasks.iter_mut().filter(|task| !works(task)) {
                    (task.plan.finish, task.plan.next_at) = (Finish::Fail, now);
                }
            }
            if (!self.one_thread || !self.tasks.iter().any(works)) && !silent {
                if self.moody && scene.rng.one_in(32) {
                    return self.leave(scene);
                }
                let status = self.status(scene);
                self.say(scene, FromWorker::Heartbeat(status));
                if self.can.ready_again && scene.rng.one_in(16) {
                    let service = self.services[0].clone();
                    self.say(scene, FromWorker::Ready { service });
                }
                if self.can.several_services && scene.rng.one_in(8) {
                    self.offer_others(scene);
                }
                if let Some(task) = self.tasks.last().filter(|_| scene.rng.one_in(2)) {
                    let address = task.address.clone();
                    self.say(scene, FromWorker::AtWork { address });
                }
            }
            self.be_mischievous(scene);
        }
        while let Some(at) = self.tasks.iter().position(|task| task.plan.next_at <= now) {
            if !self.work(scene, at) {
                return;
            }
        }
    }

    fn greet(&mut self, scene: &mut Scene<'_>) {
        self.greeted = true;
        self.takes = self.can.concurrency;
        let hello = scene.workload.hello(scene.rng, self.pace);
        self.say(scene, FromWorker::Hello(hello));
    }

    /// Registers or withdraws a service. In the calm phase it always offers at least one.
    fn offer_others(&mut self, scene: &mut Scene<'_>) {
        let service = scene.workload.service(scene.rng);
        match scene.rng.below(8) {
            _ if !scene.open => {
                let service = self.services[0].clone();
                self.say(scene, FromWorker::Ready { service });
            }
            0..4 => {
                if !self.services.contains(&service) {
                    self.services.push(service.clone());
                }
                self.say(scene, FromWorker::Ready { service });
            }
            4 => self.say(scene, FromWorker::Withdraw { service: ByteStr::empty() }),
            _ => {
                if self.services.len() > 1 {
                    self.services.retain(|offered| *offered != service);
                }
                self.say(scene, FromWorker::Withdraw { service });
            }
        }
    }

    /// Returns its plan for a new request.
    fn plan(&self, scene: &mut Scene<'_>) -> Plan {
        let mut plan = Plan::new(scene);
        let unwilling = self.stubborn && scene.open;
        if self.can.rejects && (unwilling || scene.rng.per_mille(scene.workload.rejected)) {
            plan.finish = Finish::Reject;
            // A request may be rejected after its first parts.
            if !scene.rng.one_in(4) {
                plan.parts = 0;
            }
        }
        plan
    }

    /// Returns its status. In the calm phase its concurrency is never zero.
    fn status(&mut self, scene: &mut Scene<'_>) -> Status {
        let nothing = !self.takes.allows_beyond(0);
        let changes = self.moody && scene.rng.one_in(if nothing { 3 } else { 8 });
        let concurrency = match scene.open {
            true => changes.then(|| scene.workload.concurrency(scene.rng)),
            // The broker may not have received the previous status.
            false if nothing => Some(Concurrency::ONE),
            false => self.moody.then_some(self.takes),
        };
        self.takes = concurrency.unwrap_or(self.takes);
        Status { concurrency, publish: scene.rng.one_in(20) }
    }

    /// Continues a task. Returns false if the worker crashed.
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
        let mut reply = self.reply(scene, at);
        reply.keep = scene.workload.keep(scene.rng).filter(|_| self.can.rejects);
        let task = self.tasks.swap_remove(at);
        if self.old.len() >= OLD_MAX {
            self.old.remove(0);
        }
        self.old.push(task.address);
        match finish {
            Finish::CrashBefore | Finish::CrashDuring => scene.acts.push(Act::Crash),
            Finish::Fail => {
                reply.code = scene.rng.pick(&[CODE_UNSAID, 400, 507, 999]);
                self.say(scene, FromWorker::Failed(reply));
            }
            Finish::Reject => self.say(scene, FromWorker::Rejected(reply)),
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
        let named = self.can.request_ids || scene.rng.one_in(2);
        let id = if named { &task.id } else { &CorrelationId::NONE };
        reply(scene, self.can.form, task.address.clone(), id)
    }

    /// Commits a protocol violation.
    fn be_mischievous(&mut self, scene: &mut Scene<'_>) {
        if !scene.rng.per_mille(scene.faults.mischief) {
            return;
        }
        let old = match self.old.is_empty() {
            true => ByteStr::from("nothing"),
            false => self.old[scene.rng.below(self.old.len() as u64) as usize].clone(),
        };
        let other = scene.rng.one_in(8);
        let id = if other { CorrelationId::from("other") } else { CorrelationId::NONE };
        let address = old.clone();
        let reply = reply(scene, self.can.form, old, &id);
        let command = match scene.rng.below(12) {
            0 => FromWorker::Ready { service: self.services[0].clone() },
            9 => FromWorker::AtWork { address },
            10 => FromWorker::Hello(scene.workload.hello(scene.rng, self.pace)),
            11 => FromWorker::Withdraw { service: self.services[0].clone() },
            1 => return self.leave(scene),
            2 => FromWorker::Partial(reply),
            3 => FromWorker::Failed(reply),
            5 if self.can.rejects => FromWorker::Rejected(reply),
            4 | 6 => {
                let address = ByteStr::from("abcdefghijklmnopabcdefghijklmnop");
                FromWorker::Final(WorkerReply { address, ..reply })
            }
            _ => FromWorker::Final(reply),
        };
        self.say(scene, command);
    }

    /// Disconnects and registers again over the same connection.
    fn leave(&mut self, scene: &mut Scene<'_>) {
        (self.ready, self.greeted) = (false, false);
        self.ready_at = scene.now.after(scene.rng.millis(0, 50));
        self.say(scene, FromWorker::Disconnect);
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
