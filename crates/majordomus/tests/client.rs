//! Tests of the client with a scripted broker.

mod support;

use std::time::Duration;

use majordomus::{
    Body, Client, ClientBuilder, ConnectionEvent, Dialect, Progress, RequestBuilder, RequestError,
    RequestOption, Retriable, Retry,
};
use majordomus_core::{
    DisconnectReason, Frames, FromClient, Notice, Outcome, Reply, Timeout, ToClient,
};
use support::{FakeBroker, Peer, Side, soon, text};
use tokio::sync::mpsc;

/// A time that is longer than any test.
const MINUTE: Duration = Duration::from_secs(60);

fn client_of(broker: &FakeBroker, dialect: Dialect) -> Client {
    let wait = Duration::from_millis(1);
    let builder = Client::builder(&broker.endpoint).dialect(dialect).reconnect(wait, wait);
    builder.connect().expect("the endpoint is right")
}

/// Starts a broker and a client. Returns both, and the broker's side of their connection.
async fn connected() -> (FakeBroker, Client, Peer) {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let client = client_of(&broker, Dialect::Mdp02);
    let peer = broker.accept_client().await;
    (broker, client, peer)
}

/// Echoes one request.
async fn echo(peer: &mut Peer) {
    let body = peer.request().await;
    peer.send_final(body).await;
}

/// Sends `body` in a request, echoes it as the broker, and checks the reply.
async fn check_echo(client: &Client, peer: &mut Peer, body: impl Into<Body>) {
    let body = body.into();
    let (reply, ()) = tokio::join!(client.request("echo", body.clone()), echo(peer));
    assert_eq!(reply, Ok(body));
}

#[tokio::test]
async fn each_dialect_echoes() {
    for dialect in Dialect::ALL {
        let broker = FakeBroker::start(dialect).await;
        let client = client_of(&broker, dialect);
        let mut peer = broker.accept_client().await;
        let bodies =
            [Body::from("hello"), Body::from_frames(["a", "", "b"]), vec![7; 3 << 20].into()];
        for body in bodies {
            check_echo(&client, &mut peer, body).await;
            if dialect == Dialect::Libmdp {
                // A further reply to this request must not be taken for a reply to the next one.
                peer.closed().await;
                peer = broker.accept_client().await;
            }
        }
    }
}

#[tokio::test]
async fn a_reply_of_libmdp_has_as_many_reports_as_it_was_asked_for() {
    let broker = FakeBroker::start(Dialect::Libmdp).await;
    let client = client_of(&broker, Dialect::Libmdp);
    let mut peer = broker.accept_client().await;
    let mut reply = client.request("echo", "x").reports(2).send().await;
    peer.request().await;
    for report in ["one", "two", "three"] {
        peer.send_final(text(report)).await;
    }
    for report in ["one", "two"] {
        assert_eq!(soon(reply.next()).await, Some(Ok(Body::from(report))));
    }
    assert_eq!(soon(reply.next()).await, None);
    // The third report is not taken for a reply to the next request.
    peer.closed().await;
    let mut peer = broker.accept_client().await;
    check_echo(&client, &mut peer, "hello").await;
    // A NAK ends the reply.
    peer.closed().await;
    let mut peer = broker.accept_client().await;
    let reply = client.request("echo", "x").reports(2).send().await;
    peer.request().await;
    let refused = Reply::new("echo", text("no"));
    let refused = ToClient::Failed(Outcome::NoSuchService, refused);
    peer.send_to_client(refused).await;
    let error = RequestError::Remote { code: 0, why: "no".into() };
    assert_eq!(soon(reply.whole()).await, Err(error));
    check_echo(&client, &mut peer, "hello").await;
}

#[tokio::test]
async fn ipc_echoes() {
    let path = std::env::temp_dir().join(format!("majordomus-client-{}", std::process::id()));
    let broker = FakeBroker::start_ipc(&path, Dialect::Mdp02);
    let client = client_of(&broker, Dialect::Mdp02);
    let mut peer = broker.accept_client().await;
    std::fs::remove_file(&path).expect("the socket's file is there");
    check_echo(&client, &mut peer, "hello").await;
}

