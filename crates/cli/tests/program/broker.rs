//! The life of a broker.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{Broker, PATIENCE, Process, majordomus, run, wait_until};

#[test]
fn an_address_that_is_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let endpoint = format!("tcp://{}", taken.local_addr().expect("it is bound"));
    run(&["broker", "-b", &endpoint, "-q"]).failed(&[&endpoint, "in use"]);
}

#[test]
fn a_bad_endpoint_is_named() {
    run(&["broker", "-b", "tcp://127.0.0.1"]).misused(&["--bind", "tcp://127.0.0.1", "port"]);
    run(&["broker", "-b", "ipc:///no/such/place/m.sock", "-q"]).failed(&["/no/such/place/m.sock"]);
    run(&["worker", "-b", "tcp://*:1", "echo", "--echo"]).misused(&["--broker", "tcp://*:1"]);
    for args in [
        &["broker", "-b", "localhost"][..],
        &["request", "-b", "localhost", "echo"],
        &["request", "-b", "udp://localhost", "echo"],
        &["worker", "-b", "localhost", "echo", "--echo"],
        &["tripping", "-b", "localhost"],
    ] {
        let finished = run(args);
        finished.misused(&["localhost", "tcp:// or ipc://"]);
        assert!(!finished.stderr.contains("inproc"), "{finished:?}");
    }
}

#[test]
fn what_only_its_own_process_could_reach_is_refused() {
    let why = ["inproc://x", "own process", "tcp:// or ipc://"];
    run(&["broker", "-b", "inproc://x"]).misused(&["--bind", why[0], why[1], why[2]]);
    run(&["request", "-b", "inproc://x", "echo"]).misused(&why);
    run(&["worker", "-b", "inproc://x", "echo", "--echo"]).misused(&why);
    run(&["tripping", "-b", "inproc://x"]).misused(&why);
}

#[test]
fn a_name_that_no_service_can_have_is_refused() {
    for name in ["", "a\nb", &"x".repeat(256)] {
        for args in [
            &["request", name, "hello"][..],
            &["worker", name, "--echo"],
            &["tripping", "--service", name],
        ] {
            run(args).misused(&[&format!("{name:?}"), "1 to 255 bytes"]);
        }
    }
    let why = ["\"mmi.echo\"", "the broker's own"];
    run(&["worker", "mmi.echo", "--echo"]).misused(&why);
    run(&["tripping", "--service", "mmi.echo"]).misused(&why);
}

#[test]
fn help_says_what_the_status_is() {
    for subcommand in ["", "broker", "worker", "request", "tripping"] {
        let args = [subcommand, "--help"];
        let help = run(if subcommand.is_empty() { &args[1..] } else { &args });
        let text = help.text().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("2 when the command line makes no sense"), "{subcommand}: {text}");
    }
}

#[test]
fn it_says_where_it_listens_and_nothing_else() {
    let broker = Broker::start(&["-b", "tcp://127.0.0.1:*"]);
    wait_until("both are named", PATIENCE, || broker.process.stdout().lines().count() == 2);
    broker.process.signal(Signal::TERM);
    let finished = broker.process.finish();
    for line in finished.text().lines() {
        let port = line.strip_prefix("listening tcp://127.0.0.1:").expect("it says so");
        assert_ne!(port.parse(), Ok(0_u16));
    }
    assert_eq!(finished.text().lines().count(), 2);
}

#[test]
fn it_says_where_it_publishes_behind_where_it_listens() {
    let directory = tempfile::tempdir().expect("there is room");
    let endpoint = format!("ipc://{}", directory.path().join("pub.sock").display());
    let args = ["broker", "-b", "tcp://127.0.0.1:0", "--intch", &endpoint];
    let broker = Process::start(majordomus(&args));
    wait_until("both are named", PATIENCE, || broker.stdout().lines().count() == 2);
    broker.signal(Signal::TERM);
    let finished = broker.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert_eq!(finished.text().lines().last(), Some(&*format!("publishing {endpoint}")));
    run(&["broker", "-q", "-b", "tcp://127.0.0.1:0", "--intch", "ipc:///no/such/place/pub.sock"])
        .failed(&["/no/such/place/pub.sock"]);
}

