//! Where settings come from, and what is said of bad ones.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::process::{Finished, Process, majordomus, run};

/// A configuration file.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("majordomus.toml");
    fs::write(&path, text).expect("there is room");
    (directory, path)
}

/// Returns the output of `--print-config` with this file, environment and arguments.
fn shown(text: &str, environment: &[(&str, &str)], args: &[&str]) -> (Finished, String) {
    let (_directory, path) = file(text);
    let path = path.to_str().expect("it is text").to_owned();
    let mut command = majordomus(&[&["broker", "--print-config", "-c", &path], args].concat());
    command.envs(environment.iter().copied());
    (Process::start(command).finish(), path)
}

#[track_caller]
fn has(shown: &Finished, line: &str) {
    assert!(shown.status.success(), "{shown:?}");
    let lines: Vec<_> = shown.text().lines().collect();
    assert!(lines.contains(&line), "no line {line:?} in\n{}", shown.text());
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let text = "liveness = 7\nheartbeat_interval = '7s'\nwait_timeout = '7s'\nframes_max = 7";
    let environment = [
        ("MAJORDOMUS_HEARTBEAT_INTERVAL", "8s"),
        ("MAJORDOMUS_WAIT_TIMEOUT", "8s"),
        // One that is empty counts as none.
        ("MAJORDOMUS_FRAMES_MAX", ""),
    ];
    let (shown, path) = shown(text, &environment, &["--wait-timeout", "9s"]);
    has(&shown, "wait_timeout = \"9s\"  # --wait-timeout");
    has(&shown, "heartbeat_interval = \"8s\"  # environment MAJORDOMUS_HEARTBEAT_INTERVAL");
    has(&shown, &format!("liveness = 7  # file {path}"));
    has(&shown, &format!("frames_max = 7  # file {path}"));
    has(&shown, "busy_timeout = \"15m\"  # default");
}

#[test]
fn what_pigato_has_is_off_or_as_others_have_it_unless_it_is_set() {
    let (unset, _) = shown("", &[], &[]);
    for line in [
        "intch = \"none\"  # default",
        "balance = \"lru\"  # default",
        "reject_wait = \"1s\"  # default",
        "rejections_max = 100  # default",
        "worker_services_max = 1000  # default",
        "offers_max = 1000000  # default",
        "cache_bytes_max = \"64MiB\"  # default",
        "translate_bytes_max = \"1MiB\"  # default",
    ] {
        has(&unset, line);
    }
    let environment = [("MAJORDOMUS_INTCH", "tcp://127.0.0.1:55550")];
    let flags = ["--balance", "random", "--cache-bytes-max", "0"];
    let (set, _) = shown("intch = 'none'", &environment, &flags);
    has(&set, "intch = \"tcp://127.0.0.1:55550\"  # environment MAJORDOMUS_INTCH");
    has(&set, "balance = \"random\"  # --balance");
    has(&set, "cache_bytes_max = 0  # --cache-bytes-max");
}

#[test]
fn where_it_listens_comes_from_one_source_alone() {
    let text = "bind = 'tcp://127.0.0.1:1'\n[[listen]]\nendpoint = 'tcp://127.0.0.1:2'";
    let (from_file, path) = shown(text, &[], &[]);
    has(&from_file, &format!("bind = [\"tcp://127.0.0.1:1\"]  # file {path}"));
    has(&from_file, &format!("endpoint = \"tcp://127.0.0.1:2\"  # file {path}"));

    let environment = [("MAJORDOMUS_BIND", "tcp://127.0.0.1:3, ipc://a tcp://127.0.0.1:4")];
    let (from_environment, _) = shown(text, &environment, &[]);
    has(
        &from_environment,
        "bind = [\"tcp://127.0.0.1:3\", \"ipc://a\", \"tcp://127.0.0.1:4\"]  # environment MAJORDOMUS_BIND",
    );
    assert!(!from_environment.text().contains("[[listen]]"));

    let flags = ["-b", "tcp://127.0.0.1:5", "--bind", "ipc://a, b", "--dialect", "mdp01"];
    let (from_flags, _) = shown(text, &environment, &flags);
    has(&from_flags, "bind = [\"tcp://127.0.0.1:5\", \"ipc://a, b\"]  # --bind");
    has(&from_flags, "dialect = \"mdp01\"  # --dialect");
}

#[test]
fn the_file_can_be_named_by_the_environment() {
    let (_directory, path) = file("name = 'west'");
    let mut command = majordomus(&["broker", "--print-config"]);
    command.env("MAJORDOMUS_CONFIG", &path);
    let shown = Process::start(command).finish();
    has(&shown, &format!("name = \"west\"  # file {}", path.display()));
}

