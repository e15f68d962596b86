//! Tests of the blocking client and worker with an embedded broker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use majordomus::blocking::{Client, NothingYet, Replier, Worker, WorkerBuilder};
use majordomus::{Body, Broker, Cancelled, ConnectionEvent, Progress, RequestError, SetupError};

/// A time limit for events, so that a missing event fails the test.
const PATIENCE: Duration = Duration::from_secs(20);
/// A reconnect wait that is short enough to be negligible.
const SOON: Duration = Duration::from_millis(1);
/// The capacity of a test's channels, which no test fills.
const TOLD_MAX: usize = 1_000;

fn broker() -> Broker {
    Broker::start("inproc://*").expect("it starts")
}

fn client(broker: &Broker) -> Client {
    let builder = majordomus::Client::builder(broker.endpoint()).reconnect(SOON, SOON);
    builder.timeout(PATIENCE).blocking_connect().expect("the endpoint is right")
}

fn builder(broker: &Broker) -> WorkerBuilder {
    majordomus::Worker::builder(broker.endpoint()).reconnect(SOON, SOON).concurrency(4).blocking()
}

fn echo(broker: &Broker) -> Worker {
    let started = builder(broker).serve("echo", |request, reply| reply.finish(request.body));
    started.expect("it is set up right")
}

/// A handler's messages to its test, with a time limit.
struct Told<T>(Receiver<T>);

fn channel<T>() -> (SyncSender<T>, Told<T>) {
    let (tell, told) = sync_channel(TOLD_MAX);
    (tell, Told(told))
}

impl<T> Told<T> {
    fn next(&self) -> T {
        self.0.recv_timeout(PATIENCE).expect("it happens soon")
    }

    /// Waits until all senders are dropped.
    fn ended(&self) {
        let error = self.0.recv_timeout(PATIENCE).err().expect("nothing more is told");
        assert_eq!(error, std::sync::mpsc::RecvTimeoutError::Disconnected);
    }
}

/// Runs a function on its own thread and waits for it, with a time limit.
fn soon<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(what()));
    told.next()
}

/// Polls until the condition is true.
fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it is so soon");
        thread::yield_now();
    }
}

/// Starts a worker that sends parts until its request is cancelled, and then reports the
/// cancellation.
fn endless(broker: &Broker) -> (Worker, Told<Cancelled>) {
    let (tell, told) = channel();
    let worker = builder(broker).serve("endless", move |_, reply| {
        for number in 0.. {
            if let Err(cancelled) = reply.part(number.to_string()) {
                tell.send(cancelled).expect("the test waits for it");
                return;
            }
        }
    });
    (worker.expect("it is set up right"), told)
}

#[test]
fn a_thousand_requests_from_eight_threads_that_share_a_client() {
    let broker = broker();
    let (_worker, client) = (echo(&broker), client(&broker));
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..125 {
                    let text = format!("{thread}.{number}");
                    let reply = client.request("echo", text.as_str()).call();
                    assert_eq!(reply.expect("there is a reply").text(), text);
                }
            });
        }
    });
    let summary = broker.blocking_shutdown().expect("it ran");
    assert_eq!(summary.counters.received, 1_000);
    assert!(summary.counters.balanced());
}

#[test]
fn as_many_handlers_run_at_once_as_the_concurrency_says() {
    let broker = broker();
    let client = client(&broker);
    let (tell, told) = channel();
    let (go, gone) = sync_channel::<()>(TOLD_MAX);
    let gone = Mutex::new(gone);
    let worker = builder(&broker).serve("hold", move |request, reply| {
        tell.send(request.body.text().into_owned()).expect("the test waits for it");
        let _ = gone.lock().expect("nobody panics").recv();
        reply.finish(request.body);
    });
    let worker = worker.expect("it is set up right");
    let replies: Vec<_> =
        (0..5).map(|number| client.request("hold", number.to_string()).send()).collect();
    let mut begun: Vec<_> = (0..4).map(|_| told.next()).collect();
    begun.sort();
    assert_eq!(begun, ["0", "1", "2", "3"]);
    // The fifth request waits until the limit is raised.
    worker.set_concurrency(5);
    assert_eq!(told.next(), "4");
    drop(go);
    for (number, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.whole(), Ok(number.to_string().into()));
    }
}

