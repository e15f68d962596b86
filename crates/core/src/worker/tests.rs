//! Scripted tests of the worker: inputs and expected outputs.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::WorkerInput::{
    Alive, AtWork, Concurrency, Drain, Ended, Failed, Final, Lost, Offer, Opened, Part, Received,
    Rejected, Stop, Tick, Withdraw,
};
use super::WorkerOutput::{AskForLife, Cancel, Close, Credit, Deliver, Open, Send, Stopped};
use super::*;
use crate::{COMMAND_BYTES_MAX, DisconnectReason, Outcome, WorkerReply};

/// Scripts number tasks in delivery order.
const FIRST: TaskHandle = TaskHandle(0);
const SECOND: TaskHandle = TaskHandle(1);

/// A time in milliseconds, an input at that time, and the expected outputs.
type Step = (u64, WorkerInput, Vec<WorkerOutput>);

/// A worker with a heartbeat every second and a liveness of 3.
fn config() -> WorkerConfig {
    let wait = Duration::from_millis(10);
    WorkerConfig {
        heartbeat_interval: Duration::from_secs(1),
        backoff: Backoff { shortest: wait, longest: wait },
        ..WorkerConfig::new("echo")
    }
}

fn check(config: WorkerConfig, script: impl IntoIterator<Item = Step>) {
    let mut worker = Worker::new(config, 0);
    let mut delivered = Vec::new();
    for (number, (at_ms, input, expected)) in script.into_iter().enumerate() {
        let shown = format!("step {number}: {input:?}");
        worker.handle(Time::from_micros(at_ms * 1000), with_handle(input, &delivered));
        let outputs = core::iter::from_fn(|| worker.poll_output());
        let outputs: Vec<_> = outputs.map(|output| numbered(output, &mut delivered)).collect();
        assert_eq!(outputs, expected, "{shown}");
    }
}

/// Replaces the script's number in an input with the worker's handle. A number that was not
/// delivered becomes an unknown handle.
fn with_handle(input: WorkerInput, delivered: &[TaskHandle]) -> WorkerInput {
    let known = |TaskHandle(number)| {
        delivered.get(number as usize).copied().unwrap_or(TaskHandle(u64::MAX))
    };
    match input {
        Part(task, part) => Part(known(task), part),
        Final(task, last, keep) => Final(known(task), last, keep),
        Failed(task, code, why) => Failed(known(task), code, why),
        Rejected(task, why) => Rejected(known(task), why),
        AtWork(task) => AtWork(known(task)),
        Ended(task, why) => Ended(known(task), why),
        other => other,
    }
}

/// Replaces the worker's handle in an output with the script's number. Each request must have a new
/// handle.
fn numbered(output: WorkerOutput, delivered: &mut Vec<TaskHandle>) -> WorkerOutput {
    let number = |task: TaskHandle, delivered: &[TaskHandle]| {
        let at = delivered.iter().position(|handle| *handle == task);
        TaskHandle(at.expect("it was delivered") as u64)
    };
    match output {
        Deliver(task, request) => {
            assert!(!delivered.contains(&task), "{task:?} is used twice");
            delivered.push(task);
            Deliver(number(task, delivered), request)
        }
        Cancel(task) => Cancel(number(task, delivered)),
        Credit(task, more) => Credit(number(task, delivered), more),
        other => other,
    }
}

fn connect(at_ms: u64) -> [Step; 2] {
    [(at_ms, Tick, vec![Open]), (at_ms, Opened, vec![ready()])]
}

fn body(text: &str) -> Frames {
    Frames::from_slices(&[text])
}

fn ready() -> WorkerOutput {
    Send(FromWorker::Ready { service: "echo".into() })
}

fn heartbeat() -> WorkerOutput {
    Send(FromWorker::HEARTBEAT)
}

fn leave() -> WorkerOutput {
    Send(FromWorker::Disconnect)
}

