//! Workers' replies: partial and final replies, failures, and rejections.

use alloc::boxed::Box;

use super::config::{FRAME_BYTES, PART_BYTES};
use super::tables::{Answered, Place};
use super::{Broker, PeerViolation, Turn};
use crate::{
    CODE_UNSAID, Frames, FramesView, Notice, Outcome, PeerId, ReplyView, RequestId, ToClientView,
    Token, WorkerReplyView,
};

/// The kind of a worker's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Partial,
    Final,
    Failed,
    Rejected,
}

impl Broker {
    /// Handles a worker's reply.
    pub(super) fn reply(
        &mut self,
        turn: &mut Turn<'_>,
        worker: PeerId,
        part: Part,
        reply: &WorkerReplyView<'_>,
    ) {
        let Some(id) = self.request_of(worker, reply.address) else {
            return self.violate(turn, worker, PeerViolation::ForgedReply);
        };
        // The token was issued to this worker. The reply is late if the request has ended or is in
        // flight at another worker.
        let Some(request) = self.tables.requests.find(id) else {
            return self.further_reply(turn, worker, id, reply);
        };
        let record = &self.tables.requests[request];
        let has_id = !reply.id.is_none()
            || self.tables.peers.worker(worker).is_some_and(|worker| worker.can.request_ids);
        if has_id && reply.id != record.id() {
            return self.violate(turn, worker, PeerViolation::ForgedReply);
        }
        if record.place() == Place::InFlight(worker) && record.deadline <= turn.now {
            self.end(turn, request, Outcome::Expired);
        }
        match self.tables.requests[request].place() {
            Place::InFlight(at) if at == worker => match part {
                Part::Partial => self.partial_reply(turn, request, reply),
                Part::Rejected => self.reject(turn, request, worker, reply),
                Part::Final | Part::Failed => {
                    let failed = part == Part::Failed;
                    let outcome = if failed { Outcome::Failed } else { Outcome::Replied };
                    self.final_reply(turn, request, outcome, reply);
                }
            },
            Place::Orphaned(at) if at == worker => {
                self.counters.late_replies += 1;
                if part != Part::Partial {
                    self.free_slot(turn, request);
                }
            }
            _ => self.counters.late_replies += 1,
        }
    }

    /// Returns the request of an address, if that address was issued to this worker.
    #[inline]
    pub(super) fn request_of(&self, worker: PeerId, address: &[u8]) -> Option<RequestId> {
        let token = Token::read(address)?;
        let id = token.request();
        // The hash is stored with the record of a request that this worker has. It is computed
        // again only for late or forged addresses.
        if let Some(request) = self.tables.requests.find(id)
            && let record = &self.tables.requests[request]
            && record.place().worker() == Some(worker)
            && record.token_hash == token.hash()
        {
            return Some(id);
        }
        self.tokens.verify(worker, token)
    }

    /// Handles a worker's notice that it is still working on a request.
    pub(super) fn at_work(&mut self, turn: &mut Turn<'_>, worker: PeerId, address: &[u8]) {
        let Some(id) = self.request_of(worker, address) else {
            return self.violate(turn, worker, PeerViolation::ForgedReply);
        };
        if let Some(request) = self.tables.requests.find(id)
            && self.tables.requests[request].place() == Place::InFlight(worker)
        {
            self.notify(turn, request, Notice::AtWork);
        }
    }

    fn partial_reply(&mut self, turn: &mut Turn<'_>, request: u32, said: &WorkerReplyView<'_>) {
        self.restart_timeout(turn.now, request);
        let client = self.tables.requests[request].client;
        let Some(can) = self.tables.peers.client(client).map(|client| client.can) else { return };
        if !self.can_be_read(said.body, said.options, client) {
            self.end_unreadable_coalesced(turn, request, said);
            return self.end(turn, request, Outcome::Untranslatable);
        }
        if can.partial_replies {
            self.share_part(turn, request, said);
            self.tables.requests.get_mut(request).part_sent = true;
            self.counters.partials += 1;
            let reply = self.reply_view(request, CODE_UNSAID, said.options, said.body);
            return turn.out.to_client(client, &ToClientView::Partial(reply));
        }
        self.collect(turn, request, said.body);
    }

