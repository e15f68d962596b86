//! Round trips, counted and timed.

use std::time::Duration;

use majordomus::Dialect;
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Broker, Finished, PATIENCE, Process, majordomus, run, wait_until};

/// Runs it with these options, which end well.
#[track_caller]
fn tripping(options: &[&str]) -> Finished {
    let finished = run(&[&["tripping"], options].concat());
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(finished.stderr, "");
    finished
}

/// Returns the program's output with `--json`.
#[track_caller]
fn json(finished: &Finished) -> Value {
    assert_eq!(finished.text().lines().count(), 1, "{finished:?}");
    serde_json::from_slice(&finished.stdout).expect("it is JSON")
}

/// The row of a part.
#[track_caller]
fn row<'a>(finished: &'a Finished, part: &str) -> Vec<&'a str> {
    let mut rows = finished.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&part)).expect("there is a row")
}

#[test]
fn its_help_says_what_it_is_and_what_it_is_not() {
    let finished = run(&["tripping", "--help"]);
    assert!(finished.status.success());
    let help = finished.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["it is no benchmark", "no request ids", "Examples:", "--in-flight <COUNT>"] {
        assert!(help.contains(said), "no {said:?} in {help}");
    }
    assert!(run(&["--help"]).text().contains("tripping"));
}

#[test]
fn with_no_options_it_has_a_broker_of_its_own() {
    let finished = tripping(&[]);
    for said in ["From omdp1 to omdp1, 64 bytes a call", "started for this run", "32 in flight"] {
        assert!(finished.text().contains(said), "no {said:?} in {}", finished.text());
    }
    for part in ["synchronous", "pipelined"] {
        // The calls, the calls in a second, two times with their units; lost, wrong, failed.
        let row = row(&finished, part);
        assert_eq!(row[1], "10000", "{row:?}");
        assert!(row[2].parse::<u64>().expect("it is a number") > 0, "{row:?}");
        assert_eq!(row[7..], ["0", "0", "0"], "{row:?}");
    }
    assert!(finished.text().lines().all(|line| line.chars().count() <= 80), "{}", finished.text());
}

#[test]
fn any_client_calls_any_worker_in_one_object() {
    let next = |at: usize| Dialect::ALL[(at + 1) % Dialect::ALL.len()];
    for (at, client) in Dialect::ALL.into_iter().enumerate() {
        let (client, worker) = (client.name(), next(at).name());
        let options = ["--client", client, "--worker", worker, "--calls", "40", "--in-flight", "4"];
        let object = json(&tripping(&[&options[..], &["--body", "100", "--json"]].concat()));
        assert_eq!(object["client"], client);
        assert_eq!(object["worker"], worker);
        assert_eq!(object["body_bytes"], 100);
        assert_eq!(object["own_broker"], true);
        // Where requests have ids, one connection takes them all.
        let connections = if ["omdp1", "pigato", "omdp"].contains(&client) { 1 } else { 4 };
        for (part, in_flight, connections) in [("synchronous", 1, 1), ("pipelined", 4, connections)]
        {
            let part = &object[part];
            assert_eq!(part["in_flight"], in_flight, "{object}");
            assert_eq!(part["connections"], connections, "{object}");
            assert_eq!(part["calls"], 40, "{object}");
            for count in ["lost", "wrong", "failed"] {
                assert_eq!(part[count], 0, "{object}");
            }
            let time = |name: &str| part[name].as_f64().expect("it is a number");
            assert!(time("calls_per_second") > 0.0, "{object}");
            assert!(0.0 < time("p50_us") && time("p50_us") <= time("p99_us"), "{object}");
            assert!(time("p99_us") <= time("elapsed_us"), "{object}");
        }
    }
}

#[test]
fn bodies_may_be_empty_and_large() {
    for body in ["0", "1", "1MiB"] {
        let finished = tripping(&["--body", body, "--calls", "8", "--in-flight", "4"]);
        assert_eq!(row(&finished, "pipelined")[1], "8");
    }
}

#[test]
fn it_calls_through_a_broker_that_is_there_and_leaves_it_as_it_was() {
    let broker = Broker::start(&[]);
    let options = ["-b", &broker.endpoint, "--service", "trip", "--calls", "40", "--json"];
    let object = json(&tripping(&options));
    assert_eq!(object["broker"], *broker.endpoint);
    assert_eq!(object["own_broker"], false);
    assert_eq!(object["service"], "trip");
    wait_until("its worker has left", PATIENCE, || {
        broker.request(&["mmi.service", "trip"]).text() == "404\n"
    });
}