fn request(address: &str) -> WorkerRequest {
    WorkerRequest::new(address, "echo", body("do"))
}

/// A request without a service name, as in dialects that have none.
fn asked(address: &str) -> WorkerInput {
    let service = ByteStr::empty();
    Received(ToWorker::Request(WorkerRequest { service, ..request(address) }))
}

fn given(handle: TaskHandle, address: &str) -> WorkerOutput {
    Deliver(handle, request(address))
}

fn replied(kind: fn(WorkerReply) -> FromWorker, address: &str, body: Frames) -> WorkerOutput {
    Send(kind(WorkerReply::new(address, body)))
}

fn returned(handle: TaskHandle) -> WorkerInput {
    Ended(handle, body("no reply"))
}

#[test]
fn requests_one_after_the_other() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (
            2,
            Part(FIRST, Content::of(body("x"))),
            vec![replied(FromWorker::Partial, "a", body("x"))],
        ),
        (
            3,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (3, Final(FIRST, Content::of(body("z")), None), vec![]),
        (4, returned(FIRST), vec![]),
        (5, asked("b"), vec![given(SECOND, "b")]),
        (6, returned(SECOND), vec![replied(FromWorker::Failed, "b", body("no reply"))]),
    ]);
    check(config(), script);
}

#[test]
fn the_next_request_waits_until_the_handler_has_returned() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (
            2,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (3, asked("b"), vec![]),
        (4, returned(FIRST), vec![given(SECOND, "b")]),
    ]);
    check(config(), script);
}

#[test]
fn more_requests_than_it_takes_cost_the_connection() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, asked("b"), vec![Close(ClosingReason::Overload), Cancel(FIRST)]),
    ]);
    check(config(), script);
}

#[test]
fn requests_that_the_broker_sent_too_early_are_held() {
    let config = WorkerConfig { held_max: 1, ..config() };
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (1, asked("b"), vec![]),
        (
            2,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (2, returned(FIRST), vec![given(SECOND, "b")]),
        (3, asked("c"), vec![]),
        (3, asked("d"), vec![Close(ClosingReason::Overload), Cancel(SECOND)]),
    ]);
    check(config, script);
}

#[test]
fn heartbeats_idle_or_busy() {
    let script = connect(0).into_iter().chain([
        (900, Alive, vec![]),
        (1000, Tick, vec![heartbeat()]),
        (1500, asked("a"), vec![given(FIRST, "a")]),
        (2000, Tick, vec![heartbeat()]),
        (3000, Tick, vec![heartbeat(), AskForLife]),
        (3500, Alive, vec![]),
        (4000, Tick, vec![heartbeat()]),
    ]);
    check(config(), script);
}

#[test]
fn a_silent_broker_is_given_up() {
    let script = connect(0).into_iter().chain([
        (1000, Tick, vec![heartbeat(), AskForLife]),
        (2000, Tick, vec![heartbeat(), AskForLife]),
        (3000, Tick, vec![Close(ClosingReason::Silence)]),
        (3020, Tick, vec![Open]),
        (3020, Opened, vec![ready()]),
    ]);
    check(config(), script);
}

#[test]
fn a_broker_that_is_never_heard_while_we_are_busy_may_be_silent_then() {
    let script = connect(0).into_iter().chain([
        (0, asked("a"), vec![given(FIRST, "a")]),
        (1000, Tick, vec![heartbeat(), AskForLife]),
        (9000, Tick, vec![heartbeat(), AskForLife]),
        (
            9500,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (9500, returned(FIRST), vec![]),
        (12499, Tick, vec![heartbeat(), AskForLife]),
        (12500, Tick, vec![Close(ClosingReason::Silence)]),
    ]);
    check(config(), script);
}

#[test]
fn a_broker_that_was_heard_while_we_were_busy_may_not() {
    let script = connect(0).into_iter().chain([
        (0, asked("a"), vec![given(FIRST, "a")]),
        (500, Alive, vec![]),
        (3500, Tick, vec![Close(ClosingReason::Silence), Cancel(FIRST)]),
    ]);
    check(config(), script);
}

#[test]
fn a_lost_connection_cancels_and_waits_for_the_handler_before_it_registers() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Lost, vec![Cancel(FIRST)]),
        (100, Final(FIRST, Content::of(body("late")), None), vec![]),
        (100, returned(FIRST), vec![Open]),
        (100, Lost, vec![]),
        (120, Tick, vec![Open]),
        (120, Opened, vec![ready()]),
    ]);
    check(config(), script);
}

