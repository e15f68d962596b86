//! Every client with every worker, through a real broker over tcp, and over inproc too where there
//! is the feature `broker`: each body arrives and comes back as it was, or as the table of what is
//! lost says, which is the one in `docs/dialects.md`.

use std::time::Duration;

use majordomus::{Body, Client, Dialect, Replier, Request, RequestBuilder, RequestError, Worker};
use majordomus_broker::{Broker, Config, Errors, Listen};
use tokio::sync::mpsc;

use Arrival::{EmptyFrame, Joined, Null, Reply};
use Dialect::{Gdp, Libmdp, Majortomo, Mdp01, Mdp02, Omdp, Omdp1, Pigato, Zproto};
use Trial::{Bytes, Empty, Error, Frames, Json, Nothing, Stream, Text};

/// Longer than anything takes, so that what never comes fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A text that is more than ASCII.
const TEXT: &[u8] = "Grüße, мир".as_bytes();

/// What is asked, and what its worker answers: the same, or an error.
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

    /// Its name in the table.
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

/// How something arrives that does not arrive as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// All frames of all parts, in order, in one reply.
    Joined,
    /// An error as a reply like any other, in the words of the MDP dialects.
    Reply,
    /// No frame as one.
    EmptyFrame,
    /// No frame as JSON, which is read as a text.
    Null,
}

impl Arrival {
    /// Its words in the table.
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
/// Those that have error replies.
const WITH_ERRORS: &[Dialect] = &[Pigato, Omdp, Omdp1];
const WITHOUT_ERRORS: &[Dialect] = &[Mdp01, Mdp02, Majortomo, Gdp, Zproto, Libmdp];

/// What is lost. The first row that fits counts.
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

/// What the worker gets: only what is nothing changes on its way.
fn asked(trial: Trial, client: Dialect, worker: Dialect) -> Body {
    match arrival(trial, client, worker) {
        Some(EmptyFrame) => Body::from(""),
        Some(Null) => Body::from("null"),
        Some(Joined | Reply) | None => trial.body(),
    }
}

/// The parts that the client gets, or the error.
fn answered(trial: Trial, client: Dialect, worker: Dialect) -> Result<Vec<Body>, RequestError> {
    match arrival(trial, client, worker) {
        Some(Reply) => Ok(vec![Body::from("-1 no paper")]),
        Some(EmptyFrame | Null) => Ok(vec![asked(trial, client, worker)]),
        None if trial == Stream => Ok(trial.frames().iter().map(|&part| part.into()).collect()),
        None if trial == Error => {
            // Only there errors have a code, and this worker gives none of its own.
            let code = if client == Omdp1 { 500 } else { 0 };
            Err(RequestError::Remote { code, why: "no paper".into() })
        }
        Some(Joined) | None => Ok(vec![trial.body()]),
    }
}

/// The workers of one dialect, one for each manner to answer. They tell what they get.
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

/// How a worker answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// With what it was asked.
    Echo,
    /// With a part for each frame that it was asked.
    Stream,
    /// With what it was asked, as an error.
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

/// The parts of a reply, to its end. Where a dialect does not tell it, it is after `count` parts.
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
    // Otherwise the clients of the MDP dialects hear nothing of an error.
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

/// The table that users read is the one that is tested.
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

/// Each dialect has a row of its own.
#[test]
fn the_page_names_every_dialect() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dialects.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    for dialect in Dialect::ALL {
        assert!(page.contains(&format!("\n| `{dialect}` |")), "{dialect}");
    }
}
