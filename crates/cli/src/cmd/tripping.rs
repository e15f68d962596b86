//! `majordomus tripping`: measures synchronous and pipelined round trips in calls per second.

pub(super) mod body;
mod part;
mod progress;
mod report;

use std::fmt;
use std::time::Duration;

use clap::Args;
use majordomus::{Client, Dialect, SetupError, Worker};

use crate::cmd::stream::Stream;
use crate::cmd::tripping::part::{Caller, Fault, Part};
use crate::cmd::tripping::report::Report;
use crate::cmd::{
    broker_for_this_run, dialect_parser, has_request_ids, misused, number, unheard_of_name,
};
use crate::failure::Failure;
use crate::output::print;
use crate::settings::{read_broker, read_offer};
use crate::{bytes, duration};

/// The maximum total size of all bodies in flight, in bytes.
const BYTES_IN_FLIGHT_MAX: usize = 64 << 20;
/// The timeout of the check whether anything listens at the endpoint.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
An echo worker and a client, both in this process, call through the broker: first one call at a \
time, then as many at once as --in-flight says. For each of the two it prints the calls per second, \
and the time within which half of the calls (p50) and 99 of 100 (p99) came back. This is a tool to \
see that it works, and its figures are rough ones: client, worker and mostly the broker share one \
machine, and it is no benchmark; `majordomus bench` is one.

Every call has another body (letters), and every reply is compared with it byte for byte. A call \
without a reply is lost, one with another reply is wrong, one with an error has failed. Each is \
counted, the first ten are named, and the status is 1 if there is any, and 2 when the command line \
makes no sense. It gives up after 20 of them, or after three in a row that were lost.

A client of omdp1, pigato or omdp has all its calls on one connection. The other dialects have no \
request ids, so there a connection has one call at a time, and the client opens as many as there are \
calls in flight; in libmdp every call costs a connection. The worker takes as many at once as are in \
flight; where its dialect gives it one at a time, by as many connections.

Between pigato or omdp and the others a broker has to translate, by default up to 1MiB a body.

On a terminal, standard error has a progress bar.

Examples:
  majordomus tripping
      With a broker of its own, from omdp1 to omdp1.
  majordomus tripping --client pigato --worker mdp01
      From one dialect to another.
  majordomus tripping -b tcp://broker:5555 --calls 1000 --body 64KiB
      Through a broker that is there already, with larger bodies.
  majordomus tripping --in-flight 1 --json
      For a program to read: one object on standard output.";

/// Measure round trips through a broker, roughly
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrippingArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH [default: one of its own, on a free port, for the
    /// time of the run]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = read_broker)]
    broker: Option<String>,
    /// What the client speaks
    #[arg(long, value_name = "DIALECT", default_value = "omdp1", value_parser = dialect_parser())]
    client: Dialect,
    /// What the worker speaks
    #[arg(long, value_name = "DIALECT", default_value = "omdp1", value_parser = dialect_parser())]
    worker: Dialect,
    /// How many calls to make in each of the two parts, up to 1000000
    #[arg(long, value_name = "COUNT", default_value_t = 10_000,
          value_parser = number(1..=1_000_000_u32), allow_negative_numbers = true)]
    calls: u32,
    /// How many calls are under way at once in the second part, up to 256
    #[arg(long, value_name = "COUNT", default_value_t = 32,
          value_parser = number(1..=256_u16), allow_negative_numbers = true)]
    in_flight: u16,
    /// How large the body of a call is; all that are in flight have at most 64MiB
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = bytes::parse)]
    body: usize,
    /// The service that is offered and called [default: a name that nobody else has]
    #[arg(long, value_name = "NAME", value_parser = read_offer)]
    service: Option<String>,
    /// How long a call may take, and how long to wait for the first to come back
    #[arg(short, long, value_name = "DURATION", default_value = "5s",
          value_parser = duration::parse)]
    timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The complete parameters of a run.
#[derive(Clone, Debug)]
struct Plan {
    endpoint: String,
    /// True if this run started the broker.
    own_broker: bool,
    service: String,
    client: Dialect,
    worker: Dialect,
    calls: u32,
    in_flight: u16,
    body_bytes: usize,
    timeout: Duration,
}

