//! Tests that cancelled requests leave nothing behind: no task, no request at the broker, and no
//! memory. The tests need their own process, because they count all of its allocations.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use majordomus::broker::Counters;
use majordomus::{Broker, Client, Replier, Request, Retry, Worker};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Handle;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A time limit for events, so that a hanging test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of requests that are sent and dropped together.
const TOGETHER: usize = 100;
/// The allowed difference between the memory in use at two idle moments, for buffers of the
/// connections. A leak of 16 bytes in each of 10,000 requests is larger.
const BYTES_MAX: usize = 128 * 1024;

async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it happens soon");
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

struct Peers {
    broker: Broker,
    client: Client,
    /// The number of requests that have reached a handler.
    begun: Arc<AtomicUsize>,
    _worker: Worker,
}

impl Peers {
    async fn start() -> Self {
        let broker = Broker::start("inproc://*").expect("there is a name");
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let handler = move |_: Request, reply: Replier| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                let _ = reply.part("one").await;
                reply.cancellation().cancelled().await;
            }
        };
        let worker = Worker::builder(broker.endpoint()).concurrency(TOGETHER);
        let _worker = worker.serve("work", handler).expect("it is set up right");
        let client = Client::connect(broker.endpoint()).expect("it is an endpoint");
        client.connected().await;
        let peers = Self { broker, client, begun, _worker };
        until(async || peers.counters().await.workers_registered == 1).await;
        peers
    }

    /// Sends requests in `rounds` rounds and drops them in various orders. In every second round,
    /// all requests have reached the worker before they are dropped, and one part of some replies
    /// is read. In the other rounds, the requests can be anywhere. Some requests have retries
    /// enabled.
    async fn drop_requests(&self, rounds: usize) {
        for round in 0..rounds {
            let before = self.begun.load(Ordering::Relaxed);
            let mut replies = Vec::with_capacity(TOGETHER);
            for number in 0..TOGETHER {
                let request = self.client.request("work", vec![b'x'; 100]);
                let request = match number % 7 {
                    0 => request.retry(Retry::times(3)),
                    _ => request,
                };
                replies.push(request.send().await);
            }
            if round % 2 == 0 {
                until(async || self.begun.load(Ordering::Relaxed) >= before + TOGETHER).await;
                for reply in replies.iter_mut().step_by(10) {
                    reply.next().await.expect("a part").expect("it is well");
                }
            }
            if round % 3 == 0 {
                replies.reverse();
            }
            drop(replies);
            until(async || self.counters().await.in_progress == 0).await;
        }
    }

    async fn counters(&self) -> Counters {
        self.broker.snapshot().await.expect("it runs").counters
    }
}

#[tokio::test]
async fn ten_thousand_dropped_requests_leave_nothing_behind() {
    let peers = Peers::start().await;
    let metrics = Handle::current().metrics();
    let idle = metrics.num_alive_tasks();
    let settled = async || until(async || metrics.num_alive_tasks() == idle).await;
    // After some rounds, all memory is allocated that is allocated only once or grows to the size
    // of a round.
    peers.drop_requests(10).await;
    settled().await;
    let (before, begun) = (live_bytes(), peers.begun.load(Ordering::Relaxed));

    peers.drop_requests(10_000 / TOGETHER).await;
    settled().await;
    let left = live_bytes().saturating_sub(before);
    assert!(left <= BYTES_MAX, "{left} bytes are left behind");
    let begun = peers.begun.load(Ordering::Relaxed) - begun;
    assert!(begun >= 5_000, "only {begun} reached the worker");
    let holdings = peers.broker.snapshot().await.expect("it runs").holdings;
    assert_eq!((holdings.requests, holdings.request_bytes), (0, 0));

    // Buffers of large messages are pooled for the next messages, but not for long.
    let mirror = Worker::builder(peers.broker.endpoint());
    let _mirror = mirror.serve("mirror", |request, reply| reply.finish(request.body));
    let body = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        peers.client.request("mirror", body.clone()).await.expect("it comes back");
    }
    until(async || live_bytes() <= before + body.len() + BYTES_MAX).await;
}
