//! Tests of the worker with a scripted broker.

mod support;

use std::sync::Arc;
use std::time::Duration;

use majordomus::{
    Client, ConnectionEvent, Dialect, Frames, Replier, Request, SetupError, Worker, WorkerBuilder,
};
use majordomus_core::{ByteStr, DisconnectReason, FromWorker, Outcome, ToWorkerView, WorkerReply};
use support::{FakeBroker, Peer, Side, soon, text, token_of, token_text};
use tokio::sync::{Barrier, Semaphore, mpsc};

fn builder_for(broker: &FakeBroker, dialect: Dialect) -> WorkerBuilder {
    let wait = Duration::from_millis(1);
    Worker::builder(&broker.endpoint)
        .dialect(dialect)
        .reconnect(wait, wait)
        // An interval that is too long to interfere, unless a test sets its own.
        .heartbeat(Duration::from_secs(60))
}

fn echo(builder: WorkerBuilder) -> Worker {
    builder.serve("echo", |request, reply| reply.finish(request.body)).expect("it is set up right")
}

fn last(address: &str, body: Frames) -> FromWorker {
    FromWorker::Final(WorkerReply::new(address, body))
}

async fn check_echo(peer: &mut Peer, address: &str, body: Frames) {
    peer.send_request(address, body.clone()).await;
    assert_eq!(peer.worker_says().await, last(address, body));
}

/// A worker with a slow handler.
struct Slow {
    events: mpsc::UnboundedReceiver<&'static str>,
    go: Arc<tokio::sync::Notify>,
    worker: Worker,
}

/// Starts a worker whose handler reports its progress and waits for `go`. If `heeds_cancellation`
/// is true, the handler returns when it is cancelled.
fn slow(builder: WorkerBuilder, heeds_cancellation: bool) -> Slow {
    let (tell, events) = mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Notify::new());
    let may_go = Arc::clone(&go);
    let handler = move |request: Request, reply: Replier| {
        let (tell, may_go) = (tell.clone(), Arc::clone(&may_go));
        async move {
            tell.send("started").unwrap();
            let cancellation = reply.cancellation();
            tokio::select! {
                () = may_go.notified() => {}
                () = cancellation.cancelled() => {
                    tell.send("cancelled").unwrap();
                    if heeds_cancellation {
                        return;
                    }
                    may_go.notified().await;
                }
            }
            reply.finish(request.body).await;
            tell.send("returned").unwrap();
        }
    };
    Slow { events, go, worker: builder.serve("echo", handler).expect("it is set up right") }
}

#[tokio::test]
async fn each_dialect_echoes() {
    for dialect in Dialect::ALL {
        let broker = FakeBroker::start(dialect).await;
        let _worker = echo(builder_for(&broker, dialect));
        let mut peer = broker.accept_worker().await;
        check_echo(&mut peer, "a1", text("hello")).await;
        check_echo(&mut peer, "a2", Frames::from_slices(&["a", "", "b"])).await;
        check_echo(&mut peer, "a3", Frames::from_slices(&[vec![7; 3 * 1024 * 1024]])).await;
    }
}

#[tokio::test]
async fn a_request_says_what_it_is() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let _worker = builder_for(&broker, Dialect::Mdp02)
        .serve("echo", |request, reply| reply.finish(request.service + " " + &request.id))
        .unwrap();
    let mut peer = broker.accept_worker().await;
    peer.send_request("\0a", Frames::empty()).await;
    let said = "echo ".to_string() + &token_text("\0a");
    assert_eq!(peer.worker_says().await, last("\0a", text(&said)));
}

#[tokio::test]
async fn a_request_for_what_was_withdrawn_goes_to_no_other_handler() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let worker = builder_for(&broker, Dialect::Omdp1)
        .service("echo", |request, reply| reply.finish(request.body))
        .start()
        .unwrap();
    let mut peer = broker.accept_worker().await;
    worker.offer("delete", |_, reply| reply.finish("deleted")).unwrap();
    assert!(matches!(peer.worker_says().await, FromWorker::Ready { .. }));
    assert!(worker.withdraw("echo"));
    // The request was in transit when the service was unregistered.
    peer.send_request("a", text("hello")).await;
    let said = loop {
        match peer.worker_says().await {
            FromWorker::Withdraw { .. } => {}
            said => break said,
        }
    };
    assert!(matches!(said, FromWorker::Rejected(_)), "{said:?}");
}

