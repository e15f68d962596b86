//! `majordomus demo`: runs a broker with workers and clients of every dialect over TCP.

use std::env;
use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use majordomus::{Body, Client, Dialect, Replier, Request, RequestError, Worker};

use crate::cmd::{broker_for_this_run, client_takes_parts, worker_has_parts};
use crate::failure::Failure;
use crate::output::print;

/// The number of timed round trips per pair of dialects.
const ROUND_TRIPS: usize = 100;
/// The timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A text with non-ASCII characters.
const TEXT: &[u8] = "Grüße, мир".as_bytes();
/// The body of timed round trips.
const MEASURED_BODY: &[u8] = &[b'x'; 64];

/// The width of the matrix's first column, and the minimum width of the others.
const LABEL_WIDTH: usize = 10;
const CELL_WIDTH: usize = 6;

const EXAMPLES: &str = "\
Each client asks each worker, through the broker: for a text, for bytes that are not UTF-8, for an \
empty frame, for three frames (one of them empty), and, where workers of the dialect have partial \
replies, for a stream of parts. A client of a dialect without partial replies gets the parts in one \
reply. Then 100 requests of 64 bytes are timed, one after the other.

A cell of the matrix is `ok` when everything came back exactly as it should, with the median of the \
timed round trips in microseconds; otherwise it is WRONG or FAILED, and what went wrong stands below \
the matrix. The status is 0 only when every cell is ok. In libmdp a request costs its client the \
connection, so the times of that row have a new one in them.

Examples:
  majordomus demo
  majordomus demo -v
      With the log of the broker.";

/// See a broker, workers and clients of every dialect at work
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {}

/// A kind of test request.
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

    /// Returns the parts of the reply that the client must receive.
    fn expected(self, client: Dialect) -> Vec<Body> {
        if self == Trial::Stream && client_takes_parts(client) {
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

/// A fault between a client and a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// The reply was wrong.
    Wrong(Trial, Vec<Body>),
    Failed(Trial, RequestError),
    /// A timed request failed.
    Untimed(RequestError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Wrong(trial, parts) => write!(f, "{trial}: this came back: {parts:?}"),
            Fault::Failed(trial, error) => write!(f, "{trial}: {error}"),
            Fault::Untimed(error) => write!(f, "timing: {error}"),
        }
    }
}

/// A cell of the matrix: the median round-trip time, or the fault.
type Cell = Result<Duration, Fault>;

impl DemoArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (broker, endpoint) = broker_for_this_run()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let faults = runtime.map_err(Failure::System)?.block_on(demonstrate(&endpoint))?;
        broker.shutdown().map_err(Failure::Broker)?;
        if faults > 0 {
            return Err(Failure::Demo { faults });
        }
        let program = own_name();
        say(&format!(
            "\nAll came back right. Now run these in a terminal each:\n  {program} broker\n  \
             {program} worker echo --echo\n  {program} request echo hello\n\
             `{program} --help` says more.\n"
        ))
    }
}

/// Tests every client with every worker and returns the number of cells with faults.
async fn demonstrate(endpoint: &str) -> Result<usize, Failure> {
    say(&format!(
        "A broker on {endpoint}, and a client and a worker of each dialect.\n\
         Rows are clients, columns are workers; `ok` and the median round trip in µs:\n\n"
    ))?;
    let mut workers = Vec::new();
    for dialect in Dialect::ALL {
        workers.extend(offer(endpoint, dialect)?);
    }
    let heads: String =
        Dialect::ALL.iter().map(|worker| in_column(*worker, worker.name())).collect();
    say(&format!("{:LABEL_WIDTH$}{heads}\n", ""))?;
    let mut faults = Vec::new();
    for from in Dialect::ALL {
        let client = Client::builder(endpoint).dialect(from).timeout(REQUEST_TIMEOUT).connect()?;
        say(&format!("{:LABEL_WIDTH$}", from.name()))?;
        for to in Dialect::ALL {
            let cell = fill(&client, from, to).await;
            say(&in_column(to, &show(&cell)))?;
            if let Err(fault) = cell {
                faults.push(format!("{from} to {to}, {fault}\n"));
            }
        }
        say("\n")?;
    }
    for worker in workers {
        worker.stop().await;
    }
    if !faults.is_empty() {
        say(&format!("\n{}", faults.concat()))?;
    }
    Ok(faults.len())
}

/// Aligns a text in a worker's column.
fn in_column(worker: Dialect, text: &str) -> String {
    format!(" {text:>width$}", width = CELL_WIDTH.max(worker.name().len()))
}

