//! Ending requests: each gets its one outcome here, and nowhere else.

use core::time::Duration;

use super::accounts::End;
use super::requests::{InPlace, OfClient, Record, State};
use super::{Broker, Event, Output};
use crate::{CODE_UNSAID, Concurrency, Outcome, PeerId, Time, Timeout, ToWorker};

impl State {
    /// Whether the request has no outcome yet.
    pub(super) fn in_progress(self) -> bool {
        !matches!(self, State::Abandoned(_))
    }
}

impl Broker {
    /// Ends a request that waits: nobody came for it in time.
    pub(super) fn expire_waiting(&mut self, now: Time, index: u32) {
        let record = &self.requests[index];
        let offered = self.services[record.service].offered_after(record.waiting_since);
        let outcome = match record.rejection {
            Some(_) => self.end_of_hope(index),
            None if offered || record.target.is_some() => Outcome::Expired,
            None => Outcome::NoSuchService,
        };
        // Who times out by itself has forgotten the request by now.
        let record = &self.requests[index];
        let timed_out = matches!(record.timeout, Timeout::After(_)) && record.deadline <= now;
        let told = !timed_out || self.is_told(record.client, Outcome::Expired);
        self.end_waiting(index, outcome, told);
    }

    /// Ends a request that no worker has.
    fn end_waiting(&mut self, index: u32, outcome: Outcome, told: bool) {
        let Record { client, state, .. } = self.requests[index];
        match state {
            State::Waiting if self.succeed(index) => {}
            State::Waiting => self.services.take_out(&mut self.requests, index),
            State::Targeted(worker) => {
                if let Some(worker) = self.peers.worker(worker) {
                    worker.targeted.remove(&mut InPlace(&mut self.requests), index);
                }
            }
            State::Rejected => self.leave_rejected(index),
            State::Parked => {
                if let Some(client) = self.peers.client(client) {
                    client.parked.remove(&mut InPlace(&mut self.requests), index);
                }
            }
            State::Following(_) => self.leave_leader(index),
            State::Loose => {}
            State::Running(_) | State::Abandoned(_) => return,
        }
        if told {
            self.tell_end(index, outcome);
        }
        self.count_end(index, outcome);
        self.forget(index);
    }

    /// Ends a request for another reason than its worker's answer. A worker that has it is told
    /// where it can be, and keeps its slot taken until it answers.
    pub(super) fn end_and_tell_worker(&mut self, index: u32, outcome: Outcome) {
        let State::Running(worker_id) = self.requests[index].state else {
            return self.end_untold_worker(index, outcome);
        };
        let address = self.tokens.issue(worker_id, self.requests.id(index));
        if self.peers.worker(worker_id).is_some_and(|worker| worker.can.cancel) {
            let command = ToWorker::Cancel { address, outcome };
            self.outputs.push_back(Output::ToWorker { peer: worker_id, command });
        }
        self.end_untold_worker(index, outcome);
    }

    /// As [`end_and_tell_worker`](Broker::end_and_tell_worker), without a word to the worker.
    pub(super) fn end_untold_worker(&mut self, index: u32, outcome: Outcome) {
        let (State::Running(worker) | State::Abandoned(worker)) = self.requests[index].state else {
            return self.end_waiting(index, outcome, true);
        };
        self.tell_end(index, outcome);
        self.count_end(index, outcome);
        self.requests.let_go(index);
        let record = &mut self.requests[index];
        record.state = State::Abandoned(worker);
        record.rejection = None;
        record.collected = None;
        self.set_request_timer(index);
    }

    /// Ends a request that is in no list.
    pub(super) fn end_loose(&mut self, index: u32, outcome: Outcome) {
        self.tell_end(index, outcome);
        self.count_end(index, outcome);
        self.forget(index);
    }

    /// Tells a client of an end that is not its worker's answer to this request.
    fn tell_end(&mut self, index: u32, outcome: Outcome) {
        let rejection = match outcome {
            Outcome::Rejected => self.requests[index].rejection.take(),
            _ => None,
        };
        let (options, body) = rejection.map(|last| (last.options, last.error)).unwrap_or_default();
        let (options, body) = self.readable(options, body, self.requests[index].client);
        let reply = self.reply_to(index, CODE_UNSAID, options, body);
        self.tell_failure(index, outcome, reply);
    }

    /// Ends a running request because its worker answered: the slot is free again.
    pub(super) fn end_answered(&mut self, now: Time, index: u32, outcome: Outcome) {
        self.count_end(index, outcome);
        self.free_slot(now, index);
    }

    /// Takes a request, ended already, out of its worker's hands and forgets it.
    pub(super) fn free_slot(&mut self, now: Time, index: u32) {
        let (State::Running(id) | State::Abandoned(id)) = self.requests[index].state else {
            return;
        };
        self.leave_worker(now, index);
        self.forget(index);
        self.feed(now, id);
    }

