//! The requests and the output of `majordomus request`.

use majordomus::Dialect;

use crate::process::{Broker, PATIENCE, run, run_with_input, wait_until};

#[test]
fn each_argument_is_a_frame_and_each_frame_a_line() {
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    broker.request(&["echo", "one", "", "three"]).printed("one\n\nthree\n");
    broker.request(&["echo"]).printed("");
    broker.request(&["echo", "--raw", "one", "two"]).printed("onetwo");
    broker.request(&["echo", "--", "-x"]).printed("-x\n");
}

#[test]
fn every_dialect_is_spoken_by_client_and_worker() {
    let broker = Broker::start(&[]);
    for dialect in ["mdp01", "majortomo", "pigato", "omdp"] {
        let of = |args: &[&str]| broker.request(&[&["--dialect", dialect], args].concat());
        let worker = |service: &str, what: &[&str]| {
            broker.worker(&[&[service, "--dialect", dialect], what].concat())
        };
        let (echo, fail) = (format!("echo.{dialect}"), format!("fail.{dialect}"));
        let _echo = worker(&echo, &["--echo"]);
        let _fail = worker(&fail, &["--exec", "sh", "-c", "echo no paper >&2; exit 1"]);
        of(&[&echo, "one", "", "three"]).printed("one\n\nthree\n");
        of(&[&fail]).failed(&[&fail, "no paper"]);
    }
}

#[test]
fn a_dash_is_standard_input() {
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let args = ["request", "-b", &broker.endpoint, "echo", "--raw", "<", "-", ">"];
    let finished = run_with_input(&args, &bytes);
    assert!(finished.status.success(), "{}", finished.stderr);
    assert!(finished.stdout == [b"<", &bytes[..], b">"].concat());
}

#[test]
fn no_reply_in_time_is_a_failure() {
    let broker = Broker::start(&[]);
    let options = ["nobody", "hello", "--timeout", "200ms", "--dialect", "mdp02"];
    let finished = broker.request(&options);
    finished.failed(&["nobody", &broker.endpoint, "200ms"]);
    assert!(finished.stdout.is_empty());
    // Where the broker can say why, it does.
    let finished = broker.request(&options[..4]);
    finished.failed(&["nobody", &broker.endpoint, "no worker offers the service"]);
}

#[test]
fn the_time_that_is_over_is_the_one_that_is_named() {
    let directory = tempfile::tempdir().expect("there is room");
    let busy = directory.path().join("busy");
    let script = format!("touch '{}'; sleep 1000", busy.display());
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["job", "--exec", "sh", "-c", &script]);
    let _first = broker.client(&["job"]);
    wait_until("the worker is busy", PATIENCE, || busy.exists());
    for dialect in ["omdp1", "mdp02"] {
        let second =
            |options: &[&str]| broker.request(&[&["--dialect", dialect, "job"], options].concat());
        second(&["--deadline", "100ms"]).failed(&["no reply within 100ms"]);
        second(&["--timeout", "100ms"]).failed(&["no reply within 100ms"]);
        second(&["--deadline", "100ms", "--timeout", "none"]).failed(&["no reply within 100ms"]);
        second(&["--deadline", "1h", "--timeout", "100ms"]).failed(&["no reply within 100ms"]);
    }
    broker.request(&["job", "--timeout", "0s"]).failed(&["no worker is free"]);
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("there is room");
    let endpoint = format!("ipc://{}", directory.path().join("m.sock").display());
    let said = format!("no broker at {endpoint}");
    for dialect in ["omdp1", "mdp02"] {
        for time in ["--timeout", "--deadline"] {
            let args = ["request", "-b", &endpoint, "-d", dialect, time, "200ms", "echo"];
            run(&args).failed(&["\"echo\"", &said, dialect]);
        }
    }
    let two = ["request", "-b", &endpoint, "-b", "ipc://other", "--timeout", "200ms", "echo"];
    run(&two).failed(&[&said, "ipc://other"]);
    // It is there, and gives no answer; in mdp02 to give the request up costs the connection.
    let broker = Broker::start(&[]);
    let finished = broker.request(&["-d", "mdp02", "--timeout", "200ms", "nobody"]);
    finished.failed(&[&broker.endpoint, "no reply within 200ms"]);
}

#[test]
fn a_worker_that_is_not_there_is_named() {
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    broker.request(&["echo", "hello"]).printed("hello\n");
    let said = "no worker named \"W1\" offers the service";
    broker.request(&["--target", "W1", "echo"]).failed(&["\"echo\"", said]);
}

