//! Makes a failure short: what was told to the broker is told again, without this part or that, as
//! long as the same rule is broken.

use std::collections::HashMap;

use majordomus_core::broker::{Input, Output};
use majordomus_core::{FromWorker, Label, PeerId, Time, ToWorker, WorkerReply};

use crate::judge::{Breach, Rule, Uid, uid_of};
use crate::machine::Machine;
use crate::run::{Failure, play};
use crate::stage::{Entry, Stage};
use crate::world::World;

/// How often a shorter run is tried.
const ATTEMPTS_MAX: u32 = 3_000;

/// A failure, made short.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What is told to the broker.
    pub entries: usize,
    /// How much it was.
    pub entries_before: usize,
    /// The rule, as the short run breaks it.
    pub breach: Breach,
    /// The short run in words.
    pub trace: String,
}

/// What a run begins with, what is told in it, and who was given which address for which request.
struct Tape<M: Machine> {
    kind: M::Kind,
    seed: u64,
    bearers: HashMap<Label, (PeerId, Uid)>,
}

/// Makes a failure short. Nothing where it cannot be repeated.
pub fn shrink<M: Machine>(kind: M::Kind, failure: &Failure) -> Option<Shrunk> {
    let mut world = World::<M>::new(kind, failure.seed);
    world.stage.record();
    play(&mut world, failure.steps);
    let mut entries = world.stage.take_tape();
    let before = entries.len();
    let rule = failure.breach.rule;
    let bearers = bearers(&world, &entries);
    let tape = Tape::<M> { kind, seed: failure.seed, bearers };
    tape.replay(&entries, false).0.filter(|breach| breach.rule == rule)?;
    tape.reduce(&mut entries, rule);
    let (breach, trace) = tape.replay(&entries, true);
    Some(Shrunk { entries: entries.len(), entries_before: before, breach: breach?, trace })
}

/// Who was given the addresses that workers use.
fn bearers<M: Machine>(world: &World<M>, entries: &[Entry]) -> HashMap<Label, (PeerId, Uid)> {
    let judge = world.stage.judge();
    let addresses = entries.iter().filter_map(|entry| match entry {
        Entry::Told(_, Input::FromWorker { command, .. }) => address_of(command),
        _ => None,
    });
    addresses.filter_map(|address| Some((address.clone(), judge.bearer(address)?))).collect()
}

fn address_of(command: &FromWorker) -> Option<&Label> {
    match command {
        FromWorker::Partial(reply) | FromWorker::Final(reply) | FromWorker::Failed(reply) => {
            Some(&reply.address)
        }
        FromWorker::Ready { .. } | FromWorker::Heartbeat | FromWorker::Disconnect => None,
    }
}

fn with_address(command: FromWorker, address: Label) -> FromWorker {
    let readdress = |reply: WorkerReply| WorkerReply { address, ..reply };
    match command {
        FromWorker::Partial(reply) => FromWorker::Partial(readdress(reply)),
        FromWorker::Final(reply) => FromWorker::Final(readdress(reply)),
        FromWorker::Failed(reply) => FromWorker::Failed(readdress(reply)),
        other => other,
    }
}

impl<M: Machine> Tape<M> {
    /// Takes parts out, large ones first, as long as the rule is broken all the same.
    fn reduce(&self, entries: &mut Vec<Entry>, rule: Rule) {
        let mut attempts = 0;
        let mut chunk = entries.len().div_ceil(2);
        while chunk > 0 && attempts < ATTEMPTS_MAX {
            let mut at = 0;
            let mut shorter = false;
            while at < entries.len() && attempts < ATTEMPTS_MAX {
                let mut fewer = entries.clone();
                fewer.drain(at..(at + chunk).min(entries.len()));
                attempts += 1;
                if self.replay(&fewer, false).0.is_some_and(|breach| breach.rule == rule) {
                    *entries = fewer;
                    shorter = true;
                } else {
                    at += chunk;
                }
            }
            if !(shorter && chunk == 1) {
                chunk /= 2;
            }
        }
    }

    /// Tells all of it to a broker. What cannot be said, because its speaker is not there or not
    /// read from, or was not given that request this time, is left out.
    fn replay(&self, entries: &[Entry], trace: bool) -> (Option<Breach>, String) {
        let (config, keys) = World::<M>::beginning(self.seed);
        let mut stage = Stage::<M>::new(self.kind, &config, keys);
        if trace {
            stage.trace();
        }
        let mut addresses: HashMap<(PeerId, Uid), Label> = HashMap::new();
        for entry in entries {
            match entry {
                Entry::Leap(until, tick) => {
                    stage.leap(*until, *tick);
                    if *tick {
                        tell(&mut stage, Input::Tick, &mut addresses);
                    }
                }
                Entry::Restarted(at, config, keys) => {
                    pass(&mut stage, *at, &mut addresses);
                    stage.restart(config, *keys);
                }
                Entry::Told(at, input) => {
                    pass(&mut stage, *at, &mut addresses);
                    if let Some(input) = self.sayable(&stage, input, &addresses) {
                        tell(&mut stage, input, &mut addresses);
                    }
                }
            }
            if stage.judge().breach().is_some() {
                break;
            }
        }
        (stage.judge().breach().cloned(), stage.take_trace())
    }

    fn sayable(
        &self,
        stage: &Stage<M>,
        input: &Input,
        addresses: &HashMap<(PeerId, Uid), Label>,
    ) -> Option<Input> {
        let judge = stage.judge();
        match input {
            Input::Appeared { peer, .. } => (!judge.is_taken(peer.index)).then(|| input.clone()),
            Input::Gone { peer } => judge.has(*peer).then(|| input.clone()),
            Input::Filled { peer } => {
                (judge.has(*peer) && !judge.is_filled(*peer)).then(|| input.clone())
            }
            Input::Draining { peer } | Input::Drained { peer } => {
                judge.is_filled(*peer).then(|| input.clone())
            }
            Input::FromWorker { peer, command } => {
                let bearer = address_of(command).and_then(|address| self.bearers.get(address));
                let command = match bearer {
                    Some(bearer) => with_address(command.clone(), addresses.get(bearer)?.clone()),
                    None => command.clone(),
                };
                judge.reads(*peer).then_some(Input::FromWorker { peer: *peer, command })
            }
            Input::FromClient { peer, .. }
            | Input::Malformed { peer }
            | Input::Alive { peer, .. } => judge.reads(*peer).then(|| input.clone()),
            Input::Tick | Input::Configured(_) | Input::Shutdown => Some(input.clone()),
        }
    }
}

/// Lets time pass, and tells the broker of it where something is due.
fn pass<M: Machine>(
    stage: &mut Stage<M>,
    until: Time,
    addresses: &mut HashMap<(PeerId, Uid), Label>,
) {
    if until <= stage.now() {
        return;
    }
    while let Some(due) = stage.due().filter(|due| *due <= until)
        && stage.judge().breach().is_none()
    {
        stage.pass(due);
        tell(stage, Input::Tick, addresses);
    }
    stage.pass(until);
}

fn tell<M: Machine>(
    stage: &mut Stage<M>,
    input: Input,
    addresses: &mut HashMap<(PeerId, Uid), Label>,
) {
    for output in stage.tell(input) {
        if let Output::ToWorker { peer, command: ToWorker::Request(request) } = output
            && let Some(uid) = uid_of(&request.body)
        {
            addresses.insert((*peer, uid), request.address.clone());
        }
    }
}
