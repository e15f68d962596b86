//! Scripted tests of the client: inputs and expected outputs.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::ClientInput::{Cancel, Lost, Opened, Received, Taken, Tick};
use super::ClientOutput::{Close, Deliver, Open};
use super::*;
use crate::COMMAND_BYTES_MAX;

const IDS: ClientConfig = ClientConfig {
    request_ids: true,
    running_max: 2,
    waiting_max: 2,
    waiting_bytes_max: 10,
    backoff: Backoff { shortest: Duration::from_millis(10), longest: Duration::from_millis(10) },
    greets: false,
    heartbeats: false,
    still_wanted: false,
    told_of_expiry: false,
    credit: None,
    message_bytes_max: None,
    heartbeat_interval: Duration::from_secs(1),
    liveness: 3,
    waits_for_connection: true,
};
const ONE: ClientConfig = ClientConfig { request_ids: false, ..IDS };

/// A time in milliseconds, an input at that time, and the expected outputs.
type Step = (u64, ClientInput, Vec<ClientOutput>);

fn check(config: ClientConfig, script: impl IntoIterator<Item = Step>) -> Client {
    let mut client = Client::new(config, 0);
    for (number, (at_ms, input, expected)) in script.into_iter().enumerate() {
        let shown = format!("step {number}: {input:?}");
        client.handle(Time::from_micros(at_ms * 1000), input);
        let outputs: Vec<_> = core::iter::from_fn(|| client.poll_output()).collect();
        assert_eq!(outputs, expected, "{shown}");
    }
    client
}

fn connect(at_ms: u64) -> [Step; 2] {
    [(at_ms, Tick, vec![Open]), (at_ms, Opened, vec![])]
}

fn body(text: &str) -> Frames {
    Frames::from_slices(&[text])
}

/// A request `handle` for `echo`, with its number as the body and a timeout of 1,000 ms.
fn ask(handle: u64) -> ClientInput {
    ask_with(handle, None, |_| {})
}

fn ask_with(
    handle: u64,
    silence_max: Option<Duration>,
    change: impl FnOnce(&mut Request),
) -> ClientInput {
    let mut request = Box::new(Request::new("echo", body(&format!("{handle}"))));
    request.timeout = Timeout::After(Duration::from_secs(1));
    change(&mut request);
    ClientInput::Request { handle: RequestHandle(handle), request, silence_max }
}

fn sent(handle: u64, id: &str) -> ClientOutput {
    ClientOutput::Send(FromClient::Request(Request {
        id: id.into(),
        timeout: Timeout::After(Duration::from_secs(1)),
        ..Request::new("echo", body(&format!("{handle}")))
    }))
}

fn content(text: &str) -> Content {
    Content { options: Bytes::new(), body: body(text) }
}

fn reply(id: &str, text: &str) -> Reply {
    Reply { id: id.into(), ..Reply::new("echo", body(text)) }
}

fn part(id: &str, text: &str) -> ClientInput {
    Received(ToClient::Partial(reply(id, text)))
}

fn last(id: &str, text: &str) -> ClientInput {
    Received(ToClient::Final(reply(id, text)))
}

fn got(handle: u64, delivery: Delivery) -> ClientOutput {
    Deliver(RequestHandle(handle), delivery)
}

fn got_last(handle: u64, text: &str) -> ClientOutput {
    got(handle, Delivery::Final(content(text)))
}

fn failed(handle: u64, failure: Failure) -> ClientOutput {
    got(handle, Delivery::Failed(failure))
}

#[test]
fn without_ids_one_request_at_a_time() {
    let script = [
        (0, ask(1), vec![Open]),
        (0, ask(2), vec![]),
        (1, Opened, vec![sent(1, "")]),
        (2, part("", "a"), vec![got(1, Delivery::Part(content("a")))]),
        (3, last("", "b"), vec![got_last(1, "b"), sent(2, "")]),
        (4, last("", "c"), vec![got_last(2, "c")]),
        (5, ask(3), vec![sent(3, "")]),
    ];
    check(ONE, script);
}

#[test]
fn with_ids_many_at_once_and_in_any_order() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "1")]),
        (0, ask(2), vec![sent(2, "2")]),
        (0, ask(3), vec![]),
        (1, last("2", "b"), vec![got_last(2, "b"), sent(3, "3")]),
        (1, last("1", "a"), vec![got_last(1, "a")]),
        (1, last("1", "again"), vec![]),
    ]);
    check(IDS, script);
}

