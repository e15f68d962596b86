//! Scripted tests of the broker: each script lists inputs and the expected outputs.
//!
//! A line that begins with a time is an input. The following lines that begin with `>` are all
//! outputs of the broker for it, in order. Time passes between two inputs, and timers fire before
//! the next input is handled, so `tick` is enough to let time pass.
//!
//! ```text
//! 0ms  worker w              a worker appears; options: concurrency=N|any cancels rejects answered
//!                            again afterwords ids probes several credit greets json id=NAME
//! 0ms  client c              a client appears; options: told|told=most noparts redelivery=asked|never
//!                            afterwords greets json
//!                            id=NAME
//! 0ms  w hello               or of a client; options: pace=MS|never max=BYTES
//! 0ms  w ready echo          or withdraw
//! 1ms  c request echo hi     options behind the body: timeout=MS|never id=ID again fresh
//!                            target=IDENTITY note=N priority=N credit=N notices beside=TEXT
//! 1ms  c more ID N           so many parts more; also cancel ID, wants ID, bye
//!      > w request #1 hi     addresses are numbered as they come up; frames are divided by |
//! 2ms  w final #1 ho         or partial, failed, reject, atwork; options: id=ID keep=MS code=N
//!      > c final ho
//! = received 1, replied 1    counters, at any place; echo/replied 1 is that of one service, and
//!                            own/replied or others/replied of none; accounts 1
//! # so                       a remark
//! ```
//!
//! Events are omitted. Heartbeats, probes and registrations are omitted unless the script contains
//! `show heartbeats`, `show probes` or `show registered`. Request properties are shown only with
//! `show tasks`, and disconnect reasons only with `show reasons`.

mod accounts;
mod answers;
mod dispatch;
mod greeting;
mod identity;
mod life;
mod limits;
mod names;
mod offers;
mod outcomes;
mod outputs;
mod progress;
mod rejecting;
mod sharing;
mod violations;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    ByteStr, CREDIT_UNLIMITED, ClientCapabilities, Concurrency, CorrelationId, DisconnectReason,
    Form, Frames, FromClient, FromWorker, Hello, Outcome, OutcomeSet, Priority, Redelivery, Reply,
    Request, Role, Status, Timeout, ToClient, ToWorker, WorkerCapabilities, WorkerReply,
    WorkerRequest,
};

const TOLD: OutcomeSet = OutcomeSet::of(&Outcome::ALL);
const TOLD_BUT_EXPIRED: OutcomeSet = OutcomeSet::of(&[
    Outcome::Failed,
    Outcome::NoSuchService,
    Outcome::WorkerLost,
    Outcome::Rejected,
    Outcome::Refused,
]);

/// Runs a script with the default configuration, except for a heartbeat interval of 1 second.
fn check(script: &str) {
    check_with(|_| {}, script);
}

/// Runs a script with a changed configuration.
fn check_with(configure: impl FnOnce(&mut Config), script: &str) {
    let mut config = Config { heartbeat_interval: Duration::from_secs(1), ..Config::default() };
    configure(&mut config);
    Stage::new(config).play(script);
}

/// Enables request coalescing for `echo`.
fn shared(config: &mut Config) {
    config.services.push(ServiceConfig {
        name: ByteStr::from("echo"),
        share: true,
        ..ServiceConfig::default()
    });
}

/// The maximum number of ticks at one time. A timer may make another one due at once, but not
/// endlessly.
const TICKS_MAX: u32 = 100;

struct Stage {
    broker: Broker,
    now: Time,
    names: BTreeMap<String, PeerId>,
    json: Vec<PeerId>,
    addresses: Vec<ByteStr>,
    shows: Vec<String>,
    /// The current line.
    line: String,
    /// Outputs that no line has matched yet.
    asked: Vec<String>,
}

impl Stage {
    fn new(config: Config) -> Self {
        Self {
            broker: Broker::new(config, Keys([1, 2, 3, 4])),
            now: Time::ZERO,
            names: BTreeMap::new(),
            json: Vec::new(),
            addresses: Vec::new(),
            shows: Vec::new(),
            line: String::new(),
            asked: Vec::new(),
        }
    }

