//! The workload: the requests of clients, their frequency, and the replies of workers.

mod config;
mod names;

use core::time::Duration;

use majordomus_core::broker::HEAD_BYTES_MAX;
use majordomus_core::{
    ByteStr, CREDIT_UNLIMITED, ClientCapabilities, Concurrency, CorrelationId, Form, Frames, Hello,
    Outcome, OutcomeSet, PeerId, Priority, Redelivery, Request, Timeout, WorkerCapabilities,
};

use self::names::Names;
use crate::checker::{MARK, UID_BYTES};
use crate::rng::Rng;

/// Identities that some programs declare.
pub(crate) const IDENTITIES: [&str; 3] = ["id0", "id1", "id2"];

/// The number of different translation hints of bodies, starting at 0.
const NOTES: u64 = 4;

/// The maximum length of a request's or reply's options, in bytes.
const OPTIONS_BYTES_MAX: u64 = 24;

/// The outcomes that can be reported to a connected client.
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
/// The outcomes that can be reported to a client that forgets its request after the timeout.
const TOLD_BUT_EXPIRED: OutcomeSet = OutcomeSet::of(&[
    Outcome::Failed,
    Outcome::WorkerLost,
    Outcome::Rejected,
    Outcome::Refused,
    Outcome::NoSuchService,
]);
const TOLD_SOME: OutcomeSet = OutcomeSet::of(&[Outcome::Failed, Outcome::WorkerLost]);

/// Bodies that many requests share.
const ALIKE: [&[&[u8]]; 4] = [&[b"alike"], &[b"alike", b""], &[b"quite another one"], &[]];

/// The number of recently connected peers that are remembered.
const MET_MAX: usize = 6;

/// The parameters of a run's requests.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    names: Names,
    /// True if many requests differ only in their number.
    alike: bool,
    /// The replies per thousand that are cached, and their maximum lifetime.
    kept: u64,
    keep_ms: u64,
    /// True if some configurations coalesce equal requests.
    shared: bool,
    /// True if there are bodies of both formats.
    forms: bool,
    /// True if some requests have a target worker.
    targets: bool,
    met: Vec<PeerId>,
    /// True if there are peers with a handshake, and workers with several services.
    greetings: bool,
    several: bool,
    /// True if requests have different priorities, if parts are counted, and if clients request
    /// progress notices.
    priorities: bool,
    credits: bool,
    notices: bool,
    /// The highest size limit for bodies that a peer may declare. `None` if all peers accept any
    /// size.
    body_bytes_max: Option<u64>,
    /// True if the configurations have different balancing policies.
    balanced: bool,
    /// The longest pause between two requests of a client.
    pub(crate) pause: Duration,
    /// The longest normal working time of a worker.
    pub(crate) work: Duration,
    pub(crate) bytes_max: u64,
    /// The longest timeout of a request.
    pub(crate) timeout_ms: u64,
    /// True if there may be requests without a deadline.
    pub(crate) endless: bool,
    /// The requests per thousand that a worker rejects, if its dialect allows that.
    pub(crate) rejected: u64,
    /// True if there are workers that reject every request.
    pub(crate) stubborn: bool,
    next_uid: u64,
}