#[test]
fn a_reply_is_an_iterator_of_its_parts() {
    let broker = broker();
    let client = client(&broker);
    let _worker = builder(&broker)
        .serve("count", |_, reply: Replier| {
            let _ = reply.send_all(["1", "2", "3"]);
        })
        .expect("it is set up right");
    let mut reply = client.request("count", "").send();
    assert_eq!(reply.next(), Some(Ok("1".into())));
    assert_eq!(reply.next_timeout(PATIENCE), Ok(Some(Ok("2".into()))));
    assert_eq!(reply.by_ref().count(), 2);
    assert_eq!((reply.next(), reply.next_timeout(SOON)), (None, Ok(None)));
    let parts = client.request("count", "").send().parts();
    assert_eq!(parts, Ok(vec!["1".into(), "2".into(), "3".into(), Body::empty()]));
    let whole = client.request("count", "").call();
    assert_eq!(whole, Ok(Body::from_frames(["1", "2", "3"])));
}

#[test]
fn a_slow_reader_loses_nothing_and_makes_its_worker_wait() {
    let broker = broker();
    let (worker, given_up) = endless(&broker);
    let client = client(&broker);
    let _others = echo(&broker);
    let mut slow = client.request("endless", "").send();
    for number in 0..100 {
        // Other requests of the same client continue.
        assert_eq!(client.request("echo", "x").call(), Ok("x".into()));
        assert_eq!(slow.next(), Some(Ok(number.to_string().into())));
    }
    drop(slow);
    assert_eq!(given_up.next(), Cancelled);
    worker.stop();
}

#[test]
fn nothing_in_time_is_said_and_what_comes_later_is_not_lost() {
    let broker = broker();
    let client = client(&broker);
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let _worker = builder(&broker).serve("slow", move |_, reply| {
        gone.lock().expect("nobody panics").next();
        reply.finish("late");
    });
    let mut reply = client.request("slow", "").send();
    assert_eq!(reply.next_timeout(SOON), Err(NothingYet));
    go.send(()).expect("the handler waits for it");
    assert_eq!(reply.next(), Some(Ok("late".into())));
}

#[test]
fn a_dropped_reply_gives_the_request_up() {
    let broker = broker();
    let (_worker, given_up) = endless(&broker);
    let mut reply = client(&broker).request("endless", "").send();
    assert!(reply.next().is_some());
    drop(reply);
    assert_eq!(given_up.next(), Cancelled);
}

#[test]
fn a_handler_sees_that_nobody_waits_any_more() {
    let broker = broker();
    let (tell, told) = channel();
    let worker = builder(&broker).serve("compute", move |_, reply| {
        tell.send("begun").expect("the test waits for it");
        until(|| !reply.is_wanted());
        assert!(reply.cancellation().is_cancelled());
        tell.send("given up").expect("the test waits for it");
    });
    let _worker = worker.expect("it is set up right");
    let reply = client(&broker).request("compute", "").send();
    assert_eq!(told.next(), "begun");
    drop(reply);
    assert_eq!(told.next(), "given up");
}

#[test]
fn a_handler_that_fails_rejects_panics_or_says_nothing() {
    let broker = broker();
    let worker = builder(&broker).serve("fail", |request, reply| match &*request.body.text() {
        "fail" => reply.fail("no paper"),
        "code" => reply.fail_with(507, "no paper"),
        "reject" => reply.reject("too hot"),
        "panic" => panic!("on fire"),
        _ => {}
    });
    let (_worker, client) = (worker.expect("it is set up right"), client(&broker));
    let remote = |code, why: &str| RequestError::Remote { code, why: why.into() };
    for (asked, expected) in [
        ("fail", remote(500, "no paper")),
        ("code", remote(507, "no paper")),
        ("reject", RequestError::Rejected { why: "too hot".into() }),
        ("panic", remote(500, "the worker panicked: on fire")),
        ("nothing", remote(500, "the worker gave no reply")),
    ] {
        assert_eq!(client.request("fail", asked).call(), Err(expected), "{asked}");
    }
}

