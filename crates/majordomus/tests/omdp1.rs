//! Tests of the features of OMDP/1 clients and workers, with a real broker in this process.

#[path = "support/embedded.rs"]
mod embedded;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use embedded::{PATIENCE, SOON, broker, broker_with, client, counters, soon};
use futures_core::Stream;
use majordomus::broker::{Counters, Outcome};
use majordomus::{
    Body, Broker, Client, Progress, Replier, Request, RequestError, Retriable, Retry, Worker,
};
use tokio::sync::{Notify, Semaphore, mpsc};

type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits until the broker's counters satisfy a condition, which takes a few turns at most.
async fn until(broker: &Broker, holds: impl Fn(&Counters) -> bool) {
    soon(async {
        while !holds(&counters(broker).await) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn answer(request: Request, reply: Replier) {
    reply.finish(request.body).await;
}

#[tokio::test]
async fn many_requests_over_one_connection_and_out_of_order() {
    let broker = broker();
    let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = [Arc::clone(&first), Arc::clone(&second)];
    let handler = move |request: Request, reply: Replier| {
        let at: usize = request.body.text().parse().expect("a number");
        let gate = Arc::clone(&gates[at]);
        async move {
            gate.notified().await;
            reply.finish(request.body).await;
        }
    };
    let _worker = Worker::builder(broker.endpoint()).concurrency(2).serve("gate", handler).unwrap();
    let client = client(&broker);
    let one = client.request("gate", "0").send().await;
    let two = client.request("gate", "1").send().await;
    second.notify_one();
    assert_eq!(soon(two.whole()).await.unwrap().text(), "1");
    first.notify_one();
    assert_eq!(soon(one.whole()).await.unwrap().text(), "0");
    let snapshot = broker.snapshot().await.unwrap();
    assert_eq!(snapshot.connections, 2);
}

#[tokio::test]
async fn a_reply_that_is_dropped_is_cancelled_at_the_worker() {
    let broker = broker();
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |_: Request, reply: Replier| {
        let tell = tell.clone();
        async move {
            tell.send("started").unwrap();
            reply.cancellation().cancelled().await;
            assert!(!reply.is_wanted());
            tell.send("cancelled").unwrap();
        }
    };
    let _worker = Worker::builder(broker.endpoint()).serve("long", handler).unwrap();
    let client = client(&broker);
    let reply = client.request("long", "").send().await;
    assert_eq!(soon(told.recv()).await, Some("started"));
    drop(reply);
    assert_eq!(soon(told.recv()).await, Some("cancelled"));
    until(&broker, |counters| counters.outcome(Outcome::Cancelled) == 1).await;
    // The same happens if the whole client is dropped.
    let reply = client.request("long", "").send().await;
    assert_eq!(soon(told.recv()).await, Some("started"));
    drop((client, reply));
    assert_eq!(soon(told.recv()).await, Some("cancelled"));
}

#[tokio::test]
async fn errors_tell_what_happened_and_whether_to_ask_again() {
    let broker = broker_with(|config| config.core.reject_wait = SOON);
    let _worker = Worker::builder(broker.endpoint())
        .concurrency(4)
        .service("coded", |_, reply| {
            let why = Body::from_frames(["no paper", "tray 2"]).with_header("tray", "2").unwrap();
            reply.fail_with(507, why)
        })
        .service("plain", |_, reply| reply.fail("no"))
        .service("rejecting", |_, reply| reply.reject("not me"))
        .service("panicking", |_, _| async { panic!("ouch") })
        .service("silent", |_, _| async {})
        .start()
        .unwrap();
    let client = client(&broker);
    let ask = |service: &'static str| soon(client.request(service, "").into_future());

    let error = ask("coded").await.unwrap_err();
    let RequestError::Remote { code, why } = &error else { panic!("{error:?}") };
    assert_eq!((*code, why.frames().get(1)), (507, Some(&b"tray 2"[..])));
    assert_eq!(why.headers().get("tray"), Some(&b"2"[..]));
    assert_eq!(error.to_string(), "no paper (507)");
    assert_eq!(error.retriable(), Retriable::Never);

    let error = ask("plain").await.unwrap_err();
    assert_eq!(error, RequestError::Remote { code: 500, why: "no".into() });
    let error = ask("rejecting").await.unwrap_err();
    assert_eq!(error, RequestError::Rejected { why: "not me".into() });
    assert_eq!(error.retriable(), Retriable::Always);
    assert_eq!(ask("panicking").await.unwrap_err().text(), "the worker panicked: ouch");
    assert_eq!(ask("silent").await.unwrap_err().text(), "the worker gave no reply");

    let error = client.request("nobody", "").timeout(SOON).await.unwrap_err();
    assert_eq!(error, RequestError::NoSuchService);
    let error = client.request("plain", "").target("nobody").await.unwrap_err();
    assert_eq!(error, RequestError::NoSuchService);
    assert_eq!(counters(&broker).await.in_progress, 0);
}

#[tokio::test]
async fn only_if_a_worker_is_free_now() {
    let broker = broker();
    let go = Arc::new(Notify::new());
    let may_go = Arc::clone(&go);
    let handler = move |request: Request, reply: Replier| {
        let may_go = Arc::clone(&may_go);
        async move {
            may_go.notified().await;
            reply.finish(request.body).await;
        }
    };
    let worker = Worker::builder(broker.endpoint()).serve("one", handler).unwrap();
    let client = client(&broker);
    soon(worker.connected()).await;
    soon(client.connected()).await;
    until(&broker, |counters| counters.workers_registered == 1).await;
    let first = client.request("one", "1").timeout(Duration::ZERO).send().await;
    let second = client.request("one", "2").timeout(Duration::ZERO);
    assert_eq!(soon(second.into_future()).await, Err(RequestError::Expired));
    go.notify_one();
    assert_eq!(soon(first.whole()).await.unwrap().text(), "1");
}

#[tokio::test]
async fn a_request_says_what_it_asks_for() {
    let broker = broker();
    let handler = |request: Request, reply: Replier| async move {
        let left =
            request.deadline.map(|at| at.saturating_duration_since(std::time::Instant::now()));
        assert!(left.is_some_and(|left| left <= Duration::from_secs(30)), "{left:?}");
        let lang = request.body.headers().get("lang").map(<[u8]>::to_vec).unwrap_or_default();
        let said = format!("{} {} {}", request.service, request.attempt, request.priority);
        reply.finish(Body::from(said).with_header("lang", lang).unwrap()).await;
    };
    let _worker = Worker::builder(broker.endpoint())
        .service("exact", handler)
        .service("stock.*", handler)
        .service("api@1.2.0", handler)
        .start()
        .unwrap();
    let client = client(&broker);
    for (asked, said) in
        [("exact", "exact 1 7"), ("stock.x", "stock.x 1 7"), ("api@^1", "api@^1 1 7")]
    {
        let request = client.request(asked, "").priority(7).deadline(Duration::from_secs(30));
        let reply = soon(request.header("lang", "en").unwrap().into_future()).await.unwrap();
        assert_eq!(reply.text(), said);
        assert_eq!(reply.headers().get("lang"), Some(&b"en"[..]));
    }
}

#[tokio::test]
async fn a_worker_is_asked_for_by_its_name() {
    let broker = broker();
    let named = |name: &'static str| {
        let handler = move |_: Request, reply: Replier| reply.finish(name);
        Worker::builder(broker.endpoint()).name(name).serve("who", handler).unwrap()
    };
    let _workers = [named("one"), named("two")];
    until(&broker, |counters| counters.workers_registered == 2).await;
    let client = client(&broker);
    for name in ["two", "one", "two"] {
        let request = client.request("who", "").target(name).into_future();
        assert_eq!(soon(request).await.unwrap().text(), name);
    }
    // The reply to a request for the directory is JSON.
    let directory = client.request("$dir", "who").await.unwrap();
    assert!(["[\"one\",\"two\"]", "[\"two\",\"one\"]"].contains(&&*directory.text()));
    let long = "x".repeat(201);
    assert!(Worker::builder(broker.endpoint()).name(&long).serve("who", answer).is_err());
}

#[tokio::test]
async fn progress_is_told_to_who_asks() {
    let broker = broker();
    let client = client(&broker);
    let (tell, mut told) = mpsc::channel(8);
    let reply = client.request("echo", "hi").repeatable().progress(tell).send().await;
    assert_eq!(soon(told.recv()).await, Some(Progress::Queued));
    let stuck = |_: Request, reply: Replier| async move {
        reply.cancellation().cancelled().await;
    };
    let worker = Worker::builder(broker.endpoint()).serve("echo", stuck).unwrap();
    assert_eq!(soon(told.recv()).await, Some(Progress::Dispatched));
    let _other = Worker::builder(broker.endpoint()).serve("echo", answer).unwrap();
    until(&broker, |counters| counters.workers_registered == 2).await;
    drop(worker);
    assert_eq!(soon(told.recv()).await, Some(Progress::Redelivered));
    assert_eq!(soon(reply.whole()).await.unwrap().text(), "hi");
    assert_eq!(told.recv().await, None);
}

#[tokio::test]
async fn a_silent_worker_loses_the_request_and_one_that_says_it_works_does_not() {
    let broker = broker();
    let limit = Duration::from_millis(200);
    let handler = move |request: Request, reply: Replier| async move {
        if request.body.text() == "quiet" {
            reply.cancellation().cancelled().await;
            return;
        }
        // Work for longer than a worker may be silent, with regular reports.
        let mut ticks = tokio::time::interval(limit / 4);
        for _ in 0..10 {
            ticks.tick().await;
            reply.at_work().await;
        }
        reply.finish("done").await;
    };
    let _worker = Worker::builder(broker.endpoint()).serve("work", handler).unwrap();
    let client = client(&broker);
    let ask = |body: &'static str| client.request("work", body).silence(limit).into_future();
    assert_eq!(soon(ask("quiet")).await, Err(RequestError::Silent));
    assert_eq!(soon(ask("loud")).await.unwrap().text(), "done");
}

#[tokio::test]
async fn all_of_a_stream_has_a_deadline() {
    let broker = broker();
    let handler =
        |_: Request, reply: Replier| async move { while reply.part("more").await.is_ok() {} };
    let _worker = Worker::builder(broker.endpoint()).serve("endless", handler).unwrap();
    let client = client(&broker);
    let mut reply = client.request("endless", "").deadline(Duration::from_millis(100)).send().await;
    let mut parts = 0;
    let end = loop {
        match soon(reply.next()).await {
            Some(Ok(_)) => parts += 1,
            end => break end,
        }
    };
    assert_eq!(end, Some(Err(RequestError::Expired)));
    assert!(parts > 0);
    assert_eq!(soon(reply.next()).await, None);
    until(&broker, |counters| counters.in_progress == 0).await;
}

#[tokio::test]
async fn a_deadline_holds_for_who_reads_more_slowly_than_parts_come() {
    let broker = broker();
    let handler =
        |_: Request, reply: Replier| async move { while reply.part("more").await.is_ok() {} };
    let _worker = Worker::builder(broker.endpoint()).serve("endless", handler).unwrap();
    let span = Duration::from_millis(100);
    let mut reply = client(&broker).request("endless", "").deadline(span).send().await;
    assert_eq!(soon(reply.next()).await, Some(Ok("more".into())));
    // By now parts are queued, and each part that is read makes room for another.
    tokio::time::sleep(span).await;
    assert_eq!(soon(reply.next()).await, Some(Err(RequestError::Expired)));
    until(&broker, |counters| counters.in_progress == 0).await;
}

#[tokio::test]
async fn a_deadline_is_no_other_end_than_the_one_that_the_broker_tells() {
    let broker = broker();
    let client = client(&broker);
    for _ in 0..20 {
        let span = Duration::from_millis(10);
        let ended = client.request("nobody", "").deadline(span).into_future();
        assert_eq!(soon(ended).await, Err(RequestError::NoSuchService));
    }
}

#[tokio::test]
async fn five_thousand_requests_are_under_way_at_once() {
    let broker = broker();
    let client = client(&broker);
    soon(client.connected()).await;
    let mut replies = Vec::new();
    for _ in 0..5_000 {
        replies.push(client.request("echo", "hello").send().await);
    }
    until(&broker, |counters| counters.in_progress == 5_000).await;
    let _worker = Worker::builder(broker.endpoint())
        .serve("echo", |request, reply| reply.finish(request.body))
        .unwrap();
    for reply in replies {
        assert_eq!(soon(reply.whole()).await, Ok("hello".into()));
    }
}

#[tokio::test]
async fn a_slow_reader_slows_its_own_stream_and_nothing_else() {
    let broker = broker();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let handler = move |_: Request, reply: Replier| {
        let count = Arc::clone(&count);
        async move {
            for _ in 0..1000 {
                if reply.part("x").await.is_err() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            reply.finish("end").await;
        }
    };
    let _worker = Worker::builder(broker.endpoint())
        .concurrency(2)
        .service("stream", handler)
        .service("echo", answer)
        .start()
        .unwrap();
    let client = client(&broker);
    let mut slow = client.request("stream", "").send().await;
    // Nothing reads this reply. Other requests on the same connections continue.
    for number in 0..100 {
        let reply = soon(client.request("echo", number.to_string()).into_future()).await;
        assert_eq!(reply.unwrap().text(), number.to_string());
    }
    assert!(sent.load(Ordering::Relaxed) <= 16, "{sent:?} parts were sent ahead");
    let parts = soon(slow.parts()).await.unwrap();
    assert_eq!(parts.len(), 1001);
}

#[tokio::test]
async fn concurrency_and_services_change_while_it_runs() {
    let broker = broker();
    let running = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Semaphore::new(0));
    let (count, may_go) = (Arc::clone(&running), Arc::clone(&go));
    let handler = move |request: Request, reply: Replier| {
        let (count, may_go) = (Arc::clone(&count), Arc::clone(&may_go));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            may_go.acquire().await.unwrap().forget();
            reply.finish(request.body).await;
        }
    };
    let worker = Worker::builder(broker.endpoint()).serve("work", handler).unwrap();
    let client = client(&broker);
    let mut replies = Vec::new();
    for number in 0..4 {
        replies.push(client.request("work", number.to_string()).send().await);
    }
    until(&broker, |counters| counters.received == 4 && counters.dispatched == 1).await;
    worker.set_concurrency(3);
    until(&broker, |counters| counters.dispatched == 3).await;
    worker.set_concurrency(0);
    // The broker processes the worker's messages in order: when it knows this service, it has
    // processed the new limit.
    worker.offer("behind", answer).unwrap();
    let known = |service: &'static str| client.request("mmi.service", service).into_future();
    soon(async { while known("behind").await.unwrap().text() != "200" {} }).await;
    soon(async {
        while running.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    go.add_permits(3);
    until(&broker, |counters| counters.in_progress == 1).await;
    assert_eq!(counters(&broker).await.dispatched, 3);
    worker.set_concurrency(1);
    until(&broker, |counters| counters.dispatched == 4).await;
    go.add_permits(1);
    for (number, reply) in replies.into_iter().enumerate() {
        assert_eq!(soon(reply.whole()).await.unwrap().text(), number.to_string());
    }

    assert!(worker.offer("work", answer).is_err());
    worker.offer("echo", answer).unwrap();
    assert_eq!(soon(client.request("echo", "hi").into_future()).await.unwrap().text(), "hi");
    assert!(worker.withdraw("echo"));
    assert!(!worker.withdraw("echo"));
    soon(async { while known("echo").await.unwrap().text() != "404" {} }).await;
}

#[tokio::test]
async fn drained_it_finishes_and_others_take_what_comes() {
    let broker = broker();
    let go = Arc::new(Notify::new());
    let may_go = Arc::clone(&go);
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |_: Request, reply: Replier| {
        let (tell, may_go) = (tell.clone(), Arc::clone(&may_go));
        async move {
            tell.send(()).unwrap();
            may_go.notified().await;
            reply.finish("first").await;
        }
    };
    let worker = Worker::builder(broker.endpoint()).concurrency(8).serve("work", handler).unwrap();
    let client = client(&broker);
    let first = client.request("work", "").send().await;
    soon(told.recv()).await;
    let other = |_: Request, reply: Replier| reply.finish("other");
    let _other = Worker::builder(broker.endpoint()).concurrency(8).serve("work", other).unwrap();
    until(&broker, |counters| counters.workers_registered == 2).await;
    let drained = async {
        worker.drain().await;
    };
    let asked = async {
        // From now on, the first worker rejects new requests.
        for _ in 0..50 {
            let reply = client.request("work", "").await.unwrap();
            if reply.text() == "other" {
                go.notify_one();
            }
        }
        first.whole().await.unwrap()
    };
    let feeds = async {
        // Requests that the first worker accepted before the drain also finish.
        loop {
            go.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(drained, asked).1 };
    tokio::select! {
        reply = soon(both) => assert_eq!(reply.text(), "first"),
        () = feeds => {}
    }
    let outcomes = counters(&broker).await;
    assert_eq!(outcomes.outcome(Outcome::Replied), 51);
    assert_eq!(outcomes.received, 51);
}

#[tokio::test]
async fn a_broker_that_ends_costs_no_request_that_may_be_made_again() {
    let (first, second) = (broker(), broker());
    let brokers = [first.endpoint().to_owned(), second.endpoint().to_owned()];
    let worker = Worker::builder(&brokers[..])
        .concurrency(64)
        .reconnect(SOON, SOON)
        .serve("echo", answer)
        .unwrap();
    let builder = Client::builder(&brokers[..]).reconnect(SOON, SOON).timeout(PATIENCE);
    let client = builder.connect().unwrap();
    until(&first, |counters| counters.workers_registered == 1).await;
    until(&second, |counters| counters.workers_registered == 1).await;
    let asking = (0..500).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let retry = Retry::times(20).backoff(SOON, SOON);
            let body = number.to_string();
            let reply = client.request("echo", body.as_str()).retry(retry).await;
            assert_eq!(reply.map(|reply| reply.text().into_owned()), Ok(body));
        })
    });
    let asking: Vec<_> = asking.collect();
    until(&first, |counters| counters.received > 10).await;
    // The broker ends immediately, with all its requests in flight.
    drop(first);
    for asked in asking {
        soon(asked).await.expect("it was answered");
    }
    assert!(client.is_connected() && worker.is_connected());
}

