//! The workload: what clients ask for, how often, and what workers make of it.

use core::time::Duration;

use majordomus_core::broker::{Config, Limits, ServiceConfig};
use majordomus_core::{
    ClientCapabilities, Concurrency, Form, Frames, Label, Outcome, OutcomeSet, Redelivery, Request,
    Timeout, WorkerCapabilities,
};

use crate::rng::Rng;

/// Names that workers offer. One begins like the broker's own.
const SERVICES: [&str; 4] = ["echo", "main", "mmi", "i.list"];
/// Names that nobody offers.
const UNKNOWN: [&str; 3] = ["nope", "__proto__", "../etc"];

/// Identities that some programs give themselves.
pub(crate) const IDENTITIES: [&str; 3] = ["id0", "id1", "id2"];

/// How many different notes bodies have, from 0 on.
const NOTES: u64 = 4;

/// The longest options of a request or a reply, in bytes.
const OPTIONS_BYTES_MAX: u64 = 24;

/// All that a client that is there can be told of.
pub(crate) const TOLD_ALL: OutcomeSet = OutcomeSet::of(&[
    Outcome::Failed,
    Outcome::Expired,
    Outcome::Cancelled,
    Outcome::WorkerLost,
    Outcome::Rejected,
    Outcome::Refused,
    Outcome::NoSuchService,
    Outcome::NoSuchWorker,
    Outcome::Untranslatable,
    Outcome::ShutDown,
]);
/// What a client is told of that forgets its request when its timeout is over.
const TOLD_BUT_EXPIRED: OutcomeSet = OutcomeSet::of(&[
    Outcome::Failed,
    Outcome::WorkerLost,
    Outcome::Rejected,
    Outcome::Refused,
    Outcome::NoSuchService,
]);
const TOLD_SOME: OutcomeSet = OutcomeSet::of(&[Outcome::Failed, Outcome::WorkerLost]);

/// What is asked in one run.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) services: usize,
    /// The longest pause between two requests of a client.
    pub(crate) pause: Duration,
    /// The longest time that a worker needs in the ordinary case.
    pub(crate) work: Duration,
    pub(crate) bytes_max: u64,
    /// The longest timeout that a request asks for.
    pub(crate) timeout_ms: u64,
    /// Whether there may be requests without any deadline.
    pub(crate) endless: bool,
    /// How often in a thousand requests a worker that may reject does.
    pub(crate) rejected: u64,
    /// Whether there are workers that reject whatever they get.
    pub(crate) stubborn: bool,
    next_uid: u64,
}