#[test]
fn without_ids_a_timeout_costs_the_connection() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (500, ask(2), vec![]),
        (1000, Tick, vec![Close(None), failed(1, Failure::Timeout), Open]),
        (1001, last("", "late, of the old connection"), vec![]),
        (1002, Opened, vec![sent(2, "")]),
        (1003, last("", "2"), vec![got_last(2, "2")]),
    ]);
    check(ONE, script);
}

#[test]
fn without_ids_a_cancelled_request_costs_the_connection_if_it_runs() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (0, ask(2), vec![]),
        (1, Cancel(RequestHandle(2)), vec![]),
        (1, Cancel(RequestHandle(1)), vec![Close(None), Open]),
        (1, Cancel(RequestHandle(1)), vec![]),
    ]);
    assert!(check(ONE, script).is_idle());
}

#[test]
fn with_ids_a_request_that_is_given_up_is_cancelled() {
    let cancel = |id: &str| ClientOutput::Send(FromClient::Cancel { id: id.into() });
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "1")]),
        (0, ask(2), vec![sent(2, "2")]),
        (1, Cancel(RequestHandle(1)), vec![cancel("1")]),
        (1000, Tick, vec![cancel("2"), failed(2, Failure::Timeout)]),
        (1001, last("2", "late"), vec![]),
    ]);
    check(IDS, script);
}

#[test]
fn what_runs_is_not_repeated_and_what_waits_stays() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (0, ask(2), vec![]),
        (1, Lost, vec![failed(1, Failure::Disconnected)]),
        (20, Tick, vec![Open]),
        (20, Lost, vec![]),
        (40, Tick, vec![Open]),
        (40, Opened, vec![sent(2, "")]),
    ]);
    check(ONE, script);
}

#[test]
fn what_waits_ends_at_its_timeout() {
    let script = [(0, ask(1), vec![Open]), (1000, Tick, vec![failed(1, Failure::Timeout)])];
    assert!(check(ONE, script).is_idle());
}

#[test]
fn time_starts_again_with_each_part_and_stands_still_until_it_is_taken() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (900, part("", "a"), vec![got(1, Delivery::Part(content("a")))]),
        (1000, part("", "b"), vec![got(1, Delivery::Part(content("b")))]),
        (1800, Taken(RequestHandle(1), 1), vec![]),
        (8000, Tick, vec![]),
        (9000, Taken(RequestHandle(1), 1), vec![]),
        (9999, Tick, vec![]),
        (10000, Tick, vec![Close(None), failed(1, Failure::Timeout), Open]),
    ]);
    check(ONE, script);
}

#[test]
fn more_than_may_wait_is_refused() {
    let large = ask_with(2, None, |request| request.body = body("ten bytes."));
    let script = [
        (0, ask(1), vec![Open]),
        (0, large, vec![failed(2, Failure::Refused)]),
        (0, ask(3), vec![]),
        (0, ask(4), vec![failed(4, Failure::Refused)]),
    ];
    check(ONE, script);
}

#[test]
fn a_reply_that_nobody_asked_for_costs_the_connection() {
    let other = Reply { service: "other".into(), ..reply("", "x") };
    let script = connect(0).into_iter().chain([
        (0, last("", "x"), vec![Close(None)]),
        (20, Tick, vec![Open]),
        (20, Opened, vec![]),
        (20, ask(1), vec![sent(1, "")]),
        (21, Received(ToClient::Final(other)), vec![Close(None), failed(1, Failure::Disconnected)]),
    ]);
    check(ONE, script);
}

#[test]
fn an_error_reply_is_delivered_with_its_reason() {
    let error = Received(ToClient::Failed(Outcome::WorkerLost, reply("", "gone")));
    let why = Failure::Remote(Outcome::WorkerLost, 0, content("gone"));
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (1, error, vec![failed(1, why)]),
        (1, Received(ToClient::Heartbeat), vec![]),
    ]);
    check(ONE, script);
}

#[test]
fn the_next_deadline_is_the_first() {
    let mut client = check(ONE, connect(0));
    assert_eq!(client.next_deadline(), Time::NEVER);
    client.handle(Time::from_micros(5), ask(1));
    assert_eq!(client.next_deadline(), Time::from_micros(1_000_005));
    client.handle(Time::from_micros(6), Lost);
    assert!(client.next_deadline() < Time::from_micros(11_000));
}