/// Formats a cell. A time of 10 ms or longer, which is unexpected, may exceed the column's width.
fn show(cell: &Cell) -> String {
    match cell {
        Ok(median) => match median.as_micros() {
            micros @ ..1_000 => format!("ok {micros}"),
            micros @ ..1_000_000 => format!("ok {}ms", micros / 1_000),
            micros => format!("ok {}.{}s", micros / 1_000_000, micros / 100_000 % 10),
        },
        Err(Fault::Wrong(..)) => "WRONG".into(),
        Err(Fault::Failed(..) | Fault::Untimed(_)) => "FAILED".into(),
    }
}

/// Runs all test requests with one client and one worker, up to the first fault.
async fn fill(client: &Client, from: Dialect, to: Dialect) -> Cell {
    for trial in Trial::ALL {
        attempt(client, from, to, trial).await?;
    }
    round_trip(client, &echo_service(to)).await.map_err(Fault::Untimed)
}

/// Starts the workers of one dialect.
fn offer(endpoint: &str, dialect: Dialect) -> Result<Vec<Worker>, Failure> {
    let builder = Worker::builder(endpoint).dialect(dialect);
    let echo = |request: Request, reply: Replier| reply.finish(request.body);
    let mut workers = vec![builder.clone().serve(&echo_service(dialect), echo)?];
    if worker_has_parts(dialect) {
        workers.push(builder.serve(&stream_service(dialect), stream)?);
    }
    Ok(workers)
}

/// Replies with one part per frame of the request.
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

async fn attempt(client: &Client, from: Dialect, to: Dialect, trial: Trial) -> Result<(), Fault> {
    if trial == Trial::Stream && !worker_has_parts(to) {
        return Ok(());
    }
    let (body, expected) = (Body::from_frames(trial.frames()), trial.expected(from));
    let request = client.request(&trial.service(to), body);
    // Count the parts, because some dialects do not mark the last part.
    let mut reply = request.reports(expected.len() as u32).send().await;
    let mut parts = Vec::new();
    while let Some(part) = reply.next().await {
        parts.push(part.map_err(|error| Fault::Failed(trial, error))?);
    }
    if parts == expected { Ok(()) } else { Err(Fault::Wrong(trial, parts)) }
}

/// Returns the median time of sequential round trips.
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

/// Returns the command that started this program.
fn own_name() -> String {
    let name = env::args_os().next().unwrap_or_default();
    let name = name.to_string_lossy();
    match name.contains(char::is_whitespace) {
        true => format!("'{name}'"),
        false => name.into_owned(),
    }
}

fn echo_service(dialect: Dialect) -> String {
    format!("echo.{dialect}")
}

fn stream_service(dialect: Dialect) -> String {
    format!("stream.{dialect}")
}

/// Prints a text and ignores a closed standard output.
fn say(text: &str) -> Result<(), Failure> {
    print(text.as_bytes()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_fits_a_terminal_of_80_columns() {
        let columns = Dialect::ALL.map(|worker| in_column(worker, "").len());
        assert!(LABEL_WIDTH + columns.iter().sum::<usize>() <= 80, "{columns:?}");
        assert!(Dialect::ALL.iter().all(|client| client.name().len() < LABEL_WIDTH));
    }

    #[test]
    fn a_cell_says_how_it_went_and_fits_its_column() {
        let failed = || RequestError::Expired;
        for (cell, text) in [
            (Ok(Duration::from_micros(7)), "ok 7"),
            (Ok(Duration::from_micros(999)), "ok 999"),
            (Ok(Duration::from_micros(1_000)), "ok 1ms"),
            (Ok(Duration::from_micros(9_999)), "ok 9ms"),
            (Err(Fault::Wrong(Trial::Text, Vec::new())), "WRONG"),
            (Err(Fault::Failed(Trial::Text, failed())), "FAILED"),
            (Err(Fault::Untimed(failed())), "FAILED"),
        ] {
            assert_eq!(show(&cell), text);
            assert!(text.len() <= CELL_WIDTH);
        }
        assert_eq!(show(&Ok(Duration::from_millis(125))), "ok 125ms");
        assert_eq!(show(&Ok(Duration::from_millis(1_250))), "ok 1.2s");
    }

    #[tokio::test]
    async fn a_cell_is_wrong_where_something_else_comes_back() {
        let (_broker, endpoint) = broker_for_this_run().expect("there is a port");
        let builder = Worker::builder(&endpoint).dialect(Dialect::Mdp01);
        let worker = builder.serve(&echo_service(Dialect::Mdp01), |_, reply| reply.finish("other"));
        let _worker = worker.expect("it can be one");
        let client = Client::builder(&endpoint).dialect(Dialect::Mdp02).connect();
        let client = client.expect("it is an endpoint");
        let cell = fill(&client, Dialect::Mdp02, Dialect::Mdp01).await;
        assert_eq!(cell, Err(Fault::Wrong(Trial::Text, vec![Body::from("other")])));
    }
}
