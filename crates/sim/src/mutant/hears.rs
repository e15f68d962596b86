//! Mutations of the broker's inputs.

use majordomus_core::broker::{Input, Output, Sign};
use majordomus_core::{
    ByteStr, ClientCapabilities, Concurrency, FromClient, FromWorker, Outcome, PeerId, Redelivery,
    Reply, Request, Role, Status, Time, ToClient, ToWorker, WorkerCapabilities, WorkerReply,
};

use super::{Mutant, Mutation, configure, shared};
use crate::checker::uid_of;
use crate::workload::TOLD_ALL;

impl Mutant {
    /// Changes an input. Returns false to drop it.
    pub(super) fn falsify_input(&mut self, now: Time, input: &mut Input) -> bool {
        self.count += 1;
        if let Input::FromClient { peer, command } = input
            && self.overlooks(command)
            && !self.is_unheard(*peer)
        {
            // The peer sent a message, but the broker ignores its content.
            *input = Input::Alive { peer: *peer, sign: Sign::Bytes };
        }
        if let Input::FromClient { command: FromClient::Request(request), .. } = input {
            self.mislay(request);
        }
        match (self.mutation, input) {
            (_, Input::Configured(config)) => {
                configure(self.mutation, config);
                self.shared = shared(config);
            }
            (
                Mutation::IgnoresConcurrency | Mutation::IgnoresRaisedConcurrency,
                Input::FromWorker { peer, command: FromWorker::Heartbeat(status) },
            ) => self.overhear(*peer, status),
            (Mutation::PunishesReadyAgain, Input::Connected { profile, .. }) => {
                if let Role::Worker(can) = profile.role {
                    profile.role = Role::Worker(WorkerCapabilities { ready_again: false, ..can });
                }
            }
            (Mutation::TellsWhoTimedOut, Input::Connected { profile, .. }) => {
                if let Role::Client(can) = profile.role
                    && can.told.contains(Outcome::NoSuchService)
                {
                    profile.role = Role::Client(ClientCapabilities { told: TOLD_ALL, ..can });
                }
            }
            (
                Mutation::TakesReplyOfStranger | Mutation::PassesLateReply,
                Input::FromWorker { peer, command: FromWorker::Final(said) },
            ) => self.pass_on(*peer, said),
            (
                Mutation::OverlooksSecondReady,
                input @ Input::FromWorker { command: FromWorker::Ready { .. }, .. },
            ) => {
                if let Input::FromWorker { peer, .. } = *input
                    && self.registered.contains(&peer)
                {
                    *input = Input::Alive { peer, sign: Sign::Bytes };
                }
            }
            (
                Mutation::OverlooksForgedReply,
                Input::FromWorker { command: FromWorker::Final(said), .. },
            ) => return self.sent.contains_key(&said.address),
            (Mutation::NeverFiresTimer, Input::Tick) => return false,
            (
                Mutation::KeepsTooLong,
                Input::FromWorker { command: FromWorker::Final(said), .. },
            ) => said.keep = said.keep.map(|keep| keep * 1000),
            (Mutation::KeepsSilentWorker, Input::Tick) => {
                for peer in self.undisputed() {
                    self.tell_broker(now, &Input::Alive { peer, sign: Sign::Bytes });
                }
            }
            (Mutation::KeepsGoneWorker, Input::Disconnected { peer }) => {
                return self.clients.contains(peer) || !self.busy.contains_key(peer);
            }
            (Mutation::LosesBusyWorker, Input::Tick) => {
                let busy = |peer: &PeerId| self.busy.contains_key(peer);
                if let Some(peer) = self.undisputed().into_iter().find(busy) {
                    let command = FromWorker::Disconnect;
                    self.tell_broker(now, &Input::FromWorker { peer, command });
                }
            }
            (Mutation::RedeliversWithoutLeave, Input::Connected { profile, .. }) => {
                if let Role::Client(can) = profile.role {
                    let redelivery = Redelivery::Always;
                    profile.role = Role::Client(ClientCapabilities { redelivery, ..can });
                }
            }
            (Mutation::OverloadsWorker, Input::Connected { profile, .. }) => {
                if let Role::Worker(can) = profile.role {
                    let concurrency = match can.concurrency {
                        Concurrency::AtMost(most @ 2..) => Concurrency::AtMost(most + 1),
                        other => other,
                    };
                    profile.role = Role::Worker(WorkerCapabilities { concurrency, ..can });
                }
            }
            (
                Mutation::TakesNameForItsOwn,
                Input::FromClient { command: FromClient::Request(request), .. },
            ) if request.service.starts_with(b"m") => {
                request.service = ByteStr::from("mmi.service");
            }
            _ => {}
        }
        true
    }

