//! The library's client and worker, in OMDP/1, with two brokers, one of which is killed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use majordomus::{
    Client, ConnectionEvent, ConnectionEvents, Replier, Request, RequestError, Retriable, Retry,
    Worker,
};
use majordomus_interop::{Broker, PATIENCE, Signal};
use tokio::sync::{Semaphore, mpsc};

/// A delay so short that no test is slowed down by it.
const SOON: Duration = Duration::from_millis(5);
/// Retries that last until a broker is known to be gone.
const RETRY: Retry = Retry::times(20).backoff(SOON, SOON);
/// The number of concurrent clients.
const ASKING: usize = 16;

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

fn client(brokers: &[String]) -> Client {
    let builder = Client::builder(brokers).reconnect(SOON, SOON).timeout(PATIENCE);
    builder.connect().expect("they are endpoints")
}

/// Starts a worker of `work` at each of these brokers and waits until it is connected.
async fn worker<H, F>(brokers: &[String], handler: H) -> (Worker, ConnectionEvents)
where
    H: Fn(Request, Replier) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let builder = Worker::builder(brokers).concurrency(4 * ASKING).reconnect(SOON, SOON);
    let worker = builder.serve("work", handler).expect("it is set up right");
    let events = worker.events();
    for broker in brokers {
        served(broker).await;
    }
    (worker, events)
}

/// Waits until this broker has a worker.
async fn served(broker: &str) {
    let client = client(&[broker.to_owned()]);
    soon(async {
        while !client.request("mmi.service", "work").await.is_ok_and(|said| said.text() == "200") {}
    })
    .await;
}

/// Waits for the event that this broker is connected or disconnected.
async fn told(events: &mut ConnectionEvents, broker: &str, is_there: bool) {
    soon(async {
        loop {
            let (endpoint, connected) = match events.next().await.expect("somebody tells") {
                ConnectionEvent::Connected { endpoint } => (endpoint, true),
                ConnectionEvent::Disconnected { endpoint, .. } => (endpoint, false),
                // Skip events with the reason and the number of failed attempts.
                _ => continue,
            };
            if endpoint.to_string() == broker && connected == is_there {
                return;
            }
        }
    })
    .await;
}

fn kill(broker: &mut Broker) {
    broker.signal(Signal::KILL);
    broker.exited(PATIENCE);
}

/// Sends one request with a unique body and returns its result.
async fn ask(client: &Client, body: &str, retry: bool) -> Result<(), RequestError> {
    let request = client.request("work", body);
    let request = if retry { request.retry(RETRY) } else { request };
    let reply = soon(request.into_future()).await?;
    assert_eq!(reply.text(), body, "it is another's");
    Ok(())
}

/// Under load, requests that may be retried are. The others report whether a retry is safe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_costs_no_request_that_may_be_made_again() {
    let (mut first, second) = (Broker::start(&[]), Broker::start(&[]));
    let brokers = [first.endpoint().to_owned(), second.endpoint().to_owned()];
    let (count, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(HashMap::new())));
    let (counted, note) = (Arc::clone(&count), Arc::clone(&done));
    let (_worker, mut events) = worker(&brokers, move |request, reply| {
        counted.fetch_add(1, Ordering::Relaxed);
        *note.lock().unwrap().entry(request.body.text().into_owned()).or_insert(0) += 1;
        reply.finish(request.body)
    })
    .await;
    let (client, over) = (client(&brokers), Arc::new(AtomicBool::new(false)));
    let asking: Vec<_> = (0..ASKING)
        .map(|who| {
            let (client, over) = (client.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = format!("{who} {number}");
                    if let Err(error) = ask(&client, &body, who % 2 == 0).await {
                        assert_ne!(who % 2, 0, "one that may be made again: {error}");
                        failed.push((body, error));
                    }
                }
                failed
            })
        })
        .collect();
    let more = async || {
        let enough = count.load(Ordering::Relaxed) + 500;
        while count.load(Ordering::Relaxed) < enough {
            tokio::task::yield_now().await;
        }
    };

    soon(more()).await;
    kill(&mut first);
    told(&mut events, &brokers[0], false).await;
    soon(more()).await;
    first.start_again();
    told(&mut events, &brokers[0], true).await;
    served(&brokers[0]).await;
    soon(more()).await;
    over.store(true, Ordering::Relaxed);

    for asked in asking {
        for (body, error) in soon(asked).await.expect("it holds what it asserts") {
            let times = done.lock().unwrap().get(&body).copied().unwrap_or_default();
            match error.retriable() {
                Retriable::Always => assert_eq!(times, 0, "{body}: {error}"),
                Retriable::IfRepeatable => assert!(times <= 1, "{body}: {error}, {times} times"),
                Retriable::Never => panic!("{body}: {error} is nothing of a lost broker's"),
            }
        }
    }
}

/// Requests in flight at the kill, which may or may not have been processed.
#[tokio::test]
async fn what_a_killed_broker_had_is_made_again_only_where_it_may_be() {
    let (mut first, second) = (Broker::start(&[]), Broker::start(&[]));
    let brokers = [first.endpoint().to_owned(), second.endpoint().to_owned()];
    let go = Arc::new(Semaphore::new(0));
    let (tell, mut begun) = mpsc::unbounded_channel();
    let (pull, mut cancelled) = mpsc::unbounded_channel();
    let may_go = Arc::clone(&go);
    let (_worker, mut events) = worker(&brokers, move |request: Request, reply: Replier| {
        let (tell, pull, may_go) = (tell.clone(), pull.clone(), Arc::clone(&may_go));
        async move {
            tell.send(request.body.text().into_owned()).expect("the test hears it");
            let cancellation = reply.cancellation();
            tokio::select! {
                _ = may_go.acquire() => reply.finish(request.body).await,
                () = cancellation.cancelled() => pull.send(()).expect("the test hears it"),
            }
        }
    })
    .await;
    let client = client(&brokers);
    // Requests go to the first broker in the list while it is connected.
    told(&mut client.events(), &brokers[0], true).await;
    let asking = [("once", false), ("again", true)].map(|(body, retry)| {
        let client = client.clone();
        tokio::spawn(async move { ask(&client, body, retry).await })
    });
    let mut had = [soon(begun.recv()).await.unwrap(), soon(begun.recv()).await.unwrap()];
    had.sort();
    assert_eq!(had, ["again", "once"]);

    kill(&mut first);
    for _ in had {
        soon(cancelled.recv()).await.expect("nobody waits for them any more");
    }
    // The retried request is at the second broker.
    assert_eq!(soon(begun.recv()).await.as_deref(), Some("again"));
    go.close();
    let [once, again] = asking;
    assert_eq!(soon(once).await.unwrap(), Err(RequestError::Disconnected));
    assert_eq!(soon(again).await.unwrap(), Ok(()));
    assert!(begun.try_recv().is_err(), "one was made again that must not be");

    first.start_again();
    told(&mut events, &brokers[0], true).await;
    served(&brokers[0]).await;
}
