//! Mutations of the broker's outputs.

use majordomus_core::broker::{Event, Output, best_offer};
use majordomus_core::{ByteStr, Frames, Notice, Outcome, PeerId, Reply, ToClient, ToWorker};

use super::{Mutant, Mutation};

impl Mutant {
    /// Changes an output or its receiver.
    pub(super) fn falsify_output(&mut self, after_final: bool, output: Output) {
        self.remember(&output);
        if let Output::ToWorker { peer, command: command @ ToWorker::Request(request) } = &output
            && let Some(peer) = self.other_for(*peer, &request.service)
        {
            let command = command.clone();
            return self.outputs.push(Output::ToWorker { peer, command });
        }
        match (self.mutation, &output) {
            (Mutation::NeverResumes, Output::Resume { .. }) => return,
            (
                Mutation::ForgetsWorkerInDirectory,
                Output::ToClient { peer, command: ToClient::Final(reply) },
            ) if *reply.service == *b"$dir" => {
                if let Some(body) = shorter(&reply.body) {
                    let command = ToClient::Final(Reply { body, ..reply.clone() });
                    return self.outputs.push(Output::ToClient { peer: *peer, command });
                }
            }
            (Mutation::LosesFollowers, Output::Event(Event::Dispatched { request, .. }))
                if self.left_alone.contains(request) =>
            {
                self.unsend();
                return;
            }
            (
                Mutation::LosesRequestOfDeadWorker,
                Output::Event(Event::Dispatched { attempt: 2.., .. }),
            ) => {
                self.unsend();
                return;
            }
            (
                Mutation::EndsInSilence,
                Output::ToClient { command: ToClient::Failed(Outcome::WorkerLost, _), .. },
            ) => {
                return;
            }
            (Mutation::RepliesTwice, Output::ToClient { command: ToClient::Final(_), .. }) => {
                self.outputs.push(output.clone());
            }
            (
                Mutation::ConfusesClients,
                Output::ToClient { peer, command: command @ ToClient::Final(reply) },
            ) if !reply.service.starts_with(b"mmi.") => {
                if let Some(other) = self.clients.iter().find(|other| *other != peer) {
                    let (peer, command) = (*other, command.clone());
                    self.outputs.push(Output::ToClient { peer, command });
                    return;
                }
            }
            (Mutation::ForgetsQueueAfterFinal, Output::Event(Event::Dispatched { .. }))
                if after_final =>
            {
                self.unsend();
                return;
            }
            (
                Mutation::StarvesHeartbeats,
                Output::ToWorker { command: ToWorker::Heartbeat, .. },
            ) => return,
            (
                Mutation::DispatchesTwice,
                Output::ToWorker { peer, command: ToWorker::Request(request) },
            ) => {
                let fits = |(other, service): &&(PeerId, ByteStr)| {
                    other != peer && *service == request.service
                };
                let other = self.offers.iter().find(fits).map(|(other, _)| *other);
                self.outputs.push(output.clone());
                if let Some(other) = other {
                    let mut request = request.clone();
                    request.address = ByteStr::decimal(self.count);
                    let command = ToWorker::Request(request);
                    self.outputs.push(Output::ToWorker { peer: other, command });
                }
                return;
            }
            (
                Mutation::ForgetsLastError,
                Output::ToClient { peer, command: ToClient::Failed(Outcome::Rejected, reply) },
            ) => {
                let reply = Reply { body: Frames::empty(), ..reply.clone() };
                let command = ToClient::Failed(Outcome::Rejected, reply);
                self.outputs.push(Output::ToClient { peer: *peer, command });
                return;
            }
            (
                Mutation::LosesOptions,
                Output::ToWorker { peer, command: ToWorker::Request(request) },
            ) => {
                let mut request = request.clone();
                request.options.clear();
                let command = ToWorker::Request(request);
                self.outputs.push(Output::ToWorker { peer: *peer, command });
                return;
            }
            (Mutation::ForgetsToPause, Output::Pause { .. }) if self.asked => {
                return;
            }
            _ => {}
        }
        self.outputs.push(output);
    }

    /// Removes the last output and the events about it.
    fn unsend(&mut self) {
        let said = |output: &Output| {
            let Output::ToClient { command: ToClient::Notice { notice, .. }, .. } = output else {
                return false;
            };
            matches!(notice, Notice::Dispatched | Notice::Redelivered)
        };
        while self.outputs.pop_if(|output| said(output)).is_some() {}
        self.outputs.pop();
    }

    /// Returns the wrong worker for this worker's request, or `None` if the mutation has none.
    fn other_for(&self, peer: PeerId, service: &ByteStr) -> Option<PeerId> {
        let name = service.as_bytes();
        let matches = |offered: &[u8]| match offered.split_last() {
            Some((b'*', beginning)) => name.starts_with(beginning),
            _ => false,
        };
        let others = || self.offers.iter().filter(|(other, _)| *other != peer);
        let found = match self.mutation {
            Mutation::IgnoresExactness => {
                let exactly =
                    |(at, offered): &&(PeerId, ByteStr)| *at == peer && offered == service;
                self.offers.iter().find(exactly)?;
                others().find(|(_, offered)| matches(offered))
            }
            Mutation::KeepsWildcardThatLeft => others().find(|(other, offered)| {
                let left = self.left.iter().filter(|(left, _)| left == other);
                let mut left = left.filter(|(_, left)| left != offered);
                left.any(|(_, left)| matches(left)) && !matches(offered) && offered != service
            }),
            Mutation::PrefersLowerVersion => {
                let version = |offered: &ByteStr| {
                    let text = offered.to_string();
                    let (base, version) = text.split_once('@')?;
                    let numbers = version.split('.').map(str::parse::<u64>);
                    Some((base.to_string(), numbers.collect::<Result<Vec<_>, _>>().ok()?))
                };
                let (_, offered) = self.offers.iter().find(|(at, _)| *at == peer)?;
                let (base, higher) = version(offered).filter(|_| offered != service)?;
                others().find(|(other, offered)| {
                    let lower = version(offered).is_some_and(|lower| {
                        lower < (base.clone(), higher.clone()) && lower.0 == base
                    });
                    lower && !self.busy.contains_key(other)
                })
            }
            Mutation::GivesWithdrawn => {
                let offers = |at: &PeerId| {
                    let theirs = self.offers.iter().filter(|(other, _)| other == at);
                    let names: Vec<&[u8]> = theirs.map(|(_, name)| name.as_bytes()).collect();
                    best_offer(&names, service.as_bytes()).is_some()
                };
                let mut withdrawn = self.withdrawn.iter().filter(|(_, name)| name == service);
                withdrawn.find(|(other, _)| *other != peer && !offers(other))
            }
            Mutation::GivesToWhoLeft => {
                let connected = |peer: &PeerId| self.identities.iter().any(|(at, _)| at == peer);
                let left = self.left.iter().filter(|(peer, _)| !self.registered.contains(peer));
                left.rev().find(|(peer, _)| connected(peer) && !self.greeted.contains_key(peer))
            }
            _ => None,
        };
        found.map(|(other, _)| *other)
    }
}

/// Returns a directory without its first worker.
fn shorter(body: &Frames) -> Option<Frames> {
    let text = String::from_utf8(body.get(0)?.to_vec()).ok()?;
    let start = text.find("[\"")? + 1;
    let end = start + 1 + text[start + 1..].find('"')? + 1;
    let rest = text[end..].strip_prefix(',').unwrap_or(&text[end..]);
    let text = format!("{}{rest}", &text[..start]);
    Some(Frames::from_slices(&[text]).in_form(body.form(), 0))
}