#[test]
fn whatever_goes_with_a_request_can_be_said() {
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    let options = [
        "--priority",
        "9",
        "--repeatable",
        "--no-cache",
        "--deadline",
        "1m",
        "--silence",
        "1m",
        "--retry",
        "2",
        "--header",
        "lang=en",
        "--header",
        "x=",
        "echo",
        "hello",
    ];
    broker.request(&options).printed("hello\n");
    for header in ["lang", "=x", "a b=x"] {
        broker.request(&["--header", header, "echo", "hello"]).misused(&["--header"]);
    }
}

#[test]
fn what_a_dialect_cannot_say_is_refused_and_not_left_out() {
    const OMDP1: &[&str] = &["omdp1"];
    const WITH_OPTIONS: &[&str] = &["omdp1", "pigato", "omdp"];
    for (flag, value, in_dialects) in [
        ("--timeout", "0s", OMDP1),
        ("--silence", "1m", OMDP1),
        ("--priority", "9", OMDP1),
        ("--header", "lang=en", OMDP1),
        ("--target", "W1", WITH_OPTIONS),
        ("--no-cache", "", WITH_OPTIONS),
    ] {
        let option = [flag, value].into_iter().filter(|word| !word.is_empty());
        let option: Vec<_> = option.collect();
        for dialect in Dialect::ALL.map(Dialect::name) {
            if in_dialects.contains(&dialect) {
                continue;
            }
            let args = [&["request", "--dialect", dialect, "echo"], &option[..]].concat();
            run(&args).misused(&[flag, dialect, in_dialects[0]]);
        }
    }
    let args = ["request", "--dialect", "omdp", "--repeatable", "echo"];
    run(&args).misused(&["--repeatable", "omdp", "omdp1, mdp01"]);
    // All of them are named.
    let args = ["request", "--dialect", "mdp02", "--target", "W1", "--priority", "9", "echo"];
    run(&args).misused(&["--target cannot", "--priority cannot"]);
    // What each dialect does in its own way, or the client by itself, is taken.
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    for dialect in ["mdp01", "pigato"] {
        let options = ["--dialect", dialect, "--repeatable", "--retry", "2", "--deadline", "1m"];
        broker.request(&[&options[..], &["echo", "hello"]].concat()).printed("hello\n");
    }
}

#[test]
fn of_two_brokers_the_one_that_is_there_is_asked() {
    let (first, second) = (Broker::start(&[]), Broker::start(&[]));
    let _worker = second.worker(&["echo", "--echo"]);
    let gone = first.endpoint.clone();
    drop(first);
    let options = ["request", "-b", &gone, "-b", &second.endpoint, "echo", "hello"];
    run(&options).printed("hello\n");
}

#[test]
fn an_error_reply_is_a_failure_unless_it_is_not_to_be() {
    let broker = Broker::start(&[]);
    let _worker = broker.worker(&["echo", "--echo"]);
    let args = ["--dialect", "mdp02", "echo", "--", "-1 out of paper"];
    broker.request(&args).failed(&["echo", "out of paper"]);
    let args = ["--dialect", "mdp02", "--no-error-replies", "echo", "--", "-1 out of paper"];
    broker.request(&args).printed("-1 out of paper\n");
    broker.request(&["echo", "--", "-1 out of paper"]).printed("-1 out of paper\n");
}

#[test]
fn the_broker_s_errors_are_told_where_the_listener_tells_them() {
    let broker = Broker::start(&["--errors", "final", "--no-worker-wait", "50ms"]);
    let args = ["--dialect", "mdp02", "nobody", "hello"];
    broker.request(&args).failed(&["nobody", "no worker offers the service"]);
    let args = ["--dialect", "pigato", "--target", "W1", "nobody"];
    broker.request(&args).failed(&["no worker named \"W1\" offers the service"]);
}

#[test]
fn what_is_too_large_says_for_what() {
    let broker = Broker::start(&["--translate-bytes-max", "1KiB", "--message-bytes-max", "64KiB"]);
    let _echo = broker.worker(&["echo", "--echo"]);
    let _json = broker.worker(&["json", "--dialect", "pigato", "--echo"]);
    let ask = |args: &[&str], bytes: usize| {
        let args = [&["request", "-b", &broker.endpoint], args, &["-"]].concat();
        run_with_input(&args, &vec![b'x'; bytes])
    };
    ask(&["echo"], 100_000).failed(&["the request is larger than a message may be"]);
    ask(&["json"], 2_000).failed(&["too large for its worker", "cannot be translated"]);
    ask(&["echo", "-d", "pigato"], 2_000)
        .failed(&["too large for its worker", "cannot be translated"]);
}