#[tokio::test]
async fn a_request_whose_worker_died_is_made_again() {
    // The broker itself makes only one attempt.
    let broker = broker_with(|config| config.core.attempts_max = 1);
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("there is a thread");
    let (tell, mut begun) = mpsc::unbounded_channel();
    let dying = {
        let _inside = elsewhere.enter();
        let handler = move |_: Request, reply: Replier| {
            tell.send(()).expect("the test waits for it");
            async move {
                std::future::pending::<()>().await;
                drop(reply);
            }
        };
        Worker::builder(broker.endpoint()).serve("echo", handler).unwrap()
    };
    until(&broker, |counters| counters.workers_registered == 1).await;
    let client = client(&broker);
    let retry = Retry::times(1).backoff(SOON, SOON);
    let reply = client.request("echo", "hello").retry(retry).send().await;
    assert_eq!(soon(begun.recv()).await, Some(()));
    let _other = Worker::builder(broker.endpoint()).serve("echo", answer).unwrap();
    until(&broker, |counters| counters.workers_registered == 2).await;
    elsewhere.shutdown_background();
    assert_eq!(soon(reply.whole()).await, Ok("hello".into()));
    let counters = counters(&broker).await;
    assert_eq!((counters.outcome(Outcome::WorkerLost), counters.redelivered), (1, 0));
    drop(dying);
}

