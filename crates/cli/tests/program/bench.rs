//! Measuring: every reply is checked, and the figures agree with each other.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use majordomus::Dialect;
use majordomus_core::{
    CorrelationId, Frames, FromClient, Outcome, Reply, ToClient, ToClientView, Welcome,
};
use majordomus_wire::{Codec, Scratch, Side, Sink};
use majordomus_zmtp::{Connection, Event, Limits, Metadata, Security, SocketType};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Broker, Finished, PATIENCE, Process, majordomus, run, wait_until};

const SHORT: [&str; 4] = ["--duration", "200ms", "--warm-up", "50ms"];

fn bench(options: &[&str]) -> Finished {
    run(&[&["bench"], options].concat())
}

/// Returns the program's output with `--json`, for any exit status.
#[track_caller]
fn json(finished: &Finished) -> Value {
    assert_eq!(finished.text().lines().count(), 1, "{finished:?}");
    serde_json::from_slice(&finished.stdout).expect("it is JSON")
}

/// The one run that it printed.
#[track_caller]
fn only_run(finished: &Finished) -> Value {
    json(finished)["runs"].as_array().and_then(|runs| runs.first()).expect("there is one").clone()
}

fn count(run: &Value, name: &str) -> u64 {
    run[name].as_u64().unwrap_or_else(|| panic!("{name} is no count in {run}"))
}

/// Whatever came of a request, it is counted once.
#[track_caller]
fn check_sums(run: &Value) {
    let ends = ["right", "wrong", "failed", "lost"];
    let sum: u64 = ends.iter().map(|name| count(run, name)).sum();
    assert_eq!(count(run, "asked"), sum, "{run}");
    let parts = run["parts"].as_array().expect("it is a list");
    let parts: u64 = parts.iter().map(|part| part.as_u64().expect("it is a count")).sum();
    assert_eq!(count(run, "measured"), parts, "{run}");
    assert!(count(run, "measured") <= count(run, "right"), "{run}");
}

#[test]
fn every_reply_is_right_in_every_dialect() {
    let broker = Broker::start(&[]);
    for dialect in Dialect::ALL {
        let options = ["run", "-b", &broker.endpoint, "--dialect", dialect.name(), "--json"];
        let load = ["--clients", "2", "--in-flight", "4", "--workers", "2"];
        let finished = bench(&[&options[..], &load, &SHORT].concat());
        assert!(finished.status.success(), "{dialect}: {finished:?}");
        let run = only_run(&finished);
        check_sums(&run);
        assert!(count(&run, "measured") > 0, "{run}");
        assert_eq!((count(&run, "doubled"), count(&run, "foreign")), (0, 0), "{run}");
        assert!(run["broker_us_per_request"].is_null(), "nobody said which process it is: {run}");
        let latency = |name: &str| run["latency"][name].as_f64().expect("it is a time");
        assert!(0.0 < latency("p50_us") && latency("p50_us") <= latency("p99_us"), "{run}");
        assert!(latency("p99_us") <= latency("max_us"), "{run}");
    }
}

#[test]
fn bodies_may_be_as_small_as_a_tag_and_large() {
    for body in ["16", "17", "100KiB"] {
        let options = ["run", "--body", body, "--clients", "2", "--in-flight", "2"];
        let finished = bench(&[&options[..], &SHORT].concat());
        assert!(finished.status.success(), "{finished:?}");
    }
}

