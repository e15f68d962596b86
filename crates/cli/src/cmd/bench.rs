//! `majordomus bench`: a load generator that verifies every reply and reports the broker's CPU
//! time.

mod client;
mod compare;
mod line;
mod load;
mod process;
mod progress;
mod report;
mod schedule;
mod speech;
mod stencil;
mod tag;
mod tally;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use majordomus::Dialect;
use majordomus_broker::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cmd::bench::load::{Load, Plan};
use crate::cmd::bench::process::{Process, Transport};
use crate::cmd::bench::progress::Progress;
use crate::cmd::bench::report::{Report, Run};
use crate::cmd::bench::speech::Speech;
use crate::cmd::bench::usage::{Pin, pin_process, pin_this_thread};
use crate::cmd::{BROKER_ENDPOINT, dialect_parser, misused, number, unheard_of_name};
use crate::failure::Failure;
use crate::output::print;
use crate::settings::{read_broker, read_offer, read_service};
use crate::{bytes, duration};

/// The maximum total size of all bodies in flight, in bytes.
const BYTES_IN_FLIGHT_MAX: usize = 256 << 20;
/// The default service of clients and workers.
const SERVICE: &str = "bench";

const EXAMPLES: &str = "\
One loop in one thread plays all clients and all workers, which echo. Every body has the number of its \
request in it, and every reply is compared byte for byte: one is right, or wrong, or an error \
(failed), or never came (lost); one that came twice is doubled, and one that nobody there asked for is \
foreign. Any of them makes the status 1.

A run at full load shows what a broker can do only where the broker was the bottleneck. So it is void, \
and is called that, where the broker was busy less than 95 % of the time, the generator more than \
90 %, or others took more than 5 % of the machine. It wants two cores: --pin 0,1 keeps the broker on \
the first and the generator on the second.

With --rate, requests are made at a steady rate. The wait for a free slot of a client counts as \
latency (so there is no coordinated omission). The generator's own lateness does not: it is shown \
beside the latency, and a run is void if its p99 exceeds the median latency.

The status is 0 when all went well, 1 with one line on standard error when something failed, and 2 \
when the command line makes no sense.

Examples:
  majordomus bench run --pin 0,1
      What a broker takes for a request; it is started for this run.
  majordomus bench run -b tcp://127.0.0.1:5555 --broker-pid \"$(pidof majordomus)\"
      The same with a broker that is there already.
  majordomus bench run --dialect mdp02 --clients 4 --in-flight 16 --workers 8
      In another dialect.
  majordomus bench compare --pin 0,1
      Beside other brokers.
  majordomus bench run --rate 20000 --duration 30s
      How long requests take at a load that it can bear.
  majordomus bench run --pin 0,1 --worker-transport ipc
      Measure the cost of a request with the workers connected over ipc.";

/// Measure what a broker can do
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Measure with clients and workers
    Run(RunArgs),
    /// Measure with clients alone; somebody else has to echo
    Requests(RequestsArgs),
    /// Echo what clients ask, until it is told to end
    Workers(WorkersArgs),
    Compare(Box<compare::CompareArgs>),
}

#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH [default: one of its own, on a free port, for the
    /// time of the run]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = read_broker)]
    broker: Option<String>,
    /// The service that is offered and asked for [default: a name that nobody else has]
    #[arg(long, value_name = "NAME", value_parser = read_offer)]
    service: Option<String>,
    /// How many workers there are, up to 1024
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = number(1..=1024_u16), allow_negative_numbers = true)]
    workers: u16,
    /// Have our broker look for something to do for so long before it sleeps
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = read_spin)]
    spin: Duration,
    /// Connect to our broker over this transport [default: tcp]
    #[arg(long, value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// Connect the workers over this transport [default: that of --transport]
    #[arg(long, value_name = "TRANSPORT")]
    worker_transport: Option<Transport>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Clone, Debug)]
struct RequestsArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH
    #[arg(short, long, value_name = "ENDPOINT", default_value = BROKER_ENDPOINT,
          value_parser = read_broker)]
    broker: String,
    /// The service that is asked for
    #[arg(long, value_name = "NAME", default_value = SERVICE, value_parser = read_service)]
    service: String,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Clone, Debug)]
