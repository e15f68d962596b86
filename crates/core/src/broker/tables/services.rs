//! The services: names that workers register for or clients ask for, each with its queue and its idle
//! workers.
//!
//! A service is served by its own workers and by those of its *matching services* (see `names`). While
//! it has queued requests, it has a *turn* with each of these, so that a worker that becomes idle finds
//! it without a search. It keeps its turn when they come and go.

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
use crate::{Label, Time};

/// A name, its queue and its workers.
#[derive(Debug)]
pub(in crate::broker) struct Service {
    pub(in crate::broker) name: Label,
    pub(in crate::broker) settings: Settings,
    pub(super) queue: Queue,
    /// Requests that were rejected and wait for a worker that has not had them, by rank: its own, and
    /// those of the services that it matches.
    rejected: BTreeMap<u64, u32>,
    /// Its own workers that can take a request.
    pub(super) idle: Idle,
    /// Number of its own workers, busy ones too.
    pub(super) workers: u32,
    /// The services whose workers serve it too, the best first.
    matching: Vec<u32>,
    /// Its turn among the services with queued requests that wait for the same workers.
    turn: Option<u64>,
    /// The services that it matches and that have queued requests, by turn.
    turns: BTreeMap<u64, u32>,
    /// When the last worker that served it was lost, if there ever was one.
    unserved_since: Option<Time>,
    /// Requests in progress, and what they count as.
    pub(super) requests: usize,
    pub(super) bytes: usize,
    /// Clients whose request waits in the admission queue of this service.
    pub(super) admission: List,
    /// Where its requests are counted, if it has a place of its own for that.
    account: Option<u32>,
    /// Whether the agenda has it among those with requests to dispatch.
    pub(in crate::broker) dispatch_due: bool,
    /// Whether the agenda has it among those whose admission queue may move.
    pub(in crate::broker) admission_due: bool,
}

impl Service {
    /// Whether any worker serves it.
    pub(in crate::broker) fn is_served(&self) -> bool {
        self.workers > 0 || !self.matching.is_empty()
    }

    /// Whether some worker has served it at `since` or later.
    pub(in crate::broker) fn served_after(&self, since: Time) -> bool {
        self.is_served() || self.unserved_since.is_some_and(|at| at >= since)
    }

    /// Number of its own workers.
    pub(in crate::broker) fn workers(&self) -> u32 {
        self.workers
    }

    /// The services whose workers serve it too, the best first.
    pub(in crate::broker) fn matching(&self) -> &[u32] {
        &self.matching
    }

    /// Its next queued request.
    #[inline]
    pub(super) fn first_queued(&self) -> Option<u32> {
        self.queue.first()
    }

    /// Whether a request of `bytes` more is within the limits for one service. One that is too
    /// large for the limit of bytes is admitted alone.
    #[inline]
    pub(in crate::broker) fn has_room(&self, limits: &Limits, bytes: usize) -> bool {
        self.requests == 0
            || self.requests < limits.service_requests_max
                && self.bytes + bytes <= limits.service_bytes_max
    }

    /// The service that it matches and whose turn is next.
    pub(super) fn next_in_turn(&self) -> Option<u32> {
        self.turns.first_key_value().map(|(_, index)| *index)
    }

    /// The first rejected request behind this rank that its workers may take, as far as they have
    /// not rejected it.
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
    /// Number of names that no worker serves.
    unserved: usize,
    /// The last turn or rank that was given out.
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

    /// The same, without a hash where it is this one.
    pub(in crate::broker) fn find_near(&self, guess: u32, name: &[u8]) -> Option<u32> {
        let is_it = self.table.contains(guess) && *self.table[guess].name == *name;
        if is_it { Some(guess) } else { self.find(name) }
    }

    /// Whether any worker serves this name, which need not be known.
    pub(in crate::broker) fn is_served(&self, name: &[u8]) -> bool {
        match self.find(name) {
            Some(index) => self.table[index].is_served(),
            None => !self.names.matching(name).is_empty(),
        }
    }

