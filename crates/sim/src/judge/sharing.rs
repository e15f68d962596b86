//! Requests that share one answer: who follows whom, and what becomes of those whose leader gives up.
//!
//! Where a leader waits whose client does not read, it may have been put aside, and then it leads no
//! longer; no output says so. Nor is it said which of several leaders a request follows. Of such a
//! *murky* request, and of those that are equal to it, nobody knows which one follows which; they are
//! looked at less closely.

use core::cmp::Reverse;
use core::time::Duration;

use majordomus_core::{Outcome, PeerId, Time, Timeout};

use super::Judge;
use super::model::shares;
use super::request::{Place, Request, Uid, is_same_body};

impl Judge {
    /// A request was taken in: where it is set so it shares the answer to one that is equal, or
    /// leads.
    pub(super) fn joins(&mut self, uid: Uid) {
        let request = &self.model.requests[&uid];
        let name = &self.model.services[request.service].name;
        if request.targeted || request.fresh || !shares(&self.config, name) {
            return;
        }
        self.seeks_leader(uid);
    }

    /// A request that is in nobody's hands follows one that is equal, or leads.
    fn seeks_leader(&mut self, uid: Uid) {
        let leader = self.leader_for(uid);
        match leader {
            _ if self.has_murky_equal(uid) || self.may_lead_too(uid, leader) => {
                self.make_murky(uid);
                for other in self.model.live.clone() {
                    self.may_run_with(other);
                }
            }
            Some(leader) => self.follows(uid, leader),
            None => {
                self.sharing_mut(uid, |request| request.sharing.leads = true);
                self.look_whether_murky(uid);
            }
        }
    }

    fn sharing_mut(&mut self, uid: Uid, change: impl FnOnce(&mut Request)) {
        if let Some(request) = self.model.requests.get_mut(&uid) {
            change(request);
        }
    }

    fn has_murky_equal(&self, uid: Uid) -> bool {
        self.model.live.iter().any(|other| {
            *other != uid && self.model.requests[other].sharing.murky && self.are_equal(*other, uid)
        })
    }

    fn leader_for(&self, uid: Uid) -> Option<Uid> {
        let leads = |other: &&Uid| {
            let request = &self.model.requests[*other];
            let stuck =
                matches!(request.place, Place::At(_)) && !self.model.is_reading(request.client);
            // Nobody waits with one that comes later than it would itself.
            let later = !matches!(request.place, Place::At(_))
                && request.priority < self.model.requests[&uid].priority;
            **other != uid
                && request.sharing.leads
                && !stuck
                && !later
                && self.are_equal(**other, uid)
        };
        // Of several the one whose answer comes first, as far as that can be told.
        let turn = |other: &Uid| {
            let request = &self.model.requests[other];
            let waits = !matches!(request.place, Place::At(_));
            (waits, Reverse(request.priority), request.received, request.index)
        };
        self.model.live.iter().filter(leads).copied().min_by_key(turn)
    }

    /// Whether two requests may share an answer.
    pub(super) fn are_equal(&self, one: Uid, other: Uid) -> bool {
        let (one, other) = (&self.model.requests[&one], &self.model.requests[&other]);
        one.service == other.service
            && is_same_body(&one.body, &other.body)
            && self.model.takes_parts(one.client) == self.model.takes_parts(other.client)
    }

    fn follows(&mut self, uid: Uid, leader: Uid) {
        let runs = matches!(self.model.requests[&leader].place, Place::At(_));
        if runs && !self.model.is_reading(self.model.requests[&uid].client) {
            // It is put aside, and waits by itself.
            return;
        }
        self.model.place(uid, Place::Following(leader));
        self.sharing_mut(leader, |leader| leader.sharing.followers.push(uid));
        if runs {
            self.runs_with(uid, leader);
        }
    }