impl Workload {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let shared = !rng.one_in(3);
        Self {
            names: Names::new(rng),
            alike: shared || rng.one_in(2),
            kept: rng.pick(&[100, 300, 1000]),
            keep_ms: rng.pick(&[20, 300, 3_000]),
            shared,
            forms: !rng.one_in(3),
            targets: rng.one_in(2),
            met: Vec::new(),
            greetings: rng.one_in(2),
            several: rng.one_in(2),
            priorities: rng.one_in(2),
            credits: rng.one_in(2),
            notices: rng.one_in(2),
            body_bytes_max: rng.pick(&[None, None, Some(24), Some(300)]),
            balanced: rng.one_in(2),
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

    /// Returns a service name that workers offer.
    pub(crate) fn service(&self, rng: &mut Rng) -> ByteStr {
        self.names.offered(rng)
    }

    /// Records a connected worker.
    pub(crate) fn meet(&mut self, peer: PeerId) {
        if self.met.len() >= MET_MAX {
            self.met.remove(0);
        }
        self.met.push(peer);
    }

    /// Returns a body that starts with the number of its request.
    fn body(&mut self, rng: &mut Rng, form: Form) -> Frames {
        self.next_uid += 1;
        let mut first = self.next_uid.to_be_bytes().to_vec();
        first.resize(UID_BYTES + rng.below(self.bytes_max) as usize, b'x');
        if rng.one_in(4) {
            return Frames::from_slices(&[first, b"more".to_vec(), Vec::new()]).in_form(form, 0);
        }
        // The broker must forward the translation hint.
        Frames::from_slices(&[first]).in_form(form, rng.below(NOTES) as u8)
    }

    /// Returns a request body for the broker's own services.
    fn question(&self, rng: &mut Rng, form: Form) -> Frames {
        let name = self.names.asked(rng);
        let text = match form {
            Form::Frames => name.as_bytes().to_vec(),
            Form::Json => [b"\"", name.as_bytes(), b"\""].concat(),
        };
        let frames = if rng.one_in(4) { Vec::new() } else { vec![text] };
        Frames::from_slices(&frames).in_form(form, rng.below(NOTES) as u8)
    }

    /// Returns a request of a client with these capabilities.
    pub(crate) fn request(
        &mut self,
        rng: &mut Rng,
        can: ClientCapabilities,
        id: CorrelationId,
    ) -> Request {
        let service = match rng.below(2000) {
            0 => ByteStr::empty(),
            1 => ByteStr::from("n".repeat(256).as_str()),
            _ => self.names.asked(rng),
        };
        let mut request = Request::new(service, self.body(rng, can.form));
        request.id = id;
        request.redeliver = rng.one_in(2);
        if self.priorities {
            request.priority = Priority::new(rng.pick(&[0, 4, 4, 9]));
        }
        if self.credits && !rng.one_in(4) {
            request.credit = rng.pick(&[0, 1, 7, CREDIT_UNLIMITED - 1]);
        }
        request.notices = self.notices && !rng.one_in(4);
        request.options = options(rng).into();
        if self.names.is_own(&request.service) {
            request.options = self.numbered(&request.options).into();
            request.body = self.question(rng, can.form);
        } else if self.alike && !rng.one_in(4) {
            request.options = self.numbered(&request.options).into();
            let note = if rng.one_in(4) { 1 } else { 0 };
            request.body = Frames::from_slices(rng.pick(&ALIKE)).in_form(can.form, note);
            request.fresh = rng.one_in(4);
        }
        // A client that may name a target must also receive the report if the target is
        // unavailable.
        if self.targets && can.told.contains(Outcome::Refused) && rng.one_in(4) {
            request.target = self.target(rng);
        }
        request.timeout = match rng.below(16) {
            0..8 => Timeout::OfService,
            8 if self.endless => Timeout::Never,
            9 => Timeout::After(Duration::ZERO),
            _ => Timeout::After(rng.millis(1, self.timeout_ms)),
        };
        request
    }

    /// Returns a request of a user of the library. Without a handshake, it has only a name and a
    /// body.
    pub(crate) fn lone_request(&mut self, rng: &mut Rng, can: ClientCapabilities) -> Request {
        let service = self.names.asked(rng);
        // A worker may offer the directory's name, and then the body must have a number.
        let body = match service.starts_with(b"mmi.") {
            true => self.question(rng, Form::Frames),
            false => self.body(rng, Form::Frames),
        };
        let mut request = Request::new(service, body);
        if can.greets && self.priorities {
            request.priority = Priority::new(rng.pick(&[0, 4, 4, 9]));
        }
        request.notices = can.greets && self.notices && !rng.one_in(4);
        request
    }

    /// Returns options that start with the number of their request.
    fn numbered(&self, options: &[u8]) -> Vec<u8> {
        [&[MARK], &self.next_uid.to_be_bytes()[..], options].concat()
    }

    fn target(&self, rng: &mut Rng) -> ByteStr {
        match rng.below(8) {
            0 => ByteStr::from("nobody"),
            1 => ByteStr::from("p0.0"),
            2..5 if !self.met.is_empty() => ByteStr::from(rng.pick(&self.met).to_string().as_str()),
            _ => ByteStr::from(rng.pick(&IDENTITIES)),
        }
    }

    /// Returns a request for this service with a body that every worker accepts.
    pub(crate) fn request_for(&mut self, service: ByteStr) -> Request {
        self.next_uid += 1;
        let body = Frames::from_slices(&[self.next_uid.to_be_bytes()]);
        Request { fresh: true, ..Request::new(service, body) }
    }

    pub(crate) fn client(&self, rng: &mut Rng) -> ClientCapabilities {
        ClientCapabilities {
            partial_replies: rng.one_in(2),
            told: rng.pick(&[OutcomeSet::NONE, TOLD_SOME, TOLD_BUT_EXPIRED, TOLD_ALL]),
            redelivery: rng.pick(&[Redelivery::Always, Redelivery::WhereAsked, Redelivery::Never]),
            greets: self.greets(rng),
            form: self.form(rng),
            ..ClientCapabilities::default()
        }
    }

    fn greets(&self, rng: &mut Rng) -> bool {
        self.greetings && !rng.one_in(3)
    }

    /// Returns the handshake parameters of a peer that sends a heartbeat at least this often. The
    /// peer may or may not declare the interval.
    pub(crate) fn hello(&self, rng: &mut Rng, heartbeat: Option<Duration>) -> Hello {
        let most = self.body_bytes_max.filter(|_| rng.one_in(2));
        let most = most.map(|most| HEAD_BYTES_MAX + UID_BYTES + rng.below(most) as usize);
        Hello { heartbeat, message_bytes_max: most }
    }

    /// Returns true if clients grant credit for parts.
    pub(crate) fn counts_parts(&self) -> bool {
        self.credits
    }

    /// Returns a client's additional credit.
    pub(crate) fn credit(&self, rng: &mut Rng) -> u32 {
        rng.pick(&[0, 1, 1, 5, 5, CREDIT_UNLIMITED])
    }

    fn form(&self, rng: &mut Rng) -> Form {
        if self.forms && rng.one_in(2) { Form::Json } else { Form::Frames }
    }

    /// Returns the lifetime of a cached reply, if the reply may be cached.
    pub(crate) fn keep(&self, rng: &mut Rng) -> Option<Duration> {
        rng.per_mille(self.kept).then(|| rng.millis(0, self.keep_ms))
    }

    pub(crate) fn worker(&self, rng: &mut Rng) -> WorkerCapabilities {
        let [one, two, five] = [1, 2, 5].map(Concurrency::AtMost);
        WorkerCapabilities {
            concurrency: rng.pick(&[one, one, one, two, five, Concurrency::Unlimited]),
            cancel: rng.one_in(2),
            rejects: rng.one_in(2),
            heartbeats_answered: rng.one_in(3),
            ready_again: rng.one_in(3),
            request_ids: rng.one_in(4),
            several_services: self.several && !rng.one_in(3),
            credit: self.credits && !rng.one_in(3),
            greets: self.greets(rng),
            form: self.form(rng),
            ..WorkerCapabilities::default()
        }
    }

    /// Returns a worker's new concurrency.
    pub(crate) fn concurrency(&self, rng: &mut Rng) -> Concurrency {
        match rng.below(8) {
            7 => Concurrency::Unlimited,
            most => Concurrency::AtMost(most as u32),
        }
    }

    /// Returns the identity for a worker keep-alive. It may be unknown.
    pub(crate) fn identity(&self, rng: &mut Rng) -> ByteStr {
        match rng.below(12) {
            0 => ByteStr::from("nobody"),
            1 => ByteStr::empty(),
            _ => ByteStr::from(rng.pick(&IDENTITIES)),
        }
    }
}

/// Returns the options of a message, which are mostly empty.
pub(crate) fn options(rng: &mut Rng) -> Vec<u8> {
    if !rng.one_in(4) {
        return Vec::new();
    }
    vec![b'o'; 1 + rng.below(OPTIONS_BYTES_MAX) as usize]
}
