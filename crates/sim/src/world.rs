//! The simulated world: virtual time, all programs, and a queue of scheduled events.

mod mishaps;
mod traffic;

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{ByteStr, PeerId, Time};

use crate::actors::{Act, Actor, Scene};
use crate::checker::Rule;
use crate::faults::Faults;
use crate::machine::Machine;
use crate::network::{Down, Link, Up};
use crate::rng::Rng;
use crate::stage::Stage;
use crate::workload::{IDENTITIES, Workload};

/// The maximum number of undelivered messages to the broker before a client's own socket blocks it.
const BACKLOG_MAX: usize = 256;

/// A scheduled event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The broker receives the first message of this link.
    Up(PeerId),
    /// The peer receives the first message of this link.
    Down(PeerId),
    Wake(usize),
    Opened(usize),
    Lost(usize),
    Recover(usize),
    Fault,
    /// The broker starts after a shutdown.
    Start,
}

/// The state of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// It does nothing until this time, but its ZMTP layer answers.
    Blocked(Time),
    /// It is stopped until this time, including its ZMTP layer.
    Stopped(Time),
}

#[derive(Debug)]
struct Program {
    actor: Actor,
    link: Option<PeerId>,
    opening: bool,
    identity: ByteStr,
    answers_probes: bool,
    health: Health,
    wakes_at: Time,
    /// Messages that arrived while it was blocked.
    inbox: VecDeque<Down>,
}

/// All programs, the broker, and the virtual time.
#[derive(Debug)]
pub struct World<M: Machine> {
    pub(crate) stage: Stage<M>,
    rng: Rng,
    workload: Workload,
    faults: Faults,
    open: bool,
    running: bool,
    programs: Vec<Program>,
    /// The links, indexed by their peer.
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
    /// Returns the broker's initial configuration and keys for this seed.
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

    /// Creates the world of this seed.
    pub fn new(kind: M::Kind, seed: u64) -> Self {
        let (mut rng, workload, config, keys) = Self::draw(seed);
        let faults = Faults::new(&mut rng);
        let programs = (0..rng.within(4, 14))
            .map(|_| Program {
                actor: Actor::new(&mut rng, &workload),
                link: None,
                opening: false,
                identity: match rng.below(9) as usize {
                    at if at < IDENTITIES.len() => ByteStr::from(IDENTITIES[at]),
                    _ => ByteStr::empty(),
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

    /// Runs until the broker has had `steps` inputs in total, or a rule is violated.
    pub fn run(&mut self, steps: u64) {
        while self.stage.steps() < steps && self.stage.checker().breach().is_none() {
            if !self.advance(Time::NEVER) {
                return;
            }
        }
    }

    /// Runs until this time, or until a rule is violated.
    pub(crate) fn run_until(&mut self, until: Time) {
        while self.stage.checker().breach().is_none() && self.advance(until) {}
        self.stage.pass(until);
    }

    /// Handles the next event if it is due by then.
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
            // A program that closed its connection and opened another is not notified about the
            // first.
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

    /// Passes an input to the broker and applies its outputs.
    pub(crate) fn tell(&mut self, input: Input) {
        if let Input::Disconnected { peer } = input {
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

    /// Lets an actor act and applies its actions.
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

    /// Starts the calm phase without faults and new requests: all programs run and read.
    pub(crate) fn calm(&mut self, config: Config) {
        self.faults = Faults::none();
        self.open = false;
        let now = self.stage.now();
        // A pending start of the broker happens now, because it could apply a faulty configuration
        // later.
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
            // The pending delivery is rescheduled.
            link.down_due = false;
            let peer = link.peer;
            self.schedule_down(peer);
        }
        self.tell(Input::Configured(Box::new(config)));
        while let Some(report) = self.reports.pop_front() {
            self.tell(report);
        }
    }

    /// Returns true if a live worker program is at the other end of this peer's link.
    pub(crate) fn is_attended(&self, peer: PeerId) -> bool {
        let link = self.links.get(peer.index as usize).and_then(Option::as_ref);
        link.is_some_and(|link| {
            link.peer == peer
                && link.actor.is_some_and(|actor| self.programs[actor].actor.is_worker())
        })
    }

    /// Returns the workload and the random number generator, for requests made from outside.
    pub(crate) fn workload(&mut self) -> (&mut Workload, &mut Rng) {
        (&mut self.workload, &mut self.rng)
    }

    /// Disconnects all peers.
    pub(crate) fn empty(&mut self) {
        for at in 0..self.links.len() {
            if let Some(peer) = self.links[at].as_ref().map(|link| link.peer) {
                self.tell(Input::Disconnected { peer });
            }
        }
        self.reports.clear();
    }
}
