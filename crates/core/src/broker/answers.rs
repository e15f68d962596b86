//! Replies and outcome reports to clients, and checks of what a peer can receive.

use super::statistics::End;
use super::{Broker, Refusal, Turn, directory, mmi};
use crate::{
    CODE_UNSAID, FramesView, Notice, Outcome, PeerId, ReplyView, RequestView, ToClientView,
};

/// The status code for a request whose id is in use by another request in progress.
const CODE_ID_IN_USE: u16 = 400;

impl Broker {
    /// Returns true if the client's dialect can report an outcome.
    #[inline]
    pub(super) fn reports(&self, client: PeerId, outcome: Outcome) -> bool {
        self.tables.peers.client(client).is_some_and(|client| client.can.told.contains(outcome))
    }

    /// Ends a request that is not admitted.
    pub(super) fn refuse(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
        end: End,
    ) {
        self.count_unadmitted(request.service, end);
        let outcome = end.outcome();
        if self.reports(peer, outcome) {
            let code = match end {
                End::Refused(Refusal::IdInUse) => CODE_ID_IN_USE,
                _ => CODE_UNSAID,
            };
            let reply = ReplyView {
                id: request.id,
                asked: request.body.note(),
                code,
                ..ReplyView::new(request.service, FramesView::EMPTY)
            };
            turn.out.to_client(peer, &ToClientView::Failed(outcome, reply));
        }
    }

    /// Answers a request without a worker: the request is received and ended at once.
    pub(super) fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
        options: &[u8],
        body: FramesView<'_>,
    ) {
        self.count_unadmitted(request.service, End::As(Outcome::Replied));
        let reply = ReplyView {
            id: request.id,
            asked: request.body.note(),
            options,
            ..ReplyView::new(request.service, body)
        };
        turn.out.to_client(peer, &ToClientView::Final(reply));
    }

    /// Counts a request that is received and ended at once.
    pub(super) fn count_unadmitted(&mut self, service: &[u8], end: End) {
        self.counters.receive();
        self.counters.end(end);
        match self.is_built_in(service) {
            true => self.tables.services.count_own(end),
            false => self.tables.services.count_named(service, end),
        }
    }

    /// Returns true if the broker itself answers requests for this name.
    fn is_built_in(&self, service: &[u8]) -> bool {
        service.starts_with(mmi::PREFIX)
            || *service == *directory::NAME && !self.is_directory_served()
    }

    /// Returns true if a worker serves the directory instead of the broker.
    pub(super) fn is_directory_served(&self) -> bool {
        let services = &self.tables.services;
        services.find(directory::NAME).is_some_and(|own| services[own].workers() > 0)
    }

    /// Creates a reply to the client of a request.
    #[inline(always)]
    pub(super) fn reply_view<'a>(
        &'a self,
        request: u32,
        code: u16,
        options: &'a [u8],
        body: FramesView<'a>,
    ) -> ReplyView<'a> {
        let record = &self.tables.requests[request];
        let service = &self.tables.services[record.service].name;
        ReplyView { service, id: record.id(), asked: record.asked, code, options, body }
    }

    /// Reports a request's outcome to its client, if the client's dialect can report it.
    pub(super) fn tell_failure(
        &self,
        turn: &mut Turn<'_>,
        request: u32,
        outcome: Outcome,
        code: u16,
        (options, body): (&[u8], FramesView<'_>),
    ) {
        let client = self.tables.requests[request].client;
        if self.reports(client, outcome) {
            let reply = self.reply_view(request, code, options, body);
            turn.out.to_client(client, &ToClientView::Failed(outcome, reply));
        }
    }

    /// Returns true if a peer can receive a body, translated if necessary, with these options.
    /// Returns true also for a disconnected peer.
    #[inline(always)]
    pub(super) fn can_be_read(&self, body: FramesView<'_>, options: &[u8], reader: PeerId) -> bool {
        match self.tables.peers.get(reader) {
            Some(peer) => peer.reader().takes(body, options, &self.config.limits),
            None => true,
        }
    }

    /// Returns options and body as far as this reader can receive them: both, the options alone, or
    /// neither.
    pub(super) fn readable<'a>(
        &self,
        options: &'a [u8],
        body: FramesView<'a>,
        reader: PeerId,
    ) -> (&'a [u8], FramesView<'a>) {
        if self.can_be_read(body, options, reader) {
            return (options, body);
        }
        let body = FramesView::EMPTY.in_form(body.form(), 0);
        let fits = self.can_be_read(body, options, reader);
        (if fits { options } else { &[] }, body)
    }

    /// Reports a request's progress to its client, and to the clients of coalesced requests.
    #[inline]
    pub(super) fn notify(&mut self, turn: &mut Turn<'_>, request: u32, notice: Notice) {
        self.notify_one(turn, request, notice);
        if self.tables.first_coalesced(request).is_some() {
            for coalesced in self.tables.coalesced(request) {
                self.notify_one(turn, coalesced, notice);
            }
        }
    }

    #[inline]
    fn notify_one(&self, turn: &mut Turn<'_>, request: u32, notice: Notice) {
        let record = &self.tables.requests[request];
        if record.notices {
            turn.out.to_client(record.client, &ToClientView::Notice { id: record.id(), notice });
        }
    }
}
