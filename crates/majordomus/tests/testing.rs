//! Tests of the `testing` module: clients and handlers without a broker.

use std::future::{Future, IntoFuture, pending};
use std::time::Duration;

use majordomus::testing::{ASKED_MAX, Answer, End, PARTS_MAX};
use majordomus::{
    Body, Client, Progress, Replier, Request, RequestError, Retry, blocking, testing,
};
use tokio::sync::mpsc;

/// A time limit for events, so that a missing event fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

/// Ends the reply in the way that the request names.
async fn end_as_asked(request: Request, reply: Replier) {
    match &*request.body.text() {
        "final" => reply.finish(request.body).await,
        "parts" => drop(reply.send_all(["1", "2"]).await),
        "headers" => {
            let headers = request.body.headers().clone();
            reply.part("1").await.expect("it is wanted");
            reply.finish(Body::from("2").with_headers(headers)).await;
        }
        "fail" => reply.fail("no paper").await,
        "code" => reply.fail_with(507, Body::from_frames(["no paper", "tray 2"])).await,
        "no code" => reply.fail_with(7, "no paper").await,
        "reject" => reply.reject("too hot").await,
        "late reject" => {
            reply.part("1").await.expect("it is wanted");
            reply.reject("too hot").await;
        }
        "panic" => panic!("on fire"),
        "twice" => {
            let (reply, last) = (reply.cache_for(PATIENCE), request.body);
            reply.finish(last).await;
        }
        _ => {}
    }
}

const ENDS: [&str; 11] = [
    "final",
    "parts",
    "headers",
    "fail",
    "code",
    "no code",
    "reject",
    "late reject",
    "panic",
    "twice",
    "nothing",
];

fn asked(text: &str) -> Body {
    Body::from(text).with_header("lang", "en").expect("a header")
}

async fn check_ends(client: &Client) -> Vec<Result<Body, RequestError>> {
    let mut ends = Vec::new();
    for end in ENDS {
        ends.push(soon(client.request("end", asked(end)).into_future()).await);
    }
    ends
}

/// The test client gives the same results as a real broker.
#[tokio::test]
#[cfg(feature = "broker")]
async fn answers_are_those_of_a_worker_behind_a_broker() {
    let broker = majordomus::Broker::start("inproc://*").expect("it starts");
    let worker = majordomus::Worker::builder(broker.endpoint()).serve("end", end_as_asked);
    let _worker = worker.expect("it is set up right");
    let client = Client::connect(broker.endpoint()).expect("the endpoint is right");
    let expected = check_ends(&client).await;

    let (client, _) = testing::client().service("end", end_as_asked).build();
    let answers = check_ends(&client).await;
    for ((end, expected), answer) in ENDS.iter().zip(expected).zip(answers) {
        assert_eq!(answer, expected, "{end}, by a client");
        let answer = soon(testing::call(end_as_asked, Request::new("end", asked(end)))).await;
        assert_eq!(answer.result(), expected, "{end}, by a call");
    }
}

#[tokio::test]
async fn a_client_without_a_broker() {
    let (client, record) = testing::client().service("end", end_as_asked).build();
    soon(client.connected()).await;
    assert_eq!(check_ends(&client).await.iter().filter(|end| end.is_ok()).count(), 4);
    let texts: Vec<String> =
        record.of("end").iter().map(|asked| asked.body.text().into()).collect();
    assert_eq!(texts, ENDS.map(String::from));
}

#[tokio::test]
async fn an_unknown_service_is_not_there() {
    let (client, record) = testing::client().service("end", end_as_asked).build();
    let nobody = soon(client.request("nobody", "x").into_future()).await;
    assert_eq!(nobody, Err(RequestError::NoSuchService));
    // The request is retried, as with any client.
    let at_once = Retry::times(2).backoff(Duration::ZERO, Duration::ZERO);
    let nobody = soon(client.request("nobody", "x").retry(at_once).into_future()).await;
    assert_eq!(nobody, Err(RequestError::NoSuchService));
    let repeatable: Vec<_> = record.of("nobody").iter().map(|asked| asked.repeatable).collect();
    assert_eq!(repeatable, [false, true, true, true]);
}

#[tokio::test]
async fn names_are_those_of_a_worker() {
    let name = |request: Request, reply: Replier| reply.finish(request.service);
    let client = testing::client().service("stock.*", name).service("api@1.2.0", name);
    let (client, _) = client.build();
    for asked in ["stock.ibm", "api@^1.0"] {
        let reply = soon(client.request(asked, "").into_future()).await;
        assert_eq!(reply, Ok(asked.into()));
    }
    let other = soon(client.request("api@^2.0", "").into_future()).await;
    assert_eq!(other, Err(RequestError::NoSuchService));
}