#[test]
fn options_of_a_request_are_those_of_the_async_one() {
    let broker = broker();
    let client = client(&broker);
    let worker = builder(&broker).serve("tell", |request, reply| {
        reply.at_work();
        let lang = request.body.headers().get("lang").unwrap_or_default();
        let told = [&[request.priority + b'0'], lang].concat();
        reply.cache_for(PATIENCE).finish(told);
    });
    let _worker = worker.expect("it is set up right");
    let (tell, told) = sync_channel(TOLD_MAX);
    let request = client.request("tell", "x").priority(7).header("lang", "en").expect("a header");
    let request = request.silence(PATIENCE).deadline(PATIENCE).repeatable().no_cache();
    assert_eq!(request.progress(tell).call(), Ok("7en".into()));
    let told: Vec<Progress> = told.iter().collect();
    assert_eq!(told.last(), Some(&Progress::Dispatched));

    let nobody = client.request("tell", "x").target("nobody").call();
    assert_eq!(nobody, Err(RequestError::NoSuchService));
    let bad = client.request("", "x").call();
    assert!(matches!(bad, Err(RequestError::BadService { .. })), "{bad:?}");
}

#[test]
fn services_come_and_go_while_it_runs() {
    let broker = broker();
    let (worker, client) = (echo(&broker), client(&broker));
    assert!(worker.connected_within(PATIENCE) && worker.is_connected());
    worker
        .offer("shout", |request, reply| reply.finish(request.body.text().to_uppercase()))
        .expect("it is new");
    let twice = worker.offer("shout", |_, reply| reply.finish("x"));
    assert_eq!(twice, Err(SetupError::ServiceTwice("shout".into())));
    assert_eq!(client.request("shout", "hello").call(), Ok("HELLO".into()));
    assert!(worker.withdraw("shout") && !worker.withdraw("shout"));
}

#[test]
fn a_worker_that_drains_finishes_what_it_has() {
    let broker = broker();
    let client = client(&broker);
    let (go, gone) = channel();
    let (tell, told) = channel();
    let gone = Mutex::new(gone);
    let worker = builder(&broker).serve("slow", move |_, reply| {
        tell.send(()).expect("the test waits for it");
        gone.lock().expect("nobody panics").next();
        reply.finish("done");
    });
    let worker = Arc::new(worker.expect("it is set up right"));
    let reply = client.request("slow", "").send();
    told.next();
    let (draining, waiting) = (Arc::clone(&worker), Arc::clone(&worker));
    let draining = thread::spawn(move || draining.drain());
    let waiting = thread::spawn(move || waiting.wait());
    go.send(()).expect("the handler waits for it");
    assert_eq!(reply.whole(), Ok("done".into()));
    draining.join().expect("it has drained");
    waiting.join().expect("it has ended");
    until(|| !worker.is_connected());
}

#[test]
fn a_worker_stops_though_its_handler_does_not_return() {
    let broker = broker();
    let client = client(&broker);
    let (tell, told) = channel();
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let worker = builder(&broker).serve("stuck", move |_, reply| {
        tell.send(true).expect("the test waits for it");
        gone.lock().expect("nobody panics").ended();
        tell.send(reply.is_wanted()).expect("the test waits for it");
        reply.finish("too late");
    });
    let worker = worker.expect("it is set up right");
    let reply = client.request("stuck", "").send();
    assert!(told.next());
    soon(move || worker.stop());
    drop((go, reply));
    assert!(!told.next());
    // The handler is dropped after it has returned.
    told.ended();
}

/// Drops the broker, the worker and the client in each order while a request is in flight.
#[test]
fn everything_can_be_dropped_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let broker = broker();
        let (worker, given_up) = endless(&broker);
        let client = client(&broker);
        let mut reply = client.request("endless", "").send();
        assert!(reply.next().is_some());
        let mut all: [Option<Box<dyn Send>>; 3] =
            [Some(Box::new(broker)), Some(Box::new(worker)), Some(Box::new((client, reply)))];
        soon(move || order.map(|at| drop(all[at].take())));
        assert_eq!(given_up.next(), Cancelled);
        given_up.ended();
    }
}

