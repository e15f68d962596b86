//! Looks at everything that must hold between two inputs: every list against the states of what is in
//! it, seats, places, charges, names, timers. The scripts call it after each line, and with the feature
//! `audit` the fuzzer after each command.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::free::Free;
use super::offers::{InFree, load};
use super::peers::{AtDoor, Claim, SideState};
use super::requests::{InPlace, OfClient, State};
use super::{Broker, Refusal};
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
    /// Looks at everything that must hold between two inputs. It takes time with all that is held, so it
    /// is for tests.
    ///
    /// # Panics
    ///
    /// Where something is wrong.
    pub fn audit(&mut self) {
        let now_shut = self.shut_down;
        let ids: Vec<PeerId> = self.peers.ids().collect();
        let mut placed: BTreeSet<u32> = BTreeSet::new();
        let services = self.services.indices();
        let mut unoffered = 0;
        for &s in &services {
            let lists = self.services[s].waiting.lists().to_vec();
            assert!(lists.is_sorted_by(|one, other| one.0 > other.0));
            for (priority, list) in lists {
                assert!(!list.is_empty());
                for m in walk(&list, &mut InPlace(&mut self.requests)) {
                    assert_eq!(self.requests[m].state, State::Waiting);
                    assert_eq!(self.requests[m].service, s);
                    assert_eq!(self.requests[m].priority, priority);
                    assert!(placed.insert(m));
                }
            }
            let door = self.services[s].door;
            for at in walk(&door, &mut AtDoor(&mut self.peers)) {
                let id = self.peers.id_at(at);
                let held = &self.peers.client_ref(id).unwrap().held;
                assert_eq!(held.as_ref().unwrap().1, super::room::Obstacle::Service(s));
            }
            let service = &self.services[s];
            assert!(
                service.workers > 0 || service.requests > 0 || !service.door.is_empty(),
                "unused service {:?}",
                service.name
            );
            unoffered += usize::from(!service.is_offered());
            assert_eq!(self.services.find(&service.name), Some(s));
            assert_eq!(
                service.backers,
                self.services.backers_due(s),
                "backers of {:?}",
                service.name
            );
            // seats
            let (seat, seats, rejected) = service.insides();
            assert_eq!(seat.is_some(), !service.waiting.is_empty(), "seat of {:?}", service.name);
            if let Some(seat) = seat {
                for b in &service.backers {
                    let (_, seats, _) = self.services[*b].insides();
                    assert_eq!(seats.get(&seat), Some(&s));
                }
            }
            for (seat, who) in seats {
                let (own, ..) = self.services[*who].insides();
                assert_eq!(own, Some(*seat));
                assert!(self.services[*who].backers.contains(&s));
            }
            for (place, r) in rejected {
                let record = &self.requests[*r];
                assert_eq!(record.state, State::Rejected);
                assert_eq!(record.rejection.as_ref().unwrap().place_of(), *place);
                assert!(self.services.serving(record.service).contains(&s));
            }
            let offering: Vec<PeerId> = ids
                .iter()
                .filter(|id| {
                    self.peers
                        .worker_ref(**id)
                        .is_some_and(|w| w.offers.iter().any(|at| self.offers[*at].service == s))
                })
                .copied()
                .collect();
            assert_eq!(offering.len(), service.workers as usize);
            // free
            let members: Vec<u32> = match &self.services[s].free {
                Free::LeastRecent(list) => {
                    let list = *list;
                    walk(&list, &mut InFree(&mut self.offers))
                }
                Free::LeastLoaded(set) => set.iter().map(|(_, _, i)| *i).collect(),
                Free::Random(all) => all.clone(),
            };
            assert_eq!(self.services[s].free.balance(), self.services[s].settings.balance);
            for (nth, m) in members.iter().enumerate() {
                let offer = &self.offers[*m];
                let id = offer.worker;
                let peer = self.peers.get(id).unwrap();
                assert_eq!(peer.pauses, 0);
                let w = self.peers.worker_ref(id).unwrap();
                assert!(w.listed && w.offers.contains(m) && offer.service == s && w.has_slot());
                match &self.services[s].free {
                    Free::LeastLoaded(_) => assert_eq!(offer.rank, load(&self.peers, id)),
                    Free::Random(_) => assert_eq!(offer.rank.0, nth as u32),
                    Free::LeastRecent(_) => {}
                }
            }
            let listed = offering
                .iter()
                .filter(|id| self.peers.worker_ref(**id).is_some_and(|w| w.listed))
                .count();
            assert_eq!(listed, members.len());
            if !self.services[s].waiting.is_empty() {
                assert_eq!(
                    self.services.free_worker(s, 0),
                    None,
                    "a free worker, and {:?} waits",
                    self.services[s].name
                );
            }
        }
        assert_eq!(unoffered, self.services.unoffered());
        assert_eq!(self.services.len(), services.len());
        // peers
        let mut of_client: BTreeMap<PeerId, (usize, usize)> = BTreeMap::new();
        let mut offers = 0;
        let mut held = 0;
        let mut held_bytes = 0;
        let mut pauses: BTreeMap<PeerId, u32> = BTreeMap::new();
        for id in &ids {
            let peer = self.peers.get(*id).unwrap();
            let mut why = u32::from(peer.filled)
                + u32::from(matches!(peer.identity_claim, Claim::WaitsFor(..)));
            match &peer.side {
                SideState::Client(c) => {
                    if let Some((request, obstacle)) = &c.held {
                        assert!(!now_shut);
                        why += 1;
                        held += 1;
                        held_bytes += super::requests::Requests::charge(request);
                        let _ = obstacle;
                    }
                    for f in &c.feeders {
                        *pauses.entry(*f).or_default() += 1;
                    }
                    assert!(c.feeders.is_empty() || peer.filled);
                }
                SideState::Worker(w) => {
                    offers += w.offers.len();
                    for at in &w.offers {
                        assert_eq!(self.offers[*at].worker, *id);
                    }
                    if !w.registered {
                        assert!(
                            !w.listed
                                && w.offers.is_empty()
                                && w.running.is_empty()
                                && w.targeted.is_empty()
                                && w.life.is_none()
                        );
                    } else {
                        assert!(w.life.is_some());
                    }
                    if !w.offers.is_empty() && peer.pauses == 0 && w.has_slot() {
                        assert!(w.listed, "a worker with a slot is free");
                    }
                    assert!(
                        !w.listed || w.targeted.is_empty(),
                        "a free worker, and a request asks for it"
                    );
                }
            }
            *pauses.entry(*id).or_default() += why;
        }
        assert_eq!(offers, self.offers.len());
        for id in &ids {
            assert!(
                now_shut || self.peers.get(*id).unwrap().pauses == pauses[id],
                "pauses of {id}"
            );
        }
        for id in &ids {
            let lists = match &self.peers.get(*id).unwrap().side {
                SideState::Client(c) => (c.requests, c.parked, true),
                SideState::Worker(w) => (w.running, w.targeted, false),
            };
            if lists.2 {
                let mine = walk(&lists.0, &mut OfClient(&mut self.requests));
                let mut bytes = 0;
                for m in &mine {
                    assert_eq!(self.requests[*m].client, *id);
                    assert!(self.requests[*m].state.in_progress());
                    bytes += self.requests[*m].charged;
                }
                assert_eq!(bytes, self.peers.client_ref(*id).unwrap().bytes);
                of_client.insert(*id, (mine.len(), bytes));
                for m in walk(&lists.1, &mut InPlace(&mut self.requests)) {
                    assert_eq!(self.requests[m].state, State::Parked);
                    assert_eq!(self.requests[m].client, *id);
                    assert!(placed.insert(m));
                }
                if !lists.1.is_empty() {
                    assert!(self.is_filled(*id), "parked and its client reads");
                }
            } else {
                for m in walk(&lists.0, &mut InPlace(&mut self.requests)) {
                    let state = self.requests[m].state;
                    assert!(state == State::Running(*id) || state == State::Abandoned(*id));
                    assert!(placed.insert(m));
                }
                for m in walk(&lists.1, &mut InPlace(&mut self.requests)) {
                    assert_eq!(self.requests[m].state, State::Targeted(*id));
                    assert!(placed.insert(m));
                }
            }
        }
        // requests
        let mut per_service: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        let (mut progress, mut bytes) = (0, 0);
        let mut names: BTreeSet<(PeerId, Vec<u8>)> = BTreeSet::new();
        let mut leading = 0;
        for r in self.requests.indices() {
            let followers = self.requests[r].followers();
            for f in walk(&followers, &mut InPlace(&mut self.requests)) {
                assert_eq!(self.requests[f].state, State::Following(r));
                assert!(placed.insert(f));
                let (a, b) = (&self.requests[f], &self.requests[r]);
                assert_eq!(a.service, b.service);
                assert!(
                    matches!(b.state, State::Waiting | State::Rejected | State::Running(_)),
                    "leader {:?}",
                    b.state
                );
            }
            let record = &self.requests[r];
            if let Some(hash) = record.leads() {
                leading += 1;
                let name = &self.services[record.service].name;
                assert!(self.leaders_has(r, hash));
                let _ = name;
                assert!(record.body.is_there());
            }
            match record.state {
                State::Rejected => {
                    let rejection = record.rejection.as_ref().unwrap();
                    let place = rejection.place_of();
                    let (_, _, map) = self.services[record.service].insides();
                    assert_eq!(map.get(&place), Some(&r));
                    for b in &self.services[record.service].backers {
                        assert_eq!(self.services[*b].insides().2.get(&place), Some(&r));
                    }
                    for id in &ids {
                        let Some(w) = self.peers.worker_ref(*id) else { continue };
                        if self.serves(*id, record.service) && !rejection.by_of().contains(id) {
                            assert!(!w.listed, "a free worker, and a rejected request waits");
                        }
                        for at in &w.offers {
                            let offer = &self.offers[*at];
                            if self.services.serving(record.service).contains(&offer.service)
                                && !rejection.by_of().contains(id)
                            {
                                assert!(offer.looked_at < place, "a worker has looked past it");
                            }
                        }
                    }
                    assert!(placed.insert(r));
                }
                State::Loose => panic!("loose"),
                _ => {}
            }
            if record.state.in_progress() {
                progress += 1;
                bytes += record.charged;
                let sums = per_service.entry(record.service).or_default();
                sums.0 += 1;
                sums.1 += record.charged;
                if !record.id.is_empty() {
                    names.insert((record.client, record.id.to_vec()));
                    let n = self.requests.of_client(record.client, &record.id);
                    if let Some(n) = n {
                        assert_eq!(
                            (self.requests[n].client, &self.requests[n].id),
                            (record.client, &record.id)
                        );
                        assert!(self.requests[n].state.in_progress());
                    }
                }
            } else {
                assert!(record.followers().is_empty() && record.leads().is_none());
            }
            let due = match record.state {
                State::Running(_) => record.deadline.min(record.busy_until),
                State::Abandoned(_) => record.busy_until,
                State::Rejected => record.deadline.min(record.rejection.as_ref().unwrap().look_at),
                _ => record.deadline,
            };
            assert!(
                due == Time::NEVER
                    || record.timer.is_some_and(|timer| self.timers.due(timer) <= due),
                "timer of {:?}",
                record.state
            );
            assert!(
                placed.contains(&r) || matches!(record.state, State::Following(_)),
                "in no list {:?}",
                record.state
            );
        }
        for r in self.requests.indices() {
            assert!(placed.contains(&r), "in no list {:?}", self.requests[r].state);
        }
        assert_eq!(placed.len(), self.requests.indices().len());
        assert_eq!(leading, self.leaders_len());
        assert_eq!(progress, self.requests.in_progress());
        assert_eq!(bytes, self.requests.bytes());
        assert!(self.requests.named_len() <= names.len());
        self.requests.pieces();
        assert_eq!(progress as u64, self.counters.in_progress);
        for s in services {
            let (n, b) = per_service.get(&s).copied().unwrap_or_default();
            assert_eq!((self.services[s].requests, self.services[s].bytes), (n, b));
        }
        assert_eq!(held, self.door.held());
        assert_eq!(held_bytes, self.door.bytes_of());
        assert!(self.released.is_empty());
        assert!(self.kept.bytes() <= self.config.limits.cache_bytes_max);
        self.kept.audit();
        self.services.audit_names();
        assert!(self.counters.balanced());
        let statement = self.services.statement();
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
