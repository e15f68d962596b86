//! Mutations of request attributes: ids, priority, credit, notices and error codes.

use majordomus_core::broker::{Event, Input, Output, Sign};
use majordomus_core::{
    CODE_UNSAID, CorrelationId, FromClient, FromWorker, Notice, PeerId, Priority, Request,
    RequestId, Timeout, ToClient, ToWorker,
};

use super::{Mutant, Mutation};
use crate::checker::{Uid, uid_of};

/// An id that no client uses.
const ANOTHER: &str = "another";

/// The attributes of a client's request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    priority: Priority,
    credit: u32,
    timeout: Timeout,
}

/// The ids in progress and the attributes of received requests.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_uid: std::collections::HashMap<Uid, Wish>,
    ids: std::collections::HashMap<RequestId, (PeerId, CorrelationId)>,
    heard: Option<(PeerId, CorrelationId)>,
}

impl Mutant {
    /// Records the attributes of a request and changes them.
    pub(super) fn mishear_progress(&mut self, input: &mut Input) {
        self.wishes.heard = None;
        match input {
            Input::FromClient { peer, command: FromClient::Request(request) } => {
                self.wishes.heard = Some((*peer, request.id.clone()));
                self.misread(*peer, request);
            }
            Input::FromWorker { peer, command: FromWorker::AtWork { address } }
                if self.mutation == Mutation::OverlooksForgedWork
                    && !self.is_unheard(*peer)
                    && !self.sent.contains_key(address) =>
            {
                *input = Input::Alive { peer: *peer, sign: Sign::Bytes };
            }
            Input::FromClient { peer, command: FromClient::More { credit: 0, .. } }
                if self.mutation == Mutation::IgnoresMoreOfNothing && !self.is_unheard(*peer) =>
            {
                *input = Input::Alive { peer: *peer, sign: Sign::Bytes };
            }
            _ => {}
        }
    }

    fn misread(&mut self, peer: PeerId, request: &mut Request) {
        if let Some(uid) = uid_of(&request.id, &request.options, &request.body) {
            let Request { priority, credit, timeout, .. } = *request;
            self.wishes.by_uid.insert(uid, Wish { priority, credit, timeout });
        }
        match self.mutation {
            Mutation::IgnoresPriority if !self.shared.contains(&request.service) => {
                request.priority = Priority::ORDINARY;
            }
            Mutation::NoticesUnasked => request.notices = true,
            Mutation::TakesIdTwice if self.greeted.contains_key(&peer) => {
                let same =
                    |(other, id): &(PeerId, CorrelationId)| *other == peer && *id == request.id;
                if self.wishes.ids.values().any(same) {
                    request.id = CorrelationId::from(ANOTHER);
                }
            }
            _ => {}
        }
    }

    pub(super) fn remember_progress(&mut self, output: &Output) {
        match output {
            Output::Event(Event::Received { request, .. }) => {
                self.wishes.ids.extend(self.wishes.heard.take().map(|heard| (*request, heard)));
            }
            Output::Event(Event::Ended { request, .. }) => {
                self.wishes.ids.remove(request);
            }
            _ => {}
        }
    }

    /// Changes messages about requests. Returns `None` to drop a message.
    pub(super) fn misspeak_progress(&mut self, mut output: Output) -> Option<Output> {
        match (self.mutation, &mut output) {
            (_, Output::ToWorker { command: ToWorker::Request(sent), .. }) => {
                let uid = uid_of(&sent.id, &sent.options, &sent.body);
                let wish = uid.and_then(|uid| self.wishes.by_uid.get(&uid)).copied();
                match (self.mutation, wish) {
                    (Mutation::IgnoresPriority, Some(wish)) => sent.priority = wish.priority,
                    (Mutation::ForgetsAttempts, _) => sent.attempt = 1,
                    (Mutation::ForgetsCredit, Some(wish)) => {
                        sent.credit = sent.credit.min(wish.credit);
                    }
                    (
                        Mutation::TellsWholeTimeout,
                        Some(Wish { timeout: Timeout::After(span), .. }),
                    ) if !span.is_zero() => sent.deadline = Some(span),
                    _ => {}
                }
            }
            (Mutation::LosesMore, Output::ToWorker { command: ToWorker::More { .. }, .. })
            | (
                Mutation::LosesNotices,
                Output::ToClient {
                    command: ToClient::Notice { notice: Notice::AtWork, .. }, ..
                },
            ) => return None,
            (Mutation::RepeatsMore, Output::ToWorker { command: ToWorker::More { .. }, .. }) => {
                self.outputs.push(output.clone());
            }
            // The client did not choose this id: the mutant replaced it.
            (
                Mutation::TakesIdTwice,
                Output::ToClient { command: ToClient::Failed(_, reply), .. },
            ) if reply.id == CorrelationId::from(ANOTHER) => {
                if let Some((_, id)) = &self.wishes.heard {
                    (reply.id, reply.code) = (id.clone(), 400);
                }
            }
            (Mutation::LosesCode, Output::ToClient { command: ToClient::Failed(_, reply), .. }) => {
                reply.code = CODE_UNSAID
            }
            _ => {}
        }
        Some(output)
    }
}