    fn play(&mut self, script: &str) {
        let lines = script.lines().map(str::trim);
        let said = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines = said.peekable();
        while let Some(line) = lines.next() {
            if let Some(what) = line.strip_prefix("show ") {
                self.shows.push(what.to_string());
            } else if let Some(counts) = line.strip_prefix('=') {
                self.check_counters(counts);
            } else {
                self.act(line);
                let mut expected = Vec::new();
                while let Some(wanted) = lines.next_if(|line| line.starts_with('>')) {
                    expected.push(wanted[1..].trim().to_string());
                }
                assert_eq!(core::mem::take(&mut self.asked), expected, "after `{line}`");
            }
            assert!(self.broker.counters().balanced());
        }
    }

    fn check_counters(&self, counts: &str) {
        for count in counts.split(',') {
            let (name, number) = count.trim().rsplit_once(' ').expect("a name and a number");
            let counters = self.broker.counters();
            let holdings = self.broker.holdings();
            let outcome = Outcome::ALL.iter().find(|outcome| outcome.name() == name);
            let violation = PeerViolation::ALL.iter().find(|violation| violation.name() == name);
            let found = match (name, outcome, violation) {
                (_, Some(outcome), _) => counters.outcome(*outcome),
                (_, _, Some(violation)) => counters.violation(*violation),
                ("received", ..) => counters.received,
                ("in progress", ..) => counters.in_progress,
                ("dispatched", ..) => counters.dispatched,
                ("redelivered", ..) => counters.redelivered,
                ("rejections", ..) => counters.rejections,
                ("kept bytes", ..) => holdings.kept_bytes as u64,
                ("shared", ..) => counters.shared,
                ("late", ..) => counters.late_replies,
                ("held", ..) => counters.held,
                ("services", ..) => holdings.services as u64,
                ("unoffered", ..) => holdings.unoffered_services as u64,
                ("bytes", ..) => holdings.request_bytes as u64,
                ("accounts", ..) => self.broker.statement().services.len() as u64,
                _ if name.contains('/') => self.counted(name),
                _ => panic!("no counter {name}"),
            };
            assert_eq!(found, number.parse::<u64>().expect("a number"), "{name} at {}", self.now);
        }
    }