#[test]
fn a_broker_of_its_own_is_measured_with_its_processor_time_and_memory() {
    let finished = bench(&[&["run", "--json"], &SHORT[..]].concat());
    assert!(finished.status.success(), "{finished:?}");
    let run = only_run(&finished);
    check_sums(&run);
    let figures = [
        "broker_us_per_request",
        "broker_busy",
        "generator_busy",
        "broker_peak_bytes",
        "broker_start_us",
    ];
    for figure in figures {
        assert!(run[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} in {run}");
    }
    assert!(run["others"].as_f64().is_some_and(|others| others <= 1.0), "{run}");
}

#[test]
fn broker_of_its_own_serves_clients_and_workers_over_the_chosen_transports() {
    for (options, endpoint, worker_endpoint) in [
        (&["--transport", "ipc"][..], "ipc:///", "ipc:///"),
        (&["--worker-transport", "ipc"], "tcp://", "ipc:///"),
        (&["--transport", "ipc", "--worker-transport", "tcp"], "ipc:///", "tcp://"),
    ] {
        let finished = bench(&[&["run", "--json"], options, &SHORT].concat());
        assert!(finished.status.success(), "{finished:?}");
        let run = only_run(&finished);
        for (name, start) in [("endpoint", endpoint), ("worker_endpoint", worker_endpoint)] {
            let endpoint = run[name].as_str().expect("it is text");
            assert!(endpoint.starts_with(start), "{run}");
            let socket = endpoint.strip_prefix("ipc://").map(std::path::Path::new);
            assert!(!socket.is_some_and(std::path::Path::exists), "{endpoint} is left over");
        }
        assert!(count(&run, "measured") > 0, "{run}");
    }
}

#[test]
fn a_person_gets_a_table() {
    let finished = bench(&[&["run"], &SHORT[..]].concat());
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(finished.stderr, "");
    for said in
        ["Throughput:", "p99.9", "of processor time a request", "0 lost", "Start:", "Machine:"]
    {
        assert!(finished.text().contains(said), "no {said:?} in {}", finished.text());
    }
}

#[test]
fn a_rate_is_held() {
    let options = ["run", "--rate", "2000", "--duration", "300ms", "--warm-up", "100ms", "--json"];
    let finished = bench(&options);
    assert!(finished.status.success(), "{finished:?}");
    let run = only_run(&finished);
    check_sums(&run);
    // Neither more nor fewer than were due.
    assert_eq!((count(&run, "asked"), count(&run, "unasked")), (800, 0), "{run}");
    assert_eq!(run["bottleneck"], "the rate that was asked for", "{run}");
    let lateness = |name: &str| run["lateness"][name].as_f64().expect("it is a time");
    assert!(lateness("p50_us") <= lateness("p99_us"), "{run}");
    assert!(lateness("p99_us") <= lateness("max_us"), "{run}");
}

#[test]
fn workers_echo_for_clients_elsewhere_until_they_are_told_to_end() {
    let broker = Broker::start(&[]);
    let args = ["bench", "workers", "-b", &broker.endpoint, "--workers", "2"];
    let workers = Process::start(majordomus(&args));
    wait_until("they are there", PATIENCE, || {
        broker.request(&["mmi.service", "bench"]).text() == "200\n"
    });
    let options = ["requests", "-b", &broker.endpoint, "--json"];
    let finished = bench(&[&options[..], &SHORT].concat());
    assert!(finished.status.success(), "{finished:?}");
    let asked = count(&only_run(&finished), "asked");
    workers.signal(Signal::TERM);
    let finished = workers.finish();
    let answered = finished.text().strip_suffix(" requests were answered\n");
    let answered: u64 = answered.and_then(|count| count.parse().ok()).expect("it says how many");
    // By one more, at least, the way was found.
    assert!(finished.status.success() && answered > asked, "{answered} of {asked}: {finished:?}");
}

#[test]
fn a_comparison_has_a_row_for_each_broker_and_the_medians_of_its_rounds() {
    let options = ["compare", "--with", "majordomus", "--rounds", "3"];
    let finished = bench(&[&options[..], &["--json"], &SHORT].concat());
    assert!(finished.status.success(), "{finished:?}");
    let object = json(&finished);
    let runs = object["runs"].as_array().expect("it is a list");
    runs.iter().for_each(check_sums);
    let summaries = object["summaries"].as_array().expect("it is a list");
    let [summary] = &summaries[..] else { panic!("{object}") };
    assert_eq!((summary["broker"].as_str(), count(summary, "runs")), (Some("majordomus"), 3));
    let rates = runs.iter().map(|run| run["requests_per_second"].as_f64());
    assert!(rates.into_iter().any(|rate| rate == summary["requests_per_second"].as_f64()));
    let finished = bench(&[&options[..], &SHORT].concat());
    let row = finished.text().lines().find(|line| line.starts_with("majordomus"));
    assert!(row.is_some_and(|row| row.contains("of 3")), "{finished:?}");
}

#[test]
fn a_page_has_all_figures_in_it_and_refers_to_nothing_outside() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("page.html");
    let page = path.to_str().expect("it is text");
    for options in [&["run", "--rate", "2000"][..], &["compare", "--rounds", "2"]] {
        let with = ["--python", "/nowhere/python", "--node", "/nowhere/node"];
        let with = if options[0] == "compare" { &with[..] } else { &[] };
        let finished = bench(&[options, with, &["--html", page, "--json"], &SHORT].concat());
        assert!(finished.status.success(), "{finished:?}");
        let html = std::fs::read_to_string(&path).expect("it was written");
        for outside in ["http", "src=", "href=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside} in {html}");
        }
        // The raw figures are those that were printed.
        let raw = html.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next());
        let raw = raw.expect("they are there").replace("&quot;", "\"").replace("&amp;", "&");
        let raw: Value = serde_json::from_str(&raw).expect("it is JSON");
        assert_eq!(raw, json(&finished));
        let charts = html.matches("<svg").count();
        assert_eq!(charts, if options[0] == "compare" { 4 } else { 3 }, "{html}");
        assert_eq!(charts, html.matches("</svg>").count());
        let machine = raw["machine"].as_str().expect("it is text");
        for said in [machine, "latency", "share of the replies", "replies a second", "seconds"] {
            assert!(html.contains(said), "no {said:?} in {html}");
        }
    }
    let nowhere = directory.path().join("none/page.html");
    let nowhere = nowhere.to_str().expect("it is text");
    bench(&[&["run", "--html", nowhere], &SHORT[..]].concat()).failed(&["cannot write", nowhere]);
}

