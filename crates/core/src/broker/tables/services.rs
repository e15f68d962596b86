//! Services: names that workers register or clients request, each with its queue and its idle
//! workers.
//!
//! A service is served by its own workers and by the workers of its *matching services* (see
//! `names`). While it has queued requests, it has a *round-robin turn* with each matching service,
//! so that a worker that becomes idle finds it without a search. It keeps its turn when matching
//! services come and go.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::idle::Idle;
use super::names::{Concerned, Names, is_plain};
use super::peers::Peers;
use super::queue::Queue;
use super::registrations::Registrations;
use super::requests::Requests;
use crate::broker::config::{Config, Limits, Settings};
use crate::broker::keys::{KeyedState, Keys};
use crate::broker::statistics::{Accounts, End, Statement};
use crate::list::List;
use crate::table::{self, Table};
use crate::{ByteStr, Time};

/// A name with its queue and its workers.
#[derive(Debug)]
pub(in crate::broker) struct Service {
    pub(in crate::broker) name: ByteStr,
    pub(in crate::broker) settings: Settings,
    pub(super) queue: Queue,
    /// Rejected requests that wait for a worker which has not rejected them, by rank: its own, and
    /// those of the services that it matches.
    rejected: BTreeMap<u64, u32>,
    /// Its own idle workers.
    pub(super) idle: Idle,
    /// The number of its own workers, including busy ones.
    pub(super) workers: u32,
    /// The services whose workers also serve this one, the best first.
    matching: Vec<u32>,
    /// Its round-robin turn among the services with queued requests that wait for the same workers.
    turn: Option<u64>,
    /// The services with queued requests that it matches, by turn.
    turns: BTreeMap<u64, u32>,
    /// The time at which the service lost its last worker, if it ever had one.
    unserved_since: Option<Time>,
    /// Requests in progress, and the bytes that they are charged.
    pub(super) requests: usize,
    pub(super) bytes: usize,
    /// Clients in this service's admission queue.
    pub(super) admission: List,
    /// Its statistics, if it has its own.
    account: Option<u32>,
    /// True while the agenda has a dispatch of this service.
    pub(in crate::broker) dispatch_due: bool,
    /// True while the agenda has an admission for this service.
    pub(in crate::broker) admission_due: bool,
}

impl Service {
    /// Returns true if any worker serves it.
    pub(in crate::broker) fn is_served(&self) -> bool {
        self.workers > 0 || !self.matching.is_empty()
    }

    /// Returns true if a worker served it at `since` or later.
    pub(in crate::broker) fn served_after(&self, since: Time) -> bool {
        self.is_served() || self.unserved_since.is_some_and(|at| at >= since)
    }

    /// Returns the number of its own workers.
    pub(in crate::broker) fn workers(&self) -> u32 {
        self.workers
    }

    /// Returns the services whose workers also serve this one, the best first.
    pub(in crate::broker) fn matching(&self) -> &[u32] {
        &self.matching
    }

    /// Returns its next queued request.
    #[inline]
    pub(super) fn first_queued(&self) -> Option<u32> {
        self.queue.first()
    }

    /// Returns true if a request of `bytes` fits within the limits of one service. A request above
    /// the byte limit is admitted if the service has no other request in progress.
    #[inline]
    pub(in crate::broker) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests == 0
            || self.requests < limits.service_requests_max
                && self.bytes + bytes <= limits.service_bytes_max
    }

    /// Returns the service whose turn is next, of those that it matches.
    pub(super) fn next_in_turn(&self) -> Option<u32> {
        self.turns.first_key_value().map(|(_, index)| *index)
    }

    /// Returns the first rejected request after this rank. Its workers may take it unless they have
    /// rejected it themselves.
    pub(super) fn rejected_after(&self, rank: u64) -> Option<(u64, u32)> {
        let behind = (Bound::Excluded(rank), Bound::Unbounded);
        self.rejected.range(behind).next().map(|(rank, index)| (*rank, *index))
    }
}

/// All services.
#[derive(Debug)]
pub(in crate::broker) struct Services {
    table: Table<Service>,
    indices: HashTable<u32>,
    keyed: KeyedState,
    names: Names,
    accounts: Accounts,
    /// The number of names without a worker.
    unserved: usize,
    /// The last assigned turn or rank.
    last_rank: u64,
}

