//! Cost of the library: CPU time and allocations of a client and a worker per request, over
//! `tcp://` and within one process, compared with the crate `async-nats` and nats-server in the
//! same run. `docs/library.md` lists the allocations.
//!
//! Client, worker and broker are separate processes, so that their costs can be measured
//! separately.

mod client;
mod nats;
mod process;
mod slow_reader;

use majordomus::broker::Config;
use majordomus::{Broker, Worker};

use self::client::{Load, Report};
use self::process::{Child, start_nats_server};
use crate::Verdict;

/// The number of measurements of each case. The median counts.
const ROUNDS: usize = 3;

/// The numbers of requests in flight, and the body sizes in bytes.
const LOADS: [(usize, usize); 6] =
    [(1, 64), (64, 64), (1_024, 64), (1, 65_536), (64, 65_536), (1_024, 65_536)];

/// Measures all cases and compares the library's CPU time with that of async-nats.
pub(crate) fn compare() -> Result<Verdict, String> {
    println!("processor time and allocations for each request; medians of {ROUNDS} rounds\n");
    println!(
        "{:18} {:>9} {:>9} {:>11} {:>11} {:>11} {:>11} {:>11}",
        "",
        "in flight",
        "body",
        "client µs",
        "allocations",
        "worker µs",
        "allocations",
        "requests/s"
    );
    let nats = start_nats_server();
    let mut missed = Vec::new();
    for (in_flight, body) in LOADS {
        let load = Load { in_flight, body, requests: requests_for(in_flight, body) };
        let (mut ours, mut theirs, mut within) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(measure("ours", load)?);
            within.push(measure_within(load)?);
            if let Ok(server) = &nats {
                theirs.push(nats::measure(server.endpoint(), load)?);
            }
        }
        let ours = show("majordomus tcp", load, ours);
        show("majordomus inproc", load, within);
        if theirs.is_empty() {
            continue;
        }
        let theirs = show("async-nats", load, theirs);
        let ratio = ours.client.us / theirs.client.us;
        println!("{:18} {:>9} {:>9} {ratio:>11.2}", "ratio of clients", "", "");
        if ratio > 1.0 {
            missed.push(format!("{in_flight} in flight, {body} bytes: {ratio:.2}"));
        }
    }
    if let Err(why) = nats {
        println!("\nasync-nats was not measured: {why}");
    }
    let slow = slow_reader::measure()?;
    println!("\na slow reader on the same connection: {slow}");
    if missed.is_empty() && slow.is_within() {
        return Ok(Verdict::Met);
    }
    println!("\nMISSED: {}", missed.join("; "));
    Ok(Verdict::Missed)
}

/// Returns a number of requests that takes a busy client about half a second of CPU time, which
/// Linux counts in hundredths of a second.
fn requests_for(in_flight: usize, body: usize) -> usize {
    match (in_flight, body) {
        (1, 64) => 15_000,
        (1, _) => 5_000,
        (_, 64) => 250_000,
        _ => 10_000,
    }
}

fn show(name: &str, load: Load, mut rounds: Vec<Report>) -> Report {
    rounds.sort_by(|one, other| one.client.us.total_cmp(&other.client.us));
    let median = rounds[rounds.len() / 2];
    println!(
        "{name:18} {:>9} {:>9} {:>11.2} {:>11.1} {:>11.2} {:>11.1} {:>11.0}",
        load.in_flight,
        load.body,
        median.client.us,
        median.client.allocations,
        median.worker.us,
        median.worker.allocations,
        median.per_second
    );
    median
}

/// Measures over TCP, with each role in its own process.
fn measure(kind: &str, load: Load) -> Result<Report, String> {
    let broker = Child::start(&["library-run", "broker"])?;
    let worker = Child::start(&["library-run", "worker", broker.endpoint()])?;
    let [in_flight, body, requests] =
        [load.in_flight, load.body, load.requests].map(|number| number.to_string());
    let args = ["library-run", "client", kind, broker.endpoint(), &in_flight, &body, &requests];
    let report = Child::start(&args)?.report()?;
    Ok(report.with_worker(worker.cost()?, load))
}

/// Measures within one process, where the costs of client, worker and broker cannot be separated.
fn measure_within(load: Load) -> Result<Report, String> {
    let load = [load.in_flight, load.body, load.requests].map(|number| number.to_string());
    Child::start(&["library-run", "within", &load[0], &load[1], &load[2]])?.report()
}

/// Runs one process of a measurement.
pub(crate) fn run(words: &[&str]) -> Result<Verdict, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        match words {
            ["broker"] => {
                let broker = start_broker("tcp://127.0.0.1:0")?;
                process::serve(broker.endpoint()).await
            }
            ["worker", endpoint] => {
                let _worker = start_worker(endpoint)?;
                process::serve(endpoint).await
            }
            ["client", "ours", endpoint, load @ ..] => {
                client::run(client::Ours::connect(endpoint)?, load).await
            }
            ["within", load @ ..] => {
                let broker = start_broker("inproc://*")?;
                let _worker = start_worker(broker.endpoint())?;
                client::run(client::Ours::connect(broker.endpoint())?, load).await
            }
            [what, rest @ ..] => nats::run(what, rest).await,
            [] => Err("nothing to run".into()),
        }
    })?;
    Ok(Verdict::Met)
}

fn start_broker(endpoint: &str) -> Result<Broker, String> {
    let config = Config::try_from(endpoint).map_err(|error| error.to_string())?;
    Broker::start(config).map_err(|error| error.to_string())
}

fn start_worker(endpoint: &str) -> Result<Worker, String> {
    let builder = Worker::builder(endpoint).concurrency(2_048);
    let worker = builder.serve("echo", |request, reply| reply.finish(request.body));
    worker.map_err(|error| error.to_string())
}
