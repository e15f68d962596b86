//! Checks at the end of a step.

use majordomus_core::{Concurrency, Frames, Outcome, PeerId, Time};

use super::model::{Hand, Peer, Side};
use super::request::{Place, Rejection};
use super::{Cause, Checker, Rule, TIMER_SLACK, Word};
use crate::machine::Machine;

impl Checker {
    pub(super) fn check(&mut self, machine: &impl Machine) {
        if self.breach.is_some() {
            return;
        }
        self.settle_request();
        self.settle_gone();
        self.settle_promises();
        self.check_reading();
        self.check_idle();
        self.note_free();
        self.watch_rejected();
        self.check_door();
        if self.step.cause == Cause::Tick {
            self.check_bounds();
            // Handling a due timer may make another timer due, but not repeatedly.
            let again = self.last_tick == self.now;
            if again && machine.next_deadline().is_some_and(|due| due <= self.now) {
                self.accuse(Rule::Spins, "something is due already");
            }
        }
        self.check_numbers(machine);
        if self.breach.is_some() {
            return;
        }
        if self.step.cause == Cause::Tick {
            self.last_tick = self.now;
        }
    }

    /// Determines the result of the request that arrived in this step.
    fn settle_request(&mut self) {
        if let Cause::Directory(peer) = self.step.cause {
            let outcome = self.settle_directory(peer);
            self.tally.received += 1;
            self.tally.outcomes[outcome as usize] += 1;
        }
        if let Cause::Mmi(peer) = self.step.cause {
            let three = Frames::from_slices(&["404"]);
            let outcome = match self.step.answered {
                true => Outcome::Replied,
                false => self.settle_unreadable(peer, &three),
            };
            self.tally.received += 1;
            self.tally.outcomes[outcome as usize] += 1;
        }
        if let Cause::Nameless(peer) = self.step.cause {
            let (id, note, outcome) = (&self.step.id, self.step.note, Outcome::NoSuchService);
            let at = self.step.failures.iter().position(|word| {
                let Word { peer: to, outcome: how, reply } = word;
                (*to, *how, reply.asked) == (peer, outcome, note) && reply.id == *id
            });
            let Some(at) = at else {
                return self.accuse(Rule::Told, format!("{peer} asks for no name"));
            };
            self.step.failures.swap_remove(at);
            self.tally.received += 1;
            self.tally.outcomes[outcome as usize] += 1;
        }
        let Cause::Request(peer, uid) = self.step.cause else { return };
        if self.model.requests[&uid].place != Place::Outside {
            return;
        }
        let closed = self.step.closed.contains(&peer);
        let Some(client) = self.model.peer(peer) else { return };
        let (paused, told) = match &client.side {
            Side::Client(known) => (client.paused, known.can.told),
            Side::Worker(_) => return,
        };
        if self.step.kept.is_some_and(|(_, sure)| sure) {
            return self.accuse(Rule::Kept, format!("request {uid} ought to get what is kept"));
        }
        let request = &self.model.requests[&uid];
        let vain = request.targeted && request.target.is_none();
        let limit = self.limit_reached(uid, false);
        let word = |outcome| {
            let of = |word: &Word| word.peer == peer && word.outcome == outcome;
            self.step.failures.iter().any(of)
        };
        let outcome = match self.shut_down {
            true => Outcome::ShutDown,
            false if self.step.duplicate => Outcome::Refused,
            false if vain && limit.is_none() && !word(Outcome::Refused) => Outcome::NoSuchWorker,
            false => Outcome::Refused,
        };
        let crowded = self.step.held_before > 0;
        let duplicate = self.step.duplicate;
        if outcome == Outcome::Refused && !duplicate && !crowded && limit.is_none() {
            return self.accuse(Rule::Limit, format!("request {uid} is not taken, without need"));
        }
        if outcome == Outcome::Refused && !duplicate && !closed && paused {
            if told.contains(Outcome::Refused) {
                return self.accuse(Rule::Door, format!("{peer} waits though it could be told"));
            }
            let bytes = self.model.held_bytes + self.model.requests[&uid].charged;
            if self.model.held > 0 && bytes > self.config.limits.request_bytes_max {
                return self.accuse(Rule::Limit, "too much waits at the door");
            }
            self.model.held += 1;
            self.model.held_bytes = bytes;
            if let Some(client) = self.model.client_mut(peer) {
                client.held = Some(uid);
            }
            return;
        }
        if outcome == Outcome::Refused && !duplicate && !closed && !told.contains(outcome) {
            return self.accuse(Rule::Door, format!("{peer} is refused and cannot be told"));
        }
        self.tally.received += 1;
        self.tally.outcomes[outcome as usize] += 1;
        let request = &self.model.requests[&uid];
        let (service, id) = (request.service, request.id.clone());
        let word = self.take_word(peer, outcome, service, &id);
        if word.is_some() != (told.contains(outcome) && !closed) {
            self.accuse(Rule::Told, format!("{peer} is refused: {outcome}"));
        }
        if let Some(word) = word
            && !self.is_right(&word, uid)
        {
            self.accuse(Rule::Author, format!("request {uid}: {word:?}"));
        }
        self.model.place(uid, Place::Ended(outcome));
    }