#[test]
fn a_broker_that_is_not_installed_is_left_out_with_how_to_get_it() {
    let nowhere = ["--python", "/nowhere/python", "--node", "/nowhere/node"];
    let options = ["compare", "--rounds", "1"];
    let finished = bench(&[&options[..], &nowhere, &SHORT].concat());
    assert!(finished.status.success(), "{finished:?}");
    for said in [
        "zmq_proxy is not installed",
        "pip install majortomo",
        "npm install pigato",
        concat!("Version:     majordomus: ", env!("CARGO_PKG_VERSION")),
        // With it, the server may be there.
        if cfg!(feature = "nats") { "" } else { "--features nats" },
    ] {
        assert!(finished.text().contains(said), "no {said:?} in {}", finished.text());
    }
    let options = ["compare", "--with", "majortomo"];
    bench(&[&options[..], &nowhere].concat()).misused(&["pip install majortomo"]);
}

#[test]
fn a_broker_that_does_not_start_is_noted_with_its_last_words() {
    let directory = tempfile::tempdir().expect("there is room");
    let python = directory.path().join("python");
    // It has what it is asked for, until it is to be a broker.
    let script = "#!/bin/sh\ncase $2 in 'import zmq'*) exit 0;; esac\necho no paper >&2\nexit 1\n";
    std::fs::write(&python, script).expect("there is room");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&python, mode).expect("it is ours");
    let python = python.to_str().expect("it is text");
    let options = ["compare", "--with", "zmq_proxy", "--with", "majordomus", "--rounds", "1"];
    let finished = bench(&[&options[..], &["--python", python], &SHORT].concat());
    assert!(finished.status.success(), "{finished:?}");
    let noted = "zmq_proxy, round 1: the broker for this run does not run: it ended: no paper";
    assert!(finished.text().contains(noted), "{finished:?}");
}

#[test]
fn a_broker_that_is_not_there_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().expect("there is room");
    let endpoint = format!("ipc://{}", directory.path().join("m.sock").display());
    for subcommand in ["run", "requests", "workers"] {
        let finished = bench(&[subcommand, "-b", &endpoint]);
        finished.failed(&[&endpoint, "cannot connect", "majordomus broker -b"]);
        assert!(finished.stdout.is_empty());
    }
}

