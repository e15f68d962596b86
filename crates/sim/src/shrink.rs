//! Shrinking of failures: replays parts of a history, with simpler values, as long as the same rule
//! is violated.

mod plainer;
#[cfg(test)]
mod tests;

use core::marker::PhantomData;
use std::rc::Rc;

use majordomus_core::broker::{Config, Input, Keys};
use majordomus_core::{FromClient, FromWorker, Role, Time};

use crate::checker::{Breach, Checker, Rule};
use crate::history::{Clock, Entry, History, Seen};
use crate::machine::Machine;
use crate::run::{Failure, play};
use crate::script::script;
use crate::stage::Stage;
use crate::world::World;

/// The maximum total number of steps for one shrink.
const STEPS_MAX: u64 = 1_000_000;

/// The maximum length of a history whose values are simplified.
const PLAIN_MAX: usize = 200;

/// The maximum length of a history for which all pairs of entries are tried for removal.
const PAIRED_MAX: usize = 40;

/// A shrunk failure.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The number of entries of the shrunk history.
    pub entries: usize,
    /// The number of entries of the original history.
    pub entries_before: usize,
    /// The violation in the shrunk history.
    pub breach: Breach,
    /// The shrunk history as a regression test of the core.
    pub script: String,
}

/// Shrinks a failure. Returns `None` if the broker alone does not reproduce it, because it was
/// found in the client library.
pub fn shrink<M: Machine>(kind: M::Kind, failure: &Failure) -> Option<Shrunk> {
    let (history, _) = record::<M>(kind, failure.seed, failure.steps);
    shorten::<M>(kind, history, failure.breach.rule)
}

/// Runs an episode and records its history. Returns the final stage, too.
fn record<M: Machine>(kind: M::Kind, seed: u64, steps: u64) -> (History, Stage<M>) {
    let mut world = World::<M>::new(kind, seed);
    world.stage.record();
    play(&mut world, steps);
    let (entries, issued) = world.stage.take_recording();
    let (config, keys) = World::<M>::beginning(seed);
    let bearers = Rc::new(issued.bearers());
    let history = History { config, keys, clock: Clock::AsRecorded, entries, bearers };
    (history, world.stage)
}

fn shorten<M: Machine>(kind: M::Kind, history: History, rule: Rule) -> Option<Shrunk> {
    let entries_before = history.entries.len();
    let mut shrinker = Shrinker::<M> { kind, rule, steps_left: STEPS_MAX, machine: PhantomData };
    let whole = shrinker.attempt(history)?;
    let history = shrinker.shorten(whole);
    let breach = history.replay::<M>(kind, &mut |_| {}).breach?;
    let script = script::<M>(&history, kind, &breach);
    Some(Shrunk { entries: history.entries.len(), entries_before, breach, script })
}

struct Shrinker<M: Machine> {
    kind: M::Kind,
    rule: Rule,
    steps_left: u64,
    machine: PhantomData<M>,
}

impl<M: Machine> Shrinker<M> {
    /// Returns the executed part of a history, up to the violation, if it violates the rule.
    fn attempt(&mut self, history: History) -> Option<History> {
        if self.steps_left == 0 {
            return None;
        }
        let replayed = history.replay::<M>(self.kind, &mut |_| {});
        self.steps_left = self.steps_left.saturating_sub(replayed.steps + 1);
        let broken = replayed.breach.as_ref().is_some_and(|breach| breach.rule == self.rule);
        broken.then(|| history.pruned(&replayed))
    }

    fn first(&mut self, histories: impl IntoIterator<Item = History>) -> Option<History> {
        histories.into_iter().find_map(|history| self.attempt(history))
    }

    fn shorten(&mut self, whole: History) -> History {
        let starts = self.late_starts(&whole);
        let timely: Vec<History> = starts.iter().chain([&whole]).map(timely).collect();
        let mut history = self.first(timely.into_iter().chain(starts)).unwrap_or(whole);
        loop {
            let before = history.entries.len();
            history = self.leave_out(history);
            history = self.leave_pairs_out(history);
            let changed = self.make_plain(&mut history);
            if !changed && history.entries.len() == before {
                return history;
            }
        }
    }