    /// Removes peers that disconnected in this step, with all their state.
    fn settle_gone(&mut self) {
        let gone = match self.step.cause {
            Cause::Gone(peer) => Some(peer),
            _ => None,
        };
        for client in core::mem::take(&mut self.step.went) {
            if gone != Some(client) && !self.step.closed.contains(&client) {
                self.accuse(Rule::OneOutcome, format!("{client} is still there"));
            }
        }
        let closed = core::mem::take(&mut self.step.closed);
        for peer in gone.into_iter().chain(closed) {
            self.forget_peer(peer);
        }
        if self.step.cause == Cause::Shutdown {
            self.settle_shutdown();
        }
    }

    fn forget_peer(&mut self, id: PeerId) {
        if self.model.peer(id).is_some_and(Peer::is_registered) {
            return self.accuse(Rule::DeadWorkerKept, format!("{id} is gone"));
        }
        if self.model.client(id).is_some_and(|client| client.held.is_some()) {
            self.leave_door(id);
            self.end_at_door(Outcome::ClientGone);
        }
        if let Some(uid) = self.model.live.iter().find(|uid| self.model.requests[*uid].client == id)
        {
            let text = format!("request {uid} of {id}, which is gone, is in progress");
            return self.accuse(Rule::OneOutcome, text);
        }
        self.model.remove_peer(id);
    }

    fn end_at_door(&mut self, outcome: Outcome) {
        self.tally.received += 1;
        self.tally.outcomes[outcome as usize] += 1;
    }

    fn settle_shutdown(&mut self) {
        if let Some(uid) = self.model.live.first() {
            return self.accuse(Rule::EndsInTime, format!("request {uid} outlives the shutdown"));
        }
        let left = self.model.all_peers().find(|peer| peer.is_registered()).map(|peer| peer.id);
        if let Some(peer) = left {
            let text = format!("{peer} outlives the shutdown");
            return self.accuse(Rule::DeadWorkerKept, text);
        }
        let held: Vec<PeerId> = self.model.all_peers().map(|peer| peer.id).collect();
        for peer in held {
            if self.model.client(peer).is_some_and(|client| client.held.is_some()) {
                self.leave_door(peer);
                self.end_at_door(Outcome::ShutDown);
            }
        }
    }

    /// Checks the outputs that this step's input requires.
    fn settle_promises(&mut self) {
        if let Some((uid, how)) = self.step.must_end.first().copied() {
            let request = &self.model.requests[&uid];
            let text = format!("request {uid} had to end, {how}: {request:?}");
            // A request that must end with its worker, but does not, has been queued for another
            // one.
            let rule = match how {
                Outcome::WorkerLost if request.targeted => Rule::Target,
                Outcome::WorkerLost => Rule::OneWorker,
                Outcome::NoSuchWorker => Rule::Target,
                Outcome::Untranslatable => Rule::Form,
                _ if matches!(request.place, Place::Following(_)) => Rule::Shared,
                _ => Rule::OneOutcome,
            };
            return self.accuse(rule, text);
        }
        let fallen = self.step.must_fall.iter();
        if let Some(uid) = fallen.copied().find(|uid| self.model.requests[uid].is_live()) {
            let text = format!("request {uid} got a part of an answer of which no more comes");
            return self.accuse(Rule::Shared, text);
        }
        if let Some(violation) = self.step.violation
            && !self.step.offended
            && !self.step.unsure
        {
            return self.accuse(Rule::PeerViolation, format!("not noticed: {violation}"));
        }
        if let Some(peer) = self.step.must_lose {
            let rule = match self.step.violation {
                Some(_) => Rule::PeerViolation,
                None => Rule::DeadWorkerKept,
            };
            return self.accuse(rule, format!("{peer} had to be lost"));
        }
        if let Some(peer) = self.step.must_register {
            return self.accuse(Rule::PeerViolation, format!("{peer} was not registered"));
        }
        if let Some(peer) = self.step.must_greet.or(self.step.must_answer) {
            return self.accuse(Rule::Heartbeats, format!("{peer} had to be answered"));
        }
        if let Cause::ClientHeartbeat(peer) = self.step.cause
            && !self.step.answered
        {
            return self.accuse(Rule::Heartbeats, format!("{peer} had to be answered"));
        }
        self.settle_greetings();
        self.settle_offers();
        self.settle_progress();
        if let Some(want) = self.step.must_want.filter(|want| want.sure) {
            return self.accuse(Rule::Wanted, format!("{want:?} had to be told"));
        }
        if let Some((uid, worker)) = self.step.dispatched {
            return self.accuse(Rule::Idle, format!("{uid} is at {worker}, and is not noted"));
        }
        if let Some(word) = self.step.failures.first() {
            return self.accuse(Rule::Told, format!("nothing of this ended: {word:?}"));
        }
        if let Cause::Reply { uid: Some(uid), part: super::Part::Partial, live: true } =
            self.step.cause
        {
            for uid in self.sharers(uid) {
                let request = &self.model.requests[&uid];
                let takes = request.is_live() && self.model.takes_parts(request.client);
                if takes && !self.step.heard.contains(&uid) {
                    return self.accuse(Rule::Told, format!("a part for request {uid} was lost"));
                }
            }
        }
    }

