//! What the library costs: processor time and allocations of a client and a worker for each request,
//! over `tcp://` and within one process, beside the crate `async-nats` with nats-server in the same run.
//! `docs/library.md` has the allocations.
//!
//! Client, worker and broker are processes of their own, so that what each costs can be told apart.

mod client;
mod nats;
mod process;
mod slow_reader;

use majordomus::broker::Config;
use majordomus::{Broker, Worker};

use self::client::{Load, Report};
use self::process::{Child, start_nats_server};
use crate::Verdict;

/// How often each is measured; the median counts.
const ROUNDS: usize = 3;

/// Requests under way at once, and bytes of a body.
const LOADS: [(usize, usize); 6] =
    [(1, 64), (64, 64), (1_024, 64), (1, 65_536), (64, 65_536), (1_024, 65_536)];

/// Measures all, and holds the library's processor time against that of async-nats.
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

/// As many as take the client some half a second of processor time where it is busy, which Linux
/// counts in hundredths of one.
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

/// Over tcp, each in a process of its own.
fn measure(kind: &str, load: Load) -> Result<Report, String> {
    let broker = Child::start(&["library-run", "broker"])?;
    let worker = Child::start(&["library-run", "worker", broker.endpoint()])?;
    let [in_flight, body, requests] =
        [load.in_flight, load.body, load.requests].map(|number| number.to_string());
    let args = ["library-run", "client", kind, broker.endpoint(), &in_flight, &body, &requests];
    let report = Child::start(&args)?.report()?;
    Ok(report.with_worker(worker.cost()?, load))
}

/// Within one process, where what client, worker and broker cost cannot be told apart.
fn measure_within(load: Load) -> Result<Report, String> {
    let load = [load.in_flight, load.body, load.requests].map(|number| number.to_string());
    Child::start(&["library-run", "within", &load[0], &load[1], &load[2]])?.report()
}

/// What one process of a measurement does.
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
