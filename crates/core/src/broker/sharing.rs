//! Sharing: where a service is set so, a request that is equal to one in progress does not go to a
//! worker. It gets every part of the other's answer.
//!
//! The one that waits for a worker, or has one, *leads*; those that came later *follow* it. Where the
//! leader ends in another way than with its worker's answer, its followers wait by themselves, and
//! the first of them leads.

use core::cmp::Reverse;
use core::time::Duration;

use hashbrown::HashTable;

use super::Broker;
use super::kept::body_hash;
use super::keys::{KeyedState, Keys};
use super::requests::{InPlace, Record, Requests, State};
use crate::list::List;
use crate::{
    CODE_UNSAID, Frames, Label, Outcome, PeerId, Priority, RequestId, Time, Timeout, ToClient,
    WorkerReply,
};

/// The requests that lead, by service and body.
#[derive(Debug)]
pub(super) struct Leaders {
    index: HashTable<u32>,
    keyed: KeyedState,
}

impl Leaders {
    pub(super) fn new(keys: Keys) -> Self {
        Self { index: HashTable::new(), keyed: keys.state() }
    }

    fn find(
        &self,
        requests: &Requests,
        service: u32,
        name: &Label,
        body: &Frames,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<u32> {
        let same = |index: &u32| {
            let record = &requests[*index];
            record.service == service && fits(record) && record.body.is_same(body)
        };
        // Of several the one whose answer comes first, as far as that can be told.
        let turn = |index: &u32| {
            let record = &requests[*index];
            let waits = !matches!(record.state, State::Running(_));
            (waits, Reverse(record.priority), record.received, *index)
        };
        let equal = self.index.iter_hash(body_hash(self.keyed, name, body)).copied();
        equal.filter(same).min_by_key(turn)
    }

    fn insert(&mut self, requests: &Requests, index: u32, hash: u64) {
        let hash_of = |other: &u32| requests[*other].leads().unwrap_or_default();
        self.index.insert_unique(hash, index, hash_of);
    }

    fn remove(&mut self, index: u32, hash: u64) {
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
    }
}

impl Broker {
    /// The request in progress whose answer this client's request may share.
    pub(super) fn leader_for(
        &self,
        client: PeerId,
        service: u32,
        priority: Priority,
        body: &Frames,
    ) -> Option<u32> {
        let known = &self.services[service];
        // Who takes parts gets what one that takes none does not.
        let takes_parts = |id| self.peers.client_ref(id).map(|client| client.can.partial_replies);
        // The worker of a client that does not read is not read from.
        let is_stuck = |record: &Record| {
            matches!(record.state, State::Running(_)) && self.is_filled(record.client)
        };
        // Nobody waits with one that comes later than it would itself.
        let is_later = |record: &Record| {
            record.priority < priority && !matches!(record.state, State::Running(_))
        };
        let fits = |record: &Record| {
            takes_parts(client) == takes_parts(record.client)
                && !is_stuck(record)
                && !is_later(record)
        };
        self.leaders.find(&self.requests, service, &known.name, body, fits)
    }

    /// Has a request lead those that are equal. Its body is kept.
    pub(super) fn lead(&mut self, index: u32, body: &Frames) {
        let name = &self.services[self.requests[index].service].name;
        let hash = body_hash(self.leaders.keyed, name, body);
        self.requests[index].lead(hash);
        self.leaders.insert(&self.requests, index, hash);
    }

    /// Has a request, which is in no list, follow another.
    pub(super) fn follow(&mut self, now: Time, index: u32, leader: u32) {
        let runs = matches!(self.requests[leader].state, State::Running(_));
        if runs && self.park(index) {
            return;
        }
        self.counters.shared += 1;
        self.join(index, leader);
        if runs {
            self.started_with(index, self.requests[leader].busy_until);
        }
        if self.requests[index].deadline <= now {
            self.expire_waiting(now, index);
        } else {
            self.set_request_timer(index);
        }
    }

