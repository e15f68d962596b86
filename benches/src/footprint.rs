//! Memory footprint of a broker: per idle connection and per queued request.
//!
//! The broker runs in a separate process. The figures are its resident memory as the system reports
//! it.

use std::io::BufRead;
use std::time::Instant;

use majordomus::Broker;
use majordomus::broker::Config;
use majordomus_core::Timeout;

use crate::child::Child;
use crate::figure::Figure;
use crate::peer::{PATIENCE, Place, greeted_client, request};
use crate::{Verdict, cost, text};

const CONNECTIONS: u64 = 10_000;
const CONNECTION_BYTES_MAX: f64 = 12.0 * 1024.0;
const REQUESTS: u64 = 1_000_000;
const REQUEST_BYTES_MAX: f64 = 400.0;
/// The body of a queued request.
const BODY: [u8; 64] = [b'x'; 64];
/// A service without a worker.
const SERVICE: &str = "nobody";

/// Measures the figures and prints each with its limit.
pub(crate) fn compare() -> Result<Verdict, String> {
    if cfg!(debug_assertions) {
        return Err("the figures are those of release builds: `cargo run --release`".into());
    }
    rlimit::increase_nofile_limit(u64::MAX).map_err(text)?;
    let mut all_met = true;
    for figure in [connections()?, requests()?] {
        println!("{figure}");
        all_met &= figure.is_met();
    }
    Ok(if all_met { Verdict::Met } else { Verdict::Missed })
}

/// Measures connections that have completed the handshake and sent and received a message.
fn connections() -> Result<Figure, String> {
    let (mut broker, place) = start()?;
    let before = cost::resident_bytes(broker.id())?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = greeted_client(&place)?;
        client.receive()?.ok_or("a client is not welcome")?;
        clients.push(client);
    }
    await_count(&mut broker, CONNECTIONS)?;
    let held = cost::resident_bytes(broker.id())?.saturating_sub(before);
    let what = format!("an idle connection of {CONNECTIONS}");
    Ok(Figure::at_most(CONNECTION_BYTES_MAX, what, held as f64 / CONNECTIONS as f64, "B"))
}

/// Measures OMDP/1 requests that are queued for a worker, with the broker's default wait.
fn requests() -> Result<Figure, String> {
    let (mut broker, place) = start()?;
    let client = greeted_client(&place)?;
    await_count(&mut broker, 1)?;
    let before = cost::resident_bytes(broker.id())?;
    let flood = client.flood()?;
    flood.say(REQUESTS, |number, bytes| {
        bytes.extend(request(SERVICE, number, Timeout::OfService, &BODY))
    })?;
    await_count(&mut broker, 1 + REQUESTS)?;
    let held = cost::resident_bytes(broker.id())?.saturating_sub(before);
    let what = format!("a queued request of {REQUESTS}, {} bytes of body", BODY.len());
    Ok(Figure::at_most(REQUEST_BYTES_MAX, what, held as f64 / REQUESTS as f64, "B"))
}

fn start() -> Result<(Child, Place), String> {
    let broker = Child::start(&["footprint-broker"])?;
    let tcp = broker.said().trim_start_matches("tcp://").parse().map_err(text)?;
    Ok((broker, Place { tcp, ipc: Default::default() }))
}

/// Waits until the broker has this many connections and requests.
fn await_count(broker: &mut Child, count: u64) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while broker.ask()? != count.to_string() {
        if Instant::now() > end {
            return Err(format!("waited in vain for {count}"));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Runs the broker process: prints its endpoint, and then its number of connections and requests
/// for each input line.
pub(crate) fn run_broker() -> Result<Verdict, String> {
    let mut config = Config::try_from("tcp://127.0.0.1:0").map_err(text)?;
    let limits = &mut config.core.limits;
    let requests = 2 * REQUESTS as usize;
    limits.requests_max = requests;
    limits.service_requests_max = requests;
    limits.client_requests_max = requests;
    limits.request_bytes_max = usize::MAX;
    limits.service_bytes_max = usize::MAX;
    limits.client_bytes_max = usize::MAX;
    let broker = Broker::start(config).map_err(text)?;
    println!("{}", broker.endpoints()[0]);
    for line in std::io::stdin().lock().lines() {
        line.map_err(text)?;
        let now = broker.control().snapshot().ok_or("the broker has ended")?;
        println!("{}", now.connections + now.holdings.requests);
    }
    broker.blocking_shutdown().map_err(text)?;
    Ok(Verdict::Met)
}
