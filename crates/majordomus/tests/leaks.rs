//! What is left behind by requests that nobody waits for: no task, no request at the broker, and no
//! memory. It has a process of its own, because it counts all that is allocated there.

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

/// Longer than anything takes, so that a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are made, and dropped, together.
const TOGETHER: usize = 100;
/// What is held may differ by so much from one moment at which nothing happens to the next: buffers of
/// the connections. Sixteen bytes for each of ten thousand requests are more.
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
    /// Requests that have reached a handler.
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

    /// Makes so many requests and drops all, in any order: half of them when each is at the worker,
    /// some of those with a part read; the others when they are anywhere. Some would be made again.
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
    // Whatever is made once, and grows to what a round needs, is there after some.
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

    // What large messages came in is kept for the next ones, but not for long.
    let mirror = Worker::builder(peers.broker.endpoint());
    let _mirror = mirror.serve("mirror", |request, reply| reply.finish(request.body));
    let body = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        peers.client.request("mirror", body.clone()).await.expect("it comes back");
    }
    until(async || live_bytes() <= before + body.len() + BYTES_MAX).await;
}