#[tokio::test]
async fn requests_wait_for_the_broker_and_for_each_other() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let client = client_of(&broker, Dialect::Mdp02);
    let first = client.request("echo", "1").send().await;
    let second = client.request("echo", "2").send().await;
    let mut peer = broker.accept_client().await;
    echo(&mut peer).await;
    echo(&mut peer).await;
    assert_eq!(soon(second.whole()).await, Ok(Body::from("2")));
    assert_eq!(soon(first.whole()).await, Ok(Body::from("1")));
}

#[tokio::test]
async fn parts_come_as_they_are_sent() {
    let (_broker, client, mut peer) = connected().await;
    let mut reply = client.request("echo", "x").send().await;
    peer.request().await;
    for part in ["a", "b"] {
        peer.send_part(text(part)).await;
        assert_eq!(soon(reply.next()).await, Some(Ok(Body::from(part))));
    }
    peer.send_final(Frames::from_slices(&["c", "d"])).await;
    assert_eq!(soon(reply.next()).await, Some(Ok(Body::from_frames(["c", "d"]))));
    assert_eq!(soon(reply.next()).await, None);
}

#[tokio::test]
async fn a_whole_reply_has_the_frames_of_all_parts() {
    let (_broker, client, mut peer) = connected().await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    peer.send_part(text("a")).await;
    peer.send_part(text("b")).await;
    peer.send_final(text("c")).await;
    assert_eq!(soon(reply.whole()).await, Ok(Body::from_frames(["a", "b", "c"])));
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let (_broker, client, mut peer) = connected().await;
    // More data than the sockets can buffer, so that the broker must wait for the reader.
    let part = |number: u32| number.to_be_bytes().repeat(4096);
    let mut reply = client.request("echo", "x").send().await;
    peer.request().await;
    let write = async {
        for number in 0..2000 {
            peer.send_part(Frames::from_slices(&[part(number)])).await;
        }
        peer.send_final(text("end")).await;
    };
    let read = async {
        for number in 0..2000 {
            assert_eq!(soon(reply.next()).await, Some(Ok(Body::from(part(number)))));
        }
        assert_eq!(soon(reply.next()).await, Some(Ok(Body::from("end"))));
    };
    tokio::join!(write, read);
    check_echo(&client, &mut peer, "hello").await;
}

#[tokio::test]
async fn a_late_reply_is_not_taken_for_the_next_ones() {
    let (broker, client, mut peer) = connected().await;
    let late = client.request("echo", "late").timeout(Duration::from_millis(50)).send().await;
    assert_eq!(peer.request().await, text("late"));
    assert_eq!(soon(late.whole()).await, Err(RequestError::Expired));
    let next = client.request("echo", "next").send().await;
    peer.send_final(text("late")).await;
    let mut new_peer = broker.accept_client().await;
    echo(&mut new_peer).await;
    assert_eq!(soon(next.whole()).await, Ok(Body::from("next")));
    peer.closed().await;
}

#[tokio::test]
async fn a_dropped_reply_gives_the_request_up() {
    let (broker, client, mut peer) = connected().await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    drop(reply);
    peer.closed().await;
    check_echo(&client, &mut broker.accept_client().await, "hello").await;
}

#[tokio::test]
async fn a_reader_that_leaves_with_parts_unread_blocks_nobody() {
    let (broker, client, mut peer) = connected().await;
    let mut reply = client.request("echo", "x").send().await;
    peer.request().await;
    for _ in 0..100 {
        peer.send_part(text("x")).await;
    }
    peer.send_final(text("end")).await;
    assert!(soon(reply.next()).await.is_some());
    drop(reply);
    check_echo(&client, &mut broker.accept_client().await, "hello").await;
}

#[tokio::test]
async fn what_runs_when_the_broker_goes_fails_and_the_next_goes_to_its_successor() {
    let (broker, client, mut peer) = connected().await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    drop(peer);
    assert_eq!(soon(reply.whole()).await, Err(RequestError::Disconnected));
    check_echo(&client, &mut broker.accept_client().await, "hello").await;
}

