//! Tests of inline polling: fast handlers are polled inline first, and slow handlers in tasks.

mod support;

use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use majordomus::{Dialect, Replier, Request, Worker, WorkerBuilder};
use majordomus_core::FromWorker;
use support::{FakeBroker, Peer, soon, text};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::yield_now;

/// A time limit for the start of another handler.
const PATIENCE: Duration = Duration::from_secs(20);
/// A time that is far longer than a fast first poll.
const LONG: Duration = Duration::from_millis(1);
/// More slow polls than are needed to classify a service as slow.
const SLOW_POLLS: usize = 20;
/// More requests than are polled in one turn.
const MANY: usize = 1_000;
const MESSAGE_BYTES_MAX: usize = 4_096;

fn builder_for(broker: &FakeBroker) -> WorkerBuilder {
    let heartbeat = Duration::from_secs(60);
    Worker::builder(&broker.endpoint).dialect(Dialect::Omdp1).concurrency(MANY).heartbeat(heartbeat)
}

/// Sends a request and checks that its reply has the same body.
async fn check_echo(peer: &mut Peer, body: &str) {
    peer.send_request(body, text(body)).await;
    check_reply(peer, body).await;
}

async fn check_reply(peer: &mut Peer, body: &str) {
    let FromWorker::Final(reply) = peer.worker_says().await else { panic!("no reply") };
    assert_eq!(reply.body, text(body));
}

/// A barrier with a time limit. Its method returns false if too few threads arrive in time.
#[derive(Default)]
struct Meeting {
    here: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    fn meet(&self, count: usize) -> bool {
        let mut here = self.here.lock().unwrap();
        *here += 1;
        self.changed.notify_all();
        let fewer = |here: &mut usize| *here < count;
        !self.changed.wait_timeout_while(here, PATIENCE, fewer).unwrap().1.timed_out()
    }
}

/// Starts a worker whose handler can compute for a long time, or until two handlers compute in
/// parallel.
fn computing(broker: &FakeBroker) -> Worker {
    let meeting = Arc::new(Meeting::default());
    let handler = move |request: Request, reply: Replier| {
        let meeting = Arc::clone(&meeting);
        async move {
            let began = Instant::now();
            match &*request.body.text() {
                "meet" => assert!(meeting.meet(2), "they do not run in parallel"),
                "long" => while began.elapsed() < LONG {},
                _ => {}
            }
            reply.finish(request.body).await;
        }
    };
    builder_for(broker).serve("echo", handler).expect("it is set up right")
}

/// Checks that two handlers compute in parallel. Meanwhile the runtime has a busy task: in an idle
/// runtime, the thread that a handler blocks may be the one that waits for all sockets.
async fn check_parallel(peer: &mut Peer) {
    let busy = tokio::spawn(async {
        loop {
            yield_now().await;
        }
    });
    for address in ["a", "b"] {
        peer.send_request(address, text("meet")).await;
    }
    for _ in 0..2 {
        check_reply(peer, "meet").await;
    }
    busy.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn handlers_that_compute_run_in_parallel_from_the_first_slow_poll_on() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let _worker = computing(&broker);
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "long").await;
    check_parallel(&mut peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_service_that_becomes_slow_gets_tasks() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let _worker = computing(&broker);
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "short").await;
    for _ in 0..SLOW_POLLS {
        check_echo(&mut peer, "long").await;
    }
    check_parallel(&mut peer).await;
}

#[tokio::test]
async fn a_wake_up_of_the_first_poll_is_not_lost() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let handler = async |request: Request, reply: Replier| {
        let mut polls = 0;
        let woken_once = poll_fn(|context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        if request.body.text() == "wait" {
            woken_once.await;
        }
        reply.finish(request.body).await;
    };
    let _worker = builder_for(&broker).serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    for body in ["once", "wait", "again", "wait"] {
        check_echo(&mut peer, body).await;
    }
}

#[tokio::test]
async fn a_panic_of_the_first_poll_fails_its_request_alone() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let handler = |request: Request, reply: Replier| {
        assert_ne!(request.body.text(), "early");
        async move {
            assert_ne!(request.body.text(), "late", "too late");
            reply.finish(request.body).await;
        }
    };
    let _worker = builder_for(&broker).serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "once").await;
    for body in ["early", "late"] {
        peer.send_request(body, text(body)).await;
        let FromWorker::Failed(failed) = peer.worker_says().await else { panic!("no failure") };
        let why = failed.body.get(0).unwrap();
        assert!(why.starts_with(b"the worker panicked: "), "{}", why.escape_ascii());
        check_echo(&mut peer, "again").await;
    }
}

#[tokio::test]
async fn more_requests_at_once_than_one_turn_takes_are_all_answered() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    // Each poll uses a part of Tokio's cooperative budget for one turn.
    let free = Arc::new(Semaphore::new(MANY));
    let handler = move |request: Request, reply: Replier| {
        let free = Arc::clone(&free);
        async move {
            for _ in 0..request.body.frames().len() {
                let _permit = free.acquire().await.unwrap();
            }
            reply.finish(request.body).await;
        }
    };
    let _worker = builder_for(&broker).serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "once").await;
    for nth in 0..MANY {
        peer.send_request(&nth.to_string(), text(&nth.to_string())).await;
    }
    let mut answered = Vec::new();
    for _ in 0..MANY {
        let FromWorker::Final(reply) = peer.worker_says().await else { panic!("no reply") };
        assert_eq!(*reply.address, *reply.body.get(0).unwrap());
        answered.push(reply.address);
    }
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), MANY);
}

#[tokio::test]
async fn a_handler_whose_first_poll_ends_its_reply_is_cancelled() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |request: Request, reply: Replier| {
        let tell = tell.clone();
        async move {
            if request.body.text() == "large" {
                reply.part(vec![b'x'; 2 * MESSAGE_BYTES_MAX]).await.unwrap();
                reply.cancellation().cancelled().await;
                tell.send("cancelled").unwrap();
            } else {
                reply.finish(request.body).await;
            }
        }
    };
    let builder = builder_for(&broker).message_bytes_max(MESSAGE_BYTES_MAX);
    let _worker = builder.serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "once").await;
    peer.send_request("large", text("large")).await;
    assert!(matches!(peer.worker_says().await, FromWorker::Failed(_)));
    assert_eq!(soon(told.recv()).await, Some("cancelled"));
}