/// A client of a dialect with a handshake, heartbeats and part credit.
const GREETS: ClientConfig = ClientConfig {
    greets: true,
    heartbeats: true,
    still_wanted: true,
    told_of_expiry: true,
    credit: Some(4),
    ..IDS
};

#[test]
fn what_has_ended_is_not_remembered_until_its_time() {
    let mut client = Client::new(IDS, 1);
    for (_, input, _) in connect(0) {
        client.handle(Time::ZERO, input);
    }
    let one_stays = ask(0);
    client.handle(Time::ZERO, one_stays);
    for handle in 1..10_000 {
        let now = Time::from_micros(handle);
        client.handle(now, ask(handle));
        client.handle(now, last(&handle.to_string(), "done"));
        assert!(client.deadlines.len() <= deadlines::STALE_MAX + 4);
    }
    while client.poll_output().is_some() {}
    client.handle(Time::from_micros(1_000_000), Tick);
    let cancel = FromClient::Cancel { id: "0".into() };
    assert_eq!(client.poll_output(), Some(ClientOutput::Send(cancel)));
    assert_eq!(client.poll_output(), Some(failed(0, Failure::Timeout)));
}

fn hello() -> ClientOutput {
    ClientOutput::Send(FromClient::Hello(Hello {
        heartbeat: Some(Duration::from_secs(1)),
        message_bytes_max: None,
    }))
}

fn welcome(message_bytes_max: u64, requests_max: u32) -> ClientInput {
    Received(ToClient::Welcome(Welcome {
        heartbeat: Duration::from_secs(1),
        liveness: 3,
        message_bytes_max,
        frames_max: 10,
        requests_max,
        broker: ByteStr::empty(),
    }))
}

fn greeted(message_bytes_max: u64) -> [Step; 3] {
    [
        (0, Tick, vec![Open]),
        (0, Opened, vec![hello()]),
        (0, welcome(message_bytes_max, 100), vec![]),
    ]
}

fn asks(handle: u64, change: impl FnOnce(&mut Request)) -> ClientOutput {
    let mut request = Request::new("echo", body(&format!("{handle}")));
    request.id = id_of(RequestHandle(handle));
    request.credit = 4;
    request.timeout = Timeout::After(Duration::from_secs(1));
    change(&mut request);
    ClientOutput::Send(FromClient::Request(request))
}

fn says(command: FromClient) -> ClientOutput {
    ClientOutput::Send(command)
}

#[test]
fn where_there_are_other_brokers_nothing_waits_for_this_one() {
    let config = ClientConfig { waits_for_connection: false, running_max: 1, ..GREETS };
    let script = [
        (0, ask(1), vec![failed(1, Failure::NotSent), Open]),
        (0, Opened, vec![hello()]),
        (1, ask(2), vec![failed(2, Failure::NotSent)]),
        (2, welcome(0, 100), vec![]),
        (3, ask(3), vec![asks(3, |_| {})]),
        (3, ask(4), vec![]),
        (4, Lost, vec![failed(3, Failure::Disconnected), failed(4, Failure::NotSent)]),
    ];
    check(config, script);
}

#[test]
fn nothing_is_sent_before_the_welcome() {
    let script = [
        (0, ask(1), vec![Open]),
        (0, Opened, vec![hello()]),
        (1, ask(2), vec![]),
        (2, welcome(0, 1), vec![asks(1, |_| {})]),
        (3, last("1", "a"), vec![got_last(1, "a"), asks(2, |_| {})]),
    ];
    check(GREETS, script);
}

#[test]
fn a_broker_without_a_welcome_is_left() {
    let script = [
        (0, Tick, vec![Open]),
        (0, Opened, vec![hello()]),
        (2999, Tick, vec![]),
        (3000, Tick, vec![Close(None)]),
    ];
    check(GREETS, script);
}

#[test]
fn a_broker_is_left_that_greets_twice_or_says_something_before() {
    let left = || vec![Close(None)];
    let notice = ToClient::Notice { id: CorrelationId::from("1"), notice: Notice::Queued };
    check(GREETS, greeted(0).into_iter().chain([(1, welcome(0, 100), left())]));
    for early in [ToClient::Heartbeat, notice] {
        let hello = [(0, Tick, vec![Open]), (0, Opened, vec![hello()])];
        check(GREETS, hello.into_iter().chain([(1, Received(early), left())]));
    }
}

