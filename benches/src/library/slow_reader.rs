//! The effect of a slow reader of one stream on other requests over the same connection.

use std::fmt;
use std::time::{Duration, Instant};

use majordomus::{Client, Worker};

use super::start_broker;

/// The maximum slowdown of other requests, as a ratio.
const WITHIN: f64 = 1.2;
/// The number of requests per round, and the number of rounds of each kind.
const REQUESTS: usize = 300;
const TURNS: usize = 9;

/// Median request times: alone, and with an unread stream on the connection.
pub(super) struct SlowReader {
    alone: Duration,
    beside: Duration,
}

impl SlowReader {
    pub(super) fn is_within(&self) -> bool {
        self.beside.as_secs_f64() <= WITHIN * self.alone.as_secs_f64()
    }
}

impl fmt::Display for SlowReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.beside.as_secs_f64() / self.alone.as_secs_f64();
        let verdict = if self.is_within() { "met" } else { "MISSED" };
        write!(
            f,
            "a request takes {:?} alone and {:?} beside it: {ratio:.2}, within {WITHIN} {verdict}",
            self.alone, self.beside
        )
    }
}

pub(super) fn measure() -> Result<SlowReader, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let broker = start_broker("tcp://127.0.0.1:0")?;
        let worker = Worker::builder(broker.endpoint())
            .concurrency(8)
            .service("echo", |request, reply| reply.finish(request.body))
            .service("stream", |_, reply| async move {
                let part = vec![b'x'; 4_096];
                while reply.part(part.clone()).await.is_ok() {}
            })
            .start();
        let _worker = worker.map_err(|error| error.to_string())?;
        let client = Client::connect(broker.endpoint()).map_err(|error| error.to_string())?;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            alone.push(median(&client).await?);
            let mut slow = client.request("stream", "").timeout(None).send().await;
            // The stream has started, and nothing more of it is read.
            slow.next().await;
            beside.push(median(&client).await?);
        }
        alone.sort();
        beside.sort();
        Ok(SlowReader { alone: alone[TURNS / 2], beside: beside[TURNS / 2] })
    })
}

async fn median(client: &Client) -> Result<Duration, String> {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        client.request("echo", "hello").await.map_err(|error| error.to_string())?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[REQUESTS / 2])
}