#[tokio::test]
async fn all_held_requests_for_a_withdrawn_service_are_rejected() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let worker = builder_for(&broker, Dialect::Omdp1)
        .concurrency(3)
        .serve("echo", |_, reply: Replier| async move {
            reply.at_work().await;
            std::future::pending::<()>().await;
        })
        .unwrap();
    let mut peer = broker.accept_worker().await;
    for address in ["a", "b", "c"] {
        peer.send_request(address, text(address)).await;
    }
    for _ in 0..3 {
        assert!(matches!(peer.worker_says().await, FromWorker::AtWork { .. }));
    }
    drop(peer);
    // The handlers are still running, so new requests are deferred.
    let mut peer = broker.accept_worker().await;
    for address in ["d", "e", "f"] {
        peer.send_request(address, text(address)).await;
    }
    // The reply shows that the other requests have arrived.
    let token = token_of("f");
    peer.send_to_worker(ToWorkerView::Cancel { token, outcome: Outcome::Cancelled }).await;
    assert!(matches!(peer.worker_says().await, FromWorker::Failed(_)));
    assert!(worker.withdraw("echo"));
    worker.set_concurrency(5);
    let mut rejected = Vec::new();
    while rejected.len() < 2 {
        match peer.worker_says().await {
            FromWorker::Rejected(reply) => rejected.push(reply.address),
            FromWorker::Heartbeat(_) | FromWorker::Withdraw { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    rejected.sort();
    let octets = |address| ByteStr::from(&token_of(address).octets()[..]);
    assert_eq!(rejected, ["d", "e"].map(octets));
}

#[tokio::test]
async fn a_name_of_the_brokers_own_cannot_be_offered() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let reserved = || SetupError::ReservedService("mmi.x".into());
    let builder = builder_for(&broker, Dialect::Omdp1);
    let started = builder.service("mmi.x", |_, reply| reply.finish("")).start();
    assert_eq!(started.err(), Some(reserved()));
    let worker = echo(builder_for(&broker, Dialect::Omdp1));
    assert_eq!(worker.offer("mmi.x", |_, reply| reply.finish("")), Err(reserved()));
}

#[tokio::test]
async fn it_registers_again_after_a_restart_of_the_broker() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let _worker = echo(builder_for(&broker, Dialect::Mdp02));
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "a", text("hello")).await;
    let address = broker.endpoint.strip_prefix("tcp://").unwrap().to_owned();
    drop((broker, peer));
    let broker = FakeBroker::start_at(&address, Dialect::Mdp02).await;
    check_echo(&mut broker.accept_worker().await, "b", text("hello")).await;
}

#[tokio::test]
async fn it_registers_again_when_it_is_sent_away() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let worker = echo(builder_for(&broker, Dialect::Mdp02));
    let mut peer = broker.accept_worker().await;
    let mut events = worker.events();
    peer.send_to_worker(ToWorkerView::Disconnect(DisconnectReason::Unsaid)).await;
    peer.closed().await;
    let Some(ConnectionEvent::SentAway { why: DisconnectReason::Unsaid, .. }) =
        soon(events.next()).await
    else {
        panic!("it hears why")
    };
    let why = format!("sent away: {}", DisconnectReason::Unsaid);
    assert!(soon(events.next()).await.unwrap().to_string().ends_with(&why));
    check_echo(&mut broker.accept_worker().await, "a", text("hello")).await;
}

#[tokio::test]
async fn it_leaves_a_broker_that_says_garbage() {
    for dialect in [Dialect::Mdp02, Dialect::Omdp1] {
        let broker = FakeBroker::start(dialect).await;
        let mut slow = slow(builder_for(&broker, dialect), true);
        let mut peer = broker.accept_worker().await;
        peer.send_request("a", text("x")).await;
        assert_eq!(soon(slow.events.recv()).await, Some("started"));
        peer.send_garbage().await;
        assert_eq!(soon(slow.events.recv()).await, Some("cancelled"));
        let mut peer = broker.accept_worker().await;
        slow.go.notify_one();
        check_echo(&mut peer, "b", text("hello")).await;
    }
}

#[tokio::test]
async fn it_leaves_a_silent_broker() {
    for dialect in [Dialect::Mdp02, Dialect::Omdp1] {
        let mut broker = FakeBroker::start(dialect).await;
        // In OMDP/1, the broker announces its heartbeat interval.
        broker.heartbeat = Duration::from_millis(100);
        let builder = builder_for(&broker, dialect).heartbeat(broker.heartbeat);
        let _worker = echo(builder.liveness(2));
        let _silent = broker.accept_worker().await;
        broker.accept_worker().await;
    }
}

