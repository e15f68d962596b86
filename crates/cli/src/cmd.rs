//! The subcommands of `majordomus`, one file each.

#[cfg(target_os = "linux")]
mod bench;
mod broker;
mod demo;
mod request;
mod stream;
mod tripping;
mod worker;

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use majordomus::Dialect;
use majordomus_broker::{Broker, Config, Listen, StartError};

use crate::failure::Failure;
use crate::log::{LogArgs, Manner};
use crate::settings::{Fault, read_count};

/// The default broker endpoint of workers and clients.
const BROKER_ENDPOINT: &str = "tcp://127.0.0.1:5555";

const EXAMPLES: &str = "\
Examples:
  majordomus demo
      See a broker, workers and clients of every dialect at work.
  majordomus tripping --client pigato --worker mdp01
      See how quickly calls go round between two of them.
  majordomus bench run
      See how many requests a broker can take.
  majordomus broker
      Run a broker on tcp://127.0.0.1:5555.
  majordomus worker upper --exec tr a-z A-Z
      Offer a command as a service.
  majordomus request upper hello
      Ask for it.

The status is 0 when all went well, 1 with one line on standard error when something failed, and 2 \
when the command line makes no sense.

Each subcommand has examples of its own: `majordomus broker --help`.";

/// A broker for the Majordomo protocol over ZeroMQ, which brings requests for a service to a worker
/// that offers it; and a worker and a client to go with it.
#[derive(Debug, Parser)]
#[command(name = "majordomus", version, after_help = EXAMPLES)]
pub(crate) struct Program {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Broker(broker::BrokerArgs),
    Worker(worker::WorkerArgs),
    Request(request::RequestArgs),
    Demo(demo::DemoArgs),
    Tripping(tripping::TrippingArgs),
    #[cfg(target_os = "linux")]
    Bench(bench::BenchArgs),
}

impl Program {
    /// Runs the subcommand.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let _written_at_the_end = self.log.start(match self.command {
            Command::Broker(_) | Command::Worker(_) => Manner::Service,
            Command::Request(_) | Command::Demo(_) | Command::Tripping(_) => Manner::Errand,
            #[cfg(target_os = "linux")]
            Command::Bench(_) => Manner::Errand,
        });
        match self.command {
            Command::Broker(args) => args.run(),
            Command::Worker(args) => args.run(),
            Command::Request(args) => args.run(),
            Command::Demo(args) => args.run(),
            Command::Tripping(args) => args.run(),
            #[cfg(target_os = "linux")]
            Command::Bench(args) => args.run(),
        }
    }
}

/// Returns a parser for a whole number within bounds. The argument must allow negative numbers,
/// which the parser rejects.
fn number<T>(bounds: RangeInclusive<T>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = ParseIntError> + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = read_count::<T>(text)?;
        if bounds.contains(&number) {
            return Ok(number);
        }
        let bounds = format!("from {} to {}", bounds.start(), bounds.end());
        Err(Fault::OutOf { number: text.into(), bounds })
    }
}

/// Returns a parser for a dialect's name that lists all dialects in `--help`.
fn dialect_parser() -> impl TypedValueParser<Value = Dialect> {
    let names = PossibleValuesParser::new(Dialect::ALL.map(Dialect::name));
    names.try_map(|name| name.parse::<Dialect>())
}

/// Returns true if workers of the dialect can send partial replies.
fn worker_has_parts(dialect: Dialect) -> bool {
    !matches!(dialect, Dialect::Mdp01 | Dialect::Gdp | Dialect::Libmdp)
}

/// Returns true if clients of the dialect accept partial replies.
fn client_takes_parts(dialect: Dialect) -> bool {
    !matches!(dialect, Dialect::Mdp01 | Dialect::Gdp)
}

/// Returns true if a client of the dialect can have several requests in flight on one connection.
fn has_request_ids(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Omdp1 | Dialect::Pigato | Dialect::Omdp)
}

/// Starts a broker for this run on a free local port and returns it with its endpoint.
fn broker_for_this_run() -> Result<(Broker, String), StartError> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0)).into();
    let config = Config { listen: vec![Listen::new(anywhere)], ..Config::default() };
    let broker = Broker::start(config)?;
    let endpoint = broker.endpoints()[0].to_string();
    Ok((broker, endpoint))
}

/// Returns a random service name that no other worker registers.
fn unheard_of_name(prefix: &str) -> String {
    format!("{prefix}.{:016x}", RandomState::new().hash_one(()))
}

/// Prints a usage error and exits with status 2.
fn misused(subcommand: &str, text: &str) -> ! {
    let mut program = Program::command();
    program.build();
    let command = program.find_subcommand_mut(subcommand).expect("it is a subcommand");
    command.error(ErrorKind::ArgumentConflict, text).exit()
}

#[cfg(test)]
mod tests {
    use majordomus_wire::{Codec, Side};

    use super::*;

    #[test]
    fn what_a_dialect_can_do_is_what_is_on_the_wire() {
        for dialect in Dialect::ALL {
            let (client, worker) =
                (Codec::new(dialect, Side::Client), Codec::new(dialect, Side::Worker));
            assert_eq!(worker_has_parts(dialect), worker.has_partials(), "{dialect}");
            assert_eq!(client_takes_parts(dialect), client.has_partials(), "{dialect}");
            assert_eq!(has_request_ids(dialect), client.has_request_ids(), "{dialect}");
        }
    }
}
