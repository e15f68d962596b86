//! Conversion of a history to a test script for `crates/core/src/broker/tests/mod.rs`. Inputs that
//! a script cannot express become comments.
#![allow(unreachable_patterns, reason = "what is said newly is a comment until it has a word")]

use core::mem::{replace, take};
use core::time::Duration;
use std::collections::HashMap;

use majordomus_core::broker::{Input, Output, Profile, Sign};
use majordomus_core::{
    ByteStr, CODE_UNSAID, CREDIT_UNLIMITED, ClientCapabilities, Concurrency, CorrelationId, Form,
    Frames, FromClient, FromWorker, Hello, Outcome, OutcomeSet, PeerId, Priority, Redelivery,
    Request, Role, Status, Time, Timeout, ToClient, ToWorker, WorkerCapabilities, WorkerReply,
};

use crate::checker::{Breach, Rule};
use crate::history::{Clock, Entry, History, Seen};
use crate::machine::Machine;
use crate::settings::{self, in_a_line};

/// The outcomes that a client with `told` in a script can report.
pub(crate) const TOLD: OutcomeSet = OutcomeSet::of(&Outcome::ALL);
/// The outcomes that a client with `told=most` in a script can report.
pub(crate) const TOLD_MOST: OutcomeSet = OutcomeSet::of(&[
    Outcome::Failed,
    Outcome::NoSuchService,
    Outcome::WorkerLost,
    Outcome::Rejected,
    Outcome::Refused,
]);

/// Returns a script of a history, with the broker's current outputs as the expected ones.
pub(crate) fn script<M: Machine>(history: &History, kind: M::Kind, breach: &Breach) -> String {
    let mut writer = Writer::default();
    let probes = history.entries.iter().any(|entry| {
        matches!(entry, Entry::Told(_, Input::Connected { profile, .. }) if profile.answers_probes)
    });
    for (name, shown) in [("heartbeats", breach.rule == Rule::Heartbeats), ("probes", probes)] {
        if shown {
            writer.lines.push(format!("show {name}"));
            writer.shows.push(name);
        }
    }
    if history.clock == Clock::AsRecorded {
        writer.comment("Here the broker is told of the time only where it says tick.");
    }
    let replayed = history.replay::<M>(kind, &mut |seen| writer.see(seen));
    if let Some(at) = replayed.broken_when_due {
        writer.line(at, Ok("tick".into()));
    }
    let lines: Vec<String> = writer.lines.iter().map(|line| literal(line)).collect();
    let script = indented(&lines, "        ");
    let assignments = settings::assignments(&history.config, &settings::of_scripts());
    let (check, config) = match assignments.as_slice() {
        [] => ("check", String::new()),
        lines => {
            let lines = indented(lines, "            ");
            ("check_with", format!("        |config| {{\n{lines}        }},\n"))
        }
    };
    let rule = breach.rule;
    format!("    // {rule}.\n    {check}(\n{config}        \"\n{script}        \",\n    );\n")
}

