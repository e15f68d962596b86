//! `majordomus demo`: a broker, workers and clients of every dialect, over real TCP, in one go.

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use majordomus::{Body, Client, Dialect, Replier, Request, RequestError, Worker};
use majordomus_broker::{Broker, Config, Listen};

use crate::cmd::has_parts;
use crate::failure::Failure;
use crate::output::print;

/// How many round trips are timed for each pair of dialects.
const ROUND_TRIPS: usize = 200;
/// How long one request may take before it counts as failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A text that is more than ASCII.
const TEXT: &[u8] = "Grüße, мир".as_bytes();
/// What a round trip is measured with.
const MEASURED_BODY: &[u8] = &[b'x'; 64];

const EXAMPLES: &str = "\
Each client asks each worker, through the broker: for a text, for bytes that are not UTF-8, for an \
empty frame, for three frames (one of them empty), and, where the worker's dialect has partial \
replies, for a stream of parts. A client of a dialect without partial replies gets the parts in one \
reply. Then 200 requests of 64 bytes are timed, one after the other.

The status is 0 only when everything came back exactly as it should.

Examples:
  majordomus demo
  majordomus demo -v
      With the log of the broker.";

/// See a broker, workers and clients of every dialect at work
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {}

/// A request that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Text,
    Bytes,
    Empty,
    Frames,
    Stream,
}

impl Trial {
    const ALL: [Trial; 5] = [Trial::Text, Trial::Bytes, Trial::Empty, Trial::Frames, Trial::Stream];

    fn frames(self) -> &'static [&'static [u8]] {
        match self {
            Trial::Text => &[TEXT],
            Trial::Bytes => &[b"\x00\xff\xfe\x80-1 \n"],
            Trial::Empty => &[b""],
            Trial::Frames => &[b"first", b"", b"\x00third"],
            Trial::Stream => &[b"one", b"two", b"\xff", b"four"],
        }
    }

    /// The parts of the reply as the client has to get them.
    fn expected(self, client: Dialect) -> Vec<Body> {
        if self == Trial::Stream && has_parts(client) {
            return self.frames().iter().map(|frame| Body::from(*frame)).collect();
        }
        vec![Body::from_frames(self.frames())]
    }

    fn service(self, worker: Dialect) -> String {
        if self == Trial::Stream { stream_service(worker) } else { echo_service(worker) }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Trial::Text => "text",
            Trial::Bytes => "bytes",
            Trial::Empty => "empty",
            Trial::Frames => "frames",
            Trial::Stream => "stream",
        })
    }
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    /// The worker's dialect cannot do that.
    NotTried,
    /// Something else came back.
    Wrong(Vec<Body>),
    Failed(RequestError),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Right => "ok",
            Verdict::NotTried => "-",
            Verdict::Wrong(_) => "WRONG",
            Verdict::Failed(_) => "FAILED",
        })
    }
}

impl DemoArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let config = Config {
            listen: vec![Listen::new(majordomus_broker::Endpoint::Tcp(([127, 0, 0, 1], 0).into()))],
            ..Config::default()
        };
        let broker = Broker::start(config)?;
        let endpoint = broker.endpoints()[0].to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let faults = runtime.map_err(Failure::System)?.block_on(demonstrate(&endpoint))?;
        broker.shutdown().map_err(Failure::Broker)?;
        if faults > 0 {
            return Err(Failure::Demo { faults });
        }
        say("\nAll came back right. Now run `majordomus broker`, `majordomus worker echo --echo` \
             and `majordomus request echo hello` in a terminal each; `majordomus --help` says more.\n")
    }
}

/// Tries every client with every worker, and returns how much went wrong.
async fn demonstrate(endpoint: &str) -> Result<usize, Failure> {
    say(&format!(
        "A broker on {endpoint}, and a worker and a client of each dialect over tcp:\n\n"
    ))?;
    let mut workers = Vec::new();
    for dialect in Dialect::ALL {
        workers.extend(offer(endpoint, dialect)?);
    }
    let trials: String = Trial::ALL.iter().map(|trial| format!("{trial:8}")).collect();
    say(&format!("{:11}{:11}{trials}round trip\n", "client", "worker"))?;
    let mut faults = Vec::new();
    for client_dialect in Dialect::ALL {
        let client =
            Client::builder(endpoint).dialect(client_dialect).timeout(REQUEST_TIMEOUT).connect()?;
        for worker_dialect in Dialect::ALL {
            let mut row = format!("{:11}{:11}", client_dialect.name(), worker_dialect.name());
            for trial in Trial::ALL {
                let verdict = attempt(&client, client_dialect, worker_dialect, trial).await;
                row.push_str(&format!("{verdict:8}"));
                if let Some(fault) = fault(&verdict) {
                    faults
                        .push(format!("{client_dialect} to {worker_dialect}, {trial}: {fault}\n"));
                }
            }
            match round_trip(&client, &echo_service(worker_dialect)).await {
                Ok(median) => row.push_str(&format!("{:7} µs\n", median.as_micros())),
                Err(error) => {
                    row.push_str("   FAILED\n");
                    faults.push(format!("{client_dialect} to {worker_dialect}, timing: {error}\n"));
                }
            }
            say(&row)?;
        }
    }
    for worker in workers {
        worker.stop().await;
    }
    if !faults.is_empty() {
        say(&format!("\n{}", faults.concat()))?;
    }
    Ok(faults.len())
}

/// The workers of one dialect.
fn offer(endpoint: &str, dialect: Dialect) -> Result<Vec<Worker>, Failure> {
    let builder = Worker::builder(endpoint).dialect(dialect);
    let echo = |request: Request, reply: Replier| reply.finish(request.body);
    let mut workers = vec![builder.clone().serve(&echo_service(dialect), echo)?];
    if has_parts(dialect) {
        workers.push(builder.serve(&stream_service(dialect), stream)?);
    }
    Ok(workers)
}

/// Replies with each frame of the request in a part of its own.
async fn stream(request: Request, reply: Replier) {
    let mut frames: Vec<_> = request.body.frames().iter().map(Body::from).collect();
    let last = frames.pop();
    for part in frames {
        if reply.part(part).await.is_err() {
            return;
        }
    }
    reply.finish(last.unwrap_or_default()).await;
}

async fn attempt(client: &Client, from: Dialect, to: Dialect, trial: Trial) -> Verdict {
    if trial == Trial::Stream && !has_parts(to) {
        return Verdict::NotTried;
    }
    let body = Body::from_frames(trial.frames());
    let mut reply = client.request(&trial.service(to), body).send().await;
    let mut parts = Vec::new();
    while let Some(part) = reply.next().await {
        match part {
            Ok(part) => parts.push(part),
            Err(error) => return Verdict::Failed(error),
        }
    }
    if parts == trial.expected(from) { Verdict::Right } else { Verdict::Wrong(parts) }
}

fn fault(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Right | Verdict::NotTried => None,
        Verdict::Wrong(parts) => Some(format!("this came back: {parts:?}")),
        Verdict::Failed(error) => Some(error.to_string()),
    }
}

/// The median of some round trips, one after the other.
async fn round_trip(client: &Client, service: &str) -> Result<Duration, RequestError> {
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        client.request(service, MEASURED_BODY).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUND_TRIPS / 2])
}

fn echo_service(dialect: Dialect) -> String {
    format!("echo.{dialect}")
}

fn stream_service(dialect: Dialect) -> String {
    format!("stream.{dialect}")
}

/// Prints something; what comes back counts even if nobody reads it.
fn say(text: &str) -> Result<(), Failure> {
    print(text.as_bytes()).map(|_| ())
}