#[tokio::test]
async fn what_was_asked_is_recorded() {
    let (client, record) = testing::client().build();
    let second = Duration::from_secs(1);
    let request = client.request("print", "x").header("lang", "en").expect("a header");
    let request = request.timeout(second).silence(2 * second).priority(9).target("W1").no_cache();
    assert!(soon(request.into_future()).await.is_err());
    let all = record.all();
    let [asked] = &all[..] else { panic!("{all:?}") };
    assert_eq!(asked.body, self::asked("x"));
    assert_eq!((asked.timeout, asked.silence), (Some(second), Some(2 * second)));
    assert_eq!((&*asked.service, &*asked.target, asked.priority), ("print", "W1", 9));
    assert!(asked.no_cache && !asked.repeatable);
}

#[tokio::test]
async fn the_oldest_of_too_many_are_left_out() {
    let (client, record) = testing::client().build();
    for number in 0..=ASKED_MAX {
        let _ = soon(client.request("x", number.to_string()).into_future()).await;
    }
    let all = record.all();
    assert_eq!((all.len(), &*all[0].body.text()), (ASKED_MAX, "1"));
}

#[tokio::test]
async fn a_request_is_as_a_worker_gets_it() {
    let (tell, mut told) = mpsc::channel(1);
    let handler = move |request: Request, reply: Replier| {
        let tell = tell.clone();
        async move {
            tell.send(request).await.expect("the test waits for it");
            reply.finish("").await;
        }
    };
    let (client, _) = testing::client().service("print", handler).build();
    let (says, mut said) = mpsc::channel(2);
    let request = client.request("print", asked("x")).priority(7).timeout(PATIENCE);
    assert!(soon(request.progress(says).into_future()).await.is_ok());
    let request = soon(told.recv()).await.expect("a request");
    assert_eq!((&*request.service, request.priority, request.attempt), ("print", 7, 1));
    assert!(request.body == asked("x") && request.deadline.is_some());
    assert_eq!(soon(said.recv()).await, Some(Progress::Dispatched));
    assert_eq!(soon(said.recv()).await, None);
}

/// Starts a service that sends parts until its request is cancelled, and then reports the number of
/// parts.
fn endless() -> (Client, mpsc::Receiver<usize>) {
    let (tell, told) = mpsc::channel(1);
    let handler = move |_, reply: Replier| {
        let tell = tell.clone();
        async move {
            let mut sent = 0;
            while reply.part(sent.to_string()).await.is_ok() {
                sent += 1;
            }
            assert!(!reply.is_wanted());
            tell.send(sent).await.expect("the test waits for it");
        }
    };
    (testing::client().service("endless", handler).build().0, told)
}

