//! Tests of how requests, connections and handles end: by limits, by lost peers, and by being
//! dropped. The tests use OMDP/1 and a real broker in this process.

#[path = "support/embedded.rs"]
mod embedded;

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use embedded::{PATIENCE, SOON, broker, broker_with, client, counters, soon};
use majordomus::{
    Body, Broker, Client, ConnectionEvent, ConnectionEvents, DisconnectReason, EVENTS_MAX, Replier,
    Request, RequestError, Retriable, Retry, Worker,
};
use tokio::sync::{Notify, mpsc};

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn answer(request: Request, reply: Replier) {
    reply.finish(request.body).await;
}

#[tokio::test]
async fn a_handler_that_never_ends_costs_its_own_request_and_no_other() {
    for concurrency in [1, 2] {
        let broker = broker_with(|config| config.core.busy_timeout = Duration::from_millis(100));
        let stuck = Worker::builder(broker.endpoint())
            .concurrency(concurrency)
            .serve("stuck", |_, _| std::future::pending())
            .unwrap();
        let client = client(&broker);
        let reply = client.request("stuck", "").timeout(None).into_future();
        // The request has no time limit, so the broker ends it: it treats the worker as lost.
        assert_eq!(soon(reply).await, Err(RequestError::WorkerLost), "{concurrency} at once");
        let _other = Worker::builder(broker.endpoint()).serve("echo", answer).unwrap();
        if concurrency > 1 {
            stuck.offer("echo", answer).unwrap();
        }
        for _ in 0..10 {
            let reply = client.request("echo", "hi").into_future();
            assert_eq!(soon(reply).await.unwrap().text(), "hi");
        }
        soon(stuck.stop()).await;
        assert_eq!(counters(&broker).await.in_progress, 0);
    }
}

/// Regression test: the worker reported no error, and was disconnected completely again and again
/// without notice to the user.
#[tokio::test]
async fn who_offers_more_than_the_broker_takes_hears_why_it_is_not_served() {
    let broker = broker_with(|config| config.core.limits.worker_services_max = 2);
    let worker = Worker::builder(broker.endpoint()).reconnect(SOON, SOON);
    let worker = worker.service("one", answer).serve("two", answer).unwrap();
    soon(worker.connected()).await;
    let mut events = worker.events();
    worker.offer("three", answer).unwrap();
    soon(async {
        while !matches!(
            events.next().await,
            Some(ConnectionEvent::SentAway { why: DisconnectReason::Full, .. })
        ) {}
    })
    .await;
    assert!(worker.withdraw("three"));
    let client = client(&broker);
    assert_eq!(soon(client.request("two", "hi").into_future()).await.unwrap().text(), "hi");
}