#[tokio::test]
async fn requests_are_spread_where_it_is_set_so() {
    let brokers = [broker(), broker()];
    let endpoints: Vec<_> = brokers.iter().map(|broker| broker.endpoint().to_owned()).collect();
    let _worker = Worker::builder(&endpoints[..]).concurrency(4).serve("echo", answer).unwrap();
    let builder = Client::builder(&endpoints[..]).brokers(majordomus::Brokers::Spread);
    let client = builder.timeout(PATIENCE).connect().unwrap();
    let mut events = client.events();
    for _ in 0..2 {
        assert!(soon(events.next()).await.unwrap().to_string().starts_with("connected to"));
    }
    for _ in 0..10 {
        soon(client.request("echo", "hi").into_future()).await.unwrap();
    }
    for broker in &brokers {
        assert_eq!(counters(broker).await.received, 5);
    }
}

#[tokio::test]
async fn a_kept_reply_is_passed_over_where_it_is_wanted_so() {
    let broker = broker();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let handler = move |_: Request, reply: Replier| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        reply.cache_for(PATIENCE).finish(number.to_string())
    };
    let _worker = Worker::builder(broker.endpoint()).serve("count", handler).unwrap();
    let client = client(&broker);
    let ask = || client.request("count", "").repeatable();
    assert_eq!(soon(ask().into_future()).await.unwrap().text(), "0");
    assert_eq!(soon(ask().into_future()).await.unwrap().text(), "0");
    assert_eq!(soon(ask().no_cache().into_future()).await.unwrap().text(), "1");
}

