//! The programs at the other end of the network: some follow a script and speak the neutral
//! commands themselves, others are the real client and worker.

mod client;
mod library_client;
mod library_worker;
mod task;
mod worker;

use majordomus_core::broker::Profile;
use majordomus_core::{Label, Role, Time};

pub(crate) use self::client::Client;
pub(crate) use self::library_client::LibraryClient;
pub(crate) use self::library_worker::LibraryWorker;
pub(crate) use self::worker::Worker;
use crate::faults::Faults;
use crate::network::{Down, Up};
use crate::rng::Rng;
use crate::workload::Workload;

/// What an actor wants done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most of them are words, and a box costs")]
pub(crate) enum Act {
    /// Connect.
    Open,
    /// Send this.
    Say(Up),
    /// Close the connection, when what was sent has arrived.
    Close,
    /// Die: the connection is cut.
    Crash,
    /// The library broke its promise to its user.
    Accuse(String),
}

/// What an actor has to work with.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Time,
    pub(crate) rng: &'a mut Rng,
    pub(crate) workload: &'a mut Workload,
    pub(crate) faults: &'a Faults,
    /// Whether requests are still made.
    pub(crate) open: bool,
    pub(crate) acts: &'a mut Vec<Act>,
}

/// A program.
#[derive(Debug)]
pub(crate) enum Actor {
    Client(Client),
    Worker(Worker),
    LibraryClient(Box<LibraryClient>),
    LibraryWorker(Box<LibraryWorker>),
}

impl Actor {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        match rng.below(8) {
            0..3 => Actor::Client(Client::new(rng, workload)),
            3 => Actor::LibraryClient(Box::new(LibraryClient::new(rng, workload))),
            4..7 => Actor::Worker(Worker::new(rng, workload)),
            _ => Actor::LibraryWorker(Box::new(LibraryWorker::new(rng, workload))),
        }
    }

    /// What the broker sees of it when it connects.
    pub(crate) fn profile(&self, identity: &Label, answers_probes: bool) -> Profile {
        let role = match self {
            Actor::Client(client) => Role::Client(client.can),
            Actor::LibraryClient(client) => Role::Client(client.can),
            Actor::Worker(worker) => Role::Worker(worker.can),
            Actor::LibraryWorker(worker) => Role::Worker(worker.can),
        };
        Profile { identity: identity.clone(), answers_probes, role }
    }

    pub(crate) fn opened(&mut self, scene: &mut Scene<'_>) {
        match self {
            Actor::Client(client) => client.opened(scene),
            Actor::Worker(worker) => worker.opened(scene),
            Actor::LibraryClient(client) => client.opened(scene),
            Actor::LibraryWorker(worker) => worker.opened(scene),
        }
    }

    pub(crate) fn lost(&mut self, scene: &mut Scene<'_>) {
        match self {
            Actor::Client(client) => client.lost(scene),
            Actor::Worker(worker) => worker.lost(scene),
            Actor::LibraryClient(client) => client.lost(scene),
            Actor::LibraryWorker(worker) => worker.lost(scene),
        }
    }

    pub(crate) fn heard(&mut self, scene: &mut Scene<'_>, message: Down) {
        match (self, message) {
            (Actor::Client(client), Down::Client(command)) => client.heard(scene, &command),
            (Actor::LibraryClient(client), Down::Client(command)) => client.heard(scene, command),
            (Actor::Worker(worker), Down::Worker(command)) => worker.heard(scene, command),
            (Actor::LibraryWorker(worker), Down::Worker(command)) => worker.heard(scene, command),
            (Actor::LibraryWorker(worker), Down::Pong) => worker.pong(scene),
            _ => {}
        }
    }

    pub(crate) fn wake(&mut self, scene: &mut Scene<'_>) {
        match self {
            Actor::Client(client) => client.wake(scene),
            Actor::Worker(worker) => worker.wake(scene),
            Actor::LibraryClient(client) => client.wake(scene),
            Actor::LibraryWorker(worker) => worker.wake(scene),
        }
    }

    /// When it wants to be woken.
    pub(crate) fn wakes_at(&self) -> Time {
        match self {
            Actor::Client(client) => client.wakes_at(),
            Actor::Worker(worker) => worker.wakes_at(),
            Actor::LibraryClient(client) => client.wakes_at(),
            Actor::LibraryWorker(worker) => worker.wakes_at(),
        }
    }

    pub(crate) fn is_worker(&self) -> bool {
        matches!(self, Actor::Worker(_) | Actor::LibraryWorker(_))
    }
}