#[test]
fn what_is_shown_is_a_file_that_means_the_same() {
    let text = "errors = 'final'\nintch = 'ipc:///run/pub.sock'\nbalance = 'load'\nno_worker_wait = '1.5s'\nrequest_bytes_max = 1_000\n\
                [[listen]]\nendpoint = 'tcp://127.0.0.1:2'\ndialect = 'any'\nerrors = 'silent'\njson = 'string'\n\
                [[service]]\nname = 'slow \"one\"'\nbusy_timeout = '2h'\n\
                balance = 'random'\nshare = true";
    let (first, _) = shown(text, &[("MAJORDOMUS_NAME", "a \\ b")], &["--liveness", "9"]);
    let (second, _) = shown(first.text(), &[], &[]);
    let values = |shown: &Finished| -> Vec<String> {
        let line = |line: &str| line.split("  # ").next().unwrap_or_default().to_owned();
        shown.text().lines().map(line).collect()
    };
    assert!(second.status.success(), "{second:?}");
    assert_eq!(values(&first), values(&second));
    assert!(first.text().contains("busy_timeout = \"2h\""));
    assert!(first.text().contains("request_bytes_max = 1000"));
    for line in [
        "intch = \"ipc:///run/pub.sock\"",
        "balance = \"load\"",
        "balance = \"random\"",
        "share = true",
    ] {
        assert!(first.text().contains(line), "no {line} in\n{}", first.text());
    }
    assert!(first.text().contains("json = \"auto\""));
    assert!(first.text().contains("json = \"string\""));
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_place() {
    for (text, said) in [
        ("liveness = 3\nheartbeat = '1s'", ["line 2", "heartbeat", "no such key"]),
        ("heartbeat = '1s'", ["line 1", "no such key", "is it heartbeat_interval?"]),
        ("heartbeat-interval = '1s'", ["line 1", "no such key", "is it heartbeat_interval?"]),
        ("[[services]]\nname = 'x'", ["line 1", "no such key", "is it service?"]),
        ("[[service]]\nname = 'x'\nbalanse = 'lru'", ["line 3", "[[service]]", "is it balance?"]),
        ("liveness = '3'", ["line 1", "liveness", "a whole number"]),
        ("liveness = -3", ["line 1", "liveness", "-3"]),
        ("liveness = 5_000_000_000", ["line 1", "liveness", "too large"]),
        ("liveness = 0", ["liveness", "more than 0", "file"]),
        ("name = 7", ["line 1", "name", "a text"]),
        ("heartbeat_interval = 2.5", ["line 1", "heartbeat_interval", "a duration"]),
        ("heartbeat_interval = '2.5'", ["line 1", "heartbeat_interval", "2.5"]),
        ("message_bytes_max = '1TB'", ["line 1", "message_bytes_max", "1TB"]),
        ("dialect = 'mdp03'", ["line 1", "dialect", "mdp03"]),
        ("errors = 'loud'", ["line 1", "errors", "loud"]),
        ("balance = 'fair'", ["line 1", "balance", "fair"]),
        ("intch = 'http://x'", ["line 1", "intch", "http://x"]),
        ("intch = true", ["line 1", "intch", "none"]),
        ("rejections_max = 0", ["rejections_max", "more than 0", "file"]),
        ("reject_wait = '0s'", ["reject_wait", "more than 0", "file"]),
        ("json = 'xml'", ["line 1", "json", "xml"]),
        ("bind = 5555", ["line 1", "bind", "an endpoint"]),
        ("bind = ['tcp://127.0.0.1:1',\n'http://x']", ["line 2", "bind", "http://x"]),
        ("bind = []", ["no endpoint", "file", "majordomus.toml"]),
        ("liveness = ", ["line 1", "majordomus.toml", ""]),
        ("liveness = 3\nliveness = 4", ["line 2", "majordomus.toml", "duplicate"]),
        ("listen = 'x'", ["line 1", "listen", "[[listen]]"]),
        ("[[listen]]\ndialect = 'any'", ["line 1", "[[listen]]", "endpoint"]),
        ("[[listen]]\nendpoint = 'inproc://x'", ["line 2", "inproc://x", "tcp:// or ipc://"]),
        ("bind = ['inproc://x']", ["line 1", "bind", "inproc://x"]),
        ("[[listen]]\nport = 5555", ["line 2", "[[listen]]", "port"]),
        ("[[service]]\nwait_timeout = '1s'", ["line 1", "[[service]]", "name"]),
        ("[[service]]\nname = ''", ["line 2", "name", "1 to 255 bytes"]),
        ("[[service]]\nname = 'x'\nbusy_timeout = 1", ["line 3", "busy_timeout", "a duration"]),
        ("[[service]]\nname = 'x'\nbalance = 'fair'", ["line 3", "balance", "fair"]),
        ("[[service]]\nname = 'x'\nshare = 'yes'", ["line 3", "share", "true or false"]),
        ("[[service]]\nname = 'x'\n[[service]]\nname = 'x'", ["line", "two", "\"x\""]),
    ] {
        let (_directory, path) = file(text);
        let path = path.to_str().expect("it is text");
        let finished = run(&["broker", "-c", path]);
        finished.failed(&said);
        finished.failed(&[path]);
        assert!(finished.stdout.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (directory, _) = file("");
    let missing = directory.path().join("missing.toml");
    let missing = missing.to_str().expect("it is text");
    run(&["broker", "-c", missing]).failed(&[missing, "No such file"]);
    let place = directory.path().to_str().expect("it is text");
    run(&["broker", "-c", place]).failed(&[place]);
}

#[test]
fn a_bad_value_in_the_environment_is_named() {
    for (variable, value) in [
        ("MAJORDOMUS_LIVENESS", "many"),
        ("MAJORDOMUS_BUSY_TIMEOUT", "15 minutes"),
        ("MAJORDOMUS_BIND", "tcp://127.0.0.1:1,nonsense"),
        ("MAJORDOMUS_DIALECT", "mdp9"),
    ] {
        let mut command = majordomus(&["broker"]);
        command.env(variable, value);
        let word = value.rsplit([',', ' ']).next().unwrap_or_default();
        Process::start(command).finish().failed(&[variable, word]);
    }
}

#[test]
fn a_variable_that_is_no_setting_is_named_once() {
    let mut command = majordomus(&["broker", "--print-config"]);
    command.env("MAJORDOMUS_LIVNESS", "5").env("MAJORDOMUS_LIVENESS", "7");
    // What a command of a worker finds in its environment.
    command.env("MAJORDOMUS_SERVICE", "echo").env("MAJORDOMUS_REQUEST_ID", "1");
    let shown = Process::start(command).finish();
    has(&shown, "liveness = 7  # environment MAJORDOMUS_LIVENESS");
    assert_eq!(shown.stderr.lines().count(), 1, "{shown:?}");
    let said =
        "MAJORDOMUS_LIVNESS is in the environment and no setting; is it MAJORDOMUS_LIVENESS?";
    assert!(shown.stderr.contains(said), "{shown:?}");
}

#[test]
fn a_bad_flag_is_bad_usage() {
    for (args, said) in [
        (&["broker", "--liveness", "many"][..], "--liveness"),
        (&["broker", "--busy-timeout", "15"], "--busy-timeout"),
        (&["broker", "--intch", "inproc://x"], "tcp:// or ipc://"),
        (&["broker", "--nonsense"], "--nonsense"),
        (&["broker", "nonsense"], "nonsense"),
        (&["worker", "echo"], "--echo"),
        (&["worker", "echo", "--echo", "--exec", "cat"], "--exec"),
        (&["worker", "echo", "--echo", "--stream"], "--exec"),
        (&["worker", "echo", "--stream", "--dialect", "mdp01", "--exec", "cat"], "mdp01"),
        (&["worker", "echo", "--echo", "--concurrency", "0"], "--concurrency"),
        (&["worker", "echo", "--echo", "--concurrency", "-1"], "whole number"),
        (&["broker", "--liveness", "-1"], "\"-1\" is no whole number"),
        (&["request", "echo", "--retry", "many"], "\"many\" is no whole number from 0 on"),
        (&["request", "echo", "--retry", "-1"], "\"-1\" is no whole number from 0 on"),
        (&["request", "echo", "--priority", "10"], "10 is not from 0 to 9"),
        (&["request", "echo", "--timeout", "soon"], "--timeout"),
        (&["request", "echo", "--dialect", "mdp9"], "mdp9"),
        (&["request", "echo", "-", "-"], "standard input"),
        (&["request"], "<SERVICE>"),
        (&[], "Usage"),
    ] {
        let finished = run(args);
        assert_eq!(finished.status.code(), Some(2), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(said), "{args:?}: {finished:?}");
        assert!(finished.stdout.is_empty(), "{args:?}: {finished:?}");
    }
}

#[test]
fn help_has_examples_and_every_setting() {
    for subcommand in ["", "broker", "worker", "request", "demo", "tripping"] {
        let args = [subcommand, "--help"];
        let help = run(if subcommand.is_empty() { &args[1..] } else { &args });
        assert!(help.status.success() && help.text().contains("Examples:"), "{help:?}");
    }
    let help = run(&["broker", "--help"]);
    let config = run(&["broker", "--print-config"]);
    let keys: Vec<_> = config.text().lines().filter_map(|line| line.split_once(" = ")).collect();
    assert!(keys.len() > 30, "{}", config.text());
    for (key, _) in keys {
        let flag = format!("--{} <", key.replace('_', "-"));
        assert!(help.text().contains(&flag), "no {flag} in\n{}", help.text());
    }
    let version = run(&["--version"]);
    version.printed(concat!("majordomus ", env!("CARGO_PKG_VERSION"), "\n"));
}