#[test]
fn sent_away_it_registers_again_after_a_wait() {
    let script = connect(0).into_iter().chain([
        (
            1,
            Received(ToWorker::Disconnect(DisconnectReason::Unsaid)),
            vec![Close(ClosingReason::SentAway(DisconnectReason::Unsaid))],
        ),
        (1, asked("of the old connection"), vec![]),
        (20, Tick, vec![Open]),
        (20, Opened, vec![ready()]),
    ]);
    check(config(), script);
}

#[test]
fn a_cancelled_request_is_told_its_handler() {
    let cancel = Received(ToWorker::Cancel { address: "a".into(), outcome: Outcome::Cancelled });
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, cancel.clone(), vec![Cancel(FIRST)]),
        (2, cancel, vec![]),
        (3, Part(FIRST, Content::of(body("late"))), vec![]),
        // The final reply frees the worker's slot at the broker, whatever the handler sends.
        (
            4,
            Final(FIRST, Content::of(body("late")), None),
            vec![replied(FromWorker::Failed, "a", Frames::empty())],
        ),
        (4, Final(FIRST, Content::of(body("again")), None), vec![]),
        (5, returned(FIRST), vec![]),
        (6, asked("b"), vec![given(SECOND, "b")]),
    ]);
    check(config(), script);
}

#[test]
fn a_cancelled_request_whose_handler_just_returns_frees_its_place_too() {
    let cancel = |address: &str| {
        Received(ToWorker::Cancel { address: address.into(), outcome: Outcome::Expired })
    };
    let config = WorkerConfig { held_max: 1, ..config() };
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (1, asked("b"), vec![]),
        (2, cancel("b"), vec![replied(FromWorker::Failed, "b", Frames::empty())]),
        (3, cancel("a"), vec![Cancel(FIRST)]),
        (4, returned(FIRST), vec![replied(FromWorker::Failed, "a", Frames::empty())]),
    ]);
    check(config, script);
}

#[test]
fn a_cancelled_request_of_a_lost_connection_has_no_last_word() {
    let cancel = Received(ToWorker::Cancel { address: "a".into(), outcome: Outcome::Cancelled });
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, cancel, vec![Cancel(FIRST)]),
        (3, Lost, vec![]),
        (30, returned(FIRST), vec![Open]),
    ]);
    check(config(), script);
}

#[test]
fn without_partial_replies_parts_go_with_the_final_one() {
    let whole = Frames::from_slices(&["x", "y", "z"]);
    let config = WorkerConfig { partial_replies: false, ..config() };
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Part(FIRST, Content::of(body("x"))), vec![]),
        (2, Part(FIRST, Content::of(body("y"))), vec![]),
        (
            3,
            Final(FIRST, Content::of(body("z")), None),
            vec![replied(FromWorker::Final, "a", whole)],
        ),
    ]);
    check(config, script);
}

