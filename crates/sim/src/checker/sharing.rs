//! Request coalescing: primary and coalesced requests, and promotion after a primary ends.
//!
//! If the client of a queued primary does not read, the broker may suspend the request, and then it
//! is not a primary any more. No output reports this. Nor does an output report which of several
//! primaries a request joins. Such a request is *ambiguous*, and so are the requests equal to it:
//! the checker does not know which request joins which, and checks them less strictly.

use core::cmp::Reverse;
use core::time::Duration;

use majordomus_core::{Outcome, PeerId, Time, Timeout};

use super::Checker;
use super::model::shares;
use super::request::{Place, Request, Uid, is_same_body};

impl Checker {
    /// Handles an accepted request: it joins an equal primary, or becomes a primary, if coalescing
    /// is configured.
    pub(super) fn joins(&mut self, uid: Uid) {
        let request = &self.model.requests[&uid];
        let name = &self.model.services[request.service].name;
        if request.targeted || request.fresh || !shares(&self.config, name) {
            return;
        }
        self.seeks_leader(uid);
    }

    /// Lets a request that is not in flight join an equal primary, or become a primary.
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
            // A request does not join a primary that is queued behind its own position.
            let later = !matches!(request.place, Place::At(_))
                && request.priority < self.model.requests[&uid].priority;
            **other != uid
                && request.sharing.leads
                && !stuck
                && !later
                && self.are_equal(**other, uid)
        };
        // Of several primaries, take the one whose answer is expected first.
        let turn = |other: &Uid| {
            let request = &self.model.requests[other];
            let waits = !matches!(request.place, Place::At(_));
            (waits, Reverse(request.priority), request.received, request.index)
        };
        self.model.live.iter().filter(leads).copied().min_by_key(turn)
    }

    /// Returns true if two requests may be coalesced.
    pub(super) fn are_equal(&self, one: Uid, other: Uid) -> bool {
        let (one, other) = (&self.model.requests[&one], &self.model.requests[&other]);
        one.service == other.service
            && is_same_body(&one.body, &other.body)
            && self.model.takes_parts(one.client) == self.model.takes_parts(other.client)
    }

    fn follows(&mut self, uid: Uid, leader: Uid) {
        let runs = matches!(self.model.requests[&leader].place, Place::At(_));
        if runs && !self.model.is_reading(self.model.requests[&uid].client) {
            // The request is suspended and waits by itself.
            return;
        }
        self.model.place(uid, Place::Following(leader));
        self.sharing_mut(leader, |leader| leader.sharing.followers.push(uid));
        if runs {
            self.runs_with(uid, leader);
        }
    }

    /// Marks a coalesced request as in flight, because its primary was dispatched.
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
            // The old timeout may expire before the broker looks for another primary.
            if request.sharing.released_in == step && early <= now {
                request.early = early;
            }
        });
    }

    /// Marks the coalesced requests of a dispatched primary as in flight, except requests of
    /// clients that do not read: these are suspended separately.
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

    /// Marks the coalesced requests of a primary as queued, because the primary is queued again.
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

    /// Removes a request from its primary's coalesced requests.
    pub(super) fn leaves(&mut self, uid: Uid) {
        if let Place::Following(leader) = self.model.requests[&uid].place {
            self.sharing_mut(leader, |leader| leader.sharing.followers.retain(|at| *at != uid));
        }
    }

    /// Handles the end of a primary: its remaining coalesced requests are detached, and the first
    /// becomes the primary of the others. If the primary was only queued, they keep their place in
    /// the queue.
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
        // A request that was already taken from the queue has no place in it any more.
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
                // The primary that the request joined since may have ended when the broker looked
                // for one.
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
                // The request must not receive parts of another answer after parts of the first.
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

    /// Returns true if it is unknown whether a detached request joins a primary or becomes one. The
    /// broker looks for a primary at the end of the step. By then, a queued primary may have been
    /// dispatched and so come first, and one in flight may have ended, so that a request which is
    /// not suspended behind it becomes a primary.
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

    /// Returns true if an equal request that was also detached in this step may become this one's
    /// primary.
    fn was_another_released(&self, uid: Uid) -> bool {
        let live = self.model.live.iter();
        let mut now = live.filter(|other| {
            let request = &self.model.requests[*other];
            request.sharing.released_in == self.steps && request.is_live()
        });
        now.any(|other| *other != uid && self.are_equal(*other, uid))
    }

    /// Handles coalesced requests that several equal primaries release at once: the one with the
    /// highest priority becomes the primary.
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

    /// Promotes the coalesced request with the highest priority to the queue position of its
    /// primary. It may be an ambiguous request.
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

    /// Marks requests as ambiguous if the client of a queued primary does not read, because the
    /// broker may or may not suspend the primary.
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

    /// Handles an ambiguous request that received a part of an answer: it has joined that request.
    /// If its client cannot distinguish it from others, any of them may have joined, and they stay
    /// ambiguous.
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

    /// Returns the requests that may have joined this one.
    pub(super) fn mates(&self, uid: Uid) -> Vec<Uid> {
        let live = self.model.live.iter().copied();
        let waits = |mate: &Uid| self.model.requests[mate].place == Place::Waiting;
        live.filter(|mate| *mate != uid && waits(mate) && self.may_share(*mate, uid)).collect()
    }

    /// Handles a part of an answer for requests that may or may not have received it: their timeout
    /// may have been restarted. Only their end shows which holds. A reply between the earlier and
    /// the later end counts as in time.
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

    /// Lets requests that may have joined this one, which is in flight, end as it does.
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

    /// Lets requests that may have joined this one be queued again by themselves.
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

    /// Returns true if a request may receive the worker's answer to another request.
    pub(super) fn may_share(&self, uid: Uid, answered: Uid) -> bool {
        let request = &self.model.requests[&uid];
        uid == answered
            || request.place == Place::Following(answered)
            || (request.place == Place::Waiting
                && request.sharing.murky
                && self.are_equal(uid, answered))
    }

    /// Returns true if other requests may receive the answer to this one.
    pub(super) fn is_shared(&self, uid: Uid) -> bool {
        let sharing = &self.model.requests[&uid].sharing;
        sharing.leads || sharing.murky || sharing.released
    }

    /// Returns the requests that receive the answer to a request, the request itself first.
    pub(super) fn sharers(&self, uid: Uid) -> Vec<Uid> {
        let mut sharers = vec![uid];
        sharers.extend(&self.model.requests[&uid].sharing.followers);
        sharers
    }

    /// Returns the clients with a share in an in-flight request, including ambiguous ones if
    /// `murky` is true.
    pub(super) fn clients_of(&self, uid: Uid, murky: bool) -> Vec<PeerId> {
        let live = self.model.live.iter().filter(|live| {
            let at = self.model.requests[*live].place == Place::Waiting;
            at && murky && self.may_share(**live, uid)
        });
        let all = self.sharers(uid).into_iter().chain(live.copied());
        all.map(|uid| self.model.requests[&uid].client).collect()
    }
}