#[test]
fn more_connections_than_may_shake_hands_at_once_are_opened_one_after_another() {
    let load = ["run", "--clients", "1024", "--in-flight", "1", "--workers", "300", "--json"];
    let finished = bench(&[&load[..], &SHORT].concat());
    assert!(finished.status.success(), "{finished:?}");
    check_sums(&only_run(&finished));
}

#[test]
fn a_service_without_a_worker_is_told() {
    let broker = Broker::start(&[]);
    let finished = bench(&["requests", "-b", &broker.endpoint, "--timeout", "300ms"]);
    finished.failed(&["no call came back within 300ms", "is there a worker"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (options, said) in [
        (&["run", "--clients", "0"][..], "--clients"),
        (&["run", "--in-flight", "4097"], "--in-flight"),
        (&["run", "--workers", "-1"], "--workers"),
        (&["run", "--rate", "0"], "--rate"),
        (&["run", "--body", "15"], "at least 16 bytes"),
        (&["run", "--body", "1MiB"], "--in-flight smaller"),
        (&["run", "--dialect", "mdp99"], "mdp01"),
        (&["run", "--spin", "11ms"], "at most 10ms"),
        (&["run", "--spin", "1us", "-b", "tcp://127.0.0.1:1"], "without --broker"),
        (&["run", "--transport", "ipc", "-b", "tcp://127.0.0.1:1"], "without --broker"),
        (&["run", "--worker-transport", "udp"], "ipc"),
        (&["run", "--duration", "0s"], "more than 0s"),
        (&["run", "--timeout", "0s"], "more than 0s"),
        (&["run", "--pin", "0"], "0,1"),
        (&["run", "--pin", "1,1"], "not the same"),
        (&["run", "--broker-pid", "1"], "--broker"),
        (&["workers", "--service", "mmi.x"], "mmi."),
        (&["compare", "--rounds", "0"], "--rounds"),
        (&["compare", "--with", "rabbitmq"], "zmq_proxy"),
        (&[], "compare"),
    ] {
        let finished = bench(options);
        finished.misused(&[said]);
        assert!(finished.stdout.is_empty(), "{finished:?}");
    }
}

/// After such a silence the broker says that it lives, which is no reply to anybody.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// A broker's fault in the handling of one request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Spoil,
    Double,
    Lose,
    Invent,
    Fail,
}

/// A broker that is its own worker, and does these things wrong with one request each. Where it is.
fn faulty_broker(faults: &'static [(u32, Fault)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the generator comes");
        answer(stream, faults);
    });
    endpoint
}