#[test]
fn a_reply_that_is_too_large_fails_the_request() {
    let failed = || replied(FromWorker::Failed, "a", body("the reply is too large"));
    let bytes = WorkerConfig { reply_bytes_max: 3, ..config() };
    let frames = WorkerConfig { reply_frames_max: 1, ..config() };
    let kept_bytes = WorkerConfig { partial_replies: false, ..bytes.clone() };
    let kept_frames = WorkerConfig { partial_replies: false, ..frames.clone() };
    let part = |body| (2, Part(FIRST, Content::of(body)), vec![Cancel(FIRST), failed()]);
    let last = |body| (2, Final(FIRST, Content::of(body), None), vec![failed()]);
    let kept = (1, Part(FIRST, Content::of(body("two"))), vec![]);
    let cases = [
        (&bytes, vec![part(body("four"))]),
        (&bytes, vec![last(body("four"))]),
        (&frames, vec![part(Frames::from_slices(&["", ""]))]),
        (&frames, vec![last(Frames::from_slices(&["", ""]))]),
        (&kept_bytes, vec![kept.clone(), part(body("x"))]),
        (&kept_bytes, vec![kept.clone(), last(body("x"))]),
        (&kept_frames, vec![kept.clone(), part(body(""))]),
        (&kept_frames, vec![kept.clone(), last(body(""))]),
    ];
    for (config, steps) in cases {
        let given = (1, asked("a"), vec![given(FIRST, "a")]);
        check(config.clone(), connect(0).into_iter().chain([given]).chain(steps));
    }
}

#[test]
fn a_reason_that_is_too_large_is_left_out() {
    let failed = replied(FromWorker::Failed, "a", body("the reply is too large"));
    let rejected = replied(FromWorker::Rejected, "a", body("the reply is too large"));
    let small = WorkerConfig { reply_bytes_max: 3, rejects: true, ..config() };
    let why = || Content::of(body("four"));
    for (said, word) in [
        (Failed(FIRST, 500, why()), failed.clone()),
        (Ended(FIRST, body("four")), failed),
        (Rejected(FIRST, why()), rejected),
    ] {
        let word = match (word, &said) {
            (Send(FromWorker::Failed(reply)), Failed(_, code, _)) => {
                Send(FromWorker::Failed(WorkerReply { code: *code, ..reply }))
            }
            (word, _) => word,
        };
        let steps = [(1, asked("a"), vec![given(FIRST, "a")]), (2, said, vec![word])];
        check(small.clone(), connect(0).into_iter().chain(steps));
    }
}

#[test]
fn drain_finishes_what_runs() {
    let done = replied(FromWorker::Final, "a", body("y"));
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Drain, vec![]),
        (
            3,
            Final(FIRST, Content::of(body("y")), None),
            vec![done, leave(), Close(ClosingReason::Leaving)],
        ),
        (4, returned(FIRST), vec![Stopped]),
        (5, Tick, vec![]),
    ]);
    check(config(), script);
    check(
        config(),
        connect(0).into_iter().chain([(
            1,
            Drain,
            vec![leave(), Close(ClosingReason::Leaving), Stopped],
        )]),
    );
}

#[test]
fn stop_cancels_what_runs() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Stop, vec![leave(), Close(ClosingReason::Leaving), Cancel(FIRST)]),
        (3, returned(FIRST), vec![Stopped]),
    ]);
    check(config(), script);
    check(config(), [(0, Stop, vec![Stopped])]);
    check(
        config(),
        [(0, Tick, vec![Open]), (0, Stop, vec![Close(ClosingReason::Leaving), Stopped])],
    );
}

/// A worker of a dialect with a handshake, with two services.
fn greeting() -> WorkerConfig {
    WorkerConfig {
        services: ["echo".into(), "stock.*".into()].into(),
        tasks_max: 2,
        greets: true,
        says_capacity: true,
        rejects: true,
        ..config()
    }
}

fn hello() -> WorkerOutput {
    Send(FromWorker::Hello(Hello {
        heartbeat: Some(Duration::from_secs(1)),
        message_bytes_max: None,
    }))
}

fn takes(requests: u32) -> WorkerOutput {
    let concurrency = Some(crate::Concurrency::AtMost(requests));
    Send(FromWorker::Heartbeat(Status { concurrency, publish: false }))
}

