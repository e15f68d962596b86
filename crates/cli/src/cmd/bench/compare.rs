//! `majordomus bench compare`: several brokers on one machine, measured in alternation.

#[cfg(feature = "nats")]
pub(super) mod nats;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, builder::TypedValueParser};
use majordomus::Dialect;

use crate::cmd::bench::load::Plan;
use crate::cmd::bench::process::{NoBroker, Process, Transport, free_endpoint};
use crate::cmd::bench::report::{Report, Run};
use crate::cmd::bench::speech::Speech;
use crate::cmd::bench::usage::Pin;
use crate::cmd::bench::{LoadArgs, OutputArgs, SERVICE, measure, read_spin};
use crate::cmd::{misused, number};
use crate::failure::Failure;

const ZMQ_PROXY: &str = include_str!("compare/zmq_proxy.py");
const MAJORTOMO: &str = include_str!("compare/majortomo.py");
const PIGATO: &str = include_str!("compare/pigato.js");

const NATS_SERVER: &str = "nats-server";

/// A Python program that prints the installed versions and fails if a package is missing.
const ZMQ_VERSION: &str =
    "import zmq; print('libzmq', zmq.zmq_version(), 'by pyzmq', zmq.__version__)";
const MAJORTOMO_VERSION: &str = "import majortomo.broker, importlib.metadata as m, sys; \
    print(m.version('majortomo'), 'on Python', sys.version.split()[0])";
const PIGATO_VERSION: &str = "require('pigato'); \
    console.log(require('pigato/package.json').version, 'on Node.js', process.version)";

const EXAMPLES: &str = "\
Each round starts the brokers one after the other, each alone, and measures it; the table has the \
median of the rounds that are not void. Brokers that are not installed are left out, each with one \
line about how to get it.

  majordomus   this program, in the dialect of --dialect
  zmq_proxy    libzmq's proxy, which knows no services: bare frames go through it
  majortomo    the broker of the Python package, in its dialect
  pigato       the broker of the Node.js package, in its dialect
  nats         nats-server, with clients and workers of the crate async-nats, which take more of the \
generator's core than ours

Examples:
  majordomus bench compare --pin 0,1
      All that are installed, five rounds of ten seconds each.
  majordomus bench compare --with majordomus --with zmq_proxy --html compare.html
      Two of them, as a page.
  NODE_PATH=/srv/node_modules majordomus bench compare --python /srv/venv/bin/python
      With packages that are not where they are looked for.";

/// Measure several brokers on this machine
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareArgs {
    /// Measure this broker; may be given several times [default: all]
    #[arg(long = "with", value_name = "BROKER", value_parser = contestant_parser())]
    with: Vec<Contestant>,
    /// How often each is measured
    #[arg(long, value_name = "COUNT", default_value_t = 5,
          value_parser = number(1..=100_u8), allow_negative_numbers = true)]
    rounds: u8,
    /// How many workers there are, up to 1024
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = number(1..=1024_u16), allow_negative_numbers = true)]
    workers: u16,
    /// Keep the broker on one core and the generator on another
    #[arg(long, value_name = "BROKER,GENERATOR")]
    pin: Option<Pin>,
    /// Have our broker look for something to do for so long before it sleeps
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = read_spin)]
    spin: Duration,
    /// The Python that has pyzmq and majortomo
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// The Node.js that has pigato
    #[arg(long, value_name = "PROGRAM", default_value = "node")]
    node: PathBuf,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A broker that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    Majordomus,
    ZmqProxy,
    Majortomo,
    Pigato,
    Nats,
}

