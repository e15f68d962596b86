//! Shrink steps: simplifications of a whole history, of one entry, and of the time before an entry.

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use majordomus_core::broker::{Input, Keys, Profile};
use majordomus_core::{
    ByteStr, CREDIT_UNLIMITED, ClientCapabilities, Concurrency, CorrelationId, Frames, FromClient,
    FromWorker, OutcomeSet, PeerId, Priority, Redelivery, Request, Role, Time, Timeout,
    WorkerCapabilities, WorkerReply,
};

use super::timely;
use crate::checker::{MARK, UID_BYTES, Uid, uid_in, uid_of};
use crate::history::{Bearer, Clock, Entry, History, reply_of};
use crate::script::{TOLD, TOLD_MOST};
use crate::settings;

/// The keys and the peer generation in the core's scripts.
const KEYS: Keys = Keys([1, 2, 3, 4]);
const GENERATION: u32 = 7;

/// Returns simplifications of the whole history: the configuration and the names of the scripts.
pub(super) fn whole(history: &History, at: usize) -> Vec<History> {
    let mut histories = Vec::new();
    if at > 0 {
        return histories;
    }
    let base = settings::of_scripts();
    if history.config != base {
        histories.push(History { config: base.clone(), ..history.clone() });
    }
    let plainer = settings::plainer(&history.config, &base);
    histories.extend(plainer.into_iter().map(|config| History { config, ..history.clone() }));
    histories.extend((0..history.entries.len()).filter_map(|at| configured_before(history, at)));
    if history.keys.0 != KEYS.0 {
        histories.push(History { keys: KEYS, ..history.clone() });
    }
    if history.clock == Clock::AsRecorded {
        histories.push(timely(history));
    }
    histories.extend(with_numbered_peers(history));
    histories.extend(with_one_service(history));
    histories.extend(with_named_requests(history));
    histories
}

/// Moves the configuration of this entry to the start of the history.
fn configured_before(history: &History, at: usize) -> Option<History> {
    let Entry::Told(_, Input::Configured(config)) = &history.entries[at] else { return None };
    let mut history = History { config: (**config).clone(), ..history.clone() };
    history.entries.remove(at);
    Some(history)
}

/// Renumbers the peers with the ids of a script.
fn with_numbered_peers(history: &History) -> Option<History> {
    let mut ids = HashMap::new();
    for entry in &history.entries {
        if let Entry::Told(_, Input::Connected { peer, .. }) = entry {
            let id = PeerId::new(ids.len() as u32, GENERATION);
            ids.entry(*peer).or_insert(id);
        }
    }
    if ids.iter().all(|(before, after)| before == after) {
        return None;
    }
    let id = |peer: PeerId| ids.get(&peer).copied().unwrap_or(peer);
    let mut history = renamed(history, |(worker, uid, number)| (id(worker), uid, number));
    for entry in &mut history.entries {
        if let Entry::Told(_, input) = entry
            && let Some(peer) = peer_of(input)
        {
            *peer = id(*peer);
        }
    }
    Some(history)
}

/// Replaces all services by `echo`.
fn with_one_service(history: &History) -> Option<History> {
    let mut history = history.clone();
    let mut changed = false;
    for entry in &mut history.entries {
        let service = match entry {
            Entry::Told(_, Input::FromClient { command: FromClient::Request(request), .. }) => {
                &mut request.service
            }
            Entry::Told(_, Input::FromWorker { command: FromWorker::Ready { service }, .. }) => {
                service
            }
            _ => continue,
        };
        changed |= **service != *b"echo";
        *service = ByteStr::from("echo");
    }
    changed.then_some(history)
}

/// Replaces request numbers by readable ones: `request1` and so on.
fn with_named_requests(history: &History) -> Option<History> {
    let mut names: HashMap<Uid, Uid> = HashMap::new();
    for entry in &history.entries {
        if let Some(uid) = request_of(entry).and_then(number_of) {
            let number = (names.len() + 1).to_string();
            let name = format!("{:.*}{number}", 8 - number.len(), "request");
            names.entry(uid).or_insert(u64::from_be_bytes(*name.as_bytes().first_chunk()?));
        }
    }
    if names.iter().all(|(before, after)| before == after) {
        return None;
    }
    let name = |uid: Uid| names.get(&uid).copied().unwrap_or(uid);
    let mut history = renamed(history, |(worker, uid, number)| (worker, name(uid), number));
    for entry in &mut history.entries {
        if let Entry::Told(_, Input::FromClient { command: FromClient::Request(request), .. }) =
            entry
            && let Some(uid) = number_of(request)
        {
            renumber(request, name(uid));
        }
    }
    Some(history)
}

fn number_of(request: &Request) -> Option<Uid> {
    uid_of(&request.id, &request.options, &request.body)
}