#[test]
fn a_broker_that_is_not_there_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().expect("there is room");
    let endpoint = format!("ipc://{}", directory.path().join("m.sock").display());
    let finished = run(&["tripping", "-b", &endpoint, "--timeout", "200ms"]);
    finished.failed(&[&endpoint, "200ms", "nobody listens there", "majordomus broker -b"]);
    assert!(finished.stdout.is_empty());
}

#[test]
fn a_broker_of_other_dialects_is_told_from_none() {
    let broker = Broker::start(&["--dialect", "mdp01"]);
    let finished = run(&["tripping", "-b", &broker.endpoint, "--timeout", "200ms"]);
    finished.failed(&[&broker.endpoint, "somebody listens there", "dialects"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (options, said) in [
        (&["--calls", "0"][..], "--calls"),
        (&["--calls", "1000001"], "--calls"),
        (&["--in-flight", "0"], "--in-flight"),
        (&["--in-flight", "257"], "--in-flight"),
        (&["--client", "mdp99"], "mdp01"),
        (&["--worker", "mdp99"], "mdp01"),
        (&["--body", "64kb"], "64KiB"),
        (&["--body", "4MiB"], "--in-flight smaller"),
        (&["--timeout", "5"], "250ms"),
        (&["--timeout", "0s"], "more than 0s"),
        (&["more"], "more"),
    ] {
        let finished = run(&[&["tripping"], options].concat());
        assert_eq!(finished.status.code(), Some(2), "{finished:?}");
        assert!(finished.stderr.contains(said), "no {said:?} in {finished:?}");
        assert!(finished.stdout.is_empty(), "{finished:?}");
    }
}

/// Another worker offers the service too, and does this with every other call.
#[track_caller]
fn tripping_beside(worker: &[&str]) -> Finished {
    let broker = Broker::start(&[]);
    let _other = broker.worker(&[&["trip"], worker].concat());
    wait_until("the other one is there", PATIENCE, || {
        broker.request(&["mmi.service", "trip"]).text() == "200\n"
    });
    let options = ["--service", "trip", "--in-flight", "1", "--calls", "1000", "--json"];
    run(&[&["tripping", "-b", &broker.endpoint], &options[..]].concat())
}

#[test]
fn a_wrong_reply_is_counted_and_named() {
    let finished = tripping_beside(&["--exec", "tr", "a-zA-F", "b-zA-Fa"]);
    finished.failed(&["wrong", "0 lost", "0 failed"]);
    let part = &json(&finished)["synchronous"];
    assert_eq!(part["wrong"], 20, "{part}");
    assert_eq!(part["given_up"], true, "{part}");
    let fault = &part["faults"][0];
    assert_eq!(fault["kind"], "wrong", "{part}");
    assert!(fault["call"].is_u64(), "{part}");
    assert_eq!(fault["text"], "byte 0 came back as another one", "{part}");
}

#[test]
fn an_error_is_counted_and_named() {
    let finished = tripping_beside(&["--exec", "sh", "-c", "echo no paper >&2; exit 1"]);
    finished.failed(&["20 failed", "0 lost", "0 wrong"]);
    let fault = &json(&finished)["synchronous"]["faults"][0];
    assert_eq!(fault["kind"], "failed", "{fault}");
    assert!(fault["text"].as_str().expect("it is text").contains("no paper"), "{fault}");
}

#[test]
fn calls_are_lost_with_their_broker() {
    let broker = Broker::start(&["-v"]);
    let options = ["--calls", "1000000", "--timeout", "500ms"];
    let args = [&["tripping", "-b", &broker.endpoint], &options[..]].concat();
    let tripping = Process::start(majordomus(&args));
    wait_until("it calls", PATIENCE, || broker.process.stderr().lines().count() > 1000);
    broker.process.signal(Signal::KILL);
    let finished = tripping.finish_within(Duration::from_secs(20));
    finished.failed(&["did not come back", "3 lost", "0 wrong", "0 failed"]);
    let row = row(&finished, "synchronous");
    assert_eq!(row[7..], ["3", "0", "0"], "{row:?}");
    assert!(finished.text().contains(": lost: "), "{finished:?}");
    assert!(finished.text().contains("synchronous: given up after"), "{finished:?}");
    assert!(!finished.text().contains("pipelined"), "{finished:?}");
}

#[test]
fn the_bar_is_for_a_terminal_only() {
    let finished = tripping(&["--calls", "3000"]);
    assert_eq!(finished.stderr, "");
    assert!(!finished.text().contains('\u{1b}'), "{finished:?}");
}