#[test]
fn a_handler_can_ask_others() {
    let broker = broker();
    let _echo = echo(&broker);
    let (inner, client) = (client(&broker), client(&broker));
    let worker = builder(&broker).serve("ask", move |request, reply| {
        match inner.request("echo", request.body).call() {
            Ok(body) => reply.finish(body),
            Err(error) => reply.fail(error.to_string()),
        }
    });
    let _worker = worker.expect("it is set up right");
    assert_eq!(client.request("ask", "x").call(), Ok("x".into()));
}

#[test]
fn connections_are_told() {
    let broker = broker();
    let client = client(&broker);
    let mut events = client.events();
    assert!(client.connected_within(PATIENCE) && client.is_connected());
    drop(broker);
    until(|| !client.is_connected());
    let lost = soon(move || events.find(|e| matches!(e, ConnectionEvent::Disconnected { .. })));
    assert!(lost.is_some());
    let unheard = client.events();
    drop(client);
    // The client may have tried to reconnect. Dropping the client ends the events.
    let tried = |event: &ConnectionEvent| matches!(event, ConnectionEvent::Failed { .. });
    assert_eq!(soon(move || unheard.filter(|event| !tried(event)).count()), 0);
}

#[test]
fn what_makes_no_sense_is_said() {
    assert!(matches!(Client::connect("nowhere"), Err(SetupError::Endpoint(_))));
    assert!(matches!(Worker::builder("nowhere").start(), Err(SetupError::Endpoint(_))));
    assert!(matches!(Worker::builder("inproc://x").start(), Err(SetupError::NoService)));
}

/// Returns the message of a panic.
fn panic_of(what: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(what)).expect_err("it panics");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into())).expect("a text")
}

#[tokio::test]
async fn in_async_code_it_panics_and_does_not_hang() {
    let broker = broker();
    // Methods that do not wait can be called.
    let (worker, client) = (echo(&broker), client(&broker));
    worker.set_concurrency(2);
    for said in [
        panic_of(|| drop(client.request("echo", "x").call())),
        panic_of(|| drop(client.request("echo", "x").send())),
        panic_of(|| assert!(client.connected_within(PATIENCE))),
        panic_of(|| worker.stop()),
    ] {
        assert!(said.contains("from within a runtime"), "{said}");
    }
    // A thread that may block can wait. Everything can be dropped here.
    let asking = client.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let mut reply = asking.request("echo", "x").send();
        (reply.next(), reply)
    });
    let (part, reply) = asked.await.expect("it does not panic");
    assert_eq!(part, Some(Ok("x".into())));
    drop((reply, client, worker));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_runtime_of_many_threads_too() {
    let broker = broker();
    let (_worker, client) = (echo(&broker), client(&broker));
    let asking = tokio::spawn(async move { drop(client.request("echo", "x").call()) });
    assert!(asking.await.expect_err("it panics").is_panic());
}

#[tokio::test]
async fn an_async_worker_has_blocking_handlers_beside_others() {
    let broker = broker();
    let counted = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&counted);
    let block = majordomus::blocking::handler(move |request, reply| {
        counting.fetch_add(1, Ordering::Relaxed);
        reply.finish(request.body.text().to_uppercase());
    });
    let _worker = majordomus::Worker::builder(broker.endpoint())
        .reconnect(SOON, SOON)
        .service("shout", block)
        .serve("echo", |request, reply| reply.finish(request.body))
        .expect("it is set up right");
    let client = majordomus::Client::connect(broker.endpoint()).expect("the endpoint is right");
    assert_eq!(client.request("shout", "a").await, Ok("A".into()));
    assert_eq!(client.request("echo", "a").await, Ok("a".into()));
    assert_eq!(counted.load(Ordering::Relaxed), 1);
}