#[tokio::test]
async fn a_broker_that_answers_garbage_is_left() {
    let (broker, client, mut peer) = connected().await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    peer.send_garbage().await;
    assert_eq!(soon(reply.whole()).await, Err(RequestError::Disconnected));
    check_echo(&client, &mut broker.accept_client().await, "hello").await;
}

#[tokio::test]
async fn an_error_reply_is_an_error_where_it_is_asked_for() {
    let (_broker, client, mut peer) = connected().await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    peer.send_final(text("-1 no paper")).await;
    let error = RequestError::Remote { code: 0, why: "no paper".into() };
    assert_eq!(soon(reply.whole()).await, Err(error));

    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let client = Client::builder(&broker.endpoint)
        .dialect(Dialect::Mdp02)
        .error_replies(false)
        .connect()
        .unwrap();
    check_echo(&client, &mut broker.accept_client().await, "-1 degrees").await;
}

#[tokio::test]
async fn what_cannot_be_sent_says_so() {
    let broker = FakeBroker::start(Dialect::Mdp02).await;
    let builder = Client::builder(&broker.endpoint)
        .dialect(Dialect::Mdp02)
        .message_bytes_max(1000)
        .max_queued(1, 1000);
    let client = builder.connect().unwrap();
    for service in ["", "a\nb", &"x".repeat(256)] {
        let reply = soon(client.request(service, "x").into_future()).await;
        let Err(error @ RequestError::BadService { .. }) = reply else { panic!("{reply:?}") };
        let named = format!("no service can be called {service:?}: ");
        assert!(error.to_string().starts_with(&named), "{error}");
    }
    for body in [Body::from("x".repeat(1000)), Body::from_frames([""; 1024])] {
        let reply = soon(client.request("echo", body).into_future()).await;
        assert_eq!(reply, Err(RequestError::TooLarge));
    }
    // No connection has been accepted: the first request is queued, and the queue has no capacity
    // for another.
    let _waits = client.request("echo", "1").send().await;
    let refused = client.request("echo", "2").await;
    assert_eq!(refused, Err(RequestError::Refused));
}

#[tokio::test]
async fn the_connection_ends_with_the_last_handle_and_reply() {
    let (_broker, client, mut peer) = connected().await;
    let reply = client.clone().request("echo", "x").send().await;
    drop(client);
    echo(&mut peer).await;
    assert_eq!(soon(reply.whole()).await, Ok(Body::from("x")));
    peer.closed().await;
}

/// Starts a broker and a client that use OMDP/1. Returns both, and the broker's side of their
/// connection.
async fn greeted(
    builder: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (FakeBroker, Client, Peer) {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let wait = Duration::from_millis(1);
    let client =
        builder(Client::builder(&broker.endpoint).reconnect(wait, wait)).connect().unwrap();
    let peer = broker.accept_client().await;
    (broker, client, peer)
}

/// Section 7: a client does not retry after code 400, nor after an unknown later code of the same
/// class.
#[tokio::test]
async fn a_request_that_is_not_taken_is_not_made_again() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    for code in [400, 451] {
        let request = client.request("echo", "x").retry(Retry::default());
        let reply = request.send().await;
        peer.request().await;
        peer.send_failed(Outcome::Refused, code, text("B_BUSY")).await;
        let error = soon(reply.whole()).await.unwrap_err();
        assert_eq!(error, RequestError::NotTaken { code, why: Box::new("B_BUSY".into()) });
        assert_eq!(error.retriable(), Retriable::Never);
        assert_eq!(error.to_string(), format!("the broker did not take it: B_BUSY ({code})"));
    }
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    peer.send_failed(Outcome::Refused, 429, text("B_BUSY")).await;
    assert_eq!(soon(reply.whole()).await, Err(RequestError::Refused));
}