    /// Drops an attribute of a client's request.
    fn mislay(&self, request: &mut Request) {
        let offers = |name: &ByteStr| {
            let named = self.identities.iter().find(|(_, identity)| identity == name);
            let ours = |peer: &PeerId| peer.to_string() == name.to_string();
            let known = self.identities.iter().map(|(peer, _)| *peer).find(ours);
            let peer = known.or(named.map(|(peer, _)| *peer))?;
            self.offers.iter().find(|(worker, _)| *worker == peer).map(|(_, offered)| offered)
        };
        let wants = !request.target.is_empty();
        match self.mutation {
            Mutation::IgnoresTarget => request.target = ByteStr::empty(),
            Mutation::OverlooksServiceOfTarget
                if wants && offers(&request.target).is_some_and(|at| *at != request.service) =>
            {
                request.target = ByteStr::empty();
            }
            Mutation::WaitsForUnknownTarget if wants && offers(&request.target).is_none() => {
                request.target = ByteStr::empty();
            }
            Mutation::GivesOldForFresh if !self.shared.contains(&request.service) => {
                request.fresh = false;
            }
            _ => {}
        }
    }

    /// Returns the workers without an identity, which cannot be disputed.
    fn undisputed(&self) -> Vec<PeerId> {
        let named =
            |peer: &PeerId| self.identities.iter().any(|(at, name)| at == peer && !name.is_empty());
        self.registered.iter().copied().filter(|peer| !named(peer)).collect()
    }

    /// Returns true if the mutant ignores this command.
    fn overlooks(&self, command: &FromClient) -> bool {
        match command {
            FromClient::RequestKeepAlive { .. } => self.mutation == Mutation::LosesStillWanted,
            // If two connections dispute the worker's identity, a keep-alive also affects the
            // dispute.
            FromClient::WorkerKeepAlive { worker } => {
                let called = self.identities.iter().filter(|(_, identity)| identity == worker);
                self.mutation == Mutation::IgnoresVouch && called.count() < 2
            }
            _ => false,
        }
    }

    /// Drops a worker's new concurrency.
    fn overhear(&mut self, peer: PeerId, status: &mut Status) {
        let Some(concurrency) = status.concurrency else { return };
        let before = self.takes.insert(peer, concurrency).unwrap_or(Concurrency::ONE);
        let slots = |takes| match takes {
            Concurrency::AtMost(most) => most,
            Concurrency::Unlimited => u32::MAX,
        };
        if (slots(concurrency) < slots(before)) == (self.mutation == Mutation::IgnoresConcurrency) {
            status.concurrency = None;
            // The mutant still confirms the new concurrency.
            self.owed = self.greeted.contains_key(&peer).then_some((peer, concurrency));
        }
    }

    /// Returns a request to the worker that rejected it, before anything else happens.
    pub(super) fn bounce(&mut self, peer: PeerId, address: &ByteStr) {
        if self.mutation == Mutation::BouncesRejected
            && let Some(request) = self.given.get(address)
        {
            let command = ToWorker::Request(request.clone());
            self.outputs.push(Output::ToWorker { peer, command });
        }
    }

    /// Dispatches a request whose deadline has passed.
    pub(super) fn dispatch_expired(&mut self, now: Time) {
        let over = self.undelivered.iter().position(|(deadline, _)| *deadline < now);
        let Some((_, request)) = over.map(|at| self.undelivered.swap_remove(at)) else { return };
        let free = self.offers.iter().find(|(_, service)| *service == request.service);
        if let Some((peer, _)) = free {
            let command = ToWorker::Request(request);
            self.outputs.push(Output::ToWorker { peer: *peer, command });
        }
    }

    /// Forwards a reply that should be dropped.
    fn pass_on(&mut self, from: PeerId, said: &WorkerReply) {
        let Some((worker, reply, over)) = self.sent.get(&said.address) else {
            // The sender is unregistered or invents tokens.
            if self.mutation == Mutation::TakesReplyOfStranger
                && let Some(peer) = self.clients.first().copied()
            {
                let reply = Reply { id: said.id.clone(), ..Reply::new("echo", said.body.clone()) };
                self.outputs.push(Output::ToClient { peer, command: ToClient::Final(reply) });
            }
            return;
        };
        if self.mutation == Mutation::PassesLateReply && *worker == from && *over {
            let asker = uid_of(&reply.id, &reply.options, &reply.body)
                .and_then(|uid| self.senders.get(&uid));
            let asker = asker.filter(|peer| self.clients.contains(peer));
            if let Some(peer) = asker.copied() {
                let (options, body) = (said.options.clone(), said.body.clone());
                let reply = Reply { options, body, ..reply.clone() };
                self.outputs.push(Output::ToClient { peer, command: ToClient::Final(reply) });
            }
        }
        if let Some(entry) = self.sent.get_mut(&said.address) {
            entry.2 = true;
        }
    }
}