struct WorkersArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH
    #[arg(short, long, value_name = "ENDPOINT", default_value = BROKER_ENDPOINT,
          value_parser = read_broker)]
    broker: String,
    /// The service that is offered
    #[arg(long, value_name = "NAME", default_value = SERVICE, value_parser = read_offer)]
    service: String,
    /// What workers speak
    #[arg(long, value_name = "DIALECT", default_value = "omdp1", value_parser = dialect_parser())]
    dialect: Dialect,
    /// How many workers there are, up to 1024
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = number(1..=1024_u16), allow_negative_numbers = true)]
    workers: u16,
    /// End after so long [default: at SIGTERM or SIGINT]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// How long the broker may take to welcome all workers
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,
}

/// What clients do, and workers where there are some.
#[derive(Args, Clone, Debug)]
struct LoadArgs {
    /// What clients and workers speak
    #[arg(long, value_name = "DIALECT", default_value = "omdp1", value_parser = dialect_parser())]
    dialect: Dialect,
    /// How many clients there are, up to 1024
    #[arg(long, value_name = "COUNT", default_value_t = 8,
          value_parser = number(1..=1024_u16), allow_negative_numbers = true)]
    clients: u16,
    /// How many requests each has at once, up to 4096
    #[arg(long, value_name = "COUNT", default_value_t = 64,
          value_parser = number(1..=4096_u16), allow_negative_numbers = true)]
    in_flight: u16,
    /// How large a body is, from 16 bytes on; all that are in flight have at most 256MiB
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = bytes::parse)]
    body: usize,
    /// Make so many requests a second, of all clients together [default: as many as go]
    #[arg(long, value_name = "COUNT", value_parser = number(1..=10_000_000_u32),
          allow_negative_numbers = true)]
    rate: Option<u32>,
    /// How long to measure
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    duration: Duration,
    /// How long to make requests before that
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    warm_up: Duration,
    /// How long nothing may come while something is expected
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,
}

/// Where the broker and the generator are on the machine.
#[derive(Args, Clone, Debug)]
struct PlaceArgs {
    /// Keep the broker on one core and the generator on another
    #[arg(long, value_name = "BROKER,GENERATOR")]
    pin: Option<Pin>,
    /// The broker's process, so that its processor time and memory are told
    #[arg(long, value_name = "PID", value_parser = number(1..=i32::MAX.cast_unsigned()),
          allow_negative_numbers = true)]
    broker_pid: Option<u32>,
}

#[derive(Args, Clone, Debug)]
struct OutputArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write a page there, too, with everything in it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Parses the spin time of the built-in broker.
fn read_spin(text: &str) -> Result<Duration, String> {
    match duration::parse(text).map_err(|fault| fault.to_string())? {
        spin if spin > Config::SPIN_MAX => {
            Err(format!("it has to be at most {}", duration::show(Config::SPIN_MAX)))
        }
        spin => Ok(spin),
    }
}

impl BenchArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        raise_open_files();
        match self.command {
            Command::Run(args) => args.run(),
            Command::Requests(args) => args.run(),
            Command::Workers(args) => args.run(),
            Command::Compare(args) => args.run(),
        }
    }
}

impl RunArgs {
    fn run(self) -> Result<(), Failure> {
        self.load.check();
        if self.broker.is_none() && self.place.broker_pid.is_some() {
            misused("bench", "--broker-pid goes with --broker");
        }
        if self.broker.is_some() && !self.spin.is_zero() {
            misused("bench", "--spin is for a broker of its own, without --broker");
        }
        let transport = self.transport.or(self.worker_transport);
        if self.broker.is_some() && transport.is_some() {
            let text = "use --transport and --worker-transport without --broker: with it, its \
                        endpoint sets the transport";
            misused("bench", text);
        }
        let transport = self.transport.unwrap_or(Transport::Tcp);
        let worker_transport = self.worker_transport.unwrap_or(transport);
        let own = match self.broker {
            Some(_) => None,
            None => {
                let own = Process::ours(self.spin, transport, worker_transport);
                Some(own.map_err(|why| Failure::OwnBroker(why.to_string()))?)
            }
        };
        let broker_pid = own.as_ref().map(Process::pid).or(self.place.broker_pid);
        let endpoint = own.as_ref().map(|own| own.endpoint.clone()).or(self.broker);
        let endpoint = endpoint.unwrap_or_default();
        let worker_endpoint = own.as_ref().map(|own| own.worker_endpoint.clone());
        let plan = Plan {
            worker_endpoint: worker_endpoint.unwrap_or_else(|| endpoint.clone()),
            service: self.service.unwrap_or_else(|| unheard_of_name(SERVICE)),
            workers: self.workers,
            ..self.load.plan(endpoint, broker_pid)
        };
        let name = if own.is_some() { "majordomus" } else { "the broker" };
        let mut run = measure(name, name, plan, self.place.pin)?;
        run.started_in = own.and_then(|own| own.started_in);
        self.output.tell(&Report::new(vec![run]))
    }
}