#[test]
fn what_a_peer_writes_is_part_of_no_path() {
    let above = tempfile::tempdir().expect("there is room");
    let inside = above.path().join("a/b");
    std::fs::create_dir_all(&inside).expect("there is room");
    let broker = Broker::start_in(&inside, &[]);
    let paths = ["../../stolen", "stolen", "./stolen", "/tmp/../stolen", "a/b/stolen"];
    for path in paths {
        broker.request(&[path, "hello", "--timeout", "10ms"]).failed(&[path]);
        let worker = broker.worker(&[path, "--echo"]);
        for dialect in ["omdp1", "pigato", "mdp01"] {
            let args = [path, "hello", "--dialect", dialect];
            broker.request(&args).printed("hello\n");
        }
        drop(worker);
    }
    let names = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).expect("it is there");
        entries.flatten().map(|entry| entry.file_name()).collect()
    };
    assert!(names(&inside).is_empty(), "{:?}", names(&inside));
    assert_eq!(names(above.path()), ["a"]);
    assert_eq!(names(&above.path().join("a")), ["b"]);
}

#[test]
fn a_signal_shows_the_outcomes_by_service_and_reason_while_it_goes_on() {
    let broker = Broker::start(&["--client-requests-max", "1", "--no-worker-wait", "1ms"]);
    let worker = broker.worker(&["echo", "--echo"]);
    for _ in 0..3 {
        broker.request(&["echo", "hello"]).printed("hello\n");
    }
    broker.request(&["nobody", "hello"]).failed(&["nobody"]);
    broker.process.signal(Signal::USR1);
    let shown = "so far: received 4, replied 3";
    wait_until("it shows them", PATIENCE, || {
        let log = broker.process.stderr();
        log.contains(shown)
            && log.contains("replied 3 service=echo")
            && log.contains("no_such_service 1 service=others")
    });
    broker.request(&["echo", "hello"]).printed("hello\n");
    broker.process.signal(Signal::TERM);
    let finished = broker.process.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert!(finished.stderr.contains("replied 4 service=echo"), "{finished:?}");
    drop(worker);
}

#[test]
fn a_signal_ends_it_with_a_table_of_outcomes() {
    for signal in [Signal::TERM, Signal::INT] {
        let broker = Broker::start(&[]);
        let worker = broker.worker(&["echo", "--echo"]);
        broker.request(&["echo", "hello"]).printed("hello\n");
        broker.process.signal(signal);
        let finished = broker.process.finish_within(Duration::from_secs(2));
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
        assert!(finished.stderr.contains("received 1, replied 1, failed 0"), "{finished:?}");
        for count in ["no_such_worker 0", "untranslatable 0", "rejections 0", "shared 0"] {
            assert!(finished.stderr.contains(count), "{finished:?}");
        }
        worker.signal(signal);
        let finished = worker.finish_within(Duration::from_secs(2));
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    }
}

#[test]
fn nobody_has_to_read_where_it_listens() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("m.sock");
    let endpoint = format!("ipc://{}", path.display());
    let mut command = majordomus(&["broker", "-b", &endpoint, "-b", "tcp://127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    drop(child.stdout.take());
    wait_until("it is reachable", PATIENCE, || {
        let probe = run(&["request", "-b", &endpoint, "mmi.service", "echo", "--timeout", "1s"]);
        probe.status.success()
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).expect("it is there");
    let finished = child.wait_with_output().expect("it is a child");
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

#[test]
fn the_log_has_a_format_and_levels() {
    let log = |options: &[&str]| {
        let broker = Broker::start(options);
        broker.request(&["mmi.service", "echo"]).printed("404\n");
        broker.process.signal(Signal::TERM);
        broker.process.finish().stderr
    };
    let json = log(&["--log-format", "json"]);
    assert!(json.lines().count() > 1, "{json}");
    assert!(json.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{json}");
    assert!(json.contains("\"message\":\"ended: received 1, replied 1"), "{json}");
    assert!(!json.contains("request received"), "{json}");
    assert!(log(&["-v"]).contains("DEBUG"));
    assert_eq!(log(&["-q"]), "");
}

#[test]
fn a_pinned_dialect_is_the_only_one() {
    let broker = Broker::start(&["--dialect", "mdp02"]);
    broker.request(&["mmi.service", "echo", "--dialect", "mdp02"]).printed("404\n");
    let other = ["mmi.service", "echo", "--dialect", "mdp01", "--timeout", "300ms"];
    broker.request(&other).failed(&["mmi.service"]);
}