/// Returns true if a request's number is in its options.
fn is_marked(request: &Request) -> bool {
    request.options.first() == Some(&MARK)
}

/// Replaces a request's number wherever it is stored.
fn renumber(request: &mut Request, uid: Uid) {
    let number = uid.to_be_bytes();
    if is_marked(request) {
        let mut options = request.options.to_vec();
        options[1..=UID_BYTES].copy_from_slice(&number);
        request.options = options.into();
    } else if uid_in(&request.id).is_some() {
        request.id = ByteStr::from(&number[..]).into();
    } else {
        let mut frames: Vec<Vec<u8>> = request.body.iter().map(<[u8]>::to_vec).collect();
        frames[0][..UID_BYTES].copy_from_slice(&number);
        request.body = body_like(request, &frames);
    }
}

fn body_like<T: AsRef<[u8]>>(request: &Request, frames: &[T]) -> Frames {
    Frames::from_slices(frames).in_form(request.body.form(), request.body.note())
}

fn renamed(history: &History, rename: impl Fn(Bearer) -> Bearer) -> History {
    let bearers =
        history.bearers.iter().map(|(address, bearer)| (address.clone(), rename(*bearer)));
    History { bearers: Rc::new(bearers.collect()), ..history.clone() }
}

fn request_of(entry: &Entry) -> Option<&Request> {
    match entry {
        Entry::Told(_, Input::FromClient { command: FromClient::Request(request), .. }) => {
            Some(request)
        }
        _ => None,
    }
}

fn peer_of(input: &mut Input) -> Option<&mut PeerId> {
    match input {
        Input::Connected { peer, .. }
        | Input::FromClient { peer, .. }
        | Input::FromWorker { peer, .. }
        | Input::Malformed { peer }
        | Input::Alive { peer, .. }
        | Input::AboveHighWater { peer }
        | Input::MakingProgress { peer }
        | Input::BelowLowWater { peer }
        | Input::Disconnected { peer } => Some(peer),
        _ => None,
    }
}

/// Returns simplifications of one entry.
pub(super) fn words(history: &History, at: usize) -> Vec<History> {
    let Entry::Told(moment, input) = &history.entries[at] else { return Vec::new() };
    let inputs: Vec<Input> = match input {
        Input::Connected { peer, profile } => {
            let plainer = profiles(profile).into_iter();
            plainer.map(|profile| Input::Connected { peer: *peer, profile }).collect()
        }
        Input::FromClient { peer, command: FromClient::Request(request) } => {
            // Translation hints do not affect the equality of requests.
            let noted = (request.body.note() != 0).then(|| Request {
                body: request.body.clone().in_form(request.body.form(), 0),
                ..request.clone()
            });
            let commands = noted.into_iter().chain(requests(request)).map(FromClient::Request);
            commands.map(|command| Input::FromClient { peer: *peer, command }).collect()
        }
        Input::FromWorker { peer, command } => {
            let commands = worker_commands(history, command).into_iter();
            commands.map(|command| Input::FromWorker { peer: *peer, command }).collect()
        }
        _ => Vec::new(),
    };
    let with = |input| {
        let mut history = history.clone();
        history.entries[at] = Entry::Told(*moment, input);
        history
    };
    inputs.into_iter().map(with).collect()
}

/// Returns the value with all changes and with each single one, except results without a
/// difference.
fn changed<T: Clone + PartialEq>(value: &T, changes: &[fn(&mut T)]) -> Vec<T> {
    let with = |changes: &[fn(&mut T)]| {
        let mut value = value.clone();
        changes.iter().for_each(|change| change(&mut value));
        value
    };
    let all = core::iter::once(with(changes)).chain(changes.chunks(1).map(with));
    all.filter(|other| other != value).collect()
}

fn profiles(profile: &Profile) -> Vec<Profile> {
    let roles = match profile.role {
        Role::Client(can) => {
            let plain = ClientCapabilities { partial_replies: true, ..Default::default() };
            let mut capabilities = vec![plain, ClientCapabilities { told: TOLD, ..plain }];
            capabilities.extend(changed(
                &can,
                &[
                    |can| can.told = TOLD,
                    |can| can.told = TOLD_MOST,
                    |can| can.told = OutcomeSet::NONE,
                    |can| can.partial_replies = true,
                    |can| can.greets = false,
                    |can| can.redelivery = Redelivery::Always,
                ],
            ));
            // Capabilities that a script can express easily are simpler.
            let fewer = capabilities.into_iter().filter(|other| rank(other) < rank(&can));
            fewer.map(Role::Client).collect::<Vec<_>>()
        }
        Role::Worker(can) => {
            let capabilities = changed(
                &can,
                &[
                    |can| {
                        *can = WorkerCapabilities {
                            concurrency: can.concurrency,
                            ..Default::default()
                        }
                    },
                    |can| can.cancel = false,
                    |can| can.concurrency = Concurrency::ONE,
                    |can| can.greets = false,
                    |can| can.several_services = false,
                    |can| can.credit = false,
                ],
            );
            capabilities.into_iter().map(Role::Worker).collect()
        }
    };
    let roles = roles.into_iter().map(|role| Profile { role, ..profile.clone() });
    let rest = changed(
        profile,
        &[|profile| profile.identity = ByteStr::empty(), |profile| profile.answers_probes = false],
    );
    roles.chain(rest).collect()
}