    /// Checks that peers are paused and resumed only for a reason.
    fn check_reading(&mut self) {
        if let Cause::Appeared(id) = self.step.cause {
            let until = self.now.after(self.config.identity_timeout);
            if self.has_elder(id)
                && let Some(peer) = self.model.peer_mut(id)
            {
                peer.dispute = Some(until);
            }
        }
        for at in 0..self.model.peers.len() {
            let Some(peer) = &self.model.peers[at] else { continue };
            let id = peer.id;
            if peer.dispute.is_some()
                && !self.has_elder(id)
                && let Some(peer) = self.model.peer_mut(id)
            {
                peer.dispute = None;
            }
            let Some(peer) = &self.model.peers[at] else { continue };
            let own = match &peer.side {
                Side::Client(client) => client.held.is_some(),
                Side::Worker(worker) => !worker.feeds.is_empty(),
            };
            let reason = own || peer.filled.is_some() || peer.dispute.is_some();
            if reason != peer.paused && !self.shut_down {
                let text = format!("{id} is paused: {}: {peer:?}", peer.paused);
                return self.accuse(Rule::Reading, text);
            }
        }
    }

    /// Returns true if another connection with the same identity existed before.
    fn has_elder(&self, id: PeerId) -> bool {
        let Some(peer) = self.model.peer(id) else { return false };
        !peer.identity.is_empty()
            && self.model.all_peers().any(|other| {
                other.id != id && other.identity == peer.identity && other.dispute.is_none()
            })
    }

    /// Records since when all connected workers have rejected a queued request.
    fn watch_rejected(&mut self) {
        if self.model.services.iter().all(|service| service.rejected == 0) {
            return;
        }
        for at in 0..self.model.live.len() {
            let uid = self.model.live[at];
            let request = &self.model.requests[&uid];
            if request.place != Place::Waiting || !request.is_rejected() {
                continue;
            }
            let all = self.model.all_rejected(request);
            let now = self.now;
            let Some(request) = self.model.requests.get_mut(&uid) else { continue };
            let rejection = &mut request.rejection;
            if all {
                rejection.by_all_since.get_or_insert(now);
                rejection.by_all_first.get_or_insert(now);
            } else {
                rejection.by_all_since = None;
            }
        }
    }

    fn check_door(&mut self) {
        if self.model.held == 0 || self.breach.is_some() {
            return;
        }
        if self.model.live.is_empty() {
            return self.accuse(Rule::Door, "clients wait for room and nothing is in progress");
        }
        if self.model.held > 1 {
            return;
        }
        let held = self.model.all_peers().find_map(|peer| match &peer.side {
            Side::Client(client) => client.held,
            Side::Worker(_) => None,
        });
        if let Some(uid) = held
            && self.limit_stands(uid).is_none()
        {
            self.accuse(Rule::Door, format!("request {uid} waits though there is room"));
        }
    }

