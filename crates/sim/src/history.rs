//! Histories: recorded inputs of a broker, and their replay in full or in part.

use std::collections::HashMap;
use std::rc::Rc;

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{ByteStr, FromWorker, PeerId, Time, ToWorker, WorkerReply};

use crate::checker::{Breach, Checker, Uid, uid_of};
use crate::machine::Machine;
use crate::stage::Stage;

/// An event in a run's history.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them were told")]
pub enum Entry {
    /// An input of the broker.
    Told(Time, Input),
    /// A restart of the broker.
    Restarted(Time, Box<Config>, Keys),
    /// An expectation.
    Expected(Time, Hope),
}

/// An expectation after the end of the faults, in addition to the checker's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hope {
    /// Every bounded request has ended.
    Rest,
    /// From now on, every worker is given a request.
    Work,
    /// These workers have had enough time to be given a request.
    Worked(Vec<PeerId>),
}

impl Entry {
    /// Returns the time of the event.
    pub fn at(&self) -> Time {
        match self {
            Entry::Told(at, _) | Entry::Restarted(at, ..) | Entry::Expected(at, _) => *at,
        }
    }

    pub(crate) fn set_at(&mut self, moment: Time) {
        match self {
            Entry::Told(at, _) | Entry::Restarted(at, ..) | Entry::Expected(at, _) => *at = moment,
        }
    }
}

/// The worker and request of a token, and the number of the request's earlier tokens at this
/// worker.
pub(crate) type Bearer = (PeerId, Uid, usize);

/// The issued tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issued {
    addresses: HashMap<(PeerId, Uid), Vec<ByteStr>>,
    /// The last worker of each request.
    bearer: HashMap<Uid, PeerId>,
}

impl Issued {
    pub(crate) fn note(&mut self, output: &Output) {
        if let Output::ToWorker { peer, command: ToWorker::Request(request) } = output
            && let Some(uid) = uid_of(&request.id, &request.options, &request.body)
        {
            let addresses = self.addresses.entry((*peer, uid)).or_default();
            if !addresses.contains(&request.address) {
                addresses.push(request.address.clone());
            }
            self.bearer.insert(uid, *peer);
        }
    }

    pub(crate) fn bearers(self) -> HashMap<ByteStr, Bearer> {
        let all = self.addresses.into_iter().flat_map(|((worker, uid), addresses)| {
            let numbered = addresses.into_iter().enumerate();
            numbered.map(move |(number, address)| (address, (worker, uid, number)))
        });
        all.collect()
    }

    /// Returns the token in this run that corresponds to a recorded one, and the worker that sends
    /// it, because the request may have gone to another worker in this run.
    fn address(
        &self,
        speaker: PeerId,
        (worker, uid, number): Bearer,
    ) -> Option<(PeerId, &ByteStr)> {
        if let Some(addresses) = self.addresses.get(&(worker, uid)) {
            return Some((speaker, addresses.get(number).or(addresses.last())?));
        }
        let bearer = *self.bearer.get(&uid)?;
        let address = self.addresses.get(&(bearer, uid))?.last()?;
        Some((if speaker == worker { bearer } else { speaker }, address))
    }
}

/// The source of the broker's ticks during a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The recorded ticks. The broker may have been stopped for a while.
    AsRecorded,
    /// A tick for every deadline, before any other input, as in the core's scripts.
    WhenDue,
}

/// A history: the initial state of a broker and its inputs.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) entries: Vec<Entry>,
    /// The workers and requests of the tokens in the entries.
    pub(crate) bearers: Rc<HashMap<ByteStr, Bearer>>,
}

