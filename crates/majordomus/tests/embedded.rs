//! Tests of a broker with its clients and workers in one process, over `inproc://`.

use std::future::Future;
use std::time::Duration;

use majordomus::broker::{Config, Listen, StartError};
use majordomus::{Broker, Client, ClientBuilder, Dialect, RequestError, Worker};

/// A time limit for events, so that a missing event fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reconnect wait that is short enough to be negligible.
const SOON: Duration = Duration::from_millis(1);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

fn start(endpoint: &str) -> Broker {
    Broker::start(endpoint).expect("it starts")
}

fn client_builder(endpoint: &str) -> ClientBuilder {
    Client::builder(endpoint).reconnect(SOON, SOON).timeout(PATIENCE)
}

fn client(endpoint: &str) -> Client {
    client_builder(endpoint).connect().expect("the endpoint is right")
}

fn echo(endpoint: &str, dialect: Dialect) -> Worker {
    let builder = Worker::builder(endpoint).dialect(dialect).reconnect(SOON, SOON);
    builder.serve("echo", |request, reply| reply.finish(request.body)).expect("it is set up right")
}

async fn check_echo(client: &Client, text: &str) {
    let reply = client.request("echo", text).await.expect("there is a reply");
    assert_eq!(reply.text(), text);
}

#[tokio::test]
async fn dealers_and_clients_are_served_by_each_other() {
    let broker = start("inproc://*");
    let endpoint = broker.endpoint();
    for worker in [Dialect::Mdp02, Dialect::Gdp] {
        let serving = echo(endpoint, worker);
        for from in [Dialect::Mdp02, Dialect::Gdp] {
            let client = client_builder(endpoint).dialect(from).connect().expect("it is right");
            check_echo(&client, &format!("{from} to {worker}")).await;
        }
        soon(serving.stop()).await;
    }
    let summary = soon(broker.shutdown()).await.expect("it ran");
    assert_eq!(summary.counters.received, 4);
    assert!(summary.counters.balanced());
}

#[tokio::test]
async fn a_client_that_is_there_before_the_broker_finds_it() {
    let endpoint = "inproc://later";
    let (client, _worker) = (client(endpoint), echo(endpoint, Dialect::Mdp02));
    let asking = tokio::spawn(async move { check_echo(&client, "hello").await });
    // Meanwhile the client and the worker have both failed to connect.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    let _broker = start(endpoint);
    soon(asking).await.expect("there is a reply");
}

/// Retries until a reply arrives, because a request can be lost with the old broker.
async fn check_echo_again(client: &Client) {
    let asking = async {
        loop {
            match client.request("echo", "again").await {
                Ok(reply) => return assert_eq!(reply.text(), "again"),
                Err(error) => assert_eq!(error, RequestError::Disconnected),
            }
        }
    };
    soon(asking).await;
}

#[tokio::test]
async fn a_broker_that_ended_is_found_again_under_its_name() {
    let endpoint = "inproc://again";
    let (client, _worker) = (client(endpoint), echo(endpoint, Dialect::Mdp02));
    let broker = start(endpoint);
    check_echo(&client, "first").await;
    soon(broker.shutdown()).await.expect("it ran");
    let broker = start(endpoint);
    check_echo_again(&client).await;
    // A dropped broker releases its name before it has ended.
    drop(broker);
    let _broker = start(endpoint);
    check_echo_again(&client).await;
}

#[tokio::test]
async fn a_name_in_use_is_said_and_costs_its_broker_nothing() {
    let endpoint = "inproc://in-use";
    let _broker = start(endpoint);
    let error = Broker::start(endpoint).expect_err("it is in use");
    assert!(matches!(error, StartError::Bind(..)));
    let text = error.to_string();
    assert!(text.contains(endpoint) && text.contains("in use in this process"), "{text}");
    let _worker = echo(endpoint, Dialect::Mdp02);
    check_echo(&client(endpoint), "hello").await;
}

#[tokio::test]
async fn what_is_no_endpoint_is_said() {
    for text in ["inproc://", "inproc", "udp://127.0.0.1:1"] {
        let error = Broker::start(text).expect_err("it is none");
        assert!(matches!(error, StartError::Endpoint(_)), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(Client::connect(text).is_err());
    }
    assert!(Client::connect("inproc://*").is_err());
}

async fn check_a_hundred_at_once() {
    let broker = start("inproc://*");
    let _workers = [(); 4].map(|()| echo(broker.endpoint(), Dialect::Mdp02));
    let asking: Vec<_> = (0..100)
        .map(|number| {
            let client = client(broker.endpoint());
            tokio::spawn(async move { check_echo(&client, &number.to_string()).await })
        })
        .collect();
    for asking in asking {
        soon(asking).await.expect("there is a reply");
    }
    let summary = soon(broker.shutdown()).await.expect("it ran");
    assert_eq!(summary.counters.received, 100);
    assert!(summary.counters.balanced());
}

#[tokio::test]
async fn a_hundred_clients_at_once() {
    check_a_hundred_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_clients_at_once_from_many_threads() {
    check_a_hundred_at_once().await;
}

#[tokio::test]
async fn a_large_body_goes_there_and_back() {
    let broker = start("inproc://*");
    let _worker = echo(broker.endpoint(), Dialect::Mdp02);
    let body = vec![7; 10 << 20];
    let reply = client(broker.endpoint()).request("echo", body.clone()).await;
    assert_eq!(reply, Ok(body.into()));
}

#[tokio::test]
async fn its_numbers_are_told_while_it_runs_and_at_its_end() {
    let broker = start("inproc://*");
    assert_eq!(broker.snapshot().await.expect("it runs").accepted, 0);
    let client = client(broker.endpoint());
    let _asked = client.request("nobody", "x").send().await;
    let waiting = async {
        while broker.snapshot().await.expect("it runs").holdings.requests == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(waiting).await;
    let control = broker.control();
    std::thread::spawn(move || control.shutdown());
    soon(broker.ended()).await;
    assert!(broker.snapshot().await.is_none());
    assert!(broker.control().snapshot().is_none());
    let summary = soon(broker.wait()).await.expect("it ran");
    assert_eq!(summary.counters.received, 1);
    assert!(summary.counters.balanced());
}

#[tokio::test]
async fn it_listens_for_others_too() {
    let mut config = Config::try_from("tcp://127.0.0.1:0").expect("an endpoint");
    config.listen.push(Listen::new("inproc://near".parse().expect("an endpoint")));
    config.intch = Some("tcp://127.0.0.1:0".parse().expect("an endpoint"));
    let broker = Broker::start(config).expect("it starts");
    assert!(broker.publication().is_some());
    assert_eq!(broker.endpoints().len(), 2);
    assert_eq!(broker.endpoint(), broker.endpoints()[0].to_string());
    let _worker = echo(broker.endpoint(), Dialect::Mdp02);
    check_echo(&client("inproc://near"), "hello").await;
}

/// In a program without a runtime.
#[test]
fn a_program_without_a_runtime_has_a_broker_too() {
    let broker = start("inproc://*");
    assert!(broker.control().snapshot().is_some());
    let ending = broker.control();
    let ended = std::thread::spawn(move || ending.shutdown());
    assert!(broker.blocking_wait().expect("it ran").counters.balanced());
    ended.join().expect("it was told to");
    assert!(start("inproc://*").blocking_shutdown().is_ok());
}