fn contestant_parser() -> impl TypedValueParser<Value = Contestant> {
    PossibleValuesParser::new(Contestant::ALL.map(Contestant::name)).map(|name| {
        let named = Contestant::ALL.into_iter().find(|contestant| contestant.name() == name);
        named.expect("it is one of the possible values")
    })
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Contestant {
    const ALL: [Contestant; 5] = [
        Contestant::Majordomus,
        Contestant::ZmqProxy,
        Contestant::Majortomo,
        Contestant::Pigato,
        Contestant::Nats,
    ];

    fn name(self) -> &'static str {
        match self {
            Contestant::Majordomus => "majordomus",
            Contestant::ZmqProxy => "zmq_proxy",
            Contestant::Majortomo => "majortomo",
            Contestant::Pigato => "pigato",
            Contestant::Nats => "nats",
        }
    }

    /// Returns the protocol of this broker's peers, given the `dialect` of our own peers.
    fn speech(self, dialect: Dialect) -> Speech {
        match self {
            Contestant::Majordomus => Speech::Dialect(dialect),
            Contestant::ZmqProxy => Speech::Bare,
            Contestant::Majortomo => Speech::Dialect(Dialect::Majortomo),
            Contestant::Pigato => Speech::Dialect(Dialect::Pigato),
            Contestant::Nats => Speech::Nats,
        }
    }

    /// Returns a hint how to install this broker.
    fn recipe(self) -> &'static str {
        match self {
            Contestant::Majordomus => "it is this program",
            Contestant::ZmqProxy => "get it with `pip install pyzmq`, and name its --python",
            Contestant::Majortomo => {
                "get it with `pip install majortomo six`, and name its --python"
            }
            Contestant::Pigato => {
                "get it with `npm install pigato zeromq`, and name its node_modules with NODE_PATH; \
                 docs/performance.md says what it needs on a current Node.js"
            }
            Contestant::Nats => {
                "get it with `apt install nats-server`, and build this program with \
                 `--features nats`"
            }
        }
    }

    /// Returns the installed version of this broker, or `None` if it is not installed.
    fn version(self, args: &CompareArgs) -> Option<String> {
        match self {
            Contestant::Majordomus => Some(env!("CARGO_PKG_VERSION").into()),
            Contestant::ZmqProxy => said_by(&args.python, &["-c", ZMQ_VERSION]),
            Contestant::Majortomo => said_by(&args.python, &["-c", MAJORTOMO_VERSION]),
            Contestant::Pigato => said_by(&args.node, &["--no-deprecation", "-e", PIGATO_VERSION]),
            Contestant::Nats if !cfg!(feature = "nats") => None,
            Contestant::Nats => said_by(Path::new(NATS_SERVER), &["--version"]),
        }
    }

    fn start(self, args: &CompareArgs) -> Result<Process, NoBroker> {
        let (endpoint, mut worker_endpoint) = (free_endpoint()?, None);
        let mut command = match self {
            Contestant::Majordomus => {
                return Process::ours(args.spin, Transport::Tcp, Transport::Tcp);
            }
            Contestant::ZmqProxy => {
                let second = free_endpoint()?;
                let mut command = Command::new(&args.python);
                command.args(["-c", ZMQ_PROXY, &endpoint, &second]);
                worker_endpoint = Some(second);
                command
            }
            Contestant::Majortomo => {
                let mut command = Command::new(&args.python);
                command.args(["-c", MAJORTOMO, &endpoint]);
                command
            }
            Contestant::Pigato => {
                let mut command = Command::new(&args.node);
                command.args(["--no-deprecation", "-e", PIGATO, &endpoint]);
                command
            }
            Contestant::Nats => {
                let mut command = Command::new(NATS_SERVER);
                let port = endpoint.rsplit(':').next().unwrap_or_default();
                command.args(["--addr", "127.0.0.1", "--port", port]);
                command
            }
        };
        let worker_endpoint = worker_endpoint.unwrap_or_else(|| endpoint.clone());
        Process::other(&mut command, endpoint, worker_endpoint)
    }
}

/// Returns the first output line of a program, or `None` if the program fails.
fn said_by(program: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().next().unwrap_or_default().trim();
    output.status.success().then(|| line.into())
}

impl CompareArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.load.check();
        let mut notes = Vec::new();
        let (mut present, mut absent, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for contestant in self.contestants() {
            match contestant.version(&self) {
                Some(version) => {
                    versions.push((contestant.name(), version));
                    present.push(contestant);
                }
                None => absent.push(contestant),
            }
        }
        // The broker's client library cannot delay a request after it is due.
        let (present, at_no_rate): (Vec<_>, Vec<_>) = present
            .into_iter()
            .partition(|contestant| self.load.rate.is_none() || *contestant != Contestant::Nats);
        for contestant in at_no_rate {
            notes.push(format!("{contestant} is measured without --rate only"));
        }
        for contestant in absent {
            notes.push(format!("{contestant} is not installed: {}", contestant.recipe()));
        }
        if present.is_empty() {
            misused("bench", &notes.join("; "));
        }
        let mut runs = Vec::new();
        for round in 1..=self.rounds {
            for contestant in &present {
                match self.measure(*contestant, round) {
                    Ok(run) => runs.push(run),
                    // Continue with the other brokers.
                    Err(failure) => notes.push(format!("{contestant}, round {round}: {failure}")),
                }
            }
        }
        self.output.tell(&Report { notes, versions, ..Report::new(runs) })
    }

    fn contestants(&self) -> Vec<Contestant> {
        match &self.with[..] {
            [] => Contestant::ALL.to_vec(),
            with => with.to_vec(),
        }
    }

    fn measure(&self, contestant: Contestant, round: u8) -> Result<Run, Failure> {
        let broker = contestant.start(self).map_err(|why| Failure::OwnBroker(why.to_string()))?;
        let plan = Plan {
            worker_endpoint: broker.worker_endpoint.clone(),
            speech: contestant.speech(self.load.dialect),
            service: SERVICE.into(),
            workers: self.workers,
            ..self.load.plan(broker.endpoint.clone(), Some(broker.pid()))
        };
        let bar = format!("{contestant}, round {round} of {}", self.rounds);
        let run = measure(contestant.name(), &bar, plan, self.pin)?;
        Ok(Run { started_in: broker.started_in, ..run })
    }
}