#[test]
fn a_request_that_the_broker_would_not_take_is_not_sent() {
    let many = Frames::from_slices(&[""; 10]);
    let script = greeted(COMMAND_BYTES_MAX as u64 + 6).into_iter().chain([
        (0, ask_with(1, None, |it| it.body = body("1234567")), vec![failed(1, Failure::TooLarge)]),
        (0, ask_with(2, None, |it| it.body = many), vec![failed(2, Failure::TooLarge)]),
        (0, ask(3), vec![asks(3, |_| {})]),
    ]);
    check(GREETS, script);
}

#[test]
fn while_it_waits_it_asks_for_the_broker_and_leaves_one_that_is_silent() {
    let never = |handle| ask_with(handle, None, |request| request.timeout = Timeout::Never);
    let sent = asks(1, |request| request.timeout = Timeout::Never);
    let wanted =
        || vec![says(FromClient::Heartbeat), says(FromClient::RequestKeepAlive { id: "1".into() })];
    let script = greeted(0).into_iter().chain([
        (9000, never(1), vec![sent]),
        (9999, Tick, vec![]),
        (10000, Tick, wanted()),
        (10001, Received(ToClient::Heartbeat), vec![]),
        (11000, Tick, wanted()),
        (12000, Tick, wanted()),
        (12500, ClientInput::Alive, vec![]),
        (13000, Tick, wanted()),
        (14000, Tick, wanted()),
        (15000, Tick, wanted()),
        (16000, Tick, vec![Close(None), failed(1, Failure::Disconnected)]),
    ]);
    check(GREETS, script);
}

#[test]
fn parts_that_were_taken_are_made_up_for() {
    let taken = |parts| Taken(RequestHandle(1), parts);
    let more = says(FromClient::More { id: "1".into(), credit: 2 });
    let script = greeted(0).into_iter().chain([
        (0, ask(1), vec![asks(1, |_| {})]),
        (1, part("1", "a"), vec![got(1, Delivery::Part(content("a")))]),
        (1, taken(1), vec![]),
        (2, taken(1), vec![more]),
        (3, last("1", "b"), vec![got_last(1, "b")]),
        (3, taken(5), vec![]),
    ]);
    check(GREETS, script);
}

#[test]
fn the_broker_hears_that_a_user_is_slow() {
    let never = ask_with(1, None, |request| request.timeout = Timeout::Never);
    let more = |credit| says(FromClient::More { id: "1".into(), credit });
    let beat = |slow: bool| {
        let mut said = vec![
            says(FromClient::Heartbeat),
            says(FromClient::RequestKeepAlive { id: "1".into() }),
        ];
        said.extend(slow.then(|| more(0)));
        said
    };
    let heard = || Received(ToClient::Heartbeat);
    let script = greeted(0).into_iter().chain([
        (0, never, vec![asks(1, |request| request.timeout = Timeout::Never)]),
        (1, part("1", "a"), vec![got(1, Delivery::Part(content("a")))]),
        (1000, Tick, beat(true)),
        (1001, heard(), vec![]),
        (1500, Taken(RequestHandle(1), 1), vec![]),
        (2000, Tick, beat(false)),
    ]);
    check(GREETS, script);
}

#[test]
fn a_worker_that_is_silent_for_too_long_loses_the_request() {
    let ask = |handle| {
        ask_with(handle, Some(Duration::from_millis(300)), |request| {
            request.timeout = Timeout::Never;
        })
    };
    let sent = |handle| {
        asks(handle, |request| {
            request.timeout = Timeout::Never;
            request.notices = true;
        })
    };
    let notice = |notice| Received(ToClient::Notice { id: "1".into(), notice });
    let script = greeted(0).into_iter().chain([
        (0, ask(1), vec![sent(1)]),
        (1, notice(Notice::Queued), vec![]),
        (900, notice(Notice::Dispatched), vec![]),
        (950, Tick, vec![]),
        (990, notice(Notice::AtWork), vec![]),
        (
            1000,
            Tick,
            vec![
                says(FromClient::Heartbeat),
                says(FromClient::RequestKeepAlive { id: "1".into() }),
            ],
        ),
        (1200, part("1", "a"), vec![got(1, Delivery::Part(content("a")))]),
        (1200, Taken(RequestHandle(1), 1), vec![]),
        (1500, Tick, vec![says(FromClient::Cancel { id: "1".into() }), failed(1, Failure::Silent)]),
    ]);
    check(GREETS, script);
}

