//! Fuzz target for the core's broker: a sequence of commands.

use std::time::Duration;

use bytes::Bytes;
use majordomus_core::broker::{
    Action, Balance, Broker, Config, Event, Input, Keys, Limits, Outlet, Profile, ServiceConfig,
    Sign,
};
use majordomus_core::{
    ByteStr, ClientCapabilities, Concurrency, CorrelationId, Form, Frames, FromClient, FromWorker,
    Hello, PeerId, Priority, Request, Role, Status, Time, Timeout, ToClientView, ToWorkerView,
    Token, WorkerReply,
};

use crate::source::Source;

/// The number of concurrent peers.
const PEERS: usize = 8;

const SERVICES: &[&str] = &[
    "echo",
    "shared",
    "stock@1.2.3",
    "stock@1.4.0",
    "stock@^1.2",
    "sto*",
    "s*",
    "mmi.service",
    "$dir",
    "",
    "stock@latest",
];

/// The maximum number of outputs of one input. There are eight peers and a few requests per input
/// byte, so a broker that produces more is in an endless loop.
const OUTPUTS_MAX: usize = 100_000;

/// The possible pauses in milliseconds.
const PAUSES_MS: &[u64] = &[0, 1, 100, 500, 1_000, 2_500, 10_000, 60_000, 900_000];

/// Runs a sequence of events. The first byte chooses the limits. Each following byte is an event,
/// followed by its choices. After each event, the core's self-checks must pass, every request must
/// have one outcome or be in progress, and no peer may have received another peer's message. At the
/// end the broker must hold no state.
pub fn broker(data: &[u8]) {
    let mut source = Source::new(data);
    let mut stage = Stage::new(config(source.byte()));
    while !source.is_empty() {
        stage.happen(&mut source);
    }
    stage.end();
}

/// Returns a configuration with small limits, so that they are reached, and with any balancing
/// policy.
fn config(choice: u8) -> Config {
    let tight = choice & 1 == 1;
    let few = |most: usize| if tight { most } else { 1_000_000 };
    let limits = Limits {
        requests_max: few(6),
        request_bytes_max: few(4_000),
        service_requests_max: few(4),
        service_bytes_max: few(3_000),
        client_requests_max: few(3),
        client_bytes_max: few(2_000),
        worker_requests_max: few(3),
        worker_services_max: few(2),
        offers_max: few(5),
        rejections_max: if choice & 2 == 2 { 2 } else { 100 },
        names_max: few(2),
        accounts_max: few(2),
        reply_bytes_max: few(600),
        cache_bytes_max: if choice & 4 == 4 { 0 } else { 2_000 },
        translate_bytes_max: few(40),
    };
    let shared = ServiceConfig { name: "shared".into(), share: true, ..ServiceConfig::default() };
    Config {
        balance: Balance::ALL[usize::from(choice >> 3) % Balance::ALL.len()],
        no_worker_wait: (choice & 32 == 32).then_some(Duration::from_millis(500)),
        attempts_max: if choice & 64 == 64 { 1 } else { 3 },
        request_events: choice & 128 == 128,
        limits,
        services: vec![shared],
        ..Config::default()
    }
}

/// The driver's model of a peer.
struct Peer {
    id: PeerId,
    role: Role,
    paused: bool,
    load: Load,
    /// The ids of its requests without a final reply.
    asked: Vec<CorrelationId>,
}

/// The amount of unsent data for a peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Little,
    One,
    Full,
}

struct Stage {
    broker: Broker,
    now: Time,
    peers: Peers,
    appeared: u32,
}

/// The broker's peers, which check each output as it occurs.
struct Peers {
    at: [Option<Peer>; PEERS],
    /// The tokens given to workers, with the request ids.
    given: Vec<(Token, CorrelationId)>,
    /// The number of outputs of the current input.
    outputs: usize,
}

impl Stage {
    fn new(config: Config) -> Self {
        Self {
            broker: Broker::new(config, Keys([1, 2, 3, 4])),
            now: Time::ZERO,
            peers: Peers { at: [const { None }; PEERS], given: Vec::new(), outputs: 0 },
            appeared: 0,
        }
    }