#[tokio::test]
async fn it_leaves_a_broker_that_does_not_welcome_it() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let builder = builder_for(&broker, Dialect::Omdp1).heartbeat(Duration::from_millis(100));
    let worker = echo(builder.liveness(2));
    let silent = broker.accept_unwelcome(Side::Worker).await;
    let _peer = broker.accept_worker().await;
    silent.closed().await;
    soon(worker.connected()).await;
}

#[tokio::test]
async fn it_leaves_a_broker_that_comes_back_with_another_version_until_it_speaks_ours() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let worker = echo(builder_for(&broker, Dialect::Omdp1));
    let mut peer = broker.accept_worker().await;
    check_echo(&mut peer, "a", text("hello")).await;
    drop(peer);
    let mut peer = broker.accept_unwelcome(Side::Worker).await;
    peer.welcome_to_another_version().await;
    peer.closed().await;
    assert!(!worker.is_connected());
    check_echo(&mut broker.accept_worker().await, "b", text("hello")).await;
}

#[tokio::test]
async fn it_sends_heartbeats_idle_and_busy() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let builder = builder_for(&broker, Dialect::Mdp02).heartbeat(Duration::from_millis(10));
    let mut slow = slow(builder.liveness(u32::MAX), true);
    let mut peer = broker.accept_worker().await;
    assert_eq!(peer.worker_says().await, FromWorker::HEARTBEAT);
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    for _ in 0..5 {
        assert_eq!(peer.worker_says().await, FromWorker::HEARTBEAT);
    }
    slow.go.notify_one();
    while peer.worker_says().await == FromWorker::HEARTBEAT {}
}

#[tokio::test]
async fn a_handler_that_fails_panics_or_says_nothing_fails_its_request() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let handler = async |request: Request, reply: Replier| match &*request.body.text() {
        "fail" => reply.fail("no paper").await,
        "panic" => panic!("boom {}", request.id),
        "nothing" => {}
        _ => reply.finish("served").await,
    };
    let _worker = builder_for(&broker, Dialect::Mdp02).serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    let panicked = "-1 the worker panicked: boom ".to_string() + &token_text("a");
    let cases = [
        ("fail", "-1 no paper"),
        ("panic", &panicked),
        ("nothing", "-1 the worker gave no reply"),
        ("work", "served"),
    ];
    for (request, reply) in cases {
        peer.send_request("a", text(request)).await;
        assert_eq!(peer.worker_says().await, last("a", text(reply)));
    }
}

#[tokio::test]
async fn among_several_the_one_that_panics_fails() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let go = Arc::new(Semaphore::new(0));
    let may_go = Arc::clone(&go);
    let handler = move |request: Request, reply: Replier| {
        let may_go = Arc::clone(&may_go);
        async move {
            assert_ne!(request.body.text(), "boom");
            may_go.acquire().await.unwrap().forget();
            reply.finish(request.body).await;
        }
    };
    let builder = builder_for(&broker, Dialect::Omdp1).concurrency(3);
    let _worker = builder.serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    for (address, body) in [("a", "1"), ("b", "boom"), ("c", "2")] {
        peer.send_request(address, text(body)).await;
    }
    let FromWorker::Failed(failed) = peer.worker_says().await else { panic!() };
    assert_eq!(failed.address, "b".into());
    for (address, body) in [("a", "1"), ("c", "2")] {
        go.add_permits(1);
        assert_eq!(peer.worker_says().await, last(address, text(body)));
    }
}

#[tokio::test]
async fn parts_go_out_as_they_come_where_the_dialect_has_them() {
    for dialect in Dialect::ALL {
        let broker = FakeBroker::start(dialect).await;
        let handler = async |_, reply: Replier| {
            reply.part("a").await.unwrap();
            reply.part("b").await.unwrap();
            reply.finish("c").await;
        };
        let _worker = builder_for(&broker, dialect).serve("echo", handler).unwrap();
        let mut peer = broker.accept_worker().await;
        peer.send_request("x", Frames::empty()).await;
        if matches!(dialect, Dialect::Mdp01 | Dialect::Gdp | Dialect::Libmdp) {
            let whole = Frames::from_slices(&["a", "b", "c"]);
            assert_eq!(peer.worker_says().await, last("x", whole));
            continue;
        }
        for part in ["a", "b"] {
            let FromWorker::Partial(reply) = peer.worker_says().await else { panic!() };
            assert_eq!((reply.address, reply.body), ("x".into(), text(part)));
        }
        assert_eq!(peer.worker_says().await, last("x", text("c")));
    }
}