    /// Returns the number of a service's requests with an outcome, such as `echo/replied`.
    fn counted(&self, name: &str) -> u64 {
        let (service, end) = name.split_once('/').expect("a service and an end");
        let statement = self.broker.statement();
        let named = |account: &&Account| account.service == ByteStr::from(service);
        let ends = match service {
            "own" => statement.own,
            "others" => statement.others,
            _ => statement.services.iter().find(named).expect("it has an account").ends.clone(),
        };
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == end);
        let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.name() == end);
        match (outcome, refusal) {
            (Some(outcome), _) => ends.outcome(outcome),
            (_, Some(refusal)) => ends.refusal(refusal),
            _ => panic!("nothing ends as {end}"),
        }
    }

    fn act(&mut self, line: &str) {
        self.line = line.to_string();
        let words: Vec<&str> = line.split_whitespace().collect();
        let until = moment(words[0]);
        // Timers that are due fire first.
        let mut ticks = 0;
        while let Some(due) = self.broker.next_deadline().filter(|due| *due <= until) {
            ticks = if due > self.now { 1 } else { ticks + 1 };
            assert!(
                ticks <= TICKS_MAX,
                "before `{line}` something is due again and again at {due}"
            );
            self.now = self.now.max(due);
            self.tell(Input::Tick);
        }
        self.now = until;
        let input = match words[1..] {
            ["tick"] => Input::Tick,
            ["jump"] => Input::Tick,
            ["shutdown"] => Input::Shutdown,
            ["client", name, ref options @ ..] => self.client(name, options),
            ["worker", name, ref options @ ..] => self.worker(name, options),
            [name, ref what @ ..] => self.said(self.names[name], what),
            [] => panic!("nothing happens in `{line}`"),
        };
        self.tell(input);
    }

    /// Handles an input without letting time pass before it, unlike [`act`](Stage::act).
    fn tell(&mut self, input: Input) {
        for output in self.outputs(&input) {
            if let Some(text) = self.told(output) {
                self.asked.push(text);
            }
        }
        self.broker.audit();
    }

    fn outputs(&mut self, input: &Input) -> Vec<Output> {
        let mut outputs = outputs::of_line(&self.line);
        input.with_view(|input| self.broker.handle(self.now, input, &mut outputs));
        outputs.list
    }

    fn name(&self, peer: PeerId) -> &str {
        self.names.iter().find(|(_, id)| **id == peer).expect("a peer of the script").0
    }

    fn appear(&mut self, name: &str, options: &[&str], role: Role) -> Input {
        let peer = PeerId::new(self.names.len() as u32, 7);
        self.names.insert(name.to_string(), peer);
        if form(options) == Form::Json {
            self.json.push(peer);
        }
        let identity = options.iter().find_map(|option| option.strip_prefix("id="));
        let profile = Profile {
            identity: ByteStr::from(identity.unwrap_or_default()),
            answers_probes: options.contains(&"probes"),
            role,
        };
        Input::Connected { peer, profile }
    }

    fn form_of(&self, peer: PeerId) -> Form {
        if self.json.contains(&peer) { Form::Json } else { Form::Frames }
    }

    fn client(&mut self, name: &str, options: &[&str]) -> Input {
        let can = ClientCapabilities {
            partial_replies: !options.contains(&"noparts"),
            told: match option(options, "told") {
                Some("most") => TOLD_BUT_EXPIRED,
                _ if options.contains(&"told") => TOLD,
                _ => OutcomeSet::NONE,
            },
            redelivery: match options.iter().find_map(|option| option.strip_prefix("redelivery=")) {
                Some("asked") => Redelivery::WhereAsked,
                Some("never") => Redelivery::Never,
                _ => Redelivery::Always,
            },
            afterwords: options.contains(&"afterwords"),
            greets: options.contains(&"greets"),
            form: form(options),
        };
        self.appear(name, options, Role::Client(can))
    }

    fn worker(&mut self, name: &str, options: &[&str]) -> Input {
        let slots = options.iter().find_map(|option| option.strip_prefix("concurrency="));
        let can = WorkerCapabilities {
            concurrency: match slots {
                Some(number) => concurrency(number),
                None => Concurrency::ONE,
            },
            cancel: options.contains(&"cancels"),
            request_ids: options.contains(&"ids"),
            rejects: options.contains(&"rejects"),
            afterwords: options.contains(&"afterwords"),
            heartbeats_answered: options.contains(&"answered"),
            ready_again: options.contains(&"again"),
            several_services: options.contains(&"several"),
            credit: options.contains(&"credit"),
            greets: options.contains(&"greets"),
            form: form(options),
        };
        self.appear(name, options, Role::Worker(can))
    }

    fn said(&mut self, peer: PeerId, what: &[&str]) -> Input {
        let reply = |stage: &Stage, address: &str, body: &[&str]| {
            let address = match address.strip_prefix('#') {
                Some(number) => {
                    stage.addresses[number.parse::<usize>().expect("a number") - 1].clone()
                }
                None => ByteStr::from(address),
            };
            WorkerReply {
                id: CorrelationId::from(option(body, "id").unwrap_or_default()),
                keep: option(body, "keep")
                    .map(|ms| Duration::from_millis(ms.parse().expect("milliseconds"))),
                code: option(body, "code").map_or(0, |code| code.parse().expect("a number")),
                ..WorkerReply::new(
                    address,
                    frames(body.first().copied().unwrap_or_default())
                        .in_form(stage.form_of(peer), 0),
                )
            }
        };
        let command = match what {
            ["bytes"] => return Input::Alive { peer, sign: Sign::Bytes },
            ["pong"] => return Input::Alive { peer, sign: Sign::Pong },
            ["malformed"] => return Input::Malformed { peer },
            ["laden"] => return Input::OversizedPending { peer },
            ["filled"] => return Input::AboveHighWater { peer },
            ["draining"] => return Input::MakingProgress { peer },
            ["drained"] => return Input::BelowLowWater { peer },
            ["gone"] => return Input::Disconnected { peer },
            ["hello", options @ ..] => return self.hello(peer, options),
            ["bye"] => {
                return Input::FromClient { peer, command: FromClient::Disconnect };
            }
            ["more", id, credit] => {
                let credit = credit.parse().expect("a number");
                let command = FromClient::More { id: CorrelationId::from(*id), credit };
                return Input::FromClient { peer, command };
            }
            ["cancel", id] => {
                let command = FromClient::Cancel { id: CorrelationId::from(*id) };
                return Input::FromClient { peer, command };
            }
            ["request"] => {
                let command = FromClient::Request(Request::new("", Frames::empty()));
                return Input::FromClient { peer, command };
            }
            ["request", service, rest @ ..] => {
                let body = frames(rest.first().copied().unwrap_or_default());
                let mut request = Request::new(*service, body);
                request.id = CorrelationId::from(option(rest, "id").unwrap_or_default());
                request.redeliver = rest.contains(&"again");
                request.fresh = rest.contains(&"fresh");
                request.target = ByteStr::from(option(rest, "target").unwrap_or_default());
                let beside = option(rest, "beside").unwrap_or_default();
                request.options = Bytes::copy_from_slice(beside.as_bytes());
                let number =
                    |name| option(rest, name).map(|it| it.parse::<u32>().expect("a number"));
                request.priority =
                    number("priority").map_or(Priority::ORDINARY, |it| Priority::new(it as u8));
                request.credit = number("credit").unwrap_or(CREDIT_UNLIMITED);
                request.notices = rest.contains(&"notices");
                let note = option(rest, "note").map_or(0, |note| note.parse().expect("a number"));
                request.body = request.body.in_form(self.form_of(peer), note);
                request.timeout = match option(rest, "timeout") {
                    None => Timeout::OfService,
                    Some("never") => Timeout::Never,
                    Some(text) => {
                        Timeout::After(Duration::from_millis(text.parse().expect("milliseconds")))
                    }
                };
                return Input::FromClient { peer, command: FromClient::Request(request) };
            }
            ["withdraw", rest @ ..] => FromWorker::Withdraw {
                service: rest.first().map(|it| ByteStr::from(*it)).unwrap_or_default(),
            },
            ["atwork", address] => {
                FromWorker::AtWork { address: reply(self, address, &[]).address }
            }
            ["ready"] => FromWorker::Ready { service: ByteStr::empty() },
            ["ready", service] => FromWorker::Ready { service: ByteStr::from(*service) },
            ["vouch", worker] => {
                let command = FromClient::WorkerKeepAlive { worker: ByteStr::from(*worker) };
                return Input::FromClient { peer, command };
            }
            ["wants", id] => {
                let command = FromClient::RequestKeepAlive { id: CorrelationId::from(*id) };
                return Input::FromClient { peer, command };
            }
            ["heartbeat", status @ ..] => FromWorker::Heartbeat(Status {
                concurrency: option(status, "concurrency").map(concurrency),
                publish: status.contains(&"publish"),
            }),
            ["disconnect"] => FromWorker::Disconnect,
            ["partial", address, body @ ..] => FromWorker::Partial(reply(self, address, body)),
            ["final", address, body @ ..] => FromWorker::Final(reply(self, address, body)),
            ["failed", address, body @ ..] => FromWorker::Failed(reply(self, address, body)),
            ["reject", address, body @ ..] => FromWorker::Rejected(reply(self, address, body)),
            _ => panic!("nobody says {what:?}"),
        };
        Input::FromWorker { peer, command }
    }

    fn hello(&self, peer: PeerId, options: &[&str]) -> Input {
        let pace = option(options, "pace").unwrap_or("never");
        let hello = Hello {
            heartbeat: (pace != "never")
                .then(|| Duration::from_millis(pace.parse().expect("milliseconds"))),
            message_bytes_max: option(options, "max").map(|it| it.parse().expect("bytes")),
        };
        match self.broker.tables.peers.client(peer) {
            Some(_) => Input::FromClient { peer, command: FromClient::Hello(hello) },
            None => Input::FromWorker { peer, command: FromWorker::Hello(hello) },
        }
    }

    fn number(&mut self, address: ByteStr) -> usize {
        let known = self.addresses.iter().position(|known| *known == address);
        1 + known.unwrap_or_else(|| {
            self.addresses.push(address);
            self.addresses.len() - 1
        })
    }

    /// Formats an output as in the scripts, or returns `None` if it is omitted.
    fn told(&mut self, output: Output) -> Option<String> {
        let shows = |what: &str| self.shows.iter().any(|shown| shown == what);
        let (peer, text) = match output {
            Output::Event(_) => return None,
            Output::ToClient { peer, command } => match command {
                ToClient::Partial(reply) => (peer, format!("partial {}", replied(&reply))),
                ToClient::Final(reply) => (peer, format!("final {}", replied(&reply))),
                ToClient::Failed(outcome, reply) => {
                    (peer, format!("failed {outcome} {}", replied(&reply)))
                }
                ToClient::Welcome(_) => (peer, "welcome".to_string()),
                ToClient::Notice { id, notice } => (peer, format!("notice {id} {notice:?}")),
                ToClient::Disconnect(why) => (peer, disconnect_reason(why, shows("reasons"))),
                ToClient::Heartbeat => (peer, "heartbeat".to_string()),
            },
            Output::ToWorker { peer, command } => match command {
                ToWorker::Request(request) => {
                    let shown = if shows("tasks") { task(&request) } else { String::new() };
                    let number = self.number(request.address);
                    (peer, format!("request #{number} {}{shown}", text(&request.body)))
                }
                ToWorker::Welcome(_) => (peer, "welcome".to_string()),
                ToWorker::More { address, credit } => {
                    (peer, format!("more #{} {credit}", self.number(address)))
                }
                ToWorker::Capacity { concurrency } => (peer, format!("takes {concurrency:?}")),
                ToWorker::Cancel { address, outcome } => {
                    let why = if shows("reasons") { outcome.name() } else { "" };
                    (peer, format!("cancel #{} {why}", self.number(address)))
                }
                ToWorker::RequestKeepAlive { address, id } => {
                    (peer, format!("wanted #{} {id}", self.number(address)))
                }
                ToWorker::Registered { .. } if !shows("registered") => return None,
                ToWorker::Registered { service, worker } => {
                    (peer, format!("registered {service} as {worker}"))
                }
                ToWorker::Heartbeat if !shows("heartbeats") => return None,
                ToWorker::Heartbeat => (peer, "heartbeat".to_string()),
                ToWorker::Disconnect(why) => (peer, disconnect_reason(why, shows("reasons"))),
            },
            Output::Probe { .. } if !shows("probes") => return None,
            Output::Probe { peer } => (peer, "probe".to_string()),
            Output::Pause { peer } => (peer, "pause".to_string()),
            Output::Resume { peer } => (peer, "resume".to_string()),
            Output::Close { peer, reason } => (peer, format!("close {}", reason.name())),
        };
        Some(format!("{} {text}", self.name(peer)).trim_end().to_string())
    }
}

