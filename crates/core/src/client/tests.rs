//! Scripts for the client: what it is told, and what it wants done.

use alloc::vec;
use alloc::vec::Vec;

use super::ClientInput::{Cancel, Lost, Opened, Pause, Received, Resume, Tick};
use super::ClientOutput::{Close, Deliver, Open};
use super::*;

const IDS: ClientConfig = ClientConfig {
    request_ids: true,
    running_max: 2,
    waiting_max: 2,
    waiting_bytes_max: 10,
    backoff: Backoff { shortest: Duration::from_millis(10), longest: Duration::from_millis(10) },
};
const ONE: ClientConfig = ClientConfig { request_ids: false, ..IDS };

/// At this millisecond, this happens, and that must come out.
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

/// Request `handle` for `echo`, with its number as body and 1,000 ms of time.
fn ask(handle: u64) -> ClientInput {
    ClientInput::Request {
        handle: RequestHandle(handle),
        service: "echo".into(),
        body: body(&format!("{handle}")),
        timeout: Some(Duration::from_secs(1)),
    }
}

fn sent(handle: u64, id: &str) -> ClientOutput {
    ClientOutput::Send(FromClient::Request(Request {
        id: id.into(),
        timeout: Timeout::After(Duration::from_secs(1)),
        ..Request::new("echo", body(&format!("{handle}")))
    }))
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
    got(handle, Delivery::Final(body(text)))
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
        (2, part("", "a"), vec![got(1, Delivery::Part(body("a")))]),
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
        (1000, Tick, vec![Close, failed(1, Failure::Timeout), Open]),
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
        (1, Cancel(RequestHandle(1)), vec![Close, Open]),
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
fn time_starts_again_with_each_part_and_stands_still_in_a_pause() {
    let script = connect(0).into_iter().chain([
        (0, ask(1), vec![sent(1, "")]),
        (900, part("", "a"), vec![got(1, Delivery::Part(body("a")))]),
        (1800, Pause(RequestHandle(1)), vec![]),
        (9000, Resume(RequestHandle(1)), vec![]),
        (9999, Tick, vec![]),
        (10000, Tick, vec![Close, failed(1, Failure::Timeout), Open]),
    ]);
    check(ONE, script);
}

#[test]
fn more_than_may_wait_is_refused() {
    let large = ClientInput::Request {
        handle: RequestHandle(2),
        service: "echo".into(),
        body: body("ten bytes."),
        timeout: None,
    };
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
        (0, last("", "x"), vec![Close]),
        (20, Tick, vec![Open]),
        (20, Opened, vec![]),
        (20, ask(1), vec![sent(1, "")]),
        (21, Received(ToClient::Final(other)), vec![Close, failed(1, Failure::Disconnected)]),
    ]);
    check(ONE, script);
}

#[test]
fn an_error_reply_is_delivered_with_its_reason() {
    let error = Received(ToClient::Failed(Outcome::WorkerLost, reply("", "gone")));
    let why = Failure::Remote(Outcome::WorkerLost, body("gone"));
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
