//! What workers answer: parts, ends, failures.

use super::config::{FRAME_BYTES, PART_BYTES};
use super::requests::State;
use super::{Broker, Offence};
use crate::{Form, Frames, Label, Outcome, PeerId, Reply, Time, Timeout, ToClient, WorkerReply};

/// What a reply is, for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Partial,
    Final,
    Failed,
    Rejected,
}

impl Broker {
    pub(super) fn reply(&mut self, now: Time, worker: PeerId, part: Part, reply: WorkerReply) {
        let Some(request) = self.tokens.verify(worker, &reply.address) else {
            return self.offend(now, worker, Offence::ForgedReply);
        };
        // It was given this token once. What it says is late where the request has ended, or is
        // another's by now.
        let Some(index) = self.requests.find(request) else {
            return self.counters.late_replies += 1;
        };
        if !reply.id.is_empty() && reply.id != self.requests[index].id {
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
                Part::Rejected => self.rejected(now, index, worker, &reply),
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

    fn partial_reply(&mut self, now: Time, index: u32, said: WorkerReply) {
        self.restart_timeout(now, index);
        let client = self.requests[index].client;
        let Some(can) = self.peers.client_ref(client).map(|client| client.can) else { return };
        if !self.can_be_read(&said.body, can.form) {
            return self.end_and_tell_worker(index, Outcome::Untranslatable);
        }
        if can.partial_replies {
            self.share_part(now, index, &said);
            self.requests[index].part_sent = true;
            let reply = self.reply_to(index, said.options, said.body);
            self.counters.partials += 1;
            return self.tell_client(client, ToClient::Partial(reply));
        }
        let record = &mut self.requests[index];
        let body = said.body;
        let cost = PART_BYTES + FRAME_BYTES * body.len() + body.bytes();
        record.collected_bytes += cost;
        record.collected.push(body.detached());
        let (collected, charged) = (record.collected_bytes, record.charged + cost);
        self.recharge(index, charged);
        let limits = &self.config.limits;
        if collected > limits.reply_bytes_max || self.requests.bytes() > limits.request_bytes_max {
            self.end_and_tell_worker(index, Outcome::Failed);
        }
    }

    fn final_reply(&mut self, now: Time, index: u32, mut outcome: Outcome, mut said: WorkerReply) {
        let record = &mut self.requests[index];
        let whole = record.collected.is_empty() && !record.part_sent;
        if outcome == Outcome::Replied && !record.collected.is_empty() {
            if record.collected_bytes + said.body.bytes() > self.config.limits.reply_bytes_max {
                outcome = Outcome::Failed;
                said = WorkerReply::new(Label::empty(), Frames::empty());
            } else {
                record.collected.push(said.body);
                said.body = Frames::joined(&record.collected);
            }
        }
        self.share_end(index, outcome, &said);
        let keep = said.keep.filter(|_| whole && outcome == Outcome::Replied);
        let reply = self.reply_to(index, said.options, said.body);
        if let Some(keep) = keep {
            let asked = &self.requests[index].body;
            if asked.is_there() {
                self.keep(reply.service.clone(), asked.frames(), &reply, now.after(keep));
            }
        }
        let outcome = self.tell_answer_of(index, outcome, reply);
        self.end_answered(now, index, outcome);
    }

    /// Tells the client of a request what its worker answered; says how it ended with that.
    fn tell_answer_of(&mut self, index: u32, outcome: Outcome, mut reply: Reply) -> Outcome {
        let client = self.requests[index].client;
        let form = self.peers.client_ref(client).map(|client| client.can.form);
        let readable = form.is_none_or(|form| self.can_be_read(&reply.body, form));
        let outcome = match (outcome, readable) {
            (Outcome::Replied, false) => Outcome::Untranslatable,
            (outcome, _) => outcome,
        };
        if !readable {
            reply.body = Frames::empty();
        }
        match outcome {
            Outcome::Replied => self.tell_client(client, ToClient::Final(reply)),
            _ => self.tell_failure(index, outcome, reply),
        }
        outcome
    }

    /// Ends a request that is in no list with the answer to another that was equal.
    pub(super) fn tell_answer(&mut self, index: u32, outcome: Outcome, reply: Reply) {
        let outcome = self.tell_answer_of(index, outcome, reply);
        self.count_end(index, outcome);
        self.forget(index);
    }

    /// Whether a reader of that form can be given a body: as it is, or translated.
    pub(super) fn can_be_read(&self, body: &Frames, form: Form) -> bool {
        body.form() == form || body.bytes() <= self.config.limits.translate_bytes_max
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