/// Returns a handler that sends 1,000 parts and counts them.
fn counting(sent: &Arc<AtomicUsize>) -> impl Fn(Request, Replier) -> Handling + use<> {
    let sent = Arc::clone(sent);
    move |_, reply| {
        let sent = Arc::clone(&sent);
        Box::pin(async move {
            for number in 0..1_000 {
                if reply.part(number.to_string()).await.is_err() {
                    return;
                }
                sent.fetch_add(1, Ordering::SeqCst);
            }
            reply.finish("end").await;
        })
    }
}

#[tokio::test]
async fn a_reply_is_a_stream_that_makes_its_worker_wait() {
    let broker = broker();
    let sent = Arc::new(AtomicUsize::new(0));
    let _worker = Worker::builder(broker.endpoint()).serve("count", counting(&sent)).unwrap();
    let client = client(&broker);
    let mut stream = pin!(client.request("count", "").send().await);
    for read in 0..1_000 {
        let part = soon(poll_fn(|context| stream.as_mut().poll_next(context))).await;
        assert_eq!(part.unwrap().unwrap().text(), read.to_string());
        let ahead = sent.load(Ordering::SeqCst) - read;
        assert!(ahead <= 17, "{ahead} parts were sent ahead of part {read}");
    }
    let mut next = async || soon(poll_fn(|context| stream.as_mut().poll_next(context))).await;
    assert_eq!(next().await.unwrap().unwrap().text(), "end");
    assert_eq!(next().await, None);

    // An error is the last item.
    let mut stream = pin!(client.request("nobody", "").timeout(SOON).send().await);
    let mut next = async || soon(poll_fn(|context| stream.as_mut().poll_next(context))).await;
    assert_eq!(next().await, Some(Err(RequestError::NoSuchService)));
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_dropped_reply_is_cancelled_at_its_handler_within_one_round_trip() {
    let broker = broker();
    let (tell, mut told) = mpsc::unbounded_channel();
    let long = move |_: Request, reply: Replier| {
        let tell = tell.clone();
        async move {
            tell.send(reply.cancellation()).unwrap();
            reply.cancellation().cancelled().await;
        }
    };
    let _worker = Worker::builder(broker.endpoint())
        .concurrency(2)
        .service("long", long)
        .service("echo", answer)
        .start()
        .unwrap();
    let client = client(&broker);
    let reply = client.request("long", "").timeout(None).send().await;
    let cancellation = soon(told.recv()).await.unwrap();
    // When the first request is served, the path is established, and later messages follow it in
    // order.
    soon(client.request("echo", "").into_future()).await.unwrap();
    assert!(!cancellation.is_cancelled());
    drop(reply);
    // The client's task receives the cancellation before the next request.
    tokio::task::yield_now().await;
    soon(client.request("echo", "").into_future()).await.unwrap();
    assert!(cancellation.is_cancelled(), "one round trip later it has not heard of it");
}
