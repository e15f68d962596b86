//! Tests of replaying and shrinking histories.

use core::time::Duration;

use majordomus_core::broker::{Broker, Limits, Output, Profile, Sign};
use majordomus_core::{
    ByteStr, ClientCapabilities, Frames, FromClient, PeerId, Redelivery, Request, Role, Timeout,
    ToWorker, WorkerCapabilities, WorkerReply,
};

use super::*;
use crate::history::Hope;
use crate::mutant::{Mutant, Mutation};

const KEYS: Keys = Keys([9, 8, 7, 6]);
const CLIENT: PeerId = PeerId::new(3, 1);
const WORKER: PeerId = PeerId::new(8, 2);
const OTHER: PeerId = PeerId::new(0, 5);

/// Checks that a full replay of a history repeats the broker's outputs and their times, to the last
/// step.
fn check_repeated<M: Machine>(kind: M::Kind, seed: u64, steps: u64) -> History {
    let (history, stage) = record::<M>(kind, seed, steps);
    let replayed = history.replay::<M>(kind, &mut |_| {});
    let again = (replayed.steps, replayed.hash, replayed.breach.as_ref());
    let before = (stage.steps(), stage.hash(), stage.checker().breach());
    assert_eq!(again, before, "{kind:?}, seed {seed}");
    history
}

#[test]
fn a_whole_tape_repeats_its_run() {
    let mut histories: Vec<History> =
        (0..12).map(|seed| check_repeated::<Broker>((), seed, 4_000)).collect();
    for mutation in Mutation::ALL {
        histories.extend((1..3).map(|seed| check_repeated::<Mutant>(*mutation, seed, 4_000)));
    }
    let told =
        |is: fn(&Entry) -> bool| histories.iter().flat_map(|history| &history.entries).any(is);
    assert!(told(|entry| matches!(entry, Entry::Restarted(..))));
    assert!(told(|entry| matches!(entry, Entry::Told(_, Input::Configured(_)))));
    assert!(told(|entry| matches!(entry, Entry::Told(_, Input::Shutdown))));
    // In some histories the broker is stopped for a while: on a clock that never stops, these are
    // different runs.
    let hash = |history: &History| history.replay::<Broker>((), &mut |_| {}).hash;
    assert!(histories[..12].iter().any(|history| hash(&timely(history)) != hash(history)));
}

fn odd_config() -> Config {
    Config {
        heartbeat_interval: Duration::from_micros(70_123),
        limits: Limits { client_requests_max: 7, ..Limits::default() },
        request_events: true,
        ..Config::default()
    }
}

/// Returns a stage with many events that are unrelated to the failure.
fn noisy_stage<M: Machine>(kind: M::Kind) -> Stage<M> {
    let mut stage = Stage::new(kind, &odd_config(), KEYS);
    stage.record();
    let client = ClientCapabilities {
        partial_replies: true,
        redelivery: Redelivery::WhereAsked,
        ..ClientCapabilities::default()
    };
    let worker = WorkerCapabilities { cancel: true, ..WorkerCapabilities::default() };
    appears(&mut stage, 1_234, OTHER, Role::Client(client));
    tell(&mut stage, 2_345, Input::Configured(Box::new(odd_config())));
    appears(&mut stage, 3_456, CLIENT, Role::Client(client));
    tell(&mut stage, 4_567, asks(OTHER, "nope", 1));
    appears(&mut stage, 5_678, WORKER, Role::Worker(worker));
    let service = ByteStr::from("main");
    says(&mut stage, 6_789, FromWorker::Ready { service });
    // The broker is stopped for longer than its liveness time, but receives the queued message
    // first.
    tell(&mut stage, 900_001, Input::Alive { peer: WORKER, sign: Sign::Bytes });
    tell(&mut stage, 900_001, Input::Tick);
    stage
}

fn tell<M: Machine>(stage: &mut Stage<M>, micros: u64, input: Input) -> &[Output] {
    stage.pass(Time::from_micros(micros));
    stage.tell(input)
}

fn appears<M: Machine>(stage: &mut Stage<M>, micros: u64, peer: PeerId, role: Role) {
    let profile = Profile { identity: ByteStr::empty(), answers_probes: false, role };
    tell(stage, micros, Input::Connected { peer, profile });
}