    fn join(&mut self, index: u32, leader: u32) {
        let mut followers = self.requests[leader].followers();
        followers.push_back(&mut InPlace(&mut self.requests), index);
        self.requests[leader].set_followers(followers);
        self.requests[index].state = State::Following(leader);
    }

    /// A request that waits for a worker ends: the first of those that follow it takes its place in
    /// the queue, and leads the others. Of a lower priority than another of them it would hold that
    /// one up. False where there is none.
    pub(super) fn succeed(&mut self, index: u32) -> bool {
        let Some(heir) = self.most_urgent_follower(index) else { return false };
        let Some(hash) = self.requests[index].stop_leading() else { return false };
        self.leaders.remove(index, hash);
        self.leave_leader(heir);
        self.services.take_place(&mut self.requests, index, heir);
        self.requests[heir].state = State::Waiting;
        self.requests[heir].lead(hash);
        self.leaders.insert(&self.requests, heir, hash);
        while let Some(other) = self.requests[index].followers().first() {
            self.leave_leader(other);
            self.join(other, heir);
        }
        true
    }

    /// Of those that follow a request, the first of the highest priority.
    fn most_urgent_follower(&mut self, index: u32) -> Option<u32> {
        let mut first = self.requests[index].followers().first()?;
        let mut at = Some(first);
        while let Some(follower) = at {
            if self.requests[follower].priority > self.requests[first].priority {
                first = follower;
            }
            at = List::after(&mut InPlace(&mut self.requests), follower);
        }
        Some(first)
    }

    /// A request, or the one that it follows, has got a worker: from here on it runs.
    pub(super) fn started_with(&mut self, index: u32, busy_until: Time) {
        let record = &mut self.requests[index];
        match record.timeout {
            Timeout::OfService => record.deadline = busy_until,
            Timeout::After(Duration::ZERO) => record.deadline = Time::NEVER,
            Timeout::After(_) | Timeout::Never => {}
        }
        self.set_request_timer(index);
    }

    /// A request got a worker, and so did those that follow it.
    pub(super) fn followers_start(&mut self, index: u32) {
        let busy_until = self.requests[index].busy_until;
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            if self.is_filled(self.requests[follower].client) {
                self.leave_leader(follower);
                self.park(follower);
            } else {
                self.started_with(follower, busy_until);
            }
        }
    }