impl TrippingArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let in_flight_bytes = self.body.saturating_mul(self.in_flight.into());
        if in_flight_bytes > BYTES_IN_FLIGHT_MAX {
            let (count, body) = (self.in_flight, bytes::show(self.body));
            let most = bytes::show(BYTES_IN_FLIGHT_MAX);
            let text = format!(
                "{count} calls in flight of {body} each are more than {most}: make --body or \
                 --in-flight smaller"
            );
            misused("tripping", &text);
        }
        if self.timeout.is_zero() {
            misused("tripping", "--timeout has to be more than 0s");
        }
        let (json, given) = (self.json, self.broker.clone());
        let (own, endpoint) = match given {
            Some(endpoint) => (None, endpoint),
            None => {
                let (broker, endpoint) = broker_for_this_run()?;
                (Some(broker), endpoint)
            }
        };
        let plan = self.plan(endpoint, own.is_some());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let report = runtime.map_err(Failure::System)?.block_on(plan.trip())?;
        if let Some(broker) = own {
            broker.shutdown().map_err(Failure::Broker)?;
        }
        let text = if json { report.json() } else { report.to_string() };
        // The run's verdict counts even if standard output is closed.
        let _ = print(text.as_bytes())?;
        report.verdict()
    }

    fn plan(self, endpoint: String, own_broker: bool) -> Plan {
        Plan {
            endpoint,
            own_broker,
            service: self.service.unwrap_or_else(|| unheard_of_name("tripping")),
            client: self.client,
            worker: self.worker,
            calls: self.calls,
            in_flight: self.in_flight,
            body_bytes: self.body,
            timeout: self.timeout,
        }
    }
}

impl Plan {
    async fn trip(self) -> Result<Report, Failure> {
        let worker = self.offer()?;
        let mut parts = Vec::new();
        let mut unbegun = None;
        for (name, in_flight) in [("synchronous", 1), ("pipelined", self.in_flight)] {
            match self.part(name, in_flight).await {
                Ok(part) => parts.push(part),
                // Without any finished part there is nothing to report.
                Err(failure) if parts.is_empty() => return Err(failure),
                Err(failure) => unbegun = Some(failure),
            }
            if parts.iter().any(|part| part.given_up) {
                break;
            }
        }
        worker.stop().await;
        Ok(Report { plan: self, parts, unbegun })
    }

    /// Starts the worker with a concurrency of at least the number of calls in flight.
    fn offer(&self) -> Result<Worker, SetupError> {
        Worker::builder(&self.endpoint)
            .dialect(self.worker)
            .concurrency(self.in_flight.into())
            .serve(&self.service, |request, reply| reply.finish(request.body))
    }

    async fn part(&self, name: &'static str, in_flight: u16) -> Result<Part, Failure> {
        // Fewer calls than that need no more lanes.
        let lanes = u32::from(in_flight).min(self.calls) as u16;
        let connections = if has_request_ids(self.client) { 1 } else { lanes };
        let clients: Vec<_> =
            (0..connections).map(|_| self.connect()).collect::<Result<_, SetupError>>()?;
        let callers = clients.into_iter().cycle().take(lanes.into()).map(|client| Caller {
            client,
            service: self.service.clone(),
            body_bytes: self.body_bytes,
        });
        let begun = part::begin(callers, self.timeout).await;
        let callers = begun.map_err(|fault| self.no_trip(&fault))?;
        Ok(part::run(name, self.calls, connections, callers).await)
    }

    /// Returns the error for a first call without an answer, with its cause and possible fixes.
    fn no_trip(&self, fault: &Fault) -> Failure {
        let (endpoint, timeout) = (self.endpoint.clone(), self.timeout);
        let why = match (fault, Stream::connect(&endpoint, PROBE_TIMEOUT)) {
            (_, Err(error)) => format!(
                "nobody listens there ({error}); start one with `majordomus broker -b {endpoint}`, \
                 or leave --broker out to use one of its own"
            ),
            (Fault::Lost(_), Ok(_)) if !self.own_broker => {
                "somebody listens there; is it a broker, and does it take both dialects and such a \
                 --body? If it is only slow, try a longer --timeout"
                    .into()
            }
            (Fault::Lost(_), Ok(_)) => "try a longer --timeout, or a smaller --body".into(),
            (fault, Ok(_)) => fault.to_string(),
        };
        Failure::NoTrip { endpoint, timeout, why }
    }

    fn connect(&self) -> Result<Client, SetupError> {
        Client::builder(&self.endpoint).dialect(self.client).timeout(self.timeout).connect()
    }
}

/// Describes the client, worker and broker of the run in one sentence.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { client, worker, endpoint, service, .. } = self;
        let whose = if self.own_broker { ", started for this run" } else { "" };
        let body = bytes::show(self.body_bytes);
        let unit = if body.ends_with('B') { "" } else { " bytes" };
        writeln!(f, "From {client} to {worker}, {body}{unit} a call")?;
        writeln!(f, "Broker:  {endpoint}{whose}")?;
        writeln!(f, "Service: {service}")
    }
}
