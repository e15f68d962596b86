//! The cases of the core benchmark: the thing that is multiplied, and the measured operation.

use std::collections::VecDeque;
use std::time::Duration;

use majordomus_core::broker::{
    Action, Balance, Broker, Config, Event, InputView, Keys, Limits, Outlet, Profile,
};
use majordomus_core::{
    ByteStr, ClientCapabilities, Form, FramesView, FromClientView, FromWorkerView, Outcome,
    OutcomeSet, PeerId, Redelivery, RequestView, Role, Time, Timeout, ToClientView, ToWorkerView,
    Token, WorkerCapabilities, WorkerReplyView,
};

use crate::random::Random;

/// A thing of which there is one or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Services,
    Workers,
    Queued,
    Clients,
    Heartbeats,
    Expiry,
    Wildcard,
    Versions,
    Rejected,
    Targeted,
    Load,
    Offers,
}

impl Case {
    pub(crate) const ALL: [Case; 12] = [
        Case::Services,
        Case::Workers,
        Case::Queued,
        Case::Clients,
        Case::Heartbeats,
        Case::Expiry,
        Case::Wildcard,
        Case::Versions,
        Case::Rejected,
        Case::Targeted,
        Case::Load,
        Case::Offers,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Case::Services => "services",
            Case::Workers => "workers",
            Case::Queued => "queued",
            Case::Clients => "clients",
            Case::Heartbeats => "heartbeats",
            Case::Expiry => "expiry",
            Case::Wildcard => "wildcard",
            Case::Versions => "versions",
            Case::Rejected => "rejected",
            Case::Targeted => "targeted",
            Case::Load => "load",
            Case::Offers => "offers",
        }
    }

    pub(crate) const fn what(self) -> &'static str {
        match self {
            Case::Services => "each with a worker; a request for one of them, in random order",
            Case::Workers => "free, of one service; a request for it goes to each in turn",
            Case::Queued => "requests that wait for one worker; one joins, the first is dispatched",
            Case::Clients => {
                "each with a request at a worker of its own; one is answered, in random order, and asks again"
            }
            Case::Heartbeats => {
                "workers whose timers are armed; one says it is there and is told so"
            }
            Case::Expiry => "requests that wait for a worker; one expires, another comes",
            Case::Wildcard => {
                "names with a request waiting behind one wildcard; a new name joins, the first is dispatched"
            }
            Case::Versions => {
                "ranges of one service, the same with one worker whose version is in all of them"
            }
            Case::Rejected => {
                "requests that one of two workers has rejected; it rejects one more, the other gets the first"
            }
            Case::Targeted => {
                "workers, each with a request waiting that wants no other; one joins, in random order, and the first of that worker is dispatched"
            }
            Case::Load => "free, of one service, as `workers`; the one with the least load gets it",
            Case::Offers => {
                "of one worker, 1 and 1,000; a request for one of them, in random order, and its place among the free ones of each is another"
            }
        }
    }
}

/// The time between two requests.
const STEP: Duration = Duration::from_micros(1);

/// The duration of a timer in the timer cases. With 10,000 armed timers, or a divisor of that
/// number, no two timers fire in the same tick of the core's wheel (1,024 µs), and each is due at
/// the beginning of a tick.
const TIMER: Duration = Duration::from_micros(10_000 * 2_048);

/// A duration that is longer than any case.
const AGES: Duration = Duration::from_secs(1 << 32);

/// The body of each message, borrowed as from a read buffer.
const BODY: FramesView<'static> =
    FramesView::borrowed(&[b'x'; BODY_BYTES], &[(0, BODY_BYTES as u32)]);
const BODY_BYTES: usize = 64;

/// A broker with the things of a case, and its peers.
pub(crate) struct Stage {
    case: Case,
    size: u32,
    broker: Broker,
    now: Time,
    random: Random,
    outputs: Outputs,
    /// The number of workers. Workers have lower indices than clients.
    workers: u32,
    /// The tokens of the requests that are in flight between two operations.
    in_flight: Vec<Token>,
    /// The number of operations so far, which equals the number of outcomes.
    operations: u64,
}