    /// A request waits again, and so do those that follow it.
    pub(super) fn followers_wait(&mut self, now: Time, index: u32) {
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            self.restart_wait(now, follower);
            self.set_request_timer(follower);
        }
    }

    /// A part of the answer came that is kept for the end: those that follow have their time again.
    pub(super) fn followers_hear(&mut self, now: Time, index: u32) {
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            self.restart_timeout(now, follower);
        }
    }

    /// Passes a part of the answer on to those that follow. Nobody joins them any more: it would miss
    /// this part.
    pub(super) fn share_part(&mut self, now: Time, index: u32, said: &WorkerReply) {
        self.stop_leading(index);
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            self.restart_timeout(now, follower);
            let client = self.requests[follower].client;
            if !self.can_be_read(&said.body, &said.options, client) {
                self.end_and_tell_worker(follower, Outcome::Untranslatable);
                continue;
            }
            self.requests[follower].part_sent = true;
            let reply =
                self.reply_to(follower, CODE_UNSAID, said.options.clone(), said.body.clone());
            self.counters.partials += 1;
            self.tell_client(client, ToClient::Partial(reply));
        }
    }

    /// Ends those that follow a request as that one ends: what stands against it does against them.
    pub(super) fn end_followers(&mut self, index: u32, outcome: Outcome) {
        self.stop_leading(index);
        while let Some(follower) = self.requests[index].followers().first() {
            self.leave_leader(follower);
            self.end_loose(follower, outcome);
        }
    }

    /// Ends those that follow a request whose clients cannot be given a part of the answer.
    pub(super) fn end_unreadable_followers(&mut self, index: u32, said: &WorkerReply) {
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at {
            at = List::after(&mut InPlace(&mut self.requests), follower);
            if !self.can_be_read(&said.body, &said.options, self.requests[follower].client) {
                self.end_and_tell_worker(follower, Outcome::Untranslatable);
            }
        }
    }

    /// Ends those that follow a request as that one ends: with its worker's answer.
    pub(super) fn share_end(&mut self, index: u32, outcome: Outcome, said: &WorkerReply) {
        self.stop_leading(index);
        while let Some(follower) = self.requests[index].followers().first() {
            self.leave_leader(follower);
            self.tell_answer(follower, outcome, said);
        }
    }

    /// Whether anybody but this client has a part in the answer to a request.
    pub(super) fn is_shared_beyond(&mut self, index: u32, client: PeerId) -> bool {
        let mut at = self.requests[index].followers().first();
        while let Some(follower) = at
            && self.requests[follower].client == client
        {
            at = List::after(&mut InPlace(&mut self.requests), follower);
        }
        at.is_some()
    }

    /// The worker that has a request, or the one that it follows.
    pub(super) fn worker_of(&self, index: u32) -> Option<(PeerId, u32)> {
        match self.requests[index].state {
            State::Running(worker) => Some((worker, index)),
            State::Following(leader) => match self.requests[leader].state {
                State::Running(worker) => Some((worker, leader)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes a request away from the one that it follows.
    pub(super) fn leave_leader(&mut self, index: u32) {
        let State::Following(leader) = self.requests[index].state else { return };
        let mut followers = self.requests[leader].followers();
        followers.remove(&mut InPlace(&mut self.requests), index);
        self.requests[leader].set_followers(followers);
        self.requests[index].state = State::Loose;
    }

    /// A request has ended without an answer: those that follow it are on their own, when what
    /// happens now is over.
    pub(super) fn release_followers(&mut self, index: u32) {
        self.stop_leading(index);
        let ran = matches!(self.requests[index].state, State::Running(_));
        while let Some(follower) = self.requests[index].followers().first() {
            self.leave_leader(follower);
            self.released.push((self.requests.id(follower), ran));
        }
    }

    fn stop_leading(&mut self, index: u32) {
        if let Some(hash) = self.requests[index].stop_leading() {
            self.leaders.remove(index, hash);
        }
    }

    /// Has those wait by themselves whose leader has ended: the first leads the others.
    pub(super) fn resume_released(&mut self, now: Time) {
        while !self.released.is_empty() {
            // The most urgent comes first, as it waits with none that would come later.
            let mut released = core::mem::take(&mut self.released);
            let urgency = |(id, _): &(RequestId, bool)| {
                self.requests.find(*id).map(|index| Reverse(self.requests[index].priority))
            };
            released.sort_by_key(urgency);
            for (id, ran) in released {
                let Some(index) = self.requests.find(id) else { continue };
                if self.requests[index].state != State::Loose {
                    continue;
                }
                if self.requests[index].part_sent {
                    // It must not get the parts of another answer behind those of the first.
                    self.end_loose(index, Outcome::WorkerLost);
                    continue;
                }
                if ran {
                    self.restart_wait(now, index);
                }
                let record = &self.requests[index];
                let (client, service, body) = (record.client, record.service, record.body.frames());
                if let Some(leader) = self.leader_for(client, service, record.priority, &body) {
                    self.follow(now, index, leader);
                    continue;
                }
                self.lead(index, &body);
                self.rejoin(now, index);
                self.dispatch(now, service);
            }
        }
    }
}

#[cfg(any(test, feature = "audit"))]
impl Broker {
    pub(super) fn leaders_has(&self, index: u32, hash: u64) -> bool {
        self.leaders.index.find(hash, |other| *other == index).is_some()
    }
    pub(super) fn leaders_len(&self) -> usize {
        self.leaders.index.len()
    }
}