fn offers(service: &str) -> WorkerOutput {
    Send(FromWorker::Ready { service: service.into() })
}

fn welcome(heartbeat_ms: u64, liveness: u32) -> WorkerInput {
    Received(ToWorker::Welcome(Welcome {
        heartbeat: Duration::from_millis(heartbeat_ms),
        liveness,
        message_bytes_max: 0,
        frames_max: 1_000,
        requests_max: 1_000,
        broker: ByteStr::empty(),
    }))
}

fn greet(at_ms: u64) -> [Step; 2] {
    let said = vec![hello(), takes(2), offers("echo"), offers("stock.*")];
    [(at_ms, Tick, vec![Open]), (at_ms, Opened, said)]
}

fn greeted(at_ms: u64) -> impl Iterator<Item = Step> {
    greet(at_ms).into_iter().chain([(at_ms, welcome(1_000, 3), vec![])])
}

#[test]
fn a_worker_that_greets_says_what_it_takes_and_offers() {
    let script = greet(0).into_iter().chain([
        (1, welcome(100, 2), vec![]),
        (2, asked("a"), vec![given(FIRST, "a")]),
        (
            2,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (2, returned(FIRST), vec![]),
        // The broker is silent for longer than it declared.
        (201, Tick, vec![]),
        (202, Tick, vec![Close(ClosingReason::Silence)]),
    ]);
    check(greeting(), script);
}

#[test]
fn a_broker_is_left_that_greets_twice_or_says_something_before() {
    let left = || vec![Close(ClosingReason::OutOfTurn)];
    let second = (1, welcome(1_000, 3), left());
    check(greeting(), greeted(0).chain([second]));
    let registered = ToWorker::Registered { service: "echo".into(), worker: ByteStr::empty() };
    for early in [asked("a"), Received(ToWorker::Heartbeat), Received(registered)] {
        check(greeting(), greet(0).into_iter().chain([(1, early, left())]));
    }
}

#[test]
fn a_broker_that_greets_but_does_not_register_all_is_tried_less_and_less() {
    let backoff =
        Backoff { shortest: Duration::from_millis(100), longest: Duration::from_secs(60) };
    let mut worker = Worker::new(WorkerConfig { backoff, ..greeting() }, 0);
    let mut now = Time::ZERO;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let opened = [Tick, Opened, welcome(1_000, 3)];
        let settled = ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(2) };
        // The worker registers two services, which is one too many.
        let registered = ToWorker::Registered { service: "echo".into(), worker: ByteStr::empty() };
        let refused = ToWorker::Disconnect(DisconnectReason::Full);
        for input in opened.into_iter().chain([settled, registered, refused].map(Received)) {
            worker.handle(now, input);
            while worker.poll_output().is_some() {}
        }
        let due = worker.next_deadline();
        waits.push(due.since(now));
        now = due;
    }
    for (wait, full) in waits.iter().zip([100, 200, 400, 800].map(Duration::from_millis)) {
        assert!(full / 2 <= *wait && *wait <= full, "{waits:?}");
    }
}

#[test]
fn a_worker_that_is_not_wanted_comes_back_when_it_offers_something_else() {
    let why = DisconnectReason::Forbidden;
    let away = || {
        let close = vec![Close(ClosingReason::SentAway(why))];
        (1, Received(ToWorker::Disconnect(why)), close)
    };
    let script = greeted(0).chain([
        away(),
        (100_000, Tick, vec![]),
        (100_000, Withdraw("no such thing".into()), vec![]),
        (100_000, Withdraw("stock.*".into()), vec![Open]),
        (100_000, Opened, vec![hello(), takes(2), offers("echo")]),
    ]);
    check(greeting(), script);
    // If the worker drains, it stops instead.
    let stopped = vec![Stopped];
    check(greeting(), greeted(0).chain([away(), (100_000, Drain, stopped)]));
}

