//! The tape: what was told to a broker, and how it is told again, all of it or a part.

use std::collections::HashMap;
use std::rc::Rc;

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{FromWorker, Label, PeerId, Time, ToWorker, WorkerReply};

use crate::judge::{Breach, Judge, Uid, uid_of};
use crate::machine::Machine;
use crate::stage::Stage;

/// One thing that happened in a run.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them were told")]
pub enum Entry {
    /// The broker was told this.
    Told(Time, Input),
    /// The broker was started anew.
    Restarted(Time, Box<Config>, Keys),
    /// This was expected of the broker.
    Expected(Time, Hope),
}

/// What is expected of a broker when the faults are over, beside what the judge expects always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hope {
    /// Everything that has a bound has ended.
    Rest,
    /// From now on every worker gets something to do.
    Work,
    /// These have had time enough to get something.
    Worked(Vec<PeerId>),
}

impl Entry {
    /// When it happened.
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

/// The worker that was given an address, for which request, and how many it had for it before.
pub(crate) type Bearer = (PeerId, Uid, usize);

/// Which addresses were given out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issued {
    addresses: HashMap<(PeerId, Uid), Vec<Label>>,
    /// Who was given a request last.
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

    pub(crate) fn bearers(self) -> HashMap<Label, Bearer> {
        let all = self.addresses.into_iter().flat_map(|((worker, uid), addresses)| {
            let numbered = addresses.into_iter().enumerate();
            numbered.map(move |(number, address)| (address, (worker, uid, number)))
        });
        all.collect()
    }

    /// The address that stands in this run for the same; and who says something of it that its
    /// bearer said, as the request may have gone to another this time.
    fn address(&self, speaker: PeerId, (worker, uid, number): Bearer) -> Option<(PeerId, &Label)> {
        if let Some(addresses) = self.addresses.get(&(worker, uid)) {
            return Some((speaker, addresses.get(number).or(addresses.last())?));
        }
        let bearer = *self.bearer.get(&uid)?;
        let address = self.addresses.get(&(bearer, uid))?.last()?;
        Some((if speaker == worker { bearer } else { speaker }, address))
    }
}

/// When a broker that hears a tape is told of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Where the tape says so; so it may have been stopped for a while.
    AsRecorded,
    /// Whenever something is due, before anything else: as in the scripts of the core.
    WhenDue,
}

/// How a broker begins, and what it is told.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) entries: Vec<Entry>,
    /// Who had the addresses that are in the entries.
    pub(crate) bearers: Rc<HashMap<Label, Bearer>>,
}

/// What is seen while a tape is told.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// This entry is next.
    Next(usize, &'a Judge),
    /// The broker is told of the time because something is due.
    Due,
    /// The entry is carried out; what is told may have another address in it.
    Told(Time, &'a Input),
    Restarted(Time, &'a Config),
    Expected(Time, &'a Hope),
    /// What the broker wants done.
    Asked(&'a Output),
}

/// What came of telling a tape.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) breach: Option<Breach>,
    pub(crate) steps: u64,
    /// As [`Stage::hash`].
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests compare whole runs"))]
    pub(crate) hash: u64,
    /// Which entries were carried out, up to the breach.
    done: Vec<usize>,
    /// When the rule was broken, where that was because something was due before an entry.
    pub(crate) broken_when_due: Option<Time>,
}

struct Player<'a, M: Machine> {
    stage: Stage<M>,
    issued: Issued,
    see: &'a mut dyn FnMut(Seen<'_>),
}

impl Tape {
    /// Tells all of it to a broker, until a rule is broken. What cannot be said, because its
    /// speaker is not there or not read from, or was not given that request this time, is left out.
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
            (player.see)(Seen::Next(index, player.stage.judge()));
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
        Replayed { breach: stage.judge().breach().cloned(), steps, hash, done, broken_when_due }
    }

    /// The same without what was of no account.
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
        self.stage.judge().breach().is_some()
    }

    fn tell(&mut self, input: Input) {
        for output in self.stage.tell(input) {
            self.issued.note(output);
            (self.see)(Seen::Asked(output));
        }
    }

    /// Lets time pass, and tells the broker of it where something is due.
    fn wait(&mut self, until: Time) {
        while let Some(due) = self.stage.due().filter(|due| *due <= until)
            && !self.is_broken()
        {
            self.stage.pass(due);
            (self.see)(Seen::Due);
            self.tell(Input::Tick);
        }
    }

    /// False where it cannot be said.
    fn carry_out(&mut self, entry: &Entry, bearers: &HashMap<Label, Bearer>) -> bool {
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

    fn sayable(&self, input: &Input, bearers: &HashMap<Label, Bearer>) -> Option<Input> {
        let judge = self.stage.judge();
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
            Input::Appeared { peer, .. } => !judge.is_taken(peer.index),
            Input::Gone { peer } => judge.has(*peer),
            // The world may say these of a peer that the broker has just closed.
            Input::Filled { peer } => !judge.is_filled(*peer),
            Input::Draining { peer } | Input::Drained { peer } => {
                judge.is_filled(*peer) || !judge.has(*peer)
            }
            Input::FromClient { peer, .. }
            | Input::FromWorker { peer, .. }
            | Input::Malformed { peer }
            | Input::Alive { peer, .. } => judge.reads(*peer),
            _ => true,
        };
        sayable.then_some(input)
    }
}

/// The address of the request that a worker speaks of.
fn address_of(command: &mut FromWorker) -> Option<&mut Label> {
    match command {
        FromWorker::AtWork { address } => Some(address),
        command => reply_of(command).map(|reply| &mut reply.address),
    }
}

/// What a worker says of a request, where it speaks of one.
pub(crate) fn reply_of(command: &mut FromWorker) -> Option<&mut WorkerReply> {
    match command {
        FromWorker::Partial(reply)
        | FromWorker::Final(reply)
        | FromWorker::Failed(reply)
        | FromWorker::Rejected(reply) => Some(reply),
        _ => None,
    }
}