    /// The one that it follows has got a worker: from here on it runs.
    fn runs_with(&mut self, uid: Uid, leader: Uid) {
        let Place::At(worker) = self.model.requests[&leader].place else { return };
        let hands = self.model.worker(worker).map(|worker| &worker.hands);
        let hand = hands.and_then(|hands| hands.iter().find(|hand| hand.uid == leader));
        let Some(busy_until) = hand.map(|hand| hand.busy_until) else { return };
        let (now, step) = (self.now, self.steps);
        self.sharing_mut(uid, |request| {
            let early = request.early;
            match request.timeout {
                Timeout::OfService => request.set_deadline(busy_until),
                Timeout::After(Duration::ZERO) => request.set_deadline(Time::NEVER),
                Timeout::After(_) | Timeout::Never => {}
            }
            // Its old time may be over before the broker looks for another that it may follow.
            if request.sharing.released_in == step && early <= now {
                request.early = early;
            }
        });
    }

    /// A request got a worker, and so did those that follow it, but for those whose clients do not
    /// read: they wait for that, apart.
    pub(super) fn followers_start(&mut self, uid: Uid) {
        self.may_run_with(uid);
        for follower in self.model.requests[&uid].sharing.followers.clone() {
            if self.model.is_reading(self.model.requests[&follower].client) {
                self.runs_with(follower, uid);
            } else {
                self.leaves(follower);
                self.model.place(follower, Place::Waiting);
            }
        }
    }

    /// A request that runs waits for a worker again, and so do those that follow it.
    pub(super) fn followers_wait(&mut self, uid: Uid) {
        self.may_wait_anew(uid);
        self.look_whether_murky(uid);
        for follower in self.model.requests[&uid].sharing.followers.clone() {
            self.begins_to_wait(follower);
        }
    }

    fn begins_to_wait(&mut self, uid: Uid) {
        let (now, wait) = (self.now, self.wait_of(uid));
        self.sharing_mut(uid, |request| {
            request.waiting_since = now;
            if matches!(request.timeout, Timeout::OfService | Timeout::After(Duration::ZERO)) {
                let early = request.early.min(now.after(wait));
                request.deadline = now.after(wait);
                request.early = early;
            }
        });
    }

    /// Takes a request from among those that follow another.
    pub(super) fn leaves(&mut self, uid: Uid) {
        if let Place::Following(leader) = self.model.requests[&uid].place {
            self.sharing_mut(leader, |leader| leader.sharing.followers.retain(|at| *at != uid));
        }
    }

    /// A request has ended: those that follow it still are on their own, the first leads the others.
    /// Where it was only waiting, they waited with it, and go on.
    pub(super) fn released(&mut self, uid: Uid, before: Place) {
        self.may_wait_anew(uid);
        let requests = &self.model.requests;
        let mates = self.mates(uid).into_iter();
        self.step.may_fall.extend(mates.filter(|mate| requests[mate].sharing.may_have_part));
        let followers = self
            .model
            .requests
            .get_mut(&uid)
            .map(|request| core::mem::take(&mut request.sharing.followers));
        let mut followers = followers.unwrap_or_default();
        followers.sort_by_key(|follower| Reverse(self.model.requests[follower].priority));
        let ran = matches!(before, Place::At(_));
        // One whose turn had come is in the queue no longer.
        let its_turn = self.model.requests[&uid].place == Place::Ended(Outcome::Untranslatable);
        let waited =
            before == Place::Waiting && !its_turn && !self.model.requests[&uid].is_rejected();
        if waited && !self.model.requests[&uid].sharing.murky {
            return self.succeeds(&followers);
        }
        let step = self.steps;
        if followers.iter().any(|follower| self.was_another_released(*follower)) {
            return self.murkily_released(&followers);
        }
        for follower in &followers {
            self.sharing_mut(*follower, |request| {
                let sharing = &mut request.sharing;
                // The one that it was to follow since may have been gone when that was looked for.
                let again = sharing.released_in == step;
                sharing.early_before = if again { sharing.early_before } else { Time::NEVER };
                sharing.released_in = step;
            });
        }
        for follower in &followers {
            let request = &self.model.requests[follower];
            let part_sent = request.part_sent;
            self.sharing_mut(*follower, |request| request.sharing.released = true);
            self.model.place(*follower, Place::Waiting);
            if part_sent {
                // It must not get the parts of another answer behind those of the first.
                self.step.must_fall.push(*follower);
                continue;
            }
            if ran {
                self.begins_to_wait(*follower);
            }
            self.sharing_mut(*follower, |request| {
                request.early = request.early.min(request.sharing.early_before);
                request.sharing.early_before = request.early;
            });
            self.seeks_leader(*follower);
        }
    }