    /// Takes a request out of its worker's hands.
    pub(super) fn leave_worker(&mut self, now: Time, index: u32) {
        if let State::Running(id) | State::Abandoned(id) = self.requests[index].state
            && let Some(worker) = self.peers.worker(id)
        {
            worker.running.remove(&mut InPlace(&mut self.requests), index);
            if worker.running.is_empty() {
                worker.idle_since = now;
            }
            self.relist(id);
        }
    }

    /// What becomes of a request whose worker was lost.
    pub(super) fn after_loss(&mut self, now: Time, index: u32) {
        let record = &self.requests[index];
        if !record.state.in_progress() {
            return self.forget(index);
        }
        let rejections = record.rejection.as_ref().map_or(0, |rejection| rejection.count());
        let again = record.redeliver
            && !record.part_sent
            && record.attempts - rejections < self.config.attempts_max
            && record.deadline > now
            && !self.shut_down;
        if !again {
            return self.end_loose(index, Outcome::WorkerLost);
        }
        self.drop_collected(index);
        self.counters.redelivered += 1;
        self.wait_again(now, index);
    }

    /// Has a request that was at a worker, and is in no list, wait for another.
    pub(super) fn wait_again(&mut self, now: Time, index: u32) {
        self.restart_wait(now, index);
        self.followers_wait(now, index);
        self.rejoin(now, index);
    }

    /// Counts the time that a request waits from now on.
    pub(super) fn restart_wait(&mut self, now: Time, index: u32) {
        let record = &mut self.requests[index];
        record.waiting_since = now;
        // Who wanted a worker at once has had one; from here on it waits like any other.
        if matches!(record.timeout, Timeout::OfService | Timeout::After(Duration::ZERO)) {
            record.deadline = now.after(self.services[record.service].settings.wait);
        }
    }

    /// Gives up the parts that one worker has sent, as another one begins anew.
    pub(super) fn drop_collected(&mut self, index: u32) {
        let record = &mut self.requests[index];
        let collected = record.collected.take();
        let charged = record.charged - collected.map_or(0, |collected| collected.bytes);
        self.recharge(index, charged);
        let Record { service, client, .. } = self.requests[index];
        self.door.note_freed(service, client);
    }

    /// Counts a request as so many bytes, everywhere.
    pub(super) fn recharge(&mut self, index: u32, charged: usize) {
        let Record { client, service, charged: before, .. } = self.requests[index];
        self.requests.recharge(index, charged);
        let service = &mut self.services[service];
        service.bytes = service.bytes - before + charged;
        if let Some(client) = self.peers.client(client) {
            client.bytes = client.bytes - before + charged;
        }
    }

    /// Counts an outcome and gives back what the request held.
    pub(super) fn count_end(&mut self, index: u32, outcome: Outcome) {
        self.release_followers(index);
        self.requests.discharge(index);
        let Record { client: client_id, service, charged, received, .. } = self.requests[index];
        if let Some(client) = self.peers.client(client_id) {
            client.requests.remove(&mut OfClient(&mut self.requests), index);
            client.bytes -= charged;
        }
        let entry = &mut self.services[service];
        entry.requests -= 1;
        entry.bytes -= charged;
        self.door.note_freed(service, client_id);
        self.services.count(service, End::As(outcome));
        self.services.forget_unused(service);
        self.counters.end(End::As(outcome));
        if self.config.request_events {
            let request = self.requests.id(index);
            self.outputs.push_back(Output::Event(Event::Ended { request, outcome, received }));
        }
    }

    /// Forgets a request that is in no list any more.
    pub(super) fn forget(&mut self, index: u32) {
        let timer = self.requests[index].timer;
        self.requests.remove(index);
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
    }

    /// A worker has had one request for longer than the busy limit. One that serves a request at a
    /// time is lost with it; one that serves many and is heard of loses only the slot, or not even that
    /// where it is told to cancel.
    pub(super) fn overdue(&mut self, now: Time, id: PeerId, index: u32) {
        let silence_max = self.config.silence_max();
        let Some(peer) = self.peers.get_mut(id) else { return };
        let heard = now.since(peer.seen) < silence_max;
        let one_at_a_time =
            self.peers.worker(id).is_some_and(|worker| worker.takes == Concurrency::ONE);
        if heard && !one_at_a_time {
            let told = self.peers.worker(id).is_some_and(|worker| worker.can.cancel);
            if told {
                // It says itself when the place is free.
                self.requests[index].busy_until = Time::NEVER;
            }
            // Its own deadline is still to come, or there is none: its client waits for a word.
            if self.requests[index].state.in_progress() {
                self.end_and_tell_worker(index, Outcome::WorkerLost);
            }
            if !told {
                self.free_slot(now, index);
            }
        } else {
            self.dismiss(now, id, super::LossReason::Overdue);
        }
    }
}