/// Regression test: a handler that ignored its cancellation prevented a worker with a concurrency
/// of 1 from reconnecting.
#[tokio::test]
async fn a_worker_whose_handler_is_deaf_comes_back_and_takes_nothing_until_it_has_returned() {
    let broker = broker();
    let endpoint = broker.endpoint().to_owned();
    let (go, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (started, returns) = (Arc::clone(&gate), Arc::clone(&go));
    let deaf = move |request: Request, reply: Replier| {
        let (started, returns) = (Arc::clone(&started), Arc::clone(&returns));
        async move {
            started.notify_one();
            returns.notified().await;
            reply.finish(request.body).await;
        }
    };
    let worker = Worker::builder(&endpoint).reconnect(SOON, SOON).serve("deaf", deaf).unwrap();
    let _lost = client(&broker).request("deaf", "").send().await;
    soon(gate.notified()).await;
    drop(broker);
    let broker = Broker::start(&*endpoint).expect("the name is free");
    let client = client(&broker);
    // The worker is registered before its handler has returned, but has no capacity.
    soon(async { while client.request("mmi.service", "deaf").await.unwrap().text() != "200" {} })
        .await;
    let at_once = client.request("deaf", "").timeout(Duration::ZERO).into_future();
    assert_eq!(soon(at_once).await, Err(RequestError::Expired));
    let waits = client.request("deaf", "hi").send().await;
    go.notify_one();
    soon(gate.notified()).await;
    go.notify_one();
    assert_eq!(soon(waits.whole()).await.unwrap().text(), "hi");
    drop(worker);
}

/// Returns the next connect or disconnect event. Skips disconnect reasons and failed attempts.
async fn next_change(events: &mut ConnectionEvents) -> Option<ConnectionEvent> {
    soon(async {
        loop {
            match events.next().await {
                Some(ConnectionEvent::SentAway { .. } | ConnectionEvent::Failed { .. }) => {}
                event => return event,
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_worker_tells_of_its_connections() {
    let endpoint = "inproc://worker-events";
    let worker = Worker::builder(endpoint).reconnect(SOON, SOON).serve("echo", answer).unwrap();
    let mut events = worker.events();
    for _ in 0..2 {
        let broker = Broker::start(endpoint).expect("the name is free");
        let event = next_change(&mut events).await.unwrap();
        assert!(
            matches!(&event, ConnectionEvent::Connected { endpoint: at } if at.to_string() == endpoint)
        );
        assert_eq!(event.to_string(), format!("connected to {endpoint}"));
        assert!(worker.is_connected());
        soon(broker.shutdown()).await.unwrap();
        let event = next_change(&mut events).await.unwrap();
        assert!(
            matches!(&event, ConnectionEvent::Disconnected { endpoint: at, .. } if at.to_string() == endpoint)
        );
        assert!(!worker.is_connected());
    }
    let _broker = Broker::start(endpoint).expect("the name is free");
    assert!(matches!(next_change(&mut events).await, Some(ConnectionEvent::Connected { .. })));
    soon(worker.stop()).await;
    assert!(matches!(next_change(&mut events).await, Some(ConnectionEvent::Disconnected { .. })));
    drop(worker);
    assert_eq!(next_change(&mut events).await, None);
}

#[tokio::test]
async fn who_does_not_listen_misses_the_oldest_events() {
    let broker = broker();
    let worker = Worker::builder(broker.endpoint()).reconnect(SOON, SOON);
    let worker = worker.serve("echo", answer).unwrap();
    let (mut unheard, mut heard) = (worker.events(), worker.events());
    assert!(matches!(next_change(&mut heard).await, Some(ConnectionEvent::Connected { .. })));
    let endpoint = broker.endpoint().to_owned();
    let mut broker = Some(broker);
    let mut last = None;
    for _ in 0..EVENTS_MAX {
        drop(broker.take());
        assert!(matches!(
            next_change(&mut heard).await,
            Some(ConnectionEvent::Disconnected { .. })
        ));
        broker = Some(Broker::start(&*endpoint).expect("the name is free"));
        last = next_change(&mut heard).await;
        assert!(matches!(last, Some(ConnectionEvent::Connected { .. })));
    }
    drop(worker);
    assert!(matches!(next_change(&mut heard).await, Some(ConnectionEvent::Disconnected { .. })));
    assert_eq!(next_change(&mut heard).await, None);
    let mut left = Vec::new();
    while let Some(event) = soon(unheard.next()).await {
        left.push(event);
    }
    assert_eq!(left.len(), EVENTS_MAX);
    assert!(matches!(left.pop(), Some(ConnectionEvent::Disconnected { .. })), "the worker left");
    assert_eq!(left.pop(), last);
}

#[tokio::test]
async fn over_ipc() {
    let path = std::env::temp_dir().join(format!("majordomus-omdp1-{}", std::process::id()));
    let broker = Broker::start(&*format!("ipc://{}", path.display())).expect("the path is free");
    let _worker = Worker::builder(broker.endpoint()).serve("echo", answer).unwrap();
    for body in [vec![7; 5], vec![7; 1 << 20]] {
        let reply = client(&broker).request("echo", body.clone()).into_future();
        assert_eq!(soon(reply).await, Ok(Body::from(body)));
    }
    soon(broker.shutdown()).await.unwrap();
    assert!(!path.exists());
}

/// Returns a handler that reports its start and waits for its cancellation.
fn held() -> (impl Fn(Request, Replier) -> Handling, mpsc::UnboundedReceiver<()>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = move |_: Request, reply: Replier| -> Handling {
        tell.send(()).unwrap();
        Box::pin(async move { reply.cancellation().cancelled().await })
    };
    (handler, told)
}

/// The other errors are tested in `omdp1`: `errors_tell_what_happened_and_whether_to_ask_again`,
/// `only_if_a_worker_is_free_now` and
/// `a_silent_worker_loses_the_request_and_one_that_says_it_works_does_not`.
#[tokio::test]
async fn errors_of_limits_and_of_what_goes_away() {
    let broker = broker_with(|config| config.core.limits.requests_max = 1);
    let (handler, mut begun) = held();
    let worker = Worker::builder(broker.endpoint()).serve("held", handler).unwrap();
    let client = client(&broker);
    let lost = client.request("held", "").send().await;
    soon(begun.recv()).await;
    let error = client.request("held", "").await.unwrap_err();
    assert_eq!((&error, error.retriable()), (&RequestError::Refused, Retriable::Always));
    drop(worker);
    let error = soon(lost.whole()).await.unwrap_err();
    assert_eq!((&error, error.retriable()), (&RequestError::WorkerLost, Retriable::IfRepeatable));

    let error = client.request("", "").await.unwrap_err();
    assert!(matches!(error, RequestError::BadService { .. }), "{error:?}");
    assert_eq!(error.retriable(), Retriable::Never);
    let small = Client::builder(broker.endpoint()).message_bytes_max(1_000).connect().unwrap();
    let error = small.request("mmi.service", vec![0; 1_000]).await.unwrap_err();
    assert_eq!((&error, error.retriable()), (&RequestError::TooLarge, Retriable::Never));

    let (handler, mut begun) = held();
    let _worker = Worker::builder(broker.endpoint()).serve("held", handler).unwrap();
    let shut_down = client.request("held", "").send().await;
    soon(begun.recv()).await;
    soon(broker.shutdown()).await.unwrap();
    let error = soon(shut_down.whole()).await.unwrap_err();
    assert_eq!((&error, error.retriable()), (&RequestError::ShutDown, Retriable::IfRepeatable));
}

/// Creates a client, two replies (with and without retries), a worker and a broker. Each is boxed,
/// so that they can be dropped in any order.
async fn everything() -> Vec<Box<dyn Any>> {
    let broker = broker();
    let (handler, mut begun) = held();
    let worker = Worker::builder(broker.endpoint()).concurrency(2).serve("held", handler).unwrap();
    let client = client(&broker);
    let plain = client.request("held", "").deadline(PATIENCE).send().await;
    let again = client.request("held", "").retry(Retry::times(3)).send().await;
    soon(begun.recv()).await;
    soon(begun.recv()).await;
    vec![Box::new(client), Box::new(plain), Box::new(again), Box::new(worker), Box::new(broker)]
}

/// Drops all items in the `nth` possible order.
fn drop_in_order(mut all: Vec<Box<dyn Any>>, mut nth: usize) {
    while !all.is_empty() {
        let at = nth % all.len();
        nth /= all.len();
        drop(all.remove(at));
    }
}

#[test]
fn everything_can_be_dropped_in_any_order_inside_a_runtime_and_outside_and_after_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Five items have 120 orders.
    for nth in 0..120 {
        let inside = runtime();
        inside.block_on(async { drop_in_order(everything().await, nth) });
        let outside = runtime();
        drop_in_order(outside.block_on(everything()), nth);
        let all = outside.block_on(everything());
        drop(outside);
        drop_in_order(all, nth);
    }
}

#[test]
fn who_outlives_its_runtime_is_told_so() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime();
    let (reply, client) = ended.block_on(async {
        let broker = broker();
        let client = client(&broker);
        (client.request("nobody", "").send().await, client)
    });
    drop(ended);
    runtime().block_on(async {
        assert_eq!(soon(reply.whole()).await, Err(RequestError::Stopped));
        let asked = client.request("nobody", "").into_future();
        assert_eq!(soon(asked).await, Err(RequestError::Stopped));
    });
    assert_eq!(RequestError::Stopped.retriable(), Retriable::IfRepeatable);
}