    /// Returns `limit_reached` as if this were the only request in the admission queue.
    fn limit_stands(&self, uid: super::Uid) -> Option<&'static str> {
        let limit = self.limit_reached(uid, true);
        let request = &self.model.requests[&uid];
        let service = &self.model.services[request.service];
        let unknown = !service.offered && service.requests == 0;
        let names = unknown && self.model.names().1 >= self.config.limits.names_max;
        limit.or(names.then_some("the limit of names"))
    }

    /// Checks what must have happened by now, given that all due timers have fired.
    fn check_bounds(&mut self) {
        let (now, interval) = (self.now, self.config.heartbeat_interval);
        let stopped = now.since(self.last_tick) > interval;
        let late = |at: Time| at.after(TIMER_SLACK) <= now;
        for uid in &self.model.live {
            let request = &self.model.requests[uid];
            if late(request.deadline) {
                let text = format!("request {uid} is past its deadline: {request:?}");
                return self.accuse(Rule::EndsInTime, text);
            }
            // The broker may see that all workers rejected the request only when one wait has
            // expired, and then it waits once more. If the client does not read, the request also
            // waits for the client.
            let Rejection { by_all_since, wait_max, .. } = request.rejection;
            let reads = self.model.peer(request.client).is_some_and(|peer| peer.filled.is_none());
            if request.place == Place::Waiting
                && reads
                && by_all_since.is_some_and(|at| late(at.max(self.late_at).after(wait_max * 2)))
            {
                let text = format!("request {uid} is rejected by all: {request:?}");
                return self.accuse(Rule::EndsInTime, text);
            }
        }
        let silence_max = self.silence_max();
        let liveness = self.config.liveness;
        let settled_at = self.settled_at;
        let stall_again = now.after(self.config.stall_timeout);
        let claim_again = now.after(self.config.identity_timeout);
        let mut found = None;
        for peer in self.model.peers.iter_mut().flatten() {
            for (due, again) in [(&mut peer.filled, stall_again), (&mut peer.dispute, claim_again)]
            {
                match due {
                    // The broker itself was stopped: the full time starts again.
                    Some(until) if late(*until) && now.since(*until) > interval => *until = again,
                    Some(until) if late(*until) => {
                        found = Some((Rule::Closing, peer.id, "is not closed"));
                    }
                    _ => {}
                }
            }
            if peer.paused || stopped {
                peer.seen_late = now;
            }
            let Side::Worker(worker) = &mut peer.side else { continue };
            if !worker.registered {
                continue;
            }
            let one = |at| worker.takes == Concurrency::ONE && worker.takes_since <= at;
            let overdue = |hand: &Hand| late(hand.busy_until);
            if worker.hands.iter().any(|hand| overdue(hand) && one(hand.busy_until)) {
                found = Some((Rule::DeadWorkerKept, peer.id, "is over the busy limit"));
            }
            if !worker.hands.is_empty() {
                let place = |hand: &Hand| self.model.requests[&hand.uid].place;
                let at = Place::At(peer.id);
                if worker.hands.iter().any(|hand| overdue(hand) && place(hand) == at) {
                    found = Some((Rule::EndsInTime, peer.id, "has a request beyond its limit"));
                }
                let until = worker.hands.iter().map(|hand| hand.busy_until).max();
                match worker.can.cancel {
                    // The worker was told to cancel and reports when the slot is free.
                    true => {
                        let over = worker.hands.iter_mut().filter(|hand| overdue(hand));
                        over.for_each(|hand| hand.busy_until = Time::NEVER);
                    }
                    false => worker.hands.retain(|hand| !overdue(hand)),
                }
                if worker.hands.is_empty() {
                    worker.idle_since = until.unwrap_or(now).min(now);
                    worker.idle_late = now;
                }
            }
            let longest = interval.max(worker.interval_max);
            let silence_max = silence_max.max(longest * liveness);
            if peer.filled.is_none() && late(worker.heartbeat_sent.after(longest)) {
                found = Some((Rule::Heartbeats, peer.id, "was not told that the broker lives"));
            }
            let own = peer.pace.map(|pace| pace.saturating_mul(liveness));
            let bound = if worker.hands.is_empty() {
                // A worker with its own heartbeat interval is checked when its next heartbeat is
                // due.
                let looked_at = own.map(|_| worker.heartbeat_sent.after(longest));
                let silence_max = own.unwrap_or(silence_max);
                let silent = peer.seen_late.max(worker.idle_late).after(silence_max);
                Some(silent.max(looked_at.unwrap_or(silent)))
            } else if peer.answered && peer.answers_probes && peer.filled.is_none() {
                Some(peer.seen_late.max(worker.busy_since).after(silence_max.max(longest * 4)))
            } else {
                None
            };
            // If the limit was lowered, the worker is checked when its next heartbeat is due.
            let looked_at = settled_at;
            if !peer.paused && bound.is_some_and(|bound| late(bound.max(looked_at))) {
                found = Some((Rule::DeadWorkerKept, peer.id, "is silent"));
            }
        }
        if let Some((rule, peer, what)) = found {
            self.accuse(rule, format!("{peer} {what}: {:?}", self.model.peer(peer)));
        }
    }
}