#[test]
fn what_the_broker_does_not_take_is_not_sent() {
    let welcome = |message_bytes_max, frames_max| {
        let Received(ToWorker::Welcome(welcome)) = welcome(1_000, 3) else { unreachable!() };
        Received(ToWorker::Welcome(Welcome { message_bytes_max, frames_max, ..welcome }))
    };
    let failed = || replied(FromWorker::Failed, "a", body("the reply is too large"));
    let two = || Frames::from_slices(&["", ""]);
    for (welcome, small, large) in [
        (welcome(COMMAND_BYTES_MAX as u64 + 3, 1_000), body("six"), body("four")),
        (welcome(0, 2), body("six"), two()),
    ] {
        let script = greet(0).into_iter().chain([
            (1, welcome, vec![]),
            (2, asked("a"), vec![given(FIRST, "a")]),
            (
                2,
                Part(FIRST, Content::of(small.clone())),
                vec![replied(FromWorker::Partial, "a", small)],
            ),
            (3, Part(FIRST, Content::of(large)), vec![Cancel(FIRST), failed()]),
        ]);
        check(greeting(), script);
    }
}

#[test]
fn concurrency_changes_while_it_runs() {
    let settled = |requests| {
        Received(ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(requests) })
    };
    let script = greeted(0).chain([
        (1, Concurrency(3), vec![takes(3)]),
        (1, Concurrency(3), vec![]),
        (2, asked("a"), vec![given(FIRST, "a")]),
        (3, Concurrency(1), vec![takes(1)]),
        // The request was already in transit.
        (3, asked("b"), vec![given(SECOND, "b")]),
        (4, settled(2), vec![]),
        (4, settled(3), vec![]),
        (4, settled(1), vec![]),
        (5, Concurrency(0), vec![takes(0)]),
        (6, asked("c"), vec![Close(ClosingReason::Overload), Cancel(FIRST), Cancel(SECOND)]),
    ]);

    check(greeting(), script);
}

#[test]
fn a_number_that_was_said_before_a_higher_one_settles_nothing() {
    let settled = |requests| {
        Received(ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(requests) })
    };
    let script = greeted(0).chain([
        (1, Concurrency(1), vec![takes(1)]),
        (1, Concurrency(2), vec![takes(2)]),
        (1, Concurrency(1), vec![takes(1)]),
        (2, settled(2), vec![]),
        (2, settled(1), vec![]),
        // The broker uses a concurrency of two again until it has received the later reports.
        (3, asked("a"), vec![given(FIRST, "a")]),
        (3, asked("b"), vec![given(SECOND, "b")]),
        (4, settled(2), vec![]),
        (4, settled(1), vec![]),
        (5, asked("c"), vec![Close(ClosingReason::Overload), Cancel(FIRST), Cancel(SECOND)]),
    ]);

    check(greeting(), script);
}

#[test]
fn services_come_and_go_while_it_runs() {
    let withdrawn = Send(FromWorker::Withdraw { service: "echo".into() });
    let script = greet(0).into_iter().chain([
        (1, Offer("news".into()), vec![offers("news")]),
        (1, Offer("news".into()), vec![]),
        (2, Withdraw("echo".into()), vec![withdrawn]),
        (2, Withdraw("echo".into()), vec![]),
        (3, Lost, vec![]),
        (20, Tick, vec![Open]),
        (20, Opened, vec![hello(), takes(2), offers("stock.*"), offers("news")]),
    ]);
    check(greeting(), script);
}

#[test]
fn what_comes_while_it_drains_is_given_back() {
    let settled = |requests| {
        Received(ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(requests) })
    };
    let script = greeted(0).chain([
        (0, settled(2), vec![]),
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Drain, vec![takes(0)]),
        (2, asked("b"), vec![replied(FromWorker::Rejected, "b", Frames::empty())]),
        (
            3,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (3, returned(FIRST), vec![]),
        // The broker had not received the new concurrency yet.
        (3, asked("c"), vec![replied(FromWorker::Rejected, "c", Frames::empty())]),
        (4, settled(0), vec![leave(), Close(ClosingReason::Leaving), Stopped]),
    ]);
    check(greeting(), script);
}