fn indented(lines: &[String], indent: &str) -> String {
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

/// Escapes a line for a string literal.
fn literal(line: &str) -> String {
    line.replace('\\', "\\\\").replace('"', "\\\"")
}

#[derive(Default)]
struct Writer {
    lines: Vec<String>,
    shows: Vec<&'static str>,
    names: HashMap<PeerId, String>,
    clients: usize,
    workers: usize,
    /// The peers with JSON bodies.
    json: Vec<PeerId>,
    /// The tokens in order of appearance, which determines their numbers.
    addresses: Vec<ByteStr>,
    /// The outputs of elapsed time, which follow the next line.
    due: Vec<String>,
    passing: bool,
    silent: bool,
}

impl Writer {
    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Next(..) => {}
            Seen::Due => self.passing = true,
            Seen::Told(at, input) => {
                let said = self.told(input);
                let comment = || match input {
                    Input::Configured(config) => format!("configured: {}", in_a_line(config)),
                    Input::FromClient {
                        command: FromClient::Request(Request { body, .. }),
                        ..
                    } if body.note() != 0 => format!("{input:?}, noted {}", body.note()),
                    other => format!("{other:?}"),
                };
                self.line(at, said.ok_or_else(comment));
            }
            Seen::Restarted(at, config) => {
                self.line(at, Err(format!("started anew: {}", in_a_line(config))));
            }
            Seen::Expected(at, hope) => self.line(at, Err(format!("expected: {hope:?}"))),
            Seen::Asked(output) => {
                let Some(text) = self.asked(output) else { return };
                if self.passing {
                    self.due.push(text);
                } else if self.silent {
                    self.comment(&format!("> {text}"));
                } else {
                    self.lines.push(format!("  > {text}"));
                }
            }
        }
    }

    fn comment(&mut self, text: &str) {
        self.lines.push(format!("# {text}"));
    }

    /// Writes an input as a line, or as a comment if it cannot be expressed. The outputs of the
    /// elapsed time follow it.
    fn line(&mut self, at: Time, said: Result<String, String>) {
        let silent = said.is_err();
        if silent && !self.due.is_empty() {
            self.line(at, Ok("tick".into()));
        }
        match said {
            Ok(text) => self.lines.push(format!("{} {text}", moment(at))),
            Err(text) => self.comment(&format!("{} {text}", moment(at))),
        }
        (self.silent, self.passing) = (silent, false);
        self.lines.extend(self.due.drain(..).map(|text| format!("  > {text}")));
    }

    fn name(&self, peer: PeerId) -> String {
        self.names.get(&peer).cloned().unwrap_or_else(|| peer.to_string())
    }

    /// Returns the script line of an input, if it can be expressed.
    fn told(&mut self, input: &Input) -> Option<String> {
        let (peer, said) = match input {
            Input::Tick => return Some("tick".into()),
            Input::Shutdown => return Some("shutdown".into()),
            Input::Connected { peer, profile } => return self.appeared(*peer, profile),
            Input::FromClient { peer, command } => (peer, self.client_said(*peer, command)?),
            Input::FromWorker { peer, command } => (peer, self.worker_said(*peer, command)?),
            Input::Malformed { peer } => (peer, "malformed".into()),
            Input::Alive { peer, sign: Sign::Bytes } => (peer, "bytes".into()),
            Input::Alive { peer, sign: Sign::Pong } => (peer, "pong".into()),
            Input::AboveHighWater { peer } => (peer, "filled".into()),
            Input::MakingProgress { peer } => (peer, "draining".into()),
            Input::BelowLowWater { peer } => (peer, "drained".into()),
            Input::Disconnected { peer } => (peer, "gone".into()),
            _ => return None,
        };
        Some(format!("{} {said}", self.name(*peer)).trim_end().to_string())
    }

    fn appeared(&mut self, peer: PeerId, profile: &Profile) -> Option<String> {
        let (kind, count, form) = match profile.role {
            Role::Client(can) => ("client", &mut self.clients, can.form),
            Role::Worker(can) => ("worker", &mut self.workers, can.form),
        };
        self.json.extend((form == Form::Json).then_some(peer));
        *count += 1;
        let name = format!("{}{count}", &kind[..1]);
        self.names.insert(peer, name.clone());
        let mut words = vec![kind.to_string(), name];
        words.extend(match profile.role {
            Role::Client(can) => client_options(can)?,
            Role::Worker(can) => worker_options(can)?,
        });
        words.extend(profile.answers_probes.then(|| "probes".into()));
        words.extend(named("id", &profile.identity)?);
        Some(words.join(" "))
    }

    /// Returns a body of this peer's message.
    fn body(&self, peer: PeerId, frames: &Frames) -> Option<String> {
        let form = if self.json.contains(&peer) { Form::Json } else { Form::Frames };
        let said = text(frames);
        let fits = (frames.form(), frames.note()) == (form, 0)
            && frames.iter().flatten().all(|byte| is_plain(*byte))
            && said.is_empty() == frames.is_empty();
        fits.then_some(said)
    }

    fn client_said(&self, peer: PeerId, command: &FromClient) -> Option<String> {
        Some(match command {
            FromClient::Request(request) => return self.asks(peer, request.clone()),
            FromClient::Cancel { id } => format!("cancel {}", word(&text_of(id))?),
            FromClient::WorkerKeepAlive { worker } => format!("vouch {}", word(worker)?),
            FromClient::RequestKeepAlive { id } => format!("wants {}", word(&text_of(id))?),
            FromClient::Hello(hello) => greeting(*hello)?,
            FromClient::More { id, credit } => format!("more {} {credit}", word(&text_of(id))?),
            FromClient::Disconnect => "bye".into(),
            _ => return None,
        })
    }

    /// Returns the script line of a request. Takes every expressed attribute out of it, and returns
    /// `None` if any other attribute is left.
    fn asks(&self, peer: PeerId, mut request: Request) -> Option<String> {
        let body = take(&mut request.body);
        let mut words =
            vec!["request".into(), word(&take(&mut request.service))?, self.body(peer, &body)?];
        match take(&mut request.timeout) {
            Timeout::OfService => {}
            Timeout::Never => words.push("timeout=never".into()),
            Timeout::After(span) => words.push(format!("timeout={}", millis(span)?)),
        }
        words.extend(named("id", &text_of(&take(&mut request.id)))?);
        words.extend(named("target", &take(&mut request.target))?);
        // At the start of the line, these words would be read as the body.
        let flags = [(&mut request.redeliver, "again"), (&mut request.fresh, "fresh")];
        for (flag, word) in flags {
            words.extend((!body.is_empty() && take(flag)).then(|| word.into()));
        }
        let priority = take(&mut request.priority);
        if priority != Priority::ORDINARY {
            words.push(format!("priority={}", priority.number()));
        }
        let credit = replace(&mut request.credit, CREDIT_UNLIMITED);
        if credit != CREDIT_UNLIMITED {
            words.push(format!("credit={credit}"));
        }
        let notices = !body.is_empty() && take(&mut request.notices);
        words.extend(notices.then(|| "notices".into()));
        (request == Request::new(ByteStr::empty(), Frames::empty())).then(|| joined(&words))
    }

    fn worker_said(&self, peer: PeerId, command: &FromWorker) -> Option<String> {
        let (verb, reply) = match command {
            FromWorker::Ready { service } if service.is_empty() => return Some("ready".into()),
            FromWorker::Ready { service } => return Some(format!("ready {}", word(service)?)),
            FromWorker::Withdraw { service } if service.is_empty() => {
                return Some("withdraw".into());
            }
            FromWorker::Withdraw { service } => {
                return Some(format!("withdraw {}", word(service)?));
            }
            FromWorker::Hello(hello) => return greeting(*hello),
            FromWorker::AtWork { address } => {
                return Some(format!("atwork {}", self.address(address)?));
            }
            FromWorker::Disconnect => return Some("disconnect".into()),
            FromWorker::Heartbeat(status) => return heartbeat(*status),
            FromWorker::Partial(reply) => ("partial", reply),
            FromWorker::Final(reply) => ("final", reply),
            FromWorker::Failed(reply) => ("failed", reply),
            FromWorker::Rejected(reply) => ("reject", reply),
            _ => return None,
        };
        let mut reply = reply.clone();
        let address = take(&mut reply.address);
        let mut words =
            vec![verb.into(), self.address(&address)?, self.body(peer, &take(&mut reply.body))?];
        words.extend(named("id", &text_of(&take(&mut reply.id)))?);
        if let Some(span) = reply.keep.take() {
            words.push(format!("keep={}", millis(span)?));
        }
        let code = replace(&mut reply.code, CODE_UNSAID);
        words.extend((code != CODE_UNSAID).then(|| format!("code={code}")));
        (reply == WorkerReply::new(ByteStr::empty(), Frames::empty())).then(|| joined(&words))
    }

    /// Returns a token as a worker uses it.
    fn address(&self, address: &ByteStr) -> Option<String> {
        match self.addresses.iter().position(|known| known == address) {
            Some(at) => Some(format!("#{}", at + 1)),
            None => word(address),
        }
    }

    fn number(&mut self, address: &ByteStr) -> usize {
        let known = self.addresses.iter().position(|known| known == address);
        1 + known.unwrap_or_else(|| {
            self.addresses.push(address.clone());
            self.addresses.len() - 1
        })
    }

    /// Returns the script line of an output, or `None` if the core's scripts omit it.
    fn asked(&mut self, output: &Output) -> Option<String> {
        let shows = |what: &str| self.shows.contains(&what);
        let (peer, said) = match output {
            Output::Event(_) => return None,
            Output::ToClient { peer, command } => match command {
                ToClient::Welcome(_) => (peer, "welcome".into()),
                ToClient::Notice { id, notice } => (peer, format!("notice {id} {notice:?}")),
                ToClient::Disconnect(_) => (peer, "disconnect".into()),
                ToClient::Partial(reply) => (peer, format!("partial {}", text(&reply.body))),
                ToClient::Final(reply) => (peer, format!("final {}", text(&reply.body))),
                ToClient::Failed(outcome, reply) => {
                    (peer, format!("failed {outcome} {}", text(&reply.body)))
                }
                ToClient::Heartbeat => (peer, "heartbeat".into()),
                other => (peer, format!("{other:?}")),
            },
            Output::ToWorker { peer, command } => match command {
                ToWorker::Request(request) => {
                    let number = self.number(&request.address);
                    (peer, format!("request #{number} {}", text(&request.body)))
                }
                ToWorker::Cancel { address, .. } => {
                    (peer, format!("cancel #{}", self.number(address)))
                }
                ToWorker::RequestKeepAlive { address, id } => {
                    (peer, format!("wanted #{} {id}", self.number(address)))
                }
                ToWorker::Welcome(_) => (peer, "welcome".into()),
                ToWorker::More { address, credit } => {
                    (peer, format!("more #{} {credit}", self.number(address)))
                }
                ToWorker::Capacity { concurrency } => (peer, format!("takes {concurrency:?}")),
                ToWorker::Registered { .. } => return None,
                ToWorker::Heartbeat if !shows("heartbeats") => return None,
                ToWorker::Heartbeat => (peer, "heartbeat".into()),
                ToWorker::Disconnect(_) => (peer, "disconnect".into()),
                other => (peer, format!("{other:?}")),
            },
            Output::Probe { .. } if !shows("probes") => return None,
            Output::Probe { peer } => (peer, "probe".into()),
            Output::Pause { peer } => (peer, "pause".into()),
            Output::Resume { peer } => (peer, "resume".into()),
            Output::Close { peer, reason } => (peer, format!("close {}", reason.name())),
            other => return Some(format!("{other:?}")),
        };
        Some(format!("{} {said}", self.name(*peer)).trim_end().to_string())
    }
}

