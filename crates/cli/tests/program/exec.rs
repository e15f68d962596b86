//! A command as a worker.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Broker, PATIENCE, run_with_input, wait_until};

/// A broker and a worker that runs this for each request for `job`.
macro_rules! job {
    ($broker:ident, $worker:ident, $($arg:expr),+) => {
        let $broker = Broker::start(&[]);
        #[allow(unused_variables, reason = "most only need it to live")]
        let $worker = $broker.worker(&["job", $($arg),+]);
    };
}

#[test]
fn the_body_is_its_input_and_its_output_the_reply() {
    job!(broker, worker, "--exec", "cat");
    broker.request(&["job", "one", "two"]).printed("onetwo\n");
    broker.request(&["job"]).printed("\n");
    // More than fits into pipes, in both directions at once.
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|number| (number / 7) as u8).collect();
    let args = ["request", "-b", &broker.endpoint, "job", "--raw", "-"];
    let finished = run_with_input(&args, &bytes);
    assert!(finished.stdout == bytes, "{}", finished.stderr);
}

#[test]
fn it_need_not_read_its_input() {
    job!(broker, worker, "--exec", "echo", "--done");
    let args = ["request", "-b", &broker.endpoint, "job", "-"];
    run_with_input(&args, &vec![b'x'; 4_000_000]).printed("--done\n\n");
}