    /// The service of that name, which is added if it is not there.
    pub(in crate::broker) fn find_or_add(&mut self, name: &[u8], config: &Config) -> u32 {
        if let Some(index) = self.find(name) {
            return index;
        }
        let settings = config.settings(name);
        let (index, _) = self.table.insert(Service {
            name: Label::from(name),
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

    /// Adds a worker to a service, which gets an account if there are not `accounts_max` in use.
    /// Returns the services whose matching services may have changed.
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

    /// Removes a worker from each of these services. Returns the services whose matching services may
    /// have changed, each once.
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

    /// The services that may have other matching services now that `index` is registered, or no more:
    /// itself, where a wildcard serves it unless it is, and those that it matches.
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

    /// The matching services that a service ought to have.
    pub(in crate::broker) fn matching_due(&self, index: u32) -> Vec<u32> {
        let service = &self.table[index];
        if service.workers > 0 && is_plain(&service.name) {
            return Vec::new();
        }
        self.names.matching(&service.name)
    }

    /// Gives a service other matching services, with the turn that it has. None of its rejected requests
    /// may wait with those before.
    pub(super) fn set_matching(&mut self, now: Time, index: u32, matching: Vec<u32>) {
        if let Some(turn) = self.table[index].turn {
            self.for_each_matching(index, |other| _ = other.turns.remove(&turn));
            for other in &matching {
                self.table[*other].turns.insert(turn, index);
            }
        }
        self.note_served(now, index, |service| service.matching = matching);
    }

    /// Changes whether a service is served, and counts it.
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

    /// Forgets a name that nobody uses any more.
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

    /// Queues a request before all others of its service and priority. Its service has to
    /// [take its turn](Self::take_turn) then.
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

    /// Replaces a queued request by one of the same service, which is in no list.
    pub(super) fn succeed(&mut self, requests: &mut Requests, request: u32, successor: u32) {
        let index = requests[request].service;
        self.table[index].queue.replace(requests, request, successor);
    }

    /// Gives a service with queued requests a turn behind all others.
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

    /// Gives up the turn of a service.
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

    /// Adds a rejected request, for the workers that serve it. Returns its rank.
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

    /// The rejected requests that are of this service itself.
    pub(in crate::broker) fn rejected_of(&self, requests: &Requests, index: u32) -> Vec<u32> {
        let own = |request: &&u32| requests[**request].service == index;
        self.table[index].rejected.values().filter(own).copied().collect()
    }

    /// The registration of the idle worker that gets the next request of a service: one of its own,
    /// else of the best matching service that has one.
    #[inline(always)]
    pub(in crate::broker) fn idle_worker(&self, index: u32, draw: u64) -> Option<u32> {
        let service = &self.table[index];
        service.idle.next(draw).or_else(|| {
            service.matching.iter().find_map(|other| self.table[*other].idle.next(draw))
        })
    }

    /// The same, but for one for which `fits` holds.
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

    /// Number of registrations that serve it, its own and those of its matching services.
    pub(in crate::broker) fn workers_for(&self, index: u32) -> usize {
        let service = &self.table[index];
        let matching = service.matching.iter().map(|other| self.table[*other].workers as usize);
        service.workers as usize + matching.sum::<usize>()
    }

    /// The services whose workers serve this one, itself among them, in the order of their indices.
    pub(in crate::broker) fn serving(&self, index: u32) -> SmallVec<[u32; 2]> {
        let matching = self.table[index].matching.iter().copied();
        let mut serving: SmallVec<_> = core::iter::once(index).chain(matching).collect();
        serving.sort_unstable();
        serving
    }

    /// Counts the end of a request for a service.
    #[inline(always)]
    pub(in crate::broker) fn count(&mut self, index: u32, end: End) {
        let service = &self.table[index];
        let of_other = || self.table[*service.matching.first()?].account;
        let account = service.account.or_else(of_other);
        self.accounts.count(account, end);
    }

    /// The same for a name, which need not be known.
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

    /// The service at this index, to be changed in everything but its lists.
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