    /// Returns histories that start shortly before the end, shortest first. Peers that are
    /// connected by then connect at the start. Requests in progress are omitted.
    fn late_starts(&self, history: &History) -> Vec<History> {
        let end = fixed_from(history);
        let mark = |at: usize| at < end && (end - at).is_power_of_two();
        let (mut config, mut keys) = (&history.config, history.keys);
        let mut starts = Vec::new();
        history.replay::<M>(self.kind, &mut |seen| {
            let Seen::Next(at, checker) = seen else { return };
            match at.checked_sub(1).map(|before| &history.entries[before]) {
                Some(Entry::Restarted(_, anew, with)) => (config, keys) = (anew, *with),
                Some(Entry::Told(_, Input::Configured(anew))) => config = anew,
                _ => {}
            }
            if mark(at) {
                starts.push(late_start(history, at, checker, config, keys));
            }
        });
        starts.reverse();
        starts
    }

    /// Removes parts of the history, large ones first.
    fn leave_out(&mut self, mut history: History) -> History {
        let mut chunk = fixed_from(&history).div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            let mut shorter = false;
            while at < fixed_from(&history) && self.steps_left > 0 {
                let mut fewer = history.clone();
                fewer.entries.drain(at..(at + chunk).min(fixed_from(&history)));
                match self.attempt(fewer) {
                    Some(fewer) => (history, shorter) = (fewer, true),
                    None => at += chunk,
                }
            }
            if !(shorter && chunk == 1) {
                chunk /= 2;
            }
        }
        history
    }

    /// Removes pairs of entries that depend on each other.
    fn leave_pairs_out(&mut self, mut history: History) -> History {
        let mut first = 0;
        while first < fixed_from(&history) && fixed_from(&history) <= PAIRED_MAX {
            let without_two = |second: usize| {
                let mut fewer = history.clone();
                fewer.entries.remove(second);
                fewer.entries.remove(first);
                fewer
            };
            match self.first((first + 1..fixed_from(&history)).map(without_two)) {
                Some(fewer) => history = fewer,
                None => first += 1,
            }
        }
        history
    }

    /// Simplifies values. Returns false if nothing changed.
    fn make_plain(&mut self, history: &mut History) -> bool {
        let mut changed = false;
        if history.entries.len() > PLAIN_MAX || fixed_from(history) < history.entries.len() {
            return changed;
        }
        for plainer in [plainer::whole, plainer::words, plainer::times] {
            let mut at = 0;
            while at < history.entries.len() {
                match self.first(plainer(history, at)) {
                    Some(better) => (*history, changed) = (better, true),
                    None => at += 1,
                }
            }
        }
        changed
    }
}

/// Returns the index in a history up to which entries may be removed or changed. After a failed
/// expectation at the end of the faults, all entries that justify the expectation must stay.
fn fixed_from(history: &History) -> usize {
    let Some(Entry::Expected(..)) = history.entries.last() else { return history.entries.len() };
    let calm = |entry: &Entry| matches!(entry, Entry::Told(_, Input::Configured(_)));
    history.entries.iter().rposition(calm).unwrap_or(0)
}

/// Returns the end of a history, from `at`, with all peers that are connected by then.
fn late_start(
    history: &History,
    at: usize,
    checker: &Checker,
    config: &Config,
    keys: Keys,
) -> History {
    let now = history.entries[at].at();
    let mut entries = Vec::new();
    for entry in &history.entries[..at] {
        let Entry::Told(_, Input::Connected { peer, profile }) = entry else { continue };
        if !checker.has(*peer) {
            continue;
        }
        let (peer, profile) = (*peer, profile.clone());
        let role = profile.role;
        entries.push(Entry::Told(now, Input::Connected { peer, profile }));
        let greeting = checker.greeting_of(peer).map(|hello| match role {
            Role::Client(_) => Input::FromClient { peer, command: FromClient::Hello(hello) },
            Role::Worker(_) => Input::FromWorker { peer, command: FromWorker::Hello(hello) },
        });
        entries.extend(greeting.map(|input| Entry::Told(now, input)));
        entries.extend(checker.services_of(peer).into_iter().map(|service| {
            let command = FromWorker::Ready { service };
            Entry::Told(now, Input::FromWorker { peer, command })
        }));
    }
    entries.extend_from_slice(&history.entries[at..]);
    for entry in &mut entries {
        entry.set_at(Time::ZERO.after(entry.at().since(now)));
    }
    History { config: config.clone(), keys, entries, ..history.clone() }
}

/// Returns the history on a clock that never stops. Its ticks are removed, except the last one.
fn timely(history: &History) -> History {
    let mut history = History { clock: Clock::WhenDue, ..history.clone() };
    let last = history.entries.len() - 1;
    let mut index = 0;
    history.entries.retain(|entry| {
        index += 1;
        index > last || !matches!(entry, Entry::Told(_, Input::Tick))
    });
    history
}