    fn happen(&mut self, source: &mut Source<'_>) {
        let choice = source.byte();
        let at = usize::from(choice >> 5) % PEERS;
        let Some(peer) = &self.peers.at[at] else { return self.appear(at, source) };
        let (id, role, load) = (peer.id, peer.role, peer.load);
        let input = match choice & 31 {
            0 => return self.pass(source.pick(PAUSES_MS), source.flag()),
            1 => Input::Tick,
            2 => Input::Alive { peer: id, sign: Sign::Bytes },
            3 => Input::Alive { peer: id, sign: Sign::Pong },
            4 => Input::Disconnected { peer: id },
            5 if load == Load::Little => Input::OversizedPending { peer: id },
            5 | 6 if load != Load::Full => Input::AboveHighWater { peer: id },
            5 | 6 => Input::BelowLowWater { peer: id },
            7 if load != Load::Little => Input::MakingProgress { peer: id },
            7 => return self.pass(source.pick(PAUSES_MS), true),
            8 if source.byte() & 7 == 7 => Input::Configured(Box::new(config(source.byte()))),
            8 if source.byte() == 255 => Input::Shutdown,
            // Input from a paused peer waits, including malformed input.
            _ if self.peers.at[at].as_ref().is_some_and(|peer| peer.paused) => return,
            9 => Input::Malformed { peer: id },
            command => match role {
                Role::Client(can) => {
                    let command = client_says(command, can, source);
                    Input::FromClient { peer: id, command }
                }
                Role::Worker(can) => {
                    let command = self.peers.worker_says(command, can.form, source);
                    Input::FromWorker { peer: id, command }
                }
            },
        };
        let is_gone = matches!(input, Input::Disconnected { .. });
        self.tell(input);
        if is_gone {
            self.peers.at[at] = None;
        }
    }

    fn appear(&mut self, at: usize, source: &mut Source<'_>) {
        let codec = source.codec();
        let choice = source.byte();
        let id = PeerId::new(at as u32, self.appeared);
        self.appeared += 1;
        let profile = Profile {
            identity: ["", "a", "b", "c"][usize::from(choice & 3)].into(),
            answers_probes: choice & 4 == 4,
            role: codec.role(),
        };
        let (role, load) = (profile.role, Load::Little);
        self.peers.at[at] = Some(Peer { id, role, paused: false, load, asked: Vec::new() });
        self.tell(Input::Connected { peer: id, profile });
    }

    /// Advances the time, with or without running the broker.
    fn pass(&mut self, millis: u64, runs: bool) {
        let until = self.now.after(Duration::from_millis(millis));
        if runs {
            let mut turns = 0;
            while let Some(due) = self.broker.next_deadline().filter(|due| *due <= until) {
                self.now = self.now.max(due);
                self.tell(Input::Tick);
                turns += 1;
                assert!(turns < 100_000, "it is never idle");
            }
        }
        self.now = until;
        self.tell(Input::Tick);
    }

    fn tell(&mut self, input: Input) {
        let peers = &mut self.peers;
        match &input {
            Input::FromClient { peer, command: FromClient::Request(request) } => {
                peers.known(*peer).asked.push(request.id.clone());
            }
            Input::OversizedPending { peer } => peers.known(*peer).load = Load::One,
            Input::AboveHighWater { peer } => peers.known(*peer).load = Load::Full,
            Input::BelowLowWater { peer } => peers.known(*peer).load = Load::Little,
            _ => {}
        }
        peers.outputs = 0;
        input.with_view(|input| self.broker.handle(self.now, input, peers));
        self.broker.audit();
        assert!(self.broker.counters().balanced());
        let holdings = self.broker.holdings();
        assert_eq!(holdings.requests as u64, self.broker.counters().in_progress);
    }

    /// Shuts the broker down and disconnects all peers.
    fn end(mut self) {
        self.tell(Input::Shutdown);
        assert_eq!(self.broker.counters().in_progress, 0);
        let peers: Vec<PeerId> = self.peers.at.iter().flatten().map(|peer| peer.id).collect();
        for peer in peers {
            self.tell(Input::Disconnected { peer });
            self.peers.at[peer.index as usize] = None;
        }
        self.pass(10_000_000, true);
        assert_eq!(self.broker.holdings(), Default::default());
        assert_eq!(self.broker.next_deadline(), None);
    }
}

impl Peers {
    fn worker_says(&self, command: u8, form: Form, source: &mut Source<'_>) -> FromWorker {
        let service = ByteStr::from(source.pick(SERVICES));
        if matches!(command, 10 | 11) {
            return FromWorker::Ready { service };
        }
        let at = source.byte();
        let nth = usize::from(at >> 1).min(self.given.len().saturating_sub(1));
        let latest = self.given.len().saturating_sub(1 + nth);
        let (address, id) = match self.given.get(latest) {
            Some((token, id)) if at != 255 => match at & 1 {
                0 => (token.to_label(), id.clone()),
                _ => (ByteStr::from(&token.octets()[..]), id.clone()),
            },
            _ => ("forged".into(), CorrelationId::NONE),
        };
        let choice = source.byte();
        let reply = WorkerReply {
            id,
            keep: (choice & 1 == 1).then_some(Duration::from_millis(700)),
            options: options(choice),
            ..WorkerReply::new(address.clone(), body(choice >> 2, form))
        };
        match command {
            12 => FromWorker::Withdraw { service },
            13 | 14 => FromWorker::Partial(reply),
            15..=20 => FromWorker::Final(reply),
            21 => FromWorker::Failed(reply),
            22 | 23 => FromWorker::Rejected(reply),
            24 => FromWorker::AtWork { address },
            25 => FromWorker::HEARTBEAT,
            26 | 27 => {
                let concurrency = match choice & 7 {
                    7 => Concurrency::Unlimited,
                    most => Concurrency::AtMost(most.into()),
                };
                let publish = choice & 8 == 8;
                FromWorker::Heartbeat(Status { concurrency: Some(concurrency), publish })
            }
            28 => FromWorker::Disconnect,
            _ => FromWorker::Hello(hello(choice)),
        }
    }

