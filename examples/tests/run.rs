//! Tests that every example ends with status 0 and writes nothing to standard error.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use majordomus::Broker;

/// A time limit for an example, which is sufficient on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Generates a test for each example that checks the last printed line.
macro_rules! examples {
    ($($name:ident: $last:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let printed = run(env!(concat!("CARGO_BIN_EXE_", stringify!($name))), &[]);
                assert_eq!(printed.lines().last(), Some($last), "{printed}");
            }
        )*

        const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

examples! {
    echo: "\"three\"",
    file: "the copy is the same as the file",
    cancel: "nobody computes any more",
    stocks: "stock.SLOW was held back, and lost nothing",
    broadcast: "Riga has heard \"the news\"",
    brokers: "1000 of 1000 replies are right",
    blocking: "3",
}

#[test]
fn none_is_left_out() {
    let files =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).expect("they are there");
    let names = files.map(|file| {
        let path = file.expect("it is there").path();
        path.file_stem().expect("it has a name").to_string_lossy().into_owned()
    });
    let tested = ALL.iter().map(|name| name.to_string());
    assert_eq!(names.collect::<BTreeSet<_>>(), tested.collect());
}

#[test]
fn a_broker_that_is_there_serves_them_too() {
    let broker = Broker::start("tcp://127.0.0.1:0").expect("there is a port");
    for arguments in [&["-b", broker.endpoint()][..], &[broker.endpoint()]] {
        run(env!("CARGO_BIN_EXE_echo"), arguments);
    }
    let summary = broker.blocking_shutdown().expect("it ran");
    assert_eq!(summary.counters.received, 4);
}

/// Runs a program to its end. Returns its standard output.
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it was built");
    let (mut out, mut err) =
        (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (tell, told) = mpsc::channel();
    // Both streams end when the program ends.
    thread::spawn(move || {
        let (mut printed, mut complained) = (String::new(), String::new());
        let read = out.read_to_string(&mut printed).and(err.read_to_string(&mut complained));
        let _ = tell.send(read.map(|_| (printed, complained)));
    });
    let Ok(read) = told.recv_timeout(PATIENCE) else {
        child.kill().expect("it is ours");
        panic!("{program} does not end");
    };
    let (printed, complained) = read.expect("it can be read");
    let status = child.wait().expect("it is ours");
    assert!(status.success() && complained.is_empty(), "{status}\n{printed}{complained}");
    printed
}