impl Workload {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            services: rng.within(1, SERVICES.len() as u64) as usize,
            pause: Duration::from_millis(rng.pick(&[5, 20, 100, 500])),
            work: Duration::from_millis(rng.pick(&[1, 10, 50, 300])),
            bytes_max: rng.pick(&[8, 100, 600]),
            timeout_ms: rng.pick(&[20, 200, 2_000]),
            endless: rng.one_in(2),
            rejected: rng.pick(&[20, 100, 400]),
            stubborn: rng.one_in(3),
            next_uid: 0,
        }
    }

    pub(crate) fn service(&self, rng: &mut Rng) -> Label {
        Label::from(SERVICES[rng.below(self.services as u64) as usize])
    }

    fn wanted(&self, rng: &mut Rng) -> Label {
        match rng.below(60) {
            0 => Label::from("mmi.service"),
            1 => Label::from("mmi.nope"),
            2..5 => Label::from(rng.pick(&UNKNOWN)),
            _ => self.service(rng),
        }
    }

    /// A body that begins with the number of its request.
    fn body(&mut self, rng: &mut Rng, service: &[u8]) -> Frames {
        if service.starts_with(b"mmi.") {
            return Frames::from_slices(&[self.service(rng).as_bytes()]);
        }
        self.next_uid += 1;
        let mut first = self.next_uid.to_be_bytes().to_vec();
        first.resize(8 + rng.below(self.bytes_max) as usize, b'x');
        if rng.one_in(4) {
            return Frames::from_slices(&[first, b"more".to_vec(), Vec::new()]);
        }
        // What is noted of it the broker has to pass on.
        Frames::from_slices(&[first]).in_form(Form::Frames, rng.below(NOTES) as u8)
    }

    pub(crate) fn request(&mut self, rng: &mut Rng, id: Label) -> Request {
        let service = match rng.below(2000) {
            0 => Label::empty(),
            1 => Label::from("n".repeat(256).as_str()),
            _ => self.wanted(rng),
        };
        let body = self.body(rng, &service);
        let mut request = Request::new(service, body);
        request.id = id;
        request.redeliver = rng.one_in(2);
        request.options = options(rng).into();
        request.timeout = match rng.below(16) {
            0..8 => Timeout::OfService,
            8 if self.endless => Timeout::Never,
            9 => Timeout::After(Duration::ZERO),
            _ => Timeout::After(rng.millis(1, self.timeout_ms)),
        };
        request
    }

    /// A request for this service.
    pub(crate) fn request_for(&mut self, rng: &mut Rng, service: Label) -> Request {
        let body = self.body(rng, &service);
        Request::new(service, body)
    }

    pub(crate) fn client(&self, rng: &mut Rng) -> ClientCapabilities {
        ClientCapabilities {
            partial_replies: rng.one_in(2),
            told: rng.pick(&[OutcomeSet::NONE, TOLD_SOME, TOLD_BUT_EXPIRED, TOLD_ALL]),
            redelivery: rng.pick(&[Redelivery::Always, Redelivery::WhereAsked, Redelivery::Never]),
            ..ClientCapabilities::default()
        }
    }

    pub(crate) fn worker(&self, rng: &mut Rng) -> WorkerCapabilities {
        let [one, two, five] = [1, 2, 5].map(Concurrency::AtMost);
        WorkerCapabilities {
            concurrency: rng.pick(&[one, one, one, two, five, Concurrency::Unlimited]),
            cancel: rng.one_in(2),
            rejects: rng.one_in(2),
            heartbeats_answered: rng.one_in(3),
            ready_again: rng.one_in(3),
            ..WorkerCapabilities::default()
        }
    }

    /// How many requests a worker takes from now on.
    pub(crate) fn concurrency(&self, rng: &mut Rng) -> Concurrency {
        match rng.below(8) {
            7 => Concurrency::Unlimited,
            most => Concurrency::AtMost(most as u32),
        }
    }

    /// Who a client vouches for: for nobody, too.
    pub(crate) fn identity(&self, rng: &mut Rng) -> Label {
        match rng.below(12) {
            0 => Label::from("nobody"),
            1 => Label::empty(),
            _ => Label::from(rng.pick(&IDENTITIES)),
        }
    }

    /// How the broker is set. In some runs the limits are so low that they are reached.
    pub(crate) fn config(&self, rng: &mut Rng) -> Config {
        let mut limits = Limits::default();
        if rng.one_in(2) {
            limits.client_requests_max = rng.within(1, 4) as usize;
            limits.service_requests_max = rng.within(1, 8) as usize;
            limits.requests_max = rng.within(2, 12) as usize;
            limits.names_max = rng.within(1, 3) as usize;
        }
        if rng.one_in(3) {
            limits.client_bytes_max = rng.within(300, 1500) as usize;
            limits.service_bytes_max = rng.within(300, 2500) as usize;
            limits.request_bytes_max = rng.within(600, 4000) as usize;
        }
        if rng.one_in(3) {
            limits.reply_bytes_max = rng.within(10, 500) as usize;
        }
        if rng.one_in(3) {
            limits.rejections_max = rng.within(1, 5) as u32;
        }
        let mut config = Config {
            heartbeat_interval: rng.millis(20, 500),
            liveness: rng.within(1, 3) as u32,
            wait_timeout: rng.millis(50, 3000),
            no_worker_wait: rng.one_in(2).then(|| rng.millis(1, 500)),
            busy_timeout: rng.millis(100, 3000),
            stall_timeout: rng.millis(50, 1500),
            identity_timeout: rng.millis(20, 500),
            attempts_max: rng.within(1, 3) as u32,
            reject_wait: rng.millis(10, 500),
            limits,
            services: Vec::new(),
            request_events: true,
            ..Config::default()
        };
        if rng.one_in(3) {
            config.services.push(ServiceConfig {
                name: self.service(rng),
                wait_timeout: rng.one_in(2).then(|| rng.millis(10, 1000)),
                busy_timeout: rng.one_in(2).then(|| rng.millis(50, 1000)),
                ..ServiceConfig::default()
            });
        }
        config
    }
}

/// What is written beside a body; nothing in most cases.
pub(crate) fn options(rng: &mut Rng) -> Vec<u8> {
    if !rng.one_in(4) {
        return Vec::new();
    }
    vec![b'o'; 1 + rng.below(OPTIONS_BYTES_MAX) as usize]
}