impl Stage {
    pub(crate) fn new(case: Case, size: u32) -> Self {
        let heartbeat_interval = if case == Case::Heartbeats { TIMER } else { AGES };
        let balance = if case == Case::Load { Balance::LeastLoaded } else { Balance::LeastRecent };
        let config = Config {
            heartbeat_interval,
            balance,
            busy_timeout: AGES,
            reject_wait: AGES,
            // One client may have all requests in progress.
            limits: Limits { client_requests_max: 100_000, ..Limits::default() },
            ..Config::default()
        };
        let workers = match case {
            Case::Services
            | Case::Workers
            | Case::Clients
            | Case::Heartbeats
            | Case::Targeted
            | Case::Load => size,
            Case::Rejected => 2,
            Case::Queued | Case::Expiry | Case::Wildcard | Case::Versions | Case::Offers => 1,
        };
        let mut stage = Self {
            case,
            size,
            broker: Broker::new(config, Keys([1, 2, 3, 4])),
            now: Time::ZERO,
            random: Random(0x9E37_79B9_7F4A_7C15),
            outputs: Outputs::default(),
            workers,
            in_flight: Vec::new(),
            operations: 0,
        };
        stage.set_up();
        stage
    }

    /// Runs this many operations.
    pub(crate) fn run(&mut self, operations: u64) {
        for _ in 0..operations {
            match self.case {
                Case::Services | Case::Offers => {
                    let service = self.random.below(self.size);
                    self.round_trip(service);
                }
                Case::Workers | Case::Load => self.round_trip(0),
                Case::Queued => self.join_queue(0),
                Case::Wildcard | Case::Versions => {
                    // The name of the last answered request, which was removed with it.
                    let names = u64::from(self.size) + 2;
                    self.join_queue(((self.operations + names - 1) % names) as u32);
                }
                Case::Rejected => self.reject_and_answer(),
                Case::Targeted => self.join_one_worker(),
                Case::Clients => self.answer_and_ask(),
                Case::Heartbeats => self.beat(),
                Case::Expiry => self.expire(),
            }
            self.operations += 1;
        }
    }

    /// Panics if something other than the intended operations was measured.
    pub(crate) fn check(&self) {
        let counters = self.broker.counters();
        let ended = match self.case {
            Case::Expiry => counters.outcome(Outcome::Expired),
            Case::Heartbeats => self.operations,
            _ => counters.outcome(Outcome::Replied),
        };
        let in_progress = match self.case {
            Case::Services | Case::Workers | Case::Heartbeats | Case::Load | Case::Offers => 0,
            Case::Clients => u64::from(self.size),
            // The queued requests and the requests in flight.
            Case::Targeted => 2 * u64::from(self.size),
            _ => u64::from(self.size) + 1,
        };
        assert_eq!(ended, self.operations);
        assert_eq!(counters.in_progress, in_progress);
        assert_eq!((counters.workers_lost, counters.late_replies), (0, 0));
        assert!(counters.balanced());
        let rejections = match self.case {
            Case::Rejected => u64::from(self.size) + 1 + self.operations,
            _ => 0,
        };
        assert_eq!(counters.rejections, rejections);
        // A name is removed with its last use. One more name is registered by a worker.
        let names = match self.case {
            Case::Services | Case::Offers => self.size as usize,
            Case::Wildcard | Case::Versions => self.size as usize + 2,
            _ => 1,
        };
        assert_eq!(self.broker.holdings().services, names);
    }

    // The operations.

    /// A request arrives, and an idle worker gets it and replies.
    fn round_trip(&mut self, service: u32) {
        self.pass(STEP);
        self.ask(0, service, Timeout::OfService);
        let (worker, token) = self.given();
        self.answer(worker, token);
        self.answered();
        self.done();
    }

    /// A request is queued. The worker replies to its current request and gets the first one in the
    /// queue.
    fn join_queue(&mut self, service: u32) {
        self.pass(STEP);
        self.ask(0, service, Timeout::OfService);
        self.done();
        let token = self.in_flight[0];
        self.answer(PeerId::new(0, 0), token);
        self.answered();
        self.in_flight[0] = self.given().1;
        self.done();
    }

    /// A request arrives and is queued after one worker has rejected it. The other worker replies
    /// to its current request and gets the first one in the queue.
    fn reject_and_answer(&mut self) {
        self.pass(STEP);
        self.ask_and_reject();
        self.done();
        let token = self.in_flight[0];
        self.answer(PeerId::new(1, 0), token);
        self.answered();
        self.in_flight[0] = self.given().1;
        self.done();
    }

    /// A request for a target worker is queued. That worker replies to its current request and gets
    /// its first queued one.
    fn join_one_worker(&mut self) {
        self.pass(STEP);
        let worker = self.random.below(self.size);
        self.ask_one_worker(worker);
        self.done();
        let token = self.in_flight[worker as usize];
        self.answer(PeerId::new(worker, 0), token);
        self.answered();
        let (given, token) = self.given();
        assert_eq!(given.index, worker, "the one that it wants");
        self.in_flight[worker as usize] = token;
        self.done();
    }