#[test]
fn the_broker_is_given_time_to_say_that_a_request_has_expired() {
    let expired = Received(ToClient::Failed(Outcome::Expired, reply("1", "")));
    let why = Failure::Remote(Outcome::Expired, 0, content(""));
    let beat =
        || vec![says(FromClient::Heartbeat), says(FromClient::RequestKeepAlive { id: "2".into() })];
    let script = greeted(0).into_iter().chain([
        (0, ask(1), vec![asks(1, |_| {})]),
        (100, ask(2), vec![asks(2, |_| {})]),
        (999, expired, vec![failed(1, why)]),
        (1000, Tick, beat()),
        (1349, Tick, vec![]),
        (
            1350,
            Tick,
            vec![says(FromClient::Cancel { id: "2".into() }), failed(2, Failure::Timeout)],
        ),
    ]);
    check(GREETS, script);
}

#[test]
fn who_is_sent_away_comes_back_after_a_while() {
    let away = Received(ToClient::Disconnect(DisconnectReason::ShutDown));
    let script = greeted(0).into_iter().chain([
        (0, ask(1), vec![asks(1, |_| {})]),
        (1, away, vec![Close(Some(DisconnectReason::ShutDown)), failed(1, Failure::Disconnected)]),
        (20, Tick, vec![Open]),
    ]);
    check(GREETS, script);
}

#[test]
fn where_the_broker_does_not_want_us_nothing_waits_for_it() {
    for (why, back_at) in [
        (DisconnectReason::IdentityInUse, Some(60_001)),
        (DisconnectReason::Forbidden, None),
        (DisconnectReason::NoCommonVersion, None),
    ] {
        let away = |also: Vec<ClientOutput>| {
            let close = [Close(Some(why))].into_iter().chain(also).collect();
            (1, Received(ToClient::Disconnect(why)), close)
        };
        let not_sent = |handle| failed(handle, Failure::SentAway(why));
        let script = [
            (0, Tick, vec![Open]),
            (0, Opened, vec![hello()]),
            (0, ask(1), vec![]),
            away(vec![not_sent(1)]),
            (2, ask(2), vec![not_sent(2)]),
            (60_000, Tick, vec![]),
        ];
        let mut client = check(GREETS, script);
        assert_eq!(
            client.next_deadline(),
            back_at.map_or(Time::NEVER, |at| Time::from_micros(at * 1_000))
        );
        client.handle(Time::from_micros(60_001_000), Tick);
        assert_eq!(client.poll_output(), back_at.map(|_| Open));
        // If the client reconnects, requests wait for the broker's answer.
        client.handle(Time::from_micros(60_001_000), ask(3));
        assert_eq!(client.poll_output(), back_at.is_none().then(|| not_sent(3)));
    }
}

#[test]
fn who_asks_hears_how_far_it_has_come() {
    let notice = |notice| Received(ToClient::Notice { id: "1".into(), notice });
    let script = greeted(0).into_iter().chain([
        (0, ask_with(1, None, |it| it.notices = true), vec![asks(1, |it| it.notices = true)]),
        (1, notice(Notice::Queued), vec![got(1, Delivery::Notice(Notice::Queued))]),
        (2, notice(Notice::AtWork), vec![]),
        (3, notice(Notice::Redelivered), vec![got(1, Delivery::Notice(Notice::Redelivered))]),
    ]);
    check(GREETS, script);
}

#[test]
fn what_nobody_asked_for_is_a_sign_of_life_and_no_more() {
    let unasked = |id: &str, notice| Received(ToClient::Notice { id: id.into(), notice });
    let heard = || Received(ToClient::Heartbeat);
    let beat =
        || vec![says(FromClient::Heartbeat), says(FromClient::RequestKeepAlive { id: "1".into() })];
    let never = ask_with(1, None, |request| request.timeout = Timeout::Never);
    let script = greeted(0).into_iter().chain([
        (0, heard(), vec![]),
        (0, never, vec![asks(1, |request| request.timeout = Timeout::Never)]),
        (1, unasked("1", Notice::Dispatched), vec![]),
        (2, unasked("7", Notice::Queued), vec![]),
        (1000, Tick, beat()),
        (2000, Tick, beat()),
        // One millisecond later the connection would be lost.
        (2999, heard(), vec![]),
        (3000, Tick, beat()),
        (3001, last("1", "a"), vec![got_last(1, "a")]),
    ]);
    check(GREETS, script);
}
