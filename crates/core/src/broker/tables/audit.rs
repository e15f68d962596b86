//! Audit of the invariants that hold between two inputs: lists against the places of their members,
//! turns, ranks, charges, names, timers. The test scripts run it after each line, and with the
//! feature `audit` the fuzzer runs it after each command.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::idle::Idle;
use super::peers::{Claim, InAdmission, SideState, Worker};
use super::registrations::InIdle;
use super::requests::{InPlace, OfClient};
use super::{Limit, Place, Requests};
use crate::broker::deadlines::UNTIMED_MAX;
use crate::broker::{Broker, Refusal};
use crate::list::{Linked, List};
use crate::{Outcome, PeerId, Time};

fn walk(list: &List, table: &mut impl Linked) -> Vec<u32> {
    let mut all = Vec::new();
    let mut at = list.first();
    while let Some(index) = at {
        all.push(index);
        assert!(all.len() <= list.len(), "list longer than its len");
        at = List::after(table, index);
    }
    assert_eq!(all.len(), list.len(), "len of list");
    assert_eq!(list.last(), all.last().copied());
    all
}

impl Broker {
    /// Checks the invariants that must hold between two inputs. Its run time is proportional to the
    /// broker's state, so it is for tests only.
    ///
    /// # Panics
    ///
    /// Panics if an invariant is violated.
    pub fn audit(&mut self) {
        let now_shut = self.shut_down;
        let ids: Vec<PeerId> = self.tables.peers.ids().collect();
        let mut placed: BTreeSet<u32> = BTreeSet::new();
        let services = self.tables.services.indices();
        let mut unserved = 0;
        for &s in &services {
            let lists = self.tables.services[s].queue.lists().to_vec();
            assert!(lists.is_sorted_by(|one, other| one.0 > other.0));
            for (priority, list) in lists {
                assert!(!list.is_empty());
                for m in walk(&list, &mut InPlace(&mut self.tables.requests)) {
                    assert_eq!(self.tables.requests[m].place, Place::Queued);
                    assert_eq!(self.tables.requests[m].service, s);
                    assert_eq!(self.tables.requests[m].priority, priority);
                    assert!(placed.insert(m));
                }
            }
            let door = self.tables.services[s].admission;
            for at in walk(&door, &mut InAdmission(&mut self.tables.peers)) {
                let id = self.tables.peers.id_at(at);
                let held = &self.tables.peers.client(id).unwrap().deferred;
                assert_eq!(held.as_ref().unwrap().limit, Limit::Service(s));
            }
            let service = &self.tables.services[s];
            assert!(
                service.workers > 0 || service.requests > 0 || !service.admission.is_empty(),
                "unused service {:?}",
                service.name
            );
            unserved += usize::from(!service.is_served());
            assert_eq!(self.tables.services.find(&service.name), Some(s));
            assert_eq!(
                service.matching(),
                self.tables.services.matching_due(s),
                "matching services of {:?}",
                service.name
            );
            // turns
            let (turn, turns, rejected) = service.insides();
            assert_eq!(turn.is_some(), !service.queue.is_empty(), "turn of {:?}", service.name);
            if let Some(turn) = turn {
                for b in service.matching() {
                    let (_, turns, _) = self.tables.services[*b].insides();
                    assert_eq!(turns.get(&turn), Some(&s));
                }
            }
            for (turn, who) in turns {
                let (own, ..) = self.tables.services[*who].insides();
                assert_eq!(own, Some(*turn));
                assert!(self.tables.services[*who].matching().contains(&s));
            }
            for (place, r) in rejected {
                let record = &self.tables.requests[*r];
                assert_eq!(record.place, Place::Rejected);
                assert_eq!(record.rest.rejection.as_ref().unwrap().rank(), *place);
                assert!(self.tables.services.serving(record.service).contains(&s));
            }
            let offering: Vec<PeerId> = ids
                .iter()
                .filter(|id| {
                    self.tables.peers.worker(**id).is_some_and(|w| {
                        w.registrations
                            .iter()
                            .any(|at| self.tables.registrations()[*at].service == s)
                    })
                })
                .copied()
                .collect();
            assert_eq!(offering.len(), service.workers as usize);
            // idle workers
            let members: Vec<u32> = match &self.tables.services[s].idle {
                Idle::LeastRecent(list) => {
                    let list = *list;
                    walk(&list, &mut InIdle(&mut self.tables.registrations))
                }
                Idle::LeastLoaded(set) => set.iter().map(|(_, _, i)| *i).collect(),
                Idle::Random(all) => all.clone(),
            };
            assert_eq!(
                self.tables.services[s].idle.balance(),
                self.tables.services[s].settings.balance
            );
            for (nth, m) in members.iter().enumerate() {
                let offer = &self.tables.registrations()[*m];
                let id = offer.worker;
                let peer = self.tables.peers.get(id).unwrap();
                assert_eq!(peer.pauses, 0);
                let w = self.tables.peers.worker(id).unwrap();
                assert!(
                    w.is_idle && w.registrations.contains(m) && offer.service == s && w.has_slot()
                );
                match &self.tables.services[s].idle {
                    Idle::LeastLoaded(_) => assert_eq!(
                        offer.rank,
                        self.tables.peers.worker(id).map_or((0, 0), Worker::load)
                    ),
                    Idle::Random(_) => assert_eq!(offer.rank.0, nth as u32),
                    Idle::LeastRecent(_) => {}
                }
            }
            let idle = offering
                .iter()
                .filter(|id| self.tables.peers.worker(**id).is_some_and(|w| w.is_idle))
                .count();
            assert_eq!(idle, members.len());
            if !self.tables.services[s].queue.is_empty() {
                assert_eq!(
                    self.tables.services.idle_worker(s, 0),
                    None,
                    "an idle worker, and {:?} waits",
                    self.tables.services[s].name
                );
            }
        }
        assert_eq!(unserved, self.tables.services.unserved());
        assert_eq!(self.tables.services.len(), services.len());
        // peers
        let mut of_client: BTreeMap<PeerId, (usize, usize)> = BTreeMap::new();
        let mut registrations = 0;
        let mut held = 0;
        let mut held_bytes = 0;
        let mut pauses: BTreeMap<PeerId, u32> = BTreeMap::new();
        for id in &ids {
            let peer = self.tables.peers.get(*id).unwrap();
            let mut why = u32::from(peer.above_high_water)
                + u32::from(matches!(peer.identity_claim, Claim::WaitsFor(..)));
            match &peer.side {
                SideState::Client(c) => {
                    if let Some(deferred) = &c.deferred {
                        assert!(!now_shut);
                        why += 1;
                        held += 1;
                        held_bytes += Requests::charge(&deferred.request.view());
                    }
                    for f in &c.paused_workers {
                        *pauses.entry(*f).or_default() += 1;
                    }
                    assert!(c.paused_workers.is_empty() || peer.above_high_water);
                }
                SideState::Worker(w) => {
                    registrations += w.registrations.len();
                    for at in &w.registrations {
                        assert_eq!(self.tables.registrations()[*at].worker, *id);
                    }
                    if !w.registered {
                        assert!(
                            !w.is_idle
                                && w.registrations.is_empty()
                                && w.in_flight.is_empty()
                                && w.targeted.is_empty()
                                && w.liveness_timer.is_none()
                        );
                    } else {
                        assert!(w.liveness_timer.is_some());
                    }
                    if !w.registrations.is_empty() && peer.pauses == 0 && w.has_slot() {
                        assert!(w.is_idle, "a worker with a slot is idle");
                    }
                    assert!(
                        !w.is_idle || w.targeted.is_empty(),
                        "an idle worker, and a request asks for it"
                    );
                }
            }
            *pauses.entry(*id).or_default() += why;
        }
        assert_eq!(registrations, self.tables.registrations().len());
        for id in &ids {
            assert!(
                now_shut || self.tables.peers.get(*id).unwrap().pauses == pauses[id],
                "pauses of {id}"
            );
        }
        for id in &ids {
            let lists = match &self.tables.peers.get(*id).unwrap().side {
                SideState::Client(c) => (c.requests, c.suspended, true),
                SideState::Worker(w) => (w.in_flight, w.targeted, false),
            };
            if lists.2 {
                let mine = walk(&lists.0, &mut OfClient(&mut self.tables.requests));
                let mut bytes = 0;
                for m in &mine {
                    assert_eq!(self.tables.requests[*m].client, *id);
                    assert!(self.tables.requests[*m].place.in_progress());
                    bytes += self.tables.requests[*m].charged;
                }
                assert_eq!(bytes, self.tables.peers.client(*id).unwrap().bytes);
                of_client.insert(*id, (mine.len(), bytes));
                for m in walk(&lists.1, &mut InPlace(&mut self.tables.requests)) {
                    assert_eq!(self.tables.requests[m].place, Place::Suspended);
                    assert_eq!(self.tables.requests[m].client, *id);
                    assert!(placed.insert(m));
                }
                if !lists.1.is_empty() {
                    assert!(
                        self.tables.peers.is_above_high_water(*id),
                        "suspended and its client reads"
                    );
                }
            } else {
                for m in walk(&lists.0, &mut InPlace(&mut self.tables.requests)) {
                    let place = self.tables.requests[m].place;
                    assert!(place == Place::InFlight(*id) || place == Place::Orphaned(*id));
                    assert!(placed.insert(m));
                }
                for m in walk(&lists.1, &mut InPlace(&mut self.tables.requests)) {
                    assert_eq!(self.tables.requests[m].place, Place::Targeted(*id));
                    assert!(placed.insert(m));
                }
            }
        }
        // requests
        let mut per_service: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        let (mut progress, mut bytes) = (0, 0);
        let mut names: BTreeSet<(PeerId, Vec<u8>)> = BTreeSet::new();
        let mut leading = 0;
        for r in self.tables.requests.indices() {
            let coalesced = self.tables.requests[r].coalesced();
            for f in walk(&coalesced, &mut InPlace(&mut self.tables.requests)) {
                assert_eq!(self.tables.requests[f].place, Place::Coalesced(r));
                assert!(placed.insert(f));
                let (a, b) = (&self.tables.requests[f], &self.tables.requests[r]);
                assert_eq!(a.service, b.service);
                assert!(
                    matches!(b.place, Place::Queued | Place::Rejected | Place::InFlight(_)),
                    "leader {:?}",
                    b.place
                );
            }
            let record = &self.tables.requests[r];
            if let Some(hash) = record.primary_hash() {
                leading += 1;
                let name = &self.tables.services[record.service].name;
                assert!(self.tables.is_in_primaries(r, hash));
                let _ = name;
                assert!(record.is_retained());
            }
            match record.place {
                Place::Rejected => {
                    let rejection = record.rest.rejection.as_ref().unwrap();
                    let place = rejection.rank();
                    let (_, _, map) = self.tables.services[record.service].insides();
                    assert_eq!(map.get(&place), Some(&r));
                    for b in self.tables.services[record.service].matching() {
                        assert_eq!(self.tables.services[*b].insides().2.get(&place), Some(&r));
                    }
                    for id in &ids {
                        let Some(w) = self.tables.peers.worker(*id) else { continue };
                        if self.tables.serves(*id, record.service) && !rejection.by().contains(id) {
                            assert!(!w.is_idle, "an idle worker, and a rejected request waits");
                        }
                        for at in &w.registrations {
                            let offer = &self.tables.registrations()[*at];
                            if self.tables.services.serving(record.service).contains(&offer.service)
                                && !rejection.by().contains(id)
                            {
                                assert!(offer.looked_at < place, "a worker has looked past it");
                            }
                        }
                    }
                    assert!(placed.insert(r));
                }
                Place::Detached => panic!("loose"),
                _ => {}
            }
            if record.place.in_progress() {
                progress += 1;
                bytes += record.charged;
                let sums = per_service.entry(record.service).or_default();
                sums.0 += 1;
                sums.1 += record.charged;
                if !record.id().is_none() {
                    names.insert((record.client, record.id().with_text(<[u8]>::to_vec)));
                    let n = self.tables.find_of_client(record.client, record.id());
                    if let Some(n) = n {
                        assert_eq!(
                            (self.tables.requests[n].client, self.tables.requests[n].id()),
                            (record.client, record.id())
                        );
                        assert!(self.tables.requests[n].place.in_progress());
                    }
                }
            } else {
                assert!(record.coalesced().is_empty() && record.primary_hash().is_none());
                assert!(record.content_capacity() <= 256 + 255, "memory of an orphan");
            }
            let due = self.request_due_at(r);
            let timed_from = record.rest.received.after(Duration::from_millis(100));
            assert!(
                due == Time::NEVER
                    || record.untimed && due >= timed_from
                    || record.timer.is_some_and(|timer| self.timers.due(timer) <= due),
                "timer of {:?}",
                record.place
            );
            assert!(
                placed.contains(&r) || matches!(record.place, Place::Coalesced(_)),
                "in no list {:?}",
                record.place
            );
        }
        for r in self.tables.requests.indices() {
            assert!(placed.contains(&r), "in no list {:?}", self.tables.requests[r].place);
        }
        assert_eq!(placed.len(), self.tables.requests.indices().len());
        assert_eq!(leading, self.tables.primaries_len());
        assert_eq!(progress, self.tables.requests.in_progress());
        assert_eq!(bytes, self.tables.requests.bytes());
        assert!(self.tables.requests.named_len() <= names.len());
        self.tables.requests.pooled();
        assert_eq!(progress as u64, self.counters.in_progress);
        for s in services {
            let (n, b) = per_service.get(&s).copied().unwrap_or_default();
            assert_eq!((self.tables.services[s].requests, self.tables.services[s].bytes), (n, b));
        }
        assert_eq!(held, self.tables.admission.clients());
        assert_eq!(held_bytes, self.tables.admission.bytes());
        assert_eq!(self.agenda.len(), 0);
        assert!(self.timers.untimed() <= UNTIMED_MAX);
        assert!(self.cache.bytes() <= self.config.limits.cache_bytes_max);
        self.cache.audit();
        self.tables.services.audit_names();
        assert!(self.counters.balanced());
        let statement = self.tables.services.statement();
        let named = statement.services.iter().map(|account| &account.ends);
        let all: Vec<_> = named.chain([&statement.own, &statement.others]).collect();
        for outcome in Outcome::ALL {
            let sum: u64 = all.iter().map(|ends| ends.outcome(outcome)).sum();
            assert_eq!(sum, self.counters.outcome(outcome), "{outcome} by service");
        }
        for refusal in Refusal::ALL {
            let sum: u64 = all.iter().map(|ends| ends.refusal(refusal)).sum();
            assert_eq!(sum, self.counters.refusal(refusal), "{} by service", refusal.name());
        }
        let refused: u64 = Refusal::ALL.iter().map(|why| self.counters.refusal(*why)).sum();
        assert_eq!(refused, self.counters.outcome(Outcome::Refused));
    }
}
