//! The services: names that workers offer or clients ask for, each with the requests that wait and
//! the workers that are free.
//!
//! A service is served by its own workers and by those of its *backers* (see `names`). While it has
//! requests that wait, it has a *seat* with each of its backers, so that a worker that gets free finds
//! it without a search. It keeps its seat where they come and go, so that its turn comes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::accounts::{Accounts, End, Statement};
use super::config::{Config, Limits, Settings};
use super::free::Free;
use super::keys::{KeyedState, Keys};
use super::names::{Concerned, Names, is_plain};
use super::offers::Offers;
use super::peers::Peers;
use super::queue::Queue;
use super::requests::Requests;
use crate::list::List;
use crate::table::{self, Table};
use crate::{Label, Time};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: Label,
    pub(super) settings: Settings,
    /// Requests that wait for a worker.
    pub(super) waiting: Queue,
    /// Requests that were rejected and wait for a worker that has not had them, by their place: its
    /// own, and those of the services that it backs.
    rejected: BTreeMap<u64, u32>,
    /// Workers of its own that can take a request.
    pub(super) free: Free,
    /// Workers that offer it, busy ones too.
    pub(super) workers: u32,
    /// The services whose workers serve it too, the best first.
    pub(super) backers: Vec<u32>,
    /// Its place among those with requests that wait for a worker of the same.
    seat: Option<u64>,
    /// The services that it backs and that have requests waiting, in the order of their turns.
    seats: BTreeMap<u64, u32>,
    /// When the last worker that served it was lost; nothing where there never was one.
    pub(super) unoffered_since: Option<Time>,
    /// Requests in progress, and what they hold.
    pub(super) requests: usize,
    pub(super) bytes: usize,
    /// Clients whose request waits for room here.
    pub(super) door: List,
    /// Where its requests are counted, if it has a place of its own for that.
    pub(super) account: Option<u32>,
}

impl Service {
    /// Whether any worker serves it.
    pub(super) fn is_offered(&self) -> bool {
        self.workers > 0 || !self.backers.is_empty()
    }

    /// Whether some worker has served it at `since` or later.
    pub(super) fn offered_after(&self, since: Time) -> bool {
        self.is_offered() || self.unoffered_since.is_some_and(|at| at >= since)
    }

    /// Whether a request of `bytes` more is within the limits for one service. One that is too
    /// large for the limit of bytes may come alone.
    pub(super) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests == 0
            || self.requests < limits.service_requests_max
                && self.bytes + bytes <= limits.service_bytes_max
    }

    /// The service that it backs and whose turn is next.
    pub(super) fn next_backed(&self) -> Option<u32> {
        self.seats.first_key_value().map(|(_, index)| *index)
    }

    /// The first rejected request behind this place that its workers may take, as far as they have
    /// not rejected it.
    pub(super) fn rejected_after(&self, place: u64) -> Option<(u64, u32)> {
        let behind = (Bound::Excluded(place), Bound::Unbounded);
        self.rejected.range(behind).next().map(|(place, index)| (*place, *index))
    }
}

#[derive(Debug)]
pub(super) struct Services {
    table: Table<Service>,
    indices: HashTable<u32>,
    keyed: KeyedState,
    names: Names,
    accounts: Accounts,
    /// How many names no worker serves.
    unoffered: usize,
    /// The last place that was given out, of seats and rejected requests.
    last_place: u64,
}