    /// A worker replies. Its client, the only one without a request, sends the next, and the
    /// worker, the only idle one, gets it.
    fn answer_and_ask(&mut self) {
        self.pass(STEP);
        let worker = self.random.below(self.size);
        let token = self.in_flight[worker as usize];
        self.answer(PeerId::new(worker, 0), token);
        let client = self.answered();
        self.done();
        self.ask(client.index - self.workers, 0, Timeout::OfService);
        self.in_flight[worker as usize] = self.given().1;
        self.done();
    }

    /// A worker sends a heartbeat. Its timer fires, so the broker sends it a heartbeat.
    fn beat(&mut self) {
        self.now = self.now.after(TIMER / self.size);
        let peer = PeerId::new((self.operations % u64::from(self.size)) as u32, 0);
        self.tell(InputView::FromWorker { peer, command: &FromWorkerView::HEARTBEAT });
        self.tell(InputView::Tick);
        assert_eq!(self.outputs.next(), Some(Output::Heartbeat(peer)));
        self.done();
    }

    /// The oldest request reaches its deadline, and another request arrives.
    fn expire(&mut self) {
        self.now = self.now.after(TIMER / self.size);
        self.tell(InputView::Tick);
        assert_eq!(self.outputs.next(), Some(Output::Failure(Outcome::Expired)));
        self.done();
        self.ask(0, 0, Timeout::After(TIMER));
        self.done();
    }

    // The setup.

    fn set_up(&mut self) {
        for worker in 0..self.workers {
            if self.case == Case::Heartbeats {
                self.now = self.now.after(TIMER / self.size);
            }
            let service = match self.case {
                Case::Services => self.name(worker),
                Case::Wildcard => ByteStr::from("service-*"),
                Case::Versions => ByteStr::from("service@1.0.0"),
                _ => self.name(0),
            };
            self.add_worker(worker, service);
        }
        if self.case == Case::Offers {
            for service in 1..self.size {
                self.offer(PeerId::new(0, 0), self.name(service));
            }
        }
        let clients = if self.case == Case::Clients { self.size } else { 1 };
        for client in 0..clients {
            self.add_client(client);
        }
        match self.case {
            Case::Services | Case::Workers | Case::Heartbeats | Case::Load | Case::Offers => {}
            Case::Queued | Case::Wildcard | Case::Versions => {
                self.occupy_and_queue(Duration::ZERO, Timeout::OfService)
            }
            Case::Expiry => self.occupy_and_queue(TIMER / self.size, Timeout::After(TIMER)),
            Case::Clients => {
                for client in 0..self.size {
                    self.ask(client, 0, Timeout::OfService);
                    let (worker, token) = self.given();
                    assert_eq!(worker.index, client, "the one that has waited longest");
                    self.in_flight.push(token);
                }
            }
            Case::Rejected => {
                self.ask_and_reject();
                let (worker, token) = self.given();
                assert_eq!(worker.index, 1, "the one that has not had it");
                self.in_flight.push(token);
                for _ in 0..self.size {
                    self.ask_and_reject();
                }
            }
            Case::Targeted => {
                for worker in 0..self.size {
                    self.ask_one_worker(worker);
                    let token = self.given().1;
                    self.in_flight.push(token);
                    self.ask_one_worker(worker);
                }
            }
        }
        self.done();
    }

    /// Occupies the worker for the whole case, and queues requests for it. In cases about names,
    /// each request has its own name.
    fn occupy_and_queue(&mut self, apart: Duration, timeout: Timeout) {
        self.ask(0, 0, Timeout::Never);
        let (_, token) = self.given();
        self.in_flight.push(token);
        let names = matches!(self.case, Case::Wildcard | Case::Versions);
        for number in 1..=self.size {
            self.now = self.now.after(apart);
            self.ask(0, if names { number } else { 0 }, timeout);
        }
    }

    fn add_worker(&mut self, index: u32, service: ByteStr) {
        let peer = PeerId::new(index, 0);
        let rejects = self.case == Case::Rejected && index == 0;
        let several_services = self.case == Case::Offers;
        let can = WorkerCapabilities { rejects, several_services, ..WorkerCapabilities::default() };
        self.add_peer(peer, Role::Worker(can));
        self.offer(peer, service);
    }

    fn offer(&mut self, peer: PeerId, service: ByteStr) {
        let command = FromWorkerView::Ready { service: &service };
        self.tell(InputView::FromWorker { peer, command: &command });
        self.outputs.clear();
    }

    fn add_client(&mut self, index: u32) {
        let can = ClientCapabilities {
            afterwords: false,
            partial_replies: true,
            told: OutcomeSet::of(&Outcome::ALL),
            redelivery: Redelivery::Always,
            greets: false,
            form: Form::Frames,
        };
        self.add_peer(PeerId::new(self.workers + index, 0), Role::Client(can));
    }

