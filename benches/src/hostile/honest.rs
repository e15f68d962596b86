//! Honest peers: a worker that echoes, and clients that verify the replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use majordomus::Worker as Builder;
use majordomus::blocking::{Client, Worker};

use crate::peer::{PATIENCE, Place};
use crate::text;

/// The service of the honest worker.
pub(super) const SERVICE: &str = "echo";
/// The number of concurrent requests of the worker.
const CONCURRENCY: usize = 64;

/// Starts a worker that echoes.
pub(super) fn worker(place: &Place, service: &str) -> Result<Worker, String> {
    let builder = Builder::builder(place.endpoint()).concurrency(CONCURRENCY).blocking();
    builder.serve(service, |request, reply| reply.finish(request.body)).map_err(text)
}

/// Sends a unique request and returns the round-trip time.
pub(super) fn echo(client: &Client) -> Result<Duration, String> {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let body = format!("honest {}", ASKED.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let reply = client.request(SERVICE, body.as_str()).timeout(PATIENCE).call();
    let reply = reply.map_err(|error| format!("an honest request failed: {error}"))?;
    match reply.text() == body {
        true => Ok(began.elapsed()),
        false => Err(format!("{body} was answered with {}", reply.text())),
    }
}

/// Returns the time from a new client's connection attempt to its first answer.
pub(super) fn newcomer(place: &Place) -> Result<Duration, String> {
    let began = Instant::now();
    let client = Client::connect(place.endpoint()).map_err(text)?;
    echo(&client).map(|_| began.elapsed())
}

/// An honest peer that repeats an operation during an attack.
pub(super) struct Beside {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Times, String>>,
}

impl Beside {
    pub(super) fn start(
        mut once: impl FnMut() -> Result<Duration, String> + Send + 'static,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut times = vec![once()?];
            while !until.load(Ordering::Relaxed) {
                times.push(once()?);
            }
            times.sort();
            Ok(Times(times))
        });
        Self { over, thread }
    }

    /// Stops the peer and returns the times of all operations.
    pub(super) fn stop(self) -> Result<Times, String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "an honest peer panicked".to_string())?
    }
}

/// Sorted times, at least one.
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn longest(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// Returns the 99th percentile.
    pub(super) fn p99(&self) -> Duration {
        self.0[(self.0.len() - 1) * 99 / 100]
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}
