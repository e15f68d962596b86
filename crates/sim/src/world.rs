//! The world: virtual time, everybody in it, and one queue of what is to happen.

mod mishaps;
mod traffic;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{Label, PeerId, Time};

use crate::actors::{Act, Actor, Scene};
use crate::faults::Faults;
use crate::judge::Rule;
use crate::machine::Machine;
use crate::network::{Down, Link, Up};
use crate::rng::Rng;
use crate::stage::Stage;
use crate::workload::{IDENTITIES, Workload};

/// How many messages may wait to be delivered to the broker before a client is held back by its own
/// socket.
const BACKLOG_MAX: usize = 256;

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The broker gets what stands first on this link.
    Up(PeerId),
    /// The other end gets what stands first on this link.
    Down(PeerId),
    Wake(usize),
    Opened(usize),
    Lost(usize),
    Recover(usize),
    Fault,
    /// The broker is started after a shutdown.
    Start,
}

/// How a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// It does nothing until then, but its ZMTP answers.
    Blocked(Time),
    /// Nothing of it does anything until then.
    Stopped(Time),
}

#[derive(Debug)]
struct Program {
    actor: Actor,
    link: Option<PeerId>,
    opening: bool,
    identity: Label,
    answers_probes: bool,
    health: Health,
    wakes_at: Time,
    /// What came while it was blocked.
    inbox: VecDeque<Down>,
}

/// Everybody, and the time.
#[derive(Debug)]
pub struct World<M: Machine> {
    pub(crate) stage: Stage<M>,
    rng: Rng,
    workload: Workload,
    faults: Faults,
    open: bool,
    running: bool,
    programs: Vec<Program>,
    /// Under the index of their peer.
    links: Vec<Option<Link>>,
    generations: Vec<u32>,
    queue: BinaryHeap<Reverse<(Time, u64, What)>>,
    order: u64,
    delay_ms: u64,
    down_max: usize,
    acts: Vec<Act>,
    reports: VecDeque<Input>,
}

impl<M: Machine> World<M> {
    /// How the broker begins in the world of this seed.
    pub(crate) fn beginning(seed: u64) -> (Config, Keys) {
        let (_, _, config, keys) = Self::draw(seed);
        (config, keys)
    }

    fn draw(seed: u64) -> (Rng, Workload, Config, Keys) {
        let mut rng = Rng::new(seed);
        let workload = Workload::new(&mut rng);
        let config = workload.config(&mut rng);
        let keys = Keys([rng.draw(), rng.draw(), rng.draw(), rng.draw()]);
        (rng, workload, config, keys)
    }

    /// A world as `seed` has it.
    pub fn new(kind: M::Kind, seed: u64) -> Self {
        let (mut rng, workload, config, keys) = Self::draw(seed);
        let faults = Faults::new(&mut rng);
        let programs = (0..rng.within(4, 14))
            .map(|_| Program {
                actor: Actor::new(&mut rng, &workload),
                link: None,
                opening: false,
                identity: match rng.below(9) as usize {
                    at if at < IDENTITIES.len() => Label::from(IDENTITIES[at]),
                    _ => Label::empty(),
                },
                answers_probes: rng.one_in(2),
                health: Health::Well,
                wakes_at: Time::NEVER,
                inbox: VecDeque::new(),
            })
            .collect();
        let mut world = Self {
            stage: Stage::new(kind, &config, keys),
            workload,
            faults,
            open: true,
            running: true,
            programs,
            links: Vec::new(),
            generations: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            delay_ms: rng.pick(&[0, 1, 5, 40]),
            down_max: rng.pick(&[4, 16, 64]),
            acts: Vec::new(),
            reports: VecDeque::new(),
            rng,
        };
        for at in 0..world.programs.len() {
            world.schedule_wake(at);
        }
        world.schedule_fault();
        world
    }

    /// Goes on until the broker has been told `steps` things in all, or a rule was broken.
    pub fn run(&mut self, steps: u64) {
        while self.stage.steps() < steps && self.stage.judge().breach().is_none() {
            if !self.advance(Time::NEVER) {
                return;
            }
        }
    }

    /// Goes on until this moment, or until a rule is broken.
    pub(crate) fn run_until(&mut self, until: Time) {
        while self.stage.judge().breach().is_none() && self.advance(until) {}
        self.stage.pass(until);
    }