    fn add_peer(&mut self, peer: PeerId, role: Role) {
        let profile = Profile { identity: identity(peer.index), answers_probes: false, role };
        self.tell(InputView::Connected { peer, profile });
    }

    // Inputs and outputs.

    fn tell(&mut self, input: InputView<'_>) {
        self.broker.handle(self.now, input, &mut self.outputs);
    }

    /// Advances the time and ticks the broker, as its driver must.
    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
        if self.broker.next_deadline().is_some_and(|due| due <= self.now) {
            self.tell(InputView::Tick);
        }
    }

    fn ask(&mut self, client: u32, service: u32, timeout: Timeout) {
        let name = self.name(service);
        self.request(client, RequestView { timeout, ..RequestView::new(&name, BODY) });
    }

    fn ask_one_worker(&mut self, worker: u32) {
        let (name, target) = (self.name(0), identity(worker));
        self.request(0, RequestView { target: &target, ..RequestView::new(&name, BODY) });
    }

    fn ask_and_reject(&mut self) {
        self.ask(0, 0, Timeout::OfService);
        let (peer, token) = self.given();
        assert_eq!(peer.index, 0, "the one that is free");
        let address = token.octets();
        let command = FromWorkerView::Rejected(WorkerReplyView::new(&address, BODY));
        self.tell(InputView::FromWorker { peer, command: &command });
    }

    fn request(&mut self, client: u32, request: RequestView<'_>) {
        let peer = PeerId::new(self.workers + client, 0);
        self.tell(InputView::FromClient { peer, command: &FromClientView::Request(request) });
    }

    fn answer(&mut self, peer: PeerId, token: Token) {
        let address = token.octets();
        let command = FromWorkerView::Final(WorkerReplyView::new(&address, BODY));
        self.tell(InputView::FromWorker { peer, command: &command });
    }

    /// Returns the worker that the next output gives a request, and the request's token.
    fn given(&mut self) -> (PeerId, Token) {
        match self.outputs.next() {
            Some(Output::Request(worker, token)) => (worker, token),
            other => panic!("no worker is given a request: {other:?}"),
        }
    }

    /// Returns the client that the next output answers.
    fn answered(&mut self) -> PeerId {
        match self.outputs.next() {
            Some(Output::Reply(client, BODY_BYTES)) => client,
            other => panic!("no client is answered: {other:?}"),
        }
    }

    /// Returns the name of a service.
    fn name(&self, service: u32) -> ByteStr {
        match self.case {
            // The offered version is in each of these ranges. Numbers in versions have no leading
            // zeros.
            Case::Versions => numbered(*b"service@>=0.0.100000", service),
            _ => numbered(*b"service-00000", service),
        }
    }

    fn done(&mut self) {
        assert_eq!(self.outputs.next(), None, "the broker wants more than was expected");
    }
}

/// The parts of an output that a case checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Request(PeerId, Token),
    /// A final reply and the size of its body in bytes.
    Reply(PeerId, usize),
    Failure(Outcome),
    Heartbeat(PeerId),
    Other,
}

/// The outputs that no case has checked yet. It allocates only while it grows.
#[derive(Default)]
struct Outputs(VecDeque<Output>);

impl Outputs {
    fn next(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl Outlet for Outputs {
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        self.0.push_back(match command {
            ToClientView::Final(reply) => Output::Reply(client, reply.body.bytes()),
            ToClientView::Failed(outcome, _) => Output::Failure(*outcome),
            _ => Output::Other,
        });
    }

    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        self.0.push_back(match command {
            ToWorkerView::Request(request) => Output::Request(worker, request.token),
            ToWorkerView::Heartbeat => Output::Heartbeat(worker),
            _ => Output::Other,
        });
    }

    fn act(&mut self, _peer: PeerId, _action: Action) {
        self.0.push_back(Output::Other);
    }

    fn note(&mut self, _event: Event) {
        self.0.push_back(Output::Other);
    }
}

/// Returns the identity of a peer.
fn identity(index: u32) -> ByteStr {
    ByteStr::from(&index.to_be_bytes()[..])
}

/// Returns `text` with a number in its last five digits. Names are created on demand, because a
/// table of names would add cold memory to the measurement.
fn numbered<const N: usize>(mut text: [u8; N], number: u32) -> ByteStr {
    let mut rest = number;
    for digit in text.iter_mut().rev().take(5) {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    ByteStr::from(&text[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_what_it_says() {
        for case in Case::ALL {
            for size in [1, 10, 100] {
                let mut stage = Stage::new(case, size);
                stage.run(1_000);
                stage.check();
            }
        }
    }
}