/// Talks with one client until it goes.
fn answer(mut stream: TcpStream, faults: &[(u32, Fault)]) {
    let codec = Codec::new(Dialect::Omdp1, Side::Client);
    let mut zmtp = Connection::listener(Security::Null, Limits::default());
    let (mut buffer, mut requests) = ([0; 64 << 10], 0);
    stream.set_read_timeout(Some(HEARTBEAT)).expect("it can wait so long");
    loop {
        while let Some(event) = zmtp.poll().expect("the generator speaks ZMTP") {
            match event {
                Event::Hello(_) => zmtp.accept(&Metadata::new(SocketType::Router)),
                Event::Message(message) => {
                    let message = Frames::new(message.data, message.frames);
                    let fault = faults.iter().find(|(request, _)| *request == requests);
                    let out = &mut Out(&mut zmtp);
                    let mut scratch = Scratch::default();
                    let command = codec.decode_from_client(message.view(), &mut scratch);
                    let command = command.expect("it speaks OMDP/1");
                    match command.to_owned() {
                        FromClient::Request(request) => {
                            requests += 1;
                            let reply = Reply { id: request.id, ..Reply::new("", request.body) };
                            say(codec, reply, fault.map(|(_, fault)| *fault), out);
                        }
                        FromClient::Hello(_) => {
                            codec.encode_to_client(&ToClient::Welcome(welcome()).view(), out);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        zmtp.settle();
        let unsent = zmtp.unsent().collect::<Vec<_>>().concat();
        if stream.write_all(&unsent).is_err() {
            return;
        }
        zmtp.sent(unsent.len());
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => zmtp.receive(&mut BytesMut::from(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if zmtp.is_open() {
                    codec.encode_to_client(&ToClientView::Heartbeat, &mut Out(&mut zmtp));
                }
            }
            _ => return,
        }
    }
}

fn say(codec: Codec, reply: Reply, fault: Option<Fault>, out: &mut Out<'_>) {
    let mut last = |reply: &Reply| codec.encode_to_client(&ToClientView::Final(reply.view()), out);
    match fault {
        None => last(&reply),
        Some(Fault::Spoil) => {
            let mut body = reply.body.get(0).expect("it has one").to_vec();
            body[40] ^= 1;
            last(&Reply { body: Frames::from_slices(&[body]), ..reply });
        }
        Some(Fault::Double) => {
            last(&reply);
            last(&reply);
        }
        Some(Fault::Lose) => {}
        Some(Fault::Invent) => {
            let body = Frames::from_slices(&["nobody asked"]);
            last(&Reply { id: CorrelationId::Number(7), body, ..reply.clone() });
            last(&reply);
        }
        Some(Fault::Fail) => {
            let body = Frames::from_slices(&["no paper"]);
            let failed = ToClient::Failed(Outcome::Failed, Reply { body, ..reply });
            codec.encode_to_client(&failed.view(), out);
        }
    }
}

fn welcome() -> Welcome {
    Welcome {
        heartbeat: Duration::from_millis(2_500),
        liveness: 3,
        message_bytes_max: 0,
        frames_max: 1_024,
        requests_max: 1_000,
        broker: "faulty".into(),
    }
}

struct Out<'a>(&'a mut Connection);

impl Sink for Out<'_> {
    fn frame(&mut self, frame: &[u8], more: bool) {
        self.0.send_frame(frame, more);
    }
}

/// Makes some requests of a broker with these faults.
#[track_caller]
fn bench_faulty(faults: &'static [(u32, Fault)]) -> (Finished, Value) {
    let endpoint = faulty_broker(faults);
    let options = ["requests", "-b", &endpoint, "--clients", "1", "--in-flight", "8", "--json"];
    let load = ["--rate", "1000", "--duration", "200ms", "--warm-up", "0s", "--timeout", "1s"];
    let finished = bench(&[&options[..], &load].concat());
    let run = only_run(&finished);
    check_sums(&run);
    assert_eq!(count(&run, "asked"), 200, "{run}");
    (finished, run)
}

#[test]
fn each_fault_of_a_broker_is_told_from_the_others_and_fails_the_run() {
    use Fault::{Double, Fail, Invent, Lose, Spoil};
    for (faults, name, words) in [
        (&[(50, Spoil)][..], "wrong", "byte 40 came back as another one"),
        (&[(50, Double)], "doubled", "was answered again"),
        (&[(50, Lose)], "lost", "had no reply"),
        (&[(50, Invent)], "foreign", "bytes came back"),
        (&[(50, Fail)], "failed", "no paper"),
    ] {
        let (finished, run) = bench_faulty(faults);
        for other in ["wrong", "doubled", "lost", "foreign", "failed"] {
            assert_eq!(count(&run, other), u64::from(other == name), "{other} of {name}: {run}");
        }
        assert!(run["faults"][0].as_str().is_some_and(|fault| fault.contains(words)), "{run}");
        finished.failed(&[name]);
    }
}

#[test]
fn faults_add_up() {
    use Fault::{Double, Fail, Lose, Spoil};
    let faults = &[(20, Spoil), (40, Spoil), (60, Double), (80, Lose), (100, Fail), (120, Lose)];
    let (finished, run) = bench_faulty(faults);
    let counts = ["wrong", "doubled", "lost", "failed", "foreign"].map(|name| count(&run, name));
    assert_eq!(counts, [2, 1, 2, 1, 0], "{run}");
    finished.failed(&["of 200 requests 2 were lost, 2 wrong and 1 failed; 1 replies were doubled"]);
}

#[test]
fn a_faultless_one_has_no_faults() {
    let (finished, run) = bench_faulty(&[]);
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(count(&run, "right"), 200, "{run}");
}