    /// Does what is next, if it is due by then.
    fn advance(&mut self, until: Time) -> bool {
        let next = self.queue.peek().map_or(Time::NEVER, |Reverse((at, ..))| *at);
        let due = self.stage.due().filter(|_| self.running).unwrap_or(Time::NEVER);
        let at = next.min(due);
        if at > until || at == Time::NEVER {
            return false;
        }
        self.stage.pass(at);
        if due <= next {
            self.tell(Input::Tick);
        } else if let Some(Reverse((_, _, what))) = self.queue.pop() {
            self.happens(what);
        }
        while let Some(report) = self.reports.pop_front() {
            self.tell(report);
        }
        true
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Up(peer) => self.deliver_up(peer),
            What::Down(peer) => self.deliver_down(peer),
            What::Wake(at) => {
                let now = self.stage.now();
                if self.programs[at].wakes_at <= now {
                    self.programs[at].wakes_at = Time::NEVER;
                    if self.programs[at].health == Health::Well {
                        self.act(at, |actor, scene| actor.wake(scene));
                    }
                }
            }
            What::Opened(at) => self.opened(at),
            // One that has closed by itself, and opened another, hears nothing more of the first.
            What::Lost(at) if self.programs[at].link.is_some() => {}
            What::Lost(at) => self.act(at, |actor, scene| actor.lost(scene)),
            What::Recover(at) => self.recover(at),
            What::Fault => {
                if let Some(fault) = self.faults.next(&mut self.rng) {
                    self.strike(fault);
                }
                self.schedule_fault();
            }
            What::Start => self.start(),
        }
    }

    fn schedule(&mut self, at: Time, what: What) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, what)));
    }

    fn schedule_wake(&mut self, at: usize) {
        let now = self.stage.now();
        let program = &mut self.programs[at];
        let wakes_at = program.actor.wakes_at();
        if wakes_at < Time::NEVER && (wakes_at < program.wakes_at || program.wakes_at <= now) {
            let wakes_at = wakes_at.max(now.after(Duration::from_micros(1)));
            program.wakes_at = wakes_at;
            self.schedule(wakes_at, What::Wake(at));
        }
    }

    fn schedule_fault(&mut self) {
        if let Some(pause) = self.faults.pause(&mut self.rng) {
            self.schedule(self.stage.now().after(pause), What::Fault);
        }
    }

    fn delay(&mut self) -> Duration {
        self.rng.millis(0, self.delay_ms)
    }

    /// Tells the broker something, and carries out what it wants done.
    pub(crate) fn tell(&mut self, input: Input) {
        if let Input::Gone { peer } = input {
            self.drop_link(peer);
        }
        let mut outputs = core::mem::take(self.stage.tell(input));
        for output in outputs.drain(..) {
            self.carry_out(output);
        }
        *self.stage.outputs_mut() = outputs;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::ToClient { peer, command } => self.send_down(peer, Down::Client(command)),
            Output::ToWorker { peer, command } => self.send_down(peer, Down::Worker(command)),
            Output::Probe { peer } => self.send_down(peer, Down::Probe),
            Output::Pause { .. } | Output::Event(_) => {}
            Output::Resume { peer } => self.schedule_up(peer),
            Output::Close { peer, .. } => {
                if let Some(actor) = self.drop_link(peer) {
                    let at = self.stage.now().after(self.delay());
                    self.schedule(at, What::Lost(actor));
                }
            }
        }
    }

    /// Has an actor do something, and carries out what comes of it.
    fn act(&mut self, at: usize, what: impl FnOnce(&mut Actor, &mut Scene<'_>)) {
        let mut acts = core::mem::take(&mut self.acts);
        let mut scene = Scene {
            now: self.stage.now(),
            rng: &mut self.rng,
            workload: &mut self.workload,
            faults: &self.faults,
            open: self.open,
            acts: &mut acts,
        };
        what(&mut self.programs[at].actor, &mut scene);
        for act in acts.drain(..) {
            self.carry_out_act(at, act);
        }
        self.acts = acts;
        self.schedule_wake(at);
    }

    fn carry_out_act(&mut self, at: usize, act: Act) {
        let now = self.stage.now();
        let link = self.programs[at].link;
        match (act, link) {
            (Act::Open, None) if !self.programs[at].opening => {
                self.programs[at].opening = true;
                let at_time = now.after(self.delay());
                self.schedule(at_time, What::Opened(at));
            }
            (Act::Say(message), Some(peer)) => {
                let arrives = now.after(self.delay());
                let full = self.link(peer).is_some_and(|link| link.up.len() >= BACKLOG_MAX);
                if !full {
                    self.say(peer, arrives, message);
                }
            }
            (Act::Close, Some(peer)) => {
                let arrives = now.after(self.delay());
                self.say(peer, arrives, Up::End);
                self.part(at);
            }
            (Act::Crash, Some(peer)) => {
                self.cut(peer);
            }
            (Act::Accuse(what), _) => self.stage.judge_mut().accuse(Rule::ClientLibrary, what),
            (Act::Open | Act::Say(_) | Act::Close | Act::Crash, _) => {}
        }
    }

    /// No more faults, and no more requests: everybody is well, and reads.
    pub(crate) fn calm(&mut self, config: Config) {
        self.faults = Faults::none();
        self.open = false;
        let now = self.stage.now();
        // A broker that is to be started anew is so now, and not with faults in its configuration later.
        let planned = self.queue.len();
        self.queue.retain(|Reverse((_, _, what))| !matches!(what, What::Start));
        if !self.running || self.queue.len() < planned {
            self.start();
        }
        for at in 0..self.programs.len() {
            if self.programs[at].health != Health::Well {
                self.programs[at].health = Health::Stopped(now);
                self.recover(at);
            }
        }
        for at in 0..self.links.len() {
            let Some(link) = &mut self.links[at] else { continue };
            link.hurry(now);
            // What is due is so at another time now.
            link.down_due = false;
            let peer = link.peer;
            self.schedule_down(peer);
        }
        self.tell(Input::Configured(Box::new(config)));
        while let Some(report) = self.reports.pop_front() {
            self.tell(report);
        }
    }

    /// Whether a live program is at the other end, and reads.
    pub(crate) fn is_attended(&self, peer: PeerId) -> bool {
        let link = self.links.get(peer.index as usize).and_then(Option::as_ref);
        link.is_some_and(|link| {
            link.peer == peer
                && link.actor.is_some_and(|actor| self.programs[actor].actor.is_worker())
        })
    }

    /// The requests of this number on are ours.
    pub(crate) fn workload(&mut self) -> (&mut Workload, &mut Rng) {
        (&mut self.workload, &mut self.rng)
    }

    /// Everybody goes.
    pub(crate) fn empty(&mut self) {
        for at in 0..self.links.len() {
            if let Some(peer) = self.links[at].as_ref().map(|link| link.peer) {
                self.tell(Input::Gone { peer });
            }
        }
        self.reports.clear();
    }
}