#[test]
fn service_and_request_are_in_its_environment() {
    job!(broker, worker, "--exec", "sh", "-c", "echo $MAJORDOMUS_SERVICE $MAJORDOMUS_REQUEST_ID");
    let answers = [broker.request(&["job"]), broker.request(&["job"])];
    let ids = answers.each_ref().map(|answer| {
        let id = answer.text().trim().strip_prefix("job ").expect("the service is there");
        assert!(id.len() > 8, "{answer:?}");
        id
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn another_status_than_0_is_an_error_with_the_end_of_standard_error() {
    job!(broker, worker, "--exec", "sh", "-c", "echo reply; seq 1000 3000 >&2; exit 3");
    let finished = broker.request(&["job"]);
    finished.failed(&["job", "2999; 3000"]);
    assert!(!finished.stderr.contains("1000"), "{}", finished.stderr);
    assert!(finished.stdout.is_empty());
}

#[test]
fn a_silent_failure_is_told_by_its_status() {
    job!(broker, worker, "--exec", "sh", "-c", "read how; eval \"$how\"");
    broker.request(&["job", "exit 3"]).failed(&["exit status: 3"]);
    broker.request(&["job", "kill -9 $$"]).failed(&["signal: 9"]);
    broker.request(&["job", "echo well"]).printed("well\n\n");
}

#[test]
fn a_command_that_cannot_be_started_is_an_error_and_logged_once() {
    job!(broker, worker, "--exec", "/no/such/command", "secret");
    for _ in 0..2 {
        broker.request(&["job"]).failed(&["/no/such/command", "cannot be started"]);
    }
    let log = worker.stderr();
    assert_eq!(log.matches("cannot be started").count(), 1, "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn too_much_output_is_an_error_and_ends_the_command() {
    let pids = Pids::new();
    let script = format!("echo $$ > '{}'; exec yes", pids.path().display());
    job!(broker, worker, "--output-max", "64KiB", "--exec", "sh", "-c", &script);
    broker.request(&["job"]).failed(&["64KiB"]);
    pids.vanish();
}

#[test]
fn lines_are_parts_as_they_come() {
    let directory = tempfile::tempdir().expect("there is room");
    let go_on = directory.path().join("go on");
    let script = format!(
        "echo one; while [ ! -e '{}' ]; do sleep 0.01; done; echo; echo two; printf three",
        go_on.display()
    );
    job!(broker, worker, "--stream", "--exec", "sh", "-c", &script);
    let client = broker.client(&["job"]);
    wait_until("the first part is there", PATIENCE, || client.stdout() == "one\n");
    fs::write(go_on, "").expect("there is room");
    client.finish().printed("one\n\ntwo\nthree\n");
}

#[test]
fn the_end_of_lines_is_no_line() {
    for dialect in ["mdp02", "majortomo"] {
        job!(broker, worker, "--dialect", dialect, "--stream", "--exec", "printf", "one\n\n");
        for client in ["mdp02", "majortomo"] {
            broker.request(&["job", "--dialect", client]).printed("one\n\n");
        }
    }
}

#[test]
fn lines_before_a_failure_are_printed() {
    job!(broker, worker, "--stream", "--exec", "sh", "-c", "echo one; echo jam >&2; exit 1");
    let finished = broker.request(&["job"]);
    finished.failed(&["jam"]);
    assert_eq!(finished.text(), "one\n");
}

#[test]
fn a_line_without_end_is_too_much() {
    job!(
        broker,
        worker,
        "--stream",
        "--output-max",
        "64KiB",
        "--exec",
        "sh",
        "-c",
        "echo one; tr '\\n' x < /dev/zero"
    );
    let finished = broker.request(&["job"]);
    finished.failed(&["a line", "64KiB"]);
    assert_eq!(finished.text(), "one\n");
}

#[test]
fn several_run_at_once() {
    let directory = tempfile::tempdir().expect("there is room");
    // Each waits for the other.
    let script = format!(
        "read mine other; cd '{}'; touch $mine; while [ ! -e $other ]; do sleep 0.01; done; echo met",
        directory.path().display()
    );
    job!(broker, worker, "--concurrency", "2", "--exec", "sh", "-c", &script);
    let clients = [broker.client(&["job", "a b"]), broker.client(&["job", "b a"])];
    for client in clients {
        client.finish().printed("met\n\n");
    }
}

#[test]
fn what_it_leaves_running_ends_with_it() {
    let pids = Pids::new();
    let script = format!("sleep 1000 & echo $! > '{}'; echo done", pids.path().display());
    job!(broker, worker, "--exec", "sh", "-c", &script);
    broker.request(&["job"]).printed("done\n\n");
    pids.vanish();
}

#[test]
fn it_is_killed_when_its_request_ends_before_it() {
    let pids = Pids::new();
    let script = pids.script("sleep 1000");
    let broker = Broker::start(&["--busy-timeout", "300ms", "--attempts-max", "1"]);
    let _worker = broker.worker(&["job", "--exec", "sh", "-c", &script]);
    let client = broker.client(&["job", "--timeout", "30s"]);
    pids.appear();
    pids.vanish();
    drop(client);
}

#[test]
fn it_is_killed_when_the_broker_is_gone() {
    let pids = Pids::new();
    let script = pids.script("sleep 1000");
    job!(broker, worker, "--exec", "sh", "-c", &script);
    let client = broker.client(&["job"]);
    pids.appear();
    broker.process.signal(Signal::KILL);
    pids.vanish();
    client.finish().failed(&["job"]);
}

#[test]
fn it_is_killed_when_the_worker_is_told_to_end() {
    let pids = Pids::new();
    let script = pids.script("sleep 1000");
    job!(broker, worker, "--exec", "sh", "-c", &script);
    let _client = broker.client(&["job"]);
    pids.appear();
    worker.signal(Signal::TERM);
    let finished = worker.finish_within(Duration::from_secs(2));
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    pids.vanish();
}

/// A file with the numbers of processes that are to be gone at the end.
struct Pids {
    directory: TempDir,
}

impl Pids {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("there is room") }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("pids")
    }

    /// A script that runs a command beside its shell, and writes down the numbers of both.
    fn script(&self, command: &str) -> String {
        let path = self.path();
        format!("{command} & echo $! $$ > '{0}.new'; mv '{0}.new' '{0}'; wait", path.display())
    }

    #[track_caller]
    fn appear(&self) {
        wait_until("the command runs", PATIENCE, || self.path().exists());
    }

    #[track_caller]
    fn vanish(&self) {
        let pids = fs::read_to_string(self.path()).expect("the command ran");
        for pid in pids.split_whitespace() {
            wait_until("the command is killed", PATIENCE, || !is_alive(pid));
        }
    }
}

/// Whether a process runs: it is there, and no zombie that nobody has reaped.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim().starts_with('Z'))
}