fn moment(at: Time) -> String {
    let micros = at.as_micros();
    if micros.is_multiple_of(1000) { format!("{}ms", micros / 1000) } else { format!("{micros}us") }
}

/// Returns a byte string as a script word, if it is one.
fn word(label: &ByteStr) -> Option<String> {
    let fits = !label.is_empty() && label.iter().all(|byte| is_plain(*byte));
    fits.then(|| label.to_string())
}

/// Returns `name=label`, or nothing if the label is empty. Returns `None` if it is not a script
/// word.
fn named(name: &str, label: &ByteStr) -> Option<Option<String>> {
    if label.is_empty() {
        return Some(None);
    }
    Some(Some(format!("{name}={}", word(label)?)))
}

/// Returns an id as text.
pub(crate) fn text_of(id: &CorrelationId) -> ByteStr {
    id.as_ref().with_text(|text| ByteStr::from(text))
}

fn millis(span: Duration) -> Option<u128> {
    span.as_micros().is_multiple_of(1000).then_some(span.as_millis())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"\\|=".contains(&byte)
}

/// Formats a body.
fn text(body: &Frames) -> String {
    let frames: Vec<String> = body.iter().map(|frame| frame.escape_ascii().to_string()).collect();
    frames.join("|")
}

fn joined(words: &[String]) -> String {
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn heartbeat(mut status: Status) -> Option<String> {
    let mut words = vec!["heartbeat".to_string()];
    words.extend(status.concurrency.take().map(|most| format!("concurrency={}", slots(most))));
    words.extend(take(&mut status.publish).then(|| "publish".into()));
    (status == Status::NOTHING).then(|| joined(&words))
}

fn greeting(hello: Hello) -> Option<String> {
    let mut words = vec!["hello".to_string()];
    if let Some(pace) = hello.heartbeat {
        words.push(format!("pace={}", millis(pace)?));
    }
    words.extend(hello.message_bytes_max.map(|most| format!("max={most}")));
    Some(joined(&words))
}

fn slots(concurrency: Concurrency) -> String {
    match concurrency {
        Concurrency::AtMost(most) => most.to_string(),
        Concurrency::Unlimited => "any".into(),
    }
}

fn client_options(mut can: ClientCapabilities) -> Option<Vec<String>> {
    let mut words = Vec::new();
    words.extend(take(&mut can.greets).then_some("greets"));
    words.extend((!take(&mut can.partial_replies)).then_some("noparts"));
    words.extend(match replace(&mut can.redelivery, Redelivery::Always) {
        Redelivery::Always => None,
        Redelivery::WhereAsked => Some("redelivery=asked"),
        Redelivery::Never => Some("redelivery=never"),
    });
    words.extend((take(&mut can.form) == Form::Json).then_some("json"));
    words.extend(match take(&mut can.told) {
        OutcomeSet::NONE => None,
        TOLD => Some("told"),
        TOLD_MOST => Some("told=most"),
        _ => return None,
    });
    let sayable = can == ClientCapabilities::default();
    sayable.then(|| words.into_iter().map(String::from).collect())
}

fn worker_options(mut can: WorkerCapabilities) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let concurrency = replace(&mut can.concurrency, Concurrency::ONE);
    if concurrency != Concurrency::ONE {
        words.push(format!("concurrency={}", slots(concurrency)));
    }
    words.extend(take(&mut can.greets).then(|| "greets".into()));
    words.extend(take(&mut can.several_services).then(|| "several".into()));
    words.extend(take(&mut can.credit).then(|| "credit".into()));
    words.extend(take(&mut can.cancel).then(|| "cancels".into()));
    words.extend(take(&mut can.rejects).then(|| "rejects".into()));
    words.extend(take(&mut can.heartbeats_answered).then(|| "answered".into()));
    words.extend(take(&mut can.ready_again).then(|| "again".into()));
    words.extend(take(&mut can.request_ids).then(|| "ids".into()));
    words.extend((take(&mut can.form) == Form::Json).then(|| "json".into()));
    (can == WorkerCapabilities::default()).then_some(words)
}
