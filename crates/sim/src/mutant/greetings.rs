//! Mutations of handshakes, disconnects and withdrawals.

use majordomus_core::broker::{Event, Input, Output, Sign};
use majordomus_core::{
    Concurrency, DisconnectReason, FromClient, FromWorker, PeerId, Role, Time, ToClient, ToWorker,
    Welcome, WorkerCapabilities,
};

use super::{Mutant, Mutation};

impl Mutant {
    /// Records completed handshakes.
    pub(super) fn note_greeting(&mut self, input: &Input) {
        match input {
            Input::Connected { peer, profile } => {
                let greets = match profile.role {
                    Role::Client(can) => can.greets,
                    Role::Worker(can) => can.greets,
                };
                if matches!(profile.role, Role::Worker(can) if can.several_services) {
                    self.several.insert(*peer);
                }
                if greets {
                    self.greeted.insert(*peer, false);
                }
            }
            Input::FromClient { peer, command: FromClient::Disconnect }
            | Input::FromWorker { peer, command: FromWorker::Disconnect } => self.forgets(*peer),
            _ => {}
        }
    }

    pub(super) fn remember_greeting(&mut self, output: &Output) {
        match output {
            Output::ToClient { peer, command: ToClient::Welcome(_) }
            | Output::ToWorker { peer, command: ToWorker::Welcome(_) } => {
                self.greeted.insert(*peer, true);
            }
            Output::ToClient { peer, command: ToClient::Disconnect(_) }
            | Output::ToWorker { peer, command: ToWorker::Disconnect(_) } => self.forgets(*peer),
            Output::Event(Event::WorkerRegistered { peer, service }) => {
                self.withdrawn.retain(|(at, name)| at != peer || name != service);
            }
            Output::Event(Event::WorkerWithdrew { peer, service }) => {
                self.offers.retain(|(at, name)| at != peer || name != service);
                self.withdrawn.push((*peer, service.clone()));
            }
            Output::Event(Event::WorkerLost { peer, .. }) => {
                self.withdrawn.retain(|(at, _)| at != peer);
            }
            _ => {}
        }
    }

    fn forgets(&mut self, peer: PeerId) {
        if let Some(greeted) = self.greeted.get_mut(&peer) {
            *greeted = false;
        }
    }

    pub(super) fn is_unheard(&self, peer: PeerId) -> bool {
        self.greeted.get(&peer) == Some(&false)
    }

    /// Changes the handshake parameters of peers.
    pub(super) fn mishear_greeting(&mut self, now: Time, input: &mut Input) {
        let interval = self.broker.config().heartbeat_interval;
        match (self.mutation, input) {
            (
                Mutation::HearsWhoIsUnheard,
                Input::FromWorker { peer, command: FromWorker::Ready { service } },
            ) if self.is_unheard(*peer) && !service.is_empty() && !service.starts_with(b"mmi.") => {
                let command = FromWorker::Hello(majordomus_core::Hello::default());
                self.tell_broker(now, &Input::FromWorker { peer: *peer, command });
                self.produced.list.clear();
            }
            (
                Mutation::IgnoresBodyLimit,
                Input::FromClient { command: FromClient::Hello(hello), .. }
                | Input::FromWorker { command: FromWorker::Hello(hello), .. },
            ) => hello.message_bytes_max = None,
            (
                Mutation::IgnoresPace,
                Input::FromWorker { command: FromWorker::Hello(hello), .. },
            ) => hello.heartbeat = Some(interval),
            (Mutation::CountsEachServiceApart, Input::Connected { profile, .. }) => {
                if let Role::Worker(can) = profile.role
                    && can.several_services
                    && let Concurrency::AtMost(most) = can.concurrency
                {
                    let concurrency = Concurrency::AtMost(most + 1);
                    profile.role = Role::Worker(WorkerCapabilities { concurrency, ..can });
                }
            }
            (
                Mutation::OverlooksWithdraw,
                input @ Input::FromWorker { command: FromWorker::Withdraw { .. }, .. },
            ) => {
                if let Input::FromWorker { peer, .. } = *input
                    && self.several.contains(&peer)
                    && self.offers.iter().any(|(worker, _)| *worker == peer)
                {
                    *input = Input::Alive { peer, sign: Sign::Bytes };
                }
            }
            _ => {}
        }
    }

    /// Changes messages to connecting or disconnecting peers. Returns `None` to drop a message.
    pub(super) fn misspeak_greeting(&self, mut output: Output) -> Option<Output> {
        match (self.mutation, &mut output) {
            (
                Mutation::WelcomesInSilence,
                Output::ToClient { command: ToClient::Welcome(_), .. }
                | Output::ToWorker { command: ToWorker::Welcome(_), .. },
            )
            | (
                Mutation::PartsInSilence,
                Output::ToClient { command: ToClient::Disconnect(_), .. }
                | Output::ToWorker { command: ToWorker::Disconnect(_), .. },
            ) => return None,
            (
                Mutation::GivesNoReason,
                Output::ToClient { command: ToClient::Disconnect(why), .. }
                | Output::ToWorker { command: ToWorker::Disconnect(why), .. },
            ) => *why = DisconnectReason::Unsaid,
            (
                Mutation::PromisesTooMuch,
                Output::ToClient { command: ToClient::Welcome(welcome), .. }
                | Output::ToWorker { command: ToWorker::Welcome(welcome), .. },
            ) => welcome.requests_max += 1,
            (
                Mutation::SettlesInSilence,
                Output::ToWorker { command: ToWorker::Capacity { .. }, .. },
            ) => return None,
            (
                Mutation::SettlesForMore,
                Output::ToWorker {
                    command: ToWorker::Capacity { concurrency: Concurrency::AtMost(most) },
                    ..
                },
            ) => *most += 1,
            // The answer does not show the excess concurrency.
            (
                Mutation::ExceedsLimit,
                Output::ToClient {
                    command: ToClient::Welcome(Welcome { requests_max, .. }), ..
                },
            ) => *requests_max -= 1,
            _ => {}
        }
        Some(output)
    }
}
