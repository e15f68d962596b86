//! The stage: the broker and its judge, on a clock that only we move. Whatever is told to the broker
//! goes through here, so it is judged, can be written down, and can be played again.

use std::fmt::Write as _;

use majordomus_core::Time;
use majordomus_core::broker::{Config, Input, Keys, Output};

use crate::judge::Judge;
use crate::machine::Machine;

/// One thing that happened in a run.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The broker was told this.
    Told(Time, Input),
    /// The broker was stopped until this moment; whether it learns of the time first.
    Leap(Time, bool),
    /// The broker was started anew.
    Restarted(Time, Box<Config>, Keys),
}

/// The broker, its judge, and the time.
#[derive(Debug)]
pub struct Stage<M: Machine> {
    kind: M::Kind,
    machine: M,
    judge: Judge,
    now: Time,
    steps: u64,
    /// What came out of the last step.
    outputs: Vec<Output>,
    /// A number that two runs share only if all that happened in them was the same.
    hash: u64,
    tape: Option<Vec<Entry>>,
    trace: Option<String>,
}

impl<M: Machine> Stage<M> {
    /// A broker that starts now.
    pub fn new(kind: M::Kind, config: &Config, keys: Keys) -> Self {
        Self {
            kind,
            machine: M::start(kind, config.clone(), keys),
            judge: Judge::new(config),
            now: Time::ZERO,
            steps: 0,
            outputs: Vec::new(),
            hash: 0,
            tape: None,
            trace: None,
        }
    }

    /// Writes down what is told from now on.
    pub fn record(&mut self) {
        self.tape = Some(Vec::new());
    }

    /// Writes down in words what is told, and what is answered.
    pub fn trace(&mut self) {
        self.trace = Some(String::new());
    }

    /// What was written down.
    pub fn take_tape(&mut self) -> Vec<Entry> {
        self.tape.take().unwrap_or_default()
    }

    /// What was written in words since this was last asked.
    pub fn take_trace(&mut self) -> String {
        self.trace.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How often the broker was told something.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A number that stands for all that happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The judge, to be told of what others found.
    pub fn judge_mut(&mut self) -> &mut Judge {
        &mut self.judge
    }

    /// The broker.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// When the broker wants to be told of the time.
    pub fn due(&self) -> Option<Time> {
        self.machine.next_deadline()
    }

    /// Lets time pass without telling the broker.
    pub fn pass(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// The broker is stopped until `now`. `tick` says that it is told of the time before anything
    /// else.
    pub fn leap(&mut self, now: Time, tick: bool) {
        self.pass(now);
        if let Some(tape) = &mut self.tape {
            tape.push(Entry::Leap(self.now, tick));
        }
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{}  the broker was stopped until now", self.now);
        }
    }

    /// Tells the broker something, and has all judged that it does about it.
    pub fn tell(&mut self, input: Input) -> &mut Vec<Output> {
        self.steps += 1;
        if let Some(tape) = &mut self.tape
            && !matches!(input, Input::Tick)
        {
            tape.push(Entry::Told(self.now, input.clone()));
        }
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{}  {}", self.now, crate::script::input(&input));
        }
        self.judge.hear(self.now, &input);
        self.machine.handle(self.now, input);
        self.outputs.clear();
        while let Some(output) = self.machine.poll_output() {
            self.judge.see(&output);
            if let Some(trace) = &mut self.trace {
                let _ = writeln!(trace, "              > {}", crate::script::output(&output));
            }
            self.hash = crate::rng::mix(self.hash ^ fingerprint(&output));
            self.outputs.push(output);
        }
        self.hash = crate::rng::mix(self.hash ^ self.now.as_micros());
        self.judge.conclude(&self.machine);
        &mut self.outputs
    }

    /// What came out of the last step, to be carried out.
    pub(crate) fn outputs_mut(&mut self) -> &mut Vec<Output> {
        &mut self.outputs
    }

    /// Starts the broker anew.
    pub fn restart(&mut self, config: &Config, keys: Keys) {
        if let Some(tape) = &mut self.tape {
            tape.push(Entry::Restarted(self.now, Box::new(config.clone()), keys));
        }
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{}  the broker was started anew", self.now);
        }
        self.machine = M::start(self.kind, config.clone(), keys);
        self.judge.restart(config);
    }
}

/// A number for what is put out: which it is, and for whom.
fn fingerprint(output: &Output) -> u64 {
    let (kind, peer) = match output {
        Output::ToClient { peer, .. } => (1, peer),
        Output::ToWorker { peer, .. } => (2, peer),
        Output::Probe { peer } => (3, peer),
        Output::Pause { peer } => (4, peer),
        Output::Resume { peer } => (5, peer),
        Output::Close { peer, .. } => (6, peer),
        Output::Event(_) => return 7,
    };
    kind << 56 | u64::from(peer.generation) << 32 | u64::from(peer.index)
}