/// Regression test: the worker used to wait forever, because the broker was not silent.
#[test]
fn a_worker_that_drains_leaves_a_broker_that_beats_but_never_says_that_nothing_more_comes() {
    let beat = |at_ms| (at_ms, Received(ToWorker::Heartbeat), vec![heartbeat()]);
    let script = greeted(0).chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (500, Drain, vec![takes(0)]),
        beat(1_000),
        (
            1_500,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (1_500, returned(FIRST), vec![]),
        beat(2_000),
        (2_499, Tick, vec![]),
        (2_500, Tick, vec![leave(), Close(ClosingReason::Leaving), Stopped]),
    ]);
    let config = WorkerConfig { capacity_timeout: Duration::from_secs(2), ..greeting() };
    check(config.clone(), script);
    // The worker's deadline is due at that time.
    let mut worker = Worker::new(config, 0);
    for (at_ms, input, _) in greeted(0).chain([(1_900, Drain, vec![]), beat(3_500)]) {
        worker.handle(Time::from_micros(at_ms * 1000), input);
    }
    assert_eq!(worker.next_deadline(), Time::from_micros(3_900_000));
}

#[test]
fn a_nothing_that_was_said_before_it_drained_is_not_the_last_word() {
    let settled = |requests| {
        Received(ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(requests) })
    };
    let opened = |most| vec![hello(), takes(most), offers("echo"), offers("stock.*")];
    let script = [
        (0, Tick, vec![Open]),
        (0, Opened, opened(1)),
        (0, welcome(1_000, 3), vec![]),
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Lost, vec![Cancel(FIRST)]),
        (20, Tick, vec![Open]),
        (20, Opened, opened(0)),
        (20, welcome(1_000, 3), vec![]),
        (21, returned(FIRST), vec![takes(1)]),
        (22, Drain, vec![takes(0)]),
        (23, settled(0), vec![]),
        (24, asked("b"), vec![replied(FromWorker::Rejected, "b", Frames::empty())]),
        (24, settled(1), vec![]),
        (25, settled(0), vec![leave(), Close(ClosingReason::Leaving), Stopped]),
    ];
    check(WorkerConfig { tasks_max: 1, ..greeting() }, script);
}

#[test]
fn handlers_of_a_lost_connection_take_their_places_in_the_next() {
    let script = greeted(0).chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, Lost, vec![Cancel(FIRST)]),
        (20, Tick, vec![Open]),
        (20, Opened, vec![hello(), takes(1), offers("echo"), offers("stock.*")]),
        (21, returned(FIRST), vec![takes(2)]),
    ]);
    check(greeting(), script);
}

#[test]
fn credit_reaches_the_handler_and_what_is_held() {
    let more = |address: &str| Received(ToWorker::More { address: address.into(), credit: 3 });
    let task = |credit| Received(ToWorker::Request(WorkerRequest { credit, ..request("a") }));
    let mut held = request("b");
    held.credit = 5;
    let other = Received(ToWorker::Request(WorkerRequest { credit: 2, ..request("b") }));
    let config = WorkerConfig { tasks_max: 1, held_max: 1, ..greeting() };
    let script = [
        (0, Tick, vec![Open]),
        (0, Opened, vec![hello(), takes(1), offers("echo"), offers("stock.*")]),
        (0, welcome(1_000, 3), vec![]),
        (1, task(4), vec![Deliver(FIRST, WorkerRequest { credit: 4, ..request("a") })]),
        (1, more("a"), vec![Credit(FIRST, 3)]),
        (2, other, vec![]),
        (2, more("b"), vec![]),
        (
            3,
            Final(FIRST, Content::of(body("y")), None),
            vec![replied(FromWorker::Final, "a", body("y"))],
        ),
        (3, more("a"), vec![]),
        (3, returned(FIRST), vec![Deliver(SECOND, held)]),
    ];
    check(config, script);
}