/// Returns the complexity of a client's capabilities.
fn rank(can: &ClientCapabilities) -> u32 {
    let told = match can.told {
        OutcomeSet::NONE => 0,
        TOLD => 1,
        TOLD_MOST => 2,
        _ => 3,
    };
    let odd = [
        !can.partial_replies,
        can.greets,
        can.redelivery != Redelivery::Always,
        can.form != ClientCapabilities::default().form,
    ];
    told + odd.map(u32::from).iter().sum::<u32>()
}

fn requests(request: &Request) -> Vec<Request> {
    changed(
        request,
        &[
            |request| {
                if let Timeout::After(span) = request.timeout {
                    request.timeout = Timeout::After(in_millis(span));
                }
            },
            |request| {
                if let Timeout::After(span) = request.timeout
                    && span.as_millis() > 0
                {
                    request.timeout = Timeout::After(floor(span, 1));
                }
            },
            |request| request.timeout = Timeout::OfService,
            |request| request.redeliver = false,
            |request| {
                if is_marked(request) || uid_in(&request.id).is_none() {
                    request.id = CorrelationId::NONE;
                }
            },
            // The number is most readable as the body, and otherwise as the id.
            |request| {
                if let Some(uid) = number_of(request) {
                    request.options.clear();
                    request.id = CorrelationId::NONE;
                    request.body = body_like(request, &[uid.to_be_bytes()]);
                }
            },
            |request| {
                if is_marked(request)
                    && let Some(uid) = number_of(request)
                {
                    request.options.clear();
                    request.id = ByteStr::from(&uid.to_be_bytes()[..]).into();
                }
            },
            |request| match is_marked(request) {
                true => request.options.truncate(1 + UID_BYTES),
                false => request.options.clear(),
            },
            |request| request.target = ByteStr::empty(),
            |request| request.fresh = false,
            |request| request.durable = false,
            |request| request.priority = Priority::ORDINARY,
            |request| request.credit = CREDIT_UNLIMITED,
            |request| request.notices = false,
        ],
    )
}

fn worker_commands(history: &History, command: &FromWorker) -> Vec<FromWorker> {
    if let FromWorker::Heartbeat(_) = command {
        return changed(command, &[|command| *command = FromWorker::HEARTBEAT]);
    }
    let mut plain = command.clone();
    let Some(reply) = reply_of(&mut plain) else { return Vec::new() };
    let mut changes: Vec<fn(&mut WorkerReply)> = vec![
        |reply| reply.body = Frames::empty().in_form(reply.body.form(), 0),
        |reply| reply.id = CorrelationId::NONE,
        |reply| reply.options.clear(),
        |reply| reply.keep = None,
    ];
    if history.bearers.contains_key(&reply.address) {
        // If any token will do, no request is necessary.
        changes.push(|reply| reply.address = ByteStr::from("forged"));
    }
    let with = |reply| {
        let mut command = command.clone();
        if let Some(place) = reply_of(&mut command) {
            *place = reply;
        }
        command
    };
    changed(reply, &changes).into_iter().map(with).collect()
}

/// Rounds a duration up to whole milliseconds.
fn in_millis(span: Duration) -> Duration {
    Duration::from_millis(span.as_micros().div_ceil(1000) as u64)
}

/// Rounds a duration down to a multiple of `unit` milliseconds.
fn floor(span: Duration, unit: u64) -> Duration {
    Duration::from_millis(span.as_millis() as u64 / unit * unit)
}

/// Returns simplifications of the time before an entry: shorter or rounder times.
pub(super) fn times(history: &History, at: usize) -> Vec<History> {
    let before = at.checked_sub(1).map_or(Time::ZERO, |before| history.entries[before].at());
    let gap = history.entries[at].at().since(before);
    let short = [0, 1, 10, 100, 1000].map(Duration::from_millis);
    let round = [1000, 100, 10, 1].map(|unit| floor(gap, unit));
    let less = short.into_iter().chain(round).filter(|less| *less < gap);
    let whole = Some(in_millis(gap)).filter(|whole| *whole != gap);
    let with = |less: Duration| {
        let mut history = history.clone();
        for entry in &mut history.entries[at..] {
            entry.set_at(before.after(less).after(entry.at().since(before.after(gap))));
        }
        history
    };
    less.chain(whole).map(with).collect()
}
