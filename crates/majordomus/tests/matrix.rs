//! Tests of every client dialect with every worker dialect, through a real broker over TCP, and
//! over inproc if the feature `broker` is enabled. Each body must arrive and return unchanged,
//! except for the losses in a table, which is the table in `docs/dialects.md`.

use std::time::Duration;

use majordomus::{Body, Client, Dialect, Replier, Request, RequestBuilder, RequestError, Worker};
use majordomus_broker::{Broker, Config, Errors, Listen};
use tokio::sync::mpsc;

use Arrival::{EmptyFrame, Joined, Null, Reply};
use Dialect::{Gdp, Libmdp, Majortomo, Mdp01, Mdp02, Omdp, Omdp1, Pigato, Zproto};
use Trial::{Bytes, Empty, Error, Frames, Json, Nothing, Stream, Text};

/// A time limit for events, so that a missing event fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A text with characters outside ASCII.
const TEXT: &[u8] = "Grüße, мир".as_bytes();

/// The body of a request. Its worker answers with the same body, or with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Text,
    Bytes,
    Empty,
    Frames,
    Json,
    Stream,
    Error,
    Nothing,
}

impl Trial {
    const ALL: [Trial; 8] = [Text, Bytes, Empty, Frames, Json, Stream, Error, Nothing];

    /// Returns the trial's name in the table.
    fn name(self) -> &'static str {
        match self {
            Text => "text",
            Bytes => "bytes that are not UTF-8",
            Empty => "one empty frame",
            Frames => "three frames",
            Json => "a JSON object",
            Stream => "a stream of parts",
            Error => "an error",
            Nothing => "no frame at all",
        }
    }

    fn frames(self) -> &'static [&'static [u8]] {
        match self {
            Text => &[TEXT],
            Bytes => &[b"\x00\xff\xfe\x80-1 \n"],
            Empty => &[b""],
            Frames => &[b"first", b"", b"\xffthird"],
            Json => &[b"{\"a\": [1, \"\\u00e9\"], \"a\": 1.50}"],
            Stream => &[b"one", b"two", b"three", b"end"],
            Error => &[b"no paper"],
            Nothing => &[],
        }
    }

    fn body(self) -> Body {
        Body::from_frames(self.frames())
    }
}

/// The form in which a body arrives if it does not arrive unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// All frames of all parts arrive in order, in one reply.
    Joined,
    /// An error arrives as a normal reply, in the format of the MDP dialects.
    Reply,
    /// A body without frames arrives as one empty frame.
    EmptyFrame,
    /// A body without frames arrives as the JSON value `null`, which is read as text.
    Null,
}

impl Arrival {
    /// Returns the description in the table.
    fn text(self) -> &'static str {
        match self {
            Joined => "all frames in order, in one reply",
            Reply => "an ordinary reply, `-1 ` and the error",
            EmptyFrame => "one empty frame",
            Null => "`null`, which is one frame of text",
        }
    }
}

struct Loss {
    trial: Trial,
    clients: &'static [Dialect],
    workers: &'static [Dialect],
    arrival: Arrival,
}

const ANY: &[Dialect] = &Dialect::ALL;
const OF_JSON: &[Dialect] = &[Pigato, Omdp];
/// The dialects with error replies.
const WITH_ERRORS: &[Dialect] = &[Pigato, Omdp, Omdp1];
const WITHOUT_ERRORS: &[Dialect] = &[Mdp01, Mdp02, Majortomo, Gdp, Zproto, Libmdp];

/// The losses. The first matching row applies.
const LOSSES: &[Loss] = &[
    Loss { trial: Stream, clients: &[Mdp01, Gdp], workers: ANY, arrival: Joined },
    Loss { trial: Stream, clients: ANY, workers: &[Mdp01, Gdp, Libmdp], arrival: Joined },
    Loss { trial: Error, clients: WITH_ERRORS, workers: WITHOUT_ERRORS, arrival: Reply },
    Loss { trial: Nothing, clients: OF_JSON, workers: ANY, arrival: Null },
    Loss { trial: Nothing, clients: &[Majortomo, Libmdp], workers: ANY, arrival: EmptyFrame },
    Loss { trial: Nothing, clients: ANY, workers: OF_JSON, arrival: Null },
    Loss { trial: Nothing, clients: ANY, workers: &[Majortomo, Libmdp], arrival: EmptyFrame },
];

fn arrival(trial: Trial, client: Dialect, worker: Dialect) -> Option<Arrival> {
    let fits = |loss: &&Loss| {
        loss.trial == trial && loss.clients.contains(&client) && loss.workers.contains(&worker)
    };
    LOSSES.iter().find(fits).map(|loss| loss.arrival)
}

/// Returns the body that the worker receives: only a body without frames changes on its way.
fn asked(trial: Trial, client: Dialect, worker: Dialect) -> Body {
    match arrival(trial, client, worker) {
        Some(EmptyFrame) => Body::from(""),
        Some(Null) => Body::from("null"),
        Some(Joined | Reply) | None => trial.body(),
    }
}

/// Returns the parts that the client receives, or the error.
fn answered(trial: Trial, client: Dialect, worker: Dialect) -> Result<Vec<Body>, RequestError> {
    match arrival(trial, client, worker) {
        Some(Reply) => Ok(vec![Body::from("-1 no paper")]),
        Some(EmptyFrame | Null) => Ok(vec![asked(trial, client, worker)]),
        None if trial == Stream => Ok(trial.frames().iter().map(|&part| part.into()).collect()),
        None if trial == Error => {
            // Only OMDP/1 has error codes, and this worker sets none.
            let code = if client == Omdp1 { 500 } else { 0 };
            Err(RequestError::Remote { code, why: "no paper".into() })
        }
        Some(Joined) | None => Ok(vec![trial.body()]),
    }
}