fn moment(text: &str) -> Time {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().unwrap_or_else(|_| panic!("`{text}` is no moment"));
    let micros = match &text[digits.len()..] {
        "us" => number,
        "ms" => number * 1_000,
        "s" => number * 1_000_000,
        unit => panic!("no unit {unit}"),
    };
    Time::from_micros(micros)
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn concurrency(text: &str) -> Concurrency {
    match text {
        "any" => Concurrency::Unlimited,
        number => Concurrency::AtMost(number.parse().expect("a number")),
    }
}

fn form(options: &[&str]) -> Form {
    if options.contains(&"json") { Form::Json } else { Form::Frames }
}

fn frames(text: &str) -> Frames {
    if text.is_empty() || text.contains('=') {
        return Frames::empty();
    }
    Frames::from_slices(&text.split('|').collect::<Vec<_>>())
}

fn disconnect_reason(why: DisconnectReason, shown: bool) -> String {
    if shown { format!("disconnect {why:?}") } else { "disconnect".to_string() }
}

/// Formats the properties of a request to a worker.
fn task(request: &WorkerRequest) -> String {
    let deadline = request.deadline.map_or("never".to_string(), |it| it.as_millis().to_string());
    let priority = request.priority.number();
    let credit = match request.credit {
        CREDIT_UNLIMITED => "any".to_string(),
        credit => credit.to_string(),
    };
    format!(" deadline={deadline} attempt={} priority={priority} credit={credit}", request.attempt)
}

/// Formats a reply's body, its code, and the translation hint of the request.
fn replied(reply: &Reply) -> String {
    let mut shown = text(&reply.body);
    for (name, number) in [("code", reply.code), ("note", u16::from(reply.asked))] {
        if number != 0 {
            let gap = if shown.is_empty() { "" } else { " " };
            shown = format!("{shown}{gap}{name}={number}");
        }
    }
    shown
}

fn text(body: &Frames) -> String {
    let shown = |frame: &[u8]| match core::str::from_utf8(frame) {
        Ok(text) => text.to_string(),
        Err(_) => frame.escape_ascii().to_string(),
    };
    let frames: Vec<String> = body.iter().map(shown).collect();
    frames.join("|")
}
