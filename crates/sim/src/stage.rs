//! The stage: the broker and its judge, on a clock that only we move. Whatever is told to the broker
//! goes through here, so it is judged, can be written down, and can be played again.

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{PeerId, Time};

use crate::judge::{Judge, Rule};
use crate::machine::Machine;
use crate::outputs::{self, Outputs, Step};
use crate::tape::{Entry, Hope, Issued};
use crate::trace::{self, Sink};

/// The broker, its judge, and the time.
#[derive(Debug)]
pub struct Stage<M: Machine> {
    kind: M::Kind,
    machine: M,
    judge: Judge,
    now: Time,
    steps: u64,
    /// What came out of the last step.
    outputs: Outputs,
    /// A number that two runs share only if all that happened in them was the same.
    hash: u64,
    /// What each worker had been given when work for all was expected.
    given: Vec<(PeerId, u64)>,
    recording: Option<(Vec<Entry>, Issued)>,
    sink: Option<Sink>,
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
            outputs: outputs::empty(),
            hash: 0,
            given: Vec::new(),
            recording: None,
            sink: None,
        }
    }

    /// Writes down what is told from now on, and the addresses that are given out.
    pub fn record(&mut self) {
        self.recording = Some(Default::default());
    }

    /// Says in words what is told from now on, and what is answered, as it happens.
    pub fn trace(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    /// What was written down.
    pub(crate) fn take_recording(&mut self) -> (Vec<Entry>, Issued) {
        self.recording.take().unwrap_or_default()
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
        if let Some(sink) = &self.sink {
            let first = if tick { "" } else { ", and hears what came meanwhile first" };
            sink.line(format_args!("{}  the broker was stopped until now{first}", self.now));
        }
    }

    /// Tells the broker something, and has all judged that it does about it. When a rule is broken,
    /// the run is over: nobody is told anything more.
    pub fn tell(&mut self, input: Input) -> &mut Vec<Output> {
        self.outputs.begin(Step(self.steps + 1));
        if self.judge.breach().is_some() {
            return &mut self.outputs.list;
        }
        self.steps += 1;
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Told(self.now, input.clone()));
        }
        if let Some(sink) = &self.sink {
            sink.line(format_args!("{}  {}", self.now, trace::input(&input)));
        }
        self.judge.hear(self.now, &input);
        self.machine.handle(self.now, &input, &mut self.outputs);
        for output in &self.outputs.list {
            self.judge.see(output);
            if let Some((_, issued)) = &mut self.recording {
                issued.note(output);
            }
            if let Some(sink) = &self.sink {
                sink.line(format_args!("              > {}", trace::output(output)));
            }
            self.hash = trace::digest(self.hash, output);
        }
        self.hash = crate::rng::mix(self.hash ^ self.now.as_micros());
        self.judge.conclude(&self.machine);
        &mut self.outputs.list
    }

    /// What came out of the last step, to be carried out.
    pub(crate) fn outputs_mut(&mut self) -> &mut Vec<Output> {
        &mut self.outputs.list
    }

    /// Starts the broker anew.
    pub fn restart(&mut self, config: &Config, keys: Keys) {
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Restarted(self.now, Box::new(config.clone()), keys));
        }
        if let Some(sink) = &self.sink {
            sink.line(format_args!("{}  the broker was started anew", self.now));
        }
        self.machine = M::start(self.kind, config.clone(), keys);
        self.judge.restart(config);
    }

    /// Has the judge look whether it is as expected.
    pub fn expect(&mut self, hope: Hope) {
        match &hope {
            Hope::Rest => self.judge.expect_rest(),
            Hope::Work => self.given = self.judge.workers().collect(),
            Hope::Worked(workers) => {
                let idle = |worker: &PeerId| self.is_workless(*worker);
                if let Some(worker) = workers.iter().copied().find(idle) {
                    let what = format!("{worker} got none, though it was asked for");
                    self.judge.accuse(Rule::WorkAgain, what);
                }
            }
        }
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Expected(self.now, hope));
        }
    }

    /// Whether a worker has got nothing since [`Hope::Work`].
    pub(crate) fn is_workless(&self, worker: PeerId) -> bool {
        self.judge.workers().any(|known| known.0 == worker && self.given.contains(&known))
    }
}