/// Starts the workers of one dialect, one for each kind of answer. They report the bodies that they
/// receive.
fn offer(endpoint: &str, dialect: Dialect, told: &mpsc::UnboundedSender<Body>) -> Vec<Worker> {
    let serve = |manner: Manner| {
        let told = told.clone();
        let answer = move |request: Request, reply: Replier| {
            told.send(request.body.clone()).expect("the test waits for it");
            manner.answer(request, reply)
        };
        let builder = Worker::builder(endpoint).dialect(dialect);
        builder.serve(&manner.service(dialect), answer).expect("the service has a good name")
    };
    [Manner::Echo, Manner::Stream, Manner::Fail].map(serve).into()
}

/// The kind of answer that a worker sends.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Sends the body of the request.
    Echo,
    /// Sends each frame of the request as a part.
    Stream,
    /// Sends the body of the request as an error.
    Fail,
}

impl Manner {
    fn of(trial: Trial) -> Self {
        match trial {
            Stream => Manner::Stream,
            Error => Manner::Fail,
            _ => Manner::Echo,
        }
    }

    fn service(self, dialect: Dialect) -> String {
        format!("{self:?}.{dialect}")
    }

    async fn answer(self, request: Request, reply: Replier) {
        match self {
            Manner::Echo => reply.finish(request.body).await,
            Manner::Fail => reply.fail(request.body.text()).await,
            Manner::Stream => {
                let mut parts: Vec<_> = request.body.frames().iter().map(Body::from).collect();
                let last = parts.pop().expect("it was asked for some");
                for part in parts {
                    reply.part(part).await.expect("the client waits for it");
                }
                reply.finish(last).await;
            }
        }
    }
}

/// Returns all parts of a reply. If the dialect does not mark the end of a reply, it ends after
/// `count` parts.
async fn parts(request: RequestBuilder, count: usize) -> Result<Vec<Body>, RequestError> {
    let mut reply = request.reports(count as u32).send().await;
    let mut parts = Vec::new();
    while let Some(part) = reply.next().await {
        parts.push(part?);
    }
    Ok(parts)
}

#[tokio::test]
async fn every_client_with_every_worker() {
    check_every_client_with_every_worker("tcp://127.0.0.1:0").await;
}

#[tokio::test]
#[cfg(feature = "broker")]
async fn every_client_with_every_worker_in_one_process() {
    check_every_client_with_every_worker("inproc://*").await;
}

async fn check_every_client_with_every_worker(endpoint: &str) {
    let mut listen = Listen::new(endpoint.parse().expect("an endpoint"));
    // By default, the clients of the MDP dialects receive no errors.
    listen.errors = Errors::Final;
    let config = Config { listen: vec![listen], ..Config::default() };
    let broker = Broker::start(config).expect("the broker starts");
    let endpoint = broker.endpoints()[0].to_string();
    let (told, mut asked_for) = mpsc::unbounded_channel();
    let _workers = Dialect::ALL.map(|dialect| offer(&endpoint, dialect, &told));
    for from in Dialect::ALL {
        let builder = Client::builder(&endpoint).dialect(from).timeout(PATIENCE);
        let client = builder.connect().expect("the endpoint is right");
        for to in Dialect::ALL {
            for trial in Trial::ALL {
                let cell = format!("{from} to {to}, {}", trial.name());
                let expected = answered(trial, from, to);
                let service = Manner::of(trial).service(to);
                let request = client.request(&service, trial.body());
                let count = expected.as_ref().map_or(1, Vec::len);
                assert_eq!(parts(request, count).await, expected, "{cell}: the answer");
                let arrived = asked_for.recv().await;
                assert_eq!(arrived, Some(asked(trial, from, to)), "{cell}: the request");
            }
        }
    }
    let summary = broker.shutdown().expect("it ran");
    let asked = Dialect::ALL.len().pow(2) * Trial::ALL.len();
    assert_eq!(summary.counters.received, asked as u64);
    assert!(summary.counters.balanced() && summary.refused.is_empty());
}

fn names(dialects: &[Dialect]) -> String {
    match dialects {
        ANY => "any".into(),
        WITHOUT_ERRORS => "all but pigato, omdp and omdp1".into(),
        _ => dialects.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", "),
    }
}

/// The table in the documentation is the one that is tested.
#[test]
fn the_page_says_what_is_lost() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dialects.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let row = |loss: &Loss| {
        let (clients, workers) = (names(loss.clients), names(loss.workers));
        let (trial, arrival) = (loss.trial.name(), loss.arrival.text());
        format!("| {trial} | {clients} | {workers} | {arrival} |")
    };
    let expected: Vec<_> = LOSSES.iter().map(row).collect();
    let written: Vec<_> = page
        .lines()
        .skip_while(|line| *line != "## What is lost")
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(written, expected);
}

/// The documentation has a row for each dialect.
#[test]
fn the_page_names_every_dialect() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dialects.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    for dialect in Dialect::ALL {
        assert!(page.contains(&format!("\n| `{dialect}` |")), "{dialect}");
    }
}