    /// Collects a part of the reply for a client that does not accept partial replies.
    fn collect(&mut self, turn: &mut Turn<'_>, request: u32, body: FramesView<'_>) {
        self.coalesced_hear(turn.now, request);
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        let record = self.tables.requests.get_mut(request);
        let charged = record.charged() + cost;
        let collected = record.rest.collected.get_or_insert_default();
        collected.bytes += cost;
        collected.parts.push(body.detached());
        let collected = collected.bytes;
        self.tables.recharge(request, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max
            || self.tables.requests.bytes() > limits.request_bytes_max
        {
            self.end_all_coalesced(turn, request, Outcome::Failed);
            self.end(turn, request, Outcome::Failed);
        }
    }

    /// Ends a request with its worker's final reply or failure. A final reply is joined with the
    /// collected parts.
    #[inline(always)]
    fn final_reply(
        &mut self,
        turn: &mut Turn<'_>,
        request: u32,
        outcome: Outcome,
        said: &WorkerReplyView<'_>,
    ) {
        let collected = match &self.tables.requests[request].rest.collected {
            Some(collected) if outcome == Outcome::Replied => collected,
            _ => return self.finish_reply(turn, request, outcome, said),
        };
        if collected.bytes + said.body.bytes() > self.config.limits.reply_bytes_max {
            let nothing = WorkerReplyView::new(&[], FramesView::EMPTY);
            return self.finish_reply(turn, request, Outcome::Failed, &nothing);
        }
        let joined = Frames::joined_with(&collected.parts, said.body);
        let whole = WorkerReplyView { body: joined.view(), ..*said };
        self.finish_reply(turn, request, outcome, &whole);
    }

    #[inline(always)]
    fn finish_reply(
        &mut self,
        turn: &mut Turn<'_>,
        request: u32,
        outcome: Outcome,
        said: &WorkerReplyView<'_>,
    ) {
        let record = &self.tables.requests[request];
        if record.rest.is_coalescing() {
            self.share_end(turn, request, outcome, said);
        }
        let record = &self.tables.requests[request];
        if let Some(time) = said.keep
            && record.rest.collected.is_none()
            && !record.part_sent
            && outcome == Outcome::Replied
        {
            self.cache_reply(turn.now, request, time, said);
        }
        self.expect_further_replies(request);
        self.end_answered(turn, request, outcome, said);
    }

    /// Stores the client of an answered request, if neither the worker's nor the client's dialect
    /// marks the end of a reply.
    #[inline(always)]
    fn expect_further_replies(&mut self, request: u32) {
        let record = &self.tables.requests[request];
        let Some(id) = record.place().worker() else { return };
        let peers = &self.tables.peers;
        if peers.worker(id).is_some_and(|worker| worker.can.afterwords)
            && peers.client(record.client).is_some_and(|client| client.can.afterwords)
        {
            let client = record.client;
            let head = self.reply_view(request, CODE_UNSAID, &[], FramesView::EMPTY).to_owned();
            let answered = Answered { request: self.tables.requests.id(request), client, head };
            if let Some(worker) = self.tables.peers.worker_mut(id) {
                worker.last_answered = Some(Box::new(answered));
            }
        }
    }

    /// Handles a reply to a request that has ended. The reply is late, unless neither the worker's
    /// nor the client's dialect marks the end of a reply.
    fn further_reply(
        &mut self,
        turn: &mut Turn<'_>,
        worker: PeerId,
        request: RequestId,
        reply: &WorkerReplyView<'_>,
    ) {
        let peers = &self.tables.peers;
        let answered = peers.worker(worker).and_then(|worker| worker.last_answered.as_deref());
        let Some(answered) = answered.filter(|answered| answered.request == request) else {
            return self.counters.late_replies += 1;
        };
        let client = answered.client;
        // No request waits for this reply, so it is dropped if the client does not read.
        let is_read = peers.get(client).is_some_and(|client| !client.above_high_water);
        if !is_read || !self.can_be_read(reply.body, reply.options, client) {
            return self.counters.late_replies += 1;
        }
        self.counters.partials += 1;
        let said = ReplyView { options: reply.options, body: reply.body, ..answered.head.view() };
        turn.out.to_client(client, &ToClientView::Final(said));
    }
}
