//! Ends of requests. Each request gets exactly one outcome, always in this file.

use super::agenda::Released;
use super::statistics::End;
use super::tables::{Place, Record};
use super::{Broker, Event, Turn};
use crate::{
    CODE_UNSAID, FramesView, Outcome, Timeout, ToClientView, ToWorkerView, Token, WorkerReplyView,
};

impl Broker {
    /// Ends a request for another reason than its worker's reply. A worker whose dialect can cancel
    /// receives a cancel message. The request occupies the worker's slot until the worker answers.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>, request: u32, outcome: Outcome) {
        if let Place::InFlight(worker) = self.tables.requests[request].place()
            && self.tables.peers.worker(worker).is_some_and(|worker| worker.can.cancel)
        {
            let token = self.token(request);
            turn.out.to_worker(worker, &ToWorkerView::Cancel { token, outcome });
        }
        self.end_quietly(turn, request, outcome);
    }

    /// Ends a request like [`end`](Broker::end), but does not cancel it at the worker.
    pub(super) fn end_quietly(&mut self, turn: &mut Turn<'_>, request: u32, outcome: Outcome) {
        match self.tables.requests[request].place() {
            Place::InFlight(worker) => {
                self.tell_end(turn, request, outcome);
                self.conclude(turn, request, outcome);
                self.tables.requests.release(request);
                self.tables.relocate(request, Place::Orphaned(worker));
                let record = self.tables.requests.get_mut(request);
                record.rest.rejection = None;
                record.rest.collected = None;
                self.set_request_timer(turn.now, request);
            }
            Place::Orphaned(_) => debug_assert!(false, "a request ends once"),
            _ => self.end_waiting(turn, request, outcome, true),
        }
    }

    /// Ends a waiting request for which no worker became available in time.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, request: u32) {
        let record = &self.tables.requests[request];
        let served = self.tables.services[record.service].served_after(record.waiting_since);
        let timeout = record.rest.timeout;
        let outcome = match record.rest.rejection {
            Some(_) => {
                let own = matches!(timeout, Timeout::After(span) if !span.is_zero());
                match !own && self.tables.all_rejected(request) {
                    true => Outcome::Rejected,
                    false => Outcome::Expired,
                }
            }
            None if served || record.rest.target.is_some() => Outcome::Expired,
            None => Outcome::NoSuchService,
        };
        // A client with its own timeout has forgotten the request by now.
        let timed_out = matches!(timeout, Timeout::After(_)) && record.deadline <= turn.now;
        let told = !timed_out || self.reports(record.client, Outcome::Expired);
        self.end_waiting(turn, request, outcome, told);
    }

    /// Ends a request that is not at a worker.
    fn end_waiting(&mut self, turn: &mut Turn<'_>, request: u32, outcome: Outcome, told: bool) {
        let place = self.tables.requests[request].place();
        let succeeded = place == Place::Queued && self.tables.succeed(request);
        if !succeeded && place != Place::Detached {
            self.tables.relocate(request, Place::Detached);
        }
        if told {
            self.tell_end(turn, request, outcome);
        }
        self.conclude(turn, request, outcome);
        self.forget(request);
    }

    /// Ends a request with its worker's reply and frees the worker's slot, or ends a detached
    /// request with the reply to its primary.
    #[inline(always)]
    pub(super) fn end_answered(
        &mut self,
        turn: &mut Turn<'_>,
        request: u32,
        outcome: Outcome,
        said: &WorkerReplyView<'_>,
    ) {
        let outcome = self.tell_reply(turn, request, outcome, said);
        self.conclude(turn, request, outcome);
        match self.tables.requests[request].place() {
            Place::Detached => self.forget(request),
            _ => self.free_slot(turn, request),
        }
    }

    /// Frees the worker slot of a request that has already ended, and forgets the request.
    #[inline(always)]
    pub(super) fn free_slot(&mut self, turn: &mut Turn<'_>, request: u32) {
        let Some(worker) = self.tables.requests[request].place().worker() else { return };
        self.tables.free_slot(turn.now, request);
        self.forget(request);
        self.feed_soon(worker);
    }

    /// Sends a worker's reply to the client of a request. Returns the resulting outcome.
    #[inline(always)]
    fn tell_reply(
        &self,
        turn: &mut Turn<'_>,
        request: u32,
        outcome: Outcome,
        said: &WorkerReplyView<'_>,
    ) -> Outcome {
        let client = self.tables.requests[request].client;
        if outcome == Outcome::Replied && self.can_be_read(said.body, said.options, client) {
            let reply = self.reply_view(request, said.code, said.options, said.body);
            turn.out.to_client(client, &ToClientView::Final(reply));
            return outcome;
        }
        let outcome = match outcome {
            Outcome::Replied => Outcome::Untranslatable,
            outcome => outcome,
        };
        let content = self.readable(said.options, said.body, client);
        self.tell_failure(turn, request, outcome, said.code, content);
        outcome
    }

    /// Reports an outcome to a client, other than its worker's reply to this request.
    fn tell_end(&mut self, turn: &mut Turn<'_>, request: u32, outcome: Outcome) {
        let rejection = match outcome {
            Outcome::Rejected => self.tables.requests.get_mut(request).rest.rejection.take(),
            _ => None,
        };
        let (options, body) = match &rejection {
            Some(last) => (&last.options[..], last.error.view()),
            None => (&[][..], FramesView::EMPTY),
        };
        let content = self.readable(options, body, self.tables.requests[request].client);
        self.tell_failure(turn, request, outcome, CODE_UNSAID, content);
    }

    /// Counts a request's outcome and releases its limits. Schedules the work that was waiting for
    /// them.
    #[inline(always)]
    fn conclude(&mut self, turn: &mut Turn<'_>, request: u32, outcome: Outcome) {
        self.release_coalesced(request);
        let Record { client, service, .. } = self.tables.requests[request];
        self.admit_soon(Some(service), Some(client));
        self.tables.discharge(request, End::As(outcome));
        self.counters.end(End::As(outcome));
        if self.config.request_events {
            let received = self.tables.requests[request].rest.received;
            let request = self.tables.requests.id(request);
            turn.out.note(Event::Ended { request, outcome, received });
        }
    }

    /// Detaches the requests that are coalesced with a request that ends. They soon wait on their
    /// own.
    #[inline(always)]
    fn release_coalesced(&mut self, request: u32) {
        if self.tables.requests[request].rest.is_coalescing() {
            let was_in_flight = self.tables.requests[request].place().is_in_flight();
            self.detach_coalesced(request, was_in_flight);
        }
    }

    /// Detaches the requests that are coalesced with a request, because they can no longer wait for
    /// it.
    pub(super) fn detach_coalesced(&mut self, request: u32, was_in_flight: bool) {
        while let Some(coalesced) = self.tables.detach_first_coalesced(request) {
            let request = self.tables.requests.id(coalesced);
            self.agenda.release(Released { request, was_in_flight });
        }
    }

    /// Forgets a request that has ended and is in no list.
    #[inline(always)]
    pub(super) fn forget(&mut self, request: u32) {
        if let Some(timer) = self.tables.requests[request].timer {
            self.timers.cancel(timer);
        }
        self.tables.forget(request);
    }

    /// Returns the token of a request for its worker.
    pub(super) fn token(&self, request: u32) -> Token {
        let hash = self.tables.requests[request].token_hash;
        Token::from_bits([self.tables.requests.id(request).to_bits(), hash])
    }
}