    /// Whether it is not known whom a released request follows, or whether it leads. The broker looks
    /// for another leader when the step is over: one that waits may have got a worker by then, and come
    /// first with that, and one that runs may have ended, so that who is not put aside behind it leads.
    fn may_lead_too(&self, uid: Uid, leader: Option<Uid>) -> bool {
        let Request { client, priority, ref sharing, .. } = self.model.requests[&uid];
        let runs = |leader: Uid| matches!(self.model.requests[&leader].place, Place::At(_));
        let ahead = |other: &Uid| {
            let request = &self.model.requests[other];
            let waits = request.place == Place::Waiting && request.priority < priority;
            request.sharing.leads
                && (waits || request.sharing.released_in == self.steps)
                && *other != uid
                && Some(*other) != leader
                && self.are_equal(*other, uid)
        };
        sharing.released
            && (self.model.live.iter().any(ahead)
                || (!self.model.is_reading(client) && leader.is_some_and(runs)))
    }

    /// Whether an equal one whose leader gave up in this step, too, may lead this one.
    fn was_another_released(&self, uid: Uid) -> bool {
        let live = self.model.live.iter();
        let mut now = live.filter(|other| {
            let request = &self.model.requests[*other];
            request.sharing.released_in == self.steps && request.is_live()
        });
        now.any(|other| *other != uid && self.are_equal(*other, uid))
    }

    /// Of those that several equal ones leave at once the most urgent lead, whoever they followed.
    fn murkily_released(&mut self, followers: &[Uid]) {
        for follower in followers {
            for other in self.model.live.clone() {
                let request = &self.model.requests[&other];
                let left = request.sharing.released_in == self.steps && !request.part_sent;
                if left && self.are_equal(other, *follower) {
                    self.make_murky(other);
                }
            }
            self.sharing_mut(*follower, |request| request.sharing.released = true);
            match self.model.requests[follower].part_sent {
                true => {
                    self.model.place(*follower, Place::Waiting);
                    self.step.must_fall.push(*follower);
                }
                false => self.make_murky(*follower),
            }
        }
    }

    /// The most urgent of those that followed one in the queue takes its place, and leads the others.
    /// That may be one of which nobody knows whether it followed.
    fn succeeds(&mut self, followers: &[Uid]) {
        let Some(heir) = followers.first().copied() else { return };
        for follower in followers {
            self.sharing_mut(*follower, |request| request.sharing.released = true);
            self.model.place(*follower, Place::Waiting);
        }
        if self.has_murky_equal(heir) {
            for follower in followers {
                self.make_murky(*follower);
            }
            return;
        }
        self.sharing_mut(heir, |request| request.sharing.leads = true);
        for follower in followers.iter().filter(|follower| **follower != heir) {
            self.follows(*follower, heir);
        }
        self.look_whether_murky(heir);
    }

    /// Where the client of a leader that waits does not read, it may be put aside or not.
    pub(super) fn look_whether_murky(&mut self, uid: Uid) {
        let request = &self.model.requests[&uid];
        let waits = request.place == Place::Waiting && request.sharing.leads;
        if waits && !self.model.is_reading(request.client) {
            for follower in request.sharing.followers.clone() {
                self.make_murky(follower);
            }
            self.make_murky(uid);
        }
    }

    fn make_murky(&mut self, uid: Uid) {
        self.leaves(uid);
        self.model.place(uid, Place::Waiting);
        let wait = self.wait_of(uid);
        let now = self.now;
        self.sharing_mut(uid, |request| {
            request.sharing.murky = true;
            request.sharing.leads = false;
            if matches!(request.timeout, Timeout::OfService | Timeout::After(Duration::ZERO)) {
                request.early = request.early.min(now.after(wait));
                request.deadline = Time::NEVER;
            }
        });
    }

