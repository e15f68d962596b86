//! Round-robin turns: the choice of a worker among idle workers, and of a service among those that
//! the same workers serve.

use majordomus_core::PeerId;
use majordomus_core::broker::Balance;

use super::model::{Peer, Side, Worker, balance};
use super::request::{Place, Uid};
use super::{Cause, Checker, Rule};

impl Checker {
    /// Returns true if a worker certainly has a free slot and is not paused.
    fn is_free(peer: &Peer, worker: &Worker) -> bool {
        !worker.offers.is_empty() && !peer.paused && worker.has_slot()
    }

    /// Returns the other idle workers that could get this request, each with its matching service.
    fn rivals(&self, id: PeerId, uid: Uid) -> impl Iterator<Item = (&Worker, PeerId, usize)> {
        let request = &self.model.requests[&uid];
        self.model.all_peers().filter_map(move |peer| {
            let Side::Worker(worker) = &peer.side else { return None };
            let offered = self.model.best_offer(worker, request.service)?;
            let fits = peer.id != id
                && Self::is_free(peer, worker)
                && !request.rejection.by.contains(&peer.id);
            fits.then_some((worker, peer.id, offered))
        })
    }

    /// Returns the rule that is violated if this worker gets this request now, if any.
    pub(super) fn wrong_turn(&self, id: PeerId, uid: Uid) -> Option<Rule> {
        let request = &self.model.requests[&uid];
        let chosen = self.model.worker(id)?;
        if request.targeted {
            return None;
        }
        let offered = self.model.best_offer(chosen, request.service)?;
        // The exact name comes first, then the best match. The broker may record a worker that
        // became idle in this step later than the checker does.
        let rank = |offered: usize| self.model.rank(offered, request.service);
        let earlier = |worker: &Worker, theirs: usize| {
            worker.free_for_since(theirs).is_some_and(|since| since < self.steps)
        };
        let better = |worker: &Worker, theirs: usize| {
            theirs != offered && rank(theirs) < rank(offered) && earlier(worker, theirs)
        };
        // Nor is the order specified of several requests that were suspended until now.
        let aside = self.step.cause == Cause::Drained;
        if !aside && self.rivals(id, uid).any(|(worker, _, theirs)| better(worker, theirs)) {
            return Some(Rule::Names);
        }
        let name = &self.model.services[offered].name;
        let balance = balance(&self.config, name);
        let mut like = self.rivals(id, uid).filter(|(_, _, theirs)| *theirs == offered);
        let out_of_turn = like.any(|(worker, ..)| match balance {
            Balance::LeastRecent => {
                let since = chosen.may_be_free_since.unwrap_or(self.steps);
                worker.free_for_since(offered).is_some_and(|theirs| theirs < since)
            }
            Balance::LeastLoaded => {
                let sure = |worker: &Worker| worker.busy(self.now);
                let (least, most) = (sure(chosen), worker.hands.len());
                let doubtful = least != chosen.hands.len() || sure(worker) != most;
                earlier(worker, offered)
                    && (most < least || (!doubtful && most == least && worker.given < chosen.given))
            }
            Balance::Random => false,
        });
        out_of_turn.then_some(Rule::Turn)
    }

    /// Counts, for each name queued for the same workers, the later requests of other names that
    /// passed it.
    pub(super) fn has_turn(&mut self, uid: Uid, offered: usize) {
        let request = &self.model.requests[&uid];
        let (asked, since, sought) =
            (request.service, request.waiting_since, request.is_rejected());
        self.model.services[asked].passed_over = 0;
        if request.targeted || sought {
            return;
        }
        let names = self.model.services.iter().filter(|service| service.waiting > 0).count();
        for at in 0..self.model.services.len() {
            if at == asked
                || self.model.services[at].waiting == 0
                || !self.model.serves(offered, at)
            {
                continue;
            }
            let mut waiting = self.model.live.iter().map(|other| &self.model.requests[other]);
            let waits = waiting.all(|other| {
                other.service != at
                    || other.place != Place::Waiting
                    || (!other.targeted
                        && !other.is_rejected()
                        && !other.sharing.murky
                        && other.waiting_since < since
                        && self.model.is_reading(other.client))
            });
            let service = &mut self.model.services[at];
            match waits {
                true => service.passed_over += 1,
                false => service.passed_over = 0,
            }
            if service.passed_over > 4 * (names + 1) {
                let text = format!("{} is passed over again and again", service.name);
                return self.accuse(Rule::Turn, text);
            }
        }
    }

    /// Records the idle workers at the end of the step.
    pub(super) fn note_free(&mut self) {
        let (step, now) = (self.steps, self.now);
        for peer in self.model.peers.iter_mut().flatten() {
            let paused = peer.paused;
            let Side::Worker(worker) = &mut peer.side else { continue };
            let there = !worker.offers.is_empty() && !paused;
            let may_be = there && worker.has_room_beyond(worker.busy(now));
            let (free, since) = (there && worker.has_slot(), &mut worker.free_since);
            *since = free.then(|| since.unwrap_or(step));
            let since = &mut worker.may_be_free_since;
            *since = may_be.then(|| since.unwrap_or(step));
        }
    }

    /// Discards the recorded order of the idle workers, which has changed.
    pub(super) fn forget_turns(&mut self) {
        for peer in self.model.peers.iter_mut().flatten() {
            if let Side::Worker(worker) = &mut peer.side {
                worker.free_since = worker.free_since.map(|_| self.steps);
                worker.may_be_free_since = None;
            }
        }
    }

    /// Checks for requests that are queued although a worker is idle for them.
    pub(super) fn check_idle(&mut self) {
        if self.model.services.iter().all(|service| service.waiting == 0) {
            return;
        }
        let free = |peer: &&Peer| match &peer.side {
            Side::Worker(worker) => Self::is_free(peer, worker),
            Side::Client(_) => false,
        };
        let all_free: Vec<&Peer> = self.model.all_peers().filter(free).collect();
        if all_free.is_empty() {
            return;
        }
        for uid in &self.model.live {
            let request = &self.model.requests[uid];
            if request.place != Place::Waiting || !self.model.is_reading(request.client) {
                continue;
            }
            let fits = |worker: &Worker, id: PeerId| match request.target {
                Some(target) => id == target,
                None => self.model.best_offer(worker, request.service).is_some(),
            };
            let free = all_free.iter().find(|peer| match &peer.side {
                Side::Worker(worker) => {
                    fits(worker, peer.id) && !request.rejection.by.contains(&peer.id)
                }
                Side::Client(_) => false,
            });
            let Some(free) = free.map(|peer| peer.id) else { continue };
            if request.sharing.murky && self.may_wait(*uid) {
                continue;
            }
            let as_if_shared = || {
                let comes = matches!(self.step.cause, Cause::Request(_, comes) if comes == *uid);
                comes
                    && self.model.live.iter().any(|other| {
                        *other != *uid
                            && matches!(self.model.requests[other].place, Place::At(_))
                            && self.are_equal(*other, *uid)
                    })
            };
            let rule = match request.sharing.released || as_if_shared() {
                true => Rule::Shared,
                false => Rule::Idle,
            };
            let text = format!("request {uid} waits and {free} is free: {request:?}");
            return self.accuse(rule, text);
        }
    }

    /// Returns true if an ambiguous request may wait for the answer to another.
    fn may_wait(&self, uid: Uid) -> bool {
        self.model.live.iter().any(|other| {
            let request = &self.model.requests[other];
            *other != uid
                && self.are_equal(*other, uid)
                && (matches!(request.place, Place::At(_))
                    || request.is_rejected()
                    || !self.model.is_reading(request.client))
        })
    }
}