fn asks(peer: PeerId, service: &str, uid: u64) -> Input {
    let mut body = uid.to_be_bytes().to_vec();
    body.extend(b"and more of it");
    let body = Frames::from_slices(&[&body[..], b"", b"x"]);
    let timeout = Timeout::After(Duration::from_secs(5));
    let request = Request { timeout, ..Request::new(service, body) };
    Input::FromClient { peer, command: FromClient::Request(request) }
}

fn says<M: Machine>(stage: &mut Stage<M>, micros: u64, command: FromWorker) {
    tell(stage, micros, Input::FromWorker { peer: WORKER, command });
}

/// Returns the history of a stage.
fn tape_of<M: Machine>(stage: &mut Stage<M>) -> History {
    let (entries, issued) = stage.take_recording();
    let bearers = Rc::new(issued.bearers());
    History { config: odd_config(), keys: KEYS, clock: Clock::AsRecorded, entries, bearers }
}

/// Returns the shrunk script of a stage.
fn script_of<M: Machine>(kind: M::Kind, mut stage: Stage<M>) -> String {
    let rule = stage.checker().breach().expect("a rule is broken").rule;
    shorten::<M>(kind, tape_of(&mut stage), rule).expect("it can be repeated").script
}

fn check_script<M: Machine>(kind: M::Kind, stage: Stage<M>, expected: &str) {
    assert_eq!(script_of(kind, stage), expected.trim_start_matches('\n'));
}

#[test]
fn a_reply_that_goes_out_twice_is_a_short_script() {
    let mutation = Mutation::RepliesTwice;
    let mut stage = noisy_stage::<Mutant>(mutation);
    let asked = tell(&mut stage, 900_900, asks(CLIENT, "main", 2)).to_vec();
    let address = asked.into_iter().find_map(|output| match output {
        Output::ToWorker { command: ToWorker::Request(request), .. } => Some(request.address),
        _ => None,
    });
    let reply = WorkerReply::new(address.expect("it is dispatched"), Frames::from_slices(&["yy"]));
    says(&mut stage, 901_900, FromWorker::Partial(reply.clone()));
    says(&mut stage, 902_900, FromWorker::Final(reply));
    check_script(
        mutation,
        stage,
        r#"
    // AfterFinal: nothing goes to a client after the end of its request.
    check(
        "
        0ms client c1
        0ms worker w1
        0ms w1 ready echo
        0ms c1 request echo request1
          > w1 request #1 request1
        0ms w1 final #1
          > c1 final
          > c1 final
        ",
    );
"#,
    );
}

#[test]
fn a_silent_worker_that_is_kept_is_a_short_script() {
    let mutation = Mutation::KeepsSilentWorker;
    let mut stage = noisy_stage::<Mutant>(mutation);
    while stage.checker().breach().is_none() {
        let due = stage.due().expect("a worker is there");
        stage.pass(due);
        stage.tell(Input::Tick);
    }
    check_script(
        mutation,
        stage,
        r#"
    // DeadWorkerKept: a worker that is gone, silent, stopped or overdue is lost in time.
    check_with(
        |config| {
            config.heartbeat_interval = Duration::from_millis(70);
        },
        "
        0ms worker w1
        0ms w1 ready echo
        260ms tick
        ",
    );
"#,
    );
}

#[test]
fn a_hope_that_was_in_vain_is_repeated() {
    // Entries after the end of the faults stay unchanged. Inputs that a script cannot express
    // become comments.
    let mut stage = noisy_stage::<Broker>(());
    tell(&mut stage, 902_000, Input::Configured(Box::new(odd_config())));
    stage.expect(Hope::Work);
    stage.expect(Hope::Worked(vec![OTHER, WORKER]));
    check_script(
        (),
        stage,
        r#"
    // WorkAgain: when faults stop, every live worker gets work.
    check_with(
        |config| {
            config.heartbeat_interval = Duration::from_micros(70123);
            config.limits.client_requests_max = 7;
        },
        "
        0ms worker w1 cancels
        0ms w1 ready main
        # 1999us configured: config.heartbeat_interval = Duration::from_micros(70123); config.limits.client_requests_max = 7;
        # 1999us expected: Work
        # 1999us expected: Worked([p0.5, p8.2])
        ",
    );
"#,
    );
    let mut stage = noisy_stage::<Broker>(());
    tell(&mut stage, 901_000, asks(CLIENT, "unknown", 2));
    tell(&mut stage, 902_000, Input::Configured(Box::new(odd_config())));
    stage.expect(Hope::Rest);
    assert!(script_of((), stage).contains("# 1ms expected: Rest"));
}