#[tokio::test]
async fn a_dropped_reply_cancels_its_handler() {
    let (client, mut cancelled) = endless();
    let mut reply = client.request("endless", "").send().await;
    assert_eq!(soon(reply.next()).await, Some(Ok("0".into())));
    drop(reply);
    assert!(soon(cancelled.recv()).await.is_some());
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_makes_the_handler_wait() {
    let (client, mut cancelled) = endless();
    let mut reply = client.request("endless", "").send().await;
    for number in 0..100 {
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        assert_eq!(soon(reply.next()).await, Some(Ok(number.to_string().into())));
    }
    // The client can be dropped before its reply.
    drop((client, reply));
    assert!(soon(cancelled.recv()).await.expect("it ends") < 150);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_time_from_each_part_on() {
    let second = Duration::from_secs(1);
    let slow = move |_, reply: Replier| async move {
        for part in ["1", "2"] {
            tokio::time::sleep(second * 2 / 3).await;
            reply.part(part).await.expect("it is wanted");
        }
        reply.cancellation().cancelled().await;
    };
    let (client, _) = testing::client().service("slow", slow).build();
    let mut reply = client.request("slow", "").timeout(second).send().await;
    assert_eq!(reply.next().await, Some(Ok("1".into())));
    assert_eq!(reply.next().await, Some(Ok("2".into())));
    assert_eq!(reply.next().await, Some(Err(RequestError::Expired)));

    let silent = client.request("slow", "").silence(second / 2).await;
    assert_eq!(silent, Err(RequestError::Silent));
    let late = client.request("slow", "").timeout(None).deadline(second).await;
    assert_eq!(late, Err(RequestError::Expired));

    // No time is counted while a part waits to be read.
    let mut reply = client.request("slow", "").timeout(second).send().await;
    tokio::time::sleep(60 * second).await;
    assert_eq!(reply.next().await, Some(Ok("1".into())));
    assert_eq!(reply.next().await, Some(Ok("2".into())));
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_work_is_no_silence() {
    let second = Duration::from_secs(1);
    let busy = move |_, reply: Replier| async move {
        for _ in 0..3 {
            tokio::time::sleep(second).await;
            reply.at_work().await;
        }
        reply.finish("done").await;
    };
    let (client, _) = testing::client().service("busy", busy).build();
    assert_eq!(client.request("busy", "").silence(second * 3 / 2).await, Ok("done".into()));
    let answer = testing::call(busy, Request::new("busy", "")).await;
    assert_eq!((answer.signs_of_work, answer.parts.len()), (3, 0));
}

fn check_call(asked: &str, answer: Answer) {
    let (parts, end) = (answer.parts, answer.end);
    let failed = |code, why: &str| End::Failed { code, why: why.into() };
    let (expected_parts, expected) = match asked {
        "parts" => (2, End::Final { body: Body::empty(), keep: None }),
        "twice" => (0, End::Final { body: self::asked("twice"), keep: Some(PATIENCE) }),
        "no code" => (0, failed(400, "no paper")),
        "late reject" => (1, End::Rejected { why: "too hot".into() }),
        "panic" => (0, failed(500, "the worker panicked: on fire")),
        "nothing" => (0, failed(500, "the worker gave no reply")),
        _ => return,
    };
    assert_eq!((parts.len(), end), (expected_parts, expected), "{asked}");
}

#[tokio::test]
async fn a_call_collects_what_a_handler_says() {
    for end in ENDS {
        let answer = testing::call(end_as_asked, Request::new("end", asked(end)));
        check_call(end, soon(answer).await);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let (tell, mut told) = mpsc::channel(1);
    let handler = |_, reply: Replier| async move {
        reply.cancellation().cancelled().await;
        tell.send(()).await.expect("the test waits for it");
    };
    drop(testing::start(handler, Request::new("wait", "")));
    assert_eq!(soon(told.recv()).await, Some(()));
}

#[tokio::test]
async fn what_comes_behind_the_end_is_not_heard() {
    let (tell, mut told) = mpsc::channel(1);
    let handler = |_, reply: Replier| async move {
        let cancellation = reply.cancellation();
        reply.finish("done").await;
        tell.send(cancellation.is_cancelled()).await.expect("the test waits for it");
    };
    let answer = soon(testing::call(handler, Request::new("do", ""))).await;
    assert_eq!(answer.result(), Ok("done".into()));
    assert_eq!(soon(told.recv()).await, Some(false));
}

/// A handler that moves its replier to another task and returns has sent no final reply.
#[tokio::test]
async fn who_returns_has_ended() {
    let handler = |_, reply: Replier| async move {
        tokio::spawn(async move {
            pending::<()>().await;
            drop(reply);
        });
    };
    let answer = soon(testing::call(handler, Request::new("do", ""))).await;
    assert!(matches!(answer.end, End::Failed { code: 500, .. }), "{answer:?}");
}

#[tokio::test]
#[should_panic(expected = "more than 65536 parts")]
async fn more_parts_than_are_collected_are_said() {
    let many = |_, reply: Replier| async move {
        for _ in 0..=PARTS_MAX {
            reply.part("").await.expect("it is wanted");
        }
    };
    soon(testing::call(many, Request::new("many", ""))).await;
}

#[tokio::test]
#[should_panic(expected = "cannot offer the service")]
async fn a_bad_name_is_said() {
    let _ = testing::client().service("", end_as_asked);
}

#[tokio::test]
#[should_panic(expected = "\"end\" has a handler already")]
async fn a_name_that_comes_twice_is_said() {
    let _ = testing::client().service("end", end_as_asked).service("end", end_as_asked);
}

/// In a program without a runtime.
#[test]
fn a_blocking_program_is_tested_without_a_runtime() {
    let shout = |request: Request, reply: blocking::Replier| {
        reply.finish(request.body.text().to_uppercase());
    };
    let (client, record) = testing::client()
        .service("end", end_as_asked)
        .service("shout", blocking::handler(shout))
        .blocking_build();
    assert!(client.is_connected());
    assert_eq!(client.request("shout", "a").call(), Ok("A".into()));
    let parts: Vec<_> = client.request("end", "parts").send().collect();
    assert_eq!(parts, [Ok("1".into()), Ok("2".into()), Ok(Body::empty())]);
    assert_eq!(client.request("x", "").call(), Err(RequestError::NoSuchService));
    assert_eq!(record.all().len(), 3);
    let answer = testing::blocking_call(shout, Request::new("shout", "b"));
    assert_eq!(answer.result(), Ok("B".into()));
    let panics = testing::blocking_call(|_, _| panic!("on fire"), Request::new("x", ""));
    assert_eq!(panics.result().expect_err("it failed").text(), "the worker panicked: on fire");
}