#[tokio::test]
async fn the_broker_s_own_errors_are_known_where_there_are_no_codes_and_made_again() {
    for dialect in [Dialect::Mdp02, Dialect::Pigato, Dialect::Omdp] {
        let broker = FakeBroker::start(dialect).await;
        let client = client_of(&broker, dialect);
        let mut peer = broker.accept_client().await;
        let retry = Retry::times(1).backoff(Duration::ZERO, Duration::ZERO);
        for (word, again) in [("B_WORKER_LOST", true), ("B_NO_SERVICE", true), ("no", false)] {
            let reply = client.request("echo", "x").retry(retry).send().await;
            peer.request().await;
            match dialect {
                Dialect::Mdp02 => peer.send_final(text(&format!("-1 {word}"))).await,
                _ => peer.send_failed(Outcome::Failed, 0, text(word)).await,
            }
            if again {
                echo(&mut peer).await;
                assert_eq!(soon(reply.whole()).await, Ok("x".into()), "{word} in {dialect}");
            } else {
                let error = RequestError::Remote { code: 0, why: word.into() };
                assert_eq!(soon(reply.whole()).await, Err(error), "{dialect}");
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_asked_and_then_left() {
    let beat = Duration::from_millis(20);
    let (broker, client, mut peer) = greeted(|it| it.heartbeat(beat).liveness(2)).await;
    let mut events = client.events();
    let reply = client.request("echo", "x").timeout(None).send().await;
    peer.request().await;
    assert_eq!(peer.client_says().await, FromClient::Heartbeat);
    assert!(matches!(peer.client_says().await, FromClient::RequestKeepAlive { .. }));
    assert_eq!(soon(reply.whole()).await, Err(RequestError::Disconnected));
    // The client was connected before that.
    while !soon(events.next()).await.unwrap().to_string().contains("not connected") {}
    // The client reconnects automatically.
    let mut peer = broker.accept_client().await;
    check_echo(&client, &mut peer, "y").await;
}

#[tokio::test]
async fn a_broker_that_answers_is_stayed_with_however_long_it_takes() {
    let beat = Duration::from_millis(20);
    let (_broker, client, mut peer) = greeted(|it| it.heartbeat(beat).liveness(25)).await;
    let reply = client.request("echo", "x").timeout(None).send().await;
    let body = peer.request().await;
    // The number of heartbeats and keep-alives takes longer than the broker may be silent.
    for _ in 0..2 * 30 {
        match peer.client_says().await {
            FromClient::Heartbeat => peer.send_to_client(ToClient::Heartbeat).await,
            FromClient::RequestKeepAlive { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    peer.send_final(body).await;
    assert_eq!(soon(reply.whole()).await, Ok(Body::from("x")));
}

/// Regression test: each attempt had the full time limit, and reported its progress as a first
/// attempt.
#[tokio::test]
async fn all_attempts_share_the_time_of_the_request_and_what_is_told_of_it() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    let (tell, mut told) = mpsc::channel(8);
    let (pause, minute) = (Duration::from_millis(20), Duration::from_secs(60));
    let retry = Retry::times(2).backoff(pause, pause);
    let request = client.request("echo", "x").timeout(minute).retry(retry).progress(tell);
    let reply = request.send().await;
    let mut before = minute + Duration::from_millis(1);
    for attempt in 0..3 {
        let request = peer.asked().await;
        let Timeout::After(left) = request.timeout else { panic!("{:?}", request.timeout) };
        assert!(left < before, "{left:?} after {before:?}");
        // At most half of a wait is skipped.
        before = left - pause / 2 + Duration::from_millis(2);
        let notice = ToClient::Notice { id: request.id, notice: Notice::Dispatched };
        peer.send_to_client(notice).await;
        let progress = if attempt == 0 { Progress::Dispatched } else { Progress::Redelivered };
        assert_eq!(soon(told.recv()).await, Some(progress));
        peer.send_failed(Outcome::WorkerLost, 502, text("B_WORKER_LOST")).await;
    }
    assert_eq!(soon(reply.whole()).await, Err(RequestError::WorkerLost));
}

#[tokio::test]
async fn a_wait_longer_than_the_request_has_is_not_waited_for() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
    let retry = Retry::times(9).backoff(hour, hour);
    for request in [
        client.request("echo", "x").timeout(second),
        client.request("echo", "x").timeout(None).deadline(second),
    ] {
        let reply = request.retry(retry).send().await;
        peer.request().await;
        peer.send_failed(Outcome::WorkerLost, 502, text("B_WORKER_LOST")).await;
        assert_eq!(soon(reply.whole()).await, Err(RequestError::WorkerLost));
    }
}

#[tokio::test]
async fn garbage_of_a_broker_costs_the_connection_and_what_was_with_it() {
    let (broker, client, mut peer) = greeted(|it| it).await;
    let reply = client.request("echo", "x").send().await;
    peer.request().await;
    peer.send_garbage().await;
    assert_eq!(soon(reply.whole()).await, Err(RequestError::Disconnected));
    let mut peer = broker.accept_client().await;
    check_echo(&client, &mut peer, "y").await;
}

/// Section 4: a client reconnects after 409 only after a minute, and after 403 and 505 never.
#[tokio::test]
async fn a_broker_that_does_not_want_us_is_not_asked_and_nothing_waits_for_it() {
    for why in [
        DisconnectReason::NoCommonVersion,
        DisconnectReason::Forbidden,
        DisconnectReason::IdentityInUse,
    ] {
        let broker = FakeBroker::start(Dialect::Omdp1).await;
        let wait = Duration::from_millis(1);
        let client = Client::builder(&broker.endpoint).reconnect(wait, wait).connect().unwrap();
        let mut events = client.events();
        let waits = client.request("echo", "x").timeout(None).send().await;
        let mut peer = broker.accept_unwelcome(Side::Client).await;
        peer.send_away(why).await;
        peer.closed().await;
        assert_eq!(soon(waits.whole()).await, Err(RequestError::SentAway(why)));
        let event = soon(events.next()).await.unwrap();
        assert!(matches!(event, ConnectionEvent::SentAway { why: said, .. } if said == why));
        let later = client.request("echo", "x").timeout(None).retry(Retry::default());
        assert_eq!(soon(later.into_future()).await, Err(RequestError::SentAway(why)));
    }
}

#[tokio::test]
async fn where_no_broker_of_several_wants_us_nothing_waits_for_one() {
    let brokers =
        [FakeBroker::start(Dialect::Omdp1).await, FakeBroker::start(Dialect::Omdp1).await];
    let client = Client::connect(brokers.each_ref().map(|broker| &*broker.endpoint)).unwrap();
    let waits = client.request("echo", "x").timeout(None).send().await;
    let mut first = brokers[0].accept_unwelcome(Side::Client).await;
    first.send_away(DisconnectReason::NoCommonVersion).await;
    first.closed().await;
    // The other broker may still accept the request.
    let mut second = brokers[1].accept_client().await;
    echo(&mut second).await;
    assert_eq!(soon(waits.whole()).await, Ok(Body::from("x")));
    second.send_away(DisconnectReason::IdentityInUse).await;
    second.closed().await;
    for _ in 0..2 {
        let later = client.request("echo", "x").timeout(None);
        let why = RequestError::SentAway(DisconnectReason::NoCommonVersion);
        assert_eq!(soon(later.into_future()).await, Err(why));
    }
}

#[tokio::test]
async fn who_finds_no_broker_hears_why_now_and_then() {
    let wait = Duration::from_millis(1);
    let client = Client::builder("ipc:///nowhere/majordomus").reconnect(wait, wait);
    let client = client.connect().unwrap();
    let mut events = client.events();
    for nth in [1, 2, 4, 8] {
        let Some(ConnectionEvent::Failed { row, why, .. }) = soon(events.next()).await else {
            panic!("nothing else happens")
        };
        assert_eq!(row, nth);
        assert!(why.contains("No such file"), "{why}");
    }
    drop(client);
    let mut left = 0;
    while soon(events.next()).await.is_some() {
        left += 1;
    }
    assert!(left < 8, "what fails again and again is not told each time");
}

#[tokio::test]
async fn a_broker_that_comes_back_with_another_version_is_not_asked_until_it_speaks_ours() {
    let (broker, client, mut peer) = greeted(|it| it).await;
    check_echo(&client, &mut peer, "before").await;
    let with_it = client.request("echo", "with it").send().await;
    peer.request().await;
    drop(peer);
    assert_eq!(soon(with_it.whole()).await, Err(RequestError::Disconnected));
    let waits = client.request("echo", "waits").send().await;
    let mut peer = broker.accept_unwelcome(Side::Client).await;
    peer.welcome_to_another_version().await;
    peer.closed().await;
    assert!(!client.is_connected());
    let expires = client.request("echo", "x").timeout(Duration::from_millis(1));
    assert_eq!(soon(expires.into_future()).await, Err(RequestError::Expired));
    echo(&mut broker.accept_client().await).await;
    assert_eq!(soon(waits.whole()).await, Ok(Body::from("waits")));
}

#[tokio::test]
async fn a_request_larger_than_the_broker_takes_is_refused_here_and_the_rest_goes_on() {
    let broker = FakeBroker::start(Dialect::Omdp1).await;
    let client = Client::connect(&broker.endpoint).unwrap();
    let mut peer = broker.accept_client_of(2_000).await;
    let large = client.request("echo", vec![0; 2_000]);
    assert_eq!(soon(large.into_future()).await, Err(RequestError::TooLarge));
    check_echo(&client, &mut peer, "y").await;
}

#[tokio::test]
async fn parts_beyond_its_credit_are_taken_however_slowly() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    let mut reply = client.request("count", "x").send().await;
    let FromClient::Request(request) = peer.client_says().await else { panic!("no request") };
    assert_eq!(request.credit, 16);
    let part = |text: String| {
        let id = request.id.clone();
        Reply { id, ..Reply::new("count", Frames::from_slices(&[text])) }
    };
    let sending = async {
        for number in 0..1_000 {
            peer.send_to_client(ToClient::Partial(part(number.to_string()))).await;
        }
        peer.send_to_client(ToClient::Final(part("end".into()))).await;
    };
    let reading = async { soon(reply.parts()).await };
    let (parts, ()) = tokio::join!(reading, sending);
    let parts = parts.unwrap();
    assert_eq!(parts.len(), 1_001);
    assert!(parts[..1_000].iter().enumerate().all(|(at, part)| part.text() == at.to_string()));
}

#[tokio::test]
async fn a_reply_that_might_be_asked_for_again_comes_no_further_ahead_of_its_reader() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    let mut reply = client.request("echo", "x").retry(Retry::times(1)).send().await;
    peer.request().await;
    for number in 0..16 {
        peer.send_part(text(&number.to_string())).await;
    }
    assert_eq!(soon(reply.next()).await.unwrap().unwrap().text(), "0");
    // A client that had also taken the other parts would have sent credit by now.
    let _other = client.request("echo", "y").send().await;
    let said = peer.client_says().await;
    assert!(matches!(said, FromClient::Request(_)), "{said:?}");
}

#[tokio::test]
async fn who_wants_a_worker_at_once_does_not_wait_for_ever_for_one_of_several_brokers() {
    let nowhere = ["ipc:///nowhere/one", "ipc:///nowhere/two"];
    let beat = Duration::from_millis(10);
    let client = Client::builder(nowhere).heartbeat(beat).liveness(2).connect().unwrap();
    let request = client.request("echo", "x").timeout(Duration::ZERO);
    assert_eq!(soon(request.into_future()).await, Err(RequestError::Expired));
}

/// Runs `asking` while the broker accepts one client and echoes its request.
async fn answered<T>(broker: &FakeBroker, asking: impl Future<Output = T>) -> T {
    let answering = async {
        let mut peer = broker.accept_client().await;
        echo(&mut peer).await;
        peer
    };
    tokio::join!(asking, answering).0
}

/// Creates a request with this option.
fn saying(client: &Client, option: RequestOption) -> RequestBuilder {
    let request = client.request("echo", "x");
    match option {
        RequestOption::AtOnce => request.timeout(Duration::ZERO),
        RequestOption::Silence => request.silence(MINUTE),
        RequestOption::Priority => request.priority(9),
        RequestOption::Repeatable => request.repeatable(),
        RequestOption::Target => request.target("W1"),
        RequestOption::NoCache => request.no_cache(),
        RequestOption::Header => request.header("lang", "en").unwrap(),
    }
}

#[tokio::test]
async fn what_a_dialect_has_no_words_for_is_refused_and_the_rest_is_asked() {
    for dialect in Dialect::ALL {
        for option in RequestOption::ALL {
            let broker = FakeBroker::start(dialect).await;
            let client = client_of(&broker, dialect);
            let asking = saying(&client, option).into_future();
            let reply = if option.is_in(dialect) {
                soon(answered(&broker, asking)).await
            } else {
                // No connection has been accepted: the client does not even wait for one.
                soon(asking).await
            };
            let expected = match option.is_in(dialect) {
                true => Ok("x".into()),
                false => Err(RequestError::UnsupportedOption { option, dialect }),
            };
            assert_eq!(reply.map(|reply| reply.text().into_owned()), expected, "{option}");
        }
    }
    let (option, dialect) = (RequestOption::Target, Dialect::Mdp02);
    let error = RequestError::UnsupportedOption { option, dialect };
    assert_eq!(error.to_string(), "target cannot be said in mdp02, only in omdp1, pigato, omdp");
}

#[tokio::test]
async fn what_asks_nothing_of_the_broker_can_be_said_in_each_dialect() {
    for dialect in Dialect::ALL {
        let broker = FakeBroker::start(dialect).await;
        let client = client_of(&broker, dialect);
        let (tell, _told) = mpsc::channel(8);
        // A body that was received with headers can be forwarded.
        let body = Body::from("x").with_header("lang", "en").unwrap();
        let request = client.request("echo", body).retry(Retry::times(1)).deadline(MINUTE);
        let asking = request.progress(tell).reports(1).into_future();
        let reply = soon(answered(&broker, asking)).await;
        assert_eq!(reply.expect("it is echoed").text(), "x", "{dialect}");
    }
}

#[tokio::test]
async fn who_is_sent_away_hears_why() {
    let (_broker, client, mut peer) = greeted(|it| it).await;
    soon(client.connected()).await;
    let mut events = client.events();
    peer.send_to_client(ToClient::Disconnect(DisconnectReason::ShutDown)).await;
    let Some(ConnectionEvent::SentAway { why, .. }) = soon(events.next()).await else {
        panic!("it is told why")
    };
    assert_eq!(why, DisconnectReason::ShutDown);
    let why = format!("sent away: {}", DisconnectReason::ShutDown);
    assert!(soon(events.next()).await.unwrap().to_string().ends_with(&why));
}

#[tokio::test]
async fn a_thousand_parts_that_nobody_reads_and_nobody_asked_for_hold_up_nobody_for_ever() {
    let beat = Duration::from_millis(200);
    let (broker, client, mut peer) = greeted(|it| it.heartbeat(beat).liveness(3)).await;
    let behind = client.request("echo", "y").timeout(None).send().await;
    peer.request().await;
    let mut unread = client.request("echo", "x").timeout(None).send().await;
    peer.request().await;
    // The broker ignores the credit and sends until the connection ends.
    let sending = async {
        for _ in 0..1_000 {
            peer.send_part(Frames::from_slices(&[vec![7; 64 * 1024]])).await;
        }
        peer.closed().await;
    };
    let (ended, ()) = tokio::join!(soon(behind.whole()), sending);
    assert_eq!(ended, Err(RequestError::Disconnected));
    // The client has accepted no more parts than it buffers for a reader, and this reply ends like
    // the other.
    let mut parts = 0;
    let end = loop {
        match soon(unread.next()).await {
            Some(Ok(_)) => parts += 1,
            end => break end,
        }
    };
    assert_eq!(end, Some(Err(RequestError::Disconnected)));
    assert!(parts <= 16, "{parts} parts were taken");
    check_echo(&client, &mut broker.accept_client().await, "z").await;
}