    /// Returns a peer that the broker may refer to.
    fn known(&mut self, id: PeerId) -> &mut Peer {
        let peer = self.at[id.index as usize].as_mut().filter(|peer| peer.id == id);
        peer.expect("the broker speaks of connected peers only")
    }

    fn count_output(&mut self) {
        self.outputs += 1;
        assert!(self.outputs <= OUTPUTS_MAX, "one input has more than {OUTPUTS_MAX} outputs");
    }
}

impl Outlet for Peers {
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        self.count_output();
        let peer = self.known(client);
        let Role::Client(can) = peer.role else { panic!("{command:?} to a worker") };
        let (reply, is_last) = match command {
            ToClientView::Partial(reply) => (reply, false),
            ToClientView::Final(reply) | ToClientView::Failed(_, reply) => (reply, true),
            _ => return,
        };
        match peer.asked.iter().position(|id| id.as_ref() == reply.id) {
            Some(at) if is_last => _ = peer.asked.swap_remove(at),
            Some(_) => {}
            // A worker's message after its reply.
            None => assert!(can.afterwords, "nobody asked: {command:?}"),
        }
    }

    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        self.count_output();
        assert!(matches!(self.known(worker).role, Role::Worker(_)), "{command:?} to a client");
        if let ToWorkerView::Request(request) = command {
            self.given.push((request.token, request.id.to_owned()));
        }
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        self.count_output();
        let known = self.known(peer);
        match action {
            Action::Probe => {}
            Action::Pause => {
                assert!(!known.paused, "paused twice");
                known.paused = true;
            }
            Action::Resume => {
                assert!(known.paused, "resumed twice");
                known.paused = false;
            }
            Action::Close(_) => self.at[peer.index as usize] = None,
        }
    }

    fn note(&mut self, _event: Event) {
        self.count_output();
    }
}

fn client_says(command: u8, can: ClientCapabilities, source: &mut Source<'_>) -> FromClient {
    let number = u64::from(source.byte() & 3);
    // In dialects with numeric ids, clients have a handshake, and no two of their requests in
    // progress may have the same id.
    let id = match can.greets {
        true => CorrelationId::Number(number),
        false => CorrelationId::Text(ByteStr::decimal(number)),
    };
    let service = ByteStr::from(source.pick(SERVICES));
    match command {
        10..=21 => {
            let (choice, manner) = (source.byte(), source.byte());
            let timeout = match manner & 3 {
                0 | 1 => Timeout::OfService,
                2 => Timeout::Never,
                _ => Timeout::After(Duration::from_millis(u64::from(manner >> 5) * 100)),
            };
            FromClient::Request(Request {
                id: if command == 21 { CorrelationId::NONE } else { id },
                timeout,
                redeliver: manner & 4 == 4,
                fresh: manner & 8 == 8,
                notices: manner & 16 == 16,
                target: if command == 20 { "a".into() } else { ByteStr::empty() },
                priority: Priority::new(choice & 3),
                credit: if command == 19 { 1 } else { u32::MAX },
                options: options(choice),
                ..Request::new(service, body(choice >> 2, can.form))
            })
        }
        22 | 23 => FromClient::Cancel { id },
        24 => FromClient::More { id, credit: u32::from(source.byte()) },
        25 => FromClient::RequestKeepAlive { id },
        26 => FromClient::WorkerKeepAlive { worker: "a".into() },
        27 => FromClient::Heartbeat,
        28 => FromClient::Disconnect,
        _ => FromClient::Hello(hello(source.byte())),
    }
}

fn hello(choice: u8) -> Hello {
    Hello {
        heartbeat: (choice & 1 == 1).then_some(Duration::from_millis(300)),
        message_bytes_max: (choice & 2 == 2).then_some(600),
    }
}

fn options(choice: u8) -> Bytes {
    Bytes::from_static(if choice & 3 == 3 { b"\x01a\0\0\0\x01b" } else { b"" })
}

/// Returns a body. Bodies are often equal and sometimes large.
fn body(choice: u8, form: Form) -> Frames {
    let frames: &[&[u8]] = match choice & 3 {
        0 => &[b"\"hello\""],
        1 => &[],
        2 => &[b"one", b"", b"three"],
        _ => &[&[b'x'; 1_500]],
    };
    Frames::from_slices(frames).in_form(form, choice >> 2 & 1)
}