impl RequestsArgs {
    fn run(self) -> Result<(), Failure> {
        self.load.check();
        let plan =
            Plan { service: self.service, ..self.load.plan(self.broker, self.place.broker_pid) };
        let run = measure("the broker", "the broker", plan, self.place.pin)?;
        self.output.tell(&Report::new(vec![run]))
    }
}

impl WorkersArgs {
    fn run(self) -> Result<(), Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Failure::System)?;
        }
        let plan = Plan {
            endpoint: self.broker.clone(),
            worker_endpoint: self.broker,
            broker_pid: None,
            speech: Speech::Dialect(self.dialect),
            service: self.service,
            clients: 0,
            in_flight: 0,
            workers: self.workers,
            body_bytes: 0,
            rate: None,
            warm_up: Duration::ZERO,
            duration: Duration::ZERO,
            timeout: self.timeout,
        };
        let no_load = |fault: load::Fault| no_load(&plan, &fault);
        let load = Load::open(&plan).map_err(no_load)?;
        let served = load.serve(self.duration, || stop.load(Ordering::Relaxed));
        let served = served.map_err(no_load)?;
        // A closed standard output is not an error here.
        let _ = print(format!("{served} requests were answered\n").as_bytes())?;
        Ok(())
    }
}

impl LoadArgs {
    /// Rejects contradictory options.
    fn check(&self) {
        if self.body < tag::TEXT_BYTES {
            let text = format!(
                "--body has to be at least {} bytes: they say which request it belongs to",
                tag::TEXT_BYTES
            );
            misused("bench", &text);
        }
        let requests = usize::from(self.clients) * usize::from(self.in_flight);
        if requests.saturating_mul(self.body) > BYTES_IN_FLIGHT_MAX {
            let most = bytes::show(BYTES_IN_FLIGHT_MAX);
            let text = format!(
                "{requests} bodies in flight of {} bytes each are more than {most}: make --body, \
                 --clients or --in-flight smaller",
                self.body
            );
            misused("bench", &text);
        }
        if self.duration.is_zero() || self.timeout.is_zero() {
            misused("bench", "--duration and --timeout have to be more than 0s");
        }
    }

    fn plan(&self, endpoint: String, broker_pid: Option<u32>) -> Plan {
        Plan {
            worker_endpoint: endpoint.clone(),
            endpoint,
            broker_pid,
            speech: Speech::Dialect(self.dialect),
            service: String::new(),
            clients: self.clients,
            in_flight: self.in_flight,
            workers: 0,
            body_bytes: self.body,
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.duration,
            timeout: self.timeout,
        }
    }
}

impl OutputArgs {
    fn tell(&self, report: &Report) -> Result<(), Failure> {
        let text = if self.json { report.json() } else { report.to_string() };
        // The run's verdict counts even if standard output is closed.
        let _ = print(text.as_bytes())?;
        if let Some(path) = &self.html {
            std::fs::write(path, report.html())
                .map_err(|error| Failure::Page { path: path.clone(), error })?;
        }
        report.verdict()
    }
}

/// Makes one run with the named broker and shows a progress bar labelled `bar`.
fn measure(name: &str, bar: &str, plan: Plan, pin: Option<Pin>) -> Result<Run, Failure> {
    if let Some(pin) = pin {
        pin_this_thread(pin.generator).map_err(Failure::System)?;
        if let Some(pid) = plan.broker_pid {
            pin_process(pid, pin.broker).map_err(Failure::System)?;
        }
    }
    let progress = Progress::start(bar, plan.warm_up + plan.duration);
    let measured = match plan.speech {
        #[cfg(feature = "nats")]
        Speech::Nats => compare::nats::run(&plan, &progress),
        _ => Load::open(&plan).and_then(|load| load.run(&progress)),
    };
    let measured = measured.map_err(|fault| no_load(&plan, &fault))?;
    Ok(Run { broker: name.into(), plan, pin, measured, started_in: None })
}

fn no_load(plan: &Plan, fault: &load::Fault) -> Failure {
    Failure::NoLoad { endpoint: plan.endpoint.clone(), why: fault.to_string() }
}

/// Raises the limit of open files, because every connection needs one.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // On failure, a run with many connections reports "too many open files".
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
