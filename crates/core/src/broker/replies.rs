//! What workers answer: parts, ends, failures.

use alloc::boxed::Box;
use core::mem::take;

use bytes::Bytes;

use super::config::{FRAME_BYTES, PART_BYTES};
use super::peers::Answered;
use super::requests::State;
use super::{Broker, Offence};
use crate::{
    CODE_UNSAID, Frames, Label, Notice, Outcome, PeerId, Reply, RequestId, Time, Timeout, ToClient,
    WorkerReply,
};

/// What a reply is, for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Partial,
    Final,
    Failed,
    Rejected,
}

impl Broker {
    pub(super) fn reply(&mut self, now: Time, worker: PeerId, part: Part, reply: &mut WorkerReply) {
        let Some(request) = self.tokens.verify(worker, &reply.address) else {
            return self.offend(now, worker, Offence::ForgedReply);
        };
        // It was given this token once. What it says is late where the request has ended, or is
        // another's by now.
        let Some(index) = self.requests.find(request) else {
            return self.afterword(worker, request, reply);
        };
        let has_id = !reply.id.is_empty()
            || self.peers.worker_ref(worker).is_some_and(|worker| worker.can.request_ids);
        if has_id && reply.id != self.requests[index].id {
            return self.offend(now, worker, Offence::ForgedReply);
        }
        if self.requests[index].state == State::Running(worker)
            && self.requests[index].deadline <= now
        {
            self.end_and_tell_worker(index, Outcome::Expired);
        }
        match self.requests[index].state {
            State::Running(at) if at == worker => match part {
                Part::Partial => self.partial_reply(now, index, reply),
                Part::Final => self.final_reply(now, index, Outcome::Replied, reply),
                Part::Failed => self.final_reply(now, index, Outcome::Failed, reply),
                Part::Rejected => self.rejected(now, index, worker, reply),
            },
            State::Abandoned(at) if at == worker => {
                self.counters.late_replies += 1;
                if part != Part::Partial {
                    self.free_slot(now, index);
                }
            }
            _ => self.counters.late_replies += 1,
        }
    }

    /// A worker says that it is still at work on a request.
    pub(super) fn at_work(&mut self, now: Time, worker: PeerId, address: &Label) {
        let Some(request) = self.tokens.verify(worker, address) else {
            return self.offend(now, worker, Offence::ForgedReply);
        };
        if let Some(index) = self.requests.find(request)
            && self.requests[index].state == State::Running(worker)
        {
            self.notify(index, Notice::AtWork);
        }
    }

