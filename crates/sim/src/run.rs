//! A run: one seed, so many steps, cut into episodes that have nothing in common but the seed.
//!
//! Each episode has its own broker, peers, workload and mix of faults. When its time is over the
//! faults stop, everything has to end, every worker has to get work again, and then everybody goes
//! and nothing may be left.

use core::time::Duration;
use std::io::Write as _;

use majordomus_core::broker::{Config, Input, Limits, Profile};
use majordomus_core::{
    ClientCapabilities, FromClient, Label, OutcomeSet, PeerId, Redelivery, Role, Timeout,
};

use crate::judge::{Breach, Tally};
use crate::machine::Machine;
use crate::rng::{Rng, mix};
use crate::tape::Hope;
use crate::trace::Sink;
use crate::world::World;

/// How many steps an episode has before its faults stop, at the most.
const EPISODE_STEPS_MAX: u64 = 20_000;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How often the broker was told something.
    pub steps: u64,
    /// What became of the requests.
    pub tally: Tally,
    /// A number that stands for all that happened.
    pub hash: u64,
    /// The rule that was broken, if any was.
    pub failure: Option<Failure>,
}

/// A broken rule, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The rule.
    pub breach: Breach,
    /// The seed of the episode, which is that of a run with this episode alone.
    pub seed: u64,
    /// How many steps that run has to have, so that its faults stop when they did.
    pub steps: u64,
}

/// Runs `steps` steps from `seed`, or until a rule is broken. `trace` gets each line of the trace as
/// it comes up; where a rule is broken, the breach is the last.
pub fn run<M: Machine>(kind: M::Kind, seed: u64, steps: u64, trace: Option<&Sink>) -> Report {
    let mut report = Report::default();
    let mut episode_seed = seed;
    while report.steps < steps {
        let budget = (steps - report.steps).min(episode_steps(episode_seed));
        let mut world = World::<M>::new(kind, episode_seed);
        if let Some(sink) = trace {
            sink.line(format_args!("episode: --seed {episode_seed} --steps {budget}"));
            world.stage.trace(sink.clone());
        }
        let guard = SaysWhere { seed: episode_seed, steps: budget };
        play(&mut world, budget);
        drop(guard);
        report.steps += world.stage.steps();
        report.tally.add(&world.stage.judge().tally());
        report.hash = mix(report.hash ^ world.stage.hash());
        if let Some(breach) = world.stage.judge().breach() {
            if let Some(sink) = trace {
                sink.line(format_args!("broken: {breach}"));
            }
            let (breach, seed, steps) = (breach.clone(), episode_seed, budget);
            report.failure = Some(Failure { breach, seed, steps });
            return report;
        }
        episode_seed = mix(episode_seed.wrapping_add(0x9E37_79B9_7F4A_7C15));
    }
    report
}

/// Where the broker panics, the seed is worth more than the backtrace.
struct SaysWhere {
    seed: u64,
    steps: u64,
}

impl Drop for SaysWhere {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, steps) = (self.seed, self.steps);
            let _ = writeln!(std::io::stderr(), "panicked: --seed {seed} --steps {steps}");
        }
    }
}

fn episode_steps(seed: u64) -> u64 {
    Rng::new(!seed).within(EPISODE_STEPS_MAX / 20, EPISODE_STEPS_MAX)
}

/// Plays one episode: with faults, then without, then to the end.
pub(crate) fn play<M: Machine>(world: &mut World<M>, steps: u64) {
    world.run(steps);
    let config = Config {
        heartbeat_interval: Duration::from_millis(300),
        request_events: true,
        wait_timeout: Duration::from_secs(3),
        busy_timeout: Duration::from_secs(3),
        limits: Limits::default(),
        ..Config::default()
    };
    if failed(world) {
        return;
    }
    world.calm(config);
    rest(world);
    work_again(world);
    if failed(world) {
        return;
    }
    if world.workload().1.one_in(2) {
        world.tell(Input::Shutdown);
    }
    if !failed(world) {
        world.empty();
    }
}

fn failed<M: Machine>(world: &World<M>) -> bool {
    world.stage.judge().breach().is_some()
}

/// Waits until everything has ended that has a bound. That takes longest where a client has one request
/// at a time, ten behind it, and nobody serves them: three seconds each.
fn rest<M: Machine>(world: &mut World<M>) {
    for _ in 0..100 {
        if failed(world) || world.stage.judge().is_at_rest() {
            return;
        }
        world.run_until(world.stage.now().after(Duration::from_millis(500)));
    }
    world.stage.expect(Hope::Rest);
}

/// Asks until every worker that is there has got something to do.
fn work_again<M: Machine>(world: &mut World<M>) {
    if failed(world) {
        return;
    }
    world.stage.expect(Hope::Work);
    let peer = world.reserve_place();
    let role = Role::Client(ClientCapabilities {
        partial_replies: true,
        told: OutcomeSet::NONE,
        redelivery: Redelivery::Always,
        ..ClientCapabilities::default()
    });
    let profile = Profile { identity: Label::empty(), answers_probes: false, role };
    world.tell(Input::Appeared { peer, profile });
    for _ in 0..40 {
        let now = world.stage.now();
        let idle = idle(world);
        if idle.is_empty() || failed(world) {
            return;
        }
        for worker in idle {
            let Some(service) = world.stage.judge().services_of(worker).pop() else { continue };
            let (workload, _) = world.workload();
            let mut request = workload.request_for(service);
            request.timeout = Timeout::OfService;
            if world.stage.judge().reads(peer) {
                let command = FromClient::Request(request);
                world.tell(Input::FromClient { peer, command });
            }
        }
        world.run_until(now.after(Duration::from_millis(250)));
    }
    if !failed(world) {
        let idle = idle(world);
        world.stage.expect(Hope::Worked(idle));
    }
}

/// Workers that could have got something to do by now, and did not.
fn idle<M: Machine>(world: &World<M>) -> Vec<PeerId> {
    let judge = world.stage.judge();
    let workers = judge.workers().map(|(worker, _)| worker);
    workers
        .filter(|worker| {
            world.stage.is_workless(*worker) && world.is_attended(*worker) && judge.reads(*worker)
        })
        .collect()
}