/// An event during a replay.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// This entry is next.
    Next(usize, &'a Checker),
    /// A tick for a due deadline.
    Due,
    /// The entry is replayed. Its token may differ from the recorded one.
    Told(Time, &'a Input),
    Restarted(Time, &'a Config),
    Expected(Time, &'a Hope),
    /// An output of the broker.
    Asked(&'a Output),
}

/// The result of a replay.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) breach: Option<Breach>,
    pub(crate) steps: u64,
    /// The same as [`Stage::hash`].
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests compare whole runs"))]
    pub(crate) hash: u64,
    /// The replayed entries, up to the violation.
    done: Vec<usize>,
    /// The time of the violation, if a due deadline before an entry caused it.
    pub(crate) broken_when_due: Option<Time>,
}

struct Player<'a, M: Machine> {
    stage: Stage<M>,
    issued: Issued,
    see: &'a mut dyn FnMut(Seen<'_>),
}

impl History {
    /// Replays the history until a rule is violated. Skips inputs that are impossible in this run:
    /// their sender is not connected, is paused, or was not given the request.
    pub(crate) fn replay<M: Machine>(
        &self,
        kind: M::Kind,
        see: &mut dyn FnMut(Seen<'_>),
    ) -> Replayed {
        let stage = Stage::<M>::new(kind, &self.config, self.keys);
        let mut player = Player { stage, issued: Issued::default(), see };
        let mut done = Vec::new();
        let mut broken_when_due = None;
        for (index, entry) in self.entries.iter().enumerate() {
            (player.see)(Seen::Next(index, player.stage.checker()));
            if self.clock == Clock::WhenDue {
                player.wait(entry.at());
                if player.is_broken() {
                    broken_when_due = Some(player.stage.now());
                    break;
                }
            }
            player.stage.pass(entry.at());
            if player.carry_out(entry, &self.bearers) {
                done.push(index);
            }
            if player.is_broken() {
                break;
            }
        }
        let stage = player.stage;
        let (steps, hash) = (stage.steps(), stage.hash());
        Replayed { breach: stage.checker().breach().cloned(), steps, hash, done, broken_when_due }
    }

    /// Removes the entries that were not replayed.
    pub(crate) fn pruned(mut self, replayed: &Replayed) -> Self {
        let mut index = 0;
        self.entries.retain(|_| {
            index += 1;
            replayed.done.binary_search(&(index - 1)).is_ok()
        });
        self.entries.extend(replayed.broken_when_due.map(|at| Entry::Told(at, Input::Tick)));
        self
    }
}

impl<M: Machine> Player<'_, M> {
    fn is_broken(&self) -> bool {
        self.stage.checker().breach().is_some()
    }

    fn tell(&mut self, input: Input) {
        for output in self.stage.tell(input) {
            self.issued.note(output);
            (self.see)(Seen::Asked(output));
        }
    }

    /// Advances the clock, with a tick for every due deadline.
    fn wait(&mut self, until: Time) {
        while let Some(due) = self.stage.due().filter(|due| *due <= until)
            && !self.is_broken()
        {
            self.stage.pass(due);
            (self.see)(Seen::Due);
            self.tell(Input::Tick);
        }
    }

    /// Replays an entry. Returns false if that is impossible.
    fn carry_out(&mut self, entry: &Entry, bearers: &HashMap<ByteStr, Bearer>) -> bool {
        match entry {
            Entry::Told(_, input) => {
                let Some(input) = self.sayable(input, bearers) else { return false };
                (self.see)(Seen::Told(self.stage.now(), &input));
                self.tell(input);
            }
            Entry::Restarted(_, config, keys) => {
                (self.see)(Seen::Restarted(self.stage.now(), config));
                self.stage.restart(config, *keys);
            }
            Entry::Expected(_, hope) => {
                (self.see)(Seen::Expected(self.stage.now(), hope));
                self.stage.expect(hope.clone());
            }
        }
        true
    }

    fn sayable(&self, input: &Input, bearers: &HashMap<ByteStr, Bearer>) -> Option<Input> {
        let checker = self.stage.checker();
        let mut input = input.clone();
        if let Input::FromWorker { peer, command } = &mut input
            && let Some(place) = address_of(command)
            && let Some(bearer) = bearers.get(place)
        {
            let (speaker, address) = self.issued.address(*peer, *bearer)?;
            *peer = speaker;
            *place = address.clone();
        }
        let sayable = match &input {
            Input::Connected { peer, .. } => !checker.is_taken(peer.index),
            Input::Disconnected { peer } => checker.has(*peer),
            // These may be inputs about a peer that the broker has just closed.
            Input::AboveHighWater { peer } => !checker.is_filled(*peer),
            Input::MakingProgress { peer } | Input::BelowLowWater { peer } => {
                checker.is_filled(*peer) || !checker.has(*peer)
            }
            Input::FromClient { peer, .. }
            | Input::FromWorker { peer, .. }
            | Input::Malformed { peer }
            | Input::Alive { peer, .. } => checker.reads(*peer),
            _ => true,
        };
        sayable.then_some(input)
    }
}

/// Returns the token in a worker's message, if it has one.
fn address_of(command: &mut FromWorker) -> Option<&mut ByteStr> {
    match command {
        FromWorker::AtWork { address } => Some(address),
        command => reply_of(command).map(|reply| &mut reply.address),
    }
}

/// Returns the reply in a worker's message, if it has one.
pub(crate) fn reply_of(command: &mut FromWorker) -> Option<&mut WorkerReply> {
    match command {
        FromWorker::Partial(reply)
        | FromWorker::Final(reply)
        | FromWorker::Failed(reply)
        | FromWorker::Rejected(reply) => Some(reply),
        _ => None,
    }
}
