//! Simulated clients and workers. Some are scripted and send neutral commands themselves. Others
//! are the real client and worker libraries.

mod client;
mod library_client;
mod library_worker;
mod task;
mod worker;

use majordomus_core::broker::Profile;
use majordomus_core::{ByteStr, Role, Time};

pub(crate) use self::client::Client;
pub(crate) use self::library_client::LibraryClient;
pub(crate) use self::library_worker::LibraryWorker;
pub(crate) use self::worker::Worker;
use crate::faults::Faults;
use crate::network::{Down, Up};
use crate::rng::Rng;
use crate::workload::Workload;

/// An action of an actor.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most of them are words, and a box costs")]
pub(crate) enum Act {
    /// Opens a connection.
    Open,
    /// Sends a message.
    Say(Up),
    /// Closes the connection after all sent messages have arrived.
    Close,
    /// Crashes: the connection is cut.
    Crash,
    /// Reports that the library broke its contract with its user.
    Accuse(String),
}

/// The environment of an actor.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Time,
    pub(crate) rng: &'a mut Rng,
    pub(crate) workload: &'a mut Workload,
    pub(crate) faults: &'a Faults,
    /// True while actors still send new requests.
    pub(crate) open: bool,
    pub(crate) acts: &'a mut Vec<Act>,
}

/// A simulated program.
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

    /// Returns the broker's view of the actor when it connects.
    pub(crate) fn profile(&self, identity: &ByteStr, answers_probes: bool) -> Profile {
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

    /// Returns the time of the actor's next action.
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
