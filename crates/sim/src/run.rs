//! A run: one seed and a number of steps, divided into independent episodes.
//!
//! Each episode has its own broker, peers, workload and mix of faults. At its end the faults stop,
//! every request must end, and every worker must get work again. Then all peers disconnect, and the
//! broker must hold no state.

use core::time::Duration;
use std::io::Write as _;

use majordomus_core::broker::{Config, Input, Limits, Profile};
use majordomus_core::{
    ByteStr, ClientCapabilities, FromClient, OutcomeSet, PeerId, Redelivery, Role, Timeout,
};

use crate::checker::{Breach, Tally};
use crate::history::Hope;
use crate::machine::Machine;
use crate::rng::{Rng, mix};
use crate::trace::Sink;
use crate::world::World;

/// The maximum number of steps of an episode before its faults stop.
const EPISODE_STEPS_MAX: u64 = 20_000;

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The number of the broker's inputs.
    pub steps: u64,
    /// The outcomes of the requests.
    pub tally: Tally,
    /// A hash of all events of the run.
    pub hash: u64,
    /// The violated rule, if any.
    pub failure: Option<Failure>,
}

/// A violation and the parameters that reproduce it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The violation.
    pub breach: Breach,
    /// The seed of the episode. A run with this seed has only this episode.
    pub seed: u64,
    /// The number of steps of that run, after which its faults stop as before.
    pub steps: u64,
}

/// Runs `steps` steps from `seed`, or until a rule is violated. `trace` receives each line of the
/// trace as it occurs. A violation is the last line.
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
        report.tally.add(&world.stage.checker().tally());
        report.hash = mix(report.hash ^ world.stage.hash());
        if let Some(breach) = world.stage.checker().breach() {
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

/// Prints the seed if the broker panics, because the seed is more useful than the backtrace.
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

/// Runs one episode: with faults, then without, then until all peers are disconnected.
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
    world.stage.checker().breach().is_some()
}

/// Waits until every bounded request has ended. The longest case is a client that sends one request
/// at a time, with ten queued behind it and no worker for them: three seconds each.
fn rest<M: Machine>(world: &mut World<M>) {
    for _ in 0..100 {
        if failed(world) || world.stage.checker().is_at_rest() {
            return;
        }
        world.run_until(world.stage.now().after(Duration::from_millis(500)));
    }
    world.stage.expect(Hope::Rest);
}

/// Sends requests until every connected worker was given one.
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
    let profile = Profile { identity: ByteStr::empty(), answers_probes: false, role };
    world.tell(Input::Connected { peer, profile });
    for _ in 0..40 {
        let now = world.stage.now();
        let idle = idle(world);
        if idle.is_empty() || failed(world) {
            return;
        }
        for worker in idle {
            let Some(service) = world.stage.checker().services_of(worker).pop() else { continue };
            let (workload, _) = world.workload();
            let mut request = workload.request_for(service);
            request.timeout = Timeout::OfService;
            if world.stage.checker().reads(peer) {
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

/// Returns the workers that could have been given a request by now, and were not.
fn idle<M: Machine>(world: &World<M>) -> Vec<PeerId> {
    let checker = world.stage.checker();
    let workers = checker.workers().map(|(worker, _)| worker);
    workers
        .filter(|worker| {
            world.stage.is_workless(*worker) && world.is_attended(*worker) && checker.reads(*worker)
        })
        .collect()
}