impl Services {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            table: Table::new(),
            indices: HashTable::new(),
            keyed: keys.state(),
            names: Names::new(keys),
            accounts: Accounts::new(keys),
            unoffered: 0,
            last_place: 0,
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let table = &self.table;
        let found = |index: &u32| *table[*index].name == *name;
        self.indices.find(self.keyed.of(name), found).copied()
    }

    /// The same, without a hash where it is this one.
    pub(super) fn find_near(&self, guess: u32, name: &[u8]) -> Option<u32> {
        let is_it = self.table.contains(guess) && *self.table[guess].name == *name;
        if is_it { Some(guess) } else { self.find(name) }
    }

    /// Whether any worker serves this name, which need not be known.
    pub(super) fn is_offered(&self, name: &[u8]) -> bool {
        match self.find(name) {
            Some(index) => self.table[index].is_offered(),
            None => !self.names.backers(name).is_empty(),
        }
    }

    /// The service of that name, which comes to be if it is not there.
    pub(super) fn find_or_add(&mut self, name: &Label, config: &Config) -> u32 {
        if let Some(index) = self.find(name) {
            return index;
        }
        let settings = config.settings(name);
        let (index, _) = self.table.insert(Service {
            name: name.clone(),
            settings,
            waiting: Queue::default(),
            rejected: BTreeMap::new(),
            free: Free::new(settings.balance),
            workers: 0,
            backers: Vec::new(),
            seat: None,
            seats: BTreeMap::new(),
            unoffered_since: None,
            requests: 0,
            bytes: 0,
            door: List::EMPTY,
            account: self.accounts.resume(name),
        });
        let backers = self.names.add(name, index);
        let (table, keyed) = (&self.table, self.keyed);
        self.indices.insert_unique(keyed.of(name), index, |other| keyed.of(&table[*other].name));
        self.unoffered += usize::from(backers.is_empty());
        self.table[index].backers = backers;
        index
    }

    /// One worker more offers this, which gets an account if there are not `accounts_max` in use; the
    /// services whose backers have to be looked at again.
    pub(super) fn add_worker(&mut self, now: Time, index: u32, accounts_max: usize) -> Vec<u32> {
        self.note_offered(now, index, |service| service.workers += 1);
        let service = &mut self.table[index];
        if service.workers > 1 {
            return Vec::new();
        }
        if service.account.is_none() {
            service.account = self.accounts.open(&service.name, accounts_max);
        }
        let service = &self.table[index];
        let concerned = self.names.offer(&service.name, index);
        self.concerned(index, concerned)
    }

    /// One worker fewer offers each of these; the services whose backers have to be looked at again,
    /// each once.
    pub(super) fn remove_workers(&mut self, now: Time, indices: &[u32]) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for index in indices {
            let concerned = self.remove_worker(now, *index);
            all.extend(concerned.into_iter().filter(|other| seen.insert(*other)));
        }
        all
    }

    fn remove_worker(&mut self, now: Time, index: u32) -> Vec<u32> {
        self.note_offered(now, index, |service| service.workers -= 1);
        let service = &self.table[index];
        if service.workers > 0 {
            return Vec::new();
        }
        let concerned = self.names.withdraw(&service.name, index);
        self.concerned(index, concerned)
    }

    /// The services that may have other backers now that `index` is offered, or no more: itself,
    /// where a wildcard serves it unless it is, and those that it matches.
    fn concerned(&self, index: u32, concerned: Concerned) -> Vec<u32> {
        match concerned {
            Concerned::These(mut these) => {
                these.extend(is_plain(&self.table[index].name).then_some(index));
                these
            }
            Concerned::Beginning => {
                let prefix = self.table[index].name.strip_suffix(b"*").unwrap_or_default();
                let begins = |at: &u32| {
                    let other = &self.table[*at];
                    other.name.starts_with(prefix) && is_plain(&other.name)
                };
                self.table.indices().filter(begins).collect()
            }
        }
    }

    /// The backers that a service ought to have.
    pub(super) fn backers_due(&self, index: u32) -> Vec<u32> {
        let service = &self.table[index];
        if service.workers > 0 && is_plain(&service.name) {
            return Vec::new();
        }
        self.names.backers(&service.name)
    }

    /// Gives a service other backers, with the seat that it has. None of its rejected requests may wait
    /// with those before.
    pub(super) fn set_backers(&mut self, now: Time, index: u32, backers: Vec<u32>) {
        if let Some(seat) = self.table[index].seat {
            for backer in self.table[index].backers.clone() {
                self.table[backer].seats.remove(&seat);
            }
            for backer in &backers {
                self.table[*backer].seats.insert(seat, index);
            }
        }
        self.note_offered(now, index, |service| service.backers = backers);
    }

    /// Changes whether a service is offered, and counts it.
    fn note_offered(&mut self, now: Time, index: u32, change: impl FnOnce(&mut Service)) {
        let service = &mut self.table[index];
        let before = service.is_offered();
        change(service);
        match (before, service.is_offered()) {
            (false, true) => self.unoffered -= 1,
            (true, false) => {
                service.unoffered_since = Some(now);
                self.unoffered += 1;
            }
            _ => {}
        }
    }

    /// Forgets a name that nobody uses any more.
    pub(super) fn forget_unused(&mut self, index: u32) {
        if !self.table.contains(index) {
            return;
        }
        let service = &self.table[index];
        if service.workers > 0 || service.requests > 0 || !service.door.is_empty() {
            return;
        }
        let entry = self.indices.find_entry(self.keyed.of(&service.name), |other| *other == index);
        if let Ok(entry) = entry {
            entry.remove();
        }
        let (table, keyed) = (&self.table, self.keyed);
        table::give_back(&mut self.indices, |other| keyed.of(&table[*other].name));
        self.names.remove(&service.name, index);
        self.unoffered -= usize::from(!service.is_offered());
        if let Some(account) = service.account {
            self.accounts.rest(account);
        }
        self.table.remove(index);
    }

    /// Puts a request at the end of its service's queue.
    pub(super) fn push_back(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].waiting.push_back(requests, request);
        self.sit(index);
    }

    /// Puts a request before all others of its service and priority. Its service has to
    /// [sit](Self::sit) down then.
    pub(super) fn push_front(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].waiting.push_front(requests, request);
    }

    /// Takes a request out of its service's queue.
    pub(super) fn take_out(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].waiting.remove(requests, request);
        if self.table[index].waiting.is_empty() {
            self.stand(index);
        }
    }

    /// Puts a request, which is in no list, in the place of one that waits for the same service.
    pub(super) fn take_place(&mut self, requests: &mut Requests, request: u32, heir: u32) {
        let index = requests[request].service;
        self.table[index].waiting.replace(requests, request, heir);
    }

    /// Takes the seats of a service that has requests waiting, behind all others.
    pub(super) fn sit(&mut self, index: u32) {
        let service = &mut self.table[index];
        if service.seat.is_some() || service.waiting.is_empty() {
            return;
        }
        self.last_place += 1;
        service.seat = Some(self.last_place);
        for backer in service.backers.clone() {
            self.table[backer].seats.insert(self.last_place, index);
        }
    }

    /// Gives the seats of a service up.
    pub(super) fn stand(&mut self, index: u32) {
        let service = &mut self.table[index];
        let Some(seat) = service.seat.take() else { return };
        for backer in service.backers.clone() {
            self.table[backer].seats.remove(&seat);
        }
    }

    /// Keeps a rejected request for the workers that serve it; says under which place.
    pub(super) fn push_rejected(&mut self, index: u32, request: u32) -> u64 {
        self.last_place += 1;
        let place = self.last_place;
        self.table[index].rejected.insert(place, request);
        for backer in self.table[index].backers.clone() {
            self.table[backer].rejected.insert(place, request);
        }
        place
    }

    /// Takes a rejected request back.
    pub(super) fn take_rejected(&mut self, index: u32, place: u64) {
        self.table[index].rejected.remove(&place);
        for backer in self.table[index].backers.clone() {
            self.table[backer].rejected.remove(&place);
        }
    }

    /// The rejected requests that are of this service itself.
    pub(super) fn rejected_of(&self, requests: &Requests, index: u32) -> Vec<u32> {
        let own = |request: &&u32| requests[**request].service == index;
        self.table[index].rejected.values().filter(own).copied().collect()
    }

    /// The offer of the free worker that gets the next request of a service: one of its own, else of
    /// the best backer that has one.
    pub(super) fn free_worker(&self, index: u32, draw: u64) -> Option<u32> {
        let service = &self.table[index];
        service.free.next(draw).or_else(|| {
            service.backers.iter().find_map(|backer| self.table[*backer].free.next(draw))
        })
    }

    /// The same, but for one for which `fits` holds.
    pub(super) fn find_free_worker(
        &self,
        offers: &mut Offers,
        index: u32,
        draw: u64,
        fits: impl Fn(&Offers, u32) -> bool,
    ) -> Option<u32> {
        let service = &self.table[index];
        let all = core::iter::once(&index).chain(&service.backers);
        all.into_iter().find_map(|at| self.table[*at].free.find(offers, draw, &fits))
    }

    /// How many offers serve it, its own and those of its backers.
    pub(super) fn workers_for(&self, index: u32) -> usize {
        let service = &self.table[index];
        let backers = service.backers.iter().map(|backer| self.table[*backer].workers as usize);
        service.workers as usize + backers.sum::<usize>()
    }

    /// The services whose workers serve this one, itself among them, in the order of their indices.
    pub(super) fn serving(&self, index: u32) -> SmallVec<[u32; 2]> {
        let backers = self.table[index].backers.iter().copied();
        let mut serving: SmallVec<_> = core::iter::once(index).chain(backers).collect();
        serving.sort_unstable();
        serving
    }

    /// Counts the end of a request for a service.
    pub(super) fn count(&mut self, index: u32, end: End) {
        let service = &self.table[index];
        let of_backer = || self.table[*service.backers.first()?].account;
        let account = service.account.or_else(of_backer);
        self.accounts.count(account, end);
    }

    /// The same for a name, which need not be known.
    pub(super) fn count_named(&mut self, name: &[u8], end: End) {
        match self.find(name) {
            Some(index) => self.count(index, end),
            None => self.accounts.count(self.accounts.find(name), end),
        }
    }

    /// Counts the end of a request that the broker answered itself.
    pub(super) fn count_own(&mut self, end: End) {
        self.accounts.count_own(end);
    }

    pub(super) fn statement(&self) -> Statement {
        self.accounts.statement()
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.table.contains(index)
    }

    pub(super) fn indices(&self) -> Vec<u32> {
        self.table.indices().collect()
    }

    pub(super) fn configure(&mut self, config: &Config, offers: &mut Offers, peers: &Peers) {
        for index in self.indices() {
            let service = &mut self.table[index];
            service.settings = config.settings(&service.name);
            service.free.rebalance(offers, peers, service.settings.balance);
        }
    }

    pub(super) fn unoffered(&self) -> usize {
        self.unoffered
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl core::ops::Index<u32> for Services {
    type Output = Service;

    fn index(&self, index: u32) -> &Service {
        &self.table[index]
    }
}

impl core::ops::IndexMut<u32> for Services {
    fn index_mut(&mut self, index: u32) -> &mut Service {
        &mut self.table[index]
    }
}

#[cfg(any(test, feature = "audit"))]
impl Service {
    pub(super) fn insides(&self) -> (Option<u64>, &BTreeMap<u64, u32>, &BTreeMap<u64, u32>) {
        (self.seat, &self.seats, &self.rejected)
    }
}
#[cfg(any(test, feature = "audit"))]
impl Services {
    pub(super) fn audit_names(&self) {
        let offered: Vec<(&[u8], u32)> = self
            .table
            .indices()
            .filter(|at| self.table[*at].workers > 0)
            .map(|at| (&self.table[at].name[..], at))
            .collect();
        let known: Vec<(&[u8], u32)> =
            self.table.indices().map(|at| (&self.table[at].name[..], at)).collect();
        self.names.audit(&offered, &known);
        let mut used = BTreeSet::new();
        for at in self.table.indices() {
            let Some(account) = self.table[at].account else { continue };
            assert_eq!(self.accounts.name(account), &self.table[at].name);
            assert!(used.insert(account));
        }
        let (all, idle) = self.accounts.lens();
        assert_eq!(all, used.len() + idle);
        assert_eq!(self.indices.len(), self.table.len());
    }
}