    fn partial_reply(&mut self, now: Time, index: u32, said: &mut WorkerReply) {
        self.restart_timeout(now, index);
        let client = self.requests[index].client;
        let Some(can) = self.peers.client_ref(client).map(|client| client.can) else { return };
        if !self.can_be_read(&said.body, &said.options, client) {
            self.end_unreadable_followers(index, said);
            return self.end_and_tell_worker(index, Outcome::Untranslatable);
        }
        if can.partial_replies {
            self.share_part(now, index, said);
            self.requests[index].part_sent = true;
            let reply =
                self.reply_to(index, CODE_UNSAID, take(&mut said.options), take(&mut said.body));
            self.counters.partials += 1;
            return self.tell_client(client, ToClient::Partial(reply));
        }
        self.followers_hear(now, index);
        let record = &mut self.requests[index];
        let body = &said.body;
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        let collected = record.collected.get_or_insert_default();
        collected.bytes += cost;
        collected.parts.push(body.detached());
        let (collected, charged) = (collected.bytes, record.charged + cost);
        self.recharge(index, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max || self.requests.bytes() > limits.request_bytes_max {
            self.end_followers(index, Outcome::Failed);
            self.end_and_tell_worker(index, Outcome::Failed);
        }
    }

    fn final_reply(&mut self, now: Time, index: u32, mut outcome: Outcome, said: &mut WorkerReply) {
        let record = &mut self.requests[index];
        let whole = record.collected.is_none() && !record.part_sent;
        if outcome == Outcome::Replied
            && let Some(collected) = &mut record.collected
        {
            if collected.bytes + said.body.bytes() > self.config.limits.reply_bytes_max {
                outcome = Outcome::Failed;
                *said = WorkerReply::new(Label::empty(), Frames::empty());
            } else {
                collected.parts.push(take(&mut said.body));
                said.body = Frames::joined(&collected.parts);
            }
        }
        self.share_end(index, outcome, said);
        let keep = said.keep.filter(|_| whole && outcome == Outcome::Replied);
        if let Some(keep) = keep {
            let record = &self.requests[index];
            if record.body.is_there() {
                let service = self.services[record.service].name.clone();
                self.keep(service, record.body.frames(), said, now.after(keep));
            }
        }
        self.expect_afterwords(index);
        let outcome = self.tell_answer_of(index, outcome, said);
        self.end_answered(now, index, outcome);
    }

    /// Remembers who asked, where worker and client both know no end of a reply.
    fn expect_afterwords(&mut self, index: u32) {
        let State::Running(id) = self.requests[index].state else { return };
        let client = self.requests[index].client;
        if !self.peers.worker_ref(id).is_some_and(|worker| worker.can.afterwords)
            || !self.peers.client_ref(client).is_some_and(|client| client.can.afterwords)
        {
            return;
        }
        let head = self.reply_to(index, CODE_UNSAID, Bytes::new(), Frames::EMPTY);
        let answered = Answered { request: self.requests.id(index), client, head };
        if let Some(worker) = self.peers.worker(id) {
            worker.answered = Some(Box::new(answered));
        }
    }

    /// A worker says something about a request that has ended. It is late, unless this worker never
    /// says when it is done, and its client knows that.
    fn afterword(&mut self, worker: PeerId, request: RequestId, reply: &mut WorkerReply) {
        let answered = self.peers.worker_ref(worker).and_then(|worker| worker.answered.as_ref());
        let Some(answered) = answered.filter(|answered| answered.request == request) else {
            return self.counters.late_replies += 1;
        };
        let (client, head) = (answered.client, answered.head.clone());
        // Nobody waits for these words, so who does not read misses them.
        let full = self.peers.get(client).is_none_or(|client| client.filled);
        if full || !self.can_be_read(&reply.body, &reply.options, client) {
            return self.counters.late_replies += 1;
        }
        self.counters.partials += 1;
        let said = Reply { options: take(&mut reply.options), body: take(&mut reply.body), ..head };
        self.tell_client(client, ToClient::Final(said));
    }

    /// Tells the client of a request what its worker answered; says how it ended with that.
    fn tell_answer_of(&mut self, index: u32, outcome: Outcome, said: &mut WorkerReply) -> Outcome {
        let client = self.requests[index].client;
        let readable = self.can_be_read(&said.body, &said.options, client);
        let outcome = match (outcome, readable) {
            (Outcome::Replied, false) => Outcome::Untranslatable,
            (outcome, _) => outcome,
        };
        if !readable {
            let (options, body) = (take(&mut said.options), take(&mut said.body));
            (said.options, said.body) = self.readable(options, body, client);
        }
        let (options, body) = (take(&mut said.options), take(&mut said.body));
        let reply = self.reply_to(index, said.code, options, body);
        match outcome {
            Outcome::Replied => self.tell_client(client, ToClient::Final(reply)),
            _ => self.tell_failure(index, outcome, reply),
        }
        outcome
    }

    /// Ends a request that is in no list with the answer to another that was equal.
    pub(super) fn tell_answer(&mut self, index: u32, outcome: Outcome, said: &WorkerReply) {
        let outcome = self.tell_answer_of(index, outcome, &mut said.clone());
        self.count_end(index, outcome);
        self.forget(index);
    }

    /// Whether a peer can be given a body, as it is or translated, and these options beside it. One
    /// that is gone can be given anything.
    pub(super) fn can_be_read(&self, body: &Frames, options: &Bytes, reader: PeerId) -> bool {
        let limits = &self.config.limits;
        self.peers.reader(reader).is_none_or(|reader| reader.takes(body, options, limits))
    }

    /// As much of options and body as this reader can be given. Options are written as they are, where
    /// that is possible, even if the body beside them is not.
    pub(super) fn readable(&self, options: Bytes, body: Frames, reader: PeerId) -> (Bytes, Frames) {
        if self.can_be_read(&body, &options, reader) {
            return (options, body);
        }
        let body = Frames::EMPTY.in_form(body.form(), 0);
        let fits = self.can_be_read(&body, &options, reader);
        (if fits { options } else { Bytes::new() }, body)
    }

    /// A part of its answer came: a request has its whole timeout again.
    pub(super) fn restart_timeout(&mut self, now: Time, index: u32) {
        let record = &mut self.requests[index];
        if let Timeout::After(span) = record.timeout
            && !span.is_zero()
        {
            record.deadline = now.after(span);
        }
    }
}