#[test]
fn a_handler_gives_back_says_that_it_works_and_fails_with_a_code() {
    let coded = |address: &str| {
        let reply = WorkerReply::new(address, body("no"));
        Send(FromWorker::Failed(WorkerReply { code: 507, ..reply }))
    };
    let at_work = Send(FromWorker::AtWork { address: "a".into() });
    let script = greeted(0).chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (1, asked("b"), vec![given(SECOND, "b")]),
        (2, AtWork(FIRST), vec![at_work]),
        (
            3,
            Rejected(FIRST, Content::of(body("no"))),
            vec![replied(FromWorker::Rejected, "a", body("no"))],
        ),
        (3, AtWork(FIRST), vec![]),
        (4, Failed(SECOND, 507, Content::of(body("no"))), vec![coded("b")]),
    ]);
    check(greeting(), script);
}

#[test]
fn where_nothing_can_be_given_back_it_fails() {
    let script = connect(0).into_iter().chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (
            2,
            Rejected(FIRST, Content::of(body("no"))),
            vec![replied(FromWorker::Failed, "a", body("no"))],
        ),
    ]);
    check(config(), script);
}

#[test]
fn what_it_did_not_ask_for_changes_nothing() {
    let settled = |requests| {
        Received(ToWorker::Capacity { concurrency: crate::Concurrency::AtMost(requests) })
    };
    let registered = |service: &str| {
        Received(ToWorker::Registered { service: service.into(), worker: ByteStr::empty() })
    };
    let script = greeted(0).chain([
        (0, registered("news"), vec![]),
        (0, settled(2), vec![]),
        (1, settled(7), vec![]),
        (1, settled(0), vec![]),
        (2, asked("a"), vec![given(FIRST, "a")]),
        (2, asked("b"), vec![given(SECOND, "b")]),
        // The worker accepts two requests, even if the broker confirms seven.
        (3, asked("c"), vec![Close(ClosingReason::Overload), Cancel(FIRST), Cancel(SECOND)]),
    ]);
    check(greeting(), script);
    // An early confirmation of zero does not let the worker leave before the broker has received
    // the report.
    let script = greeted(0).chain([
        (0, settled(2), vec![]),
        (1, settled(0), vec![]),
        (2, Drain, vec![takes(0)]),
        (3, settled(0), vec![leave(), Close(ClosingReason::Leaving), Stopped]),
    ]);
    check(greeting(), script);
}

#[test]
fn a_task_of_a_service_that_it_never_offered_reaches_its_handlers() {
    let unknown = || WorkerRequest::new("a", "news", body("do"));
    let script = greeted(0).chain([(
        1,
        Received(ToWorker::Request(unknown())),
        vec![Deliver(FIRST, unknown())],
    )]);
    check(greeting(), script);
}

#[test]
fn a_ticket_in_use_is_another_task() {
    let word = replied(FromWorker::Final, "a", body("x"));
    let more = Received(ToWorker::More { address: "a".into(), credit: 3 });
    let script = greeted(0).chain([
        (1, asked("a"), vec![given(FIRST, "a")]),
        (2, asked("a"), vec![given(SECOND, "a")]),
        (3, more, vec![Credit(SECOND, 3)]),
        (4, Final(FIRST, Content::of(body("x")), None), vec![word]),
        (4, returned(FIRST), vec![]),
        (
            5,
            Received(ToWorker::Cancel { address: "a".into(), outcome: Outcome::Expired }),
            vec![Cancel(SECOND)],
        ),
        (6, returned(SECOND), vec![replied(FromWorker::Failed, "a", Frames::empty())]),
    ]);
    check(greeting(), script);
}