impl Services {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            table: Table::new(),
            indices: HashTable::new(),
            keyed: keys.state(),
            names: Names::new(keys),
            accounts: Accounts::new(keys),
            unserved: 0,
            last_rank: 0,
        }
    }

    pub(in crate::broker) fn find(&self, name: &[u8]) -> Option<u32> {
        let table = &self.table;
        let found = |index: &u32| *table[*index].name == *name;
        self.indices.find(self.keyed.of(name), found).copied()
    }

    /// Returns the service with this name, without hashing if it is `guess`.
    pub(in crate::broker) fn find_near(&self, guess: u32, name: &[u8]) -> Option<u32> {
        let is_it = self.table.contains(guess) && *self.table[guess].name == *name;
        if is_it { Some(guess) } else { self.find(name) }
    }

    /// Returns true if any worker serves this name, which need not be in the table.
    pub(in crate::broker) fn is_served(&self, name: &[u8]) -> bool {
        match self.find(name) {
            Some(index) => self.table[index].is_served(),
            None => !self.names.matching(name).is_empty(),
        }
    }

    /// Returns the service with this name, and adds it if it is missing.
    pub(in crate::broker) fn find_or_add(&mut self, name: &[u8], config: &Config) -> u32 {
        if let Some(index) = self.find(name) {
            return index;
        }
        let settings = config.settings(name);
        let (index, _) = self.table.insert(Service {
            name: ByteStr::from(name),
            settings,
            queue: Queue::default(),
            rejected: BTreeMap::new(),
            idle: Idle::new(settings.balance),
            workers: 0,
            matching: Vec::new(),
            turn: None,
            turns: BTreeMap::new(),
            unserved_since: None,
            requests: 0,
            bytes: 0,
            admission: List::EMPTY,
            account: self.accounts.resume(name),
            dispatch_due: false,
            admission_due: false,
        });
        let matching = self.names.add(name, index);
        let (table, keyed) = (&self.table, self.keyed);
        self.indices.insert_unique(keyed.of(name), index, |other| keyed.of(&table[*other].name));
        self.unserved += usize::from(matching.is_empty());
        self.table[index].matching = matching;
        index
    }

    /// Adds a worker to a service. The service gets its own statistics, unless `accounts_max` are
    /// in use. Returns the services whose matching services may have changed.
    pub(super) fn add_worker(&mut self, now: Time, index: u32, accounts_max: usize) -> Vec<u32> {
        self.note_served(now, index, |service| service.workers += 1);
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

    /// Removes a worker from each of these services. Returns the services whose matching services
    /// may have changed, without duplicates.
    pub(in crate::broker) fn remove_workers(&mut self, now: Time, indices: &[u32]) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for index in indices {
            let concerned = self.remove_worker(now, *index);
            all.extend(concerned.into_iter().filter(|other| seen.insert(*other)));
        }
        all
    }

    fn remove_worker(&mut self, now: Time, index: u32) -> Vec<u32> {
        self.note_served(now, index, |service| service.workers -= 1);
        let service = &self.table[index];
        if service.workers > 0 {
            return Vec::new();
        }
        let concerned = self.names.withdraw(&service.name, index);
        self.concerned(index, concerned)
    }

    /// Returns the services whose matching services may change because `index` was registered or
    /// withdrawn: the services that it matches, and itself if it is a plain name, since a wildcard
    /// serves it only while it has no worker of its own.
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

    /// Computes a service's matching services.
    pub(in crate::broker) fn matching_due(&self, index: u32) -> Vec<u32> {
        let service = &self.table[index];
        if service.workers > 0 && is_plain(&service.name) {
            return Vec::new();
        }
        self.names.matching(&service.name)
    }

    /// Sets a service's matching services, and keeps its turn. None of its rejected requests may be
    /// in the lists of the previous ones.
    pub(super) fn set_matching(&mut self, now: Time, index: u32, matching: Vec<u32>) {
        if let Some(turn) = self.table[index].turn {
            self.for_each_matching(index, |other| _ = other.turns.remove(&turn));
            for other in &matching {
                self.table[*other].turns.insert(turn, index);
            }
        }
        self.note_served(now, index, |service| service.matching = matching);
    }

    /// Applies a change that can affect whether a service is served, and updates the count of
    /// unserved services.
    fn note_served(&mut self, now: Time, index: u32, change: impl FnOnce(&mut Service)) {
        let service = &mut self.table[index];
        let before = service.is_served();
        change(service);
        match (before, service.is_served()) {
            (false, true) => self.unserved -= 1,
            (true, false) => {
                service.unserved_since = Some(now);
                self.unserved += 1;
            }
            _ => {}
        }
    }

    /// Forgets a name that is no longer in use.
    #[inline(always)]
    pub(super) fn forget_unused(&mut self, index: u32) {
        if !self.table.contains(index) {
            return;
        }
        let service = &self.table[index];
        if service.workers > 0 || service.requests > 0 || !service.admission.is_empty() {
            return;
        }
        let entry = self.indices.find_entry(self.keyed.of(&service.name), |other| *other == index);
        if let Ok(entry) = entry {
            entry.remove();
        }
        let (table, keyed) = (&self.table, self.keyed);
        table::give_back(&mut self.indices, |other| keyed.of(&table[*other].name));
        self.names.remove(&service.name, index);
        self.unserved -= usize::from(!service.is_served());
        if let Some(account) = service.account {
            self.accounts.rest(account);
        }
        self.table.remove(index);
    }

    /// Queues a request behind all others of its service and priority.
    pub(super) fn push_back(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].queue.push_back(requests, request);
        self.take_turn(index);
    }

    /// Queues a request before all others of its service and priority. The caller must then [take a
    /// turn](Self::take_turn) for the service.
    pub(super) fn push_front(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].queue.push_front(requests, request);
    }

    /// Removes a request from its service's queue.
    pub(super) fn dequeue(&mut self, requests: &mut Requests, request: u32) {
        let index = requests[request].service;
        self.table[index].queue.remove(requests, request);
        if self.table[index].queue.is_empty() {
            self.leave_turn(index);
        }
    }

    /// Replaces a queued request by a detached one of the same service.
    pub(super) fn succeed(&mut self, requests: &mut Requests, request: u32, successor: u32) {
        let index = requests[request].service;
        self.table[index].queue.replace(requests, request, successor);
    }

    /// Gives a service with queued requests a turn behind all others, unless it has one.
    pub(super) fn take_turn(&mut self, index: u32) {
        let service = &mut self.table[index];
        if service.turn.is_some() || service.queue.is_empty() {
            return;
        }
        self.last_rank += 1;
        let turn = self.last_rank;
        service.turn = Some(turn);
        self.for_each_matching(index, |other| _ = other.turns.insert(turn, index));
    }

    /// Removes a service's turn.
    pub(super) fn leave_turn(&mut self, index: u32) {
        let service = &mut self.table[index];
        let Some(turn) = service.turn.take() else { return };
        self.for_each_matching(index, |other| _ = other.turns.remove(&turn));
    }

    #[inline]
    fn for_each_matching(&mut self, index: u32, mut change: impl FnMut(&mut Service)) {
        if self.table[index].matching.is_empty() {
            return;
        }
        let matching = core::mem::take(&mut self.table[index].matching);
        for other in &matching {
            change(&mut self.table[*other]);
        }
        self.table[index].matching = matching;
    }

    /// Adds a rejected request for all workers that serve the service. Returns its rank.
    pub(super) fn push_rejected(&mut self, index: u32, request: u32) -> u64 {
        self.last_rank += 1;
        let rank = self.last_rank;
        self.table[index].rejected.insert(rank, request);
        self.for_each_matching(index, |other| _ = other.rejected.insert(rank, request));
        rank
    }

    /// Removes a rejected request.
    pub(super) fn remove_rejected(&mut self, index: u32, rank: u64) {
        self.table[index].rejected.remove(&rank);
        self.for_each_matching(index, |other| _ = other.rejected.remove(&rank));
    }

    /// Returns the rejected requests of the service itself.
    pub(in crate::broker) fn rejected_of(&self, requests: &Requests, index: u32) -> Vec<u32> {
        let own = |request: &&u32| requests[**request].service == index;
        self.table[index].rejected.values().filter(own).copied().collect()
    }

    /// Returns the registration of the idle worker that gets a service's next request: one of its
    /// own, or else one of the best matching service with an idle worker.
    #[inline(always)]
    pub(in crate::broker) fn idle_worker(&self, index: u32, draw: u64) -> Option<u32> {
        let service = &self.table[index];
        service.idle.next(draw).or_else(|| {
            service.matching.iter().find_map(|other| self.table[*other].idle.next(draw))
        })
    }

    /// Returns the registration of the best idle worker for which `fits` returns true.
    pub(super) fn find_idle_worker(
        &self,
        registrations: &mut Registrations,
        index: u32,
        draw: u64,
        fits: impl Fn(&Registrations, u32) -> bool,
    ) -> Option<u32> {
        let service = &self.table[index];
        let all = core::iter::once(&index).chain(&service.matching);
        all.into_iter().find_map(|at| self.table[*at].idle.find(registrations, draw, &fits))
    }

    /// Returns the number of registrations that serve it: its own, and those of its matching
    /// services.
    pub(in crate::broker) fn workers_for(&self, index: u32) -> usize {
        let service = &self.table[index];
        let matching = service.matching.iter().map(|other| self.table[*other].workers as usize);
        service.workers as usize + matching.sum::<usize>()
    }

    /// Returns the services whose workers serve this one, including itself, sorted by index.
    pub(in crate::broker) fn serving(&self, index: u32) -> SmallVec<[u32; 2]> {
        let matching = self.table[index].matching.iter().copied();
        let mut serving: SmallVec<_> = core::iter::once(index).chain(matching).collect();
        serving.sort_unstable();
        serving
    }

    /// Counts the end of a service's request.
    #[inline(always)]
    pub(in crate::broker) fn count(&mut self, index: u32, end: End) {
        let service = &self.table[index];
        let of_other = || self.table[*service.matching.first()?].account;
        let account = service.account.or_else(of_other);
        self.accounts.count(account, end);
    }

    /// Counts the end of a request for a name that need not be in the table.
    pub(in crate::broker) fn count_named(&mut self, name: &[u8], end: End) {
        match self.find(name) {
            Some(index) => self.count(index, end),
            None => self.accounts.count(self.accounts.find(name), end),
        }
    }

    /// Counts the end of a request that the broker answered itself.
    pub(in crate::broker) fn count_own(&mut self, end: End) {
        self.accounts.count_own(end);
    }

    /// Returns the service at this index. Callers can change all of it except its lists.
    #[inline]
    pub(in crate::broker) fn get_mut(&mut self, index: u32) -> &mut Service {
        &mut self.table[index]
    }

    pub(in crate::broker) fn statement(&self) -> Statement {
        self.accounts.statement()
    }

    pub(in crate::broker) fn contains(&self, index: u32) -> bool {
        self.table.contains(index)
    }

    pub(in crate::broker) fn indices(&self) -> Vec<u32> {
        self.table.indices().collect()
    }

    pub(super) fn configure(
        &mut self,
        config: &Config,
        registrations: &mut Registrations,
        peers: &Peers,
    ) {
        for index in self.indices() {
            let service = &mut self.table[index];
            service.settings = config.settings(&service.name);
            service.idle.rebalance(registrations, peers, service.settings.balance);
        }
    }

    pub(in crate::broker) fn unserved(&self) -> usize {
        self.unserved
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.table.len()
    }
}

impl core::ops::Index<u32> for Services {
    type Output = Service;

    #[inline(always)]
    fn index(&self, index: u32) -> &Service {
        &self.table[index]
    }
}

#[cfg(any(test, feature = "audit"))]
impl Service {
    pub(in crate::broker) fn insides(
        &self,
    ) -> (Option<u64>, &BTreeMap<u64, u32>, &BTreeMap<u64, u32>) {
        (self.turn, &self.turns, &self.rejected)
    }
}
#[cfg(any(test, feature = "audit"))]
impl Services {
    pub(in crate::broker) fn audit_names(&self) {
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