#[tokio::test]
async fn a_reply_that_is_too_large_fails_and_keeps_the_connection() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let builder = builder_for(&broker, Dialect::Mdp02).message_bytes_max(10_000);
    let handler = |_, reply: Replier| reply.finish(vec![7; 10_000]);
    let _worker = builder.serve("echo", handler).unwrap();
    let mut peer = broker.accept_worker().await;
    for address in ["a", "b"] {
        peer.send_request(address, Frames::empty()).await;
        assert_eq!(peer.worker_says().await, last(address, text("-1 the reply is too large")));
    }
}

#[tokio::test]
async fn a_lost_connection_cancels_the_handler() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let mut slow = slow(builder_for(&broker, Dialect::Mdp02), true);
    let mut peer = broker.accept_worker().await;
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    drop(peer);
    assert_eq!(soon(slow.events.recv()).await, Some("cancelled"));
    broker.accept_worker().await;
}

#[tokio::test]
async fn it_registers_again_only_when_its_handler_has_returned() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let mut slow = slow(builder_for(&broker, Dialect::Mdp02), false);
    let mut peer = broker.accept_worker().await;
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    drop(peer);
    assert_eq!(soon(slow.events.recv()).await, Some("cancelled"));
    slow.go.notify_one();
    let first = tokio::select! {
        biased;
        event = slow.events.recv() => event,
        _ = broker.accept_worker() => Some("registered"),
    };
    assert_eq!(first, Some("returned"));
    // The late reply was dropped: the worker's next message is its reply to a new request.
    let mut peer = broker.accept_worker().await;
    peer.send_request("b", text("y")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    slow.go.notify_one();
    assert_eq!(peer.worker_says().await, last("b", text("y")));
}

#[tokio::test]
async fn stopped_it_cancels_and_leaves() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let mut slow = slow(builder_for(&broker, Dialect::Mdp02), true);
    let mut peer = broker.accept_worker().await;
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    soon(slow.worker.stop()).await;
    assert_eq!(soon(slow.events.recv()).await, Some("cancelled"));
    assert_eq!(peer.worker_says().await, FromWorker::Disconnect);
    peer.closed().await;
    soon(slow.worker.ended()).await;
}

#[tokio::test]
async fn stopped_it_drops_a_handler_that_does_not_return() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let mut slow = slow(builder_for(&broker, Dialect::Mdp02), false);
    let mut peer = broker.accept_worker().await;
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    soon(slow.worker.stop()).await;
    assert_eq!(soon(slow.events.recv()).await, Some("cancelled"));
    assert_eq!(soon(slow.events.recv()).await, None);
}

#[tokio::test]
async fn drained_it_finishes_first() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let mut slow = slow(builder_for(&broker, Dialect::Mdp02), true);
    let mut peer = broker.accept_worker().await;
    peer.send_request("a", text("x")).await;
    assert_eq!(soon(slow.events.recv()).await, Some("started"));
    let go = Arc::clone(&slow.go);
    let finish = async {
        go.notify_one();
        assert_eq!(peer.worker_says().await, last("a", text("x")));
        assert_eq!(peer.worker_says().await, FromWorker::Disconnect);
        peer.closed().await;
    };
    // `join` polls its futures in order, so the drain starts before the handler continues.
    soon(async { tokio::join!(slow.worker.drain(), finish) }).await;
    assert_eq!(soon(slow.events.recv()).await, Some("returned"));
}

#[tokio::test]
async fn dropped_it_leaves() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let worker = echo(builder_for(&broker, Dialect::Mdp02));
    let mut peer = broker.accept_worker().await;
    drop(worker);
    assert_eq!(peer.worker_says().await, FromWorker::Disconnect);
    peer.closed().await;
}

#[tokio::test]
async fn its_concurrency_is_a_number_of_connections() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let together = Arc::new(Barrier::new(3));
    let handler = move |request: Request, reply: Replier| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            reply.finish(request.body).await;
        }
    };
    let builder = builder_for(&broker, Dialect::Mdp02).concurrency(3);
    let worker = builder.serve("echo", handler).unwrap();
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(broker.accept_worker().await);
    }
    for peer in &mut peers {
        peer.send_request("a", text("x")).await;
    }
    for peer in &mut peers {
        assert_eq!(peer.worker_says().await, last("a", text("x")));
    }
    soon(worker.stop()).await;
    for peer in &mut peers {
        assert_eq!(peer.worker_says().await, FromWorker::Disconnect);
    }
}

