//! The client process: keeps a number of requests in flight and reports the cost per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::cost;

/// The load of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) in_flight: usize,
    pub(super) body: usize,
    pub(super) requests: usize,
}

impl Load {
    /// Returns the number of warm-up requests, which complete all one-time allocations.
    fn warming(self) -> usize {
        2 * self.in_flight + 100
    }
}

/// The cost of a request on one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Each {
    /// CPU time in microseconds.
    pub(super) us: f64,
    pub(super) allocations: f64,
}

/// The cost of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) client: Each,
    /// The worker's cost, if it is a separate process.
    pub(super) worker: Each,
    pub(super) per_second: f64,
}

impl Report {
    /// Returns the report with the worker's cost. `in_all` is the worker's total cost for the load.
    pub(super) fn with_worker(self, in_all: Each, load: Load) -> Self {
        let served = (load.warming() + load.requests) as f64;
        let (us, allocations) = (in_all.us / served, in_all.allocations / served);
        Self { worker: Each { us, allocations }, ..self }
    }
}

/// A client of an echo service.
pub(super) trait Echo: Clone + Send + Sync + 'static {
    /// Sends a request and verifies that the reply is the same.
    fn echo(&self, body: bytes::Bytes) -> impl Future<Output = Result<(), String>> + Send;
}

/// A Majordomus client.
#[derive(Clone)]
pub(super) struct Ours(majordomus::Client);

impl Ours {
    pub(super) fn connect(endpoint: &str) -> Result<Self, String> {
        majordomus::Client::connect(endpoint).map(Self).map_err(|error| error.to_string())
    }
}

impl Echo for Ours {
    async fn echo(&self, body: bytes::Bytes) -> Result<(), String> {
        let reply =
            self.0.request("echo", body.clone()).await.map_err(|error| error.to_string())?;
        check(reply.frames().get(0).unwrap_or_default(), &body)
    }
}

pub(super) fn check(got: &[u8], asked: &[u8]) -> Result<(), String> {
    if got == asked { Ok(()) } else { Err(format!("{} other bytes came back", got.len())) }
}

/// Runs a load and prints its cost on standard output.
pub(super) async fn run(client: impl Echo, load: &[&str]) -> Result<(), String> {
    let numbers: Vec<usize> = load.iter().filter_map(|word| word.parse().ok()).collect();
    let [in_flight, body, requests] = numbers[..] else {
        return Err("how many in flight, bytes, requests?".into());
    };
    let load = Load { in_flight, body, requests };
    let body = bytes::Bytes::from(vec![b'x'; body]);
    ask(&client, &body, in_flight, load.warming()).await?;
    let (before, began) = (cost::so_far()?, Instant::now());
    ask(&client, &body, in_flight, requests).await?;
    let (elapsed, after) = (began.elapsed(), cost::so_far()?);
    let requests = requests as f64;
    let processor_us = (after.processor_us - before.processor_us) / requests;
    let allocations = (after.allocations - before.allocations) as f64 / requests;
    println!("{processor_us} {allocations} {}", requests / elapsed.as_secs_f64());
    Ok(())
}

async fn ask(
    client: &impl Echo,
    body: &bytes::Bytes,
    in_flight: usize,
    requests: usize,
) -> Result<(), String> {
    let left = Arc::new(AtomicUsize::new(requests));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (client, body, left) = (client.clone(), body.clone(), Arc::clone(&left));
        let one_fewer = move || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        };
        asking.spawn(async move {
            while one_fewer().is_ok() {
                client.echo(body.clone()).await?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.map_err(|error| error.to_string())??;
    }
    Ok(())
}
