//! The test stage: the broker and its checker, on a virtual clock. All inputs of the broker pass
//! through the stage, which checks, records and replays them.

use majordomus_core::broker::{Config, Input, Keys, Output};
use majordomus_core::{PeerId, Time};

use crate::checker::{Checker, Rule};
use crate::history::{Entry, Hope, Issued};
use crate::machine::Machine;
use crate::outputs::{self, Outputs, Step};
use crate::trace::{self, Sink};

/// The broker, its checker, and the virtual time.
#[derive(Debug)]
pub struct Stage<M: Machine> {
    kind: M::Kind,
    machine: M,
    checker: Checker,
    now: Time,
    steps: u64,
    /// The outputs of the last step.
    outputs: Outputs,
    /// A hash of all events. Two runs share it only if they are identical.
    hash: u64,
    /// The number of requests of each worker when work for all workers was expected.
    given: Vec<(PeerId, u64)>,
    recording: Option<(Vec<Entry>, Issued)>,
    sink: Option<Sink>,
}

impl<M: Machine> Stage<M> {
    /// Creates a stage with a new broker.
    pub fn new(kind: M::Kind, config: &Config, keys: Keys) -> Self {
        Self {
            kind,
            machine: M::start(kind, config.clone(), keys),
            checker: Checker::new(config),
            now: Time::ZERO,
            steps: 0,
            outputs: outputs::empty(),
            hash: 0,
            given: Vec::new(),
            recording: None,
            sink: None,
        }
    }

    /// Starts recording the inputs and the tokens.
    pub fn record(&mut self) {
        self.recording = Some(Default::default());
    }

    /// Traces all further inputs and outputs as text.
    pub fn trace(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    /// Takes the recording.
    pub(crate) fn take_recording(&mut self) -> (Vec<Entry>, Issued) {
        self.recording.take().unwrap_or_default()
    }

    /// Returns the current time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Returns the number of inputs so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the hash of all events so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the checker.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Returns the checker, for violations found elsewhere.
    pub fn judge_mut(&mut self) -> &mut Checker {
        &mut self.checker
    }

    /// Returns the broker.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Returns the broker's next deadline.
    pub fn due(&self) -> Option<Time> {
        self.machine.next_deadline()
    }

    /// Advances the clock without an input.
    pub fn pass(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Stops the broker until `now`. If `tick` is true, its first input afterwards is a tick.
    pub fn leap(&mut self, now: Time, tick: bool) {
        self.pass(now);
        if let Some(sink) = &self.sink {
            let first = if tick { "" } else { ", and hears what came meanwhile first" };
            sink.line(format_args!("{}  the broker was stopped until now{first}", self.now));
        }
    }

    /// Passes an input to the broker and checks its outputs. After a violation the run is over, and
    /// all further inputs are ignored.
    pub fn tell(&mut self, input: Input) -> &mut Vec<Output> {
        self.outputs.begin(Step(self.steps + 1));
        if self.checker.breach().is_some() {
            return &mut self.outputs.list;
        }
        self.steps += 1;
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Told(self.now, input.clone()));
        }
        if let Some(sink) = &self.sink {
            sink.line(format_args!("{}  {}", self.now, trace::input(&input)));
        }
        self.checker.hear(self.now, &input);
        self.machine.handle(self.now, &input, &mut self.outputs);
        for output in &self.outputs.list {
            self.checker.see(output);
            if let Some((_, issued)) = &mut self.recording {
                issued.note(output);
            }
            if let Some(sink) = &self.sink {
                sink.line(format_args!("              > {}", trace::output(output)));
            }
            self.hash = trace::digest(self.hash, output);
        }
        self.hash = crate::rng::mix(self.hash ^ self.now.as_micros());
        self.checker.conclude(&self.machine);
        &mut self.outputs.list
    }

    /// Returns the outputs of the last step.
    pub(crate) fn outputs_mut(&mut self) -> &mut Vec<Output> {
        &mut self.outputs.list
    }

    /// Restarts the broker.
    pub fn restart(&mut self, config: &Config, keys: Keys) {
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Restarted(self.now, Box::new(config.clone()), keys));
        }
        if let Some(sink) = &self.sink {
            sink.line(format_args!("{}  the broker was started anew", self.now));
        }
        self.machine = M::start(self.kind, config.clone(), keys);
        self.checker.restart(config);
    }

    /// Lets the checker test an expectation.
    pub fn expect(&mut self, hope: Hope) {
        match &hope {
            Hope::Rest => self.checker.expect_rest(),
            Hope::Work => self.given = self.checker.workers().collect(),
            Hope::Worked(workers) => {
                let idle = |worker: &PeerId| self.is_workless(*worker);
                if let Some(worker) = workers.iter().copied().find(idle) {
                    let what = format!("{worker} got none, though it was asked for");
                    self.checker.accuse(Rule::WorkAgain, what);
                }
            }
        }
        if let Some((entries, _)) = &mut self.recording {
            entries.push(Entry::Expected(self.now, hope));
        }
    }

    /// Returns true if a worker was given no request since [`Hope::Work`].
    pub(crate) fn is_workless(&self, worker: PeerId) -> bool {
        self.checker.workers().any(|known| known.0 == worker && self.given.contains(&known))
    }
}