#[tokio::test]
async fn it_is_connected_as_long_as_one_of_its_connections_is() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let worker = echo(builder_for(&broker, Dialect::Mdp02).concurrency(2));
    let mut events = worker.events();
    let mut peers = [broker.accept_worker().await, broker.accept_worker().await];
    assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Connected { .. })));
    worker.set_concurrency(1);
    // One connection disconnects, and the other stays.
    let (first, second) = peers.split_at_mut(1);
    let left = tokio::select! {
        said = first[0].worker_says() => (0, said),
        said = second[0].worker_says() => (1, said),
    };
    assert_eq!(left.1, FromWorker::Disconnect);
    let [first, second] = peers;
    let (leaving, mut staying) = if left.0 == 0 { (first, second) } else { (second, first) };
    leaving.closed().await;
    check_echo(&mut staying, "a", text("hello")).await;
    assert!(worker.is_connected());
    drop((broker, staying));
    let Some(ConnectionEvent::Disconnected { why, .. }) = soon(events.next()).await else {
        panic!("the broker has gone")
    };
    assert_ne!(why, "the worker leaves", "nobody hears of one that left as long as another stays");
    assert!(!worker.is_connected());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let handler = |request: Request, reply: Replier| reply.finish(request.body);
    let builder = || Worker::builder("ipc:///nowhere");
    let endpoint = Worker::builder("nowhere").serve("echo", handler);
    assert!(matches!(endpoint, Err(SetupError::Endpoint(_))));
    let service = builder().serve("a\nb", handler).unwrap_err();
    assert!(matches!(service, SetupError::Service { .. }));
    assert!(service.to_string().starts_with(r#"a worker cannot offer the service "a\nb": "#));
    let heartbeat = builder().heartbeat(Duration::ZERO).serve("echo", handler);
    assert!(matches!(heartbeat, Err(SetupError::NoHeartbeatInterval)));
    let liveness = builder().liveness(0).serve("echo", handler);
    assert!(matches!(liveness, Err(SetupError::NoLiveness)));
    let concurrency = builder().concurrency(0).serve("echo", handler);
    assert!(matches!(concurrency, Err(SetupError::NoConcurrency)));
    let nothing = builder().message_bytes_max(0).serve("echo", handler);
    assert!(matches!(nothing, Err(SetupError::NoMessageBytes)));
    let nothing = Client::builder("ipc:///nowhere").message_bytes_max(0).connect();
    assert!(matches!(nothing, Err(SetupError::NoMessageBytes)));
}

#[tokio::test]
async fn who_has_left_offers_nothing_more() {
    let handler = |request: Request, reply: Replier| reply.finish(request.body);
    let worker = Worker::builder("ipc:///nowhere").serve("echo", handler).unwrap();
    soon(worker.drain()).await;
    assert_eq!(worker.offer("more", handler), Err(SetupError::Leaves));
}

/// The routing id of a connection is its worker's name, its service and a number, with at most 255
/// bytes.
#[tokio::test]
async fn a_name_and_a_service_too_long_together_are_refused() {
    let handler = |request: Request, reply: Replier| reply.finish(request.body);
    let (name, service) = ("n".repeat(200), "s".repeat(60));
    let named = |dialect| Worker::builder("ipc:///nowhere").dialect(dialect).name(&name);
    let too_long = named(Dialect::Mdp02).serve(&service, handler);
    assert!(matches!(too_long, Err(SetupError::NameWithService { .. })), "{too_long:?}");
    let worker = named(Dialect::Mdp02).serve("echo", handler).unwrap();
    let too_long = worker.offer(&service, handler);
    assert!(matches!(too_long, Err(SetupError::NameWithService { .. })), "{too_long:?}");
    assert!(named(Dialect::Omdp1).serve(&service, handler).is_ok());
}

/// Brokers distinguish PIGATO and zmq-omdp by the routing ids.
#[tokio::test]
async fn a_name_that_would_tell_another_dialect_is_refused() {
    let handler = |request: Request, reply: Replier| reply.finish(request.body);
    for (dialect, name, fits) in [
        (Dialect::Pigato, "stock", true),
        (Dialect::Pigato, "W-stock", false),
        (Dialect::Omdp, "stock", false),
        (Dialect::Omdp, "W-stock", false),
        (Dialect::Mdp02, "W-stock", true),
    ] {
        let builder = Worker::builder("ipc:///nowhere").dialect(dialect).name(name);
        let worker = builder.serve("echo", handler);
        assert_eq!(worker.is_ok(), fits, "{name} in {dialect}: {worker:?}");
    }
}
