//! Request coalescing: if a service enables it, a request that is equal to one in progress is not
//! dispatched. It receives every part of the other request's reply.
//!
//! The request that is queued or in flight is the *primary*; later equal requests are *coalesced*
//! with it. If the primary ends without its worker's reply, the coalesced requests wait on their
//! own, and the first of them becomes the primary.

use super::agenda::Released;
use super::tables::{Place, Record};
use super::{Broker, Turn};
use crate::{
    CODE_UNSAID, FramesView, Outcome, PeerId, Priority, Time, ToClientView, WorkerReplyView,
};

impl Broker {
    /// Returns the primary that a client's request may join.
    pub(super) fn primary_for(
        &self,
        client: PeerId,
        service: u32,
        priority: Priority,
        body: FramesView<'_>,
    ) -> Option<u32> {
        let peers = &self.tables.peers;
        let in_flight = |record: &Record| record.place().is_in_flight();
        // A client that accepts partial replies receives different messages from one that does not.
        let takes_parts = |id| peers.client(id).map(|client| client.can.partial_replies);
        // The worker is paused if the primary's client does not read.
        let is_stuck =
            |record: &Record| in_flight(record) && peers.is_above_high_water(record.client);
        // A request must not wait for a primary that is dispatched later than itself.
        let is_later = |record: &Record| record.priority < priority && !in_flight(record);
        let fits = |record: &Record| {
            takes_parts(client) == takes_parts(record.client)
                && !is_stuck(record)
                && !is_later(record)
        };
        self.tables.find_primary(service, body, fits)
    }

    /// Coalesces a detached request with a primary.
    pub(super) fn coalesce(&mut self, turn: &mut Turn<'_>, request: u32, primary: u32) {
        let in_flight = self.tables.requests[primary].place().is_in_flight();
        if in_flight && self.suspend(turn, request) {
            return;
        }
        self.counters.shared += 1;
        self.tables.relocate(request, Place::Coalesced(primary));
        if in_flight {
            self.end_wait(turn.now, request, self.tables.requests[primary].busy_until);
        }
        if self.tables.requests[request].deadline <= turn.now {
            self.expire(turn, request);
        } else {
            self.set_request_timer(turn.now, request);
        }
    }

    /// Ends the wait of the requests that are coalesced with a dispatched primary.
    #[inline]
    pub(super) fn coalesced_start(&mut self, turn: &mut Turn<'_>, primary: u32, busy_until: Time) {
        if self.tables.first_coalesced(primary).is_none() {
            return;
        }
        for request in self.tables.coalesced(primary) {
            if !self.suspend(turn, request) {
                self.end_wait(turn.now, request, busy_until);
            }
        }
    }

    /// Restarts the wait of the requests that are coalesced with a requeued primary.
    pub(super) fn coalesced_wait(&mut self, now: Time, primary: u32) {
        for request in self.tables.coalesced(primary) {
            self.restart_wait(now, request);
            self.set_request_timer(now, request);
        }
    }

    /// Restarts the timeouts of coalesced requests after a part of the reply was collected.
    pub(super) fn coalesced_hear(&mut self, now: Time, primary: u32) {
        for request in self.tables.coalesced(primary) {
            self.restart_timeout(now, request);
        }
    }

    /// Relays a part of the reply to coalesced requests. No further request may join, since it
    /// would miss this part.
    pub(super) fn share_part(
        &mut self,
        turn: &mut Turn<'_>,
        primary: u32,
        said: &WorkerReplyView<'_>,
    ) {
        self.tables.close_primary(primary);
        if self.tables.first_coalesced(primary).is_none() {
            return;
        }
        for request in self.tables.coalesced(primary) {
            self.restart_timeout(turn.now, request);
            let client = self.tables.requests[request].client;
            if !self.can_be_read(said.body, said.options, client) {
                self.end(turn, request, Outcome::Untranslatable);
                continue;
            }
            self.tables.requests.get_mut(request).part_sent = true;
            self.counters.partials += 1;
            let reply = self.reply_view(request, CODE_UNSAID, said.options, said.body);
            turn.out.to_client(client, &ToClientView::Partial(reply));
        }
    }

    /// Ends all coalesced requests with the outcome of their primary, because it applies to them
    /// too.
    pub(super) fn end_all_coalesced(
        &mut self,
        turn: &mut Turn<'_>,
        primary: u32,
        outcome: Outcome,
    ) {
        while let Some(request) = self.tables.detach_first_coalesced(primary) {
            self.end_quietly(turn, request, outcome);
        }
    }

    /// Ends the coalesced requests whose clients cannot receive a part of the reply.
    pub(super) fn end_unreadable_coalesced(
        &mut self,
        turn: &mut Turn<'_>,
        primary: u32,
        said: &WorkerReplyView<'_>,
    ) {
        for request in self.tables.coalesced(primary) {
            if !self.can_be_read(said.body, said.options, self.tables.requests[request].client) {
                self.end(turn, request, Outcome::Untranslatable);
            }
        }
    }

    /// Ends all coalesced requests with the reply to their primary.
    #[inline]
    pub(super) fn share_end(
        &mut self,
        turn: &mut Turn<'_>,
        primary: u32,
        outcome: Outcome,
        said: &WorkerReplyView<'_>,
    ) {
        while let Some(request) = self.tables.detach_first_coalesced(primary) {
            self.end_answered(turn, request, outcome, said);
        }
    }

    /// Lets a request whose primary has ended wait on its own: it joins another primary or becomes
    /// one.
    pub(super) fn resume_released(&mut self, turn: &mut Turn<'_>, released: Released) {
        let Some(request) = self.tables.requests.find(released.request) else { return };
        let record = &self.tables.requests[request];
        if record.place() != Place::Detached {
            return;
        }
        if record.part_sent {
            // The client must not receive parts of a second reply after parts of the first.
            return self.end_quietly(turn, request, Outcome::WorkerLost);
        }
        if released.was_in_flight {
            self.restart_wait(turn.now, request);
        }
        let record = &self.tables.requests[request];
        let (client, service, priority) = (record.client, record.service, record.priority);
        let (_, body) = record.content();
        if let Some(primary) = self.primary_for(client, service, priority, body) {
            return self.coalesce(turn, request, primary);
        }
        let body = body.to_frames();
        self.tables.make_primary(request, body.view());
        self.requeue(turn, request);
        self.dispatch_soon(service);
    }
}