    /// A murky request got a part of the answer to that one: it follows it. Where its client cannot
    /// tell it from others, any of them may be the one that does, and they stay murky.
    pub(super) fn sticks(&mut self, uid: Uid, leader: Uid) {
        let requests = &self.model.requests;
        let (client, id) = (requests[&uid].client, &requests[&uid].id);
        let alike = |twin: &Uid| requests[twin].client == client && requests[twin].id == *id;
        let mut twins = self.mates(leader);
        twins.retain(alike);
        if twins.len() > 1 {
            self.may_hear(&twins);
            for twin in twins {
                self.sharing_mut(twin, |request| request.sharing.may_have_part = true);
            }
            return;
        }
        self.model.place(uid, Place::Following(leader));
        self.sharing_mut(uid, |request| (request.part_sent, request.sharing.murky) = (true, false));
        self.sharing_mut(leader, |leader| leader.sharing.followers.push(uid));
        self.runs_with(uid, leader);
        self.restart_timeout(uid);
    }

    /// Those of which it is not known whether they follow this one.
    pub(super) fn mates(&self, uid: Uid) -> Vec<Uid> {
        let live = self.model.live.iter().copied();
        let waits = |mate: &Uid| self.model.requests[mate].place == Place::Waiting;
        live.filter(|mate| *mate != uid && waits(mate) && self.may_share(*mate, uid)).collect()
    }

    /// A part of an answer came: these may have their whole timeout again. Which holds is seen only
    /// when they end; a reply that comes between the earlier end and the later is taken to be in time.
    pub(super) fn may_hear(&mut self, mates: &[Uid]) {
        let now = self.now;
        for mate in mates {
            self.sharing_mut(*mate, |request| {
                if let Timeout::After(span) = request.timeout
                    && !span.is_zero()
                {
                    request.deadline = request.deadline.max(now.after(span));
                }
            });
        }
    }

    /// Those of which it is not known whether they follow this one, which runs, may end as it does.
    fn may_run_with(&mut self, uid: Uid) {
        let Place::At(worker) = self.model.requests[&uid].place else { return };
        let hands = self.model.worker(worker).map(|worker| &worker.hands);
        let hand = hands.and_then(|hands| hands.iter().find(|hand| hand.uid == uid));
        let Some(busy_until) = hand.map(|hand| hand.busy_until) else { return };
        for mate in self.mates(uid) {
            self.sharing_mut(mate, |request| {
                if request.sharing.murky && request.timeout == Timeout::OfService {
                    request.early = request.early.min(busy_until);
                }
            });
        }
    }

    /// Those of which it is not known whether they followed this one may wait anew, by themselves.
    fn may_wait_anew(&mut self, uid: Uid) {
        if !self.model.requests[&uid].sharing.murky {
            return;
        }
        let live = self.model.live.iter().copied();
        let mates: Vec<Uid> = live.filter(|mate| self.are_equal(*mate, uid)).collect();
        let until = self.now.after(self.wait_of(uid));
        for mate in mates {
            self.sharing_mut(mate, |request| {
                let anew =
                    matches!(request.timeout, Timeout::OfService | Timeout::After(Duration::ZERO));
                if request.sharing.murky && request.place == Place::Waiting && anew {
                    request.early = request.early.min(until);
                }
            });
        }
    }

    /// Whether a request may get the answer of a worker to that one.
    pub(super) fn may_share(&self, uid: Uid, answered: Uid) -> bool {
        let request = &self.model.requests[&uid];
        uid == answered
            || request.place == Place::Following(answered)
            || (request.place == Place::Waiting
                && request.sharing.murky
                && self.are_equal(uid, answered))
    }

    /// Whether others may have a part in the answer to a request.
    pub(super) fn is_shared(&self, uid: Uid) -> bool {
        let sharing = &self.model.requests[&uid].sharing;
        sharing.leads || sharing.murky || sharing.released
    }

    /// Those that get the answer to a request, itself first.
    pub(super) fn sharers(&self, uid: Uid) -> Vec<Uid> {
        let mut sharers = vec![uid];
        sharers.extend(&self.model.requests[&uid].sharing.followers);
        sharers
    }

    /// The clients that have a part in what a worker has in hand, those of which nobody knows too.
    pub(super) fn clients_of(&self, uid: Uid, murky: bool) -> Vec<PeerId> {
        let live = self.model.live.iter().filter(|live| {
            let at = self.model.requests[*live].place == Place::Waiting;
            at && murky && self.may_share(**live, uid)
        });
        let all = self.sharers(uid).into_iter().chain(live.copied());
        all.map(|uid| self.model.requests[&uid].client).collect()
    }
}
